"""Encode vectors as bytes: int8 multiples of a scale for each vector, and int16 multiples for its largest components.

The vectors of language models have a few components that are tens of times as large as all others. With one scale for
all, they would leave the others a few of the 255 steps; so they are stored apart. A code depends on its vector only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]
"""One row of bytes for each vector."""
Positions = slice | npt.NDArray[np.intp]
"""Which of several vectors: a part of them, or any of them by number (n,)."""

_SCALE = np.dtype("<f4")
_LARGE = np.dtype("<i2")
_HEADER = 10  # bytes: the checksum, the scale and the number of large components
_MOST, _MOST_LARGE = 127, 32767
_MARK = -128  # stands among the int8 multiples where the next of the large components belongs
_COMPONENTS_PER_LARGE = 20
_BLOCK = 512  # vectors: so many stay in the cache of a core in float32


def encode_vectors(vectors: npt.NDArray[np.float32], keys: Sequence[bytes]) -> list[bytes]:
    """Return the code of each vector (n, dimension); its checksum also covers its key, the hash of its text."""
    count, dimension = vectors.shape
    large = dimension // _COMPONENTS_PER_LARGE
    magnitudes = np.abs(vectors)
    places = np.sort(np.argpartition(magnitudes, dimension - large - 1, axis=1)[:, dimension - large :], axis=1)
    largest = magnitudes.max(axis=1)
    np.put_along_axis(magnitudes, places, 0, axis=1)
    scales = np.maximum(magnitudes.max(axis=1) / _MOST, largest / _MOST_LARGE)
    scales = np.maximum(scales, np.finfo(np.float32).tiny).astype(_SCALE)
    multiples = np.rint(vectors / scales[:, None])
    large_multiples = np.clip(np.take_along_axis(multiples, places, axis=1), -_MOST_LARGE, _MOST_LARGE).astype(_LARGE)
    small = np.clip(multiples, -_MOST, _MOST).astype(np.int8)
    np.put_along_axis(small, places, _MARK, axis=1)
    rows = np.concatenate(
        [
            _as_bytes(scales[:, None]),
            _as_bytes(np.full((count, 1), large, dtype="<u2")),
            _as_bytes(large_multiples),
            _as_bytes(small),
        ],
        axis=1,
    )
    return [
        zlib.crc32(row, zlib.crc32(key)).to_bytes(4, "little") + row
        for key, row in zip(keys, map(bytes, rows), strict=True)
    ]


def decode_vectors(codes: Codes) -> npt.NDArray[np.float32]:
    """Return the vectors (n, dimension) of codes of the same length.

    Raises:
        ValueError: they are no codes of vectors of one dimension.
    """
    if not len(codes):
        return np.empty((0, 0), dtype=np.float32)
    return CodedVectors(codes).decoded(slice(None))


class CodedVectors:
    """Vectors in memory as their codes, which are searched without decoding them, in a quarter of their bytes."""

    def __init__(self, codes: Codes) -> None:
        """Find the parts of the codes of one or more vectors.

        Raises:
            ValueError: they are no codes of vectors of one dimension.
        """
        counts = np.ascontiguousarray(codes[:, 8:_HEADER]).view("<u2")
        end = _HEADER + 2 * int(counts[0, 0])
        if end >= codes.shape[1] or (counts != counts[0]).any():
            raise ValueError("codes of different vectors")
        self._scales = np.ascontiguousarray(codes[:, 4:8]).view(_SCALE)[:, 0]
        self._small = codes[:, end:].view(np.int8)  # no copy: most of the memory stays that of the codes
        self._large = np.ascontiguousarray(codes[:, _HEADER:end]).view(_LARGE)
        self._places = _large_places(self._small, int(counts[0, 0]))

    def __len__(self) -> int:
        return len(self._small)

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return int(self._small.shape[1])

    def decoded(self, positions: Positions) -> npt.NDArray[np.float32]:
        """Return the vectors (n, dimension) at some positions."""
        vectors = self._small[positions].astype(np.float32, order="C")
        np.put_along_axis(vectors, self._places[positions].astype(np.intp), self._large[positions], axis=1)
        vectors *= self._scales[positions, None]
        return vectors

    def products(self, vector: npt.NDArray[np.float32], positions: Positions = slice(None)) -> npt.NDArray[np.float32]:
        """Return the inner products (n,) of the vectors at some positions with `vector` (dimension,).

        They differ from those of the decoded vectors by the rounding of float32.
        """
        chosen = np.arange(len(self))[positions] if not isinstance(positions, slice) else None
        count = len(self) if chosen is None else len(chosen)
        products = np.empty(count, dtype=np.float32)
        floats = np.empty((_BLOCK, self.dimension), dtype=np.float32)
        for start in range(0, count, _BLOCK):
            block = slice(start, min(start + _BLOCK, count)) if chosen is None else chosen[start : start + _BLOCK]
            small = self._small[block]
            rows = floats[: len(small)]
            rows[...] = small
            # A product of each row by itself, because one of all rows starts threads, which keep spinning.
            found = np.matmul(rows[:, None, :], vector[:, None])[:, 0, 0]
            weights = vector.take(self._places[block], mode="clip")  # in range: this mode only needs no copy
            found += np.einsum("ij,ij->i", weights, self._large[block] - np.float32(_MARK))
            products[start : start + len(small)] = found * self._scales[block]
        return products

    def small_blocks(self, *, block: int) -> Iterator[tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]]:
        """Yield all vectors without their large components: int8 (n, dimension), and the scale (n,) of each."""
        for start in range(0, len(self), block):
            small = self._small[start : start + block]
            yield np.where(small == _MARK, np.int8(0), small), self._scales[start : start + block]

    def large_products(self, vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the inner products (n,) of the large components of all vectors with `vector` (dimension,)."""
        products = np.empty(len(self), dtype=np.float32)
        for start in range(0, len(self), _BLOCK):
            block = slice(start, start + _BLOCK)
            weights = vector.take(self._places[block], mode="clip")
            products[block] = np.einsum("ij,ij->i", weights, self._large[block].astype(np.float32))
        return products * self._scales

    def squares(self) -> npt.NDArray[np.float32]:
        """Return the squared length (n,) of each vector, to the precision of float32."""
        squares = np.empty(len(self), dtype=np.float32)
        for start in range(0, len(self), _BLOCK):
            block = slice(start, start + _BLOCK)
            rows, large = self._small[block].astype(np.float32), self._large[block].astype(np.float32)
            found = np.einsum("ij,ij->i", rows, rows) + np.einsum("ij,ij->i", large, large)
            squares[block] = (found - large.shape[1] * np.float32(_MARK**2)) * self._scales[block] ** 2
        return squares


def is_intact(code: bytes, key: bytes, *, dimension: int) -> bool:
    """Return whether a code is that of a vector (dimension,) for the text with the hash `key`, and unchanged."""
    size = _HEADER + 2 * (dimension // _COMPONENTS_PER_LARGE) + dimension
    return len(code) == size and int.from_bytes(code[:4], "little") == zlib.crc32(code[4:], zlib.crc32(key))


def _as_bytes(array: npt.NDArray[np.generic]) -> Codes:
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)


def _large_places(small: npt.NDArray[np.int8], count: int) -> npt.NDArray[np.uint16]:
    """Return where the large components of each vector belong, ascending (n, count)."""
    places = np.empty((len(small), count), dtype=np.uint16)
    for start in range(0, len(small), _BLOCK):
        rows, columns = np.divmod(np.flatnonzero(small[start : start + _BLOCK] == _MARK), small.shape[1])
        block = places[start : start + _BLOCK]
        if not np.array_equal(rows, np.repeat(np.arange(len(block)), count)):
            raise ValueError("a code lacks large components")
        block[...] = columns.reshape(block.shape)
    return places
