"""The maps of one community: documents → transaction Bundles and back. Each structure is compiled on first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.codec.charset import codec_of
from gateway.codec.hl7v2 import Message, encode, structure_of
from gateway.errors import Configuration, Permanent
from gateway.mapping import envelope, kept_head, patients, result_groups
from gateway.mapping.context import Context
from gateway.mapping.exports import Exports
from gateway.mapping.functions import Functions
from gateway.mapping.graph import Graph
from gateway.mapping.into_fhir import StructureMap
from gateway.mapping.leads import former_last, leads_of
from gateway.mapping.library import Library, read
from gateway.mapping.memory import Memory
from gateway.mapping.message_writer import MessageWriter
from gateway.mapping.moves import Move, at_home, moved, moves_of, origin
from gateway.mapping.plans import LARGE
from gateway.mapping.provenance import occasion, provenance
from gateway.mapping.syntax import Block, Structure
from gateway.mapping.translation import Address, Lineage, Translation, transaction
from gateway.model import Profile, Resource


@dataclass(slots=True)
class Maps:
    """All compiled maps. Thread-safe for reading; compiling twice gives the same."""

    library: Library
    _functions: dict[bool, Functions] = field(default_factory=dict)  # by whether they explain
    _structures: dict[tuple[str, bool], StructureMap] = field(default_factory=dict)
    _writers: dict[str, MessageWriter] = field(default_factory=dict)
    _heads: dict[str, kept_head.HeadWriter] = field(default_factory=dict)
    _memory: Memory = field(default_factory=Memory)
    _without: dict[tuple[str, ...], Maps] = field(default_factory=dict)  # for profiles that switch rows off
    exports: Exports = field(init=False)

    def __post_init__(self) -> None:
        self.exports = Exports(self.library, self._functions_of(explain=False), self._memory)

    def structure(self, message: Message) -> str:
        """The name of the message structure that these maps use. Raises Configuration (code 200) when there is none."""
        header = message.header
        named = header.structure
        event = f"{header.code}_{header.trigger}" if header.trigger else header.code
        own = named if named.partition("_")[0] == header.code else ""  # ACK^A01^ADT_A01 is an ACK
        like = structure_of(header.code, header.trigger)
        any_event = self.library.events.get(f"{header.code}_*", "") if header.trigger else ""
        guesses = (self.library.events.get(event, ""), own, like, any_event, named)
        found = next((each for each in guesses if each in self.library.structures), like)
        if found not in self.library.structures:
            code = "200" if not any(name.startswith(f"{header.code}_") for name in self.library.events) else "201"
            raise Configuration(
                f"message type {header.kind} is not mapped yet" if header.trigger else "MSH-9 names no trigger event",
                place="MSH-9", code=code,
                remedy="it is kept; add a message statement and blocks to the maps, then replay it",
            )  # fmt: skip
        return found

    def to_fhir(
        self,
        message: Message,
        *,
        profile: Profile,
        member: str = "",
        when: datetime | None = None,
        explain: bool = False,
        hidden: frozenset[tuple[str, str]] = frozenset(),
    ) -> Translation:
        """The transaction Bundle of one HL7 v2 message. `hidden`: (table, code) to be taken as unknown.

        `when`: time of receipt, for Provenance where MSH-7 gives none. Raises Configuration when no map knows it."""
        name = self.structure(message)
        header = message.header
        named = (header.sending_facility, header.sending_application)
        facility = next((each for each in map(str.strip, named) if each), member or "unknown")
        country = profile.country or "".join(header.fields[17:18]).strip()
        context = Context(
            profile=profile,
            facility=facility,
            memory=None if explain or hidden else self._memory.of(profile, f"{facility}\n{country}"),
            control_id=header.control_id,
            charset=message.charset,
            occasion=occasion(message),
            facts={"EVENT": header.trigger, "STRUCTURE": name, "MESSAGE": header.code, "VERSION": header.version},
            systems=self.library.coding_systems,
            hidden=hidden,
            country=country,
        )
        context.lineage = [] if explain else None
        moves = moves_of(profile)
        segments = at_home(moved(message.segments, moves), profile)
        self._compiled(name, explain=explain).run(segments, context, large=len(message.body) >= LARGE)
        self._demand(self.library.structures[name], segments, context)
        result_groups.link(context)
        provenance(context, header.time, when)
        return Translation(
            bundle=transaction(context),
            structure=name,
            notes=(*message.notes, *context.notes),
            unknown=tuple(context.unknown),
            words=context.words,
            lineage=_lineage(context, segments, message.segments, moves) if explain else (),
        )

    def _demand(self, structure: Structure, segments: list[list[str]], context: Context) -> None:
        """A message must tell of what it is about, and of whom. Raises Permanent naming what is missing."""
        made = {entry.resource["resourceType"] for entry in context.entries.values()}
        if not made.isdisjoint((structure.lead, *structure.others)) and not (context.left and "Patient" not in made):
            return
        kept = "it is kept; complete it at the sender and send it again"
        if "Patient" not in made and structure.holds("PID"):
            there = any(segment[0] == "PID" for segment in segments)
            cause = "PID says nothing of the patient" if there else "the message has no PID segment: whose is it?"
            raise Permanent(cause, place="PID", code="101" if there else "100", remedy=kept)
        leading = (
            each
            for each in self.library.blocks_of(structure.name)
            if each.type == structure.lead and each.into and not each.element
        )
        blocks = [each for each in leading if structure.holds(each.segments[-1])]
        where, missing = next((each for each in (_missing(block, segments) for block in blocks) if any(each)), ("", ""))
        own = [note for note in context.notes if structure.lead in note]  # what is said of others is no cause
        notes = "".join(f"; {note}" for note in (missing, *own) if note)
        cause, place = f"the message makes no {structure.lead}{notes}", where or structure.name
        raise Permanent(cause, place=place, code="101", remedy=kept)

    def knows(self, profile: Profile, table: str, code: str) -> bool:
        """Does the code table, or the member's own list of this name, know a code now?"""
        found = self.library.codes.get(table)
        if found is None:
            return code in profile.concepts.get(table, {})
        standard = profile.codes.get(table, {}).get(code, code)
        return standard in found.into or standard.upper() in found.into

    def of(self, profile: Profile) -> Maps:
        """These maps as a member wants them: without the rows that its profile switches off."""
        if not profile.off:
            return self
        if profile.off not in self._without:
            self._without[profile.off] = Maps(self.library.without(profile.off))
        return self._without[profile.off]

    def _compiled(self, name: str, *, explain: bool = False) -> StructureMap:
        key = (name, explain)
        if key not in self._structures:
            self._structures[key] = StructureMap(self.library.structures[name], self._functions_of(explain=explain))
        return self._structures[key]

    def _functions_of(self, *, explain: bool) -> Functions:
        return self._functions.setdefault(explain, Functions(self.library, explain=explain))

    def from_fhir(
        self,
        resources: Mapping[str, Resource],
        leads: Sequence[str],
        *,
        structure: str,
        to: Address,
        tells: bool = True,
    ) -> bytes:
        """One HL7 v2 message about the leads ('DiagnosticReport/1'), in the receiver's version, charset and numbers.

        `resources`: reference → resource, the leads and all that belongs to them; `tells`: elements of them may tell
        their fields (origins.py). Raises Configuration when no map writes this structure, Permanent when the receiver's
        charset cannot hold the text."""
        found = self.library.structures.get(structure)
        if found is None:
            raise Configuration(
                f"no message structure is called {structure}",
                place="subscription.message",
                remedy="see the message statements in mappings/hl7v2/",
            )
        own = {
            reference: envelope.own_first(resource, to.own) if to.own else resource
            for reference, resource in resources.items()
            if resource["resourceType"] != "Provenance" or not envelope.of_gateway(resource)
        }
        for each in leads:
            if own[each]["resourceType"] == "DiagnosticReport":
                own[each], numbered = result_groups.numbered(envelope.named_as_ordered(own[each], own, to.own), own)
                own.update(numbered)
        lead = own[leads[0]]
        asked = to.event or self._event_of(lead, structure) or envelope.event_of(lead, structure)
        code, event = _kind(found, asked, to.profile.version)
        context = Context(
            profile=to.profile, facility=to.facility, control_id=to.control_id, own=to.own,
            systems=self.library.coding_systems,
            memory=self._memory.of(to.profile, "\n".join((to.facility, event, *sorted(to.own)))),
            facts={"EVENT": event, "STRUCTURE": structure, "MESSAGE": code, "VERSION": to.profile.version},
        )  # fmt: skip
        if structure not in self._writers:
            self._writers[structure] = MessageWriter(found, self.library)
        graph = Graph(former_last(own), tells=tells)
        found_leads = patients.by_patient([own[each] for each in leads], graph, found)
        segments = [each for part in found_leads for each in self._writers[structure].run(part, graph, context)]
        patients.number(segments)
        before = self._said_before(found, resources, leads, context, tells=tells)
        head = envelope.header(
            code=code, event=event, structure=structure_of(code, event), profile=to.profile,
            facility=to.facility, sender=to.sender,
            control_id=to.control_id, when=to.when, context=context,
        )  # fmt: skip
        told = any(item.segment == "EVN" for item in found.root.items)
        evn = envelope.event_segment(event, to.when, context) if told else None
        return encode(kept_head.headed(segments, head, evn, before), codec_of(to.profile.charset) or "utf-8")

    def _said_before(
        self,
        structure: Structure,
        resources: Mapping[str, Resource],
        leads: Sequence[str],
        context: Context,
        *,
        tells: bool,
    ) -> dict[str, list[str]]:
        """What the head of an earlier message about the same event says of it, by segment."""
        if not (said := kept_head.said_before(resources, leads, context.facts["EVENT"])):
            return {}
        if structure.name not in self._heads:
            writer = self._writers[structure.name]
            self._heads[structure.name] = kept_head.HeadWriter(structure, self.library, writer)
        return self._heads[structure.name].run(said, Graph(resources, tells=tells), context)

    def _event_of(self, lead: Resource, structure: str) -> str:
        """The trigger event that tells the lead's state, by the table of that name; "" where there is none."""
        table = self.library.codes.get(f"events-of-{structure}")
        return table.back.get(str(lead.get("status")), "") if table else ""


def _missing(block: Block, segments: list[list[str]]) -> tuple[str, str]:
    """(place, what is not there) why a block made nothing; ("", "") where the message gives no reason."""
    there = [segment for segment in segments if segment[0] in block.segments]
    home = block.segments[-1]
    if not there or not any(segment[0] == home for segment in segments):
        return home, f"it has no {home if there else ' or '.join(block.segments)} segment"
    needed = block.condition.field if block.condition and block.condition.operator == "valued" else None
    if needed and not any(segment[needed.number : needed.number + 1] not in ([], [""]) for segment in there):
        return str(needed), f"{needed} is empty"
    return "", ""


_BEFORE_PHARMACY_EVENTS: Final = frozenset({"2.1", "2.2", "2.3", "2.3.1"})


def _kind(structure: Structure, event: str, version: str) -> tuple[str, str]:
    """(MSH-9.1, MSH-9.2) of a message of this structure: its first event where none is asked for, or where the version
    has that one no more (of pharmacy messages, O01 and O02)."""
    if event in ("O01", "O02") and structure.name.startswith("R") and version not in _BEFORE_PHARMACY_EVENTS:
        event = ""
    events = tuple(structure.events) or (structure.name,)
    known = (each.partition("_") for each in events)
    code, _, first = next((each for each in known if each[2] == event), events[0].partition("_"))
    return code, event or first


def load(folders: Iterable[Path]) -> Maps:
    """Reads and checks the maps of these folders, the shipped ones first. Raises Configuration with every mistake."""
    return Maps(read(folders))


def shipped() -> Path:
    """The folder of the maps that come with the product: in the wheel beside this package, else in the source tree."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "shipped_mappings"
    return inside if inside.is_dir() else package.parent / "mappings"


def _lineage(
    context: Context, segments: list[list[str]], original: list[list[str]], moves: list[Move]
) -> tuple[Lineage, ...]:
    """Where each element stands in the message as it came."""
    positions = {id(segment): index for index, segment in enumerate(segments)}
    urls = {id(entry.resource): entry.full_url for entry in context.entries.values()}
    urls.update((id(resource), entry.full_url) for resource, entry in context.united)
    made = []
    for resource, path, segment, number, line in context.lineage or ():
        if id(resource) in urls:
            index = positions.get(id(segment), -1)
            field = origin(original[index], segment, number, moves) if index >= 0 else number
            made.append(Lineage(urls[id(resource)], path, index, field, line))
    return tuple(made)


__all__ = ["Address", "Lineage", "Maps", "Translation", "leads_of", "load", "shipped"]
