"""`hutong map explain`: every line of the maps that touches a field, a column or an element, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.errors import Configuration
from gateway.fhir import definitions
from gateway.mapping import paths
from gateway.mapping.accounting.writing import begins
from gateway.mapping.arrivals import Arrival, Trials
from gateway.mapping.checks import nearest
from gateway.mapping.library import Library
from gateway.mapping.source_code import fields_of, of_condition
from gateway.mapping.syntax import Block, Condition, Field, Line

_FIELD = re.compile(r"(?P<segment>[A-Z][A-Z0-9]{2})-(?P<number>\d+)(?:\.(?P<component>\d+))?")
_NAMES = {
    "EVENT": "the trigger event",
    "STRUCTURE": "the structure",
    "MESSAGE": "the message",
    "VERSION": "the version",
}


def explain(library: Library, asked: str) -> list[str]:
    """The lines that touch 'PID-5', 'PID-5.1', 'Observation.status' or a column, with what they do. Raises
    Configuration for what no map touches, with the nearest name that one does."""
    blocks = [*library.blocks, *(block for export in library.exports.values() for block in export.blocks)]
    found = [text for block in blocks for text in _touching(library, block, asked)]
    if not found:
        known = {str(field).replace("*", "") for block in blocks for field in fields_of(block)}
        known |= {f"{block.path}.{line.path}" for block in blocks for line in block.lines}
        raise Configuration(f"no line of the maps touches {asked}{nearest(asked, known)}", remedy="see hutong map lint")
    return found


def _touching(library: Library, block: Block, asked: str) -> Iterator[str]:
    by_field = _FIELD.fullmatch(asked)
    by_source = by_field or asked.partition(".")[0] not in definitions.resource_types()
    for line in block.lines:
        path = paths.resolve(block.path, line, library.systems)
        read = by_source and any(_is(each, asked, by_field) for each in (*line.sources, *line.arguments))
        if read or (not by_source and _meets(path.text, asked)):
            yield "\n".join((f"{line.place}  {_said(line, path)}", *_details(library, line, path)))
        elif by_source and any(_is(each, asked, by_field) for each in of_condition(line.condition)):
            yield f"{line.place}  decides whether {path.text} is set here: {_condition(line.condition)}"
    own = [*of_condition(block.condition), *fields_of(Block(place=block.place, key=block.key))]
    if by_field and any(_is(each, asked, by_field) for each in own):
        yield f"{block.place}  decides whether a {block.path} is made, or names it"


def _is(field: Field, asked: str, found: re.Match[str] | None) -> bool:
    if found is None:
        return field.name == asked
    if (field.segment, field.number) != (found["segment"], int(found["number"])):
        return False
    return not (found["component"] and field.component) or field.component == int(found["component"])


def _meets(path: str, asked: str) -> bool:
    one, two = tuple(path.split(".")), tuple(asked.split("."))
    return begins(one, two) or begins(two, one)


def _said(line: Line, path: paths.Path) -> str:
    """`PID-5, each repetition <-> Patient.name`."""
    arrow = "<->" if line.into and line.back else "->" if line.into else "<-"
    if line.link:
        return f"{path.text} refers to {'all' if line.link.every else 'the'} {line.link.type} made beside or above"
    fields = " or ".join(map(_field, line.sources))
    if line.constant:
        said = f"'{line.constant.text}'"
        return f"{path.text} = {said}" if line.into else f"{fields} = {said} where {path.text} is there"
    return f"{fields} {arrow} {path.text}"


def _details(library: Library, line: Line, path: paths.Path) -> Iterator[str]:
    if line.constant and not line.sources:
        yield "    where no line has set it before"
    if len(line.sources) > 1:
        yield "    into FHIR the first one that is valued; coming back all of them are written"
    if line.datatype:
        words = ", ".join(map(str, line.arguments))
        yield f"    by the data type {line.datatype}{f' with {words}' if words else ''}"
    table = library.codes.get(line.codes)
    if table is not None:
        yield f"    through the code table {table.name} ({table.place})"
    for element in path.elements:
        for name, _, values in element.slice:
            yield f"    only {element.name} whose {name} is {' or '.join(values)}"
    if line.condition:
        yield f"    only when {_condition(line.condition)}"
    if line.sources and not line.constant:
        yield from _components(library, line, path)


def _components(library: Library, line: Line, path: paths.Path) -> Iterator[str]:
    """Which component goes where, as found by trying."""
    result = Trials(library).of(line, path)
    into, back = result.into if line.into else frozenset(), result.back if line.back else frozenset()
    every = sorted(each for each in into | back if ".resolve()" not in each.path)  # told where it stands
    for each in every if len(every) > 1 else ():
        way = "<->" if each in into and each in back else "->" if each in into else "<-"
        yield f"      {_place(line, each)} {way} {each.resource}.{each.path}"


def _field(field: Field) -> str:
    return f"{str(field).replace('*', '')}{', each repetition' if field.repeats else ''}"


def _place(line: Line, arrival: Arrival) -> str:
    field = line.arguments[arrival.text - 1] if arrival.text else line.sources[0]
    parts = "".join(f".{part}" for part in (arrival.component, arrival.subcomponent) if part)
    return f"{str(field).replace('*', '')}{parts}"


def _condition(condition: Condition | None) -> str:
    if condition is None:
        return ""
    match condition.operator:
        case "not":
            return f"not ({_condition(condition.parts[0])})"
        case "and" | "or":
            return f" {condition.operator} ".join(map(_condition, condition.parts))
    name = _NAMES.get(condition.fact, "") or str(condition.field).replace("*", "")
    if condition.operator == "valued":
        return f"{name} is valued"
    return f"{name} is {' or '.join(condition.values)}"
