"""What the head of a message said that told of the same event, for the head of the one that is written.

A MessageHeader and a Provenance that came of a message are its own head; a message that is written anew about the same
event says again what they tell of the event and of its content: who entered it, why, when and where (EVN), how it is
protected, in which language, who answers for it (MSH-8, 19, 22, 26, 27), and whether it is a test (MSH-11). Who sends
it now, to whom, when and under which number is the envelope's (envelope.py; HL7 v2.5.1 §2.15.9, §3.4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.mapping.context import Context
from gateway.mapping.graph import Graph
from gateway.mapping.library import Library
from gateway.mapping.message_writer import MessageWriter
from gateway.mapping.pen import Pen
from gateway.mapping.structure import Instance, Segment
from gateway.mapping.syntax import Structure
from gateway.mapping.written_blocks import target_of
from gateway.mapping.written_message import Writing
from gateway.model import Resource

HEADS = ("MessageHeader", "Provenance")
_TOLD = {
    "MSH": frozenset({11}),
    "EVN": frozenset({2}),
}  # fields where the message before knows better than the envelope
_SOFTWARE = ("SFT", "UAC")  # between MSH and EVN
_HEAD = frozenset((*_TOLD, *_SOFTWARE))


class HeadWriter:
    """The lines of one structure that write its head."""

    def __init__(self, structure: Structure, library: Library, writer: MessageWriter) -> None:
        blocks = (each for each in library.blocks_of(structure.name) if each.segments == ("MSH",) and each.into)
        self._writer = writer
        self._targets = [target_of(library, each, structure=structure.name) for each in blocks if each.type in HEADS]

    def run(self, said: Mapping[str, Resource], graph: Graph, context: Context) -> dict[str, Segment]:
        """'MSH', 'EVN' → the fields that the kept head gives, the others empty."""
        root = Instance(0, None)
        writing = Writing(self._writer, graph, context, head=True)
        for target in self._targets:
            if target.block.type in said:
                Pen(root, None, writing, head=True).block(target, said[target.block.type])
        return {name: segments[0] for name, segments in root.segments.items() if name in _TOLD}


def said_before(resources: Mapping[str, Resource], leads: Sequence[str], event: str) -> dict[str, Resource]:
    """Type → what tells of this event of the leads: the last Provenance; and the one header there is: a test stays a
    test, whatever is written of it."""
    found: dict[str, Resource] = {}
    told = [each for each in resources.values() if each["resourceType"] == "Provenance" and _of(each, leads, event)]
    if told:
        found["Provenance"] = max(told, key=lambda each: str(each.get("recorded", "")))
    headers = [each for each in resources.values() if each["resourceType"] == "MessageHeader"]
    if len(headers) == 1:
        found["MessageHeader"] = headers[0]
    return found


def _of(provenance: Resource, leads: Sequence[str], event: str) -> bool:
    codes = {each.get("code") for each in provenance.get("activity", {}).get("coding", ())}
    return event in codes and any(each.get("reference") in leads for each in provenance.get("target", ()))


def headed(
    segments: Sequence[Segment], header: Segment, event: Segment | None, before: Mapping[str, Segment]
) -> list[Segment]:
    """The whole message: MSH, the software, EVN where the structure has it, and what was written."""
    software = dict.fromkeys([tuple(each) for each in segments if each[0] in _SOFTWARE])
    own = [merged(event, before)] if event else []
    body = [each for each in segments if each[0] not in _HEAD]
    return [merged(header, before), *map(list, software), *own, *body]


def merged(own: Segment, before: Mapping[str, Segment]) -> Segment:
    """A segment of the envelope with what the kept head adds."""
    found = before.get(own[0], [])
    width = max(len(own), len(found))
    mine, theirs = ([*each, *[""] * (width - len(each))] for each in (own, found))
    better = _TOLD.get(own[0], frozenset())
    return [
        (there or here) if number in better else (here or there)
        for number, (here, there) in enumerate(zip(mine, theirs, strict=True))
    ]
