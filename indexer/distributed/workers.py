"""What runs on the nodes: one worker reads and cuts files, another one embeds their chunks and writes parts."""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from echo_index.embeddings.models.token_offsets import load_token_starts
from echo_index.errors import DocumentError, EngineError
from echo_index.indexer.archives.member_names import SEPARATOR
from echo_index.indexer.building.document_rows import chunk_rows, file_row
from echo_index.indexer.building.pending_files import PendingFile
from echo_index.indexer.distributed.hash_set import Prefixes, are_in
from echo_index.indexer.distributed.part_store import SUFFIX, PartStore
from echo_index.indexer.distributed.part_table import PassageVectors, WorkedDocument, part_content
from echo_index.indexer.distributed.work import Outcome, Piece, WorkItem, WorkSettings, trouble
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.sandbox.archive_reader import KnownArchive, MemberListener, read_archive
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadFile
from echo_index.indexer.sources.remote.files import FetchFailed, RemoteFiles
from echo_index.indexer.sources.scanner import FoundFile

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

Batch = Mapping[str, Sequence[bytes]]
"""A column `item` of pickled objects, as batches of Ray Data hold them."""

PART_CHUNKS = 512  # after which a part ends, if there are more documents
_CORES = "OMP_NUM_THREADS"


def to_batch(items: Sequence[object]) -> dict[str, np.ndarray]:
    """Return a batch of some objects."""
    column = np.empty(len(items), dtype=object)
    column[:] = [pickle.dumps(item) for item in items]
    return {"item": column}


class FileWorker:
    """Reads groups of files, each in the sandbox, and cuts them into chunks."""

    def __init__(self, settings: WorkSettings, load_keys: Callable[[], Prefixes]) -> None:
        self._settings = settings
        self._load_keys = load_keys
        self._remote = RemoteFiles()
        """Of the group that is read."""

    def __call__(self, batch: Batch) -> Iterator[dict[str, np.ndarray]]:
        """Yield the items of work for the groups of a batch."""
        for stored in batch["item"]:
            try:
                for item in self._items(pickle.loads(stored)):
                    yield to_batch([item])
            except Exception as error:  # noqa: BLE001 - the machine that builds says it and stops
                yield to_batch([WorkItem(trouble=trouble(error))])

    @cached_property
    def _reader(self) -> DocumentReader:
        return DocumentReader(ocr=self._settings.ocr)

    @cached_property
    def _token_starts(self) -> Callable[[str], Sequence[int]]:
        config = self._settings.encoder
        return load_token_starts(str(config["model"]), max_tokens=int(config["max_tokens"] or 0))

    @cached_property
    def _keys(self) -> Prefixes:
        return self._load_keys()

    def _items(self, group: Sequence[Piece]) -> Iterator[WorkItem]:
        documents: list[WorkedDocument] = []
        outcomes: list[Outcome] = []
        chunks = 0
        with RemoteFiles() as self._remote:
            for piece in self._remote.ahead(group, _file_of):
                found, outcome = self._work(piece)
                for document in found:
                    if chunks >= PART_CHUNKS:
                        yield WorkItem(documents, outcomes)
                        documents, outcomes, chunks = [], [], 0
                    documents.append(document)
                    chunks += len(document.chunks)
                outcomes.append(outcome)
        if documents or outcomes:
            yield WorkItem(documents, outcomes)

    def _work(self, piece: Piece) -> tuple[Sequence[WorkedDocument], Outcome]:
        if isinstance(piece, WorkedDocument):
            return [] if self._is_done(piece.key) else [piece], Outcome(piece.row.path, "embedded")
        try:
            if piece.file.members:
                return self._archive(piece)
            document, outcome = self._document(piece)
        except FileNotFoundError:
            return [], Outcome(piece.path, "missing", node=platform.node(), failure="There is no such file.")
        except FetchFailed as error:
            return [], Outcome(piece.path, "out of reach", node=platform.node(), failure=error.message)
        return [document] if document else [], outcome

    def _document(self, pending: PendingFile) -> tuple[WorkedDocument | None, Outcome]:
        file, path = pending.file, pending.path
        try:
            with self._remote.local(file) as real_path:
                read = self._reader.read(file.path, real_path=real_path, known_hash=pending.known_hash)
        except FetchFailed:
            raise
        except DocumentError as error:
            read = ReadFile(failure=error)
        row = file_row(path, file, read)
        size, modified_ns = row.size, row.modified_ns
        if read.failure:
            return None, Outcome(path, "failed", size, modified_ns, read.hash, failure=read.failure.message)
        if read.document is None:
            return None, Outcome(path, "unchanged", size, modified_ns, read.hash)
        key = self._settings.document_key(read.hash, file.path.name)
        if self._is_done(key):
            return None, Outcome(path, "part", size, modified_ns, read.hash, key)
        document = self._cut(key, path, file, read)
        if not document.chunks:
            return None, Outcome(path, "empty", size, modified_ns, read.hash, row=row)
        return document, Outcome(path, "part", size, modified_ns, read.hash, key)

    def _archive(self, pending: PendingFile) -> tuple[list[WorkedDocument], Outcome]:
        """Return the members of an archive that are in no part yet."""
        documents: list[WorkedDocument] = []
        file = pending.file
        assert file.members is not None

        def take(name: str, read: ReadFile) -> None:
            key = self._settings.document_key(read.hash, PurePosixPath(name).name)
            if read.document and not self._is_done(key):
                path = f"{pending.path}{SEPARATOR}{name}"
                member = FoundFile(file.path / name, read.size, read.modified_ns, file.real_path)
                document = self._cut(key, path, member, read)
                documents.extend([document] if document.chunks else [])

        listener = MemberListener(take, lambda name, reason: None)
        nothing = KnownArchive()
        with suppress(DocumentError), self._remote.local(file) as real_path:  # the machine that builds tries it, too
            read_archive(
                self._reader, file.path, real_path=real_path, patterns=file.members, known=nothing, listener=listener
            )
        return documents, Outcome(pending.path, "archive")

    def _is_done(self, key: str) -> bool:
        return bool(are_in([bytes.fromhex(key)], self._keys)[0])

    def _cut(self, key: str, path: str, file: FoundFile, read: ReadFile) -> WorkedDocument:
        assert read.document is not None
        chunking, context = self._settings.chunking, self._settings.context
        chunks = tuple(chunk_rows(read.document, self._token_starts, chunking, context=context))
        return WorkedDocument(key, file_row(path, file, read), chunks)


def _file_of(piece: Piece) -> FoundFile | None:
    return piece.file if isinstance(piece, PendingFile) and not piece.file.members else None


class PassageWorker:
    """Embeds the chunks of documents with an encoder that it loads once, and writes each item of work as a part."""

    def __init__(self, settings: WorkSettings, cores: int, load_texts: Callable[[], Prefixes]) -> None:
        os.environ[_CORES] = str(cores)  # before torch is loaded, which looks at it once
        self._settings = settings
        self._load_texts = load_texts
        self._store = PartStore(settings.parts)

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return the items of a batch without their documents, which are in parts now."""
        done = []
        for stored in batch["item"]:
            item = pickle.loads(stored)
            try:
                if item.documents:
                    self._write_part(item.documents)
                done.append(WorkItem(outcomes=item.outcomes, trouble=item.trouble))
            except Exception as error:  # noqa: BLE001 - the machine that builds says it and stops
                done.append(WorkItem(trouble=trouble(error)))
        return to_batch(done)

    @cached_property
    def _encoder(self) -> EchoEncoder:
        from echo_index.embeddings.encoder import EchoEncoder

        encoder = EchoEncoder.from_config(self._settings.encoder, device=self._settings.device)
        if encoder.fingerprint != self._settings.fingerprint:
            differences = "; ".join(encoder.differences(self._settings.encoder))
            raise EngineError(
                f"The node {platform.node()} has another model than this machine: {differences}.",
                remedy="Install the same model on all nodes.",
            )
        return encoder

    @cached_property
    def _texts(self) -> Prefixes:
        return self._load_texts()

    def _write_part(self, documents: Sequence[WorkedDocument]) -> None:
        if not self._store.holds(part_name(documents)):  # else an attempt before this one was stopped after it
            write_part(self._store, documents, self._embed(documents))

    def _embed(self, documents: Sequence[WorkedDocument]) -> PassageVectors:
        return embed_passages(documents, self._encoder, self._settings, known=self._texts)


def write_part(store: PartStore, documents: Sequence[WorkedDocument], vectors: PassageVectors) -> None:
    """Write documents with the vectors of their chunks as one part."""
    store.write(part_name(documents), part_content(documents, vectors))


def embed_passages(
    documents: Sequence[WorkedDocument], encoder: EchoEncoder, settings: WorkSettings, *, known: Prefixes
) -> PassageVectors:
    """Embed each distinct text of the chunks of documents whose hash is not known."""
    titled = [
        (document.row.title if document.row.has_own_title else "", chunk)
        for document in documents
        for chunk in document.chunks
    ]
    hashes = [chunk.hash for _, chunk in titled]
    first = {hash: row for row, hash in reversed([*enumerate(hashes)])}
    rows = sorted(first.values())
    are_known = are_in([hashes[row] for row in rows], known)
    rows = [row for row, is_known in zip(rows, are_known.tolist(), strict=True) if not is_known]
    vectors = np.zeros((len(hashes), settings.dimension), dtype=np.float32)
    classical = np.zeros_like(vectors) if settings.classical else None
    present = np.zeros(len(hashes), dtype=bool)
    texts = [
        embedded_text(title, chunk.headings, chunk.full_text, context=settings.context)
        for title, chunk in (titled[row] for row in rows)
    ]
    for positions, pairs in encoder.encode_document_pairs(texts) if texts else ():
        places = [rows[position] for position in positions]
        vectors[places] = pairs.echo
        present[places] = True
        if classical is not None and pairs.classical is not None:
            classical[places] = pairs.classical
    of_text = [first[hash] for hash in hashes]
    return PassageVectors(vectors[of_text], present[of_text], None if classical is None else classical[of_text])


def part_name(documents: Sequence[WorkedDocument]) -> str:
    """Return the name of the part of some documents: the same if they are distributed again."""
    facts: Iterator[Any] = ((document.key, *(chunk.hash.hex() for chunk in document.chunks)) for document in documents)
    return hashlib.sha256(repr([*facts]).encode()).hexdigest()[:32] + SUFFIX
