"""Measure how many of the nearest vectors an approximate index finds, and choose how thoroughly it is searched.

The queries are synthetic ones that are no part of the index. With vectors of the index as queries, the recall would be
overestimated: questions are further from all passages than passages are from each other.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors, inner_products
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.index_kind import MEASURED_RESULTS, IndexDescription, SearchParameters

if TYPE_CHECKING:
    from echo_index.indexer.vectors.approximate_index import ApproximateIndex
    from echo_index.indexer.vectors.faiss_index import FaissIndex

_KNOWN = 40  # nearest chunks of each query: more than are measured, as some will be removed
_CANDIDATES = (40, 80, 160, 320, 640, 1280)
_BREADTHS = (16, 32, 64, 128, 256, 512, 1024)
_TIMED_QUERIES = 32
_LEAST_QUERIES = 0.5  # of all: with fewer that still know their nearest chunks, these are looked for again


@dataclass(frozen=True, eq=False)
class HeldOutQueries:
    """Queries (n, dimension) as the encoder returned them, and what is known of the chunks that are nearest to each.

    `ids` and `cosines` (n, at most 40) are the nearest chunks, best first, padded with the id -1.
    """

    vectors: Vectors
    ids: Ids
    cosines: Vectors

    @classmethod
    def of(cls, vectors: Vectors) -> HeldOutQueries:
        """Return queries of which nothing is known yet."""
        empty = np.empty((len(vectors), 0))
        return cls(vectors.astype(np.float32), empty.astype(np.int64), empty.astype(np.float32))

    def as_text(self) -> str:
        """Return the queries as JSON, with vectors in half precision."""
        parts = {"vectors": self.vectors.astype("<f2"), "ids": self.ids.astype("<i8"), "cosines": self.cosines}
        fields = {name: b64encode(np.ascontiguousarray(part).tobytes()).decode() for name, part in parts.items()}
        return json.dumps({**fields, "count": len(self.vectors)})

    @classmethod
    def parse(cls, text: str) -> HeldOutQueries:
        """Parse the JSON of `as_text`.

        Raises:
            ValueError: it is damaged.
        """
        try:
            fields = json.loads(text)
            count = int(fields["count"])
            vectors, ids, cosines = (
                np.frombuffer(b64decode(fields[name]), kind).reshape(count, -1)
                for name, kind in (("vectors", "<f2"), ("ids", "<i8"), ("cosines", "<f4"))
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"the queries are damaged: {error}") from None
        return cls(vectors.astype(np.float32), ids.astype(np.int64), cosines.astype(np.float32))

    def without(self, removed: Ids) -> HeldOutQueries:
        """Return the queries without some of the chunks that were near to them."""
        order = np.argsort(np.isin(self.ids, removed), axis=1, kind="stable")
        ids, cosines = np.take_along_axis(self.ids, order, axis=1), np.take_along_axis(self.cosines, order, axis=1)
        return replace(self, ids=np.where(np.isin(ids, removed), -1, ids), cosines=cosines)

    def with_chunks(self, ids: Ids, vectors: Vectors, queries: Vectors) -> HeldOutQueries:
        """Return the queries after they were compared with more chunks; `queries` are their normalized vectors."""
        products = inner_products(queries, vectors)
        nearest = np.argpartition(-products, min(_KNOWN, len(ids)) - 1, axis=1)[:, :_KNOWN]
        known = np.where((self.ids < 0) | np.isin(self.ids, ids), -np.inf, self.cosines)  # none counts twice
        all_ids = np.hstack([self.ids, ids[nearest]])
        all_cosines = np.hstack([known, np.take_along_axis(products, nearest, axis=1)])
        order = np.argsort(-all_cosines, axis=1, kind="stable")[:, :_KNOWN]
        best = np.take_along_axis(all_cosines, order, axis=1)
        best_ids = np.where(np.isfinite(best), np.take_along_axis(all_ids, order, axis=1), -1)
        return replace(self, ids=best_ids, cosines=np.where(np.isfinite(best), best, 0).astype(np.float32))

    def know_their_nearest(self, count: int) -> bool:
        """Return whether enough of the queries still know their ten nearest of `count` chunks."""
        return bool(self._complete(count).mean() >= _LEAST_QUERIES) if len(self.vectors) else False

    def _complete(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.asarray((self.ids >= 0).sum(axis=1) >= min(MEASURED_RESULTS, count))

    def measured(self, count: int) -> HeldOutQueries:
        """Return the queries that know their ten nearest chunks, with these alone."""
        complete = self._complete(count)
        return HeldOutQueries(
            self.vectors[complete],
            self.ids[complete, :MEASURED_RESULTS],
            self.cosines[complete, :MEASURED_RESULTS],
        )


def choose_parameters(
    index: ApproximateIndex, held_out: HeldOutQueries, queries: Vectors, description: IndexDescription
) -> IndexDescription:
    """Describe an index with the fastest parameters that reach the target of the description, or else the best recall.

    Args:
        index: the index that is measured.
        held_out: queries that know their nearest chunks, see `HeldOutQueries.measured`.
        queries: their normalized vectors (n, dimension).
        description: what is known already.
    """
    recalls = {
        parameters: recall
        for search in _searches(index.index)
        for parameters, recall in _recalls(index.index, held_out, queries, search)
    }
    least = min(description.target, max(recalls.values()))
    fewest: dict[tuple[int, int], SearchParameters] = {}  # more candidates in the same cells take longer
    for parameters, recall in recalls.items():
        if recall >= least:
            fewest.setdefault((parameters.probes, parameters.breadth), parameters)
    seconds = {parameters: _seconds(index, parameters, queries) for parameters in fewest.values()}
    chosen = min(seconds, key=lambda parameters: seconds[parameters])
    return replace(
        description,
        parameters=chosen,
        recall=round(recalls[chosen], 4),
        queries=len(queries),
        queries_per_second=float(f"{1 / seconds[chosen]:.3g}"),
    )


def default_parameters(index: FaissIndex) -> SearchParameters:
    """Return the parameters of an index that could not be measured: half of its cells, where 160 are compared."""
    return SearchParameters(probes=max(1, index.cells // 2), breadth=_BREADTHS[-2])


def _searches(index: FaissIndex) -> Iterator[SearchParameters]:
    """Yield ways to search, from hasty to thorough."""
    if index.has_graph:
        yield from (SearchParameters(breadth=breadth) for breadth in _BREADTHS)
    else:
        yield from (SearchParameters(probes=1 << power) for power in range(index.cells.bit_length()))


def _recalls(
    index: FaissIndex, held_out: HeldOutQueries, queries: Vectors, parameters: SearchParameters
) -> Iterator[tuple[SearchParameters, float]]:
    """Yield the recall for each number of candidates: what is among them is found, as they are compared exactly."""
    found = index.candidates(queries, k=_CANDIDATES[-1], parameters=parameters)
    wanted = held_out.ids.shape[1]
    for count in _CANDIDATES:
        hits = (held_out.ids[:, :, None] == found[:, None, :count]).any(axis=2).sum()
        yield replace(parameters, candidates=count), float(hits / (len(queries) * wanted))


def _seconds(index: ApproximateIndex, parameters: SearchParameters, queries: Vectors) -> float:
    """Return the median time of a search with these parameters."""
    trial = index.with_parameters(parameters)
    times = []
    for query in queries[:_TIMED_QUERIES]:
        began = time.perf_counter()
        trial.search(query, k=MEASURED_RESULTS)
        times.append(time.perf_counter() - began)
    return float(np.median(times))
