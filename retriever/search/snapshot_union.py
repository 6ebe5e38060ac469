"""Search the snapshots of several indexes as one, with scores that are comparable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from echo_index.indexer.catalog.bm25_search import weight_factors
from echo_index.indexer.catalog.records import LexicalQuery, QueryPart, SearchFilter, StoredChunk, TermStatistics
from echo_index.indexer.text.language_detection import ENGLISH
from echo_index.indexer.vectors.normalization import NormalizedQuery, VectorNormalization, pooled_normalization

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.indexer.generations.snapshot import Snapshot


class SnapshotUnion:
    """A `SearchSpace` of one or more snapshots that were built with the same encoder.

    Each index finds its best candidates by its own normalization. Then all candidates are compared by one: the mean of
    the normalizations by passages. BM25 weighs each part of a query by how rare it is in all indexes together, as if
    they were one. What differs from one index is only the mean length of a chunk, which each index has its own of.

    A chunk id tells the index, too: it is the id in that index times the number of indexes, plus the index's number.
    """

    def __init__(self, snapshots: Mapping[str, Snapshot]) -> None:
        self._names = list(snapshots)
        self._snapshots = list(snapshots.values())
        self._last_factors: tuple[LexicalQuery | None, list[dict[QueryPart, float]]] = None, []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Give this thread a consistent view of each generation inside the `with` block.

        Raises:
            IndexDamaged: a generation was purged after two newer ones were committed, or its catalog is damaged.
        """
        with ExitStack() as stack:
            for snapshot in self._snapshots:
                stack.enter_context(snapshot.reading())
            yield

    def is_newest(self) -> bool:
        """Return whether no index has a newer generation.

        Raises:
            IndexMissing: an index is gone.
        """
        return all(snapshot.is_newest() for snapshot in self._snapshots)

    @cached_property
    def normalization(self) -> VectorNormalization:
        """The mean of the normalizations of all indexes, by passages."""
        return pooled_normalization([snapshot.normalization for snapshot in self._snapshots])

    @property
    def ranks_words(self) -> bool:
        """Whether chunks can be ranked by words, which catalogs always can."""
        return True

    def load_early(self) -> None:
        """Begin to load the vectors of each index in another thread."""
        for snapshot in self._snapshots:
            snapshot.load_early()

    def nearest(self, query: NormalizedQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` chunks nearest to a query that `normalization` has normalized."""
        ids = [
            self._global(number, identifier)
            for number, snapshot in enumerate(self._snapshots)
            for identifier, _ in snapshot.nearest(
                snapshot.normalization.normalize_query(query.encoded), k=k, where=where
            )
        ]
        if not ids:
            return []
        cosines = np.einsum("ij,j->i", self.chunk_vectors(ids), query.vector).tolist()
        return sorted(zip(ids, cosines, strict=True), key=lambda item: (-item[1], item[0]))[:k]

    def relevance(self, cosine: float) -> float | None:
        """Return the share of unrelated queries whose nearest chunk in all indexes is not as near as `cosine`.

        It is the product of the indexes' shares: a chunk is the nearest in all if it is the nearest in each. None if an
        index cannot tell.
        """
        shares = [snapshot.relevance(cosine) for snapshot in self._snapshots]
        known = [share for share in shares if share is not None]
        return prod(known) if len(known) == len(shares) else None

    def chunk_vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors of these chunks by the common normalization, unit rows (n, dimension).

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        encoded = np.empty((len(ids), self.normalization.dimension), dtype=np.float32)
        for number, positions, local in self._by_snapshot(ids):
            encoded[positions] = self._snapshots[number].catalog.vectors_of(local)
        return self.normalization.normalize_documents(encoded)

    def matching(self, query: LexicalQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score) of the `k` best matches of a full-text query, best first."""
        factors = self._factors(query)
        ranked = [
            (self._global(number, identifier), score)
            for number, snapshot in enumerate(self._snapshots)
            for identifier, score in snapshot.matching(query, k=k, where=where, factors=factors[number])
        ]
        return sorted(ranked, key=lambda item: (-item[1], item[0]))[:k]

    def scores(self, query: LexicalQuery, ids: Sequence[int]) -> dict[int, float]:
        """Return the BM25 score of each of these chunks for a full-text query, 0 for chunks that do not match."""
        factors = self._factors(query)
        scores: dict[int, float] = {}
        for number, positions, local in self._by_snapshot(ids):
            of_snapshot = self._snapshots[number].scores(query, local, factors=factors[number])
            scores.update((ids[position], of_snapshot[key]) for position, key in zip(positions, local, strict=True))
        return scores

    def languages(self) -> list[str]:
        """Return the Snowball names of the documents' languages, English first."""
        found = {language: None for snapshot in self._snapshots for language in snapshot.languages()}
        return sorted(found, key=lambda language: language != ENGLISH)

    def stored_chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Return the chunks with these ids, by id, with the names of their indexes."""
        chunks: dict[int, StoredChunk] = {}
        for number, positions, local in self._by_snapshot(ids):
            stored = self._snapshots[number].stored_chunks(local)
            for position, key in zip(positions, local, strict=True):
                chunks[ids[position]] = replace(stored[key], id=ids[position], collection=self._names[number])
        return chunks

    def _factors(self, query: LexicalQuery) -> list[dict[QueryPart, float]]:
        """Return the factors of each index; those of the last query are kept, as a search needs them twice."""
        known_query, factors = self._last_factors
        if known_query != query:
            each = [snapshot.catalog.term_statistics(query) for snapshot in self._snapshots]
            total = TermStatistics.total(each)
            factors = [weight_factors(own, total) for own in each]
            self._last_factors = query, factors
        return factors

    def _global(self, number: int, identifier: int) -> int:
        return identifier * len(self._snapshots) + number

    def _by_snapshot(self, ids: Sequence[int]) -> Iterator[tuple[int, list[int], list[int]]]:
        """Yield the number of each snapshot that has some of these chunks, their positions in `ids`, and their ids."""
        for number in range(len(self._snapshots)):
            positions = [position for position, key in enumerate(ids) if key % len(self._snapshots) == number]
            if positions:
                yield number, positions, [ids[position] // len(self._snapshots) for position in positions]
