"""Map lines read from right to left: which values of a resource a line writes, and as which texts.

An element is written by the first line that its slice fits; alternatives (`ORC-2|OBR-2`) are all written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.fhir import definitions, json
from gateway.mapping import paths, wording
from gateway.mapping.codetables import BUILT
from gateway.mapping.context import Context
from gateway.mapping.datatypes import SLOTS, Pair
from gateway.mapping.datatypes.values import hinted
from gateway.mapping.graph import Graph, values_at
from gateway.mapping.library import Library
from gateway.mapping.memory import keep
from gateway.mapping.runtime import possible
from gateway.mapping.source_code import SIMPLE
from gateway.mapping.syntax import Block, Field, Line
from gateway.model import Resource

_LONGEST = 600  # bytes of a value whose texts are remembered


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """One line, ready to write."""

    line: Line
    path: paths.Path
    pair: Pair  # of a constant line: one that always gives its text
    constants: tuple[str, ...]
    roots: frozenset[str]  # the JSON names of its first element: without any of them it writes nothing
    enters: bool  # a slice stands before its last element
    listed: bool = False  # one of several lines that write elements of one list into one field
    keeps: bool = False  # the wording of the value is written again, where it has one
    cell: bool = False  # the code of a cell is written again to its sender
    late: bool = False  # written where another block wrote nothing there, into a segment that stands already
    claim: str = field(init=False)  # what the line takes for itself
    single: bool = field(init=False)  # its one field, which it writes whole
    around: tuple[paths.Element, ...] = field(init=False)  # what its last element stands in
    worded: bool = field(init=False)  # its value is a primitive that may have a wording
    entered: tuple[tuple[int, str, bool], ...] = field(init=False)  # slices on its way: depth, path, only the first
    slot: int = field(default_factory=SLOTS.__next__, compare=False, repr=False)  # of the memory

    def __post_init__(self) -> None:
        source = self.line.sources[0]
        several = len(self.line.sources) > 1 or self.line.arguments or source.repeats or source.every
        object.__setattr__(self, "single", not several and not source.component)
        object.__setattr__(self, "claim", _claimed(self.path, self.line))
        object.__setattr__(self, "around", self.path.elements[:-1])
        object.__setattr__(self, "worded", (self.keeps or self.cell) and self.path.leaf.type in wording.TEXTS)
        first = not (source.repeats or source.every)
        object.__setattr__(self, "entered", tuple(_entered(self.path, single=first)) if self.enters else ())

    def applies(self, context: Context) -> bool:
        return self.line.condition is None or possible(self.line.condition, context)

    def unsliced(self) -> WrittenLine:
        """The same line for whatever stands in its list."""
        first = replace(self.path.elements[0], slice=())
        return replace(self, path=replace(self.path, elements=(first, *self.path.elements[1:])))


def written_lines(library: Library, block: Block) -> list[WrittenLine]:
    """The lines that write, those first that ask for a slice: what is meant for PID-18 is not left to PID-3."""
    made = []
    for line in block.lines:
        if not line.back or line.link or not line.sources:
            continue
        path = paths.resolve(block.path, line, library.systems)
        pair = _constant_pair(line.constant.text) if line.constant else library.pair(line, path)
        words = () if line.datatype in BUILT else tuple(each.name for each in line.arguments[pair.fields :])
        enters = any(element.slice for element in path.elements[:-1])
        keeps = wording.applies(line, path, pair, block)
        late = (bool(line.constant) and _is_told_elsewhere(library, block, line.sources[0])) or _is_above(line)
        cell = not line.constant and wording.keeps_cell(line, path, pair)
        made.append(WrittenLine(line, path, pair, words, _roots(path), enters, _listed(line, block), keeps, cell, late))
    return sorted(made, key=lambda each: not any(element.slice for element in each.path.elements))


def _is_told_elsewhere(library: Library, block: Block, source: Field) -> bool:
    """Do blocks of another segment fill this field, which is none of the block's own?"""
    if source.segment in block.segments:
        return False
    return any(
        line.back and not line.constant and field.segment == source.segment and field.number == source.number
        for other in library.blocks
        if other is not block and source.segment in other.segments
        for line in other.lines
        for field in line.sources
    )


def _is_above(line: Line) -> bool:
    """Is the field that of a segment around, where that is there (`OBR-10 … ? UNDER = OBR`)?"""
    condition = line.condition
    parts = () if condition is None else condition.parts if condition.operator == "and" else (condition,)
    return any(each.fact == "UNDER" and line.sources[0].segment in each.values for each in parts)


def _listed(line: Line, block: Block) -> bool:
    """Do several lines write elements of one list into one field with repetitions?"""
    alike = [
        each
        for each in block.lines
        if each.back and each.sources == line.sources and each.path == line.path and not each.constant
    ]
    source = line.sources[0]
    whole = len(line.sources) == 1 and len(line.target) == 1 and not (source.component or source.every)
    return whole and source.repeats and line.target[0].repeats and not line.arguments and len(alike) > 1


def _roots(path: paths.Path) -> frozenset[str]:
    first = path.elements[0]
    if not first.choice:
        return frozenset({first.name})
    around = path.resource if len(path.elements) == 1 else path.text.partition(".")[0]
    return frozenset(name for name in definitions.names(around) if name.startswith(first.name.removesuffix("[x]")))


def _constant_pair(text: str) -> Pair:
    return Pair(lambda raw, context: None, lambda value, context: text)


class Claims:
    """Which list elements of a resource an earlier line has written already."""

    __slots__ = ("_taken", "barren", "people")

    def __init__(self) -> None:
        self._taken: dict[str, set[int]] = {}
        self.people: set[str] = set()
        self.barren: set[int] = set()  # blocks that found no element left to write, by identity

    def free(self, path: str, values: list[Any]) -> list[Any]:
        taken = self._taken.get(path)
        if taken is None:
            return values
        return [each for each in values if not (isinstance(each, dict) and id(each) in taken)]

    def take(self, path: str, value: Any) -> None:
        if isinstance(value, dict):
            self._taken.setdefault(path, set()).add(id(value))

    def of(self, path: str) -> set[int]:
        """What of it is taken: by identity."""
        return self._taken.setdefault(path, set())

    def enter(self, resource: Resource, written: WrittenLine) -> None:
        """`issue{expression=MSA-1}.code`: the elements that fit are this resource's own lines' and nobody else's; of
        `location*{status=active}` in a single field, the first."""
        for depth, around, only in written.entered:
            fitting = values_at(resource, written.path.elements[:depth])
            for each in fitting[:1] if only else fitting:
                self.take(around, each)


def _entered(path: paths.Path, *, single: bool) -> Iterator[tuple[int, str, bool]]:
    for depth, element in enumerate(path.elements[:-1], 1):
        if element.slice:
            around = ".".join((path.resource, *(each.name for each in path.elements[:depth])))
            yield depth, around, single and element.repeats


def leaf_values(resource: Resource, written: WrittenLine, claims: Claims) -> list[Any]:
    """The values that a line writes; for an open choice (type name, value)."""
    leaf = written.path.leaf
    if leaf.choice:
        stem = leaf.name.removesuffix("[x]")
        holders = values_at(resource, written.around) if written.around else [resource]
        return [
            (name[len(stem) :], hinted(value, each.get(f"_{name}")))
            for each in holders
            for name, value in each.items()
            if name.startswith(stem) and name[len(stem) :][:1].isupper()
        ]
    if written.worded:
        return wording.of_primitives(values_at(resource, written.around) if written.around else [resource], leaf)
    values = values_at(resource, written.path.elements)
    return values if written.line.constant else claims.free(written.claim, values)


def _claimed(path: paths.Path, line: Line) -> str:
    """What a line takes for itself: an element of a list from all lines, one that occurs once from those of its own
    segment; ORC-7 and TQ1 both tell when."""
    if path.elements[0].name == "extension":  # those of another url are others
        return " ".join((path.text, *(str(constant) for _, constant, _ in path.elements[0].slice)))
    single = not any(each.repeats or (each.many and each.slice) for each in path.elements)
    return f"{path.text} {line.sources[0].segment}" if single else path.text


def written_texts(
    values: list[Any], written: WrittenLine, context: Context, graph: Graph, claims: Claims
) -> list[tuple[Any, tuple[str, ...]]]:
    """The values that can be written here with their texts, claimed by it: all of them where the field repeats or the
    cell holds several, else the first."""
    source = written.line.sources[0]
    made: list[tuple[Any, tuple[str, ...]]] = []
    for value in values:
        found = texts(value, written, context, graph, claims)
        if any(found):
            made.append((value, found))
            if not written.line.constant:  # that something is there is no claim on it
                claims.take(written.claim, value)
            if not (source.repeats or source.every or written.pair.joins):
                break
    return made


def texts(value: Any, written: WrittenLine, context: Context, graph: Graph, claims: Claims) -> tuple[str, ...]:
    """A FHIR value as raw texts: the field's own and one for each field argument. Those of coded values are remembered,
    as going in (memory.py): a unit, a test's code, a doctor."""
    if value.__class__ is not dict:
        return _primitive(value, written, context)
    if written.pair.makes:
        return _referred(value, written, context, graph, claims)
    if not written.pair.coded:
        return _texts(value, None, value, written, context)
    content = json.content(value)
    found: tuple[str, ...] | None = context.memory[written.slot].get(content)
    return _learned(content, len(content), value, None, value, written, context) if found is None else found


def _primitive(value: Any, written: WrittenLine, context: Context) -> tuple[str, ...]:
    """The texts of a primitive; those of a code or time with a wording are remembered."""
    if not written.pair.coded or not isinstance(value, wording.Worded):
        return _texts(value, None, value, written, context)
    key = str(value), value.written
    found: tuple[str, ...] | None = context.memory[written.slot].get(key)
    return _learned(key, 0, value, None, value, written, context) if found is None else found


def _learned(
    key: Any, size: int, whole: Any, resource: Resource | None, value: Any, written: WrittenLine, context: Context
) -> tuple[str, ...]:
    """The texts of a value met for the first time."""
    told = len(context.notes)
    found = _texts(whole, resource, value, written, context)
    if told == len(context.notes) and size <= _LONGEST:
        keep(context.memory[written.slot], key, found)
    return found


def _texts(
    whole: Any, resource: Resource | None, value: Any, written: WrittenLine, context: Context
) -> tuple[str, ...]:
    """`whole`: the value as it stands there, a reference too; `value`: with what it leads to."""
    made = written.pair.back(value, context, *written.constants)
    first, *others = made if isinstance(made, tuple) else (made,)
    if written.keeps and (first or not written.pair.makes):  # also what has no form of ours: words without a code
        again = wording.again(whole, resource, written.path, written.pair, context, written.constants, tuple(others))
        first = again or first
    if written.cell:
        first = wording.cell_again(whole, written.pair, context) or first
    if written.line.sources[0].component and written.line.datatype not in SIMPLE:
        first = first.replace("^", "&")  # a composite inside a component: its parts are subcomponents
    return (first, *others)


def _referred(
    value: dict[str, Any], written: WrittenLine, context: Context, graph: Graph, claims: Claims
) -> tuple[str, ...]:
    """The texts of a reference: worked out once in a message for each line. Nobody is written twice by one block."""
    key = (written.slot, json.content(value))
    known = graph.said.get(key)
    if known is None:
        known = graph.said[key] = _named(key[1], value, written, context, graph)
    found, named = known
    if not named:
        return found
    if named in claims.people and written.path.leaf.many and written.line.sources[0].segment:
        return ("",)  # the same person was written by an earlier line of this block
    if found[0] and written.path.elements[0].name != "extension":
        claims.people.add(named)
    return found


def _named(
    content: bytes, value: dict[str, Any], written: WrittenLine, context: Context, graph: Graph
) -> tuple[tuple[str, ...], str]:
    """(the texts of a reference, whom or what it names). Those of staff and places that stand in the Bundle are
    remembered by what is said there of them."""
    who = _who(value, written.pair.makes, graph)
    if who is None:
        return ("",), ""
    reference, resource, both = who
    named = reference.get("reference") or reference.get("display", "")
    if resource is None or reference is not value or not written.pair.coded:
        return _texts(value, resource, both, written, context), named
    key = content, graph.content(resource)
    found: tuple[str, ...] | None = context.memory[written.slot].get(key)
    if found is None:
        found = _learned(key, len(content) + len(key[1]) - _LONGEST, value, resource, both, written, context)
    return found, named


def _who(value: dict[str, Any], makes: str, graph: Graph) -> tuple[dict[str, Any], Resource | None, Any] | None:
    """(reference, the resource it leads to, both as one) of what a reference names; None where it is another type."""
    resource = graph.resolve(value)
    if resource is not None and resource["resourceType"] == "PractitionerRole":  # somebody at some institution
        value = resource.get(makes.lower(), value)
        resource = graph.resolve(value)
    if resource is not None:
        return (value, resource, {**value, **resource}) if resource["resourceType"] == makes else None
    if value.get("type", makes) != makes:
        return None
    if isinstance(value.get("identifier"), dict):  # a logical reference has one number, a resource a list
        return value, None, {**value, "identifier": [value["identifier"]]}
    return value, None, value
