"""What an export map writes: the rows of a table, or a tree; still without a format, a charset, a separator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.errors import Permanent

ROWS = "ROWS/ROW"  # where the rows of a table stand in a tree, where neither map nor receiver says it


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """A table has columns and rows; a tree has its root."""

    name: str  # of the export map
    columns: tuple[str, ...] = ()
    rows: list[dict[str, str]] = field(default_factory=list)
    each: str = ""  # the path of the rows or nodes
    root: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()  # for people: what was left out of it

    def records(self) -> list[Any]:
        """Of a table its rows, each with its columns in their order; of a tree its nodes. Raises Permanent where
        something stands above these, which has no place then."""
        if self.root is None:
            return [{name: row.get(name, "") for name in self.columns} for row in self.rows]
        here: Any = self.root
        for name in self.each.split("/") if self.each else ():
            if len(here) > 1:
                cause = f"what stands beside {name} has no place in its records"
                raise Permanent(cause, place=self.name, remedy="take json or xml")
            here = here.get(name, {})
        return here if isinstance(here, list) else [here]

    def tree(self, path: str = "") -> dict[str, Any]:
        """The root of a tree; of a table its rows at a path, each with its columns in their order."""
        if self.root is not None:
            return self.root
        rows: Any = [{name: row.get(name, "") for name in self.columns} for row in self.rows]
        for name in reversed((path or self.each or ROWS).split("/")):
            rows = {name: rows}
        return dict(rows)
