"""Measure how several indexes rank together: two parts of a dataset, searched as one, against one index of all of it.

    python -m benchmarks.collections FOLDER... --work FOLDER [--queries N] [--no-adapter]

Each FOLDER is a dataset in BEIR format. It is indexed as a whole; the parts get the same vectors, but a normalization
and a full text of their own. "Halves" are every other document. "Parts" are of unlike subjects: documents that are
nearer to one of two centres than to the other (k-means). nDCG@10 is that of each mode of search, and "same" the share
of the ten best passages in the whole that are among the ten best of the parts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import faiss
import numpy as np

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.encoder_factory import EncoderOptions, open_encoder
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.document import Document
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset
from echo_index.retriever.evaluation.indexed_dataset import IndexedDataset, Ranking
from echo_index.retriever.evaluation.metrics import ranking_scores
from echo_index.retriever.search.collections_retriever import CollectionsRetriever
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode, Searcher

MODES: tuple[Mode, ...] = ("lexical", "dense", "hybrid")
_BEST = 10
Documents = Sequence[tuple[str, Document]]


class KnownVectors(EchoEncoder):
    """An encoder that takes the vectors of documents from an index, by the texts that were embedded."""

    known: Mapping[str, Vectors]

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        """Yield all known vectors at once."""
        yield [*range(len(texts))], EmbeddingPair(np.stack([self.known[text] for text in texts]), None)


def main(words: Sequence[str] | None = None) -> None:
    """Print a row for each dataset and kind of parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes and vectors")
    parser.add_argument("--queries", type=int, help="only the first so many questions")
    parser.add_argument("--no-adapter", action="store_true")
    given = parser.parse_args(words)
    options = EncoderOptions(no_adapter=given.no_adapter)
    encoder = open_encoder(options, before=None, chunk_tokens=DEFAULTS.chunk_tokens, notice=print)
    print("dataset, parts (passages): mode: nDCG@10 of the whole, of the parts, same passages of the best ten")
    for folder in given.folders:
        dataset = _open(folder, encoder, given.work, given.queries)
        whole = _hits(dataset, dataset.retriever)
        for name, parts in (("halves", _halves(dataset)), ("parts", _clusters(dataset))):
            searcher = _searcher(dataset, parts, given.work / "collections" / dataset.collection.name / name)
            sizes = " + ".join(f"{each.snapshot.manifest.chunks:,}" for each in searcher.retrievers.values())
            print(f"{dataset.collection.name}, {name} ({sizes}): {_compared(dataset, whole, _hits(dataset, searcher))}")


def _open(folder: Path, encoder: EchoEncoder, work: Path, queries: int | None) -> IndexedDataset:
    collection = read_evaluation_input(folder, limit=queries)
    if not isinstance(collection, BeirDataset):
        raise SystemExit(f"{folder} is no dataset in BEIR format.")
    index = work / "index-size" / encoder.fingerprint[:8] / collection.name  # that of benchmarks.index_size
    index_documents(collection.documents(), index, encoder=encoder)
    retriever = Retriever.open(index, encoder=encoder)
    return IndexedDataset(collection, retriever, work=work, instruction=None, progress=lambda doing, done, total: None)


def _documents(dataset: IndexedDataset) -> Documents:
    assert isinstance(dataset.collection, BeirDataset)
    return [*dataset.collection.documents()]


def _halves(dataset: IndexedDataset) -> tuple[Documents, Documents]:
    documents = _documents(dataset)
    return documents[::2], documents[1::2]


def _clusters(dataset: IndexedDataset) -> tuple[Documents, Documents]:
    """Return the documents by the nearer of two centres of all passages; a document counts as its first passage."""
    snapshot = dataset.retriever.snapshot
    ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation).tolist()
    vectors = snapshot.chunk_vectors(ids)
    centres = faiss.Kmeans(vectors.shape[1], 2, seed=0, spherical=True)
    centres.train(vectors)
    nearer = centres.index.search(vectors, 1)[1][:, 0]
    sides: dict[str, int] = {}
    for identifier, side in zip(ids, nearer.tolist(), strict=True):
        sides.setdefault(snapshot.catalog.chunks([identifier])[identifier].path, side)
    documents = _documents(dataset)
    first, second = ([each for each in documents if sides.get(each[0], 0) == side] for side in (0, 1))
    return first, second


def _searcher(dataset: IndexedDataset, parts: Sequence[Documents], folder: Path) -> CollectionsRetriever:
    snapshot = dataset.retriever.snapshot
    ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation).tolist()
    encoder = KnownVectors.from_config(snapshot.manifest.encoder)
    assert isinstance(encoder, KnownVectors)
    encoder.known = dict(
        zip(snapshot.catalog.embedded_texts_of(ids, context=""), snapshot.catalog.vectors_of(ids), strict=True)
    )
    for number, documents in enumerate(parts):
        index_documents(documents, folder / str(number), encoder=encoder)
    indexes = {str(number): folder / str(number) for number in range(len(parts))}
    return CollectionsRetriever.open(indexes, encoder=dataset.encoder)


def _hits(dataset: IndexedDataset, searcher: Searcher) -> dict[Mode, list[list[Hit]]]:
    vectors = dataset.embeddings.echo
    return {
        mode: [
            searcher.search(query.text, k=100, mode=mode, vector=vector)
            for query, vector in zip(dataset.queries, vectors, strict=True)
        ]
        for mode in MODES
    }


def _compared(
    dataset: IndexedDataset, whole: Mapping[Mode, list[list[Hit]]], parts: Mapping[Mode, list[list[Hit]]]
) -> str:
    columns = []
    for mode in MODES:
        same = [
            len(_places(one) & _places(other)) / len(_places(one))
            for one, other in zip(whole[mode], parts[mode], strict=True)
            if one
        ]
        scores = f"{_ndcg(dataset, whole[mode]):.2f} {_ndcg(dataset, parts[mode]):.2f} {np.mean(same):.3f}"
        columns.append(f"{mode} {scores}")
    return "; ".join(columns)


def _places(hits: Sequence[Hit]) -> set[tuple[str, int]]:
    return {(hit.source, hit.start) for hit in hits[:_BEST]}


def _ndcg(dataset: IndexedDataset, hits: Sequence[Sequence[Hit]]) -> float:
    rankings: dict[str, Ranking] = {
        query.id: dataset.ranking(query, [(hit.source, hit.text) for hit in found])
        for query, found in zip(dataset.queries, hits, strict=True)
    }
    scores = ranking_scores(rankings, {query.id: query.grades for query in dataset.queries})
    return float(np.mean([*scores["nDCG@10"].values()]))


if __name__ == "__main__":
    main()
