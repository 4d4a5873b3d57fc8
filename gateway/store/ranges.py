"""Criteria that compare ranges: dates, numbers, quantities, with their prefixes (R4 search.html#prefix)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from gateway.db.record import system_number
from gateway.fhir import dates
from gateway.store.clause import Criterion, refused
from gateway.store.columns import NO_DATE, columns
from gateway.store.condition import Condition, of_range
from gateway.store.escapes import plain, split

PREFIXES: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"})

# What a prefix says about a stored range [low, high] and the range that was asked for.
# {low} and {high} are the columns; the values are (from, to) of the search, in the order named.
_RANGES: Final = {
    "eq": ("{low} >= ? AND {high} <= ?", "ft"),
    "ne": ("NOT ({low} >= ? AND {high} <= ?)", "ft"),
    "gt": ("{high} > ?", "t"),
    "lt": ("{low} < ?", "f"),
    "ge": ("({high} > ? OR ({low} >= ? AND {high} <= ?))", "tft"),
    "le": ("({low} < ? OR ({low} >= ? AND {high} <= ?))", "fft"),
    "sa": ("{low} > ?", "t"),
    "eb": ("{high} < ?", "f"),
    "ap": ("{low} <= ? AND {high} >= ?", "tf"),
}
_EXACT: Final = frozenset({"gt", "lt", "ge", "le", "sa", "eb"})  # these compare with the number itself
_DATE: Final = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?")
_NUMBER: Final = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?")


def prefixed(text: str) -> tuple[str, str]:
    """('ge', '2026-01') of 'ge2026-01'; 'eq' when there is none."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def ranged(prefix: str, low: str, high: str, start: float, end: float) -> tuple[str, tuple[float, ...]]:
    """The comparison of a stored range with the asked one."""
    template, order = _RANGES[prefix]
    return template.format(low=low, high=high), tuple(start if letter == "f" else end for letter in order)


# ------------------------------------------------------------------------------------------------ date


def date(criterion: Criterion, text: str) -> Condition:
    """A date or time, as precise as it is written."""
    prefix, value = prefixed(text)
    start, end = _span(criterion, value.replace(" ", "+"))
    name = criterion.parameter.name
    if criterion.half:
        where, values = ranged(prefix, "low", "high", start, end)
    elif name == "_lastUpdated":
        where, values = ranged(prefix, "r.updated * 1000", "r.updated * 1000 + 999", start, end)
        return _with_bounds(where, values, "r.updated", prefix, start // 1000, -(-end // 1000))
    elif name == columns(criterion.type).date:
        where, values = ranged(prefix, "r.date", "r.until", start, end)
        return _with_bounds(f"(r.date <> {NO_DATE} AND {where})", values, "r.date", prefix, start, end)
    else:
        where, values = ranged(prefix, "low", "high", start, end)
    return of_range("index_date", f"{criterion.rows} AND {where}", (*criterion.row_values, *values), 4)


def _span(criterion: Criterion, text: str) -> tuple[int, int]:
    """First and last microsecond that the text means; a time may end with its minutes (R4 search.html#date)."""
    try:
        if not _DATE.fullmatch(text) or not text.isascii():
            raise ValueError
        if text[10:11] == "T" and text[16:17] != ":":
            start, _ = dates.interval(f"{text[:16]}:00{text[16:]}", criterion.zone)
            return start, start + 60_000_000 - 1
        return dates.interval(text, criterion.zone)
    except (ValueError, OverflowError):
        raise refused(criterion, "not a date", "write YYYY, YYYY-MM, YYYY-MM-DD or a time with its offset") from None


def _with_bounds(where: str, values: tuple[float, ...], column: str, prefix: str, start: int, end: int) -> Condition:
    """The same, with a bound on the indexed column where the prefix implies one."""
    if prefix == "eq":
        return Condition(f"({column} BETWEEN ? AND ? AND {where})", (start, end, *values), rank=4)
    if prefix in ("lt", "le", "eb", "ap"):
        return Condition(f"({column} <= ? AND {where})", (end, *values), rank=4)
    if prefix == "sa" or (prefix in ("gt", "ge") and column == "r.updated"):
        return Condition(f"({column} >= ? AND {where})", (start, *values), rank=4)
    return Condition(where, values, rank=4)


# ------------------------------------------------------------------------------------------------ number, quantity


def _numeric(criterion: Criterion, text: str, low: str = "low", high: str = "high") -> tuple[str, tuple[float, ...]]:
    """5.4 means [5.35, 5.45), 100 means [99.5, 100.5): half a unit of the last digit (R4 search.html#number)."""
    prefix, digits = prefixed(text)
    if not _NUMBER.fullmatch(digits) or not digits.isascii():
        raise refused(criterion, "not a number")
    value = Decimal(digits)
    if prefix in _EXACT:
        return ranged(prefix, low, high, float(value), float(value))
    exponent = value.as_tuple().exponent
    half = Decimal((0, (5,), int(exponent) - 1))
    if prefix == "ap":  # a tenth of the value, and at least what its digits mean
        half = max(half, abs(value) / 10)
        return ranged(prefix, low, high, float(value - half), float(value + half))
    where = f"{low} >= ? AND {high} < ?"
    bounds = (float(value - half), float(value + half))
    return (f"NOT ({where})" if prefix == "ne" else where), bounds


def number(criterion: Criterion, text: str) -> Condition:
    """A number."""
    where, values = _numeric(criterion, text)
    return of_range("index_number", f"{criterion.rows} AND {where}", (*criterion.row_values, *values), 4)


def begins_and_ends(criterion: Criterion, first: str, last: str) -> Condition:
    """Two numbers of one element, kept as one range: where something begins and where it ends."""
    one, values = _numeric(criterion, first, "low", "low")
    other, more = _numeric(criterion, last, "high", "high")
    return of_range(
        "index_number", f"{criterion.rows} AND {one} AND {other}", (*criterion.row_values, *values, *more), 4
    )


def quantity(criterion: Criterion, text: str) -> Condition:
    """`[prefix]number`, `number|system|code`, `number||code` where the code may be the unit as it is written."""
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) not in (1, 3):
        raise refused(criterion, "a quantity is number, number|system|code or number||unit")
    where, values = _numeric(criterion, parts[0])
    conditions: tuple[float | str, ...] = (*criterion.row_values, *values)
    if len(parts) == 3:
        _, system, code = parts
        if code:
            where, conditions = f"{where} AND code = ?", (*conditions, code)
        if system:
            where, conditions = f"{where} AND system = ?", (*conditions, system_number(system))
    return of_range("index_quantity", f"{criterion.rows} AND {where}", conditions, 4)
