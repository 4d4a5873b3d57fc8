"""The watermark of a view: the column that grows with every row that is written or changed, a time or a number.

Everything up to a position was taken. A look begins a little before it (the overlap): a row that was written with an
older time, or committed late, is found there. A position never lies in the future: one row with a wrong clock would
hide all that come after it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.errors import Configuration

Mark = int | float | Decimal | str | bytes | datetime | date

_FORMS: Final[Mapping[str, str]] = {  # how a text tells a time, and how that is written
    r"\d{8}\d\d:\d\d:\d\d": "%Y%m%d%H:%M:%S",  # char(16) of the older Chinese systems
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": "%Y-%m-%d %H:%M:%S",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d": "%Y-%m-%dT%H:%M:%S",
    r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d": "%Y/%m/%d %H:%M:%S",
    r"\d{4}-\d\d-\d\d \d\d:\d\d": "%Y-%m-%d %H:%M",
    r"\d{14}": "%Y%m%d%H%M%S",
    r"\d{8}": "%Y%m%d",
    r"\d{4}-\d\d-\d\d": "%Y-%m-%d",
    r"\d{4}/\d\d/\d\d": "%Y/%m/%d",
}
_FRACTION: Final = re.compile(r"\.\d{1,9}")


def written(mark: Mark) -> str:
    """A position as text that keeps its type."""
    match mark:
        case datetime():
            return f"datetime {mark.isoformat()}"
        case date():
            return f"date {mark.isoformat()}"
        case bytes():
            return f"bytes {mark.hex()}"
        case _:
            return f"{type(mark).__name__} {mark}"


def read(text: str) -> Mark:
    """What `written` wrote."""
    kind, _, value = text.partition(" ")
    of: Mapping[str, Any] = {
        "datetime": datetime.fromisoformat, "date": date.fromisoformat, "bytes": bytes.fromhex, "int": int,
        "float": float, "Decimal": Decimal, "str": str,
    }  # fmt: skip
    mark: Mark = of[kind](value)
    return mark


def plain(value: Any, place: str) -> Mark:
    """A watermark as a driver gives it. Raises Configuration for a column that cannot be one."""
    if isinstance(value, memoryview | bytearray):
        value = bytes(value)
    if isinstance(value, str):
        _form(value, place)
    if isinstance(value, bool) or not isinstance(value, Mark):
        raise _none(place)
    return value


def earlier(mark: Mark, overlap: int, place: str) -> Mark:
    """The position less the overlap: seconds of a time, steps of a number."""
    match mark:
        case datetime():
            return mark - timedelta(seconds=overlap)
        case date():
            return mark - timedelta(days=math.ceil(overlap / 86400))
        case bytes():  # rowversion of SQL Server
            return max(int.from_bytes(mark) - overlap, 0).to_bytes(len(mark))
        case str():
            form = _form(mark, place)
            moment = _moment(mark, form) - timedelta(seconds=overlap)
            return _like(mark, moment, form)
        case _:
            return mark - overlap


def no_later(mark: Mark, now: datetime, zone: str, place: str) -> Mark:
    """The position, or now where it lies in the future; times without an offset are those of the member's zone."""
    local = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    match mark:
        case datetime():
            return min(mark, now if mark.tzinfo else local)
        case date():
            return min(mark, local.date())
        case str():
            form = _form(mark, place)
            return mark if _moment(mark, form) <= local else _like(mark, local, form)
        case _:
            return mark


def further(mark: Mark, before: Mark | None) -> Mark:
    """The greater of both; a column that has another type now begins anew."""
    if before is None or type(before) is not type(mark) or (isinstance(mark, str) and len(mark) != len(str(before))):
        return mark
    return max(mark, before)


def _form(text: str, place: str) -> str:
    bare = _FRACTION.sub("", text.rstrip())
    found = next((form for pattern, form in _FORMS.items() if re.fullmatch(pattern, bare)), "")
    if not found:
        raise _none(place)
    return found


def _moment(text: str, form: str) -> datetime:
    return datetime.strptime(_FRACTION.sub("", text.rstrip()), form)  # noqa: DTZ007  as naive as the text


def _like(text: str, moment: datetime, form: str) -> str:
    """Written as the text is: a fraction (of zeros) where it has one, as much padding."""
    fraction = _FRACTION.search(text)
    told = moment.strftime(form) + ("." + "0" * (len(fraction[0]) - 1) if fraction else "")
    return told.ljust(len(text))


def _none(place: str) -> Configuration:
    remedy = "name a column with a time or a growing number, or let the member's view make one"
    return Configuration("the watermark is neither a time nor a number", place=place, remedy=remedy)
