"""Check the rows of a Parquet file, which anyone may have written, and turn them into blocks of passages.

Whatever is wrong raises a ValueError whose message is a clause that names the passage.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echo_index.indexer.catalog.exchange_rows import PassageBlock
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.documents.chunking import Anchor, embedded_hash
from echo_index.indexer.documents.document import Recognition
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.exchange.parquet_library import load_pyarrow
from echo_index.indexer.exchange.passage_table import CLASSICAL_VECTOR, COLUMNS, VECTOR

if TYPE_CHECKING:
    import pyarrow as pa

_TEXTS = (
    *("path", "title", "format", "language", "archive", "document_hash", "fields", "document_recognition"),
    *("text", "table_header", "place", "anchors", "recognition", "text_hash"),
)
_NUMBERS = ("size", "start_offset", "end_offset")
_NUMBERS_OR_NOTHING = ("page", "line", "modified")
_LISTS = ("headings", "omissions")
_LENGTH_TOLERANCE = 0.05  # of the vectors of an encoder, which have length one; 8 bits change it by much less


def to_block(batch: pa.RecordBatch, *, dimension: int, context: str) -> PassageBlock:
    """Return the passages of a batch with one row or more, in an index of this context.

    Raises:
        ValueError: a value is missing, of another type or impossible.
    """
    documents, chunks = to_rows(batch, context=context)

    def place(number: int) -> str:
        return f"the passage at {chunks[number].start} of {documents[number].path!r}"

    try:
        vectors = _vectors(batch.column(VECTOR), dimension)
        classical, has_classical = present_vectors(batch, CLASSICAL_VECTOR, dimension)
    except WrongVector as wrong:
        raise ValueError(f"the vector of {place(wrong.number)} {wrong.reason}") from None
    return PassageBlock(documents, chunks, vectors, classical, has_classical)


def to_rows(batch: pa.RecordBatch, *, context: str) -> tuple[list[DocumentRow], list[ChunkRow]]:
    """Return the documents and the chunks of a batch, one of each for a row; rows of one document share it.

    Raises:
        ValueError: a value is missing, of another type or impossible.
    """
    columns = {name: _values(batch, name) for name in COLUMNS if name != VECTOR}
    documents: list[DocumentRow] = []
    chunks = []
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        try:
            document = _document(row)
            chunks.append(_chunk(row, document, context=context))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it is not complete"
            raise ValueError(f"the passage at {row['start_offset']!r} of {row['path']!r} is wrong: {reason}") from None
        documents.append(documents[-1] if documents and documents[-1] == document else document)
    return documents, chunks


class WrongVector(Exception):
    """The vector of the passage with this number in a batch is wrong, for a reason that is a predicate."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number
        self.reason = reason


def _values(batch: pa.RecordBatch, name: str) -> list[Any]:
    arrow = load_pyarrow()
    column = batch.column(name)
    if arrow.types.is_timestamp(column.type):
        column = column.cast(arrow.timestamp("ns", tz="UTC")).cast(arrow.int64())
    return column.to_pylist()  # type: ignore[no-any-return]


def _document(row: Mapping[str, Any]) -> DocumentRow:
    for name in _TEXTS:
        if not isinstance(row[name], str):
            raise ValueError(f"its {name} is no text")
    for name in (*_NUMBERS, *(name for name in _NUMBERS_OR_NOTHING if row[name] is not None)):
        if not isinstance(row[name], int) or isinstance(row[name], bool):
            raise ValueError(f"its {name} is no whole number")
    for name in _LISTS:
        if not _is_texts(row[name]):
            raise ValueError(f"its {name} are no list of texts")
    if not row["path"]:
        raise ValueError("its document has no path")
    if not isinstance(row["title_is_embedded"], bool):
        raise ValueError("its title_is_embedded is neither true nor false")
    return DocumentRow(
        row["path"],
        row["document_hash"],
        row["size"],
        row["modified"] or 0,
        row["format"],
        row["title"],
        has_own_title=row["title_is_embedded"],
        language=row["language"],
        omissions=tuple(row["omissions"]),
        recognition=row["document_recognition"],
        archive=row["archive"],
        fields=_fields(row["fields"]),
    )


def _chunk(row: Mapping[str, Any], document: DocumentRow, *, context: str) -> ChunkRow:
    start, end = row["start_offset"], row["end_offset"]
    if start < 0 or not row["text"] or end - start != len(row["text"]):
        raise ValueError(f"it ends at {end} and has {len(row['text'])} characters")
    chunk = ChunkRow(
        row["text"],
        tuple(row["headings"]),
        start,
        end,
        row["page"],
        row["line"],
        b"",
        row["place"],
        row["table_header"],
        _anchors(row["anchors"]),
        _recognition(row["recognition"]),
    )
    title = document.title if document.has_own_title else ""
    hash = embedded_hash(title, chunk.headings, chunk.full_text, context=context)
    if hash.hex() != row["text_hash"]:
        raise ValueError("its text, headings or title are not those that its vector belongs to")
    return ChunkRow(**{**{name: getattr(chunk, name) for name in ChunkRow.__slots__}, "hash": hash})


def _fields(text: str) -> tuple[Field, ...]:
    stored = json.loads(text)
    if not isinstance(stored, dict):
        raise ValueError("its fields are no JSON object")
    for values in stored.values():
        if not isinstance(values, list) or not all(map(_is_field_value, values)):
            raise ValueError("its fields are no lists of texts and numbers")
    return tuple(Field(name, tuple(values)) for name, values in stored.items())


def _is_field_value(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int) and not isinstance(value, bool)


def _anchors(text: str) -> tuple[Anchor, ...]:
    anchors = tuple(Anchor(offset, page, place, tuple(above)) for offset, page, place, above in json.loads(text))
    for anchor in anchors:
        is_right = isinstance(anchor.offset, int) and isinstance(anchor.page, int | None)
        if not (is_right and isinstance(anchor.place, str) and _is_texts([*anchor.headings])):
            raise ValueError("its anchors are wrong")
    return anchors


def _recognition(text: str) -> Recognition | None:
    if not text:
        return None
    confidence, uncertain = json.loads(text)
    spans = tuple((start, end) for start, end in uncertain)
    if not (isinstance(confidence, float | int) and 0 <= confidence <= 1):
        raise ValueError("its recognition is wrong")
    if not all(isinstance(offset, int) for span in spans for offset in span):
        raise ValueError("its recognition is wrong")
    return Recognition(confidence, spans)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def present_vectors(
    batch: pa.RecordBatch, name: str, dimension: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the vectors (n, dimension) of a column that may be null or missing, zero there, and which are present.

    Raises:
        WrongVector: a vector has another dimension, or not length one.
    """
    vectors = np.zeros((len(batch), dimension), dtype=np.float32)
    present = np.zeros(len(batch), dtype=bool)
    if name in batch.schema.names:
        column = batch.column(name)
        present = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        try:
            vectors[present] = _vectors(column.drop_null(), dimension)
        except WrongVector as wrong:
            raise WrongVector(int(np.flatnonzero(present)[wrong.number]), wrong.reason) from None
    return vectors, present


def _vectors(column: pa.Array, dimension: int) -> npt.NDArray[np.float32]:
    """Return the vectors (n, dimension) of a column of lists of numbers, which may have one length or several."""
    arrow = load_pyarrow()
    lengths = arrow.compute.list_value_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
    for number in np.flatnonzero(lengths != dimension)[:1]:
        length = int(lengths[number])
        reason = "is missing" if length < 0 else f"has {length} dimensions, but those of the index have {dimension}"
        raise WrongVector(int(number), reason)
    values = column.flatten().cast(arrow.float32(), safe=False)
    vectors = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, dimension)
    norms = np.linalg.norm(vectors, axis=1)
    for number in np.flatnonzero(~(np.abs(norms - 1) <= _LENGTH_TOLERANCE))[:1]:
        is_number = bool(np.isfinite(vectors[number]).all())
        raise WrongVector(
            int(number), f"has length {norms[number]:.3g} instead of 1" if is_number else "holds what is no number"
        )
    return np.ascontiguousarray(vectors)
