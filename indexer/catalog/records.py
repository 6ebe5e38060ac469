"""Define the records that the catalog accepts and returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from echo_index.indexer.conditions.dates import parse_date
from echo_index.indexer.conditions.parser import parse_condition
from echo_index.indexer.conditions.tree import Condition
from echo_index.indexer.documents.chunking import Anchor, Chunk, with_table_header
from echo_index.indexer.documents.document import Recognition
from echo_index.indexer.documents.fields import Field

ARCHIVE = "archive"
"""The format of the row of an archive itself, which is no document: it has no chunks."""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One version of a document.

    `failure` is the reason why it could not be read; such a document has no chunks. With `has_own_title` the title is
    from the document and is embedded with its chunks; otherwise it is the file name. `language` is the Snowball name of
    the language whose stemmer is used. `omissions` are phrases that name what the text lacks of the file.
    `recognition` is a phrase that names what was recognized in pictures, and how well; empty for nothing.
    `archive` is the path of the archive that the document is a member of, whose size and time it then has; else empty.
    `fields` are what the document says of itself.
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
    omissions: tuple[str, ...] = ()
    recognition: str = ""
    archive: str = ""
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One chunk as the catalog stores it, see `Chunk`; `hash` is the SHA-256 of the text that is embedded."""

    text: str
    headings: tuple[str, ...]
    start: int
    end: int
    page: int | None
    line: int | None
    hash: bytes
    place: str = ""
    table_header: str = ""
    anchors: tuple[Anchor, ...] = ()
    recognition: Recognition | None = None

    @property
    def full_text(self) -> str:
        """The text as it is read and embedded: below the header of its table, if it begins inside of one."""
        return with_table_header(self.table_header, self.text)

    @classmethod
    def of(cls, chunk: Chunk, *, hash: bytes) -> ChunkRow:
        """Return the row of a chunk."""
        return cls(
            chunk.text,
            chunk.headings,
            chunk.start,
            chunk.end,
            chunk.page,
            chunk.line,
            hash,
            chunk.place,
            chunk.table_header,
            chunk.anchors,
            chunk.recognition,
        )


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its id and the path, title and format of its document.

    `collection` names the index that it is in, if several are searched together.
    """

    id: int
    path: str
    title: str
    format: str
    chunk: ChunkRow
    collection: str = ""


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Restrict a search to documents that one of `paths` names and whose format is one of `formats`.

    Each of `paths` is the path of a document, that of a folder or a glob, as for `document_names.named_documents`.
    `since` and `before` restrict the time at which the file was last changed, in nanoseconds since 1970: from `since`
    on, and earlier than `before`. Documents without a file have no such time and meet neither. `where` is a condition
    on the fields of a document. An empty field matches every document.
    """

    paths: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    since: int | None = None
    before: int | None = None
    where: Condition | None = None

    @classmethod
    def parse(
        cls,
        *,
        paths: Iterable[str] | None = None,
        formats: Iterable[str] | None = None,
        since: str | None = None,
        before: str | None = None,
        where: str | None = None,
    ) -> SearchFilter:
        """Return the filter that a person or a program writes as texts; what is empty or None restricts nothing.

        `since` and `before` are dates, see `dates.parse_date`: a day, a month or a year is meant from its start on.
        `where` is a condition, see `parser.parse_condition`.

        Raises:
            FilterError: a date is none.
            ConditionError: the condition cannot be parsed.
        """
        return cls(
            tuple(paths or ()),
            tuple(formats or ()),
            parse_date(since).start if since and since.strip() else None,
            parse_date(before).start if before and before.strip() else None,
            parse_condition(where) if where and where.strip() else None,
        )


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """A full-text query: every phrase must occur in a chunk; words, prefixes and optional phrases add to its score.

    A word that stands in the query several times counts more. Words are analyzed like those of the chunks; phrases and
    prefixes match literally, except for case, accents and the grouping of digits.
    """

    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    optional_phrases: tuple[str, ...] = ()


QueryPart = tuple[str, str]
"""A part of a full-text query that BM25 weighs by how rare it is: a full-text table and an FTS5 expression."""


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """How many rows each full-text table has, and how many of them have each part of a query."""

    rows: Mapping[str, int]
    matches: Mapping[QueryPart, int]

    @classmethod
    def total(cls, parts: Iterable[TermStatistics]) -> TermStatistics:
        """Return the statistics of several catalogs together."""
        rows: Counter[str] = Counter()
        matches: Counter[QueryPart] = Counter()
        for part in parts:
            rows.update(part.rows)
            matches.update(part.matches)
        return cls(rows, matches)


@dataclass(frozen=True, slots=True)
class Counts:
    """The sizes of a generation; `bytes` is the UTF-8 length of the text of all its chunks."""

    documents: int
    failed: int
    chunks: int
    bytes: int
