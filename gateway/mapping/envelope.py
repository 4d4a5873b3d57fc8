"""What surrounds a message that we write: MSH, EVN, and whose numbers stand first (HL7 v2.5.1 §2.15.9, §3.4.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping.context import IDENTIFIER, Context
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
    kind = [code, event] if profile.version < "2.3.1" else [code, event, structure]
    return [
        "MSH", "|", "^~\\&", APPLICATION, escape(sender), escape(profile.application),
        escape(profile.facility or facility), when.astimezone(context.zone).strftime("%Y%m%d%H%M%S"), "",
        "^".join(kind), control_id, "P", profile.version, "", "", "AL", "NE", "CHN",
    ]  # fmt: skip


def event_segment(event: str, when: datetime, context: Context) -> Segment:
    return ["EVN", event, when.astimezone(context.zone).strftime("%Y%m%d%H%M%S")]


def event_of(resource: Resource) -> str:
    """The ADT trigger event that tells the state of a visit or a person."""
    if resource["resourceType"] != "Encounter":
        return "A08"
    if resource.get("status") == "in-progress":
        return "A01" if resource.get("class", {}).get("code") in ("IMP", "ACUTE", "NONAC") else "A04"
    return {"finished": "A03", "cancelled": "A11", "planned": "A05"}.get(str(resource.get("status")), "A08")


def own_first(resource: Resource, own: frozenset[str]) -> Resource:
    """The receiver's own numbers first. A patient's numbers at other members are not its business: they are left out
    where it has one of its own."""
    identifiers = resource.get("identifier")
    if not isinstance(identifiers, list) or not own:
        return resource
    prefixes = tuple(f"{IDENTIFIER}{name}" for name in own)
    mine = [each for each in identifiers if _belongs(each, prefixes)]
    rest = [each for each in identifiers if not _belongs(each, prefixes)]
    if resource["resourceType"] == "Patient" and mine:
        rest = [each for each in rest if not str(each.get("system", "")).startswith(IDENTIFIER)]
    return {**resource, "identifier": mine + rest}


def _belongs(identifier: dict[str, Any], prefixes: tuple[str, ...]) -> bool:
    system = str(identifier.get("system", ""))
    return any(system == prefix or system.startswith(f"{prefix}:") for prefix in prefixes)
