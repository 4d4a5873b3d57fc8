"""FHIR date, dateTime and instant as the span they mean: 2026-03 is the whole month (R4 search.html#date)."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta, tzinfo

BEGINNING = -62_135_596_800_000_000  # an open start: the year 1
END = 253_402_300_799_999_999  # an open end: the last microsecond of the year 9999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000


@functools.lru_cache(maxsize=8192)  # the resources of one message share their times
def interval(text: str, zone: tzinfo) -> tuple[int, int]:
    """First and last microsecond since 1970 UTC, both included; without an offset in `zone`. ValueError for no date."""
    length = len(text)
    if length > 10:
        return _moment(text, zone)
    year = int(text[:4])
    if length == 4:
        return _between(datetime(year, 1, 1, tzinfo=zone), year + 1, 1, 1)
    month = int(text[5:7])
    if length == 7:
        return _between(datetime(year, month, 1, tzinfo=zone), year + month // 12, month % 12 + 1, 1)
    start = datetime.fromisoformat(text).replace(tzinfo=zone)
    if text == "9999-12-31":
        return _microseconds(start), END
    following = start.replace(tzinfo=None) + timedelta(days=1)
    return _between(start, following.year, following.month, following.day)


def _between(start: datetime, year: int, month: int, day: int) -> tuple[int, int]:
    end = END + 1 if year > 9999 else _microseconds(datetime(year, month, day, tzinfo=start.tzinfo))
    return _microseconds(start), end - 1


def _moment(text: str, zone: tzinfo) -> tuple[int, int]:
    leap = text[17:19] == "60"  # a leap second counts as the second after :59
    moment = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    low = (moment - _EPOCH) // _MICROSECOND + leap * _SECOND
    if text[19:20] != ".":
        return low, low + _SECOND - 1
    digits = 0
    for character in text[20:26]:
        if not character.isdigit():
            break
        digits += 1
    return low, low + 10 ** (6 - digits) - 1


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
