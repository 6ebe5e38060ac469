"""Read the vectors of chunks from a catalog, also from one that an earlier version wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.vector_codes import Codes, decode_vectors, encode_vectors
from echo_index.indexer.catalog.vector_tables import CODES, HALF_PRECISION, Kind, from_half_precision
from echo_index.indexer.catalog.visibility_sql import VISIBLE
from echo_index.indexer.storage.sqlite import Database

Block = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Chunk ids (n,) and their vectors (n, dimension)."""
CodedBlock = tuple[npt.NDArray[np.int64], Codes]
"""Chunk ids (n,) and their codes (n, bytes)."""
_BLOCK = 4096
_CODES_BLOCK = 1024  # small enough for memory that is used again


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
    ids = np.sort(_visible_ids(database, generation))
    for start in range(0, len(ids), block):
        part = ids[start : start + block]
        found = _codes_between(database, source, int(part[0]), int(part[-1]))
        present = [key for key in part.tolist() if key in found]
        if kind == "echo" and len(present) < len(part):
            raise _lacks_vectors(database)
        if present:
            yield np.array(present, dtype=np.int64), _decoded(database, source, [found[key] for key in present])


def visible_codes(database: Database, kind: Kind, *, generation: int) -> tuple[npt.NDArray[np.int64], Codes]:
    """Return the ids (n,) and codes (n, bytes) of the chunks of a generation that have a vector, in any order.

    Raises:
        IndexDamaged: a chunk has no echo vector, or the codes have different lengths.
    """
    visible = np.sort(_visible_ids(database, generation))
    ids, codes = np.empty(len(visible), dtype=np.int64), np.empty((len(visible), 0), dtype=np.uint8)
    source = _source(database, kind)
    if source is None or not len(visible):
        return ids[:0], codes[:0]
    count = 0
    for block_ids, block in _coded_blocks(database, source) if source.is_coded else _encoded_blocks(database, source):
        is_visible = visible[np.searchsorted(visible[:-1], block_ids)] == block_ids  # faster than np.isin
        if not is_visible.all():
            block_ids, block = block_ids[is_visible], block[is_visible]
        end = count + len(block_ids)
        if not codes.shape[1]:
            codes = np.empty((len(visible), block.shape[1]), dtype=np.uint8)
        if block.shape[1] != codes.shape[1]:
            raise _cannot_be_read(database)
        ids[count:end], codes[count:end] = block_ids, block
        count = end
    if kind == "echo" and count < len(visible):
        raise _lacks_vectors(database)
    return ids[:count], codes[:count]


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


def codes_of(database: Database, kind: Kind, ids: Sequence[int]) -> Codes:
    """Return the codes (n, bytes) of the vectors of some chunks, in the order of `ids`.

    Raises:
        IndexDamaged: a chunk has no vector, or the codes have different lengths.
    """
    source = _source(database, kind)
    if source is None or not source.is_coded:
        vectors = vectors_of(database, kind, ids)
        blobs = encode_vectors(vectors, [b""] * len(vectors))
    else:
        # Without the table of the chunks: a row of it is many times as long as a code.
        query = f"SELECT chunk, code FROM {source.table} WHERE chunk IN (SELECT value FROM json_each(?))"
        found = dict(database.rows(query, (json.dumps(list(map(int, ids))),)))
        if any(int(key) not in found for key in ids):
            raise _lacks_vectors(database)
        blobs = [found[int(key)] for key in ids]
    if len({len(blob) for blob in blobs}) > 1:
        raise _cannot_be_read(database)
    return np.frombuffer(b"".join(blobs), dtype=np.uint8).reshape(len(blobs), -1 if blobs else 0)


_JOINED_CODES = "CAST(group_concat(CAST(code AS TEXT), '') AS BLOB)"
_FROM_VISIBLE = f"FROM documents CROSS JOIN chunks ON chunks.document = documents.id WHERE {VISIBLE}"


def _source(database: Database, kind: Kind) -> _Source | None:
    """Return where the vectors are, or None; asked each time, as a build may have replaced the tables meanwhile."""
    tables = {name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if CODES[kind] in tables:
        return _Source(CODES[kind], "stored.chunk = chunks.id", "code", is_coded=True)
    if HALF_PRECISION[kind] in tables:
        return _Source(HALF_PRECISION[kind], "stored.hash = chunks.hash", "vector", is_coded=False)
    return None


def _visible_ids(database: Database, generation: int) -> npt.NDArray[np.int64]:
    # All ids come from one index of the table; a join with the documents would read the text of every chunk.
    return _parse_ids(database.value(f"SELECT group_concat(chunks.id) {_FROM_VISIBLE}", {"generation": generation}))


def _coded_blocks(database: Database, source: _Source) -> Iterator[CodedBlock]:
    """Yield all codes in the order of the table. SQLite joins them: a row for each would take three times as long.

    Besides, another thread that runs Python meanwhile would delay every row.
    """
    last = int(database.value(f"SELECT coalesce(max(rowid), 0) FROM {source.table}"))
    for start in range(0, last + 1, _CODES_BLOCK):
        [(ids, joined, count, shortest, longest)] = database.rows(
            f"SELECT group_concat(chunk), {_JOINED_CODES}, count(*), min(length(code)), max(length(code)) "
            f"FROM {source.table} WHERE rowid BETWEEN ? AND ?",
            (start, start + _CODES_BLOCK - 1),
        )
        if not count:
            continue
        if shortest != longest:
            raise _cannot_be_read(database)
        if len(joined) != count * longest:  # SQLite does not promise to keep the bytes that follow a zero in a text
            found = _codes_between(database, source, start, start + _CODES_BLOCK - 1, column="rowid")
            ids, joined = ",".join(map(str, found)), b"".join(found.values())
        yield _parse_ids(ids), np.frombuffer(joined, dtype=np.uint8).reshape(count, longest)


def _encoded_blocks(database: Database, source: _Source) -> Iterator[CodedBlock]:
    """Yield the codes that the vectors of an earlier version will have."""
    rows = database.rows(
        f"SELECT chunks.id, hash, stored.{source.column} FROM chunks JOIN {source.table} AS stored USING (hash)"
    )
    for start in range(0, len(rows), _BLOCK):
        ids, hashes, blobs = zip(*rows[start : start + _BLOCK], strict=True)
        codes = encode_vectors(_decoded(database, source, blobs), hashes)
        yield np.array(ids, dtype=np.int64), np.frombuffer(b"".join(codes), dtype=np.uint8).reshape(len(codes), -1)


def _parse_ids(text: str | None) -> npt.NDArray[np.int64]:
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def _codes_between(
    database: Database, source: _Source, first: int, last: int, *, column: str = "chunk"
) -> dict[int, bytes]:
    if source.is_coded:
        query = f"SELECT chunk, code FROM {source.table} WHERE {column} BETWEEN ? AND ?"
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
        raise _cannot_be_read(database) from None


def _cannot_be_read(database: Database) -> IndexDamaged:
    return IndexDamaged(
        f"The catalog {database.path} is damaged: a vector cannot be read.",
        remedy="See what is damaged: echo-index verify",
    )


def _lacks_vectors(database: Database) -> IndexDamaged:
    return IndexDamaged(
        f"The catalog {database.path} has chunks without a vector.", remedy="Embed them: echo-index build FOLDER"
    )
