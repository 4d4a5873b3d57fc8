"""Times of appointments: a start, a duration with its unit, an offset (HL7 v2.5.1 chapter 10) ↔ minutes, end, Period.

A duration without a unit that is known says nothing: no unit is guessed. Resources that are neither people nor places
(AIG) are named by their number.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.simple import fhir_time, number, time_back

_SECONDS = {  # units of time as senders write them, folded
    **dict.fromkeys(("s", "sec", "second", "seconds", "秒", "秒钟"), 1),
    **dict.fromkeys(("min", "m", "mins", "minute", "minutes", "分", "分钟"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "小时", "时"), 3600),
    **dict.fromkeys(("d", "day", "days", "天", "日"), 86400),
}
_START = 4  # TQ.4 of SCH-11


def minutes_into(raw: str, unit: str, context: Context) -> int | None:
    """A duration in whole minutes."""
    length = _length(raw, unit, context)
    if length is None or length % 60 or not length:
        return None
    return int(length) // 60


def minutes_back(value: int, context: Context) -> tuple[str, str]:
    return str(value), "min"


def span_into(raw: str, duration: str, unit: str, context: Context) -> dict[str, Any] | None:
    """A start with its duration → Period."""
    start = fhir_time(raw, context.zone)
    if start is None:
        return None
    end = _later(start, _length(duration, unit, context))
    return {"start": start, "end": end} if end else {"start": start}


def span_back(value: dict[str, Any], context: Context) -> tuple[str, str, str]:
    start, end = value.get("start", ""), value.get("end", "")
    if not start:
        return "", "", ""
    if "T" not in start or "T" not in end:
        return time_back(start, context), "", ""
    seconds = int((_moment(end) - _moment(start)).total_seconds())
    length, unit = (seconds // 60, "min") if seconds % 60 == 0 else (seconds, "s")
    return time_back(start, context), str(length), unit


def lasting_into(raw: str, minutes: str, context: Context) -> dict[str, Any] | None:
    """A start with its duration in minutes (PR1-7) → Period."""
    return span_into(raw, minutes, "min" if minutes else "", context)


def lasting_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    """Where it ends stands nowhere in PR1: whole minutes do."""
    start, length, unit = span_back(value, context)
    return start, length if unit == "min" else ""


def after_into(raw: str, unit: str, start: str, context: Context) -> str | None:
    """A duration (or an offset) behind a start → the time when it is over. The start may be a TQ: its fourth part."""
    components = start.partition("~")[0].split("^")
    moment = components[_START - 1] if len(components) >= _START else components[0]
    made = fhir_time(moment, context.zone) if moment else None
    return _later(made, _length(raw, unit, context)) if made else None


def after_back(value: str, context: Context) -> tuple[str, str, str]:
    """Written as a time, not as a length."""
    return "", "", ""


def _length(raw: str, unit: str, context: Context) -> Decimal | None:
    """Seconds. `30^MIN` in one field is read too: many senders write it so."""
    amount, *rest = parts(raw, context)
    found = number(amount)
    words = [word.casefold() for word in (*parts(unit, context, 2), *rest[:1]) if word]
    factor = next((_SECONDS[word] for word in words if word in _SECONDS), None)
    if found is not None and factor is None:
        context.note("a duration without a known unit was not carried")
    return None if found is None or factor is None or found < 0 else found * factor


def _later(start: str | None, seconds: Decimal | None) -> str | None:
    if start is None or "T" not in start or seconds is None or seconds % 1:
        return None
    try:
        return (_moment(start) + timedelta(seconds=int(seconds))).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def times_into(raw: str, context: Context) -> dict[str, Any] | None:
    """DR: `from^to` → Period."""
    start, end = (fhir_time(each, context.zone) if each else None for each in parts(raw, context, 2))
    made = {name: moment for name, moment in (("start", start), ("end", end)) if moment}
    return made or None


def times_back(value: dict[str, Any], context: Context) -> str:
    return joined(*(time_back(value[name], context) if name in value else "" for name in ("start", "end")))


def thing_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CWE of a device or another resource → a Reference by its number, with its name."""
    code, text, system = parts(raw, context, 3)
    made: dict[str, Any] = {}
    if code:
        uri = context.code_system(system) if system else context.own_code_system("resource")
        made["identifier"] = {"system": uri, "value": code}
    if text:
        made["display"] = text
    return made or None


def thing_back(value: dict[str, Any], context: Context) -> str:
    if "reference" in value or "type" in value:  # people and places have segments of their own
        return ""
    identifier = value.get("identifier", {})
    system = identifier.get("system", "")
    name = "" if not system or system == context.own_code_system("resource") else context.code_system_name(system)
    return joined(identifier.get("value", ""), value.get("display", ""), "" if name == "resource" else name)


PAIRS = {
    "minutes": Pair(minutes_into, minutes_back, fields=1, fits=("positiveInt",)),
    "span": Pair(span_into, span_back, fields=2, fits=("Period",)),
    "lasting": Pair(lasting_into, lasting_back, fields=1, fits=("Period",)),
    "after": Pair(after_into, after_back, fields=2, fits=("dateTime", "instant")),
    "range-of-times": Pair(times_into, times_back, fits=("Period",)),
    "thing": Pair(thing_into, thing_back, fits=("Reference",)),
}
