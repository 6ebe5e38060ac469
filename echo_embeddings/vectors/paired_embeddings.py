"""Hold the echo and the classical embeddings of the same texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors


@dataclass(frozen=True, eq=False)
class EmbeddingPair:
    """Two embeddings of each text from one forward pass, each float32 (n, dimension) with unit rows.

    `echo` equals the result of `encode_documents` or `encode_queries`. `classical` is pooled from the first copy, whose
    tokens cannot attend to the second copy, so it equals the embedding of a single reading. Its layer is that of the
    encoder's view of the first copy, or the deepest layer that is read. It is None if the prompt has no first copy.
    """

    echo: Vectors
    classical: Vectors | None

    @classmethod
    def gather(cls, batches: Iterable[tuple[list[int], EmbeddingPair]], *, shape: tuple[int, int]) -> EmbeddingPair:
        """Combine batches of (positions, embeddings) into embeddings of `shape` (n, dimension), in order."""
        echo, classical = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        has_classical = True
        for positions, batch in batches:
            echo[positions] = batch.echo
            if batch.classical is None:
                has_classical = False
            else:
                classical[positions] = batch.classical
        return cls(echo=echo, classical=classical if has_classical else None)
