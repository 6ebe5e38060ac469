"""The documents of one generation of a catalog, and what is known of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.catalog import chunk_queries
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import DocumentSelection, ListedRow
from echo_index.indexer.catalog.generation_summary import (
    document_failures,
    document_field_counts,
    document_formats,
    generation_counts,
    text_omissions,
    text_recognitions,
)
from echo_index.indexer.catalog.records import Counts, DocumentRow, StoredChunk

if TYPE_CHECKING:
    from echo_index.indexer.sources.skipped_files import SkippedFiles


@dataclass(frozen=True, eq=False, slots=True)
class CatalogDocuments:
    """The `IndexDocuments` of an index in a folder."""

    catalog: Catalog
    generation: int

    def counts(self) -> Counts:
        """Return the sizes of the generation."""
        return generation_counts(self.catalog, generation=self.generation)

    def formats(self) -> dict[str, int]:
        """Return the number of readable documents of each format, the most frequent format first."""
        return document_formats(self.catalog, generation=self.generation)

    @property
    def knows_fields(self) -> bool:
        """Whether documents were asked what they say of themselves."""
        return self.catalog.knows_fields

    def field_counts(self) -> dict[str, int]:
        """Return the number of documents that have each field, of those that they have of themselves."""
        return document_field_counts(self.catalog, generation=self.generation)

    def failures(self) -> list[tuple[str, str]]:
        """Return (path, reason) of the documents that could not be read, ordered by path."""
        return document_failures(self.catalog, generation=self.generation)

    def omissions(self) -> list[tuple[str, str]]:
        """Return (path, phrase) for all that the texts of documents lack of their files, ordered by path."""
        return text_omissions(self.catalog, generation=self.generation)

    def recognitions(self) -> list[tuple[str, str]]:
        """Return (path, phrase) for all documents of which something was recognized in pictures, ordered by path."""
        return text_recognitions(self.catalog, generation=self.generation)

    def skipped(self) -> SkippedFiles:
        """Return the files that the newest builds passed over."""
        from echo_index.indexer.generations.source_registry import skipped_files  # which a search does without

        return skipped_files(self.catalog)

    @property
    def ocr(self) -> bool:
        """Whether builds recognize pictures."""
        from echo_index.indexer.generations.source_registry import remembered_ocr

        return remembered_ocr(self.catalog, None)

    def archives(self) -> dict[str, str]:
        """Return the stored paths of all documents and archives, each with that of the archive it is in, or ''."""
        return chunk_queries.document_archives(self.catalog, generation=self.generation)

    def listed(self) -> list[ListedRow]:
        """Return all documents, ordered by path; archives only if they could not be read."""
        return chunk_queries.document_sizes(self.catalog, generation=self.generation)

    def page(self, selection: DocumentSelection, *, offset: int, limit: int) -> list[ListedRow]:
        """Return up to `limit` rows of `listed` that are selected, without the first `offset` of them."""
        return chunk_queries.document_page(
            self.catalog, selection, generation=self.generation, offset=offset, limit=limit
        )

    def count(self, selection: DocumentSelection) -> int:
        """Return how many rows of `listed` are selected."""
        return chunk_queries.count_documents(self.catalog, selection, generation=self.generation)

    def find(self, path: str) -> DocumentRow | None:
        """Return the document with this stored path, or None; some of its fields may have their defaults."""
        return chunk_queries.find_document(self.catalog, path, generation=self.generation)

    def chunks(self, path: str, *, start: int | None = None) -> list[StoredChunk]:
        """Return the chunks of a document in reading order, or only the one that begins at offset `start`."""
        return chunk_queries.document_chunks(self.catalog, path, generation=self.generation, start=start)

    def chunks_before(self, path: str, start: int, *, most: int) -> list[StoredChunk]:
        """Return up to `most` chunks before the one that begins at `start`, and that one; none if none begins there."""
        return chunk_queries.chunks_before(self.catalog, path, start, most=most, generation=self.generation)
