"""Write the values of cells as a person sees them, and tell names of columns from values."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from echo_index.indexer.documents.readers.invisible import without_invisible

CellValue = int | float | str | bool | time | date | datetime | timedelta

_DIGITS = 15  # that programs for spreadsheets show at most
_MAX_EXPONENT = 20  # of a number that is written out
_YEAR = re.compile(r"(?:1[89]|20)\d\d")
_NUMBER_WITH_LETTER = re.compile(r"[-+]?\d+(?:[.,]\d+)?[eE][-+]?\d+")
_NO_NAMES = {"TRUE", "FALSE", "NA", "N/A", "NAN", "NULL"}


def cell_text(value: CellValue) -> str:
    """Return the text of a value, on one line and without bars that would end the cell."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime):
        rounded = _rounded(value)
        moment = _clock(rounded.hour, rounded.minute, rounded.second)
        return rounded.date().isoformat() if moment == "00:00" else f"{rounded.date().isoformat()} {moment}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return _clock(value.hour, value.minute, value.second)
    seconds = round(value.total_seconds())
    sign = "-" if seconds < 0 else ""
    return sign + _clock(abs(seconds) // 3600, abs(seconds) // 60 % 60, abs(seconds) % 60)


def one_line(text: str) -> str:
    r"""Return a text on one line, with `\|` for each bar in it."""
    return " ".join(without_invisible(text).split()).replace("|", "\\|")


def is_name(text: str) -> bool:
    """Return whether a text may be the name of a column: it has a letter, and is no number or truth value."""
    return any(map(str.isalpha, text)) and not _NUMBER_WITH_LETTER.fullmatch(text) and text.upper() not in _NO_NAMES


def is_year(text: str) -> bool:
    """Return whether a text is a year, which names a column in many tables."""
    return _YEAR.fullmatch(text) is not None


def column_letters(column: int) -> str:
    """Return the letters that programs show above a column, counted from 0: A, B, … Z, AA."""
    letters = ""
    column += 1
    while column:
        column, place = divmod(column - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def _number(value: float) -> str:
    """Return a number without the noise of binary fractions: 0.3 for 0.30000000000000004, 5 for 5.0."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.{_DIGITS}g}"
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > _MAX_EXPONENT:
        return text.upper()
    return "0" if not number else f"{number:f}"


def _rounded(value: datetime) -> datetime:
    """Return a moment to the second. Stored as fractions of a day, moments are a little too early or too late."""
    try:
        return (value + timedelta(microseconds=500_000)).replace(microsecond=0)
    except OverflowError:
        return value


def _clock(hours: int, minutes: int, seconds: int) -> str:
    return f"{hours:02}:{minutes:02}:{seconds:02}" if seconds else f"{hours:02}:{minutes:02}"
