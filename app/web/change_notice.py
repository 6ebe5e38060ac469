"""A line above the tabs that says how many files have changed since the last build, with a button that builds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import gradio as gr

from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.freshness import changed_files_text, gone_lines, look_for_changes
from echo_index.app.web.error_html import error_html
from echo_index.app.web.html import notice
from echo_index.errors import EchoIndexError
from echo_index.indexer.inspection.changed_files import FileChanges

_IDLE_SECONDS = 10.0  # between two looks at the files, for all visitors together
_BUILD_SECONDS = 1.0  # between two looks at a build that is running
_QUIET: dict[str, Any] = {
    "concurrency_id": "changes",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "api_visibility": "private",
}


@dataclass(frozen=True)
class _Shown:
    """What a page shows: the line as HTML, empty for none, and whether the button is there and a build is running."""

    html: str = ""
    has_button: bool = False
    is_building: bool = False


class ChangeNotice:
    """The line and its button. An index that `is_watched` is built by itself, and only lacks what is gone.

    `build_jobs` are those of the indexes by their names; the line sums up what has changed in several.
    """

    def __init__(self, build_jobs: Mapping[str, BuildJob], *, may_change: bool, is_watched: bool) -> None:
        self._build_jobs = build_jobs
        self._may_change = may_change
        self._is_watched = is_watched
        self._lock = Lock()
        self._looked_at = 0.0
        self._changes: dict[str, FileChanges] = {}
        with gr.Row(visible=False, elem_id="changes") as row:
            html = gr.HTML()
            label = "Update the indexes" if len(build_jobs) > 1 else "Update the index"
            button = gr.Button(label, size="sm", min_width=160, scale=0, elem_id="update-index")
        self._timer = gr.Timer(_IDLE_SECONDS)
        self._sent = gr.State(_Shown())
        self._outputs = [self._sent, row, html, button, self._timer]
        button.click(self._update, None, self._outputs, **_QUIET)
        self._timer.tick(self._refresh, self._sent, self._outputs, **_QUIET)

    def connect(self, page: gr.Blocks) -> None:
        """Show the line when the page is opened."""
        page.load(self._refresh, self._sent, self._outputs, **_QUIET)

    def _refresh(self, sent: _Shown) -> tuple[Any, ...]:
        building = self._building()
        if sent.is_building and not building:
            self._looked_at = 0.0  # the build has changed what there is to say
        shown = self._shown(building)
        return tuple(gr.skip() for _ in self._outputs) if shown == sent else self._show(shown)

    def _update(self) -> tuple[Any, ...]:
        changed = [name for name, changes in self._look().items() if changes.count] or [*self._build_jobs]
        try:
            for name in changed:
                self._build_jobs[name].update()
        except EchoIndexError as error:
            return self._show(_Shown(error_html(error)))
        return self._show(self._shown(changed))

    def _building(self) -> list[str]:
        return [name for name, job in self._build_jobs.items() if job.state.is_active]

    def _shown(self, building: Sequence[str]) -> _Shown:
        is_one_of_several = len(self._build_jobs) > 1
        if building:
            if self._is_watched:
                return _Shown(is_building=True)
            of = f" of {' and '.join(building)}" if is_one_of_several else ""
            return _Shown(notice(f"The index{of} is being built; see the Library."), is_building=True)
        changes = self._look()
        has_news = any(each.count for each in changes.values()) and not self._is_watched
        where = f": {_counts_text(changes)}" if is_one_of_several else ""
        lines = [f"{changed_files_text(_total(changes))}{where}."] if has_news else []
        lines += [line for each in changes.values() for line in gone_lines(each.gone)]
        lines = [*dict.fromkeys(lines)]  # two indexes may have the same source
        if not lines:
            return _Shown()
        return _Shown(notice(lines[0], remedy=" ".join(lines[1:])), has_button=has_news and self._may_change)

    def _look(self) -> dict[str, FileChanges]:
        """Return what is known of the changes; a look that is a few seconds old serves all visitors."""
        with self._lock:
            if time.monotonic() - self._looked_at >= _IDLE_SECONDS or not self._looked_at:
                looks = {name: look_for_changes(job.index_dir) for name, job in self._build_jobs.items()}
                self._changes = {name: changes for name, changes in looks.items() if changes is not None}
                self._looked_at = time.monotonic()
            return self._changes

    def _show(self, shown: _Shown) -> tuple[Any, ...]:
        seconds = _BUILD_SECONDS if shown.is_building else _IDLE_SECONDS
        return (
            shown,
            gr.Row(visible=bool(shown.html)),
            shown.html,
            gr.Button(visible=shown.has_button),
            gr.Timer(seconds),
        )


def _total(changes: Mapping[str, FileChanges]) -> FileChanges:
    """Return how many files of all indexes have changed."""
    return FileChanges(
        new=sum(each.new for each in changes.values()),
        changed=sum(each.changed for each in changes.values()),
        removed=sum(each.removed for each in changes.values()),
    )


def _counts_text(changes: Mapping[str, FileChanges]) -> str:
    """Return "3 in work, 1 in recipes"."""
    return ", ".join(f"{each.count:,} in {name}" for name, each in changes.items() if each.count)
