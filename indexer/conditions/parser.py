"""Parse a condition such as `year >= 2024 and (author = "Ng" or tags has history)`.

condition   = and-part { "or" and-part }
and-part    = part { "and" part }
part        = "not" part | "(" condition ")" | comparison
comparison  = field ( sign value | ["not"] "in" list | "has" value | "contains" value | "exists" )
sign        = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
list        = "(" value { "," value } ")" | "[" value { "," value } "]"
field, value = word | text in quotation marks
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from echo_index.errors import ConditionError
from echo_index.indexer.conditions.dates import find_date
from echo_index.indexer.conditions.tokens import Token, condition_error, tokens_of
from echo_index.indexer.conditions.tree import (
    AllOf,
    AnyOf,
    Compares,
    Condition,
    Contains,
    Equals,
    Exists,
    Not,
    Operand,
    Order,
    folded,
    number_of,
)

MAX_LENGTH = 4_000
"""Characters of a condition."""
MAX_DEPTH = 40
"""Conditions inside each other."""

_KEYWORDS = ("and", "or", "not", "in", "has", "contains", "exists")
_EQUAL, _UNEQUAL, _ORDERS = ("=", "=="), ("!=", "<>"), ("<", "<=", ">", ">=")
_COMPARISON = "=, !=, <, <=, >, >=, in, has, contains or exists"
_CLOSING = {"(": ")", "[": "]"}


def parse_condition(text: str, *, now: datetime | None = None) -> Condition:
    """Return the condition that a person wrote.

    `now` is what dates such as "7 days" are relative to; the default is the current time.

    Raises:
        ConditionError: the text is no condition; the error says where, and what was expected there.
    """
    if len(text) > MAX_LENGTH:
        raise condition_error(text, MAX_LENGTH, f"a condition has at most {MAX_LENGTH:,} characters")
    parser = _Parser(text, now)
    condition = parser.alternatives()
    parser.expect_end()
    return condition


class _Parser:
    def __init__(self, text: str, now: datetime | None) -> None:
        self._text, self._now = text, now
        self._tokens = [*tokens_of(text)]
        self._position = 0
        self._depth = 0

    def alternatives(self) -> Condition:
        parts = [self._conjunction()]
        while self._take_word("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def expect_end(self) -> None:
        token = self._token
        if token.kind == "end":
            return
        before = self._tokens[self._position - 1]
        hint = ""
        if before.kind == token.kind == "word" and before.text.lower() not in _KEYWORDS:
            hint = "; a text of several words is written in quotation marks"
        raise self._error(f'expected "and", "or" or the end, not {token.shown}{hint}')

    def _conjunction(self) -> Condition:
        parts = [self._part()]
        while self._take_word("and"):
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _part(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"at most {MAX_DEPTH} conditions may be inside each other")
        try:
            if self._take_word("not"):
                return Not(self._part())
            if self._token.text == "(" and self._token.kind == "sign":
                self._next()
                condition = self.alternatives()
                self._expect_sign(")", 'expected "and", "or" or )')
                return condition
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        field = self._field()
        token = self._token
        if token.kind == "sign":
            if token.text in _EQUAL:
                self._next()
                return Equals(field, self._operand())
            if token.text in _UNEQUAL:
                self._next()
                return Not(Equals(field, self._operand()))
            if token.text in _ORDERS:
                self._next()
                return Compares(field, cast("Order", token.text), self._operand())
        if self._take_word("exists"):
            return Exists(field)
        if self._take_word("has"):
            return Equals(field, self._operand())
        if self._take_word("contains"):
            return Contains(field, self._operand().text)
        if self._take_word("in"):
            return self._membership(field)
        if self._take_word("not"):
            if self._take_word("in"):
                return Not(self._membership(field))
            raise self._error(f'expected "in", not {self._token.shown}')
        raise self._error(f"expected {_COMPARISON} after the field, not {token.shown}")

    def _field(self) -> str:
        token = self._token
        is_keyword = token.kind == "word" and token.text.lower() in _KEYWORDS
        if token.kind not in ("word", "quoted") or is_keyword or not folded(token.text):
            hint = "; write a field with this name in quotation marks" if is_keyword else ""
            raise self._error(f"expected a field such as author, not {token.shown}{hint}")
        self._next()
        return folded(token.text)

    def _membership(self, field: str) -> Condition:
        opening = self._token.text
        if opening not in _CLOSING or self._token.kind != "sign":
            raise self._error(f'expected a list such as (2023, "a text"), not {self._token.shown}')
        self._next()
        operands = [self._operand()]
        while self._token.text == "," and self._token.kind == "sign":
            self._next()
            operands.append(self._operand())
        self._expect_sign(_CLOSING[opening], f"expected a comma or {_CLOSING[opening]}")
        equals = tuple(Equals(field, operand) for operand in operands)
        return equals[0] if len(equals) == 1 else AnyOf(equals)

    def _operand(self) -> Operand:
        token = self._token
        is_keyword = token.kind == "word" and token.text.lower() in _KEYWORDS
        if token.kind not in ("word", "quoted") or is_keyword:
            hint = "; write this word in quotation marks to compare with it" if is_keyword else ""
            raise self._error(f'expected a value such as 2024, 2024-05-17 or "a text", not {token.shown}{hint}')
        self._next()
        period = find_date(token.text, now=self._now)
        return Operand(token.text, number_of(token.text), period, is_quoted=token.kind == "quoted")

    @property
    def _token(self) -> Token:
        return self._tokens[self._position]

    def _next(self) -> None:
        self._position += 1

    def _take_word(self, word: str) -> bool:
        """Go on to the next token if this one is the keyword, and return whether it was."""
        is_it = self._token.kind == "word" and self._token.text.lower() == word
        self._position += is_it
        return is_it

    def _expect_sign(self, sign: str, expected: str) -> None:
        if self._token.kind != "sign" or self._token.text != sign:
            raise self._error(f"{expected}, not {self._token.shown}")
        self._next()

    def _error(self, expected: str) -> ConditionError:
        return condition_error(self._text, self._token.start, expected)
