"""What is done to finished vectors. Knows nothing of the texts they stand for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


def remove_mean(vectors: Vectors, mean: Vectors) -> Vectors:
    """Return unit rows of `vectors` (n, dimension) less `mean` (dimension,).

    The embeddings of a language model share a large part that says nothing of the text; without it, cosines differ more
    between texts that differ (Mu and Viswanath, "All-but-the-Top", arXiv 1702.01417, its first step).
    """
    centred = vectors - mean
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)
