"""Search one index, and find what is similar to one of its chunks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from echo_index.errors import IndexMismatch, QuestionError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.indexer.stores.index_reader import IndexReader
from echo_index.indexer.stores.opening import in_folder, open_index
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.indexer.vectors.placement import IndexDevice
from echo_index.retriever.search.hits import Hit, make_hits, ranked_scores
from echo_index.retriever.search.newest import read_newest
from echo_index.retriever.search.searcher import Searcher, validate_k

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.vectors.normalization import VectorNormalization

T = TypeVar("T")


class Retriever(Searcher):
    """Searches one index. Thread-safe; uses a new generation of the index as soon as there is one."""

    def __init__(
        self,
        index_dir: Path,
        reader: IndexReader,
        *,
        load_encoder: Callable[[], EchoEncoder],
        index_device: IndexDevice,
    ) -> None:
        super().__init__()
        self.index_dir = index_dir
        self._reader = reader
        self._load_encoder = load_encoder
        self._encoder: EchoEncoder | None = None
        self._index_device: IndexDevice = index_device
        self._lock = Lock()

    @classmethod
    def open(
        cls,
        index_dir: Path | str,
        *,
        encoder: EchoEncoder | None = None,
        model: str | None = None,
        device: DeviceChoice = "auto",
        index_device: IndexDevice = "auto",
        notice: Callable[[str], None] = lambda line: None,
    ) -> Retriever:
        """Open an index. Unless an encoder is given, the one in the manifest is loaded at the first dense search.

        `index_dir` is the folder of the index, or where it is in a store, such as `milvus:http://host:19530`. `model`
        is the new path of that encoder's model, if it has moved.

        Raises:
            IndexMissing: there is no complete index in the folder.
            IndexMismatch: the encoder given is not the one that built the index.
            IndexDamaged: the index cannot be read.
            DeviceError: a requested device is not available.
            StoreError: the store cannot be reached.
        """
        index_dir = Path(index_dir)
        reader = open_index(index_dir, index_device=index_device, notice=notice)
        if encoder is not None:
            _validate_encoder(reader, encoder)

        def load() -> EchoEncoder:
            from echo_index.embeddings.encoder import EchoEncoder

            if encoder is not None:
                return encoder
            return EchoEncoder.from_config(reader.manifest.encoder, model=model, device=device, notice=notice)

        return cls(index_dir, reader, load_encoder=load, index_device=index_device)

    @property
    def reader(self) -> IndexReader:
        """The generation of the index that was searched last."""
        return self._reader

    @property
    def snapshot(self) -> Snapshot:
        """The generation that was searched last, with its catalog.

        Raises:
            StoreError: the index is in a store, which has no catalog.
        """
        return self._in_folder(self._reader)

    @property
    def encoder(self) -> EchoEncoder:
        """The encoder of the index, loaded at first use.

        Raises:
            ModelError: the model no longer exists.
            IndexMismatch: the model's weights have changed since the index was built.
        """
        with self._lock:
            if self._encoder is None:
                encoder = self._load_encoder()
                _validate_encoder(self._reader, encoder)
                self._encoder = encoder
            return self._encoder

    @property
    def has_encoder(self) -> bool:
        """Whether the encoder is loaded."""
        return self._encoder is not None

    def similar(self, source: str, start: int, *, k: int = 10, where: SearchFilter | None = None) -> list[Hit]:
        """Return the `k` chunks most similar to the chunk of document `source` that starts at character `start`.

        That chunk and those that overlap it are left out. Its vector is taken from the index; no model is loaded.

        Raises:
            QuestionError: no chunk starts there, or `k` is below 1.
        """
        validate_k(k)

        def find(reader: IndexReader) -> list[Hit]:
            nearest = reader.neighbours(source, start, k=k, where=where or SearchFilter())
            if nearest is None:
                raise QuestionError(
                    f"No passage begins at character {start} of {source}.",
                    remedy="Take source and start from a hit of a new search.",
                )
            return make_hits(reader, nearest, ranked_scores(nearest), {})

        return self.with_reader(find)

    @property
    def normalization(self) -> VectorNormalization:
        """The normalization of the newest generation."""
        return self.current_reader().normalization

    def with_space(self, act: Callable[[SearchSpace], T]) -> T:
        """Return `act(space)` for the newest complete generation, see `with_reader`."""
        return self.with_reader(act)

    def with_reader(self, act: Callable[[IndexReader], T]) -> T:
        """Return `act(reader)` for the newest complete generation, see `read_newest`.

        Raises:
            IndexMismatch: the index was rebuilt with another encoder.
            IndexDamaged: the index cannot be read.
            StoreError: the store cannot be reached.
        """
        return read_newest(self.current_reader, act)

    def with_snapshot(self, act: Callable[[Snapshot], T]) -> T:
        """Return `act(snapshot)` like `with_reader`, for what needs the catalog of the index.

        Raises:
            StoreError: the index is in a store, which has no catalog.
        """
        return self.with_reader(lambda reader: act(self._in_folder(reader)))

    def current_snapshot(self) -> Snapshot:
        """Return the newest complete generation with its catalog, like `current_reader`.

        Raises:
            StoreError: the index is in a store, which has no catalog.
        """
        return self._in_folder(self.current_reader())

    def current_reader(self) -> IndexReader:
        """Return the newest complete generation and switch to it.

        Raises:
            IndexMismatch: the index was rebuilt with another encoder.
        """
        with self._lock:
            if not self._reader.is_newest():
                newest = open_index(self.index_dir, index_device=self._index_device)
                if newest.manifest.fingerprint != self._reader.manifest.fingerprint:
                    raise IndexMismatch(
                        f"The index in {self.index_dir} was rebuilt with another encoder.", remedy="Open it again."
                    )
                self._reader = newest
            return self._reader

    def _in_folder(self, reader: IndexReader) -> Snapshot:
        return in_folder(reader, self.index_dir, task="This")


def _validate_encoder(reader: IndexReader, encoder: EchoEncoder) -> None:
    if differences := encoder.differences(reader.manifest.encoder):
        raise IndexMismatch(
            f"The index was built with another encoder: {'; '.join(differences)}.",
            remedy="Rebuild it with echo-index build --rebuild FOLDER, or build a second index with another --index.",
        )
