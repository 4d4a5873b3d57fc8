"""The records that were set aside, as a list that goes back to whoever wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.model import Reject

HEAD = ("sheet-or-path", "row", "column", "cause", "value")


class Rejects:
    """Tab-separated UTF-8, a line a record, written as they come; what has no sheet or path of its own is told by its
    source. The values are patients' data: the list is for the member alone. Without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._file: IO[str] | None = path.open("w", encoding="utf-8") if path else None
        self._line(HEAD)

    def add(self, source: str, each: Reject) -> None:
        """One of them."""
        self._line((each.place or source, str(each.row), each.column, each.cause, each.value))

    def close(self) -> None:
        """The list is whole."""
        if self._file is not None:
            self._file.close()

    def _line(self, cells: tuple[str, ...]) -> None:
        if self._file is not None:
            self._file.write("\t".join(" ".join(cell.split()) for cell in cells) + "\n")
