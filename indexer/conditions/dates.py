"""Read dates that a person or a file writes: ISO dates, parts of them, and a few words relative to today."""

from __future__ import annotations

import re
import time
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from echo_index.errors import FilterError

DATE_FORMS = "2024, 2024-05, 2024-05-17, 2024-05-17T10:30, today, yesterday or 7 days"
"""What a person may write, for messages."""

_ISO = re.compile(
    r"(?P<year>[1-9]\d{3})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?\s?(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?)?)?",
    re.IGNORECASE | re.ASCII,
)
_AGO = re.compile(r"(?P<count>\d{1,4})\s+(?P<unit>hour|day|week|month|year)s?(?:\s+ago)?", re.IGNORECASE | re.ASCII)
_LONGEST = 40  # characters of a date
_MONTHS = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Period:
    """The time that a date means, as nanoseconds since 1970: from `start` until before `end`; a whole day for a day."""

    start: int
    end: int


def parse_date(text: str, *, now: datetime | None = None) -> Period:
    """Return the period that a person means, in the time zone of this machine unless another one is given.

    `now` is what "yesterday" and "7 days" are relative to; the default is the current time. These, and weeks, months
    and years, mean the whole day; hours mean an instant.

    Raises:
        FilterError: the text is no date.
    """
    period = find_date(text, now=now)
    if period is None:
        raise FilterError(f"{text.strip() or repr(text)} is no date.", remedy=f"Write it like {DATE_FORMS}.")
    return period


def find_date(text: str, *, now: datetime | None = None) -> Period | None:
    """Return the period that a person means, as `parse_date` does, or None if the text is no date."""
    return iso_period(text) or _relative_period(text, now or datetime.now().astimezone())


def iso_period(text: str) -> Period | None:
    """Return the period of an ISO 8601 date, or of its year or month, or None if the text is none."""
    if len(text) > _LONGEST or not (match := _ISO.fullmatch(text.strip())):
        return None
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    try:
        if match["hour"]:
            moment = datetime(year, month, day, int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
            fraction = int((match["fraction"] or "").ljust(9, "0"))
            start = _nanoseconds(moment, match["zone"]) + fraction
            return Period(start, start + 1)
        first = datetime(year, month, day)
        if match["day"]:
            after = first + timedelta(days=1)
        elif match["month"]:
            after = _months_later(first, 1)
        else:
            after = _months_later(first, _MONTHS)
        return Period(_nanoseconds(first), _nanoseconds(after))
    except (ValueError, OverflowError):  # there is no such day, or it is the last of all
        return None


def _relative_period(text: str, now: datetime) -> Period | None:
    word = " ".join(text[:_LONGEST].lower().split())
    if word in ("today", "yesterday"):
        return _day(now - timedelta(days=word == "yesterday"))
    match = _AGO.fullmatch(word)
    if match is None:
        return None
    count, unit = int(match["count"]), match["unit"]
    try:
        if unit == "hour":
            moment = now - timedelta(hours=count)
            start = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
            return Period(start, start + 1)
        if unit in ("day", "week"):
            return _day(now - timedelta(days=count * (7 if unit == "week" else 1)))
        return _day(_months_later(now, -count * (_MONTHS if unit == "year" else 1)))
    except (ValueError, OverflowError):  # before the year 1
        return None


def _day(moment: datetime) -> Period:
    first = datetime(moment.year, moment.month, moment.day)
    return Period(_nanoseconds(first), _nanoseconds(first + timedelta(days=1)))


def _months_later(day: datetime, months: int) -> datetime:
    """Return the same day of a later month, or its last day if it has no such day."""
    year, month = divmod(day.year * _MONTHS + day.month - 1 + months, _MONTHS)
    last = monthrange(year, month + 1)[1]
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


def _nanoseconds(moment: datetime, zone: str | None = None) -> int:
    """Return a moment without a time zone as nanoseconds since 1970; `zone` is Z, +02:00 or None for the local one."""
    if zone is None:
        try:
            aware = moment.astimezone()
        except (OSError, OverflowError):  # some systems know their time zone only from 1970 on
            aware = moment.replace(tzinfo=timezone(timedelta(seconds=-time.timezone)))
    else:
        digits = zone[1:].replace(":", "").ljust(4, "0")
        minutes = 0 if zone in "Zz" else int(f"{zone[0]}1") * (int(digits[:2]) * 60 + int(digits[2:]))
        aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000
