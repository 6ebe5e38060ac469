"""Where sentences end, for each use of them."""

from __future__ import annotations

import re
import time

import pytest

from echo_index.indexer.text.sentences import (
    ANSWER_SENTENCE_END,
    CHUNK_SENTENCE_END,
    SENTENCE_BREAK,
    SENTENCE_OR_LINE_END,
)


def test_a_text_is_split_at_sentences_and_lines() -> None:
    text = "Version 3.11 is new. Is it?\n\nA heading\n    code 漢字。漢字？ End"
    assert [piece.strip() for piece in SENTENCE_BREAK.split(text) if piece] == [
        "Version 3.11 is new.", "Is it?", "A heading", "code 漢字。", "漢字？", "End",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (CHUNK_SENTENCE_END, [".” ", "。」", ". "]),
        (SENTENCE_OR_LINE_END, [".”", "\n", "؟", "。」", "."]),
        (ANSWER_SENTENCE_END, [".”", "\n", "。", ". [1] [2]"]),
    ],
    ids=["chunk", "highlight", "answer"],
)
def test_each_expression_has_its_own_ends(expression: re.Pattern[str], expected: list[str]) -> None:
    text = "“So.” A\nline؟ of 漢字。」and more. [1] [2]"
    assert [match[0] for match in expression.finditer(text)] == expected


@pytest.mark.parametrize(
    "expression", [SENTENCE_BREAK, CHUNK_SENTENCE_END, SENTENCE_OR_LINE_END, ANSWER_SENTENCE_END], ids=range(4)
)
@pytest.mark.parametrize("piece", ["word ", "\n", ". ", "。"])
def test_the_search_is_linear_in_ordinary_text(expression: re.Pattern[str], piece: str) -> None:
    begun = time.process_time()
    assert expression.split(piece * 200_000)
    assert time.process_time() - begun < 2
