"""Read `.gitignore` patterns and match paths against them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.storage.safe_open import open_file

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".gitignore"

_MAX_BYTES = 2**18  # of an ignore file
_MAX_WILDCARDS = 5  # of a pattern
_WILDCARDS = re.compile(r"\*+")


@dataclass(frozen=True, slots=True)
class Patterns:
    """The patterns of an ignore file. They apply below `folder`, which is an absolute path."""

    folder: str
    spec: GitIgnoreSpec

    def verdict(self, path: str, *, is_folder: bool = False) -> bool | None:
        """Return whether the last pattern that matches `path` excludes it; False for a pattern with "!".

        None if no pattern matches.
        """
        relative = path[len(self.folder.rstrip(os.sep)) + 1 :]
        return self.spec.check_file(f"{relative}/" if is_folder else relative).include


def is_ignored(path: str, rules: Iterable[Patterns], *, is_folder: bool = False) -> bool:
    """Return whether `rules`, those of the innermost folder first, exclude `path`. The first verdict counts."""
    verdicts = (patterns.verdict(path, is_folder=is_folder) for patterns in rules)
    return next((verdict for verdict in verdicts if verdict is not None), False)


def parse_patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    """Parse the patterns of a user.

    Raises:
        SourceError: a pattern is invalid.
    """
    from pathspec import GitIgnoreSpec

    lines = list(lines)
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError as error:
            raise SourceError(
                f"The pattern {line!r} cannot be used.", remedy="Write patterns as in .gitignore."
            ) from error
    return GitIgnoreSpec.from_lines(lines)


def read_patterns(folder: str) -> Patterns:
    """Read the `.gitignore` of a folder. Invalid patterns are ignored, as git does.

    The file may be hostile and the time to match grows exponentially with the number of wildcards. So patterns with
    more than five wildcards are ignored too, as is everything after the first 256 KiB.

    Raises:
        OSError: the file cannot be read.
    """
    from pathspec import GitIgnoreSpec

    lines = [line for line in _read_lines(Path(folder, IGNORE_FILE)) if len(_WILDCARDS.findall(line)) <= _MAX_WILDCARDS]
    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except ValueError:
        spec = GitIgnoreSpec.from_lines(line for line in lines if _is_valid(line))
    return Patterns(folder, spec)


def enclosing_rules(folder: Path) -> tuple[Patterns, ...]:
    """Return the rules of the folders above `folder` in its git work tree, innermost first.

    There are none if it is not in a work tree, or if these rules exclude it: a user who names an ignored folder wants
    it to be indexed.
    """
    rules: list[Patterns] = []
    for inner, outer in zip((folder, *folder.parents), folder.parents, strict=False):
        if (inner / ".git").exists():
            break
        if (outer / IGNORE_FILE).is_file():
            rules.append(read_patterns(str(outer)))
    else:
        return ()
    return () if is_ignored(str(folder), rules, is_folder=True) else tuple(rules)


def _read_lines(path: Path) -> list[str]:
    try:
        with open_file(path) as file:
            return file.read(_MAX_BYTES).decode("utf-8-sig", "replace").splitlines()
    except DocumentError:  # not a regular file
        return []


def _is_valid(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
