"""Superscripts in plain text."""

from __future__ import annotations

import pytest

from echo_index.indexer.documents.readers.scripts import superscript


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        ("3·10", "14", "^14"),
        ("10", "-5", "^-5"),
        ("10", "−5", "^−5"),
        ("x", " 2 ", "^2"),
        ("2", "n", "^n"),
        ("x", "n + 1", "^(n + 1)"),
        ("1", "st", "st"),
        ("21", "e", "e"),
        ("M", "lle", "lle"),
        ("Foo", "TM", "TM"),
        ("word", "[1]", "[1]"),
        ("word", "*", "*"),
        ("word", " ", " "),
    ],
)
def test_a_superscript_can_be_told_from_the_text_before_it(before: str, text: str, expected: str) -> None:
    assert superscript(text, before=before) == expected
