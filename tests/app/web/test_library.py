"""The Library: what it tells of a build that has ended."""

from __future__ import annotations

from echo_index.app.services.build_job import BuildState
from echo_index.app.web.tabs.library import progress_html
from echo_index.indexer.building.document_sync import BuildReport


def test_a_build_that_went_by_earlier_patterns_says_so() -> None:
    report = BuildReport(unchanged=2, documents=2, chunks=3, kept_patterns=[("/<docs>", ("*.md",), ("drafts/", "old"))])
    told = progress_html(BuildState(phase="done", report=report))
    assert "/&lt;docs&gt;: only *.md and without drafts/, old, as before." in told
    assert "as before" not in progress_html(BuildState(phase="done", report=BuildReport(unchanged=2)))
