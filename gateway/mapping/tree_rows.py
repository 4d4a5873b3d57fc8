"""Rows of a table that stand in a tree: `<ROWS><ROW>…`, `[{…}, …]`, cells as elements or as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.mapping import columns, withdrawals
from gateway.mapping.runtime import nodes, scalar
from gateway.mapping.syntax import Export

_DEEPEST = 6  # nodes around the rows
_NODES = frozenset({dict, list})
_KEPT = 8192  # texts
_REPEATED = 100  # characters: longer ones hardly come again


def tables(root: Any) -> list[tuple[str, list[dict[str, str]]]]:
    """(path, rows) of each place where nodes hold nothing but texts."""
    return [(path, [_row(each) for each in nodes]) for path, nodes in _places(root, "", 0)]


def _places(node: Any, path: str, depth: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    several = node if isinstance(node, list) else [node]
    if several and all(isinstance(each, dict) and _is_flat(each) for each in several):
        yield path, several
    elif isinstance(node, dict) and depth < _DEEPEST:
        for name, value in node.items():
            yield from _places(value, f"{path}/{name}" if path else name, depth + 1)


def row_of(node: Any) -> dict[str, str] | None:
    """The cells of one node; None where it holds more than texts."""
    return _row(node) if isinstance(node, dict) and _is_flat(node) else None


def _is_flat(node: dict[str, Any]) -> bool:
    return bool(node) and (_NODES.isdisjoint(map(type, node.values())) or all(map(_is_text, node.values())))


def _is_text(value: Any) -> bool:
    """An element with attributes of its own is a text too."""
    if isinstance(value, dict):
        return all(name == "#text" or name[:1] == "@" for name in value)
    return not isinstance(value, list)


def _row(node: dict[str, Any]) -> dict[str, str]:
    if _NODES.isdisjoint(map(type, node.values())):
        names = (name.removeprefix("@") for name in node) if any(name[:1] == "@" for name in node) else node
        return dict(zip(names, map(_TEXTS.__getitem__, node.values()), strict=True))
    return {
        name.removeprefix("@"): scalar(value.get("#text") if isinstance(value, dict) else value)
        for name, value in node.items()
    }


class _Texts(dict[Any, str]):
    """What values say: most come again and again. It forgets all when it is full."""

    def __missing__(self, value: Any) -> str:
        text = scalar(value)
        if len(text) <= _REPEATED:
            if len(self) >= _KEPT:
                self.clear()
            self[value] = text
        return text


_TEXTS = _Texts()


def is_of(root: Any, export: Export) -> bool:
    """Has the first node all names that the export asks for?"""
    first = next(iter(records(export, root)), None)
    return isinstance(first, dict) and set(export.columns) <= set(first)


def records(export: Export, root: Any) -> list[Any]:
    """The nodes of an export in a tree."""
    if export.each:
        return named(export, nodes(root, export.each))
    return named(export, root if isinstance(root, list) else [root])


def named(export: Export, found: Sequence[Any]) -> list[Any]:
    """Records with the names that the map has for what takes them back."""
    return withdrawals.named(found, columns.names(export))


def shown(record: Any) -> str:
    """A row that was set aside as a whole, as misfits of the table are shown; of a node its texts."""
    return "|".join(map(scalar, record.values())) if isinstance(record, dict) else ""
