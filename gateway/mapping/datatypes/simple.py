"""Texts, numbers, yes/no and times (HL7 v2.5.1 chapter 2A: ST TX FT NM SI ID DT TM DTM; FHIR R4 primitives)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_CLOCK = r"(?P<hour>\d{WIDTH})(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,6}))?)?)?"
_OFFSET = r"(?P<offset>[+-]\d\d:?\d\d|Z)?"
_DTM = re.compile(  # HL7 DTM; every part has its width
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)(?:[ T]?" + _CLOCK.replace("WIDTH", "2") + r")?)?)?" + _OFFSET,
    re.ASCII,
)
_WRITTEN = re.compile(  # 2026-3-12 7:39, 2026/03/12, 2026年3月12日
    r"(?P<year>\d{4})[-/.年](?P<month>\d{1,2})(?:[-/.月](?P<day>\d{1,2})日?(?:[ T]"
    + _CLOCK.replace("WIDTH", "1,2")
    + _OFFSET
    + r")?|月)?",
    re.ASCII,
)
_CONTROLS = dict.fromkeys(code for code in range(0x20) if chr(code) not in "\n\t")
_SIGNS = dict.fromkeys(map(ord, "-:T"))
_PARTS = ("year", "month", "day", "hour", "minute", "second")
SENTINELS = frozenset({"0000", "1900-01-01", "0001-01-01", "0000-00-00", "1753-01-01", "9999-12-31"})


def text_into(raw: str, context: Context) -> str | None:
    return clean(context.text(raw))


def text_back(value: object, context: Context) -> str:
    return escape(str(value))


def raw_into(raw: str, context: Context) -> str | None:
    """A field kept as it stands, separators and escapes too: it goes back as it came."""
    return clean(raw)


def raw_back(value: str, context: Context) -> str:
    return value.replace("|", "\\F\\")


def clean(text: str) -> str | None:
    """FHIR strings: no control characters, not empty (R4 datatypes.html#string)."""
    if text.isprintable():  # the common case, decided in C
        return text.strip() or None
    return text.translate(_CONTROLS).strip() or None


def one_code(text: str) -> str:
    """FHIR codes hold single blanks only (R4 datatypes.html#code)."""
    return " ".join(text.split()) if "  " in text or not text.isprintable() or "\u3000" in text else text


def number(text: str) -> Decimal | None:
    """A decimal with the digits as written, or None. FHIR's own lexical form: no sign '+', no bare point."""
    text = text.strip()
    if not _NUMBER.fullmatch(text) or len(text) > 40:
        return None
    made = Decimal(text)
    return made if made.is_finite() else None


def number_into(raw: str, context: Context) -> Decimal | None:
    found = number(context.text(raw))
    if found is None:
        context.note("a number was expected and text stands there; it was not carried")
    return found


def number_back(value: Decimal | int, context: Context) -> str:
    """The digits as they came: 5.00E+3 is not 5000, which would claim less."""
    text = str(value)
    return format(value, "f") if isinstance(value, Decimal) and "E-" in text else text


def integer_into(raw: str, context: Context) -> int | None:
    return int(raw) if raw.strip().isdecimal() and len(raw) < 10 else None


def positive_into(raw: str, context: Context) -> int | None:
    """R4 positiveInt: from 1."""
    return integer_into(raw, context) or None


def yes_into(raw: str, context: Context, yes: str = "", no: str = "") -> bool | None:
    return {
        "Y": True,
        "N": False,
        "1": True,
        "0": False,
        "是": True,
        "否": False,
        "T": True,
        "F": False,
        "YES": True,
        "NO": False,
    }.get(raw.strip().upper())


def yes_back(value: object, context: Context, yes: str = "Y", no: str = "N") -> str:
    """`yn("1", "0")` writes other words."""
    return yes if value else no


# ------------------------------------------------------------------------------------------------- times


@lru_cache(maxsize=8192)
def fhir_time(raw: str, zone: ZoneInfo) -> str | None:
    """A FHIR date or dateTime with the precision given; None when it is no real date or a sentinel.

    HL7 DTM `YYYY[MM[DD[HH[MM[SS[.S+]]]]]][+/-ZZZZ]` and what exports write (`2026-03-12 07:39:00`). A time without an
    offset is read in `zone`. Minutes without seconds get `:00`, hours without minutes `:00:00` (R4 demands them)."""
    text = raw.strip()
    if len(text) == 19 and (plain := _plain_time(text)):
        return plain
    found = _DTM.fullmatch(text) or _WRITTEN.fullmatch(text)
    if not found:
        return None
    year, month, day, hour = found["year"], found["month"], found["day"], found["hour"]
    if year in ("0000", "0001") or year > "2200":
        return None
    if not month:
        return year
    if not day:
        return f"{year}-{month:0>2}" if 1 <= int(month) <= 12 else None
    try:
        return _day_time(found, zone) if hour else _known(date(int(year), int(month), int(day)).isoformat())
    except ValueError:
        return None


def _plain_time(text: str) -> str:
    """YYYYMMDDHHMMSS+ZZZZ, as most senders write it; "" for what needs a closer look."""
    digits, sign, offset = text[:14], text[14], text[15:]
    if not (text.isascii() and digits.isdecimal() and offset.isdecimal() and sign in "+-") or text[14:] == "-0000":
        return ""
    day = f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    made = f"{day}T{text[8:10]}:{text[10:12]}:{text[12:14]}{sign}{text[15:17]}:{text[17:]}"
    try:
        datetime.fromisoformat(made)
    except ValueError:
        return ""
    return made if "1900" < text[:4] < "2200" and day not in SENTINELS else ""


def _known(day: str) -> str | None:
    return None if day in SENTINELS else day


def _day_time(found: re.Match[str], zone: ZoneInfo) -> str | None:
    year, month, day, hour, minute, second = (int(found[name] or 0) for name in _PARTS)
    midnight = hour == 24 and not minute and not second  # ISO 8601: the end of the day is the start of the next
    moment = datetime(year, month, day, 0 if midnight else hour, minute, second, tzinfo=zone)
    if midnight:
        moment += timedelta(days=1)
    if _known(moment.date().isoformat()) is None:
        return None
    offset = found["offset"]
    if offset:
        moment = moment.replace(tzinfo=_offset(offset))
    if (moment.utcoffset() or timedelta()).seconds % 60:
        return None  # before zones had whole minutes (Shanghai: 1901): no system was there to write it
    text = moment.isoformat(timespec="seconds")
    text = text.replace("+00:00", "Z") if offset in ("Z", "z") else text
    return f"{text[:19]}.{found['fraction']}{text[19:]}" if found["fraction"] else text


def _offset(text: str) -> timezone:
    if text == "Z":
        return timezone.utc  # noqa: UP017 - the pair of the branch below
    digits = text[1:].replace(":", "")
    delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-delta if text[0] == "-" else delta)


def time_into(raw: str, context: Context) -> str | None:
    """`dateTime`."""
    made = fhir_time(raw.partition("^")[0], context.zone)
    if made is None and raw.strip("0: "):
        context.note("a time that is no real time was not carried")
    return made


def date_into(raw: str, context: Context) -> str | None:
    """`date`: the day, whatever time stands behind it."""
    made = time_into(raw, context)
    return made[:10] if made else None


def instant_into(raw: str, context: Context) -> str | None:
    """`instant`: only where at least the minute is known; a bare day is not made into one."""
    return _timed(time_into(raw, context), context)


def timed_into(raw: str, context: Context) -> str | None:
    """`dateTime` where at least the minute is given: a day alone is no moment."""
    made = time_into(raw, context)
    return made if made and "T" in made else None


def with_time(pair: Pair) -> Pair:
    """A dateTime pair for an `instant` element: only where at least the minute is known."""

    def timed_into(raw: str, *cells: Any) -> str | None:
        made: str | None = pair.into(raw, *cells)
        return _timed(made, cells[-1])

    return Pair(timed_into, pair.back, fields=pair.fields, fits=("instant",), coded=pair.coded)


def _timed(made: str | None, context: Context) -> str | None:
    if made and "T" not in made:
        context.note("an instant needs a time of day; only a day was given and it was not carried")
        return None
    return made


def time_back(value: str, context: Context) -> str:
    """DTM in the receiver's zone, as it reads its own clock: without an offset. Seconds are always written."""
    day, _, rest = value.partition("T")
    return _local(str(value), context.zone) if rest else day.replace("-", "")


@lru_cache(maxsize=8192)
def _local(value: str, zone: ZoneInfo) -> str:
    local = datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(zone).isoformat()
    fraction = re.search(r"T[\d:]+(\.\d+)", value) if "." in value else None
    return local[:19].translate(_SIGNS) + (fraction[1][:5] if fraction else "")


PAIRS = {
    "text": Pair(text_into, text_back, fits=("string", "markdown", "uri", "url", "code", "id")),
    "raw": Pair(raw_into, raw_back, fits=("string",)),
    "number": Pair(number_into, number_back, fits=("decimal",)),
    "integer": Pair(integer_into, number_back, fits=("integer", "positiveInt", "unsignedInt")),
    "positive": Pair(positive_into, number_back, fits=("positiveInt",)),
    "yn": Pair(yes_into, yes_back, fits=("boolean",)),
    "dtm": Pair(time_into, time_back, fits=("dateTime",), coded=True),
    "timed": Pair(timed_into, time_back, fits=("dateTime",), coded=True),
    "date": Pair(date_into, time_back, fits=("date",)),
    "instant": Pair(instant_into, time_back, fits=("instant",), coded=True),
}
