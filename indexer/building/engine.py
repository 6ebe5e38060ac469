"""Where files are read and embedded: on this machine as the build goes on, or ahead of it by an engine of many."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from echo_index.indexer.building.build_session import BuildSession
from echo_index.indexer.building.prepared import NOTHING, Prepared
from echo_index.indexer.sources.source import Source

PARTS_FOLDER = "echo-index-parts"
"""Where an engine of many machines writes inside of an index, if it is given no other place.

It is deleted after builds, and an index may be in a folder with others: nobody else calls a folder so.
"""


class Engine(Protocol):
    """Reads and embeds files ahead of a build."""

    @property
    def writes_parts(self) -> bool:
        """Whether it can bring passages to a store alone: it embeds into parts, from which they are published."""
        ...

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

    writes_parts = False

    @contextmanager
    def prepared(
        self, session: BuildSession, sources: Sequence[Source], *, ocr: bool, keep_gone: bool
    ) -> Iterator[Prepared]:
        """Prepare nothing. After the build, what an interrupted one of another engine had prepared is of no use."""
        yield NOTHING
        shutil.rmtree(session.index_dir / PARTS_FOLDER, ignore_errors=True)


LOCAL = LocalEngine()
