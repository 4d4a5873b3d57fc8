"""Values of cells as people see them: numbers with their digits, dates and times as `2026-03-02 12:40:00`."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from gateway.codec.table import clean

EXACT: Final = 10**15  # a spreadsheet keeps 15 digits of a number


def shown(cell: Any) -> str:
    """The text of a value as a spreadsheet or a database has it; "" for one that is no text, number or time."""
    match cell:
        case str():
            return clean(cell)
        case bool():
            return "TRUE" if cell else "FALSE"
        case int() | float():
            return _digits(cell)
        case Decimal():
            return str(cell)
        case datetime():
            return _moment(cell)
        case date():
            return cell.isoformat()
        case time():
            return cell.isoformat("seconds")
        case timedelta():
            return str(cell)
        case _:
            return ""


def _digits(number: float) -> str:
    """The digits that a spreadsheet keeps; of a longer whole number they are not all known, and it is not written as if
    they were."""
    if number != number or number in (float("inf"), float("-inf")):
        return ""
    if abs(number) >= EXACT:
        return f"{number:.14E}"
    return str(int(number)) if number == int(number) else repr(float(number))


def _moment(moment: datetime) -> str:
    """Date and time; whole seconds, which a spreadsheet keeps as fractions of a day."""
    if moment.microsecond >= 500_000:
        moment += timedelta(seconds=1)
    moment = moment.replace(microsecond=0)
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat(" ")
