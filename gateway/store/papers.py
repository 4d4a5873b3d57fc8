"""Referrals of emergencies that went first: until when their papers are due (三日内补办), and have they come?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.db.engine import Reader
from gateway.fhir import json

TASKS = "SELECT r.body FROM resource r WHERE r.type = 'Task' AND r.deleted = 0 ORDER BY r.id"
_OVER = frozenset({"cancelled", "rejected", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Due:
    """`number` of the referral, `receiver` as it is shown, and when the papers are due."""

    number: str
    receiver: str
    due: datetime
    overdue: bool


def awaited(reader: Reader, at: datetime) -> list[Due]:
    """Those whose papers have not come, the most urgent first; `at` (with an offset) tells which are overdue."""
    found = (task for row in reader.execute(TASKS, ()) if (task := _due(json.loads(row[0]), at)))
    return sorted(found, key=lambda each: (each.due, each.number))


def _due(task: dict[str, Any], at: datetime) -> Due | None:
    due = task.get("restriction", {}).get("period", {}).get("end")
    if not due or task.get("status") in _OVER or "end" in task.get("executionPeriod", {}):
        return None
    end = datetime.fromisoformat(due)
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    number = next(iter(_numbers(task)), "")
    return Due(number, str(task.get("owner", {}).get("display", "")), end, end < at)


def _numbers(task: dict[str, Any]) -> Iterator[str]:
    return (str(each["value"]) for each in task.get("identifier", ()) if each.get("value"))
