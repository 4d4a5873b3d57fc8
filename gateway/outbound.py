"""FHIR → bytes, the second half of the product's story.

A delivery is owed since the transaction that made its change. It is written in the receiver's own terms (its message,
version, charset, numbers) from the record as it stood at that change, sent, and its receipt kept. A preliminary report
therefore leaves as it was, even when the final one is already known; the final one follows behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway import announcing, telemetry
from gateway.announcing import Announced
from gateway.codec import rows
from gateway.db.engine import Engine, Reader
from gateway.errors import Configuration
from gateway.fhir import bundle as bundles
from gateway.fhir import json, reference
from gateway.formats import files
from gateway.mapping.context import KEY
from gateway.mapping.maps import Address, Maps
from gateway.model import Change, Community, Delivery, Member, Receipt, Resource, Subscription
from gateway.store.record import Record
from gateway.transport import Sender

_OF_PEOPLE = frozenset({"", "ADT_A01", "ADT_A05", "ADT_A08", "ADT_A28", "ADT_A31"})  # they tell of a merge as A40
_OF_NUMBERS = frozenset({"A40", "A39", "A34", "A30", "A18", "A46", "A47", "A48"})  # events about the numbers themselves
WITHDRAWN_AS = frozenset({"entered-in-error", "cancelled", "revoked", "rejected", "nullified"})  # statuses of R4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Writes and sends what is owed to one subscription."""

    community: Community
    maps: Maps
    record: Record
    engine: Engine
    member: Member
    subscription: Subscription
    sender: Sender

    async def send(self, delivery: Delivery) -> Receipt:
        """Returns the receiver's receipt. Raises our errors; the worker decides what happens next."""
        body = await asyncio.to_thread(self.write, delivery)
        return await self.sender.send(body, delivery)

    def write(self, delivery: Delivery) -> bytes:
        """The bytes of one delivery: the same on every attempt."""
        with self.engine.reading() as reader:
            change = delivery.change
            resources = gathered(self.record, reader, change, heads=self.subscription.format == "hl7v2")
            announced = self._announced(reader, resources, change)
            resources = self._whole(reader, resources, change.reference) if announced is None else resources
            at = self._committed(reader, delivery)
        if change.reference not in resources:
            raise Configuration(
                "the record no longer holds what is owed",
                place=change.reference,
                remedy="let it rest or replay its entry",
            )
        if announced is not None:
            to = replace(self.address(delivery, at), event=announced.event)
            leads, structure = list(announced.leads), announced.structure
            return self.maps.of(to.profile).from_fhir(announced.resources, leads, structure=structure, to=to)
        write = _FORMATS.get(self.subscription.format)
        if write is None:
            raise Configuration(
                f"{self.subscription.format} is read, not written",
                place="subscription.format",
                remedy=f"one of {', '.join(_FORMATS)}",
            )
        return write(self, resources, delivery, at)

    def _committed(self, reader: Reader, delivery: Delivery) -> datetime:
        stored = self.record.vread(delivery.change.type, delivery.change.id, delivery.change.version, reader=reader)
        return stored.updated if stored else datetime.now(UTC)

    def _announced(self, reader: Reader, resources: Mapping[str, Resource], change: Change) -> Announced | None:
        """The message of a merge or of its undoing, where the member is told of it as one."""
        if self.subscription.format != "hl7v2" or self.subscription.message not in _OF_PEOPLE:
            return None
        found = announcing.joined(reader, change)
        if found is None or not announcing.concerns(
            reader, found, change, member=self.member, community=self.community
        ):
            return None
        other = self.record.as_of(reader, "Patient", found.other, change.transaction)
        if other is None or other.deleted or change.reference not in resources:
            return None
        return announcing.announced(resources, change, found, other.resource)

    def _whole(self, reader: Reader, resources: Mapping[str, Resource], lead: str) -> dict[str, Resource]:
        """Patients by all their numbers, for whoever knows one of them; an update tells of no merge that was before."""
        if self.subscription.format == "fhir" or self.subscription.event in _OF_NUMBERS:
            return dict(resources)
        return {
            name: announcing.whole(reader, each, alone=name == lead) if each["resourceType"] == "Patient" else each
            for name, each in resources.items()
        }

    def address(self, delivery: Delivery, at: datetime) -> Address:
        """For whom it is written."""
        profile = self.subscription.profile or self.member.profile
        facilities = self.member.facilities or (self.member.id,)
        return Address(
            profile=profile, facility=profile.facility or facilities[0], own=frozenset((*facilities, self.member.id)),
            sender=self.community.id, control_id=delivery.idempotency, when=at, event=self.subscription.event,
        )  # fmt: skip


def gathered(record: Record, reader: Reader, change: Change, *, heads: bool = True) -> dict[str, Resource]:
    """A resource and what belongs to its message, as of its change: 'Type/id' → resource. `heads`: with what the
    message that brought it said of itself. Without the resource itself where the record no longer holds it."""
    resources = record.related(reader, change.type, change.id, change.transaction)
    _add_pointing(record, reader, resources, change.reference)
    if heads and change.reference in resources:
        _add_head(record, reader, resources, change)
    return resources


def _add_pointing(record: Record, reader: Reader, resources: dict[str, Resource], lead: str) -> None:
    """What refers to the lead resource and belongs to its message: the retired patient of a merge, diagnoses."""
    for pointer in resources[lead].get("link", ()) if lead in resources else ():
        other = str(pointer.get("other", {}).get("reference", ""))
        if other and other not in resources:
            type_, _, id_ = other.partition("/")
            resources.update(record.related(reader, type_, id_, 1 << 62, depth=0))


def _add_head(record: Record, reader: Reader, resources: dict[str, Resource], change: Change) -> None:
    """What the message of this change said of itself (EVN-4 to EVN-7, MSH-8, MSH-19 …), and whom it names."""
    asked = [("target", change.reference), ("_sort", "-_lastUpdated"), ("_count", "10")]
    found = record.search("Provenance", asked, reader=reader).matches
    for stored in (each for each in found if each.transaction == change.transaction):
        provenance = stored.resource
        targets = (str(each.get("reference", "")) for each in provenance.get("target", ()))
        agents = (str(each.get("who", {}).get("reference", "")) for each in provenance.get("agent", ()))
        place = str(provenance.get("location", {}).get("reference", ""))
        heads = (each for each in targets if each.startswith("MessageHeader/"))
        for name in (stored.reference, *heads, *agents, place):
            type_, _, id_ = name.partition("/")
            if id_ and name not in resources:
                resources.update(record.related(reader, type_, id_, change.transaction, depth=0))


def _hl7v2(self: Dispatcher, resources: Mapping[str, Resource], delivery: Delivery, at: datetime) -> bytes:
    structure = self.subscription.message or _STRUCTURES.get(delivery.change.type, "")
    to = self.address(delivery, at)
    return self.maps.of(to.profile).from_fhir(resources, [delivery.change.reference], structure=structure, to=to)


_STRUCTURES = {
    "DiagnosticReport": "ORU_R01",
    "ServiceRequest": "ORM_O01",
    "Appointment": "SIU_S12",
    "Encounter": "ADT_A01",
    "Patient": "ADT_A01",
}


def _file(self: Dispatcher, resources: Mapping[str, Resource], delivery: Delivery, at: datetime) -> bytes:
    to = self.address(delivery, at)
    exports = self.maps.of(to.profile).exports
    written = exports.from_fhir(resources, [delivery.change.reference], name=self.subscription.message, to=to)
    told: list[str] = []
    body = files.encode(written, self.subscription.format, to.profile, told.append)
    ids = {"subscription": self.subscription.id, "delivery": delivery.id}
    for note in written.notes:
        telemetry.logger().warning("not all is in a file", cause=note, **ids)
    if told:
        telemetry.logger().warning("characters replaced", count=len(told), charset=to.profile.charset, **ids)
    return body


def _rows(self: Dispatcher, resources: Mapping[str, Resource], delivery: Delivery, at: datetime) -> bytes:
    """Rows for a middle table, each with whether what it tells of was withdrawn."""
    to, lead = self.address(delivery, at), delivery.change.reference
    written = self.maps.of(to.profile).exports.from_fhir(
        resources, [lead], name=self.subscription.message, to=to, marked=True
    )  # fmt: skip
    if written.root is not None:
        raise Configuration(f"{written.name} is a tree, and a table takes rows", place="format", remedy="take json")
    columns = (*dict.fromkeys((*written.columns, *(name for row in written.rows for name in row))), rows.WITHDRAWN)
    mark = "1" if resources[lead].get("status") in WITHDRAWN_AS else ""
    cells = tuple((*(row.get(name, "") for name in columns[:-1]), mark) for row in written.rows)
    return rows.encode([rows.Sheet(name=written.name, columns=columns, cells=cells)])


def _fhir(self: Dispatcher, resources: Mapping[str, Resource], delivery: Delivery, at: datetime) -> bytes:
    if self.subscription.message == "resource":
        return json.dumps(resources[delivery.change.reference])
    return json.dumps(transaction(resources))


def transaction(resources: Mapping[str, Resource]) -> Resource:
    """A transaction Bundle that any FHIR server can take twice: conditional on business identifiers."""
    urls = {each: bundles.full_url("resource", each) for each in resources}
    entries = []
    for name, resource in resources.items():
        copy = json.loads(json.dumps({key: value for key, value in resource.items() if key not in ("id", "meta")}))
        for pointer in reference.find(copy):
            if pointer.get("reference") in urls:
                pointer["reference"] = urls[pointer["reference"]]
        entries.append(bundles.entry(copy, urls[name], _request(resource)))
    return bundles.transaction(entries)


def _request(resource: Resource) -> dict[str, str]:
    type_ = resource["resourceType"]
    identifiers = resource.get("identifier") or []
    numbered = [each for each in identifiers if isinstance(each, dict) and each.get("system") and each.get("value")]
    numbered.sort(key=lambda each: each["system"] != KEY)  # the key alone tells panels of one report number apart
    if numbered:
        return bundles.update(type_, numbered[0]["system"], numbered[0]["value"])
    return {"method": "PUT", "url": f"{type_}/{resource['id']}"}


_FORMATS = {"hl7v2": _hl7v2, "fhir": _fhir, "rows": _rows, **dict.fromkeys(files.WRITTEN, _file)}
