"""Convert documents and passages to the rows of Milvus, and back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from echo_index.errors import StoreError
from echo_index.indexer.catalog.fts_index import term_columns
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, StoredChunk
from echo_index.indexer.catalog.rows import (
    chunk_values,
    document_row,
    document_values,
    fields_text,
    stored_chunk,
    to_json,
)
from echo_index.indexer.stores.corpus import PublishedDocument
from echo_index.indexer.stores.milvus.connection import Row
from echo_index.indexer.stores.milvus.layout import MOST_BYTES, NO_VECTOR
from echo_index.indexer.text.analyzer import exact_text

DOCUMENT_FIELDS = ("id", "added", "path", "archive", "format", "title", "size", "modified_ns", "passages", "record")
_TEXT, _HASH = 0, 6  # positions in `chunk_values`
_FIELDS = -1  # the position in `document_values`
_PLAIN_TERM = re.compile(r"(?!0x)[a-z0-9]{1,32}")
_WORD = re.compile(r"[^\W_]+")  # as FTS5 divides the exact text


def document_key(document: PublishedDocument) -> int:
    """Return the primary key of a version of a document."""
    return _key(document.row.path, document.version)


def document_values_row(document: PublishedDocument, *, added: int) -> Row:
    """Return the row of a document that the head with the number `added` is the first to have.

    Raises:
        StoreError: it is too long for Milvus.
    """
    row = document.row
    values = [*document_values(row)]
    values[_FIELDS] = "{}"
    fields = {
        "path": row.path,
        "archive": row.archive,
        "format": row.format,
        "title": row.title,
        "record": to_json(values),
        "fields": fields_text(row.fields),
    }
    _validate_lengths(row.path, fields)
    return {
        "id": document_key(document),
        "added": added,
        "passages": document.passages,
        "size": row.size,
        "modified_ns": row.modified_ns,
        "digest": document_digest(document),
        **fields,
        "vector": NO_VECTOR,
    }


def document_digest(document: PublishedDocument) -> str:
    """Return a value that changes with all that a row says of a document."""
    return hashlib.sha256(to_json([*document_values(document.row), document.passages]).encode()).hexdigest()[:32]


def stored_document(row: Row) -> DocumentRow:
    """Return the document of a row, without its fields."""
    return document_row(json.loads(row["record"]))


def passage_row(document: DocumentRow, chunk: ChunkRow, *, key: int, number: int, added: int, ranks_words: bool) -> Row:
    """Return the row of the passage with this number of the document with this key, without its vector.

    The head with the number `added` is the first to have it.

    Raises:
        StoreError: it is too long for Milvus.
    """
    values: list[Any] = [*chunk_values(chunk)]
    values[_TEXT], values[_HASH] = "", chunk.hash.hex()
    headings = to_json(chunk.headings)
    fields = {
        "path": document.path,
        "title": document.title,
        "format": document.format,
        "text": chunk.text,
        "record": to_json(values),
        "words": exact_words(chunk.full_text, document.title, headings),
    }
    if ranks_words:
        columns = term_columns(document.language, chunk.full_text, document.title, headings)
        fields["terms"] = " ".join(map(encoded_term, " ".join(columns).split()))
    _validate_lengths(document.path, fields)
    return {
        "id": _key(str(key), str(number)),
        "document": key,
        "added": added,
        "start": chunk.start,
        "stop": chunk.end,
        **fields,
    }


def stored_passage(row: Row) -> StoredChunk:
    """Return the passage of a row with `PASSAGE_FIELDS`."""
    values = json.loads(row["record"])
    values[_TEXT], values[_HASH] = row["text"], bytes.fromhex(values[_HASH])
    return stored_chunk((row["id"], row["path"], row["title"], row["format"], *values))


def exact_words(*texts: str) -> str:
    """Return the words of texts as phrases are looked for in them: between blanks, and no phrase in two texts."""
    return " | ".join(["", *(" ".join(_WORD.findall(exact_text(text))) for text in texts), ""])


def exact_phrase(text: str) -> str:
    """Return the words of a phrase between single blanks."""
    return " ".join(_WORD.findall(exact_text(text)))


def encoded_term(term: str) -> str:
    """Return a term as letters and digits, which each tokenizer leaves whole: itself, or else a hash of it."""
    return term if _PLAIN_TERM.fullmatch(term) else "0x" + hashlib.sha256(term.encode()).hexdigest()[:24]


def _key(*parts: str) -> int:
    """Return a number of 63 bits for some texts. The chance that two of ten million are equal is 5 in a million."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _validate_lengths(path: str, fields: dict[str, str]) -> None:
    for name, text in fields.items():
        if len(text) * 4 > MOST_BYTES and len(text.encode()) > MOST_BYTES:
            raise StoreError(
                f"{path} cannot be published: the {name} of a passage or of the document has more than {MOST_BYTES:,} "
                "bytes, which Milvus does not store.",
                remedy="Leave the document out with --exclude, or build with smaller --chunk-tokens.",
            )


def in_list(field: str, values: Sequence[int | str], *, negated: bool = False) -> str:
    """Return the condition that a field has one of these values, or none of them."""
    return f"{field} {'not in' if negated else 'in'} {json.dumps([*values], ensure_ascii=False)}"
