"""A large file at the door: which map reads it, and its records one at a time, by the names of the map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.codec import delimited, json_stream, ndjson, workbook, xml_stream
from gateway.codec.node_stream import Node, NodeStream
from gateway.codec.table import Reject, Row, TableStream
from gateway.codec.text_stream import Opened, document_of
from gateway.errors import Configuration
from gateway.formats.exports import knows
from gateway.mapping import tree_rows
from gateway.mapping.batches import TREE
from gateway.mapping.export_records import Part
from gateway.model import Channel, Member

if TYPE_CHECKING:
    from gateway.formats import Formats

Cells = Callable[[Sequence[str]], Iterator[list[str]]]
_NOT_FLAT = "it holds more than texts, and the others are rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Records that a map reads. `tree`: the document that they stand in."""

    name: str
    table: TableStream
    notes: tuple[str, ...] = ()
    tree: NodeStream | None = None


def known(formats: Formats, source: Opened, *, channel: Channel | None, member: Member, format: str) -> Known | None:
    """None for a file that is to be read as a whole. Raises Configuration where no map knows it, Permanent where it
    cannot be read."""
    wanted = (channel.map,) if channel and channel.map else member.profile.maps
    charset = member.profile.charset
    match format:
        case "workbook":
            return _of_tables(formats, list(workbook.streams(source)), wanted)
        case "json":
            return _of_json(formats, source, charset, wanted)
        case "xml":
            return _of_xml(formats, source, charset, wanted)
        case "ndjson":
            return _of_lines(formats, ndjson.stream(source, charset), wanted)
        case _:
            return _of_tables(formats, [delimited.stream(source, charset=charset)], wanted)


# ------------------------------------------------------------------------------------------------ tables


def _of_tables(formats: Formats, tables: Sequence[TableStream], wanted: tuple[str, ...]) -> Known | None:
    found: list[Known] = []
    unknown: list[Configuration] = []
    notes: list[str] = []
    for table in tables:
        try:
            name = formats.maps.exports.of_columns(table.columns, wanted=wanted)
            found.append(Known(name=name, table=_spelt(formats, name, table)))
        except Configuration as error:
            unknown.append(error)
            notes.append(f"{table.sheet}: no map knows a sheet with these columns; it was left out")
    if not found:
        raise unknown[0]
    if len(found) > 1:  # tables may ask for each other
        return None
    told = f"{found[0].table.sheet}: " if found[0].table.sheet else ""
    return replace(found[0], notes=(*notes, *(f"{told}{note}" for note in found[0].table.notes)))


def _spelt(formats: Formats, name: str, table: TableStream) -> TableStream:
    """By the names of the map, however the file spells its columns."""
    names = formats.maps.exports.spelling(name, table.columns)
    if not any(names[each] != each for each in table.columns):
        return table
    own = {names[each]: each for each in table.columns}
    read, cells = table.items, table.cells

    def items() -> Iterator[Row | Reject]:
        for item in read():
            if isinstance(item, Row):
                item = Row(item.number, {names[column]: cell for column, cell in item.cells.items()}, item.size)
            yield item

    columns = tuple(names[each] for each in table.columns)
    return replace(table, columns=columns, items=items, cells=partial(_some, cells, own) if cells else None)


def _some(cells: Cells, own: Mapping[str, str], wanted: Sequence[str]) -> Iterator[list[str]]:
    return cells([own.get(each, each) for each in wanted])


# ------------------------------------------------------------------------------------------------ trees


def _of_json(formats: Formats, source: Opened, charset: str, wanted: tuple[str, ...]) -> Known | None:
    text = document_of(source, charset)
    seen = json_stream.glance(text)
    if seen is None:
        return None
    root, path = seen
    part = _part(formats, root, wanted)
    return (
        _of_nodes(formats, part, json_stream.stream(text, path), "json")
        if part and part.place == "/".join(path)
        else None
    )


def _of_xml(formats: Formats, source: Opened, charset: str, wanted: tuple[str, ...]) -> Known | None:
    text = xml_stream.text_of(source, charset)
    root = xml_stream.glance(text)
    if root is None:
        return None
    part = _part(formats, root, wanted)
    return _of_nodes(formats, part, xml_stream.stream(text, tuple(part.place.split("/"))), "xml") if part else None


def _part(formats: Formats, root: Any, wanted: tuple[str, ...]) -> Part | None:
    """None where the first records do not show which map knows them: all of them may."""
    try:
        return formats.maps.exports.of_tree(root, wanted=wanted)
    except Configuration:
        return None


def _of_nodes(formats: Formats, part: Part, stream: NodeStream, kind: str) -> Known:
    as_read = _as_node if formats.maps.exports.library.exports[part.name].format == TREE else _as_row
    items = partial(_items, stream.nodes, as_read)
    table = TableStream(kind=kind, columns=(), items=items, sheet=part.place, charset=stream.charset, told=stream.told)
    return Known(name=part.name, table=table, notes=stream.notes, tree=stream)


def _items(nodes: Callable[[], Iterator[Node]], as_read: Callable[[Node], Row | Reject]) -> Iterator[Row | Reject]:
    return map(as_read, nodes())


def _as_node(node: Node) -> Row | Reject:
    return Row(node.number, node.tree, node.size)


def _as_row(node: Node) -> Row | Reject:
    cells = tree_rows.row_of(node.tree)
    return Reject(node.number, _NOT_FLAT, ()) if cells is None else Row(node.number, cells, node.size)


def _of_lines(formats: Formats, lines: ndjson.LineStream, wanted: tuple[str, ...]) -> Known | None:
    if lines.columns and knows(formats, lines.columns, wanted=wanted):
        name = formats.maps.exports.of_columns(lines.columns, wanted=wanted)
        flat = TableStream(kind="ndjson", columns=lines.columns, items=lines.rows, charset=lines.charset)
        return Known(name=name, table=replace(_spelt(formats, name, flat), columns=()), notes=lines.notes)
    part = formats.maps.exports.of_records([lines.first], wanted=wanted)
    return Known(
        name=part.name, notes=lines.notes,
        table=TableStream(kind="ndjson", columns=(), items=lines.records, charset=lines.charset),
    )  # fmt: skip
