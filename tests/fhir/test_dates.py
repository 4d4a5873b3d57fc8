"""Dates as spans of microseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir import dates

SHANGHAI = ZoneInfo("Asia/Shanghai")


def spoken(text: str) -> tuple[str, str]:
    return tuple(datetime.fromtimestamp(each // 1_000_000, UTC).isoformat() for each in dates.interval(text, SHANGHAI))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", "2025-12-31T16:00:00+00:00", "2026-12-31T15:59:59+00:00"),
        ("2026-02", "2026-01-31T16:00:00+00:00", "2026-02-28T15:59:59+00:00"),
        ("2026-12", "2026-11-30T16:00:00+00:00", "2026-12-31T15:59:59+00:00"),
        ("2024-02-29", "2024-02-28T16:00:00+00:00", "2024-02-29T15:59:59+00:00"),
        ("1988-04-17", "1988-04-16T16:00:00+00:00", "1988-04-17T14:59:59+00:00"),  # the summer time of 1988 begins
        ("2026-03-14T11:05:00+08:00", "2026-03-14T03:05:00+00:00", "2026-03-14T03:05:00+00:00"),
        ("2026-03-14T03:05:00Z", "2026-03-14T03:05:00+00:00", "2026-03-14T03:05:00+00:00"),
        ("2026-03-14T11:05:00", "2026-03-14T03:05:00+00:00", "2026-03-14T03:05:00+00:00"),  # no offset: the zone
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00", "2017-01-01T00:00:00+00:00"),
    ],
)
def test_interval(text: str, low: str, high: str) -> None:
    assert spoken(text) == (low, high)


@pytest.mark.parametrize(
    ("fraction", "width"), [("", 10**6), (".1", 10**5), (".120", 1000), (".123456", 1), (".1234567", 1)]
)
def test_precision_is_the_width(fraction: str, width: int) -> None:
    low, high = dates.interval(f"2026-03-14T11:05:00{fraction}+08:00", SHANGHAI)
    assert high - low == width - 1


def test_the_edges_of_the_calendar() -> None:
    assert dates.interval("9999", UTC)[1] == dates.interval("9999-12-31", UTC)[1] == dates.END
    assert dates.interval("0001", UTC)[0] == dates.BEGINNING
    assert dates.interval("0001-01-01", SHANGHAI)[0] < dates.BEGINNING


@given(st.dates())
def test_days_follow_each_other_without_gap(day: object) -> None:
    low, high = dates.interval(str(day), UTC)
    assert high - low == 86_400 * 10**6 - 1
    month = dates.interval(str(day)[:7], UTC)
    assert month[0] <= low <= high <= month[1]


def test_what_is_no_date() -> None:
    for text in ("", "abcd", "2026-02-30", "2026-03-14Tx"):
        with pytest.raises(ValueError):  # noqa: PT011 - the promise is just that
            dates.interval(text, UTC)
