"""Read the vectors of chunks from a catalog, also from one that an earlier version wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.vector_codes import decode_vectors
from echo_index.indexer.catalog.vector_tables import CODES, HALF_PRECISION, Kind, from_half_precision
from echo_index.indexer.catalog.visibility_sql import VISIBLE
from echo_index.indexer.storage.sqlite import Database

Block = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Chunk ids (n,) and their vectors (n, dimension)."""
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the vectors of a catalog are: a table, the condition that joins it with `chunks`, and its column."""

    table: str
    condition: str
    column: str
    is_coded: bool

    def decode(self, blobs: Sequence[bytes]) -> npt.NDArray[np.float32]:
        if not self.is_coded:
            return from_half_precision(blobs)
        return decode_vectors(np.frombuffer(b"".join(blobs), dtype=np.uint8).reshape(len(blobs), -1))


def vector_blocks(database: Database, kind: Kind, *, generation: int, block: int = _BLOCK) -> Iterator[Block]:
    """Yield (chunk ids, vectors) of a generation in blocks, ordered by id. Chunks without a classical one are skipped.

    Raises:
        IndexDamaged: a chunk has no echo vector, or one cannot be decoded.
    """
    source = _source(database, kind)
    if source is None:
        return
    # All ids come from one index of the table; a join with the documents would read the text of every chunk.
    rows = database.rows(f"SELECT chunks.id {_FROM_VISIBLE} ", {"generation": generation})
    ids = np.sort(np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows)))
    for start in range(0, len(ids), block):
        part = ids[start : start + block]
        found = _codes_between(database, source, int(part[0]), int(part[-1]))
        present = [key for key in part.tolist() if key in found]
        if kind == "echo" and len(present) < len(part):
            raise _lacks_vectors(database)
        if present:
            yield np.array(present, dtype=np.int64), _decoded(database, source, [found[key] for key in present])


def count_vectors(database: Database, kind: Kind, *, generation: int) -> int:
    """Return the number of chunks of a generation that have a vector."""
    source = _source(database, kind)
    if source is None:
        return 0
    exists = f"EXISTS (SELECT 1 FROM {source.table} AS stored WHERE {source.condition})"
    return int(database.value(f"SELECT count(*) {_FROM_VISIBLE} AND {exists}", {"generation": generation}))


def vectors_of(database: Database, kind: Kind, ids: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return the vectors (n, dimension) of one or more chunks, in the order of `ids`.

    Raises:
        IndexDamaged: a chunk has no vector, or one cannot be decoded.
    """
    source = _source(database, kind)
    if source is None:
        raise _lacks_vectors(database)
    query = (
        f"SELECT chunks.id, stored.{source.column} FROM chunks JOIN {source.table} AS stored ON {source.condition} "
        "WHERE chunks.id IN (SELECT value FROM json_each(?))"
    )
    found = dict(database.rows(query, (json.dumps(list(map(int, ids))),)))
    if any(int(key) not in found for key in ids):
        raise _lacks_vectors(database)
    return _decoded(database, source, [found[int(key)] for key in ids])


_FROM_VISIBLE = f"FROM documents CROSS JOIN chunks ON chunks.document = documents.id WHERE {VISIBLE}"


def _source(database: Database, kind: Kind) -> _Source | None:
    """Return where the vectors are, or None; asked each time, as a build may have replaced the tables meanwhile."""
    tables = {name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if CODES[kind] in tables:
        return _Source(CODES[kind], "stored.chunk = chunks.id", "code", is_coded=True)
    if HALF_PRECISION[kind] in tables:
        return _Source(HALF_PRECISION[kind], "stored.hash = chunks.hash", "vector", is_coded=False)
    return None


def _codes_between(database: Database, source: _Source, first: int, last: int) -> dict[int, bytes]:
    if source.is_coded:
        query = f"SELECT chunk, code FROM {source.table} WHERE chunk BETWEEN ? AND ?"
    else:
        query = (
            f"SELECT chunks.id, stored.{source.column} FROM chunks JOIN {source.table} AS stored "
            f"ON {source.condition} WHERE chunks.id BETWEEN ? AND ?"
        )
    return dict(database.rows(query, (first, last)))


def _decoded(database: Database, source: _Source, blobs: Sequence[bytes]) -> npt.NDArray[np.float32]:
    try:
        return source.decode(blobs)
    except (ValueError, TypeError):
        raise IndexDamaged(
            f"The catalog {database.path} is damaged: a vector cannot be read.",
            remedy="See what is damaged: echo-index verify",
        ) from None


def _lacks_vectors(database: Database) -> IndexDamaged:
    return IndexDamaged(
        f"The catalog {database.path} has chunks without a vector.", remedy="Embed them: echo-index build FOLDER"
    )
