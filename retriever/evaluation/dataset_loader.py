"""Load evaluation data from a path: a BEIR dataset, a file of questions, or pairs of sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from echo_index.errors import SourceError
from echo_index.retriever.evaluation.datasets import (
    CORPUS,
    BeirDataset,
    EvaluationInput,
    EvaluationQuery,
    QuestionFile,
    RelevanceJudgement,
    SentencePairs,
)
from echo_index.retriever.evaluation.record_reader import open_text, read_json_lines, read_table

_QUERIES, _JUDGEMENTS = "queries.jsonl", "qrels/test.tsv"
_MIN_PAIRS = 3  # a correlation of fewer pairs means nothing


def read_evaluation_input(path: Path, *, limit: int | None = None) -> EvaluationInput:
    """Read evaluation data; only the first `limit` queries or pairs if given.

    A folder is a dataset in BEIR's layout. A file whose first line starts with a brace is a question file in JSON
    lines; any other file is a tab-separated table of sentence pairs with a header.

    Raises:
        SourceError: the data cannot be read or is malformed; the message names file and line.
    """
    if path.is_dir():
        return _beir_dataset(path, limit)
    with open_text(path) as file:
        first = file.readline()
    return _question_file(path, limit) if first.startswith("{") else _sentence_pairs(path, limit)


def read_corpus(folder: Path) -> BeirDataset:
    """Return the corpus of a dataset in BEIR's layout, without queries.

    Raises:
        SourceError: the folder has no corpus.
    """
    if not (folder / CORPUS).exists():
        raise SourceError(
            f"{folder} is no collection: it has no {CORPUS}.",
            remedy=f"A folder in BEIR's layout has {CORPUS}, {_QUERIES} and {_JUDGEMENTS}.",
        )
    return BeirDataset(folder.resolve().name, folder, ())


def read_texts(folder: Path) -> Iterator[str]:
    """Yield all queries and documents of a dataset in BEIR's layout, whether they are judged or not.

    Raises:
        SourceError: the folder has no corpus, or a file cannot be read.
    """
    read_corpus(folder)
    for name in (CORPUS, _QUERIES):
        for line in read_json_lines(folder / name):
            yield f"{line.text('title', default='')} {line.text('text', default='')}".strip()


def _beir_dataset(folder: Path, limit: int | None) -> BeirDataset:
    corpus = read_corpus(folder)
    texts = {line.text("_id"): line.text("text") for line in read_json_lines(folder / _QUERIES)}
    judgements: dict[str, list[RelevanceJudgement]] = {}
    for line in read_table(folder / _JUDGEMENTS, columns=("query-id", "corpus-id", "score")):
        query = line.text("query-id")
        if query not in texts:
            raise line.error(f"names the query {query!r}, which {_QUERIES} does not have")
        judgement = RelevanceJudgement(line.text("corpus-id"), grade=line.integer("score"), line=line.number)
        judgements.setdefault(query, []).append(judgement)
    is_shared = _queries_are_documents(judgements)
    queries = [
        EvaluationQuery(query, text, tuple(judgements[query]), own_document=query if is_shared else None)
        for query, text in texts.items()
        if query in judgements
    ]
    return replace(corpus, queries=_first(queries, limit, folder / _JUDGEMENTS))


def _queries_are_documents(judgements: Mapping[str, Sequence[RelevanceJudgement]]) -> bool:
    """Return whether a query and a document with the same id are the same text, as in ArguAna and Quora.

    Ids may also be numbers that both count from 1. Then some query finds the document with its own number relevant,
    which a text never is to itself.
    """
    return not any(
        judgement.document == query and judgement.grade > 0
        for query, judged in judgements.items()
        for judgement in judged
    )


def _question_file(path: Path, limit: int | None) -> QuestionFile:
    """Read a question file; lines with the same question are one query with several judgements."""
    judgements: dict[str, list[RelevanceJudgement]] = {}
    for line in read_json_lines(path):
        judgement = RelevanceJudgement(
            line.text("page"),
            grade=line.integer("grade", default=1),
            quotation=line.text("passage", default=""),
            line=line.number,
        )
        judgements.setdefault(line.text("question"), []).append(judgement)
    queries = [EvaluationQuery(str(judged[0].line), text, tuple(judged)) for text, judged in judgements.items()]
    return QuestionFile(path.stem, path, _first(queries, limit, path))


def _sentence_pairs(path: Path, limit: int | None) -> SentencePairs:
    lines = [*read_table(path, columns=("score", "sentence1", "sentence2"))][:limit]
    if len(lines) < _MIN_PAIRS:
        raise SourceError(f"{path} has fewer than {_MIN_PAIRS} pairs of sentences.")
    return SentencePairs(
        path.stem,
        path,
        first=tuple(line.text("sentence1") for line in lines),
        second=tuple(line.text("sentence2") for line in lines),
        scores=tuple(line.number_field("score") for line in lines),
    )


def _first(queries: list[EvaluationQuery], limit: int | None, path: Path) -> tuple[EvaluationQuery, ...]:
    if not queries:
        raise SourceError(f"{path} has no question.")
    return tuple(queries[:limit])
