"""The one way in which a generation becomes visible: its vectors, then its manifest, then the old is swept away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from echo_index.embeddings.runtime.atomic_write import delete_unfinished
from echo_index.indexer.catalog.catalog import Catalog, delete_catalog
from echo_index.indexer.catalog.records import Counts
from echo_index.indexer.generations.manifest import Canary, Manifest, write_manifest
from echo_index.indexer.generations.recovery import other_catalogs, store_manifest
from echo_index.indexer.generations.snapshot import index_vectors
from echo_index.indexer.storage.atomic_write import translate_write_errors
from echo_index.indexer.vectors.normalization import NormalizationPair


def commit_generation(
    index_dir: Path,
    catalog: Catalog,
    *,
    generation: int,
    counts: Counts,
    fingerprint: str,
    encoder: dict[str, str | int | None],
    chunking: dict[str, int],
    normalizations: NormalizationPair,
    canaries: Sequence[Canary],
    before: Manifest | None,
) -> None:
    """Make a generation of the catalog the one that readers see. The caller holds the write lock.

    `counts` is what the generation holds, `before` the manifest that is replaced. Interrupted, readers go on with that.

    Raises:
        IndexDamaged: a chunk of the generation has no vector.
        IndexUnwritable: the disk is full, or nothing can be written to the folder.
    """
    manifest = Manifest(
        generation=generation,
        fingerprint=fingerprint,
        encoder=encoder,
        chunking=chunking,
        documents=counts.documents,
        chunks=counts.chunks,
        vectors_file=f"vectors-{generation}.faiss",
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        normalizations=normalizations,
        canaries=tuple(canaries),
        catalog_file=catalog.path.name,
    )
    vectors = index_vectors(catalog, generation=generation, count=counts.chunks, normalization=normalizations.echo)
    vectors.save(index_dir / manifest.vectors_file)
    store_manifest(catalog, manifest)
    write_manifest(index_dir, manifest)
    _sweep(index_dir, catalog, manifest, before)


def remove_replaced_files(index_dir: Path, catalog: Catalog) -> None:
    """Delete the catalogs that were complete before this one, and what writers that were killed had begun.

    Raises:
        IndexUnwritable: nothing can be deleted in the folder.
    """
    with translate_write_errors(index_dir):
        for path, was_complete in other_catalogs(index_dir, catalog.path.name):
            if was_complete:
                delete_catalog(path)
        delete_unfinished(index_dir)


def _sweep(index_dir: Path, catalog: Catalog, manifest: Manifest, before: Manifest | None) -> None:
    """Delete what only readers of a generation before the last one could still want."""
    if before is not None and before.catalog_file == manifest.catalog_file:
        catalog.purge(before=before.generation)
    kept = {manifest.vectors_file, before.vectors_file if before else ""}
    with translate_write_errors(index_dir):
        for path in index_dir.glob("vectors-*.faiss"):
            if path.name not in kept:
                path.unlink(missing_ok=True)
    remove_replaced_files(index_dir, catalog)
