"""Hybrid search: a passage with the code of the question comes before those that only look alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.lexical import names_code
from echo_index.retriever.search.retriever import Retriever

PORTS = ("Oslo", "Bergen", "Bodo", "Narvik", "Molde")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What is the crew size of Ship37?", True),
        ("ORA-12541", True),
        ("the mast of Boat-041", True),
        ("vitamin B12", True),
        ("ГОСТ-123", True),
        ("python3 or office365", True),
        ("IPv6", True),
        ("the 3rd and the 18th", False),
        ("a 2-point conversion in 1937", False),
        ("Wer ist der 1er?", False),
        ("C++", False),
        ("well-known", False),
        ("第3章", False),
        ("", False),
    ],
)
def test_codes_are_words_of_letters_and_digits(query: str, expected: bool) -> None:
    assert names_code(query) is expected


def test_the_row_of_a_long_table_is_found_by_its_key(tmp_path: Path, gemma: LanguageModel) -> None:
    rows = "\n".join(
        f"| Ship{number:02} | {1900 + number} | {40 + 3 * number} | {PORTS[number % 5]} |" for number in range(1, 60)
    )
    header = "| Name | Year of launch | Crew size | Home port |\n|---|---|---|---|"
    (tmp_path / "ships.md").write_text(f"# Register of ships\n\n{header}\n{rows}\n")
    encoder = EchoEncoder(gemma)
    build_index([Source.parse(str(tmp_path / "ships.md"))], tmp_path / "index", encoder=encoder)
    retriever = Retriever.open(tmp_path / "index", encoder=encoder)
    for question, number in (
        ("crew size of Ship37", 37),
        ("When was Ship12 launched?", 12),
        ("What is the home port of Ship55?", 55),
    ):
        best = retriever.search(question)[0]
        assert best.location.line == 4 + number
        assert best.table_header == header.split("\n")[0]
