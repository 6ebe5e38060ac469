"""The line about changed files: what it says before, during and after a build."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from echo_index.app.services import freshness
from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.app.web import change_notice
from echo_index.app.web.change_notice import ChangeNotice


@pytest.fixture
def job(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> BuildJob:
    """Return the job of an index that lacks a new file."""
    monkeypatch.setattr(change_notice, "look_for_changes", lambda index: freshness.look_for_changes(index, seconds=60))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "fox.md").write_text("The quick brown fox.")
    job = BuildJob(tmp_path / "idx", EncoderOptions(model=str(tiny_folder), device="cpu"))
    job.start([str(tmp_path / "notes")])
    assert job.wait().phase == "done"
    (tmp_path / "notes" / "new.md").write_text("A new note.")
    return job


def make(job: BuildJob, *, may_change: bool = True, is_watched: bool = False) -> ChangeNotice:
    with gr.Blocks():
        return ChangeNotice({"": job}, may_change=may_change, is_watched=is_watched)


def test_the_button_builds_and_the_line_disappears(job: BuildJob, tmp_path: Path) -> None:
    line = make(job)
    shown, *_ = line._refresh(change_notice._Shown())
    assert "1 file changed since the last build (1 new)." in shown.html and shown.has_button
    building, *_ = line._update()
    assert "The index is being built" in building.html and building.is_building
    report = job.wait().report
    assert report is not None and (report.added, report.unchanged) == (1, 1)
    assert line._refresh(building)[0] == change_notice._Shown()
    (tmp_path / "notes").rename(tmp_path / "away")
    line._looked_at = 0.0
    shown, *_ = line._refresh(change_notice._Shown())
    assert "is missing; its documents stay in the index." in shown.html and not shown.has_button


def test_who_may_change_nothing_gets_no_button_and_a_watched_index_no_line(job: BuildJob) -> None:
    shown, *_ = make(job, may_change=False)._refresh(change_notice._Shown())
    assert "1 file changed" in shown.html and not shown.has_button
    nothing = change_notice._Shown()
    assert all(value == gr.skip() for value in make(job, is_watched=True)._refresh(nothing))
