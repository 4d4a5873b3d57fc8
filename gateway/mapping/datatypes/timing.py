"""How much and how often: CQ, amounts with their units, RPT and RI ↔ Quantity, Timing (HL7 v2.5.1 §2A, §4.3, §4.5.4;
R4 datatypes.html#Timing)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.fhir import definitions
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.simple import number, number_back
from gateway.mapping.datatypes.units import UCUM, ucum
from gateway.mapping.datatypes.values import UCUM_NAMES, unit_back, unit_text, with_unit

UNIT = "unit"  # name of a sender's own code system of units
ABBREVIATIONS = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"
_ABBREVIATED = frozenset({
    "BID", "TID", "QID", "QD", "QOD", "AM", "PM", "BED", "WK", "MO", "Q1H", "Q2H", "Q3H", "Q4H", "Q6H", "Q8H",
})  # fmt: skip
_UNITS = {  # HL7 0335 and UCUM names of time → Timing.repeat.periodUnit
    "S": "s", "SEC": "s", "M": "min", "MIN": "min", "H": "h", "HR": "h", "HOUR": "h", "D": "d", "DAY": "d",
    "W": "wk", "WK": "wk", "L": "mo", "MO": "mo", "MON": "mo", "A": "a", "YR": "a", "Y": "a",
}  # fmt: skip
_EVERY = re.compile(r"Q(\d{1,4})(S|M|H|D|W|L)", re.IGNORECASE)
_OFTEN = {  # a pattern → (frequency, period, unit)
    "QD": (1, 1, "d"), "BID": (2, 1, "d"), "TID": (3, 1, "d"), "QID": (4, 1, "d"), "QOD": (1, 2, "d"),
}  # fmt: skip
_MINUTES = {"min": 1, "h": 60, "d": 1440, "wk": 10080}
_CLOCK = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?", re.ASCII)


# ---------------------------------------------------------------------------------------------- amounts


def quantity_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CQ `number^unit`, the unit a CWE of subcomponents → Quantity."""
    digits, _, unit = raw.partition("^")
    value = number(context.text(digits))
    return None if value is None else with_unit({"value": value}, unit_text(unit.replace("&", "^"), context))


def quantity_back(value: dict[str, Any], context: Context) -> str:
    unit = unit_back(value).replace("^", "&")
    return f"{number_back(value['value'], context)}^{unit}".rstrip("^") if "value" in value else ""


def duration_into(raw: str, context: Context) -> dict[str, Any] | None:
    """CQ of a time span → Duration, whose unit is one of UCUM's (R4 datatypes.html#Duration, drt-1)."""
    digits, unit = parts(raw, context, 2)
    value, code = number(digits), _UNITS.get(unit.partition("&")[0].upper())
    return {"value": value, "unit": unit, "system": UCUM, "code": code} if value is not None and code else None


def duration_back(value: dict[str, Any], context: Context) -> str:
    return (
        joined(number_back(value["value"], context), value.get("unit") or value.get("code", ""))
        if "value" in value
        else ""
    )


def amount_into(raw: str, units: str, context: Context) -> dict[str, Any] | None:
    """A number in one field, its unit (CWE) in another → Quantity. A unit whose code and name UCUM does not know
    (`BX^盒`) keeps both."""
    value = number(context.text(raw))
    if value is None:
        if context.text(raw).strip():
            context.note("an amount was expected and text stands there; it was not carried")
        return None
    code, name, system, _, _, other = parts(units, context, 6)
    if not code or not name or name == code or ucum(code) or system in UCUM_NAMES or other in UCUM_NAMES:
        return with_unit({"value": value}, unit_text(units, context))
    uri = context.code_system(system) if system else context.own_code_system(UNIT)
    return {"value": value, "unit": name, "system": uri, "code": code}


def amount_back(value: dict[str, Any], context: Context) -> tuple[str, str]:
    digits = number_back(value["value"], context) if "value" in value else ""
    system = value.get("system", "")
    if not value.get("code") or system in ("", UCUM):
        return digits, unit_back(value)
    named = "" if system == context.own_code_system(UNIT) else context.code_system_name(system)
    return digits, joined(value["code"], value.get("unit", ""), named)


# ---------------------------------------------------------------------------------------------- pattern


def repeat_into(raw: str, context: Context) -> dict[str, Any] | None:
    """RPT `code^calendar^begin^end^period^unit^institution^event^offset^unit` → Timing. An offset stands only beside an
    event (R4 tim-9)."""
    pattern, calendar, _, _, period, unit, _, event, offset, offset_unit = (raw.split("^") + [""] * 10)[:10]
    repeat = _explicit(*parts(f"{period}^{unit}", context, 2)) or _derived(context.text(pattern))
    if event in (definitions.resolve("Timing.repeat.when").codes or ()):
        repeat["when"] = [event]
        minutes = _minutes(*parts(f"{offset}^{offset_unit}", context, 2))
        if minutes:
            repeat["offset"] = minutes
    words = context.text(calendar).strip() if len(calendar) > 2 else ""  # `Q12H^Every 12 hours^HL70335`
    return _timing(repeat, _pattern(pattern, words, context))


def interval_into(raw: str, context: Context) -> dict[str, Any] | None:
    """RI `code^times of the day` → Timing."""
    pattern, times = (*raw.split("^", 1), "")[:2]
    repeat = _derived(context.text(pattern))
    clocks = [clock for each in times.split(",") if (clock := clock_into(each, context))]
    if clocks:
        repeat["timeOfDay"] = clocks
    return _timing(repeat, _pattern(pattern, "" if clocks else context.text(times).strip(), context))


def _timing(repeat: dict[str, Any], code: dict[str, Any] | None) -> dict[str, Any] | None:
    return {name: value for name, value in (("repeat", repeat), ("code", code)) if value} or None


def _pattern(raw: str, words: str, context: Context) -> dict[str, Any] | None:
    concept = cwe_into(raw.replace("&", "^"), context)
    coding = next(iter((concept or {}).get("coding", ())), None)
    if concept is None or coding is None or "system" in coding:
        return concept or ({"text": words} if words else None)
    code = coding["code"]
    text = words or concept.get("text") or code
    if code.upper() not in _ABBREVIATED:
        return {"text": text} if text == code else {"coding": [{"code": code}], "text": text}
    known: dict[str, Any] = {"coding": [{"system": ABBREVIATIONS, "code": code.upper()}]}
    return {**known, "text": text} if text != code.upper() else known


def _explicit(period: str, unit: str) -> dict[str, Any]:
    value, code = number(period), _UNITS.get(unit.partition("&")[0].upper())
    return {"period": value, "periodUnit": code} if value is not None and value > 0 and code else {}


def _derived(code: str) -> dict[str, Any]:
    """What a pattern says by itself: Q6H is once in 6 hours, BID twice a day."""
    code = code.partition("&")[0].upper()
    if found := _EVERY.fullmatch(code):
        return (
            {"frequency": 1, "period": Decimal(int(found[1])), "periodUnit": _UNITS[found[2]]} if int(found[1]) else {}
        )
    if code not in _OFTEN:
        return {}
    frequency, period, unit = _OFTEN[code]
    return {"frequency": frequency, "period": Decimal(period), "periodUnit": unit}


def _minutes(offset: str, unit: str) -> int:
    factor = _MINUTES.get(_UNITS.get(unit.partition("&")[0].upper(), ""), 0)
    return int(offset) * factor if offset.isdecimal() and len(offset) < 6 else 0


def repeat_back(value: dict[str, Any], context: Context) -> str:
    """RPT: what the pattern's code says by itself is not said again."""
    repeat, pattern = value.get("repeat", {}), _pattern_back(value.get("code", {}), context)
    derived = _derived(pattern)
    written = [pattern, *[""] * 9]
    if "period" in repeat and (not derived or any(repeat.get(name) != derived[name] for name in derived)):
        written[4:6] = number_back(repeat["period"], context), repeat.get("periodUnit", "")
    written[7] = next(iter(repeat.get("when", ())), "")
    if repeat.get("offset"):
        written[8:10] = str(repeat["offset"]), "min"
    return "^".join(written).rstrip("^")


def interval_back(value: dict[str, Any], context: Context) -> str:
    """RI: the pattern and its times of the day."""
    pattern = _pattern_back(value.get("code", {}), context)
    times = ",".join(clock_back(each, context)[:4] for each in value.get("repeat", {}).get("timeOfDay", ()))
    return f"{pattern}^{times}".rstrip("^")


def _pattern_back(concept: dict[str, Any], context: Context) -> str:
    codings = concept.get("coding", ())
    if any(each.get("system") == ABBREVIATIONS for each in codings):
        return escape(concept.get("text") or codings[0]["code"])
    if not codings:
        return escape(concept.get("text", ""))
    return cwe_back(concept, context).replace("^", "&")


def clock_into(raw: str, context: Context) -> str | None:
    """TM `HHMM[SS]` → time."""
    found = _CLOCK.fullmatch(raw.strip())
    return f"{found[1]}:{found[2]}:{found[3] or '00'}" if found else None


def clock_back(value: str, context: Context) -> str:
    digits = value.replace(":", "")
    return digits.removesuffix("00") if len(digits) == len("093000") else digits


def offset_into(raw: str, context: Context) -> int | None:
    """CQ of a time span → whole minutes."""
    return _minutes(*parts(raw, context, 2)) or None


def offset_back(value: int, context: Context) -> str:
    return f"{value}^min"


PAIRS = {
    "CQ": Pair(quantity_into, quantity_back, fits=("Quantity",)),
    "duration": Pair(duration_into, duration_back, fits=("Duration",)),
    "amount": Pair(amount_into, amount_back, fields=1, fits=("Quantity",)),
    "RPT": Pair(repeat_into, repeat_back, fits=("Timing",)),
    "RI": Pair(interval_into, interval_back, fits=("Timing",)),
    "clock": Pair(clock_into, clock_back, fits=("time",)),
    "offset": Pair(offset_into, offset_back, fits=("unsignedInt",)),
}
