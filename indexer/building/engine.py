"""Where files are read and embedded: on this machine as the build goes on, or ahead of it by an engine of many."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from echo_index.indexer.building.build_session import BuildSession
from echo_index.indexer.building.prepared import NOTHING, Prepared
from echo_index.indexer.sources.source import Source


class Engine(Protocol):
    """Reads and embeds files ahead of a build."""

    def prepared(
        self, session: BuildSession, sources: Sequence[Source], *, ocr: bool, keep_gone: bool
    ) -> AbstractContextManager[Prepared]:
        """Return a context in which the new and changed files are prepared; the build commits inside of it.

        Raises:
            SourceError: a source cannot be read.
            EngineError: the engine cannot be reached, or cannot do its work.
        """


class LocalEngine:
    """The engine of one machine: a build reads files in one thread while it embeds others, and prepares nothing."""

    def prepared(
        self, session: BuildSession, sources: Sequence[Source], *, ocr: bool, keep_gone: bool
    ) -> AbstractContextManager[Prepared]:
        """Return a context with nothing."""
        return nullcontext(NOTHING)


LOCAL = LocalEngine()
