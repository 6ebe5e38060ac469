"""Build the vector index of a generation from the catalog, or load it from its file, if it has one.

An exact index has none: it holds the vectors of the catalog and nothing else. To build 100,000 takes a second, three
times as long as to read them from a file, which would keep each vector twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexBusy, IndexDamaged, IndexUnwritable
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp
from echo_index.indexer.storage.writer_lock import writer_lock
from echo_index.indexer.vectors.faiss_index import EXACT_UP_TO, Ids, Placement, VectorIndex
from echo_index.indexer.vectors.normalization import VectorNormalization


def vectors_file(generation: int, *, count: int) -> str:
    """Return the name of the file of a vector index, or '' for an exact one."""
    return f"vectors-{generation}.faiss" if count > EXACT_UP_TO else ""


def has_vectors_file(manifest: Manifest) -> bool:
    """Return whether a generation needs a file of vectors; earlier versions wrote one for exact indexes, too."""
    return bool(manifest.vectors_file) and manifest.chunks > EXACT_UP_TO


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

    return VectorIndex.build(blocks, count=count, dimension=normalization.dimension, exact_up_to=EXACT_UP_TO)


def load_vector_index(
    index_dir: Path,
    manifest: Manifest,
    catalog: Catalog,
    *,
    placement: Placement,
    stamp: tuple[int, int],
    notice: Callable[[str], None],
) -> VectorIndex:
    """Load the vector index of a generation; if it needs a file that is missing or damaged, rebuild and save it.

    `stamp` is the `manifest_stamp` from before `manifest` was read; `notice` receives one line on each repair.

    Raises:
        IndexDamaged: the catalog lacks vectors to build it.
    """

    def build() -> VectorIndex:
        return build_vector_index(
            catalog, generation=manifest.generation, count=manifest.chunks, normalization=manifest.normalizations.echo
        )

    if not has_vectors_file(manifest):
        return build().placed(placement)
    path = index_dir / manifest.vectors_file
    try:
        return VectorIndex.load(path, count=manifest.chunks, placement=placement, has_checksum=manifest.has_checksums)
    except IndexDamaged as damage:
        rebuilt = build()
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
