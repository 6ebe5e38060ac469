"""Hit: a passage that was found and how. Makes hits of rankings; knows the catalog, nothing of how they are ranked."""

from __future__ import annotations

from dataclasses import dataclass

from echo_index.indexer.generations.snapshot import Snapshot

Scored = list[tuple[int, float]]
"""(chunk id, score), best first."""


@dataclass(frozen=True, slots=True)
class RankedScore:
    """Where a passage stood in one of the rankings: its rank, from 1, and its score there."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Location:
    """Where a passage stands: its document, the character offset there, and the page or line, from 1."""

    source: str
    start: int
    page: int | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    `start` and `end` are character offsets in the text of the document `source`; `page` and `line` count from 1 and are
    None where the format has none. `score` is the cosine with the question as feedback moved it (dense), BM25
    (lexical) or the fused score (hybrid): comparable within one search only. `dense` and `lexical` tell how it was
    found, by its cosine with the question itself and by BM25; `likelihood`, where it was reranked, how likely
    the question is after it: the mean log probability of a token of the question. `alike` are the passages after it
    that say the same, where the search was to group them.
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
    """Return the passages of a ranking, with their places by chunk id."""
    found = snapshot.catalog.chunks(chunk_ids(ranked))
    return [
        Hit(
            text=found[identifier].chunk.text,
            source=found[identifier].path,
            title=found[identifier].title,
            headings=found[identifier].chunk.headings,
            format=found[identifier].format,
            start=found[identifier].chunk.start,
            end=found[identifier].chunk.end,
            page=found[identifier].chunk.page,
            line=found[identifier].chunk.line,
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
    """Return the place of each chunk id in a ranking, which is best first."""
    return {identifier: RankedScore(rank, score) for rank, (identifier, score) in enumerate(scored, start=1)}
