"""The indexes of a server are kept up to date in the background."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echo_index.app.services import background_watch as watching
from echo_index.app.services import change_events
from echo_index.app.services.background_watch import background_watch
from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.change_events import ChangeEvents
from echo_index.app.services.encoder_factory import EncoderOptions

NAMES = ("work", "recipes")


@pytest.fixture
def jobs(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, BuildJob]:
    """Return the jobs of two indexes of one document each."""
    monkeypatch.setattr(change_events, "_QUIET_SECONDS", 0.2)
    made = {}
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "fox.md").write_text("The quick brown fox.")
        job = made[name] = BuildJob(tmp_path / f"{name}-index", EncoderOptions(model=str(tiny_folder), device="cpu"))
        job.start([str(tmp_path / name)])
        assert job.wait().phase == "done"
    return made


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def documents(job: BuildJob) -> int:
    report = job.state.report
    return report.documents if report else 0


def test_each_index_is_built_when_its_files_change_and_notices_name_it(
    jobs: dict[str, BuildJob], tmp_path: Path
) -> None:
    told: list[str] = []
    with background_watch(jobs, polling=False, notice=told.append):
        (tmp_path / "recipes" / "bread.md").write_text("Rye bread.")
        until(lambda: documents(jobs["recipes"]) == 2)
        assert documents(jobs["work"]) == 1
        (tmp_path / "work" / "report.md").write_text("The report.")
        until(lambda: documents(jobs["work"]) == 2)
        (tmp_path / "recipes").rename(tmp_path / "away")
        until(lambda: bool(told))
    assert told == [f"recipes: {tmp_path / 'recipes'} is missing; its documents stay in the index."]


def test_a_single_index_is_not_named(jobs: dict[str, BuildJob], tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "work").rename(tmp_path / "away")
    with background_watch({"work": jobs["work"]}, polling=False, notice=told.append):
        until(lambda: bool(told))
    assert told == [f"{tmp_path / 'work'} is missing; its documents stay in the index."]


def test_no_watch_looks_into_an_index_and_the_end_stops_all_builds(
    jobs: dict[str, BuildJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index may be in a folder that another one is built of."""
    ignored: list[set[Path]] = []
    stopped: list[BuildJob] = []

    def events(sources: Any, **options: Any) -> ChangeEvents:
        ignored.append({*options["ignored"]})
        return ChangeEvents(sources, **options)

    monkeypatch.setattr(watching, "ChangeEvents", events)
    monkeypatch.setattr(BuildJob, "stop", lambda job: stopped.append(job))
    with background_watch(jobs, polling=False, notice=print):
        assert stopped == []
    assert len(ignored) == 2 and all({job.index_dir for job in jobs.values()} <= folders for folders in ignored)
    assert stopped == [*jobs.values()]
