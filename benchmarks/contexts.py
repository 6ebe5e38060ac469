"""Measure what the context of an index changes: in search of one index, and of several of unlike subjects as one.

    python -m benchmarks.contexts --dataset FOLDER LINE [--dataset FOLDER LINE]... --work FOLDER [--no-adapter]

Each FOLDER is a dataset in BEIR format, indexed without a context and with LINE. "Alone" is nDCG@10 of a dataset in its
own index, "together" that of its questions in all of the indexes, without and with a context; "own" is the share of
the ten best passages that are from the index of the dataset. The differences have the bounds of a paired bootstrap.
An interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.encoder_factory import EncoderOptions, open_encoder
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.building.build_documents import index_documents
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset, EvaluationQuery
from echo_index.retriever.evaluation.indexed_dataset import IndexedDataset
from echo_index.retriever.evaluation.metrics import mean_difference, ranking_scores
from echo_index.retriever.search.collections_retriever import CollectionsRetriever
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode, Searcher

MODES: tuple[Mode, ...] = ("dense", "hybrid")  # words are searched alike
_BEST = 10


@dataclass(frozen=True)
class Subject:
    """A dataset, the vectors of its questions, and its indexes without and with a context."""

    dataset: BeirDataset
    questions: Vectors
    plain: Retriever
    with_context: Retriever


@dataclass(frozen=True)
class Measured:
    """nDCG@10 of each question of a dataset, and the mean share of its own passages among the ten best."""

    scores: list[float]
    own: float


def main(words: Sequence[str] | None = None) -> None:
    """Print a row for each dataset, mode, and way of searching."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", nargs=2, action="append", required=True, metavar=("FOLDER", "LINE"))
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes and vectors")
    parser.add_argument("--queries", type=int, help="only the first so many questions of each")
    parser.add_argument("--no-adapter", action="store_true")
    given = parser.parse_args(words)
    encoder = open_encoder(
        EncoderOptions(no_adapter=given.no_adapter), before=None, chunk_tokens=DEFAULTS.chunk_tokens, notice=print
    )
    subjects = [_open(Path(name), line, encoder, given.work, given.queries) for name, line in given.dataset]
    plain = CollectionsRetriever({subject.dataset.name: subject.plain for subject in subjects})
    with_context = CollectionsRetriever({subject.dataset.name: subject.with_context for subject in subjects})
    print("dataset (passages, questions), search, mode: nDCG@10 without, with a context, difference [95%]; own")
    for subject in subjects:
        passages = subject.plain.snapshot.manifest.chunks
        size = f"{subject.dataset.name} ({passages:,} passages, {len(subject.dataset.queries):,} questions)"
        for mode in MODES:
            alone = [_measured(subject, each, mode) for each in (subject.plain, subject.with_context)]
            print(f"{size}, alone, {mode}: {_compared(*alone)}", flush=True)
            if len(subjects) > 1:
                together = [_measured(subject, each, mode) for each in (plain, with_context)]
                print(
                    f"{size}, together, {mode}: {_compared(*together)}; "
                    f"own {together[0].own:.3f} {together[1].own:.3f}",
                    flush=True,
                )


def _open(folder: Path, line: str, encoder: EchoEncoder, work: Path, queries: int | None) -> Subject:
    dataset = read_evaluation_input(folder, limit=queries)
    if not isinstance(dataset, BeirDataset):
        raise SystemExit(f"{folder} is no dataset in BEIR format.")
    retrievers = []
    for name, context in (("plain", ""), ("context", line)):
        index = work / encoder.fingerprint[:8] / dataset.name / name
        index_documents(dataset.documents(), index, encoder=encoder, context=context)
        retrievers.append(Retriever.open(index, encoder=encoder))
    plain, with_context = retrievers
    indexed = IndexedDataset(dataset, plain, work=work, instruction=None, progress=lambda doing, done, total: None)
    return Subject(dataset, indexed.embeddings.echo, plain, with_context)


def _measured(subject: Subject, searcher: Searcher, mode: Mode) -> Measured:
    queries = subject.dataset.queries
    hits = {
        query.id: searcher.search(query.text, k=100, mode=mode, vector=vector)
        for query, vector in zip(queries, subject.questions, strict=True)
    }
    name = subject.dataset.name
    rankings = {query.id: _ranking(query, name, hits[query.id]) for query in queries}
    scores = ranking_scores(rankings, {query.id: query.grades for query in queries})["nDCG@10"]
    shares = [fmean(_is_own(hit, name) for hit in found[:_BEST]) for found in hits.values() if found]
    return Measured([scores[query.id] for query in queries], fmean(shares))


def _ranking(query: EvaluationQuery, name: str, hits: Sequence[Hit]) -> list[str]:
    """Return the documents in the order of their best passages; those of other datasets may have the same names."""
    keys: dict[str, None] = {}
    for hit in hits:
        found = query.keys(hit.source, hit.text) if _is_own(hit, name) else [f"{hit.collection}: {hit.source}"]
        keys |= dict.fromkeys(found)
    return [*keys]


def _is_own(hit: Hit, name: str) -> bool:
    return hit.collection in ("", name)


def _compared(plain: Measured, with_context: Measured) -> str:
    difference = mean_difference(with_context.scores, plain.scores)
    return (
        f"{fmean(plain.scores):.2f} {fmean(with_context.scores):.2f}, "
        f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"
    )


if __name__ == "__main__":
    main()
