"""Map lines → Python source, forward direction. One function a block; into_fhir.py puts them together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from gateway.fhir import definitions
from gateway.mapping import origins, paths, runtime, sent_fields, wording
from gateway.mapping.codetables import BUILT
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes import load as datatypes
from gateway.mapping.library import Library
from gateway.mapping.source_code import SIMPLE, SourceCode, Writer, chain_of, place_of
from gateway.mapping.syntax import WHOLE, Block, Constant, Field, KeyValue, Line, Link
from gateway.mapping.target_code import TargetCode, constants_of, required, steps_of

BREAK = "\\.br\\"
TEXTS = ("string", "markdown")
WITHOUT_SOURCE = ("MessageHeader", "Provenance", "CareTeam")  # made though no field fills them


class BlockEmitter:
    """One block → one function `(g, context, scope, item) -> Entry | None`; None too where it made an element."""

    def __init__(
        self,
        block: Block,
        library: Library,
        writer: Writer,
        *,
        source: str,
        explain: bool,
        once: bool,
        structure: str = "",
    ) -> None:
        block = replace(block, lines=tuple(_applying(block.lines, structure)))
        self.block = block
        self.library = library
        self.writer = writer
        self.explain = explain
        self.once = once or block.once
        self.sourced = [line for line in block.lines if line.into and line.sources and not line.link]
        self.constant = [line for line in block.lines if line.into and line.constant and not line.sources]
        self.source = SourceCode(writer, source)
        filled = [self._path(line) for line in (*self.sourced, *self.constant)]
        linked = [self._path(line) for line in block.lines if line.into and line.link]
        self.target = TargetCode(writer, filled, linked)

    def emit(self, name: str) -> None:
        write = self.writer
        write.lines.append(f"def {name}(g, near, context, scope, item):")
        self._begin()
        for segment, lines in groupby(self.sourced, self._optional):
            if segment:
                write.add(f"if {segment} is not {self.source.blanks[segment]}:")
                write.depth += 1
            for line in lines:
                self._line(line)
            write.depth = 1
        if self.sourced and self.block.type not in WITHOUT_SOURCE:
            write.add("if not r:" if self.block.element else "if len(r) == 1:")
            write.add("    return None")
        for line in self.constant:
            if line.constant:
                self._constant(line, line.constant)
        for line in self.block.lines:
            if line.into and line.link is not None and not line.link.every:
                self._link(line, line.link)
        if self.source.source == "segments":
            self._sent()
        self._end()

    def _sent(self) -> None:
        """Fields that say more than the lines took of them (sent_fields.py)."""
        for each in sent_fields.divided(self.library, self.block):
            raw = self.source.raw(each.field)
            others = [self.source.raw(field) for field in each.before]
            more = [raw] if each.composed else [f"'~' in {raw}"]
            if others:
                more = [raw, *(f"{other} and {raw} != {other}" for other in others)]
            self.writer.add(f"if {' and '.join(more)}:")
            call = self.writer.object(sent_fields.keep)
            self.writer.add(f"    {call}(r, {each.name!r}, {raw}, {self.writer.object(each.parts)}, context)")

    def _begin(self) -> None:
        write = self.writer
        if self.source.source == "segments":
            self.source.begin(self.block, explain=self.explain)
        if self.block.condition:
            write.add(f"if not ({self.source.condition(self.block.condition)}):")
            write.add("    return None")
        if self.block.element:
            write.add(f"owner = scope.get({self.block.type!r})")
            write.add("if owner is None:")
            write.add("    return None")
            write.add("r = {}")
        else:
            write.add(f"r = {{'resourceType': {self.block.type!r}}}")
        write.add("deletes = []")
        if any(self.library.pair(line, self._path(line)).coded for line in self.sourced):
            write.add("memory = context.memory")
        self.target.begin()

    def _optional(self, line: Line) -> str:
        """The segment whose absence makes a line idle, where the block runs without it too; neighbours are skipped
        together."""
        names = {each.segment for each in line.sources}
        mine = self.block.segments[0] if len(self.block.segments) == 1 else ""
        found = names.pop() if len(names) == 1 and not line.sources[0].every else ""
        return found if found != mine else ""

    def _end(self) -> None:
        write = self.writer
        inside = definitions.resolve(self.block.path).inside if self.block.element else self.block.type
        exact, stems = required(inside)
        if self.block.element:
            for name, constant, _ in paths.list_of(self.block, self.library.systems).slice:
                write.add(f"r.setdefault({name!r}, {write.literal(constant)})")
        exact = tuple(name for name in exact if name not in self._later())
        for steps in self.target.ratios:
            write.add(f"halves_left_out(r, {write.object(steps)}, context)")
        whole = any(line.link and line.link.type == WHOLE for line in self.block.lines)
        if whole:  # it is completed when all has been made
            exact, stems = (), ()
        if exact or stems:
            named = f"{write.object(exact)}, {write.object(stems)}, {self.block.path!r}"
            there = " and ".join(f"{name!r} in r" for name in exact) if not stems else "False"
            write.add(f"if not ({there}) and not complete(r, {named}, context):")
            write.add("    return None")
        if self.block.element:
            write.add("if not r:")
            write.add("    return None")
            if rivals := origins.rivals_of_element(self.library, self.block):
                own = origins.own_of(self.library, self.block)
                write.add(f"{write.object(origins.place)}(r, {write.object(rivals)}, {own!r}, (), context)")
            write.add(f"owner.resource.setdefault({self.block.element.name!r}, []).append(r)")
            write.add("return None")
            return
        reopen = self.source.condition(self.block.reopen) if self.block.reopen else "False"
        options = f"once={self.once}, key={self._key()}, spare={self.block.spare}, deletes=deletes, reopen={reopen}"
        write.add(f"{'context.whole = ' if whole else ''}made = context.make(r, {options})")
        write.add("return made")

    def _later(self) -> set[str]:
        """Elements that are filled when all is made: by links to everything, by blocks that make elements."""
        links = {line.target[0].name for line in self.block.lines if line.into and line.link and line.link.every}
        elements = {
            block.element.name
            for block in self.library.blocks
            if block.element and block.type == self.block.type and not self.block.element
        }
        return links | elements

    def _path(self, line: Line) -> paths.Path:
        return paths.resolve(self.block.path, line, self.library.systems)

    # --------------------------------------------------------------------------------------------- lines

    def _line(self, line: Line) -> None:
        write = self.writer
        depth = write.depth
        path = self._path(line)
        pair = self.library.pair(line, path)
        guard = [self.source.condition(line.condition)] if line.condition else []
        guard += self.target.free(path)
        if guard:
            write.add(f"if {' and '.join(guard)}:")
            write.depth += 1
        if line.sources[0].every:
            self._every(line, path, pair)
        else:
            self._single(line, path, pair)
        write.depth = depth

    def _single(self, line: Line, path: paths.Path, pair: Pair) -> None:
        """One field, or the first valued one of several; `*` takes each repetition."""
        write = self.writer
        composite = line.datatype not in SIMPLE
        raws = [self._read(each, self.source.raw(each), pair, composite=composite) for each in line.sources]
        value = write.name("f")
        if len(raws) == 1:  # most fields are empty: nothing else is done with those
            write.add(f"{value} = {self.source.raw(line.sources[0])}")
            write.add(f"if {value}:")
            write.depth += 1
            read = self._read(line.sources[0], value, pair, composite=composite)
            if read == f"({value}.partition('~')[0] if '~' in {value} else {value})":
                write.add(f"if '~' in {value}:")
                write.add(f"    {value} = {value}.partition('~')[0]")
            elif read != value:
                write.add(f"{value} = {read}")
        else:
            write.add(f"{value} = {' or '.join(raws)}")
            write.add(f"if {value}:")
            write.depth += 1
        write.add(f"if {value} == NULL:")
        emptied = "" if self.block.element else path.emptied
        write.add(f"    deletes.append({emptied!r})" if emptied else "    pass")
        write.add(f"elif {value}:")
        write.depth += 1
        where = " else ".join(
            place_of(each) + (f" if {raw}" if last else "") for each, raw, last in chain_of(line, raws)
        )
        found = line.sources[0]
        if found.repeats and not pair.whole:
            self._repetitions(line, path, pair, value, where=where, composite=composite)
        else:
            self._convert(line, path, pair, value, where=where)
        write.depth -= 2

    def _read(self, found: Field, raw: str, pair: Pair, *, composite: bool) -> str:
        """An expression for what a line takes of a field: one repetition, one component."""
        inner = raw if found.repeats or pair.whole else self.source.one(raw, found)
        return inner if found.repeats and found.component else self.source.part(inner, found, composite=composite)

    def _repetitions(
        self, line: Line, path: paths.Path, pair: Pair, value: str, *, where: str, composite: bool
    ) -> None:
        write = self.writer
        found = line.sources[0]
        write.add(f"for x in {value}.split({'~' if found.segment else ';'!r}):")
        write.depth += 1
        if found.component:
            write.add(f"x = {self.source.part('x', found, composite=composite)}")
        write.add("if not x or x == NULL:")
        write.add("    continue")
        self._convert(line, path, pair, "x", where=where)
        write.depth -= 1

    def _every(self, line: Line, path: paths.Path, pair: Pair) -> None:
        """`NTE[]-3`, `OBX[OBX-3.1 in (…)]-5`: each such segment. With a filter: here and in the groups below; without:
        those of this group, so that a result's note stays its own."""
        write = self.writer
        found = line.sources[0]
        every = f"chosen(g, {found.segment!r})" if found.where else f"g.segments.get({found.segment!r}, ())"
        write.add(f"for s in {every}:")
        write.depth += 1
        if found.where:
            write.add(f"if not ({self.source.condition(found.where, 's')}):")
            write.add("    continue")
        raw = f"field(s, {found.number})"
        if found.repeats:
            write.add(f"for x in {raw}.replace({BREAK!r}, '~').split('~'):")  # a line is written as a repetition is
            write.depth += 1
            raw = "x"
        raw = raw if pair.whole or line.datatype in SIMPLE else self.source.one(raw, found)
        value = write.name("f")
        write.add(f"{value} = {self.source.part(raw, found, composite=line.datatype not in SIMPLE)}")
        write.add(f"if {value} and {value} != NULL:")
        write.depth += 1
        once = not path.leaf.many and not any(element.repeats for element in path.elements)
        if once and path.leaf.type not in TEXTS:
            write.add(f"if {self.target.unset(path)}:")
            write.depth += 1
        self._convert(line, path, pair, value, where=f"(s, {found.number})", own=found.segment, adds=once)

    def _convert(
        self, line: Line, path: paths.Path, pair: Pair, value: str, *, where: str, own: str = "", adds: bool = False
    ) -> None:
        """The call of the pair and what becomes of its answer. `own`: the segment whose fields stand in `s`; `adds`:
        a text becomes a further line of what stands there."""
        write = self.writer
        made = write.name("v")
        given = [
            f"field(s, {each.number})" if own and each.segment == own else self.source.raw(each)
            for each in line.arguments[: pair.fields]
        ]
        words = [] if line.datatype in BUILT else [write.object(each.name) for each in line.arguments[pair.fields :]]
        keeps = wording.applies(line, path, pair, self.block)
        plain = pair
        if keeps and path.leaf.type in wording.COMPLEX:
            pair = wording.worded(pair, path)
        if pair.coded and not words:
            self._remembered(path, pair, made, [value, *given])
        else:
            write.add(f"{made} = {write.object(pair.into)}({', '.join((value, *given, 'context', *words))})")
        write.add(f"if {made} is not None:")
        write.depth += 1
        if pair.coded and path.leaf.slice:
            write.add(f"{made} = dict({made})")
        rivals = origins.rivals_of(self.library, self.block, line, path)
        told = f"{write.object(rivals)}, {origins.name_of(line)!r}, {write.object(path.elements[0].slice)}, context"
        if rivals and len(path.elements) == 1:
            write.add(f"{made} = {write.object(origins.placed)}({made}, {told})")
        holder = self.target.set(path, made, adds=adds and path.leaf.type in TEXTS)
        if rivals and len(path.elements) > 1:
            element = "r['extension'][-1]" if origins.nested(path) else holder
            write.add(f"{write.object(origins.place)}({element}, {told})")
        self._trace(line, path, where)
        if keeps and plain is pair:
            spare = f"({', '.join(words)},)" if words else "()"
            write.add(f"if {made} != {value}:")
            write.add(f"    {made} = kept({value}, {made}, {write.object(plain)}, context, {spare})")
            write.add(f"    if {made} is not None:")
            write.add(f"        {holder}[{f'_{path.leaf.name}'!r}] = {made}")
        write.depth -= 1

    def _remembered(self, path: paths.Path, pair: Pair, made: str, given: list[str]) -> None:
        """A coded field: looked up by its raw text, made only once (memory.py)."""
        write = self.writer
        into = write.object(pair.into)
        table = f"memory[{pair.slot}]"
        if pair.makes:
            write.add(f"{made} = referred({table}, {given[0]}, {into}, context)")
            return
        inside = write.object(definitions.resolve(path.text).inside)
        key = given[0] if len(given) == 1 else f"({', '.join(given)})"
        write.add(f"{made} = {table}.get({key}, UNMADE)")
        write.add(f"if {made} is UNMADE:")
        write.add(f"    {made} = learned({table}, {key}, {into}, {inside}, context)")

    def _trace(self, line: Line, path: paths.Path, where: str) -> None:
        if self.explain:
            made = "owner.resource" if self.block.element else "r"
            text = self.writer.object(path.text)
            self.writer.add(f"trace(context, {made}, {text}, {where}, {self.writer.object(str(line.place))})")

    # ------------------------------------------------------------------------------- constants and links

    def _constant(self, line: Line, constant: Constant) -> None:
        write = self.writer
        path = self._path(line)
        value = paths.value_of(path.text, constant, line, self.library.systems)
        guard = [self.source.condition(line.condition)] if line.condition else []
        if valueless := self.target.valueless(path):  # why it has no value
            guard.append(valueless)
        elif not path.leaf.many:
            guard.append(self.target.unset(path))
        guard += self.target.alone(path)
        write.add(f"if {' and '.join(guard) or 'True'}:")
        write.depth += 1
        if not constant.text:  # `= ""`: what the event says is no longer so
            write.add(f"deletes.append({path.emptied!r})")
            write.depth -= 1
            return
        name = write.name("c")
        write.add(f"{name} = {self.target.constant(path.text, value[0] if path.leaf.many else value)}")
        self.target.set(path, name)
        self._trace(line, path, "(ABSENT, 0)")
        write.depth -= 1

    def _link(self, line: Line, link: Link) -> None:
        write = self.writer
        path = self._path(line)
        steps = write.object(steps_of(path))
        constants = constants_of(path)
        write.add(f"e = scope.get({link.type!r})")
        guard = [self.source.condition(line.condition)] if line.condition else []
        write.add(f"if {' and '.join(('e is not None', *guard, *self.target.alone(path)))}:")
        if self.block.element and path.leaf.name == "reference" and len(path.elements) == 1:
            write.add(f"    r.update(reference_{'shown' if link.type in runtime.SHOWN else 'to'}(e))")
        elif constants is not None:
            write.add(f"    link_each(r, {steps}, [e], {write.object(constants)})")
        elif len(path.elements) == 1:  # nearly always, and nearly always the first
            name, reference = path.leaf.name, f"reference_{'shown' if link.type in runtime.SHOWN else 'to'}(e)"
            write.add(f"    if {name!r} not in r:")
            write.add(f"        r[{name!r}] = {f'[{reference}]' if path.leaf.many else reference}")
            if path.leaf.many:
                write.add("    else:")
                write.add(f"        link(r, {steps}, [e])")
        else:
            write.add(f"    link(r, {steps}, [e])")

    def _key(self) -> str:
        """An expression for the key of a resource without identifiers of its own."""
        if not self.block.key:
            return "''"
        parts = []
        for part in self.block.key:
            if isinstance(part, KeyValue):
                pair = self.writer.object(datatypes()[part.datatype].into)
                parts.append(f"({pair}({self._key_text(part.field)}, context) or '')")
            else:
                parts.append(f"({' or '.join(map(self._key_part, part))})")
        if self.block.spare:
            content = f", {self.block.segments[-1]}" if self.once and self.source.source == "segments" else ""
            return f"context.spare({self.block.type!r}, ({', '.join(parts)},){content})"
        return "context.ordinal('/'.join((context.facility, " + ", ".join(parts) + ")))"

    def _key_part(self, found: Link | Field) -> str:
        if isinstance(found, Link):
            return f"(scope[{found.type!r}].key if {found.type!r} in scope else '')"
        return f"said({self._key_text(found)})"

    def _key_text(self, found: Field) -> str:
        raw = self.source.raw(found)
        if found.number and not found.repeats:  # '*' takes the whole field
            raw = self.source.part(raw, found, composite=False) if found.component else f"first({raw})"
        return raw


def _applying(lines: tuple[Line, ...], structure: str) -> Iterator[Line]:
    """The lines that can apply in this structure, without the conditions that always hold there."""
    for line in lines:
        applies = runtime.settled(line.condition, structure) if line.condition else None
        if applies is not False:
            yield replace(line, condition=None) if applies else line
