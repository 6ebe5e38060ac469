"""Read `.gitignore` patterns and match paths against them, exactly as git does."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.sources.wildcards import WildcardError, Wildcards
from echo_index.indexer.storage.safe_open import open_file

IGNORE_FILE = ".gitignore"
GIT_FOLDER = ".git"

_EXCLUDE_FILE = "info/exclude"  # of the folder .git
MAX_IGNORE_BYTES = 2**18
"""What is read of an ignore file."""
_LITERAL = re.compile(r"[^*?\[\\]*")  # up to the first wildcard


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file: a text without wildcards, then the rest, if there are any.

    `excludes` is false after "!". A pattern with a slash at its end matches `only_folders`; one with no other slash is
    compared with `only_names`, and otherwise with the path below the folder of the ignore file.
    """

    start: str
    rest: Wildcards | None
    excludes: bool
    only_folders: bool
    only_names: bool

    @classmethod
    def parse(cls, line: str) -> Pattern | None:
        """Return the pattern of a line, or None for a blank line or a comment.

        Raises:
            WildcardError: the pattern matches nothing.
        """
        if line.startswith("#"):
            return None
        line = _without_trailing_spaces(line)
        if not line:
            return None
        body = line.removeprefix("!")
        only_folders = body.endswith("/")
        body = body[:-1] if only_folders else body
        if not body:
            raise WildcardError("It is empty.")
        only_names = "/" not in body
        body = body.removeprefix("/")
        # git compares the start before it looks at the wildcards, so that `**` after it counts as the first thing.
        start = _LITERAL.match(body)[0]  # type: ignore[index]
        rest = body[len(start) :]
        return cls(
            start=start,
            rest=Wildcards.parse(rest, is_path=not only_names) if rest else None,
            excludes=not line.startswith("!"),
            only_folders=only_folders,
            only_names=only_names,
        )

    def matches(self, path: str, name: str, *, is_folder: bool) -> bool:
        """Return whether the pattern matches a path below its folder; `name` is the last part of the path."""
        if self.only_folders and not is_folder:
            return False
        text = name if self.only_names else path
        if self.rest is None:
            return text == self.start
        return text.startswith(self.start) and self.rest.matches(text[len(self.start) :])


@dataclass(frozen=True, slots=True)
class _FileFilter:
    """A quick test that passes all files that any of some patterns matches, and few others.

    Most files match none of many patterns: it takes a tenth of the time of comparing them with each.
    """

    ends: tuple[str, ...] = ()
    name_starts: tuple[str, ...] = ()
    path_starts: tuple[str, ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[Pattern]) -> _FileFilter:
        """Return the filter of patterns."""
        ends: set[str] = set()
        starts: dict[bool, set[str]] = {True: set(), False: set()}
        for pattern in patterns:
            if pattern.only_folders:
                continue
            ends_of_pattern = (pattern.start.rpartition("/")[2],) if pattern.rest is None else pattern.rest.ends
            if "" in ends_of_pattern:
                starts[pattern.only_names].add(pattern.start)
            else:
                ends.update(ends_of_pattern)
        return cls(tuple(ends), tuple(starts[True]), tuple(starts[False]))

    def passes(self, path: str, name: str) -> bool:
        """Return whether a pattern may match a file."""
        return name.endswith(self.ends) or name.startswith(self.name_starts) or path.startswith(self.path_starts)


@dataclass(frozen=True, slots=True)
class PatternList:
    """Patterns of which the last one that matches counts."""

    patterns: tuple[Pattern, ...]
    _filter: _FileFilter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the quick test."""
        object.__setattr__(self, "_filter", _FileFilter.of(self.patterns))

    def verdict(self, path: str, *, is_folder: bool) -> bool | None:
        """Return whether the last pattern that matches `path` excludes it; None if no pattern matches.

        Patterns for the folders above the path say nothing about it: who walks through a folder has asked before.
        """
        name = path.rpartition("/")[2]
        if not is_folder and not self._filter.passes(path, name):
            return None
        for pattern in reversed(self.patterns):
            if pattern.matches(path, name, is_folder=is_folder):
                return pattern.excludes
        return None

    def selects(self, path: str) -> bool:
        """Return whether the last pattern that matches a file, or a folder above it, has no "!"."""
        names = path.split("/")
        paths = ["/".join(names[: count + 1]) for count in range(len(names))]
        for pattern in reversed(self.patterns):
            for part, name in zip(paths, names, strict=True):
                if pattern.matches(part, name, is_folder=len(part) < len(path)):
                    return pattern.excludes
        return False


@dataclass(frozen=True, slots=True)
class Patterns:
    """The patterns of an ignore file. They apply below `folder`, which is an absolute path."""

    folder: str
    patterns: PatternList

    def verdict(self, path: str, *, is_folder: bool = False) -> bool | None:
        """Return whether the last pattern that matches `path` excludes it; False for a pattern with "!".

        None if no pattern matches.
        """
        relative = path[len(self.folder.rstrip(os.sep)) + 1 :]
        return self.patterns.verdict(_as_bytes(relative), is_folder=is_folder)


def is_ignored(path: str, rules: Iterable[Patterns], *, is_folder: bool = False) -> bool:
    """Return whether `rules`, those of the innermost folder first, exclude `path`. The first verdict counts."""
    for patterns in rules:
        if (verdict := patterns.verdict(path, is_folder=is_folder)) is not None:
            return verdict
    return False


def parse_patterns(lines: Iterable[str]) -> PatternList:
    """Parse the patterns of a user. They are compared by characters, those of an ignore file by bytes.

    Raises:
        SourceError: a pattern is invalid.
    """
    patterns = []
    for line in lines:
        try:
            pattern = Pattern.parse(line)
        except WildcardError as error:
            raise SourceError(
                f"The pattern {line!r} cannot be used.", remedy="Write patterns as in .gitignore."
            ) from error
        if pattern:
            patterns.append(pattern)
    return PatternList(tuple(patterns))


def folder_rules(folder: str, names: Iterable[str]) -> tuple[Patterns, ...]:
    """Return the rules that a folder with these entries adds: its `.gitignore`, then git's own file of exclusions.

    Raises:
        OSError: one of them cannot be read.
    """
    rules = []
    names = {*names}
    if IGNORE_FILE in names and not Path(folder, IGNORE_FILE).is_symlink():  # git follows no link there
        rules.append(_read_patterns(folder, Path(folder, IGNORE_FILE)))
    if GIT_FOLDER in names:
        rules.append(_read_patterns(folder, Path(folder, GIT_FOLDER, _EXCLUDE_FILE)))
    return tuple(patterns for patterns in rules if patterns.patterns.patterns)


def enclosing_rules(folder: Path) -> tuple[Patterns, ...]:
    """Return the rules of the folders above `folder` in its git work tree, innermost first.

    There are none if it is not in a work tree, or if these rules exclude it: a user who names an ignored folder wants
    it to be indexed.
    """
    above: list[Path] = []
    for inner, outer in zip((folder, *folder.parents), folder.parents, strict=False):
        if (inner / GIT_FOLDER).exists():
            break
        above.append(outer)
    else:
        return ()
    rules: tuple[Patterns, ...] = ()
    for outer, inner in pairwise((*reversed(above), folder)):
        rules = (*folder_rules(str(outer), (IGNORE_FILE, GIT_FOLDER)), *rules)
        if is_ignored(str(inner), rules, is_folder=True):
            return ()
    return rules


def ignore_file_patterns(folder: str, content: bytes) -> Patterns:
    """Return the patterns of an ignore file. Lines that match nothing are ignored, and so is all after 256 KiB."""
    patterns = []
    for line in _lines(content):
        try:
            pattern = Pattern.parse(line)
        except WildcardError:
            continue
        if pattern:
            patterns.append(pattern)
    return Patterns(folder, PatternList(tuple(patterns)))


def _read_patterns(folder: str, path: Path) -> Patterns:
    try:
        with open_file(path) as file:
            return ignore_file_patterns(folder, file.read(MAX_IGNORE_BYTES + 1))
    except (FileNotFoundError, NotADirectoryError, DocumentError):  # also what is not a regular file
        return Patterns(folder, PatternList(()))


def _lines(content: bytes) -> Sequence[str]:
    if len(content) > MAX_IGNORE_BYTES:
        content = content[: content.rfind(b"\n", 0, MAX_IGNORE_BYTES) + 1]  # half a line is another pattern
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("latin-1").split("\n")
    return [line.removesuffix("\r").partition("\0")[0] for line in lines]


def _without_trailing_spaces(line: str) -> str:
    r"""Return a line without the spaces at its end; one after a backslash is kept."""
    stripped = line.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return line[: len(stripped) + backslashes % 2]


def _as_bytes(path: str) -> str:
    """Return a path with one character for each byte, as git compares them."""
    return path if path.isascii() else os.fsencode(path).decode("latin-1")
