"""Centering, principal components, attenuated directions and inner products of vectors."""

from __future__ import annotations

import numpy as np

from echo_index.embeddings.vectors.vector_ops import (
    Vectors,
    attenuate,
    inner_products,
    l2_normalize,
    principal_components,
    remove_directions,
    within_class_directions,
)


def stretched() -> Vectors:
    """Return points with the largest variance along the third axis, then along the first."""
    points = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    points[:, 2] *= 30
    points[:, 0] *= 10
    return points - points.mean(axis=0)


def test_principal_components_are_the_directions_of_largest_variance() -> None:
    directions = principal_components(stretched(), 2)
    assert directions.shape == (2, 5) and directions.dtype == np.float32
    assert np.allclose(np.abs(directions[:, [2, 0]]), np.eye(2), atol=0.02)


def test_removed_directions_have_no_component_left() -> None:
    points = stretched()
    directions = principal_components(points, 2)
    left = remove_directions(points, directions)
    assert np.allclose(left @ directions.T, 0, atol=1e-4)
    assert np.allclose(np.linalg.norm(left, axis=1), 1, atol=1e-5)
    expected = points - points @ directions.T @ directions
    assert np.allclose(left, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-3)


def test_inner_products_and_unit_rows() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    assert np.allclose(l2_normalize(rows), [[0.6, 0.8], [0, 0]])
    assert np.allclose(inner_products(rows, np.array([[1.0, 1.0]], dtype=np.float32)), [[7], [0]])


def worded_texts(*, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Return texts that differ in the first 12 of 16 dimensions, and two variants of each that differ in the last 2."""
    random = np.random.default_rng(seed)
    texts = np.zeros((60, 16), dtype=np.float32)
    texts[:, :12] = random.normal(size=(60, 12))
    wordings = np.repeat(texts[None], 2, axis=0)
    wordings[..., 14:] += random.normal(size=(2, 60, 2)) * 3
    return l2_normalize(texts), np.stack([l2_normalize(each) for each in wordings])


def test_within_class_directions_are_those_in_which_only_variants_differ() -> None:
    texts, wordings = worded_texts()
    directions, kept = within_class_directions(texts, wordings, count=4, ridge=0.1)
    assert (directions.shape, kept.shape) == ((4, 16), (4,))
    assert directions.dtype == kept.dtype == np.float32
    np.testing.assert_allclose(directions @ directions.T, np.eye(4), atol=1e-5)
    assert np.linalg.norm(directions[:2, 14:], axis=1).min() > 0.95, "the strongest first"
    assert kept.tolist() == sorted(kept.tolist()) and 0 < kept[0] < 0.2 and kept[3] <= 1
    milder = within_class_directions(texts, wordings, count=4, ridge=100.0)[1]
    assert milder.min() > 0.9


def test_a_text_is_found_by_a_variant_if_the_directions_are_attenuated() -> None:
    texts, wordings = worded_texts()
    directions, kept = within_class_directions(texts, wordings, count=4, ridge=0.1)
    one, other = worded_texts(seed=1)[1]

    def found(passages: Vectors, questions: Vectors) -> float:
        return float((np.argmax(questions @ passages.T, axis=1) == np.arange(len(passages))).mean())

    plain = found(one, other)
    weakened = found(attenuate(one, directions, kept), attenuate(other, directions, kept))
    assert weakened > plain + 0.1


def test_attenuated_directions_are_scaled_by_their_gain() -> None:
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(8, 2)))[0].T.astype(np.float32)
    vectors = random.normal(size=(5, 8)).astype(np.float32)
    kept = np.array([0.25, 1.0], dtype=np.float32)
    expected = vectors - 0.75 * np.outer(vectors @ directions[0], directions[0])
    np.testing.assert_allclose(attenuate(vectors, directions, kept), l2_normalize(expected), atol=1e-6)
    nothing = np.zeros(2, dtype=np.float32)
    removed = remove_directions(vectors, directions)
    np.testing.assert_allclose(attenuate(vectors, directions, nothing), removed, atol=1e-6)
