"""Searches the record: a query becomes one SQL statement that starts from its rarest criterion (R4 search.html)."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.db.engine import Reader, Row
from gateway.db.record import parameter_number
from gateway.errors import Permanent
from gateway.fhir import json
from gateway.fhir.searchparameters import parameters
from gateway.store import index, query, read, subset
from gateway.store.columns import NO_DATE, columns
from gateway.store.condition import Condition, Criterion, either
from gateway.store.criteria import TABLES, compiled
from gateway.store.includes import included
from gateway.store.query import Chain, Has, Inside, Pairs, Query
from gateway.store.stored import Page

RARE = 5_000  # rows: a criterion with fewer drives the search; counting to here takes 0.2 ms
_SELECT = f"SELECT {read.COLUMNS}, r.rid"


def search(reader: Reader, type: str, asked: str | Pairs, *, lenient: bool = False) -> Page:
    """One page of `GET Type?asked`. Permanent for what is not understood, unless lenient (then Page.ignored).

    Pages follow the values of the sort keys, not positions: what is written meanwhile neither repeats nor hides a
    resource that itself did not change. `total` is given when asked for, or when one page holds all.
    """
    return run(reader, query.read(type, asked, lenient=lenient))


def find_ids(reader: Reader, type: str, pairs: Pairs) -> list[str]:
    """The ids that match a condition, at most two: enough to know whether it is one. Permanent for a condition that
    narrows nothing."""
    asked = query.read(type, [*pairs, ("_count", "2")])
    if not asked.criteria or asked.ignored:
        raise Permanent("a condition needs search parameters, and those alone", place=f"{type}?")
    return [match.id for match in run(reader, asked).matches]


def run(reader: Reader, asked: Query) -> Page:
    """One page of a query that has been read."""
    order = Order(asked)
    where, values, lead = _where(reader, asked, order)
    source = "index_code c CROSS JOIN resource r" if lead == "code" else "resource r"
    total = None
    if asked.total or asked.summary == "count" or asked.count == 0:
        total = reader.execute(f"SELECT count(*) FROM {source} WHERE {where}", values)[0][0]
    if asked.summary == "count" or asked.count == 0:
        return Page(total=total, matches=[], included=[], next=None, ignored=tuple(asked.ignored))
    rows = reader.execute(*order.statement(source, where, values, asked, lead))
    matches = [read.stored(row[:7]) for row in rows[: asked.count]]
    following = order.cursor(rows[asked.count - 1]) if len(rows) > asked.count else None
    if total is None and following is None and not asked.cursor:
        total = len(matches)
    others = included(reader, asked, matches)
    return Page(
        total=total,
        matches=[subset.cut(match, summary=asked.summary, elements=asked.elements) for match in matches],
        included=[subset.cut(other, summary=asked.summary) for other in others],
        next=following,
        ignored=tuple(asked.ignored),
    )


# ------------------------------------------------------------------------------------------------ where


def _where(reader: Reader, asked: Query, order: Order) -> tuple[str, tuple[Any, ...], str]:
    """The conditions, their values, and what leads: a 'list' of rids, a 'code', a 'column', '' for the order itself."""
    found = [condition(each) for each in asked.criteria]
    driver = _driver(reader, found, order)
    parts: list[str] = ["r.deleted = 0"]
    values: list[Any] = []
    lead = "column" if any(each.column for each in found) else ""
    if driver is not None:
        by_code = bool(driver.lead) and order.by_date
        lead = "code" if by_code else "list"
        parts.append(f"r.rid = c.rid AND {driver.lead}" if by_code else f"r.rid IN ({driver.inside})")
        values.extend(driver.inside_values)
    else:
        # Left out above: the numbers of parameters imply the type, and naming it would invite a walk of all of it.
        parts.append("r.type = ?")
        values.append(asked.type)
    for each in found:
        if each is not driver:
            parts.append(each.probe)
            values.extend(each.probe_values)
    return " AND ".join(parts), tuple(values), lead


def _driver(reader: Reader, found: Sequence[Condition], order: Order) -> Condition | None:
    """The criterion that is listed first; None: an index of the resource table leads."""
    if any(each.column and each.rank <= 2 for each in found):
        return None
    listed = sorted((each for each in found if each.inside), key=lambda each: each.rank)
    if not listed or listed[0].rank == 0:
        return listed[0] if listed else None
    least, _, rarest = min((_count(reader, each), place, each) for place, each in enumerate(listed))
    if least < RARE or not order.walks:
        return rarest
    # All are common: codes come in the order of the date; else walking the index of the order and probing finds a
    # page soonest.
    return next((each for each in listed if each.lead and order.by_date), None)


def _count(reader: Reader, each: Condition) -> int:
    counted = f"SELECT count(*) FROM (SELECT 1 FROM ({each.inside}) AS listed LIMIT {RARE}) AS few"
    return int(reader.execute(counted, each.inside_values)[0][0])


def condition(each: Criterion | Chain | Has | Inside) -> Condition:
    """Any criterion as SQL about a resource row `r`."""
    match each:
        case Inside():
            return either([condition(query.criterion(each.type, name, each.reference)) for name in each.parameters])
        case Chain():
            return _chain(each)
        case Has():
            return _has(each)
        case Criterion():
            names = index.ALIASES.get((each.type, each.parameter.name))
            if names is None:
                return compiled(each)
            known = parameters(each.type)
            several = [
                compiled(
                    Criterion(
                        type=each.type,
                        parameter=known[name],
                        modifier=each.modifier,
                        values=each.values,
                        zone=each.zone,
                    )
                )
                for name in names
            ]
            return _both_missing(several) if each.modifier in ("not", "missing") else either(several)


def _both_missing(several: Sequence[Condition]) -> Condition:
    """A union is missing, or is not something, when all of its parts are."""
    return Condition(
        "(" + " AND ".join(each.probe for each in several) + ")",
        tuple(value for each in several for value in each.probe_values),
    )


def _inner(type: str, name: str, value: str, column: str) -> tuple[str, tuple[Any, ...]]:
    """`column` of the resources of a type that fulfil one criterion."""
    found = condition(query.criterion(type, name, value))
    head = f"SELECT {column} FROM resource r WHERE r.deleted = 0 AND "
    if found.inside:
        return f"{head}r.rid IN ({found.inside})", found.inside_values
    return f"{head}r.type = ? AND {found.probe}", (type, *found.probe_values)


def _chain(chain: Chain) -> Condition:
    own = columns(chain.type)
    head = chain.rest.partition(".")[0].partition(":")[0]
    kinds = (chain.target,) if chain.target else chain.parameter.targets
    kinds = tuple(kind for kind in kinds if head.startswith("_has") or head in parameters(kind))
    if chain.parameter.name == "patient" and not chain.target:
        kinds = ("Patient",)
    if not kinds:
        raise Permanent(f"no target of {chain.parameter.name} has {head[:40]!r}", place=f"{chain.type}?chain")
    found = []
    for kind in kinds:
        if kind == "Patient" and chain.parameter.name in own.patient:
            inner, values = _inner(kind, chain.rest, chain.value, "coalesce(r.survivor, r.id)")
            inside = f"SELECT o.rid FROM resource o WHERE o.type = ? AND o.patient IN ({inner})"
            found.append(Condition(f"r.patient IN ({inner})", values, inside, (chain.type, *values), 1))
        else:
            inner, values = _inner(kind, chain.rest, chain.value, f"'{kind}/' || coalesce(r.survivor, r.id)")
            number = parameter_number(chain.type, chain.parameter.name)
            inside = f"SELECT rid FROM index_reference WHERE parameter = ? AND target IN ({inner})"
            found.append(Condition(f"r.rid IN ({inside})", (number, *values), inside, (number, *values), 1))
    return found[0] if len(found) == 1 else either(found)


def _has(has: Has) -> Condition:
    own = columns(has.source)
    if has.type == "Patient" and has.parameter.name in own.patient:
        inner, values = _inner(has.source, has.rest, has.value, "r.patient")
        inside = f"SELECT o.rid FROM resource o WHERE o.type = 'Patient' AND o.id IN ({inner})"
    else:
        inner, values = _inner(has.source, has.rest, has.value, "r.rid")
        number = parameter_number(has.source, has.parameter.name)
        inside = (
            "SELECT o.rid FROM index_reference f JOIN resource o ON o.type = ? AND f.target = o.type || '/' || o.id "
            f"WHERE f.parameter = ? AND f.rid IN ({inner})"
        )
        values = (has.type, number, *values)
    return Condition(f"r.rid IN ({inside})", values, inside, values, 1)


# ------------------------------------------------------------------------------------------------ order, pages


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key: its SQL, the join it needs, its direction."""

    column: str
    join: str
    join_values: tuple[Any, ...]
    descending: bool


_SORT_COLUMNS: Final = {
    "index_token": ("value", "''"),
    "index_reference": ("target", "''"),
    "index_string": ("value", "''"),
    "index_date": ("low", str(NO_DATE)),
    "index_number": ("low", "-1e308"),
    "index_quantity": ("low", "-1e308"),
    "index_uri": ("value", "''"),
    "index_code": ("value", "''"),
}


def _natural(asked: Query) -> list[tuple[str, bool]]:
    """The order of a search without _sort: the one whose index its criteria use."""
    names = {each.parameter.name for each in asked.criteria if isinstance(each, Criterion)}
    own = columns(asked.type)
    if "_lastUpdated" in names:
        return [("_lastUpdated", False)]
    if own.date and (own.date in names or own.patient & names):
        return [(own.date, False)]
    return [("_id", False)]


def _ordering(column: str, lead: str) -> str:
    """The sort key as an expression: one that no index serves when something rarer leads, or SQLite walks that."""
    if lead == "code":
        return column.replace("r.", "c.")
    if lead == "list" and column == "r.date":
        return "r.date + 0"
    if lead and column in ("r.id", "r.updated"):
        return "r.id || ''" if column == "r.id" else "r.updated + 0"
    return column


class Order:
    """The sort keys of a query, the rid last so that the order is total."""

    def __init__(self, asked: Query) -> None:
        sort = asked.sort or _natural(asked)
        self._names = ",".join(("-" if descending else "") + name for name, descending in sort)
        self._keys = [_key(asked.type, number, *each) for number, each in enumerate(sort)]
        single = self._keys[0].column if len(self._keys) == 1 else ""
        self.by_date = single == "r.date"
        self.walks = single in ("r.date", "r.updated", "r.id")
        if self._keys[-1].column != "r.id":
            self._keys.append(Key("r.rid", "", (), descending=self._keys[-1].descending))

    def statement(
        self, source: str, where: str, values: tuple[Any, ...], asked: Query, lead: str
    ) -> tuple[str, tuple[Any, ...]]:
        """The whole SELECT of a page; one row more than the page shows whether there is a next."""
        self._keys = [replace(key, column=_ordering(key.column, lead)) for key in self._keys]
        columns_text = ", ".join(key.column for key in self._keys)
        joins = "".join(key.join for key in self._keys)
        join_values = tuple(value for key in self._keys for value in key.join_values)
        after, after_values = self._after(asked.cursor) if asked.cursor else ("", ())
        order = ", ".join(key.column + (" DESC" if key.descending else "") for key in self._keys)
        return (
            f"{_SELECT}, {columns_text} FROM {source}{joins} WHERE {where}{after} ORDER BY {order} LIMIT ?",
            (*join_values, *values, *after_values, asked.count + 1),
        )

    def _after(self, cursor: str) -> tuple[str, tuple[Any, ...]]:
        """Rows behind the one the cursor names: less in the first key, or equal there and behind in the next."""
        last = self._read_cursor(cursor)
        text, values = "", []
        for depth, key in enumerate(self._keys):
            equal = "".join(f"{each.column} = ? AND " for each in self._keys[:depth])
            text += f"{' OR ' if depth else ''}({equal}{key.column} {'<' if key.descending else '>'} ?)"
            values += last[: depth + 1]
        first = self._keys[0]  # implied by the rest, and what an index can use
        return f" AND {first.column} {'<=' if first.descending else '>='} ? AND ({text})", (last[0], *values)

    def cursor(self, row: Row) -> str:
        """An opaque text that names the last row of a page."""
        return base64.urlsafe_b64encode(json.dumps([self._names, *row[8:]])).decode().rstrip("=")

    def _read_cursor(self, cursor: str) -> list[Any]:
        try:
            value = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except (binascii.Error, ValueError, Permanent):
            value = None
        if not isinstance(value, list) or len(value) != len(self._keys) + 1 or value[0] != self._names:
            raise Permanent("not a cursor of this search", place="_cursor", remedy="start with the first page")
        if not all(isinstance(each, int | float | str) or hasattr(each, "as_tuple") for each in value):
            raise Permanent("not a cursor of this search", place="_cursor", remedy="start with the first page")
        return [float(each) if hasattr(each, "as_tuple") else each for each in value[1:]]


def _key(type: str, number: int, name: str, descending: bool) -> Key:
    own = columns(type)
    direct = {"_id": "r.id", "_lastUpdated": "r.updated"}
    if own.date:
        direct[own.date] = "r.date"
    if own.status:
        direct["status"] = "coalesce(r.status, '')"
    direct |= dict.fromkeys(own.patient, "coalesce(r.patient, '')")
    if name in direct:
        return Key(direct[name], "", (), descending)
    names = index.ALIASES.get((type, name), (name,))
    table = "index_code" if names[0] == "code" else TABLES[parameters(type)[names[0]].kind]
    column, nothing = _SORT_COLUMNS[table]
    pick = "max" if descending else "min"
    # The values of one parameter for all resources, joined: only for orders that no index gives.
    join = (
        f" LEFT JOIN (SELECT rid, {pick}({column}) AS value FROM {table} WHERE parameter = ? GROUP BY rid) "
        f"AS s{number} ON s{number}.rid = r.rid"
    )
    return Key(f"coalesce(s{number}.value, {nothing})", join, (parameter_number(type, names[0]),), descending)
