"""Keep the index of a server up to date in the background, beside its visitors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from echo_index.app.services.change_events import ChangeEvents
from echo_index.app.services.freshness import known_sources
from echo_index.app.services.index_watch import IndexWatch
from echo_index.errors import EchoIndexError, IndexMissing

if TYPE_CHECKING:
    from echo_index.app.services.build_job import BuildJob
    from echo_index.indexer.sources.source import Source

_PATIENCE = 10.0  # seconds for the last batch of a build when the server ends; nothing is lost if it takes longer


@contextmanager
def background_watch(job: BuildJob, *, polling: bool, notice: Callable[[str], None]) -> Iterator[None]:
    """Build whenever files of the index change, inside the block; its end stops a build that is running.

    The builds are those of `job`, so that visitors see their progress and can stop them. Sources that visitors add are
    watched as well.
    """
    from echo_index.embeddings.runtime.cache import cache_folder

    stop, sources = Event(), _Sources(job.index_dir)

    def build() -> None:
        job.update()
        ended = job.wait()
        if ended.phase == "failed":
            raise EchoIndexError(ended.error)

    events = ChangeEvents(
        sources.read, ignored=[job.index_dir, cache_folder()], polling=polling, stop=stop, notice=notice
    )
    watch = IndexWatch(job.index_dir, sources.read, build, events=events, notice=notice)
    thread = Thread(target=watch.run, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        job.stop()
        thread.join(_PATIENCE)


class _Sources:
    """The sources of an index, read again when there is a new generation of it."""

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
        self._stamp: tuple[int, int] | None = None
        self._read: Sequence[Source] = ()

    def read(self) -> Sequence[Source]:
        from echo_index.indexer.generations.manifest import manifest_stamp

        try:
            stamp = manifest_stamp(self._index_dir)
        except IndexMissing:
            return ()  # there is nothing to keep up to date
        if stamp != self._stamp:
            self._stamp, self._read = stamp, known_sources(self._index_dir)
        return self._read
