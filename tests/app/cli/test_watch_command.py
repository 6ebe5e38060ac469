"""`build --watch` as a process of its own: what it prints, and how Ctrl-C ends it at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import pytest
from repository import ROOT, SOAK

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.document_queries import list_documents
from echo_index.retriever.search.retriever import Retriever

PATIENCE = 120  # seconds
_NUMBERS = count()
FILES, CHANGES = (2000, 500) if SOAK else (40, 40)


class Command:
    """A running command, and what it has printed."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self._log = folder / f"log{next(_NUMBERS)}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "300"}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "echo_index", *words],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline and self.process.poll() is None, self.said
            time.sleep(0.05)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)


@pytest.fixture
def watch(tmp_path: Path, tiny_folder: Path) -> Iterator[Callable[..., Command]]:
    """Return a function that starts to watch the folder `notes`."""
    started: list[Command] = []

    def start(*words: str) -> Command:
        command = Command(tmp_path, "build", *(words or ("notes",)), "--watch", "--model", str(tiny_folder))
        started.append(command)
        return command

    (tmp_path / "notes").mkdir()
    yield start
    for command in started:
        command.process.kill()
        command.process.wait()


def paths(folder: Path) -> list[str]:
    return [document.path for document in list_documents(open_snapshot(folder / ".echo-index", index_device="cpu"))]


def test_it_builds_then_builds_what_changes_and_ends_with_ctrl_c(watch: Callable[..., Command], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (notes / "fox.md").write_text("The quick brown fox.")
    command = watch()
    command.until(lambda: "Watching notes; press Ctrl-C to stop." in command.said)
    assert "Files: 1 new; 1 passage embedded" in command.said
    (notes / "vow.md").write_text("Seven wizards.")
    command.until(lambda: "1 new, 1 unchanged; 1 passage embedded." in command.said)
    assert paths(tmp_path) == ["notes/fox.md", "notes/vow.md"]
    (notes / "broken.pdf").write_bytes(b"This is no document.")
    command.until(lambda: "Not read: notes/broken.pdf: " in command.said)
    (notes / "fox.md").unlink()
    command.until(lambda: "1 unchanged, 1 removed" in command.said or "2 unchanged, 1 removed" in command.said)
    assert command.said.count("Not read: ") == 1, "only what is new"
    assert command.interrupt() == 130
    assert command.said.endswith("Stopped watching.\n") and "Traceback" not in command.said


def test_after_many_changes_the_index_equals_a_fresh_build(
    watch: Callable[..., Command], tmp_path: Path, tiny_folder: Path
) -> None:
    """Documents are created, edited, renamed and deleted while others search, which never fails."""
    random = Random(3)
    notes = tmp_path / "notes"
    for number in range(FILES):
        folder = notes / f"folder{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.md").write_text(f"# Note {number}\n\nThe fox counts {number} wizards.\n")
    command = watch()
    command.until(lambda: "Watching notes" in command.said)
    retriever = Retriever.open(tmp_path / ".echo-index", model=str(tiny_folder), device="cpu", index_device="cpu")
    searches = 0
    for number in range(CHANGES):
        file = random.choice(sorted(notes.rglob("*.md")))
        match number % 4:
            case 0:
                (notes / f"new{number}.md").write_text(f"# New {number}\n\nA wizard counts {number} foxes.\n")
            case 1:
                file.write_text(f"# Edited {number}\n\nThe fox forgets {number} wizards.\n")
            case 2:
                file.rename(file.with_name(f"renamed{number}.md"))
            case _:
                file.unlink()
        if number % 5 == 0:
            searches += len(retriever.search(f"fox number {number}", k=5)) == 5
        time.sleep(0.02)
    assert searches == len(range(0, CHANGES, 5))
    expected = sorted(str(file.relative_to(tmp_path)) for file in notes.rglob("*.md"))
    command.until(lambda: paths(tmp_path) == expected)
    fresh = Command(tmp_path, "build", "notes", "--index", "fresh", "--model", str(tiny_folder))
    assert fresh.process.wait(timeout=10 * PATIENCE) == 0, fresh.said
    command.until(lambda: contents(tmp_path / ".echo-index").keys() == contents(tmp_path / "fresh").keys())
    watched, built = contents(tmp_path / ".echo-index"), contents(tmp_path / "fresh")
    for passage, vector in built.items():
        # A passage has the same vector but for rounding, whatever it was embedded together with.
        np.testing.assert_allclose(watched[passage], vector, atol=1e-4)
    assert command.interrupt() == 130 and "Error" not in command.said


def contents(index: Path) -> dict[tuple[str, str], np.ndarray]:
    """Return the vector, not normalized, of each passage by its document and text."""
    snapshot = open_snapshot(index, index_device="cpu")
    with snapshot.reading():
        ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation).tolist()
        vectors = snapshot.catalog.vectors_of(ids)
        stored = snapshot.stored_chunks(ids)
        return {(stored[key].path, stored[key].chunk.text): row for key, row in zip(ids, vectors, strict=True)}


def test_an_empty_folder_is_watched_for_its_first_document(watch: Callable[..., Command], tmp_path: Path) -> None:
    command = watch()
    command.until(lambda: "Watching notes" in command.said)
    assert "Error: There is no document to index in notes." in command.said
    (tmp_path / "notes" / "fox.md").write_text("The quick brown fox.")
    command.until(lambda: "1 new; 1 passage embedded." in command.said)
    assert command.interrupt() == 130


def test_ctrl_c_in_the_middle_of_a_build_keeps_what_was_embedded(watch: Callable[..., Command], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (notes / "fox.md").write_text("The quick brown fox.")
    command = watch()
    command.until(lambda: "Watching notes" in command.said)
    for number in range(600):
        (notes / f"{number}.md").write_text(f"# Page {number}\n\n" + f"The fox number {number} jumps. " * 60)
    command.until((tmp_path / ".echo-index" / "writer.pid").exists)
    assert command.interrupt() == 130
    assert "Stopped. What was embedded is kept; run the same command again" in command.said
    assert "Traceback" not in command.said
    assert paths(tmp_path) == ["notes/fox.md"], "the earlier index"


def test_a_mistake_of_the_user_ends_it(watch: Callable[..., Command], tmp_path: Path) -> None:
    command = watch("nowhere")
    assert command.process.wait(timeout=PATIENCE) == 1
    assert "There is no file or folder at nowhere." in command.said
