"""Messages made from the maps themselves: every field that a line reads is filled with a value of its data type, and
conditions are made to hold, so that every line of every map can be seen at work.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from gateway.mapping import paths
from gateway.mapping.datatypes.exemplars import exemplars
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Condition, Field, Group, Item, KeyValue, Line, Link, Structure

Cell = tuple[str, int, int, int]  # segment, field, component, subcomponent (0: the whole)
Wanted = dict[Cell, str | None]  # None: any value
MSH = {
    (3, 0): "LIS", (4, 0): "EXAMPLE", (5, 0): "GW", (6, 0): "HUB", (7, 0): "20260312142500+0800", (10, 0): "M1",
    (11, 0): "P",
}  # fmt: skip
REPEATED = 2  # how often a segment stands that may repeat
SOMEBODY = {("PID", 3, 0, 0): "300001^^^EXAMPLE^PI", ("PID", 5, 0, 0): "张^伟"}  # a message about nobody is none
VERSIONS = ("2.5.1", "2.4", "2.8")


@dataclass(slots=True)
class Recipe:
    """What decides one message."""

    structure: str
    kinds: tuple[tuple[str, str], ...]  # (event 'ADT_A04', version) that it may have; the first is taken
    variant: int = 0  # which of the exemplars of a data type
    wanted: Wanted = field(default_factory=dict)
    only: frozenset[str] | None = None  # 'hl7v2/patient.map:5': the lines whose fields are filled; None: all
    beside: frozenset[str] = frozenset()  # segments that stand although nothing of them is filled

    def copy(self) -> Recipe:
        """One of its own."""
        return replace(self, wanted=dict(self.wanted))


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to see at work: a line, one of its alternative sources; or that it keeps still."""

    block: Block
    line: Line
    number: int = 0  # of the source
    still: bool = False  # its condition does not hold, and all the rest is there


class Generator:
    """Messages of one structure."""

    def __init__(self, library: Library, name: str) -> None:
        self.library = library
        self.structure: Structure = library.structures[name]
        self.blocks = [block for block in library.blocks_of(name) if block.into]
        self.used = {segment for block in self.blocks for segment in _segments(block)}
        self.there = {"MSH", *(each for each in self.used if self.structure.holds(each))}
        events = list(self.structure.events) or [name]
        self.kinds = tuple((event, version) for version in VERSIONS for event in events)

    def units(self) -> Iterator[Unit]:
        """Everything to see at work in these messages."""
        for block in self.blocks:
            for line in block.lines:
                if line.into:
                    yield from (Unit(block, line, number) for number in range(len(line.sources) or 1))
                    if line.condition:
                        yield Unit(block, line, still=True)

    def recipes(self) -> Iterator[Recipe]:
        """The plain ones, then one for each thing that stands under a condition."""
        for variant in range(6):
            event = variant % len(self.structure.events or "1")
            yield Recipe(self.structure.name, (self.kinds[event], *self.kinds), variant)
        for kind in self.kinds:
            yield Recipe(self.structure.name, (kind,))
        for unit in self.units():
            recipe = Recipe(self.structure.name, self.kinds, unit.number)
            if self.prepare(recipe, unit):
                yield recipe

    def prepare(self, recipe: Recipe, unit: Unit) -> bool:
        """Makes the recipe show the unit; False (and the recipe spoilt) where it cannot, as it is."""
        sources = unit.line.sources
        source = sources[unit.number] if sources else None
        if not self.there.issuperset(unit.block.segments):
            return False
        if source is not None and source.segment not in ("", *self.there):
            return False
        holds = [each for each in (source.where if source else None, unit.block.condition) if each]
        if not all(_hold(each, True, recipe) for each in holds):
            return False
        if unit.line.condition and not _hold(unit.line.condition, not unit.still, recipe):
            return False
        if not all(_want(each, "", recipe) for each in sources[: unit.number]):
            return False
        if recipe.only is not None:
            recipe.only |= {str(unit.line.place)}
            recipe.beside |= {"PID", *unit.block.segments}
            recipe.beside |= {segment for each in self.parents(unit.block) for segment in each.segments}
        return source is None or not source.number or _want(source, None, recipe)

    def parents(self, block: Block) -> list[Block]:
        """What makes the resource of which a block makes a part."""
        if block.element is None:
            return []
        makers = (each for each in self.blocks if each.element is None and each.type == block.type)
        return [each for each in makers if self.there.issuperset(each.segments)][:1]

    def message(self, recipe: Recipe) -> bytes:
        """The message of a recipe."""
        event, version = recipe.kinds[0]
        code, _, trigger = event.partition("_")
        lines = list(self._group(self.structure.root, recipe))
        head: dict[tuple[int, int], str] = {**MSH, (9, 0): f"{code}^{trigger}^{self.structure.name}", (12, 0): version}
        head.update(
            ((number, part), text)
            for (_, number, part, sub), text in self._heading(recipe).items()
            if not sub and not any(each[0] == number for each in head)
        )
        for (segment, number, part, sub), value in recipe.wanted.items():
            if segment == "MSH" and not sub and value is not None and number not in (9, 12):
                head[number, part] = value
        return "".join(f"{each}\r" for each in (_header(head), *lines)).encode()

    def _heading(self, recipe: Recipe) -> dict[Cell, str]:
        """What the lines that are asked for read of MSH."""
        wanted = recipe.only or frozenset()
        lines = ((block, line) for block in self.blocks for line in block.lines if str(line.place) in wanted)
        return {cell: text for block, line in lines for cell, text in self._filled(block, line, "MSH", recipe.variant)}

    def _group(self, group: Group, recipe: Recipe) -> Iterator[str]:
        for item in group.items:
            if item.group is not None:
                for number in range(REPEATED if item.repeats and not recipe.variant and recipe.only is None else 1):
                    yield from self._group(item.group, replace(recipe, variant=recipe.variant + number))
            elif item.segment in self.used and item.segment != "MSH" and self._needed(item, recipe):
                for number in range(REPEATED if item.repeats and recipe.only is None else 1):
                    yield self._segment(item.segment, replace(recipe, variant=recipe.variant + number), number)

    def _needed(self, item: Item, recipe: Recipe) -> bool:
        """Does the message need this segment for what it is to show?"""
        if recipe.only is None or not item.optional or item.segment in recipe.beside:
            return True
        return any(segment == item.segment and value != "" for (segment, *_), value in recipe.wanted.items())

    def _segment(self, name: str, recipe: Recipe, repetition: int) -> str:
        cells: dict[Cell, str] = {(name, 1, 0, 0): str(repetition + 1)} if name in _NUMBERED else {}
        spare: dict[Cell, str] = {}
        for block in self.blocks:
            for line in block.lines:
                filled = cells if recipe.only is None or str(line.place) in recipe.only else spare
                for cell, text in self._filled(block, line, name, recipe.variant):
                    filled.setdefault(cell, text)
        for cell, text in SOMEBODY.items():
            if cell[0] == name:
                cells.setdefault(cell, text)
        for cell in self._named(name):
            cells.setdefault(cell, spare.get(cell, f"K{repetition}^键{repetition}^L"))
        for cell, value in recipe.wanted.items():
            if cell[0] == name and value is not None:
                cells[cell] = value
            elif cell[0] == name and not any(each[:2] == cell[:2] and text for each, text in cells.items()):
                cells[cell] = spare.get(cell, "X")
        return _written(name, cells)

    def _named(self, name: str) -> Iterator[Cell]:
        """The fields of a segment by which resources are found again."""
        for block in self.blocks:
            for part in block.key:
                fields = part if isinstance(part, tuple) else (part.field,) if isinstance(part, KeyValue) else ()
                yield from (
                    _whole(each)
                    for each in fields
                    if not isinstance(each, Link) and each.segment == name and each.number > 1
                )

    def _filled(self, block: Block, line: Line, name: str, variant: int) -> Iterator[tuple[Cell, str]]:
        table = self.library.codes[line.codes].into if line.codes else None
        fields = [each for each in line.arguments if each.segment]
        values = [each for each in exemplars(self._datatype(block, line), table) if len(each) == 1 + len(fields)]
        if not line.into or not values:
            return
        for shift, source in enumerate(line.sources):
            texts = values[(variant + shift) % len(values)]
            first = _distinct(line, texts[0], variant + shift)
            if source.repeats and "~" not in first and not source.component:
                other = values[(variant + shift + 1) % len(values)][0]
                first = f"{first}~{_distinct(line, other, variant + shift + 1)}"
            if source.component:
                first = first.replace("^", "&") if not source.subcomponent else first.partition("^")[0]
            for each, text in zip((source, *fields), (first, *texts[1:]), strict=True):
                if each.segment == name and each.number:
                    yield _cell(each), text

    def _datatype(self, block: Block, line: Line) -> str:
        """What it says, else what its element takes."""
        if line.datatype or line.constant or line.link or line.codes:
            return line.datatype
        return _OF_ELEMENTS.get(paths.resolve(block.path, line, self.library.systems).leaf.type, "")


_OF_ELEMENTS = {
    "date": "date", "dateTime": "dtm", "instant": "instant", "decimal": "number", "boolean": "yn",
    "integer": "integer", "positiveInt": "positive", "unsignedInt": "integer",
}  # fmt: skip
_NUMBERED = frozenset(
    {"PID", "NK1", "PV1", "AL1", "DG1", "IN1", "OBR", "OBX", "NTE", "SPM", "IAM", "GT1", "PR1", "FT1"}
)


# what names something: two of them are two things
_NAMING = frozenset({"CX", "EI", "EIP", "XCN", "XON", "NDL", "PL", "CWE", "allergy", "SPS"})
_NAME = re.compile(r"(?<![^^])([A-Z]+\d+)(?=[\^&]|$)")


def _distinct(line: Line, text: str, number: int) -> str:
    """The same value about another person or thing."""
    return _NAME.sub(rf"\g<1>{number}", text, count=1) if line.datatype in _NAMING and not line.codes else text


def _cell(found: Field) -> Cell:
    return (found.segment, found.number, found.component, found.subcomponent)


def _whole(found: Field) -> Cell:
    return (found.segment, found.number, found.component, 0)


def _segments(block: Block) -> Iterator[str]:
    yield from block.segments
    for line in block.lines:
        yield from (each.segment for each in (*line.sources, *line.arguments) if each.segment)


def _hold(condition: Condition, wanted: bool, recipe: Recipe) -> bool:
    """Makes a condition hold (or not) by what the recipe wants; False when that cannot be."""
    match condition.operator:
        case "not":
            return _hold(condition.parts[0], not wanted, recipe)
        case "and" | "or" if (condition.operator == "and") == wanted:
            return all(_hold(each, wanted, recipe) for each in condition.parts)
        case "and" | "or":
            return any(_either(each, wanted, recipe) for each in condition.parts)
        case "valued":
            return _want(condition.field, None if wanted else "", recipe)
    if condition.field is None:
        return _told(condition, wanted, recipe)
    return _want(condition.field, condition.values[0] if wanted else "ZZ", recipe)


def _either(condition: Condition, wanted: bool, recipe: Recipe) -> bool:
    """The same, and the recipe is as it was where it cannot be."""
    before = recipe.copy()
    if _hold(condition, wanted, recipe):
        return True
    recipe.wanted, recipe.kinds, recipe.beside = before.wanted, before.kinds, before.beside
    return False


def _told(condition: Condition, wanted: bool, recipe: Recipe) -> bool:
    """A fact of the message: what it may be is narrowed."""
    if condition.fact in ("BESIDE", "UNDER", "BEHIND"):
        recipe.beside |= set(condition.values) if wanted else set()
        return True
    recipe.kinds = tuple(
        (event, version)
        for event, version in recipe.kinds
        if (_fact(condition.fact, recipe.structure, event, version) in condition.values) == wanted
    )
    return bool(recipe.kinds)


def _fact(name: str, structure: str, event: str, version: str) -> str:
    code, _, trigger = event.partition("_")
    return {"EVENT": trigger, "MESSAGE": code, "STRUCTURE": structure, "VERSION": version}[name]


def _want(found: Field | None, value: str | None, recipe: Recipe) -> bool:
    assert found is not None
    cell = _cell(found)
    there = recipe.wanted.get(cell, "") if cell in recipe.wanted else value
    if value is None or (there is None and value):
        recipe.wanted[cell] = there if value is None else value
        return there != ""
    recipe.wanted[cell] = there
    return there == value


def _header(head: Mapping[tuple[int, int], str]) -> str:
    fields: dict[int, str] = {}
    for (number, part), value in sorted(head.items()):
        fields[number] = _set(fields.get(number, ""), "^", part, value) if part else value
    return "MSH|^~\\&" + "".join(f"|{fields.get(number, '')}" for number in range(3, max(fields) + 1))


def _written(name: str, cells: Mapping[Cell, str]) -> str:
    fields: dict[int, str] = {}
    for (_, number, part, sub), value in sorted(cells.items(), key=lambda each: each[0][2:]):
        if part:
            whole = fields.get(number, "")
            old = _piece(whole, "^", part)
            fields[number] = _set(whole, "^", part, _set(old, "&", sub, value) if sub else value)
        else:
            fields[number] = value
    last = max((number for number, value in fields.items() if value), default=0)
    return name + "".join(f"|{fields.get(number, '')}" for number in range(1, last + 1))


def _piece(text: str, separator: str, number: int) -> str:
    pieces = text.split(separator)
    return pieces[number - 1] if len(pieces) >= number else ""


def _set(text: str, separator: str, number: int, value: str) -> str:
    pieces = text.split(separator)
    pieces.extend([""] * (number - len(pieces)))
    pieces[number - 1] = value
    return separator.join(pieces).rstrip(separator)


if __name__ == "__main__":
    from tests.mapping.every_line.golden import main

    sys.exit(main())
