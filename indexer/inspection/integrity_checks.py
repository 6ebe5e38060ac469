"""Check that all parts of an index agree with each other. Nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import evenly_spaced
from echo_index.indexer.catalog.generation_summary import generation_counts
from echo_index.indexer.catalog.integrity_queries import (
    count_orphan_chunks,
    duplicate_chunks,
    duplicate_paths,
    full_text_is_intact,
    raw_chunks,
    raw_codes,
    sqlite_errors,
)
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.catalog.vector_codes import is_intact
from echo_index.indexer.catalog.vector_tables import Kind
from echo_index.indexer.documents.chunking import embedded_hash
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.generations.vector_file import is_approximate
from echo_index.indexer.generations.vector_file_build import exact_index_of, normalized_blocks
from echo_index.indexer.vectors.approximate_index import ApproximateIndex
from echo_index.indexer.vectors.recall import default_parameters

if TYPE_CHECKING:
    from echo_index.indexer.vectors.faiss_index import FaissIndex

_MOST_SQLITE_ERRORS = 5
_SAMPLE = 256  # vectors that are looked for in the file of an index
_TOLERANCE = 1e-4  # of a cosine of equal vectors


@dataclass(frozen=True, slots=True)
class Check:
    """One part of an index that was checked, and its problems; `repaired` if they have been fixed."""

    name: str
    looked_at: str
    problems: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(slots=True)
class Inspection:
    """The results of all checks, and the rows that a repair has to replace."""

    checks: list[Check] = field(default_factory=list)
    invalid_documents: set[str] = field(default_factory=set)
    """Paths of documents with chunks that differ from what was embedded."""
    invalid_vectors: set[bytes] = field(default_factory=set)
    """Hashes of texts whose vector is missing or wrong."""

    def add_check(self, name: str, looked_at: str, problems: Sequence[str] = ()) -> None:
        """Record the result of a check."""
        self.checks.append(Check(name, looked_at, tuple(problems)))

    def has_problem(self, *names: str) -> bool:
        """Return whether one of the named checks found a problem."""
        return any(check.problems for check in self.checks if check.name in names)


def inspect_index(index_dir: Path, manifest: Manifest, catalog: Catalog) -> Inspection:
    """Check the catalog, its full text, chunks and vectors, the counts in the manifest, and the vector index."""
    inspection = Inspection()
    _check_catalog(inspection, catalog)
    _check_full_text(inspection, catalog)
    _check_counts(inspection, manifest, catalog)
    _check_chunks(inspection, manifest, catalog)
    _check_vectors(inspection, manifest, catalog)
    _check_classical_vectors(inspection, manifest, catalog)
    _check_vector_index(inspection, index_dir, manifest, catalog)
    return inspection


def _check_catalog(inspection: Inspection, catalog: Catalog) -> None:
    problems = [f"SQLite says: {line}" for line in sqlite_errors(catalog, most=_MOST_SQLITE_ERRORS)]
    if orphans := count_orphan_chunks(catalog):
        problems.append(f"passages that belong to no document: {orphans}")
    inspection.add_check("catalog", str(catalog.path.name), problems)


def _check_full_text(inspection: Inspection, catalog: Catalog) -> None:
    problems = [] if full_text_is_intact(catalog) else ["it does not match the passages"]
    inspection.add_check("full text", "the index of words", problems)


def _check_counts(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    counts = generation_counts(catalog, generation=manifest.generation)
    problems = [
        f"the catalog holds {actual} {name}, but the manifest says {expected}"
        for name, actual, expected in (
            ("documents", counts.documents, manifest.documents),
            ("passages", counts.chunks, manifest.chunks),
        )
        if actual != expected
    ]
    problems += [f"{path!r} is there twice" for path in duplicate_paths(catalog, generation=manifest.generation)]
    problems += [
        f"the passage at {start} of {path!r} is there twice"
        for path, start in duplicate_chunks(catalog, generation=manifest.generation)
    ]
    inspection.add_check("counts", f"{counts.documents} documents, {counts.chunks} passages", problems)


def _check_chunks(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    count = 0
    for path, title, headings, text, key in raw_chunks(catalog, generation=manifest.generation):
        count += 1
        if not _matches_hash(key, title, headings, text, context=manifest.context):
            inspection.invalid_documents.add(path)
    problems = [f"the passages of {path!r} are not what was embedded" for path in sorted(inspection.invalid_documents)]
    inspection.add_check("passages", f"{count} texts and their hashes", problems)


def _check_vectors(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    dimension = manifest.normalizations.echo.dimension
    count, invalid = _check_codes(catalog, "echo", manifest)
    problems = [f"texts whose vector is missing or damaged: {len(invalid)}"] if invalid else []
    inspection.invalid_vectors |= invalid
    inspection.add_check("vectors", f"{count} vectors of {dimension} dimensions", problems)


def _check_classical_vectors(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    if not catalog.keeps_classical_vectors:
        return
    count, invalid = _check_codes(catalog, "classical", manifest)
    problems = [f"vectors that are damaged: {len(invalid)}"] if invalid else []
    inspection.invalid_vectors |= invalid
    inspection.add_check("classical", f"{count} classical vectors", problems)


def _check_codes(catalog: Catalog, kind: Kind, manifest: Manifest) -> tuple[int, set[bytes]]:
    """Return the number of vectors, and the hashes of the texts whose vector is not as it was stored.

    A classical vector may be missing: some prompts give none.
    """
    dimension, count = manifest.normalizations.echo.dimension, 0
    invalid: set[bytes] = set()
    for key, code in raw_codes(catalog, kind, generation=manifest.generation):
        count += code is not None
        if not (kind == "classical" and code is None) and not _is_intact(code, key, dimension=dimension):
            invalid.add(key)
    return count, invalid


def _check_vector_index(inspection: Inspection, index_dir: Path, manifest: Manifest, catalog: Catalog) -> None:
    if not is_approximate(manifest):
        return
    from echo_index.indexer.vectors.faiss_index import FaissIndex, validate_checksum

    path = index_dir / manifest.vectors_file
    try:
        if manifest.has_checksums:
            validate_checksum(path)
        index = FaissIndex.load(path, count=manifest.chunks, has_checksum=False)
        problems = _index_problems(path.name, index, manifest, catalog)
    except IndexDamaged as damage:
        inspection.add_check("vector index", path.name, [damage.message])
        return
    inspection.add_check("vector index", f"{path.name}, {index.count} vectors", problems)


def _index_problems(name: str, index: FaissIndex, manifest: Manifest, catalog: Catalog) -> list[str]:
    """Return how an index differs from the vectors of the catalog, one line for each way."""
    visible = catalog.chunk_ids(SearchFilter(), generation=manifest.generation)
    if not np.array_equal(index.ids(), visible):
        return [f"{name} does not hold the passages of the catalog"]
    described, normalization = manifest.vector_index, manifest.normalizations.echo
    searched = ApproximateIndex(
        index,
        parameters=default_parameters(index) if described is None else described.parameters,
        exact=partial(exact_index_of, catalog, normalization),
    )
    sample = evenly_spaced(visible, _SAMPLE)
    lost = 0
    for _, vectors in normalized_blocks(catalog, normalization, sample):
        for vector in vectors:  # equal vectors of several passages are found in any order
            lost += not any(cosine >= 1 - _TOLERANCE for _, cosine in searched.search(vector, k=1))
    return [f"of {len(sample)} vectors, {lost} do not find themselves in {name}"] if lost else []


def _is_intact(code: object, key: bytes, *, dimension: int) -> bool:
    return isinstance(code, bytes) and is_intact(code, key, dimension=dimension)


def _matches_hash(key: bytes, title: str, headings: str, text: str, *, context: str) -> bool:
    try:
        return embedded_hash(title, json.loads(headings), text, context=context) == key
    except (ValueError, TypeError):  # damaged headings may not even be a JSON list
        return False
