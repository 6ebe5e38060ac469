"""Load the vectors of a generation when they are needed: as codes, from the file of its index, or onto a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import EchoIndexError, IndexBusy, IndexDamaged, IndexUnwritable
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp
from echo_index.indexer.generations.vector_file_build import build_vector_index, exact_index_of, normalized_blocks
from echo_index.indexer.storage.writer_lock import writer_lock
from echo_index.indexer.vectors.approximate_index import ApproximateIndex
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.index_kind import EXACT_UP_TO, approximate_kind
from echo_index.indexer.vectors.placement import Placement
from echo_index.indexer.vectors.recall import default_parameters

if TYPE_CHECKING:  # FAISS takes a fifth of a second to load
    from echo_index.indexer.vectors.faiss_index import FaissIndex
    from echo_index.indexer.vectors.gpu_index import GpuIndex


def is_approximate(manifest: Manifest) -> bool:
    """Return whether a generation is searched approximately, with the file of an index.

    Earlier versions wrote such a file for exact indexes, too, and no description of any.
    """
    if manifest.vector_index is not None:
        return True
    return bool(manifest.vectors_file) and manifest.chunks > EXACT_UP_TO


class GenerationVectors:
    """The vectors of one generation, loaded when they are first needed. Thread-safe."""

    def __init__(
        self,
        index_dir: Path,
        manifest: Manifest,
        catalog: Catalog,
        *,
        placement: Placement,
        stamp: tuple[int, int],
        notice: Callable[[str], None],
    ) -> None:
        """Remember what to load; `stamp` and `notice` are those of `open_snapshot`."""
        self.placement = placement
        self._index_dir = index_dir
        self._manifest = manifest
        self._catalog = catalog
        self._stamp = stamp
        self._notice = notice
        self._lock = Lock()
        self._index: ExactIndex | ApproximateIndex | GpuIndex | None = None

    @property
    def kind(self) -> Literal["exact", "approximate"]:
        """Whether the nearest vectors are found, or nearly all of them."""
        is_exact = self.placement.device == "gpu" or not is_approximate(self._manifest)
        return "exact" if is_exact else "approximate"

    def index(self) -> ExactIndex | ApproximateIndex | GpuIndex:
        """Return the vector index. If it needs a file that is missing or damaged, it is rebuilt and saved.

        Raises:
            IndexDamaged: the catalog lacks vectors, or a newer generation has replaced the file.
        """
        with self._lock:
            if self._index is None:
                with self._catalog.reading(generation=self._manifest.generation):
                    self._index = self._load()
            return self._index

    def vectors_of(self, ids: Sequence[int]) -> Vectors:
        """Return the normalized vectors (n, dimension) of these chunks.

        Unless the index is loaded, they are read one by one.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        normalization = self._manifest.normalizations.echo
        if self._index is not None:
            return self._index.vectors_of(ids)
        if not len(ids):
            return np.empty((0, normalization.dimension), dtype=np.float32)
        return normalization.normalize_documents(self._catalog.vectors_of(ids))

    def load_early(self) -> None:
        """Start to load the vectors in another thread, if they are not there yet. `index` raises its errors."""

        def load() -> None:
            with suppress(EchoIndexError):
                self.index()

        if self._index is None and not self._lock.locked():
            Thread(target=load, name="vectors").start()

    def _load(self) -> ExactIndex | ApproximateIndex | GpuIndex:
        manifest, generation = self._manifest, self._manifest.generation
        if self.placement.device == "gpu":
            return self._on_gpu()
        if not is_approximate(manifest):
            ids, codes = self._catalog.codes("echo", generation=generation)
            return ExactIndex(ids, codes, manifest.normalizations.echo)
        index = self._load_file(self._index_dir / manifest.vectors_file)
        described = manifest.vector_index
        parameters = default_parameters(index) if described is None else described.parameters
        return ApproximateIndex(index, parameters=parameters, exact=self._exact)

    def _load_file(self, path: Path) -> FaissIndex:
        from echo_index.indexer.vectors.faiss_index import FaissIndex

        manifest = self._manifest
        try:
            return FaissIndex.load(path, count=manifest.chunks, has_checksum=manifest.has_checksums)
        except IndexDamaged as damage:
            if manifest_stamp(self._index_dir) != self._stamp:
                raise  # builds have deleted it
            rebuilt = build_vector_index(self._catalog, manifest, self._kind())
            self._notice(f"{damage.message} It is rebuilt from the catalog.")
        try:
            _save(rebuilt, path, stamp=self._stamp)
        except (IndexBusy, IndexUnwritable) as error:
            self._notice(f"{error.message} The rebuilt vector index is used without being saved.")
        return rebuilt

    def _kind(self) -> str:
        manifest = self._manifest
        if manifest.vector_index is not None:
            return manifest.vector_index.kind
        return approximate_kind(manifest.chunks, dimension=manifest.normalizations.echo.dimension)

    def _on_gpu(self) -> GpuIndex:
        from echo_index.indexer.vectors.gpu_index import GpuIndex

        ids = self._catalog.chunk_ids(SearchFilter(), generation=self._manifest.generation)
        normalization = self._manifest.normalizations.echo
        blocks = normalized_blocks(self._catalog, normalization, ids)
        return GpuIndex(blocks, dimension=normalization.dimension, exact=self._exact)

    def _exact(self, ids: Ids) -> ExactIndex:
        return exact_index_of(self._catalog, self._manifest.normalizations.echo, ids)


def _save(index: FaissIndex, path: Path, *, stamp: tuple[int, int]) -> None:
    """Save a rebuilt vector index under the writer's lock, unless a newer generation has replaced its own."""
    with writer_lock(path.parent):
        if manifest_stamp(path.parent) == stamp:
            index.save(path)
