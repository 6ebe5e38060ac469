"""The engine of many machines: new and changed files are read and embedded on a cluster of Ray ahead of a build."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import DocumentError, EngineError, SourceError
from echo_index.indexer.building.build_session import BuildSession
from echo_index.indexer.building.pending_files import PendingFile, pending_files
from echo_index.indexer.building.prepared import Prepared, ReadPassages
from echo_index.indexer.catalog.chunk_queries import hashes_with_vectors
from echo_index.indexer.distributed.cluster import connected, shares, validate_nodes
from echo_index.indexer.distributed.hash_set import hash_set
from echo_index.indexer.distributed.part_index import PartIndex
from echo_index.indexer.distributed.part_store import PartStore, parts_folder
from echo_index.indexer.distributed.pipeline import PipelineLost, run_pipeline
from echo_index.indexer.distributed.ray_library import load_ray
from echo_index.indexer.distributed.work import Outcome, WorkSettings, file_groups
from echo_index.indexer.documents.formats import readers_version
from echo_index.indexer.sandbox.document_reader import ReadFile
from echo_index.indexer.sources.scanner import FoundFile
from echo_index.indexer.sources.source import Source

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
        files = [
            *pending_files(session.catalog, session.index_dir, sources, ocr=ocr, keep_gone=keep_gone),
        ]
        outcomes: Mapping[str, Outcome] = {}
        if files:
            outcomes = _Distribution(session, settings, store, index, self.notice).run(files, self.address)
        yield _PreparedParts(index, outcomes)
        PartStore(folder).delete_all()

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
        self._outcomes: dict[str, Outcome] = {}

    def run(self, files: Sequence[PendingFile], address: str | None) -> dict[str, Outcome]:
        """Return what came of each file, by its stored path."""
        self._report(len(files))
        with connected(address):
            validate_nodes(self._store, self._settings)
            waiting = {file.path: file for file in files}
            lost = 0
            while waiting:
                before = len(waiting)
                self._index.refresh()
                try:
                    self._run_once(waiting, len(files))
                    reason = "its tasks were lost"
                except PipelineLost as error:
                    reason = " ".join(str(error).split())[:300]
                lost = lost + 1 if len(waiting) == before else 0
                if lost == _LOST_ROUNDS:
                    raise EngineError(
                        f"The cluster gave no result for {len(waiting)} files in {lost} attempts: {reason}",
                        remedy="Look at ray status and at the memory of its nodes; what was embedded is kept.",
                    )
        self._index.refresh()
        return self._outcomes

    def _run_once(self, waiting: dict[str, PendingFile], total: int) -> None:
        """Run the pipeline for the waiting files, and take those away of which something came."""
        chosen = shares(self._settings)
        if chosen.device == "cpu" and load_ray().cluster_resources().get("GPU") and self._settings.device != "cpu":
            self._notice("The GPUs of the cluster stay idle: int8 runs on CPUs only. For GPUs, add --precision bf16.")
        items = run_pipeline(
            [*file_groups(waiting.values())],
            replace(self._settings, device=chosen.device),
            chosen,
            known_keys=self._index.keys(),
            known_texts=hash_set(hashes_with_vectors(self._session.catalog)),
            on_wait=lambda: self._report(total),
        )
        for item in items:
            if item.trouble:
                raise item.trouble
            for outcome in item.outcomes:
                if outcome.state == "missing":
                    _validate_missing(waiting[outcome.path].file.path, outcome)
                waiting.pop(outcome.path, None)
                self._outcomes[outcome.path] = outcome
            self._report(total)

    def _report(self, total: int) -> None:
        self._session.progress("distributing", len(self._outcomes), total)


def _validate_missing(path: Path, outcome: Outcome) -> None:
    """Raise an error if a file that a node did not find is there."""
    if path.exists():
        raise SourceError(
            f"The node {outcome.node} does not see the file {path}.",
            remedy="Mount its folder at the same path on all nodes, or index an address that all can open.",
        )


class _PreparedParts:
    """What is in the parts, by the files of one build."""

    def __init__(self, index: PartIndex, outcomes: Mapping[str, Outcome]) -> None:
        self._index = index
        self._outcomes = outcomes

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
        if outcome.state == "failed":
            return replace(read, failure=DocumentError(outcome.failure))
        return read if outcome.state == "unchanged" else None

    def vectors(self, hashes: Sequence[bytes]) -> tuple[Sequence[int], EmbeddingPair]:
        return self._index.vectors(hashes)
