"""The reading half of a compiled block: expressions for fields, components and conditions.

The code is made of names and numbers from checked maps only; every text from a map enters it as a named object.
"""

from __future__ import annotations

from typing import Any

from gateway.mapping.outline import Known, State
from gateway.mapping.syntax import Block, Condition, Field, KeyValue, Line

SIMPLE = frozenset({"", "code", "text", "number", "integer", "positive", "yn", "dtm", "date", "instant"})


class Writer:
    """Collects the lines of one function and the objects that it names."""

    def __init__(self, objects: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self.depth = 1
        self.objects = objects
        self._count = 0

    def add(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def object(self, value: Any) -> str:
        """A name for an object that the function uses."""
        name = f"O{len(self.objects)}"
        self.objects[name] = value
        return name

    def literal(self, value: Any) -> str:
        """Code that makes the value anew each time: a resource may be changed later, the map's own constants never."""
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name!r}: {self.literal(each)}" for name, each in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.literal, value)) + "]"
        return self.object(value)


class SourceCode:
    """Expressions that read a source: `segments` of a message, a `row` of a table, a `node` of a tree. `known`: of the
    message that they are made for; what is empty there is a constant."""

    def __init__(self, writer: Writer, source: str, known: Known | None = None) -> None:
        self.writer = writer
        self.source = source
        self.known = known
        self.blanks: dict[str, str] = {}  # segment → name of the empty one that stands for it where it is absent

    def begin(self, block: Block, *, explain: bool) -> None:
        """Each segment that the block reads becomes a local name. It is as long as the last field that is read: made so
        for the whole message at once (into_fhir.py), or here, where lineage needs the segments as they came."""
        write = self.writer
        fields = fields_of(block)
        names = segments_of(block)
        if self.known is not None:
            for segment in [each for each in names if each in self.known.near]:
                write.add(f"{segment} = {self._found(segment, self.known)}")
        else:
            for segment in names:
                item = f"item if item is not None and item[0] == {segment!r} else " if segment in block.segments else ""
                write.add(f"{segment} = {item}near.get({segment!r})")
            write.add(f"if {' and '.join(f'{segment} is None' for segment in block.segments)}:")
            write.add("    return None")
        for segment in names:
            last = max((found.number for found in fields if found.segment == segment), default=0)
            blank = self.blanks[segment] = write.object([""] * (last + 1))
            if self.known is not None:
                continue
            if block.segments != (segment,):
                write.add(f"if {segment} is None:")
                write.add(f"    {segment} = {blank}")
            if explain:
                write.add(f"{segment}_ = ABSENT if {segment} is {blank} else {segment}")
                write.add(f"if len({segment}) <= {last}:")
                write.add(f"    {segment} = {segment} + {blank}")

    def _found(self, segment: str, known: Known) -> str:
        """An expression for a segment that is known to be there: `near` need not know those of the group itself."""
        if segment == known.item:
            return "item"
        return f"g.segments[{segment!r}][0]" if segment in known.own else f"near[{segment!r}]"

    def state(self, found: Field) -> State:
        """What is known of a field that stands once."""
        known = self.known is not None and found.segment and not found.every
        return self.known.state(found) if known and self.known else State.UNKNOWN

    def there(self, segment: str) -> str:
        """The name of a segment; of an empty one where it is known to be absent."""
        return segment if self.known is None or segment in self.known.near else self.blanks[segment]

    def raw(self, found: Field) -> str:
        """An expression for the whole field."""
        if self.state(found) is State.EMPTY:
            return "''"
        if found.segment and not found.number:
            if self.known is not None:
                return "'there'"
            return f"('' if {found.segment} is {self.blanks[found.segment]} else 'there')"
        if found.segment:
            return f"{found.segment}[{found.number}]"
        if self.source == "node":
            if found.name.startswith("/"):  # from the root of the document
                return f"node(context.root, {self.writer.object(found.name[1:])})"
            if found.name.startswith("../"):  # in the record, of a node inside it
                return f"node(g, {self.writer.object(found.name[3:])})"
            return f"node(item, {self.writer.object(found.name)})"
        return f"item.get({self.writer.object(found.name)}, '')"

    def part(self, raw: str, found: Field, *, composite: bool) -> str:
        """An expression for the component that the line means, of one repetition."""
        if not found.component:
            return raw
        if found.component == 1 and not found.subcomponent and not composite:
            return f"{raw}.partition('^')[0]"
        return f"component({raw}, {found.component}, {found.subcomponent}, {composite})"

    def one(self, raw: str, found: Field) -> str:
        """The first repetition, where the line does not ask for all."""
        if not found.segment or found.segment == "MSH":
            return raw
        return (
            f"({raw}.partition('~')[0] if '~' in {raw} else {raw})"
            if raw.isidentifier()
            else f"{raw}.partition('~')[0]"
        )

    def condition(self, condition: Condition, segment: str = "") -> str:
        """An expression for `? …`, 'True' or 'False' where that is known; `segment` names the variable whose fields are
        meant (a filter `OBX[…]`)."""
        match condition.operator:
            case "and" | "or":
                return _joined(condition.operator, [self.condition(each, segment) for each in condition.parts])
            case "not":
                inner = self.condition(condition.parts[0], segment)
                return {"True": "False", "False": "True"}.get(inner, f"not ({inner})")
        if condition.field is None:
            return self._of_message(condition)
        found = condition.field
        if segment:
            return self._tested(found, condition, field_of(segment, found.number))
        return self._asked(found, condition)

    def _of_message(self, condition: Condition) -> str:
        """Of a fact of the message, or of the segments around."""
        if condition.fact == "BESIDE":
            return f"not {self.writer.object(frozenset(condition.values))}.isdisjoint(g.segments)"
        if condition.fact == "UNDER":
            named = self.writer.object(frozenset(condition.values))
            return f"(g.parent is not None and not {named}.isdisjoint(g.parent.segments))"
        if condition.fact == "BEHIND":
            return f"stands_behind(g, item, {self.writer.object(frozenset(condition.values))})"
        if self.known is not None:
            return str(self.known.fact(condition))
        return f"context.facts.get({condition.fact!r}) in {self.writer.object(frozenset(condition.values))}"

    def _asked(self, found: Field, condition: Condition) -> str:
        """Of a field of the message."""
        if found.every:
            if self.known is not None and found.segment not in self.known.names:
                return "False"
            each = self._tested(found, condition, field_of("s", found.number))
            return f"any({each} for s in chosen(g, {found.segment!r}))"
        state = self.state(found)
        if state is State.EMPTY:
            return str(condition.operator != "valued" and "" in condition.values)
        if state is State.PLAIN and condition.operator == "valued" and not found.component:
            return "True"
        return self._tested(found, condition, self.raw(found))

    def _tested(self, found: Field, condition: Condition, raw: str) -> str:
        part = self.part(raw, found, composite=False)
        if condition.operator == "valued":
            return f"{part} not in ('', NULL)"
        value = part if found.component else f"({part} if {part}.isalnum() else first({part}))"
        return f"{value} in {self.writer.object(frozenset(condition.values))}"


def field_of(segment: str, number: int) -> str:
    """An expression for a field of a segment that may be shorter."""
    return f"({segment}[{number}] if len({segment}) > {number} else '')"


def _joined(operator: str, parts: list[str]) -> str:
    """`and` or `or` of expressions, without those that change nothing."""
    deciding, neutral = ("True", "False") if operator == "or" else ("False", "True")
    if deciding in parts:
        return deciding
    left = [each for each in parts if each != neutral]
    return "(" + f" {operator} ".join(left) + ")" if left else neutral


def segments_of(block: Block) -> list[str]:
    """All segments that a block reads as single ones."""
    names = list(block.segments)
    for found in fields_of(block):
        if found.segment and not found.every and found.segment not in names:
            names.append(found.segment)
    return names


def fields_of(block: Block) -> list[Field]:
    """All fields that a block reads, conditions and arguments too."""
    found: list[Field] = []
    for line in block.lines:
        found.extend(line.sources)
        found.extend(line.arguments)
        found.extend(of_condition(line.condition))
    for part in block.key:
        if isinstance(part, KeyValue):
            found.append(part.field)
        elif isinstance(part, tuple):
            found.extend(each for each in part if isinstance(each, Field))
    found.extend(of_condition(block.condition))
    found.extend(of_condition(block.reopen))
    return found


def of_condition(condition: Condition | None) -> list[Field]:
    if condition is None:
        return []
    own = [condition.field] if condition.field else []
    return own + [found for part in condition.parts for found in of_condition(part)]


def place_of(found: Field) -> str:
    """An expression: the segment as it came and the number of a field, for lineage."""
    return f"({(found.segment and f'{found.segment}_') or 'ABSENT'}, {found.number})"


def chain_of(line: Line, raws: list[str]) -> list[tuple[Field, str, bool]]:
    """The alternatives of a line for `a if … else b if … else c`."""
    last = len(raws) - 1
    return [(each, raw, index < last) for index, (each, raw) in enumerate(zip(line.sources, raws, strict=True))]
