"""Transform finished embeddings: centering, directions of variance, normalization and inner products."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.runtime.executor import run_on_executor

Vectors = npt.NDArray[np.float32]
_FEW_ROWS = 256


def center(vectors: Vectors, mean: Vectors) -> Vectors:
    """Subtract `mean` (dimension,) from each row of `vectors` (n, dimension), then normalize.

    The embeddings of a language model share a large component that is independent of the text. Without it, cosines
    separate different texts better (first step of Mu and Viswanath, "All-but-the-Top", arXiv 1702.01417).
    """
    return l2_normalize(vectors - mean)


def principal_components(vectors: Vectors, count: int) -> Vectors:
    """Return the first `count` principal components of centered rows (n, dimension): orthonormal (count, dimension)."""
    import torch

    def compute() -> Vectors:
        rows = torch.from_numpy(vectors)
        components: torch.Tensor = torch.linalg.eigh((rows.T @ rows).double()).eigenvectors
        return np.ascontiguousarray(components[:, -count:].T.flip(0).float().numpy())

    return run_on_executor(compute)


def remove_directions(vectors: Vectors, directions: Vectors) -> Vectors:
    """Remove each row's components along orthonormal `directions` (m, dimension), then normalize: (n, dimension).

    This is the second step of Mu and Viswanath, "All-but-the-Top" (arXiv 1702.01417).
    """
    return attenuate(vectors, directions, np.zeros(len(directions), dtype=np.float32))


def within_class_directions(texts: Vectors, variants: Vectors, *, count: int, ridge: float) -> tuple[Vectors, Vectors]:
    """Return the directions of largest variance between variants of the same text, and the gain for each direction.

    Low-rank within-class covariance normalization (Hatch, Kajarekar and Stolcke, Interspeech 2006): a class is a text
    with its variants, W is the covariance within classes. The gains are those of W^(-1/2), scaled so that the gain of
    all other directions is 1.

    Args:
        texts: Centered unit rows, float32 (n, dimension).
        variants: Several variants of each text, centered unit rows, float32 (variants, n, dimension).
        count: Number of directions to return.
        ridge: Regularization in units of the mean variance; a larger ridge gives gains closer to 1.

    Returns:
        Orthonormal directions (count, dimension), largest variance first, and gains (count,) from 0 to 1.
    """
    centered = variants - variants.mean(axis=1, keepdims=True)
    from_texts = [l2_normalize(rows) - texts for rows in centered]
    from_each_other = list(variants - variants.mean(axis=0))
    differences = np.concatenate([*from_texts, *from_each_other]).astype(np.float64)
    variances, directions = np.linalg.eigh(differences.T @ differences / len(differences))
    weights = (variances / max(variances.mean(), 1e-12) + ridge) ** -0.5
    first = len(weights) - count  # eigh sorts by ascending variance
    other_weight = (variances[:first].mean() / max(variances.mean(), 1e-12) + ridge) ** -0.5
    gains = np.clip(weights[first:] / other_weight, 0, 1)[::-1]
    strongest = directions[:, first:].T[::-1]
    return np.ascontiguousarray(strongest, dtype=np.float32), np.ascontiguousarray(gains, dtype=np.float32)


def attenuate(vectors: Vectors, directions: Vectors, gains: Vectors) -> Vectors:
    """Scale each row's component along `directions[i]` by `gains[i]`, then normalize: (n, dimension).

    `directions` are orthonormal rows (m, dimension).
    """
    return l2_normalize(scale_components(vectors, directions, gains))


def scale_components(vectors: Vectors, directions: Vectors, gains: Vectors) -> Vectors:
    """Scale each row's component along `directions[i]` by `gains[i]`: (n, dimension), not normalized.

    A few rows, such as a query, do not wait for the executor.
    """
    if len(vectors) <= _FEW_ROWS:  # neither of these starts threads, which could slow down a pass of the model
        components = np.matmul(vectors[:, None, None, :], directions[None, :, :, None])[:, :, 0, 0]
        return np.asarray(vectors - np.einsum("ij,jk->ik", components * (1 - gains), directions))
    removed = np.ascontiguousarray(inner_products(vectors, directions) * (1 - gains))
    return vectors - inner_products(removed, np.ascontiguousarray(directions.T))


def l2_normalize(vectors: Vectors) -> Vectors:
    """Scale each row of `vectors` (n, dimension) to unit length; a row of zeros stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def inner_products(rows: Vectors, others: Vectors) -> Vectors:
    """Return the inner products of all `rows` (n, dimension) with all `others` (m, dimension): (n, m).

    They run on the executor, because threads of numpy would keep spinning and slow down the passes of the model. If
    torch is not loaded, there are no passes: numpy computes them and saves the second that loading torch takes.
    """
    if "torch" not in sys.modules:
        return np.asarray(rows @ others.T)
    import torch

    products: Vectors = run_on_executor(lambda: torch.from_numpy(rows) @ torch.from_numpy(others).T).numpy()
    return products
