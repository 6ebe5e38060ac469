"""Encode vectors as bytes: int8 multiples of a scale for each vector, and int16 multiples for its largest components.

The vectors of language models have a few components that are tens of times as large as all others. With one scale for
all, they would leave the others a few of the 255 steps; so they are stored apart. A code depends on its vector only.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]
"""One row of bytes for each vector."""

_SCALE = np.dtype("<f4")
_LARGE = np.dtype("<i2")
_HEADER = 10  # bytes: the checksum, the scale and the number of large components
_MOST, _MOST_LARGE = 127, 32767
_MARK = -128  # stands among the int8 multiples where the next of the large components belongs
_COMPONENTS_PER_LARGE = 20


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
    scales = np.ascontiguousarray(codes[:, 4:8]).view(_SCALE)
    counts = np.ascontiguousarray(codes[:, 8:_HEADER]).view("<u2")
    end = _HEADER + 2 * int(counts[0, 0])
    if end >= codes.shape[1] or (counts != counts[0]).any():
        raise ValueError("codes of different vectors")
    small = np.ascontiguousarray(codes[:, end:]).view(np.int8)
    vectors = small.astype(np.float32)
    places = np.flatnonzero(small == _MARK)
    if not np.array_equal(places // small.shape[1], np.repeat(np.arange(len(codes)), counts[0, 0])):
        raise ValueError("a code lacks large components")
    vectors.ravel()[places] = np.ascontiguousarray(codes[:, _HEADER:end]).view(_LARGE).ravel()
    vectors *= scales
    return vectors


def is_intact(code: bytes, key: bytes, *, dimension: int) -> bool:
    """Return whether a code is that of a vector (dimension,) for the text with the hash `key`, and unchanged."""
    size = _HEADER + 2 * (dimension // _COMPONENTS_PER_LARGE) + dimension
    return len(code) == size and int.from_bytes(code[:4], "little") == zlib.crc32(code[4:], zlib.crc32(key))


def _as_bytes(array: npt.NDArray[np.generic]) -> Codes:
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
