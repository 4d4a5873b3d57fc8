"""Database views by their export maps: what names a record of each, and which rows of other views it leads to.

A map says it all: the rows of a report agree in `rows by 报告单号`, and `rows by 申请单号 => ServiceRequest found` is a
number that another view's map makes a ServiceRequest of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import Configuration
from gateway.formats import Formats
from gateway.mapping import columns as names
from gateway.mapping.syntax import Block, Export
from gateway.model import Channel, Profile, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Rows of another view that a row leads to: the columns here, and those there that say the same."""

    columns: tuple[str, ...]
    view: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one view is polled; columns as the database spells them."""

    map: str
    key: tuple[str, ...]  # what rows of one record agree in
    mapped: tuple[str, ...]  # what the map reads: a change in another column is none
    parents: tuple[Parent, ...] = ()


def export_of(formats: Formats, channel: Channel, view: View, columns: Sequence[str], profile: Profile) -> Export:
    """The map of a view with these columns. Raises Configuration where there is none."""
    wanted = (view.map,) if view.map else (channel.map,) if channel.map else profile.maps
    exports = formats.maps.of(profile).exports
    try:
        return exports.library.exports[exports.of_columns(columns, wanted=wanted)]
    except Configuration:
        raise Configuration(
            "no map knows a view with these columns", place=view.view,
            remedy="write an export map for it (mappings/README.md); `hutong learn` drafts one",
        ) from None  # fmt: skip


def plan(view: View, exports: Mapping[str, Export], columns: Mapping[str, Sequence[str]]) -> Plan:
    """How a view is polled beside the others; `columns`: of each, as the database spells them. Raises Configuration
    where nothing names a record."""
    export, own = exports[view.view], columns[view.view]
    known, told, mark = names.names(export), _spelt(export, own), view.watermark.casefold()
    spelt = {**{each.casefold(): each for each in own}, **told}
    key = _key(export) or tuple(each.casefold() for each in view.key)
    missing = [each for each in key if each not in spelt]
    if not key or missing:
        cause = f"the column {missing[0]} is not there" if missing else "nothing names a record of this view"
        raise Configuration(cause, place=view.view, remedy="name the columns that do: key: [报告单号]", code="200")
    read = {told[each] for each in told if each in known}
    found = [block for block in export.blocks if block.found and set(block.rows_by or ("",)) <= told.keys()]
    return Plan(
        map=export.name,
        key=tuple(spelt[each] for each in key),
        mapped=tuple(each for each in own if each in read and each.casefold() != mark),  # touched alone is no change
        parents=tuple(_parent(view.view, block, told, exports, columns) for block in found),
    )


def _spelt(export: Export, own: Sequence[str]) -> dict[str, str]:
    """Name in the map → column as the database writes it."""
    return {name: column for column, name in names.spelling(own, names.names(export)).items()}


def _key(export: Export) -> tuple[str, ...]:
    """What the rows of the lead resource agree in; () where each row is one."""
    return next((block.rows_by or () for block in export.blocks if block.type == export.lead and not block.found), ())


def _parent(
    own: str, block: Block, told: Mapping[str, str], exports: Mapping[str, Export], columns: Mapping[str, Sequence[str]]
) -> Parent:
    """The view whose map makes what this block only finds: the one that calls its number the same, else any. Raises
    Configuration where none does: nothing would tell whose the rows are."""
    wanted = block.rows_by or ()
    found: list[tuple[bool, Parent]] = []
    for view, export in exports.items():
        there = _spelt(export, columns[view])
        for other in export.blocks if view != own else ():
            by = other.rows_by or ()
            makes = other.type == block.type and other.into and not other.found and len(by) == len(wanted)
            if makes and set(by) <= there.keys():
                key = tuple(there[each] for each in by)
                parent = Parent(columns=tuple(told[each] for each in wanted), view=view, key=key)
                found.append((by != wanted, parent))
    if not found:
        raise Configuration(
            f"no view that is polled tells of its {block.type}", place=f"{own}.{' '.join(wanted)}",
            remedy=f"name the view that has one row for each {wanted[-1]} too, or mend it",
        )  # fmt: skip
    return min(found, key=lambda each: each[0])[1]
