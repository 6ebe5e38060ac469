"""Passages that say the same as a better one, named by it. Knows vectors and texts, nothing of how hits were ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.search.hits import Hit, Location, Scored, chunk_ids

NEAR_DUPLICATE = 0.9
"""The least cosine of two passages of a document that say nearly the same; neighbours that overlap stay well below."""


def group_duplicates(snapshot: Snapshot, ranked: Scored, hits: Sequence[Hit], *, most: int) -> list[Hit]:
    """Return up to `most` hits, best first, each with the places of those after it that say the same: `Hit.alike`.

    `hits` are those of the ranking, in its order. Two say the same if they have the same text, wherever they are, or
    are of one document and nearly equal. What says the same as a hit that is returned is looked for in all of them.
    """
    vectors = snapshot.chunk_vectors(chunk_ids(ranked))
    leaders: list[int] = []
    alike: dict[int, list[Location]] = {}
    for number, hit in enumerate(hits):
        for leader in leaders:
            first = hits[leader]
            is_near = hit.source == first.source and float(vectors[leader] @ vectors[number]) >= NEAR_DUPLICATE
            if is_near or hit.text == first.text:
                alike.setdefault(leader, []).append(Location(hit.source, hit.start, hit.page, hit.line))
                break
        else:
            leaders.append(number)
    return [replace(hits[leader], duplicates=tuple(alike.get(leader, ()))) for leader in leaders[:most]]
