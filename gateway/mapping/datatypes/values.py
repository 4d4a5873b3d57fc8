"""Results: OBX-5 by the type in OBX-2, ranges, comparators (HL7 v2.5.1 chapter 7; R4 observation.html).

A number keeps its digits (decimal, never a binary float) and its unit as written; UCUM is added where the unit is
known. A qualitative result keeps its text and gains POS, NEG or IND. Nothing is made into a number that is not one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.codec.character_forms import simplified
from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.simple import clean, fhir_time, number, number_back, time_back, time_into
from gateway.mapping.datatypes.units import EXPLICIT, MDC, UCUM, members, ucum

UCUM_NAMES = frozenset({"UCUM", "2.16.840.1.113883.6.8"})
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_COMPARATORS = {
    "<": "<", ">": ">", "<=": "<=", ">=": ">=", "≤": "<=", "≥": ">=", "＜": "<", "＞": ">", "⩽": "<=", "⩾": ">=",
}  # fmt: skip
_COMPARED = re.compile(r"(<=|>=|[<>≤≥＜＞⩽⩾])?\s*(.+)", re.DOTALL)
_QUALITATIVE = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (r"([弱强]?阳性?|检出|positive|pos\.?)(\s*\(?\s*\+*\s*\)?)?|[1-4]?\++|\+[1-4]|\(\+{1,4}\)", "POS"),
        (r"(阴性?|未检出|未见|negative|neg\.?)(\s*\(?\s*[-—–−]?\s*\)?)?|[-—–−]|\([-—–−]\)", "NEG"),
        (r"±|\(±\)|\+/?-|可疑|临界|indeterminate|equivocal", "IND"),
    )
)
_RANGE = re.compile(r"\s*(?P<low>[+-]?\d*\.?\d+)\s*(?:-{1,2}|~|～|—{1,2}|–|至)\s*(?P<high>[+-]?\d*\.?\d+)\s*")
_TEXTS = {"ST", "TX", "FT"}
_LONGEST_WORD = 60  # characters of a result in one word, with the blanks around it
REPEATED = frozenset({  # types whose repetitions are several answers, not lines of one text
    "NM", "SN", "CWE", "CE", "CNE", "CF", "IS", "ID", "DT", "TM", "TS", "DTM", "DR", "NR", "CQ", "VR", "SI",
})  # fmt: skip
WRITTEN = "urn:hutong:v2-value"  # extension of a value: OBX-2, with OBX-5 behind it, as the sender wrote them
_PLAIN_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,6})?", re.ASCII)
_PARTED = re.compile(r"[\\^~]")
_CLOCK = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?")
_LONG = 200  # ST holds up to 199 characters (v2.5.1 §2.A.73)


def qualitative(text: str) -> str:
    """POS, NEG, IND or "" for a result written in words or signs."""
    if len(text) > _LONGEST_WORD or (text.isascii() and text[:1].isdecimal() and text[-1:].isdecimal()):  # a number
        return ""
    text = simplified(unicodedata.normalize("NFKC", text).strip())
    return next((code for pattern, code in _QUALITATIVE if pattern.fullmatch(text)), "")


def quantity(text: str, unit: str) -> dict[str, Any] | None:
    """Quantity with comparator, the unit as written and its UCUM code; None when the text is not one number."""
    value = number(text)
    if value is not None:
        return with_unit({"value": value}, unit)
    found = _COMPARED.fullmatch(unicodedata.normalize("NFKC", text).strip().replace("⩽", "≤"))
    value = number(found[2]) if found else None
    if not found or value is None:
        return None
    made: dict[str, Any] = {"value": value}
    if found[1]:
        made["comparator"] = _COMPARATORS[found[1]]
    return with_unit(made, unit)


def with_unit(made: dict[str, Any], unit: str) -> dict[str, Any]:
    """`unit` as written; `d^day^UCUM`, where the sender gives its own UCUM code, as unit_text() left it."""
    made.update(members(unit))
    return made


def unit_back(value: dict[str, Any]) -> str:
    """OBX-6: the unit as written; with its UCUM code where that does not follow from it."""
    unit, code = value.get("unit", ""), value.get("code", "")
    if unit and code and value.get("system") == UCUM and code != ucum(unit):
        return joined(code, unit if unit != code else "", "UCUM")
    if unit and code and value.get("system") == MDC:
        return joined(code, unit, "MDC")
    return escape(unit or code)


def quantity_text(value: dict[str, Any], context: Context) -> str:
    digits = number_back(value["value"], context) if "value" in value else ""
    return f"{value.get('comparator', '')}{digits}"


def worded(text: str) -> tuple[str, Any]:
    """A result in words: POS/NEG/IND as a coding where the words say so, else a string."""
    code = qualitative(text)
    if code:
        return "CodeableConcept", {"coding": [{"system": INTERPRETATION, "code": code}], "text": text}
    return "String", text


# --------------------------------------------------------------------------------------------- OBX-2/5/6


def switch_into(raw: str, kind: str, units: str, context: Context) -> tuple[Any, ...] | None:
    """OBX-5 (all repetitions) by OBX-2 with the units of OBX-6 → value[x], as (type name, value) or, where a primitive
    would be written back otherwise, (type name, value, what extends it)."""
    if kind == "NM" and _PLAIN_NUMBER.fullmatch(raw) and str(digits := Decimal(raw)) == raw:  # nearly all results
        return "Quantity", {
            "value": digits,
            **(_members(units) if "\\" not in units else members(unit_text(units, context))),
        }
    if raw == '""' or not raw.strip() or ("~" in raw and kind in REPEATED):
        return None
    unit = unit_text(units, context)
    made = _read(raw, kind, unit, context)
    if made is None or not kind or _as_it_is(raw, kind, made) or (kind == "NM" and made[0] != "Quantity"):
        return made
    return _hinted(made, raw, kind, context)


def _read(raw: str, kind: str, unit: str, context: Context) -> tuple[str, Any] | None:
    match kind:
        case "NM" | "ST" | "TX" | "FT" | "" | "SI":
            return _texted(raw, kind, unit, context)
        case "SN":
            return structured_into(raw, unit, context)
        case "CWE" | "CE" | "CNE" | "CF" | "IS" | "ID":
            concept = cwe_into(raw, context)
            return ("CodeableConcept", concept) if concept else None
        case "TS" | "DTM" | "DT":
            moment = time_into(raw, context)
            return ("DateTime", moment) if moment else _string(raw, context)
        case "DR":
            return _period(raw, context) or _string(raw, context)
        case "NR":
            return structured_into("^" + raw.replace("^", "^-^", 1), unit, context) or _string(raw, context)
        case "TM":
            clock = _CLOCK.fullmatch(raw)
            return ("Time", f"{clock[1]}:{clock[2]}:{clock[3] or '00'}") if clock else _string(raw, context)
        case "CQ":
            text, unit_of = (*raw.split("^", 1), "")[:2]
            return _texted(text, "NM", unit_text(unit_of.replace("&", "^"), context) or unit, context)
        case "VR":
            return _string(raw.replace("^", "-"), context)
        case _:
            return _string(raw, context)


def _as_it_is(raw: str, kind: str, made: tuple[str, Any]) -> bool:
    """A number with its digits, a short text without escapes: written as they came. Nearly all results are that."""
    if kind == "NM":
        return made[0] == "Quantity" and "comparator" not in made[1] and str(made[1]["value"]) == raw
    return (
        kind == "ST"
        and made[0] != "Quantity"
        and len(raw) < _LONG
        and "\\" not in raw
        and "^" not in raw
        and "~" not in raw
    )


def _hinted(made: tuple[str, Any], raw: str, kind: str, context: Context) -> tuple[Any, ...]:
    """The value with a note of OBX-2, and of OBX-5 too, where it would be written back otherwise."""
    text, type_, _ = switch_back(made, context)
    same = _settled(text) == _settled(raw)
    if type_ == kind and same:
        return made
    hint = [{"url": WRITTEN, "valueString": kind if same else f"{kind}^{raw}"}]
    if not hint[0]["valueString"].isprintable():
        return made
    name, value = made
    return (name, {"extension": hint, **value}) if isinstance(value, dict) else (name, value, {"extension": hint})


def _settled(text: str) -> str:
    return text.strip().rstrip("^")


def _period(raw: str, context: Context) -> tuple[str, Any] | None:
    """DR, `from^to` (v2.5.1 §2A.20)."""
    start, _, end = raw.partition("^")
    ends = {"start": fhir_time(start, context.zone), "end": fhir_time(end, context.zone)}
    made = {name: moment for name, moment in ends.items() if moment}
    return ("Period", made) if made else None


def words(raw: str, context: Context) -> str:
    """What a person would read of a field: the text of a coded value, else its components."""
    components = parts(raw, context)
    return (components[1] if len(components) > 1 and components[1] else " ".join(filter(None, components))).strip()


def unit_text(raw: str, context: Context) -> str:
    """OBX-6: the code, or its text where only that is given (`^umol/L`), or the original one; an unescaped `10^9/L` is
    put together; the code and the name of a UCUM unit, also an alternate one, or of a device's unit (MDC), with
    EXPLICIT between them."""
    if not raw or raw == '""':
        return ""
    return _unit_text(tuple(parts(raw, context))) if "\\" in raw else _plain_unit_text(raw)


@lru_cache(maxsize=4096)
def _members(raw: str) -> Mapping[str, str]:
    """What OBX-6 without escapes says in a Quantity."""
    return members("" if raw == '""' else _plain_unit_text(raw))


@lru_cache(maxsize=4096)
def _plain_unit_text(raw: str) -> str:
    return _unit_text(tuple(each.strip() for each in raw.split("^")))


def _unit_text(components: tuple[str, ...]) -> str:
    if len(components) > 2 and components[2] in UCUM_NAMES and components[0] and components[1]:
        code, name, *_ = components
        return name if ucum(name) == code else code if name == code else f"{code}{EXPLICIT}{name}"
    if re.fullmatch(r"[x×*]?10", components[0].strip()) and len(components) > 1 and re.match(r"\d+/", components[1]):
        return f"{components[0]}^{components[1]}"
    words = components[0] or (components[1] if len(components) > 1 else "")
    if len(components) > 2 and components[2] in UCUM_NAMES and components[0] and not ucum(words):
        return f"{words}{EXPLICIT}{words}"
    measured = len(components) > 2 and components[2] == "MDC" and components[0] and components[1]
    if measured:
        words = components[1]
    if len(components) > 5 and components[5] in UCUM_NAMES and components[3]:  # the sender's own, and UCUM's beside it
        words, code = words or components[4] or components[3], components[3]
        return words if ucum(words) == code else f"{code}{EXPLICIT}{words}"
    if measured:
        return EXPLICIT.join((components[0], words, MDC))
    return words or (components[8] if len(components) > 8 else "")


def _texted(raw: str, kind: str, unit: str, context: Context) -> tuple[str, Any] | None:
    text = "\n".join(context.text(each) for each in raw.split("~")) if kind in _TEXTS else context.text(raw)
    if kind in ("NM", "SI") or (unit and kind != "FT"):
        found = quantity(text, unit)
        if found:
            return "Quantity", found
        if kind == "NM":
            context.note("a numeric result (OBX-2 NM) is no number; it was carried as text")
    cleaned = clean(text)
    return worded(cleaned) if cleaned else None


def _string(raw: str, context: Context) -> tuple[str, Any] | None:
    text = clean(context.text(raw.replace("^", " ").replace("~", "; ")))
    return ("String", text) if text else None


def structured_into(raw: str, unit: str, context: Context) -> tuple[str, Any] | None:
    """SN `comparator^number^separator^number` → Quantity, Range, Ratio; what is none of these stays text."""
    comparator, first, separator, second = parts(raw, context, 4)
    low, high = number(first), number(second)
    if low is not None and not separator and not second and comparator in ("", "=", *_COMPARATORS):
        compared = {"comparator": _COMPARATORS[comparator]} if comparator in _COMPARATORS else {}
        return "Quantity", with_unit({"value": low, **compared}, unit)
    if low is not None and high is not None and separator == "-" and not comparator:
        return "Range", {"low": with_unit({"value": low}, unit), "high": with_unit({"value": high}, unit)}
    if low is not None and high is not None and separator in ("/", ":") and comparator in ("", "=", *_COMPARATORS):
        compared = {"comparator": _COMPARATORS[comparator]} if comparator in _COMPARATORS else {}
        return "Ratio", {"numerator": with_unit({"value": low, **compared}, unit), "denominator": {"value": high}}
    text = "".join((comparator, first, separator, second))
    return ("String", text) if text else None


class Hinted(str):
    """A primitive value with what its extension says of how it was written."""

    __slots__ = ("hint",)
    hint: str


def hinted(value: Any, element: dict[str, Any] | None) -> Any:
    """A primitive together with what extends it (R4 json.html#primitive)."""
    found = next((each for each in (element or {}).get("extension", ()) if each["url"] == WRITTEN), None)
    if found is None or not isinstance(value, str):
        return value
    made = Hinted(value)
    made.hint = str(found["valueString"])
    return made


def _hint_of(content: Any) -> str:
    if isinstance(content, Hinted):
        return content.hint
    extensions = content.get("extension", ()) if isinstance(content, dict) else ()
    return next((str(each["valueString"]) for each in extensions if each["url"] == WRITTEN), "")


def switch_back(value: tuple[str, Any], context: Context) -> tuple[str, str, str]:
    """value[x] → (OBX-5, OBX-2, OBX-6): as it was written, where the value still is what was read then."""
    kind, content = value
    if kind == "Quantity" and "extension" not in content and "comparator" not in content:  # nearly always
        return number_back(content.get("value", ""), context), "NM", unit_back(content)
    text, type_, unit = _written(kind, content, context)
    hint, _, raw = _hint_of(content).partition("^")
    if not hint:
        return text, type_, unit
    if not raw:
        return text, hint, unit
    if isinstance(content, dict):
        content = {name: each for name, each in content.items() if name != "extension"}
    again = _read(raw, hint, unit_text(unit, context), context)
    if again != (kind, content):
        return text, type_, unit
    return raw, hint, "" if hint == "CQ" else unit  # CQ holds its own unit


def _written(kind: str, content: Any, context: Context) -> tuple[str, str, str]:
    """The value as it is written where nothing tells how it came."""
    version = context.facts.get("VERSION", "")
    match kind:
        case "Quantity" | "Range" | "Ratio":
            return _measured(kind, content, context)
        case "CodeableConcept":
            codings = content.get("coding", ())
            if codings and content.get("text") and all(each.get("system") == INTERPRETATION for each in codings):
                return escape(content["text"]), "ST", ""  # 阴性(-): the coding was read out of the words
            return cwe_back(content, context), "CE" if "" < version < "2.5" else "CWE", ""
        case "Period":
            ends = (time_back(content[name], context) if name in content else "" for name in ("start", "end"))
            return "^".join(ends).rstrip("^"), "DR", ""
        case "DateTime":
            stamp = "DTM" if version >= "2.6" else "TS"
            return time_back(content, context), "DT" if len(content) == len("2026-03-12") else stamp, ""
        case "Time":
            return content.replace(":", ""), "TM", ""
        case "Boolean":
            return ("Y" if content else "N"), "ID", ""
    text = str(content)
    return escape(text), "TX" if "\n" in text or len(text) >= _LONG else "ST", ""


def _measured(kind: str, content: dict[str, Any], context: Context) -> tuple[str, str, str]:
    """Numbers: NM, or SN with a comparator or two numbers (v2.5.1 §2.A.71)."""
    if kind == "Quantity":
        unit = unit_back(content)
        if content.get("comparator"):
            return joined(content["comparator"], number_back(content.get("value", ""), context)), "SN", unit
        return number_back(content.get("value", ""), context), "NM", unit
    first, separator, second = ("low", "-", "high") if kind == "Range" else ("numerator", "/", "denominator")
    one, two = content.get(first, {}), content.get(second, {})
    compared = one.get("comparator", "") if kind == "Ratio" else ""
    return joined(compared, _digits(one, context), separator, _digits(two, context)), "SN", unit_back(one)


def _digits(value: dict[str, Any], context: Context) -> str:
    return number_back(value["value"], context) if "value" in value else ""


# ------------------------------------------------------------------------------------------------ ranges


def range_into(raw: str, units: str, context: Context) -> dict[str, Any] | None:
    """OBX-7 → Observation.referenceRange: low and high where the text says so, and always the text."""
    return reference_range(context.text(raw), unit_text(units, context))


def reference_range(text: str, unit: str) -> dict[str, Any] | None:
    cleaned = clean(text)
    if not cleaned or cleaned == '""':
        return None
    made: dict[str, Any] = {}
    normal = unicodedata.normalize("NFKC", cleaned).replace("⩽", "≤").replace("⩾", "≥")
    found = _RANGE.fullmatch(normal) if len(normal) < _LONG else None
    if found and found["low"][0] == "-" and "--" in normal:
        found = None  # -2.0--1.0: is the second minus one of the number?
    if found:
        low, high = number(found["low"]), number(found["high"])
        if low is not None and high is not None and low <= high:
            made = {"low": with_unit({"value": low}, unit), "high": with_unit({"value": high}, unit)}
    elif (compared := quantity(normal, unit)) and "comparator" in compared:
        comparator = compared.pop("comparator")
        made = {"high" if comparator.startswith("<") else "low": compared}
    return {**made, "text": cleaned}


def range_text(value: dict[str, Any], context: Context) -> str:
    if value.get("text"):
        return str(value["text"])
    low, high = value.get("low", {}), value.get("high", {})
    if low and high:
        return f"{_digits(low, context)}-{_digits(high, context)}"
    return f">={_digits(low, context)}" if low else f"<={_digits(high, context)}" if high else ""


def range_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    unit = next((unit_back(value[each]) for each in ("low", "high") if each in value), "")
    return escape(range_text(value, context)), unit


PAIRS = {
    "switch": Pair(switch_into, switch_back, fields=2, whole=True),
    "range": Pair(range_into, range_back, fields=1, fits=("BackboneElement",), coded=True),
}
