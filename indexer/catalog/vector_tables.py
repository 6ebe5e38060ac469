"""Store the vectors of chunks in a catalog as codes, and encode those that earlier versions stored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from echo_index.indexer.catalog.vector_codes import encode_vectors
from echo_index.indexer.storage.sqlite import Connection, Parameters

Kind = Literal["echo", "classical"]
CODES: dict[Kind, str] = {"echo": "vector_codes", "classical": "classical_codes"}
"""The tables, each with a code for the id of a chunk; chunks with the same text have the same code."""
CREATE_CODES = tuple(
    f"CREATE TABLE {table} (chunk INTEGER NOT NULL UNIQUE, code BLOB NOT NULL)" for table in CODES.values()
)
HALF_PRECISION: dict[Kind, str] = {"echo": "vectors", "classical": "classical_vectors"}
"""The tables up to schema version 7: vectors of float16 by the hash of the text."""
_BLOCK = 4096


def put_vectors(connection: Connection, kind: Kind, hashes: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
    """Store a vector (n, dimension) for all chunks of each text hash."""
    connection.executemany(
        f"INSERT OR REPLACE INTO {CODES[kind]} (chunk, code) SELECT id, ? FROM chunks WHERE hash = ?",
        zip(encode_vectors(vectors, hashes), hashes, strict=True),
    )


def put_chunk_vectors(
    connection: Connection,
    kind: Kind,
    chunks: Sequence[int],
    hashes: Sequence[bytes],
    vectors: npt.NDArray[np.float32],
) -> None:
    """Store a vector (n, dimension) for each of these chunks by its id; `hashes` are those of their texts."""
    connection.executemany(
        f"INSERT INTO {CODES[kind]} (chunk, code) VALUES (?, ?)",
        zip(chunks, encode_vectors(vectors, hashes), strict=True),
    )


def copy_vectors(connection: Connection, chunk_id: int, hash: bytes, *, sought: set[tuple[str, bytes]]) -> None:
    """Give a new chunk the vectors of a chunk with the same text, if there is one.

    `sought` keeps what this transaction has looked for in vain: a text that a document repeats thousands of times
    would be looked for among all of its repetitions.
    """
    for table in CODES.values():
        if (table, hash) in sought:
            continue
        copied = connection.execute(
            f"INSERT INTO {table} (chunk, code) SELECT ?, code FROM chunks CROSS JOIN {table} ON chunk = chunks.id "
            "WHERE chunks.hash = ? LIMIT 1",
            (chunk_id, hash),
        )
        if not copied.rowcount:
            sought.add((table, hash))


def remove_vectors(connection: Connection, chunks: str, parameters: Parameters) -> None:
    """Remove the vectors of the chunks whose ids the SELECT `chunks` returns."""
    for table in CODES.values():
        connection.execute(f"DELETE FROM {table} WHERE chunk IN ({chunks})", parameters)


def remove_classical_vectors(connection: Connection) -> None:
    """Remove all classical vectors."""
    connection.execute(f"DELETE FROM {CODES['classical']}")


def encode_half_precision(connection: Connection) -> None:
    """Replace the vectors of schema version 7 by codes."""
    for statement in CREATE_CODES:
        connection.execute(statement)
    for kind, table in HALF_PRECISION.items():
        # An early version had no classical vectors.
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (hash BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        rows = connection.execute(f"SELECT chunks.id, hash, vector FROM chunks JOIN {table} USING (hash) ORDER BY id")
        while block := list(islice(rows, _BLOCK)):
            ids, hashes, blobs = zip(*block, strict=True)
            codes = encode_vectors(from_half_precision(blobs), hashes)
            connection.executemany(f"INSERT INTO {CODES[kind]} VALUES (?, ?)", zip(ids, codes, strict=True))
        connection.execute(f"DROP TABLE {table}")


def from_half_precision(blobs: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Return the vectors (n, dimension) of the blobs that schema version 7 stored."""
    return np.frombuffer(b"".join(blobs), dtype="<f2").astype(np.float32).reshape(len(blobs), -1)
