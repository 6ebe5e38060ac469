"""Build the vector index of a generation from the catalog, or load it from its file, if it has one.

An exact index has none: it is searched by the codes in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import EchoIndexError, IndexBusy, IndexDamaged, IndexUnwritable
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp
from echo_index.indexer.storage.writer_lock import writer_lock
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.normalization import VectorNormalization
from echo_index.indexer.vectors.placement import EXACT_UP_TO, Placement

if TYPE_CHECKING:  # FAISS takes a fifth of a second to load
    from echo_index.indexer.vectors.faiss_index import VectorIndex


def vectors_file(generation: int, *, count: int) -> str:
    """Return the name of the file of a vector index, or '' for an exact one."""
    return f"vectors-{generation}.faiss" if count > EXACT_UP_TO else ""


def has_vectors_file(manifest: Manifest) -> bool:
    """Return whether a generation needs a file of vectors; earlier versions wrote one for exact indexes, too."""
    return bool(manifest.vectors_file) and manifest.chunks > EXACT_UP_TO


def build_vector_index(
    catalog: Catalog, *, generation: int, count: int, normalization: VectorNormalization
) -> VectorIndex:
    """Build the FAISS index of a generation with `count` chunks from the catalog.

    Raises:
        IndexDamaged: a chunk has no vector, or the catalog holds another number of chunks.
    """
    from echo_index.indexer.vectors.faiss_index import VectorIndex

    def blocks() -> Iterator[tuple[Ids, Vectors]]:
        for ids, vectors in catalog.vectors(generation=generation):
            yield ids, normalization.normalize_documents(vectors)

    return VectorIndex.build(blocks, count=count, dimension=normalization.dimension, exact_up_to=EXACT_UP_TO)


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
        self._index: ExactIndex | VectorIndex | None = None

    @property
    def kind(self) -> str:
        """`exact` or `approximate`."""
        return "approximate" if has_vectors_file(self._manifest) else "exact"

    def index(self) -> ExactIndex | VectorIndex:
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
        """Return the normalized vectors (n, dimension) of these chunks; those of an approximate index have 8 bits.

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

    def _load(self) -> ExactIndex | VectorIndex:
        manifest, generation = self._manifest, self._manifest.generation
        if not has_vectors_file(manifest):
            if self.placement.device == "gpu":
                return self._build().placed(self.placement)
            ids, codes = self._catalog.codes("echo", generation=generation)
            return ExactIndex(ids, codes, manifest.normalizations.echo)
        from echo_index.indexer.vectors.faiss_index import VectorIndex

        path = self._index_dir / manifest.vectors_file
        try:
            return VectorIndex.load(
                path, count=manifest.chunks, placement=self.placement, has_checksum=manifest.has_checksums
            )
        except IndexDamaged as damage:
            if manifest_stamp(self._index_dir) != self._stamp:
                raise  # builds have deleted it
            rebuilt = self._build()
            self._notice(f"{damage.message} It is rebuilt from the catalog.")
        try:
            _save(rebuilt, path, stamp=self._stamp)
        except (IndexBusy, IndexUnwritable) as error:
            self._notice(f"{error.message} The rebuilt vector index is used without being saved.")
        return rebuilt.placed(self.placement)

    def _build(self) -> VectorIndex:
        manifest = self._manifest
        return build_vector_index(
            self._catalog,
            generation=manifest.generation,
            count=manifest.chunks,
            normalization=manifest.normalizations.echo,
        )


def _save(index: VectorIndex, path: Path, *, stamp: tuple[int, int]) -> None:
    """Save a rebuilt vector index under the writer's lock, unless a newer generation has replaced its own."""
    with writer_lock(path.parent):
        if manifest_stamp(path.parent) == stamp:
            index.save(path)
