"""FHIR resources and Bundles of members that write them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.errors import HutongError
from gateway.fhir import json, validate
from gateway.formats.exports import digest
from gateway.formats.look import STRANGER, Hidden, Look
from gateway.mapping.adopt import adopt
from gateway.mapping.maps import Translation
from gateway.model import Channel, Entry, Frame, Member

if TYPE_CHECKING:
    from gateway.formats import Formats


def look(formats: Formats, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
    member = formats.sender("", owner) or STRANGER
    seen = Look(member=member, format="fhir", charset="utf-8")
    try:
        resource = json.loads(frame.body)
        adopted = adopt(resource, member=member.id, control_id="-")
        validate.check_bundle(adopted)
    except HutongError as error:
        return replace(seen, error=error)
    identifier = resource.get("identifier") if resource["resourceType"] == "Bundle" else None
    control_id = str(identifier.get("value", "")) if isinstance(identifier, dict) else ""
    return replace(seen, kind=str(resource["resourceType"]), control_id=control_id)


def translate(formats: Formats, entry: Entry, channel: Channel | None, member: Member, _hidden: Hidden) -> Translation:
    bundle = adopt(json.loads(entry.frame.body), member=member.id, control_id=digest(entry))
    return Translation(bundle=bundle, structure="Bundle")
