"""What exports divide over several cells: a day and a time of day, the two ends of a range."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Any

from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.clocks import cell_time, says_none
from gateway.mapping.datatypes.simple import number
from gateway.mapping.datatypes.values import reference_range, unit_back, with_unit

_FRACTION = re.compile(r"\.\d+")
_LONGEST = 60  # characters of a time of day
_CLOCK = re.compile(r"(?:.*[ T])?(\d{1,2}:\d{2}(?::\d{2}(?:\.\d*[1-9])?)?|\d{4}|\d{6})(?:\.?0*)?")


def daytime_into(raw: str, clock: str, context: Context) -> str | None:
    """A day with the cell of its time of day (CollectDate, CollectTime): the day alone where that is empty. A database
    writes the first as a time at midnight and the second as a time of the year 1900: neither is believed."""
    day = cell_time(raw, context.zone)
    told = unicodedata.normalize("NFKC", clock[:_LONGEST]).strip()
    written = _CLOCK.fullmatch(told)
    others = (cell_time(each, context.zone) for each in (told, f"2000-01-01 {told}"))  # 下午3:20
    found = written[1] if written else next(filter(None, others), "")[11:19]
    if told and not found and not says_none(told):
        context.unread.doubt("the time of day beside it is none; it was left out")
    if day is None or not found:
        return day[:10] if day and day[10:19] == "T00:00:00" else day
    moment = cell_time(f"{day[:10]} {found}", context.zone)
    if moment is None:
        context.unread.doubt("the time of day beside it is none; it was left out")
    return moment or day


def daytime_back(value: str, context: Context) -> tuple[str, str]:
    """The day and the time of day, in the zone of the receiver."""
    if "T" not in value:
        return str(value), ""
    moment = datetime.fromisoformat(value).astimezone(context.zone)
    fraction = _FRACTION.search(value)
    return moment.strftime("%Y-%m-%d"), f"{moment:%H:%M:%S}{fraction[0] if fraction else ''}"


def limits_into(raw: str, low: str, high: str, unit: str, context: Context) -> dict[str, Any] | None:
    """The lower and the upper limit in cells of their own → one reference range."""
    least, most = number(low), number(high)
    if least is None and most is None:
        return reference_range("-".join(filter(None, (low.strip(), high.strip()))), unit.strip())
    made: dict[str, Any] = {}
    if least is not None:
        made["low"] = with_unit({"value": least}, unit.strip())
    if most is not None:
        made["high"] = with_unit({"value": most}, unit.strip())
    return made


def limits_back(value: dict[str, Any], context: Context) -> tuple[str, str, str, str]:
    ends = [value[each] for each in ("low", "high") if each in value]
    if not ends:
        return "", str(value.get("text", "")), "", ""
    low, high = (str(value.get(each, {}).get("value", "")) for each in ("low", "high"))
    return "", low, high, unit_back(ends[0])


PAIRS = {
    "daytime": Pair(daytime_into, daytime_back, fields=1, fits=("dateTime",)),
    "limits": Pair(limits_into, limits_back, fields=3, fits=("BackboneElement",)),
}
