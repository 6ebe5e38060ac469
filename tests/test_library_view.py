"""The Library: what it tells of a build that has ended."""

from __future__ import annotations

from app.building import BuildState
from app.ui.library_tab import progress_view
from indexer import BuildReport


def test_a_build_that_went_by_earlier_patterns_says_so() -> None:
    report = BuildReport(unchanged=2, documents=2, chunks=3, kept_patterns=[("/<docs>", ("*.md",), ("drafts/", "old"))])
    told = progress_view(BuildState(phase="done", report=report))
    assert "/&lt;docs&gt;: only *.md and without drafts/, old, as before." in told
    assert "as before" not in progress_view(BuildState(phase="done", report=BuildReport(unchanged=2)))
