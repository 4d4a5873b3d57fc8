"""Blocks read from right to left: what each writes in a group of a structure, and where its resources are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gateway.mapping import origins, paths, runtime
from gateway.mapping.context import Context
from gateway.mapping.graph import Graph, values_at
from gateway.mapping.library import Library
from gateway.mapping.runtime import judged, possible
from gateway.mapping.syntax import Block, Condition, Line
from gateway.mapping.written_lines import Claims, WrittenLine, leaf_values, texts, written_lines
from gateway.model import Resource


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
    alone: bool = False  # no other block writes elements of its list: whatever one of them says, it goes here
    leads: bool = field(init=False)  # it tells where others are found (`. <- participant*.member = @@…`)
    first: tuple[WrittenLine, ...] = field(init=False)  # the first line and those to the same place: what it is about
    aside: bool = field(init=False)  # elements that could refer to the resource of a segment, or say the same alone
    apart: bool = field(init=False)  # it points at another resource of its own type: the retired patient of a merge
    fields: frozenset[str] = field(init=False)  # that its lines write
    about: str = field(init=False)  # the segment that it is about

    def __post_init__(self) -> None:
        first = min(self.lines, key=lambda each: each.line.place.line, default=None)
        alike = tuple(each for each in self.lines if first and (self.alone or self._alike(each, first)))
        aside = any(each.path.text == link.path.text for each in alike for link in self.beside)
        apart = any(not link.every and link.type == self.block.type for link in self.links)
        object.__setattr__(self, "about", self.repeated or next(reversed(self.block.segments), ""))
        object.__setattr__(self, "leads", any(not link.into for link in self.links))
        object.__setattr__(self, "first", alike)
        object.__setattr__(self, "aside", aside)
        object.__setattr__(self, "apart", apart)
        object.__setattr__(self, "fields", frozenset(origins.name_of(each.line) for each in self.lines))

    def _alike(self, one: WrittenLine, other: WrittenLine) -> bool:
        """Do two lines write from the same place? Extensions of another url are others; not so parts of one."""
        if one.path.leaf.name.startswith("value") and self.list and self.list.name != "extension":
            return one.path.elements == other.path.elements
        return one.path.text == other.path.text


def target_of(
    library: Library,
    block: Block,
    repeated: str = "",
    *,
    opens: bool = False,
    company: Mapping[str, frozenset[str]] = MappingProxyType({}),
    structure: str = "",
) -> Target:
    """`company`: the segments of the group, and of the one around it. A link that a structure never makes is none, nor
    is one to what the same segment made and no block writes: it has no place of its own."""
    blocks = library.blocks_of(structure) if structure else []
    silent = {each.type for each in blocks if each.into and _alike(each, block) and not any(map(_writes, each.lines))}
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
        if line.link.type not in silent
    )
    lines = tuple(written_lines(library, block))
    if block.element:
        list_ = paths.list_of(block, library.systems)
        made = {each.type for each in blocks if each.into and _alike(each, block)}
        stand = tuple(each for each in links if each.type in made)
        alone = not any(each.path == block.path and each is not block for each in blocks)
        return Target(block, lines, (), repeated, opens, list_, stand, mark=origins.mark_of(block), alone=alone)
    placed = {index: is_placed(each.condition, company) for index, each in enumerate(links)}
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


def _writes(line: Line) -> bool:
    return line.back


def _alike(one: Block, other: Block) -> bool:
    """Does a block make a resource of the segment that another one makes elements of?"""
    return not one.element and one.segments[-1:] == other.segments[-1:]


def makes(block: Block, codes: set[str], company: Mapping[str, frozenset[str]]) -> bool:
    """Can a block make anything in messages of these codes, beside these segments? One that cannot writes nothing."""

    def known(each: Condition) -> bool | None:
        if each.fact == "MESSAGE":
            found = {code in each.values for code in codes}
            return found.pop() if len(found) == 1 else None
        names = company.get(each.fact)
        return None if names is None else not names.isdisjoint(each.values)

    return block.condition is None or judged(block.condition, known) is not False


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
