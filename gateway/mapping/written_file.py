"""What an export map writes: the rows of a table, or a tree; still without a format, a charset, a separator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ROWS = "ROWS/ROW"  # where the rows of a table stand in a tree, where neither map nor receiver says it


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """A table has columns and rows; a tree has its root."""

    name: str  # of the export map
    columns: tuple[str, ...] = ()
    rows: list[dict[str, str]] = field(default_factory=list)
    each: str = ""  # the path of the rows or nodes
    root: dict[str, Any] | None = None

    def tree(self, path: str = "") -> dict[str, Any]:
        """The root of a tree; of a table its rows at a path, each with its columns in their order."""
        if self.root is not None:
            return self.root
        rows: Any = [{name: row.get(name, "") for name in self.columns} for row in self.rows]
        for name in reversed((path or self.each or ROWS).split("/")):
            rows = {name: rows}
        return dict(rows)
