"""Messages made from the maps themselves: every field that a line reads is filled with a value of its data type, and
conditions are made to hold, so that every line of every map can be seen at work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.mapping.datatypes.exemplars import exemplars
from gateway.mapping.library import Library
from gateway.mapping.maps import Maps, Translation
from gateway.mapping.syntax import Block, Condition, Field, Group, Line, Link, Structure
from tests.mapping.house import SHANGHAI, WHEN

Cell = tuple[str, int, int, int]  # segment, field, component, subcomponent (0: the whole)
Wanted = dict[Cell, str]
MSH = {
    (3, 0): "LIS", (4, 0): "EXAMPLE", (5, 0): "GW", (6, 0): "HUB", (7, 0): "20260312142500+0800", (10, 0): "M1",
    (11, 0): "P",
}  # fmt: skip
REPEATED = 2  # how often a segment stands that may repeat


@dataclass(slots=True)
class Recipe:
    """What decides one message."""

    structure: str
    event: str
    variant: int = 0  # which of the exemplars of a data type
    wanted: Wanted = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


class Generator:
    """Messages of one structure."""

    def __init__(self, library: Library, name: str) -> None:
        self.library = library
        self.structure: Structure = library.structures[name]
        self.blocks = [block for block in library.blocks_of(name) if block.into]
        self.used = {segment for block in self.blocks for segment in _segments(block)}

    def recipes(self) -> Iterator[Recipe]:
        """The plain ones, then one for each line and each code that stands under a condition."""
        events = list(self.structure.events) or [self.structure.name]
        for variant in range(6):
            yield Recipe(self.structure.name, events[variant % len(events)], variant)
        for event in events:
            yield Recipe(self.structure.name, event)
        for block in self.blocks:
            for line in block.lines:
                if line.into:
                    yield from self._targeted(block, line, events)

    def _targeted(self, block: Block, line: Line, events: list[str]) -> Iterator[Recipe]:
        """One for each alternative source, with the ones before it empty and its condition true."""
        for number, source in enumerate(line.sources or (None,)):
            recipe = Recipe(self.structure.name, events[0], number)
            for each in line.sources[:number]:
                recipe.wanted[_cell(each)] = ""
            holds = [each for each in (line.condition, block.condition) if each]
            here = source is None or source.segment in ("", *self.used)
            if here and all(_hold(each, True, recipe) for each in holds):
                yield from self._of_event(recipe, events)

    def _of_event(self, recipe: Recipe, events: list[str]) -> Iterator[Recipe]:
        """The recipe with the event that it needs, where this structure is what it needs."""
        wanted = recipe.facts.get("EVENT", recipe.event.partition("_")[2])
        event = next((each for each in events if each.partition("_")[2] == wanted), "")
        if event and recipe.facts.get("STRUCTURE", self.structure.name) == self.structure.name:
            yield replace(recipe, event=event)

    def message(self, recipe: Recipe) -> bytes:
        """The message of a recipe."""
        code, _, trigger = recipe.event.partition("_")
        lines = list(self._group(self.structure.root, recipe))
        head: dict[tuple[int, int], str] = {**MSH, (9, 0): f"{code}^{trigger}^{self.structure.name}", (12, 0): "2.5.1"}
        for (segment, number, part, sub), value in recipe.wanted.items():
            if segment == "MSH" and not sub:
                head[number, part] = value
        return "".join(f"{each}\r" for each in (_header(head), *lines)).encode()

    def _group(self, group: Group, recipe: Recipe) -> Iterator[str]:
        for item in group.items:
            if item.group is not None:
                for number in range(REPEATED if item.repeats and not recipe.variant else 1):
                    yield from self._group(item.group, replace(recipe, variant=recipe.variant + number))
            elif item.segment in self.used and item.segment != "MSH":
                for number in range(REPEATED if item.repeats else 1):
                    yield self._segment(item.segment, replace(recipe, variant=recipe.variant + number), number)

    def _segment(self, name: str, recipe: Recipe, repetition: int) -> str:
        cells: dict[Cell, str] = {(name, 1, 0, 0): str(repetition + 1)} if name in _NUMBERED else {}
        for cell in self._named(name):
            cells.setdefault(cell, f"K{repetition}^键{repetition}^L")
        for block in self.blocks:
            for line in block.lines:
                for cell, text in self._filled(line, name, recipe.variant):
                    cells.setdefault(cell, text)
        cells.update((cell, value) for cell, value in recipe.wanted.items() if cell[0] == name)
        return _written(name, cells)

    def _named(self, name: str) -> Iterator[Cell]:
        """The fields of a segment by which resources are found again."""
        for block in self.blocks:
            for part in block.key:
                fields = () if isinstance(part, Link) else part if isinstance(part, tuple) else (part.field,)
                yield from (_whole(each) for each in fields if each.segment == name and each.number > 1)

    def _filled(self, line: Line, name: str, variant: int) -> Iterator[tuple[Cell, str]]:
        table = self.library.codes[line.codes].into if line.codes else None
        fields = [each for each in line.arguments if each.segment]
        values = [each for each in exemplars(line.datatype, table) if len(each) == 1 + len(fields)]
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
            return any(_hold(each, wanted, recipe) for each in condition.parts)
        case "valued":
            return _want(condition.field, None if wanted else "", recipe)
    if condition.field is None:
        if not wanted:
            return True
        return recipe.facts.setdefault(condition.fact, condition.values[0]) in condition.values
    return _want(condition.field, condition.values[0] if wanted else "ZZ", recipe)


def _want(found: Field | None, value: str | None, recipe: Recipe) -> bool:
    assert found is not None
    if value is None:
        return recipe.wanted.get(_cell(found)) != ""
    return recipe.wanted.setdefault(_cell(found), value) == value


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


def lines_at_work(made: Translation) -> set[str]:
    """'hl7v2/patient.map:5' of every line that made an element."""
    return {each.line for each in made.lineage}


def cover(maps: Maps) -> tuple[dict[str, bytes], set[str]]:
    """Few messages by name that set every line to work that any can, and the lines that none does."""
    found: list[tuple[str, bytes, set[str]]] = []
    for name in maps.library.structures:
        generator = Generator(maps.library, name)
        for number, recipe in enumerate(generator.recipes()):
            body = generator.message(recipe)
            try:
                made = maps.to_fhir(hl7v2.decode(body), profile=SHANGHAI, when=WHEN, explain=True)
            except HutongError:
                continue
            found.append((f"{name.lower()}_{number}", body, lines_at_work(made)))
    everything = {str(line.place) for block in maps.library.blocks for line in block.lines if line.into}
    chosen: dict[str, bytes] = {}
    open_ = {line for *_, lines in found for line in lines}
    never = everything - open_
    while open_:
        name, body, lines = max(found, key=lambda each: len(each[2] & open_))
        chosen[name] = body
        open_ -= lines
    return chosen, never
