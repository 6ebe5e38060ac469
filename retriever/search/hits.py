"""Search results: hits with their ranks and scores, made from rankings of chunk ids."""

from __future__ import annotations

from dataclasses import dataclass

from echo_index.indexer.generations.snapshot import Snapshot

Scored = list[tuple[int, float]]
"""(chunk id, score), best first."""


@dataclass(frozen=True, slots=True)
class RankedScore:
    """Rank of a chunk in one of the rankings, from 1, and its score there."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Location:
    """Location of a chunk: its document, the character offset in it, and the page or line, from 1."""

    source: str
    start: int
    page: int | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search returned.

    `start` and `end` are character offsets in the text of the document `source`; `page` and `line` count from 1 and are
    None if the format has none. `score` is the cosine with the query after feedback (dense), BM25 (lexical) or the
    fused score (hybrid); scores are comparable within one search only. `dense` and `lexical` are its ranks by the
    cosine with the query itself and by BM25, None where it was not found. `likelihood` is set after reranking: the mean
    log-probability of a query token given the chunk. `duplicates` are the lower-ranked chunks that say the same, if the
    search grouped them.
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


def make_hits(
    snapshot: Snapshot, ranked: Scored, dense: dict[int, RankedScore], lexical: dict[int, RankedScore]
) -> list[Hit]:
    """Return the hits of a ranking; `dense` and `lexical` are the ranks and scores of chunk ids."""
    chunks = snapshot.catalog.chunks(chunk_ids(ranked))
    return [
        Hit(
            text=chunks[identifier].chunk.text,
            source=chunks[identifier].path,
            title=chunks[identifier].title,
            headings=chunks[identifier].chunk.headings,
            format=chunks[identifier].format,
            start=chunks[identifier].chunk.start,
            end=chunks[identifier].chunk.end,
            page=chunks[identifier].chunk.page,
            line=chunks[identifier].chunk.line,
            score=score,
            dense=dense.get(identifier),
            lexical=lexical.get(identifier),
        )
        for identifier, score in ranked
    ]


def chunk_ids(scored: Scored) -> list[int]:
    """Return the chunk ids of a ranking, best first."""
    return [identifier for identifier, _ in scored]


def ranked_scores(scored: Scored) -> dict[int, RankedScore]:
    """Return the rank and score of each chunk id of a ranking, best first."""
    return {identifier: RankedScore(rank, score) for rank, (identifier, score) in enumerate(scored, start=1)}
