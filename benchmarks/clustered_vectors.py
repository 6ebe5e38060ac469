"""Make any number of vectors that are clustered as those of real indexes are.

A vector is that of a passage plus the difference of two passages that are near to it. Half of the passages of six
collections and as many generated ones are searched by cells as all passages are: with 1, 8 and 32 of 64 cells,
questions find 0.39, 0.71 and 0.93 of their ten nearest, among the passages themselves 0.45, 0.77 and 0.95.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import faiss
import numpy as np

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.vectors.vector_ops import Vectors, l2_normalize
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.vectors.normalization import VectorNormalization, pooled_normalization
from echo_index.indexer.vectors.normalization_estimate import embed_held_out_queries

BLOCK = 10_000  # vectors
_NEIGHBOURS = 10
_DIFFERENCE = 0.7  # of the difference of two neighbours is added


class ClusteredVectors:
    """Vectors as the encoder of some indexes returns them, in blocks that are the same each time, and queries."""

    def __init__(self, folders: list[Path], *, queries_file: Path) -> None:
        """Read the vectors of the indexes in `folders`, and embed synthetic queries for each, which a file keeps."""
        vectors, normalizations = [], []
        manifest: Manifest | None = None
        for folder in folders:
            snapshot = open_snapshot(folder, index_device="cpu")
            manifest = snapshot.manifest
            with closing(snapshot.catalog) as catalog:
                vectors += [block for _, block in catalog.vectors(generation=manifest.generation)]
            normalizations.append(manifest.normalizations.echo)
        if not queries_file.exists():
            queries_file.parent.mkdir(parents=True, exist_ok=True)
            np.save(queries_file, _embedded_queries(folders))
        assert manifest is not None
        self.manifest = manifest
        self.normalization: VectorNormalization = pooled_normalization(normalizations)
        self.queries: Vectors = np.load(queries_file)
        self._vectors = np.concatenate(vectors)
        normalized = self.normalization.normalize_documents(self._vectors)
        flat = faiss.IndexFlatIP(normalized.shape[1])
        flat.add(normalized)
        self._nearest = flat.search(normalized, min(_NEIGHBOURS + 1, len(normalized)))[1]

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return int(self._vectors.shape[1])

    def block(self, number: int, *, size: int = BLOCK) -> Vectors:
        """Return the unit vectors (size, dimension) of a block, not normalized by the index."""
        random = np.random.default_rng([7, number])
        places = random.integers(len(self._vectors), size=size)
        first, second = (self._nearest[places, random.integers(self._nearest.shape[1], size=size)] for _ in range(2))
        return l2_normalize(self._vectors[places] + _DIFFERENCE * (self._vectors[first] - self._vectors[second]))

    def normalized_block(self, number: int, *, size: int = BLOCK) -> Vectors:
        """Return the vectors of a block as searches compare them."""
        return self.normalization.normalize_documents(self.block(number, size=size))


def _embedded_queries(folders: list[Path]) -> Vectors:
    encoder: EchoEncoder | None = None
    queries = []
    for folder in folders:
        snapshot = open_snapshot(folder, index_device="cpu")
        encoder = encoder or EchoEncoder.from_config(snapshot.manifest.encoder)
        with closing(snapshot.catalog) as catalog:
            queries.append(
                embed_held_out_queries(
                    catalog,
                    generation=snapshot.manifest.generation,
                    encoder=encoder,
                    on_progress=lambda done, total: None,
                )
            )
    return np.concatenate(queries)
