"""The cells of a record that are not what their columns say, each with its cause: what a person is told of."""

from __future__ import annotations

from collections.abc import Iterator


class Unread:
    """Of one record at a time. A data type says what it doubts (`doubt`); the line that reads with it knows where the
    cell stands (`doubted`, `unreadable`)."""

    def __init__(self) -> None:
        self.doubts: list[str] = []  # of the cell that is being read
        self._found: dict[tuple[str, str, str], None] = {}
        self._grave = ""  # the doubt for which nothing may be made of the record
        self._refused: tuple[str, str] | None = None

    def doubt(self, cause: str) -> None:
        """What a person should know of the cell that is being read."""
        self.doubts.append(cause)

    def refuse(self, cause: str) -> None:
        """For what the cell that is being read says, its record waits for a person."""
        self._grave = cause
        self.doubts.append(cause)

    def refused(self) -> tuple[str, str] | None:
        """(cause, column) for which the record is set aside; it is forgotten."""
        found, self._refused, self._grave = self._refused, None, ""
        return found

    def doubted(self, column: str, cell: str) -> None:
        """The cell that was being read stands in this column."""
        self._found.update(((column, cell, cause), None) for cause in self.doubts)
        if self._grave and self._grave in self.doubts and self._refused is None:
            self._refused = self._grave, column
        self.doubts.clear()

    def tell(self, column: str, cell: str, cause: str) -> None:
        """What is wrong with a cell."""
        self._found[column, cell, cause] = None

    def unreadable(self, column: str, cell: str, wanted: str) -> None:
        """A cell that is not what its column says, and is left out."""
        if cell.strip() and not self.doubts:
            self._found[column, cell, f"no {wanted}; the cell was left out"] = None

    def taken(self) -> Iterator[tuple[str, str, str]]:
        """(column, cell, cause) of the record, each once; they are forgotten."""
        self.doubts.clear()
        found, self._found = self._found, {}
        return iter(found)
