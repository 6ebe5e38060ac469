"""Train, fill, change, save and load a FAISS index that finds candidates for the nearest vectors.

The file is derived from the catalog and can always be rebuilt.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexDamaged, IndexKindError
from echo_index.indexer.storage.atomic_write import write_atomically
from echo_index.indexer.storage.safe_open import plain_reason
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.index_kind import SearchParameters

_TRAINING_PER_CELL = 64  # vectors
_LEAST_TRAINING = 10_000  # vectors; codes of 4 bits need no more
_REFINEMENT_FACTOR = 4  # times the results, compared by a stage `Refine` of the index itself
_CHECKSUM_MARK = b"echo-index sha256"  # between the index and its checksum
_LEAST_VARIANCE = 1e-6  # along an axis; rounding to half precision causes less between equal vectors
_KINDS = "auto, exact, or a FAISS factory string of IVF… or HNSW…, such as IVF1024,PQ160x4fs or HNSW32,SQ8"
_PLACE_IN_SOURCE = re.compile(r"^Error in .* at \S+:\d+: (Error: )?")  # before what FAISS says
_MAPPED_FROM = 1 << 30  # bytes: files from this size on are not read at once


def count_gpus() -> int:
    """Return the number of GPUs that FAISS sees."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def is_built_for_gpus() -> bool:
    """Return whether FAISS could use a GPU."""
    return hasattr(faiss, "StandardGpuResources")


def validate_kind(kind: str, *, dimension: int) -> None:
    """Validate a FAISS factory string.

    Raises:
        IndexKindError: FAISS does not know it for vectors of this dimension, or it cannot be searched with filters.
    """
    _new_index(kind, dimension)


class FaissIndex:
    """Unit vectors in a FAISS index of some kind, by chunk id. Searching is thread-safe; changing it is not."""

    def __init__(self, index: Any) -> None:
        """Wrap an index that labels vectors by chunk ids: one of cells, or another one in an IndexIDMap2."""
        self._labelled = index
        self._index = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index
        self._known_ids: Ids | None = None

    @property
    def _ids_by_position(self) -> Ids | None:
        """The chunk id at each position, if the index itself labels vectors by position."""
        if self._labelled is self._index:
            return None
        if self._known_ids is None:
            self._known_ids = faiss.vector_to_array(self._labelled.id_map)
        return self._known_ids

    @classmethod
    def train(cls, kind: str, sample: Vectors) -> FaissIndex:
        """Return an empty index of a FAISS factory string, trained with unit vectors (n, dimension).

        Raises:
            IndexKindError: FAISS does not know the kind, or it needs more vectors.
        """
        index = _new_index(kind, sample.shape[1])
        try:
            if not index.is_trained:
                index.train(sample)
        except RuntimeError as error:
            raise IndexKindError(
                f"The index kind {kind!r} cannot be trained with {len(sample)} passages: {_reason(error)}.",
                remedy="Use one with fewer cells, or --index-kind auto.",
            ) from None
        if _keeps_ids(index):
            return cls(index)
        mapped = faiss.IndexIDMap2(index)
        mapped.own_fields = True
        index.this.disown()
        return cls(mapped)

    @classmethod
    def load(cls, path: Path, *, count: int, has_checksum: bool = True) -> FaissIndex:
        """Load an index of `count` vectors; files of the first index format have no checksum.

        The lists of a large file are mapped into memory where their kind allows it, and its checksum is left to
        `validate_checksum`.

        Raises:
            IndexDamaged: the file is missing or damaged, or holds another number of vectors.
        """
        is_large = path.exists() and path.stat().st_size >= _MAPPED_FROM
        if has_checksum and not is_large:
            validate_checksum(path)  # first, because FAISS does not validate what it reads
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if is_large else 0)
        except RuntimeError as error:
            raise IndexDamaged(f"The vector index {path} cannot be read: {_reason(error)}.") from None
        if index.ntotal != count or not (isinstance(index, faiss.IndexIDMap) or _keeps_ids(index)):
            raise IndexDamaged(f"The vector index {path} holds {index.ntotal} vectors, not {count}.")
        return cls(index)

    def save(self, path: Path) -> int:
        """Write the index and its SHA-256 to a file that replaces `path` atomically; return the number of bytes.

        Raises:
            IndexUnwritable: the file cannot be written.
        """
        size = 0

        def write(file: BinaryIO) -> None:
            nonlocal size
            digest = hashlib.sha256()

            def write_block(block: bytes) -> int:
                digest.update(block)
                return file.write(block)

            faiss.write_index(self._labelled, faiss.PyCallbackIOWriter(write_block))
            file.write(_CHECKSUM_MARK + digest.digest())
            size = file.tell()

        write_atomically(path, write)
        return size

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add unit vectors (n, dimension) under the ids of their chunks."""
        self._labelled.add_with_ids(vectors, ids)
        self._known_ids = None

    def remove(self, ids: Ids) -> bool:
        """Remove the vectors of some chunks; return whether this kind can, which a graph cannot."""
        try:
            self._labelled.remove_ids(faiss.IDSelectorBatch(ids))
        except RuntimeError:
            return False
        self._known_ids = None
        return True

    @property
    def count(self) -> int:
        """The number of vectors."""
        return int(self._labelled.ntotal)

    @property
    def cells(self) -> int:
        """The number of cells of vectors that are near to each other; 1 if there are none."""
        ivf = _cell_index(self._index)
        return 1 if ivf is None else int(ivf.nlist)

    @property
    def has_graph(self) -> bool:
        """Whether a graph leads from vector to vector."""
        return isinstance(_innermost(self._index), faiss.IndexHNSW)

    def ids(self) -> Ids:
        """Return the ids of the chunks, ascending."""
        if (by_position := self._ids_by_position) is not None:
            return np.sort(by_position)
        lists = _innermost(self._index).invlists
        sizes = ((number, lists.list_size(number)) for number in range(lists.nlist))
        parts = [faiss.rev_swig_ptr(lists.get_ids(number), size).copy() for number, size in sizes if size]
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]))

    def candidates(self, queries: Vectors, *, k: int, parameters: SearchParameters, among: Ids | None = None) -> Ids:
        """Return the ids (n, k) of the vectors that seem nearest to each query, best first, padded with -1.

        `among` limits them to these ids, in ascending order.
        """
        k = min(k, self.count)
        if k == 0 or not len(queries):
            return np.empty((len(queries), 0), dtype=np.int64)
        selector = None if among is None else self._selector(among)
        found: Ids
        _, found = self._index.search(queries, k, params=_faiss_parameters(self._index, parameters, selector))
        by_position = self._ids_by_position
        return found if by_position is None else np.where(found < 0, -1, by_position[found])

    def _selector(self, among: Ids) -> Any:
        by_position = self._ids_by_position
        labels = among if by_position is None else np.flatnonzero(np.isin(by_position, among))
        allowed = np.zeros(int(labels[-1]) + 1 if len(labels) else 0, dtype=bool)
        allowed[labels] = True
        return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def training_size(kind: str, *, dimension: int) -> int:
    """Return how many vectors a kind is trained with."""
    ivf = _cell_index(_new_index(kind, dimension))
    return max(_LEAST_TRAINING, _TRAINING_PER_CELL * (0 if ivf is None else int(ivf.nlist)))


def validate_checksum(path: Path) -> None:
    """Read a file to its end and compare it with its checksum.

    Raises:
        IndexDamaged: it does not end with the checksum of everything before it, or cannot be read.
    """
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


def _new_index(kind: str, dimension: int) -> Any:
    try:
        index = faiss.index_factory(dimension, kind, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise IndexKindError(
            f"There is no index kind {kind!r} for vectors of {dimension} dimensions: {_reason(error)}.",
            remedy=f"Use {_KINDS}.",
        ) from None
    if not isinstance(_innermost(index), faiss.IndexIVF | faiss.IndexHNSW):
        raise IndexKindError(f"An index of the kind {kind!r} cannot be searched here.", remedy=f"Use {_KINDS}.")
    return index


def _innermost(index: Any) -> Any:
    """Return the index inside of the stages that turn vectors before it, or compare its results again."""
    while isinstance(index, faiss.IndexPreTransform | faiss.IndexRefine):
        index = faiss.downcast_index(index.index if isinstance(index, faiss.IndexPreTransform) else index.base_index)
    return index


def _keeps_ids(index: Any) -> bool:
    """Return whether an index labels vectors as it is told, which cells do, instead of by their positions."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return isinstance(index, faiss.IndexIVF)


def _cell_index(index: Any) -> Any | None:
    innermost = _innermost(index)
    return innermost if isinstance(innermost, faiss.IndexIVF) else None


def _faiss_parameters(index: Any, parameters: SearchParameters, selector: Any) -> Any:
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=_faiss_parameters(index.index, parameters, selector))
    if isinstance(index, faiss.IndexRefine):
        inner = _faiss_parameters(index.base_index, parameters, selector)
        return faiss.IndexRefineSearchParameters(k_factor=_REFINEMENT_FACTOR, base_index_params=inner)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(sel=selector, efSearch=parameters.breadth)
    return faiss.SearchParametersIVF(sel=selector, nprobe=min(parameters.probes, index.nlist))


def _reason(error: RuntimeError) -> str:
    """Return what FAISS says without the place in its source."""
    return _PLACE_IN_SOURCE.sub("", str(error).splitlines()[0]).strip().rstrip(".")
