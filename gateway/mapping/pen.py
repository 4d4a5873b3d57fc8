"""The lines of one block, written into the segments of one group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.codec.hl7v2_escape import escape
from gateway.mapping import origins, sent_fields
from gateway.mapping.segments import (
    completed,
    filtered,
    fitting,
    nearest,
    new,
    part_of,
    set_field,
    set_part,
    there,
    with_components,
)
from gateway.mapping.structure import Instance, Segment
from gateway.mapping.syntax import Field, Line
from gateway.mapping.written_blocks import Target
from gateway.mapping.written_lines import Claims, WrittenLine, leaf_values, written_texts
from gateway.mapping.written_shapes import NO_MARKS
from gateway.model import Resource

if TYPE_CHECKING:
    from gateway.mapping.written_message import Writing

Placed = dict[tuple[int, int], list[tuple[int, str]]]  # (id of a segment, field) → what stands there


class Pen:
    """Writes the lines of one block into the segments of one group."""

    __slots__ = ("claims", "context", "fresh", "graph", "head", "instance", "later", "placed", "writing")

    def __init__(self, instance: Instance, fresh: Segment | None, writing: Writing, *, head: bool = False) -> None:
        self.instance = instance
        self.fresh = fresh  # the block's own occurrence of a segment that repeats
        self.head = head  # it writes what the head of a message says (kept_head.py)
        self.context = writing.context
        self.graph = writing.graph
        self.writing = writing
        self.later = writing.later
        self.claims = Claims()
        self.placed: Placed | None = None

    def block(self, target: Target, resource: Resource) -> None:
        writing = self.writing
        writer = writing.writer
        marks = origins.told_by(resource, writer.fields, self.context) if self.graph.tells else NO_MARKS
        own = writer.heads if self.head else writer.names[self.instance.group]
        plans = writing.plans.get(id(target)) or writer.plans.add(target, writing.plans)
        plan = plans.of(resource, self.context, own, marks)
        if plan.function is not None:
            plan.function(self, resource)
            return
        for written in plan.lines:
            if written.path.elements[0].name in marks:
                self.told(written, resource)
            else:
                self.line(written, resource)
        self.kept(resource)

    def line(self, written: WrittenLine, resource: Resource) -> None:
        """One line of a resource that tells no field of its elements."""
        if written.single and self.full(written.line.sources[0]):
            return
        values = leaf_values(resource, written, self.claims)
        if values:
            self.put(written, values, resource)
        if written.entered:
            self.claims.enter(resource, written)

    def kept(self, resource: Resource) -> None:
        """Notes the fields that a resource keeps as they were sent."""
        self.writing.sent.extend((self, *each) for each in sent_fields.told(resource, self.context))

    def here(self, name: str, width: int) -> Segment | None:
        """The segment of the block's own group, at least so long; None where there is none yet."""
        segment = self.fresh
        if segment is None or segment[0] != name:
            found = self.instance.segments.get(name)
            if found is None:
                return None
            segment = found[0]
        if (missing := width - len(segment)) > 0:
            segment.extend([""] * missing)
        return segment

    def made(self, name: str, width: int) -> Segment:
        """The same where there is none yet."""
        segment = [name, *[""] * (width - 1)]
        self.instance.add(segment)
        return segment

    def unmade(self, segment: Segment) -> None:
        """Takes back what `made` gave: nothing was written there."""
        named = self.instance.segments[segment[0]]
        if len(named) == 1:
            del self.instance.segments[segment[0]]
        else:
            named[:] = [each for each in named if each is not segment]
        self.instance.order[:] = [each for each in self.instance.order if each is not segment]

    def as_sent(self, found: Field, text: str, meant: str) -> None:
        """The field as it was sent, where its parts are written as they were meant."""
        own = self.fresh if self.fresh is not None and self.fresh[0] == found.segment else None
        sent_fields.restore([own] if own else self.instance.segments.get(found.segment, ()), found, text, meant)

    def told(self, written: WrittenLine, resource: Resource) -> None:
        """A line about a list of which some elements tell the field that they stood in (origins.py)."""
        if written.single and self.full(written.line.sources[0]):
            return
        own, list_, fields = origins.name_of(written.line), written.path.elements[0], self.writing.writer.fields
        mine = self.mine(written, resource)
        given = origins.given(mine, written.path, own, fields, self.context)
        values = leaf_values(mine, written, self.claims)
        if given:
            values = [*values, *leaf_values({list_.name: given}, written.unsliced(), self.claims)]
            order = {id(each): number for number, each in enumerate(resource[list_.name])}
            values.sort(key=lambda each: order.get(id(each), 0))
        self.put(written, values, resource)
        self.claims.enter(mine, written)
        for each in given:
            self.claims.take(f"{written.path.resource}.{list_.name}", each)

    def mine(self, written: WrittenLine, resource: Resource) -> Resource:
        """The resource without the elements of a line's list that tell other fields."""
        own = origins.name_of(written.line)
        return origins.mine(resource, written.path, own, self.writing.writer.fields, self.context)

    def put(self, written: WrittenLine, values: list[Any], resource: Resource | None = None) -> None:
        """The values of one line, which are of this resource."""
        claimed = written_texts(values, written, self.context, self.graph, self.claims)
        if not claimed:
            return
        source = written.line.sources[0]
        if resource is not None and source.repeats and written.listed:
            self._listed(source, resource[written.path.leaf.name], claimed)
            return
        if source.every:
            used: list[Segment] = []
            for _, made in claimed:
                self._each(written.line, source, made, used)
            return
        text = claimed[0][1][0] if len(claimed) == 1 else "~".join([each[0] for _, each in claimed])
        if written.late:
            self.later.append((self, source, text))
        else:
            self.set(source, text)
        if len(written.line.sources) > 1:
            self.later.extend((self, found, text) for found in written.line.sources[1:])
        if written.line.arguments:
            self._arguments(written.line, [each for _, each in claimed])

    def _arguments(self, line: Line, several: list[tuple[str, ...]]) -> None:
        for index, argument in enumerate(line.arguments[: len(several[0]) - 1], 1):
            self.set(argument, next((each[index] for each in several if each[index]), ""))

    def _listed(self, source: Field, elements: list[Any], claimed: list[tuple[Any, tuple[str, ...]]]) -> None:
        """Elements of one list that several lines write into one field: in the order of the list."""
        order = {id(each): number for number, each in enumerate(elements)}
        segment = self._segment(source.segment)
        if self.placed is None:
            self.placed = {}
        placed = self.placed.setdefault((id(segment), source.number), [])
        placed.extend((order[id(value)], made[0]) for value, made in claimed)
        set_field(segment, source.number, "~".join(text for _, text in sorted(placed)))

    def _each(self, line: Line, source: Field, made: tuple[str, ...], used: list[Segment]) -> None:
        """One value of `NTE[]-3` or `PRD[PRD-1.1 = RT]-2`, with its arguments, in a segment of its own kind: the first
        one that the filter fits and whose field is free, or says the beginning of it already, else a new one; none
        that this line has `used`. Lines of a text are several segments."""
        text, *rest = made
        once = not any(step.repeats for step in line.target)
        for each_text in text.split(escape("\n")) if once and not rest else [text]:
            segment = fitting(self.instance, source, each_text, used) or filtered(self.instance, source)
            used.append(segment)
            set_part(segment, source, each_text)
            for argument, each in zip(line.arguments, rest, strict=False):
                if argument.segment != source.segment:
                    self.set(argument, each)
                elif each and not part_of(segment, argument):
                    set_part(segment, argument, each)

    def full(self, source: Field) -> bool:
        """An earlier line wrote the one field of this one: its value is left to others."""
        segment = self.fresh
        if segment is None or segment[0] != source.segment:
            segment = next(iter(self.instance.segments.get(source.segment, ())), None)
        return bool(segment and len(segment) > source.number and segment[source.number])

    def alternative(self, found: Field, text: str) -> None:
        """`OBR-2` of `ORC-2|OBR-2`: written where its segment is there and no line of its own filled it."""
        if there(self.instance, found.segment):
            self.set(replace(found, repeats=False) if found.repeats else found, text)

    def set(self, found: Field, text: str) -> None:
        """What an earlier line wrote stays; repetitions follow it. What each of several segments says in a field that
        stands around them (STF-4 of all roles) is said once."""
        if not text or (found.segment == "MSH" and not self.head):
            return
        segment = self._segment(found.segment)
        whole = segment[found.number] if len(segment) > found.number else ""
        if found.component and found.repeats:
            set_field(segment, found.number, with_components(whole, found, text))
        elif found.component:
            if not part_of(segment, found):
                set_part(segment, found, text)
        elif not whole:
            set_field(segment, found.number, text)
        elif found.repeats:
            if self.fresh is None or self.fresh is segment or not set(text.split("~")) <= set(whole.split("~")):
                set_field(segment, found.number, f"{whole}~{text}")
        else:
            set_field(segment, found.number, completed(whole, text))

    def _segment(self, name: str) -> Segment:
        if self.fresh is not None and self.fresh[0] == name:
            return self.fresh
        layout = self.writing.writer.layout
        if name in layout.positions[self.instance.group] and name not in self.instance.segments:
            return new(self.instance, name)  # a result's OBX is not the OBX of its specimen
        return nearest(self.instance, name, layout.homes.get(name, ()))
