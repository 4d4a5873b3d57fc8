"""From a FHIR value to what the index keeps of it, by the kind of the search parameter (R4 search.html#ptypes).

A reader of values is made once for each parameter, of what takes a row and of what is told where there is none; the
shapes of the rows are described at `IndexRow` in searchparameters.py. The usual types have readers of their own, which
make no list; those of the others are made of a function that gives all rows of a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from gateway.fhir import dates, definitions, reference
from gateway.fhir.normal import contact, normal

Row = tuple[Any, ...]
Emit = Callable[[Any, Any, tzinfo, Any], None]  # (value, whole resource, zone, what was found so far)
Put = Callable[..., None]  # (what was found so far, *row)
Absent = Callable[[Any], None]  # (what was found so far): the value has nothing to be found by
Reader = Callable[[Put, Absent], Emit]

_CURRENCIES = "urn:iso:std:iso:4217"


def _by(rows_of: Callable[[Any, tzinfo], list[Row]]) -> Reader:
    def reader(put: Put, absent: Absent) -> Emit:
        def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
            rows = rows_of(value, zone)
            for row in rows:
                put(found, *row)
            if not rows:
                absent(found)

        return emit

    return reader


# ----------------------------------------------------------------------------------------------- token


def _plain(put: Put, absent: Absent) -> Emit:
    return lambda value, resource, zone, found: put(found, "", value, "")


def _boolean(put: Put, absent: Absent) -> Emit:
    return lambda value, resource, zone, found: put(found, "", "true" if value else "false", "")


def _coding(put: Put, absent: Absent) -> Emit:
    def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
        code, text = value.get("code", ""), normal(value["display"]) if "display" in value else ""
        if code or text:
            put(found, value.get("system", ""), code, text)
        else:
            absent(found)

    return emit


def _concept(put: Put, absent: Absent) -> Emit:
    """The words of the whole are one row more, unless a coding has the same."""

    def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
        plain, some = normal(value["text"]) if "text" in value else "", False
        said = not plain
        for coding in value.get("coding", ()):
            code, text = coding.get("code", ""), normal(coding["display"]) if "display" in coding else ""
            if code or text:
                put(found, coding.get("system", ""), code, text)
                some, said = True, said or text == plain
        if not said:
            put(found, "", "", plain)
        elif not some:
            absent(found)

    return emit


def _identifier(put: Put, absent: Absent) -> Emit:
    def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
        code = value.get("value", "")
        if code:
            text = normal(value["type"].get("text", "")) if "type" in value else ""
            put(found, value.get("system", ""), code, text)
        else:
            absent(found)

    return emit


def _contact_token(value: Any, zone: tzinfo) -> list[Row]:
    return [(value.get("system", ""), contact(value["value"]), "")] if "value" in value else []


def of_type(put: Put, absent: Absent) -> Emit:
    """The :of-type form of an Identifier: system and code of its type, the code followed by | and the value."""

    def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
        if "type" in value and (code := value.get("value", "")):
            for coding in value["type"].get("coding", ()):
                put(found, coding.get("system", ""), f"{coding.get('code', '')}|{code}", "")

    return emit


# ---------------------------------------------------------------------------------------------- string


def _string(value: Any, zone: tzinfo) -> list[Row]:
    return [(value, normal(value))]


def _name(value: Any, zone: tzinfo) -> list[Row]:
    """Every part of a HumanName, and 张 + 伟明 as 张伟明 where no text says so."""
    family, given = value.get("family", ""), _texts(value, "given")
    parts = [value.get("text", ""), family, *given, *_texts(value, "prefix"), *_texts(value, "suffix")]
    whole = family + "".join(given)
    if family and given and not whole.isascii() and any(character >= "\u2e80" for character in whole):
        parts.append(whole)
    return _distinct(parts)


def _address(value: Any, zone: tzinfo) -> list[Row]:
    names = ("text", "city", "district", "state", "postalCode", "country")
    return _distinct([*_texts(value, "line"), *(value.get(name, "") for name in names)])


def _contact_string(value: Any, zone: tzinfo) -> list[Row]:
    return _distinct([value.get("value", "")])


def _concept_string(value: Any, zone: tzinfo) -> list[Row]:
    return _distinct([value.get("text", ""), *(coding.get("display", "") for coding in value.get("coding", ()))])


def _annotation(value: Any, zone: tzinfo) -> list[Row]:
    return _distinct([value.get("text", "")])


def _texts(value: Any, name: str) -> list[str]:
    return [each for each in value.get(name, ()) if each]


def _distinct(parts: list[str]) -> list[Row]:
    return [(part, normal(part)) for part in dict.fromkeys(parts) if part]


# ------------------------------------------------------------------------------------------------ date


def _moment(put: Put, absent: Absent) -> Emit:
    def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
        try:
            low, high = dates.interval(value, zone)
        except ValueError:  # only what was never valid
            absent(found)
        else:
            put(found, low, high)

    return emit


def _date(value: Any, zone: tzinfo) -> list[Row]:
    try:
        return [dates.interval(value, zone)]
    except ValueError:
        return []


def _period(value: Any, zone: tzinfo) -> list[Row]:
    low = _date(value["start"], zone) if "start" in value else [(dates.BEGINNING, 0)]
    high = _date(value["end"], zone) if "end" in value else [(0, dates.END)]
    return [(low[0][0], high[0][1])] if low and high and ("start" in value or "end" in value) else []


def _timing(value: Any, zone: tzinfo) -> list[Row]:
    """From the first to the last moment that the Timing names; a repeat without bounds names none."""
    moments = [row for each in value.get("event", ()) if each for row in _date(each, zone)]
    bounds = value.get("repeat", {}).get("boundsPeriod")
    if bounds:
        moments += _period(bounds, zone)
    return [(min(low for low, _ in moments), max(high for _, high in moments))] if moments else []


# ------------------------------------------------------------------------------------------- reference


def _reference(put: Put, absent: Absent) -> Emit:
    types = definitions.resource_types()

    def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
        text = value.get("reference", "")
        kind, _, key = text.partition("/")
        if "identifier" not in value and key and kind in types and "/" not in key:  # most are
            put(found, kind, key, "", "", "")
        elif rows := _other_reference(value, text):
            put(found, *rows)
        else:
            absent(found)

    return emit


def _other_reference(value: Any, text: str) -> Row | None:
    identifier = value.get("identifier") or {}
    system, number = identifier.get("system", ""), identifier.get("value", "")
    literal = reference.parse(text)
    if literal is not None:
        url = f"{literal.base}{literal.type}/{literal.id}" if literal.base else ""
        return literal.type, literal.id, url, system, number
    kind = text.partition("/")[0]
    named = str(value.get("type", "")).rpartition("/")[2] or (kind.partition("?")[0] if "?" in text else "")
    if text and not text.startswith("#"):
        return named, "", text, system, number
    return (named, "", "", system, number) if number else None


def _canonical(value: Any, zone: tzinfo) -> list[Row]:
    """With its version, and without: who does not name one means any (R4 references.html#canonical)."""
    return [("", "", url, "", "") for (url,) in _versions(value, zone)]


def _url(value: Any, zone: tzinfo) -> list[Row]:
    return [("", "", value, "", "")]


def _inline(value: Any, zone: tzinfo) -> list[Row]:
    """A whole resource where a reference is asked for: Bundle.entry[0].resource."""
    return [(value.get("resourceType", ""), value["id"], "", "", "")] if "id" in value else []


# ------------------------------------------------------------------------------------ quantity, number


def _quantity(put: Put, absent: Absent) -> Emit:
    def emit(value: Any, resource: Any, zone: tzinfo, found: Any) -> None:
        number = value.get("value")
        if number is None:
            absent(found)
            return
        low: Any = number
        high = low
        if comparator := value.get("comparator", ""):
            low, high = (None, high) if comparator[0] == "<" else (low, None)
        put(found, low, high, value.get("system", ""), value.get("code", ""), value.get("unit", ""))

    return emit


def _money(value: Any, zone: tzinfo) -> list[Row]:
    if "value" not in value:
        return []
    amount, currency = Decimal(value["value"]), value.get("currency", "")
    return [(amount, amount, _CURRENCIES if currency else "", currency, currency)]


def _range(value: Any, zone: tzinfo) -> list[Row]:
    low, high = value.get("low") or {}, value.get("high") or {}
    some = low or high
    if "value" not in low and "value" not in high:
        return []
    bounds = [Decimal(each["value"]) if "value" in each else None for each in (low, high)]
    return [(*bounds, some.get("system", ""), some.get("code", ""), some.get("unit", ""))]


def _sampled(value: Any, zone: tzinfo) -> list[Row]:
    origin = value.get("origin") or {}
    if "lowerLimit" not in value and "upperLimit" not in value:
        return []
    bounds = [Decimal(value[name]) if name in value else None for name in ("lowerLimit", "upperLimit")]
    return [(*bounds, origin.get("system", ""), origin.get("code", ""), origin.get("unit", ""))]


def _number(value: Any, zone: tzinfo) -> list[Row]:
    return [(Decimal(value), Decimal(value))]


def _number_range(value: Any, zone: tzinfo) -> list[Row]:
    return [row[:2] for row in _range(value, zone)]


def _uri(value: Any, zone: tzinfo) -> list[Row]:
    return [(value,)]


def _versions(value: Any, zone: tzinfo) -> list[Row]:
    url, bar, _ = value.partition("|")
    return [(value,), (url,)] if bar and url else [(value,)]


_TEXTS = ("string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid")
_TOKENS = (*_TEXTS, "date", "dateTime", "instant")

READERS: Mapping[str, Mapping[str, Reader]] = {
    "token": {
        **dict.fromkeys(_TOKENS, _plain),
        "boolean": _boolean,
        "Coding": _coding,
        "CodeableConcept": _concept,
        "Identifier": _identifier,
        "ContactPoint": _by(_contact_token),
    },
    "string": {
        **dict.fromkeys(_TEXTS, _by(_string)),
        "HumanName": _by(_name),
        "Address": _by(_address),
        "ContactPoint": _by(_contact_string),
        "CodeableConcept": _by(_concept_string),
        "Annotation": _by(_annotation),
    },
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), _moment),
        "Period": _by(_period),
        "Timing": _by(_timing),
    },
    "reference": {
        "Reference": _reference,
        "canonical": _by(_canonical),
        **dict.fromkeys(("uri", "url"), _by(_url)),
        "Resource": _by(_inline),
    },
    "quantity": {
        **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance"), _quantity),
        "Money": _by(_money),
        "Range": _by(_range),
        "SampledData": _by(_sampled),
    },
    "number": {
        **dict.fromkeys(("integer", "decimal", "positiveInt", "unsignedInt"), _by(_number)),
        "Range": _by(_number_range),
    },
    "uri": {**dict.fromkeys(_TEXTS, _by(_uri)), "canonical": _by(_versions)},
}
