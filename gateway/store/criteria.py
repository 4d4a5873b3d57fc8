"""One search criterion as SQL (R4 search.html): names come from tables, values are bound.

Every condition can be asked two ways: `probe`, a test of one resource row `r`, and `inside`, the list of rids that
match. The search drives from the rarest `inside` and probes the rest.
"""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from gateway.db.record import parameter_number, system_number
from gateway.fhir.normal import normal
from gateway.fhir.searchparameters import SearchParameter, parameters
from gateway.store import index, local, people, ranges
from gateway.store.clause import Criterion, refused
from gateway.store.columns import NO_DATE, code_table, columns, real
from gateway.store.condition import APART, Condition, either, every, of_key, of_range, opposite
from gateway.store.escapes import plain, split

TABLES: Final = {
    "token": "index_token",
    "reference": "index_reference",
    "string": "index_string",
    "date": "index_date",
    "number": "index_number",
    "quantity": "index_quantity",
    "uri": "index_uri",
}
_LAST: Final = "\U0010ffff"
_TOGETHER: Final = 500  # codes of one system in one IN


def compiled(criterion: Criterion) -> Condition:
    """The condition of a criterion. Permanent when its value makes no sense."""
    names = index.aliases(criterion.type, criterion.parameter.name)
    if names:
        parts = [replace(criterion, parameter=_named(criterion, name)) for name in names]
        both = criterion.modifier in ("not", "not-in") or (criterion.modifier, criterion.values) == (
            "missing",
            ("true",),
        )
        return (every if both else either)([compiled(part) for part in parts])
    match criterion.modifier:
        case "missing":
            return _missing(criterion)
        case "not":
            return _absent(criterion, _any(replace(criterion, modifier=""), _token))
        case "not-in":
            return _absent(criterion, _of_codes(criterion))
        case "in" | "above" | "below" if criterion.parameter.kind == "token":
            return _of_codes(criterion)
    return _any(criterion, _KINDS[criterion.parameter.kind])


def _named(criterion: Criterion, name: str) -> SearchParameter:
    return parameters(real(criterion.type))[name]


def _any(criterion: Criterion, one: Callable[[Criterion, str], Condition]) -> Condition:
    """Comma = or. A list of equal conditions stays one SQL text per value; they are few."""
    return either([one(criterion, value) for value in criterion.values])


# ------------------------------------------------------------------------------------------------ missing


def _missing(criterion: Criterion) -> Condition:
    if criterion.values not in (("true",), ("false",)):
        raise refused(criterion, ":missing is true or false")
    there = either([_something(criterion), *_beside(criterion)])
    return _absent(criterion, there) if criterion.values == ("true",) else there


def _absent(criterion: Criterion, condition: Condition) -> Condition:
    """What does not fulfil it: of what is contained only where there is one."""
    if criterion.type == real(criterion.type):
        return opposite(condition)
    return every([_has_row("index_token", parameter_number(criterion.type, index.PRESENT)), opposite(condition)])


def _has_row(table: str, number: int) -> Condition:
    return Condition(f"r.rid IN (SELECT rid FROM {table} WHERE parameter = ?)", (number,))


def _something(criterion: Criterion) -> Condition:
    """It has a value of its kind."""
    name, kind, own = criterion.parameter.name, criterion.parameter.kind, columns(criterion.type)
    if name == "status" and own.status:
        return Condition("r.status IS NOT NULL", ())
    if name == own.date:
        return Condition(f"r.date <> {NO_DATE}", ())
    table = code_table(criterion.type, name) if kind == "token" else TABLES[kind]
    present = _has_row(table, criterion.number)
    if name in own.patient:
        return either([Condition("r.patient IS NOT NULL", ()), present])
    return present


def _beside(criterion: Criterion) -> list[Condition]:
    """It has only words, only an identifier, or nothing that could be searched."""
    name, kind = criterion.parameter.name, criterion.parameter.kind
    tables = {index.PRESENT: "index_token"}
    if kind == "token":
        tables[index.TEXT] = "index_string"
    elif kind == "reference":
        tables[index.IDENTIFIER] = "index_token"
    return [_has_row(table, parameter_number(criterion.type, name + suffix)) for suffix, table in tables.items()]


# ------------------------------------------------------------------------------------------------ token


def _token(criterion: Criterion, text: str) -> Condition:
    name, own = criterion.parameter.name, columns(criterion.type)
    if criterion.modifier == "of-type":
        return _of_type(criterion, text)
    if criterion.modifier == "text":
        number = parameter_number(criterion.type, name + index.TEXT)
        return _begins(of_parameter(number), normal(plain(text)))
    system, value = criterion.parameter.token(*token(text))
    if name == "_id":
        return Condition("r.id = ?", (value,), rank=0, column=True)
    if system is not None and system in criterion.parameter.implied:
        system = ""  # codes are kept without the system that their element implies
    if name == "status" and own.status:
        return _status(criterion, system, value)
    rank = 0 if name == "identifier" else 3 if name == "code" else 5
    rows = (criterion.rows, criterion.row_values)
    return token_condition(code_table(criterion.type, name), rows, system, value, rank)


def _of_type(criterion: Criterion, text: str) -> Condition:
    """`system|code|value` of Identifier.type and the identifier (R4 search.html#token)."""
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise refused(criterion, ":of-type needs an identifier as system|code|value")
    number = parameter_number(criterion.type, f"{criterion.parameter.name}:of-type")
    return token_condition("index_token", of_parameter(number), parts[0] or None, f"{parts[1]}|{parts[2]}", 0)


_LEAD = "c.parameter = ? AND c.value = ? AND c.system = ?"
_LEAD_ANY = (  # of a code under several systems only the first row, so that no resource comes twice
    "c.parameter = ? AND c.value = ? AND NOT EXISTS (SELECT 1 FROM index_code d WHERE d.parameter = c.parameter "
    "AND d.value = c.value AND d.date = c.date AND d.rid = c.rid AND d.system < c.system)"
)


Rows: TypeAlias = tuple[str, tuple[int | str, ...]]  # which rows of an index table: SQL, and its values


def of_parameter(number: int) -> Rows:
    """The rows of one parameter."""
    return "parameter = ?", (number,)


def token_condition(table: str, rows: Rows, system: str | None, value: str, rank: int) -> Condition:
    """A token in an index table; system None = any; value '' = any of the system."""
    where, values = rows
    if not value:
        return of_range(table, f"{where} AND system = ?", (*values, system_number(system or "")), rank + 1)
    where, values = f"{where} AND value = ?", (*values, value)
    if system is not None:
        where, values = f"{where} AND system = ?", (*values, system_number(system))
    condition = of_key(table, where, values, rank)
    if table == "index_code":  # its rows carry the date in front of the rid
        return replace(
            condition,
            probe=f"EXISTS (SELECT 1 FROM {table} WHERE {where} AND date = r.date AND rid = r.rid{APART})",
            lead=_LEAD_ANY if system is None else _LEAD,
        )
    return condition


def token(text: str) -> tuple[str | None, str]:
    r"""`system|code`, `|code` (no system: ''), `code` (any system: None); `\|` is a bar."""
    parts = [plain(part) for part in split(text, "|")]
    return (None, parts[0]) if len(parts) == 1 else (parts[0], "|".join(parts[1:]))


def _status(criterion: Criterion, system: str | None, value: str) -> Condition:
    """The flag is asked too, so that the partial index of open work is used."""
    if system or not value:  # a system that this element never has; or any code of the one that it has
        return Condition("r.status IS NULL AND 1 = 0" if system else "r.status IS NOT NULL", ())
    flag = "r.open = 1 AND " if value in columns(criterion.type).open else ""
    if not flag:
        return Condition("r.status = ?", (value,), rank=2)
    return Condition(f"({flag}r.status = ?)", (value,), column=True, rank=2, beside="r.status = ?")


def _of_codes(criterion: Criterion) -> Condition:
    """Any of the codes that terminology named."""
    by_system: dict[str, list[str]] = {}
    for system, code in criterion.codes:
        by_system.setdefault("" if system in criterion.parameter.implied else system, []).append(code)
    found = [
        _some_codes(criterion, system, codes[start : start + _TOGETHER])
        for system, codes in by_system.items()
        for start in range(0, len(codes), _TOGETHER)
    ]
    return either(found) if found else Condition("1 = 0", ())


def _some_codes(criterion: Criterion, system: str, codes: Sequence[str]) -> Condition:
    marks = ", ".join("?" * len(codes))
    if criterion.parameter.name == "status" and columns(criterion.type).status:
        return Condition("1 = 0" if system else f"r.status IN ({marks})", () if system else tuple(codes))
    table = code_table(criterion.type, criterion.parameter.name)
    where = f"parameter = ? AND value IN ({marks}) AND system = ?"
    return of_range(table, where, (criterion.number, *codes, system_number(system)), 5)


# ------------------------------------------------------------------------------------------------ reference


def _reference(criterion: Criterion, text: str) -> Condition:
    if criterion.modifier == "identifier":
        system, value = token(text)
        number = parameter_number(criterion.type, criterion.parameter.name + index.IDENTIFIER)
        return token_condition("index_token", of_parameter(number), system, value, 1)
    targets = _targets(criterion, plain(text))
    own = columns(criterion.type)
    patients = [each.removeprefix("Patient/") for each in targets if each.startswith("Patient/")]
    others = [
        each for each in targets if not each.startswith("Patient/") or criterion.parameter.name not in own.patient
    ]
    if criterion.parameter.name not in own.patient or not patients:
        return targets_condition(criterion, others)
    column = Condition(
        "r.patient = ?", (patients[0],), "SELECT rid FROM resource WHERE patient = ? AND type = ?",
        (patients[0], criterion.type), rank=1, column=True,
    )  # fmt: skip
    return either([column, targets_condition(criterion, others)]) if others else column


def targets_condition(criterion: Criterion, targets: Sequence[str]) -> Condition:
    """A reference to any of the targets, as 'Type/id' or a whole URL."""
    marks = ", ".join("?" * len(targets))
    where, values = f"{criterion.rows} AND target IN ({marks})", (*criterion.row_values, *targets)
    return of_key("index_reference", where, values, 1)


def _targets(criterion: Criterion, text: str) -> list[str]:
    """The texts a reference may have in the index: a bare id may be of any target type; `:Patient` names the type."""
    kinds = (criterion.modifier,) if criterion.modifier else criterion.parameter.targets
    if "/" in text or ":" in text:
        return [text.split("/_history/")[0]]
    # `patient` may also point at a group in some types; a bare id there is always a patient's.
    if criterion.parameter.name == "patient":
        kinds = ("Patient",)
    return [f"{kind}/{text}" for kind in kinds] or [text]


# ------------------------------------------------------------------------------------------------ string, uri


def _begins(rows: Rows, value: str) -> Condition:
    where, values = rows
    return of_range("index_string", f"{where} AND value >= ? AND value < ?", (*values, value, value + _LAST), 2)


def _string(criterion: Criterion, text: str) -> Condition:
    text = plain(text)
    value = normal(text)
    where, values = criterion.rows, criterion.row_values
    match criterion.modifier:
        case "exact":
            exact = "" if value == text else text
            return of_range("index_string", f"{where} AND value = ? AND exact = ?", (*values, value, exact), 2)
        case "contains":
            escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return of_range("index_string", f"{where} AND value LIKE ? ESCAPE '\\'", (*values, f"%{escaped}%"), 4)
    found = [_begins((where, values), value)]
    if people.is_name(criterion.type, criterion.parameter.name):
        number = parameter_number(criterion.type, criterion.parameter.name + index.TYPED)
        found += [_begins(of_parameter(number), form) for form in people.asked_forms(text)]
    return either(found)


def _uri(criterion: Criterion, text: str) -> Condition:
    text = plain(text)
    if criterion.modifier == "below":
        where, values = "parameter = ? AND value >= ? AND value < ?", (criterion.number, text, text + _LAST)
        return of_range("index_uri", where, values, 2)
    if criterion.modifier == "above":
        marks = ", ".join("?" * len(above := _above(text)))
        return of_key("index_uri", f"parameter = ? AND value IN ({marks})", (criterion.number, *above), 2)
    return of_key("index_uri", "parameter = ? AND value = ?", (criterion.number, text), 2)


def _above(url: str) -> list[str]:
    """The URL itself and every shorter one, cut at a slash, with it and without (R4 search.html#uri)."""
    scheme = url.find("://") + 3 if "://" in url else 0
    cuts = [place for place in range(scheme, len(url)) if url[place] == "/"]
    return list(dict.fromkeys([url, *(url[: cut + extra] for cut in cuts for extra in (0, 1))]))


# ------------------------------------------------------------------------------------------------ composite, local


def _composite(criterion: Criterion, text: str) -> Condition:
    """`code$value`: both of one element, so the value is looked for under a number that stands for the code."""
    kinds = [kind for _, kind in criterion.parameter.components]
    parts = split(text, "$")
    if len(parts) != len(kinds) or not all(parts):
        raise refused(criterion, f"write {len(kinds)} values with $ between them")
    if "reference" in kinds and "/" in parts[0]:  # R4 names the halves of relationship one way and orders them another
        parts.reverse()
    system, code = token(parts[0])
    if not code:
        raise refused(criterion, "the first half names a code")
    halved = replace(criterion, half=(system, code), parameter=replace(criterion.parameter, kind=kinds[1]))
    if len(kinds) == 3:
        return ranges.begins_and_ends(halved, parts[1], parts[2])
    return _KINDS[kinds[1]](halved, parts[1])


def _local(criterion: Criterion, text: str) -> Condition:
    """`ZLB-1|2H`: what messages became whose local segment says so; see local.py."""
    field, value = token(text)
    values = (*local.asked(field or "", value), criterion.type)
    return Condition(f"r.rid IN ({local.INSIDE})", values, local.INSIDE, values, rank=4)


_KINDS: Final[dict[str, Callable[[Criterion, str], Condition]]] = {
    "local": _local,
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
    "date": ranges.date,
    "number": ranges.number,
    "quantity": ranges.quantity,
    "composite": _composite,
}
