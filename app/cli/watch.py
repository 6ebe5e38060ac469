"""Build again whenever files change, until Ctrl-C: `build --watch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from echo_index.app.cli.options import notice
from echo_index.app.cli.output import one_line
from echo_index.app.services.change_events import ChangeEvents
from echo_index.app.services.formatting import change_counts, failure_lines, pluralize
from echo_index.app.services.index_watch import IndexWatch
from echo_index.errors import IndexBusy, IndexUnwritable, SourceError

if TYPE_CHECKING:
    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.sources.source import Source


def watch_sources(
    sources: Sequence[Source],
    index: Path,
    *,
    first: Callable[[], None],
    again: Callable[[], BuildReport],
    polling: bool,
) -> None:
    """Build first, then again after each batch of changes, which is told in one line. Ctrl-C exits with code 130.

    Raises:
        EchoIndexError: the first build fails for a reason that time does not mend.
    """
    from echo_index.embeddings.runtime.cache import cache_folder

    known_failures: set[tuple[str, str]] | None = None

    def tell(line: str) -> None:
        notice(one_line(line))

    def build() -> None:
        nonlocal known_failures
        report = again()
        now = time.strftime("%H:%M:%S")
        notice(f"{now}  {change_counts(report)}; {pluralize(report.embedded, 'passage')} embedded.")
        failures = {*report.failures}
        for line in failure_lines(sorted(failures - (known_failures or set()))):
            tell(f"Not read: {line}")
        known_failures = failures

    events = ChangeEvents(lambda: sources, ignored=[index, cache_folder()], polling=polling, notice=tell)
    watch = IndexWatch(index, lambda: sources, build, events=events, notice=tell)
    try:
        watch.attempt(first, errors=(IndexBusy, IndexUnwritable, SourceError))
        notice(f"Watching {', '.join(one_line(source.name) for source in sources)}; press Ctrl-C to stop.")
        watch.run()
    except KeyboardInterrupt:
        notice("Stopped watching.")
        raise typer.Exit(130) from None
