"""What became of every value of an export, cell by cell and leaf by leaf; and where each element of its Bundle came
from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.mapping import runtime
from gateway.mapping.accounting.account import Account, Row, State
from gateway.mapping.context import Context
from gateway.mapping.datatypes import load
from gateway.mapping.datatypes.clocks import says_none
from gateway.mapping.export_records import Part
from gateway.mapping.export_writer import TABLE
from gateway.mapping.exports import ExportMap
from gateway.mapping.functions import Functions
from gateway.mapping.library import Library
from gateway.mapping.source_code import of_condition
from gateway.mapping.syntax import Block, Field, KeyValue, Line
from gateway.model import Profile, Reject

_FILTER = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Reader:
    """One line that reads a column, or the head of a block (line None)."""

    block: Block
    line: Line | None


@dataclass(slots=True)
class Trace:
    """One part of a file, translated with its traces."""

    part: Part
    export: ExportMap
    made: list[list[tuple[dict[str, Any], str, str]]] = field(default_factory=list)  # by record: resource, path, line
    rejects: list[Reject] = field(default_factory=list)
    first: list[dict[int, int]] = field(default_factory=list)  # by record: block → the record that made its resource

    def number(self, index: int) -> int:
        return self.part.number(index)


def traced(library: Library, parts: Sequence[Part], profile: Profile, facility: str) -> tuple[list[Trace], Context]:
    """The same translation as that of the parts, traced record by record."""
    functions = Functions(library, explain=True)
    context = Context(profile=profile, facility=facility, control_id="-", systems=library.coding_systems, memory=None)
    context.lineage = []
    found = []
    for part in parts:
        trace = Trace(part, ExportMap(library.exports[part.name], functions))
        _run(trace, context)
        found.append(trace)
    return found, context


def _run(trace: Trace, context: Context) -> None:
    earlier: dict[tuple[int, tuple[str, ...]], int] = {}
    blocks = [each.block for each in trace.export.blocks]

    def watch(index: int, cause: str) -> None:
        lineage = context.lineage or []
        trace.made.append([] if cause else [(each[0], each[1], each[4]) for each in lineage])
        lineage.clear()
        record, home = trace.part.records[index], {}
        for block in blocks if not cause else ():
            key = (id(block), tuple(trace.export.cell(record, name) for name in block.rows_by or ()))
            home[id(block)] = earlier.setdefault(key, index) if block.rows_by else index
        trace.first.append(home)

    trace.rejects.extend(trace.export.run(trace.part, context, watch=watch))


# --------------------------------------------------------------------------------------------- the account


def account_of_export(traces: Sequence[Trace], misfits: Sequence[Reject] = (), missing: Sequence[str] = ()) -> Account:
    """A row for each value. `misfits`: rows that were none of their table; `missing`: what the kind of the export would
    have besides."""
    rows = [row for trace in traces for row in _rows(trace)]
    rows.extend(Row(_placed(each.place, "row"), State.KEPT, f"set aside: {each.cause}") for each in misfits)
    return Account(tuple(rows), tuple(missing))


def _rows(trace: Trace) -> Iterator[Row]:
    readers = _readers(trace.export)
    aside = {(each.place, each.row): each.cause for each in trace.rejects if not each.cell}
    left = {(each.place, each.row, each.column): each.cause for each in trace.rejects if each.cell}
    for index, record in enumerate(trace.part.records):
        row = trace.part.place_of(index), trace.number(index)
        lines = _counted(trace, index)
        for column, text in leaves(record, trace.export.export.format):
            place = _placed(row[0] if trace.export.export.format == TABLE else "", column)
            if row in aside:
                yield Row(place, State.KEPT, f"its record was set aside: {aside[row]}")
            elif (*row, column) in left:
                yield Row(place, State.KEPT, f"left out: {left[*row, column]}")
            else:
                yield Row(place, *_became(trace, index, column, text, readers.get(column, ()), lines))
    for column, _ in _above(trace.part.root, trace.export.export.each):
        state = State.CARRIED if column in readers else State.KEPT
        yield Row(column, state, "the Bundle says it" if column in readers else "no line of the map reads it")


def _became(
    trace: Trace, index: int, column: str, text: str, readers: Sequence[Reader], lines: Mapping[int, set[str]]
) -> tuple[State, str]:
    """State and reason of one value."""
    if not readers:
        return State.KEPT, "no line of the map reads it"
    otherwise = ""
    for reader in readers:
        home = trace.first[index].get(id(reader.block))
        if home is None or not _made(reader, lines.get(home, set())):
            continue
        if home == index or text in _texts(trace, home, column):
            return State.CARRIED, "the Bundle says it"
        otherwise = " ".join(reader.block.rows_by or ())
    if otherwise:
        return State.KEPT, f"an earlier record of the same {otherwise} says otherwise"
    if says_none(text):
        return State.DROPPED, "it says that there is none"
    places = ", ".join(dict.fromkeys(str((each.line or each.block).place) for each in readers))
    return State.KEPT, f"nothing was made of it ({places})"


def _made(reader: Reader, lines: set[str]) -> bool:
    if reader.line is not None:
        return str(reader.line.place) in lines
    return any(str(line.place) in lines for line in reader.block.lines)


def _counted(trace: Trace, index: int) -> dict[int, set[str]]:
    """The lines that made something, by record, of all that made what this record speaks of."""
    homes = {index, *trace.first[index].values()}
    return {home: {line for _, _, line in trace.made[home]} for home in homes}


def _texts(trace: Trace, index: int, column: str) -> set[str]:
    record = trace.part.records[index]
    return {text for name, text in leaves(record, trace.export.export.format) if name == column}


def _readers(export: ExportMap) -> dict[str, list[Reader]]:
    """The lines that read each column."""
    found: dict[str, list[Reader]] = {}
    for compiled in export.blocks:
        block = compiled.block
        for name in _keys(block):
            found.setdefault(name, []).append(Reader(block, None))
        for line in block.lines:
            for each in (*columns_of(line), *of_condition(line.condition)):
                found.setdefault(_full(block, each), []).append(Reader(block, line))
    return found


def _keys(block: Block) -> Iterator[str]:
    yield from (each for each in block.rows_by or ())
    for part in block.key:
        if isinstance(part, KeyValue):
            yield _full(block, part.field)
        elif isinstance(part, tuple):
            yield from (_full(block, each) for each in part if isinstance(each, Field))
    yield from (_full(block, each) for each in of_condition(block.condition))


def _full(block: Block, found: Field) -> str:
    """The column, or the whole path from the record, without the filters of its steps."""
    name = _FILTER.sub("", found.name)
    if name.startswith("../"):
        return name[3:]
    return f"{block.each}/{name}" if block.each and name and not name.startswith("/") else name


def columns_of(line: Line) -> tuple[Field, ...]:
    """The columns that a line reads; what stands behind those in its data type are words."""
    pair = load().get(line.datatype)
    return (*line.sources, *line.arguments[: pair.fields if pair else 0])


def leaves(record: Any, format: str) -> Iterator[tuple[str, str]]:
    """(column or path, text) of every value of a record that says something."""
    if format == TABLE:
        yield from ((name, text) for name, text in record.items() if text.strip())
    else:
        yield from _walked(record, "")


def _walked(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _walked(child, path if name == "#text" else f"{path}/{name}" if path else name)
    elif isinstance(node, list):
        for child in node:
            yield from _walked(child, path)
    elif text := runtime.scalar(node):
        yield path, text


def _above(root: Any, each: str) -> Iterator[tuple[str, str]]:
    """What stands above the records of a tree, beside them."""
    here, path = root, ""
    for step in ("", *each.split("/")[:-1]) if each and isinstance(root, dict) else ():
        here = here.get(step) if step and isinstance(here, dict) else here
        path = f"{path}/{step}" if step else path
        for name, child in here.items() if isinstance(here, dict) else ():
            if text := runtime.scalar(child):
                yield f"{path}/{name}", text


def _placed(place: str, column: str) -> str:
    return f"{place}: {column}" if place else column


# -------------------------------------------------------------------------------------------- explanations


def explained(traces: Sequence[Trace], context: Context) -> Iterator[str]:
    """One line an element: `Observation[3].value[x] <- 结果 单位, row 4, exports/laboratory_results.map:76`."""
    counts: dict[str, int] = {}
    numbers: dict[int, str] = {}
    for entry in context.entries.values():
        type_ = str(entry.resource["resourceType"])
        counts[type_] = counts.get(type_, 0) + 1
        numbers[id(entry.resource)] = f"{type_}[{counts[type_]}]"
    for trace in traces:
        lines = {str(line.place): line for each in trace.export.blocks for line in each.block.lines}
        for index, made in enumerate(trace.made):
            for resource, path, place in made:
                if id(resource) in numbers:
                    columns = " ".join(each.name for each in columns_of(lines[place]) if each.name)
                    where = _placed(trace.part.place_of(index), f"row {trace.number(index)}")
                    element = f"{numbers[id(resource)]}.{path.partition('.')[2]}"
                    yield f"{element} <- {columns or 'the map'}, {where}, {place}"
