"""Files found by a scan, given `.gitignore` files, links and patterns."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.sources import source_scan
from echo_index.indexer.sources.scanner import FoundFile, Source, scan


def plant(root: Path, *names: str) -> None:
    """Write files below `root`. The content may follow the name after a colon, with `;` for line ends."""
    for name in names:
        name, _, content = name.partition(":")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace(";", "\n") or "text\n")


def found(
    root: Path, *sources: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), **options: Any
) -> list[str]:
    parsed = [Source.parse(str(source), include=include, exclude=exclude) for source in sources or (root,)]
    return [file.path.relative_to(root).as_posix() for file in scan(parsed, **options)]


# Sources


def test_a_source_has_an_absolute_path_and_the_name_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "docs/a.md", "docs/[x].md")
    monkeypatch.chdir(tmp_path)
    assert Source.parse("./docs/../docs") == Source("./docs/../docs", tmp_path / "docs")
    assert Source.parse("docs/*/b?.md") == Source("docs/*/b?.md", tmp_path / "docs", "*/b?.md")
    assert Source.parse("docs/[x].md") == Source("docs/[x].md", tmp_path / "docs/[x].md")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Source.parse("~/docs").path == tmp_path / "docs"


@pytest.mark.parametrize("name", ["./dcos", "dcos/a.md", "a\0b"])
def test_the_error_names_a_missing_source(name: str) -> None:
    with pytest.raises(SourceError) as caught:
        Source.parse(name)
    assert caught.value.message == f"There is no file or folder at {name}."
    assert caught.value.remedy
    assert not isinstance(caught.value, DocumentError)


def test_other_invalid_sources(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no folder at .*dcos to look for"):
        Source.parse(str(tmp_path / "dcos/*.md"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        Source.parse(str(tmp_path / "pipe"))
    with pytest.raises(SourceError, match="There is no file or folder at ''"):
        Source.parse("")
    with pytest.raises(SourceError, match="cannot be read: file name too long"):
        Source.parse("x" * 5000)


def test_covers(tmp_path: Path) -> None:
    plant(tmp_path, "docs/a.md")
    folder, file, glob, deep = (
        Source.parse(str(tmp_path / name)) for name in ("docs", "docs/a.md", "docs/*.md", "docs/**/b.md")
    )

    def covering(name: str) -> list[Source]:
        return [source for source in (folder, file, glob, deep) if source.covers(tmp_path / name)]

    assert covering("docs/a.md") == [folder, file, glob]
    assert covering("docs/gone.md") == [folder, glob]
    assert covering("docs/x/a.md") == [folder]
    assert covering("docs/b.md") == [folder, glob, deep]
    assert covering("docs/x/y/b.md") == [folder, deep]
    assert covering("docs/x.md/c.txt") == [folder, glob]
    assert covering("docs2/a.md") == []


# Files found


def test_each_file_is_found_once_in_sorted_order_with_its_size_and_time(tmp_path: Path) -> None:
    plant(tmp_path, "b.md", "a/z.md", "a/b/c.md", "a.md", "c")
    os.utime(tmp_path / "b.md", ns=(1, 123_456_789_012_345_678))
    sources = [Source.parse(str(tmp_path / name)) for name in ("b.md", "a", "a/b", "", "*.md")]
    files = list(scan(sources))
    assert [file.path.relative_to(tmp_path).as_posix() for file in files] == ["a/b/c.md", "a/z.md", "a.md", "b.md", "c"]
    path = tmp_path / "b.md"
    assert FoundFile(path, 5, 123_456_789_012_345_678, os.path.realpath(path)) in files
    assert files == list(scan(sources[::-1]))


def test_hidden_files_are_skipped_unless_they_are_named(tmp_path: Path) -> None:
    plant(tmp_path, ".hidden.md", ".folder/a.md", ".folder/.b.md", "c.md")
    assert found(tmp_path) == ["c.md"]
    assert found(tmp_path, tmp_path / ".hidden.md") == [".hidden.md"]
    assert found(tmp_path, tmp_path / ".folder") == [".folder/a.md"]
    assert found(tmp_path, tmp_path / ".*.md") == [".hidden.md"]


def test_binary_files_of_unknown_suffix_and_empty_files_are_skipped(tmp_path: Path) -> None:
    for name in ("a.bin", "b", "c.pdf", "d.txt", "e.mp3"):
        (tmp_path / name).write_bytes(b"x\0y")
    (tmp_path / "empty.md").touch()
    (tmp_path / "wide").write_bytes("text".encode("utf-16"))
    plant(tmp_path, "text.unknown")
    assert found(tmp_path) == ["c.pdf", "d.txt", "text.unknown", "wide"]


def test_only_regular_files(tmp_path: Path) -> None:
    plant(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert found(tmp_path) == ["a.md"]


def test_links(tmp_path: Path) -> None:
    plant(tmp_path, "in/a.md", "in/sub/b.md", "out/secret.md", "in/.git-not/x.md")
    inside = tmp_path / "in"
    (inside / "folder").symlink_to(tmp_path / "out")
    (inside / "loop").symlink_to(inside)
    (inside / "out.md").symlink_to(tmp_path / "out/secret.md")
    (inside / "broken.md").symlink_to(tmp_path / "nowhere")
    (inside / "sub/z.md").symlink_to(inside / "a.md")
    (inside / "hidden.md").symlink_to(inside / ".git-not/x.md")
    assert found(tmp_path, inside) == ["in/a.md", "in/hidden.md", "in/sub/b.md"]
    assert found(tmp_path, inside, skip=[inside / ".git-not"]) == ["in/a.md", "in/sub/b.md"]
    (tmp_path / "link").symlink_to(inside)
    assert found(tmp_path, tmp_path / "link") == ["link/a.md", "link/hidden.md", "link/sub/b.md"]
    assert found(tmp_path, tmp_path / "link", inside) == ["in/a.md", "in/hidden.md", "in/sub/b.md"]


def test_skip_excludes_the_index(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "index/b.md", "index/deep/c.md", "index2/d.md")
    assert found(tmp_path, skip=[tmp_path / "index"]) == ["a.md", "index2/d.md"]
    assert found(tmp_path, tmp_path / "index/deep", tmp_path / "index/b.md", skip=[tmp_path / "index"]) == []


# Ignore files and patterns


def test_ignore_files_apply_below_their_folder_and_the_innermost_wins(tmp_path: Path) -> None:
    plant(
        tmp_path, ".gitignore:*.log;/build/;!kept.log;# comment;!;\\", "a.log", "kept.log", "build/x.md",
        "sub/.gitignore:!b.log;/only.md", "sub/b.log", "sub/c.log", "sub/only.md", "sub/deep/only.md", "sub/build/y.md",
        "other/only.md", "other/b.log",
    )  # fmt: skip
    assert found(tmp_path) == ["kept.log", "other/only.md", "sub/b.log", "sub/build/y.md", "sub/deep/only.md"]


def test_files_in_an_ignored_folder_cannot_be_reincluded(tmp_path: Path) -> None:
    plant(tmp_path, ".gitignore:out/;!out/a.md", "out/a.md", "out/.gitignore:!a.md", "b.md")
    assert found(tmp_path) == ["b.md"]


def test_rules_of_the_enclosing_work_tree_apply(tmp_path: Path) -> None:
    plant(tmp_path, ".gitignore:*.txt", "repo/.gitignore:docs/drafts/;*.tmp", "repo/docs/.gitignore:!kept.tmp")
    plant(tmp_path / "repo/docs", "drafts/a.md", "a.tmp", "kept.tmp", "b.txt", "c.md")
    without_git = found(tmp_path / "repo/docs")
    assert without_git == ["a.tmp", "b.txt", "c.md", "drafts/a.md", "kept.tmp"]
    (tmp_path / "repo/.git").mkdir()
    assert found(tmp_path / "repo/docs") == ["b.txt", "c.md", "kept.tmp"]
    plant(tmp_path / "repo/docs/sub", "a.tmp", "kept.tmp")
    assert found(tmp_path / "repo/docs/sub") == ["kept.tmp"]
    assert found(tmp_path / "repo/docs", tmp_path / "repo/docs/drafts") == ["drafts/a.md"]
    assert found(tmp_path / "repo/docs", tmp_path / "repo/docs/a.tmp") == ["a.tmp"]


def test_include_and_exclude(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "b.txt", "guide/c.md", "guide/d.txt", "guide/old/e.md", "guide/old/keep.md")
    assert found(tmp_path, include=["*.md"]) == ["a.md", "guide/c.md", "guide/old/e.md", "guide/old/keep.md"]
    assert found(tmp_path, include=["*.md"], exclude=["old/"]) == ["a.md", "guide/c.md"]
    assert found(tmp_path, include=["/guide/", "/b.txt"], exclude=["guide/old/*", "!keep.md"]) == [
        "b.txt", "guide/c.md", "guide/d.txt", "guide/old/keep.md",
    ]  # fmt: skip
    assert found(tmp_path, tmp_path / "guide", exclude=["/old"]) == ["guide/c.md", "guide/d.txt"]
    assert found(tmp_path, tmp_path / "b.txt", include=["*.md"]) == []
    with pytest.raises(SourceError, match="The pattern '!' cannot be used"):
        found(tmp_path, include=["*.md", "!"])


def test_globs(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "x/b.md", "x/c.txt", "x/y/d.md", "z.md/e.txt", "x/.hidden/f.md")
    assert found(tmp_path, tmp_path / "*.md") == ["a.md", "z.md/e.txt"]
    assert found(tmp_path, tmp_path / "**/*.md") == ["a.md", "x/b.md", "x/y/d.md", "z.md/e.txt"]
    assert found(tmp_path, tmp_path / "x/**") == ["x/b.md", "x/c.txt", "x/y/d.md"]
    assert found(tmp_path, tmp_path / "[a-x]/?.md") == ["x/b.md"]
    with pytest.raises(SourceError, match=r"The pattern .*\*\.mdd matches no file"):
        found(tmp_path, tmp_path / "*.mdd")


def test_a_glob_enters_only_folders_that_may_contain_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a/b/c.md", "other/deep/d.md")
    listed: list[str] = []

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        listed.append(os.path.relpath(path, tmp_path))
        return real_scandir(path)

    real_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert found(tmp_path, tmp_path / "a*/*/*.md") == ["a/b/c.md"]
    assert listed == [".", "a", "a/b"]


# Errors and hostile input


def test_unreadable_folders_are_reported_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a/x.md", "b/y.md")
    real_scandir = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return real_scandir(path)

    monkeypatch.setattr(os, "scandir", scandir)
    errors: list[tuple[Path, str]] = []
    assert found(tmp_path, on_error=lambda path, reason: errors.append((path, reason))) == ["b/y.md"]
    assert errors == [(tmp_path / "a", "permission denied")]
    assert found(tmp_path) == ["b/y.md"]
    with pytest.raises(SourceError, match="cannot be read: permission denied"):
        found(tmp_path, tmp_path / "a")


def test_a_deleted_source_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    source = Source.parse(str(tmp_path / "docs"))
    (tmp_path / "docs").rmdir()
    with pytest.raises(SourceError, match="docs cannot be read: no such file or directory"):
        list(scan([source]))


def test_names_that_are_not_text_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.md")).write_text("text")
    errors: list[str] = []
    assert found(tmp_path, on_error=lambda path, reason: errors.append(reason)) == ["a.md"]
    assert errors == ["its name is not valid text"]


def test_a_scan_is_lazy_and_not_recursive(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 400)
    deep.mkdir(parents=True)
    (deep / "a.md").write_text("text")
    files = scan([Source.parse(str(tmp_path), include=["*.md"])])
    assert next(files).path == deep / "a.md"


def test_many_files_under_many_ignore_files(tmp_path: Path) -> None:
    for folder in range(20):
        plant(tmp_path, f"{folder}/.gitignore:*.log;/x*/;!keep", *(f"{folder}/{number}.md" for number in range(100)))
    started = time.monotonic()
    assert len(found(tmp_path)) == 2000
    assert time.monotonic() - started < 3


def test_hostile_ignore_files_are_fast(tmp_path: Path) -> None:
    plant(tmp_path, f"{'a' * 60}.md", "kept.md", f".gitignore:{'a*' * 12}b;{'**/a/' * 9}b;kept*;")
    with (tmp_path / ".gitignore").open("ab") as file:
        file.truncate(1 << 40)
    started = time.process_time()
    assert found(tmp_path) == [f"{'a' * 60}.md"]
    assert time.process_time() - started < 20  # backtracking would take hours


def test_special_files_are_skipped_and_circular_links_reported(tmp_path: Path) -> None:
    plant(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / ".gitignore")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    for name, target in {"one": "two", "two": "one", "parent": "..", "self": ".", "zero": "/dev/zero"}.items():
        (tmp_path / name).symlink_to(target)
    errors: list[tuple[str, str]] = []
    assert found(tmp_path, on_error=lambda path, reason: errors.append((path.name, reason))) == ["a.md"]
    assert errors == [(name, "too many levels of symbolic links") for name in ("one", "two")]
    listener.close()


def test_names_may_contain_control_characters(tmp_path: Path) -> None:
    names = ["new\nline.md", "tab\t.md", "\x1b[31mred.md", "\u202efdp.md", "n" * 252 + ".md", "back\\slash.md"]
    plant(tmp_path, *names)
    assert sorted(found(tmp_path)) == sorted(names)
    assert found(tmp_path, include=["new\nline.md"]) == ["new\nline.md"]


def test_a_pipe_that_replaced_a_file_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of unknown suffix is opened to detect binary content, and may be a pipe by then."""
    plant(tmp_path, "plain")
    is_binary = source_scan.is_binary

    def swapped(path: Path) -> bool:
        path.unlink()
        os.mkfifo(path)
        return is_binary(path)

    monkeypatch.setattr(source_scan, "is_binary", swapped)
    assert found(tmp_path) == ["plain"], "the reader will report it"
