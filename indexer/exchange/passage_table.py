"""Turn blocks of passages into batches of the columns of a Parquet file: one row a passage, all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.catalog.rows import fields_text, to_json
from echo_index.indexer.exchange.parquet_library import load_pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

    from echo_index.indexer.catalog.exchange_rows import PassageBlock
    from echo_index.indexer.vectors.normalization import VectorNormalization

VECTOR, CLASSICAL_VECTOR, NORMALIZED_VECTOR = "vector", "classical_vector", "normalized_vector"
VECTORS = (VECTOR, CLASSICAL_VECTOR, NORMALIZED_VECTOR)
_LISTS = {"headings", "omissions"}
_TIMES = {"modified"}
_WHOLE = {"size": "int64", "start_offset": "int64", "end_offset": "int64", "page": "int32", "line": "int32"}
_MAY_BE_EMPTY = {"modified", "page", "line"}


def document_columns(document: DocumentRow) -> dict[str, Any]:
    """Return the values of the columns about the document of a passage, the same for all of its passages."""
    return {
        "path": document.path,
        "title": document.title,
        "title_is_embedded": bool(document.has_own_title),
        "format": document.format,
        "language": document.language,
        "archive": document.archive,
        "size": document.size,
        "modified": document.modified_ns or None,  # documents that are no files have no time
        "document_hash": document.hash,
        "fields": fields_text(document.fields),
        "omissions": [*document.omissions],
        "document_recognition": document.recognition,
    }


def chunk_columns(chunk: ChunkRow) -> dict[str, Any]:
    """Return the values of the columns about a passage itself, except its vectors."""
    return {
        "text": chunk.text,
        "table_header": chunk.table_header,
        "headings": [*chunk.headings],
        "start_offset": chunk.start,
        "end_offset": chunk.end,
        "page": chunk.page,
        "line": chunk.line,
        "place": chunk.place,
        "anchors": to_json([astuple(anchor) for anchor in chunk.anchors]),
        "recognition": to_json(astuple(chunk.recognition)) if chunk.recognition else "",
        "text_hash": chunk.hash.hex(),
    }


_COLUMNS = (
    *document_columns(DocumentRow("", "", 0, 0, "", "")),
    *chunk_columns(ChunkRow("", (), 0, 0, None, None, b"")),
)
COLUMNS = (*_COLUMNS, VECTOR)
"""The names of the columns that a file needs, in their order; other vectors may follow."""


def passage_schema(
    dimension: int,
    *,
    with_classical: bool,
    normalized: bool = False,
    vectors_may_lack: bool = False,
    metadata: dict[bytes, bytes],
) -> pa.Schema:
    """Return the names and types of the columns, with the schema metadata of a file."""
    arrow = load_pyarrow()
    vectors = arrow.list_(arrow.float32(), dimension)

    def kind(name: str) -> pa.DataType:
        if name in _WHOLE:
            return arrow.type_for_alias(_WHOLE[name])
        if name in _TIMES:
            return arrow.timestamp("ns", tz="UTC")
        if name in _LISTS:
            return arrow.list_(arrow.string())
        return arrow.bool_() if name == "title_is_embedded" else arrow.string()

    columns = [arrow.field(name, kind(name), nullable=name in _MAY_BE_EMPTY) for name in _COLUMNS]
    columns.append(arrow.field(VECTOR, vectors, nullable=vectors_may_lack))
    if with_classical:
        columns.append(arrow.field(CLASSICAL_VECTOR, vectors))
    if normalized:
        columns.append(arrow.field(NORMALIZED_VECTOR, vectors, nullable=False))
    return arrow.schema(columns, metadata=metadata)


def to_batch(block: PassageBlock, schema: pa.Schema, normalization: VectorNormalization) -> pa.RecordBatch:
    """Return the rows of a block, which has one passage or more."""
    arrow = load_pyarrow()
    arrays = [*row_arrays(block.documents, block.chunks, schema), vector_array(block.vectors)]
    if CLASSICAL_VECTOR in schema.names:
        arrays.append(vector_array(block.classical, absent=~block.has_classical))
    if NORMALIZED_VECTOR in schema.names:
        arrays.append(vector_array(normalization.normalize_documents(block.vectors)))
    return arrow.record_batch(arrays, schema=schema)


def row_arrays(documents: Sequence[DocumentRow], chunks: Sequence[ChunkRow], schema: pa.Schema) -> list[pa.Array]:
    """Return the columns of chunks, each with its document, without the vectors."""
    arrow = load_pyarrow()
    rows = [
        {**document_columns(document), **chunk_columns(chunk)}
        for document, chunk in zip(documents, chunks, strict=True)
    ]
    return [arrow.array([row[name] for row in rows], type=schema.field(name).type) for name in _COLUMNS]


def vector_array(vectors: npt.NDArray[np.float32], absent: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return the column of vectors (n, dimension), null where they are absent."""
    arrow = load_pyarrow()
    mask = None if absent is None else arrow.array(absent)
    return arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.reshape(-1)), vectors.shape[1], mask=mask)
