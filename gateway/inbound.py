"""bytes → FHIR, the first half of the product's story.

    receive   a frame is looked at, written down, and only then acknowledged
    process   an entry is translated, its patient recognised, the Bundle applied to the record, and what that
              changes is owed to everybody who asked for it: one database transaction

A crash between the two loses nothing: what was acknowledged is on disk and is processed when we are back; what was
processed is in the record together with its mark, so it is never processed twice.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from gateway import telemetry
from gateway.announcing import told_by_the_other, whole
from gateway.codec import hl7v2, hl7v2_batch, hl7v2_local, hl7v2_query
from gateway.codec.text_stream import LARGE
from gateway.db.engine import Transaction
from gateway.errors import Configuration, Permanent
from gateway.fhir import json
from gateway.formats import EXPORTS, Formats, Look, bulk
from gateway.identity.arriving import Arrived
from gateway.journal import unknown
from gateway.journal.bodies import Bodies
from gateway.journal.intake import Intake, Verdict
from gateway.journal.outbox import Outbox
from gateway.mapping.translation import Translation
from gateway.model import STREAMED, Change, Channel, Community, Entry, Frame, Member, Resource
from gateway.parts import Parts, held
from gateway.people import RULE, recognised, settle
from gateway.routing import Context, owner_of, wanted
from gateway.store import local
from gateway.store.joining import Reason
from gateway.store.read import Looked
from gateway.store.record import Record
from gateway.store.stored import Applied
from gateway.telemetry import Metrics
from gateway.transport.pickup import control_id as file_control_id
from gateway.worker import Processed

INLINE = 64 * 1024  # bytes up to which a frame is looked at on the event loop; a larger one goes to a thread
APPLICATION = "HUTONG"


def _now() -> datetime:
    return datetime.now(UTC)


def nothing_ahead(_entry: int) -> Resource | None:
    """Every translation is made when it is needed."""
    return None


def nobody_subscribed(_transaction: Transaction, _change: Change) -> None:
    """No FHIR client wants to hear of changes."""


class Inquiries(Protocol):
    """Answers queries at once: inquiries.py."""

    def answers(self, look: Look) -> bool:
        """Is it a query that is answered?"""

    def answer(self, frame: Frame, look: Look) -> bytes:
        """The response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """The door. `receive` returns only when the frame is on disk; it raises Transient when that cannot be promised."""

    community: Community
    formats: Formats
    intake: Intake
    metrics: Metrics
    channels: Mapping[str, tuple[Member | None, Channel]]
    inquiries: Inquiries | None = None  # who answers queries; None: nobody
    bodies: Bodies | None = None  # where large files are kept; None: with all others

    async def receive(self, frame: Frame) -> bytes:
        """Look at it, write it down, answer. Refused frames are written down too, with their cause."""
        owner, channel = self.channels.get(frame.channel, (None, None))
        if channel is None or channel.format == "hl7v2":
            batch = await self._batch(frame, channel)
            if batch is not None:
                return await self._each(frame, channel, batch)
        return await self._one(frame, owner, channel)

    async def _batch(self, frame: Frame, channel: Channel | None) -> hl7v2_batch.Batch | None:
        """The messages of a batch; over MLLP only where the sender says that it is one."""
        over_mllp = channel is None or channel.transport == "mllp"
        if over_mllp and not hl7v2_batch.enveloped(frame.body):
            return None
        try:
            if len(frame.body) <= INLINE:
                return hl7v2_batch.opened(frame.body)
            return await asyncio.to_thread(hl7v2_batch.opened, frame.body)
        except Permanent:
            return None  # refused as a whole, with its cause

    async def _each(self, frame: Frame, channel: Channel | None, batch: hl7v2_batch.Batch) -> bytes:
        """Every message of a batch is an entry of its own, with its own answer: a bad one stops nobody."""
        for note in batch.notes:
            telemetry.logger().warning("batch", channel=frame.channel, peer=frame.peer, note=note)
        owner = self.channels.get(frame.channel, (None, None))[0]
        if not batch.messages:
            return await self._one(frame, owner, channel)
        answers = [
            await self._one(
                replace(frame, body=body, peer=f"{frame.peer}#{number}"), owner or self._named(batch, body), channel
            )
            for number, body in enumerate(batch.messages, 1)
        ]
        return _together(answers, channel, batch)

    def _named(self, batch: hl7v2_batch.Batch, body: bytes) -> Member | None:
        """Whom BHS-4 or FHS-4 names, for a message that names no sender itself (HL7 v2.5.1 §2.15.2)."""
        header = hl7v2.peek(body) if batch.sender else None
        return self.formats.sender(batch.sender, None) if header and not header.sending_facility else None

    async def _one(self, frame: Frame, owner: Member | None, channel: Channel | None) -> bytes:
        began = time.perf_counter()
        self.metrics.received(frame.channel)
        if channel and channel.format in STREAMED and self.bodies and (frame.file or len(frame.body) >= LARGE):
            frame = await asyncio.to_thread(self.bodies.keep, frame)
            frame, look = await asyncio.to_thread(self._large, frame, self.bodies, channel, owner)
        elif len(frame.body) <= INLINE:
            look = self.formats.look(frame, channel, owner)
        else:
            look = await asyncio.to_thread(self.formats.look, frame, channel, owner)
        await self.intake.write(frame, self._verdict(frame, channel, look))
        if look.error:
            self.metrics.refused(frame.channel, code=look.error.code)
        else:
            self.metrics.accepted(frame.channel, seconds=time.perf_counter() - began)
        from_folder = channel is not None and channel.of_files
        if self.inquiries is not None and not from_folder and self.inquiries.answers(look):
            return await asyncio.to_thread(self.inquiries.answer, frame, look)
        return _answer(self.community, channel, look)

    def _large(self, frame: Frame, bodies: Bodies, channel: Channel | None, owner: Member | None) -> tuple[Frame, Look]:
        """A large file at the door; in memory where it has to be read as a whole."""
        look = bulk.look(self.formats, bodies.opened(frame.stored), frame.size, channel, owner)
        if look is not None:
            return frame, look
        whole = bodies.whole(frame)
        return whole, self.formats.look(whole, channel, owner)

    @staticmethod
    def _verdict(frame: Frame, channel: Channel | None, look: Look) -> Verdict:
        from_folder = channel is not None and channel.of_files
        own = "" if from_folder else look.control_id
        return Verdict(
            member=look.member.id,
            format=look.format,
            charset=look.charset,
            control_id=own or (file_control_id(frame) if from_folder or frame.identity else ""),
            key=look.key or (frame.channel if frame.stored or look.format in STREAMED else ""),
            kind=look.kind,
            accepted=look.error is None,
            cause=look.error.cause if look.error else "",
            place=look.error.place if look.error else "",
        )


def _answer(community: Community, channel: Channel | None, look: Look) -> bytes:
    """The acknowledgement in the sender's own terms."""
    if channel is not None and channel.of_files:
        return str(look.error).encode() if look.error else b""
    if look.format == "hl7v2":
        return acknowledgement(community, look)
    if look.error:
        issue = {"severity": "error", "code": "invalid", "diagnostics": str(look.error)}
        return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})
    return b""


def _together(answers: list[bytes], channel: Channel | None, batch: hl7v2_batch.Batch) -> bytes:
    """The answer to a batch: for a folder what was refused, by its number; else the acknowledgements as a batch, in
    the order of the messages (HL7 v2.5.1 §2.10.3.3)."""
    if channel is not None and channel.of_files:
        refused = [f"#{number}: {text.decode()}" for number, text in enumerate(answers, 1) if text]
        head = f"{len(refused)} of {len(answers)} messages were refused, the others are taken"
        return "\r\n".join([head, *refused, *batch.notes]).encode() if refused else b""
    given = [each for each in answers if each]
    head = f"BHS|^~\\&|{APPLICATION}||||||||||{batch.control_id}".rstrip("|")
    return b"".join([head.encode() + b"\r", *given, f"BTS|{len(given)}\r".encode()])


def acknowledgement(community: Community, look: Look) -> bytes:
    """HL7 v2.5.1 §2.9: AA, AE, AR in original mode. In enhanced mode the application acknowledgement, when MSH-16 asks
    for it, is given at once and covers the accept acknowledgement; else CA, CE, CR as MSH-15 asks; else nothing."""
    header, error = look.header, look.error
    success = error is None
    mode = hl7v2.mode(header)
    if header is not None and hl7v2.wants_application_acknowledgement(header, success=success):
        mode = "original"
    elif not hl7v2.wants_accept_acknowledgement(header, success=success):
        return b""
    return hl7v2.acknowledge(
        header,
        code="AA" if error is None else hl7v2.refusal_code(error),
        control_id=secrets.token_hex(10).upper(),
        when=_now(),
        own_application=APPLICATION,
        own_facility=community.id,
        error=error,
        mode=mode,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """The worker's half. `process` runs inside the caller's transaction: all of it happens, or nothing."""

    community: Community
    formats: Formats
    record: Record
    channels: Mapping[str, tuple[Member | None, Channel]]
    made_ahead: Callable[[int], Resource | None] = nothing_ahead  # the Bundle of an entry where it is made already
    parts: Parts | None = None  # large files, batch by batch; None: there are none
    outbox: Outbox = field(default_factory=Outbox)
    subscribed: Callable[[Transaction, Change], None] = nobody_subscribed  # owes a change to FHIR clients
    now: Callable[[], datetime] = _now
    asked_for: frozenset[str] = field(init=False)  # resource types that any subscription names

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked_for", asked_for(self.community))

    def process(self, transaction: Transaction, entry: Entry) -> Processed:
        """What it became. A training message is checked and goes no further, nor does a query: it asks, and tells
        nothing. Rows that were set aside are held.

        Raises Configuration (parked: a map, a code, a doubtful person), Permanent (dead) or Transient (again).
        """
        if is_query(entry):
            return Processed(None)
        earlier = unknown.of(transaction, entry.id)
        better = frozenset(code for code, again in earlier.items() if again)
        if entry.frame.stored and self.parts is not None:
            processed = self._in_parts(transaction, entry, self.parts, better)
            if processed is not None:
                return processed
            entry = replace(entry, frame=self.parts.bodies.whole(entry.frame))
        bundle, held, strange, words = self._translated(entry, again=bool(better))
        if is_training(entry):
            return Processed(None)
        if earlier or strange:
            received = entry.frame.received_at
            unknown.note(transaction, entry.id, entry.member, strange, words=words, received=received)
        people, asked = self._people(transaction, bundle, entry)
        applied = self._applied(transaction, people, entry, self._before(entry, better))
        self._note_local(transaction, entry, applied.references.values())
        return Processed(applied.transaction, asked or held)

    def _in_parts(
        self, transaction: Transaction, entry: Entry, parts: Parts, better: frozenset[tuple[str, str]]
    ) -> Processed | None:
        """One batch of a large file; None for one that is read as a whole."""

        def apply(made: Translation, before: dict[str, Resource]) -> int | None:
            received, words = entry.frame.received_at, made.words
            unknown.add(transaction, entry.id, entry.member, made.unknown, words=words, received=received)
            people, asked = self._people(transaction, made.bundle, entry)
            if asked:
                raise asked
            return self._applied(transaction, people, entry, before).transaction

        _, channel = self.channels.get(entry.frame.channel, (None, None))
        return parts.process(transaction, entry, formats=self.formats, channel=channel, apply=apply, better=better)

    def _note_local(self, transaction: Transaction, entry: Entry, made: Iterable[str]) -> None:
        """The values of local segments are found again, whether a map knows them or not."""
        if entry.format == "hl7v2" and hl7v2_local.has_local(entry.frame.body):
            message = hl7v2.decode(entry.frame.body, self.formats.member(entry.member).profile.charset)
            local.note(transaction, entry.id, hl7v2_local.local_fields(message), made)

    def _translated(
        self, entry: Entry, *, again: bool
    ) -> tuple[Resource, Configuration | None, unknown.Codes, unknown.Words]:
        """The Bundle of an entry, the error for those of its rows that are not in it, and the codes nothing knew."""
        made = None if again else self.made_ahead(entry.id)
        if made is not None:
            return made, None, (), {}
        _, channel = self.channels.get(entry.frame.channel, (None, None))
        translation = self.formats.translate(entry, channel)
        return translation.bundle, held(translation.rejects), translation.unknown, translation.words

    def _before(self, entry: Entry, better: frozenset[tuple[str, str]]) -> dict[str, Resource]:
        """By fullUrl what the entry was understood as while the codes that are known by now were not."""
        if not better:
            return {}
        _, channel = self.channels.get(entry.frame.channel, (None, None))
        bundle = self.formats.translate(entry, channel, hidden=better).bundle
        return {each["fullUrl"]: each["resource"] for each in bundle["entry"]}

    def _people(self, transaction: Transaction, bundle: Resource, entry: Entry) -> tuple[Arrived, Configuration | None]:
        """Who each arriving Patient is; see people.recognised."""
        authoritative = self.formats.member(entry.member).authoritative
        return recognised(transaction, bundle, authoritative=authoritative, export=entry.format in EXPORTS)

    def _applied(self, transaction: Transaction, people: Arrived, entry: Entry, before: dict[str, Resource]) -> Applied:
        """The Bundle in the record, what follows from it for who is who, and everybody owed what changed."""
        now = self.now()
        applied = self.record.apply(
            transaction, people.bundle, at=now, entry_id=entry.id, patients=people.patients, before=before
        )
        reason = Reason(by=RULE, why="", at=now, entry=entry.id)
        further = settle(transaction, applied, people, applied.references, reason=reason)
        known: Looked = {}  # many results have one order, one visit and one patient
        for change in (*applied.changes, *further):
            self.owe(transaction, change, entry.member, known)
        return applied

    # ------------------------------------------------------------------------------------ who is owed what

    def owe(self, transaction: Transaction, change: Change, sender: str, known: Looked | None = None) -> None:
        """A change is owed to every member that asked for it, but not to `sender` ("": a FHIR client). `known`: see
        store.read.related."""
        self.subscribed(transaction, change)
        if change.type not in self.asked_for:
            return
        stored = self.record.vread(change.type, change.id, change.version, reader=transaction)
        if stored is None or stored.deleted:
            return
        resource = stored.resource
        context = self._context(transaction, resource, change.transaction, known)
        for subscription in wanted(self.community, change=change, resource=resource, sender=sender, context=context):
            if not told_by_the_other(transaction, change, subscription, self.community):
                self.outbox.owe(transaction, subscription.id, patient_of(resource) or change.reference, change)

    def _context(self, transaction: Transaction, resource: Resource, number: int, known: Looked | None) -> Context:
        """What routing needs to know around a change: its patient, its orders, and who placed them."""
        type_, id_ = resource["resourceType"], resource["id"]
        around = self.record.related(transaction, type_, id_, number, depth=2, known=known)
        orders = tuple(each for each in around.values() if each["resourceType"] == "ServiceRequest")
        patient = around.get(patient_of(resource), resource if resource["resourceType"] == "Patient" else None)
        patient = whole(transaction, patient) if patient else None
        owners = {owner for order in orders for owner in self._owners(order, around)}
        return Context(patient=patient, orders=orders, owners=frozenset(owners))

    def _owners(self, order: Resource, around: Mapping[str, Resource]) -> set[str]:
        """The members of an order's requester and of the visit it was written in."""
        systems = []
        for pointer in (
            order.get("requester"),
            around.get(_reference(order.get("encounter")), {}).get("serviceProvider"),
        ):
            for identifier in around.get(_reference(pointer), {}).get("identifier", ()):
                systems.append(str(identifier.get("system", "")))
                member = self.community.member_of_facility(str(identifier.get("value", "")))
                if member:
                    systems.append(f"urn:hutong:id:{member.id}")
        return {owner for system in systems if (owner := owner_of(system, self.community))}


def _reference(value: Any) -> str:
    return str(value.get("reference", "")) if isinstance(value, dict) else ""


def asked_for(community: Community) -> frozenset[str]:
    """The resource types that any subscription names."""
    return frozenset(
        criteria.partition("?")[0]
        for member in community.members.values()
        for subscription in member.subscriptions
        for criteria in subscription.criteria
    )


def patient_of(resource: Resource) -> str:
    """'Patient/…' of a resource, "" where it has none: the key that keeps a patient's order."""
    if resource["resourceType"] == "Patient":
        return f"Patient/{resource.get('id', '')}"
    for name in ("subject", "patient", "for"):
        if found := _reference(resource.get(name)):
            return found
    return ""


def is_query(entry: Entry) -> bool:
    """QBP, QRY and the like (HL7 v2.5.1 chapter 5)."""
    header = hl7v2.peek(entry.frame.body) if entry.format == "hl7v2" else None
    return header is not None and header.code in hl7v2_query.CODES


def is_training(entry: Entry) -> bool:
    """MSH-11 T, D or N: never in a production record (HL7 table 0103; N since v2.9)."""
    if entry.format != "hl7v2":
        return False
    header = hl7v2.peek(entry.frame.body)
    return header is not None and header.processing_id in hl7v2.TESTS
