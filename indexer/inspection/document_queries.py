"""What a generation holds, document by document: a list of them, and each one's text put together from its chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from echo_index.errors import DocumentError
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, StoredChunk
from echo_index.indexer.catalog.visibility_sql import VISIBLE
from echo_index.indexer.generations.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """One document of an index: `size` is of its file, in bytes; `failure` says why it could not be read."""

    path: str
    title: str
    format: str
    size: int
    passages: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class Passage:
    """Where a chunk stands in the text of its document: character offsets, page and line from 1, and headings."""

    start: int
    end: int
    page: int | None
    line: int | None
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document as the index holds it.

    Its offsets are those of the document that was read, up to the end of the last passage. White space between passages
    is not kept in an index: it has its length here, and its line ends where the format has lines.
    """

    path: str
    title: str
    format: str
    text: str
    passages: tuple[Passage, ...]


def list_documents(snapshot: Snapshot) -> list[ListedDocument]:
    """Return the documents of a generation by path, those that could not be read among them."""
    query = (
        "SELECT path, title, format, size, (SELECT count(*) FROM chunks WHERE document = documents.id), failure "
        f"FROM documents WHERE {VISIBLE} ORDER BY path"
    )
    rows = snapshot.catalog.database.rows(query, {"generation": snapshot.manifest.generation})
    return [ListedDocument(*row) for row in rows]


def read_indexed_document(snapshot: Snapshot, path: str) -> IndexedDocument:
    """Return a document's text and passages; `text[start:end]` of each passage is its chunk's text.

    Raises:
        DocumentError: the generation does not hold such a document, or it could not be read.
    """
    document = indexed_path(snapshot, path)
    if document.failure is not None:
        raise DocumentError(f"{path} could not be read: {document.failure}")
    chunks = [found.chunk for found in _chunks(snapshot, path)]
    return IndexedDocument(
        path=path,
        title=document.title,
        format=document.format,
        text=_joined(chunks),
        passages=tuple(Passage(chunk.start, chunk.end, chunk.page, chunk.line, chunk.headings) for chunk in chunks),
    )


def find_passage(snapshot: Snapshot, path: str, start: int) -> StoredChunk | None:
    """Return the chunk of a document that begins at a character offset, None where the generation has none."""
    return next((found for found in _chunks(snapshot, path, start=start)), None)


def indexed_path(snapshot: Snapshot, path: str) -> DocumentRow:
    """Return what a generation knows of a document.

    Raises:
        DocumentError: the generation does not hold it.
    """
    columns = "path, hash, size, modified_ns, format, title, failure"
    query = f"SELECT {columns} FROM documents WHERE path = :path AND {VISIBLE}"
    rows = snapshot.catalog.database.rows(query, {"path": path, "generation": snapshot.manifest.generation})
    if not rows:
        raise DocumentError(f"There is no document {path} in this index.", remedy="Bring it in: echo-index build FILE")
    return DocumentRow(*rows[0])


def _chunks(snapshot: Snapshot, path: str, *, start: int | None = None) -> list[StoredChunk]:
    """Return the chunks of a document in their order, or only the one that begins at `start`."""
    query = (
        "SELECT chunks.id FROM chunks JOIN documents ON documents.id = chunks.document "
        f"WHERE documents.path = :path AND {VISIBLE}{'' if start is None else ' AND chunks.start = :start'} "
        "ORDER BY chunks.start"
    )
    parameters: dict[str, str | int] = {"path": path, "generation": snapshot.manifest.generation, "start": start or 0}
    ids = [row[0] for row in snapshot.catalog.database.rows(query, parameters)]
    found = snapshot.catalog.chunks(ids)
    return [found[key] for key in ids]


def _joined(chunks: Sequence[ChunkRow]) -> str:
    """Return the text that the chunks were cut from, with other white space where none of them is."""
    text = ""
    lines = 1  # the one on which the text so far ends
    for chunk in chunks:
        gap = chunk.start - len(text)
        more = chunk.text[-gap:] if gap < 0 else chunk.text
        if gap > 0:
            more = _white_space(gap, None if chunk.line is None else chunk.line - lines) + more
        text += more
        lines += more.count("\n")
    return text


def _white_space(length: int, newlines: int | None) -> str:
    """Return so much white space: its line ends, as many as are known, before the blanks that indent what follows."""
    if newlines is None:
        newlines = 2 if length > 1 else 0  # a paragraph's end, or just a sentence's
    newlines = min(max(newlines, 0), length)
    return "\n" * newlines + " " * (length - newlines)
