"""Commit a generation: write its vector index, if it has a file, and its manifest; then delete what is older."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from echo_index.embeddings.runtime.atomic_write import delete_unfinished
from echo_index.indexer.catalog.catalog import Catalog, delete_catalog
from echo_index.indexer.catalog.records import Counts
from echo_index.indexer.generations.manifest import FORMAT_VERSION, Canary, Manifest, with_needed_format, write_manifest
from echo_index.indexer.generations.recovery import CATALOGS, other_catalogs, store_manifest
from echo_index.indexer.generations.vector_file_build import write_vector_index
from echo_index.indexer.storage.atomic_write import translate_write_errors
from echo_index.indexer.vectors.normalization import NormalizationPair

IMPORTING = "importing.sqlite"
"""The catalog of an import before it is complete; no reader and no build takes it for that of an index."""


def commit_generation(
    index_dir: Path,
    catalog: Catalog,
    *,
    generation: int,
    counts: Counts,
    fingerprint: str,
    encoder: dict[str, str | int | None],
    chunking: dict[str, int],
    context: str,
    normalizations: NormalizationPair,
    canaries: Sequence[Canary],
    before: Manifest | None,
    store: str = "",
) -> Manifest:
    """Make a generation of the catalog visible to readers, and return its manifest. The caller holds the writer's lock.

    If it is interrupted, readers still see the previous generation.

    Args:
        index_dir: the folder of the index.
        catalog: the catalog that holds the generation.
        generation: its number.
        counts: the sizes of the generation.
        fingerprint: that of the encoder.
        encoder: the encoder's configuration.
        chunking: the chunking options.
        context: the line that is embedded with each chunk, or ''.
        normalizations: those of the vectors in the generation.
        canaries: texts and the vectors that the encoder returned for them.
        before: the manifest that is replaced, or None.
        store: where its passages are, if they are in a store alone.

    Raises:
        IndexDamaged: a chunk of the generation has no vector.
        IndexUnwritable: the disk is full or the folder cannot be written.
        IndexKindError: FAISS cannot build the kind of index that was asked for.
    """
    manifest = Manifest(
        generation=generation,
        fingerprint=fingerprint,
        encoder=encoder,
        chunking=chunking,
        documents=counts.documents,
        chunks=counts.chunks,
        vectors_file="",
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        normalizations=normalizations,
        canaries=tuple(canaries),
        catalog_file=catalog.path.name,
        context=context,
        has_addresses=catalog.holds_addresses(),
        store=store,
    )
    manifest = with_needed_format(manifest if store else write_vector_index(index_dir, catalog, manifest, before))
    store_manifest(catalog, manifest)
    write_manifest(index_dir, manifest)
    _remove_old_generations(index_dir, catalog, manifest, before)
    catalog.compact()
    return manifest


def commit_catalog(index_dir: Path, unnamed: Path, manifest: Manifest, before: Manifest | None) -> None:
    """Make a catalog that was filled under another name the one of an index; the one before is deleted.

    The caller holds the writer's lock, and has closed the catalog `unnamed`. If this is interrupted, readers still see
    the previous generation, or none, and the next writer completes it.

    Raises:
        IndexDamaged: the catalog lacks a vector.
        IndexUnwritable: the disk is full or the folder cannot be written.
    """
    path = index_dir / manifest.catalog_file
    with closing(Catalog(unnamed, write=True)) as catalog:
        written = write_vector_index(index_dir, catalog, manifest, None)
        if manifest.format_version < FORMAT_VERSION:  # the next build brings the index up to date
            manifest = replace(written, vector_index=None)
        else:
            manifest = with_needed_format(written)
        store_manifest(catalog, manifest)
        catalog.flush()
    with translate_write_errors(index_dir):
        delete_catalog(path)  # what an unfinished build has left under this name
        unnamed.rename(path)
    write_manifest(index_dir, manifest)
    with closing(Catalog(path, write=True)) as catalog, translate_write_errors(index_dir):
        for other in index_dir.glob(CATALOGS):
            if other != path:
                delete_catalog(other)
        _remove_old_generations(index_dir, catalog, manifest, before)
        catalog.compact()


def remove_replaced_files(index_dir: Path, catalog: Catalog) -> None:
    """Delete the catalogs that this one has replaced, and temporary files of writers that were killed.

    Raises:
        IndexUnwritable: the folder cannot be written.
    """
    with translate_write_errors(index_dir):
        for path, was_complete in other_catalogs(index_dir, catalog.path.name):
            if was_complete:
                delete_catalog(path)
        delete_catalog(index_dir / IMPORTING)
        delete_unfinished(index_dir)


def _remove_old_generations(index_dir: Path, catalog: Catalog, manifest: Manifest, before: Manifest | None) -> None:
    """Delete the rows and files of all generations but this one and the one before, which may still have readers."""
    if before is not None and before.catalog_file == manifest.catalog_file:
        catalog.purge(before=before.generation)
    in_use = {manifest.vectors_file}
    if before is not None and before.format_version >= FORMAT_VERSION:
        in_use.add(before.vectors_file)  # no reader of this version opens a file of an earlier one
    with translate_write_errors(index_dir):
        for path in index_dir.glob("vectors-*.faiss"):
            if path.name not in in_use:
                path.unlink(missing_ok=True)
    remove_replaced_files(index_dir, catalog)
