"""Measure what the relevance of a passage says on different collections: whom a least score keeps and leaves out.

    python -m benchmarks.relevance FOLDER... --work FOLDER [--halves] [--questions N] [--model NAME] [--no-adapter]

Each FOLDER is a dataset in BEIR format. Questions that have nothing to do with a collection are those of the others;
with --halves, each collection is divided, and the questions on its second half have nothing to do with the index, which
holds the first. For each least score there are four shares: of unrelated questions that find a passage nevertheless;
of questions that find one; of the same questions when the relevant passages are taken out; of questions with a relevant
passage whose best one is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.encoder_factory import EncoderOptions, open_encoder
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset, EvaluationQuery
from echo_index.retriever.evaluation.embedding_cache import cached_vectors

LEAST_SCORES = (0.5, 0.8, 0.9, 0.95, 0.99)
_UNRELATED = 40  # questions of each other collection

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Collection:
    """An index with questions on it, and for each of them the passages (questions, passages) that are relevant."""

    name: str
    snapshot: Snapshot
    passages: Vectors
    questions: Vectors
    relevant: Bools
    others: Vectors
    """Questions (n, dimension) of the same dataset on documents that are not in the index, not normalized."""


def main(words: Sequence[str] | None = None) -> None:
    """Print the shares for each dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes and vectors")
    parser.add_argument("--halves", action="store_true", help="index the first half of each collection")
    parser.add_argument("--questions", type=int, default=150, help="at most so many of each collection")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--no-adapter", action="store_true")
    given = parser.parse_args(words)
    options = EncoderOptions(given.model, no_adapter=given.no_adapter, precision="auto")
    encoder = open_encoder(options, before=None, chunk_tokens=DEFAULTS.chunk_tokens, notice=print)
    collections = [
        _open(folder, encoder, given.work, limit=given.questions, halves=given.halves) for folder in given.folders
    ]
    print(f"{'':12}{'passages':>9}   shares at a least score of {', '.join(map(str, LEAST_SCORES))}")
    for collection in collections:
        elsewhere = [other.questions[:_UNRELATED] for other in collections if other is not collection]
        unrelated = collection.others if given.halves else np.concatenate(elsewhere)
        print("\n".join(_rows(collection, unrelated)))


def _open(folder: Path, encoder: EchoEncoder, work: Path, *, limit: int, halves: bool) -> Collection:
    dataset = read_evaluation_input(folder)
    if not isinstance(dataset, BeirDataset):
        raise SystemExit(f"{folder} is no dataset in BEIR format.")
    documents = [*dataset.documents()]
    if halves:
        documents = documents[: len(documents) // 2]
    index = work / ("halves" if halves else "relevance") / encoder.fingerprint[:8] / dataset.name
    index_documents(documents, index, encoder=encoder)
    snapshot = open_snapshot(index)
    ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation).tolist()
    sources = [chunk.path for chunk in snapshot.catalog.chunks(ids).values()]
    answered, others = _divided(dataset.queries, {*sources})
    questions = answered[:: max(1, len(answered) // limit)][:limit]
    wanted = [{key for key, grade in question.grades.items() if grade > 0} for question in questions]

    def embed(asked: Sequence[EvaluationQuery]) -> Vectors:
        texts = [question.text for question in asked]
        folder = work / "relevance-questions" / encoder.fingerprint[:16]
        return cached_vectors(folder, texts, encoder.encode_queries, progress=lambda done, total: None).vectors

    return Collection(
        dataset.name,
        snapshot,
        passages=snapshot.chunk_vectors(ids),
        questions=embed(questions),
        relevant=np.array([[source in keys for source in sources] for keys in wanted]),
        others=embed(others[:: max(1, len(others) // limit)][:limit]) if halves else np.empty((0, encoder.dimension)),
    )


def _divided(
    questions: Sequence[EvaluationQuery], sources: set[str]
) -> tuple[list[EvaluationQuery], list[EvaluationQuery]]:
    """Return the questions that the documents of an index answer, and the others."""
    answers = [any(grade > 0 and key in sources for key, grade in question.grades.items()) for question in questions]
    pairs = [*zip(questions, answers, strict=True)]
    return [question for question, is_on in pairs if is_on], [question for question, is_on in pairs if not is_on]


def _rows(collection: Collection, unrelated: Vectors) -> Iterator[str]:
    asked = _relevances(collection, collection.questions)
    kept = [row[relevant].max() for row, relevant in zip(asked, collection.relevant, strict=True)]
    shares = {
        "unrelated questions that find something": _relevances(collection, unrelated).max(axis=1),
        "questions that find something": asked.max(axis=1),
        "the same without the relevant passages": np.where(collection.relevant, 0, asked).max(axis=1),
        "questions whose best relevant passage is kept": np.array(kept),
    }
    yield f"{collection.name:12}{len(collection.passages):9}"
    for name, best in shares.items():
        yield f"  {name:48}" + "".join(f"{np.mean(best >= least):7.2f}" for least in LEAST_SCORES)


def _relevances(collection: Collection, queries: Vectors) -> npt.NDArray[np.float64]:
    """Return the relevance (queries, passages) of each passage for each query, which is not normalized."""
    cosines = collection.snapshot.normalization.normalize_queries(queries) @ collection.passages.T
    relevance = (collection.snapshot.relevance(cosine) for cosine in chain.from_iterable(cosines.tolist()))
    return np.fromiter((share or 0.0 for share in relevance), dtype=np.float64).reshape(cosines.shape)


if __name__ == "__main__":
    main()
