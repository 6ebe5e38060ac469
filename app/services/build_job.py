"""A build in the background, for everybody to watch and to stop. Knows how far it is, nothing of how that is shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal

from echo_index.app.services.encoder_factory import EncoderOptions, choose_chunking, open_encoder
from echo_index.errors import EchoIndexError, IndexBusy

if TYPE_CHECKING:
    from echo_index.indexer.building.build_session import Stage
    from echo_index.indexer.building.document_sync import BuildReport
    from echo_index.indexer.sources.source import Source

BuildPhase = Literal["idle", "starting", "running", "stopping", "done", "stopped", "failed"]


@dataclass(frozen=True)
class BuildState:
    """How a build stands. `rate` is per second, `seconds_left` is None while it cannot be told."""

    phase: BuildPhase = "idle"
    stage: Stage | None = None
    done: int = 0
    total: int | None = None
    rate: float = 0.0
    report: BuildReport | None = None
    error: str = ""

    @property
    def is_active(self) -> bool:
        """Whether something is being done."""
        return self.phase in ("starting", "running", "stopping")

    @property
    def seconds_left(self) -> int | None:
        """How long the stage goes on at this rate."""
        return None if self.total is None or not self.rate else round((self.total - self.done) / self.rate)


class _Stopped(Exception):
    """Leaves a build from within its progress; what was embedded is kept."""


class BuildJob:
    """Builds one index, one build at a time. Thread-safe."""

    def __init__(self, index_dir: Path, options: EncoderOptions) -> None:
        self.index_dir = index_dir
        self._options = options
        self._state = BuildState()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stage_began, self._done_before = 0.0, 0

    @property
    def state(self) -> BuildState:
        """How the last build that was started stands."""
        return self._state

    def start(self, sources: Sequence[str]) -> None:
        """Begin to build from folders, files or globs; `state` tells how it goes.

        Raises:
            SourceError: a source cannot be used.
            IndexBusy: a build is on its way already.
        """
        from echo_index.indexer.sources.source import Source

        parsed = [Source.parse(source) for source in sources]
        with self._lock:
            if self._state.is_active:
                raise IndexBusy("A build is on its way already.", remedy="Wait for it, or stop it.")
            self._state = BuildState(phase="starting")
            self._thread = Thread(target=self._run, args=(parsed,), name="build", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask the build to end after the batch in flight."""
        with self._lock:
            if self._state.is_active:
                self._state = replace(self._state, phase="stopping")

    def wait(self) -> BuildState:
        """Return the state when the build has ended."""
        if self._thread is not None:
            self._thread.join()
        return self._state

    def _run(self, sources: Sequence[Source]) -> None:
        from echo_index.indexer.building.build_files import build_index
        from echo_index.indexer.building.build_session import read_built_with

        try:
            before = read_built_with(self.index_dir)
            chunking = choose_chunking(None, None, before=before)
            encoder = open_encoder(
                self._options, before=before, chunk_tokens=chunking.max_tokens, notice=lambda line: None
            )
            report = build_index(
                sources, self.index_dir, encoder=encoder, chunking=chunking, progress=self._on_progress
            )
            ended = BuildState(phase="done", report=report)
        except _Stopped:
            ended = replace(self._state, phase="stopped")
        except EchoIndexError as error:
            ended = BuildState(phase="failed", error=str(error))
        except Exception as error:  # noqa: BLE001 - nobody else would tell the person who waits
            ended = BuildState(phase="failed", error=f"The build failed: {error}")
        with self._lock:
            self._state = ended

    def _on_progress(self, stage: Stage, done: int, total: int | None) -> None:
        now = time.monotonic()
        with self._lock:
            if self._state.phase == "stopping":
                raise _Stopped
            if stage != self._state.stage:
                self._stage_began, self._done_before = now, done
            seconds = now - self._stage_began
            rate = (done - self._done_before) / seconds if seconds > 0 else 0.0
            self._state = BuildState(phase="running", stage=stage, done=done, total=total, rate=rate)
