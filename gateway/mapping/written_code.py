"""The lines of a block → Python source that writes resources of one shape: those that have these elements.

What it writes is what the lines write one by one (pen.py); it is compiled for shapes that are often met
(written_plans.py). Fields of segments of the block's own group are written directly; claims (written_lines.py) are made
only where another line, or a block that writes elements, asks for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.fhir import definitions, json
from gateway.mapping import wording
from gateway.mapping.datatypes.values import hinted
from gateway.mapping.graph import values_at
from gateway.mapping.segments import completed, part_of, set_part, with_components
from gateway.mapping.source_code import SIMPLE, Writer
from gateway.mapping.written_fields import FieldCode
from gateway.mapping.written_lines import WrittenLine, texts
from gateway.mapping.written_shapes import Marks, Places
from gateway.mapping.written_together import SLOT, Together, is_fixed, key_of, width
from gateway.model import Resource

if TYPE_CHECKING:
    from gateway.mapping.pen import Pen

Function = Callable[["Pen", Resource], None]


def compiled(
    lines: Sequence[WrittenLine],
    keys: Iterable[str],
    *,
    own: frozenset[str],
    about: str,
    elements: frozenset[str],
    places: Mapping[int, Places],
    marks: Marks,
    kept: bool,
) -> Function:
    """A function that writes a resource with these keys. `own`: the segments of the group that may be written there;
    `about`: the one that the block is about; `elements`: the lists whose elements other blocks write; `places`: slot of
    a line → the elements of its list that it is about; `marks`: the fields that elements tell; `kept`: the resource
    keeps whole fields (sent_fields.py)."""
    code = BlockCode(lines, frozenset(keys), places, marks, own=own, about=about, elements=elements)
    code.together([line for line in lines if code.is_fixed(line)])
    for line in lines:
        code.add(line)
    return code.function(kept=kept)


class BlockCode:
    """The function of one block for one shape."""

    def __init__(
        self,
        lines: Sequence[WrittenLine],
        keys: frozenset[str],
        places: Mapping[int, Places],
        marks: Marks,
        *,
        own: frozenset[str],
        about: str,
        elements: frozenset[str],
    ) -> None:
        self.keys = keys
        self.places = places
        self.marks = marks
        self.writer = Writer(dict(_CALLED))
        self.fields = FieldCode(self.writer, own, about)
        self.sets: dict[str, str] = {}  # what is claimed → variable
        claims = Counter(line.claim for line in lines)
        entered = {around for line in lines for _, around, _ in line.entered}
        self.shared = {claim for claim, count in claims.items() if count > 1} | (claims.keys() & entered)
        self.shared |= elements | {_list_of(line) for line in lines if self._marked(line)}
        self.entered = claims.keys() | elements  # what is entered and asked for
        self.fixed: dict[int, list[str]] = {}  # slot of a line → the variables of its texts, which are known already

    def function(self, *, kept: bool) -> Function:
        """The compiled function of all lines that were added."""
        write = self.writer
        head = ["def write(pen, r):", "    context, graph, claims = pen.context, pen.graph, pen.claims"]
        head += ["    memory = context.memory"]
        head += [f"    {variable} = claims.of({claim!r})" for claim, variable in self.sets.items()]
        head += self.fields.head()
        tail = ["    pen.kept(r)"] if kept else []
        space = {**write.objects, **self.fields.widths()}
        exec(compile("\n".join([*head, *write.lines, *tail]), "<what is written>", "exec"), space)  # noqa: S102 - made from checked maps only
        made: Function = space["write"]
        return made

    def is_fixed(self, line: WrittenLine) -> bool:
        """Can it be written together with other coded elements (written_together.py)?"""
        shared = line.claim in self.shared and _is_object(line)
        return is_fixed(line) and not (shared or self._marked(line)) and line.path.leaf.name in self.keys

    def together(self, lines: Sequence[WrittenLine]) -> None:
        """The texts of these lines are looked up at once."""
        if len(lines) < 2:
            return
        write, made = self.writer, Together(lines)
        for line in lines:
            self.fixed[line.slot] = [f"f{line.slot}_{index}" for index in range(width(line))]
        names = dict.fromkeys(name for line in lines for name in key_of(line) if name in self.keys)
        write.add(f"k = content(({made.number}, {', '.join(f'r[{name!r}]' for name in names)}))")
        write.add(f"k = memory[{SLOT}].get(k) or {write.object(made)}.learned(k, r, context, graph)")
        write.add(f"{', '.join(name for each in self.fixed.values() for name in each)} = k")

    def _fixed(self, line: WrittenLine) -> None:
        """Its texts are known."""
        text, *others = self.fixed[line.slot]
        self.fields.put_text(line, text)
        for argument, each in zip(line.line.arguments, others, strict=True):
            self.writer.add(f"if {each}:")
            self.writer.depth += 1
            self.fields.field(argument, each)
            self.writer.depth -= 1

    def add(self, line: WrittenLine) -> None:
        """One line."""
        write, depth, every = self.writer, self.writer.depth, line.line.sources[0].every
        if line.single and (free := self.fields.free(line.line.sources[0])):
            write.add(f"if {free}:")
            write.depth += 1
        if line.slot in self.fixed:
            self._fixed(line)
        elif not self._simple(line):
            self._whole(line)
        elif line.path.leaf.choice:
            self._choice(line)
        elif len(line.path.elements) == 1 and not (line.path.leaf.many or line.path.leaf.slice or every):
            self._one(line)
        else:
            self._several(line)
        write.depth = depth

    def _simple(self, line: WrittenLine) -> bool:
        """Is it written here, and not by the pen?"""
        path, source = line.path, line.line.sources[0]
        if path.leaf.choice:
            names = self._chosen(line)
            return len(path.elements) == 1 and len(names) == 1 and not source.every
        return not (line.line.constant and source.repeats)

    def _whole(self, line: WrittenLine) -> None:
        """The pen writes the line."""
        how = "told" if self._marked(line) else "line"
        self.writer.add(f"pen.{how}({self.writer.object(line)}, r)")
        self.fields.again(line)

    def _is_worded(self, line: WrittenLine) -> bool:
        """Can its value be a primitive with a wording?"""
        return line.worded and (len(line.path.elements) > 1 or f"_{line.path.leaf.name}" in self.keys)

    # ----------------------------------------------------------------------------------------- values

    def _chosen(self, line: WrittenLine) -> list[str]:
        stem = line.path.leaf.name.removesuffix("[x]")
        return [name for name in self.keys if name.startswith(stem) and name[len(stem) :][:1].isupper()]

    def _choice(self, line: WrittenLine) -> None:
        """`value[x]`: its one type is known."""
        write = self.writer
        (name,) = self._chosen(line)
        value = f"hinted(r[{name!r}], r['_{name}'])" if f"_{name}" in self.keys else f"r[{name!r}]"
        type_ = name[len(line.path.leaf.name.removesuffix("[x]")) :]
        write.add(f"v = ({type_!r}, {value})")
        write.add(f"x = {self._back(line)}")
        self._text()
        self.fields.put(line)

    def _one(self, line: WrittenLine) -> None:
        """An element that stands there once."""
        write, name = self.writer, line.path.leaf.name
        shared = line.claim in self.shared and _is_object(line) and not line.line.constant
        worded = self._is_worded(line)
        write.add(f"v = r[{name!r}]")
        write.add("if v.__class__ is not str:" if worded else "if v.__class__ is list or v is None:")
        write.depth += 1
        self._whole(line)
        write.depth -= 1
        taken = self._set(line.claim) if shared else ""
        write.add(f"elif id(v) not in {taken}:" if shared else "else:")
        write.depth += 1
        if worded and line.pair.coded and not line.line.constant:
            write.add(f"b = r['_{name}']")
            told = f"texts(of_primitive(v, b), {write.object(line)}, context, graph, claims)"
            write.add(f"x = memory[{line.slot}].get((v, sent(b))) or {told}")
        else:
            if worded:
                write.add(f"v = of_primitive(v, r['_{name}'])")
            write.add(f"x = {self._texts(line)}")
        self._text()
        if shared:
            write.add("if t or any(x):")
            write.add(f"    {taken}.add(id(v))")
        self.fields.put(line)
        write.depth -= 1

    def _several(self, line: WrittenLine) -> None:
        """A list, or what stands deeper."""
        write, source = self.writer, line.line.sources[0]
        if self._is_inside(line):
            self._inside(line)
            return
        self._listed(line)
        shared = line.claim in self.shared and _is_object(line) and not line.line.constant
        if shared:
            taken = self._set(line.claim)
            write.add(f"if {taken}:")
            write.add(f"    vs = [v for v in vs if id(v) not in {taken}]")
        write.add("if vs:")
        write.depth += 1
        if source.every or line.listed:
            write.add(f"pen.put({write.object(line)}, vs, r)")
            self.fields.again(line)
        elif source.repeats:
            self._each(line, self._set(line.claim) if shared else "")
        else:
            self._first(line, self._set(line.claim) if shared else "")
        write.depth -= 1
        self._enter(line)

    def _is_inside(self, line: WrittenLine) -> bool:
        """Is it one primitive of the one element that its slice fits?"""
        places, source = self.places.get(line.slot), line.line.sources[0]
        if places is None or len(places.all) != 1 or len(line.path.elements) != 2 or not line.worded:
            return False
        plain = not (line.pair.coded or line.line.constant or line.path.leaf.many or line.path.leaf.slice)
        return plain and not (source.every or source.repeats or source.component)

    def _inside(self, line: WrittenLine) -> None:
        """The same, with its wording."""
        write, name = self.writer, line.path.leaf.name
        self._sliced(line.path.elements[0].name)
        write.add(f"h = l[{self.places[line.slot].all[0]}]")
        write.add(f"v = h.get({name!r})")
        write.add("if v is not None:")
        write.depth += 1
        write.add(f"b = h.get('_{name}')")
        worded = f"texts(of_primitive(v, b), {write.object(line)}, context, graph, claims)"
        write.add(f"x = {self._back(line)} if b is None else {worded}")
        self._text()
        self.fields.put(line)
        write.depth -= 1
        self._enter(line)

    def _listed(self, line: WrittenLine) -> None:
        """The values `vs`; of a slice those at known places."""
        write, elements, places = self.writer, line.path.elements, self.places.get(line.slot)
        leaf = write.object(elements[-1])
        if places is None:
            self._unsliced(line)
            return
        self._sliced(elements[0].name)
        found = [f"l[{index}]" for index in places.all]
        if len(elements) == 1:
            write.add(f"vs = [{', '.join(found)}]")
            return
        around = elements[1:-1] if line.worded else elements[1:]
        name = write.object(around)
        inner = [f"*values_at({each}, {name})" for each in found] if around else found
        values = f"[{', '.join(inner)}]"
        write.add(f"vs = of_primitives({values}, {leaf})" if line.worded else f"vs = {values}")

    def _unsliced(self, line: WrittenLine) -> None:
        """The values `vs` of a line that asks for no slice of its list: at most two steps are taken here."""
        write, elements = self.writer, line.path.elements
        around, short = write.object(line.around), len(elements) == 2 and not elements[1].slice
        write.add(f"v = r[{elements[0].name!r}]")
        if len(elements) > 1 and line.worded:
            holders = "v if v.__class__ is list else [] if v is None else [v]" if short else f"values_at(r, {around})"
            write.add(f"vs = of_primitives({holders}, {write.object(elements[-1])})")
            return
        if len(elements) > 1:
            deep = f"values_at(r, {write.object(elements)})"
            write.add(f"v = v.get({elements[1].name!r}) if v.__class__ is dict else {deep}" if short else f"v = {deep}")
        write.add("vs = v if v.__class__ is list else [] if v is None else [v]")

    def _sliced(self, name: str) -> None:
        """The list `l` whose elements at known places are meant."""
        self.writer.add(f"l = r[{name!r}]")
        self.writer.add("if l.__class__ is not list:")
        self.writer.add("    l = [l]")

    def _enter(self, line: WrittenLine) -> None:
        """What is the line's own, and nobody else's, is claimed where somebody asks for it."""
        write, places = self.writer, self.places.get(line.slot)
        all_, given = places or ((), ())
        if any(around in self.entered for _, around, _ in line.entered):
            if places is None or len(line.entered) > 1 or line.entered[0][0] > 1:
                mine = f"pen.mine({write.object(line)}, r)" if self._marked(line) else "r"
                write.add(f"claims.enter({mine}, {write.object(line)})")
            else:
                _, around, only = line.entered[0]
                fitting = [index for index in all_ if index not in given]
                self._take(around, fitting[:1] if only else fitting)
        self._take(_list_of(line), given if _list_of(line) in self.entered else ())

    def _take(self, claim: str, places: Iterable[int]) -> None:
        for index in places:
            self.writer.add(f"{self._set(claim)}.add(id(l[{index}]))")

    def _marked(self, line: WrittenLine) -> bool:
        """Do elements of its list tell the fields that they stood in?"""
        return line.path.elements[0].name in self.marks

    def _tried(self, line: WrittenLine, taken: str) -> None:
        """The head of a loop over the values: what each is written as; the code behind it follows where it says any."""
        write = self.writer
        write.add("for v in vs:")
        write.depth += 1
        write.add(f"x = {self._texts(line)}")
        self._text()
        write.add("if t or any(x):")
        if taken:
            write.add(f"    {taken}.add(id(v))")

    def _first(self, line: WrittenLine, taken: str) -> None:
        """The first value that can be written."""
        write = self.writer
        self._tried(line, taken)
        write.add("    break")
        write.depth -= 1
        self.fields.put(line)

    def _each(self, line: WrittenLine, taken: str) -> None:
        """All values that can be written."""
        write = self.writer
        write.add("xs = []")
        self._tried(line, taken)
        write.add("    xs.append(x if x.__class__ is tuple else (x,))")
        write.depth -= 1
        write.add("if xs:")
        write.depth += 1
        write.add("x = xs[0]")
        write.add("t = x[0] if len(xs) == 1 else '~'.join([each[0] for each in xs])")
        self.fields.put(line, several=True)
        write.depth -= 1

    # ------------------------------------------------------------------------------------------ texts

    def _back(self, line: WrittenLine) -> str:
        back = self.writer.object(line.pair.back)
        return f"{back}(v, context{''.join(f', {each!r}' for each in line.constants)})"

    def _texts(self, line: WrittenLine) -> str:
        """An expression for what a value becomes: its text, or a tuple of its texts."""
        source, write = line.line.sources[0], self.writer
        if line.line.constant:
            return repr(line.line.constant.text)
        whole = f"texts(v, {write.object(line)}, context, graph, claims)"
        if line.pair.makes or (source.component and line.line.datatype not in SIMPLE):
            return whole
        if self._is_worded(line):
            return f"{whole} if v.__class__ is Worded else {self._back(line)}"
        if not _is_object(line):
            return self._back(line)
        if line.pair.coded:
            return f"memory[{line.slot}].get(content(v)) or {whole}"
        return f"{whole} if 'extension' in v else {self._back(line)}" if line.keeps else self._back(line)

    def _text(self) -> None:
        self.writer.add("t = x[0] if x.__class__ is tuple else x")

    def _set(self, claim: str) -> str:
        return self.sets.setdefault(claim, f"c{len(self.sets)}")


def _is_object(line: WrittenLine) -> bool:
    return line.path.leaf.type not in definitions.primitives()


def _list_of(line: WrittenLine) -> str:
    return f"{line.path.resource}.{line.path.elements[0].name}"


_CALLED: dict[str, Any] = {
    "texts": texts, "hinted": hinted, "values_at": values_at, "completed": completed, "part_of": part_of,
    "set_part": set_part, "with_components": with_components, "content": json.content,
    "of_primitive": wording.of_primitive, "of_primitives": wording.of_primitives,
    "sent": wording.sent, "Worded": wording.Worded,
}  # fmt: skip
