"""Builds in the background: progress, stop and continuation, and failures."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

from echo_index.app.services.build_job import BuildJob, BuildState
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.errors import IndexBusy, SourceError
from echo_index.indexer.building import build_files
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.document_queries import list_documents

PATIENCE = 60  # seconds


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Return a folder of documents for several batches."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(200):
        text = f"The quick brown fox number {number} jumps over the lazy dog. " * 3
        (folder / f"{number:03}.md").write_text(f"# Page {number}\n\n{text}\n")
    return folder


@pytest.fixture
def build_job(tmp_path: Path, tiny_folder: Path) -> Iterator[BuildJob]:
    built = BuildJob(tmp_path / "index", EncoderOptions(model=str(tiny_folder), device="cpu"))
    yield built
    built.stop()
    built.wait()


def until(build_job: BuildJob, condition: Callable[[BuildState], bool]) -> list[BuildState]:
    """Return the different states of a build until a condition is true or the build has ended."""
    states = [build_job.state]
    deadline = time.monotonic() + PATIENCE
    while not condition(states[-1]) and states[-1].is_active:
        assert time.monotonic() < deadline
        if (state := build_job.state) != states[-1]:
            states.append(state)
        time.sleep(0.001)
    return states


def count_documents(index_dir: Path) -> int:
    return len(list_documents(open_snapshot(index_dir, index_device="cpu")))


def test_a_new_build_job_is_idle(build_job: BuildJob) -> None:
    assert build_job.state == build_job.wait() == BuildState()
    assert not build_job.state.is_active
    build_job.stop()
    assert build_job.state.phase == "idle", "no build is running"
    assert not build_job.index_dir.exists()


def test_a_build_reports_progress_and_ends_with_a_report(build_job: BuildJob, notes: Path) -> None:
    build_job.start([str(notes)])
    states = until(build_job, lambda state: False)
    assert [*dict.fromkeys(state.phase for state in states)] == ["starting", "running", "done"]
    embedding = [state for state in states if state.stage == "embedding"]
    assert [state.done for state in embedding] == sorted(state.done for state in embedding)
    assert {state.total for state in embedding} == {200}
    assert 0 < embedding[0].done < embedding[-1].done <= 200
    assert all(state.rate > 0 and state.seconds_left is not None for state in embedding[1:])
    assert all(state.seconds_left is None for state in states if state.stage == "reading"), "the total is unknown"
    ended = build_job.wait()
    assert isinstance(ended.report, BuildReport)
    assert (ended.report.added, ended.report.embedded, ended.report.documents) == (200, 200, 200)
    assert (ended.phase, ended.error, ended.is_active) == ("done", "", False)
    assert count_documents(build_job.index_dir) == 200


def test_the_rate_counts_only_work_since_the_first_update_of_the_stage(
    build_job: BuildJob, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents may have been embedded while files were read."""
    states: list[BuildState] = []

    def build_slowly(*given: Any, progress: Callable[[str, int, int | None], None], **named: Any) -> BuildReport:
        for done in (1000, 1010):
            progress("embedding", done, 2000)
            states.append(build_job.state)
            time.sleep(0.1)
        return BuildReport()

    monkeypatch.setattr(build_files, "build_index", build_slowly)
    build_job.start([str(notes)])
    assert build_job.wait().phase == "done"
    assert [state.rate == 0 for state in states] == [True, False]
    assert 0 < states[1].rate <= 100


def test_the_time_left_follows_from_the_rate() -> None:
    assert BuildState("running", "embedding", done=20, total=100, rate=4.0).seconds_left == 20
    assert BuildState("running", "embedding", done=100, total=100, rate=4.0).seconds_left == 0
    assert BuildState("running", "reading", done=20, total=None, rate=4.0).seconds_left is None
    assert BuildState("running", "indexing", done=0, total=100, rate=0.0).seconds_left is None


@pytest.mark.parametrize(
    ("phase", "is_active"),
    [
        ("idle", False),
        ("starting", True),
        ("running", True),
        ("stopping", True),
        ("done", False),
        ("stopped", False),
        ("failed", False),
    ],
)
def test_running_phases_are_active(phase: str, is_active: bool) -> None:
    assert BuildState(phase=phase).is_active == is_active  # type: ignore[arg-type]


def test_a_stopped_build_keeps_embeddings_and_a_later_one_finishes(build_job: BuildJob, notes: Path) -> None:
    build_job.start([str(notes)])
    until(build_job, lambda state: state.stage == "embedding" and state.done > 0)
    build_job.stop()
    assert build_job.state.phase == "stopping" and build_job.state.is_active
    stopped = build_job.wait()
    assert (stopped.phase, stopped.report, stopped.error) == ("stopped", None, "")
    assert 0 < stopped.done < 200
    build_job.start([str(notes)])
    report = build_job.wait().report
    assert report is not None
    assert 0 < report.embedded <= 200 - stopped.done, "only the rest"
    assert report.documents == count_documents(build_job.index_dir) == 200


def test_a_build_can_be_stopped_while_the_model_loads(build_job: BuildJob, notes: Path) -> None:
    build_job.start([str(notes)])
    build_job.stop()
    assert build_job.wait().phase == "stopped"
    build_job.start([str(notes / "000.md")])
    assert build_job.wait().phase == "done", "a stop affects one build"


def test_one_build_at_a_time(build_job: BuildJob, notes: Path) -> None:
    build_job.start([str(notes)])
    with pytest.raises(IndexBusy, match="already running") as raised:
        build_job.start([str(notes)])
    assert raised.value.remedy
    assert build_job.wait().phase == "done", "the first one continues"
    build_job.start([str(notes)])
    report = build_job.wait().report
    assert report is not None and report.unchanged == 200


def test_concurrent_starts_start_one_build(build_job: BuildJob, notes: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def start(_: int) -> bool:
        try:
            build_job.start([str(notes / "000.md")])
        except IndexBusy:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(start, range(16))) == 1


def test_a_missing_source_raises_at_once(build_job: BuildJob, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file or folder at"):
        build_job.start([str(tmp_path / "nowhere")])
    assert build_job.state == BuildState()


def test_a_failed_build_has_an_error_and_can_be_repeated(build_job: BuildJob, tmp_path: Path, notes: Path) -> None:
    (tmp_path / "empty").mkdir()
    build_job.start([str(tmp_path / "empty")])
    failed = build_job.wait()
    assert failed.phase == "failed" and not failed.is_active
    assert "There is no document to index in" in failed.error
    build_job.start([str(notes / "000.md")])
    assert build_job.wait().phase == "done"
    assert build_job.state.error == "", "the earlier error is cleared"


def test_a_missing_model_fails_the_build(tmp_path: Path, notes: Path) -> None:
    build_job = BuildJob(tmp_path / "index", EncoderOptions(model="no-such-model", device="cpu"))
    build_job.start([str(notes)])
    assert build_job.wait().phase == "failed"
    assert "The model 'no-such-model' is not in the cache" in build_job.state.error


def test_an_unexpected_exception_fails_the_build(tmp_path: Path, tiny_folder: Path, notes: Path) -> None:
    (tmp_path / "index").write_text("this is not a folder")
    build_job = BuildJob(tmp_path / "index", EncoderOptions(model=str(tiny_folder), device="cpu"))
    build_job.start([str(notes)])
    assert build_job.wait().phase == "failed"
    assert build_job.state.error.count("\n") == 0 and build_job.state.error


def test_an_index_locked_by_another_process_is_not_changed(build_job: BuildJob, notes: Path) -> None:
    build_job.start([str(notes / "000.md")])
    build_job.wait()
    script = (
        "import sys; from pathlib import Path; from echo_index.indexer.storage.writer_lock import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(build_job.index_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    try:
        build_job.start([str(notes)])
        busy = build_job.wait()
    finally:
        other.communicate()
    assert busy.phase == "failed"
    assert f"is being written by process {other.pid}." in busy.error
    assert count_documents(build_job.index_dir) == 1
    build_job.start([str(notes)])
    assert build_job.wait().phase == "done"


def test_an_index_keeps_its_encoder(build_job: BuildJob, notes: Path) -> None:
    build_job.start([str(notes / "000.md")])
    build_job.wait()
    again = BuildJob(build_job.index_dir, EncoderOptions(device="cpu"))
    again.start([str(notes / "001.md")])
    assert again.wait().phase == "done", again.state.error
    assert count_documents(build_job.index_dir) == 2
