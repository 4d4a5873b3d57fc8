"""The statements of whole documents, read: `message` draws a structure, `export` names a file shape."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import lark

from gateway.errors import Configuration
from gateway.mapping.syntax import Export, Group, Item, Place, Structure


def unquote(token: object) -> str:
    text = str(token)
    return text[1:-1] if len(text) > 1 and text[0] == '"' == text[-1] else text


def pair(tree: lark.Tree[Any]) -> tuple[str, str, str]:
    if len(tree.children) == 1:
        left, arrow, right = re.split(r"([=<>])", str(tree.children[0]), maxsplit=1)
        return left, arrow, right
    left, arrow, right = tree.children
    return unquote(left), str(arrow), unquote(right)


def message(place: Place, tree: lark.Tree[Any]) -> Structure:
    name, leads, once, each, events, group = tree.children
    lead, *others = map(str, leads.children) if leads else ("",)
    return Structure(
        place=place,
        name=str(name),
        lead=lead,
        others=tuple(others),
        root=_group(group),
        events={"".join(map(str, event.children)): str(name) for event in (events.children if events else [])},
        once=tuple(map(str, once.children)) if once else (),
        each=str(each.children[0]) if each else "",
    )


def _group(tree: lark.Tree[Any]) -> Group:
    items: list[Item] = []
    for child in tree.children:
        match child.data:
            case "segment":
                items.append(
                    Item(
                        segment=str(child.children[0]),
                        repeats=len(child.children) > 1 and child.children[1] is not None,
                    )
                )
            case "optional":  # an optional run is no scope of its own: its segments belong to the parent
                items.extend(replace(item, optional=True) for item in _group(child.children[0]).items)
            case _:
                items.append(Item(group=_group(child.children[0]), repeats=True))
    return Group(items=tuple(items))


def names(tree: lark.Tree[Any] | None) -> tuple[str, ...]:
    return tuple(unquote(name.children[0]) for name in tree.children) if tree else ()


def export(place: Place, tree: lark.Tree[Any]) -> Export:
    """An export, or the overlay of one (overlay.py)."""
    if tree.data == "overlay":
        return _overlay(place, tree)
    name, format_, lead, once, each, columns, order, latest = tree.children
    if format_ not in ("table", "tree"):
        raise Configuration(f"{place}: an export is a table or a tree, not {format_}")
    return Export(
        place=place,
        name=str(name),
        format=str(format_),
        lead=str(lead),
        once=tuple(map(str, once.children)) if once else (),
        each=names(each)[0] if each else "",
        columns=names(columns),
        order=names(order),
        latest=names(latest),
    )


def _overlay(place: Place, tree: lark.Tree[Any]) -> Export:
    name, like, named, without, tables, each, columns, order, latest = tree.children
    return Export(
        place=place,
        name=str(name),
        format="",
        lead="",
        each=names(each)[0] if each else "",
        columns=names(columns),
        order=names(order),
        latest=names(latest),
        like=str(like),
        named=_equal(place, named),
        without=names(without),
        tables=_equal(place, tables),
    )


def _equal(place: Place, tree: lark.Tree[Any] | None) -> tuple[tuple[str, str], ...]:
    """`姓名=XM 性别=XB`: what stands on the left is called what stands on the right."""
    found = [pair(each) for each in tree.children] if tree else []
    if wrong := next((left for left, sign, _ in found if sign != "="), ""):
        raise Configuration(f"{place}: {wrong} is renamed with =")
    return tuple((left, right) for left, _, right in found)
