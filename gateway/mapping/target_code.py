"""The writing half of a compiled block: code that puts values at FHIR paths, making what lies between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.fhir import definitions, shapes
from gateway.fhir.fragment import frozen
from gateway.mapping import paths
from gateway.mapping.source_code import Writer


class TargetCode:
    """Code that fills the resource `r` of one block."""

    def __init__(self, writer: Writer, filled: list[paths.Path], linked: list[paths.Path]) -> None:
        self.writer = writer
        self.forms = _rival_forms([*filled, *linked])
        self.ratios = _ratios(filled)
        self.elements = _shared_elements(filled)
        self.shared = _repeated([path.text for path in filled])  # filled by several lines: the first valued one stays
        self.touched: set[str] = set()  # elements that code so far may have filled
        self.looping = False  # the code that is being made may run several times
        self.copies: set[str] = set()  # names of objects whose members may be shared: see memory.py
        self.leaves = {f".{'.'.join(element.name for element in path.elements)}" for path in filled}

    def begin(self) -> None:
        """The list elements that several lines fill together are not there yet."""
        for name in self.elements.values():
            self.writer.add(f"{name} = None")

    def set(self, path: paths.Path, value: str, *, adds: bool = False) -> str:
        """Puts a value at a path; `adds`: as a further line of the text that stands there. Gives the name of what
        holds it."""
        write = self.writer
        here = "r"
        walked = ""
        fresh = self.fresh(path.elements[0].name) and not self.looping
        for element in path.elements[:-1]:
            walked = f"{walked}.{element.name}"
            here = self._descend(here, walked, element, fresh=fresh and here == "r")
        leaf = path.leaf
        self.touched.add(path.elements[0].name)
        if leaf.choice:
            stem = leaf.name.removesuffix("[x]")
            write.add(f"{here}[{stem!r} + {value}[0]] = {value}[1]")
            write.add(f"if len({value}) > 2:")
            write.add(f"    {here}['_{stem}' + {value}[0]] = {value}[2]")
        elif leaf.many:
            for name, constant, _ in leaf.slice:
                write.add(f"{value}.setdefault({name!r}, {self.constant(f'{path.text}.{name}', constant)})")
            self._append(here, leaf.name, value, fresh=fresh and here == "r")
        elif adds:
            write.add(f"{here}[{leaf.name!r}] = further({here}.get({leaf.name!r}), {value})")
        else:
            for name, constant, _ in leaf.slice:
                write.add(f"{value}.setdefault({name!r}, {write.literal(constant)})")
            write.add(f"{here}[{leaf.name!r}] = {value}")
        return here

    def extends(self, path: paths.Path) -> bool:
        """Does a line put something beside the primitive at a path?"""
        way = "".join(f".{element.name}" for element in path.elements[:-1])
        return any(leaf.startswith(f"{way}._{path.leaf.name}.") for leaf in self.leaves)

    def fresh(self, name: str) -> bool:
        """Is nothing there yet, whatever the code so far did? `value[x]` and its forms, `_x` and `x` are one."""
        return not any(_alike(name, each) for each in self.touched)

    def _append(self, here: str, name: str, value: str, *, fresh: bool) -> None:
        if fresh:
            self.writer.add(f"{here}[{name!r}] = [{value}]")
        elif here in self.copies:
            self.writer.add(f"{here}[{name!r}] = [*{here}.get({name!r}, ()), {value}]")
        else:
            self.writer.add(f"{here}.setdefault({name!r}, []).append({value})")

    def _descend(self, here: str, walked: str, element: paths.Element, *, fresh: bool) -> str:
        write = self.writer
        inner = write.name("d")
        # what an earlier line put there may be shared, as a whole or what is in it
        if not element.many and (walked in self.leaves or here in self.copies):
            self.copies.add(inner)
            write.add(f"{inner} = {here}[{element.name!r}] = dict({here}.get({element.name!r}, EMPTY))")
            return inner
        if not element.many:
            made = f"{here}[{element.name!r}] = {{}}" if fresh else f"{here}.setdefault({element.name!r}, {{}})"
            write.add(f"{inner} = {made}")
            return inner
        constants = "{" + ", ".join(f"{name!r}: {write.literal(value)}" for name, value, _ in element.slice) + "}"
        if element.repeats:
            write.add(f"{inner} = {constants}")
            self._append(here, element.name, inner, fresh=fresh)
            return inner
        shared = self.elements[(walked, str(element.slice))]
        write.add(f"if {shared} is None:")
        write.depth += 1
        write.add(f"{shared} = {constants}")
        self._append(here, element.name, shared, fresh=False)
        write.depth -= 1
        return shared

    def constant(self, path: str, value: Any) -> str:
        """Code for a constant: an object is made once and shared, unless a line puts more into it."""
        inner = f".{path.partition('.')[2]}."
        if isinstance(value, dict) and not any(leaf.startswith(inner) for leaf in self.leaves):
            inside = definitions.resolve(path).inside
            if shapes.valid_as(inside, value):
                return self.writer.object(frozen(value, inside))
        return self.writer.literal(value)

    def free(self, path: paths.Path) -> list[str]:
        """Expressions: no earlier line has filled this path, nor another form of its choice."""
        shared = path.text in self.shared and not path.leaf.many
        return [*([self.unset(path)] if shared else []), *self.alone(path)]

    def alone(self, path: paths.Path) -> list[str]:
        """Expressions: no other form of this choice is there (R4: medicationReference or medicationCodeableConcept)."""
        rivals = self.forms.get(path.elements[0].name, frozenset())
        if all(self.fresh(each) for each in rivals) and not self.looping:
            return []
        return [f"{self.writer.object(rivals)}.isdisjoint(r)"] if rivals else []

    def valueless(self, path: paths.Path) -> str:
        """An expression: the primitive that a path extends (`end.extension*…`) has no value; "" for other paths."""
        for number, element in enumerate(path.elements):
            if element.name.startswith("_"):
                bare = replace(element, name=element.name[1:])
                return self.unset(replace(path, elements=(*path.elements[:number], bare)))
        return ""

    def unset(self, path: paths.Path) -> str:
        """An expression: nothing stands at this path yet. Within lists that is so: each line has its own element; a
        list without '*' or slice is meant as a whole."""
        if self.fresh(path.elements[0].name) and not self.looping:
            return "True"
        if len(path.elements) == 1:
            if path.leaf.choice:
                return f"{self.writer.object(_forms(path))}.isdisjoint(r)"
            return f"{path.leaf.name!r} not in r"
        outer = path.elements[0]
        if outer.many and not outer.repeats:
            return self._unset_inside(path)
        if any(element.many for element in path.elements[:-1]):
            return "True"
        here = "r"
        for element in path.elements[:-1]:
            here = f"{here}.get({element.name!r}, EMPTY)"
        return f"{path.leaf.name!r} not in {here}"

    def _unset_inside(self, path: paths.Path) -> str:
        """The same for an element that several lines fill together: `dosageInstruction.timing`."""
        shared: list[str] = []
        rest: list[str] = []
        walked = ""
        for element in path.elements[:-1]:
            walked = f"{walked}.{element.name}"
            if element.many:
                shared.append(self.elements.get((walked, str(element.slice)), "None"))
                rest = []
            else:
                rest.append(element.name)
        here = shared[-1] + "".join(f".get({name!r}, EMPTY)" for name in rest)
        inner = f"({shared[-1]} is None or {path.leaf.name!r} not in {here})"
        if path.elements[0].slice:
            return f"({shared[0]} is None or {inner})"
        return f"({path.elements[0].name!r} not in r if {shared[0]} is None else {inner})"


def _alike(one: str, other: str) -> bool:
    one, other = one.removeprefix("_"), other.removeprefix("_")
    stems = (each.removesuffix("[x]") for each in (one, other))
    if not (one.endswith("[x]") or other.endswith("[x]")):
        return one == other
    first, second = stems
    return first.startswith(second) or second.startswith(first)


def _shared_elements(filled: list[paths.Path]) -> dict[tuple[str, str], str]:
    """One variable for each list element that several lines fill together (same path, same slice)."""
    found: dict[tuple[str, str], str] = {}
    for path in filled:
        walked = ""
        for element in path.elements[:-1]:
            walked = f"{walked}.{element.name}"
            key = (walked, str(element.slice))
            if element.many and not element.repeats and key not in found:
                found[key] = f"e{len(found)}"
    return found


def _forms(path: paths.Path) -> frozenset[str]:
    """The JSON names of a choice: valueQuantity, valueString …"""
    around = path.text.rpartition(".")[0]
    return frozenset(name for name in definitions.names(around) if name.startswith(path.leaf.name[:-3]))


def _rival_forms(found: list[paths.Path]) -> dict[str, frozenset[str]]:
    """The JSON names of a choice that the lines of a block fill, each with its other forms."""
    choices: dict[str, set[str]] = {}
    for path in found:
        first = path.elements[0]
        bare = first.name.removeprefix("_")
        if not first.choice and definitions.resolve(f"{path.resource}.{bare}").choice:
            stems = (each for each in definitions.children(path.resource) if each.endswith("[x]"))
            choices.setdefault(next(each for each in stems if bare.startswith(each[:-3])), set()).add(first.name)
    return {
        name: rivals
        for names in choices.values()
        for name in names
        if (rivals := frozenset(each for each in names if each.lstrip("_") != name.lstrip("_")))
    }


def _ratios(filled: list[paths.Path]) -> list[tuple[tuple[str, bool], ...]]:
    """The steps to each Ratio whose halves are filled by lines of their own."""
    found: dict[tuple[tuple[str, bool], ...], None] = {}
    for path in filled:
        for number, element in enumerate(path.elements[:-1], start=1):
            if element.type == "Ratio":
                found[steps_of(path)[:number]] = None
    return list(found)


def _repeated(texts: list[str]) -> set[str]:
    return {text for text in texts if texts.count(text) > 1}


def steps_of(path: paths.Path) -> tuple[tuple[str, bool], ...]:
    return tuple((element.name, element.many) for element in path.elements)


def constants_of(path: paths.Path) -> dict[str, Any] | None:
    """Of `link*{type=replaces}.other`: what each list element carries, also of references with a slice
    (`performer*{type=PractitionerRole}`); None where the references alone are the list."""
    outer = path.elements[0]
    if not outer.repeats or (len(path.elements) < 2 and not outer.slice):
        return None
    return {name: value for name, value, _ in outer.slice}


def required(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(elements, stems of choices) that R4 demands of every such resource or element."""
    needed = [each.name for each in definitions.children(path).values() if each.min]
    exact = tuple(name for name in needed if not name.endswith("[x]"))
    return exact, tuple(name[:-3] for name in needed if name.endswith("[x]"))
