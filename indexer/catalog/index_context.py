"""Keep the context of an index, which is embedded with each chunk, and change it for all chunks at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import document_chunks
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.documents.chunking import embedded_hash

_CONTEXT = "context"


def stored_context(catalog: Catalog) -> str | None:
    """Return the context of the current documents of a catalog, or None if it never had one."""
    return catalog.setting(_CONTEXT)


def change_context(catalog: Catalog, context: str, *, generation: int) -> None:
    """Give all current documents another context, from this generation on.

    Readers of an earlier generation go on seeing its chunks and vectors. Each document gets a version whose chunks are
    the same, but are to be embedded again. All of it is one transaction, so that no catalog has chunks of two contexts.
    """
    versions = _versions(catalog, context, generation)
    catalog.put_documents(versions, generation=generation, settings={_CONTEXT: context})


def _versions(catalog: Catalog, context: str, generation: int) -> Iterator[tuple[DocumentRow, list[ChunkRow]]]:
    for path, document in catalog.current_documents().items():
        title = document.title if document.has_own_title else ""
        chunks = [stored.chunk for stored in document_chunks(catalog, path, generation=generation)]
        hashes = [embedded_hash(title, chunk.headings, chunk.full_text, context=context) for chunk in chunks]
        if chunks:
            yield document, [replace(chunk, hash=hash) for chunk, hash in zip(chunks, hashes, strict=True)]
