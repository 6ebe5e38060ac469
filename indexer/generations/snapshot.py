"""Open one complete generation of an index for reading, and search it by vectors and by words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexDamaged, StoreError
from echo_index.indexer.catalog.bm25_search import NO_FACTORS
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import overlapping_chunks
from echo_index.indexer.catalog.generation_summary import count_chunks
from echo_index.indexer.catalog.records import LexicalQuery, QueryPart, SearchFilter, StoredChunk
from echo_index.indexer.generations.catalog_documents import CatalogDocuments
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp
from echo_index.indexer.generations.recovery import complete_manifest
from echo_index.indexer.generations.vector_file import GenerationVectors, is_approximate
from echo_index.indexer.vectors.approximate_index import ApproximateIndex
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.classical_index import ClassicalIndex
from echo_index.indexer.vectors.device_choice import choose_placement
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.normalization import NormalizationPair, NormalizedQuery, VectorNormalization
from echo_index.indexer.vectors.placement import IndexDevice

if TYPE_CHECKING:
    from echo_index.indexer.vectors.gpu_index import GpuIndex


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The manifest, catalog and vectors of one generation: the `IndexReader` of an index in a folder.

    The vectors are loaded when they are first needed.
    """

    manifest: Manifest
    catalog: Catalog
    stored_vectors: GenerationVectors
    classical: ClassicalIndex
    stamp: tuple[int, int]
    """The `manifest_stamp` from before the manifest was read; it changes when a newer generation is committed."""

    @property
    def vectors(self) -> ExactIndex | ApproximateIndex | GpuIndex:
        """The index of the echo vectors.

        Raises:
            IndexDamaged: the catalog lacks vectors, or they cannot be read.
        """
        return self.stored_vectors.index()

    @property
    def documents(self) -> CatalogDocuments:
        """The documents of the generation."""
        return CatalogDocuments(self.catalog, self.manifest.generation)

    @property
    def folder(self) -> Path:
        """The folder of the index."""
        return self.catalog.path.parent

    @property
    def ranks_words(self) -> bool:
        """Whether chunks can be ranked by the words of a query, which a catalog always can."""
        return True

    def is_newest(self) -> bool:
        """Return whether there is no newer generation.

        Raises:
            IndexMissing: there is no index any more.
        """
        return manifest_stamp(self.folder) == self.stamp

    def load_early(self) -> None:
        """Begin to load the vectors in another thread, for a search that will soon need them."""
        self.stored_vectors.load_early()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Give this thread a consistent view of the generation inside the `with` block, even while a build runs.

        Raises:
            IndexDamaged: the generation was purged after two newer ones were committed, or its catalog is damaged.
        """
        with self.catalog.reading(generation=self.manifest.generation):
            yield

    def nearest(self, query: NormalizedQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` chunks nearest to a query that `normalization` has normalized."""
        return self._nearest(query.vector, k=k, where=where)

    def nearest_classical(self, query: NormalizedQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` chunks nearest to a query by their classical vectors.

        The query is normalized by `classical.normalization`. Chunks without a classical vector are not found.
        """
        return self.classical.search(query, k=k, among=self._chunk_ids(where))

    @property
    def normalization(self) -> VectorNormalization:
        """The normalization of the echo vectors."""
        return self.manifest.normalizations.echo

    def normalization_has_drifted(self) -> bool:
        """Return whether the chunks have changed so much that the next build will estimate the normalization again."""
        from echo_index.indexer.vectors.normalization_estimate import has_drifted  # which a search does without

        return has_drifted(self.normalization, self.catalog, generation=self.manifest.generation)

    def normalizations(self) -> NormalizationPair | None:
        """Return the normalizations of echo and classical vectors, or None if either could not be estimated."""
        normalizations = self.manifest.normalizations
        return (
            None
            if normalizations.echo.is_identity
            or normalizations.classical is None
            or normalizations.classical.is_identity
            else normalizations
        )

    def relevance(self, cosine: float) -> float | None:
        """Return what the cosine of a chunk with a query means, see `RelevanceScale`; None if it is not known."""
        scale = self.manifest.normalizations.relevance
        return None if scale is None else scale.relevance(cosine, chunks=self.manifest.chunks)

    def neighbours(self, path: str, start: int, *, k: int, where: SearchFilter) -> list[tuple[int, float]] | None:
        """Return (chunk id, cosine) of the `k` chunks nearest to the one that begins at `start` in a document.

        The chunk itself and those that overlap it are excluded. Return None if no chunk begins there.
        """
        excluded = overlapping_chunks(self.catalog, path, start, generation=self.manifest.generation)
        if not excluded:
            return None
        nearest = self._nearest(self.chunk_vectors(excluded[:1])[0], k=k + len(excluded), where=where)
        return [(identifier, cosine) for identifier, cosine in nearest if identifier not in excluded][:k]

    def chunk_vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the normalized vectors of these chunks, unit rows (n, dimension).

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        return self.stored_vectors.vectors_of(ids)

    def _nearest(self, vector: Vectors, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        return self.vectors.search(vector, k=k, among=self._chunk_ids(where))

    def matching(
        self,
        query: LexicalQuery,
        *,
        k: int,
        where: SearchFilter,
        factors: Mapping[QueryPart, float] = NO_FACTORS,
    ) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score) of the `k` best matches of a full-text query, best first.

        `factors` are those of `weight_factors`, if other indexes are searched together with this one.
        """
        return self.catalog.match(query, k=k, where=where, generation=self.manifest.generation, factors=factors)

    def scores(
        self, query: LexicalQuery, ids: Sequence[int], *, factors: Mapping[QueryPart, float] = NO_FACTORS
    ) -> dict[int, float]:
        """Return the BM25 score of each of these chunks for a full-text query, 0 for chunks that do not match."""
        return self.catalog.scores_of(query, ids, factors=factors)

    def stored_chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Return the chunks with these ids, by id."""
        return self.catalog.chunks(ids)

    def languages(self) -> list[str]:
        """Return the Snowball names of the documents' languages, English first."""
        return self.catalog.languages()

    def _chunk_ids(self, where: SearchFilter) -> Ids | None:
        """Return the ids of the chunks that match a filter, or None if it matches all."""
        return None if where == SearchFilter() else self.catalog.chunk_ids(where, generation=self.manifest.generation)


class PassagesElsewhere(StoreError):
    """The passages of an index are in a `store` alone, and not in its folder."""

    def __init__(self, index_dir: Path, store: str) -> None:
        super().__init__(
            f"The passages of the index in {index_dir} are in {store} alone, and this needs them in the folder.",
            remedy="Build another index without --store-only: echo-index build --index FOLDER",
        )
        self.store = store


def open_snapshot(
    index_dir: Path, *, index_device: IndexDevice = "auto", notice: Callable[[str], None] = lambda line: None
) -> Snapshot:
    """Open the newest complete generation; `notice` receives one line on each damaged file that was rebuilt.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: the catalog is missing, unreadable or contradicts the manifest.
        DeviceError: the device is not available.
        PassagesElsewhere: the passages of the index are in a store alone.
    """
    while True:
        stamp = manifest_stamp(index_dir)
        try:
            return _open(index_dir, stamp, index_device, notice)
        except IndexDamaged:
            if manifest_stamp(index_dir) == stamp:
                raise
            # A build has committed a newer generation in the meantime and deleted files of this one: try again.


def _open(index_dir: Path, stamp: tuple[int, int], device: IndexDevice, notice: Callable[[str], None]) -> Snapshot:
    manifest = complete_manifest(index_dir, notice=notice)
    if manifest.store:
        raise PassagesElsewhere(index_dir, manifest.store)
    placement = choose_placement(device, is_exact=not is_approximate(manifest))
    catalog = Catalog(index_dir / manifest.catalog_file)
    try:
        with catalog.reading(generation=manifest.generation):
            count = count_chunks(catalog, generation=manifest.generation)
            if count != manifest.chunks:
                raise IndexDamaged(
                    f"The catalog {catalog.path} holds {count} passages, but the manifest says {manifest.chunks}.",
                    remedy="See what is damaged: echo-index verify",
                )
    except BaseException:
        catalog.close()
        raise
    vectors = GenerationVectors(index_dir, manifest, catalog, placement=placement, stamp=stamp, notice=notice)
    normalization = manifest.normalizations.classical or VectorNormalization.identity(
        manifest.normalizations.echo.dimension, 0
    )
    classical = ClassicalIndex(catalog, generation=manifest.generation, normalization=normalization)
    return Snapshot(manifest=manifest, catalog=catalog, stored_vectors=vectors, classical=classical, stamp=stamp)
