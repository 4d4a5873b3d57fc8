"""A receiver's own headers and codes: `export county-results like laboratory-results`, the same map with other names.

Columns get other names (of trees each step of a path), some are not written, code tables are replaced, and lines are
added: a block with the head of one that is there adds its lines before those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gateway.mapping.codetables import BUILT
from gateway.mapping.datatypes import load
from gateway.mapping.syntax import Block, Condition, Export, Field, KeyPart, KeyValue, KeyWord, Line


def resolved(exports: Mapping[str, Export]) -> tuple[dict[str, Export], list[str]]:
    """All exports, overlays as what they come to; and the mistakes: what is like nothing, names that nothing has."""
    found: dict[str, Export] = {}
    mistakes: list[str] = []
    for name, export in exports.items():
        chain = list(_chain(export, exports))
        if chain[-1].like:
            mistakes.append(f"{export.place}: no export is called {chain[-1].like} to be like")
            continue
        made = chain[-1]
        for each in reversed(chain[:-1]):
            mistakes.extend(_mistakes(each, made) if each is export else ())
            made = _laid(each, made)
        found[name] = made
    return found, mistakes


def _chain(export: Export, exports: Mapping[str, Export]) -> Iterator[Export]:
    """The overlay, what it is like, and so on; it ends where one is like nothing that is there, or like itself."""
    seen: set[str] = set()
    while True:
        yield export
        seen.add(export.name)
        if export.like not in exports or export.like in seen:
            return
        export = exports[export.like]


def _mistakes(overlay: Export, base: Export) -> Iterator[str]:
    there = {name for block in base.blocks for name in _names(block)} | {*base.order, *base.columns, base.each}
    steps = there | {step for name in there for step in name.lstrip("/").split("/")}
    for name in (*(left for left, _ in overlay.named), *overlay.without):
        if name not in steps:
            yield f"{overlay.place}: {base.name} has no column {name}"


def _names(block: Block) -> Iterator[str]:
    yield from (block.each, *(block.rows_by or ()))
    for line in block.lines:
        around = f"{block.each}/" if block.each else ""
        for each in (*line.sources, *line.arguments[: _fields(line)]):
            yield from (each.name, f"{around}{each.name}")


def _laid(overlay: Export, base: Export) -> Export:
    names = _Names(dict(overlay.named), table=base.format == "table")
    tables = dict(overlay.tables)
    blocks = [_block(block, names, tables) for block in base.blocks]
    for added in overlay.blocks:
        index = next((at for at, each in enumerate(blocks) if _head(each) == _head(added)), None)
        if index is None:
            blocks.append(added)
        else:
            blocks[index] = replace(blocks[index], lines=(*added.lines, *blocks[index].lines))
    own = [each.name for block in overlay.blocks if not block.each for line in block.lines for each in line.sources]
    whole = dict.fromkeys((*map(names, base.order), *own))
    order = overlay.order or tuple(whole)
    hidden = {names(name) for name in overlay.without}
    if base.format == "table":  # what its order does not name is not written
        hidden |= whole.keys() - set(order)
    return replace(
        base, place=overlay.place, name=overlay.name, each=overlay.each or names(base.each), blocks=tuple(blocks),
        columns=overlay.columns or tuple(each for each in map(names, base.columns) if each not in hidden),
        latest=overlay.latest or tuple(map(names, base.latest)),
        order=tuple(each for each in order if each not in hidden),
        without=(*(names(each) for each in base.without), *hidden),
    )  # fmt: skip


def _head(block: Block) -> tuple[object, ...]:
    return block.type, block.element, block.rows_by, block.each


class _Names:
    """What the receiver calls a column; of a tree each step of a path."""

    def __init__(self, named: Mapping[str, str], *, table: bool) -> None:
        self._named = named
        self._table = table

    def __call__(self, name: str) -> str:
        if self._table or name in self._named:
            return self._named.get(name, name)
        return "/".join(self._named.get(step, step) for step in name.split("/"))


def _block(block: Block, names: _Names, tables: Mapping[str, str]) -> Block:
    return replace(
        block,
        rows_by=None if block.rows_by is None else tuple(map(names, block.rows_by)),
        each=names(block.each),
        key=tuple(_part(part, names) for part in block.key),
        condition=_condition(block.condition, names),
        reopen=_condition(block.reopen, names),
        lines=tuple(_line(line, names, tables) for line in block.lines),
    )


def _fields(line: Line) -> int:
    """How many of its arguments are columns."""
    found = load().get(line.datatype)
    return found.fields if found else 0


def _line(line: Line, names: _Names, tables: Mapping[str, str]) -> Line:
    count = _fields(line)
    columns, words = line.arguments[:count], line.arguments[count:]
    if line.datatype in BUILT:  # its words are tables, or a system
        words = tuple(replace(each, name=tables.get(each.name, each.name)) for each in words)
    return replace(
        line,
        sources=tuple(_field(each, names) for each in line.sources),
        arguments=(*(_field(each, names) for each in columns), *words),
        codes=tables.get(line.codes, line.codes),
        condition=_condition(line.condition, names),
    )


def _field(found: Field, names: _Names) -> Field:
    return replace(found, name=names(found.name)) if found.name else found


def _part(part: KeyPart, names: _Names) -> KeyPart:
    if isinstance(part, KeyWord):
        return part
    if isinstance(part, KeyValue):
        return replace(part, field=_field(part.field, names))
    return tuple(_field(each, names) if isinstance(each, Field) else each for each in part)


def _condition(condition: Condition | None, names: _Names) -> Condition | None:
    if condition is None:
        return None
    parts = tuple(found for each in condition.parts if (found := _condition(each, names)) is not None)
    return replace(condition, field=_field(condition.field, names) if condition.field else None, parts=parts)
