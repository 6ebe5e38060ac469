"""The Library tab: the result of a build, and what was not read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from indexer_helpers import build, write

from echo_index.app.services.build_job import BuildState
from echo_index.app.web.tabs.library import contents_html, omissions_html, progress_html
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.sources.skipped_files import SkippedFiles


def test_patterns_of_earlier_builds_are_shown() -> None:
    report = BuildReport(unchanged=2, documents=2, chunks=3, kept_patterns=[("/<docs>", ("*.md",), ("drafts/", "old"))])
    html = progress_html(BuildState(phase="done", report=report))
    assert "/&lt;docs&gt;: only *.md and without drafts/, old, as before." in html
    assert "as before" not in progress_html(BuildState(phase="done", report=BuildReport(unchanged=2)))


def test_what_was_not_read_is_shown(tmp_path: Path) -> None:
    sentence = "2 files were left out, as no reader takes them: 2 .doc."
    report = BuildReport(skipped=SkippedFiles({".doc": 2}))
    assert sentence in progress_html(BuildState(phase="done", report=report))
    write(tmp_path / "docs", a="text")
    for name in ("b.doc", "c.doc"):
        (tmp_path / "docs" / name).write_bytes(b"\0")
    build(tmp_path / "docs", tmp_path / "index")
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(snapshot.catalog):
        assert f"<p>{sentence}</p>" in contents_html(snapshot)
    html = omissions_html([("<a>.pdf", "no text on page 2"), ("<a>.pdf", "no picture")])
    assert "Not everything was read in 1 file<" in html
    assert "<li>&lt;a&gt;.pdf: no text on page 2; no picture</li>" in html
    assert omissions_html([]) == ""


def test_the_context_is_shown_if_there_is_one(tmp_path: Path) -> None:
    write(tmp_path / "docs", a="text")
    shown = []
    for context in (None, "Notes of <Norvik>"):
        build(tmp_path / "docs", tmp_path / "index", context=context)
        snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
        with closing(snapshot.catalog):
            shown.append(contents_html(snapshot))
    assert "Context" not in shown[0]
    assert "<p>Context: Notes of &lt;Norvik&gt;</p>" in shown[1]
