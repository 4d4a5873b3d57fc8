"""Organisations and places: XON, PL (HL7 v2.5.1 §2A.88, §2A.53; R4 organization.html, location.html)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import CHINESE_ORGANIZATION, CREDIT_CODE, IDENTIFIER, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.identifiers import (
    assigned,
    authority_of,
    checked,
    checked_back,
    joined,
    parts,
    subparts,
    type_code,
    type_of,
)

PLACE = "place"
PHYSICAL = "http://terminology.hl7.org/CodeSystem/location-physical-type"
# From the narrowest to the widest: its physical type, and its part in PL (building PL.7, floor PL.8).
_LEVELS = (("bd", 2), ("ro", 1), ("wa", 0), ("lvl", 7), ("bu", 6))


def xon_into(raw: str, context: Context) -> dict[str, Any] | None:
    """XON → Reference(Organization). `name^type^id…^…^organization id`; also `credit code^name`, as senders here do."""
    fields = parts(raw, context, 10)
    name, number, kind = fields[0], fields[9] or fields[2], fields[6]
    if CREDIT_CODE.fullmatch(name):
        name, number = fields[1], name
    display = {"display": name} if name else {}
    if not number:
        return display or None
    identifier: dict[str, Any] = {"type": type_of(kind)} if kind else {}
    if CREDIT_CODE.fullmatch(number):
        identifier["system"] = CHINESE_ORGANIZATION
    else:
        authority = raw.split("^")[5] if raw.count("^") > 4 else ""
        identifier |= assigned(subparts(context.text(authority)), context, "org")
    identifier = checked(fields[3], fields[4]) | identifier | {"value": number}
    resource: dict[str, Any] = {"resourceType": "Organization", "identifier": [identifier]}
    if name:
        resource["name"] = name
    return {"reference": context.make(resource, once=True).full_url, **display}


def xon_back(value: dict[str, Any], context: Context) -> str:
    name = value.get("name") or value.get("display", "")
    identifier: dict[str, Any] = next(iter(value.get("identifier", ())), {})
    number = identifier.get("value", "")
    if identifier.get("system") == CHINESE_ORGANIZATION:
        return joined(number, name)
    given = authority_of(identifier, context)
    authority = "" if given[0] == context.facility else "&".join(map(escape, given)).rstrip("&")
    digit, scheme = checked_back(identifier)
    kind = type_code(identifier)
    head = [escape(each) for each in (name, "", "", digit, scheme)]
    return "^".join([*head, authority, escape(kind), "", "", escape(number)]).rstrip("^")


def place_of(raw: str, context: Context) -> dict[str, Any] | None:
    """The Location of a PL: `point of care^room^bed^facility^^^building^floor^description^number`. Its identifier keeps
    the parts apart."""
    return _place(parts(raw, context, 11), context)


def _narrowest(fields: list[str]) -> tuple[str, int]:
    """(physical type, index) of the narrowest part that is told; ("", 0) for a facility alone, which is no place."""
    return next((level for level in _LEVELS if fields[level[1]]), ("", 0))


def _place(fields: list[str], context: Context) -> dict[str, Any] | None:
    level, _ = _narrowest(fields)
    if not level:
        return None
    point, room, bed, facility = fields[:4]
    facility = facility.partition("&")[0]
    system = f"{IDENTIFIER}{quote(facility or context.facility, safe='')}:{PLACE}"
    path = "/".join(map(_quoted, (point, room, bed, fields[6], fields[7]))).rstrip("/")
    inside = [point, room, bed] if any((point, room, bed)) else [fields[6], fields[7]]
    identifiers = [{"system": system, "value": path}]
    own, namespace, universal, kind = (*map(str.strip, fields[9].split("&")), "", "", "")[:4]
    if own:
        given = (namespace, universal, kind) if namespace or universal else subparts(fields[10])
        identifiers.append({**assigned(given, context, PLACE), "value": own})
    made: dict[str, Any] = {
        "resourceType": "Location",
        "identifier": identifiers,
        "name": " ".join(filter(None, inside)),
    }
    if fields[8]:
        made["description"] = fields[8]
    return {**made, "mode": "instance", "physicalType": {"coding": [{"system": PHYSICAL, "code": level}]}}


def _quoted(part: str) -> str:
    return quote(part, safe="") if part.isascii() else part.replace("/", "%2F")


def pl_into(raw: str, context: Context) -> dict[str, Any] | None:
    """PL → Reference(Location). The places around it are Locations too: the bed is part of the room, the room of the
    ward, the ward of the floor, the floor of the building."""
    return _standing(parts(raw, context, 11), context)


def _standing(fields: list[str], context: Context) -> dict[str, Any] | None:
    found = _place(fields, context)
    if found is None:
        return None
    around = [*fields[:8], "", "", ""]
    around[_narrowest(fields)[1]] = ""
    if wider := _standing(around, context):
        found["partOf"] = wider
    return {"reference": context.make(found, once=True).full_url, "display": found["name"]}


def pl_back(value: dict[str, Any], context: Context) -> str:
    identifiers = [each for each in value.get("identifier", ()) if each.get("value")]
    for identifier in identifiers:
        system = identifier.get("system", "")
        if system.startswith(IDENTIFIER) and system.endswith(f":{PLACE}"):
            others = [each for each in identifiers if each is not identifier]
            return _place_text(identifier, value, others, context)
    return escape(value.get("name") or value.get("display", ""))


def _place_text(
    identifier: dict[str, Any], value: dict[str, Any], others: list[dict[str, Any]], context: Context
) -> str:
    facility = context.authority(identifier["system"])[0]
    point, room, bed, building, floor = (*map(unquote, identifier["value"].split("/")), "", "", "", "", "")[:5]
    head = [
        escape(each) for each in (point, room, bed, facility, "", "", building, floor, value.get("description", ""))
    ]
    number = [others[0]["value"], *authority_of(others[0], context)] if others else []
    return "^".join([*head, "&".join(map(escape, number)).rstrip("&")]).rstrip("^")


PAIRS = {
    "XON": Pair(xon_into, xon_back, makes="Organization", fits=("Reference",), coded=True),
    "PL": Pair(pl_into, pl_back, makes="Location", fits=("Reference",), coded=True),
}
