"""Days and moments in the cells of exports: read in any usual form, written in the receiver's (`YYYYMMDDHHmmss`)."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.clocks import cell_time

MOMENT, DAY = "YYYY-MM-DD HH:mm:ss", "YYYY-MM-DD"
_PARTS = re.compile("YYYY|MM|DD|HH|mm|ss")
_PLACES = {"YYYY": (0, 4), "MM": (5, 7), "DD": (8, 10), "HH": (11, 13), "mm": (14, 16), "ss": (17, 19)}


def moment_into(raw: str, context: Context) -> str | None:
    return cell_time(raw, context.zone)


def day_into(raw: str, context: Context) -> str | None:
    """The day, whatever time stands behind it."""
    made = cell_time(raw, context.zone)
    return made[:10] if made else None


def moment_back(value: str, context: Context) -> str:
    """In the receiver's zone and form; a day alone stays one, a month too."""
    form = context.profile.file
    if "T" not in value:
        return _formed(value, form.dates or DAY) if len(value) == len(DAY) else value
    moment = datetime.fromisoformat(value).astimezone(context.zone)
    text = _formed(moment.isoformat(timespec="seconds"), form.times or MOMENT)
    fraction = re.search(r"\.\d+", value)
    return f"{text}{fraction[0]}" if fraction and (form.times or MOMENT).endswith("ss") else text


def day_back(value: str, context: Context) -> str:
    return _formed(value, context.profile.file.dates or DAY) if len(value) == len(DAY) else value


@lru_cache(maxsize=4096)
def _formed(text: str, form: str) -> str:
    def part(found: re.Match[str]) -> str:
        start, end = _PLACES[found[0]]
        return text[start:end]

    return _PARTS.sub(part, form)


PAIRS = {
    "moment": Pair(moment_into, moment_back, fits=("dateTime",)),
    "day": Pair(day_into, day_back, fits=("date",)),
}
