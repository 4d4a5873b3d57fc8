"""Trees that are too large to be held: what stands around their records, and the records, one at a time.

Where the records stand is seen in the first part of the document (`json_stream.glance`, `xml_stream.glance`); only a
reading to its end tells whether it is well-formed, and what stands behind them: nothing is believed before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

GLANCE: Final = 1 << 20  # characters in which the place of the records must show
RECORD_LIMIT: Final = 32 << 20  # characters of one record, and of all that is none
RECORDS_LIMIT: Final = 20_000_000  # of one document


@dataclass(frozen=True, slots=True)
class Node:
    """One record: its number among them, from 1, how it would be held, and some measure of its characters."""

    number: int
    tree: Any
    size: int


@dataclass(slots=True, kw_only=True)
class NodeStream:
    """A document. `nodes` begins at the first record each time; when it has come to the end, `root` is all that stands
    around the records, and `told` what was mended. Reading raises Permanent as the codec's `decode` does, and for more
    characters than the limits."""

    read: Callable[[NodeStream], Iterator[Node]]
    charset: str
    notes: tuple[str, ...] = ()
    root: Any = None
    told: list[str] = field(default_factory=list)

    def nodes(self) -> Iterator[Node]:
        """The records, in order."""
        self.told.clear()
        return self.read(self)


def weight(tree: Any) -> int:
    """Characters of a node's names and texts, about."""
    if isinstance(tree, str):
        return len(tree) + 8
    if isinstance(tree, dict):
        within = [len(each) + 8 if isinstance(each, str) else weight(each) for each in tree.values()]
        return sum(map(len, tree)) + sum(within)
    return 8 + sum(map(weight, tree)) if isinstance(tree, list) else 8
