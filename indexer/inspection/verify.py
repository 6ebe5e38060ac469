"""Verify an index, including the vectors of its model, and repair what can be derived from the catalog."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echo_index.errors import DeviceError, IndexDamaged, IndexMismatch, ModelError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.generation_summary import generation_counts
from echo_index.indexer.catalog.integrity_queries import embedded_texts, repair_catalog
from echo_index.indexer.generations.manifest import (
    Manifest,
    manifest_stamp,
    read_manifest,
    with_needed_format,
    write_manifest,
)
from echo_index.indexer.generations.recovery import complete_manifest, recover_commit, store_manifest
from echo_index.indexer.generations.vector_file_build import write_vector_index
from echo_index.indexer.inspection.integrity_checks import Check, Inspection, inspect_index
from echo_index.indexer.storage.writer_lock import writer_lock

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

_LEAST_COSINE = 0.999
"""Between the vector of a canary text now and at build time; other hardware or libraries change it by less."""
LoadEncoder = Callable[[dict[str, str | int | None]], "EchoEncoder"]


def verify_index(index_dir: Path, *, load_encoder: LoadEncoder | None = None, repair: bool = False) -> list[Check]:
    """Check every file, count, hash and vector of an index against each other, and the model against the canaries.

    Without `load_encoder` the model is not checked. `repair` rebuilds the manifest, the full text and the vector index,
    and, with an encoder, embeds texts again whose vector is missing or wrong. Documents with damaged passages are read
    again by the next build.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: manifest and catalog are both damaged.
        IndexBusy: another process is writing the index.
        IndexUnwritable: the disk is full or the folder cannot be written.
    """
    manifest_stamp(index_dir)  # raises before the lock would create the folder of a missing index
    with writer_lock(index_dir):
        manifest_check = _check_manifest(index_dir, repair=repair)
        manifest = complete_manifest(index_dir)
        try:
            catalog = Catalog(index_dir / manifest.catalog_file, write=True)
        except IndexDamaged as damage:
            return [manifest_check, Check("catalog", manifest.catalog_file, (damage.message,))]
        with closing(catalog):
            try:
                if manifest.store:
                    return [manifest_check, *_verify_list(manifest, catalog)]
                return [manifest_check, *_verify(index_dir, manifest, catalog, load_encoder, repair=repair)]
            except IndexDamaged as damage:  # too badly for its rows to be read
                return [manifest_check, Check("catalog", manifest.catalog_file, (damage.message,))]


def _verify_list(manifest: Manifest, catalog: Catalog) -> list[Check]:
    """Check the list of documents of an index whose passages are in a store alone."""
    counts = generation_counts(catalog, generation=manifest.generation)
    listed, expected = (counts.documents, counts.chunks), (manifest.documents, manifest.chunks)
    documents, chunks = listed
    problem = f"it lists {documents} documents with {chunks} passages, the manifest {expected[0]} with {expected[1]}"
    return [
        Check("catalog", f"{documents} documents", () if listed == expected else (problem,)),
        Check("passages", f"in {manifest.store} alone, where they are not checked"),
    ]


def _check_manifest(index_dir: Path, *, repair: bool) -> Check:
    try:
        manifest = read_manifest(index_dir)
    except IndexDamaged as damage:
        if not repair or recover_commit(index_dir).manifest is None:
            return Check("manifest", "manifest.json", (damage.message,))
        return Check("manifest", "manifest.json", (damage.message,), repaired=True)
    return Check("manifest", f"generation {manifest.generation} of {manifest.finished}")


def _verify(
    index_dir: Path, manifest: Manifest, catalog: Catalog, load_encoder: LoadEncoder | None, *, repair: bool
) -> list[Check]:
    inspection = inspect_index(index_dir, manifest, catalog)
    encoder, canaries = (None, []) if load_encoder is None else _check_canaries(manifest, load_encoder)
    if not repair or not inspection.has_problem(*(check.name for check in inspection.checks)):
        return [*inspection.checks, *canaries]
    _repair(index_dir, manifest, catalog, inspection, encoder)
    after = inspect_index(index_dir, complete_manifest(index_dir), catalog)
    return [
        replace(check, repaired=bool(check.problems) and not after.has_problem(check.name))
        for check in inspection.checks
    ] + canaries


def _check_canaries(manifest: Manifest, load_encoder: LoadEncoder) -> tuple[EchoEncoder | None, list[Check]]:
    """Return the encoder and the check of its vectors; the encoder is None if they differ from those at build time."""
    name = "model"
    try:
        encoder = load_encoder(manifest.encoder)
    except (ModelError, IndexMismatch, DeviceError) as error:
        return None, [Check(name, str(manifest.encoder.get("model")), (str(error),))]
    looked_at = f"{manifest.encoder.get('model')}, {len(manifest.canaries)} texts embedded again"
    if differences := encoder.differences(manifest.encoder):
        return None, [Check(name, looked_at, tuple(differences))]
    now = encoder.encode_documents([canary.text for canary in manifest.canaries])
    then = np.array([canary.vector for canary in manifest.canaries], dtype=np.float32)
    least = float((now * then).sum(axis=1).min())
    if not least >= _LEAST_COSINE:
        problem = f"its vectors have changed since the index was built: a cosine of {least:.4f} for the same text"
        return None, [Check(name, looked_at, (problem,))]
    return encoder, [Check(name, f"{looked_at}, least cosine {least:.6f}")]


def _repair(
    index_dir: Path, manifest: Manifest, catalog: Catalog, inspection: Inspection, encoder: EchoEncoder | None
) -> None:
    repair_catalog(
        catalog,
        reindex=inspection.has_problem("catalog"),
        rebuild_full_text=inspection.has_problem("catalog", "full text"),
        invalid_paths=inspection.invalid_documents,
    )
    if inspection.invalid_vectors:
        if encoder is None:
            return  # a vector index needs a vector for every chunk
        _embed_again(catalog, inspection.invalid_vectors, encoder, context=manifest.context)
    counts = generation_counts(catalog, generation=manifest.generation)
    counted = replace(manifest, documents=counts.documents, chunks=counts.chunks)
    repaired = with_needed_format(write_vector_index(index_dir, catalog, counted, None))
    store_manifest(catalog, repaired)
    write_manifest(index_dir, repaired)


def _embed_again(catalog: Catalog, hashes: set[bytes], encoder: EchoEncoder, *, context: str) -> None:
    texts = list(embedded_texts(catalog, hashes, context=context).items())
    for positions, pairs in encoder.encode_document_pairs([text for _, text in texts]):
        keys = [texts[position][0] for position in positions]
        catalog.put_vectors(keys, pairs.echo, classical=pairs.classical if catalog.keeps_classical_vectors else None)
