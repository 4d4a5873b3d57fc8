"""What the lines of the maps say of a code table: of which HL7 table its codes are, and of which system their sense."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.codec import hl7v2_dictionary
from gateway.errors import Configuration
from gateway.fhir import definitions
from gateway.mapping import paths
from gateway.mapping.charts.parts import lines
from gateway.mapping.charts.published import Published
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Field, Line

V2 = "http://terminology.hl7.org/CodeSystem/v2-"
_LISTS = ("CWE", "listed")


@dataclass(slots=True)
class Use:
    """How one table is used; lists without doubles, in the order of the maps."""

    sources: list[str] = field(default_factory=list)  # HL7's tables of the fields that it reads
    targets: list[str] = field(default_factory=list)  # code systems of the elements that it fills
    sets: list[str] = field(default_factory=list)  # value sets that these are bound to
    listed: bool = False  # code = name
    of: str = ""  # the list whose codes it translates


def uses(library: Library, published: Published) -> dict[str, Use]:
    """Table → its use; of every table."""
    found = {name: Use() for name in library.codes}
    for block, line in lines(library):
        if line.codes in found:
            _noted(found[line.codes], block, line, library, published)
        elif line.datatype in _LISTS and line.arguments:
            _list(found, [each.name for each in line.arguments])
    for name, table in library.codes.items():
        if table.system and not found[name].listed:
            _once(found[name].targets, table.system)
    return found


def _list(found: dict[str, Use], names: list[str]) -> None:
    if names[0] in found:
        found[names[0]].listed = True
    if len(names) > 1 and names[1] in found:
        found[names[1]].of = names[0]


def _noted(use: Use, block: Block, line: Line, library: Library, published: Published) -> None:
    for each in line.sources:
        table = _hl7_table(each)
        if table and f"{V2}{table}" in published:
            _once(use.sources, f"{V2}{table}")
    if line.datatype in ("coding", "concept") and line.arguments:
        _once(use.targets, paths.system_of(line.arguments[0].name, line, library.systems))
        return
    binding = _binding(f"{block.path}.{line.path}")
    systems = published.systems_of(binding)
    if systems:
        _once(use.sets, binding)
    for system in systems:
        _once(use.targets, system)


def _once(listed: list[str], value: str) -> None:
    if value not in listed:
        listed.append(value)


def _hl7_table(field: Field) -> str:
    """The number of the HL7 table of a coded field: '0001'; "" for a part of one, and for a column."""
    return hl7v2_dictionary.table(field.segment, field.number) if field.segment and field.component < 2 else ""


def _binding(path: str) -> str:
    try:
        return definitions.resolve(path).binding.partition("|")[0]
    except Configuration:
        return ""
