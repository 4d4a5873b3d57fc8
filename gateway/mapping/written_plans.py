"""What is written of a resource, worked out once for resources that look alike: those that have the same elements.

A plan holds the lines of a block that can write anything of such a resource. What is met often gets a function that is
compiled for it (written_code.py); it writes what the lines write one by one. Plans are bounded: when there are too
many, they begin anew.
"""

from __future__ import annotations

from typing import Any

from gateway.mapping.context import Context
from gateway.mapping.wording import WRITTEN
from gateway.mapping.written_blocks import Target
from gateway.mapping.written_code import Function, compiled
from gateway.mapping.written_lines import WrittenLine
from gateway.model import Resource

_OFTEN = 8  # times that a shape is met before a function is compiled for it
_PLANS = 4096


class WrittenPlan:
    """What is written of one shape of resource by one block."""

    __slots__ = ("function", "lines", "met")

    def __init__(self, lines: tuple[WrittenLine, ...]) -> None:
        self.lines = lines
        self.function: Function | None = None
        self.met = 0


class WrittenPlans:
    """The plans of one structure. `elements`: the lists whose elements blocks of it write."""

    def __init__(self, elements: frozenset[str]) -> None:
        self.elements = elements
        self._known: dict[tuple[Any, ...], WrittenPlan] = {}

    def of(
        self, target: Target, resource: Resource, context: Context, facts: tuple[str, ...], own: frozenset[str]
    ) -> WrittenPlan:
        """The plan for a resource. `facts`: those of the message; `own`: the segments of the group."""
        key = (id(target), facts, *resource)
        urls: list[str] = []
        if "extension" in resource:
            urls = [str(each.get("url")) for each in resource["extension"]]
            key = (*key, None, *urls)
        plan = self._known.get(key)
        if plan is None:
            plan = self._made(key, target, resource, context, urls)
        if plan.met < _OFTEN:
            plan.met += 1
            if plan.met == _OFTEN:
                kept = WRITTEN in urls
                plan.function = compiled(plan.lines, resource, own=own, elements=self.elements, kept=kept)
        return plan

    def _made(
        self, key: tuple[Any, ...], target: Target, resource: Resource, context: Context, urls: list[str]
    ) -> WrittenPlan:
        if len(self._known) >= _PLANS:
            self._known.clear()
        lines = (
            each
            for each in target.lines
            if not each.roots.isdisjoint(resource) and each.applies(context) and each.extends(urls)
        )
        plan = self._known[key] = WrittenPlan(tuple(lines))
        return plan
