"""The tab Library: add files and folders, build, watch and stop it, see what failed, remove documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.build_job import BuildJob, BuildState
from echo_index.app.services.formatting import STAGE_LABELS, pattern_lines, pluralize
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.status import size_words
from echo_index.app.services.uploads import keep_uploads
from echo_index.app.web.error_html import error_html
from echo_index.app.web.html import escape_html, notice
from echo_index.app.web.theme import acting_html
from echo_index.errors import EchoIndexError, IndexMissing
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.documents.formats import FORMATS
from echo_index.indexer.generations.source_registry import read_sources
from echo_index.indexer.inspection.document_queries import list_documents

if TYPE_CHECKING:
    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.generations.snapshot import Snapshot

_TICK = 0.7  # seconds between two looks at a build
_IN_TURN: dict[str, Any] = {
    "concurrency_id": "library",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "api_visibility": "private",
}
"""One event of the tab after the other: what was seen before a build began must not be shown after that it began."""
_MOST_LISTED = 100
_MOST_FAILURES = 200
_READ_ONLY = notice(
    "This page does not change the library.",
    remedy="It is open to other machines without passwords, or was started with --read-only.",
    kind="info",
)


class LibraryTab:
    """What stands in the tab; `fill_in` keeps it at what the index holds now."""

    def __init__(
        self, service: IndexService, builder: BuildJob, *, uploads: Path, most_bytes: int, may_change: bool
    ) -> None:
        self._service = service
        self._builder = builder
        self._uploads = uploads
        self._most_bytes = most_bytes
        self._may_change = may_change
        self.held = acting_html(elem_id="held", label="What the index holds")
        self.timer = gr.Timer(_TICK, active=False)
        if not may_change:
            gr.HTML(_READ_ONLY)
        with gr.Row(visible=may_change):
            with gr.Column(min_width=300):
                files = gr.File(
                    label=f"Upload files (up to {most_bytes // 10**6} MB each)",
                    file_count="multiple",
                    file_types=sorted(FORMATS),
                    height=160,
                    elem_id="upload",
                )
            with gr.Column(min_width=300):
                self._remembered = gr.Textbox(visible=False)
                self._sources = gr.Textbox(
                    value="",
                    label="Folders, files or globs on this machine, one a line",
                    placeholder="/home/me/handbook\n~/notes/**/*.md",
                    lines=4,
                    max_lines=8,
                    elem_id="sources",
                )
        with gr.Row(visible=may_change):
            self.build = gr.Button("Build the index", variant="primary", elem_id="build")
            self.stop = gr.Button("Stop", variant="stop", elem_id="stop-build", visible=False)
        self.progress = gr.HTML(elem_id="progress")
        with gr.Accordion("Remove documents", open=False, visible=may_change):
            gr.Markdown("They are no longer found. The files themselves stay where they are.")
            wanted = gr.Textbox(
                value="", label="Show documents whose path holds", elem_id="remove-filter", max_length=200
            )
            self.removable = gr.CheckboxGroup([], label="Documents", elem_id="removable")
            remove = gr.Button("Remove the chosen documents", variant="stop", elem_id="remove")
            removed = gr.HTML(elem_id="removed")
        self._shown = [self.held, self.removable, self.progress, self.timer, self.build, self.stop]
        running = [self.progress, self.timer, self.build, self.stop]
        self._wanted = wanted
        if may_change:
            self.build.click(self._build, [files, self._sources], [files, *running], **_IN_TURN)
            self.stop.click(self._stop, None, running, **_IN_TURN)
            wanted.input(self._listed, wanted, self.removable, trigger_mode="always_last", **_IN_TURN)
            remove.click(self._remove, [self.removable, wanted], [removed, self.held, self.removable], **_IN_TURN)
        self.timer.tick(self._tick, wanted, self._shown, **_IN_TURN)

    def fill_in(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Fill the tab when somebody comes, or turns to it; what they have typed by then stays."""
        page.load(self._read_sources, None, self._remembered, **_IN_TURN).then(
            None, [self._remembered, self._sources], self._sources, js="(remembered, typed) => typed || remembered"
        )
        for event in (page.load, tab.select):
            event(self._refresh, self._wanted, self._shown, **_IN_TURN)

    def _refresh(self, wanted: str) -> tuple[Any, ...]:
        """Return what is held, how a build stands, whether to go on looking, and what can be removed."""
        return self._held(), self._listed(wanted), *self._running()

    def _read_sources(self) -> str:
        """Return what the index was built from, one a line."""
        return "\n".join(read_sources(self._service.index_dir)) if self._may_change else ""

    def _tick(self, wanted: str) -> tuple[Any, ...]:
        if self._builder.state.is_active:
            return gr.skip(), gr.skip(), *self._running()
        return self._refresh(wanted)

    def _running(self) -> tuple[Any, ...]:
        """Return how a build stands, whether to go on looking, and the button that makes sense now."""
        state = self._builder.state
        return (
            progress_view(state),
            gr.Timer(active=state.is_active),
            gr.Button(visible=not state.is_active),
            gr.Button(visible=state.is_active),
        )

    def _build(self, files: list[str] | None, sources: str) -> tuple[Any, ...]:
        try:
            kept = keep_uploads([Path(file) for file in files or []], self._uploads, most_bytes=self._most_bytes)
            named = [line.strip() for line in sources.splitlines() if line.strip()]
            if not kept and not named:
                said = notice("There is nothing to build.", remedy="Upload files, or name a folder.", kind="warning")
                return gr.skip(), said, gr.skip(), gr.skip(), gr.skip()
            self._builder.start([*named, *map(str, kept)])
        except EchoIndexError as error:
            return gr.skip(), error_html(error), gr.skip(), gr.skip(), gr.skip()
        return None, *self._running()

    def _stop(self) -> tuple[Any, ...]:
        self._builder.stop()
        return self._running()

    def _remove(self, paths: list[str], wanted: str) -> tuple[Any, ...]:
        if not paths:
            return notice("No document is chosen.", kind="warning"), gr.skip(), gr.skip()
        try:
            report = remove_documents(paths, self._service.index_dir)
        except EchoIndexError as error:
            return error_html(error), gr.skip(), gr.skip()
        said = f"{pluralize(len(report.removed), 'document')} removed; {pluralize(report.documents, 'document')} left."
        return notice(said), self._held(), self._listed(wanted)

    def _held(self) -> str:
        try:
            return self._service.with_snapshot(held_view)
        except IndexMissing:
            return notice("Nothing is indexed yet.", remedy="Upload files or name a folder, then build.", kind="empty")
        except EchoIndexError as error:
            return error_html(error)

    def _listed(self, wanted: str) -> Any:
        try:
            paths = [document.path for document in self._service.with_snapshot(list_documents)]
        except EchoIndexError:
            paths = []
        fitting = [path for path in paths if wanted.lower() in path.lower()]
        more = f"; {len(fitting) - _MOST_LISTED:,} more fit" if len(fitting) > _MOST_LISTED else ""
        return gr.CheckboxGroup(fitting[:_MOST_LISTED], value=[], label=f"{pluralize(len(paths), 'document')}{more}")


def held_view(snapshot: Snapshot) -> str:
    """Return what an index holds, in numbers, and which files could not be read."""
    manifest = snapshot.manifest
    counts = snapshot.catalog.counts(generation=manifest.generation)
    facts = (
        (f"{counts.documents:,}", "documents"),
        (f"{counts.chunks:,}", "passages"),
        (size_words(counts.bytes), "of text"),
        (str(manifest.encoder.get("model", "")), f"model, layer {manifest.encoder.get('layer', '')}"),
    )
    told_facts = "".join(f"<li><b>{escape_html(value)}</b> {escape_html(name)}</li>" for value, name in facts)
    failures = snapshot.catalog.failures(generation=manifest.generation)
    return f'<ul class="facts">{told_facts}</ul>{failures_view(failures)}'


def failures_view(failures: list[tuple[str, str]]) -> str:
    """Return which files could not be read, and why."""
    if not failures:
        return ""
    rows = "".join(
        f"<li><b>{escape_html(path)}</b>: {escape_html(reason)}</li>" for path, reason in failures[:_MOST_FAILURES]
    )
    more = f"<li>and {len(failures) - _MOST_FAILURES:,} more</li>" if len(failures) > _MOST_FAILURES else ""
    return (
        f'<details class="failures"><summary>{pluralize(len(failures), "file")} could not be read</summary>'
        f"<ul>{rows}{more}</ul></details>"
    )


def progress_view(state: BuildState) -> str:
    """Return how a build stands: a bar with rate and time left, or how it ended."""
    if state.phase == "idle":
        return ""
    if state.phase == "failed":
        return notice("The build failed.", remedy=state.error, kind="error")
    if state.phase == "stopped":
        return notice("Stopped.", remedy="What was embedded is kept: build again to go on from here.", kind="warning")
    if state.phase == "done" and state.report:
        return notice(_done(state.report), remedy=_changes(state.report), kind="done")
    if state.stage is None or state.phase == "starting":
        return _bar("Opening the model", None, "")
    if state.phase == "stopping":
        return _bar("Stopping after the batch in flight", None, "")
    share = state.done / state.total if state.total else None
    total = f" of {state.total:,}" if state.total else ""
    left = f", {state.seconds_left // 60}:{state.seconds_left % 60:02} left" if state.seconds_left is not None else ""
    return _bar(STAGE_LABELS[state.stage], share, f"{state.done:,}{total} ({state.rate:.1f}/s{left})")


def _bar(label: str, share: float | None, told: str) -> str:
    percent = f"{100 * share:.1f}" if share is not None else ""
    now = f' aria-valuenow="{percent}"' if percent else ""
    width = f' style="width:{percent}%"' if percent else ' class="unknown"'
    return (
        f'<div class="progress"><p>{escape_html(label)} <span>{escape_html(told)}</span></p>'
        f'<div class="track" role="progressbar" aria-label="{escape_html(label)}"'
        f' aria-valuemin="0" aria-valuemax="100"{now}>'
        f"<span{width}></span></div></div>"
    )


def _done(report: BuildReport) -> str:
    held = f"{pluralize(report.documents, 'document')} in {pluralize(report.chunks, 'passage')}"
    return f"Done in {report.seconds:.1f} s: the index holds {held}."


def _changes(report: BuildReport) -> str:
    changes = (
        (report.added, "new"),
        (report.changed, "changed"),
        (report.unchanged, "unchanged"),
        (report.removed, "gone"),
        (report.left_out, "left out because they were removed here"),
    )
    files = ", ".join(f"{count:,} {word}" for count, word in changes if count)
    patterns = "".join(f" {line}." for line in pattern_lines(report))
    return f"Files: {files}. {pluralize(report.embedded, 'passage')} embedded.{patterns}"
