"""Conditions on the fields of a document as a tree, and whether a document meets one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any, Literal
from unicodedata import normalize

from echo_index.indexer.conditions.dates import Period, iso_period

Value = str | int | float
"""A value of a field: a number, or a text, which may be a date in ISO 8601."""

Fields = Mapping[str, Sequence[Value]]
"""The values of each field of a document, by the folded name of the field, see `folded`."""

Order = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Operand:
    """What a field is compared with: a text, and what it is as a number and as a date, if it is one.

    A text in quotation marks is not compared as a number with a text: "1.1" is another version than "1.10".
    """

    text: str
    number: float | None = None
    period: Period | None = None
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Equals:
    """A value of the field is the operand. Case counts for nothing, and a month or a year is each of its days."""

    field: str
    operand: Operand


@dataclass(frozen=True, slots=True)
class Compares:
    """A value of the field is before or after the operand: as a number, as a date, or as a text in its order."""

    field: str
    order: Order
    operand: Operand


@dataclass(frozen=True, slots=True)
class Contains:
    """A value of the field has this text in it. Case counts for nothing."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition is not met."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of the conditions is met."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the conditions is met."""

    conditions: tuple[Condition, ...]


Condition = Equals | Compares | Contains | Exists | Not | AllOf | AnyOf

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_NUMBER = re.compile(r"[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,3})?", re.ASCII)


def matches(condition: Condition, fields: Fields) -> bool:
    """Return whether a document with these fields meets a condition.

    A field without values meets no comparison, so that `not` of any is met. One with several meets it if one of them
    does.
    """
    match condition:
        case Equals(field, operand):
            return any(_is_equal(value, operand) for value in fields.get(field, ()))
        case Compares(field, order, operand):
            return any(_is_ordered(value, order, operand) for value in fields.get(field, ()))
        case Contains(field, text):
            return any(folded(text) in folded(str(value)) for value in fields.get(field, ()))
        case Exists(field):
            return bool(fields.get(field))
        case Not(inner):
            return not matches(inner, fields)
        case AllOf(parts):
            return all(matches(part, fields) for part in parts)
        case AnyOf(parts):
            return any(matches(part, fields) for part in parts)


def fields_of(condition: Condition) -> Iterator[str]:
    """Yield the names of the fields that a condition asks for, in its order."""
    match condition:
        case Not(inner):
            yield from fields_of(inner)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from fields_of(part)
        case _:
            yield condition.field


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """Return a text as it is compared: without differences of case, of white space and of Unicode forms."""
    return " ".join(normalize("NFC", text).casefold().split())


def number_of(text: str) -> float | None:
    """Return the number that a text is, or None."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _is_equal(value: Value, operand: Operand) -> bool:
    number = value if isinstance(value, int | float) else None if operand.is_quoted else number_of(value)
    if number is not None and operand.number is not None:
        return number == operand.number
    text = str(value)
    if operand.period and (period := iso_period(text)):
        return operand.period.start <= period.start < operand.period.end
    return folded(text) == folded(operand.text)


def _is_ordered(value: Value, order: Order, operand: Operand) -> bool:
    text = str(value)
    number = value if isinstance(value, int | float) else number_of(text)
    if number is not None and operand.number is not None:
        return _ORDERS[order](number, operand.number)
    if operand.period and (period := iso_period(text)):
        # After a month is after its last day; from a month on is from its first day on.
        limit = operand.period.start if order in ("<", ">=") else operand.period.end
        return period.start < limit if order in ("<", "<=") else period.start >= limit
    if operand.number is not None or operand.period or number is not None:
        return False
    return _ORDERS[order](folded(text), folded(operand.text))
