"""FHIR resources and Bundles of members that write them: as JSON, as XML, or a resource a line (NDJSON)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway.codec import fhir_xml, ndjson
from gateway.errors import HutongError, Permanent
from gateway.fhir import json, validate
from gateway.formats.exports import digest
from gateway.formats.look import STRANGER, Hidden, Look
from gateway.mapping.adopt import adopt
from gateway.mapping.maps import Translation
from gateway.model import Channel, Entry, Frame, Member, Reject

if TYPE_CHECKING:
    from gateway.formats import Formats

_LINES = 10_000  # as many as a Bundle may have entries


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What a body holds: a resource or a Bundle, and the lines that are none."""

    resource: Any
    rejects: tuple[Reject, ...] = ()


def look(formats: Formats, frame: Frame, channel: Channel | None, owner: Member | None) -> Look:
    member = formats.sender("", owner) or STRANGER
    seen = Look(member=member, format="fhir", charset="utf-8")
    try:
        resource = _read(frame.body).resource
        adopted = adopt(resource, member=member.id, control_id="-")
        validate.check_bundle(adopted)
    except HutongError as error:
        return replace(seen, error=error)
    identifier = resource.get("identifier") if resource["resourceType"] == "Bundle" else None
    control_id = str(identifier.get("value", "")) if isinstance(identifier, dict) else ""
    return replace(seen, kind=str(resource["resourceType"]), control_id=control_id)


def translate(formats: Formats, entry: Entry, channel: Channel | None, member: Member, _hidden: Hidden) -> Translation:
    found = _read(entry.frame.body)
    bundle = adopt(found.resource, member=member.id, control_id=digest(entry))
    return Translation(bundle=bundle, structure="Bundle", rejects=found.rejects)


def _read(body: bytes) -> _Read:
    if fhir_xml.is_fhir_xml(body):
        return _Read(resource=fhir_xml.decode(body))
    if not ndjson.is_ndjson(body):
        return _Read(resource=json.received(body))
    lines = ndjson.decode(body, parse=_resource)
    if len(lines.records) > _LINES:
        raise Permanent(f"more than {_LINES} lines", place="line", remedy="send the file in parts", code="102")
    rejects = [
        Reject(place="", row=each.number, column="", cause=each.cause, value=each.cells[0]) for each in lines.rejects
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in lines.records]}
    return _Read(resource=bundle, rejects=tuple(rejects))


def _resource(line: str) -> Any:
    """One resource, valid by itself. Raises Permanent with its place."""
    found = json.received(line)
    if not isinstance(found, dict) or "resourceType" not in found:
        raise Permanent("no FHIR resource", place="resourceType", remedy="write one resource a line")
    try:
        validate.check(found)
    except Permanent as error:
        raise Permanent(f"{error.place}: {error.cause}", place=error.place, remedy=error.remedy) from error
    return found
