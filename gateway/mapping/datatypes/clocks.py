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

from gateway.codec.character_forms import simplified
from gateway.mapping.datatypes.simple import fhir_time

_HALVES: Final = r"上午|下午|中午|晚上|晚|早上|凌晨|[AaPp]\.?[Mm]\.?"
_WRITTEN: Final = re.compile(
    r"(?P<year>\d{4})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})\s*日?[T,\s]*"
    rf"(?:\(?(?:星期|周)[一二三四五六日天]\)?\s*)?(?P<half>{_HALVES})?\s*"
    r"(?P<hour>\d{1,2})\s*"
    r"(?:[:时点]\s*(?:(?P<minute>\d{1,2}|半)\s*(?:[:分]\s*(?:(?P<second>\d{1,2})(?:\.\d{1,6})?\s*秒?)?)?)?)"
    rf"\s*(?P<after>{_HALVES})?",
    re.ASCII,
)
_MONTHS: Final = dict(zip(re.findall("...", "janfebmaraprmayjunjulaugsepoctnovdec"), range(1, 13), strict=True))
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK: Final = rf"(?P<clock>\d{{1,2}}[.:]\d\d(?:[.:]\d\d)?)(?:[.:]\d{{1,9}})?\s*(?P<half>{_HALVES})?"
_ELSEWHERE: Final = tuple(  # how programs write a moment that nobody told how
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"(?P<day>\d{{1,2}})-(?:{_MONTH}|(?P<number>\d{{1,2}})月)\s*-(?P<year>\d{{4}}|\d\d)(?:\s+{_CLOCK})?",  # Oracle
        rf"{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})(?:,?\s+{_CLOCK})?",  # SQL Server
        rf"[a-z]{{3}} {_MONTH} (?P<day>\d\d) {_CLOCK} (?:CST|GMT\+08:00) (?P<year>\d{{4}})",  # Java
        rf"(?P<year>\d{{4}})-(?P<number>\d\d)-(?P<day>\d\d)-{_CLOCK.replace('[.:]', '[-.:]')}",  # DB2
        rf"(?P<year>\d{{4}}) (?P<number>\d\d) (?P<day>\d\d)(?: {_CLOCK})?",
    )
)
_EPOCH: Final = "1970-01-01T08:00:00+08:00"  # what a program shows of a time that was never set
_MILLISECONDS: Final = re.compile(r"1\d{12}", re.ASCII)  # since 1970, as JSON has them: 2001 to 2033
_SIGNS_ALIKE: Final = str.maketrans({**dict.fromkeys("–—−‒‑", "-"), "\\": "/"})
_SERIAL: Final = re.compile(r"[1-9]\d{4}(?:\.\d{1,15})?", re.ASCII)  # 1927-05-18 to 2173: others may be years
_LONGEST: Final = 60  # characters of a date with its time
_BRIEF: Final = 6  # those of a word that says nothing, at most
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
    return len(raw) <= _BRIEF and _is_blank(raw)


@lru_cache(maxsize=8192)
def _is_blank(raw: str) -> bool:
    return simplified(unicodedata.normalize("NFKC", raw).strip()).casefold() in _BLANK


@lru_cache(maxsize=8192)
def no_number(raw: str) -> bool:
    """Does a cell of somebody's or something's number hold none: a dash, 无, 0, 00000000?"""
    if len(raw) > _LONGEST:
        return False
    text = simplified(unicodedata.normalize("NFKC", raw).strip()).casefold()
    return not text.strip("0.-") or text in _BLANK or text in _NOTHING or text in _NO_NUMBERS


def says_none(raw: str) -> bool:
    """Does a cell of a date or a number say that there is none: a sentinel, a dash?"""
    if len(raw) > _LONGEST:
        return False
    text = simplified(unicodedata.normalize("NFKC", raw).strip())
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
        return made if made != _EPOCH else None
    text = " ".join(simplified(unicodedata.normalize("NFKC", text)).split())
    if says_none(text):
        return None
    text = text.translate(_SIGNS_ALIKE)
    if _SERIAL.fullmatch(text):
        return _serial(text, zone)
    if _MILLISECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text) // 1000, zone).isoformat()
    found = _WRITTEN.fullmatch(text)
    return _written(found, zone) if found else fhir_time(_elsewhere(text) or text, zone)


def _elsewhere(text: str) -> str:
    """`YYYY-MM-DD[ HH:MM:SS]` of a moment as another program writes it; "" for others, and for a year of two digits
    that may be a day or of two centuries."""
    found = next(filter(None, (form.fullmatch(text) for form in _ELSEWHERE)), None)
    if found is None:
        return ""
    told = found.groupdict()
    clock = re.sub("[-.]", ":", told.get("clock") or "")
    year = _century(told["year"], clock)
    month = told.get("number") or _MONTHS[told["month"].casefold()]
    hour = _hour(int(clock.partition(":")[0]), told.get("half") or "") if clock else 0
    if not year or hour is None:
        return ""
    return f"{year}-{month:0>2}-{told['day']:0>2}" + (f" {hour:02}:{clock.partition(':')[2]}" if clock else "")


def _century(year: str, clock: str) -> str:
    """Four digits of a year: of 50 to 99 the 20th century; below only beside a time of day, where nobody was born."""
    if len(year) == 4:
        return year
    if year >= "50":
        return f"19{year}"
    return f"20{year}" if clock.strip("0:") and not clock.startswith("12:00") else ""


def _hour(hour: int, half: str) -> int | None:
    """The hour of 24, or None where the two say otherwise of each other: 上午 15:20, 晚上 2:00."""
    half = half.upper().replace(".", "")
    if half in ("晚上", "晚") and (hour < 5 or hour == 12):
        return None  # of the night before or behind it
    if half in _AFTERNOON or (half == "中午" and hour < 3):
        return hour + 12 if hour < 12 else hour
    if half == "中午":
        return hour if 11 <= hour <= 14 else None
    if half in _MORNING:
        return None if hour > 12 else 0 if hour == 12 else hour
    return hour


def _written(found: re.Match[str], zone: ZoneInfo) -> str | None:
    hour = _hour(int(found["hour"]), found["half"] or found["after"] or "")
    if hour is None:
        return None
    minute, second = (found[name] or "0" for name in ("minute", "second"))
    day = f"{found['year']}-{found['month']:0>2}-{found['day']:0>2}"
    return fhir_time(f"{day} {hour:02}:{'30' if minute == '半' else minute:0>2}:{second:0>2}", zone)


def _serial(text: str, zone: ZoneInfo) -> str | None:
    """Days since 1899-12-30, with the time as a fraction, to the second."""
    days, _, fraction = text.partition(".")
    seconds = round(float(f"0.{fraction or 0}") * 86_400)
    moment = _FIRST_DAY + timedelta(days=int(days), seconds=seconds)
    return fhir_time(moment.isoformat(" ") if fraction.strip("0") else moment.date().isoformat(), zone)
