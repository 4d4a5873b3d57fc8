"""What is known of a message before its values are read: which segments are there and which of their fields are valued.

A function that is compiled for an outline has only the lines that can do anything there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.mapping.syntax import Condition, Field


@dataclass(frozen=True, slots=True, eq=False)  # each one exists once: compared by identity
class Outline:
    """One segment: for each of its fields whether it is valued; `plain`: no field repeats or is an explicit null."""

    name: str
    valued: bytes
    plain: bool


class State(Enum):
    """What is known of a field."""

    UNKNOWN = 0
    EMPTY = 1
    VALUED = 2
    PLAIN = 3  # valued, without repetitions, not null


@dataclass(frozen=True, slots=True)
class Known:
    """The outlines around one block: the first segment of each name, the names of all segments of the message, and its
    facts (EVENT …)."""

    near: Mapping[str, Outline]
    names: frozenset[str]
    facts: Mapping[str, str]
    own: frozenset[str] = frozenset()  # segments of the group itself, not of those around it
    item: str = ""  # the segment for each of which the block runs

    def state(self, found: Field) -> State:
        """Of a field of the segment that a block reads."""
        outline = self.near.get(found.segment)
        if outline is None:
            return State.EMPTY
        if not found.number:
            return State.PLAIN
        if not any(outline.valued[found.number : found.number + 1]):
            return State.EMPTY
        return State.PLAIN if outline.plain and (found.segment, found.number) not in _SEPARATORS else State.VALUED

    def fact(self, condition: Condition) -> bool:
        """Whether a condition about a fact of the message holds."""
        return self.facts.get(condition.fact) in condition.values


_SEPARATORS = (("MSH", 1), ("MSH", 2))
