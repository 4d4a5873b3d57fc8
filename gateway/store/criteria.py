"""One search criterion as SQL (R4 search.html): names come from tables, values are bound.

Every condition can be asked two ways: `probe`, a test of one resource row `r`, and `inside`, the list of rids that
match. The search drives from the rarest `inside` and probes the rest.
"""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Final

from gateway.db.record import parameter_number, system_number
from gateway.fhir import dates
from gateway.fhir.normal import normal
from gateway.store import local
from gateway.store.columns import NO_DATE, columns
from gateway.store.condition import Condition, Criterion, either, of_key, of_range, plain, refused, split

PREFIXES: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"})
TABLES: Final = {
    "token": "index_token",
    "reference": "index_reference",
    "string": "index_string",
    "date": "index_date",
    "number": "index_number",
    "quantity": "index_quantity",
    "uri": "index_uri",
}
_LAST = "\U0010ffff"


def compiled(criterion: Criterion) -> Condition:
    """The condition of a criterion. Permanent when its modifier or value makes no sense."""
    if criterion.modifier == "missing" and criterion.parameter.kind != "local":
        return _missing(criterion)
    if criterion.modifier == "not" and criterion.parameter.kind != "local":
        condition = _any(criterion, _token)
        return Condition(f"NOT ({condition.probe})", condition.probe_values)
    one = _KINDS.get(criterion.parameter.kind)
    if one is None:
        raise refused(criterion, f"a {criterion.parameter.kind} parameter cannot be searched here")
    return _any(criterion, one)


def _any(criterion: Criterion, one: Callable[[Criterion, str], Condition]) -> Condition:
    """Comma = or. A list of equal conditions stays one SQL text per value; they are few."""
    found = [one(criterion, value) for value in criterion.values]
    if len(found) == 1:
        return found[0]
    return either(found)


# ------------------------------------------------------------------------------------------------ missing


def _missing(criterion: Criterion) -> Condition:
    if criterion.values not in (("true",), ("false",)):
        raise refused(criterion, ":missing is true or false")
    wanted = criterion.values == ("true",)
    name, own = criterion.parameter.name, columns(criterion.type)
    table = "index_code" if name == "code" else TABLES.get(criterion.parameter.kind)
    if name == "status" and own.status:
        present, values = "r.status IS NOT NULL", ()
    elif name == own.date:
        present, values = f"r.date <> {NO_DATE}", ()
    elif table is None:
        raise refused(criterion, ":missing does not apply here")
    else:
        present, values = f"r.rid IN (SELECT rid FROM {table} WHERE parameter = ?)", (criterion.number,)  # type: ignore[assignment]
        if name in own.patient:
            present = f"(r.patient IS NOT NULL OR {present})"
    return Condition(f"NOT ({present})" if wanted else present, values)


# ------------------------------------------------------------------------------------------------ token


def _token(criterion: Criterion, text: str) -> Condition:
    name = criterion.parameter.name
    if criterion.parameter.kind != "token" or criterion.modifier not in ("", "not", "of-type"):
        raise refused(criterion, f"the modifier :{criterion.modifier} does not apply here")
    if criterion.modifier == "of-type":
        return _of_type(criterion, text)
    system, value = token(text)
    if name == "_id":
        return Condition("r.id = ?", (value,), rank=0, column=True)
    if name == "status" and columns(criterion.type).status:
        return _status(criterion, value)
    rank = 0 if name == "identifier" else 3 if name == "code" else 5
    return token_condition("index_code" if name == "code" else "index_token", criterion.number, system, value, rank)


def _of_type(criterion: Criterion, text: str) -> Condition:
    """`system|code|value` of Identifier.type and the identifier (R4 search.html#token)."""
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) != 3 or criterion.parameter.name != "identifier":
        raise refused(criterion, ":of-type needs an identifier as system|code|value")
    number = parameter_number(criterion.type, "identifier:of-type")
    return token_condition("index_token", number, parts[0] or None, f"{parts[1]}|{parts[2]}", 0)


_LEAD = "c.parameter = ? AND c.value = ? AND c.system = ?"
_LEAD_ANY = (  # of a code under several systems only the first row, so that no resource comes twice
    "c.parameter = ? AND c.value = ? AND NOT EXISTS (SELECT 1 FROM index_code d WHERE d.parameter = c.parameter "
    "AND d.value = c.value AND d.date = c.date AND d.rid = c.rid AND d.system < c.system)"
)


def token_condition(table: str, number: int, system: str | None, value: str, rank: int) -> Condition:
    """A token in an index table; system None = any; value '' = any of the system."""
    if not value:
        return of_range(table, "parameter = ? AND system = ?", (number, system_number(system or "")), rank + 1)
    where, values = "parameter = ? AND value = ?", (number, value)
    if system is not None:
        where, values = f"{where} AND system = ?", (*values, system_number(system))  # type: ignore[assignment]
    condition = of_key(table, where, values, rank)
    if table == "index_code":  # its rows carry the date in front of the rid
        return replace(
            condition,
            probe=f"EXISTS (SELECT 1 FROM {table} WHERE {where} AND date = r.date AND rid = r.rid)",
            lead=_LEAD_ANY if system is None else _LEAD,
        )
    return condition


def token(text: str) -> tuple[str | None, str]:
    r"""`system|code`, `|code` (no system: ''), `code` (any system: None); `\|` is a bar."""
    parts = [plain(part) for part in split(text, "|")]
    return (None, parts[0]) if len(parts) == 1 else (parts[0], "|".join(parts[1:]))


def _status(criterion: Criterion, value: str) -> Condition:
    """The flag is asked too, so that the partial index of open work is used."""
    flag = "r.open = 1 AND " if value in columns(criterion.type).open else ""
    return Condition(f"({flag}r.status = ?)" if flag else "r.status = ?", (value,), column=bool(flag), rank=2)


# ------------------------------------------------------------------------------------------------ reference


def _reference(criterion: Criterion, text: str) -> Condition:
    if criterion.modifier == "identifier":
        system, value = token(text)
        number = parameter_number(criterion.type, f"{criterion.parameter.name}:identifier")
        return token_condition("index_token", number, system, value, 1)
    targets = _targets(criterion, text)
    own = columns(criterion.type)
    patients = [each.removeprefix("Patient/") for each in targets if each.startswith("Patient/")]
    others = [
        each for each in targets if not each.startswith("Patient/") or criterion.parameter.name not in own.patient
    ]
    if criterion.parameter.name not in own.patient or not patients:
        return targets_condition(criterion.number, others)
    column = Condition(
        "r.patient = ?", (patients[0],), "SELECT rid FROM resource WHERE patient = ? AND type = ?",
        (patients[0], criterion.type), rank=1, column=True,
    )  # fmt: skip
    return either([column, targets_condition(criterion.number, others)]) if others else column


def targets_condition(number: int, targets: Sequence[str]) -> Condition:
    """A reference to any of the targets, as 'Type/id' or a whole URL."""
    marks = ", ".join("?" * len(targets))
    return of_key("index_reference", f"parameter = ? AND target IN ({marks})", (number, *targets), 1)


def _targets(criterion: Criterion, text: str) -> list[str]:
    """The texts a reference may have in the index: a bare id may be of any target type; `:Patient` names the type."""
    kinds = criterion.parameter.targets
    if criterion.modifier:
        if criterion.modifier not in kinds:
            raise refused(criterion, f"the modifier :{criterion.modifier} is none of {', '.join(kinds[:8])}")
        kinds = (criterion.modifier,)
    if "/" in text or ":" in text:
        return [text.split("/_history/")[0]]
    # `patient` may also point at a group in some types; a bare id there is always a patient's.
    if criterion.parameter.name == "patient":
        kinds = ("Patient",)
    return [f"{kind}/{text}" for kind in kinds]


# ------------------------------------------------------------------------------------------------ string, uri


def _string(criterion: Criterion, text: str) -> Condition:
    text = plain(text)
    value = normal(text)
    match criterion.modifier:
        case "":
            where, values = "parameter = ? AND value >= ? AND value < ?", (criterion.number, value, value + _LAST)
            return of_range("index_string", where, values, 2)
        case "exact":
            exact = "" if value == text else text
            where = "parameter = ? AND value = ? AND exact = ?"
            return of_range("index_string", where, (criterion.number, value, exact), 2)
        case "contains":
            escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            where = "parameter = ? AND value LIKE ? ESCAPE '\\'"
            return of_range("index_string", where, (criterion.number, f"%{escaped}%"), 4)
    raise refused(criterion, f"the modifier :{criterion.modifier} does not apply here")


def _uri(criterion: Criterion, text: str) -> Condition:
    if criterion.modifier == "below":
        where, values = "parameter = ? AND value >= ? AND value < ?", (criterion.number, text, text + _LAST)
        return of_range("index_uri", where, values, 2)
    if criterion.modifier:
        raise refused(criterion, f"the modifier :{criterion.modifier} does not apply here")
    return of_key("index_uri", "parameter = ? AND value = ?", (criterion.number, text), 2)


# ------------------------------------------------------------------------------------------------ ranges

# What a prefix says about a stored range [low, high] and the range that was asked for (R4 search.html#prefix).
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


def prefixed(text: str) -> tuple[str, str]:
    """('ge', '2026-01') of 'ge2026-01'; 'eq' when there is none."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def ranged(prefix: str, low: str, high: str, start: float, end: float) -> tuple[str, tuple[float, ...]]:
    """The comparison of a stored range with the asked one."""
    template, order = _RANGES[prefix]
    return template.format(low=low, high=high), tuple(start if letter == "f" else end for letter in order)


def _date(criterion: Criterion, text: str) -> Condition:
    if criterion.modifier:
        raise refused(criterion, f"the modifier :{criterion.modifier} does not apply here")
    prefix, value = prefixed(text)
    try:
        start, end = dates.interval(value.replace(" ", "+"), criterion.zone)
    except (ValueError, OverflowError):
        raise refused(criterion, "not a date", "write YYYY, YYYY-MM, YYYY-MM-DD or a time with its offset") from None
    name = criterion.parameter.name
    if name == "_lastUpdated":
        where, values = ranged(prefix, "r.updated * 1000", "r.updated * 1000 + 999", start, end)
        return _with_bounds(where, values, "r.updated", prefix, start // 1000, -(-end // 1000))
    if name == columns(criterion.type).date:
        where, values = ranged(prefix, "r.date", "r.until", start, end)
        return _with_bounds(f"(r.date <> {NO_DATE} AND {where})", values, "r.date", prefix, start, end)
    where, values = ranged(prefix, "low", "high", start, end)
    return of_range("index_date", f"parameter = ? AND {where}", (criterion.number, *values), 4)


def _with_bounds(where: str, values: tuple[float, ...], column: str, prefix: str, start: int, end: int) -> Condition:
    """The same, with a bound on the indexed column where the prefix implies one."""
    if prefix == "eq":
        return Condition(f"({column} BETWEEN ? AND ? AND {where})", (start, end, *values), rank=4)
    if prefix in ("lt", "le", "eb"):
        return Condition(f"({column} <= ? AND {where})", (end, *values), rank=4)
    if prefix == "sa" or (prefix in ("gt", "ge") and column == "r.updated"):
        return Condition(f"({column} >= ? AND {where})", (start, *values), rank=4)
    return Condition(where, values, rank=4)


def _interval(criterion: Criterion, text: str) -> tuple[float, float]:
    """The range that a number means by its digits: 5.4 is [5.35, 5.45]; 100 is [99.5, 100.5] (search.html#number)."""
    try:
        value = Decimal(text)
        exponent = value.as_tuple().exponent
    except InvalidOperation:
        raise refused(criterion, "not a number") from None
    if not isinstance(exponent, int):
        raise refused(criterion, "not a number")
    half = Decimal((0, (5,), exponent - 1))
    return float(value - half), float(value + half)


def _numeric(criterion: Criterion, text: str) -> tuple[str, tuple[float, ...]]:
    if criterion.modifier:
        raise refused(criterion, f"the modifier :{criterion.modifier} does not apply here")
    prefix, digits = prefixed(text)
    start, end = _interval(criterion, digits)
    if prefix in ("gt", "lt", "ge", "le", "sa", "eb"):  # these compare with the number itself
        start = end = float(Decimal(digits))
    elif prefix == "ap":
        margin = abs(float(Decimal(digits))) * 0.1
        start, end = start - margin, end + margin
    return ranged(prefix, "low", "high", start, end)


def _number(criterion: Criterion, text: str) -> Condition:
    where, values = _numeric(criterion, text)
    return of_range("index_number", f"parameter = ? AND {where}", (criterion.number, *values), 4)


def _quantity(criterion: Criterion, text: str) -> Condition:
    """`[prefix]number`, `number|system|code`, `number||code`."""
    parts = [plain(part) for part in split(text, "|")]
    where, values = _numeric(criterion, parts[0])
    if len(parts) == 3 and parts[1]:
        where, values = f"{where} AND system = ?", (*values, system_number(parts[1]))
    if len(parts) == 3 and parts[2]:
        where, values = f"{where} AND code = ?", (*values, parts[2])  # type: ignore[arg-type]
    return of_range("index_quantity", f"parameter = ? AND {where}", (criterion.number, *values), 4)


def _local(criterion: Criterion, text: str) -> Condition:
    """`ZLB-1|2H`: what messages became whose local segment says so; see local.py."""
    field, value = token(text)
    if criterion.modifier:
        raise refused(criterion, f"the modifier :{criterion.modifier} does not apply here")
    values = (*local.asked(field or "", value), criterion.type)
    return Condition(f"r.rid IN ({local.INSIDE})", values, local.INSIDE, values, rank=4)


_KINDS: Final = {
    "local": _local,
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
