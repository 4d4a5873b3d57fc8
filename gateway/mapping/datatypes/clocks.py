"""Dates and times in cells, as people and spreadsheets write them (china.md §2.2): `2026年3月5日 下午3:20`, `46086.35`.

Never a wrong date: what can be read in two ways (`3/5/2026`, `26-03-05`) is not read.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from gateway.mapping.datatypes.simple import fhir_time

_WRITTEN: Final = re.compile(
    r"(?P<year>\d{4})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})\s*日?[T,\s]*"
    r"(?:\(?(?:星期|周)[一二三四五六日天]\)?\s*)?(?P<half>上午|下午|中午|晚上|晚|早上|凌晨|[AaPp]\.?[Mm]\.?)?\s*"
    r"(?P<hour>\d{1,2})\s*(?:[:时点]\s*(?:(?P<minute>\d{1,2})\s*(?:[:分]\s*(?:(?P<second>\d{1,2})(?:\.\d{1,6})?\s*秒?)?)?)?)"
    r"\s*(?P<after>[AaPp]\.?[Mm]\.?)?",
    re.ASCII,
)
_SERIAL: Final = re.compile(r"[1-9]\d{4}(?:\.\d{1,15})?", re.ASCII)  # 1927-05-18 to 2173: others may be years
_LONGEST: Final = 60  # characters of a date with its time
_FIRST_DAY: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - day 0 of a spreadsheet, of the wall clock
_AFTERNOON: Final = frozenset({"下午", "晚上", "晚", "PM"})
_MORNING: Final = frozenset({"上午", "早上", "凌晨", "AM"})
_NOTHING: Final = frozenset(
    {"-", "--", "—", "——", "/", "\\", "无", "空", "不详", "未知", "null", "none", "n/a", "nan", "nat"}
)
NO_NUMBER: Final = 9  # characters from which on a number is one
_NO_NUMBERS: Final = frozenset(
    {"没有", "未提供", "未带", "无号", "待补", "不明", "无身份证", "无证件", "本人未提供", "儿童"}
)
_NO_DAYS: Final = frozenset({"19000101", "19000100", "18991230", "18991231", "00010101", "17530101", "99991231"})


_BLANK: Final = frozenset(
    {
        "-",
        "--",
        "---",
        "—",
        "——",
        "/",
        "//",
        "\\",
        "_",
        "__",
        "null",
        "(null)",
        "<null>",
        "none",
        "n/a",
        "#n/a",
        "nan",
        "\\n",
    }
)


def no_words(raw: str) -> bool:
    """Does a cell of words hold none: a dash, NULL? 无 and 不详 say something."""
    return len(raw) <= 6 and unicodedata.normalize("NFKC", raw).strip().casefold() in _BLANK


@lru_cache(maxsize=8192)
def no_number(raw: str) -> bool:
    """Does a cell of somebody's or something's number hold none: a dash, 无, 0, 00000000?"""
    if len(raw) > _LONGEST:
        return False
    text = unicodedata.normalize("NFKC", raw).strip().casefold()
    return not text.strip("0.-") or text in _BLANK or text in _NOTHING or text in _NO_NUMBERS


def says_none(raw: str) -> bool:
    """Does a cell of a date or a number say that there is none: a sentinel, a dash?"""
    if len(raw) > _LONGEST:
        return False
    text = unicodedata.normalize("NFKC", raw).strip()
    if text.casefold() in _NOTHING:
        return True
    parts = re.findall(r"\d+", text)
    if not parts or not re.fullmatch(r"[\d\-/.:年月日时分秒T ]+", text):
        return False
    day = parts[0][:8] if len(parts[0]) >= 8 else "".join(each.zfill(2) for each in parts[:3])
    return day in _NO_DAYS or (len(day) >= 4 and not day.strip("0"))


def cell_time(raw: str, zone: ZoneInfo) -> str | None:
    """A FHIR date or dateTime with the precision given; None when it is no real date, or a sentinel."""
    return _cell_time(raw, zone) if len(raw) <= _LONGEST else None


@lru_cache(maxsize=8192)
def _cell_time(raw: str, zone: ZoneInfo) -> str | None:
    text = raw.strip()
    made = fhir_time(text, zone)
    if made is not None:
        return made
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    if says_none(text):
        return None
    if _SERIAL.fullmatch(text):
        return _serial(text, zone)
    found = _WRITTEN.fullmatch(text)
    return _written(found, zone) if found else fhir_time(text, zone)


def _written(found: re.Match[str], zone: ZoneInfo) -> str | None:
    half = (found["half"] or found["after"] or "").upper().replace(".", "")
    hour = int(found["hour"])
    if half in _AFTERNOON or (half == "中午" and hour < 11):
        hour += 12 if hour < 12 else 0
    elif half in _MORNING:
        if hour > 12:
            return None  # 上午 15:20 says two things
        hour = 0 if hour == 12 else hour
    minute, second = (found[name] or "0" for name in ("minute", "second"))
    day = f"{found['year']}-{found['month']:0>2}-{found['day']:0>2}"
    return fhir_time(f"{day} {hour:02}:{minute:0>2}:{second:0>2}", zone)


def _serial(text: str, zone: ZoneInfo) -> str | None:
    """Days since 1899-12-30, with the time as a fraction, to the second."""
    days, _, fraction = text.partition(".")
    seconds = round(float(f"0.{fraction or 0}") * 86_400)
    moment = _FIRST_DAY + timedelta(days=int(days), seconds=seconds)
    return fhir_time(moment.isoformat(" ") if fraction.strip("0") else moment.date().isoformat(), zone)
