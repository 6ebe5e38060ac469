"""One complete generation of an index, open for reading. What is derived and damaged is rebuilt from the catalog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from echo_embeddings.errors import IndexDamaged
from indexer.catalog import CATALOG, Catalog
from indexer.manifest import Manifest, read_manifest
from indexer.vectors import IndexDevice, VectorIndex, choose_placement


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The manifest, catalog and vectors that belong together."""

    manifest: Manifest
    catalog: Catalog
    vectors: VectorIndex


def open_snapshot(
    index_dir: Path, *, index_device: IndexDevice = "auto", notice: Callable[[str], None] = lambda line: None
) -> Snapshot:
    """Open the newest complete generation; `notice` is told where the vector index had to be rebuilt.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexDamaged: the catalog is gone or contradicts the manifest.
        DeviceError: the device is not there.
    """
    manifest = read_manifest(index_dir)
    catalog = Catalog(index_dir / CATALOG)
    held = catalog.counts(generation=manifest.generation).chunks
    if held != manifest.chunks:
        raise IndexDamaged(
            f"The catalog in {index_dir} holds {held} chunks where the manifest says {manifest.chunks}.",
            remedy="Build it again: echo-index build --rebuild FOLDER",
        )
    path = index_dir / manifest.vectors_file
    placement = choose_placement(index_device)
    try:
        vectors = VectorIndex.load(path, count=manifest.chunks, placement=placement)
    except IndexDamaged as damage:
        notice(f"{damage.message} It is rebuilt from the catalog.")
        dimension = int(manifest.encoder["dimension"] or 0)
        rebuilt = index_vectors(catalog, generation=manifest.generation, count=manifest.chunks, dimension=dimension)
        rebuilt.save(path)
        vectors = VectorIndex.load(path, count=manifest.chunks, placement=placement)
    return Snapshot(manifest=manifest, catalog=catalog, vectors=vectors)


def index_vectors(catalog: Catalog, *, generation: int, count: int, dimension: int) -> VectorIndex:
    """Make the FAISS index of a generation from the catalog."""
    return VectorIndex.build(lambda: catalog.vectors(generation=generation), count=count, dimension=dimension)
