"""What `.gitignore` files leave is what git leaves, in trees and patterns made at random, and hostile ones are fast."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from echo_index.errors import SourceError
from echo_index.indexer.sources.gitignore import parse_patterns
from echo_index.indexer.sources.scanner import Source, scan

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

NAMES = [
    *("a", "b", "ab", "abc", "foo", "bar", "foobar", "a.md", "b.md", "ab.md", "foo.txt", "x1", "X", "é", "éa.md"),
    *("a b", "b ", "#a", "!a", "[a]", "a-b", "-", "]", "^", "a\\b", "*", "a\tb", "a:", "out", "build"),
]
PIECES = [
    *(
        "a",
        "b",
        "ab",
        "foo",
        "bar",
        "o",
        "x",
        "X",
        "1",
        "é",
        ".md",
        ".txt",
        ".",
        "-",
        "]",
        "^",
        ":",
        " ",
        "\t",
        "#",
        "!",
    ),
    *("*", "*", "*", "**", "***", "?", "?", "a*", "*b", "[ab]", "[!a]", "[^ab]", "[a-f]", "[a-]", "[]a]", "[!]a]"),
    *("[[:alpha:]]", "[[:digit:]x]", "[![:upper:]]", "[[:punct:]]", "[[:space:]]", "[[:nonsense:]]", "[[:]", "[[:a]"),
    *("[a\\]b]", "[\\a-c]", "[a-\\c]", "[z-a]", "[b-a-c]", "[é]", "[a", "[", "\\", "\\a", "\\*", "\\!", "\\#", "\\ "),
    *("\\[", "\\\\", "[a/b]", "[!/]", "a[", "[*]", "[?]", "[a-c-e]", "[--/]", "\\?"),
]
WHOLE = [
    *(
        "*",
        "!*/",
        "!*.md",
        "/*",
        "!/a/",
        "**",
        "/**",
        "!**/",
        "**/a",
        "a/**",
        "a/**/b",
        "/a/",
        "a/",
        "!a",
        "a/b",
        "/a/*",
    ),
    *(
        "!/a/b",
        "foo/*",
        "!foo/bar",
        "**/foo/**",
        "foo**/bar",
        "a**",
        "**a",
        "*/b",
        "*/*/a",
        "a/*/b",
        "**/*.md",
        "***/a",
    ),
    *(
        "",
        "!",
        "/",
        "//",
        "!/",
        "# comment",
        "\\#a",
        "\\!a",
        "b\\ ",
        "a ",
        "a  ",
        "b \\ ",
        "!a ",
        "a\t",
        "out/",
        "!out/a",
    ),
    *(
        "/foo**",
        "/foo**/a",
        "/a**\\/b",
        "**\\/b",
        "foo\\/bar",
        "a//b",
        "**/",
        "/**/",
        "**/**/a",
        "**/*/**/a",
        "a/**/",
        "!!a",
    ),
]


def random_pattern(dice: random.Random) -> str:
    if dice.random() < 0.3:
        return dice.choice(WHOLE)
    names = []
    for _ in range(dice.choice([1, 1, 2, 2, 3])):
        usual = [dice.choice(NAMES[:14])] if dice.random() < 0.4 else dice.choices(PIECES, k=dice.choice([1, 1, 2, 3]))
        names.append("".join(usual))
    pattern = "/".join(names)
    pattern = dice.choice(["", "", "", "/", "**/"]) + pattern + dice.choice(["", "", "", "/", "/*", "/**", " "])
    return ("!" if dice.random() < 0.3 else "") + pattern


def ignore_file(dice: random.Random) -> bytes:
    lines = [random_pattern(dice) for _ in range(dice.randint(1, 6))]
    end = dice.choice(["\n", "\n", "\n", "\r\n"])
    text = end.join(lines) + dice.choice(["", end, end])
    return (b"\xef\xbb\xbf" if dice.random() < 0.1 else b"") + text.encode()


def plant_tree(folder: Path, dice: random.Random, depth: int = 0) -> None:
    """Fill a folder with files, folders and, in some of them, ignore files."""
    folder.mkdir()
    if depth == 0 or dice.random() < 0.2:
        (folder / ".gitignore").write_bytes(ignore_file(dice))
    for name in dice.sample(NAMES, k=dice.randint(2, 7)):
        if depth < 3 and dice.random() < 0.4:
            plant_tree(folder / name, dice, depth + 1)
        else:
            (folder / name).write_text("text\n")


def kept_by_git(root: Path) -> list[str]:
    environment = {**os.environ, "HOME": str(root / ".git"), "XDG_CONFIG_HOME": str(root / ".git")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
    names = [os.fsdecode(name) for name in run.stdout.split(b"\0") if name]
    return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))


def kept(root: Path, folder: Path | None = None) -> list[str]:
    return sorted(file.path.relative_to(root).as_posix() for file in scan([Source.parse(str(folder or root))]))


def differences(root: Path) -> list[tuple[str, list[str], list[str]]]:
    """Return (tree, what only git keeps, what only the scan keeps) of the trees in a folder that differ."""
    ours, theirs = {*kept(root)}, {*kept_by_git(root)}
    trees = sorted({path.split("/")[0] for path in ours ^ theirs})
    return [
        (
            tree,
            sorted(path for path in theirs - ours if path.startswith(f"{tree}/")),
            sorted(path for path in ours - theirs if path.startswith(f"{tree}/")),
        )
        for tree in trees
    ]


def init(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True, capture_output=True)


@needs_git
def test_random_trees_keep_what_git_keeps(tmp_path: Path) -> None:
    init(tmp_path)
    dice = random.Random(7)
    for number in range(250):
        plant_tree(tmp_path / f"tree{number}", dice)
    everything = sum(len(files) for _, _, files in os.walk(tmp_path))
    assert 0.2 * everything < len(kept_by_git(tmp_path)) < 0.8 * everything
    assert differences(tmp_path) == []


@needs_git
def test_each_pattern_by_itself_keeps_what_git_keeps(tmp_path: Path) -> None:
    init(tmp_path)
    for number, pattern in enumerate(dict.fromkeys([*WHOLE, *PIECES])):
        tree = tmp_path / f"tree{number}"
        for folder in ("", "a", "foo", "foobar", "a/b"):
            (tree / folder).mkdir(parents=True)
            for name in {*NAMES} - {"a", "foo", "foobar", "b"}:
                (tree / folder / name).write_text("text\n")
        (tree / ".gitignore").write_text(f"{pattern}\n")
    assert differences(tmp_path) == []


def plant(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("text\n")


def test_a_list_of_what_to_keep(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "b.txt", "sub/c.md", "sub/d.txt", "sub/deep/e.md")
    (tmp_path / ".gitignore").write_text("*\n!*/\n!*.md\n")
    assert kept(tmp_path) == ["a.md", "sub/c.md", "sub/deep/e.md"]


def test_wildcards_of_an_ignore_file_count_bytes_and_those_of_a_user_characters(tmp_path: Path) -> None:
    plant(tmp_path, "é.md", "ab.md")
    (tmp_path / ".gitignore").write_text("??.md\n")
    assert kept(tmp_path) == [], "as in git, where é has two bytes"
    assert parse_patterns(["?.md"]).selects("é.md")
    assert parse_patterns(["[à-ü].md"]).selects("é.md")


def test_an_ignore_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    plant(tmp_path, "in/a.md")
    (tmp_path / "rules").write_text("*\n")
    (tmp_path / "in/.gitignore").symlink_to(tmp_path / "rules")
    assert kept(tmp_path / "in") == ["a.md"]


@needs_git
def test_the_exclusions_of_a_repository_come_after_its_ignore_files(tmp_path: Path) -> None:
    init(tmp_path)
    plant(tmp_path, "a.tmp", "kept.tmp", "sub/a.tmp", "sub/b.tmp", "only/x.md", "sub/only/x.md")
    (tmp_path / ".git/info").mkdir(exist_ok=True)
    (tmp_path / ".git/info/exclude").write_text("*.tmp\n/only/\n")
    (tmp_path / ".gitignore").write_text("!kept.tmp\n")
    (tmp_path / "sub/.gitignore").write_text("!b.tmp\n")
    assert kept(tmp_path) == kept_by_git(tmp_path) == ["kept.tmp", "sub/b.tmp", "sub/only/x.md"]
    assert kept(tmp_path, tmp_path / "sub") == ["sub/b.tmp", "sub/only/x.md"]


def test_a_folder_inside_an_ignored_folder_can_be_named(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    plant(tmp_path, "out/docs/a.md", "out/docs/b.tmp")
    (tmp_path / ".gitignore").write_text("out/\n*.tmp\n")
    assert kept(tmp_path) == []
    assert kept(tmp_path, tmp_path / "out/docs") == ["out/docs/a.md", "out/docs/b.tmp"]


@pytest.mark.parametrize(
    ("patterns", "selected"),
    [
        (["*.md"], ["a.md", "sub/c.md", "sub/deep/e.md"]),
        (["sub/"], ["sub/c.md", "sub/d.txt", "sub/deep/e.md"]),
        (["sub/", "!deep/"], ["sub/c.md", "sub/d.txt"]),
        (["*", "!sub/"], ["a.md"]),
        (["sub/", "!c.md"], ["sub/d.txt", "sub/deep/e.md"]),
        (["!sub/"], []),
        (["#a.md", ""], []),
        (["/sub/*"], ["sub/c.md", "sub/d.txt", "sub/deep/e.md"]),
    ],
)
def test_a_user_selects_files_by_themselves_or_with_their_folder(patterns: Sequence[str], selected: list[str]) -> None:
    paths = ["a.md", "sub/c.md", "sub/d.txt", "sub/deep/e.md"]
    assert [path for path in paths if parse_patterns(patterns).selects(path)] == selected


@pytest.mark.parametrize("pattern", ["!", "/", "!/", "[a", "a[[:nonsense:]]", "a\\", "[a\\", "[[:alpha", "[a-\\"])
def test_a_pattern_of_a_user_that_matches_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(SourceError, match="cannot be used"):
        parse_patterns([pattern])


def test_hostile_patterns_are_applied_and_fast(tmp_path: Path) -> None:
    name, path = "a" * 200, "/".join(["a"] * 400)
    plant(tmp_path, f"{name}.md", f"{name}b.md", f"deep/{path}/b", f"deep/{path}/kept")
    lines = [
        "a*" * 100 + "b.md",
        "**/a/" * 300 + "b",
        "**/*a*/" * 100 + "c",
        "[!b]*" * 90 + "?" * 90 + "x",
        "*" * 10**5,
    ]
    (tmp_path / ".gitignore").write_text("\n".join([*lines[:4], "!" + lines[4] + "c"]))
    started = time.process_time()
    assert kept(tmp_path) == [f"{name}.md", f"deep/{path}/kept"]
    assert time.process_time() - started < 10  # trying everything would take for ever


def test_half_a_line_at_the_end_of_a_huge_ignore_file_is_no_pattern(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "b.md")
    (tmp_path / ".gitignore").write_text("a.md\n" + "#" * (2**18 - 7) + "\n*.md.never\n")
    assert kept(tmp_path) == ["b.md"]
