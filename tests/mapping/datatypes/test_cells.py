"""A day and a time of day in two cells; the two ends of a range."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.mapping.context import Context
from gateway.mapping.datatypes.cells import daytime_back, daytime_into, limits_back, limits_into
from gateway.model import Profile

CONTEXT = Context(profile=Profile(), facility="LIS", control_id="1")


@pytest.mark.parametrize(
    ("day", "clock", "wanted"),
    [
        ("2026-03-12", "07:39:00", "2026-03-12T07:39:00+08:00"),
        ("2026-03-12 00:00:00", "1900-01-01 07:39:00", "2026-03-12T07:39:00+08:00"),
        ("2026-03-12 00:00:00.000", "2026-03-12 07:39:00.000", "2026-03-12T07:39:00+08:00"),
        ("20260312", "0739", "2026-03-12T07:39:00+08:00"),
        ("2026-03-12", "", "2026-03-12"),
        ("2026-03-12", "上午", "2026-03-12"),
        ("2026-03-12", "27:90", "2026-03-12"),
        ("", "07:39:00", None),
        ("1900-01-01", "07:39:00", None),
    ],
)
def test_a_day_and_its_time(day: str, clock: str, wanted: str | None) -> None:
    assert daytime_into(day, clock, CONTEXT) == wanted


def test_a_day_and_its_time_come_back() -> None:
    assert daytime_back("2026-03-12T07:39:00+08:00", CONTEXT) == ("2026-03-12", "07:39:00")
    assert daytime_back("2026-03-12", CONTEXT) == ("2026-03-12", "")


def test_two_limits_are_one_range() -> None:
    made = limits_into("3.50", "3.50", "5.30", "mmol/L", CONTEXT)
    assert made is not None
    assert (made["low"]["value"], made["high"]["value"]) == (Decimal("3.50"), Decimal("5.30"))
    assert made["low"]["unit"] == "mmol/L"
    assert limits_back(made, CONTEXT) == ("", "3.50", "5.30", "mmol/L")


def test_one_limit_is_enough_and_words_stay_words() -> None:
    assert limits_into("", "", "5.2", "", CONTEXT) == {"high": {"value": Decimal("5.2")}}
    assert limits_into("", "阴性", "", "", CONTEXT) == {"text": "阴性"}
    assert limits_into("", "", "", "", CONTEXT) is None
