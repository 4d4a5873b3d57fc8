"""Map lines → Python source, forward direction. One function a block; into_fhir.py puts them together.

The source is made of names and numbers from checked maps only; every text from a map enters it as a named object.
"""

from __future__ import annotations

from typing import Any

from gateway.fhir import definitions
from gateway.mapping import paths
from gateway.mapping.datatypes import Pair
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Condition, Field, Line, Link

SIMPLE = frozenset({"", "code", "text", "number", "integer", "yn", "dtm", "date", "instant"})


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


class BlockEmitter:
    """One block → one function `(g, context, scope, item) -> Entry | None`."""

    def __init__(self, block: Block, library: Library, writer: Writer, *, source: str, explain: bool, once: bool) -> None:
        self.block = block
        self.library = library
        self.writer = writer
        self.source = source  # segments | row | node
        self.explain = explain
        self.once = once
        self.shared = _shared_paths(block)
        self.elements: dict[tuple[str, str], str] = {}

    def emit(self, name: str) -> None:
        write = self.writer
        write.lines.append(f"def {name}(g, context, scope, item):")
        for segment in self._segments():
            write.add(f"{segment} = item if item is not None and item[0] == {segment!r} else nearest(g, {segment!r})")
        if self.source == "segments":
            write.add(f"if not ({' or '.join(self.block.segments)}):")
            write.add("    return None")
        if self.block.condition:
            write.add(f"if not ({self.condition(self.block.condition)}):")
            write.add("    return None")
        write.add(f"r = {{'resourceType': {self.block.type!r}}}")
        write.add("deletes = []")
        for line in self._element_names():
            write.add(f"{line} = None")
        sourced = [line for line in self.block.lines if line.into and line.sources and not line.link]
        for line in sourced:
            self._line(line)
        if sourced and self.block.type not in ("MessageHeader", "Provenance"):
            write.add("if len(r) == 1:")
            write.add("    return None")
        for line in self.block.lines:
            if line.into and line.constant is not None and not line.sources:
                self._constant(line)
        for line in self.block.lines:
            if line.into and line.link is not None and not line.link.every:
                self._link(line, line.link)
        required = _required(self.block.type)
        if required:
            write.add(f"if not complete(r, {write.object(required)}, context):")
            write.add("    return None")
        write.add(f"return context.make(r, once={self.once or self.block.once}, key={self._key()}, deletes=deletes)")

    # ------------------------------------------------------------------------------------------- sources

    def _segments(self) -> list[str]:
        """All segments that the block reads as single ones."""
        if self.source != "segments":
            return []
        names = list(self.block.segments)
        for found in _fields(self.block):
            if found.segment and not found.every and found.segment not in names:
                names.append(found.segment)
        return names

    def raw(self, found: Field) -> str:
        """An expression for the whole field."""
        if found.segment and not found.number:
            return f"('there' if {found.segment} else '')"
        if found.segment:
            return f"({found.segment}[{found.number}] if len({found.segment}) > {found.number} else '')"
        if self.source == "node":
            return f"node(item, {self.writer.object(found.name)})"
        return f"item.get({self.writer.object(found.name)}, '')"

    def part(self, raw: str, found: Field, *, composite: bool) -> str:
        """An expression for the component that the line means, of one repetition."""
        if not found.component:
            return raw
        return f"component({raw}, {found.component}, {found.subcomponent}, {composite})"

    def condition(self, condition: Condition) -> str:
        match condition.operator:
            case "and" | "or":
                return "(" + f" {condition.operator} ".join(map(self.condition, condition.parts)) + ")"
            case "not":
                return f"not ({self.condition(condition.parts[0])})"
        if condition.fact:
            return f"context.facts.get({condition.fact!r}) in {self.writer.object(frozenset(condition.values))}"
        found = condition.field
        assert found is not None
        if found.every:
            return f"any({self._tested(found, condition, f'field(s, {found.number})')} for s in chosen(g, {found.segment!r}))"
        return self._tested(found, condition, self.raw(found))

    def _tested(self, found: Field, condition: Condition, raw: str) -> str:
        part = self.part(raw, found, composite=False)
        if condition.operator == "valued":
            return f"{part} not in ('', NULL)"
        value = part if found.component else f"first({part})"
        return f"{value} in {self.writer.object(frozenset(condition.values))}"

    # --------------------------------------------------------------------------------------------- lines

    def _line(self, line: Line) -> None:
        write = self.writer
        depth = write.depth
        path = paths.resolve(self.block.type, line, self.library.systems)
        pair = self.library.pair(line, path)
        guard = [self.condition(line.condition)] if line.condition else []
        if path.text in self.shared and not path.leaf.many:
            guard.append(self._unset(path))
        if guard:
            write.add(f"if {' and '.join(guard)}:")
            write.depth += 1
        if line.sources[0].every:
            self._every(line, path, pair)
        else:
            self._single(line, path, pair)
        write.depth = depth

    def _single(self, line: Line, path: paths.Path, pair: Pair) -> None:
        write = self.writer
        composite = line.datatype not in SIMPLE
        raws = []
        for found in line.sources:
            raw = self.raw(found)
            inner = raw if found.repeats or pair.whole else self._one(raw, found)
            raws.append(inner if found.repeats and found.component else self.part(inner, found, composite=composite))
        value = write.name("f")
        write.add(f"{value} = {' or '.join(raws)}")
        write.add(f"if {value}:")
        write.depth += 1
        write.add(f"if {value} == NULL:")
        write.add(f"    deletes.append({path.text!r})")
        write.add("else:")
        write.depth += 1
        found = line.sources[0]
        if found.repeats and not pair.whole:
            write.add(f"for x in {value}.split('~'):" if found.segment else f"for x in {value}.split(';'):")
            write.depth += 1
            if found.component:
                write.add(f"x = {self.part('x', found, composite=composite)}")
            write.add("if not x:")
            write.add("    continue")
            self._convert(line, path, pair, "x")
            write.depth -= 1
        else:
            self._convert(line, path, pair, value)
        write.depth -= 2

    def _one(self, raw: str, found: Field) -> str:
        """The first repetition, where the line does not ask for all."""
        return f"{raw}.partition('~')[0]" if found.segment and found.segment != "MSH" else raw

    def _every(self, line: Line, path: paths.Path, pair: Pair) -> None:
        """`NTE[]-3`, `OBX[OBX-3.1 in (…)]-5`: each such segment."""
        write = self.writer
        found = line.sources[0]
        # with a filter: here and in the groups below; without: those of this group, so that a result's note stays its own
        write.add(f"for s in {'chosen' if found.where else 'listed'}(g, {found.segment!r}):")
        write.depth += 1
        if found.where:
            write.add(f"if not ({self._where(found.where)}):")
            write.add("    continue")
        raw = f"field(s, {found.number})"
        value = write.name("f")
        write.add(f"{value} = {self.part(raw, found, composite=line.datatype not in SIMPLE)}")
        write.add(f"if {value} and {value} != NULL:")
        write.depth += 1
        arguments = [f"field(s, {each.number})" if each.segment == found.segment else None for each in line.arguments]
        self._convert(line, path, pair, value, arguments=arguments, segment="s")

    def _where(self, condition: Condition) -> str:
        match condition.operator:
            case "and" | "or":
                return "(" + f" {condition.operator} ".join(map(self._where, condition.parts)) + ")"
            case "not":
                return f"not ({self._where(condition.parts[0])})"
        assert condition.field is not None
        return self._tested(condition.field, condition, f"field(s, {condition.field.number})")

    def _convert(
        self, line: Line, path: paths.Path, pair: Pair, value: str, *, arguments: list[str | None] | None = None, segment: str = ""
    ) -> None:
        write = self.writer
        made = write.name("v")
        given: list[str] = []
        for index, argument in enumerate(line.arguments[: pair.fields]):
            own = arguments[index] if arguments else None
            given.append(own or self.raw(argument))
        constants = [] if line.datatype in ("coding", "concept", "code", "CWE") else [self.writer.object(each.name) for each in line.arguments[pair.fields :]]
        into = write.object(pair.into)
        write.add(f"{made} = {into}({', '.join((value, *given, 'context', *constants))})")
        write.add(f"if {made} is not None:")
        write.depth += 1
        self._set(path, made)
        if self.explain:
            found = line.sources[0]
            where = segment or (found.segment if found.segment else "ABSENT")
            place = write.object((found.number, 0, str(line.place)))
            write.add(f"trace(context, r, {path.text!r}, {where}, {place})")
        write.depth -= 1

    # ---------------------------------------------------------------------------------------- setting

    def _set(self, path: paths.Path, value: str) -> None:
        """Code that puts a value at a path, making what lies between."""
        write = self.writer
        here = "r"
        walked = ""
        for element in path.elements[:-1]:
            walked = f"{walked}.{element.name}"
            here = self._descend(here, walked, element)
        leaf = path.leaf
        if leaf.choice:
            stem = leaf.name.removesuffix("[x]")
            write.add(f"{here}[{stem!r} + {value}[0]] = {value}[1]")
        elif leaf.many:
            for name, constant, _ in leaf.slice:
                write.add(f"{value}.setdefault({name!r}, {write.object(constant)})")
            write.add(f"{here}.setdefault({leaf.name!r}, []).append({value})")
        else:
            write.add(f"{here}[{leaf.name!r}] = {value}")

    def _descend(self, here: str, walked: str, element: paths.Element) -> str:
        write = self.writer
        inner = write.name("d")
        if not element.many:
            write.add(f"{inner} = {here}.setdefault({element.name!r}, {{}})")
            return inner
        constants = "{" + ", ".join(f"{name!r}: {write.object(constant)}" for name, constant, _ in element.slice) + "}"
        if element.repeats:
            write.add(f"{inner} = {constants}")
            write.add(f"{here}.setdefault({element.name!r}, []).append({inner})")
            return inner
        shared = self.elements[(walked, str(element.slice))]
        write.add(f"if {shared} is None:")
        write.add(f"    {shared} = {constants}")
        write.add(f"    {here}.setdefault({element.name!r}, []).append({shared})")
        return shared

    def _element_names(self) -> list[str]:
        """One variable for each list element that several lines fill together (same path, same slice)."""
        for line in self.block.lines:
            if not line.into or line.link:
                continue
            walked = ""
            for element in paths.resolve(self.block.type, line, self.library.systems).elements[:-1]:
                walked = f"{walked}.{element.name}"
                key = (walked, str(element.slice))
                if element.many and not element.repeats and key not in self.elements:
                    self.elements[key] = f"e{len(self.elements)}"
        return list(self.elements.values())

    def _unset(self, path: paths.Path) -> str:
        """An expression: nothing stands at this path yet. Only its first step decides for nested ones that are shared."""
        if len(path.elements) == 1:
            if path.leaf.choice:
                return f"not any(name.startswith({path.leaf.name[:-3]!r}) for name in r)"
            return f"{path.leaf.name!r} not in r"
        if any(element.many for element in path.elements[:-1]):
            return "True"
        here = "r"
        for element in path.elements[:-1]:
            here = f"{here}.get({element.name!r}, EMPTY)"
        return f"{path.leaf.name!r} not in {here}"

    # ------------------------------------------------------------------------------- constants and links

    def _constant(self, line: Line) -> None:
        write = self.writer
        assert line.constant is not None
        path = paths.resolve(self.block.type, line, self.library.systems)
        value = paths.value_of(path.text, line.constant, line, self.library.systems)
        guard = [self.condition(line.condition)] if line.condition else []
        if not path.leaf.many:
            guard.append(self._unset(path))
            constant = write.object(value)
        else:
            constant = write.object(value[0])
        write.add(f"if {' and '.join(guard) or 'True'}:")
        write.depth += 1
        if isinstance(value, dict | list):  # never hand out the map's own object: a slice may be set on it
            constant = f"dict({constant})"
            name = write.name("c")
            write.add(f"{name} = {constant}")
            constant = name
        self._set(path, constant)
        write.depth -= 1

    def _link(self, line: Line, link: Link) -> None:
        write = self.writer
        path = paths.resolve(self.block.type, line, self.library.systems)
        guard = f"{link.type!r} in scope" + (f" and {self.condition(line.condition)}" if line.condition else "")
        steps = write.object(steps_of(path))
        constants = constants_of(path)
        write.add(f"if {guard}:")
        if constants is None:
            write.add(f"    link(r, {steps}, [scope[{link.type!r}]])")
        else:
            write.add(f"    link_each(r, {steps}, [scope[{link.type!r}]], {write.object(constants)})")

    def _key(self) -> str:
        """An expression for the key of a resource without identifiers of its own."""
        if not self.block.key:
            return "''"
        parts = []
        for part in self.block.key:
            if isinstance(part, Link):
                parts.append(f"('|'.join(scope[{part.type!r}].keyed or ()) if {part.type!r} in scope else '')")
            else:
                each = (self.part(self.raw(found), found, composite=False) if found.component else f"first({self.raw(found)})" for found in part)
                parts.append(f"({' or '.join(each)})")
        return "context.ordinal('/'.join((context.facility, " + ", ".join(parts) + ")))"


def _required(type_: str) -> tuple[str, ...]:
    """Elements that R4 demands of every such resource; a choice by its stem."""
    return tuple(each.name.removesuffix("[x]") for each in definitions.children(type_).values() if each.min)


def steps_of(path: paths.Path) -> tuple[tuple[str, bool], ...]:
    return tuple((element.name, element.many) for element in path.elements)


def constants_of(path: paths.Path) -> dict[str, Any] | None:
    """Of `link*{type=replaces}.other`: what each list element carries; None where the references are the list."""
    outer = path.elements[0]
    if not outer.repeats or len(path.elements) < 2:
        return None
    return {name: value for name, value, _ in outer.slice}


def _shared_paths(block: Block) -> set[str]:
    """Paths that more than one line of the block fills: the first valued one stays."""
    seen: set[str] = set()
    shared: set[str] = set()
    for line in block.lines:
        if line.into:
            text = f"{block.type}.{line.path}"
            (shared if text in seen else seen).add(text)
    return shared


def _fields(block: Block) -> list[Field]:
    """All fields that a block reads, conditions and arguments too."""
    found: list[Field] = []
    for line in block.lines:
        found.extend(line.sources)
        found.extend(line.arguments)
        found.extend(_of_condition(line.condition))
    found.extend(each for part in block.key if not isinstance(part, Link) for each in part)
    found.extend(_of_condition(block.condition))
    return found


def _of_condition(condition: Condition | None) -> list[Field]:
    if condition is None:
        return []
    own = [condition.field] if condition.field else []
    return own + [found for part in condition.parts for found in _of_condition(part)]
