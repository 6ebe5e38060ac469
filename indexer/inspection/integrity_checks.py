"""Check that all parts of an index agree with each other. Nothing is changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.integrity_queries import (
    count_orphan_chunks,
    duplicate_chunks,
    duplicate_paths,
    full_text_is_intact,
    raw_chunks,
    raw_classical_vectors,
    raw_vectors,
    sqlite_errors,
)
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.vectors.faiss_index import VectorIndex, choose_placement

_BLOCK = 4096
_MOST_SQLITE_ERRORS = 5
_LENGTH_TOLERANCE = 0.01  # float16 rounding changes the length of a unit vector by much less
_EXACT_TOLERANCE = 1e-5  # between a component in an exact index and in the catalog
_HALF_PRECISION_TOLERANCE = 2e-3


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
    counts = catalog.counts(generation=manifest.generation)
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
        if not _matches_hash(key, title, headings, text):
            inspection.invalid_documents.add(path)
    problems = [f"the passages of {path!r} are not what was embedded" for path in sorted(inspection.invalid_documents)]
    inspection.add_check("passages", f"{count} texts and their hashes", problems)


def _check_vectors(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    dimension = manifest.normalizations.echo.dimension
    count = 0
    for _, keys, vectors in _stored_vectors(catalog, manifest, dimension):
        count += len(keys)
        inspection.invalid_vectors |= _keys_not_of_unit_length(keys, vectors)
    invalid = len(inspection.invalid_vectors)
    problems = [f"texts without a vector of length 1: {invalid}"] if invalid else []
    inspection.add_check("vectors", f"{count} vectors of {dimension} dimensions", problems)


def _check_classical_vectors(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    dimension = manifest.normalizations.echo.dimension
    rows = raw_classical_vectors(catalog)
    invalid: set[bytes] = set()
    count = 0
    while block := list(islice(rows, _BLOCK)):
        count += len(block)
        invalid |= _keys_not_of_unit_length(
            [key for key, _ in block], _decode_vectors([blob for _, blob in block], dimension)
        )
    problems = [f"vectors that are not of length 1: {len(invalid)}"] if invalid else []
    inspection.invalid_vectors |= invalid
    inspection.add_check("classical", f"{count} classical vectors", problems)


def _check_vector_index(inspection: Inspection, index_dir: Path, manifest: Manifest, catalog: Catalog) -> None:
    path = index_dir / manifest.vectors_file
    try:
        index = VectorIndex.load(
            path,
            count=manifest.chunks,
            placement=choose_placement("cpu"),
            has_checksum=manifest.has_checksums,
        )
    except IndexDamaged as damage:
        inspection.add_check("vector index", path.name, [damage.message])
        return
    normalization = manifest.normalizations.echo
    tolerance = _EXACT_TOLERANCE if index.kind == "exact" else _HALF_PRECISION_TOLERANCE
    has_other_ids = False
    invalid: set[bytes] = set()
    indexed_blocks = index.reconstruct(block=_BLOCK)
    end = (np.empty(0, dtype=np.int64), np.empty((0, normalization.dimension), dtype=np.float32))
    for ids, keys, vectors in _stored_vectors(catalog, manifest, normalization.dimension):
        indexed_ids, indexed = next(indexed_blocks, end)
        if not np.array_equal(indexed_ids, ids):
            has_other_ids = True
            continue
        distances = np.abs(normalization.normalize_documents(vectors) - indexed).max(axis=1)
        invalid |= {key for key, distance in zip(keys, distances, strict=True) if not distance <= tolerance}
    problems = []
    if has_other_ids or next(indexed_blocks, None) is not None:
        problems.append(f"{path.name} does not hold the passages of the catalog")
    if invalid:
        problems.append(f"vectors that differ from those of the catalog: {len(invalid)}")
    inspection.invalid_vectors |= invalid
    inspection.add_check("vector index", f"{path.name}, {index.kind}, {index.count} vectors", problems)


def _stored_vectors(
    catalog: Catalog, manifest: Manifest, dimension: int
) -> Iterator[tuple[npt.NDArray[np.int64], list[bytes], Vectors]]:
    """Yield (chunk ids, hashes, vectors) in blocks by id; a vector that is missing or of another size is all zero."""
    rows = raw_vectors(catalog, generation=manifest.generation)
    while block := list(islice(rows, _BLOCK)):
        ids, keys, blobs = zip(*block, strict=True)
        yield np.array(ids, dtype=np.int64), list(keys), _decode_vectors(blobs, dimension)


def _decode_vectors(blobs: Sequence[bytes | None], dimension: int) -> Vectors:
    """Return vectors (n, dimension); one that is missing or of another size is all zero."""
    zeros = bytes(2 * dimension)
    complete = (blob if blob is not None and len(blob) == len(zeros) else zeros for blob in blobs)
    return np.frombuffer(b"".join(complete), dtype="<f2").astype(np.float32).reshape(len(blobs), dimension)


def _keys_not_of_unit_length(keys: Sequence[bytes], vectors: Vectors) -> set[bytes]:
    lengths = np.linalg.norm(vectors, axis=1)
    invalid = ~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE)  # negated, so that NaN is invalid too
    return {key for key, is_invalid in zip(keys, invalid, strict=True) if is_invalid}


def _matches_hash(key: bytes, title: str, headings: str, text: str) -> bool:
    try:
        return hashlib.sha256(embedded_text(title, json.loads(headings), text).encode()).digest() == key
    except (ValueError, TypeError):  # damaged headings may not even be a JSON list
        return False
