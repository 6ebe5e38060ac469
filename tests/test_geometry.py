"""What is done to finished vectors: means, directions, products."""

from __future__ import annotations

import numpy as np

from echo_embeddings import dominant_directions, inner_product_table, remove_directions, unit_rows
from echo_embeddings.geometry import Vectors


def stretched() -> Vectors:
    """Return points that differ most along the third axis, then along the first."""
    points = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    points[:, 2] *= 30
    points[:, 0] *= 10
    return points - points.mean(axis=0)


def test_the_dominant_directions_are_those_in_which_vectors_differ_most() -> None:
    directions = dominant_directions(stretched(), 2)
    assert directions.shape == (2, 5) and directions.dtype == np.float32
    assert np.allclose(np.abs(directions[:, [2, 0]]), np.eye(2), atol=0.02)


def test_without_directions_nothing_is_left_along_them() -> None:
    points = stretched()
    directions = dominant_directions(points, 2)
    left = remove_directions(points, directions)
    assert np.allclose(left @ directions.T, 0, atol=1e-4)
    assert np.allclose(np.linalg.norm(left, axis=1), 1, atol=1e-5)
    expected = points - points @ directions.T @ directions
    assert np.allclose(left, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-3)


def test_a_table_of_products_and_unit_rows() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    assert np.allclose(unit_rows(rows), [[0.6, 0.8], [0, 0]])
    assert np.allclose(inner_product_table(rows, np.array([[1.0, 1.0]], dtype=np.float32)), [[7], [0]])
