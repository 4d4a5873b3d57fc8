"""What only visits have: their numbers, places, lengths and descriptions (HL7 v2.5.1 chapters 2A and 3)."""

from __future__ import annotations

import re
from decimal import Decimal
from html import escape as escaped
from html import unescape as unescaped
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.codes import cwe_back, cwe_into
from gateway.mapping.datatypes.identifiers import cx_back, cx_into, joined, parts
from gateway.mapping.datatypes.places import pl_back, place_of
from gateway.mapping.datatypes.simple import clean, number, number_back

TIMES = "urn:hutong:times"  # extension of a visit's number: which stay under this number it was
UCUM = "http://unitsofmeasure.org"
XHTML = "http://www.w3.org/1999/xhtml"


def visit_number_into(raw: str, context: Context, usual: str = "") -> dict[str, Any] | None:
    """CX of a visit. `住院号^次数`: the number of a patient's record, and the how manieth stay under it; both together
    name the visit. A check digit would come with its scheme (CX.3)."""
    whole, times, scheme = parts(raw, context, 3)
    if not (times.isdecimal() and len(times) <= 3) or scheme:
        return cx_into(raw, context, usual)
    made = cx_into("^".join([raw.split("^", 1)[0], "", *raw.split("^")[2:]]), context, usual)
    if made is None:
        return None
    return {"extension": [{"url": TIMES, "valueString": times}], **made, "value": f"{whole}-{times}"}


def visit_number_back(value: dict[str, Any], context: Context, usual: str = "") -> str:
    times = next((each["valueString"] for each in value.get("extension", ()) if each.get("url") == TIMES), "")
    if not times:
        return cx_back(value, context, usual)
    text = cx_back({**value, "value": value["value"].removesuffix(f"-{times}")}, context, usual)
    first, _, rest = text.partition("^")
    return f"{first}^{times}{rest.removeprefix('^') and '^' + rest.removeprefix('^')}"


# --------------------------------------------------------------------------------------- places and beds


def place_into(raw: str, context: Context) -> dict[str, Any] | None:
    """PL → the identifier of the place that it names."""
    found = place_of(raw, context)
    return found["identifier"][0] if found else None


def place_back(value: dict[str, Any], context: Context) -> str:
    return pl_back({"identifier": [value]}, context)


def place_name_into(raw: str, context: Context) -> str | None:
    found = place_of(raw, context)
    return found["name"] if found else None


def place_name_back(value: str, context: Context) -> str:
    return escape(value)


def discharged_into(raw: str, context: Context) -> dict[str, Any] | None:
    """DLD, discharged to location: a kind of place (or a named one), found again by its code."""
    made = cwe_into(raw.partition("^")[0].replace("&", "^"), context)
    if made is None:
        return None
    coding = made.get("coding", [{}])[0]
    if not coding.get("code"):
        return {"display": made["text"]}
    system = context.own_code_system("0113")
    resource = {
        "resourceType": "Location",
        "identifier": [{"system": system, "value": coding["code"]}],
        "name": made.get("text") or coding["code"],
        "type": [made],
    }
    return {"reference": context.make(resource, once=True).full_url, "display": resource["name"]}


def discharged_back(value: dict[str, Any], context: Context) -> str:
    if not isinstance(value.get("type"), list):  # a Reference names a type of resource
        return escape(value["name"]) if "name" in value else joined("", value.get("display", "")).replace("^", "&")
    return cwe_back(value["type"][0], context).replace("^", "&")


# ------------------------------------------------------------------------------ lengths and descriptions


def days_into(raw: str, context: Context) -> dict[str, Any] | None:
    """NM, days → Duration."""
    found = number(raw)
    return None if found is None else {"value": found, "unit": "d", "system": UCUM, "code": "d"}


def days_back(value: dict[str, Any], context: Context) -> str:
    given = value.get("value")
    if given is None or value.get("code", "d") not in ("d", "wk"):
        return ""
    return number_back(Decimal(given) * 7 if value.get("code") == "wk" else given, context)


def narrative_into(raw: str, context: Context) -> str | None:
    """A text → Narrative.div (R4 narrative.html)."""
    text = clean(context.text(raw))
    return f'<div xmlns="{XHTML}">{escaped(text, quote=False)}</div>' if text else None


def narrative_back(value: str, context: Context) -> str:
    return escape(unescaped(re.sub(r"<[^>]*>", "", value)).strip())


PAIRS = {
    "VN": Pair(visit_number_into, visit_number_back, fits=("Identifier",), words=(6, 0)),
    "bed": Pair(place_into, place_back, fits=("Identifier",)),
    "bedname": Pair(place_name_into, place_name_back, fits=("string",)),
    "DLD": Pair(discharged_into, discharged_back, makes="Location", fits=("Reference",)),
    "days": Pair(days_into, days_back, fits=("Duration", "Quantity")),
    "narrative": Pair(narrative_into, narrative_back, fits=("xhtml",)),
}
