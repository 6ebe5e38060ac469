"""An index that is watched: what it holds is always what a new build would find, and errors do not end the watch."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, contents, documents, write

from echo_index.app.services import change_events, index_watch
from echo_index.app.services.change_events import ChangeEvents
from echo_index.app.services.index_watch import IndexWatch
from echo_index.errors import IndexBusy, IndexUnwritable, StoreError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

PATIENCE = 60  # seconds


class Watched:
    """A watch in a thread: the number of its builds, and what it says. `errors` are raised by the next builds."""

    def __init__(self, index: Path, sources: Sequence[str], *, polling: bool = False) -> None:
        self.index = index
        self.builds = 0
        self.lines: list[str] = []
        self.errors: list[Exception] = []
        self._given = [Source.remembered(source) for source in sources]
        self.events = ChangeEvents(
            lambda: self._given, ignored=[index], polling=polling, notice=lambda line: self.lines.append(line)
        )
        watch = IndexWatch(index, lambda: self._given, self._build, events=self.events, notice=self.lines.append)
        self.thread = threading.Thread(target=watch.run, daemon=True)

    def _build(self) -> None:
        self.builds += 1
        if self.errors:
            raise self.errors.pop(0)
        build_index(
            self._given,
            self.index,
            encoder=WordEncoder(),
            chunking=Chunking(12, 3),
            keep_gone=True,  # type: ignore[arg-type]
        )

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition is true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.lines
            assert self.thread.is_alive()
            time.sleep(0.02)

    def until_holds(self, *names: str) -> None:
        """Wait until the index has these documents, by the ends of their paths."""
        self.until(lambda: [path.rpartition("docs/")[2] for path in documents(self.index)] == sorted(names))

    def settle(self) -> None:
        """Wait until two more looks would have happened."""
        time.sleep(3 * change_events._QUIET_SECONDS + 0.3)


@contextmanager
def watching(index: Path, *sources: Path, polling: bool = False) -> Iterator[Watched]:
    watched = Watched(index, [str(source) for source in sources], polling=polling)
    watched.thread.start()
    try:
        yield watched
    finally:
        watched.events.stop.set()
        watched.thread.join(PATIENCE)
        assert not watched.thread.is_alive()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only fractions of a second for more changes."""
    monkeypatch.setattr(change_events, "_QUIET_SECONDS", 0.2)
    monkeypatch.setattr(change_events, "_POLL_SECONDS", 0.2)
    monkeypatch.setattr(index_watch, "_RETRY_SECONDS", (0.3,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write(folder, whales="Whales sing.", bread="Bread rises.", deep__stars="Stars shine.")
    build(folder, tmp_path / "idx")
    return folder


@pytest.mark.parametrize("polling", [False, True])
def test_new_changed_moved_and_deleted_files_are_built(folder: Path, tmp_path: Path, polling: bool) -> None:
    with watching(tmp_path / "idx", folder, polling=polling) as watched:
        write(folder, new="New.", made__just__now="In a new folder.")
        watched.until_holds("bread.md", "deep/stars.md", "made/just/now.md", "new.md", "whales.md")
        (folder / "deep").rename(folder / "deeper")
        (folder / "bread.md").unlink()
        watched.until_holds("deeper/stars.md", "made/just/now.md", "new.md", "whales.md")
        write(folder, whales="Whales dive.")
        watched.until(lambda: documents(watched.index)["docs/whales.md"] == ["Whales dive."])
        assert watched.lines == []


def test_changes_from_before_the_start_are_built(folder: Path, tmp_path: Path) -> None:
    write(folder, new="New.")
    with watching(tmp_path / "idx", folder) as watched:
        watched.until_holds("bread.md", "deep/stars.md", "new.md", "whales.md")


def test_many_changes_in_a_row_are_one_build(folder: Path, tmp_path: Path) -> None:
    with watching(tmp_path / "idx", folder) as watched:
        watched.settle()
        for number in range(20):
            write(folder, **{f"n{number}": f"Number {number}."})
        watched.until(lambda: len(documents(watched.index)) == 23)
        watched.settle()
        assert watched.builds <= 2


def test_a_steady_stream_of_changes_does_not_put_off_the_build(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_events, "_LONGEST_SECONDS", 0.5)
    ended = threading.Event()

    def stream() -> None:
        number = 0
        while not ended.wait(0.02):
            number += 1
            (folder / "log.txt").write_text(f"Line {number}.")

    writer = threading.Thread(target=stream)
    with watching(tmp_path / "idx", folder) as watched:
        writer.start()
        try:
            watched.until(lambda: watched.builds >= 2)
        finally:
            ended.set()
            writer.join()


def test_what_does_not_belong_to_the_index_triggers_no_build(folder: Path, tmp_path: Path) -> None:
    index = folder / ".echo-index"
    (folder / ".gitignore").write_text("*.log\nout/\n")
    build(folder, index)
    with watching(index, folder) as watched:
        watched.settle()
        (folder / "run.log").write_text("ignored")
        write(folder / "out", page="ignored")
        write(folder / ".git", objects="hidden")
        (folder / ".hidden").write_text("hidden")
        (folder / "empty.md").write_text("")
        (index / "something").write_text("The index writes.")
        (folder / "data.bin").write_bytes(b"\0\1\2" * 50)
        watched.settle()
        assert watched.builds == 0
        (folder / ".gitignore").write_text("out/\n")
        watched.until(lambda: "run.log" in documents(index))


def test_a_vanished_source_keeps_its_documents_until_it_is_back(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", news="News.")
    build([folder, tmp_path / "other"], tmp_path / "idx")
    with watching(tmp_path / "idx", folder, tmp_path / "other") as watched:
        watched.settle()
        folder.rename(tmp_path / "away")
        watched.until(lambda: f"{folder} is missing; its documents stay in the index." in watched.lines)
        write(tmp_path / "other", more="More news.")
        watched.until(lambda: "other/more.md" in documents(watched.index))
        folder.mkdir()  # the mount point of a disk
        watched.until(lambda: f"{folder} is empty; its documents stay in the index." in watched.lines)
        assert len(documents(watched.index)) == 5
        folder.rmdir()
        write(tmp_path / "away", back="It is back.")
        (tmp_path / "away").rename(folder)
        watched.until(lambda: f"{folder} is back." in watched.lines)
        watched.until(lambda: "docs/back.md" in documents(watched.index))
        write(folder, later="It is watched again.")
        watched.until(lambda: "docs/later.md" in documents(watched.index))
        assert len(documents(watched.index)) == 7


def test_a_single_file_is_watched_even_if_it_is_replaced(folder: Path, tmp_path: Path) -> None:
    build(folder / "bread.md", tmp_path / "one")
    with watching(tmp_path / "one", folder / "bread.md") as watched:
        watched.settle()
        for text in ("Bread burns.", "Bread is gone."):
            (tmp_path / "draft").write_text(text)
            (tmp_path / "draft").replace(folder / "bread.md")
            watched.until(lambda text=text: documents(watched.index) == {"docs/bread.md": [text]})
        assert [*documents(watched.index)] == ["docs/bread.md"]


def test_an_error_is_told_once_and_the_build_is_repeated(folder: Path, tmp_path: Path) -> None:
    with watching(tmp_path / "idx", folder) as watched:
        watched.settle()
        watched.errors = [IndexBusy("It is busy."), IndexBusy("It is busy."), IndexUnwritable("The disk is full.")]
        write(folder, new="New.")
        watched.until_holds("bread.md", "deep/stars.md", "new.md", "whales.md")
        assert watched.lines == ["Error: It is busy.", "Error: The disk is full."]
        assert watched.builds == 4


def test_what_was_not_published_is_published_though_nothing_has_changed_since(folder: Path, tmp_path: Path) -> None:
    with watching(tmp_path / "idx", folder) as watched:
        watched.settle()
        watched.errors = [StoreError("It was not published.") for _ in range(1000)]
        write(folder, new="New.")
        watched.until(lambda: watched.lines)
        build(folder, watched.index)  # as if the watch had built it, and only could not publish it
        tried = watched.builds
        watched.until(lambda: watched.builds >= tried + 2)
        watched.errors = []
        tried = watched.builds
        watched.until(lambda: watched.builds > tried)
        built = watched.builds
        watched.settle()
        assert watched.builds == built
        assert watched.lines == ["Error: It was not published."]


def test_where_events_are_not_to_be_had_files_are_looked_at(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watch(*arguments: object, **options: object) -> Iterator[set[tuple[int, str]]]:
        raise OSError("OS file watch limit reached. about ['/x']")
        yield set()

    monkeypatch.setattr("watchfiles.watch", watch)
    with watching(tmp_path / "idx", folder) as watched:
        write(folder, new="New.")
        watched.until_holds("bread.md", "deep/stars.md", "new.md", "whales.md")
        assert watched.lines == [
            "Folders cannot be watched (os file watch limit reached); they are looked at every few seconds instead."
        ]


def test_the_index_is_that_of_a_new_build_after_many_changes_while_searches_never_fail(tmp_path: Path) -> None:
    dice = random.Random(11)
    folder, index = tmp_path / "docs", tmp_path / "idx"
    for number in range(60):
        write(folder, **{f"d{number % 5}__n{number}": f"Note {number} on whales, bread and salt."})
    build(folder, index)
    failures: list[BaseException] = []
    ended = threading.Event()

    def search() -> None:
        retriever = Retriever.open(index, encoder=WordEncoder())  # type: ignore[arg-type]
        while not ended.is_set():
            try:
                assert retriever.search("whales and salt", k=3)
            except BaseException as error:  # noqa: BLE001 - reported by the test
                failures.append(error)

    searching = threading.Thread(target=search)
    searching.start()
    try:
        with watching(index, folder) as watched:
            for step in range(60):
                change(folder, dice, step)
                time.sleep(0.01)
            last = "The last words about whales."
            write(folder, last=last)
            watched.until(lambda: documents(index).get("docs/last.md") == [last])
            watched.settle()
    finally:
        ended.set()
        searching.join()
    assert failures == []
    assert read_manifest(index).generation > 1
    build(folder, tmp_path / "again")
    watched_contents, new_contents = contents(index), contents(tmp_path / "again")
    assert watched_contents["chunks"] == new_contents["chunks"]
    assert watched_contents["vectors"] == new_contents["vectors"]
    for query, (_, lexical) in new_contents["hits"].items():
        assert watched_contents["hits"][query][1] == lexical


def change(folder: Path, dice: random.Random, step: int) -> None:
    """Create, edit, rename or delete a file, or rename a folder."""
    files = sorted(folder.rglob("*.md"))
    chosen = dice.choice(files)
    match dice.randrange(5):
        case 0:
            write(folder, **{f"new{step}__n{step}": f"New note {step} on bread."})
        case 1:
            chosen.write_text(f"Changed in step {step}: salt and whales.")
        case 2:
            chosen.rename(chosen.with_name(f"renamed{step}.md"))
        case 3:
            chosen.unlink()
        case 4:
            if chosen.parent != folder:
                shutil.move(chosen.parent, folder / f"moved{step}")
