"""Why a value of a message stays in the raw message: the rule that says so, with its place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from gateway.mapping.accounting.places import Place
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.into_fhir import homes, repeated_segment
from gateway.mapping.library import Library
from gateway.mapping.maps import Translation, shipped
from gateway.mapping.moves import moves_of
from gateway.mapping.source_code import fields_of
from gateway.mapping.structure import Instance, Layout
from gateway.mapping.syntax import Block, Field, Line
from gateway.mapping.written_blocks import is_placed

ENVELOPE = {  # MSH fields that the gateway reads itself, before any map (HL7 v2.5.1 §2.15.9)
    1: "the separators that the message is read with",
    2: "the separators that the message is read with",
    7: "the time of the message, where it is written in Provenance",
    9: "the type of the message: it chooses the maps",
    10: "the number of the message, for acknowledgement and Provenance",
    11: "whether the message is in earnest: decided before translation",
    12: "the version that the message is read by",
    15: "whether to acknowledge: decided before translation",
    16: "whether to acknowledge: decided before translation",
    18: "the charset that the message is read with",
}
WAIVED = "waived.tsv"  # beside the maps: map, field, element, reason


@cache
def waived(folder: Path) -> tuple[tuple[str, str, str, str], ...]:
    """The rows of HL7's guide that the maps leave out on purpose: (map, field, element, reason)."""
    path = folder / "hl7v2" / WAIVED
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    return tuple((row[0], row[1], row[2], row[3]) for row in rows if len(row) == 4)


class Reasons:
    """What the maps of one message read, and what they did with it."""

    def __init__(self, trial: Trial, made: Translation) -> None:
        self.segments = trial.message.segments
        self.moves = moves_of(trial.profile)
        self.off = trial.profile.off
        library = trial.maps.of(trial.profile).library
        self.layout = Layout(library.structures[made.structure].root)
        self.groups = dict(_groups(self.layout.place(self.segments)))
        self.readers = _readers(library, self.layout, made.structure)
        self.taken: dict[tuple[int, int], set[str]] = {}  # (segment, field) → the lines that made something of it
        self.made: dict[tuple[str, str], set[str]] = {}  # (resource, path) → the lines that made it
        self.lines = {each.line for each in made.lineage}
        for each in made.lineage:
            self.taken.setdefault((each.segment, each.field), set()).add(each.line)
            self.made.setdefault((each.resource, each.path), set()).add(each.line)

    def read(self, place: Place) -> bool:
        """May the translation read this field? MSH is read by the gateway itself."""
        name = self.segments[place.segment][0]
        return name == "MSH" or any((name, number) in self.readers for number in self._numbers(place))

    def of(self, place: Place) -> tuple[bool, str]:
        """(dropped by a rule of the member, the reason)."""
        name = self.segments[place.segment][0]
        field = f"{name}-{place.number}"
        if name == "MSH" and place.number in ENVELOPE:
            return False, ENVELOPE[place.number]
        switched = next((row for row in self.off if row.partition(" ")[0] == field), "")
        lines = [each for number in self._numbers(place) for each in self.readers.get((name, number), ())]
        if switched and not lines:
            return True, f"switched off for this member (profile.off: {switched})"
        known = next((row[3] for row in waived(shipped()) if _waives(row, name, field)), "")
        if known and not lines:  # what a line reads has a reason of its own
            return False, f"waived: {known}"
        if not any(segment == name for segment, _ in self.readers):
            return False, f"no map reads a {'Z segment' if name.startswith('Z') else 'segment'} {name} here"
        if not lines:
            return False, f"no line reads {field}"
        if id(self.segments[place.segment]) not in self.groups:
            return False, f"{name} stands with the encoding of the order as well: that one is read"
        here = [each for each in lines if self._reaches(place, field, *each)]
        if not here:
            return False, f"no line reads {field} where it stands"
        if self._passed_over(place, field, here):
            return False, f"of several {name} of one group the first is read"
        return False, self._unused(place, [each for each in here if self._worked(each[0])] or here)

    def _reaches(self, place: Place, field: str, block: Block, line: Line | None) -> bool:
        """May a block take this segment from where it stands: does it run there or in a group below, or look into the
        groups below it, and is the company that it asks for here?"""
        group = self.groups[id(self.segments[place.segment])]
        within = self.layout.chains[group.group]
        sources = [] if line is None else [each for each in (*line.sources, *line.arguments) if each.segment]
        own = [each for each in sources if f"{each.segment}-{each.number}" == field]
        runs = homes(self.layout, block)
        if own and all(each.every for each in own):
            there = within if any(each.where for each in own) else within[:1]
            return not set(runs).isdisjoint(there)
        if not any(group.group in self.layout.chains[home] for home in runs):
            return False
        if block.condition is None or block.segments[-1] != self.segments[place.segment][0]:
            return True
        around = group.parent.segments if group.parent else {}
        company = {"BESIDE": frozenset(group.segments), "UNDER": frozenset(around)}
        return is_placed(block.condition, company) is not False

    def _passed_over(self, place: Place, field: str, lines: list[tuple[Block, Line | None]]) -> bool:
        """Does another segment of its name stand before it in its group, and nothing here reads more than one?"""
        segment = self.segments[place.segment]
        group = self.groups[id(segment)]
        if group.segments[segment[0]][0] is segment:
            return False
        sources = [each for _, line in lines if line for each in (*line.sources, *line.arguments)]
        every = any(each.every and f"{each.segment}-{each.number}" == field for each in sources)
        return not every and not any(
            repeated_segment(self.layout, group.group, each) == segment[0] for each, _ in lines
        )

    def _worked(self, block: Block) -> bool:
        """Did a block make anything of this message?"""
        return any(str(line.place) in self.lines for line in block.lines)

    def _numbers(self, place: Place) -> list[int]:
        """The field, and where a member's moves put it."""
        name = self.segments[place.segment][0]
        moved = [move.target for move in self.moves if (move.segment, move.source) == (name, place.number)]
        return [place.number, *moved]

    def _unused(self, place: Place, lines: list[tuple[Block, Line | None]]) -> str:
        """Why a line that reads the field made nothing of this value."""
        used = self.taken.get((place.segment, place.number), set())
        own = [line for _, line in lines if line is not None and line.sources]
        read = next((line for line in own if str(line.place) in used), None)
        if read is not None:
            if place.repetition > 1 and not any(each.repeats for each in read.sources):
                return f"{read.place} reads the first repetition"
            part = f"component {place.component}" if place.component else "it"
            return f"{read.place} reads {read.datatype or 'the value'}: {part} says nothing that the element holds"
        for line in own:
            first = next((each for each in line.sources if self._filled(each)), None)
            if first is not None and not self._same(first, place) and len(line.sources) > 1:
                return f"{line.place} reads {first} first"
        field = (self.segments[place.segment][0], place.number)
        read_with = next((line for _, line in lines if line is not None and _is_argument(line, *field)), None)
        if read_with is not None and str(read_with.place) in self.lines:
            return f"{read_with.place} reads it with {read_with.sources[0]}, whose value holds none"
        reading = next((line for _, line in lines if line is not None), None)
        block = next(block for block, line in lines if line is reading)
        if reading is None:
            return f"{block.place} reads it for a condition or a key only"
        if reading.condition:
            return f"{reading.place} reads it on a condition that does not hold"
        if block.condition and not self._worked(block):
            return f"{block.place} makes a {block.path} on a condition that does not hold"
        return f"{reading.place} reads {reading.datatype or 'the value'}: an earlier line was first, or it is none"

    def _filled(self, field: Field) -> bool:
        return any(
            segment[0] == field.segment and len(segment) > field.number and segment[field.number]
            for segment in self.segments
        )

    def _same(self, field: Field, place: Place) -> bool:
        return (field.segment, field.number) == (self.segments[place.segment][0], place.number)


def _is_argument(line: Line, segment: str, number: int) -> bool:
    """Does a line read the field beside the one that it is about?"""
    return any((each.segment, each.number) == (segment, number) for each in line.arguments)


def _waives(row: tuple[str, str, str, str], segment: str, field: str) -> bool:
    """Only a row that names the field, or all fields of the segment everywhere, says that it is left out."""
    return row[0] in ("*", segment) or (row[0].startswith(f"{segment}[") and row[1] == field)


def _groups(here: Instance) -> Iterator[tuple[int, Instance]]:
    """The identity of each segment → the group that it stands in."""
    for each in here.order:
        if isinstance(each, Instance):
            yield from _groups(each)
        else:
            yield id(each), here


def _readers(
    library: Library, layout: Layout, structure: str
) -> dict[tuple[str, int], list[tuple[Block, Line | None]]]:
    """(segment, field) → what reads it in messages of a structure: (block, line; None for its condition or key)."""
    found: dict[tuple[str, int], list[tuple[Block, Line | None]]] = {}
    for block in library.blocks_of(structure):
        if not block.into or not homes(layout, block):
            continue
        by_line = {id(each): line for line in block.lines for each in (*line.sources, *line.arguments)}
        for field in fields_of(block):
            found.setdefault((field.segment, field.number), []).append((block, by_line.get(id(field))))
            if field.where is not None and field.where.field is not None:
                tested = field.where.field
                found.setdefault((tested.segment, tested.number), []).append((block, by_line.get(id(field))))
    return found
