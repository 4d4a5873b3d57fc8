"""Large exports in batches of rows: what belongs together stays in one batch, and what recurs in others is known.

A batch ends between two records of the leading block (two reports), never inside one. Rows of one record that lie far
apart are to be brought together first (`runs`, formats/bulk.py). What other blocks make (the patient, the visit, the
institution) comes in several batches: each time under the same number, so that it is the same resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.codec.table import Reject, Row
from gateway.mapping.runtime import node
from gateway.mapping.syntax import Block, Export, Link

SIZE = 500  # rows of a batch, and the rest of the record that the last of them belongs to
HEAVY = 8 << 20  # characters after which a batch ends, too
LONGEST = 20_000  # rows of one record that are held together
HEAVIEST = 64 << 20  # characters of them
TREE = "tree"  # what an export map reads, where it is no table
Item = Row | Reject


@dataclass(frozen=True, slots=True)
class Batching:
    """How the rows of one export map are cut. `key`: the columns in which the rows of a record agree, () where each row
    is one; `own`: the types of what is made of one record alone, and of no other."""

    key: tuple[str, ...]
    own: frozenset[str]
    tree: bool = False  # the key is the first of these names that is there, of nodes

    def key_of(self, row: Row) -> tuple[str, ...]:
        """What the rows of a record agree in."""
        if self.tree:
            return (next(filter(None, (node(row.cells, name) for name in self.key)), ""),) if self.key else ()
        return tuple([row.cells.get(name, "") for name in self.key])


def batching(export: Export) -> Batching | None:
    """None where what is made of one row depends on rows anywhere else: such an export is read as a whole."""
    blocks = [block for block in export.blocks if block.into]
    lead = next((block for block in blocks if block.type == export.lead and not block.element), None)
    if lead is None or any(block.found for block in blocks):
        return None
    if export.format == TREE:
        names = (line.sources for line in lead.lines if line.path == "identifier" and line.sources)
        numbers = tuple(each.name for each in next(names, ()))
        return Batching(numbers, frozenset(_alone(blocks, lead)) if numbers else frozenset(), tree=True)
    key = lead.rows_by or ()
    collecting = (each for each in blocks if any(line.link and line.link.every for line in each.lines))
    if any(each.rows_by and each.rows_by != key for each in collecting):
        return None  # a list that grows with each row
    return Batching(key, frozenset(_own(blocks, lead)) if key else frozenset())


def _own(blocks: list[Block], lead: Block) -> Iterator[str]:
    for type_ in {block.type for block in blocks}:
        mine = [block for block in blocks if block.type == type_ and not block.element]
        if mine and all(block.rows_by == lead.rows_by or _inside(block, lead.type) for block in mine):
            yield type_


def _alone(blocks: list[Block], lead: Block) -> Iterator[str]:
    """The same of nodes."""
    for type_ in {block.type for block in blocks}:
        mine = [block for block in blocks if block.type == type_ and not block.element]
        if mine and all(block is lead or _inside(block, lead.type) for block in mine):
            yield type_


def _inside(block: Block, lead: str) -> bool:
    """Does its key name the record that it belongs to?"""
    parts = (each for part in block.key if isinstance(part, tuple) for each in part)
    return not block.spare and any(isinstance(each, Link) and each.type == lead for each in parts)


class _Batch:
    """The one that is being filled. `begun`: where in it the record begins that its last row belongs to."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.characters = 0
        self.begun = 0
        self.begun_characters = 0

    def full(self, size: int) -> bool:
        return len(self.items) >= size or self.characters >= HEAVY

    def overlong(self) -> str:
        """Why the record can have no more rows; "" where it can."""
        if len(self.items) - self.begun >= LONGEST:
            return f"more than {LONGEST} rows of one record"
        if self.characters - self.begun_characters >= HEAVIEST:
            return f"more than {HEAVIEST} characters of one record"
        return ""

    def begins(self) -> None:
        """Another record."""
        self.begun, self.begun_characters = len(self.items), self.characters

    def add(self, item: Item) -> None:
        self.items.append(item)
        if isinstance(item, Row):
            self.characters += item.size or sum(map(len, item.cells.values()))
        else:
            self.characters += sum(map(len, item.cells))


def cut(items: Iterable[Item], key_of: Callable[[Row], tuple[str, ...]], *, size: int = SIZE) -> Iterator[list[Item]]:
    """The rows in batches of `size` and more, each up to the end of a record. A record has at most LONGEST rows and
    HEAVIEST characters; what comes behind them is set aside."""
    batch = _Batch()
    last: tuple[str, ...] | None = None
    refused = ""  # why the last record has no more rows
    for item in items:
        if isinstance(item, Row):
            key = key_of(item)
            if not key or key != last:
                if batch.full(size):
                    yield batch.items
                    batch = _Batch()
                batch.begins()
                last, refused = key, ""
            elif refused := refused or batch.overlong():
                item = Reject(item.number, refused, ())
        elif batch.full(LONGEST + size):  # of rejects: the record before them is at its end
            yield batch.items
            batch, refused = _Batch(), f"its other rows stand more than {LONGEST} rows before it"
        batch.add(item)
    if batch.items:
        yield batch.items
