"""What is wrong with an index: all in it is compared with all that must agree with it. Changes nothing."""

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
from echo_index.indexer.catalog.catalog import EMBEDDED_TITLE, Catalog
from echo_index.indexer.catalog.fts_index import count_mismatched_chunks
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.vectors.faiss_index import VectorIndex, choose_placement

_BLOCK = 4096
_MOST_NAMED = 5
_ROUNDED = 0.01  # how far half precision may take the length of a unit vector, generously
_SAME = 1e-5  # between a vector in an exact index and the one in the catalog
_SAME_IN_HALF_PRECISION = 2e-3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what is wrong with it; `mended`: it was, and is not any more."""

    name: str
    looked_at: str
    problems: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(slots=True)
class Inspection:
    """All checks, and what a repair has to go by."""

    checks: list[Check] = field(default_factory=list)
    invalid_documents: set[str] = field(default_factory=set)
    """Paths of documents whose passages are not what was embedded."""
    invalid_vectors: set[bytes] = field(default_factory=set)
    """Hashes of texts whose vector is missing or is not theirs."""

    def note(self, name: str, looked_at: str, problems: Sequence[str] = ()) -> None:
        """Add a check."""
        self.checks.append(Check(name, looked_at, tuple(problems)))

    def has_problem(self, *names: str) -> bool:
        """Return whether one of these checks found something."""
        return any(check.problems for check in self.checks if check.name in names)


def inspect_index(index_dir: Path, manifest: Manifest, catalog: Catalog) -> Inspection:
    """Check the catalog, its full text, passages and vectors, the counts of the manifest, and the vector index."""
    inspection = Inspection()
    _check_catalog(inspection, catalog)
    _check_full_text(inspection, catalog)
    _check_counts(inspection, manifest, catalog)
    _check_passages(inspection, manifest, catalog)
    _check_vectors(inspection, manifest, catalog)
    _check_classical_vectors(inspection, manifest, catalog)
    _check_vector_index(inspection, index_dir, manifest, catalog)
    return inspection


def _check_catalog(inspection: Inspection, catalog: Catalog) -> None:
    found = [str(row[0]) for row in catalog.database.rows(f"PRAGMA integrity_check({_MOST_NAMED})", {})]
    orphans = catalog.database.value("SELECT count(*) FROM chunks WHERE document NOT IN (SELECT id FROM documents)")
    problems = [] if found == ["ok"] else [f"SQLite says: {line}" for line in found]
    if orphans:
        problems.append(f"passages that belong to no document: {orphans}")
    inspection.note("catalog", str(catalog.path.name), problems)


def _check_full_text(inspection: Inspection, catalog: Catalog) -> None:
    try:
        with catalog.database.transaction() as connection:  # FTS5 takes its orders as if they were rows
            for table in ("terms", "exact_words"):
                connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
        is_sound = count_mismatched_chunks(catalog.database) == 0
    except IndexDamaged:
        is_sound = False
    problems = [] if is_sound else ["it does not fit the passages"]
    inspection.note("full text", "the index of words", problems)


def _check_counts(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    counts = catalog.counts(generation=manifest.generation)
    problems = [
        f"the catalog holds {held} {name} where the manifest says {said}"
        for name, held, said in (
            ("documents", counts.documents, manifest.documents),
            ("passages", counts.chunks, manifest.chunks),
        )
        if held != said
    ]
    values = {"generation": manifest.generation}
    query = f"SELECT path FROM documents WHERE {VISIBLE} GROUP BY path HAVING count(*) > 1"
    problems += [f"{path!r} is there twice" for (path,) in catalog.database.rows(query, values)]
    query = f"SELECT path, start {FROM_VISIBLE_CHUNKS} GROUP BY document, start, end HAVING count(*) > 1"
    problems += [
        f"the passage at {start} of {path!r} is there twice" for path, start in catalog.database.rows(query, values)
    ]
    inspection.note("counts", f"{counts.documents} documents, {counts.chunks} passages", problems)


def _check_passages(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    query = f"SELECT documents.path, {EMBEDDED_TITLE}, chunks.headings, chunks.text, chunks.hash {FROM_VISIBLE_CHUNKS}"
    looked_at = 0
    for path, title, headings, text, key in catalog.database.stream(query, {"generation": manifest.generation}):
        looked_at += 1
        if not _is_of(key, title, headings, text):
            inspection.invalid_documents.add(path)
    problems = [f"the passages of {path!r} are not what was embedded" for path in sorted(inspection.invalid_documents)]
    inspection.note("passages", f"{looked_at} texts and their hashes", problems)


def _check_vectors(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    dimension = manifest.normalizations.echo.dimension
    looked_at = 0
    for _, keys, vectors in _stored(catalog, manifest, dimension):
        looked_at += len(keys)
        lengths = np.linalg.norm(vectors, axis=1)
        unsound = ~(np.abs(lengths - 1) <= _ROUNDED)  # also what is no number
        inspection.invalid_vectors |= {key for key, is_unsound in zip(keys, unsound, strict=True) if is_unsound}
    count = len(inspection.invalid_vectors)
    problems = [f"texts without a vector of length 1: {count}"] if count else []
    inspection.note("vectors", f"{looked_at} vectors of {dimension} dimensions", problems)


def _check_classical_vectors(inspection: Inspection, manifest: Manifest, catalog: Catalog) -> None:
    dimension = manifest.normalizations.echo.dimension
    rows = catalog.database.stream("SELECT hash, vector FROM classical_vectors")
    unsound: set[bytes] = set()
    looked_at = 0
    while block := list(islice(rows, _BLOCK)):
        looked_at += len(block)
        lengths = np.linalg.norm(_unpacked([blob for _, blob in block], dimension), axis=1)
        unsound |= {key for (key, _), length in zip(block, lengths, strict=True) if not abs(length - 1) <= _ROUNDED}
    problems = [f"vectors that are not of length 1: {len(unsound)}"] if unsound else []
    inspection.invalid_vectors |= unsound
    inspection.note("classical", f"{looked_at} classical vectors", problems)


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
        inspection.note("vector index", path.name, [damage.message])
        return
    normalization = manifest.normalizations.echo
    tolerance = _SAME if index.kind == "exact" else _SAME_IN_HALF_PRECISION
    others = 0
    unlike: set[bytes] = set()
    held = index.reconstruct(block=_BLOCK)
    for ids, keys, vectors in _stored(catalog, manifest, normalization.dimension):
        known, indexed = next(
            held, (np.empty(0, dtype=np.int64), np.empty((0, normalization.dimension), dtype=np.float32))
        )
        if not np.array_equal(known, ids):
            others += 1
            continue
        distances = np.abs(normalization.normalize_documents(vectors) - indexed).max(axis=1)
        unlike |= {key for key, distance in zip(keys, distances, strict=True) if not distance <= tolerance}
    problems = []
    if others or next(held, None) is not None:
        problems.append(f"{path.name} does not hold the passages of the catalog")
    if unlike:
        problems.append(f"vectors that are others than those of the catalog: {len(unlike)}")
    inspection.invalid_vectors |= unlike
    inspection.note("vector index", f"{path.name}, {index.kind}, {index.count} vectors", problems)


def _stored(
    catalog: Catalog, manifest: Manifest, dimension: int
) -> Iterator[tuple[npt.NDArray[np.int64], list[bytes], Vectors]]:
    """Yield (chunk ids, hashes, vectors) in blocks by id; a vector that is missing or of another size is all zero."""
    query = (
        "SELECT chunks.id, chunks.hash, (SELECT vector FROM vectors WHERE hash = chunks.hash) "
        f"{FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
    )
    rows = catalog.database.stream(query, {"generation": manifest.generation})
    while block := list(islice(rows, _BLOCK)):
        vectors = _unpacked([blob for _, _, blob in block], dimension)
        yield np.array([key for key, _, _ in block], dtype=np.int64), [key for _, key, _ in block], vectors


def _unpacked(blobs: Sequence[bytes | None], dimension: int) -> Vectors:
    """Return vectors (n, dimension); one that is missing or of another size is all zero."""
    nothing = bytes(2 * dimension)
    whole = (blob if blob is not None and len(blob) == len(nothing) else nothing for blob in blobs)
    return np.frombuffer(b"".join(whole), dtype="<f2").astype(np.float32).reshape(len(blobs), dimension)


def _is_of(key: bytes, title: str, headings: str, text: str) -> bool:
    try:
        return hashlib.sha256(embedded_text(title, json.loads(headings), text).encode()).digest() == key
    except (ValueError, TypeError):  # the headings are not even a list of names any more
        return False
