"""Group near-duplicate hits under the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.search.hits import Hit, Location, Scored, chunk_ids

NEAR_DUPLICATE = 0.9
"""Minimum cosine of near-duplicate chunks of one document; overlapping neighbours stay well below it."""


def group_duplicates(snapshot: Snapshot, ranked: Scored, hits: Sequence[Hit], *, limit: int) -> list[Hit]:
    """Return up to `limit` hits without near-duplicates; each lists its lower-ranked ones in `Hit.duplicates`.

    `hits` are those of `ranked`, in the same order. Two hits are duplicates if they have the same text, or are chunks
    of one document with a cosine of at least NEAR_DUPLICATE.
    """
    vectors = snapshot.chunk_vectors(chunk_ids(ranked))
    leaders: list[int] = []
    duplicates: dict[int, list[Location]] = {}
    for number, hit in enumerate(hits):
        for leader in leaders:
            better = hits[leader]
            is_near = hit.source == better.source and float(vectors[leader] @ vectors[number]) >= NEAR_DUPLICATE
            if is_near or hit.text == better.text:
                duplicates.setdefault(leader, []).append(Location(hit.source, hit.start, hit.page, hit.line))
                break
        else:
            leaders.append(number)
    return [replace(hits[leader], duplicates=tuple(duplicates.get(leader, ()))) for leader in leaders[:limit]]
