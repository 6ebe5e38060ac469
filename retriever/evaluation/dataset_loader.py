"""A path becomes what can be evaluated on: a BEIR collection, a file of questions, or pairs of sentences."""

from __future__ import annotations

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
from echo_index.retriever.evaluation.record_reader import json_lines, opened, table_lines

_QUERIES, _JUDGEMENTS = "queries.jsonl", "qrels/test.tsv"
_LEAST_PAIRS = 3  # of fewer, a correlation says nothing


def read_evaluation_input(path: Path, *, most: int | None = None) -> EvaluationInput:
    """Read what lies at `path`, recognised by what it is; of its questions or pairs only the first `most`.

    A folder is a collection in BEIR's layout. A file whose first line begins with a brace has a question in each line;
    any other has pairs of sentences, separated by tabs under a header.

    Raises:
        SourceError: it cannot be read, or is not what it seems; the message names file and line.
    """
    if path.is_dir():
        return _beir_collection(path, most)
    with opened(path) as file:
        first = file.readline()
    return _question_file(path, most) if first.startswith("{") else _sentence_pairs(path, most)


def _beir_collection(folder: Path, most: int | None) -> BeirDataset:
    if not (folder / CORPUS).exists():
        raise SourceError(
            f"{folder} is no collection: it has no {CORPUS}.",
            remedy=f"A folder in BEIR's layout has {CORPUS}, {_QUERIES} and {_JUDGEMENTS}.",
        )
    texts = {line.text("_id"): line.text("text") for line in json_lines(folder / _QUERIES)}
    judged: dict[str, list[RelevanceJudgement]] = {}
    for line in table_lines(folder / _JUDGEMENTS, columns=("query-id", "corpus-id", "score")):
        query = line.text("query-id")
        if query not in texts:
            raise line.error(f"names the query {query!r}, which {_QUERIES} does not have")
        right = RelevanceJudgement(line.text("corpus-id"), grade=line.grade_of("score"), line=line.number)
        judged.setdefault(query, []).append(right)
    queries = [EvaluationQuery(query, text, tuple(judged[query])) for query, text in texts.items() if query in judged]
    return BeirDataset(folder.resolve().name, folder, _first(queries, most, folder / _JUDGEMENTS))


def _question_file(path: Path, most: int | None) -> QuestionFile:
    """Read the questions; lines with the same question are one, with several right passages."""
    asked: dict[str, list[RelevanceJudgement]] = {}
    for line in json_lines(path):
        right = RelevanceJudgement(
            line.text("page"),
            grade=line.grade_of("grade", default=1),
            quotation=line.text("passage", default=""),
            line=line.number,
        )
        asked.setdefault(line.text("question"), []).append(right)
    queries = [EvaluationQuery(str(right[0].line), text, tuple(right)) for text, right in asked.items()]
    return QuestionFile(path.stem, path, _first(queries, most, path))


def _sentence_pairs(path: Path, most: int | None) -> SentencePairs:
    lines = [*table_lines(path, columns=("score", "sentence1", "sentence2"))][:most]
    if len(lines) < _LEAST_PAIRS:
        raise SourceError(f"{path} has fewer than {_LEAST_PAIRS} pairs of sentences.")
    return SentencePairs(
        path.stem,
        path,
        first=tuple(line.text("sentence1") for line in lines),
        second=tuple(line.text("sentence2") for line in lines),
        scores=tuple(line.number_of("score") for line in lines),
    )


def _first(queries: list[EvaluationQuery], most: int | None, path: Path) -> tuple[EvaluationQuery, ...]:
    if not queries:
        raise SourceError(f"{path} has no question.")
    return tuple(queries[:most])
