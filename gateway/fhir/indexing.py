"""From a FHIR value to what the index keeps of it, by the kind of the search parameter (R4 search.html#ptypes).

A converter takes (value, zone) and gives tuples; their shapes are described at `IndexRow` in searchparameters.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from gateway.fhir import dates, definitions, reference
from gateway.fhir.normal import contact, normal

Row = tuple[Any, ...]
Convert = Callable[[Any, tzinfo], list[Row]]

_CURRENCIES = "urn:iso:std:iso:4217"


# ----------------------------------------------------------------------------------------------- token


def _plain(value: Any, zone: tzinfo) -> list[Row]:
    return [("", value, "")]


def _boolean(value: Any, zone: tzinfo) -> list[Row]:
    return [("", "true" if value else "false", "")]


def _coding(value: Any, zone: tzinfo) -> list[Row]:
    code, text = value.get("code", ""), normal(value["display"]) if "display" in value else ""
    return [(value.get("system", ""), code, text)] if code or text else []


def _concept(value: Any, zone: tzinfo) -> list[Row]:
    rows: list[Row] = []
    for coding in value.get("coding", ()):
        rows += _coding(coding, zone)
    if "text" in value:
        plain = normal(value["text"])
        if plain not in [text for _, _, text in rows]:
            rows.append(("", "", plain))
    return rows


def _identifier(value: Any, zone: tzinfo) -> list[Row]:
    code = value.get("value", "")
    kind = value.get("type")
    return [(value.get("system", ""), code, normal(kind.get("text", "")) if kind else "")] if code else []


def _contact_token(value: Any, zone: tzinfo) -> list[Row]:
    return [(value.get("system", ""), contact(value["value"]), "")] if "value" in value else []


def of_type(value: Any, zone: tzinfo) -> list[Row]:
    """The :of-type form of an Identifier: system and code of its type, the code followed by | and the value."""
    code = value.get("value", "")
    if not code or "type" not in value:
        return []
    return [
        (coding.get("system", ""), f"{coding.get('code', '')}|{code}", "") for coding in value["type"].get("coding", ())
    ]


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


def _date(value: Any, zone: tzinfo) -> list[Row]:
    try:
        return [dates.interval(value, zone)]
    except ValueError:
        return []  # only what was never valid


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


def _reference(value: Any, zone: tzinfo) -> list[Row]:
    text = value.get("reference", "")
    kind, _, key = text.partition("/")
    system = number = ""
    if "identifier" in value:
        identifier = value["identifier"] or {}
        system, number = identifier.get("system", ""), identifier.get("value", "")
    if key and kind in definitions.resource_types() and "/" not in key:
        return [(kind, key, "", system, number)]
    literal = reference.parse(text)
    if literal is not None:
        url = f"{literal.base}{literal.type}/{literal.id}" if literal.base else ""
        return [(literal.type, literal.id, url, system, number)]
    named = str(value.get("type", "")).rpartition("/")[2] or (kind.partition("?")[0] if "?" in text else "")
    if text and not text.startswith("#"):
        return [(named, "", text, system, number)]
    return [(named, "", "", system, number)] if number else []


def _canonical(value: Any, zone: tzinfo) -> list[Row]:
    """With its version, and without: who does not name one means any (R4 references.html#canonical)."""
    return [("", "", url, "", "") for (url,) in _versions(value, zone)]


def _url(value: Any, zone: tzinfo) -> list[Row]:
    return [("", "", value, "", "")]


def _inline(value: Any, zone: tzinfo) -> list[Row]:
    """A whole resource where a reference is asked for: Bundle.entry[0].resource."""
    return [(value.get("resourceType", ""), value["id"], "", "", "")] if "id" in value else []


# ------------------------------------------------------------------------------------ quantity, number


def _quantity(value: Any, zone: tzinfo) -> list[Row]:
    number = value.get("value")
    if number is None:
        return []
    low: Decimal | None = Decimal(number)
    high = low
    comparator = value.get("comparator", "")
    if comparator:
        low, high = (None, high) if comparator[0] == "<" else (low, None)
    return [(low, high, value.get("system", ""), value.get("code", ""), value.get("unit", ""))]


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

CONVERTERS: Mapping[str, Mapping[str, Convert]] = {
    "token": {
        **dict.fromkeys(_TOKENS, _plain),
        "boolean": _boolean,
        "Coding": _coding,
        "CodeableConcept": _concept,
        "Identifier": _identifier,
        "ContactPoint": _contact_token,
    },
    "string": {
        **dict.fromkeys(_TEXTS, _string),
        "HumanName": _name,
        "Address": _address,
        "ContactPoint": _contact_string,
        "CodeableConcept": _concept_string,
        "Annotation": _annotation,
    },
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), _date),
        "Period": _period,
        "Timing": _timing,
    },
    "reference": {
        "Reference": _reference,
        "canonical": _canonical,
        **dict.fromkeys(("uri", "url"), _url),
        "Resource": _inline,
    },
    "quantity": {
        **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance"), _quantity),
        "Money": _money,
        "Range": _range,
        "SampledData": _sampled,
    },
    "number": {
        **dict.fromkeys(("integer", "decimal", "positiveInt", "unsignedInt"), _number),
        "Range": _number_range,
    },
    "uri": {**dict.fromkeys(_TEXTS, _uri), "canonical": _versions},
}
