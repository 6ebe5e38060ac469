"""ask --document: what is printed while a document is read, after it, and when it is interrupted."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from facts import write_facts
from recording_model import Recording
from rich.console import Console

from echo_index.app.cli.document_answer import find_document, print_document_answer
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.errors import QuestionError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.document_queries import IndexedDocument
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag import whole_document

Find = Callable[[str], IndexedDocument]
GUIDE = "# The museum\n\nHanna Kvist carved the loom from pear wood.\n\n# Hours\n\nIt closes at three in winter.\n"


@pytest.fixture
def find(tmp_path: Path, encoder: EchoEncoder) -> Find:
    """Return a function that finds a document by its name in an index of the facts and a guide of two sections."""
    folder = write_facts(tmp_path / "facts")
    (folder / "museum.md").write_text(GUIDE, encoding="utf-8")
    build_index([Source.parse(str(folder))], tmp_path / "index", encoder=encoder)
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    return lambda name: find_document(name, snapshot, tmp_path / "index")


class Interrupted(Recording):
    """Is interrupted while it reads the second part."""

    def _call(self, messages: list[object], *args: object, **kwargs: object) -> str:  # type: ignore[override]
        if len(self.prompts) == 1:
            raise KeyboardInterrupt
        return super()._call(messages, *args, **kwargs)  # type: ignore[arg-type]


def printed(document: IndexedDocument, model: Recording, *, asked: str | None = None, json: bool = False) -> str:
    """Return what is printed, and after a line of dashes what is noticed."""
    out, notices = io.StringIO(), io.StringIO()
    try:
        print_document_answer(
            document,
            asked,
            model=model,
            json=json,
            out=Console(file=out, width=200),
            err=Console(file=io.StringIO()),
            notice=lambda line: print(line, file=notices),
        )
    except typer.Exit as ended:
        print(f"exit code {ended.exit_code}", file=notices)
    return f"{out.getvalue()}---\n{notices.getvalue()}"


def test_a_document_is_found_by_name_file_or_glob(find: Find, tmp_path: Path) -> None:
    for name in (str(tmp_path / "facts" / "museum.md"), "*museum*", find("*museum*").path):
        assert find(name).title == "The museum"
    with pytest.raises(QuestionError, match=r"\* matches 5 documents, .*archive.md and .*bridge.md among them"):
        find("*")
    with pytest.raises(QuestionError, match=r"There is no document nothing\.md"):
        find("nothing.md")


def test_the_summary_is_printed_with_the_places_that_it_cites(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_document, "_PART_TOKENS", 16)
    model = Recording(responses=["Hanna Kvist carved it.", "It closes at three.", "Hanna Kvist carved the loom."])
    shown = printed(find("*museum*"), model)
    assert shown.startswith("Hanna Kvist carved the loom. [1]\n\n[1] The museum")
    assert "museum.md:3" in shown
    assert model.prompts[-1].endswith("Hanna Kvist carved it.\n\nIt closes at three.")


def test_the_answer_is_printed_as_json(find: Find) -> None:
    model = Recording(responses=["It closes at three in winter."])
    shown = printed(find("*museum*"), model, asked="When does it close?", json=True)
    answer = json.loads(shown.partition("---")[0])
    assert answer["found"]
    assert answer["question"] == "When does it close?"
    assert answer["text"] == "It closes at three in winter. [1]"


def test_what_was_read_before_an_interrupt_is_printed(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_document, "_PART_TOKENS", 16)
    model = Interrupted(responses=["Hanna Kvist carved it."])
    shown = printed(find("*museum*"), model)
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines[0].endswith("museum.md:1")
    assert lines[1] == "   Hanna Kvist carved it."
    assert shown.endswith("---\nStopped after 1 of 2 parts.\nexit code 130\n")
