"""What is done for each group of a message, worked out once for groups that look alike (outline.py).

A plan lists the blocks that can make something of a group: those whose segments are there. What is met often gets
functions that are compiled for it, with the lines whose fields are valued and no others; what those make is what the
functions for everything make. Plans are bounded: when there are too many, they begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Protocol

from gateway.codec.hl7v2_header import STANDARD
from gateway.mapping.outline import Known, Outline
from gateway.mapping.source_code import fields_of, of_condition, segments_of
from gateway.mapping.structure import Instance, Segment
from gateway.mapping.syntax import Block, Condition

Function = Callable[..., Any]
Special = Callable[[Block, Known], "Function | None"]  # the function of a block for an outline; None: it would be idle
Key = tuple[int | Outline, ...]  # a group and its own segments
Step = tuple[Function, str, int, Any, tuple[Any, ...]]

_OFTEN = 8  # times that a group is met before functions are compiled for it
_PLANS = 4096
_OUTLINES = 4096
_FUNCTIONS = 1024
LARGE = 1 << 16  # characters: a document is not copied to be looked at


class Compiled(Protocol):
    """A block that runs in a group, as far as plans need it."""

    @property
    def block(self) -> Block: ...
    @property
    def function(self) -> Function: ...
    @property
    def repeated(self) -> str: ...
    def links_with(self, facts: Mapping[str, str]) -> tuple[Any, ...]: ...


class Plan:
    """What is done for one group. A step: the function, the segment that it is for and which of them, its block, its
    links that these messages may have. `single`: the only step, where it needs nothing around it; nothing is done in a
    group with `idle`."""

    __slots__ = ("below", "group", "idle", "known", "met", "own", "single", "steps")

    def __init__(self, group: int, own: Mapping[str, list[Outline]], known: Known) -> None:
        self.group = group
        self.own = own
        self.known = known
        self.steps: list[Step] = []
        self.single: Step | None = None
        self.idle = False
        self.below: dict[Key, Plan] = {}
        self.met = 0


class Plans:
    """The plans of one structure."""

    def __init__(
        self, groups: Sequence[Sequence[Compiled]], widths: Mapping[str, int], special: Special | None
    ) -> None:
        self.groups = groups
        self.widths = widths
        self.special = special  # None: nothing is compiled for what is met often
        self._roots: dict[tuple[Any, ...], Plan] = {}
        self._outlines: dict[
            tuple[str, bytes, bool], Outline
        ] = {}  # by which fields are valued, however many there are
        self._shapes: dict[tuple[str, bytes, bool], Outline] = {}  # by those that are read
        self._functions: dict[tuple[Any, ...], Function | None] = {}
        self._reads: dict[int, tuple[Block, list[str], frozenset[str], list[str]]] = {}
        self._held = 0

    def outlines(self, segments: list[Segment], wide: list[Segment], *, large: bool) -> dict[int, Outline]:
        """The outline of each segment, by the identity of the same one in `wide`, where none is too short. `large`: one
        may hold a document."""
        if len(self._outlines) > _OUTLINES or self._held > _PLANS:
            self._outlines = {}
            self._shapes = {}
            self._roots = {}
            self._held = 0
        known, found = self._outlines, {}
        alike = not large and _all_plain(segments)
        for segment, padded in zip(segments, wide, strict=True):
            key = (segment[0], bytes(map(bool, segment)), alike or _plain(segment, large=large))
            outline = known.get(key)
            if outline is None:
                outline = known[key] = self._outline(*key)
            found[id(padded)] = outline
        return found

    def _outline(self, name: str, valued: bytes, plain: bool) -> Outline:
        width = self.widths.get(name, 0)
        shape = name, valued[:width].ljust(width, b"\0"), plain
        if shape not in self._shapes:
            self._shapes[shape] = Outline(*shape)
        return self._shapes[shape]

    def root(self, instance: Instance, outlines: Mapping[int, Outline], facts: Mapping[str, str]) -> Plan:
        """The plan of a message."""
        names = frozenset([outline.name for outline in outlines.values()])
        key = (*facts.values(), names, self._key(instance, outlines))
        plan = self._roots.get(key)
        if plan is None:
            plan = self._roots[key] = self._made(instance, outlines, Known({}, names, dict(facts)))
        return self._met(plan)

    def below(self, plan: Plan, instance: Instance, outlines: Mapping[int, Outline]) -> Plan:
        """The plan of a group inside another one."""
        key = self._key(instance, outlines)
        found = plan.below.get(key)
        if found is None:
            found = plan.below[key] = self._made(instance, outlines, plan.known)
        return found if found.met >= _OFTEN else self._met(found)

    def _key(self, instance: Instance, outlines: Mapping[int, Outline]) -> Key:
        return instance.group, *[outlines[id(each)] for each in instance.order if each.__class__ is list]

    def _made(self, instance: Instance, outlines: Mapping[int, Outline], around: Known) -> Plan:
        self._held += 1
        own = {name: [outlines[id(each)] for each in found] for name, found in instance.segments.items()}
        near = {**around.near, **{name: found[0] for name, found in own.items()}}
        plan = Plan(instance.group, own, Known(near, around.names, around.facts, frozenset(own)))
        there = (each for each in self.groups[instance.group] if not near.keys().isdisjoint(each.block.segments))
        for (name, _), alike in groupby(there, _of_segments):
            several = [(each, each.links_with(around.facts)) for each in alike]
            for index in range(len(own.get(name, ())) if name else 1):
                plan.steps.extend((each.function, name, index, each, links) for each, links in several)
        return plan

    def _met(self, plan: Plan) -> Plan:
        if plan.met < _OFTEN:
            plan.met += 1
            if plan.met == _OFTEN and self.special is not None:
                steps = [(self._special(plan, *step[:4]), *step[1:]) for step in plan.steps]
                plan.steps = [(function, *rest) for function, *rest in steps if function is not None]
                plan.idle = not plan.steps
                if len(plan.steps) == 1 and self._stands_alone(plan.steps[0]):
                    plan.single = plan.steps[0]
        return plan

    def _stands_alone(self, step: Step) -> bool:
        """Is it compiled, and nothing to be linked where it alone makes something?"""
        function, _, _, compiled, links = step
        return function is not compiled.function and not any(each.everywhere or each.demanded for each in links)

    def _special(self, plan: Plan, function: Function, name: str, index: int, compiled: Compiled) -> Function | None:
        near = {**plan.known.near, name: plan.own[name][index]} if name else plan.known.near
        block, segments, every, facts = self._what(compiled.block)
        own = plan.known.own.intersection(segments)
        known = replace(plan.known, near=near, own=own, item=name)
        key = (
            id(block), name, own, *map(near.get, segments), every & known.names,
            *[known.facts.get(fact) for fact in facts],
        )  # fmt: skip
        if key not in self._functions:
            if len(self._functions) >= _FUNCTIONS or self.special is None:
                return function
            self._functions[key] = self.special(block, known)
        return self._functions[key]

    def _what(self, block: Block) -> tuple[Block, list[str], frozenset[str], list[str]]:
        """What the code of a block depends on: segments that it reads, those of which it reads all, facts."""
        found = self._reads.get(id(block))
        if found is None:
            every = frozenset(each.segment for each in fields_of(block) if each.every)
            found = self._reads[id(block)] = block, segments_of(block), every, sorted(_facts(block))
        return found


def _all_plain(segments: list[Segment]) -> bool:
    """Is no field of a message repeated or an explicit null? MSH-2, which names the signs, is no field of it."""
    text = "|".join(["|".join(segment) for segment in segments])
    return text.count("~") == segments[0][2:3].count(STANDARD) and '""' not in text


def _plain(segment: Segment, *, large: bool) -> bool:
    """Is no field of a segment repeated or an explicit null?"""
    fields = segment[3:] if segment[0] == "MSH" else segment
    text = "~" if large and sum(map(len, fields)) >= LARGE else "|".join(fields)
    return "~" not in text and '""' not in text


def _of_segments(compiled: Compiled) -> tuple[str, Any]:
    """Blocks that make elements of one list of the same segments take turns: the list has the order of the segments."""
    return compiled.repeated, compiled.block.path if compiled.block.element and compiled.repeated else id(compiled)


def _facts(block: Block) -> set[str]:
    conditions = [line.condition for line in block.lines] + [block.condition, block.reopen]
    inner = [found.where for found in fields_of(block)]
    inner += [found.where for each in conditions for found in of_condition(each)]
    return {fact for each in (*conditions, *inner) if each is not None for fact in _asked(each)}


def _asked(condition: Condition) -> set[str]:
    return {condition.fact} | {fact for each in condition.parts for fact in _asked(each)}
