"""Dates of filters: ISO dates and their parts, words relative to today, and the local time zone."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_index.errors import FilterError
from echo_index.indexer.conditions.dates import Period, find_date, iso_period, parse_date

NOW = datetime(2024, 3, 31, 15, 30).astimezone()


def nanoseconds(*date: int, zone: timezone | None = None) -> int:
    moment = datetime(*date, tzinfo=zone) if zone else datetime(*date).astimezone()  # type: ignore[misc, arg-type]
    return round(moment.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("2024-05", (2024, 5, 1), (2024, 6, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
        (" 2024-05-17 ", (2024, 5, 17), (2024, 5, 18)),
        ("today", (2024, 3, 31), (2024, 4, 1)),
        ("Yesterday", (2024, 3, 30), (2024, 3, 31)),
        ("7 days", (2024, 3, 24), (2024, 3, 25)),
        ("1 week ago", (2024, 3, 24), (2024, 3, 25)),
        ("1 month", (2024, 2, 29), (2024, 3, 1)),
        ("2  years", (2022, 3, 31), (2022, 4, 1)),
    ],
)
def test_a_date_means_the_whole_day_month_or_year(text: str, first: tuple[int, ...], after: tuple[int, ...]) -> None:
    assert parse_date(text, now=NOW) == Period(nanoseconds(*first), nanoseconds(*after))


def test_a_time_means_an_instant_in_its_time_zone_or_the_local_one() -> None:
    assert parse_date("2024-05-17T10:30").start == nanoseconds(2024, 5, 17, 10, 30)
    assert parse_date("2024-05-17 10:30:15").start == nanoseconds(2024, 5, 17, 10, 30, 15)
    in_utc = nanoseconds(2024, 5, 17, 10, 30, zone=timezone.utc)
    for text in ("2024-05-17T10:30Z", "2024-05-17t12:30+02:00", "2024-05-17T12:30:00+0200", "2024-05-17T05:30-05"):
        assert parse_date(text) == Period(in_utc, in_utc + 1)
    assert parse_date("2024-05-17T10:30:00.25Z").start == in_utc + 250_000_000
    assert parse_date("36 hours", now=NOW).start == round((NOW - timedelta(hours=36)).timestamp()) * 10**9


def test_days_are_those_of_the_local_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change its time zone")
    starts = []
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        starts.append(parse_date("2024-05-17").start)
    monkeypatch.undo()
    time.tzset()
    assert starts[0] - starts[1] == 9 * 3600 * 10**9


@pytest.mark.parametrize(
    "text",
    ["2024-13", "2023-02-29", "17.5.2024", "24", "0000", "2024-5-1", "next week", "days", "2024-05-17T25:00", "٢٠٢٤"],
)
def test_what_is_no_date_is_an_error_that_shows_it(text: str) -> None:
    assert find_date(text) is None
    with pytest.raises(FilterError, match="is no date") as error:
        parse_date(text)
    assert text in error.value.message
    assert "2024-05-17" in error.value.remedy


def test_dates_far_away_are_dates() -> None:
    assert find_date("9999") is None, "its end cannot be told"
    assert parse_date("1000").start < parse_date("9998-12-31").start
    assert find_date("9999 years", now=NOW) is None


@given(st.text(max_size=50) | st.from_regex(r"\d{1,5}(-\d{1,3}){0,3}[T ]?(\d\d:?){0,4}[Z+-]?\d{0,5}", fullmatch=True))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = find_date(text)
    assert found is None or found.start < found.end
    assert iso_period(text) in (None, found)
