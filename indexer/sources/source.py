"""What a person names to be indexed: a folder, a file or a glob. Lists no folder and opens no file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import SourceError
from echo_index.indexer.sources.gitignore import patterns_given
from echo_index.indexer.storage.safe_open import plain_reason

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Source:
    """One folder, file or glob.

    `name` is what the person wrote. `path` is absolute: the folder, the file, or the folder in which a glob's first
    wildcard is to be matched. `pattern` is the rest of the glob, relative to `path`; '' for a folder or a file.

    `include` and `exclude` are patterns as in a `.gitignore`, relative to `path`: with `include`, only what it matches
    is taken; `exclude` wins.
    """

    name: str
    path: Path
    pattern: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Source:
        """The source that `text` names, with these patterns; a path that exists is never taken for a glob.

        In a glob, `**` stands for any number of folders, and a folder that matches stands for all that is in it. Raises
        SourceError when there is no such file or folder, or no folder to look for the glob in.
        """
        return replace(cls._named(text), include=tuple(include), exclude=tuple(exclude))

    @classmethod
    def _named(cls, text: str) -> Source:
        path = Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - no link is to be resolved
        try:
            if text and path.exists():
                if not path.is_dir() and not path.is_file():
                    raise SourceError(f"{text} is neither a file nor a folder.")
                return cls(name=text, path=path)
        except OSError as error:
            raise SourceError(f"{text} cannot be read: {plain_reason(error)}.") from error
        if not _WILDCARD.search(text):
            raise SourceError(f"There is no file or folder at {text or repr(text)}.", remedy="Check the spelling.")
        first = next(index for index, part in enumerate(path.parts) if _WILDCARD.search(part))
        root, pattern = Path(*path.parts[:first]), "/".join(path.parts[first:])
        if not root.is_dir():
            raise SourceError(f"There is no folder at {root} to look for {pattern} in.", remedy="Check the spelling.")
        return cls(name=text, path=root, pattern=pattern)

    @property
    def takes_all(self) -> bool:
        """Whether its patterns keep nothing out."""
        return self.include in ((), ("*",)) and not self.exclude

    def covers(self, path: Path) -> bool:
        """Whether a file at this absolute path would belong to this source, be it there or not, ignored or not."""
        if not path.is_relative_to(self.path):
            return False
        return not self.pattern or _glob(self.pattern).match_file(path.relative_to(self.path).as_posix())

    def may_lead_to_files(self, folder: Path) -> bool:
        """Whether this source may cover files in a folder below its path."""
        if not self.pattern:
            return True
        for wanted, name in zip(self.pattern.split("/"), folder.relative_to(self.path).parts, strict=False):
            if "**" in wanted:
                return True
            if not fnmatchcase(name, wanted):
                return False
        return True

    def names_hidden_files(self) -> bool:
        """Whether this is a glob that itself asks for names with a leading dot."""
        return any(part.startswith(".") for part in self.pattern.split("/"))


@lru_cache(maxsize=256)
def _glob(pattern: str) -> GitIgnoreSpec:
    return patterns_given([f"/{pattern}"])
