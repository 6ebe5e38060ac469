"""Build the vector index of a generation, and load it from its file, or rebuild it if the file is damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexBusy, IndexDamaged, IndexUnwritable
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp
from echo_index.indexer.storage.writer_lock import writer_lock
from echo_index.indexer.vectors.faiss_index import Ids, Placement, VectorIndex
from echo_index.indexer.vectors.normalization import VectorNormalization


def build_vector_index(
    catalog: Catalog, *, generation: int, count: int, normalization: VectorNormalization
) -> VectorIndex:
    """Build the FAISS index of a generation with `count` chunks from the catalog.

    Raises:
        IndexDamaged: a chunk has no vector, or the catalog holds another number of chunks.
    """

    def blocks() -> Iterator[tuple[Ids, Vectors]]:
        for ids, vectors in catalog.vectors(generation=generation):
            yield ids, normalization.normalize_documents(vectors)

    return VectorIndex.build(blocks, count=count, dimension=normalization.dimension)


def load_vector_index(
    index_dir: Path,
    manifest: Manifest,
    catalog: Catalog,
    *,
    placement: Placement,
    stamp: tuple[int, int],
    notice: Callable[[str], None],
) -> VectorIndex:
    """Load the vector index of a generation; if its file is missing or damaged, rebuild and save it.

    `stamp` is the `manifest_stamp` from before `manifest` was read; `notice` receives one line on each repair.

    Raises:
        IndexDamaged: the file is damaged, and the catalog lacks vectors to rebuild it.
    """
    path = index_dir / manifest.vectors_file
    try:
        return VectorIndex.load(path, count=manifest.chunks, placement=placement, has_checksum=manifest.has_checksums)
    except IndexDamaged as damage:
        rebuilt = build_vector_index(
            catalog, generation=manifest.generation, count=manifest.chunks, normalization=manifest.normalizations.echo
        )
        notice(f"{damage.message} It is rebuilt from the catalog.")
    try:
        _save(rebuilt, path, stamp=stamp)
    except (IndexBusy, IndexUnwritable) as error:
        notice(f"{error.message} The rebuilt vector index is used without being saved.")
    return rebuilt.placed(placement)


def _save(index: VectorIndex, path: Path, *, stamp: tuple[int, int]) -> None:
    """Save a rebuilt vector index under the writer's lock, unless a newer generation has replaced its own."""
    with writer_lock(path.parent):
        if manifest_stamp(path.parent) == stamp:
            index.save(path)
