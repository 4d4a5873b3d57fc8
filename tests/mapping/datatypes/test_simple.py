"""Texts, numbers, yes and no, times."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gateway.mapping.datatypes import load
from gateway.mapping.datatypes.simple import clean, fhir_time, number
from gateway.model import Profile
from tests.mapping.house import context

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026", "2026"),
        ("202603", "2026-03"),
        ("20260312", "2026-03-12"),
        ("2026031214", "2026-03-12T14:00:00+08:00"),
        ("202603121420", "2026-03-12T14:20:00+08:00"),
        ("20260312142005", "2026-03-12T14:20:05+08:00"),
        ("20260312142005.1234", "2026-03-12T14:20:05.1234+08:00"),
        ("20260312142005+0530", "2026-03-12T14:20:05+05:30"),
        ("20260312142005Z", "2026-03-12T14:20:05Z"),
        ("20260312142005-0000", "2026-03-12T14:20:05+00:00"),
        ("20260312240000", "2026-03-13T00:00:00+08:00"),
        ("2026-03-12 07:39:00", "2026-03-12T07:39:00+08:00"),
        ("2026/3/2 7:39", "2026-03-02T07:39:00+08:00"),
        ("2026年3月12日", "2026-03-12"),
        ("2026-3", "2026-03"),
        ("2026.03.12 07:39", "2026-03-12T07:39:00+08:00"),
        ("20260312T142005", "2026-03-12T14:20:05+08:00"),
        ("2026031214:20:05", "2026-03-12T14:20:05+08:00"),  # char(16) as some vendors export it
    ],
)
def test_times_keep_precision_and_offset(raw: str, expected: str) -> None:
    assert fhir_time(raw, SHANGHAI) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "", "0000", "00000000", "00000000000000", "19000101", "00010101", "1900-01-01 00:00:00", "0000-00-00 00:00:00",
        "20260230", "20261301", "2026031225", "20260312246000", "20260312243000", "202603121", "2026111", "２０２６",
        "2026-03-1200", "昨天", "2026-03-1x",
        "99991231", "20260312142005+9900", "１２",
    ],
)  # fmt: skip
def test_no_time_is_made_of_what_is_none(raw: str) -> None:
    assert fhir_time(raw, SHANGHAI) is None


def test_a_time_without_offset_is_in_the_zone_of_the_profile() -> None:
    kathmandu = context(profile=Profile(time_zone="Asia/Kathmandu"))
    assert load()["dtm"].into("202603121420", kathmandu) == "2026-03-12T14:20:00+05:45"
    assert load()["dtm"].back("2026-03-12T14:20:00+08:00", kathmandu) == "20260312120500"
    # 1988: China had summer time
    assert load()["dtm"].into("19880701120000", context()) == "1988-07-01T12:00:00+09:00"


def test_a_time_that_is_none_is_noted_and_a_sentinel_is_not() -> None:
    around = context()
    assert load()["dtm"].into("20260230", around) is None
    assert around.notes == ["a time that is no real time was not carried"]
    quiet = context()
    assert load()["dtm"].into("0000", quiet) is None
    assert quiet.notes == []


def test_an_instant_needs_a_time_of_day_and_a_date_has_none() -> None:
    around = context()
    assert load()["instant"].into("20260312", around) is None
    assert around.notes
    assert load()["instant"].into("202603121420", context()) == "2026-03-12T14:20:00+08:00"
    assert load()["date"].into("20260312235900-0500", context()) == "2026-03-12"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("2026", "2026"),
        ("2026-03", "202603"),
        ("2026-03-12", "20260312"),
        ("2026-03-12T14:20:05+08:00", "20260312142005"),
        ("2026-03-12T06:20:05Z", "20260312142005"),
        ("2026-03-12T14:20:05.123456+08:00", "20260312142005.1234"),
        ("2026-12-31T23:59:59-05:00", "20270101125959"),
    ],
)
def test_times_are_written_by_the_receivers_clock(value: str, written: str) -> None:
    assert load()["dtm"].back(value, context()) == written


@pytest.mark.parametrize(
    ("text", "digits"),
    [("5.20", "5.20"), ("0.10", "0.10"), (" 7 ", "7"), ("-1.5", "-1.5"), (".5", "0.5"), ("5.00E+03", "5.00E+3")],
)
def test_numbers_keep_their_digits(text: str, digits: str) -> None:
    found = number(text)
    assert isinstance(found, Decimal)
    assert str(found) == digits


@pytest.mark.parametrize(
    "text", ["", "1+", "+++", "±", "1:80", "2.8cm", "NaN", "Infinity", "1,5", "1 2", "1e9999", "--1"]
)
def test_no_number_is_made_of_what_is_none(text: str) -> None:
    assert number(text) is None


def test_very_small_numbers_are_written_without_an_exponent() -> None:
    assert load()["number"].back(Decimal("0.00000010"), context()) == "0.00000010"


@pytest.mark.parametrize(
    ("raw", "expected"), [("Y", True), ("n", False), ("是", True), ("0", False), ("NO", False), ("?", None), ("", None)]
)
def test_yes_and_no(raw: str, expected: bool | None) -> None:
    assert load()["yn"].into(raw, context()) is expected


def test_texts_are_unescaped_and_cleaned() -> None:
    around = context()
    assert load()["text"].into("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\.br\\g", around) == "a|b^c&d~e\\f\ng"
    assert load()["text"].into("  \\X0D\\ ", around) is None
    assert load()["text"].back("a|b^c\ng", around) == "a\\F\\b\\S\\c\\.br\\g"
    assert clean("\x00 a\x07b \t") == "ab"
