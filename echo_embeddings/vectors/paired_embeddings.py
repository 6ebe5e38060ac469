"""The echo and the classical embedding of the same texts, side by side. Knows no model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors


@dataclass(frozen=True, eq=False)
class EmbeddingPair:
    """Two embeddings of each text from one pass of the model: of the second copy, and of the first.

    `echo` is what `encode_documents` or `encode_queries` gives. `classical` is pooled from the first copy in the same
    way, from its last token with pooling "last"; no token of it has seen the second copy, so it is what a single
    reading gives. Its layer is that of the encoder's view of the first copy, else the deepest that is read. It is None
    where the prompt has no first copy. Both float32 (n, dimension), unit rows.
    """

    echo: Vectors
    classical: Vectors | None

    @classmethod
    def gather(cls, batches: Iterable[tuple[list[int], EmbeddingPair]], *, shape: tuple[int, int]) -> EmbeddingPair:
        """Put batches of (positions, readings) together to readings of `shape` (n, dimension), in order."""
        echo, classical = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        twice = True
        for positions, batch in batches:
            echo[positions] = batch.echo
            if batch.classical is None:
                twice = False
            else:
                classical[positions] = batch.classical
        return cls(echo=echo, classical=classical if twice else None)
