"""Where every element of a Bundle came from: the bytes, the field, the line of the map. And every field of a message.

What changes when a field is blanked comes from that field; the lines are those that really made it (Lineage), else
those that the maps have for it: links, slices, constants, keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.mapping import paths
from gateway.mapping.accounting.elements import Flat, Leaf, by_url, differing, flat, names, path_of, plain, renamed
from gateway.mapping.accounting.places import Labels, Place, places
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.accounting.writing import begins
from gateway.mapping.maps import Lineage, Translation
from gateway.mapping.source_code import fields_of
from gateway.mapping.syntax import Block, Line

GATEWAY = "the gateway itself"


@dataclass(frozen=True, slots=True)
class Origin:
    """One reason why an element is there. `offset` and `length`: bytes of the message as it came; -1 without."""

    element: str  # 'Patient[1].name[0].family'
    source: str  # 'PID-5', 'PID-3(2)', 'constant', 'link', 'key'
    offset: int
    length: int
    line: str  # map file:line
    table: str = ""  # the code table that the line reads through, file:line

    def __str__(self) -> str:
        place = f" bytes {self.offset}+{self.length}" if self.offset >= 0 else ""
        return f"{self.element} <- {self.source}{place} {self.line}{f' through {self.table}' if self.table else ''}"


class Explanation:
    """One message and the Bundle that it became."""

    def __init__(self, trial: Trial, made: Translation) -> None:
        self.trial = trial
        self.resources = by_url(made.bundle)
        self.named = names(self.resources)
        self.flat: Flat = flat(self.resources, self.named)
        library = trial.maps.of(trial.profile).library
        self.library = library
        self.blocks = [block for block in library.blocks_of(made.structure) if block.into]
        self.lines = {str(line.place): line for block in self.blocks for line in block.lines}
        self.label = Labels(trial.message.segments)
        self.lineage: dict[str, list[Lineage]] = {}  # name of the resource → what was traced into it
        for each in made.lineage:
            if each.resource in self.named:
                self.lineage.setdefault(self.named[each.resource], []).append(each)
        self.changed = self._changed()

    def origins(self) -> Iterator[Origin]:
        """Every element, in the order of the Bundle; at least one origin each."""
        for name, way in self.flat:
            found = list(dict.fromkeys(self._traced(name, way))) or list(self._declared(name, way))
            yield from found or self._led(name, way)

    def _changed(self) -> dict[tuple[str, Leaf], list[Place]]:
        """element → the fields (each repetition) without which it is not there, or another."""
        segments = self.trial.message.segments
        whole = dict.fromkeys(replace(place, component=0, subcomponent=0) for place, _ in places(segments))
        found: dict[tuple[str, Leaf], list[Place]] = {}
        for place in whole:
            made = self.trial.into(_blanked(segments, place))
            if made is None:  # no message without it: it says nothing of single elements
                continue
            resources = by_url(made.bundle)
            for element in differing(self.flat, flat(resources, renamed(resources, self.named))):
                found.setdefault(element, []).append(place)
        return found

    # ------------------------------------------------------------------------------------------ what is known

    def _traced(self, name: str, way: Leaf) -> Iterator[Origin]:
        """By lineage: lines that made a value at or above the element; of several fields those that change it."""
        fitting = [each for each in self.lineage.get(name, ()) if begins(plain(way), tuple(each.path.split(".")[1:]))]
        changing = self.changed.get((name, way), [])
        exact = [each for each in fitting if any(_says(each, place) for place in changing)]
        for each in exact or fitting:
            if each.segment < 0:
                yield self._origin(name, way, "constant", each.line)
                continue
            at = [place for place in changing if _says(each, place)] or [Place(each.segment, each.field, 0, 0, 0)]
            for place in at:
                yield self._placed(name, way, place, each.line)

    def _declared(self, name: str, way: Leaf) -> Iterator[Origin]:
        """By what the maps say of this element without reading a field: links, slices, constants."""
        type_ = name.partition("[")[0]
        for block in self.blocks:
            if block.type != type_:
                continue
            for line in block.lines:
                kind = self._kind(block, line, plain(way))
                if kind:
                    yield self._origin(name, way, kind, str(line.place))
                    return

    def _kind(self, block: Block, line: Line, names_: tuple[str, ...]) -> str:
        path = paths.resolve(block.path, line, self.library.systems)
        steps = tuple(path.text.split(".")[1:])
        if line.link and begins(names_, steps):
            return f"{'@@' if line.link.every else '@'}{line.link.type}"
        outer = tuple(block.path.split(".")[1:])
        for index, element in enumerate(path.elements):
            below = (*outer, *(each.name for each in path.elements[: index + 1]))
            if any(names_[: len(below) + 1] == (*below, name.partition(".")[0]) for name, *_ in element.slice):
                return "slice"
        if block.element and any(names_[1:2] == (name.partition(".")[0],) for name, *_ in self._list(block)):
            return "slice"
        return "constant" if line.constant and line.into and begins(names_, steps) else ""

    def _list(self, block: Block) -> tuple[tuple[str, object, tuple[str, ...]], ...]:
        return paths.list_of(block, self.library.systems).slice

    def _led(self, name: str, way: Leaf) -> Iterator[Origin]:
        """What no line says of this element: its resource was made by a reference, or its number is derived."""
        type_ = name.partition("[")[0]
        block = next((each for each in self.blocks if each.type == type_ and not each.element), None)
        changing = self.changed.get((name, way), [])
        made = [(place, line) for place in changing if (line := self._making(place, type_))]
        led = [] if made or block else list(self._pointing(name, way))
        yield from led
        if block is not None or not (made or led):
            line = str(block.place) if block else GATEWAY
            made = [(place, line) for place in changing if self._names(block, place)] if way[-1] != "reference" else []
            if not made:
                yield self._origin(name, way, "derived", line)
        for place, line in made:
            yield self._placed(name, way, place, line)

    def _pointing(self, name: str, way: Leaf) -> Iterator[Origin]:
        """The origins of the references to a resource: what made them made it."""
        element = f"{name}.{path_of(way)}"
        for (other, where), value in self.flat.items():
            if value == name and where[-1] == "reference":
                yield from (replace(each, element=element) for each in self._traced(other, where))

    def _making(self, place: Place, type_: str) -> str:
        """The line that made a resource of this type of the field, by reference."""
        read = [each.line for entries in self.lineage.values() for each in entries if _says(each, place)]
        return next((line for line in read if line in self.lines and self._makes(line) == type_), "")

    def _makes(self, place: str) -> str:
        line = self.lines[place]
        if line.link or line.constant:
            return ""
        block = next(block for block in self.blocks if line in block.lines)
        return self.library.pair(line, paths.resolve(block.path, line, self.library.systems)).makes

    def _names(self, block: Block | None, place: Place) -> bool:
        """Is the field part of the block's own key? What the gateway makes itself has all that changes it."""
        if block is None or not block.key:
            return block is None
        name = self.trial.message.segments[place.segment][0]
        fields = fields_of(Block(place=block.place, key=block.key))
        return any((each.segment, each.number) == (name, place.number) for each in fields)

    # ----------------------------------------------------------------------------------------------- origins

    def _placed(self, name: str, way: Leaf, place: Place, line: str) -> Origin:
        offset, length = self.trial.message.span(place.segment, place.number, place.repetition)
        return replace(
            self._origin(name, way, self.label(place).removesuffix("(0)"), line), offset=offset, length=length
        )

    def _origin(self, name: str, way: Leaf, source: str, line: str) -> Origin:
        read = self.lines.get(line)
        table = self.library.codes.get(read.codes) if read is not None and read.codes else None
        shown = f"{table.name} {table.place}" if table else ""
        return Origin(f"{name}.{path_of(way)}", source, -1, -1, line, shown)


def _says(lineage: Lineage, place: Place) -> bool:
    return (lineage.segment, lineage.field) == (place.segment, place.number)


def _blanked(segments: list[list[str]], place: Place) -> list[list[str]]:
    """Without one whole repetition of a field."""
    segment = segments[place.segment]
    if segment[0] == "MSH" and place.number in (1, 2):
        return segments
    repetitions = segment[place.number].split("~")
    repetitions[place.repetition - 1] = ""
    changed = list(segment)
    changed[place.number] = "~".join(repetitions)
    return [*segments[: place.segment], changed, *segments[place.segment + 1 :]]
