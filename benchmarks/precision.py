"""Does a faster precision find the right passage as often? nDCG@10 of one set of questions, for each precision.

    python -m benchmarks.precision FOLDER... [--questions 300] [--work DIR] [--model NAME]

Each folder has a corpus, queries and judgements in BEIR's layout. Every document becomes a file and is indexed as a
person's would be; a document is as good as its best passage. The difference to fp32 stands with its 95 % interval, by
bootstrap over the questions. Indexes are kept in the working folder: a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from echo_embeddings import DEFAULT_MODEL, EchoEncoder, LanguageModel, load_model
from indexer import Source, build_index
from retriever import Mode, Retriever

Scores = npt.NDArray[np.float64]
Precision = Literal["fp32", "bf16", "int8"]

_DEPTH = 10  # of nDCG
_PASSAGES = 50  # looked at for so many documents
_RESAMPLES = 2000


def main(words: Sequence[str] | None = None) -> None:
    """Print a row for each set, mode and precision."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.precision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--questions", type=int, default=300, help="only the first so many")
    parser.add_argument("--precisions", type=lambda names: names.split(","), default=["int8"])
    parser.add_argument("--work", type=Path, default=Path("precision-work"))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    given = parser.parse_args(words)
    model = load_model(given.model)
    print(f"{given.model}; nDCG@{_DEPTH} x100")
    print(
        f"{'set':16}{'questions':>10}  {'mode':9}{'precision':>10}{'nDCG@10':>9}{'to fp32':>9}  95 % interval",
        flush=True,
    )
    for folder in given.folders:
        questions, judged = _questions(folder, most=given.questions)
        scores: dict[tuple[Mode, str], Scores] = {}
        for precision in ("fp32", *given.precisions):
            retriever = _indexed(folder, given.work, model=model, precision=precision)
            for mode in get_args(Mode):
                ranked = [_documents(retriever, question, mode) for question in questions.values()]
                scores[mode, precision] = np.array(
                    [ndcg(ranking, judged[query]) for query, ranking in zip(questions, ranked, strict=True)]
                )
        for (mode, precision), found in scores.items():
            told = "" if precision == "fp32" else _difference(found - scores[mode, "fp32"])
            print(
                f"{folder.name:16}{len(questions):10}  {mode:9}{precision:>10}{100 * found.mean():9.1f}{told}",
                flush=True,
            )


def ndcg(ranking: Sequence[str], grades: dict[str, int], *, depth: int = _DEPTH) -> float:
    """Return the discounted gain of a ranking's first documents, as a share of the best ranking's.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002; as in trec_eval, a grade is
    the gain.
    """
    discounts = 1 / np.log2(np.arange(2, depth + 2))

    def gain(found: Sequence[int]) -> float:
        gains = np.array(found[:depth], dtype=np.float64)
        return float(gains @ discounts[: len(gains)])

    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(document, 0) for document in ranking]) / best if best else 0.0


def _questions(folder: Path, *, most: int) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Return the texts of the questions that are judged, and the grades of their documents, which count from 0."""
    judged: dict[str, dict[str, int]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            judged.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    numbers = {line["_id"]: str(number) for number, line in enumerate(_lines(folder / "corpus.jsonl"))}
    texts = {line["_id"]: line["text"] for line in _lines(folder / "queries.jsonl") if line["_id"] in judged}
    graded = {
        query: {numbers[document]: grade for document, grade in grades.items()} for query, grades in judged.items()
    }
    return dict(list(texts.items())[:most]), graded


def _indexed(folder: Path, work: Path, *, model: LanguageModel, precision: Precision) -> Retriever:
    documents = work / folder.name / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(_lines(folder / "corpus.jsonl")):
        path = documents / f"{number}.md"
        if not path.exists():
            title = " ".join(line.get("title", "").split())
            path.write_text(f"# {title}\n\n{line['text']}\n" if title else f"{line['text']}\n", encoding="utf-8")
    encoder = EchoEncoder(model, precision=precision)
    index = work / folder.name / precision
    build_index([Source.parse(str(documents))], index, encoder=encoder)
    return Retriever.open(index, encoder=encoder)


def _documents(retriever: Retriever, question: str, mode: Mode) -> list[str]:
    """Return the numbers of the best documents, each by its best passage."""
    hits = retriever.search(question, k=_PASSAGES, mode=mode)
    return list(dict.fromkeys(Path(hit.source).stem for hit in hits))


def _difference(differences: Scores) -> str:
    random = np.random.default_rng(0)
    means = [100 * random.choice(differences, len(differences)).mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * differences.mean():+9.1f}  {low:+.1f} to {high:+.1f}"


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


if __name__ == "__main__":
    main()
