"""Cells of text → values in the type of a database column. Nothing is cut, rounded or guessed: misfits are told.

An error names the column and what is wanted, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy

from gateway.errors import Permanent

_MOMENT: Final = re.compile(r"(\d{4})[-/]?(\d\d)[-/]?(\d\d)(?:[ T]?(\d\d):?(\d\d)(?::?(\d\d))?)?")
_TRUE: Final = frozenset({"1", "true", "t", "y", "yes", "是"})
_FALSE: Final = frozenset({"0", "false", "f", "n", "no", "否"})


def value(text: str, type_: Any, *, nullable: bool, place: str) -> Any:
    """The value of a cell; an empty one is NULL, or an empty text where there may be none. Raises Permanent."""
    if not text:
        return "" if not nullable and isinstance(type_, sqlalchemy.String) else None
    for kind, (wanted, read) in _KINDS.items():
        if isinstance(type_, kind):
            found = read(text, type_)
            if found is None:
                raise Permanent(f"a value is no {wanted}", place=place, remedy=_REMEDY, code="102")
            return found
    return text


_REMEDY: Final = "mend the map or its code table, or let the receiver widen the column; then replay"


def _text(text: str, type_: Any) -> str | None:
    return text if type_.length is None or len(text) <= type_.length else None


def _whole(text: str, _: Any) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None


def _decimal(text: str, type_: Any) -> Decimal | None:
    """All digits are kept, or it does not fit."""
    if not re.fullmatch(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", text):
        return None
    found = Decimal(text)
    fraction = text.partition(".")[2].rstrip("0")
    return None if type_.scale is not None and len(fraction) > type_.scale else found


def _floating(text: str, _: Any) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", text) else None


def _boolean(text: str, _: Any) -> bool | None:
    low = text.lower()
    return True if low in _TRUE else False if low in _FALSE else None


def _moment(text: str, _: Any) -> datetime | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(each or 0) for each in found.groups())
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  as naive as the column
    except ValueError:
        return None


def _day(text: str, type_: Any) -> date | None:
    """A day alone: the clock of a moment would be lost."""
    found = _moment(text, type_)
    return found.date() if found is not None and (found.hour, found.minute, found.second) == (0, 0, 0) else None


_KINDS: Final[dict[type, tuple[str, Callable[[str, Any], Any]]]] = {
    sqlalchemy.Boolean: ("yes or no", _boolean),
    sqlalchemy.Integer: ("whole number", _whole),
    sqlalchemy.Float: ("number", _floating),
    sqlalchemy.Numeric: ("number with so many digits", _decimal),
    sqlalchemy.DateTime: ("date with a time", _moment),
    sqlalchemy.Date: ("day", _day),
    sqlalchemy.String: ("text that is so short", _text),
}
