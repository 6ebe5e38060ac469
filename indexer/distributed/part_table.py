"""A part: a Parquet file of passages with their vectors, in the columns of an export, for some documents as a whole."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.exchange.parquet_library import load_pyarrow
from echo_index.indexer.exchange.passage_rows import present_vectors, to_rows
from echo_index.indexer.exchange.passage_table import (
    CLASSICAL_VECTOR,
    VECTOR,
    passage_schema,
    row_arrays,
    vector_array,
)

if TYPE_CHECKING:
    import pyarrow as pa

_METADATA_KEY = b"echo_index_part"


@dataclass(frozen=True, slots=True)
class WorkedDocument:
    """A document with its chunks, and the key of its content with all that decides about them."""

    key: str
    row: DocumentRow
    chunks: tuple[ChunkRow, ...]


@dataclass(frozen=True, eq=False, slots=True)
class PassageVectors:
    """The vectors (n, dimension) of some passages, and which of them have one (n,); others are zero.

    `classical` are the classical ones of the same passages, if they are stored.
    """

    vectors: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]
    classical: npt.NDArray[np.float32] | None = None


def part_content(documents: Sequence[WorkedDocument], vectors: PassageVectors) -> bytes:
    """Return the Parquet file of some documents, which have a chunk or more."""
    arrow = load_pyarrow()
    keys = [[document.key, len(document.chunks)] for document in documents]
    schema = passage_schema(
        vectors.vectors.shape[1],
        with_classical=vectors.classical is not None,
        vectors_may_lack=True,
        metadata={_METADATA_KEY: json.dumps(keys).encode()},
    )
    rows = [document.row for document in documents for _ in document.chunks]
    chunks = [chunk for document in documents for chunk in document.chunks]
    arrays = [*row_arrays(rows, chunks, schema), vector_array(vectors.vectors, absent=~vectors.present)]
    if vectors.classical is not None:
        arrays.append(vector_array(vectors.classical, absent=~vectors.present))
    file = io.BytesIO()
    arrow.parquet.write_table(arrow.Table.from_arrays(arrays, schema=schema), file, compression="zstd")
    return file.getvalue()


class Part:
    """A part that was read: the places of its documents, and its text hashes.

    Raises:
        ValueError: the file is no part, or is damaged.
    """

    def __init__(self, file: Any, *, whole: bool) -> None:
        """Read a part, or without `whole` only what says what is in it."""
        arrow = load_pyarrow()
        try:
            content = arrow.parquet.ParquetFile(file)
            keys = json.loads(content.schema_arrow.metadata[_METADATA_KEY])
            columns = None if whole else ["text_hash", VECTOR]
            table = content.read(columns=columns).combine_chunks()
            self.hashes = [bytes.fromhex(hash) for hash in table["text_hash"].to_pylist()]
        except (arrow.ArrowException, TypeError, KeyError) as error:
            raise ValueError(str(error)) from None
        self.places: dict[str, tuple[int, int]] = {}
        """The first row and the number of rows of each document, by its key."""
        first = 0
        for key, count in keys:
            self.places[key] = first, count
            first += count
        if first != len(self.hashes):
            raise ValueError("it has not the passages that it should have")
        self._batch: pa.RecordBatch = table.to_batches()[0]
        self.present = np.asarray(self._batch.column(VECTOR).is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        """Which rows have a vector: (n,)."""

    def document(self, key: str, *, context: str) -> tuple[DocumentRow, list[ChunkRow]]:
        """Return the document of a key with its chunks, in an index of this context.

        Raises:
            ValueError: a value is impossible.
        """
        documents, chunks = to_rows(self._batch.slice(*self.places[key]), context=context)
        return documents[0], chunks

    def vectors(self, dimension: int) -> PassageVectors:
        """Return the vectors of all rows.

        Raises:
            ValueError: a vector has another dimension, or not length one.
        """
        vectors, present = present_vectors(self._batch, VECTOR, dimension)
        has_classical = CLASSICAL_VECTOR in self._batch.schema.names
        classical = present_vectors(self._batch, CLASSICAL_VECTOR, dimension)[0] if has_classical else None
        return PassageVectors(vectors, present, classical)
