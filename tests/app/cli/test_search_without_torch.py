"""A new process that searches once: it loads no torch, and finds the same. One that answers loads no LangChain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

_SEARCH = """
import json, sys
from echo_index.app.cli.main import main
sys.argv = ["echo-index", "search", *sys.argv[1:], "--json"]
try:
    main()
finally:
    assert "faiss" not in sys.modules, "only an approximate index needs it"
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.fixture
def index(tiny_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))  # without the weights that other tests store
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (notes / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    (notes / "box.md").write_text("# Boxes\n\nPack my box with five dozen liquor jugs.\n")
    build_index([Source.parse(str(notes))], tmp_path / "index", encoder=EchoEncoder(tiny_model, precision="int8"))
    return tmp_path / "index"


def search(*words: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the hits of a search in a new process, and whether it loaded torch."""
    run = subprocess.run([sys.executable, "-c", _SEARCH, *words], capture_output=True, text=True, check=True)
    return json.loads(run.stdout), run.stderr.split()[-1] == "True"


def test_only_the_first_search_of_an_int8_index_loads_torch(index: Path, tiny_model: LanguageModel) -> None:
    query = "Which fox jumps over a dog?"
    first, loads_torch = search(query, "--index", str(index))
    assert loads_torch
    second, loads_torch = search(query, "--index", str(index))
    assert not loads_torch
    expected = Retriever.open(index, encoder=EchoEncoder(tiny_model, precision="int8")).search(query, k=5)
    for hits in (first, second):
        assert [hit["source"] for hit in hits] == [hit.source for hit in expected]
        scores = [hit["dense"]["score"] for hit in hits]
        assert scores == pytest.approx([hit.dense.score for hit in expected if hit.dense], abs=0.05)


def test_not_even_the_first_search_after_a_build_loads_torch(index: Path) -> None:
    build = [sys.executable, "-m", "echo_index", "build", "--index", str(index), "--rebuild", "--precision", "int8"]
    subprocess.run(build, capture_output=True, check=True)
    assert not search("fox", "--index", str(index))[1]


def test_a_lexical_search_loads_no_torch(index: Path) -> None:
    hits, loads_torch = search("jugs", "--mode", "lexical", "--index", str(index))
    assert [Path(hit["source"]).name for hit in hits] == ["box.md"]
    assert not loads_torch


def test_an_instruction_is_part_of_the_query(index: Path) -> None:
    search("dog", "--index", str(index))
    plain, _ = search("dog", "--index", str(index), "--mode", "dense")
    instructed, loads_torch = search("dog", "--index", str(index), "--mode", "dense", "--instruction", "Find wizards.")
    assert not loads_torch
    assert [hit["dense"] for hit in plain] != [hit["dense"] for hit in instructed]


def test_an_answer_needs_no_langchain(index: Path) -> None:
    ask = """
import sys
from echo_index.app.cli.main import main
sys.argv = ["echo-index", "ask", "Which fox?", *sys.argv[1:], "--json"]
try:
    main()
finally:
    print({"langchain_core", "langsmith"} & {*sys.modules}, file=sys.stderr)
"""
    run = subprocess.run([sys.executable, "-c", ask, "--index", str(index)], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)["question"] == "Which fox?"
    assert run.stderr.splitlines()[-1] == "set()"
