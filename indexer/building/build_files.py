"""Build an index from files: scan, read and chunk them while chunks are embedded, then commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import EngineError
from echo_index.indexer.building.begin_build import begin_build
from echo_index.indexer.building.build_progress import OnRecognizing, Progress
from echo_index.indexer.building.build_session import BuildSession
from echo_index.indexer.building.document_sync import BuildReport, DocumentUpdate
from echo_index.indexer.building.engine import LOCAL, Engine
from echo_index.indexer.building.passage_sink import CatalogSink, PassageParts
from echo_index.indexer.building.prefetch import OnFileRead, Prefetch
from echo_index.indexer.building.store_commit import commit_to_store
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.recognition import ocr_hint
from echo_index.indexer.generations.source_registry import remember_sources, remembered_ocr, with_patterns
from echo_index.indexer.sandbox.document_reader import DocumentReader
from echo_index.indexer.sources.remote.files import RemoteFiles
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.writer_lock import writer_lock

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

_ASK_SECONDS = 5.0  # at most, whether there is still something at the address of a source that is not built


def build_index(
    sources: Sequence[Source],
    index_dir: Path,
    *,
    encoder: EchoEncoder,
    chunking: Chunking | None = None,
    rebuild: bool = False,
    ocr: bool | None = None,
    compare: bool | None = None,
    context: str | None = None,
    index_kind: str | None = None,
    recall: float | None = None,
    store: str | None = None,
    store_only: bool | None = None,
    keep_gone: bool = False,
    engine: Engine = LOCAL,
    progress: Progress = lambda stage, done, total: None,
    on_recognizing: OnRecognizing = lambda page: None,
) -> BuildReport:
    """Update an index from its sources; only new or changed files are read, chunked and embedded.

    Documents that no source covers stay in the index. Documents that were removed from the index are skipped, unless a
    source is that file itself. The sources and their patterns are remembered (see `read_sources`); later builds reuse
    the patterns unless they are given others. If a build is interrupted, the next one continues where it stopped.

    Args:
        sources: the folders, files and globs to index.
        index_dir: the folder of the index, created if missing.
        encoder: embeds the chunks; an index accepts only one encoder.
        chunking: how documents are split; an index accepts only one chunking.
        rebuild: fill a new catalog, which replaces the old one when it is complete.
        ocr: whether pictures of text are recognized, if an engine for that is installed; None for what the build
            before did, which is yes for the first one.
        compare: whether the classical vectors of all passages are stored, too, for comparisons; None for what the build
            before did, which is no for the first one.
        context: a line that says what the documents are about, embedded with each of their passages; '' for none, None
            for that of the build before. If it is another one, all passages are embedded again.
        index_kind: `auto`, `exact` or a FAISS factory string; None for what the build before was given, which is
            `auto` for the first one. If it is given, an approximate index is trained anew.
        recall: the least share of the ten nearest chunks that searches of an approximate index find; None for what the
            build before was given, which is 0.98 for the first one.
        store: where each generation is published, too, such as `milvus:http://host:19530#name`; '' for nowhere, None
            for where the build before published it.
        store_only: whether passages and vectors are in the store alone, for corpora that this machine cannot hold: the
            folder keeps the list of documents. It needs an engine that writes parts, and is chosen for a new index or
            with `rebuild`; None for what the build before did, which is no for the first one.
        keep_gone: a source that is missing, is an empty folder or cannot be read is no error: its documents stay in the
            index, the source stays remembered, and the report names it. Such a folder may be a disk that is not
            mounted.
        engine: where files are read and embedded: on this machine, or on many, see `RayEngine`. The index is the same.
        progress: receives the stage, the number of items done, and of all items or None.
        on_recognizing: receives the page that is being recognized, as words for the user.

    Raises:
        TextError: the context cannot be one, see `parse_context`.
        SourceError: the sources hold nothing to index, or one of them does not exist and `keep_gone` is false.
        IndexMismatch: the index was built with another encoder or chunking, and `rebuild` is false; or by a later
            version of echo-index.
        IndexDamaged: the catalog cannot be read, and `rebuild` is false.
        IndexBusy: another process is writing this index.
        IndexUnwritable: the disk is full or the folder cannot be written.
        IndexKindError: FAISS has no index of that kind, or cannot train it with so few chunks.
        EngineError: the engine cannot be reached, or cannot do its work.
        StoreError: a new store cannot be reached or holds another index; or the one of earlier builds cannot be reached
            when the index is complete, and the next build publishes it.
        MissingPackage: the store needs a package that is not installed.
    """
    started = time.monotonic()
    if store_only and not engine.writes_parts:
        raise _needs_parts(index_dir)
    with writer_lock(index_dir):
        session = begin_build(
            index_dir,
            encoder=encoder,
            chunking=chunking or Chunking(),
            rebuild=rebuild,
            compare=compare,
            context=context,
            index_kind=index_kind,
            recall=recall,
            store=store,
            store_only=store_only,
            progress=progress,
            on_recognizing=on_recognizing,
        )
        with closing(session.catalog):
            given, sources = sources, with_patterns(session.catalog, index_dir, sources)
            session.report.kept_patterns = [
                (source.name, source.include, source.exclude)
                for before, source in zip(given, sources, strict=True)
                if source != before
            ]
            ocr = remembered_ocr(session.catalog, ocr)
            with engine.prepared(session, sources, ocr=ocr, keep_gone=keep_gone) as session.prepared:
                parts = _parts(session)
                with DocumentReader(ocr=ocr) as reader, RemoteFiles() as remote:
                    read = partial(_update_catalog, session, sources, reader, remote, ocr, keep_gone)
                    session.embed_during(
                        Prefetch(
                            read,
                            stop=partial(_stop_both, reader, remote),
                            activity=lambda: reader.recognizing or remote.activity,
                        )
                    )
                if parts is None:
                    session.commit()
                else:
                    commit_to_store(session, parts)
    report = session.report
    report.ocr_hint = ocr_hint(report.omissions, report.failures, report.skipped.unsupported, ocr=ocr)
    session.report.seconds = time.monotonic() - started
    return session.report


def _update_catalog(
    session: BuildSession,
    sources: Sequence[Source],
    reader: DocumentReader,
    remote: RemoteFiles,
    ocr: bool,
    keep_gone: bool,
    on_file_read: OnFileRead,
) -> None:
    """Update the catalog from the files, then remember their sources."""
    update = DocumentUpdate(
        session.catalog,
        session.index_dir,
        generation=session.generation,
        chunking=session.chunking,
        token_starts=session.encoder.token_starts,
        reader=reader,
        report=session.report,
        sink=session.prepared.passages or CatalogSink(session.catalog),
        context=session.context,
        ocr=ocr,
        remote=remote,
        prepared=session.prepared,
        keep_gone=keep_gone,
    )
    update.run(sources, skip=[session.index_dir], on_file_read=on_file_read)
    remember_sources(
        session.catalog,
        session.index_dir,
        sources,
        keep_gone=keep_gone,
        is_missing=lambda source: remote.is_missing(source.path, seconds=_ASK_SECONDS),
    )


def _parts(session: BuildSession) -> PassageParts | None:
    """Return the parts of an index whose passages are in a store alone, None for another one.

    Raises:
        EngineError: the engine of this build makes no parts.
    """
    if not session.catalog.keeps_passages_outside:
        return None
    if session.prepared.passages is None:
        raise _needs_parts(session.index_dir)
    return session.prepared.passages


def _needs_parts(index_dir: Path) -> EngineError:
    return EngineError(
        f"The passages of the index in {index_dir} are for a store alone, where a cluster brings them.",
        remedy="Add --engine ray.",
    )


def _stop_both(reader: DocumentReader, remote: RemoteFiles) -> None:
    remote.stop()
    reader.stop()
