"""Files of questions with gold answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_files import json_lines

from echo_index.errors import SourceError
from echo_index.retriever.answer_evaluation.answer_questions import AnswerQuestion, read_answer_questions

FERRY = {"question": "When does the ferry leave?", "answers": ["at eight", "eight"], "document": "ferry.md"}


def test_answers_and_documents_are_one_text_or_several(tmp_path: Path) -> None:
    several = {"id": "x", "question": "Who?", "answers": "Brandt", "document": ["castle.md", "town.md"]}
    file = json_lines(tmp_path / "questions.jsonl", [FERRY, several])
    assert read_answer_questions(file) == (
        AnswerQuestion("1", "When does the ferry leave?", ("at eight", "eight"), ("ferry.md",), 1),
        AnswerQuestion("x", "Who?", ("Brandt",), ("castle.md", "town.md"), 2),
    )
    assert len(read_answer_questions(file, limit=1)) == 1


@pytest.mark.parametrize(("limit", "ids"), [(3, ["1", "4", "7"]), (9, None), (20, None), (None, None)])
def test_some_questions_are_from_all_parts_of_the_file(
    tmp_path: Path, limit: int | None, ids: list[str] | None
) -> None:
    file = json_lines(tmp_path / "questions.jsonl", [FERRY] * 9)
    found = [question.id for question in read_answer_questions(file, limit=limit)]
    assert found == (ids or [str(number) for number in range(1, 10)])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({**FERRY, "answers": []}, r'Line 2 of .* has no text under "answers"'),
        ({**FERRY, "answers": ["eight", " "]}, r'Line 2 of .* has no text under "answers"'),
        ({**FERRY, "answers": 8}, r'Line 2 of .* has no text under "answers"'),
        ({**FERRY, "document": None}, r'Line 2 of .* has no text under "document"'),
        ({**FERRY, "id": "1"}, r"Line 2 of .* has the \"id\" '1' of line 1 again"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_answer_questions(json_lines(tmp_path / "questions.jsonl", [FERRY, line]))


def test_a_file_without_a_question_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no question"):
        read_answer_questions(json_lines(tmp_path / "questions.jsonl", []))
