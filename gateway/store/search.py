"""Searches the record: a query becomes one SQL statement that starts from its rarest criterion (R4 search.html)."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.db.engine import Reader, Row
from gateway.errors import Permanent
from gateway.store import query, read, subset
from gateway.store.clause import Around
from gateway.store.condition import Condition
from gateway.store.conditions import condition
from gateway.store.includes import included
from gateway.store.order import Order
from gateway.store.query import Handling, Pairs, Query
from gateway.store.shelf import RecordCodes
from gateway.store.stored import Page

SOON = 201  # matches that are counted when nobody asked for the total: half a millisecond
RARE = 5_000  # rows: a criterion with fewer drives the search; counting to here takes 0.2 ms


def here(reader: Reader, base: str = "") -> Around:
    """What the queries of one snapshot are read in; `base` is the address of this service."""
    return Around(codes=RecordCodes(reader), base=base)


def search(
    reader: Reader, type: str, asked: str | Pairs, *, handling: Handling = Handling.USUAL, base: str = ""
) -> Page:
    """One page of `GET Type?asked`. Permanent for what is not understood, unless lenient (then Page.ignored).

    Pages follow the values of the sort keys, not positions: what is written meanwhile neither repeats nor hides a
    resource that itself did not change. `total` is given when it is asked for, and else when it is soon counted.
    """
    return run(reader, query.read(type, asked, handling=handling, around=here(reader, base)))


def find_ids(reader: Reader, type: str, pairs: Pairs) -> list[str]:
    """The ids that match a condition, at most two: enough to know whether it is one. Permanent for a condition that
    narrows nothing."""
    asked = query.read(type, [*pairs, ("_count", "2"), ("_total", "none")], around=here(reader))
    if not asked.criteria or asked.ignored:
        raise Permanent("a condition needs search parameters, and those alone", place=f"{type}?")
    return [match.id for match in run(reader, asked).matches]


def run(reader: Reader, asked: Query) -> Page:
    """One page of a query that has been read."""
    if asked.counts_only:
        return Page(total=count(reader, asked), matches=[], included=[], next=None, ignored=tuple(asked.ignored))
    located = _located(reader, asked)
    rows = keyed(reader, asked, located)
    matches = [read.stored(row[:7]) for row, _ in rows[: asked.count]]
    following = None
    if len(rows) > asked.count:
        last, order = rows[asked.count - 1]
        following = order.cursor(last)
    whole = following is None and not asked.cursor
    others = included(reader, asked, matches)
    return Page(
        total=_total(reader, asked, located, len(matches) if whole else None),
        matches=[subset.cut(match, summary=asked.summary, elements=asked.elements) for match in matches],
        included=[subset.cut(other, summary=asked.summary) for other in others],
        next=following,
        ignored=tuple(asked.ignored),
    )


def keyed(reader: Reader, asked: Query, located: Located | None = None) -> list[tuple[Row, Order]]:
    """The rows of a page and one more: read.COLUMNS, rid, and the values of the sort keys."""
    found, order = located or _located(reader, asked), Order(asked)
    statement = order.statement(found.source, found.where, found.values, asked, found.lead)
    return [(row, order) for row in reader.execute(*statement)]


def count(reader: Reader, asked: Query, limit: int = 0, located: Located | None = None) -> int:
    """How many resources match; with a limit no further than to it."""
    found = located or _located(reader, asked)
    if limit:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {found.source} WHERE {found.where} LIMIT ?) AS few"
        return int(reader.execute(sql, (*found.values, limit))[0][0])
    return int(reader.execute(f"SELECT count(*) FROM {found.source} WHERE {found.where}", found.values)[0][0])


def _total(reader: Reader, asked: Query, located: Located, known: int | None) -> int | None:
    """Of all pages: exact when it is asked for; when nothing is said, as long as counting ends soon."""
    if known is not None and asked.total != "none":
        return known
    match asked.total:
        case "none":
            return None
        case "":
            found = count(reader, asked, SOON, located)
            return found if found < SOON else None
    return count(reader, asked, located=located)


# ------------------------------------------------------------------------------------------------ where


@dataclass(frozen=True, slots=True)
class Located:
    """Where the matches of a query are: found out once for its page and its total, for common names it costs as much
    as either."""

    where: str
    values: tuple[Any, ...]
    lead: str  # a 'list' of rids, a 'code', a 'column', '' for the order itself

    @property
    def source(self) -> str:
        return "index_code c CROSS JOIN resource r" if self.lead == "code" else "resource r"


def _located(reader: Reader, asked: Query) -> Located:
    order = Order(asked)
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
    rarer = driver is not None or any(each.column and each.rank <= 1 for each in found)
    for each in found:
        if each is not driver:
            parts.append(each.beside if each.beside and rarer else each.probe)
            values.extend(each.probe_values)
    return Located(" AND ".join(parts), tuple(values), lead)


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
