"""What is done to finished vectors. Knows nothing of the texts they stand for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from echo_embeddings.turns import in_turn

Vectors = npt.NDArray[np.float32]


def remove_mean(vectors: Vectors, mean: Vectors) -> Vectors:
    """Return unit rows of `vectors` (n, dimension) less `mean` (dimension,).

    The embeddings of a language model share a large part that says nothing of the text; without it, cosines differ more
    between texts that differ (Mu and Viswanath, "All-but-the-Top", arXiv 1702.01417, its first step).
    """
    return unit_rows(vectors - mean)


def dominant_directions(vectors: Vectors, count: int) -> Vectors:
    """Return the `count` directions in which rows (n, dimension) without their mean differ most: (count, dimension).

    Rows of the result are orthonormal: the first principal components.
    """
    import torch

    def found() -> Vectors:
        rows = torch.from_numpy(vectors)
        components: torch.Tensor = torch.linalg.eigh((rows.T @ rows).double()).eigenvectors
        return np.ascontiguousarray(components[:, -count:].T.flip(0).float().numpy())

    return in_turn(found)


def remove_directions(vectors: Vectors, directions: Vectors) -> Vectors:
    """Return unit rows of `vectors` (n, dimension) without their parts along orthonormal `directions` (m, dimension).

    Mu and Viswanath, "All-but-the-Top", arXiv 1702.01417, its second step.
    """
    parts = inner_product_table(vectors, directions)
    return unit_rows(vectors - inner_product_table(parts, np.ascontiguousarray(directions.T)))


def unit_rows(vectors: Vectors) -> Vectors:
    """Return rows (n, dimension) with unit length; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def inner_product_table(rows: Vectors, others: Vectors) -> Vectors:
    """Return the inner products of all rows (n, dimension) with all others (m, dimension): (n, m).

    In turn with the model's passes, as `inner_products`.
    """
    import torch

    table: Vectors = in_turn(lambda: torch.from_numpy(rows) @ torch.from_numpy(others).T).numpy()
    return table


def inner_products(vectors: Vectors, vector: Vectors) -> Vectors:
    """Return the inner product of each row of `vectors` (n, dimension) with a vector (dimension,), on all cores: (n,).

    In turn with the model's passes: numpy's own threads would go on spinning and slow these down.
    """
    import torch

    products: Vectors = in_turn(lambda: torch.mv(torch.from_numpy(vectors), torch.from_numpy(vector))).numpy()
    return products
