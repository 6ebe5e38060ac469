"""The composer of a build from files: scan, diff, chunk and, meanwhile, embed; then commit. Knows no details."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.indexer.building.build_session import BuildSession, Progress, begin_build
from echo_index.indexer.building.document_sync import BuildReport, DocumentUpdate
from echo_index.indexer.building.prefetch import Prefetch, Tell
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.source_registry import remember_sources, with_patterns
from echo_index.indexer.sandbox.document_reader import DocumentReader
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.writer_lock import writer_lock

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder


def build_index(
    sources: Sequence[Source],
    index_dir: Path,
    *,
    encoder: EchoEncoder,
    chunking: Chunking | None = None,
    rebuild: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> BuildReport:
    """Bring an index up to date with its sources: only what is new or changed is read, cut and embedded.

    Documents that no source covers stay as they are; documents that were removed from the index are left out, unless a
    source is that very file. `rebuild` fills a new catalog beside the old one, which it replaces when it is complete.
    Interrupted at any time, the next build goes on where this one ended. The sources are remembered: `read_sources`;
    so are their patterns, by which later builds go unless they give others.

    Raises:
        SourceError: there is nothing to index in the sources, or one of them is gone.
        IndexMismatch: the index was built with another encoder or chunking, and `rebuild` is false; or by a later
            version.
        IndexDamaged: the catalog cannot be read, and `rebuild` is false.
        IndexBusy: another process is writing this index.
        IndexUnwritable: the disk is full, or nothing can be written to the folder.
    """
    started = time.monotonic()
    with writer_lock(index_dir):
        work = begin_build(
            index_dir, encoder=encoder, chunking=chunking or Chunking(), rebuild=rebuild, progress=progress
        )
        with closing(work.catalog):
            given, sources = sources, with_patterns(work.catalog, index_dir, sources)
            work.report.kept_patterns = [
                (source.name, source.include, source.exclude)
                for before, source in zip(given, sources, strict=True)
                if source != before
            ]
            with DocumentReader() as reader:
                work.embed_during(Prefetch(partial(_read, work, sources, reader), stop=reader.stop))
            work.commit()
    work.report.seconds = time.monotonic() - started
    return work.report


def _read(work: BuildSession, sources: Sequence[Source], reader: DocumentReader, tell: Tell) -> None:
    """Bring the catalog up to date with the files; remember their sources when all are read."""
    update = DocumentUpdate(
        work.catalog,
        work.index_dir,
        generation=work.generation,
        chunking=work.chunking,
        token_starts=work.encoder.token_starts,
        reader=reader,
        report=work.report,
    )
    update.run(sources, skip=[work.index_dir], tell=tell)
    remember_sources(work.catalog, work.index_dir, sources)
