"""Build an index in a background thread that reports its progress and can be stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal

from echo_index.app.services.encoder_factory import EncoderOptions, choose_chunking, open_encoder
from echo_index.app.services.freshness import known_sources
from echo_index.app.services.progress import RateMeter, seconds_left
from echo_index.errors import EchoIndexError, IndexBusy

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.indexer.building.build_progress import Stage
    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.sources.source import Source

BuildPhase = Literal["idle", "starting", "running", "stopping", "done", "stopped", "failed"]


@dataclass(frozen=True)
class BuildState:
    """Progress of a build: `done` of `total` items of a stage, at `rate` per second; at the end `report` or `error`.

    `detail` says what takes long at the moment, if anything does.
    """

    phase: BuildPhase = "idle"
    stage: Stage | None = None
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    detail: str = ""
    report: BuildReport | None = None
    error: str = ""

    @property
    def is_active(self) -> bool:
        """Whether a build is running."""
        return self.phase in ("starting", "running", "stopping")

    @property
    def seconds_left(self) -> int | None:
        """Time left for the stage at this rate, or None while it is unknown."""
        return seconds_left(self.done, self.total, self.rate)


class _Stopped(Exception):
    """Raised in the progress callback to stop a build; the index keeps the embeddings made so far."""


class BuildJob:
    """Run builds of one index, one at a time. Thread-safe."""

    def __init__(self, index_dir: Path, options: EncoderOptions) -> None:
        self.index_dir = index_dir
        self._options = options
        self._state = BuildState()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._meter = RateMeter()
        self._detail = ""
        self._encoder: EchoEncoder | None = None  # of the last build: a model that is in use is not loaded again

    @property
    def state(self) -> BuildState:
        """The state of the build that was started last."""
        return self._state

    def start(self, sources: Sequence[str]) -> None:
        """Start to build from folders, files or globs; `state` has its progress.

        Raises:
            SourceError: a source cannot be used.
            IndexBusy: a build is already running.
        """
        from echo_index.indexer.sources.source import Source

        self._start([Source.parse(source) for source in sources], keep_gone=False)

    def update(self, sources: Sequence[Source] | None = None) -> None:
        """Start to build what has changed in the sources of all builds; those that are gone keep their documents.

        If sources are given, only these are looked at.

        Raises:
            IndexBusy: a build is already running.
        """
        self._start(known_sources(self.index_dir) if sources is None else sources, keep_gone=True)

    def _start(self, sources: Sequence[Source], *, keep_gone: bool) -> None:
        with self._lock:
            if self._state.is_active:
                raise IndexBusy("A build is already running.", remedy="Wait for it to end, or stop it.")
            self._state = BuildState(phase="starting")
            self._meter, self._detail = RateMeter(), ""
            self._thread = Thread(target=self._run, args=(sources, keep_gone), name="build", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask the build to stop after the current batch."""
        with self._lock:
            if self._state.is_active:
                self._state = replace(self._state, phase="stopping")

    def wait(self) -> BuildState:
        """Wait until the build has ended, and return its state."""
        if self._thread is not None:
            self._thread.join()
        return self._state

    def _run(self, sources: Sequence[Source], keep_gone: bool) -> None:
        from echo_index.indexer.building.build_files import build_index
        from echo_index.indexer.building.built_with import read_built_with

        try:
            before = read_built_with(self.index_dir)
            chunking = choose_chunking(None, None, before=before)
            self._encoder = encoder = open_encoder(
                self._options, before=before, chunk_tokens=chunking.max_tokens, notice=lambda line: None
            )
            report = build_index(
                sources,
                self.index_dir,
                encoder=encoder,
                chunking=chunking,
                keep_gone=keep_gone,
                progress=self._on_progress,
                on_recognizing=self._on_recognizing,
            )
            final = BuildState(phase="done", report=report)
        except _Stopped:
            final = replace(self._state, phase="stopped")
        except EchoIndexError as error:
            final = BuildState(phase="failed", error=str(error))
        except Exception as error:  # noqa: BLE001 - otherwise the page would wait for ever
            final = BuildState(phase="failed", error=f"The build failed: {error}")
        with self._lock:
            self._state = final

    def _on_recognizing(self, page: str) -> None:
        self._detail = page

    def _on_progress(self, stage: Stage, done: int, total: int | None) -> None:
        with self._lock:
            if self._state.phase == "stopping":
                raise _Stopped
            rate = self._meter.update(stage, done)
            self._state = BuildState("running", stage, done=done, total=total, rate=rate, detail=self._detail)
