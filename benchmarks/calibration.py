"""Compare calibration, which has no labels, with the choice by labels. One row for each dataset.

    python -m benchmarks.calibration FOLDER... [--questions 150] [--model NAME] [--adapter FOLDER] [--work FOLDER]

Each folder has a corpus, queries and judgements in BEIR's layout; a document is its title and its first 110 words. The
choice of `echo-index calibrate` is compared with all that it tried with the encoder's own prompts and pooling. The best
of these by labels is partly so by rng: therefore labels also choose on half of the questions, and are compared on
the other half (500 random halves). Vectors are cached in the work folder.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.layer_views import LayerView
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.text.language_detection import detect_language
from echo_index.indexer.text.synthetic_queries import synthetic_queries
from echo_index.indexer.vectors.normalization_estimate import estimate_normalization
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset
from echo_index.retriever.evaluation.metrics import METRICS, ranking_scores
from echo_index.retriever.tuning.calibration import Choice, calibrate, combine_views
from echo_index.retriever.tuning.inverse_cloze import SourcePassage

Scores = npt.NDArray[np.float64]

_WORDS = 110  # of a document
_NORMALIZATION_SAMPLE = 200  # documents with synthetic queries, as many as an index uses
_HALVES = 500
_RANKED = 100  # documents


@dataclass(frozen=True)
class Text:
    """A document of a dataset."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, eq=False)
class Views:
    """Unit vectors float16 (views, n, dimension) of documents, questions, and synthetic queries of a sample."""

    names: tuple[LayerView, ...]
    documents: np.ndarray
    questions: np.ndarray
    synthetic_queries: np.ndarray
    sampled: tuple[int, ...]


def main(words: Sequence[str] | None = None) -> None:
    """Print the choices of calibration and of labels, and the difference of their nDCG@10."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--questions", type=int, default=150)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--work", type=Path, default=Path("calibration-work"))
    given = parser.parse_args(words)
    encoder = EchoEncoder(load_model(given.model, adapter=given.adapter)).with_precision("auto")
    given.work.mkdir(parents=True, exist_ok=True)
    print(f"nDCG@10 x100 of dense search with {given.model}; by labels, less what was calibrated: of all, of halves")
    print(f"{'set':12}{'asked':>6}{'tried':>6}  {'calibrated':26}{'best by labels':26}{'all':>5}{'halves':>8}")
    for folder in given.folders:
        collection = read_evaluation_input(folder)
        if not isinstance(collection, BeirDataset):
            parser.error(f"{folder} is no folder in BEIR's layout.")
        print(row_of(collection, encoder, questions=given.questions, work=given.work), flush=True)


def row_of(collection: BeirDataset, encoder: EchoEncoder, *, questions: int, work: Path) -> str:
    """Calibrate on the documents of a dataset, score all trials by its labels, and return a row of the table."""
    texts = [
        Text(name, document.title, " ".join(document.text.split()[:_WORDS]))
        for name, document in collection.documents()
        if document.text
    ]
    passages = [SourcePassage((each.title,) if each.title else (), each.text) for each in texts]
    random.Random(0).shuffle(passages)
    found = calibrate(encoder, passages[: 3 * questions], queries=questions)
    own, calibrated = found.before.choice, found.chosen.choice
    own_choices = [
        trial.choice
        for trial in found.trials
        if trial.choice.prompts == own.prompts and trial.choice.pooling is own.pooling
    ]
    scores = {}
    for way in dict.fromkeys([(own.prompts, own.pooling), (calibrated.prompts, calibrated.pooling)]):
        choices = [each for each in dict.fromkeys([*own_choices, calibrated]) if (each.prompts, each.pooling) == way]
        views = read_views(collection, texts, encoder, choices, work)
        tuned = encoder.model.adapter_name is not None
        scores |= {choice: ndcg(collection, texts, views, choice, tuned=tuned) for choice in choices}
    best = max(scores, key=lambda choice: scores[choice].mean())
    return (
        f"{collection.name:12}{len(collection.queries):6}{len(scores):6}  "
        f"{_choice_cell(calibrated, scores):26}{_choice_cell(best, scores):26}"
        f"{scores[best].mean() - scores[calibrated].mean():5.1f}"
        f"{of_halves(np.stack([*scores.values()]), scores[calibrated]):8.1f}"
    )


def of_halves(scores: Scores, calibrated: Scores) -> float:
    """Return how much better the best choice on half of the questions is on the other half, on average."""
    rng = np.random.default_rng(0)
    count = scores.shape[1]
    differences = []
    for _ in range(_HALVES):
        order = rng.permutation(count)
        half, other = order[: count // 2], order[count // 2 :]
        best = scores[scores[:, half].mean(axis=1).argmax()]
        differences.append(best[other].mean() - calibrated[other].mean())
    return float(np.mean(differences))


def ndcg(collection: BeirDataset, texts: Sequence[Text], views: Views, choice: Choice, *, tuned: bool) -> Scores:
    """Return nDCG@10 x100 of each question, with the normalization that an index of these documents would have."""
    documents, questions, synthetic = (
        combine_views(choice.views, views.names, vectors)
        for vectors in (views.documents, views.questions, views.synthetic_queries)
    )
    sampled = documents[list(views.sampled)]
    normalization = estimate_normalization(
        documents.mean(axis=0), sampled, synthetic, passages=len(documents), tuned=tuned
    )
    cosines = normalization.normalize_queries(questions) @ normalization.normalize_documents(documents).T
    rankings = {
        question.id: [texts[place].id for place in np.argsort(-row)[:_RANKED]]
        for question, row in zip(collection.queries, cosines, strict=True)
    }
    judged = {question.id: question.grades for question in collection.queries}
    return np.array([*ranking_scores(rankings, judged)[METRICS[0]].values()])


def read_views(
    collection: BeirDataset, texts: Sequence[Text], encoder: EchoEncoder, choices: Sequence[Choice], work: Path
) -> Views:
    """Return the views of choices with the same prompts and pooling; they are embedded once and cached."""
    prompts, pooling = choices[0].prompts, choices[0].pooling
    names = sorted(
        {(view.text_pass, view.layer) for choice in choices for view in choice.views},
        key=lambda each: (each[0].value, each[1]),
    )
    reader = encoder.with_options(
        document_prompt=EchoPrompt(prompts.document),
        query_prompt=EchoPrompt(prompts.query),
        pooling=pooling,
        layer="+".join(str(LayerView(copy, layer)) for copy, layer in names),
    )
    sampled, queries = _sample_queries(texts)
    to_embed = {
        "documents": [embedded_text("", (each.title,) if each.title else (), each.text) for each in texts],
        "questions": [question.text for question in collection.queries],
        "wordings": queries,
    }
    vectors_of = {}
    for name, inputs in to_embed.items():
        key = hashlib.sha256("\0".join([reader.fingerprint, name, *inputs]).encode()).hexdigest()
        path = work / f"{collection.name}-{name}-{key[:16]}.npy"
        if not path.exists():
            batches = reader.document_views(inputs) if name == "documents" else reader.query_views(inputs)
            vectors = _gather(batches, (len(names), len(inputs), reader.dimension))
            replace_file(path, partial(_save, vectors))
        vectors_of[name] = np.load(path)
    return Views(
        reader.views,
        vectors_of["documents"],
        vectors_of["questions"],
        synthetic_queries=vectors_of["wordings"],
        sampled=tuple(sampled),
    )


def _save(vectors: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:  # NumPy would add a suffix to a path
        np.save(file, vectors)


def _gather(batches: Iterator[tuple[list[int], list[Vectors]]], shape: tuple[int, int, int]) -> np.ndarray:
    vectors = np.empty(shape, dtype=np.float16)
    for positions, views in batches:
        vectors[:, positions] = views
    return vectors


def _sample_queries(texts: Sequence[Text]) -> tuple[list[int], list[str]]:
    """Return the sampled documents and their synthetic queries: the first of every document, then the second, …"""
    rng = random.Random(0)
    queries_of = {}
    for number in rng.sample(range(len(texts)), min(_NORMALIZATION_SAMPLE, len(texts))):
        text = "\n".join(part for part in (texts[number].title, texts[number].text) if part)
        queries = synthetic_queries(text, languages=[detect_language(text)], rng=rng)
        if queries is not None:
            queries_of[number] = queries
    return [*queries_of], [query for queries in zip(*queries_of.values(), strict=True) for query in queries]


def _choice_cell(choice: Choice, scores: dict[Choice, Scores]) -> str:
    return f"{'+'.join(map(str, choice.views))} {scores[choice].mean():.1f}"


if __name__ == "__main__":
    main()
