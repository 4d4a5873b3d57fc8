"""What surrounds a message that we write: MSH, EVN, and whose numbers stand first (HL7 v2.5.1 §2.15.9, §3.4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import CODE, IDENTIFIER, MESSAGE, Context
from gateway.mapping.structure import Segment
from gateway.model import Profile, Resource

APPLICATION = "HUTONG"


def header(
    *,
    code: str,
    event: str,
    structure: str,
    profile: Profile,
    facility: str,
    sender: str,
    control_id: str,
    when: datetime,
    context: Context,
) -> Segment:
    """MSH. Versions before 2.3.1 have no structure in MSH-9, before 2.2 no MSH-9.3 reader would expect one."""
    kind = [code, event] if profile.version < "2.3.1" else [code, event, structure] if event else [code]
    answers = ("", "") if code == "ACK" else ("AL", "NE")  # nobody acknowledges an acknowledgement
    return [
        "MSH", "|", "^~\\&", APPLICATION, escape(sender), escape(profile.application),
        escape(profile.facility or facility), _stamp(when, context), "",
        "^".join(kind).rstrip("^"), control_id, "P", profile.version, "", "", *answers, profile.country or "CHN",
    ]  # fmt: skip


def event_segment(event: str, when: datetime, context: Context) -> Segment:
    return ["EVN", event, _stamp(when, context)]


def _stamp(when: datetime, context: Context) -> str:
    """Year to second, by the receiver's clock (strftime would pad no year)."""
    here = when.astimezone(context.zone)
    return f"{here.year}{here.month:02}{here.day:02}{here.hour:02}{here.minute:02}{here.second:02}"


def event_of(resource: Resource, structure: str) -> str:
    """The trigger event that tells the state of a visit, a person or a document; "" where the structure says it all."""
    if structure.startswith("MDM"):
        return _document_event(resource)
    if not structure.startswith("ADT"):
        return ""
    if resource["resourceType"] != "Encounter":
        return "A08"
    if resource.get("status") == "in-progress":
        return "A01" if resource.get("class", {}).get("code") in ("IMP", "ACUTE", "NONAC") else "A04"
    return {"finished": "A03", "cancelled": "A11", "planned": "A05"}.get(str(resource.get("status")), "A08")


def _document_event(document: Resource) -> str:
    """v2.5.1 §9.6: cancelled, changed in its state, replacing, appending or new; with its content where it has one."""
    if document.get("status") == "entered-in-error":
        return "T11"
    codes = {each.get("code") for each in document.get("relatesTo", ())}
    state = 3 if document.get("status") == "superseded" else 1
    event = 9 if "replaces" in codes else 5 if "appends" in codes else state
    attachments = [each.get("attachment", {}) for each in document.get("content", ())]
    return f"T{event + any('data' in each or 'url' in each for each in attachments):02}"


def of_gateway(resource: Resource) -> bool:
    """The gateway's own note of where something came from is no part of a message."""
    return resource["resourceType"] == "Provenance" and any(
        each.get("what", {}).get("identifier", {}).get("system") == MESSAGE for each in resource.get("entity", ())
    )


def own_first(resource: Resource, own: frozenset[str]) -> Resource:
    """The receiver's own numbers first. A patient's numbers at other members are not its business: they are left out
    where it has one of its own."""
    identifiers = resource.get("identifier")
    if not isinstance(identifiers, list) or not own:
        return resource
    prefixes = tuple(f"{IDENTIFIER}{quote(name, safe='')}" for name in own)
    mine = [each for each in identifiers if _belongs(each, prefixes)]
    rest = [each for each in identifiers if not _belongs(each, prefixes)]
    if resource["resourceType"] == "Patient" and mine:
        rest = [each for each in rest if not str(each.get("system", "")).startswith(IDENTIFIER)]
    return {**resource, "identifier": mine + rest}


def named_as_ordered(report: Resource, resources: Mapping[str, Resource], own: frozenset[str]) -> Resource:
    """A report under the receiver's own item code, where its order carries one and stands for this report alone."""
    orders = [resources.get(str(each.get("reference", ""))) for each in report.get("basedOn", ())]
    if len(orders) != 1 or orders[0] is None or "orderDetail" in orders[0]:
        return report
    ordered = orders[0].get("code", {})
    if not _own_coding(ordered, own) or _own_coding(report.get("code", {}), own):
        return report
    others = sum(each.get("basedOn") == report["basedOn"] for each in resources.values() if _is_report(each))
    return {**report, "code": ordered} if others <= 1 else report


def _is_report(resource: Resource) -> bool:
    return bool(resource["resourceType"] == "DiagnosticReport")


def _own_coding(concept: Mapping[str, Any], own: frozenset[str]) -> bool:
    prefixes = tuple(f"{CODE}{quote(name, safe='')}:" for name in own)
    return any(str(each.get("system", "")).startswith(prefixes) for each in concept.get("coding", ()))


def _belongs(identifier: dict[str, Any], prefixes: tuple[str, ...]) -> bool:
    system = str(identifier.get("system", ""))
    return any(system == prefix or system.startswith(f"{prefix}:") for prefix in prefixes)
