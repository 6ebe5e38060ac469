"""When a batch of changes ends, told by a clock and events that the test sets."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from echo_index.app.services import change_events
from echo_index.app.services.change_events import ChangeEvents
from echo_index.indexer.sources.source import Source

Step = tuple[float, set[str]]


def batch_times(
    folder: Path, steps: Sequence[Step], monkeypatch: pytest.MonkeyPatch, *, look_seconds: float = 0.0, source: str = ""
) -> list[float]:
    """Return when batches end if these paths change at these times; each look takes `look_seconds`."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(change_events, "time", SimpleNamespace(monotonic=lambda: clock.now))

    class Scripted(ChangeEvents):
        def _wait(self, folders: Sequence[Path]) -> Generator[set[str], None, None]:
            yield set()
            for seconds, paths in steps:
                clock.now = 100 + seconds
                yield paths
            self.stop.set()

    events = Scripted(lambda: [Source.parse(source or str(folder))], ignored=[folder / "index"])
    times = []
    for _ in events.batches():
        events.look_seconds = look_seconds
        times.append(clock.now - 100)
    return times


def test_a_batch_ends_when_nothing_has_changed_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed, quiet = {str(tmp_path / "a.md")}, set[str]()
    assert batch_times(tmp_path, [(1, changed), (2, quiet), (3, quiet)], monkeypatch) == [0, 2]
    assert batch_times(tmp_path, [(n, changed) for n in range(1, 12)], monkeypatch) == [0, 6]


@pytest.mark.parametrize("name", ["index/catalog.sqlite", ".hidden/a.md", ".a.md"])
def test_what_no_build_reads_ends_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert batch_times(tmp_path, [(1, {str(tmp_path / name)}), (2, set())], monkeypatch) == [0]


def test_a_folder_whose_name_begins_like_that_of_a_source_is_not_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes").mkdir()
    steps = [(1, {str(tmp_path / "notes of May/a.md")}), (2, set[str]())]
    assert batch_times(tmp_path / "notes", steps, monkeypatch) == [0, 2]


def test_a_glob_with_hidden_names_waits_for_hidden_files_but_not_for_those_of_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, times in ((".notes/a.md", [0, 2]), (".git/index", [0])):
        steps = [(1, {str(tmp_path / name)}), (2, set[str]())]
        assert batch_times(tmp_path, steps, monkeypatch, source=f"{tmp_path}/.*/*") == times


def test_files_that_take_long_to_look_at_are_looked_at_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, quiet = {str(tmp_path / "a.md")}, set[str]()
    steps = [(1, changed), (2, quiet), (9, quiet), (10, quiet), (11, changed), (15, quiet), (21, quiet)]
    assert batch_times(tmp_path, steps, monkeypatch, look_seconds=1) == [0, 10, 21]
