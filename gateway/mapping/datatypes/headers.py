"""What only the head of a message has: its type, its applications and the place of its event (HL7 v2.5.1 §2.15.9,
§3.4.1): MSG, HD."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from gateway.codec.hl7v2_escape import escape
from gateway.fhir import v2tables
from gateway.mapping.context import MESSAGE, OID, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.answers import coding_back, coding_into
from gateway.mapping.datatypes.identifiers import joined, parts
from gateway.mapping.datatypes.places import PHYSICAL, PLACE
from gateway.mapping.datatypes.simple import clean, one_code
from gateway.mapping.wording import FIELD

EVENTS = "http://terminology.hl7.org/CodeSystem/v2-0003"
URI = "urn:ietf:rfc:3986"  # the value is a URI (R4 identifier-registry.html)


def event_into(raw: str, context: Context) -> dict[str, Any] | None:
    """MSG → Coding: the trigger event, shown as all three components (`ADT^A01^ADT_A01`); a local one (Z82) is the
    sender's own code."""
    trigger = one_code(parts(raw, context, 2)[1])
    system = EVENTS if v2tables.known(EVENTS, trigger) else context.own_code_system(EVENTS.rpartition("/")[2])
    return {"system": system, "code": trigger, "display": context.text(raw)} if trigger else None


def event_back(value: dict[str, Any], context: Context) -> str:
    """MSH-9 of the same event, as it is shown."""
    shown = str(value.get("display", ""))
    return "^".join(map(escape, shown.split("^"))) if shown.split("^")[1:2] == [value.get("code")] else ""


_PROTECTION = {"": "", "class": "MSH-26", "handling": "MSH-27"}


def protection_into(raw: str, context: Context, kind: str = "") -> dict[str, Any] | None:
    """What tells how a message is protected: words (MSH-8), or the first coding of a CWE, of the `class` of the message
    (MSH-26) or of its `handling` (MSH-27)."""
    field = _PROTECTION[kind]
    if not field:
        return {"display": context.text(raw)} if context.text(raw) else None
    made = coding_into(raw, context)
    return {**made, "extension": [{"url": FIELD, "valueString": field}]} if made else None


def protection_back(value: dict[str, Any], context: Context, kind: str = "") -> str:
    field = _PROTECTION[kind]
    stood = next((each.get("valueString") for each in value.get("extension", ()) if each.get("url") == FIELD), "")
    if stood != field or bool(value.get("code")) != bool(field):
        return ""
    return coding_back(value, context) if field else escape(value.get("display", ""))


def message_into(raw: str, context: Context) -> dict[str, Any] | None:
    """MSH-10 → Identifier of the message itself."""
    number = clean(context.text(raw))
    return {"system": MESSAGE, "value": number} if number else None


def message_back(value: dict[str, Any], context: Context) -> str:
    return escape(str(value.get("value", "")))


def nothing_back(value: Any, context: Context) -> str:
    """Written by the envelope of the message, not by a line of a map."""
    return ""


def endpoint_into(raw: str, context: Context) -> str | None:
    """HD → the address of an application: its universal id, else `urn:hutong:application:{facility}:{name}`."""
    if "^" not in raw:
        return _application(context.text(raw), context)
    name, universal, kind = parts(raw, context, 3)
    return _universal(universal, kind) or _application(name, context)


def _application(name: str, context: Context) -> str | None:
    return f"urn:hutong:application:{quote(context.facility, safe='')}:{quote(name, safe='')}" if name else None


def _universal(universal: str, kind: str) -> str | None:
    """The URI of a universal id (v2.5.1 table 0301), None where its type does not tell one."""
    if not universal or any(map(str.isspace, universal)):
        return None
    match kind.upper():
        case "ISO" if OID.fullmatch(universal):
            return f"urn:oid:{universal}"
        case "UUID" | "GUID":
            return f"urn:uuid:{universal.lower()}"
        case "DNS":
            return f"urn:dns:{universal}"
        case "URI" | "URL":
            return universal
    return None


def universal_into(raw: str, context: Context) -> dict[str, Any] | None:
    """The universal id of an HD as a further Identifier beside the one by its name."""
    _, universal, kind = parts(raw, context, 3)
    found = _universal(universal, kind)
    return {"system": URI, "value": found} if found else None


def site_into(raw: str, context: Context) -> dict[str, Any] | None:
    """HD → Reference(Location): the site where an event took place (EVN-7)."""
    name, universal, kind = parts(raw, context, 3)
    uri = _universal(universal, kind)
    name = name or ("" if uri else universal)
    if not name and not uri:
        return None
    own = {"system": context.system(context.facility, kind=PLACE), "value": f"///{quote(name, safe='')}"}
    resource = {
        "resourceType": "Location",
        "identifier": [*([own] if name else []), *([{"system": URI, "value": uri}] if uri else [])],
        "name": name or universal,
        "physicalType": {"coding": [{"system": PHYSICAL, "code": "si"}]},
    }
    return {"reference": context.make(resource, once=True).full_url, "display": name or universal}


def site_back(value: dict[str, Any], context: Context) -> str:
    uris = (each.get("value", "") for each in value.get("identifier", ()) if each.get("system") == URI)
    name = value.get("name") or value.get("display", "")
    universal, kind = _parted(next(uris, ""))
    return joined("" if name == universal else name, universal, kind)


def _parted(uri: str) -> tuple[str, str]:
    """A URI as universal id and its type, the other way of `_universal`."""
    for begin, kind in (("urn:oid:", "ISO"), ("urn:uuid:", "UUID"), ("urn:dns:", "DNS")):
        if uri.startswith(begin):
            return uri.removeprefix(begin), kind
    return uri, "URI" if uri else ""


PAIRS = {
    "MSG": Pair(event_into, event_back, fits=("Coding",), coded=True),
    "message": Pair(message_into, message_back, fits=("Identifier",)),
    "protection": Pair(protection_into, protection_back, fits=("Coding",)),
    "endpoint": Pair(endpoint_into, nothing_back, fits=("url", "uri"), coded=True),
    "universal": Pair(universal_into, nothing_back, fits=("Identifier",), coded=True),
    "HD": Pair(site_into, site_back, makes="Location", fits=("Reference",)),
}
