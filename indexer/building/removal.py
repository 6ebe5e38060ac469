"""Documents taken out of an index, without a model: what is left is a new generation. Touches no document's file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from echo_index.errors import QuestionError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.visibility_sql import VISIBLE
from echo_index.indexer.generations.commit import commit_generation
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp, read_manifest
from echo_index.indexer.generations.recovery import recover_commit
from echo_index.indexer.generations.source_registry import excluded_paths, forget_sources, set_excluded_paths
from echo_index.indexer.storage.writer_lock import writer_lock
from echo_index.indexer.vectors.normalization import truncated_normalizations


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """The stored paths of what was removed, and how many documents and chunks the index holds now."""

    removed: tuple[str, ...]
    documents: int
    chunks: int


def remove_documents(paths: Sequence[str], index_dir: Path) -> RemovalReport:
    """Take documents, named by their stored paths, out of an index; all of them or, where it fails, none.

    It is remembered: a build leaves these files out until a source is the very file. What a build that has not ended
    had embedded stays for the next one.

    Raises:
        QuestionError: the index holds no document of such a path.
        IndexMissing, IndexDamaged: there is no index that can be read.
        IndexBusy: another process is writing the index.
        IndexUnwritable: the disk is full, or nothing can be written to the folder.
    """
    manifest_stamp(index_dir)  # where there is no index, none is begun by locking it
    wanted = tuple(dict.fromkeys(paths))
    with ExitStack() as stack:
        stack.enter_context(writer_lock(index_dir))
        before = recover_commit(index_dir).manifest or read_manifest(index_dir)
        catalog = stack.enter_context(closing(Catalog(index_dir / before.catalog_file, write=True)))
        query = f"SELECT path FROM documents WHERE {VISIBLE}"
        held = {path for (path,) in catalog.database.rows(query, {"generation": before.generation})}
        for path in wanted:
            if path not in held:
                raise QuestionError(
                    f"There is no document {path} in the index in {index_dir}.",
                    remedy="Name it as search shows it; echo-index status tells what is indexed.",
                )
        if not wanted:
            return RemovalReport((), before.documents, before.chunks)
        # Remembered first: were this interrupted, the next build would let go of what is to be left out.
        set_excluded_paths(catalog, excluded_paths(catalog) | {*wanted})
        forget_sources(catalog, wanted)
        return _without(wanted, index_dir, catalog, before)


def _without(paths: tuple[str, ...], index_dir: Path, catalog: Catalog, before: Manifest) -> RemovalReport:
    generation = before.generation + 1
    catalog.move_unfinished(beyond=before.generation, to=generation + 1)
    catalog.remove_documents(paths, generation=generation)
    counts = catalog.counts(generation=generation)
    commit_generation(
        index_dir,
        catalog,
        generation=generation,
        counts=counts,
        fingerprint=before.fingerprint,
        encoder=before.encoder,
        chunking=before.chunking,
        normalizations=truncated_normalizations(before.normalizations, count=counts.chunks),
        canaries=before.canaries,
        before=before,
    )
    return RemovalReport(paths, counts.documents, counts.chunks)
