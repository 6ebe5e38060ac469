"""Describe a file that a scan has found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from echo_index.indexer.sources.member_patterns import MemberPatterns
from echo_index.indexer.storage.urls import path_url


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: its absolute path, size (bytes) and modification time (nanoseconds).

    `real_path` is the path without links. A reader must open only that, in case a link replaces the file later.
    For an archive, `members` says which of its members are wanted; for other files it is None.
    A file at an address has the path that stands for it, and a time that changes with its version.
    """

    path: Path
    size: int
    modified_ns: int
    real_path: str
    members: MemberPatterns | None = None

    @property
    def url(self) -> str:
        """The address of the file, or '' if it is on this machine."""
        return path_url(self.path)
