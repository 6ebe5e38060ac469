"""Keep an index up to date: build whenever files of its sources have changed, and go on after errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.app.services.change_events import ChangeEvents
from echo_index.app.services.freshness import gone_lines
from echo_index.errors import EchoIndexError, IndexMissing, StoreError

if TYPE_CHECKING:
    from echo_index.indexer.sources.source import Source

_RETRY_SECONDS = (5, 10, 20, 40, 60)  # after as many failures in a row


class IndexWatch:
    """Builds after each batch of changes that concerns the index. `notice` receives what a person should know."""

    def __init__(
        self,
        index_dir: Path,
        sources: Callable[[], Sequence[Source]],
        build: Callable[[], None],
        *,
        events: ChangeEvents,
        notice: Callable[[str], None],
    ) -> None:
        self._index_dir = index_dir
        self._sources = sources
        self._build = build
        self._events = events
        self._notice = notice
        self._gone: tuple[tuple[str, str], ...] = ()
        self._failures = 0
        self._last_error = ""
        self._is_unpublished = False

    def run(self) -> None:
        """Watch until the events end."""
        for _ in self._events.batches():
            self.attempt(self._build_changes)

    def attempt(
        self, work: Callable[[], object], *, errors: tuple[type[Exception], ...] = (EchoIndexError, OSError)
    ) -> None:
        """Do some work; an error of these types is told, and the files are looked at again later.

        Of several errors in a row with the same text, only the first is told.
        """
        try:
            work()
        except errors as error:
            if str(error) != self._last_error:
                self._notice(f"Error: {error}")
            self._last_error = str(error)
            self._is_unpublished = isinstance(error, StoreError)
            self._events.look_again(_RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)])
            self._failures += 1
        else:
            self._failures, self._last_error, self._is_unpublished = 0, "", False

    def _build_changes(self) -> None:
        from echo_index.indexer.inspection.changed_files import find_changes

        sources = self._sources()
        if not sources:
            return
        started = time.monotonic()
        try:
            changes = find_changes(self._index_dir, sources)
        except IndexMissing:
            self._build()
            return
        finally:
            self._events.look_seconds = time.monotonic() - started
        self._tell_gone(changes.gone)
        if changes.count or self._is_unpublished:
            self._build()

    def _tell_gone(self, gone: tuple[tuple[str, str], ...]) -> None:
        """Say which sources have gone since the last time, and which have come back."""
        before, now = dict(self._gone), dict(gone)
        for line in gone_lines([(name, reason) for name, reason in gone if before.get(name) != reason]):
            self._notice(line)
        for name in before.keys() - now.keys():
            self._notice(f"{name} is back.")
        self._gone = gone
