"""An index brought up to date with documents that are given in memory, under names. Knows nothing of files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import SourceError
from echo_index.indexer.building.build_session import BuildSession, Progress, begin_build
from echo_index.indexer.building.document_sync import BuildReport, chunk_rows, document_row
from echo_index.indexer.catalog.records import DocumentRow
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.document import Document, valid_document
from echo_index.indexer.storage.writer_lock import writer_lock

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder


def index_documents(
    documents: Iterable[tuple[str, Document]],
    index_dir: Path,
    *,
    encoder: EchoEncoder,
    chunking: Chunking | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> BuildReport:
    """Let an index hold just these documents, each a pair of its name and what it says: only what is new is embedded.

    A document whose content the index knows under its name is passed over; documents that are not given any more are
    removed. Interrupted at any time, the next call goes on where this one ended. Such an index is for documents from
    memory alone: those of files would be removed.

    Raises:
        SourceError: no document was given, or two of them under one name.
        IndexMismatch: the index was built with another encoder or chunking, or by a later version.
        IndexDamaged: the catalog cannot be read.
        IndexBusy: another process is writing this index.
        IndexUnwritable: the disk is full, or nothing can be written to the folder.
    """
    started = time.monotonic()
    with writer_lock(index_dir):
        work = begin_build(
            index_dir, encoder=encoder, chunking=chunking or Chunking(), rebuild=False, progress=progress
        )
        with closing(work.catalog):
            _update(work, documents)
            work.embed()
            work.commit()
    work.report.seconds = time.monotonic() - started
    return work.report


def _update(work: BuildSession, documents: Iterable[tuple[str, Document]]) -> None:
    """Cut every document that is new or changed; let go of those that were not given."""
    known = work.catalog.current_documents()
    given: set[str] = set()
    for name, document in documents:
        if name in given:
            raise SourceError(f"Two documents were given under the name {name!r}.", remedy="Give each its own.")
        given.add(name)
        _update_document(work, name, document, known.get(name))
        work.progress("reading", len(given), None)
    if not given:
        raise SourceError("No document was given to be indexed.")
    gone = [name for name in known if name not in given]
    work.catalog.remove_documents(gone, generation=work.generation)
    work.report.removed = len(gone)


def _update_document(work: BuildSession, name: str, document: Document, known: DocumentRow | None) -> None:
    document = valid_document(document)
    fields = asdict(document)
    fields["titled"] = fields.pop("has_own_title")  # the name that it has in the hashes of earlier builds
    content = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    if known and known.hash == content:
        work.report.unchanged += 1
        return
    size = len(document.text.encode())
    row = document_row(document, name, content, size=size, modified_ns=0)
    chunks = [*chunk_rows(document, work.encoder.token_starts, work.chunking)]
    work.catalog.put_document(row, chunks, generation=work.generation)
    if known:
        work.report.changed += 1
    else:
        work.report.added += 1
