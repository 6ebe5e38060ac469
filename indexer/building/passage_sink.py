"""Where a build puts the passages of documents: into the catalog, or, for a store alone, into parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from echo_index.indexer.catalog.chunk_queries import document_chunks

if TYPE_CHECKING:
    from echo_index.indexer.catalog.catalog import Catalog
    from echo_index.indexer.catalog.exchange_rows import PassageBlock
    from echo_index.indexer.catalog.records import ChunkRow, DocumentRow


class PassageSink(Protocol):
    """Takes the documents of a build with their passages."""

    def put(self, row: DocumentRow, chunks: Sequence[ChunkRow], *, generation: int) -> None:
        """Add a version of a document that replaces the previous one from a generation on."""

    def holds(self, known: DocumentRow, chunks: Sequence[ChunkRow], *, generation: int) -> bool:
        """Return whether these are the passages that a known document has already."""


@dataclass(frozen=True)
class CatalogSink:
    """Puts passages into the catalog, as builds do unless a store has them alone."""

    catalog: Catalog

    def put(self, row: DocumentRow, chunks: Sequence[ChunkRow], *, generation: int) -> None:
        """Add a version of a document, with its chunks."""
        self.catalog.put_document(row, chunks, generation=generation)

    def holds(self, known: DocumentRow, chunks: Sequence[ChunkRow], *, generation: int) -> bool:
        """Return whether these are the chunks of the document in the catalog."""
        stored = document_chunks(self.catalog, known.path, generation=generation)
        return [item.chunk for item in stored] == [*chunks]


class PassageParts(PassageSink, Protocol):
    """Puts passages into parts, from which they are published to a store. `count` is the number that was put."""

    count: int

    def flush(self) -> None:
        """Embed what was put and is in no part yet, write it as a part, and add it to the catalog."""

    def blocks(self, documents: Sequence[tuple[DocumentRow, str]]) -> Iterator[PassageBlock]:
        """Yield the passages of documents, given with the keys of their parts, with their vectors.

        Raises:
            StoreError: a part is gone.
        """

    def sample(self, keys: Sequence[str], *, most: int) -> Iterator[PassageBlock]:
        """Yield the passages of some documents, given by their keys, until there are `most`."""
