"""One complete generation of an index, open for reading. What is derived and damaged is rebuilt from the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexDamaged, IndexUnwritable
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import overlapping_chunks
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp
from echo_index.indexer.generations.recovery import complete_manifest
from echo_index.indexer.vectors.classical_index import ClassicalIndex
from echo_index.indexer.vectors.faiss_index import Ids, IndexDevice, Placement, VectorIndex, choose_placement
from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization, has_drifted


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The manifest, catalog and vectors that belong together."""

    manifest: Manifest
    catalog: Catalog
    vectors: VectorIndex
    classical: ClassicalIndex
    stamp: tuple[int, int]
    """The `manifest_stamp` from before it was read: another one means that there may be a newer generation."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let all that this thread reads inside be of this one generation, whatever builds do meanwhile.

        Raises:
            IndexDamaged: the generation is gone since two newer ones are complete, or its catalog is damaged.
        """
        with self.catalog.reading(generation=self.manifest.generation):
            yield

    def nearest(self, query: Vectors, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the best `k` for a question's vector (dimension,), as its encoder gave it."""
        return self._nearest(self.normalization.normalize_queries(query[None, :])[0], k=k, where=where)

    def nearest_classical(self, query: Vectors, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the best `k` by classical vectors, for a question's classical vector.

        Passages without a classical vector are not found.
        """
        return self.classical.search(query, k=k, among=self._among(where))

    @property
    def normalization(self) -> VectorNormalization:
        """How vectors are compared with those of passages."""
        return self.manifest.normalizations.echo

    def normalization_has_drifted(self) -> bool:
        """Whether its passages are about other things than when the space was estimated; the next build mends that."""
        return has_drifted(self.normalization, self.catalog, generation=self.manifest.generation)

    def normalizations(self) -> NormalizationPair | None:
        """Return the spaces of both ways of embedding; None unless there were enough passages for both of them."""
        normalizations = self.manifest.normalizations
        return (
            None
            if normalizations.echo.is_identity
            or normalizations.classical is None
            or normalizations.classical.is_identity
            else normalizations
        )

    def neighbours(self, path: str, start: int, *, k: int, where: SearchFilter) -> list[tuple[int, float]] | None:
        """Return (chunk id, cosine) of the best `k` for the passage of a document that begins at `start`.

        Neither it nor what overlaps it is among them. None: no passage begins there.
        """
        itself = overlapping_chunks(self.catalog, path, start, generation=self.manifest.generation)
        if not itself:
            return None
        nearest = self._nearest(self.compared_chunks(itself[:1])[0], k=k + len(itself), where=where)
        return [(identifier, cosine) for identifier, cosine in nearest if identifier not in itself][:k]

    def compared_chunks(self, ids: Sequence[int]) -> Vectors:
        """Return the vectors of these chunks as they are compared: unit rows (n, dimension).

        Raises:
            IndexDamaged: a chunk is not in the vector index.
        """
        return self.vectors.vectors_of(ids)

    def _nearest(self, compared: Vectors, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        return self.vectors.search(compared, k=k, among=self._among(where))

    def matching(self, query: LexicalQuery, *, k: int, where: SearchFilter) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score) of the best `k` for a query of words."""
        return self.catalog.match(query, k=k, where=where, generation=self.manifest.generation)

    def scores(self, query: LexicalQuery, ids: Sequence[int]) -> dict[int, float]:
        """Return the BM25 score that these chunks have for a query of words, 0 where they do not match."""
        return self.catalog.scores_of(query, ids)

    def languages(self) -> list[str]:
        """Return the languages of the documents, as Snowball names them, English first."""
        return self.catalog.languages()

    def _among(self, where: SearchFilter) -> Ids | None:
        return None if where == SearchFilter() else self.catalog.chunk_ids(where, generation=self.manifest.generation)


def open_snapshot(
    index_dir: Path, *, index_device: IndexDevice = "auto", notice: Callable[[str], None] = lambda line: None
) -> Snapshot:
    """Open the newest complete generation; `notice` is told what was damaged and is made again from the catalog.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: the index was written by a later version.
        IndexDamaged: the catalog is gone, cannot be read or contradicts the manifest.
        DeviceError: the device is not there.
    """
    placement = choose_placement(index_device)
    while True:
        stamp = manifest_stamp(index_dir)
        try:
            return _open(index_dir, stamp, placement, notice)
        except IndexDamaged:
            if manifest_stamp(index_dir) == stamp:
                raise
            # A build has completed a generation meanwhile, and swept away the one that was being opened.


def _open(index_dir: Path, stamp: tuple[int, int], placement: Placement, notice: Callable[[str], None]) -> Snapshot:
    manifest = complete_manifest(index_dir, notice=notice)
    catalog = Catalog(index_dir / manifest.catalog_file)
    try:
        with catalog.reading(generation=manifest.generation):
            held = catalog.count_chunks(generation=manifest.generation)
            if held != manifest.chunks:
                raise IndexDamaged(
                    f"The catalog {catalog.path} holds {held} chunks where the manifest says {manifest.chunks}.",
                    remedy="See what is damaged: echo-index verify",
                )
            vectors = _vectors(index_dir, manifest, catalog, placement, notice)
    except BaseException:
        catalog.close()
        raise
    normalization = manifest.normalizations.classical or VectorNormalization.identity(
        manifest.normalizations.echo.dimension, 0
    )
    classical = ClassicalIndex(catalog, generation=manifest.generation, normalization=normalization)
    return Snapshot(manifest=manifest, catalog=catalog, vectors=vectors, classical=classical, stamp=stamp)


def _vectors(
    index_dir: Path, manifest: Manifest, catalog: Catalog, placement: Placement, notice: Callable[[str], None]
) -> VectorIndex:
    path = index_dir / manifest.vectors_file
    try:
        return VectorIndex.load(path, count=manifest.chunks, placement=placement, has_checksum=manifest.has_checksums)
    except IndexDamaged as damage:
        made = index_vectors(
            catalog, generation=manifest.generation, count=manifest.chunks, normalization=manifest.normalizations.echo
        )
        notice(f"{damage.message} It is made again from the catalog.")
    try:
        made.save(path)
    except IndexUnwritable as error:
        notice(f"{error.message} What was made again serves this time only.")
    return made.placed(placement)


def index_vectors(catalog: Catalog, *, generation: int, count: int, normalization: VectorNormalization) -> VectorIndex:
    """Make the FAISS index of a generation from the catalog."""

    def blocks() -> Iterator[tuple[Ids, Vectors]]:
        for ids, vectors in catalog.vectors(generation=generation):
            yield ids, normalization.normalize_documents(vectors)

    return VectorIndex.build(blocks, count=count, dimension=normalization.dimension)
