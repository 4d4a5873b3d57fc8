"""Why a value of a message stays in the raw message: the rule that says so, with its place."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gateway.mapping.accounting.places import Place
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.into_fhir import homes
from gateway.mapping.library import Library
from gateway.mapping.maps import Translation, shipped
from gateway.mapping.moves import moves_of
from gateway.mapping.source_code import fields_of
from gateway.mapping.structure import Layout
from gateway.mapping.syntax import Block, Field, Line

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
        self.all = _readers(trial.maps.library, made.structure)
        self.readers = _readers(trial.maps.of(trial.profile).library, made.structure)
        self.taken: dict[tuple[int, int], set[str]] = {}  # (segment, field) → the lines that made something of it
        self.made: dict[tuple[str, str], set[str]] = {}  # (resource, path) → the lines that made it
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
        return False, self._unused(place, lines)

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
        reading = next((line for _, line in lines if line is not None), None)
        block = next(block for block, line in lines if line is reading)
        if reading is None:
            return f"{block.place} reads it for a condition or a key only"
        if reading.condition:
            return f"{reading.place} reads it on a condition that does not hold"
        if block.condition:
            return f"{block.place} makes a {block.path} on a condition that does not hold"
        return f"{reading.place} reads {reading.datatype or 'the value'}: an earlier line was first, or it is none"

    def _filled(self, field: Field) -> bool:
        return any(
            segment[0] == field.segment and len(segment) > field.number and segment[field.number]
            for segment in self.segments
        )

    def _same(self, field: Field, place: Place) -> bool:
        return (field.segment, field.number) == (self.segments[place.segment][0], place.number)


def _waives(row: tuple[str, str, str, str], segment: str, field: str) -> bool:
    """Only a row that names the field, or all fields of the segment everywhere, says that it is left out."""
    return row[0] in ("*", segment) or (row[0].startswith(f"{segment}[") and row[1] == field)


def _readers(library: Library, structure: str) -> dict[tuple[str, int], list[tuple[Block, Line | None]]]:
    """(segment, field) → what reads it in messages of a structure: (block, line; None for its condition or key)."""
    layout = Layout(library.structures[structure].root)
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
