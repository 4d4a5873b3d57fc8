"""What is written of a resource, worked out once for resources of one shape (written_shapes.py).

A plan holds the lines of a block that can write anything of such a resource. What is met often gets a function that is
compiled for it (written_code.py); it writes what the lines write one by one. Plans are bounded: when there are too
many, they begin anew.
"""

from __future__ import annotations

from gateway.mapping.context import Context
from gateway.mapping.written_blocks import Target
from gateway.mapping.written_code import Function, compiled
from gateway.mapping.written_lines import WrittenLine
from gateway.mapping.written_shapes import Marks, Masks, Places, Shape, Shapes
from gateway.model import Resource

_OFTEN = 8  # times that a shape is met before a function is compiled for it
_PLANS = 4096
_FACTS = 256  # kinds of messages


class WrittenPlan:
    """What is written of one shape of resource by one block."""

    __slots__ = ("function", "lines", "met", "places")

    def __init__(self, lines: tuple[WrittenLine, ...], places: dict[int, Places]) -> None:
        self.lines = lines
        self.places = places
        self.function: Function | None = None
        self.met = 0


class BlockPlans:
    """The plans of one block in messages of the same facts."""

    __slots__ = ("_plans", "elements", "known", "shapes", "target")

    def __init__(self, target: Target, shapes: Shapes, plans: WrittenPlans) -> None:
        self.target = target
        self.shapes = shapes
        self.elements = plans.elements
        self.known: dict[Shape, WrittenPlan] = {}
        self._plans = plans

    def of(self, resource: Resource, context: Context, own: frozenset[str], marks: Marks) -> WrittenPlan:
        """The plan for a resource. `own`: the segments of the group; `marks`: what its elements tell of the fields that
        they stood in."""
        shape, masks = self.shapes.of(resource, marks)
        plan = self.known.get(shape)
        if plan is None:
            self._plans.count()
            plan = self.known[shape] = _made(self.target, resource, context, self.shapes, masks, marks)
        if plan.met < _OFTEN:
            plan.met += 1
            if plan.met == _OFTEN:
                plan.function = compiled(
                    plan.lines, resource, own=own, about=self.target.about, elements=self.elements, places=plan.places,
                    marks=marks, kept=bool(shape[1]),
                )  # fmt: skip
        return plan


class WrittenPlans:
    """The plans of one structure. `elements`: the lists whose elements blocks of it write."""

    def __init__(self, elements: frozenset[str]) -> None:
        self.elements = elements
        self._known: dict[tuple[str, ...], dict[int, BlockPlans]] = {}  # by the facts and the identity of a target
        self._shapes: dict[int, Shapes] = {}  # by the identity of a block's target
        self._count = 0

    def of(self, facts: tuple[str, ...]) -> dict[int, BlockPlans]:
        """The plans for messages of these facts, by the identity of a target; those of a new one are given by `add`."""
        found = self._known.get(facts)
        if found is None:
            if len(self._known) >= _FACTS:
                self._known.clear()
            found = self._known[facts] = {}
        return found

    def add(self, target: Target, found: dict[int, BlockPlans]) -> BlockPlans:
        """The plans of a block, among those of the same facts."""
        shapes = self._shapes.get(id(target))
        if shapes is None:
            shapes = self._shapes[id(target)] = Shapes(target.lines)
        made = found[id(target)] = BlockPlans(target, shapes, self)
        return made

    def count(self) -> None:
        """One more plan; when there are too many, they begin anew."""
        self._count += 1
        if self._count > _PLANS:
            self._count = 1
            for plans in self._known.values():
                for each in plans.values():
                    each.known.clear()


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
