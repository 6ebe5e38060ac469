"""Apply, save and load a trained linear head, which maps the layer views of a text to its embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.embeddings.vectors.layer_views import LayerView
from echo_index.embeddings.vectors.vector_ops import Vectors, inner_products, l2_normalize
from echo_index.errors import ModelError

HEAD_FILE = "head.safetensors"
_TENSOR = "matrices"


def is_linear_head(folder: Path) -> bool:
    """Return whether the folder of an adapter contains a head."""
    return (folder / HEAD_FILE).exists()


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A matrix per view, float32 (views, dimension, dimension); the embedding is the normalized sum of products."""

    matrices: Vectors

    def combine(self, views: Sequence[Vectors]) -> Vectors:
        """Return the embeddings, unit rows (n, dimension), of the unit rows (n, dimension) of each view."""
        products = [inner_products(view, matrix) for view, matrix in zip(views, self.matrices, strict=True)]
        return l2_normalize(np.sum(products, axis=0, dtype=np.float32))

    def save(self, folder: Path) -> None:
        """Write the head to the folder of an adapter."""
        matrices = {_TENSOR: np.ascontiguousarray(self.matrices)}
        replace_file(folder / HEAD_FILE, lambda file: save_file(matrices, file))

    @classmethod
    def load(cls, folder: Path, *, dimension: int) -> LinearHead:
        """Read the head from the folder of an adapter, for a model with hidden states of this dimension.

        Raises:
            ModelError: the head cannot be read, or has another dimension.
        """
        try:
            matrices = load_file(folder / HEAD_FILE)[_TENSOR].astype(np.float32)
        except (SafetensorError, OSError, KeyError) as error:
            raise ModelError(f"The head {folder / HEAD_FILE} cannot be read: {error}.") from None
        if matrices.ndim != 3 or matrices.shape[1:] != (dimension, dimension):
            raise ModelError(f"The adapter {folder} does not fit this model: its head is {matrices.shape[1:]}.")
        return cls(matrices)


def combine_views(vectors: Sequence[Vectors], views: Sequence[LayerView], head: LinearHead | None) -> Vectors:
    """Combine the unit rows (n, dimension) of each view by the head, or by their weighted sum: unit rows."""
    if head is not None:
        return head.combine(vectors)
    if len(views) == 1:
        return vectors[0]
    weighted = [view.weight * rows for view, rows in zip(views, vectors, strict=True)]
    return l2_normalize(np.sum(weighted, axis=0, dtype=np.float32))
