"""What the maps map, one line a fact: `messages/segment/field.component<TAB>Resource.path<TAB>direction`.

Component by component, as the data types really carry them (arrivals.py); each message only where the structure has the
segment and the line's condition can hold for its event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.mapping import paths, runtime
from gateway.mapping.arrivals import Arrival, Trials
from gateway.mapping.into_fhir import homes
from gateway.mapping.library import Library
from gateway.mapping.source_code import SIMPLE, of_condition
from gateway.mapping.structure import Layout
from gateway.mapping.syntax import Block, Condition, Field, Line, Structure


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """One source place and one element."""

    segment: str
    number: int
    parts: tuple[int, ...]
    target: str

    @property
    def place(self) -> str:
        return f"{self.segment}/{'.'.join(map(str, (self.number, *self.parts)))}"


@dataclass(slots=True)
class Messages:
    """The messages in which a fact holds, each way."""

    into: set[str] = field(default_factory=set)
    back: set[str] = field(default_factory=set)


def statement(library: Library) -> Iterator[str]:
    """The lines, sorted."""
    found: dict[Fact, Messages] = {}
    known = Known(library)
    for block in library.blocks:
        homely = known.homes_of(block)
        for line in block.lines:
            into, back = _messages(known, homely, block, line)
            for fact, forward, backward in _facts(known, block, line):
                there = known.having(fact.segment)
                messages = found.setdefault(fact, Messages())
                messages.into |= into & there if forward else set()
                messages.back |= back & there if backward else set()
    for fact, messages in sorted(found.items()):
        both = messages.into & messages.back
        for names, direction in ((both, "both"), (messages.into - both, "to-fhir"), (messages.back - both, "to-v2")):
            if names:
                yield f"{','.join(sorted(names))}/{fact.place}\t{fact.target}\t{direction}"


def silent(library: Library) -> Iterator[tuple[Block, Line]]:
    """The lines that can apply in no message at all: their condition asks for a structure that never has the block."""
    layouts = {name: Layout(each.root) for name, each in library.structures.items()}
    for block in library.blocks:
        homely = [name for name in block.structures or library.structures if homes(layouts[name], block)]
        for line in block.lines:
            conditions = [each for each in (block.condition, line.condition) if each]
            facts = [{"STRUCTURE": name, "MESSAGE": name.partition("_")[0]} for name in homely]
            if not any(all(judged(each, known) is not False for each in conditions) for known in facts):
                yield block, line


class Known:
    """What is asked of a library for each line: its structures, their events, what lines carry."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.layouts = {name: Layout(each.root) for name, each in library.structures.items()}
        self.trials = Trials(library)
        self.events: dict[str, list[str]] = {name: [] for name in library.structures}
        for event, structure in library.events.items():
            if not event.endswith("*"):
                self.events[structure].append(event)
        self._having: dict[str, set[str]] = {}

    def homes_of(self, block: Block) -> list[Structure]:
        """The structures that have a place for a block."""
        named = block.structures or self.library.structures
        there = (each for each in self.library.structures.values() if each.name in named)
        return [each for each in there if homes(self.layouts[each.name], block)]

    def having(self, segment: str) -> set[str]:
        """The structures and events of messages that have a segment; Z segments may stand anywhere."""
        if segment not in self._having:
            anywhere = segment.startswith("Z")
            names = {name for name, layout in self.layouts.items() if anywhere or segment in layout.homes}
            self._having[segment] = names | {event for name in names for event in self.events[name]}
        return self._having[segment]


# ------------------------------------------------------------------------------------------------- messages


def _messages(known: Known, homely: list[Structure], block: Block, line: Line) -> tuple[set[str], set[str]]:
    """The structures and events (into FHIR, back) in which a line can apply."""
    found: set[str] = set()
    for structure in homely:
        events = known.events[structure.name] or [structure.name]
        held = [name for name in events if _holds(block, line, structure, name)]
        found.update(held)
        if held:
            found.add(structure.name)
    return (found if line.into and block.into else set()), (found if line.back or line.link else set())


def _holds(block: Block, line: Line, structure: Structure, event: str) -> bool:
    code, _, trigger = event.partition("_")
    facts = {"EVENT": trigger, "STRUCTURE": structure.name, "MESSAGE": code}
    return all(judged(each, facts) is not False for each in (block.condition, line.condition) if each)


def judged(condition: Condition, facts: dict[str, str]) -> bool | None:
    """What a condition comes to where only these facts are known."""
    return runtime.judged(condition, lambda each: facts[each.fact] in each.values if each.fact in facts else None)


# ---------------------------------------------------------------------------------------------------- facts


def _facts(known: Known, block: Block, line: Line) -> Iterator[tuple[Fact, bool, bool]]:
    """(fact, does it go into FHIR, does it come back) of one line."""
    systems = known.library.systems
    path = paths.resolve(block.path, line, systems)
    if block.element and line is block.lines[0]:
        for name, value, _ in paths.list_of(block, systems).slice:
            for place in _leaves(f"{block.path}.{name}", value):
                yield from ((_at(Field(segment=each), (), place), True, True) for each in block.segments)
    if line.link or line.constant:
        yield from _constant(block, line, path)
        return
    result = known.trials.of(line, path)
    for source in line.sources:
        for place in _slices(path):
            yield _at(source, (), place), line.into, line.back
        for arrival in result.into if line.into else ():
            yield from _arrived(source, line, arrival, True, False)
        for arrival in result.back if line.back else ():
            yield from _arrived(source, line, arrival, False, True)


def _constant(block: Block, line: Line, path: paths.Path) -> Iterator[tuple[Fact, bool, bool]]:
    led = path.text.removesuffix(".reference") if line.link else path.text  # a reference says what its element is
    places = [led, *_slices(path)]
    sources = line.sources or tuple(Field(segment=name) for name in block.segments)
    for place in places:
        for source in sources:
            yield _at(source, (), place), line.into, line.back or line.link is not None
    if line.into:
        for tested in (*of_condition(line.condition), *_facts_of(line.condition)):  # PV1-45 says: the visit is finished
            if tested.segment:
                yield from ((_at(tested, (), place), True, False) for place in places)


def _facts_of(condition: Condition | None) -> Iterator[Field]:
    """Where a message says what a condition asks of its event: in MSH-9."""
    if condition is not None and condition.fact in ("EVENT", "MESSAGE", "STRUCTURE"):
        yield Field(segment="MSH", number=9)
    for part in condition.parts if condition else ():
        yield from _facts_of(part)


def _at(source: Field, parts: tuple[int, ...], target: str) -> Fact:
    own = (source.component, source.subcomponent) if source.subcomponent else (source.component,)
    return Fact(source.segment, source.number, (*(own if source.component else ()), *parts), target)


def _arrived(source: Field, line: Line, arrival: Arrival, into: bool, back: bool) -> Iterator[tuple[Fact, bool, bool]]:
    target = f"{arrival.resource}.{arrival.path}"
    if arrival.text:
        source = line.arguments[arrival.text - 1]
        if not source.segment:
            return
    parts = tuple(each for each in (arrival.component, arrival.subcomponent) if each)
    if source.component and (source.subcomponent or line.datatype in SIMPLE or arrival.text):
        parts = ()
    yield _at(source, parts, target), into, back


def _slices(path: paths.Path) -> Iterator[str]:
    """The elements that a slice sets: `telecom*{use=home}` → Patient.telecom.use."""
    walked = path.resource
    for element in path.elements:
        walked = f"{walked}.{element.name.removeprefix('_')}"
        for name, value, _ in element.slice:
            yield from (f"{walked}.{each}" for each in _leaves(name, value))


def _leaves(path: str, value: Any) -> Iterable[str]:
    if isinstance(value, list):
        value = value[0]
    if not isinstance(value, dict):
        return [path]
    return [found for name, each in value.items() for found in _leaves(f"{path}.{name}", each)]
