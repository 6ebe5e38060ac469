"""Recognize numbers however their digits are grouped: 1,234,567.5 and 1.234.567,5 are 1234567.5; and powers: 10^14.

A comma or a period before three digits may group them or begin decimals, and figures in a row may be a list. So the
parts of a number in a document can be found, too.
"""

from __future__ import annotations

import re

from echo_index.indexer.text.letters import basic_letters

_COMMA, _PERIOD, _APOSTROPHE = "[,٬]", "[.٫]", "['’]"
_START = r"(?<![\w.,]\d)"  # after the first digit: a pattern that begins with a digit is searched faster
_NOT_ZERO = "(?<![0٠۰])"
_END = r"(?!\w|[.,'’٫٬]\w)"
_GROUPS = (
    rf"{_NOT_ZERO}\d{{0,2}}(?:"
    rf"(?:{_COMMA}\d{{2,3}}){{0,6}}{_COMMA}\d{{3}}(?:{_PERIOD}\d+)?"  # 1,234,567.8, and 12,34,567 in India
    rf"|(?:{_APOSTROPHE}\d{{3}}){{1,6}}(?:[.,]\d+)?"  # 1'234'567.8
    rf"|(?:\.\d{{3}}){{1,6}},\d+"  # 1.234.567,8
    rf"){_END}"
)
_SPACED = rf"{_NOT_ZERO}\d{{0,2}}(?: \d{{3}}){{2,4}}(?:[.,]\d+)?(?! \d{{3}}(?!\w)){_END}"  # 1 234 567
_DECIMAL = rf"\d*[,٫]\d+{_END}"  # 3,5
_POWER = r"\d*(?:\.\d+)?\^(?:[-−]?\d+|\{[-−]?\d+\})(?!\w)"  # 10^14, and 10^{14} in LaTeX
NUMBER = rf"\d{_START}(?:{_GROUPS}|{_SPACED}|{_DECIMAL}|{_POWER})"
"""A number that is one word, for a regular expression: with groups, with a decimal comma, or a power."""

_IS_NUMBER = re.compile(NUMBER)
_GROUPED = re.compile(rf"\d{_START}{_GROUPS}")
_SPACED_NUMBER = re.compile(rf"\d{_SPACED}")
_DOTTED_GROUPS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3}){1,2}")
_DIGITS = re.compile(r"\d+")
_SEPARATOR = re.compile(r"\D")


def is_number(word: str) -> bool:
    """Return whether a word is a number with groups, with a decimal comma, or a power."""
    return bool(_IS_NUMBER.fullmatch(word))


def is_grouped(word: str) -> bool:
    """Return whether a word is a number whose digits are certainly in groups."""
    return bool(_GROUPED.fullmatch(word))


def plain_number(word: str) -> str:
    """Return a number as a program writes it: `1234567.5`, `10^14`."""
    if "^" in word:
        return basic_letters(re.sub(r"[{}]", "", word).replace("−", "-"))
    digits = _DIGITS.findall(basic_letters(word))
    return f"{''.join(digits[:-1])}.{digits[-1]}" if _has_decimals(word) else "".join(digits)


def number_terms(word: str) -> list[str]:
    """Return the terms of a number: the whole, then its parts."""
    number = plain_number(word)
    whole = [number.partition(".")[0]] if "." in number and "^" not in number else []
    return list(dict.fromkeys([number, *whole, *_DIGITS.findall(basic_letters(word))]))


def dotted_number(word: str) -> str | None:
    """Return the number without periods that 1.234 or 1.234.567 may be; None if it cannot be one."""
    return word.replace(".", "") if _DOTTED_GROUPS.fullmatch(word) else None


def ungroup_numbers(text: str) -> str:
    """Return a text with each number in groups as a plain one."""
    return _GROUPED.sub(lambda number: plain_number(number[0]), text)


def _has_decimals(word: str) -> bool:
    """Return whether the last separator of a number begins its decimals: another one than groups its digits."""
    if not (_GROUPED.fullmatch(word) or _SPACED_NUMBER.fullmatch(word)):
        return True
    separators = _SEPARATOR.findall(word.replace("’", "'"))
    return bool(separators[0] != separators[-1])
