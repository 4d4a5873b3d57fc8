"""Cells of results: a number with its comparator, marks and unit in one cell, words (china.md §2.4).

What is not surely one number stays the text that it is, and a person is told where a number was meant. Nothing is ever
made into another number than was written.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from gateway.codec.character_forms import simplified
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.attachments import ABSENT
from gateway.mapping.datatypes.ranges import DASHES, LONGEST, NUMBER, bounds, is_date, narrow, no_unit
from gateway.mapping.datatypes.simple import clean, number
from gateway.mapping.datatypes.units import ucum
from gateway.mapping.datatypes.values import (
    INTERPRETATION,
    qualitative,
    quantity_text,
    range_text,
    with_unit,
    worded,
)

_MARKS: Final = {
    "↑↑": "HH", "HH": "HH", "↓↓": "LL", "LL": "LL", "↑": "H", "H": "H", "高": "H", "↓": "L", "L": "L", "低": "L",
    "N": "N", "M": "N", "正常": "N", "+": "POS", "阳性": "POS", "±": "IND", "-": "NEG", "阴性": "NEG", "A": "A",
    "异常": "A", "★": "AA", "☆": "AA", "*": "A", "偏高": "H", "偏低": "L", "升高": "H", "降低": "L", "增高": "H",
    "减低": "L", "危急": "AA", "危急值": "AA", "危": "AA", "▲": "H", "▼": "L", "⬆": "H", "⬇": "L",
    "⇑": "H", "⇓": "L", "⇧": "H", "⇩": "L",
    "↑↑↑": "HH", "↓↓↓": "LL", "S": "S", "敏感": "S", "I": "I", "中介": "I", "R": "R", "耐药": "R",
}  # fmt: skip
_WRITTEN: Final = {"HH": "↑↑", "LL": "↓↓", "H": "↑", "L": "↓", "POS": "+", "IND": "±", "AA": "★", "A": "A"}
_YES: Final = frozenset({"是", "1", "Y", "危急", "危急值", "危", "★", "TRUE", "YES", "T", "√", "✓", "有"})
_NO: Final = frozenset({"", "否", "0", "N", "FALSE", "NO", "F", "无", "-", "/", "正常"})
_SIGNS: Final = "↑↓⬆⬇⇑⇓⇧⇩▲▼★☆*"
_LETTERS: Final = "HH|LL|H|L"
_WORDS: Final = "偏高|偏低|升高|降低|增高|减低|高|低|正常|危急值|危急"
_MARKED: Final = re.compile(
    rf"(?P<before>(?:[{_SIGNS}]\s*)*(?:(?:{_LETTERS})(?=\s*[<>≤≥\d]))?)\s*"
    rf"(?P<core>[^{_SIGNS}]*?)\s*"
    rf"(?P<after>(?:\(?\s*(?:[{_SIGNS}]+|{_WORDS}|(?<=[\d\s(])(?:{_LETTERS})(?![A-Za-z]))\s*\)?\s*)*)",
    re.DOTALL,
)
_MARK: Final = re.compile(rf"↑+|↓+|[{_SIGNS}]|{_LETTERS}|{_WORDS}")
_COMPARED: Final = re.compile(
    r"(<=|>=|=<|=>|[<>≤≥=]|小于等于|大于等于|小于|大于|低于|高于|不低于|不高于)?\s*(.*)", re.DOTALL
)
_COMPARATORS: Final = {
    "<": "<", "<=": "<=", "=<": "<=", "≤": "<=", ">": ">", ">=": ">=", "=>": ">=", "≥": ">=", "=": "", "": "",
    "小于": "<", "大于": ">", "低于": "<", "高于": ">", "小于等于": "<=", "大于等于": ">=",
    "不低于": ">=", "不高于": "<=",
}  # fmt: skip
_MEASURED: Final = re.compile(
    rf"(?P<digits>{NUMBER})\s*(?:[x×*]\s*10\s*\^\s*(?P<power>\d{{1,2}})(?![\d]))?\s*(?P<unit>\D.*)?"
)
_NOTHING: Final = DASHES | {"--", "---", "——", "/", "//", "\\", "_", "__", "null", "NULL", "None", "N/A", "n/a", "NaN"}
_RAISED: Final = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹")  # digits of a power
_PLAIN: Final = re.compile(r"\d{1,15}(?:\.\d{1,6})?", re.ASCII)
_FILLED: Final = re.compile(r"-?9{4,}(?:\.9*0*)?")  # 9999, 99999.00; nobody measures all nines
_THOUSANDS: Final = re.compile(r"[eE]\+?0*(?:[3-9]|\d\d)$")  # 5.2E9
_NO_NUMBER: Final = "it is not one number"
_TWO_POWERS: Final = "there is a power of ten in the number and in its unit"
_WORD: Final = re.compile("[一-鿿]")
_BROKEN: Final = re.compile(r"#(?:VALUE|REF|N/A|NAME|DIV/0|NUM|NULL|GETTING_DATA)[!?]?|#+", re.IGNORECASE)
_SERIES: Final = re.compile(r"[<>≤≥]?\s*\d+(?:\.\d+)?\s*(?:[-:/~]\s*\d+(?:\.\d+)?)+")  # 0-1 in a field, 1:80, 120/80


@dataclass(frozen=True, slots=True)
class Reading:
    """What a cell holds: its content, the codes of its marks, and the number in it."""

    content: str
    marks: tuple[str, ...] = ()
    amount: dict[str, Any] | None = None  # a Quantity
    cause: str = ""  # why it is no number, where one was meant


def read(raw: str, unit: str) -> Reading:
    """A cell with the cell of its unit. The amount is shared: whoever keeps it copies it."""
    return _read(raw, unit) if len(raw) <= LONGEST and len(unit) <= LONGEST else Reading(raw)


@lru_cache(maxsize=16_384)  # the same values come again and again, each read by two lines
def _read(raw: str, unit: str) -> Reading:
    if _PLAIN.fullmatch(raw):
        return Reading(raw, amount=with_unit({"value": Decimal(raw)}, unit.strip()))
    text = narrow(raw)
    if qualitative(raw):
        return Reading(raw)
    if not raw.isascii() and any(unicodedata.category(each) == "No" and each not in _RAISED for each in raw):
        return Reading(raw, cause=_NO_NUMBER if unit.strip() else "")  # ① and ½ are no digits
    found = _MARKED.fullmatch(text)
    core = found["core"].strip() if found else text
    marks = tuple(_MARKS[each] for each in _MARK.findall(f"{found['before']} {found['after']}")) if found else ()
    if marks and not core:
        return Reading(raw, cause="marks without a number" if unit.strip() and not _WORD.search(text) else "")
    amount, cause = _amount(core, unit.strip())
    if amount is not None:
        return Reading(core, marks, amount)
    if qualitative(core):
        return Reading(core, marks)
    return Reading(raw, cause=cause)


def _amount(text: str, unit: str) -> tuple[dict[str, Any] | None, str]:
    """(Quantity, "") or (None, why a text with a number is none)."""
    plain = number(text)
    if plain is not None and _THOUSANDS.search(text) and _is_power(unit):
        return None, _TWO_POWERS
    if plain is not None:
        return with_unit({"value": plain}, unit), ""
    if is_date(text):
        return None, "a date, no number: a spreadsheet makes one of 3-5" if unit else ""
    compared = _COMPARED.fullmatch(text)
    if compared is None or _SERIES.fullmatch(text) or not re.search(r"\d", text):
        return None, ""
    made = _measured(compared[2], unit)
    if isinstance(made, str):
        return None, made if unit else ""
    value, own = made
    return with_unit({"value": value, **_comparator(compared[1])}, unit or own), ""


def _measured(text: str, unit: str) -> tuple[Decimal, str] | str:
    """(number, its own unit), or why it is none."""
    found = _MEASURED.fullmatch(text)
    value = number(found["digits"].replace(",", "")) if found else None
    if found is None or value is None:
        return _NO_NUMBER
    if (rest := text[found.end("digits") :].strip()) and _is_unit(rest, unit):  # 13.6×10^9/L in a column of 10^9/L
        return value, rest
    own = (found["unit"] or "").strip()
    if own and not ucum(own):
        return _NO_NUMBER
    if own and unit and ucum(own) != ucum(unit):
        return "its unit is another one than that of its own column"
    if not found["power"]:
        return value, own
    return _TWO_POWERS if _is_power(unit or own) else (Decimal(f"{value}E+{int(found['power'])}"), own)


def _is_unit(text: str, unit: str) -> bool:
    """Is it the unit of its column, or one with a power of ten where that is empty?"""
    return ucum(text) == (ucum(unit) or unit) if unit else _is_power(text)


def _is_power(unit: str) -> bool:
    return ucum(unit).startswith("10*")


def _comparator(sign: str | None) -> dict[str, str]:
    found = _COMPARATORS[sign or ""]
    return {"comparator": found} if found else {}


def result_into(raw: str, unit: str, *more: Any) -> tuple[str, Any] | None:
    """A result cell with the cell of its unit and, where the line names it, of its range → value[x]. `1+`, `±`,
    `阴性(-)` are never numbers; a dash where a number belongs is no value, and no 阴性."""
    limits, context = more if len(more) > 1 else ("", *more)
    text, unit = clean(raw), "" if no_unit(unit) else unit
    if not text or no_value(text, unit, limits):
        return None
    if _BROKEN.fullmatch(text):
        context.unread.doubt("an error of a spreadsheet, no result; it was left out")
        return None
    found = read(text, unit)
    if found.amount is not None and _filled(found.amount):
        context.unread.doubt("all nines, as programs fill a field that has no result; it was kept as text")
        return worded(text)
    if found.amount is not None and not _below_zero(found.amount, limits, unit):
        return "Quantity", {**found.amount}
    if found.amount is not None:
        context.unread.doubt("it is below zero, where its range and its unit are not; it was kept as text")
        return worded(text)
    if found.cause:
        context.unread.doubt(f"{found.cause}; it was kept as text")
    return worded(found.content)


def _filled(amount: dict[str, Any]) -> bool:
    """Nothing but nines; >9999 says where an instrument ends."""
    return "comparator" not in amount and _FILLED.fullmatch(str(amount["value"])) is not None


def _below_zero(amount: dict[str, Any], limits: str, unit: str) -> bool:
    """Below zero where that can only be a dash before a number: beside a range without a minus, or counted."""
    if amount["value"] >= 0:
        return False
    ends = [end for each in bounds(limits, unit) or () for end in each if end is not None]
    counted = str(amount.get("code", "")).startswith(("10*", "/", "%"))
    return min(ends) >= 0 if ends else counted


def no_value(text: str, unit: str, limits: str) -> bool:
    """A dash or another sign of nothing; a single dash only where the unit or the range tells of a number."""
    if text[-1:].isdecimal() or len(text) > LONGEST:  # nearly all of them
        return False
    bare = unicodedata.normalize("NFKC", text).strip()
    if bare not in _NOTHING:
        return False
    return bare not in DASHES or bool(unit.strip()) or bounds(limits, unit) != ((None, None),)


def result_back(value: tuple[str, Any], context: Context) -> tuple[str, str]:
    """(result, unit). A waveform has no place in a cell, nor has a bare code that would be read as a number."""
    kind, content = value
    match kind:
        case "Quantity":
            return quantity_text(content, context), _unit_of(content)
        case "Range":
            ends = [content[each] for each in ("low", "high") if each in content]
            return range_text(content, context), next(map(_unit_of, ends), "")
        case "Ratio":
            parts = [content.get(each, {}) for each in ("numerator", "denominator")]
            return ":".join(f"{quantity_text(each, context)}{_unit_of(each)}" for each in parts), ""
        case "Period":
            return "至".join(str(content.get(each, "")) for each in ("start", "end")), ""
        case "CodeableConcept":
            first: dict[str, Any] = next(iter(content.get("coding", ())), {})
            code = str(first.get("code", ""))
            bare = code if read(code, "").amount is None else ""
            return str(content.get("text") or first.get("display") or bare), ""
        case "Boolean":
            return "是" if content else "否", ""
        case _:
            return "" if isinstance(content, dict) else str(content), ""


def _unit_of(value: dict[str, Any]) -> str:
    """The unit as written; its code where that alone is told."""
    return str(value.get("unit") or value.get("code", ""))


def counted_back(value: tuple[str, Any], context: Context) -> tuple[str, str]:
    """Of an export that has a column of its own for words: the numbers."""
    return result_back(value, context) if value[0] == "Quantity" else ("", "")


def described_back(value: tuple[str, Any], context: Context) -> tuple[str, str]:
    return ("", "") if value[0] == "Quantity" else result_back(value, context)


def noted_into(raw: str, context: Context) -> str | None:
    """Words beside a value; a sign of nothing is none."""
    text = clean(raw)
    return None if not text or no_value(text, "-", "") else text


def noted_back(value: str, context: Context) -> str:
    return str(value)


# ------------------------------------------------------------------------------------------------ marks


def flag_into(value: str, mark: str, critical: str, *more: Any) -> dict[str, Any] | None:
    """The result with its abnormal mark, its critical mark and, where the line names them, its range and its unit →
    interpretation.
    The mark of the column comes before one in the result itself. In an export an empty mark means normal: a
    qualitative result says so itself, a number is N unless its range says otherwise."""
    *others, context = more
    limits, unit, *_ = (*others, "", "")
    if no_value(value, unit, limits):
        if mark.strip() or critical.strip().upper().removesuffix(".0") not in _NO:
            context.unread.doubt("there is no result that its marks could be of; they were left out")
        return None
    found = read(value.strip(), unit)
    own = _strongest(found.marks)
    told = unicodedata.normalize("NFKC", mark).strip()
    code = _marked(told) if len(told) <= LONGEST else ""
    if told and not code:
        context.unread.doubt("its abnormal mark is none that is known; it was kept as text")
        return {"text": told}
    if code and own and {code, own} in ({"H", "L"}, {"H", "LL"}, {"HH", "L"}, {"HH", "LL"}):
        context.unread.doubt("the mark in the result is another one than in its own column, which was taken")
    elif code and _contradicts(code, found, limits, unit):
        context.unread.doubt("its abnormal mark says otherwise than its range; the mark was taken")
    words = {"text": told} if code == "NEG" != qualitative(found.content) else {}  # no mark of ours: that of the sender
    code = code or own or qualitative(found.content) or _unmarked(found, limits, unit)
    told = unicodedata.normalize("NFKC", critical).strip().upper().removesuffix(".0")  # as programs write numbers
    if told in _YES:
        code = {"H": "HH", "L": "LL"}.get(code, code if code in ("HH", "LL") else "AA")
    elif told not in _NO:
        context.unread.doubt("its critical mark is none that is known; it was left out")
    return {"coding": [{"system": INTERPRETATION, "code": code}], **words} if code else None


@lru_cache(maxsize=256)
def _marked(text: str) -> str:
    """The code of a mark, alone or several together: ↑, H↑, (↑), ↑★."""
    text = simplified(text)
    if not text or text in _MARKS:
        return _MARKS.get(text, "")
    bare = re.sub(r"[()\s]", "", text)
    marks = _MARK.findall(bare)
    return _strongest(tuple(_MARKS[each] for each in marks)) if marks and "".join(marks) == bare else ""


def _strongest(marks: tuple[str, ...]) -> str:
    """One code of several: ↑★ is a critically high one; ↑↓ is none."""
    if not marks:
        return ""
    found = set(marks)
    if {"H", "HH"} & found and {"L", "LL"} & found:
        return ""
    side = "H" if {"H", "HH"} & found else "L" if {"L", "LL"} & found else ""
    if not side:
        return next((each for each in ("AA", "A", *marks) if each in found), "")
    return side * 2 if found & {"HH", "LL", "AA"} else side


def _unmarked(found: Reading, limits: str, unit: str) -> str:
    """N for a number without a mark, unless one of its ranges says otherwise or nobody can read them; nothing for other
    texts."""
    ranges = bounds(limits, unit)
    if found.amount is None or ranges is None or _below_zero(found.amount, limits, unit):
        return ""
    value, comparator = found.amount["value"], found.amount.get("comparator", "")
    for low, high in ranges:
        below = low is not None and value < low and not comparator.startswith(">")
        above = high is not None and value > high and not comparator.startswith("<")
        if below or above:
            return ""
    return "N"


def _contradicts(code: str, found: Reading, limits: str, unit: str) -> bool:
    """Low above all its ranges, high below them, or normal outside of them."""
    if found.amount is None or "comparator" in found.amount or code[0] not in "HLN" or code == "NEG":
        return False
    value = found.amount["value"]
    ranges = bounds(limits, unit) or ()
    below = bool(ranges) and all(low is not None and value < low for low, _ in ranges)
    above = bool(ranges) and all(high is not None and value > high for _, high in ranges)
    return below if code[0] == "H" else above if code[0] == "L" else below or above


def flag_back(value: dict[str, Any], context: Context) -> tuple[str, ...]:
    """Of several marks the strongest; one that has no sign of ours as it is: an empty cell would mean normal."""
    codes = tuple(str(each["code"]) for each in value.get("coding", ()) if "code" in each)
    code = _strongest(codes) or next(iter(codes), "")
    mark = _WRITTEN.get(code, value.get("text", "") if code in ("", "NEG") else "" if code == "N" else code)
    return "", mark, "是" if {"HH", "LL", "AA"} & set(codes) else "", "", ""


def _marks_together(values: list[dict[str, Any]], context: Context) -> dict[str, Any]:
    """All interpretations of one result as one: its row has one cell for them."""
    texts = [str(each["text"]) for each in values if "text" in each]
    told = {"text": texts[0]} if texts else {}
    return {"coding": [coding for each in values for coding in each.get("coding", ())], **told}


def unmeasured() -> dict[str, Any]:
    """A Quantity that nobody knows."""
    return {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}


PAIRS = {
    "result": Pair(result_into, result_back, fields=2, optional=1),
    "counted": Pair(result_into, counted_back, fields=2, optional=1),
    "described": Pair(result_into, described_back, fields=2, optional=1),
    "noted": Pair(noted_into, noted_back, fits=("string", "markdown"), joins="{};{}".format),
    "flag": Pair(flag_into, flag_back, fields=4, optional=2, fits=("CodeableConcept",), together=_marks_together),
}
