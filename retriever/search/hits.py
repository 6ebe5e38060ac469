"""Search results: hits with their ranks and scores, made from rankings of chunk ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from echo_index.indexer.catalog.records import StoredChunk
from echo_index.indexer.documents.chunking import Anchor, with_table_header
from echo_index.indexer.documents.document import Recognition
from echo_index.indexer.stores.search_space import SearchSpace

Scored = list[tuple[int, float]]
"""(chunk id, score), best first."""

Span = tuple[int, int]
"""Start and end, in characters."""


_BLANK = "\u25a1"  # no letter, no digit and no white space, so that what it stands between is not joined


@dataclass(frozen=True, slots=True)
class RankedScore:
    """Rank of a chunk in one of the rankings, from 1, and its score there."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Location:
    """A location in a document: the character offset, the page or line (from 1), and the headings above it.

    `place` is its name in formats whose places are neither pages nor lines: "slide 3". `last_page` is the last page if
    it is only known to be on one of several. `collection` names the index that the document is in, if several were
    searched together.
    """

    source: str
    start: int
    page: int | None
    line: int | None
    place: str = ""
    headings: tuple[str, ...] = ()
    last_page: int | None = None
    collection: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search returned.

    `start` and `end` are character offsets in the text of the document `source`; `page`, `line` and `place` are those
    of the start, counted from 1 and None or empty if the format has none. `headings` are those above the end, and
    `anchors` where in the text page, place or headings change. `sentence` is the span in `text` of the sentence that
    answers the query, where one shares words with it; `location` is where that stands. `table_header` is the header of
    the table that the text begins inside of, and `full_text` the text below it. `recognition` says how well the text
    was recognized, if it stands in a picture.

    `score` is the cosine with the query after feedback (dense), BM25 (lexical) or the
    fused score (hybrid); scores are comparable within one search only. `relevance`, from 0 to 1, is comparable between
    searches: the share of questions that have nothing to do with the index whose nearest chunk is not as near as this
    one; None where vectors are not compared, or the index cannot tell. `dense` and `lexical` are its ranks by the
    cosine with the query itself and by BM25, None where it was not found. `likelihood` is set after reranking: the mean
    log-probability of a query token given the chunk. `duplicates` are the lower-ranked chunks that say the same, if the
    search grouped them. `collection` names the index that the document is in, if several were searched together.
    """

    text: str
    source: str
    title: str
    headings: tuple[str, ...]
    format: str
    start: int
    end: int
    page: int | None
    line: int | None
    score: float
    dense: RankedScore | None
    lexical: RankedScore | None
    likelihood: RankedScore | None = None
    duplicates: tuple[Location, ...] = ()
    place: str = ""
    table_header: str = ""
    anchors: tuple[Anchor, ...] = ()
    sentence: Span | None = None
    recognition: Recognition | None = None
    relevance: float | None = None
    collection: str = ""

    @classmethod
    def of(
        cls,
        stored: StoredChunk,
        *,
        score: float = 0.0,
        dense: RankedScore | None = None,
        lexical: RankedScore | None = None,
        relevance: float | None = None,
    ) -> Hit:
        """Return a chunk as a hit."""
        chunk = stored.chunk
        return cls(
            text=chunk.text,
            source=stored.path,
            title=stored.title,
            headings=chunk.headings,
            format=stored.format,
            start=chunk.start,
            end=chunk.end,
            page=chunk.page,
            line=chunk.line,
            score=score,
            dense=dense,
            lexical=lexical,
            place=chunk.place,
            table_header=chunk.table_header,
            anchors=chunk.anchors,
            recognition=chunk.recognition,
            relevance=relevance,
            collection=stored.collection,
        )

    @property
    def full_text(self) -> str:
        """The text as it is read and embedded: below the header of its table, if it begins inside of one."""
        return with_table_header(self.table_header, self.text)

    @property
    def location(self) -> Location:
        """Where the answering sentence stands; without one, the start of the hit, and the pages that it is on."""
        if self.sentence is not None:
            return self._location(self.sentence[0])
        pages = [anchor.page for anchor in self.anchors if anchor.page is not None]
        last_page = pages[-1] if pages and pages[-1] != self.page else None
        return replace(self._location(0), headings=self.headings, last_page=last_page)

    def without_uncertain_words(self) -> Hit:
        """Return this hit with blanks for the words that may have been recognized wrongly."""
        text = self.text
        for start, end in self.recognition.uncertain if self.recognition else ():
            text = text[:start] + _BLANK * (end - start) + text[end:]
        return replace(self, text=text)

    def at(self, sentence: Span | None) -> Hit:
        """Return this hit with another answering sentence, given by its span in `text`."""
        return replace(self, sentence=sentence)

    def _location(self, position: int) -> Location:
        """Return the location of a position in `text`."""
        offset = self.start + position
        page, place, headings = self.page, self.place, self.headings
        for anchor in self.anchors:
            if anchor.offset > offset:
                break
            page, place, headings = anchor.page, anchor.place, anchor.headings
        line = None if self.line is None else self.line + self.text.count("\n", 0, position)
        return Location(self.source, offset, page, line, place, headings, collection=self.collection)


def make_hits(
    space: SearchSpace,
    ranked: Scored,
    dense: dict[int, RankedScore],
    lexical: dict[int, RankedScore],
    *,
    relevance: Mapping[int, float | None] = MappingProxyType({}),
) -> list[Hit]:
    """Return the hits of a ranking; `dense` and `lexical` are the ranks and scores of chunk ids."""
    chunks = space.stored_chunks(chunk_ids(ranked))
    return [
        Hit.of(
            chunks[identifier],
            score=score,
            dense=dense.get(identifier),
            lexical=lexical.get(identifier),
            relevance=relevance.get(identifier),
        )
        for identifier, score in ranked
    ]


def chunk_ids(scored: Scored) -> list[int]:
    """Return the chunk ids of a ranking, best first."""
    return [identifier for identifier, _ in scored]


def ranked_scores(scored: Scored) -> dict[int, RankedScore]:
    """Return the rank and score of each chunk id of a ranking, best first."""
    return {identifier: RankedScore(rank, score) for rank, (identifier, score) in enumerate(scored, start=1)}
