"""Bundle → HL7 v2: which message resources become, for whom, by whose clock; the same Bundle gives the same bytes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from gateway.errors import Permanent
from gateway.fhir import json, validate
from gateway.formats import Formats
from gateway.mapping import choice
from gateway.mapping.accounting.writing import Writing
from gateway.mapping.maps import Address
from gateway.mapping.origins import may_tell
from gateway.model import Resource

NEVER = datetime.fromtimestamp(0, UTC)  # nothing was received: no clock enters a translation
_TIMES = ("recorded", "issued", "authoredOn")
_NEVER = NEVER.isoformat(timespec="milliseconds")


def timed(bundle: Resource) -> Resource:
    """A document without a time of its own is recorded by the latest time in it: same bytes, same Bundle."""
    provenances = [each["resource"] for each in bundle.get("entry", ()) if each["resource"].get("recorded") == _NEVER]
    for provenance in provenances:
        provenance["recorded"] = moment_of(bundle).isoformat(timespec="milliseconds")
    return bundle


def message_of(body: bytes, formats: Formats, member: str | None, *, check: bool = True) -> bytes:
    """The HL7 v2 message of a Bundle. Raises Permanent for one that is not valid R4 or that no message is about."""
    return writing_of(body, formats, member, check=check).message()


def writing_of(body: bytes, formats: Formats, member: str | None, *, check: bool = True, message: str = "") -> Writing:
    bundle = bundle_of(body)
    if check:
        validate.check(bundle)
    resources = by_reference(bundle)
    chosen = choice.asked(message, resources, formats.maps.library) if message else None
    chosen = chosen or choice.told(resources, formats.maps.library) or choice.fitting(resources)
    to = address_of(formats, member, bundle, body, chosen.event)
    return Writing(
        maps=formats.maps.of(to.profile),
        resources=resources,
        leads=list(chosen.leads),
        structure=chosen.structure,
        to=to,
        tells=may_tell(body),
    )


def bundle_of(body: bytes) -> Resource:
    bundle = json.loads(body)
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise Permanent("this is no Bundle", place="resourceType", remedy="give a FHIR Bundle as JSON")
    return bundle


def by_reference(bundle: Resource) -> dict[str, Resource]:
    found = {}
    for number, entry in enumerate(bundle.get("entry", ())):
        resource = entry.get("resource")
        if isinstance(resource, dict):
            url = str(
                entry.get("fullUrl")
                or (f"{resource['resourceType']}/{resource['id']}" if "id" in resource else f"entry:{number}")
            )
            found[url] = resource
            if "id" in resource and not url.startswith("urn:"):
                found.setdefault(f"{resource['resourceType']}/{resource['id']}", resource)
    if len(set(map(id, found.values()))) == len(found):  # nearly always
        return found
    unique: dict[int, str] = {}
    for url, resource in list(found.items()):
        if id(resource) in unique and "://" in unique[id(resource)]:
            del found[unique[id(resource)]]
        unique[id(resource)] = url
    return found


def address_of(formats: Formats, member: str | None, bundle: Resource, body: bytes, event: str) -> Address:
    """For whom; the time is the Bundle's own, so that the same Bundle gives the same bytes."""
    community = formats.community
    known = community.members.get(member or "")
    facilities = known.facilities if known else (member,) if member else ()
    profile = known.profile if known else formats.member(member or "").profile
    return Address(
        profile=profile, facility=facilities[0] if facilities else "", own=frozenset(facilities), sender=community.id,
        control_id=hashlib.sha256(body).hexdigest()[:20].upper(), when=moment_of(bundle),
        event=event,
    )  # fmt: skip


def moment_of(bundle: Resource) -> datetime:
    resources = [entry.get("resource") or {} for entry in bundle.get("entry", ())]
    times = [bundle.get("timestamp"), *[each[name] for each in resources for name in _TIMES if name in each]]
    told = dict.fromkeys([each for each in times if isinstance(each, str) and len(each) >= 20])
    found = [datetime.fromisoformat(each) for each in told]
    return max(found) if found else NEVER
