"""Search several indexes of one encoder as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from echo_index.errors import IndexMismatch, QuestionError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.indexer.stores.location import local_folder
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.indexer.vectors.placement import IndexDevice
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.newest import read_newest
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Searcher
from echo_index.retriever.search.snapshot_union import SnapshotUnion

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.vectors.normalization import VectorNormalization

T = TypeVar("T")


class CollectionsRetriever(Searcher):
    """Searches several indexes as one; each hit names its index in `collection`. Thread-safe.

    New generations of the indexes are used as soon as there are any. Scores are comparable, see `SnapshotUnion`.

    Args:
        retrievers: Open retrievers by the names of their collections, at least one.

    Raises:
        IndexMismatch: the indexes were built with different encoders.
        StoreError: one of several is in a store.
    """

    def __init__(self, retrievers: Mapping[str, Retriever]) -> None:
        super().__init__()
        self.retrievers = dict(retrievers)
        if not self.retrievers:
            raise QuestionError("There is no collection to search.", remedy="Name an index: --index FOLDER")
        self._lock = Lock()
        self._union: tuple[tuple[Snapshot, ...], SnapshotUnion] | None = None
        for retriever in self.retrievers.values() if len(self.retrievers) > 1 else ():
            local_folder(retriever.index_dir, task="Searching several indexes as one")
        (first_name, first), *others = self.retrievers.items()
        for name, other in others:
            config, wanted = other.snapshot.manifest.encoder, first.snapshot.manifest.encoder
            if other.snapshot.manifest.fingerprint != first.snapshot.manifest.fingerprint:
                different = ", ".join(part for part in wanted if config.get(part) != wanted[part])
                raise IndexMismatch(
                    f"The indexes {first_name} and {name} were built with different encoders ({different}), "
                    "so their passages cannot be ranked together.",
                    remedy="Search one of them alone, or rebuild one with the settings of the other, which "
                    "echo-index status shows.",
                )

    @classmethod
    def open(
        cls,
        indexes: Mapping[str, Path],
        *,
        encoder: EchoEncoder | None = None,
        model: str | None = None,
        device: DeviceChoice = "auto",
        index_device: IndexDevice = "auto",
        notice: Callable[[str], None] = lambda line: None,
    ) -> CollectionsRetriever:
        """Open indexes by the names of their collections, as `Retriever.open` opens one.

        Raises:
            QuestionError: no index was given.
            IndexMissing: there is no complete index in a folder.
            IndexMismatch: the indexes, or the encoder given, do not go together.
            IndexDamaged: an index cannot be read.
            DeviceError: a requested device is not available.
        """
        return cls(
            {
                name: Retriever.open(
                    path, encoder=encoder, model=model, device=device, index_device=index_device, notice=notice
                )
                for name, path in indexes.items()
            }
        )

    @property
    def encoder(self) -> EchoEncoder:
        """The encoder of the indexes, loaded at first use.

        Raises:
            ModelError: the model no longer exists.
            IndexMismatch: the model's weights have changed since the indexes were built.
        """
        return next(iter(self.retrievers.values())).encoder

    @property
    def normalization(self) -> VectorNormalization:
        """The common normalization of the newest generations."""
        return self._current_union().normalization

    def with_space(self, act: Callable[[SearchSpace], T]) -> T:
        """Return `act(union)` for the newest complete generations, see `read_newest`.

        Raises:
            IndexMismatch: an index was rebuilt with another encoder.
            IndexDamaged: a catalog cannot be read.
        """
        return read_newest(self._current_union, act)

    def similar(
        self, source: str, start: int, *, collection: str, k: int = 10, where: SearchFilter | None = None
    ) -> list[Hit]:
        """Return the `k` chunks of a collection most similar to one of its chunks, see `Retriever.similar`.

        Raises:
            QuestionError: there is no such collection, no chunk starts there, or `k` is below 1.
        """
        if collection not in self.retrievers:
            raise QuestionError(
                f"There is no collection {collection!r}.", remedy=f"The collections are {', '.join(self.retrievers)}."
            )
        hits = self.retrievers[collection].similar(source, start, k=k, where=where)
        return [replace(hit, collection=collection) for hit in hits]

    def _current_union(self) -> SnapshotUnion:
        """Return the newest generations; their common normalization is computed once."""
        snapshots = tuple(retriever.current_snapshot() for retriever in self.retrievers.values())
        with self._lock:
            if self._union is None or self._union[0] != snapshots:
                self._union = snapshots, SnapshotUnion(dict(zip(self.retrievers, snapshots, strict=True)))
            return self._union[1]
