"""Remove documents from an index by committing a new generation without them. Needs no model and deletes no files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from echo_index.errors import QuestionError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import document_archives
from echo_index.indexer.catalog.generation_summary import generation_counts
from echo_index.indexer.generations.commit import commit_generation
from echo_index.indexer.generations.manifest import Manifest, manifest_stamp, read_manifest
from echo_index.indexer.generations.recovery import recover_commit
from echo_index.indexer.generations.source_registry import excluded_paths, forget_sources, set_excluded_paths
from echo_index.indexer.storage.writer_lock import writer_lock
from echo_index.indexer.stores.publishing import publish_index
from echo_index.indexer.vectors.normalization_estimate import truncated_normalizations


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """The stored paths of the removed documents, and the numbers of documents and chunks that remain."""

    removed: tuple[str, ...]
    documents: int
    chunks: int


def remove_documents(paths: Sequence[str], index_dir: Path) -> RemovalReport:
    """Remove the documents with these stored paths from an index: all of them or, on an error, none.

    An archive is removed with all documents in it. Later builds skip the files unless a file itself, or the archive it
    is in, is given as a source. Texts that an unfinished build has embedded stay available to the next build.

    Raises:
        QuestionError: the index has no document with such a path.
        IndexMissing: there is no complete index in the folder.
        IndexDamaged: the index cannot be read.
        IndexBusy: another process is writing the index.
        IndexUnwritable: the disk is full or the folder cannot be written.
        StoreError: the documents are removed, but the store of the index cannot be reached.
    """
    manifest_stamp(index_dir)  # raises before the lock would create the folder of a missing index
    removed = tuple(dict.fromkeys(paths))
    with ExitStack() as stack:
        stack.enter_context(writer_lock(index_dir))
        before = recover_commit(index_dir).manifest or read_manifest(index_dir)
        catalog = stack.enter_context(closing(Catalog(index_dir / before.catalog_file, write=True)))
        known = document_archives(catalog, generation=before.generation)
        for path in removed:
            if path not in known:
                raise QuestionError(
                    f"There is no document {path} in the index in {index_dir}.",
                    remedy="Use the path that search shows; echo-index status lists what is indexed.",
                )
        if not removed:
            return RemovalReport((), before.documents, before.chunks)
        members = [path for path, archive in known.items() if archive in removed]
        removed = tuple(dict.fromkeys((*removed, *members)))
        # Excluded first: if this is interrupted, the next build completes the removal.
        set_excluded_paths(catalog, excluded_paths(catalog) | {*removed})
        forget_sources(catalog, removed)
        return _commit_removal(removed, index_dir, catalog, before)


def _commit_removal(paths: tuple[str, ...], index_dir: Path, catalog: Catalog, before: Manifest) -> RemovalReport:
    generation = before.generation + 1
    catalog.move_unfinished(beyond=before.generation, to=generation + 1)
    catalog.remove_documents(paths, generation=generation)
    counts = generation_counts(catalog, generation=generation)
    commit_generation(
        index_dir,
        catalog,
        generation=generation,
        counts=counts,
        fingerprint=before.fingerprint,
        encoder=before.encoder,
        chunking=before.chunking,
        context=before.context,
        normalizations=(
            before.normalizations
            if before.store  # what is in the store has it applied
            else truncated_normalizations(before.normalizations, count=counts.chunks)
        ),
        canaries=before.canaries,
        before=before,
        store=before.store,
    )
    publish_index(index_dir, catalog)
    return RemovalReport(paths, counts.documents, counts.chunks)
