"""The engine of many machines: new and changed files are read and embedded on a cluster of Ray ahead of a build."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import DocumentError, EngineError, SourceError
from echo_index.indexer.building.build_session import BuildSession
from echo_index.indexer.building.pending_files import pending_files, unembedded_documents
from echo_index.indexer.building.prepared import Prepared, ReadPassages
from echo_index.indexer.catalog.chunk_queries import hashes_with_vectors
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.distributed.cluster import connected, shares, validate_nodes
from echo_index.indexer.distributed.hash_set import hash_set
from echo_index.indexer.distributed.part_index import PartIndex
from echo_index.indexer.distributed.part_sink import PartSink
from echo_index.indexer.distributed.part_store import PartStore, parts_folder
from echo_index.indexer.distributed.part_table import WorkedDocument
from echo_index.indexer.distributed.pipeline import PipelineLost, run_pipeline
from echo_index.indexer.distributed.ray_library import load_ray
from echo_index.indexer.distributed.work import Outcome, Piece, WorkSettings, groups
from echo_index.indexer.documents.formats import readers_version
from echo_index.indexer.sandbox.document_reader import ReadFile
from echo_index.indexer.sources.scanner import FoundFile, RemoteFiles
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.stored_paths import full_path
from echo_index.indexer.storage.urls import is_url, url_path

_BLOCK_CHUNKS = 50_000  # of the catalog that are distributed at once
_GROUPS_EACH = 8  # of each encoder: they end at about the same time, and little is lost with one
_LOST_ROUNDS = 3  # without any result, after which the cluster is given up


@dataclass(frozen=True)
class RayEngine:
    """Reads and embeds on a cluster of Ray; the build then stores and commits what came of it.

    `address` is HOST or HOST:PORT of the cluster's server for clients; without one, it is the cluster of RAY_ADDRESS or
    of this machine, or one that is started for the build. `parts` is a folder that all nodes share, a path or an
    address that fsspec opens; without one, it is inside of the index. `device` is that of the encoders. `notice`
    receives what a user should know.
    """

    address: str | None = None
    parts: str | None = None
    device: DeviceChoice = "auto"
    notice: Callable[[str], None] = lambda line: None

    @property
    def writes_parts(self) -> bool:
        """It can: parts are all that nodes write."""
        return True

    @contextmanager
    def prepared(
        self, session: BuildSession, sources: Sequence[Source], *, ocr: bool, keep_gone: bool
    ) -> Iterator[Prepared]:
        """Read and embed the new and changed files as parts, which are deleted after the build has committed.

        Raises:
            MissingPackage: Ray is not installed.
            SourceError: a source cannot be read, or a node does not see a file.
            EngineError: the cluster or the place of the parts cannot be used.
        """
        load_ray()
        folder = parts_folder(self.parts, session.index_dir)
        settings = self._settings(session, ocr, folder)
        store = PartStore(settings.parts)
        index = PartIndex(store, dimension=settings.dimension, context=settings.context)
        files: dict[str, Piece] = self._pending(session, sources, ocr, keep_gone)
        work = _Distribution(session, settings, store, index, self.notice)
        if files or session.catalog.count_without_vector():
            session.progress("distributing", 0, len(files) or None)  # it may take a while to reach the cluster
            with connected(self.address):
                validate_nodes(store, settings)
                work.run(files)
            index.refresh()
        passages = None
        if session.catalog.keeps_passages_outside:
            index.refresh()  # there may be what a build before could not publish
            passages = PartSink(session.catalog, settings, store, index, session.encoder)
        yield _PreparedParts(index, work.outcomes, passages)
        try:
            PartStore(folder).delete_all()
        except EngineError as error:  # the index is complete
            self.notice(f"The parts are not needed any more, but stay: {error.message}")

    def _pending(
        self, session: BuildSession, sources: Sequence[Source], ocr: bool, keep_gone: bool
    ) -> dict[str, Piece]:
        """Return the files to read, by their stored paths. Those at addresses are only listed here."""

        def report(activity: str) -> None:
            session.on_recognizing(activity)
            session.progress("distributing", 0, None)

        with RemoteFiles(on_wait=report) as remote:
            pending = pending_files(
                session.catalog, session.index_dir, sources, ocr=ocr, keep_gone=keep_gone, remote=remote
            )
            files: dict[str, Piece] = {file.path: file for file in pending}
        session.on_recognizing("")
        return files

    def _settings(self, session: BuildSession, ocr: bool, folder: str) -> WorkSettings:
        encoder = session.encoder
        settings = WorkSettings(
            encoder=encoder.config(),
            fingerprint=encoder.fingerprint,
            chunking=session.chunking,
            context=session.context,
            readers=readers_version(ocr=ocr),
            ocr=ocr,
            classical=session.catalog.keeps_classical_vectors and encoder.document_prompt.is_echo,
            parts=folder,
            device=self.device,
        )
        return replace(settings, parts=f"{folder}/{settings.key()[:16]}")


class _Distribution:
    """The distribution of the files of one build."""

    def __init__(
        self,
        session: BuildSession,
        settings: WorkSettings,
        store: PartStore,
        index: PartIndex,
        notice: Callable[[str], None],
    ) -> None:
        self._session = session
        self._settings = settings
        self._store = store
        self._index = index
        self._notice = notice
        self.outcomes: dict[str, Outcome] = {}
        """What came of each file or document, by its stored path."""

    def run(self, files: Mapping[str, Piece]) -> None:
        """Read and embed files, given by their stored paths, and the chunks of other documents that lack vectors."""
        blocks = unembedded_documents(self._session.catalog, block=_BLOCK_CHUNKS)
        self._distribute({**self._pieces(next(blocks, []), files), **files})
        for block in blocks:
            self._distribute(self._pieces(block, files))

    def _pieces(
        self, documents: Iterable[tuple[DocumentRow, tuple[ChunkRow, ...]]], files: Container[str]
    ) -> dict[str, Piece]:
        """Return chunks without vectors as pieces of work, except those of files, which are read anew."""
        pieces: dict[str, Piece] = {}
        for row, chunks in documents:
            if row.path not in files:
                hash = hashlib.sha256(b"".join(chunk.hash for chunk in chunks)).hexdigest()
                pieces[row.path] = WorkedDocument(self._settings.document_key(hash, ""), row, chunks)
        return pieces

    def _distribute(self, waiting: dict[str, Piece]) -> None:
        """Run the pipeline until something came of all that is waiting, again for what was lost."""
        lost = 0
        while waiting:
            before = len(waiting)
            self._report(waiting)
            self._index.refresh()
            reason = "its tasks were lost."
            try:
                self._run_once(waiting)
            except PipelineLost as error:
                reason = " ".join(str(error).split())[:150]
            lost = lost + 1 if len(waiting) == before else 0
            if lost == _LOST_ROUNDS:
                raise EngineError(
                    f"The cluster gave no result for {len(waiting)} documents in {lost} attempts: {reason}",
                    remedy="Is it running, and has it memory? See ray status. What was embedded is kept.",
                )

    def _report(self, waiting: Collection[str]) -> None:
        self._session.progress("distributing", len(self.outcomes), len(self.outcomes) + len(waiting))

    def _run_once(self, waiting: dict[str, Piece]) -> None:
        """Run the pipeline for all that is waiting, and take away that of which something came."""
        chosen = shares(self._settings)
        if chosen.idle_gpus:
            self._notice("The GPUs of the cluster stay idle: int8 runs on CPUs only. For GPUs, add --precision bf16.")
        items = run_pipeline(
            [*groups([*waiting.values()], at_least=_GROUPS_EACH * chosen.encoders)],
            replace(self._settings, device=chosen.device),
            chosen,
            known_keys=self._index.keys(),
            known_texts=hash_set(hashes_with_vectors(self._session.catalog)),
            on_wait=lambda: self._report(waiting),
        )
        with closing(items):
            for item in items:
                if item.trouble:
                    raise item.trouble
                for outcome in item.outcomes:
                    waiting.pop(outcome.path, None)
                    if outcome.state == "missing":
                        _validate_missing(full_path(outcome.path, self._session.index_dir), outcome)
                    if outcome.state == "out of reach":
                        _validate_reach(outcome)
                    self.outcomes[outcome.path] = outcome
                self._report(waiting)


def _validate_reach(outcome: Outcome) -> None:
    """Raise an error if a node could not fetch a file that this machine can."""
    with RemoteFiles() as remote:
        if not remote.is_readable(url_path(outcome.path)):
            return
    raise SourceError(
        f"The node {outcome.node} cannot fetch {outcome.path}, which this machine can. {outcome.failure}",
        remedy="Give all nodes the keys and settings of its driver.",
    )


def _validate_missing(path: Path, outcome: Outcome) -> None:
    """Raise an error if a file that a node did not find is there."""
    if is_url(outcome.path):
        _validate_reach(outcome)
    elif path.exists():
        raise SourceError(
            f"The node {outcome.node} does not see the file {path}.",
            remedy="Mount its folder at the same path on all nodes, or index an address that all can open.",
        )


class _PreparedParts:
    """What is in the parts, by the files of one build."""

    def __init__(self, index: PartIndex, outcomes: Mapping[str, Outcome], passages: PartSink | None) -> None:
        self._index = index
        self._outcomes = outcomes
        self.passages = passages

    def find(self, file: FoundFile, path: str) -> ReadPassages | ReadFile | None:
        outcome = self._outcomes.get(path)
        if outcome is None or (outcome.size, outcome.modified_ns) != (file.size, file.modified_ns):
            return None
        if outcome.state == "part" and (found := self._index.find(outcome.key)):
            row, chunks = found
            return ReadPassages(
                replace(row, path=path, archive="", size=outcome.size, modified_ns=outcome.modified_ns), chunks
            )
        if outcome.state == "empty" and outcome.row:
            return ReadPassages(outcome.row, ())
        read = ReadFile(outcome.hash, outcome.size, outcome.modified_ns)
        if outcome.state == "failed" and outcome.hash:  # else the node could not open it, which this machine may
            return replace(read, failure=DocumentError(outcome.failure))
        return read if outcome.state == "unchanged" else None

    def vectors(self, hashes: Sequence[bytes]) -> tuple[Sequence[int], EmbeddingPair]:
        return self._index.vectors(hashes)
