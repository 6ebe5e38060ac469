"""List the documents of a generation, and restore the text of one from its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from echo_index.errors import DocumentError
from echo_index.indexer.catalog.chunk_queries import (
    DocumentSelection,
    chunks_before,
    count_documents,
    document_archives,
    document_chunks,
    document_page,
    document_sizes,
    find_document,
)
from echo_index.indexer.catalog.document_fields import ALWAYS
from echo_index.indexer.catalog.records import ARCHIVE, ChunkRow, DocumentRow, SearchFilter, StoredChunk
from echo_index.indexer.conditions.tree import fields_of, folded
from echo_index.indexer.documents.joining import join_pieces
from echo_index.indexer.generations.snapshot import Snapshot


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


def list_documents(snapshot: Snapshot) -> list[ListedDocument]:
    """Return the documents of a generation ordered by path, including those that could not be read."""
    rows = document_sizes(snapshot.catalog, generation=snapshot.manifest.generation)
    return [ListedDocument(*row) for row in rows]


def page_documents(
    snapshot: Snapshot, selection: DocumentSelection, *, offset: int = 0, limit: int
) -> tuple[list[ListedDocument], int]:
    """Return up to `limit` of the selected documents of `list_documents`, from `offset` on, and how many there are."""
    generation = snapshot.manifest.generation
    rows = document_page(snapshot.catalog, selection, generation=generation, offset=offset, limit=limit)
    return [ListedDocument(*row) for row in rows], count_documents(snapshot.catalog, selection, generation=generation)


def paths_with_archives(snapshot: Snapshot) -> dict[str, str]:
    """Return the stored paths of all documents and archives of a generation, each with the archive it is in, or ''."""
    return document_archives(snapshot.catalog, generation=snapshot.manifest.generation)


def unknown_fields(snapshot: Snapshot, where: SearchFilter) -> tuple[list[str], list[str]]:
    """Return the fields of a filter's condition that no document of a generation has, and all fields that there are.

    Both are empty for an index of an earlier version, which knows no fields.
    """
    if where.where is None or not snapshot.catalog.knows_fields:
        return [], []
    known = [*ALWAYS, *snapshot.catalog.field_counts(generation=snapshot.manifest.generation)]
    folded_names = {folded(name) for name in known}
    asked = dict.fromkeys(fields_of(where.where))
    return [name for name in asked if name not in folded_names], known


def read_indexed_document(snapshot: Snapshot, path: str) -> IndexedDocument:
    """Return the text and the passages of a document; `text[start:end]` of a passage is the text of its chunk.

    Raises:
        DocumentError: the index has no such document, or it could not be read.
    """
    document = indexed_path(snapshot, path)
    if document.failure is not None:
        raise DocumentError(f"{path} could not be read: {document.failure}")
    if document.format == ARCHIVE:
        raise DocumentError(f"{path} is an archive.", remedy=f"Name a document in it: {path}!/…")
    stored = document_chunks(snapshot.catalog, path, generation=snapshot.manifest.generation)
    chunks = [item.chunk for item in stored]
    return IndexedDocument(
        path=path,
        title=document.title,
        format=document.format,
        text=join_pieces(chunks),
        passages=tuple(chunks),
    )


def find_passage(snapshot: Snapshot, path: str, start: int) -> StoredChunk | None:
    """Return the chunk of a document that begins at a character offset, or None."""
    return next(
        iter(document_chunks(snapshot.catalog, path, generation=snapshot.manifest.generation, start=start)), None
    )


def texts_before(snapshot: Snapshot, places: Iterable[tuple[str, int]], *, passages: int) -> dict[tuple[str, int], str]:
    """Return the text before each passage, given by document and character offset: up to so many passages of it.

    Places at which no passage begins, and those at the beginning of a document, are left out.
    """
    found = {}
    for path, start in places:
        stored = chunks_before(snapshot.catalog, path, start, most=passages, generation=snapshot.manifest.generation)
        if len(stored) > 1:
            chunks = [item.chunk for item in stored]
            first = chunks[0]
            text = join_pieces(chunks, start=first.start, line=first.line or 1)
            found[path, start] = text[: start - first.start]
    return found


def indexed_path(snapshot: Snapshot, path: str) -> DocumentRow:
    """Return the catalog's row of a document.

    Raises:
        DocumentError: the index has no such document.
    """
    document = find_document(snapshot.catalog, path, generation=snapshot.manifest.generation)
    if document is None:
        raise DocumentError(f"There is no document {path} in this index.", remedy="Add it: echo-index build FILE")
    return document
