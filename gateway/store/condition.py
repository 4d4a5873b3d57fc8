"""A condition of a search as SQL, in the two ways it can be asked, and the small parts it is made of."""

# ruff: noqa: S608  # SQL is put together from the names in tables here; every value is bound

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Behind what is asked for each row: PostgreSQL would join it first where its statistics are old, and read all of it.
APART = " LIMIT 1 OFFSET 0"


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL about a resource row `r`, with its values."""

    probe: str
    probe_values: tuple[Any, ...]
    inside: str = ""  # 'SELECT rid …'; '' when only the probe exists
    inside_values: tuple[Any, ...] = ()
    rank: int = 5  # 0: one or few rows, never counted; the lower, the rarer as a rule
    column: bool = False  # an index of the resource table itself answers it
    beside: str = ""  # the probe without what would invite the index of the column, where something rarer leads
    lead: str = ""  # a test of index_code rows `c` with the values of `inside`: they come in order of the date


def either(found: Sequence[Condition]) -> Condition:
    """Any of several conditions."""
    if len(found) == 1:
        return found[0]
    complete = all(each.inside for each in found)
    return Condition(
        probe="(" + " OR ".join(each.probe for each in found) + ")",
        probe_values=tuple(value for each in found for value in each.probe_values),
        inside=" UNION ALL ".join(each.inside for each in found) if complete else "",
        inside_values=tuple(value for each in found for value in each.inside_values) if complete else (),
        rank=max(each.rank for each in found),
        column=all(each.column for each in found),
        beside=f"({' OR '.join(each.beside or each.probe for each in found)})" if any(e.beside for e in found) else "",
    )


def every(found: Sequence[Condition]) -> Condition:
    """All of several conditions; only as a probe."""
    return Condition(
        "(" + " AND ".join(each.probe for each in found) + ")",
        tuple(value for each in found for value in each.probe_values),
    )


def opposite(condition: Condition) -> Condition:
    """What does not fulfil it."""
    return Condition(f"NOT ({condition.probe})", condition.probe_values)


def of_range(table: str, where: str, values: tuple[Any, ...], rank: int) -> Condition:
    """A condition that no index answers for one row: its rids are listed once and probed."""
    inside = f"SELECT rid FROM {table} WHERE {where}"
    return Condition(f"r.rid IN ({inside})", values, inside, values, rank)


def of_key(table: str, where: str, values: tuple[Any, ...], rank: int) -> Condition:
    """A condition whose index holds the rid right behind what is compared: one look-up a row."""
    probe = f"EXISTS (SELECT 1 FROM {table} WHERE {where} AND rid = r.rid{APART})"
    return Condition(probe, values, f"SELECT rid FROM {table} WHERE {where}", values, rank)
