"""Publish an index in a folder to the store that it remembers."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from echo_index.errors import IndexMismatch, StoreError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.exchange_rows import (
    PassageBlock,
    passage_blocks,
    published_documents,
)
from echo_index.indexer.catalog.outside_documents import documents_with_keys
from echo_index.indexer.catalog.records import DocumentRow
from echo_index.indexer.generations.catalog_documents import CatalogDocuments
from echo_index.indexer.generations.manifest import Manifest, read_manifest, with_needed_format
from echo_index.indexer.generations.source_registry import OWNER, STORE
from echo_index.indexer.stores.corpus import CorpusFacts, PublicationReport, PublishedDocument
from echo_index.indexer.stores.location import StoreLocation

PassageBlocks = Callable[[Sequence[tuple[DocumentRow, str]]], Iterator[PassageBlock]]
"""Yields the passages of documents, given with the keys of their parts, in blocks."""
REPLACED = "store replaced"
"""The setting that is `yes` until the first publication of a rebuild, which may replace another index."""
_PUBLISHED = "store generation"
_BLOCK = 1024  # passages


@dataclass(frozen=True, eq=False)
class CatalogCorpus:
    """The `Corpus` of a generation of a catalog."""

    catalog: Catalog
    manifest: Manifest
    owner: str
    _ids: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    """The ids of the documents that were yielded, by their paths."""

    @cached_property
    def edition(self) -> str:
        """Changes whenever the vectors of all passages change: with the encoder, a rebuild, or the normalization."""
        from echo_index.indexer.stores.milvus.layout import edition_key

        echo, manifest = self.manifest.normalizations.echo, self.manifest
        normalization = (echo.document_mean, echo.directions, echo.gains)
        return edition_key(self.owner, manifest.catalog_file, manifest.fingerprint, manifest.context, *normalization)

    def facts(self) -> CorpusFacts:
        """Return what is known of all documents together."""
        documents = CatalogDocuments(self.catalog, self.manifest.generation)
        return CorpusFacts.of(documents, languages=self.catalog.languages())

    def documents(self) -> Iterator[PublishedDocument]:
        """Yield the documents of the generation."""
        for row, identifier, added, passages in published_documents(self.catalog, generation=self.manifest.generation):
            self._ids[row.path] = identifier
            yield PublishedDocument(row, f"{added} {row.hash}", passages)

    def passages(self, paths: Sequence[str]) -> Iterator[PassageBlock]:
        """Yield the passages of these documents in blocks, those of a document in reading order."""
        return passage_blocks(
            self.catalog,
            generation=self.manifest.generation,
            dimension=self.manifest.normalizations.echo.dimension,
            block=_BLOCK,
            documents=[self._ids[path] for path in paths],
        )


@dataclass(frozen=True, eq=False)
class OutsideCorpus(CatalogCorpus):
    """The `Corpus` of a generation whose passages are in no catalog: `blocks` yields them."""

    blocks: PassageBlocks = field(kw_only=True)

    def passages(self, paths: Sequence[str]) -> Iterator[PassageBlock]:
        """Yield the passages of these documents, those of a document in reading order."""
        return self.blocks(documents_with_keys(self.catalog, [self._ids[path] for path in paths]))


def _no_blocks(documents: Sequence[tuple[DocumentRow, str]]) -> Iterator[PassageBlock]:
    raise StoreError(
        f"The passages of {documents[0][0].path} are neither in the store nor in a part.",
        remedy="Bring them there: echo-index build --engine ray",
    )


def choose_passages_place(catalog: Catalog, store_only: bool | None) -> None:
    """Let the passages of a new index be in its store alone, or in its catalog; None is what they are.

    Raises:
        StoreError: there is no store.
        IndexMismatch: the index has documents already.
    """
    wanted = catalog.keeps_passages_outside if store_only is None else store_only
    if wanted and remembered_store(catalog) is None:
        raise StoreError("Passages cannot be in a store alone without a store.", remedy="Name one: --store milvus:URI")
    if wanted != catalog.keeps_passages_outside:
        if catalog.current_documents():
            place = "in its folder" if wanted else "in a store alone"
            raise IndexMismatch(f"The passages of this index are {place}.", remedy="Rebuild it with --rebuild.")
        catalog.keep_passages_outside(wanted)
    if wanted:
        catalog.keep_classical_vectors(False)  # which comparisons use, in a folder


def remembered_store(catalog: Catalog) -> StoreLocation | None:
    """Return where the generations of an index are published, or None."""
    text = catalog.setting(STORE)
    return StoreLocation.parse(text) if text else None


def remember_store(catalog: Catalog, store: str | None, *, rebuild: bool) -> None:
    """Remember where the generations of an index will be published; '' for nowhere, None for where it was before.

    A new place must be reachable now, before a build that takes long.

    Raises:
        StoreError: the place is none, cannot be reached, or holds another index and this is no rebuild.
        MissingPackage: it needs a package that is not installed.
    """
    before = remembered_store(catalog)
    location = before if store is None else StoreLocation.parse(store) if store else None
    if rebuild and location is not None:
        catalog.set_settings({REPLACED: "yes"})
    if location == before:
        return
    if catalog.keeps_passages_outside and not rebuild:
        raise StoreError(f"The passages of this index are in {before} alone.", remedy="Rebuild it with --rebuild.")
    if location is not None:
        from echo_index.indexer.stores.milvus.connection import connected
        from echo_index.indexer.stores.milvus.publication import validate_owner

        with connected(location) as connection:
            validate_owner(connection, location, _owner(catalog), replace=rebuild)
    catalog.set_settings({STORE: "" if location is None else str(location), _PUBLISHED: ""})


def publish_index(
    index_dir: Path,
    catalog: Catalog,
    *,
    blocks: PassageBlocks = _no_blocks,
    on_published: Callable[[int, int], None] = lambda done, total: None,
) -> PublicationReport | None:
    """Publish the newest generation of an index to its store; return None if it has none, or nothing has changed.

    `blocks` yields passages that are in no catalog. The caller holds the writer's lock.

    Raises:
        StoreError: the store cannot be reached, or holds another index. The index in the folder is complete.
        MissingPackage: the store needs a package that is not installed.
    """
    location = remembered_store(catalog)
    if location is None:
        return None
    from echo_index.indexer.stores.milvus.connection import connected
    from echo_index.indexer.stores.milvus.publication import publish

    manifest, owner = read_manifest(index_dir), _owner(catalog)
    corpus = (
        OutsideCorpus(catalog, with_needed_format(replace(manifest, store="")), owner, blocks=blocks)
        if catalog.keeps_passages_outside
        else CatalogCorpus(catalog, manifest, owner)
    )
    may_replace = catalog.setting(REPLACED) == "yes"
    try:
        with connected(location) as connection:
            report = publish(connection, location, corpus, replace=may_replace, on_published=on_published)
    except StoreError as error:
        raise StoreError(
            f"The index in {index_dir} is complete, but was not published: {error.message}",
            remedy=f"{error.remedy} The next build publishes it.".lstrip(),
        ) from error
    done = {REPLACED: "no", _PUBLISHED: str(corpus.manifest.generation)}
    if any(catalog.setting(name) != value for name, value in done.items()):
        catalog.set_settings(done)
    return report


def published_generation(catalog: Catalog) -> int | None:
    """Return the newest generation of an index that its store is known to have."""
    text = catalog.setting(_PUBLISHED)
    return int(text) if text else None


def _owner(catalog: Catalog) -> str:
    """Return what tells this index from all others."""
    owner = catalog.setting(OWNER)
    if owner is None:
        owner = hashlib.sha256(uuid.uuid4().bytes).hexdigest()[:32]
        catalog.set_settings({OWNER: owner})
    return owner
