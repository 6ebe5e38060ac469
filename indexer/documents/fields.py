"""Collect what a file says of itself: the author, dates, tags and any other field, bounded and clean."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from email.utils import parsedate_to_datetime

from echo_index.indexer.conditions.tree import Value, folded
from echo_index.indexer.documents.readers.invisible import without_invisible

_MAX_FIELDS = 60
_MAX_VALUES = 100  # of a field
_MAX_CHARACTERS = 20_000  # of all values
_MAX_NAME_LENGTH = 100
_MAX_VALUE_LENGTH = 500
_MAX_DEPTH = 4  # of values inside each other
_MAX_INTEGER = 2**53  # all smaller ones are exact in JSON
_TITLE = "title"  # a field of its own

_COMMON_NAMES = {
    **dict.fromkeys(("creator", "initial-creator"), "author"),
    **dict.fromkeys(("created", "creation-date", "issued"), "date"),
    "modified": "changed",
    "keyword": "keywords",
}
_DATES = {"date", "changed"}

_PDF_DATE = re.compile(
    r"D:(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)?(\d\d)?(Z|[+-]\d\d)?(?:'?(\d\d)'?)?)?.{0,4}", re.ASCII | re.DOTALL
)
_SLASHED = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """What a file says of itself under one name: numbers, and texts, of which some are dates in ISO 8601."""

    name: str
    values: tuple[Value, ...]


def collect_fields(found: Iterable[tuple[str, object]]) -> tuple[Field, ...]:
    """Return what was found as fields; a name that occurs twice, in any case, is one field with all values.

    Of a list all values count, of a mapping each as a field of its own, `book.year`. A person or a thing that is a
    mapping with a name is that name, too. What `authors` says counts for `author`, too. Truth is the text "true" or
    "false". The title is left out. There are at most 60 fields with 20,000 characters together, the first ones.
    """
    values: dict[str, list[Value]] = {}
    spellings: dict[str, str] = {}
    characters = 0
    for name, value in _flat(found, prefix="", depth=0):
        key = folded(name)
        if not key or key == _TITLE or len(name) > _MAX_NAME_LENGTH:
            continue
        characters += len(value) if isinstance(value, str) else 1
        if characters > _MAX_CHARACTERS or (key not in values and len(values) == _MAX_FIELDS):
            break
        known = values.setdefault(key, [])
        spellings.setdefault(key, name)
        if len(known) < _MAX_VALUES and value not in known:
            known.append(value)
    return tuple(Field(spellings[key], tuple(of_field)) for key, of_field in values.items())


def common_field(name: str, text: str) -> tuple[str, object]:
    """Return a property of a file under the name that all formats share: `author`, `date`, `changed`, `keywords`.

    Its dates are in ISO 8601, keywords are a list, and so are authors with semicolons between them.
    """
    name = _COMMON_NAMES.get(name, name)
    if name in _DATES:
        return name, iso_date(text)
    if name == "keywords":
        return name, separated(text)
    return name, text.split(";") if name == "author" else text


def iso_date(text: str) -> str:
    """Return a date as ISO 8601 if it is one of mail, of a PDF or with slashes; any other text as it is."""
    text = text.strip()
    if match := _PDF_DATE.fullmatch(text):
        year, month, day, hour, minute, second, zone, zone_minute = match.groups()
        written = "-".join(part for part in (year, month, day) if part)
        if hour and day:
            offset = "" if not zone else "Z" if zone == "Z" else f"{zone}:{zone_minute or '00'}"
            written += f"T{hour}:{minute or '00'}:{second or '00'}{offset}"
        return written
    if match := _SLASHED.fullmatch(text):
        year, month, day = match.groups()
        return f"{year}-{int(month):02}-{int(day):02}"
    if ":" in text and not text[:4].isdigit():
        try:
            return parsedate_to_datetime(text[:_MAX_NAME_LENGTH]).isoformat()
        except (ValueError, TypeError, IndexError, OverflowError):
            return text
    return text


def separated(text: str) -> list[str]:
    """Return the parts of a text that has semicolons or else commas between them, such as keywords."""
    return [part.strip() for part in text.split(";" if ";" in text else ",") if part.strip()]


def _flat(found: Iterable[tuple[str, object]], *, prefix: str, depth: int) -> Iterator[tuple[str, Value]]:
    for name, value in found:
        path = f"{prefix}{_line(str(name))}"
        for single in _values(value, depth=depth):
            if isinstance(single, Mapping):
                inner = [(str(key), each) for key, each in single.items()]
                names = (of_key for key, of_key in inner if key == "name")
                yield from ((each_path, each) for name in names for each in _plain(name) for each_path in _names(path))
                if depth < _MAX_DEPTH:
                    yield from _flat(inner, prefix=f"{path}.", depth=depth + 1)
            else:
                yield from ((each_path, each) for each in _plain(single) for each_path in _names(path))


def _names(path: str) -> tuple[str, ...]:
    """Return the names of the field at a path."""
    return (path, "author") if folded(path) == "authors" else (path,)


def _values(value: object, *, depth: int) -> Iterator[object]:
    """Yield a value, or those of a list and of lists in it."""
    if isinstance(value, list | tuple | set | frozenset):
        for each in value if depth < _MAX_DEPTH else ():
            yield from _values(each, depth=depth + 1)
    else:
        yield value


def _plain(value: object) -> Iterator[Value]:
    """Yield a value as a condition compares it; nothing for one that is empty."""
    if isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, int):
        if abs(value) <= _MAX_INTEGER:
            yield value
    elif isinstance(value, float):
        if math.isfinite(value):
            yield value
    elif isinstance(value, date | datetime | time):
        yield value.isoformat()
    elif isinstance(value, str) and (line := _line(value)[:_MAX_VALUE_LENGTH].rstrip()):
        yield line


def _line(text: str) -> str:
    valid = text[: 4 * _MAX_VALUE_LENGTH].encode("utf-8", "replace").decode("utf-8")
    return " ".join(without_invisible(valid).replace("\0", " ").split())
