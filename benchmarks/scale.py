"""Measure what an index costs as it grows: build, open, search, update and removal, and the memory of each.

    python -m benchmarks.scale INDEX... --work FOLDER [--sizes 1000,10000,100000,1000000] [--words 40]

The passages are generated, their vectors are clustered as those of the indexes named are, and given, not embedded.
Each size is built in a process of its own. The searches are those of `echo-index search` in a new process, and of a
retriever that stays open; an update replaces one document in a hundred, a removal takes one in a hundred away. An index
that is in the folder already is not built again, but updated again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.clustered_vectors import ClusteredVectors
from benchmarks.encode.machine import machine
from benchmarks.generated_index import PASSAGES_A_FILE, GeneratedDocuments, commit, put_document
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.generations.manifest import MANIFEST, read_manifest
from echo_index.indexer.generations.vector_file_build import needs_queries, store_queries
from echo_index.indexer.vectors.recall import HeldOutQueries
from echo_index.retriever.search.retriever import Retriever

_COMMAND = Path(sys.executable).with_name("echo-index")
_ONE_IN = 100  # documents are updated, and as many removed
_SEARCHES = 20
_PROCESSES = 5


def main(words: list[str] | None = None) -> None:
    """Print one line of JSON for each size."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("indexes", nargs="+", type=Path, metavar="INDEX")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--words", type=int, default=40, help="words of a passage")
    given = parser.parse_args(words)
    sizes = [int(size) for size in given.sizes.split(",")]
    if len(sizes) == 1:
        print(json.dumps(measure(given.indexes, given.work / f"{sizes[0]}", sizes[0], words=given.words)), flush=True)
        return
    print(json.dumps(machine(threads=0)), flush=True)
    for size in sizes:  # in processes of their own, as memory is measured at its peak
        arguments = [*map(str, given.indexes), "--work", str(given.work), "--sizes", str(size)]
        subprocess.run([sys.executable, "-m", "benchmarks.scale", *arguments, "--words", str(given.words)], check=True)


def measure(sources: list[Path], index: Path, passages: int, *, words: int) -> dict[str, float | int | str]:
    """Return seconds, bytes and megabytes of an index of so many passages."""
    vectors, documents = (
        ClusteredVectors(sources, queries_file=index.parent / "queries.npy"),
        GeneratedDocuments(words=words),
    )
    like = replace(
        vectors.manifest, normalizations=replace(vectors.manifest.normalizations, echo=vectors.normalization)
    )
    count = passages // PASSAGES_A_FILE
    results: dict[str, float | int | str] = {"passages": passages, "before_mb": _peak()}
    if not (index / MANIFEST).exists():
        index.mkdir(parents=True)
        began = time.perf_counter()
        with closing(Catalog(index / CATALOG, create=True)) as catalog:
            for number in range(count):
                block = vectors.block(number, size=PASSAGES_A_FILE)
                put_document(catalog, number, documents.chunks(number), block, generation=1)
            results["store_s"] = time.perf_counter() - began
            if needs_queries(catalog, count=passages, dimension=vectors.dimension):
                store_queries(catalog, HeldOutQueries.of(vectors.queries))
            began = time.perf_counter()
            commit(index, catalog, like, generation=1, before=None)
        results |= {"index_s": time.perf_counter() - began, "build_mb": _peak()}
    results["bytes_per_passage"] = sum(path.stat().st_size for path in index.iterdir()) / passages
    described = read_manifest(index).vector_index
    if described is not None:
        results |= {"kind": described.kind, "recall": described.recall or 0.0}
        results |= {"vectors_bytes": described.bytes_per_vector, "vectors_ms": 1000 / described.queries_per_second}
    results |= _searches(index, documents, count)
    results |= _changes(index, vectors, documents, count)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in results.items()}


def _searches(index: Path, documents: GeneratedDocuments, count: int) -> dict[str, float]:
    began = time.perf_counter()
    retriever = Retriever.open(index)
    results = {"open_s": time.perf_counter() - began}
    texts = [documents.chunks(number * count // _SEARCHES)[7].text for number in range(_SEARCHES)]
    queries = [" ".join(text.split()[:12]) for text in texts]
    retriever.search("Is everything in memory?")
    for mode in ("dense", "lexical", "hybrid"):
        results[f"{mode}_ms"] = 1000 * median(
            _seconds(lambda query=query, mode=mode: retriever.search(f"{query} {mode}", mode=mode)) for query in queries
        )
    command = [_COMMAND, "search", "--index", index]
    results["process_s"] = median(
        _seconds(lambda query=query: subprocess.run([*command, query], check=True, capture_output=True))
        for query in queries[:_PROCESSES]
    )
    return results


def _changes(index: Path, vectors: ClusteredVectors, documents: GeneratedDocuments, count: int) -> dict[str, float]:
    began, before = time.perf_counter(), read_manifest(index)
    generation = before.generation + 1
    with closing(Catalog(index / before.catalog_file, write=True)) as catalog:
        for number in range(0, count, _ONE_IN):
            block = vectors.block(count + number + generation, size=PASSAGES_A_FILE)
            rows = documents.chunks(number, version=generation)
            put_document(catalog, number, rows, block, generation=generation)
        stored = time.perf_counter() - began
        commit(index, catalog, before, generation=generation, before=before)
    results = {"update_store_s": stored, "update_s": time.perf_counter() - began}
    names = [str(index.parent / f"document-{number}.md") for number in range(generation, count, _ONE_IN)]
    results["removal_s"] = _seconds(lambda: remove_documents([Path(name).name for name in names], index_dir=index))
    return {**results, "peak_mb": _peak()}


def _seconds(act: object) -> float:
    began = time.perf_counter()
    act()  # type: ignore[operator]
    return time.perf_counter() - began


def _peak() -> float:
    """Return the most memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
