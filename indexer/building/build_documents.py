"""Build an index from documents that are given as objects instead of files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import IndexMismatch, SourceError
from echo_index.indexer.building.begin_build import begin_build
from echo_index.indexer.building.build_progress import Progress
from echo_index.indexer.building.build_session import BuildSession
from echo_index.indexer.building.document_rows import chunk_rows, document_row
from echo_index.indexer.building.document_sync import BuildReport
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
    compare: bool | None = None,
    context: str | None = None,
    store: str | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> BuildReport:
    """Make an index hold exactly these (name, document) pairs; only new or changed documents are embedded.

    Documents that are not given, including those of files, are removed. If a call is interrupted, the next one
    continues where it stopped. `compare` says whether classical vectors are stored, too; None is what the call before
    did, which is no for the first one. `context` is the line that is embedded with each passage, and `store` where the
    index is published, see `build_index`.

    Raises:
        TextError: the context cannot be one.
        SourceError: no document was given, or two have the same name.
        IndexMismatch: the index was built with another encoder or chunking, or by a later version of echo-index.
        IndexDamaged: the catalog cannot be read.
        IndexBusy: another process is writing this index.
        IndexUnwritable: the disk is full or the folder cannot be written.
        StoreError: the store cannot be used, see `build_index`.
    """
    started = time.monotonic()
    with writer_lock(index_dir):
        session = begin_build(
            index_dir,
            encoder=encoder,
            chunking=chunking or Chunking(),
            rebuild=False,
            compare=compare,
            context=context,
            store=store,
            progress=progress,
        )
        with closing(session.catalog):
            if session.catalog.keeps_passages_outside:
                raise IndexMismatch(
                    f"The passages of the index in {index_dir} are in a store alone, where only builds of files bring "
                    "them.",
                    remedy="Index documents in another folder.",
                )
            _update_catalog(session, documents)
            session.embed()
            session.commit()
    session.report.seconds = time.monotonic() - started
    return session.report


def _update_catalog(session: BuildSession, documents: Iterable[tuple[str, Document]]) -> None:
    """Chunk every new or changed document, and remove those that were not given."""
    known = session.catalog.current_documents()
    given: set[str] = set()
    for name, document in documents:
        if name in given:
            raise SourceError(f"Two documents have the name {name!r}.", remedy="Give each document its own name.")
        given.add(name)
        _update_document(session, name, document, known.get(name))
        session.progress("reading", len(given), None)
    if not given:
        raise SourceError("There is no document to index.", remedy="Give at least one document.")
    missing = [name for name in known if name not in given]
    session.catalog.remove_documents(missing, generation=session.generation)
    session.report.removed = len(missing)


def _update_document(session: BuildSession, name: str, document: Document, known: DocumentRow | None) -> None:
    document = valid_document(document)
    fields = asdict(document)
    fields["titled"] = fields.pop("has_own_title")  # hashes of earlier builds contain this name
    # Earlier builds hashed documents without these.
    for added_later in ("tables", "places", "omissions", "recognized", "fields"):
        if not fields[added_later]:
            del fields[added_later]
    content_hash = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    if known and known.hash == content_hash:
        session.report.unchanged += 1
        return
    size = len(document.text.encode())
    row = document_row(document, name, content_hash, size=size, modified_ns=0)
    chunks = [*chunk_rows(document, session.encoder.token_starts, session.chunking, context=session.context)]
    session.catalog.put_document(row, chunks, generation=session.generation)
    session.report.omissions += [(name, phrase) for phrase in document.omissions]
    if known:
        session.report.changed += 1
    else:
        session.report.added += 1
