"""What is asked of a history: `_count`, `_since`, `_at`, and `_summary` and `_elements` as everywhere.

R4 http.html#history, #parameters.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.api import answer, listing
from gateway.db.engine import Reader
from gateway.fhir import dates
from gateway.store import clause, query, subset
from gateway.store.read import Span
from gateway.store.record import Record
from gateway.store.stored import Page

COUNT = 100
_ASKED = subset.PARTS | {"_count", "_since", "_at", listing.CURSOR}
_FOREVER = 1 << 62  # milliseconds


def page(
    record: Record, type: str | None, id: str | None, pairs: listing.Pairs, *, reader: Reader | None = None
) -> Page:
    """A page of versions of one resource, of a type (no id) or of all types (neither), cut as it is asked for.

    404 for a resource that never was; 400 for anything that a history does not take, so that nobody believes a filter
    was applied."""
    asked = dict(pairs)
    if asked.keys() - _ASKED:
        raise answer.Refusal(400, f"a history takes {', '.join(sorted(_ASKED))}, _format and _pretty only")
    parts = query.read(type or "Patient", [pair for pair in pairs if pair[0] in subset.PARTS])
    count, cursor = _count(asked.get("_count", str(COUNT))), asked.get(listing.CURSOR, "")
    count = 0 if parts.counts_only else count
    span = Span(since=_since(asked.get("_since", "")), at=_at(asked.get("_at", "")))
    if type and id:
        found = record.history(type, id, count=count, cursor=cursor, span=span, reader=reader)
        if not found.matches and record.read(type, id, reader=reader) is None:
            raise answer.Refusal(404, f"there is no {type} with this id")
    else:
        found = record.versions(type, count=count, cursor=cursor, span=span, reader=reader)
    matches = [subset.cut(each, summary=parts.summary, elements=parts.elements) for each in found.matches]
    return replace(found, matches=matches)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise answer.Refusal(400, "_count is a number, 0 for the total alone")
    return min(int(text), query.MAXIMUM_COUNT)


def _since(text: str) -> int:
    return max(0, -(-_moments(text, "_since")[0] // 1000)) if text else 0


def _at(text: str) -> tuple[int, int] | None:
    """The first and the last millisecond of a time, or of what lies before or behind one (R4 search.html#prefix)."""
    if not text:
        return None
    prefix = text[:2] if text[:2].isalpha() else ""
    low, high = (moment // 1000 for moment in _moments(text.removeprefix(prefix), "_at"))
    spans = {
        **dict.fromkeys(("", "eq"), (low, high)), "ge": (low, _FOREVER), "gt": (high + 1, _FOREVER),
        "sa": (high + 1, _FOREVER), "le": (0, high), "lt": (0, low - 1), "eb": (0, low - 1),
    }  # fmt: skip
    if prefix not in spans:
        raise answer.Refusal(400, "_at takes a time, alone or behind eq, ge, gt, sa, le, lt or eb")
    return spans[prefix]


def _moments(text: str, name: str) -> tuple[int, int]:
    """Microseconds since 1970, included."""
    try:
        return dates.interval(text.replace(" ", "+"), clause.zone())
    except (ValueError, OverflowError):
        raise answer.Refusal(400, f"{name} is a time such as 2026-03-05T10:00:00+08:00") from None
