"""Vectors as bytes: how exact they are, whatever their components, and how damage is noticed."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from echo_index.indexer.catalog.vector_codes import decode_vectors, encode_vectors, is_intact


def keys(count: int) -> list[bytes]:
    return [sha256(bytes([number])).digest() for number in range(count)]


def decoded(codes: list[bytes]) -> npt.NDArray[np.float32]:
    return decode_vectors(np.frombuffer(b"".join(codes), dtype=np.uint8).reshape(len(codes), -1))


def language_model_vectors(count: int, dimension: int) -> npt.NDArray[np.float32]:
    """Return unit vectors with one component that is nearly the whole of each, and a few that are large."""
    vectors = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)
    vectors[:, 7] += 90
    vectors[:, 11:20] *= 8
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_large_components_do_not_spoil_the_others() -> None:
    vectors = language_model_vectors(50, 640)
    codes = encode_vectors(vectors, keys(50))
    assert {len(code) for code in codes} == {10 + 2 * 32 + 640}
    without_largest = np.delete(decoded(codes) - vectors, 7, axis=1), np.delete(vectors, 7, axis=1)
    error, length = (np.linalg.norm(part, axis=1) for part in without_largest)
    assert (error / length).max() < 0.01
    assert np.abs(decoded(codes) - vectors).max() < 5e-4


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 90)),
        elements=st.floats(-1, 1, width=32, allow_subnormal=False),
    )
)
@settings(max_examples=200, deadline=None)
def test_no_component_is_off_by_more_than_half_a_step(vectors: npt.NDArray[np.float32]) -> None:
    large = vectors.shape[1] // 20
    others = np.sort(np.abs(vectors), axis=1)[:, : vectors.shape[1] - large]
    steps = np.maximum(others.max(axis=1) / 127, np.abs(vectors).max(axis=1) / 32767)
    errors = np.abs(decoded(encode_vectors(vectors, keys(len(vectors)))) - vectors)
    assert (errors <= 0.501 * steps[:, None] + 1e-30).all()


def test_a_code_depends_on_its_vector_only() -> None:
    vectors = language_model_vectors(5, 100)
    together, alone = encode_vectors(vectors, keys(5)), encode_vectors(vectors[3:4], keys(5)[3:4])
    assert together[3:4] == alone


def test_no_vectors_have_no_codes() -> None:
    assert len(decode_vectors(np.empty((0, 0), dtype=np.uint8))) == 0


@pytest.mark.parametrize("place", [0, 5, 8, 11, 20, 133])
def test_every_changed_byte_is_noticed(place: int) -> None:
    [code] = encode_vectors(language_model_vectors(1, 112), keys(1))
    assert len(code) == 10 + 2 * 5 + 112
    assert is_intact(code, keys(1)[0], dimension=112)
    changed = bytearray(code)
    changed[min(place, len(code) - 1)] ^= 1
    assert not is_intact(bytes(changed), keys(1)[0], dimension=112)
    assert not is_intact(code, keys(2)[1], dimension=112), "it is the vector of another text"
    assert not is_intact(code, keys(1)[0], dimension=111)


def test_what_is_no_code_is_not_decoded() -> None:
    [code] = encode_vectors(language_model_vectors(1, 112), keys(1))
    marks_overwritten = code[:20] + bytes(112)
    for broken in (marks_overwritten, code[:8] + b"\xff\xff" + code[10:]):
        with pytest.raises(ValueError, match="code"):
            decoded([broken])
