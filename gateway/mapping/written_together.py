"""The coded elements of a resource are written all at once: a result's code, status, flags and range together are met
again and again, though its value differs each time.

Their content as JSON is the key; what is remembered are the texts of all their lines. Only coded elements (pairs that
say so, primitives with a code table), short, and nothing that gave a note; never numbers, names or times of a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from gateway.fhir import definitions
from gateway.mapping.context import Context
from gateway.mapping.datatypes import SLOTS
from gateway.mapping.graph import Graph
from gateway.mapping.written_lines import Claims, WrittenLine, leaf_values, written_texts
from gateway.model import Resource

SLOT = next(SLOTS)  # of the memory
_NUMBERS = count(1)
_KEPT = 8192
_LONGEST = 1500  # bytes


class Together:
    """The lines that write the coded elements of one shape of resource."""

    __slots__ = ("lines", "number")

    def __init__(self, lines: Sequence[WrittenLine]) -> None:
        self.lines = lines
        self.number = next(_NUMBERS)  # in the key: the same content may be that of other elements elsewhere

    def learned(self, key: bytes, resource: Resource, context: Context, graph: Graph) -> tuple[str, ...]:
        """The texts of all lines for a resource whose coded elements are met for the first time."""
        told = len(context.notes)
        found = tuple(text for line in self.lines for text in _texts(line, resource, context, graph))
        table = context.memory[SLOT]
        if told == len(context.notes) and len(key) <= _LONGEST:
            if len(table) >= _KEPT:
                table.clear()
            table[key] = found
        return found


def is_fixed(line: WrittenLine) -> bool:
    """Does what a line writes follow from one coded element of the resource?"""
    leaf, source = line.path.leaf, line.line.sources[0]
    if line.line.constant or line.pair.makes or not line.pair.coded or leaf.choice or source.every or line.listed:
        return False
    return len(line.path.elements) == 1 and (leaf.type not in definitions.primitives() or bool(line.line.codes))


def width(line: WrittenLine) -> int:
    """How many texts a line writes: its field's and those of its arguments."""
    return 1 + len(line.line.arguments)


def _texts(line: WrittenLine, resource: Resource, context: Context, graph: Graph) -> list[str]:
    """What a line writes, as the pen does: its field's text and one for each argument."""
    claims = Claims()
    claimed = written_texts(leaf_values(resource, line, claims), line, context, graph, claims)
    if not claimed:
        return [""] * width(line)
    several = [made for _, made in claimed]
    others = [
        next((each[index] for each in several if index < len(each) and each[index]), "")
        for index in range(1, width(line))
    ]
    return ["~".join(made[0] for made in several), *others]


def key_of(line: WrittenLine) -> list[str]:
    """The names of the elements that decide what a line writes."""
    name = line.path.leaf.name
    return [name, f"_{name}"] if line.worded else [name]
