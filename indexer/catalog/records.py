"""What the catalog takes and gives: one frozen record for each kind of row. Knows nothing of how they are kept."""

from __future__ import annotations

from dataclasses import dataclass

from echo_index.indexer.documents.chunking import Chunk


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One version of a document. `failure` says why it could not be read; it has no chunks then.

    `titled`: the title is the document's own, and so embedded with its chunks; else it is the name of its file.
    `language`: by whose stems it is found, as Snowball names it.
    """

    path: str
    hash: str
    size: int
    modified_ns: int
    format: str
    title: str
    failure: str | None = None
    has_own_title: bool = True
    language: str = "english"


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One chunk as the catalog keeps it; `hash` is of the text that is embedded."""

    text: str
    headings: tuple[str, ...]
    start: int
    end: int
    page: int | None
    line: int | None
    hash: bytes

    @classmethod
    def of(cls, chunk: Chunk, *, hash: bytes) -> ChunkRow:
        """Return the row of a chunk."""
        return cls(chunk.text, chunk.headings, chunk.start, chunk.end, chunk.page, chunk.line, hash)


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with what is told about its document."""

    id: int
    path: str
    title: str
    format: str
    chunk: ChunkRow


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which documents are searched: those whose path matches one of the globs and whose format is one of those named.

    `*` in a glob crosses folders. Nothing named means everything.
    """

    paths: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """What full-text search looks for: any of these words and beginnings of words; every phrase must be there.

    Words are stemmed and taken apart as those of the passages are; phrases and prefixes are compared as they stand,
    but for capitals and accents.
    """

    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a generation holds; `bytes` of text in its chunks."""

    documents: int
    failed: int
    chunks: int
    bytes: int
