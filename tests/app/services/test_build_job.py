"""A build in the background: how it tells of itself, how it is stopped and goes on, and how it fails."""

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
    """Return a folder of some batches."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(200):
        text = f"The quick brown fox number {number} jumps over the lazy dog. " * 3
        (folder / f"{number:03}.md").write_text(f"# Page {number}\n\n{text}\n")
    return folder


@pytest.fixture
def builder(tmp_path: Path, tiny_folder: Path) -> Iterator[BuildJob]:
    built = BuildJob(tmp_path / "index", EncoderOptions(model=str(tiny_folder), device="cpu"))
    yield built
    built.stop()
    built.wait()


def until(builder: BuildJob, is_so: Callable[[BuildState], bool]) -> list[BuildState]:
    """Look at a build until it is so or has ended; return what was seen, each once."""
    seen = [builder.state]
    deadline = time.monotonic() + PATIENCE
    while not is_so(seen[-1]) and seen[-1].is_active:
        assert time.monotonic() < deadline
        if (state := builder.state) != seen[-1]:
            seen.append(state)
        time.sleep(0.001)
    return seen


def held(index_dir: Path) -> int:
    return len(list_documents(open_snapshot(index_dir, index_device="cpu")))


def test_a_builder_that_was_not_asked_has_nothing_to_tell(builder: BuildJob) -> None:
    assert builder.state == builder.wait() == BuildState()
    assert not builder.state.is_active
    builder.stop()
    assert builder.state.phase == "idle", "there is nothing to stop"
    assert not builder.index_dir.exists()


def test_a_build_tells_how_far_it_is_and_ends_with_its_report(builder: BuildJob, notes: Path) -> None:
    builder.start([str(notes)])
    seen = until(builder, lambda state: False)
    assert [*dict.fromkeys(state.phase for state in seen)] == ["starting", "running", "done"]
    embedding = [state for state in seen if state.stage == "embedding"]
    assert [state.done for state in embedding] == sorted(state.done for state in embedding)
    assert {state.total for state in embedding} == {200}
    assert 0 < embedding[0].done < embedding[-1].done <= 200
    assert all(state.rate > 0 and state.seconds_left is not None for state in embedding[1:])
    assert all(state.seconds_left is None for state in seen if state.stage == "reading"), "nobody knows how many"
    ended = builder.wait()
    assert isinstance(ended.report, BuildReport)
    assert (ended.report.added, ended.report.embedded, ended.report.documents) == (200, 200, 200)
    assert (ended.phase, ended.error, ended.is_active) == ("done", "", False)
    assert held(builder.index_dir) == 200


def test_the_rate_is_of_what_was_done_since_the_stage_was_first_told(
    builder: BuildJob, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Much may have been embedded while files were read."""
    states: list[BuildState] = []

    def build_slowly(*given: Any, progress: Callable[[str, int, int | None], None], **named: Any) -> BuildReport:
        for done in (1000, 1010):
            progress("embedding", done, 2000)
            states.append(builder.state)
            time.sleep(0.1)
        return BuildReport()

    monkeypatch.setattr(build_files, "build_index", build_slowly)
    builder.start([str(notes)])
    assert builder.wait().phase == "done"
    assert [state.rate == 0 for state in states] == [True, False]
    assert 0 < states[1].rate <= 100


def test_the_time_left_is_what_is_left_at_the_rate() -> None:
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
def test_what_is_being_done_is_active(phase: str, is_active: bool) -> None:
    assert BuildState(phase=phase).is_active == is_active  # type: ignore[arg-type]


def test_what_was_embedded_before_a_stop_is_kept_and_a_later_start_finishes(builder: BuildJob, notes: Path) -> None:
    builder.start([str(notes)])
    until(builder, lambda state: state.stage == "embedding" and state.done > 0)
    builder.stop()
    assert builder.state.phase == "stopping" and builder.state.is_active
    stopped = builder.wait()
    assert (stopped.phase, stopped.report, stopped.error) == ("stopped", None, "")
    assert 0 < stopped.done < 200
    builder.start([str(notes)])
    report = builder.wait().report
    assert report is not None
    assert 0 < report.embedded <= 200 - stopped.done, "the rest, and nothing twice"
    assert report.documents == held(builder.index_dir) == 200


def test_a_build_is_stopped_before_its_model_is_there(builder: BuildJob, notes: Path) -> None:
    builder.start([str(notes)])
    builder.stop()
    assert builder.wait().phase == "stopped"
    builder.start([str(notes / "000.md")])
    assert builder.wait().phase == "done", "a stop is for one build"


def test_one_build_at_a_time(builder: BuildJob, notes: Path) -> None:
    builder.start([str(notes)])
    with pytest.raises(IndexBusy, match="already running") as raised:
        builder.start([str(notes)])
    assert raised.value.remedy
    assert builder.wait().phase == "done", "the first is not disturbed"
    builder.start([str(notes)])
    report = builder.wait().report
    assert report is not None and report.unchanged == 200


def test_many_who_start_at_once_start_one(builder: BuildJob, notes: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def start(_: int) -> bool:
        try:
            builder.start([str(notes / "000.md")])
        except IndexBusy:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(start, range(16))) == 1


def test_a_source_that_is_not_there_is_told_at_once(builder: BuildJob, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file or folder at"):
        builder.start([str(tmp_path / "nowhere")])
    assert builder.state == BuildState()


def test_a_build_that_fails_says_why_and_what_mends_it(builder: BuildJob, tmp_path: Path, notes: Path) -> None:
    (tmp_path / "empty").mkdir()
    builder.start([str(tmp_path / "empty")])
    failed = builder.wait()
    assert failed.phase == "failed" and not failed.is_active
    assert "There is no document to index in" in failed.error
    builder.start([str(notes / "000.md")])
    assert builder.wait().phase == "done"
    assert builder.state.error == "", "what was wrong before is forgotten"


def test_a_model_that_is_not_there_fails_the_build(tmp_path: Path, notes: Path) -> None:
    builder = BuildJob(tmp_path / "index", EncoderOptions(model="no-such-model", device="cpu"))
    builder.start([str(notes)])
    assert builder.wait().phase == "failed"
    assert "The model 'no-such-model' is not in the cache" in builder.state.error


def test_what_nobody_thought_of_fails_the_build_too(tmp_path: Path, tiny_folder: Path, notes: Path) -> None:
    (tmp_path / "index").write_text("this is no folder")
    builder = BuildJob(tmp_path / "index", EncoderOptions(model=str(tiny_folder), device="cpu"))
    builder.start([str(notes)])
    assert builder.wait().phase == "failed"
    assert builder.state.error.count("\n") == 0 and builder.state.error


def test_an_index_that_another_process_builds_is_left_alone(builder: BuildJob, notes: Path) -> None:
    builder.start([str(notes / "000.md")])
    builder.wait()
    script = (
        "import sys; from pathlib import Path; from echo_index.indexer.storage.writer_lock import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(builder.index_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    try:
        builder.start([str(notes)])
        busy = builder.wait()
    finally:
        other.communicate()
    assert busy.phase == "failed"
    assert f"is being written by process {other.pid}." in busy.error
    assert held(builder.index_dir) == 1
    builder.start([str(notes)])
    assert builder.wait().phase == "done"


def test_an_index_goes_on_with_the_encoder_it_was_built_with(builder: BuildJob, notes: Path) -> None:
    builder.start([str(notes / "000.md")])
    builder.wait()
    again = BuildJob(builder.index_dir, EncoderOptions(device="cpu"))
    again.start([str(notes / "001.md")])
    assert again.wait().phase == "done", again.state.error
    assert held(builder.index_dir) == 2
