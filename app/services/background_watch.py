"""Keep the indexes of a server up to date in the background, beside its visitors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from echo_index.app.services.change_events import ChangeEvents
from echo_index.app.services.freshness import known_sources, watched_sources
from echo_index.app.services.index_watch import IndexWatch
from echo_index.errors import EchoIndexError, IndexMissing

if TYPE_CHECKING:
    from echo_index.app.services.build_job import BuildJob
    from echo_index.indexer.sources.source import Source

_PATIENCE = 10.0  # seconds for the last batch of a build when the server ends; nothing is lost if it takes longer


@contextmanager
def background_watch(jobs: Mapping[str, BuildJob], *, polling: bool, notice: Callable[[str], None]) -> Iterator[None]:
    """Build whenever files of the indexes change, inside the block; its end stops builds that are running.

    The builds are those of `jobs`, by the names of the indexes, so that visitors see their progress and can stop them.
    Sources that visitors add are watched as well. If there are several, each notice begins with the name of its index.
    """
    from echo_index.embeddings.runtime.cache import cache_folder

    stop = Event()
    told = {name: partial(_tell_of, name, notice) if len(jobs) > 1 else notice for name in jobs}
    ignored = [*(job.index_dir for job in jobs.values()), cache_folder()]
    watches = [
        _watch(job, ignored=ignored, polling=polling, stop=stop, notice=told[name]) for name, job in jobs.items()
    ]
    threads = [Thread(target=watch.run, name="watch", daemon=True) for watch in watches]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for job in jobs.values():
            job.stop()
        until = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def _tell_of(name: str, notice: Callable[[str], None], line: str) -> None:
    notice(f"{name}: {line}")


def _watch(
    job: BuildJob, *, ignored: Sequence[Path], polling: bool, stop: Event, notice: Callable[[str], None]
) -> IndexWatch:
    sources = _Sources(job.index_dir, notice)

    def build() -> None:
        job.update(sources.read())
        ended = job.wait()
        if ended.phase == "failed":
            raise EchoIndexError(ended.error)

    events = ChangeEvents(sources.read, ignored=ignored, polling=polling, stop=stop, notice=notice)
    return IndexWatch(job.index_dir, sources.read, build, events=events, notice=notice)


class _Sources:
    """The sources of an index on this machine, read again when there is a new generation of it.

    `notice` receives once which sources are on others.
    """

    def __init__(self, index_dir: Path, notice: Callable[[str], None]) -> None:
        self._index_dir = index_dir
        self._notice = notice
        self._told: set[str] = set()
        self._stamp: tuple[int, int] | None = None
        self._read: Sequence[Source] = ()

    def read(self) -> Sequence[Source]:
        from echo_index.indexer.generations.manifest import manifest_stamp

        try:
            stamp = manifest_stamp(self._index_dir)
        except IndexMissing:
            return ()  # there is nothing to keep up to date
        if stamp != self._stamp:
            self._stamp, self._read = stamp, watched_sources(known_sources(self._index_dir), self._tell_once)
        return self._read

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._notice(line)
