"""Compiled maps, backward: resources of the record → the segments of a message, or the rows of a table.

The same lines, read from right to left. Which resource fills which group follows from the links of the forward
direction: `. -> result* = @@Observation` says where the results of a report are found. An element is written by the
first line that its slice fits; alternatives (`ORC-2|OBR-2`) are all written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.mapping import paths
from gateway.mapping.context import KEY, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.emit import SIMPLE
from gateway.mapping.into_fhir import homes, repeated_segment
from gateway.mapping.library import Library
from gateway.mapping.runtime import possible
from gateway.mapping.structure import Instance, Layout, Segment
from gateway.mapping.syntax import Block, Export, Field, Line, Structure
from gateway.model import Resource


class Graph:
    """The resources that one message is made of, with their references both ways."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self.resources = resources

    def resolve(self, reference: Mapping[str, Any]) -> Resource | None:
        return self.resources.get(str(reference.get("reference", "")))

    def follow(self, resource: Resource, path: paths.Path, type_: str) -> list[Resource]:
        """The resources of a type that a path of references leads to."""
        found = [self.resolve(each) for each in _values(resource, path.elements) if isinstance(each, dict)]
        return [each for each in found if each is not None and each["resourceType"] == type_]

    def pointing(self, target: Resource, path: paths.Path) -> list[Resource]:
        """The resources of the path's type whose path leads to the target."""
        return [
            each
            for each in self.resources.values()
            if each["resourceType"] == path.resource and any(found is target for found in self.follow(each, path, target["resourceType"]))
        ]


def _values(value: Any, elements: Iterable[paths.Element]) -> list[Any]:
    """All values at a path, slices heeded."""
    here = [value]
    for element in elements:
        below: list[Any] = []
        for each in here:
            found = each.get(element.name) if isinstance(each, dict) else None
            below.extend(found if isinstance(found, list) else [] if found is None else [found])
        here = [each for each in below if matches(each, element)] if element.slice else below
    return here


def matches(value: Any, element: paths.Element) -> bool:
    """Does a list element fit the slice that a line asks for?"""
    return all(_admitted(value.get(name.partition(".")[0]), constant, codes) for name, constant, codes in element.slice)


def _admitted(value: Any, constant: Any, codes: tuple[str, ...]) -> bool:
    if isinstance(value, list):
        return any(_admitted(each, constant[0] if isinstance(constant, list) else constant, codes) for each in value)
    if isinstance(value, dict):
        listed = value.get("coding", [value])
        return any(each.get("code") in codes for each in listed)
    return value in codes or value == constant


# ------------------------------------------------------------------------------------------------- lines


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """One line, ready to write."""

    line: Line
    path: paths.Path
    pair: Pair | None  # None: a constant text
    constants: tuple[str, ...]

    def applies(self, context: Context) -> bool:
        return self.line.condition is None or possible(self.line.condition, context)


def _written_lines(library: Library, block: Block) -> list[WrittenLine]:
    made = []
    for line in block.lines:
        if not line.back or line.link or not line.sources:
            continue
        path = paths.resolve(block.type, line, library.systems)
        pair = None if line.constant else library.pair(line, path)
        plain = line.datatype in ("coding", "concept", "code", "CWE")
        words = () if pair is None or plain else tuple(each.name for each in line.arguments[pair.fields :])
        made.append(WrittenLine(line, path, pair, words))
    return made


class Claims:
    """Which list elements of a resource an earlier line has written already."""

    def __init__(self) -> None:
        self._taken: dict[str, set[int]] = {}
        self.references: set[str] = set()

    def take(self, path: str, values: list[Any], *, one: bool) -> list[Any]:
        taken = self._taken.setdefault(path, set())
        free = [each for each in values if not (isinstance(each, dict) and id(each) in taken)]
        chosen = free[:1] if one else free
        taken.update(id(each) for each in chosen if isinstance(each, dict))
        return chosen


def leaf_values(resource: Resource, written: WrittenLine, claims: Claims) -> list[Any]:
    """The values that a line writes; for an open choice (type name, value)."""
    leaf = written.path.leaf
    if leaf.choice:
        stem = leaf.name.removesuffix("[x]")
        holders = _values(resource, written.path.elements[:-1]) if len(written.path.elements) > 1 else [resource]
        return [(name[len(stem) :], value) for each in holders for name, value in each.items() if name.startswith(stem) and name[len(stem) :][:1].isupper()]
    source = written.line.sources[0]
    return claims.take(written.path.text, _values(resource, written.path.elements), one=not source.repeats and not source.every)


def texts(value: Any, written: WrittenLine, context: Context, graph: Graph, claims: Claims) -> tuple[str, ...]:
    """A FHIR value as raw texts: the field's own and one for each field argument."""
    assert written.pair is not None
    if written.pair.makes and isinstance(value, dict):
        resource = graph.resolve(value)
        if resource is not None and resource["resourceType"] != written.pair.makes:
            return ("",)
        name = value.get("reference", "")
        if name and name in claims.references and written.path.leaf.many:
            return ("",)  # the same person was written by an earlier line of this block
        claims.references.add(name)
        value = {**value, **resource} if resource is not None else value
    made = written.pair.back(value, context, *written.constants)
    found = made if isinstance(made, tuple) else (made,)
    return tuple(each.replace("^", "&") if written.line.sources[0].component and written.line.datatype not in SIMPLE else each for each in found[:1]) + found[1:]


# ---------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class Target:
    """A block in one group of a structure, ready to write."""

    block: Block
    lines: tuple[WrittenLine, ...]
    links: tuple[tuple[str, bool, paths.Path], ...]  # (type linked to, every, path), from the forward direction
    repeated: str  # the segment that the block repeats in its group, "" when there is one
    opens: bool = False  # its segment begins an occurrence of the group

    @property
    def apart(self) -> bool:
        """It points at another resource of its own type: the retired patient of a merge."""
        return any(not every and type_ == self.block.type for type_, every, _ in self.links)


def _target(library: Library, block: Block, repeated: str = "", *, opens: bool = False) -> Target:
    links = tuple(
        (line.link.type, line.link.every, paths.resolve(block.type, line, library.systems)) for line in block.lines if line.into and line.link
    )
    return Target(block, tuple(_written_lines(library, block)), links, repeated, opens)


Known = dict[str, Resource]  # what the groups around are about, by type


class MessageWriter:
    """One structure: a lead resource and what belongs to it → segments."""

    def __init__(self, structure: Structure, library: Library) -> None:
        self.structure = structure
        self.layout = Layout(structure.root)
        self.groups: list[list[Target]] = [[] for _ in self.layout.parents]
        self.keyed: set[str] = set()  # types that are made by a block with a key and by one without
        blocks = library.blocks_of(structure.name)
        for block in blocks:
            for group in homes(self.layout, block):
                opens = not self.layout.leaders[group].isdisjoint(block.segments)
                self.groups[group].append(_target(library, block, repeated_segment(self.layout, group, block), opens=opens))
        here = [block for block in blocks if block.into and homes(self.layout, block)]
        self.keyed = {block.type for block in here if block.key} & {block.type for block in here if not block.key}
        leading = (
            number for number, targets in enumerate(self.groups) for target in targets if target.block.type == structure.lead and target.block.into
        )
        self.lead_group = next(leading, 0)

    def run(self, leads: list[Resource], graph: Graph, context: Context) -> list[Segment]:
        """The segments of one message about these lead resources, without MSH."""
        root = Instance(0, None)
        writing = _Writing(self, graph, context)
        if self.lead_group == 0:
            writing.fill(root, {self.structure.lead: leads[0]})
        else:
            above: Known = {}
            for target in self.groups[0]:  # patient, visit and the like: what the lead resource points at fills the head
                writing.write(root, target, {self.structure.lead: leads[0], **above}, above)
            for lead in leads:
                writing.fill(root.open(self.lead_group), {**above, self.structure.lead: lead})
        _number(root)
        return [segment for segment in self.layout.write(root) if len(segment) > 1]


class _Writing:
    """One message being written: every resource is written once."""

    def __init__(self, writer: MessageWriter, graph: Graph, context: Context) -> None:
        self.writer = writer
        self.graph = graph
        self.context = context
        self.done: list[Resource] = []

    def fill(self, instance: Instance, known: Known) -> None:
        """The blocks of a group, then the groups inside it."""
        own = dict(known)
        for target in self.writer.groups[instance.group]:
            self.write(instance, target, own, own)
        for number, parent in enumerate(self.writer.layout.parents):
            if parent == instance.group:
                self._below(instance, number, own)

    def _below(self, instance: Instance, number: int, known: Known) -> None:
        for target in self.writer.groups[number]:
            if not target.opens:
                continue
            if not target.block.into:
                self._extra(instance, number, target, known)
            else:
                for resource in self._candidates(target, known):
                    if not _in(resource, self.done):
                        self.fill(instance.open(number), {**known, target.block.type: resource})

    def write(self, instance: Instance, target: Target, known: Known, bound: Known) -> None:
        """One block of a group; what it found is bound for the others."""
        if not target.block.into or not target.lines:
            return
        type_ = target.block.type
        if target.repeated or type_ not in known or target.apart:
            found = [each for each in self._candidates(target, known) if not _in(each, self.done)]
        else:
            found = [known[type_]]
        for resource in found if target.repeated else found[:1]:
            if not self._fits(target, resource):
                continue
            if not target.apart:
                bound.setdefault(type_, resource)
            self.done.append(resource)
            write_block(instance, target, resource, self.context, self.graph)

    def _fits(self, target: Target, resource: Resource) -> bool:
        """Where two blocks make one type, a resource goes back to the kind that it came from: a specimen without a
        number of its own to OBR-15, one with a number to SPM."""
        if target.block.type not in self.writer.keyed:
            return True
        own_number = any(each.get("system") != KEY for each in resource.get("identifier", ()))
        return bool(target.block.key) != own_number

    def _candidates(self, target: Target, known: Known) -> list[Resource]:
        """The resources for a block: those that known ones link to, else those that link to known ones."""
        found: list[Resource] = []
        listed = False
        for other in (each for group in self.writer.groups for each in group):
            start = known.get(other.block.type)
            for type_, every, path in other.links if start is not None else ():
                if start is not None and type_ == target.block.type:
                    listed = listed or every
                    found.extend(self.graph.follow(start, path, type_))
        if (not found and not listed) or target.apart:
            for type_, every, path in target.links:
                if not every and type_ in known:
                    found.extend(each for each in self.graph.pointing(known[type_], path) if self._holds(each, target, known))
        unique = [each for index, each in enumerate(found) if not _in(each, found[:index])]
        return [each for each in unique if self._fits(target, each)]

    def _holds(self, resource: Resource, target: Target, known: Known) -> bool:
        """A condition of another visit of the same patient does not belong here."""
        for type_, every, path in target.links:
            linked = [] if every else self.graph.follow(resource, path, type_)
            if linked and type_ in known and not _in(known[type_], linked):
                return False
        return True

    def _extra(self, instance: Instance, number: int, target: Target, known: Known) -> None:
        """A block that is only written: one occurrence for each value (a conclusion, an attached document)."""
        resource = known.get(target.block.type)
        condition = target.block.condition
        if resource is None or (condition and condition.field and condition.field.name not in resource):
            return
        results = (self.graph.resolve(each) for each in resource.get("result", ()))
        if target.block.unless and any(each is not None and _has_code(each, target.block.unless) for each in results):
            return
        lists = [_values(resource, each.path.elements) for each in target.lines if each.path.leaf.many]
        for index in range(max(map(len, lists), default=1)):
            child = instance.open(number)
            segment = _segment(child, target.block.segments[0])
            claims = Claims()
            for written in target.lines:
                listed = _values(resource, written.path.elements)
                values = listed[index : index + 1] if written.path.leaf.many else leaf_values(resource, written, claims)
                _put(child, segment, written, values[:1], self.context, self.graph, claims)


def _in(resource: Resource, resources: Iterable[Resource]) -> bool:
    return any(each is resource for each in resources)


def _has_code(resource: Resource, code: str) -> bool:
    return any(each.get("code") == code for each in resource.get("code", {}).get("coding", ())) if isinstance(resource.get("code"), dict) else False


def write_block(instance: Instance, target: Target, resource: Resource, context: Context, graph: Graph) -> None:
    """Writes one resource into the segments of its block."""
    claims = Claims()
    fresh = _new(instance, target.repeated) if target.repeated else None
    for written in target.lines:
        if not written.applies(context):
            continue
        values = leaf_values(resource, written, claims)
        if values:
            _put(instance, fresh, written, values, context, graph, claims)


def _put(
    instance: Instance, fresh: Segment | None, written: WrittenLine, values: list[Any], context: Context, graph: Graph, claims: Claims
) -> None:
    if not values:
        return
    source = written.line.sources[0]
    if source.every and written.pair is not None:
        for value in values:
            text = texts(value, written, context, graph, claims)[0]
            if text:
                set_field(_new(instance, source.segment), source.number, text)
        return
    if written.line.constant is not None:
        made: tuple[str, ...] = (written.line.constant.text,)
    else:
        assert written.pair is not None
        several = [each for value in values if (each := texts(value, written, context, graph, claims)) and any(each)]
        if not several:
            return
        made = ("~".join(each[0] for each in several), *several[0][1:])
    for found in written.line.sources:
        if found.segment != "MSH":
            _set(instance, fresh, found, made[0])
    for argument, text in zip(written.line.arguments, made[1:], strict=False):
        if text:
            _set(instance, fresh, argument, text)


def _set(instance: Instance, fresh: Segment | None, found: Field, text: str) -> None:
    segment = fresh if fresh is not None and fresh[0] == found.segment else _segment(instance, found.segment)
    if not text or (len(segment) > found.number and segment[found.number] and not found.component):
        return
    if not found.component:
        set_field(segment, found.number, text)
        return
    whole = segment[found.number] if len(segment) > found.number else ""
    parts = whole.split("^")
    parts.extend([""] * (found.component - len(parts)))
    if not parts[found.component - 1]:
        parts[found.component - 1] = text
        set_field(segment, found.number, "^".join(parts))


def set_field(segment: Segment, number: int, text: str) -> None:
    segment.extend([""] * (number + 1 - len(segment)))
    segment[number] = text


def _segment(instance: Instance, name: str) -> Segment:
    here: Instance | None = instance
    while here is not None:
        if name in here.segments:
            return here.segments[name][0]
        here = here.parent
    return _new(instance, name)


def _new(instance: Instance, name: str) -> Segment:
    segment = [name]
    instance.add(segment)
    return segment


NUMBERED = frozenset({"PID", "NK1", "PV1", "AL1", "DG1", "IN1", "OBR", "OBX", "NTE", "SPM"})  # segments with a set id in field 1


def _number(instance: Instance, seen: dict[str, int] | None = None) -> None:
    """Set ids: counted within the enclosing group (OBX restarts with each OBR)."""
    counts: dict[str, int] = seen if seen is not None else {}
    below: dict[str, int] = {}
    for name, segments in instance.segments.items():
        for segment in segments:
            if name in NUMBERED and len(segment) > 1:
                counts[name] = counts.get(name, 0) + 1
                segment[1] = str(counts[name])
    for children in instance.children.values():
        for child in children:
            _number(child, below)


# ------------------------------------------------------------------------------------------------- tables


class TableWriter:
    """One export: a lead resource and its parts → rows, one for each resource of the block over `row`."""

    def __init__(self, export: Export, library: Library) -> None:
        self.export = export
        self.targets = [_target(library, block) for block in export.blocks]
        self.row = next(target for target in self.targets if target.block.rows_by == ())

    def run(self, leads: list[Resource], graph: Graph, context: Context) -> Iterator[dict[str, str]]:
        """Rows in the order of the lead's own list."""
        for lead in leads:
            known = self._around(lead, graph)
            for item in self._items(known, graph):
                row: dict[str, str] = {}
                for target in self.targets:
                    resource = item if target is self.row else known.get(target.block.type)
                    if resource is not None:
                        _write_row(row, target, resource, context, graph)
                yield row

    def _around(self, lead: Resource, graph: Graph) -> dict[str, Resource]:
        known = {self.export.lead: lead}
        for _ in self.targets:  # links lead from one to the next: as often as there are blocks is enough
            for target in self.targets:
                start = known.get(target.block.type)
                for type_, every, path in target.links if start is not None else ():
                    found = graph.follow(start, path, type_) if start is not None and not (every and type_ == self.row.block.type) else []
                    if found:
                        known.setdefault(type_, found[0])
        return known

    def _items(self, known: dict[str, Resource], graph: Graph) -> list[Resource]:
        if self.row.block.type == self.export.lead:
            return [known[self.export.lead]]
        found: list[Resource] = []
        for target in self.targets:
            start = known.get(target.block.type)
            for type_, every, path in target.links:
                if start is not None and every and type_ == self.row.block.type:
                    found.extend(each for each in graph.follow(start, path, type_) if not any(each is other for other in found))
        return found


def _write_row(row: dict[str, str], target: Target, resource: Resource, context: Context, graph: Graph) -> None:
    claims = Claims()
    for written in target.lines:
        for value in leaf_values(resource, written, claims):
            if written.pair is None:
                made: tuple[str, ...] = (written.line.constant.text if written.line.constant else "",)
            else:
                made = texts(value, written, context, graph, claims)
            names = [*(source.name for source in written.line.sources[:1]), *(str(each) for each in written.line.arguments[: len(made) - 1])]
            for name, text in zip(names, made, strict=False):
                if text and not row.get(name):
                    row[name] = text


