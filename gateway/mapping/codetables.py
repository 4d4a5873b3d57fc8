"""Which pair translates a line: the data type that it names, through the code table that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.errors import Configuration
from gateway.fhir import definitions
from gateway.mapping import paths
from gateway.mapping.context import CODE, Context
from gateway.mapping.datatypes import Pair, codes, exports, load, simple
from gateway.mapping.datatypes.signals import WORDS
from gateway.mapping.syntax import CodeTable, Line

BUILT = frozenset(
    {"code", "coding", "concept", "CWE", "listed", "signal", "said"}
)  # their arguments go into the pair when it is built
_BY_TYPE = {  # what a line without ': TYPE' means, by the FHIR type of its element
    "string": "text", "markdown": "text", "uri": "text", "url": "text", "id": "text", "code": "text",
    "date": "date", "dateTime": "dtm", "instant": "instant", "decimal": "number",
    "boolean": "yn", "integer": "integer", "positiveInt": "positive", "unsignedInt": "integer",
}  # fmt: skip

_CELLS = {"text": "cell", "date": "day", "dtm": "moment"}  # the cells of exports know no escape sequences


def pair(line: Line, path: paths.Path, tables: Mapping[str, CodeTable], systems: dict[str, str]) -> Pair:
    """Raises Configuration (with the line's place) when the type does not fit the element."""
    table = tables[line.codes] if line.codes else None
    into, back = (table.into, table.back) if table else ({}, {})
    match line.datatype:
        case "coding":
            return codes.coding_pair(line.codes, _system(line, table, systems), into if table else None, back)
        case "concept":
            system = _system(line, table, systems)
            found = codes.concept_pair(line.codes, system, into, back) if table else codes.system_pair(system)
            cell = any(each.name for each in line.sources)
            return _of_cell(found, system, back, bound=_is_bound(path)) if cell else found
        case "CWE" if line.arguments:
            return codes.listed_pair(_listed(line, tables))
        case "listed":
            return exports.listed_pair(_listed(line, tables))
        case "" | "code" if table:
            check_codes(line, path, table)
            return codes.code_pair(line.codes, into, back)
        case "signal" | "said" if table:
            check_codes(line, path, table)
            return WORDS[line.datatype](codes.code_pair(line.codes, into, back))
        case "code" | "signal" | "said":
            raise Configuration(
                f"{line.place}: {line.datatype} reads through a table", remedy=f"': {line.datatype} | TABLE'"
            )
        case "":
            if path.leaf.type not in _BY_TYPE:
                raise Configuration(
                    f"{line.place}: say which data type makes the {path.leaf.type or 'choice'} at {path.text}",
                    remedy="': TYPE'",
                )
            return _named(line, _BY_TYPE[path.leaf.type])
    found = _named(line, line.datatype)
    return (
        simple.with_time(found)
        if path.leaf.type == "instant" and line.datatype in ("dtm", "moment", "daytime")
        else found
    )


def _of_cell(pair: Pair, system: str, known: Mapping[str, str], *, bound: bool) -> Pair:
    """A cell holds a code alone, of the line's own system or of the sender's; of its own one that the table knows.
    `bound`: R4 allows no words in its place, and an unknown one is left out (it is told as one)."""

    def into(raw: str, context: Context) -> dict[str, Any] | None:
        made = pair.into(raw, context)
        return made if not bound or _has(made, system) else None

    def is_known(coding: Mapping[str, Any]) -> bool:
        return not known or "*" in known or coding.get("system") != system or coding.get("code", "") in known

    def back(value: dict[str, Any], context: Context) -> str:
        own = [each for each in value.get("coding", ()) if _is_own(str(each.get("system", "")), system)]
        codings = [each for each in own if is_known(each)]
        if not codings and "coding" in value:
            return ""
        return str(pair.back({**value, "coding": codings} if codings else value, context)).partition("^")[0]

    return Pair(into, back, fits=pair.fits, coded=pair.coded)


def _is_bound(path: paths.Path) -> bool:
    return definitions.resolve(path.text).codes is not None


def _has(value: dict[str, Any] | None, system: str) -> bool:
    return value is not None and any(each.get("system") == system for each in value.get("coding", ()))


def _is_own(system: str, wanted: str) -> bool:
    return system == wanted or system.startswith(CODE)


def _named(line: Line, name: str) -> Pair:
    """The data type of this name; for the cells of an export its own."""
    return load()[_CELLS.get(name, name) if any(each.name for each in line.sources) else name]


def _listed(line: Line, tables: Mapping[str, CodeTable]) -> codes.CodeList:
    """`CWE(list)` or `CWE(list, meanings)`."""
    names = _words(line)
    for name in names:
        if name not in tables:
            raise Configuration(f"{line.place}: no code table is called {name}")
    table = tables[names[0]]
    made = codes.CodeList(table.name, table.into, table.back, table.system)
    if len(names) > 1:
        made = replace(made, meanings=tables[names[1]].into, meant=tables[names[1]].system)
    return made


def _system(line: Line, table: CodeTable | None, systems: dict[str, str]) -> str:
    names = _words(line)
    name = names[0] if names else table.system if table else ""
    if not name:
        raise Configuration(f"{line.place}: {line.datatype} needs its code system", remedy=f"{line.datatype}(system)")
    return paths.system_of(name, line, systems)


def _words(line: Line) -> list[str]:
    return [each.name for each in line.arguments]


def check_codes(line: Line, path: paths.Path, table: CodeTable) -> None:
    """Every code that the table can make must be allowed where the element's binding is required."""
    element = definitions.resolve(path.text)
    if element.codes is None:
        return
    wrong = sorted(set(table.into.values()) - element.codes - {codes.NOTHING, codes.ASIDE})
    if wrong:
        raise Configuration(
            f"{line.place}: table {table.name} makes {', '.join(wrong)}, which {path.text} does not allow"
        )
