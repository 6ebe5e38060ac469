"""Describe what a user wants to index: a folder, a file or a glob, with patterns to include and exclude."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from echo_index.errors import SourceError
from echo_index.indexer.sources.gitignore import PatternList, parse_patterns
from echo_index.indexer.sources.remote.address import valid_address
from echo_index.indexer.sources.remote.driver import validate_driver
from echo_index.indexer.storage.safe_open import plain_reason
from echo_index.indexer.storage.urls import is_url, path_url, url_path

_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Source:
    """A folder, file or glob to index, on this machine or at an address such as `s3://bucket/docs`.

    `name` is what the user wrote. `path` is absolute: the folder, the file, or for a glob the folder above its first
    wildcard. `pattern` is the rest of the glob, relative to `path`; empty for a folder or a file. That of an address
    is the path that stands for it, see `url_path`.

    `include` and `exclude` are patterns as in `.gitignore`, relative to `path`. If there are patterns to include, only
    files that match one are indexed. Files that match one of `exclude` are not.

    `is_deleted` says that it is a file that was a source of earlier builds and has been deleted: it has no files, and a
    build removes its document.
    """

    name: str
    path: Path
    pattern: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    is_deleted: bool = False

    @classmethod
    def deleted(cls, text: str) -> Source:
        """Return the source for the absolute path of a file that has been deleted."""
        return cls(name=text, path=Path(text), is_deleted=True)

    @classmethod
    def parse(cls, text: str, *, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Source:
        """Return the source for a path or glob, with these patterns. An existing path is not read as a glob.

        In a glob, `**` matches any number of folders, and a folder that matches includes everything in it. Whether
        anything is at an address is left to the scan.

        Raises:
            SourceError: there is no such file or folder, or the folder above the first wildcard does not exist; or the
                address may hold a password, or there is no driver for it.
            MissingPackage: the driver for the address is not installed.
        """
        if is_url(text):
            source = cls._at_address(text, valid_address(text))
            validate_driver(path_url(source.path))
        else:
            source = cls._resolve(text)
        return replace(source, include=tuple(include), exclude=tuple(exclude))

    @classmethod
    def remembered(cls, text: str, *, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Source:
        """Return the source for a path or glob as `parse` does, even if there is no longer such a file or folder.

        An address is not validated: an index holds valid ones.
        """
        if is_url(text):
            return replace(cls._at_address(text, text), include=tuple(include), exclude=tuple(exclude))
        try:
            return cls.parse(text, include=include, exclude=exclude)
        except SourceError:
            source = cls._split(text) if _WILDCARD.search(text) else cls(name=text, path=_absolute(text))
            return replace(source, include=tuple(include), exclude=tuple(exclude))

    @classmethod
    def _resolve(cls, text: str) -> Source:
        path = _absolute(text)
        try:
            if text and path.exists():
                if not path.is_dir() and not path.is_file():
                    raise SourceError(f"{text} is neither a file nor a folder.")
                return cls(name=text, path=path)
        except OSError as error:
            raise SourceError(f"{text} cannot be read: {plain_reason(error)}.") from error
        if not _WILDCARD.search(text):
            raise SourceError(f"There is no file or folder at {text or repr(text)}.", remedy="Check the spelling.")
        source = cls._split(text)
        if not source.path.is_dir():
            message = f"There is no folder at {source.path} to look for {source.pattern} in."
            raise SourceError(message, remedy="Check the spelling.")
        return source

    @classmethod
    def _at_address(cls, text: str, address: str) -> Source:
        parts = url_path(address).parts
        first = next((index for index, part in enumerate(parts) if _WILDCARD.search(part)), len(parts))
        if first < 2:
            raise SourceError(f"The address {text} has a wildcard in place of a bucket.", remedy="Name the bucket.")
        return cls(name=text, path=Path(*parts[:first]), pattern="/".join(parts[first:]))

    @classmethod
    def _split(cls, text: str) -> Source:
        """Return the source for a glob, which begins at the first part with a wildcard."""
        parts = _absolute(text).parts
        first = next(index for index, part in enumerate(parts) if _WILDCARD.search(part))
        return cls(name=text, path=Path(*parts[:first]), pattern="/".join(parts[first:]))

    @property
    def is_remote(self) -> bool:
        """Whether it is at an address."""
        return bool(path_url(self.path))

    @property
    def takes_all(self) -> bool:
        """Whether the patterns exclude no file."""
        return self.include in ((), ("*",)) and not self.exclude

    def covers(self, path: Path) -> bool:
        """Return whether an absolute path belongs to this source, even if no such file exists or it is ignored."""
        if not path.is_relative_to(self.path):
            return False
        return not self.pattern or _glob(self.pattern).selects(path.relative_to(self.path).as_posix())

    def may_match_below(self, folder: Path) -> bool:
        """Return whether this source may cover files in a folder below its path."""
        if not self.pattern:
            return True
        for part, name in zip(self.pattern.split("/"), folder.relative_to(self.path).parts, strict=False):
            if "**" in part:
                return True
            if not fnmatchcase(name, part):
                return False
        return True

    def names_hidden_files(self) -> bool:
        """Return whether this is a glob with a part that begins with a dot."""
        return any(part.startswith(".") for part in self.pattern.split("/"))


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - Path.resolve would follow links


@lru_cache(maxsize=256)
def _glob(pattern: str) -> PatternList:
    return parse_patterns([f"/{pattern}"])
