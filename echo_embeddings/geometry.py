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
    return weaken_directions(vectors, directions, np.zeros(len(directions), dtype=np.float32))


def wording_directions(texts: Vectors, wordings: Vectors, *, count: int, ridge: float) -> tuple[Vectors, Vectors]:
    """Return the directions in which vectors differ most where only the wording does, and what to keep of each.

    `texts` are unit rows (n, dimension), `wordings` unit rows (ways, n, dimension): each text said in some ways, all
    without their means. Returns orthonormal directions (count, dimension), the strongest first, and shares (count,)
    from 0 to 1 of the part along each. The larger `ridge`, the milder: it is in units of the mean variance.

    Within-class covariance normalization (Hatch, Kajarekar and Stolcke, Interspeech 2006), the rank kept low: a class
    is what is said, the covariance that of its wordings; W^(-1/2), scaled so that other directions stay as they are.
    """
    import torch

    def found() -> tuple[Vectors, Vectors]:
        said = torch.from_numpy(wordings)
        of_each_way = torch.nn.functional.normalize(said - said.mean(dim=1, keepdim=True), dim=-1)
        from_texts = of_each_way - torch.from_numpy(texts)
        from_each_other = said - said.mean(dim=0)
        differences = torch.cat([from_texts.flatten(0, 1), from_each_other.flatten(0, 1)]).double()
        variances, directions = torch.linalg.eigh(differences.T @ differences / len(differences))
        weights = (variances / variances.mean().clamp_min(1e-12) + ridge).rsqrt()
        weakest = len(weights) - count
        others = (variances[:weakest].mean() / variances.mean().clamp_min(1e-12) + ridge).rsqrt()
        kept = (weights[weakest:] / others).clamp(0, 1).flip(0)
        return np.ascontiguousarray(directions[:, weakest:].T.flip(0).float().numpy()), kept.float().numpy()

    return in_turn(found)


def weaken_directions(vectors: Vectors, directions: Vectors, kept: Vectors) -> Vectors:
    """Return unit rows of `vectors` (n, dimension) of whose parts along orthonormal `directions` shares are `kept`."""
    parts = np.ascontiguousarray(inner_product_table(vectors, directions) * (1 - kept))
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
