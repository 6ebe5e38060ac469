"""Read questions with their gold answers and the documents that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from echo_index.errors import SourceError
from echo_index.retriever.evaluation.record_reader import read_json_lines


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    """A question, its gold answers, any of which is right, and the documents that hold the answer.

    `line` is the number of its line in the file.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[str, ...]
    line: int


def read_answer_questions(path: Path, *, limit: int | None = None) -> tuple[AnswerQuestion, ...]:
    """Read a file of JSON lines: {"question": …, "answers": [gold, …], "document": …}, optionally with an "id".

    "answers" and "document" are each one text or a list of texts. At most `limit` questions are returned, if
    given, at equal distances in the file: neighbours are often about the same document.

    Raises:
        SourceError: the file cannot be read, has no question, or a line lacks a field or repeats an id.
    """
    questions: dict[str, AnswerQuestion] = {}
    for line in read_json_lines(path):
        identifier = line.text("id", default=str(line.number))
        if identifier in questions:
            raise line.error(f'has the "id" {identifier!r} of line {questions[identifier].line} again')
        questions[identifier] = AnswerQuestion(
            identifier, line.text("question"), line.texts("answers"), line.texts("document"), line.number
        )
    if not questions:
        raise SourceError(
            f"{path} has no question.", remedy='Write lines like {"question": "…", "answers": ["…"], "document": "…"}.'
        )
    found = tuple(questions.values())
    count = len(found) if limit is None else min(limit, len(found))
    return tuple(found[position * len(found) // count] for position in range(count))
