"""Cells of results: a number with its comparator, marks and unit in one cell, words, ranges by sex (china.md §2.4).

What is not surely one number stays the text that it is, and a person is told where a number was meant. Nothing is ever
made into another number than was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.attachments import ABSENT
from gateway.mapping.datatypes.clocks import no_words
from gateway.mapping.datatypes.simple import clean, number
from gateway.mapping.datatypes.units import ucum
from gateway.mapping.datatypes.values import (
    INTERPRETATION,
    qualitative,
    quantity_text,
    range_text,
    reference_range,
    with_unit,
    worded,
)

_MARKS: Final = {
    "↑↑": "HH", "HH": "HH", "↓↓": "LL", "LL": "LL", "↑": "H", "H": "H", "高": "H", "↓": "L", "L": "L", "低": "L",
    "N": "N", "M": "N", "正常": "N", "+": "POS", "阳性": "POS", "±": "IND", "-": "NEG", "阴性": "NEG", "A": "A",
    "异常": "A", "★": "AA", "☆": "AA", "*": "A", "偏高": "H", "偏低": "L", "升高": "H", "降低": "L", "增高": "H",
    "减低": "L", "危急": "AA", "危急值": "AA", "危": "AA", "▲": "H", "▼": "L", "⬆": "H", "⬇": "L",
    "↑↑↑": "HH", "↓↓↓": "LL",
}  # fmt: skip
_WRITTEN: Final = {"HH": "↑↑", "LL": "↓↓", "H": "↑", "L": "↓", "POS": "+", "IND": "±", "AA": "★", "A": "A"}
_YES: Final = frozenset({"是", "1", "Y", "危急", "危急值", "危", "★", "TRUE", "YES", "T", "√", "✓", "有"})
_NO: Final = frozenset({"", "否", "0", "N", "FALSE", "NO", "F", "无", "-", "/", "正常"})
_SIGNS: Final = "↑↓⬆⬇▲▼★☆*"
_LETTERS: Final = "HH|LL|H|L"
_WORDS: Final = "偏高|偏低|升高|降低|增高|减低|高|低|危急值|危急"
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
_NUMBER: Final = r"[+-]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"
_MEASURED: Final = re.compile(
    rf"(?P<digits>{_NUMBER})\s*(?:[x×*]\s*10\s*\^?\s*(?P<power>\d{{1,2}})(?![\d]))?\s*(?P<unit>\D.*)?"
)
_DASHES: Final = frozenset({"-", "−", "–", "—"})  # alone they may mean 阴性
_NOTHING: Final = _DASHES | {"--", "---", "——", "/", "//", "\\", "_", "__", "null", "NULL", "None", "N/A", "n/a", "NaN"}
_LONGEST: Final = 100  # characters of a number with its marks and unit
_PLAIN: Final = re.compile(r"\d{1,15}(?:\.\d{1,6})?", re.ASCII)
_SUPERSCRIPT: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_SIGNS_ALIKE: Final = str.maketrans({
    **dict.fromkeys("⩽≦", "≤"), **dict.fromkeys("⩾≧", "≥"),
    "〈": "<", "〉": ">", "−": "-", "‐": "-", "\ufe0e": "", "\ufe0f": "",
})  # fmt: skip
_POWERS: Final = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_BROKEN: Final = re.compile(r"#(?:VALUE|REF|N/A|NAME|DIV/0|NUM|NULL|GETTING_DATA)[!?]?|#+", re.IGNORECASE)
_SERIES: Final = re.compile(r"[<>≤≥]?\s*\d+(?:\.\d+)?\s*(?:[-:/~]\s*\d+(?:\.\d+)?)+")  # 0-1 in a field, 1:80, 120/80
_WITH_UNIT: Final = (re.compile(r"(\S*\d)\s+(\S+)"), re.compile(r"([\d.\s~<>≤≥-]*\d)([^\d.\s~-]\S*)"))
_SEXES: Final = {"男": "male", "男性": "male", "M": "male", "女": "female", "女性": "female", "F": "female"}
_SEX_SYSTEM: Final = "http://hl7.org/fhir/administrative-gender"
_PARTED: Final = re.compile(
    r"(?P<whom>男性|女性|男|女|M(?=\s*:)|F(?=\s*:)|成年?人|儿童|小儿|婴儿|新生儿|孕妇|绝经前|绝经后)\s*[::]?\s*"
    r"(?P<range>[^男女MF;,、\n成儿小婴新孕绝]*?)\s*(?:[;,、\n/|]\s*|\s+|$|(?=男|女|成|儿|小|婴|新|孕|绝))"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a cell holds: its content, the codes of its marks, and the number in it."""

    content: str
    marks: tuple[str, ...] = ()
    amount: dict[str, Any] | None = None  # a Quantity
    cause: str = ""  # why it is no number, where one was meant


def read(raw: str, unit: str) -> Reading:
    """A cell with the cell of its unit. The amount is shared: whoever keeps it copies it."""
    return _read(raw, unit) if len(raw) <= _LONGEST and len(unit) <= _LONGEST else Reading(raw)


@lru_cache(maxsize=16_384)  # the same values come again and again, each read by two lines
def _read(raw: str, unit: str) -> Reading:
    if _PLAIN.fullmatch(raw):
        return Reading(raw, amount=with_unit({"value": Decimal(raw)}, unit.strip()))
    text = _narrow(raw)
    if qualitative(raw):
        return Reading(raw)
    found = _MARKED.fullmatch(text)
    core = found["core"].strip() if found else text
    marks = tuple(_MARKS[each] for each in _MARK.findall(f"{found['before']} {found['after']}")) if found else ()
    if marks and not core:
        return Reading(raw)
    amount, cause = _amount(core, unit.strip())
    if amount is not None:
        return Reading(core, marks, amount)
    if qualitative(core):
        return Reading(core, marks)
    return Reading(raw, cause=cause)


def _narrow(raw: str) -> str:
    """Half-width, with 10⁹ as 10^9."""
    text = _POWERS.sub(lambda found: f"^{found[0].translate(_SUPERSCRIPT)}", raw)
    return unicodedata.normalize("NFKC", text).translate(_SIGNS_ALIKE).strip()


def _amount(text: str, unit: str) -> tuple[dict[str, Any] | None, str]:
    """(Quantity, "") or (None, why a text with a number is none)."""
    plain = number(text)
    if plain is not None:
        return with_unit({"value": plain}, unit), ""
    if _SERIES.fullmatch(text):
        return None, ""
    compared = _COMPARED.fullmatch(text)
    if compared is None or not re.search(r"\d", text):
        return None, ""
    found = _MEASURED.fullmatch(compared[2])
    if found is None:
        return None, "" if not unit else "it is not one number"
    value = number(found["digits"].replace(",", ""))
    rest = compared[2][found.end("digits") :].strip()
    if value is not None and unit and rest and ucum(rest) == (ucum(unit) or unit):  # 13.6×10^9/L in a column of 10^9/L
        return with_unit({"value": value, **_comparator(compared[1])}, unit), ""
    own = (found["unit"] or "").strip()
    if value is None or (own and not ucum(own)):
        return None, "" if not unit else "it is not one number"
    if own and unit and ucum(own) != ucum(unit):
        return None, "its unit is another one than that of its own column"
    if found["power"]:
        value = Decimal(f"{value}E+{int(found['power'])}")
    return with_unit({"value": value, **_comparator(compared[1])}, unit or own), ""


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
    if found.amount is not None:
        return "Quantity", {**found.amount}
    if found.cause:
        context.unread.doubt(f"{found.cause}; it was kept as text")
    return worded(found.content)


def no_unit(unit: str) -> bool:
    """A dash, NULL or 无 in the column of units."""
    return no_words(unit) or unit.strip() in ("无", "0")


def no_value(text: str, unit: str, limits: str) -> bool:
    """A dash or another sign of nothing; a single dash only where the unit or the range tells of a number."""
    if text[-1:].isdecimal() or len(text) > _LONGEST:  # nearly all of them
        return False
    bare = unicodedata.normalize("NFKC", text).strip()
    if bare not in _NOTHING:
        return False
    return bare not in _DASHES or bool(unit.strip()) or any(each is not None for each in _ends(limits))


def result_back(value: tuple[str, Any], context: Context) -> tuple[str, str]:
    kind, content = value
    match kind:
        case "Quantity":
            return quantity_text(content, context), str(content.get("unit", ""))
        case "CodeableConcept":
            first: dict[str, Any] = next(iter(content.get("coding", ())), {})
            return str(content.get("text") or first.get("display") or first.get("code", "")), ""
        case _:
            return str(content), ""


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
        if mark.strip() or critical.strip().upper() not in _NO:
            context.unread.doubt("there is no result that its marks could be of; they were left out")
        return None
    found = read(value.strip(), unit)
    own = _strongest(found.marks)
    told = unicodedata.normalize("NFKC", mark).strip()
    code = _marked(told) if len(told) <= _LONGEST else ""
    if told and not code:
        context.unread.doubt("its abnormal mark is none that is known; it was kept as text")
        return {"text": told}
    if code and own and {code, own} in ({"H", "L"}, {"H", "LL"}, {"HH", "L"}, {"HH", "LL"}):
        context.unread.doubt("the mark in the result is another one than in its own column, which was taken")
    elif code and _contradicts(code, found, limits):
        context.unread.doubt("its abnormal mark says otherwise than its range; the mark was taken")
    words = {"text": told} if code == "NEG" != qualitative(found.content) else {}  # no mark of ours: that of the sender
    code = code or own or qualitative(found.content) or _unmarked(found, limits)
    told = unicodedata.normalize("NFKC", critical).strip().upper()
    if told in _YES:
        code = {"H": "HH", "L": "LL"}.get(code, code if code in ("HH", "LL") else "AA")
    elif told not in _NO:
        context.unread.doubt("its critical mark is none that is known; it was left out")
    return {"coding": [{"system": INTERPRETATION, "code": code}], **words} if code else None


@lru_cache(maxsize=256)
def _marked(text: str) -> str:
    """The code of a mark, alone or several together: ↑, H↑, (↑), ↑★."""
    if not text or text in _MARKS:
        return _MARKS.get(text, "")
    bare = re.sub(r"[()\s]", "", text)
    marks = _MARK.findall(bare)
    return _strongest(tuple(_MARKS[each] for each in marks)) if marks and "".join(marks) == bare else ""


def _strongest(marks: tuple[str, ...]) -> str:
    """One code of several: ↑★ is a critically high one; ↑↓ is none."""
    found = set(marks)
    if {"H", "HH"} & found and {"L", "LL"} & found:
        return ""
    side = "H" if {"H", "HH"} & found else "L" if {"L", "LL"} & found else ""
    if not side:
        return next((each for each in ("AA", "A", *marks) if each in found), "")
    return side * 2 if found & {"HH", "LL", "AA"} else side


def _unmarked(found: Reading, limits: str) -> str:
    """N for a number without a mark, unless its range says otherwise; nothing for other texts."""
    if found.amount is None:
        return ""
    value, comparator = found.amount["value"], found.amount.get("comparator", "")
    low, high = _ends(limits)
    if not comparator.startswith(">") and low is not None and value < low:
        return ""
    return "" if not comparator.startswith("<") and high is not None and value > high else "N"


def _contradicts(code: str, found: Reading, limits: str) -> bool:
    """Low above the range, or high below it."""
    if found.amount is None or "comparator" in found.amount or code[0] not in "HL":
        return False
    low, high = _ends(limits)
    value = found.amount["value"]
    return bool(low is not None and value < low if code[0] == "H" else high is not None and value > high)


@lru_cache(maxsize=4096)  # a laboratory's ranges are few
def _ends(limits: str) -> tuple[Any, Any]:
    known = reference_range(limits, "") or {}
    return known.get("low", {}).get("value"), known.get("high", {}).get("value")


def flag_back(value: dict[str, Any], context: Context) -> tuple[str, ...]:
    code = next((each.get("code", "") for each in value.get("coding", ())), "")
    mark = _WRITTEN.get(code, value.get("text", "") if code in ("", "NEG") else "")
    return "", mark, "是" if code in ("HH", "LL", "AA") else "", "", ""


# ------------------------------------------------------------------------------------------------ ranges


def cell_range_into(raw: str, unit: str, context: Context) -> dict[str, Any] | None:
    """The range with its text, always; its ends where the text is one range, its own unit behind it or not."""
    if no_words(raw) and raw.strip() not in _DASHES:  # a dash alone may mean 阴性
        return None
    unit = "" if no_unit(unit) else unit
    made = reference_range(raw, unit.strip())
    if made is None or len(made) > 1 or len(raw) > _LONGEST:
        return made
    text = _narrow(raw).strip("()[] ")
    text, own = next(_parts(text, unit), (text, ""))
    ends = reference_range(text, unit.strip() or own)
    if ends and len(ends) > 1:
        return {**ends, "text": made["text"]}
    if (found := re.fullmatch(rf"({_NUMBER})\s*[-~]\s*({_NUMBER})", text)) and _above(found[1], found[2]):
        context.unread.doubt("its lower end is above its upper one; it was kept as text")
    return made


def _parts(text: str, unit: str) -> Iterator[tuple[str, str]]:
    """(range, its own unit) where that is known and agrees with the unit of the result."""
    for found in filter(None, (form.fullmatch(text) for form in _WITH_UNIT)):
        if (own := ucum(found[2])) and own == (ucum(unit) or own):
            yield found[1], found[2]


def _above(low: str, high: str) -> bool:
    first, second = number(low.replace(",", "")), number(high.replace(",", ""))
    return first is not None and second is not None and first > second


def cell_range_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    """The text of the range, and the unit of its ends: the only place of it beside words."""
    ends = [value[each] for each in ("low", "high") if each in value]
    return range_text(value, context), str(ends[0].get("unit", "")) if ends else ""


def ranges_into(raw: str, unit: str, context: Context) -> list[dict[str, Any]]:
    """Several ranges in one cell, each with whom it is for: `男:3.9-6.1;女:3.5-5.5`. None where it is not made of
    such parts wholly."""
    if len(raw) > 4 * _LONGEST:
        return []
    text = _narrow(raw)
    made = list(_parted(text, unit.strip(), context))
    return made if len(made) > 1 and sum(map(len, _PARTED.split(text)[::3])) == 0 else []


def _parted(text: str, unit: str, context: Context) -> Iterator[dict[str, Any]]:
    for found in _PARTED.finditer(text):
        ends = cell_range_into(found["range"], unit, context) if found["range"] else None
        if ends is None:
            continue
        sex = _SEXES.get(found["whom"])
        coding = {"coding": [{"system": _SEX_SYSTEM, "code": sex}]} if sex else {}
        yield {**ends, "appliesTo": [{**coding, "text": found["whom"]}]}


def ranges_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    return "", ""


def unmeasured() -> dict[str, Any]:
    """A Quantity that nobody knows."""
    return {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}


PAIRS = {
    "result": Pair(result_into, result_back, fields=2, optional=1),
    "counted": Pair(result_into, counted_back, fields=2, optional=1),
    "described": Pair(result_into, described_back, fields=2, optional=1),
    "noted": Pair(noted_into, noted_back, fits=("string", "markdown"), adds=";"),
    "flag": Pair(flag_into, flag_back, fields=4, optional=2, fits=("CodeableConcept",)),
    "cellrange": Pair(cell_range_into, cell_range_back, fields=1, fits=("BackboneElement",), coded=True),
    "ranges": Pair(ranges_into, ranges_back, fields=1, fits=("BackboneElement",), several=True),
}
