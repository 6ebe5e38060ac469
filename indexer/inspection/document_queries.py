"""List the documents of a generation, and restore the text of one from its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from echo_index.errors import DocumentError
from echo_index.indexer.catalog.chunk_queries import DocumentSelection
from echo_index.indexer.catalog.document_fields import ALWAYS
from echo_index.indexer.catalog.records import ARCHIVE, ChunkRow, DocumentRow, SearchFilter, StoredChunk
from echo_index.indexer.conditions.tree import fields_of, folded
from echo_index.indexer.documents.joining import join_pieces
from echo_index.indexer.stores.index_reader import IndexReader


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """One document of an index, or an archive that could not be read.

    `size` is that of its file in bytes, or of the archive it is in; `failure` is the reason why it could not be read.
    """

    path: str
    title: str
    format: str
    size: int
    passages: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """The text of a document, restored from its chunks, up to the end of the last one.

    Offsets are those of the original text. White space between chunks is not stored; it is replaced by as many blanks
    and, for formats with line numbers, as many line ends.
    """

    path: str
    title: str
    format: str
    text: str
    passages: tuple[ChunkRow, ...]


def list_documents(index: IndexReader) -> list[ListedDocument]:
    """Return the documents of a generation ordered by path, including those that could not be read."""
    return [ListedDocument(*row) for row in index.documents.listed()]


def page_documents(
    index: IndexReader, selection: DocumentSelection, *, offset: int = 0, limit: int
) -> tuple[list[ListedDocument], int]:
    """Return up to `limit` of the selected documents of `list_documents`, from `offset` on, and how many there are."""
    rows = index.documents.page(selection, offset=offset, limit=limit)
    return [ListedDocument(*row) for row in rows], index.documents.count(selection)


def paths_with_archives(index: IndexReader) -> dict[str, str]:
    """Return the stored paths of all documents and archives of a generation, each with the archive it is in, or ''."""
    return index.documents.archives()


def unknown_fields(index: IndexReader, where: SearchFilter) -> tuple[list[str], list[str]]:
    """Return the fields of a filter's condition that no document of a generation has, and all fields that there are.

    Both are empty for an index of an earlier version, which knows no fields.
    """
    if where.where is None or not index.documents.knows_fields:
        return [], []
    known = [*ALWAYS, *index.documents.field_counts()]
    folded_names = {folded(name) for name in known}
    asked = dict.fromkeys(fields_of(where.where))
    return [name for name in asked if name not in folded_names], known


def read_indexed_document(index: IndexReader, path: str) -> IndexedDocument:
    """Return the text and the passages of a document; `text[start:end]` of a passage is the text of its chunk.

    Raises:
        DocumentError: the index has no such document, or it could not be read.
    """
    document = indexed_path(index, path)
    if document.failure is not None:
        raise DocumentError(f"{path} could not be read: {document.failure}")
    if document.format == ARCHIVE:
        raise DocumentError(f"{path} is an archive.", remedy=f"Name a document in it: {path}!/…")
    chunks = [stored.chunk for stored in index.documents.chunks(path)]
    return IndexedDocument(
        path=path,
        title=document.title,
        format=document.format,
        text=join_pieces(chunks),
        passages=tuple(chunks),
    )


def find_passage(index: IndexReader, path: str, start: int) -> StoredChunk | None:
    """Return the chunk of a document that begins at a character offset, or None."""
    return next(iter(index.documents.chunks(path, start=start)), None)


def texts_before(index: IndexReader, places: Iterable[tuple[str, int]], *, passages: int) -> dict[tuple[str, int], str]:
    """Return the text before each passage, given by document and character offset: up to so many passages of it.

    Places at which no passage begins, and those at the beginning of a document, are left out.
    """
    found = {}
    for path, start in places:
        stored = index.documents.chunks_before(path, start, most=passages)
        if len(stored) > 1:
            chunks = [item.chunk for item in stored]
            first = chunks[0]
            text = join_pieces(chunks, start=first.start, line=first.line or 1)
            found[path, start] = text[: start - first.start]
    return found


def indexed_path(index: IndexReader, path: str) -> DocumentRow:
    """Return the row of a document.

    Raises:
        DocumentError: the index has no such document.
    """
    document = index.documents.find(path)
    if document is None:
        raise DocumentError(f"There is no document {path} in this index.", remedy="Add it: echo-index build FILE")
    return document
