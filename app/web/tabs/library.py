"""The Library tab: add files and folders, build the index, and remove documents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.build_job import BuildJob, BuildState
from echo_index.app.services.formatting import (
    STAGE_LABELS,
    byte_count,
    change_counts,
    index_size,
    minutes_text,
    omission_lines,
    pattern_lines,
    pluralize,
    rate_text,
)
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.status import ocr_facts
from echo_index.app.services.uploads import store_uploads
from echo_index.app.web.collection_choice import collection_input
from echo_index.app.web.error_html import error_html
from echo_index.app.web.html import escape_html, notice
from echo_index.app.web.theme import interactive_html
from echo_index.errors import EchoIndexError, IndexMissing
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.documents.formats import ARCHIVE_SUFFIXES, FORMATS
from echo_index.indexer.documents.plugins import installed_plugins
from echo_index.indexer.generations.source_registry import read_sources
from echo_index.indexer.inspection.document_queries import list_documents

if TYPE_CHECKING:
    from gradio.components import Component

    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.stores.index_reader import IndexReader

_REFRESH_SECONDS = 0.7  # while a build is running
_IDLE_SECONDS = 5.0
"""Time between two looks for a build when the page shows none: another visitor may start one, and a busy browser may
show an answer from before the build after one from since then."""
_SEQUENTIAL: dict[str, Any] = {
    "concurrency_id": "library",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "api_visibility": "private",
}
"""Run the events of the tab one at a time: a state from before a build must not be sent after it has started."""
_MAX_LISTED = 100
_MAX_FAILURES = 200
_READ_ONLY = notice(
    "The library is read-only.",
    remedy="The server was started with --read-only, other machines can connect to it without a password, or another "
    "machine builds the index.",
    kind="info",
)


class LibraryTab:
    """The components of the tab; `connect` updates them when the page or the tab is opened."""

    def __init__(
        self,
        service: IndexService,
        build_jobs: Mapping[str, BuildJob],
        *,
        uploads: Mapping[str, Path],
        max_bytes: int,
        may_change: bool,
    ) -> None:
        """Take the builds and the folders for uploads of the indexes by their names."""
        self._service = service
        self._build_jobs = build_jobs
        self._uploads = uploads
        self._max_bytes = max_bytes
        self._may_change = may_change
        self._collection = collection_input(service, elem_id="library-collection")
        self.contents = interactive_html(elem_id="held", label="Content of the index")
        self.timer = gr.Timer(_IDLE_SECONDS)
        self._sent = gr.State(BuildState())  # the state of the build that the page was sent last
        if not may_change:
            gr.HTML(_READ_ONLY)
        with gr.Row(visible=may_change):
            with gr.Column(min_width=300):
                files = gr.File(
                    label=f"Upload files (up to {max_bytes // 10**6} MB each)",
                    file_count="multiple",
                    file_types=None
                    if installed_plugins()
                    else sorted((*FORMATS, *ARCHIVE_SUFFIXES)),  # a plugin may take any name
                    height=160,
                    elem_id="upload",
                )
            with gr.Column(min_width=300):
                self._saved_sources = gr.Textbox(visible=False)
                self._sources = gr.Textbox(
                    value="",
                    label="Folders, files or globs on this machine, one per line",
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
            gr.Markdown("Removed documents are no longer found. The files themselves are not deleted.")
            self._path_filter = gr.Textbox(
                value="", label="Show documents whose path contains", elem_id="remove-filter", max_length=200
            )
            self.removable = gr.CheckboxGroup([], label="Documents", elem_id="removable")
            remove = gr.Button("Remove the selected documents", variant="stop", elem_id="remove")
            result = gr.HTML(elem_id="removed")
        self._outputs = [self.contents, self.removable, *self._build_outputs]
        self._add_events(files, remove, result)

    @property
    def _build_outputs(self) -> list[Component]:
        """The components that `_build_state` has values for."""
        return [self._sent, self.progress, self.timer, self.build, self.stop]

    def _add_events(self, files: gr.File, remove: gr.Button, result: gr.HTML) -> None:
        if self._may_change:
            self.build.click(
                self._build, [self._collection, files, self._sources], [files, *self._build_outputs], **_SEQUENTIAL
            )
            self.stop.click(self._stop, self._collection, self._build_outputs, **_SEQUENTIAL)
            self._path_filter.input(
                self._removable,
                [self._collection, self._path_filter],
                self.removable,
                trigger_mode="always_last",
                **_SEQUENTIAL,
            )
            remove.click(
                self._remove,
                [self._collection, self.removable, self._path_filter],
                [result, self.contents, self.removable],
                **_SEQUENTIAL,
            )
        self._collection.input(
            self._choose,
            [self._collection, self._path_filter],
            [*self._outputs, self._sources, result],
            trigger_mode="always_last",
            **_SEQUENTIAL,
        )
        self.timer.tick(self._tick, [self._collection, self._sent, self._path_filter], self._outputs, **_SEQUENTIAL)

    def connect(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Fill the tab when the page or the tab is opened, but keep sources that were already typed."""
        page.load(self._read_sources, self._collection, self._saved_sources, **_SEQUENTIAL).then(
            None, [self._saved_sources, self._sources], self._sources, js="(saved, typed) => typed || saved"
        )
        for event in (page.load, tab.select):
            event(self._refresh, [self._collection, self._path_filter], self._outputs, **_SEQUENTIAL)

    def _refresh(self, collection: str, path_part: str) -> tuple[Any, ...]:
        """Return new values of all components that change."""
        return (
            self._contents(collection),
            self._removable(collection, path_part),
            *self._build_state(collection),
        )

    def _choose(self, collection: str, path_part: str) -> tuple[Any, ...]:
        """Return what `_refresh` does for another collection, its sources, and no result of a removal.

        Sources that were typed for the one before are not kept: they would be built into the wrong one.
        """
        return *self._refresh(collection, path_part), self._read_sources(collection), ""

    def _job(self, collection: str) -> BuildJob:
        return self._build_jobs[self._service.find(collection).name]

    def _read_sources(self, collection: str) -> str:
        """Return the sources of an index, one per line."""
        return "\n".join(read_sources(self._service.find(collection).index)) if self._may_change else ""

    def _tick(self, collection: str, sent: BuildState, path_part: str) -> tuple[Any, ...]:
        state = self._job(collection).state
        if state.is_active:
            return gr.skip(), gr.skip(), *self._build_state(collection)
        if state == sent:  # what the page shows besides, such as a warning or selected documents, is kept
            return tuple(gr.skip() for _ in self._outputs)
        return self._refresh(collection, path_part)

    def _build_state(self, collection: str) -> tuple[Any, ...]:
        """Return the state of a build, its progress, when to look again, and the visible button."""
        state = self._job(collection).state
        return (
            state,
            progress_html(state),
            gr.Timer(_REFRESH_SECONDS if state.is_active else _IDLE_SECONDS),
            gr.Button(visible=not state.is_active),
            gr.Button(visible=state.is_active),
        )

    def _build(self, collection: str, files: list[str] | None, sources: str) -> tuple[Any, ...]:
        folder = self._uploads[self._service.find(collection).name]
        try:
            stored = store_uploads([Path(file) for file in files or []], folder, max_bytes=self._max_bytes)
            sources_list = [line.strip() for line in sources.splitlines() if line.strip()]
            if not stored and not sources_list:
                warning = notice("There is nothing to build.", remedy="Upload files or name a folder.", kind="warning")
                return gr.skip(), gr.skip(), warning, gr.skip(), gr.skip(), gr.skip()
            self._job(collection).start([*sources_list, *map(str, stored)])
        except EchoIndexError as error:
            return gr.skip(), gr.skip(), error_html(error), gr.skip(), gr.skip(), gr.skip()
        return None, *self._build_state(collection)

    def _stop(self, collection: str) -> tuple[Any, ...]:
        self._job(collection).stop()
        return self._build_state(collection)

    def _remove(self, collection: str, paths: list[str], path_part: str) -> tuple[Any, ...]:
        if not paths:
            return notice("No document is selected.", kind="warning"), gr.skip(), gr.skip()
        try:
            report = remove_documents(paths, self._service.find(collection).index)
        except EchoIndexError as error:
            return error_html(error), gr.skip(), gr.skip()
        message = (
            f"{pluralize(len(report.removed), 'document')} removed; {pluralize(report.documents, 'document')} left."
        )
        return notice(message), self._contents(collection), self._removable(collection, path_part)

    def _contents(self, collection: str) -> str:
        try:
            return self._service.with_reader(contents_html, collection=collection)
        except IndexMissing:
            return notice("Nothing is indexed yet.", remedy="Upload files or name a folder, then build.", kind="empty")
        except EchoIndexError as error:
            return error_html(error)

    def _removable(self, collection: str, path_part: str) -> Any:
        try:
            documents = self._service.with_reader(list_documents, collection=collection)
            paths = [document.path for document in documents]
        except EchoIndexError:
            paths = []
        matching = [path for path in paths if path_part.lower() in path.lower()]
        more = f"; {len(matching) - _MAX_LISTED:,} more match" if len(matching) > _MAX_LISTED else ""
        return gr.CheckboxGroup(matching[:_MAX_LISTED], value=[], label=f"{pluralize(len(paths), 'document')}{more}")


def contents_html(reader: IndexReader) -> str:
    """Return the size and the model of an index, and what was not read."""
    manifest, documents = reader.manifest, reader.documents
    counts = documents.counts()
    facts = (
        (f"{counts.documents:,}", "documents"),
        (f"{counts.chunks:,}", "passages"),
        (byte_count(counts.bytes), "of text"),
        (str(manifest.encoder.get("model", "")), f"model, layer {manifest.encoder.get('layer', '')}"),
    )
    items = "".join(f"<li><b>{escape_html(value)}</b> {escape_html(name)}</li>" for value, name in facts)
    failures = documents.failures()
    skipped = "".join(f"<p>{escape_html(line)}</p>" for line in documents.skipped().sentences())
    omissions = omissions_html(documents.omissions())
    recognitions = recognitions_html(documents.recognitions())
    hint = f"<p>{escape_html(text)}</p>" if (text := ocr_facts(documents)["hint"]) else ""
    context = f"<p>Context: {escape_html(manifest.context)}</p>" if manifest.context else ""
    return f'<ul class="facts">{items}</ul>{context}{skipped}{recognitions}{omissions}{failures_html(failures)}{hint}'


def failures_html(failures: list[tuple[str, str]]) -> str:
    """Return the files that could not be read, with the reasons."""
    if not failures:
        return ""
    rows = [f"<b>{escape_html(path)}</b>: {escape_html(reason)}" for path, reason in failures]
    return _details(f"{pluralize(len(failures), 'file')} could not be read", rows)


def recognitions_html(recognitions: list[tuple[str, str]]) -> str:
    """Return the files of which something was recognized in pictures, and how well."""
    if not recognitions:
        return ""
    rows = [f"<b>{escape_html(path)}</b>: {escape_html(phrase)}" for path, phrase in recognitions]
    return _details(f"Pictures of text were read in {pluralize(len(rows), 'file')}", rows)


def omissions_html(omissions: list[tuple[str, str]]) -> str:
    """Return the files of which a part was not read, with what is missing."""
    lines = omission_lines(omissions)
    if not lines:
        return ""
    return _details(f"Not everything was read in {pluralize(len(lines), 'file')}", [*map(escape_html, lines)])


def _details(summary: str, rows: list[str]) -> str:
    """Return a list that is opened by a click on its summary."""
    items = "".join(f"<li>{row}</li>" for row in rows[:_MAX_FAILURES])
    more = f"<li>and {len(rows) - _MAX_FAILURES:,} more</li>" if len(rows) > _MAX_FAILURES else ""
    return f'<details class="failures"><summary>{summary}</summary><ul>{items}{more}</ul></details>'


def progress_html(state: BuildState) -> str:
    """Return the progress of a build as a bar with rate and time left, or its result."""
    if state.phase == "idle":
        return ""
    if state.phase == "failed":
        return notice("The build failed.", remedy=state.error, kind="error")
    if state.phase == "stopped":
        return notice("Stopped.", remedy="What was embedded is kept; build again to continue.", kind="warning")
    if state.phase == "done" and state.report:
        return notice(_result(state.report), remedy=_changes(state.report), kind="done")
    if state.stage is None or state.phase == "starting":
        return _bar("Opening the model", None, "")
    if state.phase == "stopping":
        return _bar("Stopping after the current batch", None, "")
    share = state.done / state.total if state.total else None
    total = f" of {state.total:,}" if state.total else ""
    left = f", {minutes_text(state.seconds_left)} left" if state.seconds_left is not None else ""
    label = f"{STAGE_LABELS[state.stage]} ({state.detail})" if state.detail else STAGE_LABELS[state.stage]
    return _bar(label, share, f"{state.done:,}{total} ({rate_text(state.rate)}{left})")


def _bar(label: str, share: float | None, details: str) -> str:
    percent = f"{100 * share:.1f}" if share is not None else ""
    now = f' aria-valuenow="{percent}"' if percent else ""
    width = f' style="width:{percent}%"' if percent else ' class="unknown"'
    return (
        f'<div class="progress"><p>{escape_html(label)} <span>{escape_html(details)}</span></p>'
        f'<div class="track" role="progressbar" aria-label="{escape_html(label)}"'
        f' aria-valuemin="0" aria-valuemax="100"{now}>'
        f"<span{width}></span></div></div>"
    )


def _result(report: BuildReport) -> str:
    return f"Done in {report.seconds:.1f} s: the index contains {index_size(report)}."


def _changes(report: BuildReport) -> str:
    skipped = f", {report.left_out:,} skipped because they were removed here" if report.left_out else ""
    patterns = "".join(f" {line}." for line in pattern_lines(report))
    files = f"Files: {change_counts(report) or 'none'}{skipped}."
    left_out = "".join(f" {line}" for line in report.skipped.sentences())
    return f"{files} {pluralize(report.embedded, 'passage')} embedded.{patterns}{left_out}"
