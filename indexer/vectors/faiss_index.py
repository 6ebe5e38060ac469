"""The FAISS index: choose, train, add, search, save; on the GPU when there is one. Derived: always rebuildable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal

import faiss
import numpy as np
import numpy.typing as npt

from echo_index.embeddings.decoder.int8_search import Int8ExactSearch
from echo_index.errors import DeviceError, IndexDamaged
from echo_index.indexer.storage.atomic_write import write_atomically
from echo_index.indexer.storage.safe_open import plain_reason

IndexDevice = Literal["auto", "cpu", "gpu"]
Ids = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Blocks = Callable[[], Iterable[tuple[Ids, Vectors]]]
"""Starts a new pass over all (ids, vectors), block by block."""

EXACT_UP_TO = 100_000
"""Vectors; a larger index is approximate: cells of compressed vectors, refined with half-precision ones."""
_TRAINING_PER_CELL = 64
_PROBED_SHARE = 16  # one cell in so many is looked at
_ON_ALL_CORES_FROM = 10_000  # vectors, in an exact index
_MOST_FROM_GPU = 2048  # results: the limit of FAISS's GPU kernels
_LEAST_VARIANCE = 1e-6  # along an axis; less is what half precision makes of equal vectors
_MARK = b"echo-index sha256"  # what stands between an index and its checksum
_REFINED = 8  # times k candidates are compared again in half precision


@dataclass(frozen=True)
class Placement:
    """Where the index is searched, and why."""

    device: Literal["cpu", "gpu"]
    reason: str


def choose_placement(choice: IndexDevice = "auto") -> Placement:
    """Return where to search.

    Raises:
        DeviceError: "gpu" was asked for and FAISS sees none.
    """
    if choice == "cpu":
        return Placement("cpu", "asked for")
    gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    if gpus:
        return Placement("gpu", f"FAISS sees {gpus} GPU{'s' if gpus > 1 else ''}")
    why = "FAISS sees no GPU" if hasattr(faiss, "StandardGpuResources") else "this FAISS is built without GPU support"
    if choice == "gpu":
        raise DeviceError(f"A GPU was asked for to search the index, but {why}.", remedy="Use --index-device cpu.")
    return Placement("cpu", why)


def index_factory(count: int, dimension: int, *, exact_up_to: int = EXACT_UP_TO) -> str:
    """Return FAISS's description of the index for so many vectors: exact while that is fast."""
    if count <= exact_up_to:
        return "Flat"
    cells = 1 << int(4 * count**0.5).bit_length() - 1
    return f"IVF{cells},PQ{dimension // 4}x4fs,Refine(SQfp16)"


class VectorIndex:
    """Vectors under chunk ids, searched by inner product. Searching is thread-safe; building is not."""

    def __init__(self, index: Any, *, placement: Placement | None = None) -> None:
        self._mapped = index  # an IndexIDMap2
        self._ids: Ids = faiss.vector_to_array(index.id_map)
        self._by_id = np.argsort(self._ids, kind="stable")
        self._on_cpu = faiss.downcast_index(index.index)  # filters are applied here
        self._compared = self._on_cpu if self.kind == "exact" else faiss.downcast_index(self._on_cpu.refine_index)
        self._searched = self._on_cpu
        self.placement = placement or choose_placement("cpu")
        self._gpu_resources = None
        if self.placement.device == "gpu" and self.count:
            self._gpu_resources = faiss.StandardGpuResources()
            self._searched = faiss.index_cpu_to_gpu(self._gpu_resources, 0, self._copied_to_gpu())

    @classmethod
    def build(cls, blocks: Blocks, *, count: int, dimension: int, exact_up_to: int = EXACT_UP_TO) -> VectorIndex:
        """Train where the kind of index needs it, and add every vector.

        Raises:
            IndexDamaged: the blocks hold another number of vectors than `count`.
        """
        index = faiss.index_factory(
            dimension, index_factory(count, dimension, exact_up_to=exact_up_to), faiss.METRIC_INNER_PRODUCT
        )
        if not index.is_trained:
            index.train(_sample(blocks, count=count, wanted=_TRAINING_PER_CELL * faiss.extract_index_ivf(index).nlist))
        mapped = faiss.IndexIDMap2(index)
        mapped.own_fields = True
        index.this.disown()
        for ids, vectors in blocks():
            mapped.add_with_ids(vectors, ids)
        if mapped.ntotal != count:
            raise IndexDamaged(f"The catalog gave {mapped.ntotal} vectors where it counted {count}.")
        return cls(mapped)

    @classmethod
    def load(cls, path: Path, *, count: int, placement: Placement, has_checksum: bool = True) -> VectorIndex:
        """Read an index from disk. Files from before there were checksums are read without one.

        Raises:
            IndexDamaged: the file is missing, is not what was written, or holds another number of vectors.
        """
        if has_checksum:
            _refuse_changed(path)  # first: FAISS trusts what it reads
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise IndexDamaged(f"The vector index {path} cannot be read: {str(error).splitlines()[0]}.") from None
        if index.ntotal != count or not hasattr(index, "id_map"):
            raise IndexDamaged(f"The vector index {path} holds {index.ntotal} vectors, not {count}.")
        return cls(index, placement=placement)

    def placed(self, placement: Placement) -> VectorIndex:
        """Return the index where it is to be searched."""
        return self if placement == self.placement else VectorIndex(self._mapped, placement=placement)

    def save(self, path: Path) -> None:
        """Write the index, whole or not at all, its SHA-256 behind it.

        Raises:
            IndexUnwritable: it cannot be written.
        """

        def write(file: BinaryIO) -> None:
            digest = hashlib.sha256()

            def add(block: bytes) -> int:
                digest.update(block)
                return file.write(block)

            faiss.write_index(self._mapped, faiss.PyCallbackIOWriter(add))
            file.write(_MARK + digest.digest())

        write_atomically(path, write)

    def reconstruct(self, *, block: int = 65536) -> Iterator[tuple[Ids, Vectors]]:
        """Yield (chunk ids, vectors) in blocks as the index holds them; in half precision if it is approximate."""
        for start in range(0, self.count, block):
            ids = self._ids[start : start + block]
            yield ids, self._compared.reconstruct_n(start, len(ids))

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return int(self._mapped.ntotal)

    @property
    def kind(self) -> str:
        """`exact` or `approximate`."""
        return "exact" if isinstance(self._on_cpu, faiss.IndexFlat) else "approximate"

    def search(self, query: Vectors, *, k: int, among: Ids | None = None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the best `k` for one unit vector (dimension,), best first.

        There are fewer where there are fewer; `among` limits the search to these ids, in ascending order.
        """
        allowed = self.count if among is None else len(among)
        k = min(k, allowed)
        if k == 0:
            return []
        if among is None and self._searched is self._compared and self.count >= _ON_ALL_CORES_FROM:
            positions, scores = self._rows.search(query, k=k)
            return list(zip(self._ids[positions].tolist(), scores.tolist(), strict=True))
        index, selector = self._searched if k <= _MOST_FROM_GPU else self._on_cpu, None
        if among is not None:
            # The GPU's indexes take no selector; the cells that are probed may hold little of what a filter leaves.
            index = self._compared if len(among) <= EXACT_UP_TO else self._on_cpu
            selector = faiss.IDSelectorBatch(np.flatnonzero(np.isin(self._ids, among)))
        scores, positions = index.search(query[None, :], k, params=self._parameters(index, selector))
        return [
            (int(self._ids[position]), float(score))
            for position, score in zip(positions[0], scores[0], strict=True)
            if position >= 0  # FAISS fills up with -1 where it found less
        ]

    @cached_property
    def _rows(self) -> Int8ExactSearch:
        """The vectors of an exact index, to be compared on all cores: FAISS takes one thread for one question."""
        stored = faiss.rev_swig_ptr(self._on_cpu.get_xb(), self.count * self._on_cpu.d)
        return Int8ExactSearch(stored.reshape(self.count, -1))

    def vectors_of(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors (n, dimension) of these ids as they are compared; in half precision if approximate.

        Raises:
            IndexDamaged: an id is not in the index.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        places = np.searchsorted(self._ids, wanted, sorter=self._by_id)
        positions = self._by_id[np.minimum(places, self.count - 1)] if self.count else places
        if len(wanted) and (not self.count or not np.array_equal(self._ids[positions], wanted)):
            raise IndexDamaged("The vector index lacks chunks of the catalog.", remedy="See which: echo-index verify")
        found: Vectors = self._compared.reconstruct_batch(positions)
        return found

    def search_each(self, queries: Vectors, *, k: int) -> tuple[Ids, Vectors]:
        """Return (chunk ids, cosines), each (n, at most `k`), of the best for each unit row of `queries`, best first.

        An id is -1 where there was nothing more to find.
        """
        k = min(k, self.count, _MOST_FROM_GPU)
        if k == 0 or not len(queries):
            return np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32)
        scores, positions = self._searched.search(queries, k, params=self._parameters(self._searched, None))
        return np.where(positions < 0, -1, self._ids[positions]), scores

    def _parameters(self, index: Any, selector: Any) -> Any:
        if index is self._compared:
            return faiss.SearchParameters(sel=selector)
        if index is not self._on_cpu:  # but on the GPU
            return None
        cells = faiss.extract_index_ivf(self._on_cpu).nlist
        probe = faiss.SearchParametersIVF(sel=selector, nprobe=max(16, cells // _PROBED_SHARE))
        return faiss.IndexRefineSearchParameters(k_factor=_REFINED, base_index_params=probe)

    def _copied_to_gpu(self) -> Any:
        if self.kind == "exact":
            return self._on_cpu
        # The fast-scan codes of the CPU have no GPU kernel: the GPU searches all vectors in half precision instead.
        flat = faiss.IndexFlatIP(self._on_cpu.d)
        for _, vectors in self.reconstruct():
            flat.add(vectors)
        return flat


def principal_axes(vectors: Vectors, *, count: int = 2) -> Vectors:
    """Return the axes (dimension, count) along which unit vectors (n, dimension) differ most, by FAISS's PCA.

    The largest component of an axis is positive. An axis is zero where the vectors do not differ along it.
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


def _refuse_changed(path: Path) -> None:
    """Raise IndexDamaged unless a file ends with the checksum of all that is before it."""
    ending = len(_MARK) + hashlib.sha256().digest_size
    digest = hashlib.sha256()
    try:
        left = path.stat().st_size - ending
        with path.open("rb") as file:
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
            checksum = file.read()
    except OSError as error:
        raise IndexDamaged(f"The vector index {path} cannot be read: {plain_reason(error)}.") from None
    if left or checksum != _MARK + digest.digest():
        raise IndexDamaged(f"The vector index {path} is damaged: its checksum does not fit.")


def _sample(blocks: Blocks, *, count: int, wanted: int) -> Vectors:
    """Return an even sample of the vectors: whole blocks would be neighbours from a few documents."""
    step = max(1, count // wanted)
    return np.concatenate([vectors[::step] for _, vectors in blocks()])
