"""The code that writes texts into fields of the segments of a group: a part of the functions of written_code.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gateway.mapping.source_code import Writer
from gateway.mapping.syntax import Field
from gateway.mapping.written_lines import WrittenLine


class FieldCode:
    """Code for fields. `own`: the segments of the group, which are written directly; others are the pen's."""

    def __init__(self, writer: Writer, own: frozenset[str], about: str) -> None:
        self.writer = writer
        self.own = own
        self.about = about  # the segment that the block may have an occurrence of its own of
        self.segments: dict[str, tuple[str, int]] = {}  # name → (variable, how long it must be)

    def head(self) -> Iterator[str]:
        """The lines that find the segments."""
        for name, (variable, _) in self.segments.items():
            yield f"    {variable} = pen.here({name!r}, {variable}w)"

    def widths(self) -> dict[str, int]:
        """What `head` names."""
        return {f"{variable}w": width for variable, width in self.segments.values()}

    def again(self, line: WrittenLine) -> None:
        """What the pen may have made by now."""
        names = {each.segment for each in (*line.line.sources, *line.line.arguments)} & self.own
        for name in sorted(names):
            variable = self.segment(name, 0)
            self.writer.add(f"if {variable} is None:")
            self.writer.add(f"    {variable} = pen.here({name!r}, {variable}w)")

    def segment(self, name: str, number: int) -> str:
        """The variable of a segment of the group, which holds a field of this number."""
        variable, width = self.segments.get(name, (f"s{len(self.segments)}", 0))
        self.segments[name] = variable, max(width, number + 1 if number else 0)
        return variable

    def free(self, source: Field) -> str:
        """Is the one field of a line free?"""
        if source.segment in self.own:
            variable = self.segment(source.segment, source.number)
            return f"{variable} is None or not {variable}[{source.number}]"
        return f"not pen.full({self.writer.object(source)})"

    def put(self, line: WrittenLine, *, several: bool = False) -> None:
        """Writes the text `t`, and the texts `x` (of several values `xs`) into the fields of the arguments."""
        write = self.writer
        if line.line.constant and not line.line.constant.text:
            return
        self.put_text(line, "t")
        if not line.line.arguments or line.line.constant:
            return
        write.add("if x.__class__ is tuple:")
        write.depth += 1
        for index, argument in enumerate(line.line.arguments, 1):
            write.add(f"if len(x) > {index}:")
            write.depth += 1
            if several:
                write.add(f"a = next((each[{index}] for each in xs if each[{index}]), '')")
            else:
                write.add(f"a = x[{index}]")
            write.add("if a:")
            write.depth += 1
            self.field(argument, "a")
            write.depth -= 2
        write.depth -= 1

    def put_text(self, line: WrittenLine, text: str) -> None:
        write = self.writer
        first, *others = line.line.sources
        write.add(f"if {text}:")
        write.depth += 1
        if line.late:
            others = [first]
        else:
            self.field(first, text, single=line.single)
        for each in others:
            write.add(f"pen.later.append((pen, {write.object(replace(each, repeats=False))}, {text}))")
        write.depth -= 1

    def field(self, found: Field, text: str, *, single: bool = False) -> None:
        """Writes a text into a field; what an earlier line wrote stays, repetitions follow it."""
        write, number = self.writer, found.number
        if found.segment not in self.own:
            write.add(f"pen.set({write.object(found)}, {text})")
            return
        segment = self.segment(found.segment, number)
        write.add(f"if {segment} is None:")
        write.add(f"    {segment} = pen.made({found.segment!r}, {segment}w)")
        if found.component and found.repeats:
            write.add(f"{segment}[{number}] = with_components({segment}[{number}], {write.object(found)}, {text})")
        elif found.component:
            name = write.object(found)
            write.add(f"if not part_of({segment}, {name}):")
            write.add(f"    set_part({segment}, {name}, {text})")
        elif single:
            write.add(f"{segment}[{number}] = {text}")
        elif found.repeats:
            write.add(f"w = {segment}[{number}]")
            joined = f"f'{{w}}~{{{text}}}'"
            if found.segment != self.about:  # it stands around the block's own: the same is said once (pen.py)
                write.add(f"if w and pen.fresh is not None and set({text}.split('~')) <= set(w.split('~')):")
                write.add(f"    {segment}[{number}] = w")
                write.add("else:")
                write.add(f"    {segment}[{number}] = {joined} if w else {text}")
                return
            write.add(f"{segment}[{number}] = {joined} if w else {text}")
        else:
            write.add(f"w = {segment}[{number}]")
            write.add(f"{segment}[{number}] = completed(w, {text}) if w else {text}")
