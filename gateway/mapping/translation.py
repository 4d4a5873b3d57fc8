"""What a translation gives and takes: a Bundle and what there is to say of it; whom a message is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.fhir import bundle as bundles
from gateway.mapping.context import Context, Entry
from gateway.mapping.unit_of_analyte import UNSURE, settle
from gateway.model import Profile, Reject, Resource


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where one FHIR element came from."""

    resource: str  # fullUrl
    path: str
    segment: int  # index in the message, -1 where there is none
    field: int
    line: str  # map file:line


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What a document became. `rejects`: the records of an export that were set aside."""

    bundle: Resource
    structure: str
    notes: tuple[str, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()  # (table, code) that no table knew
    words: Mapping[tuple[str, str], str] = field(default_factory=dict)  # how the sender calls them, where it is safe
    rejects: tuple[Reject, ...] = ()
    lineage: tuple[Lineage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """For whom and as what a message is written."""

    profile: Profile
    facility: str  # MSH-6 and whose local codes are meant
    own: frozenset[str] = frozenset()  # assigning authorities of the receiver
    sender: str = "HUTONG"  # MSH-4
    control_id: str
    when: datetime
    event: str = ""


def transaction(context: Context) -> Resource:
    """The transaction Bundle of everything that was made; conditional on business identifiers throughout."""
    quoted: dict[str, str] = {}
    for entry in context.entries.values():
        if entry.resource["resourceType"] == "Observation" and not settle(entry.resource):
            context.note(UNSURE)
    listed = [_entry(entry, quoted) for entry in context.entries.values()]
    return {"resourceType": "Bundle", "type": "transaction", **({"entry": listed} if listed else {})}


def _entry(entry: Entry, quoted: dict[str, str]) -> dict[str, Any]:
    resource = entry.resource
    type_ = resource["resourceType"]
    if entry.keyed is None:  # no identifier element, such as MessageHeader: found again by its deterministic id
        request = {"method": "PUT", "url": f"{type_}/{resource['id']}"}
    elif entry.once:
        told = entry.condition or bundles.condition(*entry.keyed, quoted)
        request = {"method": "POST", "url": type_, "ifNoneExist": told}
    else:
        request = {"method": "PUT", "url": f"{type_}?{bundles.condition(*entry.keyed, quoted)}"}
    if entry.deletes or entry.reopen or entry.parts or entry.together:
        return bundles.entry(
            resource, entry.full_url, request, deletes=entry.deletes, reopen=entry.reopen, parts=entry.parts,
            together=entry.together,
        )  # fmt: skip
    return {"fullUrl": entry.full_url, "resource": resource, "request": request}
