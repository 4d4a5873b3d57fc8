"""The lines of a block that read fields → Python source: each reads, converts, and puts the answer at its place."""

from __future__ import annotations

from gateway.fhir import definitions
from gateway.mapping import origins, paths, wording
from gateway.mapping.codetables import BUILT
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes import load as datatypes
from gateway.mapping.forms import Form
from gateway.mapping.library import Library
from gateway.mapping.outline import State
from gateway.mapping.source_code import SIMPLE, SourceCode, Writer, chain_of, field_of, place_of
from gateway.mapping.syntax import Block, Field, Line
from gateway.mapping.target_code import TargetCode

BREAK = "\\.br\\"
READ_CLOSELY = frozenset({  # a cell that is none of these is told: nothing is left out in silence
    "date", "dateTime", "instant", "time", "Quantity", "decimal", "integer", "positiveInt", "unsignedInt",
})  # fmt: skip
DERIVED = ("birth",)  # what a cell may tell beside its own meaning
TEXTS = ("string", "markdown")


class LineCode:
    """Code for the sourced lines of one block."""

    def __init__(
        self, block: Block, library: Library, writer: Writer, source: SourceCode, target: TargetCode, *, explain: bool
    ) -> None:
        self.block = block
        self.library = library
        self.writer = writer
        self.source = source
        self.target = target
        self.explain = explain

    def add(self, line: Line) -> None:
        """One line; nothing where it is known to be idle."""
        write = self.writer
        path = paths.resolve(self.block.path, line, self.library.systems)
        pair = self.library.pair(line, path)
        guard = [self.source.condition(line.condition)] if line.condition else []
        guard += self.target.free(path)
        if self._idle(line) or "False" in guard:
            return
        depth = write.depth
        if guard := [each for each in guard if each != "True"]:
            write.add(f"if {' and '.join(guard)}:")
            write.depth += 1
        if line.sources[0].every:
            self._every(line, path, pair)
        else:
            self._single(line, path, pair)
        write.depth = depth

    def _idle(self, line: Line) -> bool:
        """Is there nothing that it could read?"""
        first, known = line.sources[0], self.source.known
        if first.every:
            return known is not None and first.segment not in known.names
        return all(self.source.state(each) is State.EMPTY for each in line.sources)

    def _single(self, line: Line, path: paths.Path, pair: Pair) -> None:
        """One field, or the first valued one of several; `*` takes each repetition."""
        write = self.writer
        composite = line.datatype not in SIMPLE
        sources = [each for each in line.sources if self.source.state(each) is not State.EMPTY]
        value = write.name("f")
        apart = len(line.sources) == 1 or not any(each.component for each in line.sources)
        whole = pair.whole and line.sources[0].component
        if len(sources) == 1 and self.source.state(sources[0]) is State.PLAIN and apart and not whole:
            self._plain(line, path, pair, sources[0], value)
            return
        raws = [self._read(each, self.source.raw(each), pair, composite=composite) for each in sources]
        if len(raws) == 1:  # most fields are empty: nothing else is done with those
            write.add(f"{value} = {self.source.raw(sources[0])}")
            write.add(f"if {value}:")
            write.depth += 1
            read = self._read(sources[0], value, pair, composite=composite)
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
        where = "" if not self.explain else _where(line, raws)
        found = line.sources[0]
        if found.repeats and not pair.whole:
            self._repetitions(line, path, pair, value, where=where, composite=composite)
        else:
            self._convert(line, path, pair, value, where=where)
        write.depth -= 2

    def _plain(self, line: Line, path: paths.Path, pair: Pair, found: Field, value: str) -> None:
        """The same for a field that is known to be valued, not to repeat and not to be null."""
        write = self.writer
        if pair.repeated:
            return
        read = self.source.part(self.source.raw(found), found, composite=line.datatype not in SIMPLE)
        write.add(f"{value} = {read}")
        if found.component:
            write.add(f"if {value}:")
            write.depth += 1
        self._convert(line, path, pair, value, where="")
        write.depth -= bool(found.component)

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
        self.target.looping = True
        if found.component:
            write.add(f"x = {self.source.part('x', found, composite=composite)}")
        write.add("if not x or x == NULL:")
        write.add("    continue")
        self._convert(line, path, pair, "x", where=where, adds=_stands_once(path))
        write.depth -= 1
        self.target.looping = False

    def _every(self, line: Line, path: paths.Path, pair: Pair) -> None:
        """`NTE[]-3`, `OBX[OBX-3.1 in (…)]-5`: each such segment. With a filter: here and in the groups below; without:
        those of this group, so that a result's note stays its own."""
        write = self.writer
        found = line.sources[0]
        every = f"chosen(g, {found.segment!r})" if found.where else f"g.segments.get({found.segment!r}, ())"
        write.add(f"for s in {every}:")
        write.depth += 1
        self.target.looping = True
        if found.where:
            write.add(f"if not ({self.source.condition(found.where, 's')}):")
            write.add("    continue")
        raw = field_of("s", found.number)
        if line.datatype == "text" or (not line.datatype and path.leaf.type in TEXTS):
            raw = f"{raw}.replace('~', {BREAK!r})" if not found.repeats else raw  # its repetitions are lines of it
        if found.repeats:
            write.add(f"for x in {raw}.replace({BREAK!r}, '~').split('~'):")  # a line is written as a repetition is
            write.depth += 1
            raw = "x"
        raw = raw if pair.whole or line.datatype in SIMPLE else self.source.one(raw, found)
        value = write.name("f")
        write.add(f"{value} = {self.source.part(raw, found, composite=line.datatype not in SIMPLE)}")
        write.add(f"if {value} and {value} != NULL:")
        write.depth += 1
        once = _stands_once(path)
        if once and path.leaf.type not in TEXTS:
            write.add(f"if {self.target.unset(path)}:")
            write.depth += 1
        self._convert(line, path, pair, value, where=f"(s, {found.number})", own=found.segment, adds=once)
        self.target.looping = False

    def _convert(
        self, line: Line, path: paths.Path, pair: Pair, value: str, *, where: str, own: str = "", adds: bool = False
    ) -> None:
        """The call of the pair and what becomes of its answer. `own`: the segment whose fields stand in `s`; `adds`:
        a text becomes a further line of what stands there."""
        write = self.writer
        made = write.name("v")
        fields, constants = line.arguments[: pair.fields], line.arguments[pair.fields :]
        if pair.alone and all(self.source.state(each) is State.EMPTY for each in fields):
            pair, fields = datatypes()[pair.alone], ()
        given = [
            field_of("s", each.number) if own and each.segment == own else self.source.raw(each) for each in fields
        ]
        words = [] if line.datatype in BUILT else [write.object(each.name) for each in constants]
        keeps = wording.applies(line, path, pair, self.block)
        plain = pair
        if keeps and path.leaf.type in wording.COMPLEX:
            pair = wording.worded(pair, path)
        rivals = origins.rivals_of(self.library, self.block, line, path)
        placed = rivals if len(path.elements) == 1 else ()
        placed = self._call(line, path, pair, made, [value, *given], words, placed)
        said = (
            f" and not repeated({made}, r, {path.elements[0].name!r}, {path.leaf.name!r})" if _once(line, path) else ""
        )
        write.add(f"if {made} is not None{said}:")
        write.depth += 1
        if pair.coded and path.leaf.slice:
            write.add(f"{made} = dict({made})")
        place, told = self._place(line, path, rivals, value if pair.coded and not given else "")
        if placed:
            write.add(f"{made} = {place}placed({made}, {told})")
        holder = self._set(line, path, pair, value, made, adds=adds and path.leaf.type in TEXTS)
        if rivals and len(path.elements) > 1:
            element = "r['extension'][-1]" if origins.nested(path) else holder
            write.add(f"{place}place({element}, {told})")
        self.trace(line, path, where)
        if keeps and plain is pair and pair.coded and not words and not given:
            self._beside(path, pair, value, made, holder)
        elif keeps and plain is pair:
            spare = f"({', '.join(words)},)" if words else "()"
            write.add(f"if {made} != {value} or '^' in {value}:")
            write.add(f"    {made} = kept({value}, {made}, {write.object(plain)}, context, {spare})")
            write.add(f"    if {made} is not None:")
            write.add(f"        {holder}[{f'_{path.leaf.name}'!r}] = {made}")
        write.depth -= 1
        if self.source.source != "segments":
            self._cell(line, path, value)
        if pair.several:
            self.target.looping = False
            write.depth -= 1

    def _set(self, line: Line, path: paths.Path, pair: Pair, value: str, made: str, *, adds: bool) -> str:
        """Puts the answer at its place, with the code of the cell where it is written otherwise (wording.py); the name
        of what holds it."""
        write = self.writer
        if not wording.keeps_cell(line, path, pair):
            return self.target.set(path, made, adds=adds)
        table = f"context.memory[{wording.BESIDE - pair.slot}]"
        write.add(f"beside = {write.object(wording.of_cell)}({table}, {value}, {made}, {write.object(pair)}, context)")
        if path.leaf.type != "code":
            write.add("if beside is not None:")
            write.add(f"    {made} = {{**{made}, 'extension': [beside]}}")
            return self.target.set(path, made)
        holder = self.target.set(path, made)
        write.add("if beside is not None:")
        write.add(f"    {holder}[{f'_{path.leaf.name}'!r}] = {{'extension': [beside]}}")
        return holder

    def _call(
        self, line: Line, path: paths.Path, pair: Pair, made: str, given: list[str], words: list[str],
        placed: tuple[origins.Rival, ...],
    ) -> tuple[origins.Rival, ...]:  # fmt: skip
        """The call of the pair; what is left to be placed of its answer."""
        write = self.writer
        called = f"{write.object(pair.into)}({', '.join((*given, 'context', *words))})"
        if pair.words and not self.explain:
            value, *more = given
            names = tuple(each.name for each in line.arguments[pair.fields :])
            form = Form(f"{line.place} {pair.slot}", pair, names, placed, origins.name_of(line), path.elements[0].slice)
            write.add(f"{made} = {write.object(form)}({value}, ({''.join(f'{each}, ' for each in more)}), context)")
            return ()
        if pair.coded and not words:
            self._remembered(path, pair, made, given)
        elif pair.several:
            self.target.looping = True
            write.add(f"for {made} in {called}:")
            write.depth += 1
        else:
            write.add(f"{made} = {called}")
        return placed

    def _cell(self, line: Line, path: paths.Path, value: str) -> None:
        """What a cell is told for, in its column: of several columns that a line reads, the first that is valued."""
        write, names = self.writer, [repr(each.name) for each in line.sources]
        raws = [self.source.raw(each) for each in line.sources]
        column = "".join(f"{name} if {raw} else " for name, raw in zip(names[:-1], raws, strict=False)) + names[-1]
        if path.leaf.type in READ_CLOSELY and line.datatype not in DERIVED:
            write.add("else:")
            write.add(f"    context.unread.unreadable({column}, {value}, {path.leaf.type!r})")
        write.add("if context.unread.doubts:")
        write.add(f"    context.unread.doubted({column}, {value})")

    def _beside(self, path: paths.Path, pair: Pair, value: str, made: str, holder: str) -> None:
        """What stands beside a coded primitive (`_status`), by its raw text; a copy where a line adds to it."""
        write, table = self.writer, f"context.memory[{wording.BESIDE - pair.slot}]"
        write.add(f"if {made} != {value} or '^' in {value}:")
        write.add(f"    beside = {table}.get({value}, UNMADE)")
        write.add("    if beside is UNMADE:")
        write.add(f"        beside = kept_beside({table}, {value}, {made}, {write.object(pair)}, context)")
        write.add("    if beside is not None:")
        shared = "beside" if not self.target.extends(path) else "{'extension': [*beside['extension']]}"
        write.add(f"        {holder}[{f'_{path.leaf.name}'!r}] = {shared}")

    def _place(self, line: Line, path: paths.Path, rivals: tuple[origins.Rival, ...], raw: str) -> tuple[str, str]:
        """The beginning of a call that tells an element's own field, and its further arguments. `raw`: the coded text
        from which all of the element follows."""
        write, own, slice_ = self.writer, origins.name_of(line), path.elements[0].slice
        if raw and rivals and not self.explain:
            known = origins.Remembered(f"{line.place} {self.block.path}", rivals, own, slice_)
            return f"{write.object(known)}.", f"{raw}, context"
        return f"{write.object(origins)}.", f"{write.object(rivals)}, {own!r}, {write.object(slice_)}, context"

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

    def trace(self, line: Line, path: paths.Path, where: str) -> None:
        if self.explain:
            made = "owner.resource" if self.block.element else "r"
            text = self.writer.object(path.text)
            self.writer.add(f"trace(context, {made}, {text}, {where}, {self.writer.object(str(line.place))})")


def _once(line: Line, path: paths.Path) -> bool:
    """Does a line add texts to a list that others write? They are not said twice: what another field repeats of the
    list, as a written message has it, is no news."""
    outer = path.elements[0]
    into_list = len(path.elements) == 2 and outer.repeats and not outer.slice and not outer.name.startswith("_")
    return into_list and path.leaf.type in TEXTS and not path.leaf.many and not line.back and not line.sources[0].every


def _stands_once(path: paths.Path) -> bool:
    """Is the target one value, wherever it stands? Of several, texts become its lines."""
    return not path.leaf.many and not any(element.repeats for element in path.elements)


def _where(line: Line, raws: list[str]) -> str:
    """An expression for the one of its alternatives that a line took: `a if … else b if … else c`."""
    return " else ".join(place_of(each) + (f" if {raw}" if last else "") for each, raw, last in chain_of(line, raws))
