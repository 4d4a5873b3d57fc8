"""Searches the record: a query becomes one SQL statement that starts from its rarest criterion (R4 search.html)."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.db.engine import Reader
from gateway.errors import Permanent
from gateway.store import query, read, subset
from gateway.store.clause import NOWHERE, Around
from gateway.store.condition import Condition
from gateway.store.conditions import condition
from gateway.store.includes import included
from gateway.store.order import Order
from gateway.store.query import Pairs, Query
from gateway.store.shelf import RecordCodes
from gateway.store.stored import Page

RARE = 5_000  # rows: a criterion with fewer drives the search; counting to here takes 0.2 ms


def search(reader: Reader, type: str, asked: str | Pairs, *, lenient: bool = False, around: Around = NOWHERE) -> Page:
    """One page of `GET Type?asked`. Permanent for what is not understood, unless lenient (then Page.ignored).

    Pages follow the values of the sort keys, not positions: what is written meanwhile neither repeats nor hides a
    resource that itself did not change. `total` is given when asked for, or when one page holds all.
    """
    return run(reader, query.read(type, asked, lenient=lenient, around=here(reader, around)))


def here(reader: Reader, around: Around = NOWHERE) -> Around:
    """What a query is read in, with the code systems of the record unless others are given."""
    return around if around.codes else replace(around, codes=RecordCodes(reader))


def find_ids(reader: Reader, type: str, pairs: Pairs) -> list[str]:
    """The ids that match a condition, at most two: enough to know whether it is one. Permanent for a condition that
    narrows nothing."""
    asked = query.read(type, [*pairs, ("_count", "2")], around=here(reader))
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
