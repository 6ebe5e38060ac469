"""Measure recall against time for kinds of vector indexes, beside raw FAISS, hnswlib and usearch, in one run.

    python -m benchmarks.search INDEX... --work FOLDER [--vectors 100000] [--kinds KIND...] [--faiss KIND...]
        [--peers hnswlib usearch]

The vectors are clustered as those of the indexes named are, and the queries are synthetic questions for their
passages, which are no part of them. Each row has the share of the ten nearest that are found, the milliseconds for one
query and for each of 64 that are searched together, the bytes of a vector in the index, and the seconds that it took to
make. `exact` and the kinds are searched as echo-index does: candidates, then their codes, which are in memory here; see
`benchmarks.scale` for a whole search. The others are searched by their own library. hnswlib and usearch have to be
installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np

from benchmarks.clustered_vectors import BLOCK, ClusteredVectors
from benchmarks.encode.machine import machine
from echo_index.embeddings.vectors.vector_ops import Vectors, inner_products
from echo_index.indexer.catalog.chunk_queries import evenly_spaced
from echo_index.indexer.catalog.vector_codes import Codes, encode_vectors
from echo_index.indexer.vectors.approximate_index import ApproximateIndex
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.faiss_index import FaissIndex, training_size
from echo_index.indexer.vectors.index_kind import SearchParameters

_K = 10
_QUERIES = 300
_TIMED = 30  # queries, one at a time
_TOGETHER = 64
_CANDIDATES = (40, 80, 160, 320)
_DEFAULT_KINDS = ("IVF1,PQ160x4fs", "IVF1024,PQ160x4fs", "HNSW32,SQ8")
_DEFAULT_FAISS = ("Flat", "IVF1024,PQ160x4fs,Refine(SQ8)", "HNSW32,SQ8")
_BREADTHS = (64, 128, 256, 512)

Search = Callable[[Vectors], Any]
"""Searches queries (n, dimension) and returns the positions (n, 10) of what it finds."""


@dataclass(frozen=True)
class _Way:
    """One way to search an index, with its parameters in words."""

    parameters: str
    search: Search


def main(words: list[str] | None = None) -> None:
    """Print a row for each index and each way to search it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("indexes", nargs="+", type=Path, metavar="INDEX")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--kinds", nargs="*", default=_DEFAULT_KINDS, metavar="KIND")
    parser.add_argument("--faiss", nargs="*", default=_DEFAULT_FAISS, metavar="KIND")
    parser.add_argument("--peers", nargs="*", default=(), choices=("hnswlib", "usearch"))
    given = parser.parse_args(words)
    print(" | ".join(f"{name}: {value}" for name, value in machine(threads=faiss.omp_get_max_threads()).items()))
    source = ClusteredVectors(given.indexes, queries_file=given.work / "queries.npy")
    bench = _Bench(source, given.vectors)
    bench.measure("echo-index exact", lambda: _exact(bench))
    for kind in given.kinds:
        bench.measure(f"echo-index {kind}", lambda kind=kind: _ours(bench, kind))
    for kind in given.faiss:
        bench.measure(f"FAISS {kind}", lambda kind=kind: _raw_faiss(bench, kind))
    for peer in given.peers:
        bench.measure(peer, lambda peer=peer: {"hnswlib": _hnswlib, "usearch": _usearch}[peer](bench))


class _Bench:
    """The vectors, the queries with their true neighbours, and the table."""

    def __init__(self, source: ClusteredVectors, count: int) -> None:
        self.source = source
        self.count = count
        chosen = source.queries[evenly_spaced(np.arange(len(source.queries)), _QUERIES)]
        self.queries = source.normalization.normalize_queries(chosen)
        scores = np.empty((len(self.queries), 0), dtype=np.float32)
        nearest = np.empty((len(self.queries), 0), dtype=np.int64)
        for ids, vectors in self.blocks():
            products = inner_products(self.queries, vectors)
            scores = np.hstack([scores, products])
            nearest = np.hstack([nearest, np.broadcast_to(ids, products.shape)])
            best = np.argpartition(-scores, _K, axis=1)[:, :_K]
            scores, nearest = np.take_along_axis(scores, best, axis=1), np.take_along_axis(nearest, best, axis=1)
        self._nearest = nearest
        columns = ("recall@10", "one, ms", "of 64, ms", "bytes", "made in s")
        print(f"{count:,} vectors of {source.dimension} dimensions, {len(self.queries)} queries")
        print(f"{'index':44}{'searched with':30}" + "".join(f"{name:>11}" for name in columns), flush=True)

    def blocks(self) -> Iterator[tuple[Ids, Vectors]]:
        """Yield (positions, normalized vectors) of all vectors."""
        for start in range(0, self.count, BLOCK):
            size = min(BLOCK, self.count - start)
            vectors = self.source.normalized_block(start // BLOCK)[:size]
            yield np.arange(start, start + size), vectors

    def codes(self) -> Codes:
        """Return the codes of all vectors."""
        parts = []
        for number in range(0, -(-self.count // BLOCK)):
            block = encode_vectors(self.source.block(number), [b""] * BLOCK)
            parts.append(np.frombuffer(b"".join(block), dtype=np.uint8).reshape(BLOCK, -1))
        return np.concatenate(parts)[: self.count]

    def measure(self, name: str, make: Callable[[], tuple[list[_Way], float]]) -> None:
        """Make an index, and print a row for each way to search it."""
        began = time.perf_counter()
        ways, size = make()
        seconds = time.perf_counter() - began
        for way in ways:
            found = np.asarray(way.search(self.queries))
            hits = (self._nearest[:, :, None] == found[:, None, :]).any(axis=2).mean()
            singles = []
            for query in self.queries[:_TIMED]:
                began = time.perf_counter()
                way.search(query[None, :])
                singles.append(time.perf_counter() - began)
            began = time.perf_counter()
            way.search(self.queries[:_TOGETHER])
            each = (time.perf_counter() - began) / _TOGETHER
            values = (
                f"{hits:11.3f}{1000 * median(singles):11.2f}{1000 * each:11.2f}{size / self.count:11.0f}{seconds:11.0f}"
            )
            print(f"{name:44}{way.parameters:30}{values}", flush=True)


def _exact(bench: _Bench) -> tuple[list[_Way], float]:
    codes = bench.codes()
    index = ExactIndex(np.arange(bench.count), codes, bench.source.normalization)
    return [_Way("", lambda queries: _each(index, queries))], codes.nbytes


def _ours(bench: _Bench, kind: str) -> tuple[list[_Way], float]:
    size = training_size(kind, dimension=bench.source.dimension)
    index = FaissIndex.train(kind, np.concatenate(list(_sample(bench, size))))
    for ids, vectors in bench.blocks():
        index.add(ids, vectors)
    codes = bench.codes()

    def exact(ids: Ids) -> ExactIndex:
        return ExactIndex(ids, codes[ids], bench.source.normalization)

    searched = ApproximateIndex(index, parameters=SearchParameters(), exact=exact)
    ways = []
    for parameters, told in _parameters(index):
        trial = searched.with_parameters(parameters)
        ways.append(_Way(told, lambda queries, trial=trial: _each(trial, queries)))
    with tempfile.TemporaryDirectory() as folder:
        return ways, index.save(Path(folder) / "index.faiss")


def _parameters(index: FaissIndex) -> Iterator[tuple[SearchParameters, str]]:
    if index.has_graph:
        for breadth in _BREADTHS:
            yield SearchParameters(breadth=breadth, candidates=40), f"breadth {breadth}"
    elif index.cells == 1:
        for candidates in _CANDIDATES:
            yield SearchParameters(candidates=candidates), f"{candidates} candidates"
    else:
        for probes in _probes(index.cells):
            yield SearchParameters(probes=probes, candidates=160), f"{probes} cells, 160 candidates"


def _probes(cells: int) -> list[int]:
    return sorted({max(1, cells // share) for share in (32, 16, 8, 4, 2)})


def _raw_faiss(bench: _Bench, kind: str) -> tuple[list[_Way], float]:
    index = faiss.index_factory(bench.source.dimension, kind, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        cells = int(kind.removeprefix("IVF").split(",")[0]) if kind.startswith("IVF") else 1
        index.train(np.concatenate(list(_sample(bench, max(20_000, 64 * cells)))))
    for _, vectors in bench.blocks():
        index.add(vectors)
    settings: list[dict[str, int]] = [{}]
    if kind.startswith("IVF"):
        settings = [{"nprobe": probes} for probes in _probes(int(kind.removeprefix("IVF").split(",")[0]))]
    elif kind.startswith("HNSW"):
        settings = [{"efSearch": breadth} for breadth in _BREADTHS]
    if "Refine" in kind:
        settings = [{**setting, "k_factor_rf": 16} for setting in settings]
    space = faiss.ParameterSpace()

    def search(queries: Vectors, setting: dict[str, int]) -> Any:
        for name, value in setting.items():
            space.set_index_parameter(index, name, value)
        return index.search(queries, _K)[1]

    ways = [
        _Way(
            ", ".join(f"{name} {value}" for name, value in setting.items()),
            lambda queries, setting=setting: search(queries, setting),
        )
        for setting in settings
    ]
    return ways, len(faiss.serialize_index(index))


def _hnswlib(bench: _Bench) -> tuple[list[_Way], float]:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=bench.source.dimension)
    index.init_index(max_elements=bench.count, M=16, ef_construction=100)
    for ids, vectors in bench.blocks():
        index.add_items(vectors, ids)

    def search(queries: Vectors, breadth: int) -> Any:
        index.set_ef(breadth)
        return index.knn_query(queries, k=_K)[0]

    ways = [_Way(f"ef {ef}", lambda queries, ef=ef: search(queries, ef)) for ef in _BREADTHS]
    with tempfile.TemporaryDirectory() as folder:
        index.save_index(f"{folder}/index")
        return ways, Path(folder, "index").stat().st_size


def _usearch(bench: _Bench) -> tuple[list[_Way], float]:
    from usearch.index import Index

    index = Index(ndim=bench.source.dimension, metric="ip", dtype="i8", connectivity=16, expansion_add=100)
    for ids, vectors in bench.blocks():
        index.add(ids, vectors)

    def search(queries: Vectors, breadth: int) -> Any:
        index.expansion_search = breadth
        return np.atleast_2d(index.search(queries, _K).keys)

    ways = [_Way(f"expansion {ef}", lambda queries, ef=ef: search(queries, ef)) for ef in _BREADTHS]
    with tempfile.TemporaryDirectory() as folder:
        index.save(f"{folder}/index")
        return ways, Path(folder, "index").stat().st_size


def _sample(bench: _Bench, size: int) -> Iterator[Vectors]:
    share = min(1.0, size / bench.count)
    for _, vectors in bench.blocks():
        yield vectors[: max(1, round(share * len(vectors)))]


def _each(index: ExactIndex | ApproximateIndex, queries: Vectors) -> Ids:
    if len(queries) == 1:
        return np.array([[key for key, _ in index.search(queries[0], k=_K)]])
    return index.search_each(queries, k=_K)[0]


if __name__ == "__main__":
    main()
