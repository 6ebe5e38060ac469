"""Patterns as in a `.gitignore`: which paths they name, and which files lay them down. Lists no folder."""

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

_MOST_BYTES = 2**18
_MOST_STARS = 5
_STARS = re.compile(r"\*+")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns that hold below `folder`, whose path is absolute."""

    folder: str
    spec: GitIgnoreSpec

    def verdict(self, path: str, *, is_folder: bool = False) -> bool | None:
        """Whether the last pattern that concerns `path`, below the folder, names it (True) or takes it back (False).

        None when no pattern concerns it.
        """
        relative = path[len(self.folder.rstrip(os.sep)) + 1 :]
        return self.spec.check_file(f"{relative}/" if is_folder else relative).include


def is_ignored(path: str, rules: Iterable[Patterns], *, is_folder: bool = False) -> bool:
    """Whether `rules`, those of the innermost folder first, leave `path` out: the first verdict counts."""
    verdicts = (patterns.verdict(path, is_folder=is_folder) for patterns in rules)
    return next((verdict for verdict in verdicts if verdict is not None), False)


def patterns_given(lines: Iterable[str]) -> GitIgnoreSpec:
    """The patterns a person gave. Raises SourceError for one that is invalid."""
    from pathspec import GitIgnoreSpec

    lines = list(lines)
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError as error:
            raise SourceError(f"The pattern {line!r} cannot be used.") from error
    return GitIgnoreSpec.from_lines(lines)


def patterns_in(folder: str) -> Patterns:
    """The patterns of the folder's own `.gitignore`; invalid ones are passed over, as git does. Raises OSError.

    Passed over too are what stands beyond 256 kB and patterns of more than five wildcards: these files come with the
    documents, and the time to match a pattern grows with the power of its wildcards.
    """
    from pathspec import GitIgnoreSpec

    lines = [line for line in _lines(Path(folder, IGNORE_FILE)) if len(_STARS.findall(line)) <= _MOST_STARS]
    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except ValueError:
        spec = GitIgnoreSpec.from_lines(line for line in lines if _is_valid(line))
    return Patterns(folder, spec)


def rules_above(folder: Path) -> tuple[Patterns, ...]:
    """The rules that the git work tree around `folder` lays down for it, innermost first.

    None when it lies in no work tree, or when these very rules leave it out: a person who names an ignored folder
    wants what is in it.
    """
    rules: list[Patterns] = []
    for inner, outer in zip((folder, *folder.parents), folder.parents, strict=False):
        if (inner / ".git").exists():
            break
        if (outer / IGNORE_FILE).is_file():
            rules.append(patterns_in(str(outer)))
    else:
        return ()
    return () if is_ignored(str(folder), rules, is_folder=True) else tuple(rules)


def _lines(path: Path) -> list[str]:
    try:
        with open_file(path) as file:
            return file.read(_MOST_BYTES).decode("utf-8-sig", "replace").splitlines()
    except DocumentError:  # a pipe has taken its place
        return []


def _is_valid(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
