"""What a search needs of an index, or of several that are searched as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter, StoredChunk
    from echo_index.indexer.vectors.normalization import NormalizedQuery, VectorNormalization


class SearchSpace(Protocol):
    """Chunks by their ids, ranked by vectors and by words. An `IndexReader` is that of one index."""

    @property
    def normalization(self) -> VectorNormalization:
        """The normalization of the vectors that are compared."""
        ...

    @property
    def ranks_words(self) -> bool:
        """Whether chunks can be ranked by words; without, `matching` finds nothing and all `scores` are 0."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Give this thread a consistent view inside the `with` block, even while a build runs.

        Raises:
            IndexDamaged: builds have deleted what this space reads, or it is damaged.
        """
        ...

    def is_newest(self) -> bool:
        """Return whether there is no newer generation. It is cheap enough to be called before every search.

        Raises:
            IndexMissing: there is no index any more.
        """
        ...

    def load_early(self) -> None:
        """Begin to load the vectors in another thread, for a search that will soon need them."""
        ...

    def nearest(self, query: NormalizedQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` chunks nearest to a query that `normalization` has normalized."""
        ...

    def relevance(self, cosine: float) -> float | None:
        """Return how relevant a chunk with this cosine to a query is, from 0 to 1, or None if that is not known."""
        ...

    def chunk_vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the normalized vectors of these chunks, unit rows (n, dimension)."""
        ...

    def matching(self, query: LexicalQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score) of the `k` best matches of a full-text query, best first."""
        ...

    def scores(self, query: LexicalQuery, ids: Sequence[int]) -> dict[int, float]:
        """Return the BM25 score of each of these chunks for a full-text query, 0 for chunks that do not match."""
        ...

    def languages(self) -> list[str]:
        """Return the Snowball names of the documents' languages, English first."""
        ...

    def stored_chunks(self, ids: Sequence[int]) -> Mapping[int, StoredChunk]:
        """Return the chunks with these ids, by id."""
        ...
