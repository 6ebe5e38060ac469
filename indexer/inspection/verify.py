"""An index verified, and what is derived in it repaired. What is wrong is found elsewhere, in `inspection`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echo_index.errors import DeviceError, IndexDamaged, IndexMismatch, ModelError
from echo_index.indexer.catalog.catalog import EMBEDDED_TITLE, Catalog
from echo_index.indexer.catalog.fts_index import fill_full_text
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.generations.manifest import (
    FORMAT_VERSION,
    Manifest,
    manifest_stamp,
    read_manifest,
    write_manifest,
)
from echo_index.indexer.generations.recovery import complete_manifest, recover_commit, store_manifest
from echo_index.indexer.generations.snapshot import index_vectors
from echo_index.indexer.inspection.integrity_checks import Check, Inspection, inspect_index
from echo_index.indexer.storage.writer_lock import writer_lock

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

_LEAST_COSINE = 0.999
"""Between a canary's vector now and when the index was built: another machine or library moves it by less."""
LoadEncoder = Callable[[dict[str, str | int | None]], "EchoEncoder"]


def verify_index(index_dir: Path, *, load_encoder: LoadEncoder | None = None, repair: bool = False) -> list[Check]:
    """Check every file, count, hash and vector of an index against each other, and the model against the canaries.

    Without `load_encoder` the model is left out. `repair` makes anew what is derived: the manifest, the full text, the
    vector index, and vectors that are missing or not their text's, for which the encoder is needed; documents whose
    passages are damaged are read again by the next build.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: it was written by a later version.
        IndexDamaged: manifest and catalog are both damaged.
        IndexBusy: another process is writing the index.
        IndexUnwritable: the disk is full, or nothing can be written to the folder.
    """
    manifest_stamp(index_dir)  # where there is no index, none is begun by locking it
    with writer_lock(index_dir):
        manifest_check = _check_manifest(index_dir, repair=repair)
        manifest = complete_manifest(index_dir)
        try:
            catalog = Catalog(index_dir / manifest.catalog_file, write=True)
        except IndexDamaged as damage:
            return [manifest_check, Check("catalog", manifest.catalog_file, (damage.message,))]
        with closing(catalog):
            try:
                return [manifest_check, *_verify(index_dir, manifest, catalog, load_encoder, repair=repair)]
            except IndexDamaged as damage:  # so badly that it cannot even be gone through
                return [manifest_check, Check("catalog", manifest.catalog_file, (damage.message,))]


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
    again = inspect_index(index_dir, complete_manifest(index_dir), catalog)
    return [
        replace(check, repaired=bool(check.problems) and not again.has_problem(check.name))
        for check in inspection.checks
    ] + canaries


def _check_canaries(manifest: Manifest, load_encoder: LoadEncoder) -> tuple[EchoEncoder | None, list[Check]]:
    """Return the encoder, None unless it still gives the vectors that the index was built with, and the check."""
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
        problem = f"it gives other vectors than when the index was built: a cosine of {least:.4f} for the same text"
        return None, [Check(name, looked_at, (problem,))]
    return encoder, [Check(name, f"{looked_at}, least cosine {least:.6f}")]


def _repair(
    index_dir: Path, manifest: Manifest, catalog: Catalog, inspection: Inspection, encoder: EchoEncoder | None
) -> None:
    """Make anew what is derived, each thing from what it is derived from."""
    with catalog.database.transaction() as connection:
        if inspection.has_problem("catalog"):
            connection.execute("REINDEX")
        if inspection.has_problem("catalog", "full text"):
            fill_full_text(connection)
        to_be_read_again = "UPDATE documents SET hash = '', size = -1 WHERE path = ? AND removed IS NULL"
        connection.executemany(to_be_read_again, [(path,) for path in inspection.invalid_documents])
    if inspection.invalid_vectors:
        if encoder is None:
            return  # there is not a vector for every passage to make a vector index of
        _embed_again(catalog, inspection.invalid_vectors, encoder)
    counts = catalog.counts(generation=manifest.generation)
    mended = replace(manifest, documents=counts.documents, chunks=counts.chunks, format_version=FORMAT_VERSION)
    vectors = index_vectors(
        catalog, generation=mended.generation, count=mended.chunks, normalization=mended.normalizations.echo
    )
    vectors.save(index_dir / mended.vectors_file)
    store_manifest(catalog, mended)
    write_manifest(index_dir, mended)


def _embed_again(catalog: Catalog, hashes: set[bytes], encoder: EchoEncoder) -> None:
    """Embed the texts that have one of these hashes, each once."""
    query = (
        f"SELECT chunks.hash, {EMBEDDED_TITLE}, chunks.headings, chunks.text "
        "FROM chunks JOIN documents ON documents.id = chunks.document"
    )
    wanted = {
        key: embedded_text(title, json.loads(headings), text)
        for key, title, headings, text in catalog.database.stream(query)
        if key in hashes
    }
    texts = list(wanted.items())
    for positions, pairs in encoder.encode_document_pairs([text for _, text in texts]):
        keys = [texts[position][0] for position in positions]
        catalog.put_vectors(keys, pairs.echo, classical=pairs.classical)
