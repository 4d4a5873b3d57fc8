"""The order of a search and its pages: `_sort`, and cursors that name values, not positions (R4 search.html#sort).

What is written meanwhile neither repeats nor hides a resource that itself did not change.
"""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.db.engine import Row
from gateway.db.record import parameter_number
from gateway.errors import Permanent
from gateway.fhir import json
from gateway.fhir.searchparameters import parameters
from gateway.store import index, read
from gateway.store.clause import Criterion
from gateway.store.columns import NO_DATE, code_table, columns
from gateway.store.criteria import TABLES
from gateway.store.query import Query

_SELECT = f"SELECT {read.COLUMNS}, r.rid"


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
    names = index.aliases(type, name) or (name,)
    kind = parameters(type)[names[0]].kind
    table = code_table(type, names[0]) if kind == "token" else TABLES[kind]
    column, nothing = _SORT_COLUMNS[table]
    pick = "max" if descending else "min"
    # The values of one parameter for all resources, joined: only for orders that no index gives.
    join = (
        f" LEFT JOIN (SELECT rid, {pick}({column}) AS value FROM {table} WHERE parameter = ? GROUP BY rid) "
        f"AS s{number} ON s{number}.rid = r.rid"
    )
    return Key(f"coalesce(s{number}.value, {nothing})", join, (parameter_number(type, names[0]),), descending)
