"""Exports: tables (delimited text, workbooks) and trees (JSON), each by the export map that knows its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.codec import delimited, fixed_width, ndjson, rows, workbook, xml_tree
from gateway.codec import json as json_tree
from gateway.codec.table import Reject as Misfit
from gateway.codec.table import Table
from gateway.errors import Configuration, HutongError, Permanent
from gateway.formats.look import STRANGER, Hidden, Look
from gateway.mapping.export_records import Part, joined
from gateway.mapping.translation import Translation
from gateway.model import Channel, Entry, Frame, Member, Reject

if TYPE_CHECKING:
    from gateway.formats import Formats

_NONE: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What a file holds: for each table or tree its map and its records."""

    parts: list[Part]
    charset: str = ""
    notes: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()


def look(formats: Formats, frame: Frame, channel: Channel | None, owner: Member | None, format: str) -> Look:
    """Which maps know it."""
    member = formats.sender("", owner) or STRANGER
    seen = Look(member=member, format=format)
    try:
        found = read(formats, frame.body, channel, member, format)
    except HutongError as error:
        return replace(seen, error=error)
    seen = replace(seen, charset=found.charset, kind=" ".join(dict.fromkeys(part.name for part in found.parts)))
    if any(part.records for part in found.parts) or found.rejects:
        return seen
    return replace(seen, error=Permanent("it holds no record", place=seen.kind, code="101", remedy="send at least one"))


def translate(
    formats: Formats, entry: Entry, channel: Channel | None, member: Member, hidden: Hidden, format: str
) -> Translation:
    """All its records in one Bundle."""
    found = read(formats, entry.frame.body, channel, member, format)
    made = formats.maps.of(member.profile).exports.to_fhir(
        found.parts,
        profile=member.profile,
        facility=facility(member),
        control_id=digest(entry),
        when=entry.frame.received_at,
        hidden=hidden,
    )
    rejects = sorted((*found.rejects, *made.rejects), key=lambda each: (each.place, each.row))
    return replace(made, rejects=tuple(rejects), notes=(*found.notes, *made.notes))


def parts_of(
    formats: Formats, entry: Entry, channel: Channel | None, member: Member
) -> tuple[list[Part], tuple[Reject, ...]]:
    """The records of a file with their maps, and the rows that are none: for what is asked of them one by one."""
    found = read(formats, entry.frame.body, channel, member, entry.format)
    return found.parts, found.rejects


def translate_tables(
    formats: Formats, tables: Sequence[Table], member: Member, *, control_id: str, when: datetime
) -> Translation:
    """The Bundle of tables that came otherwise than in a file."""
    found = of_tables(formats, tables, member.profile.maps)
    made = formats.maps.of(member.profile).exports.to_fhir(
        found.parts, profile=member.profile, facility=facility(member), control_id=control_id, when=when
    )
    return replace(made, rejects=(*found.rejects, *made.rejects), notes=(*found.notes, *made.notes))


def facility(member: Member) -> str:
    """Whose numbers those of its exports are."""
    return member.facilities[0] if member.facilities else member.id


def digest(entry: Entry) -> str:
    """What names the file among all of its sender."""
    return entry.control_id or (entry.frame.stored or hashlib.sha256(entry.frame.body).hexdigest())[:32]


def read(formats: Formats, body: bytes, channel: Channel | None, member: Member, format: str) -> Export:
    """The tables or the tree of a file, with the maps that know them. Raises HutongError where none does."""
    wanted = (channel.map,) if channel and channel.map else member.profile.maps
    charset = member.profile.charset
    if format in ("json", "xml"):
        tree = xml_tree.decode(body, charset) if format == "xml" else json_tree.decode(body, charset)
        return Export(
            parts=[formats.maps.exports.of_tree(tree.root, wanted=wanted)], charset=tree.charset, notes=tree.notes
        )
    if format == "ndjson":
        return _of_lines(formats, ndjson.decode(body, charset), wanted)
    if format == "fixed":
        form = member.profile.file
        layout = fixed_width.declared(form.widths, form.counted, form.header) if form.widths else None
        return of_tables(formats, [fixed_width.decode(body, layout=layout, charset=charset)], wanted)
    if format == "rows":
        found = rows.decode(body)
        if found.lacks:  # nothing tells whose it is
            raise Configuration(
                f"rows of {', '.join(found.lacks)} that it leads to were not there", place=found.tables[0].name,
                remedy="it comes again, and whole, when the member's view shows them; then this one is done with",
            )  # fmt: skip
        maps = {sheet.name: (sheet.map,) for sheet in found.tables if sheet.map}
        return of_tables(formats, [rows.table(sheet) for sheet in found.tables], wanted, maps=maps)
    tables = workbook.decode(body) if format == "workbook" else [delimited.decode(body, charset=charset)]
    return of_tables(formats, tables, wanted)


def _of_lines(formats: Formats, lines: ndjson.Lines, wanted: tuple[str, ...]) -> Export:
    """Records of which each has a line: rows where they are flat and a map of tables knows them, else trees."""
    table = ndjson.table_of(lines)
    if table is not None and knows(formats, table.columns, wanted=wanted):
        return of_tables(formats, [table], wanted)
    part = formats.maps.exports.of_records(lines.records, wanted=wanted)
    rejects = (
        Reject(place="", row=each.number, column="", cause=each.cause, value=each.cells[0]) for each in lines.rejects
    )
    part = replace(part, numbers=lines.numbers)
    return Export(parts=[part], charset=lines.charset, notes=lines.notes, rejects=tuple(rejects))


def knows(formats: Formats, columns: Sequence[str], *, wanted: tuple[str, ...] = ()) -> bool:
    """Is there a map for a view with these columns?"""
    try:
        formats.maps.exports.of_columns(columns, wanted=wanted)
    except Configuration:
        return False
    return True


def of_tables(
    formats: Formats, tables: Sequence[Table], wanted: tuple[str, ...], *, maps: Mapping[str, tuple[str, ...]] = _NONE
) -> Export:
    """The tables that a map knows; `maps`: of sheets that name theirs. Raises Configuration where none does."""
    parts: list[Part] = []
    notes: list[str] = []
    rejects: list[Reject] = []
    unknown: list[Configuration] = []
    for table in tables:
        told = f"{table.sheet}: " if table.sheet else ""
        try:
            asked = maps.get(table.sheet, wanted)
            name = formats.maps.exports.of_columns(table.columns, wanted=asked)
        except Configuration as error:
            unknown.append(error)
            notes.append(f"{told}no map knows a sheet with these columns; it was left out")
            continue
        rows = _spelt(formats, name, table)
        parts.append(Part(name=name, records=rows, numbers=table.numbers, place=table.sheet))
        notes.extend(f"{told}{note}" for note in table.notes)
        rejects.extend(_ragged(table))
    if not parts:
        raise unknown[0]
    return Export(parts=joined(parts), charset=tables[0].charset, notes=tuple(notes), rejects=tuple(rejects))


def _spelt(formats: Formats, name: str, table: Table) -> list[dict[str, str]]:
    """The rows by the names of the map, however the file or the database spells its columns."""
    names = formats.maps.exports.spelling(name, table.columns)
    if not any(names[each] != each for each in table.columns):
        return table.rows
    return [{names[column]: cell for column, cell in row.items()} for row in table.rows]


def _ragged(table: Table) -> Iterator[Reject]:
    return (reject_of(table.sheet, each) for each in table.rejects)


def reject_of(sheet: str, row: Misfit) -> Reject:
    """A row that is none."""
    return Reject(place=sheet, row=row.number, column="", cause=row.cause, value="|".join(row.cells))
