"""Remember what a pass over the files has met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from echo_index.indexer.building.prefetch import OnFileRead
from echo_index.indexer.catalog.records import DocumentRow
from echo_index.indexer.sources.file_tree import FileStatus
from echo_index.indexer.sources.scanner import IsKnown
from echo_index.indexer.storage.urls import path_url


@dataclass(slots=True)
class SeenFiles:
    """The stored paths of the documents and archives of one pass; `on_file_read` is called for each document."""

    on_file_read: OnFileRead
    documents: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    """Those of the documents that are in archives."""
    archives: set[str] = field(default_factory=set)
    has_failed_archive: bool = False

    def add(self, path: str, chunks: int) -> None:
        """Note a document and its number of new chunks."""
        self.documents.add(path)
        self.on_file_read(len(self.documents), chunks)

    def has_something(self) -> bool:
        """Return whether there is a document, even one that cannot be read."""
        return bool(self.documents) or self.has_failed_archive


def known_at_address(known: Mapping[str, DocumentRow]) -> IsKnown:
    """Return a function that tells whether a file at an address is a document of the catalog and has not changed."""

    def is_known(path: str, status: FileStatus) -> bool:
        row = known.get(path_url(path))
        return row is not None and (row.size, row.modified_ns) == (status.st_size, status.st_mtime_ns)

    return is_known
