"""Find the documents that meet a condition on their fields, and the fields that there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from echo_index.errors import FilterError
from echo_index.indexer.catalog.schema import WITH_FIELDS, validate_version
from echo_index.indexer.conditions.tree import Condition, Value, fields_of, folded, matches
from echo_index.indexer.storage.file_times import has_time
from echo_index.indexer.storage.sqlite import Database

TITLE = "title"
FILE_PATH, FILE_FORMAT, FILE_SIZE, FILE_DATE = "file.path", "file.format", "file.size", "file.date"
ALWAYS = (TITLE, FILE_PATH, FILE_FORMAT, FILE_SIZE, FILE_DATE)
"""The fields that each document has, whatever it says of itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def matching_documents(database: Database, condition: Condition, *, visible: str, generation: int) -> list[int]:
    """Return the ids of the documents of a generation that meet a condition; `visible` is the SQL of that generation.

    Raises:
        FilterError: an early version built the index, and did not ask documents what they say of themselves.
    """
    wanted = {*fields_of(condition)}
    has_fields = validate_version(database) >= WITH_FIELDS
    own = wanted.difference(ALWAYS)
    if own and not has_fields:
        raise FilterError(
            f"An earlier version built this index, and it does not know the {_named(sorted(own))} of documents.",
            remedy="Bring it up to date: echo-index build",
        )
    column = "documents.fields" if own else "'{}'"
    query = f"SELECT id, path, title, format, size, modified_ns, {column} FROM documents WHERE {visible}"
    rows = database.stream(query, {"generation": generation})
    return [identifier for identifier, *row in rows if matches(condition, searchable_fields(row, wanted))]


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def searchable_fields(row: Sequence[Any], wanted: set[str]) -> Mapping[str, Sequence[Value]]:
    """Return the fields of a document that a condition may ask for, of which it asks for `wanted`, by folded names.

    The row is its path, title, format, size, modification time, and what it says of itself as JSON.
    """
    path, title, format, size, modified_ns, own = row
    fields: dict[str, Sequence[Value]] = {folded(name): values for name, values in json.loads(own).items()}
    fields.update({TITLE: [title], FILE_PATH: [path], FILE_FORMAT: [format], FILE_SIZE: [size]})
    fields[FILE_DATE] = [*_dates(modified_ns)] if FILE_DATE in wanted else []
    return fields


def _dates(modified_ns: int) -> Iterator[str]:
    """Yield the time at which a file was changed; nothing for a document that is no file."""
    if has_time(modified_ns):
        yield (_EPOCH + timedelta(microseconds=modified_ns // 1000)).isoformat()
