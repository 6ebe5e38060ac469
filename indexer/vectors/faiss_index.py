"""Build, save, load and search a FAISS index, on the GPU if there is one: approximate, or exact on a GPU.

The file is derived from the catalog and can always be rebuilt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexDamaged
from echo_index.indexer.storage.atomic_write import write_atomically
from echo_index.indexer.storage.safe_open import plain_reason
from echo_index.indexer.vectors.chunk_ids import ChunkIds, Ids
from echo_index.indexer.vectors.placement import EXACT_UP_TO, Placement

Blocks = Callable[[], Iterable[tuple[Ids, Vectors]]]
"""Starts a new pass over all (ids, vectors), block by block."""

_TRAINING_PER_CELL = 64  # vectors
_CELLS_PER_PROBE = 16
_MOST_FROM_GPU = 2048  # results: the limit of FAISS's GPU kernels
_LEAST_VARIANCE = 1e-6  # along an axis; rounding to half precision causes less between equal vectors
_CHECKSUM_MARK = b"echo-index sha256"  # between the index and its checksum
_REFINEMENT_FACTOR = 8  # times k candidates are compared again in 8 bits


def count_gpus() -> int:
    """Return the number of GPUs that FAISS sees."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def is_built_for_gpus() -> bool:
    """Return whether FAISS could use a GPU."""
    return hasattr(faiss, "StandardGpuResources")


def index_factory(count: int, dimension: int, *, exact_up_to: int = EXACT_UP_TO) -> str:
    """Return the FAISS factory string for an index of `count` vectors: exact up to `exact_up_to`."""
    if count <= exact_up_to:
        return "Flat"
    cells = 1 << int(4 * count**0.5).bit_length() - 1
    return f"IVF{cells},PQ{dimension // 4}x4fs,Refine(SQ8)"


class VectorIndex:
    """Unit vectors by chunk id, searched by cosine. Searching is thread-safe; building is not."""

    def __init__(self, index: Any, *, placement: Placement | None = None) -> None:
        self._mapped = index  # an IndexIDMap2
        self._ids = ChunkIds(faiss.vector_to_array(index.id_map))
        self._cpu_index = faiss.downcast_index(index.index)  # filters are applied here
        # The flat index with the vectors themselves: the whole of an exact index, the refinement of an approximate one.
        self._flat = self._cpu_index if self.kind == "exact" else faiss.downcast_index(self._cpu_index.refine_index)
        self._searched = self._cpu_index
        self.placement = placement or Placement("cpu", "asked for")
        self._gpu_resources = None
        if self.placement.device == "gpu" and self.count:
            self._gpu_resources = faiss.StandardGpuResources()
            self._searched = faiss.index_cpu_to_gpu(self._gpu_resources, 0, self._index_for_gpu())

    @classmethod
    def build(cls, blocks: Blocks, *, count: int, dimension: int, exact_up_to: int = EXACT_UP_TO) -> VectorIndex:
        """Build an index of `count` unit vectors (dimension,); an approximate one is trained on a sample first.

        Raises:
            IndexDamaged: the blocks hold another number of vectors than `count`.
        """
        index = faiss.index_factory(
            dimension, index_factory(count, dimension, exact_up_to=exact_up_to), faiss.METRIC_INNER_PRODUCT
        )
        if not index.is_trained:
            index.train(_sample(blocks, count=count, size=_TRAINING_PER_CELL * faiss.extract_index_ivf(index).nlist))
        mapped = faiss.IndexIDMap2(index)
        mapped.own_fields = True
        index.this.disown()
        for ids, vectors in blocks():
            mapped.add_with_ids(vectors, ids)
        if mapped.ntotal != count:
            raise IndexDamaged(
                f"The catalog holds {mapped.ntotal} vectors, but {count} passages.",
                remedy="See what is damaged: echo-index verify",
            )
        return cls(mapped)

    @classmethod
    def load(cls, path: Path, *, count: int, placement: Placement, has_checksum: bool = True) -> VectorIndex:
        """Load an index of `count` vectors; files of the first index format have no checksum.

        Raises:
            IndexDamaged: the file is missing or damaged, or holds another number of vectors.
        """
        if has_checksum:
            _validate_checksum(path)  # first, because FAISS does not validate what it reads
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise IndexDamaged(f"The vector index {path} cannot be read: {str(error).splitlines()[0]}.") from None
        if index.ntotal != count or not hasattr(index, "id_map"):
            raise IndexDamaged(f"The vector index {path} holds {index.ntotal} vectors, not {count}.")
        return cls(index, placement=placement)

    def placed(self, placement: Placement) -> VectorIndex:
        """Return this index on another device, or itself if it is there already."""
        return self if placement == self.placement else VectorIndex(self._mapped, placement=placement)

    def save(self, path: Path) -> None:
        """Write the index and its SHA-256 to a file that replaces `path` atomically.

        Raises:
            IndexUnwritable: the file cannot be written.
        """

        def write(file: BinaryIO) -> None:
            digest = hashlib.sha256()

            def write_block(block: bytes) -> int:
                digest.update(block)
                return file.write(block)

            faiss.write_index(self._mapped, faiss.PyCallbackIOWriter(write_block))
            file.write(_CHECKSUM_MARK + digest.digest())

        write_atomically(path, write)

    def reconstruct(self, *, block: int = 65536) -> Iterator[tuple[Ids, Vectors]]:
        """Yield (chunk ids, vectors) in blocks in the order of the index; an approximate one has 8 bits."""
        for start in range(0, self.count, block):
            ids = self._ids.values[start : start + block]
            yield ids, self._flat.reconstruct_n(start, len(ids))

    @property
    def count(self) -> int:
        """The number of vectors."""
        return int(self._mapped.ntotal)

    @property
    def kind(self) -> str:
        """`exact` or `approximate`."""
        return "exact" if isinstance(self._cpu_index, faiss.IndexFlat) else "approximate"

    def search(self, query: Vectors, *, k: int, among: Ids | None = None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` vectors nearest to a unit vector (dimension,), best first.

        `among` limits the search to these ids, in ascending order. The result may be shorter than `k`.
        """
        k = min(k, self.count if among is None else len(among))
        if k == 0:
            return []
        index, selector = self._searched if k <= _MOST_FROM_GPU else self._cpu_index, None
        if among is not None:
            # GPU indexes accept no selector, and the probed cells may hold few of the vectors that pass a filter.
            index = self._flat if len(among) <= EXACT_UP_TO else self._cpu_index
            selector = faiss.IDSelectorBatch(np.flatnonzero(np.isin(self._ids.values, among)))
        scores, positions = index.search(query[None, :], k, params=self._parameters(index, selector))
        return [
            (int(self._ids.values[position]), float(score))
            for position, score in zip(positions[0], scores[0], strict=True)
            if position >= 0  # FAISS pads short results with -1
        ]

    def vectors_of(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors (n, dimension) of these chunk ids; those of an approximate index have 8 bits.

        Raises:
            IndexDamaged: an id is not in the index.
        """
        vectors: Vectors = self._flat.reconstruct_batch(self._ids.positions(ids))
        return vectors

    def search_each(self, queries: Vectors, *, k: int) -> tuple[Ids, Vectors]:
        """Return (chunk ids, cosines), each (n, at most `k`), nearest to each unit row of `queries`, best first.

        Short results are padded with the id -1.
        """
        k = min(k, self.count, _MOST_FROM_GPU)
        if k == 0 or not len(queries):
            return np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32)
        scores, positions = self._searched.search(queries, k, params=self._parameters(self._searched, None))
        return np.where(positions < 0, -1, self._ids.values[positions]), scores

    def _parameters(self, index: Any, selector: Any) -> Any:
        if index is self._flat:
            return faiss.SearchParameters(sel=selector)
        if index is not self._cpu_index:  # the index on the GPU
            return None
        cells = faiss.extract_index_ivf(self._cpu_index).nlist
        probe = faiss.SearchParametersIVF(sel=selector, nprobe=max(16, cells // _CELLS_PER_PROBE))
        return faiss.IndexRefineSearchParameters(k_factor=_REFINEMENT_FACTOR, base_index_params=probe)

    def _index_for_gpu(self) -> Any:
        if self.kind == "exact":
            return self._cpu_index
        # The CPU's fast-scan codes have no GPU kernel: the GPU searches all refined vectors instead.
        flat = faiss.IndexFlatIP(self._cpu_index.d)
        for _, vectors in self.reconstruct():
            flat.add(vectors)
        return flat


def principal_axes(vectors: Vectors, *, count: int = 2) -> Vectors:
    """Return the first principal axes (dimension, count) of unit vectors (n, dimension), for drawing a map.

    The largest component of each axis is positive, so that a map is never mirrored. An axis along which the vectors do
    not differ is zero. Unlike `vector_ops.principal_components`, this subtracts the mean and does not load torch, which
    would delay the first map by a second.
    """
    dimension = vectors.shape[1]
    if len(vectors) < 2:
        return np.zeros((dimension, count), dtype=np.float32)
    analysis = faiss.PCAMatrix(dimension, count)
    analysis.train(vectors)
    axes = faiss.vector_to_array(analysis.A).reshape(count, dimension)
    axes *= np.sign(axes[range(count), np.abs(axes).argmax(axis=1)])[:, None]
    variances = faiss.vector_to_array(analysis.eigenvalues)[:count] / len(vectors)
    axes[variances < _LEAST_VARIANCE] = 0
    return np.ascontiguousarray(axes.T)


def _validate_checksum(path: Path) -> None:
    """Raise IndexDamaged unless a file ends with the checksum of everything before it."""
    digest = hashlib.sha256()
    try:
        remaining = path.stat().st_size - len(_CHECKSUM_MARK) - digest.digest_size
        with path.open("rb") as file:
            while remaining > 0 and (block := file.read(min(remaining, 1 << 20))):
                digest.update(block)
                remaining -= len(block)
            checksum = file.read()
    except OSError as error:
        raise IndexDamaged(f"The vector index {path} cannot be read: {plain_reason(error)}.") from None
    if remaining or checksum != _CHECKSUM_MARK + digest.digest():
        raise IndexDamaged(f"The vector index {path} is damaged: its checksum is wrong.")


def _sample(blocks: Blocks, *, count: int, size: int) -> Vectors:
    """Return an evenly spaced sample: whole blocks would hold neighbours from a few documents only."""
    step = max(1, count // size)
    return np.concatenate([vectors[::step] for _, vectors in blocks()])
