"""Write the file of an approximate index: change the one of the generation before, or train and fill a new one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexDamaged, IndexKindError
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import evenly_spaced
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.vectors.approximate_index import ApproximateIndex
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.index_kind import EXACT, IndexChoice, IndexDescription
from echo_index.indexer.vectors.normalization import VectorNormalization
from echo_index.indexer.vectors.recall import HeldOutQueries, choose_parameters, default_parameters

if TYPE_CHECKING:  # FAISS takes a fifth of a second to load
    from echo_index.indexer.vectors.faiss_index import FaissIndex

_CHOICE = "vector_index"  # the setting with the kind and the recall that builds were asked for
_QUERIES = "held_out_queries"
_BLOCK = 4096  # vectors in memory at once
_MOST_CHANGED = 0.5  # of all vectors: with more changes, a new index is trained


@dataclass(frozen=True, slots=True)
class _StoredChoice:
    """A choice, and the first generation that it was made for."""

    choice: IndexChoice
    since: int


def validate_choice(choice: IndexChoice, *, dimension: int) -> None:
    """Validate the kind that builds are asked for.

    Raises:
        IndexKindError: FAISS does not know it for vectors of this dimension, or it cannot be searched with filters.
    """
    kind = choice.kind_for(1, dimension=dimension)
    if kind != EXACT:
        from echo_index.indexer.vectors.faiss_index import validate_kind

        validate_kind(kind, dimension=dimension)


def stored_choice(catalog: Catalog) -> IndexChoice:
    """Return what builds of this index were asked for."""
    return _read_choice(catalog).choice


def change_choice(catalog: Catalog, *, kind: str | None, recall: float | None, generation: int) -> None:
    """Remember what builds are asked for from this generation on; None leaves a part as it is.

    If there is a kind, a new index is trained even if it is the same one.
    """
    stored = _read_choice(catalog)
    choice = IndexChoice(kind or stored.choice.kind, stored.choice.recall if recall is None else recall)
    since = stored.since if kind is None else generation
    catalog.set_settings({_CHOICE: json.dumps({**asdict(choice), "since": since})})


def copy_choice(before: Catalog, catalog: Catalog) -> None:
    """Copy what builds were asked for to the catalog that will replace another one."""
    if (text := before.setting(_CHOICE)) is not None and catalog.setting(_CHOICE) is None:
        catalog.set_settings({_CHOICE: text})


def _read_choice(catalog: Catalog) -> _StoredChoice:
    text = catalog.setting(_CHOICE)
    if text is None:
        return _StoredChoice(IndexChoice(), 0)
    try:
        fields = json.loads(text)
        return _StoredChoice(IndexChoice(str(fields["kind"]), float(fields["recall"])), int(fields["since"]))
    except (ValueError, TypeError, KeyError, IndexKindError):
        return _StoredChoice(IndexChoice(), 0)  # only an import of a file that somebody changed can bring others


def needs_queries(catalog: Catalog, *, count: int, dimension: int) -> bool:
    """Return whether an index of `count` chunks is approximate, but has no queries to measure it with."""
    kind = stored_choice(catalog).kind_for(count, dimension=dimension)
    return kind != EXACT and stored_queries(catalog, dimension=dimension) is None


def is_outdated(catalog: Catalog, manifest: Manifest) -> bool:
    """Return whether a build would give an index with this manifest another kind, or measure it for the first time."""
    stored = _read_choice(catalog)
    kind = stored.choice.kind_for(manifest.chunks, dimension=manifest.normalizations.echo.dimension)
    described = manifest.vector_index
    if described is None:
        return kind != EXACT
    is_unmeasured = described.recall is None and catalog.setting(_QUERIES) is None
    has_changed = (described.kind, described.target) != (kind, stored.choice.recall)
    return has_changed or is_unmeasured or manifest.generation < stored.since


def stored_queries(catalog: Catalog, *, dimension: int) -> HeldOutQueries | None:
    """Return the queries that the recall is measured with, or None if there are none for this dimension."""
    text = catalog.setting(_QUERIES)
    if text is None:
        return None
    try:
        queries = HeldOutQueries.parse(text)
    except ValueError:
        return None  # the next build makes others
    return queries if queries.vectors.shape[1] == dimension else None


def store_queries(catalog: Catalog, queries: HeldOutQueries) -> None:
    """Store queries to measure the recall with."""
    catalog.set_settings({_QUERIES: queries.as_text()})


def vectors_file(generation: int) -> str:
    """Return the name of the file of the approximate index of a generation."""
    return f"vectors-{generation}.faiss"


def write_vector_index(index_dir: Path, catalog: Catalog, manifest: Manifest, before: Manifest | None) -> Manifest:
    """Write the file of the vector index of a generation, and return the manifest with its name and description.

    An exact index has no file: then it is only checked that every chunk has a vector.

    Raises:
        IndexDamaged: a chunk has no vector.
        IndexKindError: FAISS cannot build the kind of index that was asked for.
        IndexUnwritable: the file cannot be written.
    """
    choice, generation = stored_choice(catalog), manifest.generation
    normalization = manifest.normalizations.echo
    kind = choice.kind_for(manifest.chunks, dimension=normalization.dimension)
    count = catalog.count_vectors(generation=generation)
    if count != manifest.chunks:
        raise IndexDamaged(
            f"The catalog {catalog.path} holds {count} vectors, but {manifest.chunks} passages.",
            remedy="See what is damaged: echo-index verify",
        )
    if kind == EXACT:
        return replace(manifest, vectors_file="", vector_index=None)
    filling = _Filling(catalog, normalization, stored_queries(catalog, dimension=normalization.dimension))
    index = filling.change(index_dir, manifest, kind, before) or filling.build(manifest, kind)
    named = replace(manifest, vectors_file=vectors_file(generation))
    size = index.save(index_dir / named.vectors_file)
    return replace(named, vector_index=filling.describe(index, manifest, kind, choice.recall, size))


def build_vector_index(catalog: Catalog, manifest: Manifest, kind: str) -> FaissIndex:
    """Train and fill the FAISS index of a generation from the catalog.

    Raises:
        IndexDamaged: a chunk has no vector.
        IndexKindError: FAISS cannot build an index of this kind.
    """
    return _Filling(catalog, manifest.normalizations.echo, None).build(manifest, kind)


def normalized_blocks(catalog: Catalog, normalization: VectorNormalization, ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
    """Yield (chunk ids, normalized vectors) of some chunks in blocks."""
    for start in range(0, len(ids), _BLOCK):
        block = ids[start : start + _BLOCK]
        yield block, normalization.normalize_documents(catalog.vectors_of(block.tolist()))


def exact_index_of(catalog: Catalog, normalization: VectorNormalization, ids: Ids) -> ExactIndex:
    """Return an exact index of the vectors of some chunks."""
    return ExactIndex(ids, catalog.codes_of(ids.tolist()), normalization)


class _Filling:
    """Bring the vectors of a generation into a FAISS index, and compare them with the queries on the way."""

    def __init__(self, catalog: Catalog, normalization: VectorNormalization, queries: HeldOutQueries | None) -> None:
        self._catalog = catalog
        self._normalization = normalization
        self._held_out = queries
        self._queries = None if queries is None else normalization.normalize_queries(queries.vectors)

    def change(self, index_dir: Path, manifest: Manifest, kind: str, before: Manifest | None) -> FaissIndex | None:
        """Return the index of the generation before with what has changed since, or None if it cannot be changed."""
        if (
            before is None
            or before.vector_index is None
            or before.vector_index.kind != kind
            or before.catalog_file != manifest.catalog_file
            or before.normalizations.echo != manifest.normalizations.echo
            or before.generation < _read_choice(self._catalog).since
        ):
            return None
        from echo_index.indexer.vectors.faiss_index import FaissIndex

        try:
            index = FaissIndex.load(index_dir / before.vectors_file, count=before.chunks)
        except IndexDamaged:
            return None
        visible, held = self._visible(manifest), index.ids()
        added, removed = np.setdiff1d(visible, held), np.setdiff1d(held, visible)
        if len(added) + len(removed) > _MOST_CHANGED * len(visible):
            return None
        if len(removed) and not index.remove(removed):
            return None
        if self._held_out is not None:
            self._held_out = self._held_out.without(np.setdiff1d(self._held_out.ids, visible))
        self._add(index, added)
        return index

    def build(self, manifest: Manifest, kind: str) -> FaissIndex:
        """Train a new index with evenly spaced vectors, and fill it."""
        from echo_index.indexer.vectors.faiss_index import FaissIndex, training_size

        visible = self._visible(manifest)
        size = training_size(kind, dimension=self._normalization.dimension)
        sample = [vectors for _, vectors in self._blocks(evenly_spaced(visible, size))]
        index = FaissIndex.train(kind, np.concatenate(sample))
        if self._held_out is not None:
            self._held_out = HeldOutQueries.of(self._held_out.vectors)  # other ids or another normalization
        self._add(index, visible)
        return index

    def describe(self, index: FaissIndex, manifest: Manifest, kind: str, target: float, size: int) -> IndexDescription:
        """Measure the index if there are queries, and store what was found to be nearest to them."""
        parameters = default_parameters(index)
        description = IndexDescription(kind, parameters, target, bytes_per_vector=round(size / index.count, 1))
        if self._held_out is None or self._queries is None:
            return description
        if not self._held_out.know_their_nearest(index.count):
            self._held_out = HeldOutQueries.of(self._held_out.vectors)
            for ids, vectors in self._blocks(self._visible(manifest)):
                self._held_out = self._held_out.with_chunks(ids, vectors, self._queries)
        store_queries(self._catalog, self._held_out)
        measured = self._held_out.measured(index.count)
        searched = ApproximateIndex(index, parameters=parameters, exact=self._exact)
        queries = self._normalization.normalize_queries(measured.vectors)
        return choose_parameters(searched, measured, queries, description)

    def _add(self, index: FaissIndex, ids: Ids) -> None:
        for block, vectors in self._blocks(ids):
            index.add(block, vectors)
            if self._held_out is not None and self._queries is not None:
                self._held_out = self._held_out.with_chunks(block, vectors, self._queries)

    def _blocks(self, ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
        return normalized_blocks(self._catalog, self._normalization, ids)

    def _exact(self, ids: Ids) -> ExactIndex:
        return exact_index_of(self._catalog, self._normalization, ids)

    def _visible(self, manifest: Manifest) -> Ids:
        return self._catalog.chunk_ids(SearchFilter(), generation=manifest.generation)
