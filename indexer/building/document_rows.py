"""Turn documents into the rows of the catalog: one of the document, and one of each chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from echo_index.indexer.catalog.fts_index import document_language
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.documents.chunking import (
    Chunking,
    embedded_hash,
    embedded_title,
    split_into_chunks,
    with_table_header,
)
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.recognition import recognition_phrase
from echo_index.indexer.sandbox.document_reader import ReadFile
from echo_index.indexer.sources.scanner import FoundFile


def chunk_rows(
    document: Document, token_starts: Callable[[str], Sequence[int]], chunking: Chunking, *, context: str
) -> Iterator[ChunkRow]:
    """Split a document into chunks and yield their catalog rows, in an index of this context."""
    for chunk in split_into_chunks(document, token_starts=token_starts(document.text), chunking=chunking):
        text = with_table_header(chunk.table_header, chunk.text)
        hash = embedded_hash(embedded_title(document), chunk.headings, text, context=context)
        yield ChunkRow.of(chunk, hash=hash)


def document_row(document: Document, path: str, hash: str, *, size: int, modified_ns: int) -> DocumentRow:
    """Return the catalog row of a document."""
    return DocumentRow(
        path,
        hash,
        size,
        modified_ns,
        document.format,
        document.title,
        has_own_title=document.has_own_title,
        language=document_language(document.format, document.text),
        omissions=document.omissions,
        recognition=recognition_phrase(document),
        fields=document.fields,
    )


def file_row(path: str, file: FoundFile, read: ReadFile) -> DocumentRow:
    """Return the catalog row of a file that was read, or could not be."""
    size, modified_ns = (read.size, read.modified_ns) if read.hash else (file.size, file.modified_ns)
    if read.document:
        return document_row(read.document, path, read.hash, size=size, modified_ns=modified_ns)
    failure = read.failure.message if read.failure else None
    return DocumentRow(path, read.hash, size, modified_ns, format="", title=file.path.name, failure=failure)
