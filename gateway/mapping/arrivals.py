"""Which component of a source field arrives at which element, and which goes back: found by trying, never by saying so.

A pair is given a filled value (datatypes/exemplars.py); each component is taken out, and changed, alone. What differs
in the result is where it arrives; what differs in nothing is not carried. The way back is tried in the same manner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from gateway.mapping import paths
from gateway.mapping.codetables import BUILT
from gateway.mapping.context import KEY, Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.datatypes.exemplars import Texts, exemplars
from gateway.mapping.graph import Graph
from gateway.mapping.library import Library
from gateway.mapping.source_code import SIMPLE
from gateway.mapping.syntax import Line
from gateway.mapping.written_lines import Claims, WrittenLine, texts
from gateway.model import Profile

Facts = dict[tuple[str, str], list[str]]  # (resource type, path) → the values there
Made = dict[str, Any]  # full URL → resource
_HERE = "="  # stands for the element of a line, whichever it is
Position = tuple[int, int, int]  # which text, component, subcomponent (0: the whole)


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """One component and one element. `component` 0: the type has no components."""

    text: int  # 0: the field itself; 1…: a field argument
    component: int
    subcomponent: int
    resource: str
    path: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What a line carries, each way."""

    into: frozenset[Arrival]
    back: frozenset[Arrival]


class Trial:
    """One line under trial."""

    def __init__(self, line: Line, path: paths.Path, library: Library, pair: Pair | None = None) -> None:
        self.line = line
        self.path = path
        self.library = library
        self.pair = pair or library.pair(line, path)
        self.words = () if line.datatype in BUILT else tuple(each.name for each in line.arguments[self.pair.fields :])
        table = library.codes[line.codes].into if line.codes else None
        self.values = [each for each in exemplars(line.datatype, table) if len(each) == 1 + self.pair.fields]

    def run(self) -> Tried:
        """What arrives, each way."""
        into: set[Arrival] = set()
        back: set[Arrival] = set()
        simple = self.line.datatype in SIMPLE or not any(sign in each[0] for each in self.values for sign in "^&")
        for texts_ in self.values:
            into.update(self._forward(texts_))
            back.update(self._backward(texts_))
        flat = (lambda each: replace(each, component=0, subcomponent=0) if not each.text else each) if simple else None
        return Tried(*(frozenset(map(flat, found) if flat else found) for found in (into, back)))

    # ------------------------------------------------------------------------------------------ forward

    def _forward(self, whole: Texts) -> Iterator[Arrival]:
        before = self.facts(whole)
        if not before:
            return
        for position in _positions(whole):
            piece = _piece(whole, position)
            tries = [self.facts(put(whole, position, each)) for each in (*_altered(piece), "")]
            # what it changes to; only where that tells nothing, what it takes away
            told = (found for each in tries if each and (found := self._changed(before, each, position)))
            changed = next(told, set()) | self._led(before, tries[-1], position)
            if not any(tries):  # without it there is nothing: it is what the value is about
                changed = {
                    place
                    for place, values in before.items()
                    if len(before) == 1 or any(piece in each for each in values)
                }
            for resource, path in changed:
                yield Arrival(*position, resource, path)

    def _led(self, before: Facts, without: Facts, position: Position) -> set[tuple[str, str]]:
        """The references between resources that stand because the component does: what a bed is part of."""
        gone = self._changed(before, without, position) if without else set()
        return {(resource, path) for resource, path in gone if path.rpartition(".")[2] == "reference"}

    def _changed(self, before: Facts, after: Facts, position: Position) -> set[tuple[str, str]]:
        if position[0] and _root(after) != _root(before):  # OBX-2 decides the type of the value
            return {(self.path.resource, ".".join(each.name for each in self.path.elements))}
        return {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}

    def facts(self, whole: Texts) -> Facts:
        """What becomes of these texts."""
        context = self._context()
        value = self.pair.into(*whole, context, *self.words)
        return {} if value is None else facts(self.path, value, context)

    def _context(self) -> Context:
        return Context(profile=Profile(), facility="FACILITY", control_id="1", systems=self.library.coding_systems)

    # --------------------------------------------------------------------------------------------- back

    def _backward(self, whole: Texts) -> Iterator[Arrival]:
        """The texts written for the value, and what of them each leaf of it decides."""
        context = self._context()
        value = self.pair.into(*whole, context, *self.words)
        if value is None:
            return
        made = {url: entry.resource for url, entry in context.entries.items()}
        before = self._written(value, made)
        if not any(before):
            return
        root = base(self.path, value)
        ways = dict(_ways(root, value[1] if isinstance(value, tuple) else value, made))
        for url, below, changes in _changed(value, made):
            written = (self._written(changed, others) for changed, others in changes)
            told = next((found for each in written if (found := list(_differing(before, each)))), [])
            places = [(self.path.resource, f"{root}.{below}".rstrip("."))]
            if url:
                places = [(made[url]["resourceType"], below)]
                places += [(self.path.resource, f"{ways[url]}.{below}")] if url in ways else []
            for position in told:
                yield from (Arrival(*position, *place) for place in places)

    def _written(self, value: Any, made: Made) -> Texts:
        line = replace(self.line, sources=(replace(self.line.sources[0], component=0, subcomponent=0),))
        written = WrittenLine(line, self.path, self.pair, self.words, frozenset(), enters=False)
        try:
            return texts(value, written, self._context(), Graph(made), Claims())
        except (LookupError, ValueError, TypeError):  # changed into what no valid resource holds: it tells nothing
            return ()


class Trials:
    """Where the components of a line's fields arrive, and which are written back: tried once for all lines that
    translate in the same way."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._tried: dict[tuple[Any, ...], Tried] = {}

    def of(self, line: Line, path: paths.Path) -> Tried:
        """Of one line, which is about one element."""
        leaf = path.leaf
        key = (line.datatype, line.codes, tuple([each.name for each in line.arguments]), leaf.type, leaf.choice)
        if key not in self._tried:
            anywhere = paths.Path(_HERE, (replace(leaf, name=f"{_HERE}[x]" if leaf.choice else _HERE),))
            self._tried[key] = Trial(line, anywhere, self.library, self.library.pair(line, path)).run()
        found = self._tried[key]
        stem = ".".join([element.name.removeprefix("_") for element in path.elements]).removesuffix("[x]")

        def placed(arrival: Arrival) -> Arrival:
            if arrival.resource != _HERE:
                return arrival
            return replace(arrival, resource=path.resource, path=stem + arrival.path.removeprefix(_HERE))

        return Tried(frozenset(map(placed, found.into)), frozenset(map(placed, found.back)))


# --------------------------------------------------------------------------------------------- source texts


def _positions(whole: Texts) -> Iterator[Position]:
    for index, text in enumerate(whole):
        for number, component in enumerate(text.split("^"), 1):
            pieces = component.split("&")
            if len(pieces) > 1:
                yield from ((index, number, sub) for sub, piece in enumerate(pieces, 1) if piece)
            elif component:
                yield index, number, 0


def _piece(whole: Texts, position: Position) -> str:
    index, number, sub = position
    component = whole[index].split("^")[number - 1]
    return component.split("&")[sub - 1] if sub else component


def put(whole: Texts, position: Position, piece: str) -> Texts:
    """The texts with another component."""
    index, number, sub = position
    components = whole[index].split("^")
    components.extend([""] * (number - len(components)))
    if sub:
        pieces = components[number - 1].split("&")
        pieces[sub - 1] = piece
        piece = "&".join(pieces)
    components[number - 1] = piece
    return (*whole[:index], "^".join(components), *whole[index + 1 :])


def _altered(piece: str) -> Iterator[str]:
    """Other texts of the same kind."""
    if piece[:8].isdecimal() and len(piece) >= 8:
        yield f"{piece[:6]}{'11' if piece[6:8] != '11' else '12'}{piece[8:]}"
    yield f"{piece}1" if piece[-1:].isdecimal() else f"{piece}x"


# --------------------------------------------------------------------------------------------------- values


def base(path: paths.Path, value: Any) -> str:
    """The path of a value; an open choice by the type that it got."""
    names = [element.name.removeprefix("_") for element in path.elements]
    if path.leaf.choice:
        names[-1] = names[-1].removesuffix("[x]") + str(value[0])
    return ".".join(names)


def facts(path: paths.Path, value: Any, context: Context) -> Facts:
    """Every leaf of a value, and of the resources made beside it, by its path: in that resource, and as FHIRPath
    reaches it from the value (`participant.actor.resolve().ofType(Location).name`)."""
    made: Facts = {}
    content = value[1] if path.leaf.choice else value
    root = base(path, value)
    _flatten(path.resource, root, content, made, ends=("reference",))
    beside = {url: entry.resource for url, entry in context.entries.items()}
    for resource in beside.values():
        _flatten(resource["resourceType"], "", _content(resource), made)
    for url, way in _ways(root, content, beside):
        _flatten(path.resource, way, _content(beside[url]), made)
    return made


def _content(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in resource.items() if name not in ("resourceType", "id")}


def _ways(path: str, value: Any, made: Made, passed: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """(full URL, FHIRPath) of every resource that a value leads to by references."""
    if isinstance(value, list):
        for each in value:
            yield from _ways(path, each, made, passed)
    elif isinstance(value, dict):
        url = value.get("reference")
        if url in made and url not in passed:
            way = f"{path}.resolve().ofType({made[url]['resourceType']})"
            yield url, way
            yield from _ways(way, _content(made[url]), made, passed | {url})
        for name, each in value.items():
            yield from _ways(f"{path}.{name}", each, made, passed)


def _flatten(resource: str, path: str, value: Any, made: Facts, *, ends: tuple[str, ...] = ()) -> None:
    """`ends`: what says no more than the element that it stands in: the value of a line is what it refers to."""
    if isinstance(value, dict):
        if value.get("system") == KEY:
            return  # derived: no component of its own
        for name, each in value.items():
            below = path if name in ends else f"{path}.{name.removeprefix('_')}".lstrip(".")
            _flatten(resource, below, each, made, ends=ends)
    elif isinstance(value, list):
        for each in value:
            _flatten(resource, path, each, made, ends=ends)
    else:
        made.setdefault((resource, path), []).append(str(value))


def _root(found: Facts) -> str:
    """The element under which the value itself stands, with its type."""
    return next(iter(found))[1].partition(".")[0]


def _changed(value: Any, made: Made) -> Iterator[tuple[str, str, list[tuple[Any, Made]]]]:
    """Every leaf: (URL of the resource or "" for the value itself, path below it, [(value, resources) so changed])."""
    content = value[1] if isinstance(value, tuple) else value
    for steps, leaf in _walk(content):
        others = [found for each in _changes(leaf) if (found := _with(content, steps, each)) is not None]
        typed = [(value[0], each) if isinstance(value, tuple) else each for each in others]
        yield "", _named(steps).removesuffix(".reference").removesuffix("reference"), [(each, made) for each in typed]
    for url, resource in made.items():
        for steps, leaf in _walk(_content(resource)):
            with_it = [(value, {**made, url: _with(resource, steps, each)}) for each in _changes(leaf)]
            yield url, _named(steps), with_it


def _walk(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _walk(each, (*steps, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _walk(each, (*steps, index))
    else:
        yield steps, value


def _named(steps: tuple[Any, ...]) -> str:
    return ".".join(each.removeprefix("_") for each in steps if isinstance(each, str))


def _changes(leaf: Any) -> Iterator[Any]:
    """Another value of the same kind, and none."""
    if isinstance(leaf, bool):
        yield not leaf
    elif isinstance(leaf, int | Decimal):
        yield leaf + 1
    elif isinstance(leaf, str) and leaf[4:5] == "-" and leaf[:4].isdecimal():
        yield f"{leaf[:8]}{'11' if leaf[8:10] != '11' else '12'}{leaf[10:]}"
    elif isinstance(leaf, str):
        yield f"{leaf}1" if leaf[-1:].isdecimal() else f"{leaf}x"
    yield None


def _with(value: Any, steps: tuple[Any, ...], leaf: Any) -> Any:
    """The value with another leaf; without it where that is None."""
    if not steps:
        return leaf
    step, *rest = steps
    inner = _with(value[step], tuple(rest), leaf)
    if isinstance(value, list):
        kept = [inner if index == step else each for index, each in enumerate(value)]
        return [each for each in kept if each is not None] or None
    changed = {**value, step: inner}
    if inner is None:
        del changed[step]
    return changed or None


def _differing(before: Texts, after: Texts) -> Iterator[Position]:
    """The components that are not the same; nothing is said by a value that could not be written at all."""
    if not after or (not any(after) and sum(len(_pieces(each)) for each in before) > 1):
        return
    for index, text in enumerate(before):
        one, two = _pieces(text), _pieces(after[index] if index < len(after) else "")
        for place in sorted(one.keys() | two.keys()):
            if one.get(place) != two.get(place):
                yield index, *place


def _pieces(text: str) -> dict[tuple[int, int], str]:
    found = {}
    for number, component in enumerate(text.split("^"), 1):
        pieces = component.split("&")
        for sub, piece in enumerate(pieces, 1):
            if piece:
                found[(number, sub if len(pieces) > 1 else 0)] = piece
    return found
