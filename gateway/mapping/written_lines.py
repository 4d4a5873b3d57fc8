"""Map lines read from right to left: which values of a resource a line writes, and as which texts.

An element is written by the first line that its slice fits; alternatives (`ORC-2|OBR-2`) are all written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.fhir import definitions, json
from gateway.mapping import origins, paths, runtime, wording
from gateway.mapping.codetables import BUILT
from gateway.mapping.context import Context
from gateway.mapping.datatypes import SLOTS, Pair
from gateway.mapping.datatypes.values import hinted
from gateway.mapping.graph import Graph, values_at
from gateway.mapping.library import Library
from gateway.mapping.memory import keep
from gateway.mapping.runtime import possible
from gateway.mapping.source_code import SIMPLE
from gateway.mapping.syntax import Block, Condition, Line
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
        object.__setattr__(self, "worded", self.keeps and self.path.leaf.type in wording.TEXTS)
        first = not (source.repeats or source.every)
        object.__setattr__(self, "entered", tuple(_entered(self.path, single=first)) if self.enters else ())

    def applies(self, context: Context) -> bool:
        return self.line.condition is None or possible(self.line.condition, context)

    def extends(self, urls: Iterable[str]) -> bool:
        """Is one of a resource's extensions its own? Yes for a line that writes something else."""
        first = self.path.elements[0]
        if first.name != "extension":
            return True
        asked = [(url, codes) for name, url, codes in first.slice if name == "url"]
        return all(any(each == url or each in codes for each in urls) for url, codes in asked)

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
        made.append(WrittenLine(line, path, pair, words, _roots(path), enters, _listed(line, block), keeps))
    return sorted(made, key=lambda each: not any(element.slice for element in each.path.elements))


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

    def __init__(self) -> None:
        self._taken: dict[str, set[int]] = {}
        self.people: set[str] = set()

    def free(self, path: str, values: list[Any]) -> list[Any]:
        taken = self._taken.get(path)
        if taken is None:
            return values
        return [each for each in values if not (isinstance(each, dict) and id(each) in taken)]

    def take(self, path: str, value: Any) -> None:
        if isinstance(value, dict):
            self._taken.setdefault(path, set()).add(id(value))

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
    single = not any(each.repeats or (each.many and each.slice) for each in path.elements)
    return f"{path.text} {line.sources[0].segment}" if single else path.text


def elements(
    resource: Resource, target: Target, context: Context, graph: Graph, claims: Claims
) -> list[dict[str, Any]]:
    """The elements of its list that a block writes: free ones that fit its slice and that its first line, or another
    one to the same place, can write."""
    if target.list is None or not target.lines:
        return []
    found = values_at(resource, [target.list])
    return [
        each
        for each in claims.free(target.block.path, found)
        if any(
            any(texts(value, first, context, graph, Claims()))
            for first in target.first
            for value in leaf_values(each, first, claims)
        )
    ]


def written_texts(
    values: list[Any], written: WrittenLine, context: Context, graph: Graph, claims: Claims
) -> list[tuple[Any, tuple[str, ...]]]:
    """The values that can be written here with their texts, claimed by it: all of them where the field repeats, else
    the first."""
    source = written.line.sources[0]
    made: list[tuple[Any, tuple[str, ...]]] = []
    for value in values:
        found = texts(value, written, context, graph, claims)
        if any(found):
            made.append((value, found))
            if not written.line.constant:  # that something is there is no claim on it
                claims.take(written.claim, value)
            if not (source.repeats or source.every):
                break
    return made


def texts(value: Any, written: WrittenLine, context: Context, graph: Graph, claims: Claims) -> tuple[str, ...]:
    """A FHIR value as raw texts: the field's own and one for each field argument. Those of coded values are remembered,
    as going in (memory.py): a unit, a test's code, a doctor."""
    if value.__class__ is not dict:
        return _texts(value, None, value, written, context)
    if written.pair.makes:
        return _referred(value, written, context, graph, claims)
    if not written.pair.coded:
        return _texts(value, None, value, written, context)
    content = json.dumps(value, finite=True)
    found: tuple[str, ...] | None = context.memory[written.slot].get(content)
    return _learned(content, len(content), value, None, value, written, context) if found is None else found


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
    if written.keeps and (first or isinstance(whole, wording.Worded)):
        again = wording.again(whole, resource, written.path, written.pair, context, written.constants, tuple(others))
        first = again or first
    if written.line.sources[0].component and written.line.datatype not in SIMPLE:
        first = first.replace("^", "&")  # a composite inside a component: its parts are subcomponents
    return (first, *others)


def _referred(
    value: dict[str, Any], written: WrittenLine, context: Context, graph: Graph, claims: Claims
) -> tuple[str, ...]:
    """The texts of a reference: worked out once in a message for each line. Nobody is written twice by one block."""
    key = (written.slot, json.dumps(value, finite=True))
    known = graph.said.get(key)
    if known is None:
        known = graph.said[key] = _named(key[1], value, written, context, graph)
    found, named = known
    if not named:
        return found
    if named in claims.people and written.path.leaf.many:
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


@dataclass(frozen=True, slots=True)
class WrittenLink:
    """`result* = @@Observation`, read from right to left: where the resources of a type are found."""

    type: str
    every: bool
    path: paths.Path
    condition: Condition | None = None
    everywhere: bool = False
    into: bool = True  # it is made going in, too

    def applies(self, context: Context) -> bool:
        return self.condition is None or possible(self.condition, context)


@dataclass(frozen=True, slots=True)
class Target:
    """A block in one group of a structure, ready to write."""

    block: Block
    lines: tuple[WrittenLine, ...]
    links: tuple[WrittenLink, ...]  # of the forward direction
    repeated: str  # the segment that the block repeats in its group, "" when there is one
    opens: bool = False  # its segment begins an occurrence of the group
    list: paths.Element | None = None  # the list whose elements the block writes, where it writes no resource
    beside: tuple[WrittenLink, ...] = ()  # of elements: to the resources that were made of the same segment
    here: tuple[WrittenLink, ...] = ()  # links that are made in this group: what has none is not from here
    elsewhere: tuple[WrittenLink, ...] = ()  # links that are made in other groups only
    mark: str = ""  # the field that it says its resources stood in: it writes none but those
    leads: bool = field(init=False)  # it tells where others are found (`. <- participant*.member = @@…`)
    first: tuple[WrittenLine, ...] = field(init=False)  # the first line and those to the same place: what it is about
    aside: bool = field(init=False)  # elements that could refer to the resource of a segment, or say the same alone
    apart: bool = field(init=False)  # it points at another resource of its own type: the retired patient of a merge
    fields: frozenset[str] = field(init=False)  # that its lines write
    about: str = field(init=False)  # the segment that it is about

    def __post_init__(self) -> None:
        first = min(self.lines, key=lambda each: each.line.place.line, default=None)
        alike = tuple(each for each in self.lines if first and each.path.text == first.path.text)
        aside = any(each.path.text == link.path.text for each in alike for link in self.beside)
        apart = any(not link.every and link.type == self.block.type for link in self.links)
        object.__setattr__(self, "about", self.repeated or next(reversed(self.block.segments), ""))
        object.__setattr__(self, "leads", any(not link.into for link in self.links))
        object.__setattr__(self, "first", alike)
        object.__setattr__(self, "aside", aside)
        object.__setattr__(self, "apart", apart)
        object.__setattr__(self, "fields", frozenset(origins.name_of(each.line) for each in self.lines))


def target_of(
    library: Library,
    block: Block,
    repeated: str = "",
    *,
    opens: bool = False,
    beside: Iterable[str] = (),
    under: Iterable[str] = (),
    structure: str = "",
) -> Target:
    """`beside`: the segments of the group; `under`: those of the group around it. A link that this structure never
    makes is none."""
    links = tuple(
        WrittenLink(
            line.link.type,
            line.link.every,
            paths.resolve(block.path, line, library.systems),
            line.condition,
            line.link.everywhere,
            line.into,
        )
        for line in block.lines
        if line.link and (line.condition is None or runtime.settled(line.condition, structure) is not False)
    )
    lines = tuple(written_lines(library, block))
    if block.element:
        list_ = paths.list_of(block, library.systems)
        made = {each.type for each in library.blocks_of(structure) if each.into and _alike(each, block)}
        stand = tuple(each for each in links if each.type in made)
        return Target(block, lines, (), repeated, opens, list_, stand, mark=origins.mark_of(block))
    facts = {"BESIDE": frozenset(beside), "UNDER": frozenset(under)}
    placed = {index: is_placed(each.condition, facts) for index, each in enumerate(links)}
    return Target(
        block,
        lines,
        links,
        repeated,
        opens,
        here=tuple(each for index, each in enumerate(links) if placed[index] is True),
        elsewhere=tuple(each for index, each in enumerate(links) if placed[index] is False),
        mark=origins.mark_of(block),
    )


def _alike(one: Block, other: Block) -> bool:
    """Does a block make a resource of the segment that another one makes elements of?"""
    return not one.element and one.segments[-1:] == other.segments[-1:]


def is_placed(condition: Condition | None, facts: Mapping[str, frozenset[str]]) -> bool | None:
    """Whether `BESIDE = SPM` or `UNDER = PRB` holds in a group with these segments in and around it; None for a
    condition that asks something else."""
    if condition is None:
        return None
    if condition.operator == "not":
        inner = is_placed(condition.parts[0], facts)
        return None if inner is None else not inner
    if condition.operator == "and":
        parts = [is_placed(each, facts) for each in condition.parts]
        return False if False in parts else True if True in parts else None
    names = facts.get(condition.fact)
    return None if names is None else not names.isdisjoint(condition.values)
