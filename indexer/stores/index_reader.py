"""What a search, a page or a server needs of one generation of an index, wherever it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from echo_index.indexer.stores.search_space import SearchSpace

if TYPE_CHECKING:
    from echo_index.indexer.catalog.chunk_queries import DocumentSelection, ListedRow
    from echo_index.indexer.catalog.records import Counts, DocumentRow, SearchFilter, StoredChunk
    from echo_index.indexer.generations.manifest import Manifest
    from echo_index.indexer.sources.skipped_files import SkippedFiles


class IndexDocuments(Protocol):
    """The documents of one generation, and what is known of all of them. See `CatalogDocuments`."""

    @property
    def knows_fields(self) -> bool:
        """Whether documents were asked what they say of themselves."""
        ...

    @property
    def ocr(self) -> bool:
        """Whether builds recognize pictures."""
        ...

    def counts(self) -> Counts:
        """Return the sizes of the generation."""
        ...

    def formats(self) -> dict[str, int]:
        """Return the number of readable documents of each format, the most frequent format first."""
        ...

    def field_counts(self) -> dict[str, int]:
        """Return the number of documents that have each field, of those that they have of themselves."""
        ...

    def failures(self) -> list[tuple[str, str]]:
        """Return (path, reason) of the documents that could not be read, ordered by path."""
        ...

    def omissions(self) -> list[tuple[str, str]]:
        """Return (path, phrase) for all that the texts of documents lack of their files, ordered by path."""
        ...

    def recognitions(self) -> list[tuple[str, str]]:
        """Return (path, phrase) for all documents of which something was recognized in pictures, ordered by path."""
        ...

    def skipped(self) -> SkippedFiles:
        """Return the files that the newest builds passed over."""
        ...

    def archives(self) -> dict[str, str]:
        """Return the stored paths of all documents and archives, each with that of the archive it is in, or ''."""
        ...

    def listed(self) -> list[ListedRow]:
        """Return all documents, ordered by path; archives only if they could not be read."""
        ...

    def page(self, selection: DocumentSelection, *, offset: int, limit: int) -> list[ListedRow]:
        """Return up to `limit` rows of `listed` that are selected, without the first `offset` of them."""
        ...

    def count(self, selection: DocumentSelection) -> int:
        """Return how many rows of `listed` are selected."""
        ...

    def find(self, path: str) -> DocumentRow | None:
        """Return the document with this stored path, or None; some of its fields may have their defaults."""
        ...

    def chunks(self, path: str, *, start: int | None = None) -> list[StoredChunk]:
        """Return the chunks of a document in reading order, or only the one that begins at offset `start`."""
        ...

    def chunks_before(self, path: str, start: int, *, most: int) -> list[StoredChunk]:
        """Return up to `most` chunks before the one that begins at `start`, and that one; none if none begins there."""
        ...


class IndexReader(SearchSpace, Protocol):
    """One generation of an index. `Snapshot` is that of a folder, `MilvusSnapshot` that of a Milvus server."""

    @property
    def manifest(self) -> Manifest:
        """How the generation was built."""
        ...

    @property
    def documents(self) -> IndexDocuments:
        """Its documents."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder of the index, next to the files that it was built from; None for an index in a store."""
        ...

    def neighbours(self, path: str, start: int, *, k: int, where: SearchFilter) -> list[tuple[int, float]] | None:
        """Return (chunk id, cosine) of the `k` chunks nearest to the one that begins at `start` in a document.

        The chunk itself and those that overlap it are excluded. Return None if no chunk begins there.
        """
        ...
