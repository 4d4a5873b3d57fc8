"""Who refers to whom: PRD with name, number, institution (HL7 v2.5.1 §11.6.3), and numbers of referrals.

A provider with a number becomes a Practitioner, an institution with a code an Organization; who has only a name stays a
name. A number is the institution's that stands beside it.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import CHINESE_ORGANIZATION, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.clocks import cell_time
from gateway.mapping.datatypes.identifiers import authority_of, ei_back, ei_into, joined, parts, type_code, type_of
from gateway.mapping.datatypes.people import xad_back, xad_into, xpn_back, xpn_into, xtn_back, xtn_into
from gateway.mapping.datatypes.staff import STAFF

REFERRAL = "urn:hutong:referral"  # 转诊单号: one number for one referral at all members of a region
_REGIONAL = re.compile(r"Z[ZX]\d{18}")  # 转(诊)单/转(下)单, region of 6, day of 8, counter of 4


def provider_into(
    raw: str, numbers: str, place: str, addresses: str, contacts: str, context: Context
) -> dict[str, Any] | None:
    """PRD-2 with PRD-7, PRD-4, PRD-3 and PRD-5 → Reference(Practitioner)."""
    name = xpn_into(raw, context)
    display = {"display": name["text"]} if name else {}
    number, kind, system = parts(numbers.partition("~")[0], context, 3)
    if not number:
        return {"type": "Practitioner", **display} if display else None
    code, _ = _facility(place, context)
    uri = system if ":" in system else context.system(code or context.facility, kind=STAFF)
    identifier = {"system": uri, "value": number}
    resource: dict[str, Any] = {
        "resourceType": "Practitioner",
        "identifier": [{"type": type_of(kind), **identifier} if kind else identifier],
        "name": [name] if name else [],
        "telecom": [made for each in contacts.split("~") if each and (made := xtn_into(each, context))],
        "address": [made for each in addresses.split("~") if each and (made := xad_into(each, context))],
    }
    kept = {element: value for element, value in resource.items() if value}
    return {"reference": context.make(kept, once=True).full_url, **display}


def provider_back(value: dict[str, Any], context: Context) -> tuple[str, ...]:
    """`value` is the Practitioner, or the Reference where there is none."""
    name = value["name"][0] if value.get("name") else {"text": value.get("display", "")}
    identifiers = value.get("identifier", ())
    staff = [each for each in identifiers if each.get("system", "").endswith(f":{STAFF}")]
    identifier: dict[str, Any] = next(iter((*staff, *identifiers)), {})
    system = identifier.get("system", "")
    number = joined(identifier.get("value", ""), type_code(identifier), "" if staff else system)
    code = authority_of(identifier, context)[0] if staff else ""
    return (
        xpn_back(name, context),
        number,
        joined("", "", "", code),
        "~".join(xad_back(each, context) for each in value.get("address", ())),
        "~".join(xtn_back(each, context) for each in value.get("telecom", ())),
    )


def facility_into(raw: str, context: Context) -> dict[str, Any] | None:
    """PRD-4 → Reference(Organization): `^^^code&name`, or a place that is only described."""
    code, name = _facility(raw, context)
    if not code:
        return {"type": "Organization", "display": name} if name else None
    identifier = {"system": context.organization_system(code), "value": code}
    resource: dict[str, Any] = {"resourceType": "Organization", "identifier": [identifier]}
    if name:
        resource["name"] = name
    reference = {"reference": context.make(resource, once=True).full_url}
    return {**reference, "display": name} if name else reference


def facility_back(value: dict[str, Any], context: Context) -> str:
    name = value.get("name") or value.get("display", "")
    identifiers = value.get("identifier", ())
    national = [each for each in identifiers if each.get("system") == CHINESE_ORGANIZATION]
    code = next((each.get("value", "") for each in (*national, *identifiers)), "")
    if not code:
        return joined("", "", "", "", "", "", "", "", name)
    return f"^^^{escape(code)}&{escape(name)}".rstrip("&")


def _facility(raw: str, context: Context) -> tuple[str, str]:
    """(code, name) of the institution in a PL: HD in its fourth part, description in its ninth. Institutions here write
    their name where HD has the universal id."""
    *_, authority, _, _, _, _, description = parts(raw.partition("~")[0], context, 9)
    code, name, type_ = (*map(str.strip, authority.split("&")), "", "", "")[:3]
    return code or (name if type_ else ""), ("" if type_ else name) or description


def referral_into(raw: str, context: Context) -> dict[str, Any] | None:
    """EI of a referral; a number of the whole region is not its sender's own."""
    value, namespace = parts(raw, context, 2)
    if not _REGIONAL.fullmatch(value):
        return ei_into(raw, context)
    made: dict[str, Any] = {"system": REFERRAL, "value": value}
    return {**made, "assigner": {"display": namespace}} if namespace else made


def referral_back(value: dict[str, Any], context: Context) -> str:
    if value.get("system") != REFERRAL:
        return ei_back(value, context)
    return joined(value.get("value", ""), value.get("assigner", {}).get("display", ""))


def report_into(raw: str, context: Context) -> dict[str, Any] | None:
    """A number of the sender's own report → a Reference by that number."""
    value = parts(raw, context)[0]
    identifier = {"system": context.system(context.facility, kind="REPORT"), "value": value}
    return {"type": "DiagnosticReport", "identifier": identifier} if value else None


def nothing_back(value: dict[str, Any], context: Context) -> str:
    """Said by another field too."""
    return ""


def later_into(raw: str, context: Context, days: str = "") -> str | None:
    """A moment so many days later: until when the papers of an emergency may follow (三日内补办)."""
    made = cell_time(raw, context.zone)
    if made is None or not days.isdecimal():
        return None
    if "T" not in made:
        return (date.fromisoformat(made) + timedelta(days=int(days))).isoformat() if len(made) == 10 else None
    return (datetime.fromisoformat(made) + timedelta(days=int(days))).isoformat()


def later_back(value: str, context: Context, days: str = "") -> str:
    return ""


PAIRS = {
    "later": Pair(later_into, later_back, fits=("dateTime",)),
    "report": Pair(report_into, nothing_back, fits=("Reference",)),
    "provider": Pair(provider_into, provider_back, fields=4, makes="Practitioner", fits=("Reference",)),
    "facility": Pair(facility_into, facility_back, makes="Organization", fits=("Reference",)),
    "referral": Pair(referral_into, referral_back, fits=("Identifier",)),
}
