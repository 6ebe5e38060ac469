"""What is done to finished vectors. Knows nothing of the texts they stand for."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.runtime.executor import run_on_executor

Vectors = npt.NDArray[np.float32]
_FEW_ROWS = 256


def center(vectors: Vectors, mean: Vectors) -> Vectors:
    """Return unit rows of `vectors` (n, dimension) less `mean` (dimension,).

    The embeddings of a language model share a large part that says nothing of the text; without it, cosines differ more
    between texts that differ (Mu and Viswanath, "All-but-the-Top", arXiv 1702.01417, its first step).
    """
    return l2_normalize(vectors - mean)


def principal_components(vectors: Vectors, count: int) -> Vectors:
    """Return the `count` directions in which rows (n, dimension) without their mean differ most: (count, dimension).

    Rows of the result are orthonormal: the first principal components.
    """
    import torch

    def found() -> Vectors:
        rows = torch.from_numpy(vectors)
        components: torch.Tensor = torch.linalg.eigh((rows.T @ rows).double()).eigenvectors
        return np.ascontiguousarray(components[:, -count:].T.flip(0).float().numpy())

    return run_on_executor(found)


def remove_directions(vectors: Vectors, directions: Vectors) -> Vectors:
    """Return unit rows of `vectors` (n, dimension) without their parts along orthonormal `directions` (m, dimension).

    Mu and Viswanath, "All-but-the-Top", arXiv 1702.01417, its second step.
    """
    return attenuate(vectors, directions, np.zeros(len(directions), dtype=np.float32))


def within_class_directions(texts: Vectors, variants: Vectors, *, count: int, ridge: float) -> tuple[Vectors, Vectors]:
    """Return the directions in which vectors differ most where only the wording does, and what to keep of each.

    `texts` are unit rows (n, dimension), `wordings` unit rows (ways, n, dimension): each text said in some ways, all
    without their means. Returns orthonormal directions (count, dimension), the strongest first, and shares (count,)
    from 0 to 1 of the part along each. The larger `ridge`, the milder: it is in units of the mean variance.

    Within-class covariance normalization (Hatch, Kajarekar and Stolcke, Interspeech 2006), the rank kept low: a class
    is what is said, the covariance that of its wordings; W^(-1/2), scaled so that other directions stay as they are.
    """
    of_each_way = variants - variants.mean(axis=1, keepdims=True)
    from_texts = [l2_normalize(way) - texts for way in of_each_way]
    from_each_other = list(variants - variants.mean(axis=0))
    differences = np.concatenate([*from_texts, *from_each_other]).astype(np.float64)
    variances, directions = np.linalg.eigh(differences.T @ differences / len(differences))
    weights = (variances / max(variances.mean(), 1e-12) + ridge) ** -0.5
    weakest = len(weights) - count
    others = (variances[:weakest].mean() / max(variances.mean(), 1e-12) + ridge) ** -0.5
    kept = np.clip(weights[weakest:] / others, 0, 1)[::-1]
    strongest = directions[:, weakest:].T[::-1]
    return np.ascontiguousarray(strongest, dtype=np.float32), np.ascontiguousarray(kept, dtype=np.float32)


def attenuate(vectors: Vectors, directions: Vectors, gains: Vectors) -> Vectors:
    """Return unit rows of `vectors` (n, dimension) of whose parts along orthonormal `directions` shares are `kept`.

    A few rows, such as a question, are done without a turn: a search need not wait for what the model is reading.
    """
    across = np.ascontiguousarray(directions.T)
    if len(vectors) <= _FEW_ROWS:  # einsum has no threads that could slow the model's down
        parts = np.einsum("ij,kj->ik", vectors, directions) * (1 - gains)
        return l2_normalize(vectors - np.einsum("ij,kj->ik", parts, across))
    parts = np.ascontiguousarray(inner_products(vectors, directions) * (1 - gains))
    return l2_normalize(vectors - inner_products(parts, across))


def l2_normalize(vectors: Vectors) -> Vectors:
    """Return rows (n, dimension) with unit length; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def inner_products(rows: Vectors, others: Vectors) -> Vectors:
    """Return the inner products of all rows (n, dimension) with all others (m, dimension): (n, m).

    In turn with the model's passes: numpy's own threads would go on spinning and slow these down. Where torch was not
    needed so far, there is no model to be slowed down, and numpy does it: to load torch would take a second.
    """
    if "torch" not in sys.modules:
        return np.asarray(rows @ others.T)
    import torch

    table: Vectors = run_on_executor(lambda: torch.from_numpy(rows) @ torch.from_numpy(others).T).numpy()
    return table
