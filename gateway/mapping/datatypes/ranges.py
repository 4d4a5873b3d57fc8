"""Cells of reference ranges: one range with its unit or in words, several by sex or age in one cell (china.md §2.4).

The text is always kept; ends are told only where the text surely says them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.clocks import no_words
from gateway.mapping.datatypes.simple import number
from gateway.mapping.datatypes.units import ucum
from gateway.mapping.datatypes.values import qualitative, range_text, reference_range

DASHES: Final = frozenset({"-", "−", "–", "—"})  # alone they may mean 阴性
LONGEST: Final = 100  # characters of a number with its marks and unit
NUMBER: Final = r"[+-]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"
_SUPERSCRIPT: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_SIGNS_ALIKE: Final = str.maketrans({
    **dict.fromkeys("⩽≦", "≤"), **dict.fromkeys("⩾≧", "≥"), **dict.fromkeys("【〔", "("), **dict.fromkeys("】〕", ")"),
    "〈": "<", "〉": ">", "−": "-", "‐": "-", "\ufe0e": "", "\ufe0f": "",
})  # fmt: skip
_POWERS: Final = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_ENTITY: Final = re.compile("&(?:lt|gt|amp|le|ge|nbsp|quot|#\\d{1,5});")
_WITH_UNIT: Final = (re.compile(r"(\S*\d)\s+(\S+)"), re.compile(r"([\d.\s~<>≤≥-]*\d)([^\d.\s~-]\S*)"))
_UNIT_TWICE: Final = re.compile(r"([\d.]+)\s*(?P<unit>[^\d.\s~-][^\s~-]*)\s*[-~]\s*([\d.]+)\s*(?P=unit)")
_IN_WORDS: Final = (
    (re.compile(r"(?:小于等于|不高于|不大于|不超过)\s*(\S+)"), r"≤\1"),
    (re.compile(r"(?:大于等于|不低于|不小于)\s*(\S+)"), r"≥\1"),
    (re.compile(r"(?:小于|低于)\s*(\S+)|(\S+?)以下"), r"<\1\2"),
    (re.compile(r"(?:大于|高于)\s*(\S+)|(\S+?)以上"), r">\1\2"),
    (re.compile(r"[>≥]=?\s*(\d[\d.]*)\s*(?:且|,|and|&)?\s*[<≤]=?\s*(\d[\d.]*)"), r"\1-\2"),
    (re.compile(r"(\d[\d.]*)\s+to\s+(\d[\d.]*)"), r"\1-\2"),
)
_THOUSANDS: Final = re.compile(r"(?<![\d.,])(\d{1,3}),(\d{3})(?![\d,])")
_DATE: Final = re.compile(
    r"\d{1,2}月\d{1,2}日|\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?(?: 0{1,2}:00(?::00)?)?"
    r"|\d{1,2}-(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:-\d\d)?"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-\d\d",
    re.IGNORECASE,
)
_SEXES: Final = (("男", "male"), ("女", "female"), ("M", "male"), ("F", "female"))
_SEX_SYSTEM: Final = "http://hl7.org/fhir/administrative-gender"
_WHOM: Final = (
    r"(?:成年|成人)?(?:男性|女性|男|女)|M(?=\s*:)|F(?=\s*:)|成年?人|儿童|小儿|婴儿|新生儿|孕妇|绝经前|绝经后|绝经期|卵泡期|排卵期"
    r"|黄体期|空腹|餐后(?:\d+(?:h|小时))?|\d{1,3}(?:-\d{1,3})?(?:岁|月|天)(?:以上|以下)?(?=\s*:)"
)
_BEFORE: Final = re.compile(rf"(?:\(\s*({_WHOM})\s*\)|({_WHOM}))\s*:?")
_BEHIND: Final = re.compile(rf"\(\s*({_WHOM})\s*\)")
_BETWEEN: Final = " ;,、|/\n"


def narrow(raw: str) -> str:
    """Half-width, with 10⁹ as 10^9 and `&lt;` of a web page as `<`."""
    text = html.unescape(raw) if _ENTITY.search(raw) else raw
    text = _POWERS.sub(lambda found: f"^{found[0].translate(_SUPERSCRIPT)}", text)
    return unicodedata.normalize("NFKC", text).translate(_SIGNS_ALIKE).strip()


def no_unit(unit: str) -> bool:
    """A dash, NULL or 无 in the column of units."""
    return no_words(unit) or unit.strip() in ("无", "0")


def is_date(text: str) -> bool:
    """Is it a date where a number belongs? A spreadsheet makes 3月5日 and 5-Mar of 3-5."""
    return _DATE.fullmatch(text.strip()) is not None


@lru_cache(maxsize=4096)  # a laboratory's ranges are few
def bounds(raw: str, unit: str) -> tuple[tuple[Decimal | None, Decimal | None], ...] | None:
    """The ends of each range in a cell, (None, None) for words; None where it has numbers that nobody can read, or of
    another unit."""
    unit = _unit(unit)
    alone = _one(raw, unit)
    listed = [alone] if alone else [ends for _, ends in _several(raw, unit)]
    if not listed:
        return None if any(each.isdigit() for each in raw) else ((None, None),)
    return tuple((ends.get("low", {}).get("value"), ends.get("high", {}).get("value")) for ends in listed)


def _unit(cell: str) -> str:
    return "" if no_unit(cell) else cell.strip()


@lru_cache(maxsize=4096)
def _one(raw: str, unit: str) -> dict[str, Any]:
    """`low` and `high` of a cell that is one range, its own unit behind it or not; {} for others."""
    if len(raw) > LONGEST:
        return {}
    made = _ends(raw, unit)
    if made:
        return made
    text = narrow(raw)
    for form, plain in _IN_WORDS:
        if form.fullmatch(text):
            text = form.sub(plain, text)
            break
    text = _THOUSANDS.sub(r"\1\2", " ".join(re.sub(r"[()\[\]]", " ", text).split()))
    if twice := _UNIT_TWICE.fullmatch(text):
        text = f"{twice[1]}-{twice[3]} {twice['unit']}"
    text, own = next(_parts(text, unit), (text, ""))
    return _ends(text, unit or own)


def _ends(text: str, unit: str) -> dict[str, Any]:
    made = reference_range(text, unit) or {}
    return {name: made[name] for name in ("low", "high") if name in made}


def _parts(text: str, unit: str) -> Iterator[tuple[str, str]]:
    """(range, its own unit) where that is known and agrees with the unit of the result."""
    for found in filter(None, (form.fullmatch(text) for form in _WITH_UNIT)):
        if (own := ucum(found[2])) and own == (ucum(unit) or own):
            yield found[1], found[2]


def cell_range_into(raw: str, unit: str, context: Context) -> dict[str, Any] | None:
    """The range with its text, always; its ends where the text is one range, its own unit behind it or not."""
    if no_words(raw) and raw.strip() not in DASHES:  # a dash alone may mean 阴性
        return None
    made = reference_range(raw, "")
    if made is None:
        return None
    ends = _one(raw, _unit(unit))
    text = narrow(raw).strip("()[] ") if len(raw) <= LONGEST else ""
    if not ends and (found := re.fullmatch(rf"({NUMBER})\s*[-~]\s*({NUMBER})", text)) and _above(found[1], found[2]):
        context.unread.doubt("its lower end is above its upper one; it was kept as text")
    elif not ends and is_date(text):
        context.unread.doubt("a date, no range: a spreadsheet makes one of 3-5; it was kept as text")
    elif not ends and _one(raw, ""):
        context.unread.doubt("its unit is another one than that of the result; it was kept as text")
    return {**{name: dict(end) for name, end in ends.items()}, "text": made["text"]}


def _above(low: str, high: str) -> bool:
    first, second = number(low.replace(",", "")), number(high.replace(",", ""))
    return first is not None and second is not None and first > second


def cell_range_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    """The text of the range, and the unit of its ends: the only place of it beside words."""
    ends = [value[each] for each in ("low", "high") if each in value]
    return range_text(value, context), str(ends[0].get("unit", "")) if ends else ""


def _of_result(values: list[dict[str, Any]], context: Context) -> dict[str, Any]:
    """Of the ranges of one result what its cell says: the usual one for everybody, else each with whom it is for. A
    critical or a therapeutic one is no range of what is normal."""
    usual = [each for each in values if _is_usual(each)]
    for_all = [each for each in usual if not each.get("appliesTo")]
    if for_all:
        unit = next(({"low": each["low"]} for each in usual if "low" in each), {})  # of the parts that it lists
        return for_all[0] if {"low", "high"} & for_all[0].keys() else {**unit, **for_all[0]}
    if not usual:
        return {}
    plain = [{name: end for name, end in each.items() if name != "appliesTo"} for each in usual]
    listed = [f"{_whom(each)}{range_text(each, context)}" for each in usual]
    return {**plain[0], "text": ";".join(listed)}


def _is_usual(value: dict[str, Any]) -> bool:
    codes = {each.get("code") for each in value.get("type", {}).get("coding", ())}
    return not codes or "normal" in codes


def _whom(value: dict[str, Any]) -> str:
    """`男:` of a range for men."""
    first: dict[str, Any] = value["appliesTo"][0]
    codes = {each.get("code") for each in first.get("coding", ())}
    sex = next((sign for sign, code in _SEXES if code in codes), "")
    whom = first.get("text") or sex or next((each.get("display", "") for each in first.get("coding", ())), "")
    return f"{whom}:" if whom else ""


def _in_its_unit(made: tuple[str, ...], there: tuple[str, ...]) -> tuple[str, ...]:
    """A range of another unit than the one that stands in the row tells its own."""
    (text, unit), (standing,) = made, there
    return made if (ucum(standing) or standing) == (ucum(unit) or unit) else (f"{text} {unit}", "")


def ranges_into(raw: str, unit: str, context: Context) -> list[dict[str, Any]]:
    """Several ranges in one cell, each with whom it is for: `男:3.9-6.1;女:3.5-5.5`. None where it is not made of
    such parts wholly."""
    made = []
    for (whom, text), ends in _several(raw, _unit(unit)):
        sex = next((code for sign, code in _SEXES if sign in whom), "")
        coding = {"coding": [{"system": _SEX_SYSTEM, "code": sex}]} if sex else {}
        copied = {name: dict(end) for name, end in ends.items()}
        made.append({**copied, "text": text, "appliesTo": [{**coding, "text": whom}]})
    return made


@lru_cache(maxsize=4096)
def _several(raw: str, unit: str) -> tuple[tuple[tuple[str, str], dict[str, Any]], ...]:
    """((whom, text), ends) of each part of a cell; () where one of them is none."""
    if len(raw) > 4 * LONGEST:
        return ()
    text = narrow(raw)
    made = []
    for whom, part in _halves(text):
        ends = _one(part, unit)
        if not part or not (ends or qualitative(part)):
            return ()
        made.append(((whom, part), ends))
    return tuple(made)


def _halves(text: str) -> list[tuple[str, str]]:
    """(whom, range) of the parts: whom each is for stands before it, or in brackets behind it."""
    first = _BEFORE.match(text)
    pieces = (_BEFORE if first else _BEHIND).split(text)
    names = [name for name in pieces if name is not None] if first else pieces
    parts = [each.strip(_BETWEEN) for each in names]
    if first:
        return list(zip(parts[1::2], parts[2::2], strict=False))
    return list(zip(parts[1::2], parts[::2], strict=False)) if len(parts) > 1 and not parts[-1] else []


def ranges_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    return "", ""


PAIRS = {
    "cellrange": Pair(
        cell_range_into,
        cell_range_back,
        fields=1,
        fits=("BackboneElement",),
        coded=True,
        apart=_in_its_unit,
        together=_of_result,
    ),
    "ranges": Pair(ranges_into, ranges_back, fields=1, fits=("BackboneElement",), several=True),
}
