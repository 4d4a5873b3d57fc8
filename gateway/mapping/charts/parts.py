"""Code systems of which a part is held (LOINC, SNOMED CT, UCUM and their like), with what our maps make of them."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.errors import Configuration
from gateway.mapping import paths
from gateway.mapping.charts.published import Published
from gateway.mapping.datatypes import units
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Line
from gateway.model import Resource

UCUM = "http://unitsofmeasure.org"


def completed(published: Published, library: Library) -> Iterator[Resource]:
    """What is published; to a fragment the codes are added that the maps make."""
    made = _made(library)
    for resource in published.resources:
        more = made.get(resource["url"], {}) if resource.get("content") == "fragment" else {}
        known = {each["code"]: each for each in resource.get("concept", ())}
        for code, display in more.items():
            told = known.setdefault(code, {"code": code})
            if display:
                told.setdefault("display", display)
        if more:
            yield {**resource, "concept": [known[code] for code in sorted(known)]}
        else:
            yield resource


def _made(library: Library) -> dict[str, dict[str, str]]:
    """System → code → display of every constant of the maps, every code of a table, every unit."""
    found: dict[str, dict[str, str]] = {UCUM: dict.fromkeys(units.known(), "")}
    for _, line in lines(library):
        constant = line.constant
        if constant is not None and constant.system and (system := _system(constant.system, line, library)):
            codes = found.setdefault(system, {})
            codes[constant.text] = codes.get(constant.text) or constant.display
        table = library.codes.get(line.codes)
        if table is not None and line.datatype in ("coding", "concept") and line.arguments:
            system = _system(line.arguments[0].name, line, library)
            for code in {*table.into.values()} - {"-"}:
                found.setdefault(system, {}).setdefault(code, "")
    return found


def lines(library: Library) -> Iterator[tuple[Block, Line]]:
    """Every line of every map, with its block."""
    for block in (*library.blocks, *(block for export in library.exports.values() for block in export.blocks)):
        for line in block.lines:
            yield block, line


def _system(name: str, line: Line, library: Library) -> str:
    try:
        return paths.system_of(name, line, library.systems)
    except Configuration:
        return ""
