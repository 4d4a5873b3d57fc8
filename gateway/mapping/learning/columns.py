"""The columns of a sample: of a table, or the leaves of the records of a tree, each with its values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gateway.mapping import runtime

ROWS = 2_000  # records looked at
_INNER = 20  # elements of a list inside a record
_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `name` as a map writes it, `around` the names of the nodes that it stands in."""

    name: str
    values: tuple[str, ...]
    label: str  # its own name: the last step of a path
    around: tuple[str, ...] = ()
    each: str = ""  # the list inside the record that it stands in; "" = in the record itself

    @property
    def shown(self) -> str:
        """For people: the whole path."""
        return f"{self.each}/{self.name}" if self.each else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a file shows of one export: a table, or the records of a tree at a path."""

    format: str  # table | tree
    columns: tuple[Column, ...]
    records: int
    each: str = ""
    names: tuple[str, ...] = ()  # that stand in the first record itself: by these a tree is recognised
    sheet: str = ""


def of_table(names: Sequence[str], rows: Sequence[Mapping[str, str]], sheet: str = "") -> Sample:
    """The columns of a table."""
    looked = list(islice(rows, ROWS))
    columns = tuple(Column(name, tuple(row.get(name, "") for row in looked), name) for name in names)
    return Sample(format="table", columns=columns, records=len(rows), names=tuple(names), sheet=sheet)


def of_tree(root: Any) -> Sample:
    """The records of a tree (the list with the most in it, else the one node that is none of an envelope), and their
    leaves."""
    each = _records_path(root)
    records = root if isinstance(root, list) else runtime.nodes(root, each) if each else [root]
    looked = list(islice(records, ROWS))
    lists = {path for record in looked for path in _repeated(record, ())}
    found: dict[tuple[str, str], list[str]] = {}
    for record in looked:
        for key, text in _leaves(record, (), lists):
            found.setdefault(key, []).append(text)
    columns = [_column(each, name, values) for (each, name), values in found.items()]
    columns.extend(_above(root, each))
    first = next((record for record in records if isinstance(record, dict)), {})
    return Sample(format="tree", columns=tuple(columns), records=len(records), each=each, names=tuple(first))


def _column(each: str, name: str, values: Sequence[str]) -> Column:
    steps = [step for step in f"{each}/{name}".split("/") if step]
    return Column(name, tuple(values), steps[-1].removeprefix("@"), tuple(steps[:-1]), each)


# --------------------------------------------------------------------------------------------- of trees


def _records_path(root: Any) -> str:
    lists: dict[tuple[str, ...], int] = dict(_lists(root, ()))
    if lists:
        most: tuple[str, ...] = max(sorted(lists), key=lambda found: lists[found])
        return "/".join(most)
    path: tuple[str, ...] = ()
    here = root
    while isinstance(here, dict) and (below := _only_below(here)):
        path, here = (*path, below), here[below]
    return "/".join(path)


def _lists(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """The outermost lists of records, with the number of their leaves."""
    if isinstance(node, list) and path and any(isinstance(each, dict) for each in node):
        yield path, sum(_size(each) for each in islice(node, _INNER)) * max(1, len(node) // _INNER)
    elif isinstance(node, dict) and len(path) < _DEPTH and not _is_record(node):
        for name, child in node.items():
            yield from _lists(child, (*path, name))


def _is_record(node: dict[str, Any]) -> bool:
    """More leaves than an envelope has, not counting attributes."""
    return sum(1 for name, each in node.items() if not name.startswith("@") and not isinstance(each, dict | list)) > 5


def _only_below(node: dict[str, Any]) -> str:
    """The one node in an envelope."""
    inner = [name for name, each in node.items() if isinstance(each, dict)]
    return inner[0] if len(inner) == 1 and not _is_record(node) else ""


def _size(node: Any) -> int:
    if isinstance(node, dict):
        return sum(map(_size, node.values()))
    return sum(map(_size, node)) if isinstance(node, list) else 1


def _repeated(record: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The lists of records in a record; XML has one of them as a node like any other."""
    if isinstance(record, dict) and len(path) < _DEPTH:
        for name, child in record.items():
            yield from _repeated(child, (*path, name))
    elif isinstance(record, list) and path and any(isinstance(child, dict) for child in record):
        yield path


def _leaves(
    record: Any, path: tuple[str, ...], lists: Collection[tuple[str, ...]], each: str = ""
) -> Iterator[tuple[tuple[str, str], str]]:
    """((list inside the record, path from its elements), text) of every leaf; lists in lists are left to people."""
    if len(path) > _DEPTH:
        return
    if not each and path in lists:
        for child in islice(record if isinstance(record, list) else [record], _INNER):
            yield from _leaves(child, (), (), "/".join(path))
    elif isinstance(record, dict):
        for name, child in record.items():
            yield from _leaves(child, path if name == "#text" else (*path, name), lists, each)
    elif path and not (isinstance(record, list) and any(isinstance(child, dict) for child in record)):
        text = "; ".join(map(runtime.scalar, record)) if isinstance(record, list) else runtime.scalar(record)
        yield (each, "/".join(path)), text


def _above(root: Any, each: str) -> Iterator[Column]:
    """What stands above the records: who sends them."""
    here, path = root, ""
    for step in ("", *each.split("/")[:-1]) if each else ():
        here = runtime.nodes(here, step)[0] if step else here
        path = f"{path}/{step}" if step else path
        for name, child in here.items() if isinstance(here, dict) else ():
            if not isinstance(child, dict | list):
                yield Column(f"{path}/{name}", (runtime.scalar(child),), name.removeprefix("@"), (), "")
