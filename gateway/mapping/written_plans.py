"""What is written of a resource, worked out once for resources of one shape (written_shapes.py).

A plan holds the lines of a block that can write anything of such a resource. What is met often gets a function that is
compiled for it (written_code.py); it writes what the lines write one by one. Plans are bounded: when there are too
many, they begin anew.
"""

from __future__ import annotations

from typing import Any

from gateway.mapping.context import Context
from gateway.mapping.written_blocks import Target
from gateway.mapping.written_code import Function, compiled
from gateway.mapping.written_lines import WrittenLine
from gateway.mapping.written_shapes import Marks, Masks, Places, Shapes
from gateway.model import Resource

_OFTEN = 8  # times that a shape is met before a function is compiled for it
_PLANS = 4096


class WrittenPlan:
    """What is written of one shape of resource by one block."""

    __slots__ = ("function", "lines", "met", "places")

    def __init__(self, lines: tuple[WrittenLine, ...], places: dict[int, Places]) -> None:
        self.lines = lines
        self.places = places
        self.function: Function | None = None
        self.met = 0


class WrittenPlans:
    """The plans of one structure. `elements`: the lists whose elements blocks of it write."""

    def __init__(self, elements: frozenset[str]) -> None:
        self.elements = elements
        self._known: dict[tuple[Any, ...], WrittenPlan] = {}
        self._shapes: dict[int, Shapes] = {}  # by the identity of a block's target

    def of(
        self,
        target: Target,
        resource: Resource,
        context: Context,
        facts: tuple[str, ...],
        own: frozenset[str],
        marks: Marks,
    ) -> WrittenPlan:
        """The plan for a resource. `facts`: those of the message; `own`: the segments of the group; `marks`: what its
        elements tell of the fields that they stood in."""
        shapes = self._shapes.get(id(target))
        if shapes is None:
            shapes = self._shapes[id(target)] = Shapes(target.lines)
        shape, masks = shapes.of(resource, marks)
        key = id(target), facts, shape
        plan = self._known.get(key)
        if plan is None:
            if len(self._known) >= _PLANS:
                self._known.clear()
            plan = self._known[key] = _made(target, resource, context, shapes, masks, marks)
        if plan.met < _OFTEN:
            plan.met += 1
            if plan.met == _OFTEN:
                plan.function = compiled(
                    plan.lines, resource, own=own, elements=self.elements, places=plan.places, marks=marks,
                    kept=bool(shape[1]),
                )  # fmt: skip
        return plan


def _made(
    target: Target, resource: Resource, context: Context, shapes: Shapes, masks: Masks, marks: Marks
) -> WrittenPlan:
    lines, places = [], dict[int, Places]()
    for line in target.lines:
        if line.roots.isdisjoint(resource) or not line.applies(context):
            continue
        found = shapes.places(line, masks, marks)
        if found is not None:
            places[line.slot] = found
        if found is None or found.all:
            lines.append(line)
    return WrittenPlan(tuple(lines), places)
