"""The records that were set aside, as a list that goes back to whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.model import Reject

HEAD = ("sheet-or-path", "row", "column", "cause", "value")


def write(path: Path, rejects: Iterable[tuple[str, Reject]]) -> None:
    """Tab-separated UTF-8, a line a record; what has no sheet or path of its own is told by its source. The values are
    patients' data: the list is for the member alone."""
    rows = [(each.place or source, str(each.row), each.column, each.cause, each.value) for source, each in rejects]
    text = "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in (HEAD, *rows))
    path.write_text(text, encoding="utf-8")
