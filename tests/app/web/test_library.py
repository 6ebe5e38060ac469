"""The Library tab: the result of a build."""

from __future__ import annotations

from echo_index.app.services.build_job import BuildState
from echo_index.app.web.tabs.library import progress_html
from echo_index.indexer.building.document_sync import BuildReport


def test_patterns_of_earlier_builds_are_shown() -> None:
    report = BuildReport(unchanged=2, documents=2, chunks=3, kept_patterns=[("/<docs>", ("*.md",), ("drafts/", "old"))])
    html = progress_html(BuildState(phase="done", report=report))
    assert "/&lt;docs&gt;: only *.md and without drafts/, old, as before." in html
    assert "as before" not in progress_html(BuildState(phase="done", report=BuildReport(unchanged=2)))
