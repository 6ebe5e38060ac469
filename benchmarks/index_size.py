"""Measure how large an index is, part by part, and what its 8-bit vectors lose in ranking.

    python -m benchmarks.index_size FOLDER... --work FOLDER [--model NAME]

Each FOLDER is a dataset in BEIR format. Its passages are embedded for the index, and once more to have the vectors in
full precision; both are kept in the work folder. Recall@10 is the share of the ten passages nearest to a question in
full precision that are among the ten nearest in the index.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.encoder_factory import EncoderOptions, open_encoder
from echo_index.app.services.status import bytes_by_part
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset
from echo_index.retriever.evaluation.embedding_cache import cached_vectors
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.indexed_dataset import IndexedDataset
from echo_index.retriever.evaluation.metrics import ranking_scores
from echo_index.retriever.search.hits import Scored
from echo_index.retriever.search.retriever import Retriever

_NEAREST, _RANKED = 10, 200  # passages


def main(words: Sequence[str] | None = None) -> None:
    """Print the sizes and the rankings of each dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes and vectors")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    given = parser.parse_args(words)
    encoder = open_encoder(EncoderOptions(given.model), before=None, chunk_tokens=DEFAULTS.chunk_tokens, notice=print)
    print("Bytes a passage:")
    for folder in given.folders:
        _measure(_open(folder, encoder, given.work), given.work)


def _open(folder: Path, encoder: EchoEncoder, work: Path) -> IndexedDataset:
    collection = read_evaluation_input(folder)
    if not isinstance(collection, BeirDataset):
        raise SystemExit(f"{folder} is no dataset in BEIR format.")
    index = work / "index-size" / encoder.fingerprint[:8] / collection.name
    index_documents(collection.documents(), index, encoder=encoder)
    return IndexedDataset(
        collection,
        Retriever.open(index, encoder=encoder),
        work=work,
        instruction=None,
        progress=lambda doing, done, total: None,
    )


def _measure(dataset: IndexedDataset, work: Path) -> None:
    snapshot = dataset.retriever.snapshot
    index = dataset.retriever.index_dir
    passages = snapshot.manifest.chunks
    parts = bytes_by_part(index, snapshot.catalog)
    fixed = (index / "manifest.json").stat().st_size * 2  # the catalog has a copy
    parts["rest"] -= fixed
    sizes = ", ".join(f"{name.replace('_', ' ')} {size / passages:.0f}" for name, size in parts.items())
    print(f"{dataset.collection.name}: {passages} passages: {sizes}; and {fixed / 1e3:.0f} kB for any number of them")
    ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation)
    exact = snapshot.normalization.normalize_documents(_full_precision(dataset, ids.tolist(), work))
    queries = snapshot.normalization.normalize_queries(dataset.embeddings.echo)
    before = exact_search([(ids, exact)], queries, k=_RANKED)
    after = [snapshot.vectors.search(query, k=_RANKED) for query in queries]
    shared = [
        len(_nearest(one) & _nearest(other)) / len(_nearest(one)) for one, other in zip(before, after, strict=True)
    ]
    print(
        f"  recall@10 {np.mean(shared):.4f}; nDCG@10 {_ndcg(dataset, before):.2f} in full precision, "
        f"{_ndcg(dataset, after):.2f} in the index"
    )


def _full_precision(dataset: IndexedDataset, ids: Sequence[int], work: Path) -> Vectors:
    """Return the vectors of these chunks as the encoder gives them (n, dimension)."""
    encoder = dataset.encoder
    return cached_vectors(
        work / "passages" / encoder.fingerprint[:16],
        dataset.retriever.snapshot.catalog.embedded_texts_of(ids, context=""),
        lambda texts: encoder.encode_documents(texts),
        progress=lambda done, total: None,
    ).vectors


def _nearest(ranking: Scored) -> set[int]:
    return {identifier for identifier, _ in ranking[:_NEAREST]}


def _ndcg(dataset: IndexedDataset, rankings: Sequence[Scored]) -> float:
    documents = dataset.rank_scored(rankings)
    scores = ranking_scores(
        {query.id: ranking for query, ranking in zip(dataset.queries, documents, strict=True)},
        {query.id: query.grades for query in dataset.queries},
    )
    return float(np.mean([*scores["nDCG@10"].values()]))


if __name__ == "__main__":
    main()
