"""Map lines → Python source, forward direction. One function a block; into_fhir.py puts them together."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby

from gateway.fhir import definitions
from gateway.mapping import origins, paths, runtime, same_number, sent_fields
from gateway.mapping.context import IDENTIFIED
from gateway.mapping.datatypes import load as datatypes
from gateway.mapping.library import Library
from gateway.mapping.line_code import LineCode
from gateway.mapping.outline import Known, State
from gateway.mapping.source_code import SourceCode, Writer
from gateway.mapping.syntax import WHOLE, Block, Constant, Field, KeyValue, KeyWord, Line, Link
from gateway.mapping.target_code import TargetCode, constants_of, required, steps_of

WITHOUT_SOURCE = ("MessageHeader", "Provenance", "CareTeam")  # made though no field fills them


class BlockEmitter:
    """One block → one function `(g, near, context, scope, item) -> Entry | None`; None too where it made an element.

    `once`: all of the message is one resource; `parting`: what tells two of one number apart."""

    def __init__(
        self,
        block: Block,
        library: Library,
        writer: Writer,
        *,
        source: str,
        explain: bool,
        once: bool,
        parting: same_number.Parting | None,
        known: Known | None = None,
    ) -> None:
        self.block = block
        self.library = library
        self.writer = writer
        self.explain = explain
        self.once = once
        self.parting = parting
        self.sourced = [line for line in block.lines if line.into and line.sources and not line.link]
        self.constant = [line for line in block.lines if line.into and line.constant and not line.sources]
        self.source = SourceCode(writer, source, known)
        filled = [self._path(line) for line in (*self.sourced, *self.constant)]
        linked = [self._path(line) for line in block.lines if line.into and line.link]
        self.target = TargetCode(writer, filled, linked)
        self.code = LineCode(block, library, writer, self.source, self.target, explain=explain)

    def emit(self, name: str) -> None:
        write = self.writer
        write.lines.append(f"def {name}(g, near, context, scope, item):")
        self._begin()
        begun = len(write.lines)
        for segment, lines in groupby(self.sourced, self._optional):
            if segment and self.source.known is None:
                write.add(f"if {segment} is not {self.source.blanks[segment]}:")
                write.depth += 1
            for line in lines:
                self.code.add(line)
            write.depth = 1
        if self.block.element:  # it may say only what else of the message belongs there
            self._links()
        if self.sourced and self.block.type not in WITHOUT_SOURCE:
            write.add("if not r:" if self.block.element else "if len(r) == 1:")
            write.add("    return None")
        for line in self.constant:
            self._constant(line, line.constant or Constant(text=""))
        if not self.block.element:
            self._links()
        if self.source.source == "segments":
            self._sent()
        self._end()
        if self.source.known is not None:
            write.lines[1:begun] = _used(write.lines[1:begun], "\n".join(write.lines[begun:]))

    def _links(self) -> None:
        for line in self.block.lines:
            if line.into and line.link is not None and not line.link.every:
                self._link(line, line.link)

    def _sent(self) -> None:
        """Fields that say more than the lines took of them (sent_fields.py)."""
        for each in sent_fields.divided(self.library, self.block):
            raw = self.source.raw(each.field)
            others = [self.source.raw(field) for field in each.before]
            plain = self.source.state(each.field) is State.PLAIN and not each.always and not others
            if plain or self.source.state(each.field) is State.EMPTY:
                continue
            more = raw if each.always else f"'~' in {raw}"
            if others:
                told = " or ".join(f"({raw} != {other} and {other})" for other in others)
                more = f"{raw} and ({told} or {more})"
            self.writer.add(f"if {more}:")
            call = self.writer.object(sent_fields.keep)
            parts = self.writer.object(
                each.parts if self.source.known is None else each.with_facts(self.source.known.facts)
            )
            self.writer.add(f"    {call}(r, {each.name!r}, {raw}, {parts}, context)")

    def _begin(self) -> None:
        write = self.writer
        if self.source.source == "segments":
            self.source.begin(self.block, explain=self.explain)
        if self.block.condition and (asked := self.source.condition(self.block.condition)) != "True":
            write.add(f"if not ({asked}):")
            write.add("    return None")
        if self.block.element:
            write.add(f"owner = scope.get({self.block.type!r})")
            write.add("if owner is None:")
            write.add("    return None")
            write.add("r = {}")
        else:
            write.add(f"r = {{'resourceType': {self.block.type!r}}}")
        write.add("deletes = []")
        pairs = [self.library.pair(line, self._path(line)) for line in self.sourced]
        if any(each.coded or each.alone for each in pairs):
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
        if self.block.found:
            write.add("return context.found(r)")
            return
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
        options = {
            "once": str(self.once),
            "key": self._key(),
            "spare": str(self.block.spare),
            "reopen": reopen,
            "parting": write.object(self.parting) if self.parting else "''",
        }
        if any("deletes.append" in line for line in write.lines):
            options["deletes"] = "deletes"
        given = {name: value for name, value in options.items() if value not in ("False", "''")}
        write.add(f"{'context.whole = ' if whole else ''}made = {self._made(given)}")
        write.add("return made")

    def _made(self, given: dict[str, str]) -> str:
        """The call that registers the resource."""
        if given.keys() == {"key"} and self.block.type in IDENTIFIED:  # nearly all results
            return f"context.keyed(r, {self.block.type!r}, {given['key']})"
        return f"context.make(r{''.join(f', {name}={value}' for name, value in given.items())})"

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

    # ------------------------------------------------------------------------------- constants and links

    def _constant(self, line: Line, constant: Constant) -> None:
        write = self.writer
        path = self._path(line)
        value = paths.value_of(path.text, constant, line, self.library.systems)
        guard = [self.source.condition(line.condition)] if line.condition else []
        if "False" in guard:
            return
        if valueless := self.target.valueless(path):  # why it has no value
            guard.append(valueless)
        elif not path.leaf.many:
            guard.append(self.target.unset(path))
        guard += self.target.alone(path)
        depth = write.depth
        if guard := [each for each in guard if each != "True"]:
            write.add(f"if {' and '.join(guard)}:")
            write.depth += 1
        if not constant.text:  # `= ""`: what the event says is no longer so
            write.add(f"deletes.append({paths.removed_by(path)!r})")
            write.depth = depth
            return
        name = write.name("c")
        write.add(f"{name} = {self.target.constant(path.text, value[0] if path.leaf.many else value)}")
        self.target.set(path, name)
        self.code.trace(line, path, "(ABSENT, 0)")
        write.depth = depth

    def _link(self, line: Line, link: Link) -> None:
        write = self.writer
        path = self._path(line)
        guard = [self.source.condition(line.condition)] if line.condition else []
        guard += self.target.alone(path)
        if "False" in guard:
            return
        steps = write.object(steps_of(path))
        constants = constants_of(path)
        write.add(f"e = scope.get({link.type!r})")
        write.add(f"if {' and '.join(('e is not None', *(each for each in guard if each != 'True')))}:")
        if link.element and line.codes:
            table = self.library.codes[line.codes]
            named = f"{write.object(table.into)}, {table.system!r}"
            write.add(f"    by_one(r, {path.leaf.name!r}, e.resource.get({link.element!r}), {named})")
            return
        if link.element:
            write.add(f"    followed(r, {path.leaf.name!r}, e, {link.element!r})")
            self.target.touched.add(path.elements[0].name)
            return
        if self.block.element and path.leaf.name == "reference" and len(path.elements) == 1:
            write.add(f"    r.update(reference_{'shown' if link.type in runtime.SHOWN else 'to'}(e))")
        elif path.leaf.name == "reference" and path.leaf.type == "string":
            write.add(f"    refer(r, {steps}, e)")
        elif constants is not None:
            write.add(f"    link_each(r, {steps}, [e], {write.object(constants)})")
        elif len(path.elements) == 1:  # nearly always, and nearly always the first
            name = path.leaf.name
            reference = "reference_shown(e)" if link.type in runtime.SHOWN else "{'reference': e.full_url}"
            if self.target.fresh(name):
                write.add(f"    r[{name!r}] = {f'[{reference}]' if path.leaf.many else reference}")
                self.target.touched.add(name)
                return
            write.add(f"    if {name!r} not in r:")
            write.add(f"        r[{name!r}] = {f'[{reference}]' if path.leaf.many else reference}")
            if path.leaf.many:
                write.add("    else:")
                write.add(f"        link(r, {steps}, [e])")
        else:
            write.add(f"    link(r, {steps}, [e])")
        self.target.touched.add(path.elements[0].name)

    def _key(self) -> str:
        """An expression for the key of a resource without identifiers of its own."""
        if not self.block.key:
            return "''"
        parts = []
        for part in self.block.key:
            if isinstance(part, KeyValue):
                pair = self.writer.object(datatypes()[part.datatype].into)
                parts.append(f"({pair}({self._key_text(part.field)}, context) or '')")
            elif isinstance(part, KeyWord):
                parts.append(self.writer.literal(part.text))
            else:
                if coded := self._key_of_code(part):
                    parts.append(coded)
                    continue
                found = [self._key_part(each) for each in part]
                said = next((index for index, each in enumerate(found) if each == "'there'"), len(found))
                parts.append(f"({' or '.join(found[: said + 1])})")
        if self.block.spare:
            content = (
                f", {self.source.there(self.block.segments[-1])}"
                if self.once and self.source.source == "segments"
                else ""
            )
            return f"context.spare({self.block.type!r}, ({', '.join(parts)},){content})"
        return "context.ordinal('/'.join((context.facility, " + ", ".join(parts) + ")))"

    def _key_of_code(self, part: tuple[Link | Field, ...]) -> str:
        """An expression for a part that is read from one coded field alone: worked out once for each text of it."""
        fields = [each for each in part if isinstance(each, Field) and each.number and not each.repeats]
        places = {(each.segment, each.number) for each in fields}
        coded = {
            (each.segment, each.number)
            for line in self.sourced
            if self.library.pair(line, self._path(line)).coded
            for each in line.sources
        }
        if len(fields) < len(part) or len(places) != 1 or not places <= coded or self.source.source != "segments":
            return ""
        if self.source.state(fields[0]) is State.EMPTY:
            return "''"
        raw = self.source.raw(replace(fields[0], component=0, subcomponent=0))
        known = self.writer.object(runtime.KeyTexts(tuple((each.component, each.subcomponent) for each in fields)))
        return f"{known}[{raw}]"

    def _key_part(self, found: Link | Field) -> str:
        if isinstance(found, Link):
            return f"(scope[{found.type!r}].key if {found.type!r} in scope else '')"
        if self.source.state(found) is State.EMPTY:
            return "''"
        text = self._key_text(found)
        said = "said" if self.source.source == "segments" else "cell_said"
        return text if text == "'there'" else f"{said}({text})"

    def _key_text(self, found: Field) -> str:
        raw = self.source.raw(found)
        if found.number and not found.repeats:  # '*' takes the whole field
            raw = self.source.part(raw, found, composite=False) if found.component else f"first({raw})"
        return "'there'" if raw == "first('there')" else raw


def _used(begin: list[str], rest: str) -> list[str]:
    """The lines of a beginning without the names that nothing reads."""
    found = ((line, re.match(r"    (\w+) = ", line)) for line in begin)
    named = [(line, match[1] if match and match[1] != "r" else "") for line, match in found]
    texts = "\n".join([line for line, name in named if not name] + [rest])
    return [line for line, name in named if not name or re.search(rf"\b{name}\b", texts)]
