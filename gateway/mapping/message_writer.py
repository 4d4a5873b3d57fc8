"""Compiled maps, backward: resources of the record → the segments of a message.

Which resource fills which group follows from the links of the forward direction: `. -> result* = @@Observation` says
where the results of a report are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby

from gateway.mapping import origins
from gateway.mapping.context import Context
from gateway.mapping.graph import Graph
from gateway.mapping.into_fhir import homes, repeated_segment
from gateway.mapping.library import Library
from gateway.mapping.segments import counted
from gateway.mapping.structure import Instance, Layout, Segment
from gateway.mapping.syntax import Structure
from gateway.mapping.written_blocks import Target, WrittenLink, makes, target_of
from gateway.mapping.written_message import Known, There, Writing
from gateway.mapping.written_plans import WrittenPlans
from gateway.model import Resource

_KINDS = 512
Ways = dict[str, list[tuple[str, list[WrittenLink]]]]


class MessageWriter:
    """One structure: a lead resource and what belongs to it → segments."""

    def __init__(self, structure: Structure, library: Library) -> None:
        self.structure = structure
        self.layout = Layout(structure.root)
        self.groups: list[list[Target]] = [[] for _ in self.layout.parents]
        self.linking: dict[str, list[tuple[str, tuple[WrittenLink, ...]]]] = {}  # type → who links to it, lead first
        self.keyed: set[str] = set()  # types that are made by a block with a key and by one without
        blocks = library.blocks_of(structure.name)
        codes = {event.partition("_")[0] for event in (structure.name, *structure.events)}
        for block in blocks:
            for group in homes(self.layout, block):
                company = self.layout.company(group)
                if not makes(block, codes, company):
                    continue
                opens = not self.layout.leaders[group].isdisjoint(block.segments)
                self.groups[group].append(
                    target_of(
                        library,
                        block,
                        repeated_segment(self.layout, group, block),
                        opens=opens,
                        company=company,
                        structure=structure.name,
                    )
                )
        here = [block for block in blocks if block.into and not block.element and homes(self.layout, block)]
        always = {block.type for block in here if block.key and not block.spare}
        self.keyed = always & {block.type for block in here if not block.key}
        leading = (
            number for number, targets in enumerate(self.groups) for target in targets if _makes(target, structure.lead)
        )
        self.lead_group = next(leading, 0)
        if self.lead_group:  # the lead writes first: OBR-4 is the report's code, whatever was ordered
            self.groups[self.lead_group].sort(
                key=lambda target: target.block.type != structure.lead or not target.block.into
            )
        for targets in self.groups:  # what a resource's own lines write of a list is not left to its elements
            targets.sort(key=lambda target: target.list is not None)

        lines = (
            line for targets in self.groups for target in targets for line in target.lines if not line.line.constant
        )
        self.fields = frozenset(origins.name_of(each.line) for each in lines)  # that are written at all

        self.names = [frozenset(names) - {"MSH"} for names in self.layout.positions]
        self.heads = frozenset(self.layout.positions[0])  # the same for what writes the head of a message
        paths = (target.block.path for targets in self.groups for target in targets if target.list)
        self.plans = WrittenPlans(frozenset(paths))

        marks = ((each.block.type, each.mark) for targets in self.groups for each in targets if _marks(each))
        self.marks = _gathered(marks)  # type → the fields that blocks of it say
        others = sorted(chain.from_iterable(self.groups), key=lambda target: target.block.type != structure.lead)
        for target in others:
            for type_, links in groupby(sorted(target.links, key=_type), key=_type):
                self.linking.setdefault(type_, []).append((target.block.type, tuple(links)))
        self.everywhere = [
            link for target in chain.from_iterable(self.groups) for link in target.links if link.everywhere
        ]
        self.lists = [link for each in others if each.block.type == structure.lead for link in each.links if link.every]
        self.choosing = frozenset(id(target) for target in others if self._chooses(target))
        lists = ((target.block.type, target.list.name) for target in others if target.list)
        self.listing = _gathered(lists)  # type → its lists whose elements blocks write
        self.shared = frozenset(each.about for each in others if each.beside)  # segments of resources and of elements
        self._there: dict[frozenset[str], There] = {}
        self._ways: dict[tuple[str, ...], Ways] = {}

    def _chooses(self, target: Target) -> bool:
        """Does a block not write every resource of its type?"""
        type_ = target.block.type
        return bool(type_ in self.marks or target.here or target.elsewhere or type_ in self.keyed)

    def there(self, graph: Graph) -> There:
        """The blocks that write in each group, and those that open it, for these resources: for their types, and for
        lists that one of them has; the groups in each group that may be opened; and the one block that
        writes in a group, where it is enough that it writes the resource that opens it."""
        lists = {
            f"{type_}.{name}" for type_, found in graph.of_type.items() if type_ in self.listing
            for name in self.listing[type_] if any([name in each for each in found])  # noqa: C419 - faster
        }  # fmt: skip
        key = frozenset([*graph.of_type, *lists])
        there = self._there.get(key)
        if there is None:
            if len(self._there) >= _KINDS:
                self._there.clear()
            found = [[each for each in targets if _of(each, key)] for targets in self.groups]
            inside = [[each for each in targets if self._writes(each, group)] for group, targets in enumerate(found)]
            opening = [[each for each in targets if each.opens] for targets in found]
            below = [[number for number in groups if opening[number]] for groups in self.layout.below]
            lone = [
                each[0] if len(each) == 1 and not below[number] and _plain(each[0]) else None
                for number, each in enumerate(inside)
            ]
            there = self._there[key] = inside, opening, below, lone
        return there

    def _writes(self, target: Target, group: int) -> bool:
        """Does a block write in a group that is open? One that is only written does so in the group of the lead, or in
        one that something else opens."""
        if target.block.into:
            return bool(target.lines or target.leads)
        return (not target.opens or group == self.lead_group) and target.block.condition is None

    def ways(self, context: Context) -> Ways:
        """The links that can be in a message with these facts: type → who links to it, lead first."""
        facts = tuple(context.facts.values())
        found = self._ways.get(facts)
        if found is None:
            if len(self._ways) >= _KINDS:
                self._ways.clear()
            found = self._ways[facts] = {type_: list(_ways(each, context)) for type_, each in self.linking.items()}
        return found

    def run(self, leads: list[Resource], graph: Graph, context: Context) -> list[Segment]:
        """The segments of one message about these lead resources, without MSH."""
        root = Instance(0, None)
        writing = Writing(self, graph, context)
        type_ = leads[0]["resourceType"]
        group = self._group_of(type_)
        if group == 0:
            writing.fill(root, {type_: leads[0]})
        else:
            self._groups(root, leads, writing, group)
        writing.finish()
        counted(root)
        segments = [segment for segment in self.layout.write(root) if len(segment) > 1]
        root.dissolve()
        return segments

    def _group_of(self, type_: str) -> int:
        """Where a message about such a resource begins: the lead's own group, or that of what it is about instead."""
        if type_ == self.structure.lead or type_ not in self.structure.others:
            return self.lead_group if type_ == self.structure.lead else 0
        own = (number for number, targets in enumerate(self.groups) if any(_makes(each, type_) for each in targets))
        return next(own, 0)

    def _groups(self, root: Instance, leads: list[Resource], writing: Writing, group: int) -> None:
        """The head is what the first lead points at: patient, visit and the like; then a group for each lead."""
        above: Known = {}
        type_ = leads[0]["resourceType"]
        for target in writing.groups[0]:
            writing.write(root, target, {type_: leads[0], **above}, above)
        own = {id(each) for each in writing.listed(leads)}
        chain = self.layout.chain(group)
        for number in writing.inside[0]:
            if number not in chain:
                writing.below(root, number, above, own)
        head, done = dict(writing.done), dict(writing.done)
        *around, inner = reversed(chain[:-1])
        for lead in writing.with_others(leads):
            writing.done = dict(head)  # a specimen of two reports is written with both
            writing.claims.clear()
            here, known = root, {**above, type_: lead}
            for number in around:  # what is given stands in the group of what was ordered
                here = here.open(number)
                for target in writing.groups[number]:
                    writing.write(here, target, known, known)
            writing.fill(here.open(inner), known)
            done |= writing.done
        writing.done = done
        if around:  # what was ordered, and not given yet
            writing.below(root, around[0], above, own)
        writing.inner(root, above)


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name, each in pairs:
        found[name] = found.get(name, frozenset()) | {each}
    return found


def _plain(target: Target) -> bool:
    return target.list is None and target.block.into and not (target.repeated or target.apart)


def _marks(target: Target) -> bool:
    return bool(target.mark and not target.list)


def _of(target: Target, there: frozenset[str]) -> bool:
    """Is anything there that a block could write?"""
    type_ = target.block.type
    return type_ in there and (target.list is None or f"{type_}.{target.list.name}" in there)


def _ways(
    linking: Iterable[tuple[str, tuple[WrittenLink, ...]]], context: Context
) -> Iterator[tuple[str, list[WrittenLink]]]:
    for from_, links in linking:
        if found := [link for link in links if not link.everywhere and link.applies(context)]:
            yield from_, found


def _type(link: WrittenLink) -> str:
    return link.type


def _makes(target: Target, type_: str) -> bool:
    return target.block.type == type_ and target.block.into and not target.list
