"""Lines of delimited text → their cells (RFC 4180), so that a quote that is never closed costs its own row alone.
Damaged characters cost theirs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.codec.damaged import CAUSE, MARK

_LONGEST: Final = 1000  # lines of one cell: a report of many pages
_PLAIN: Final = 1 << 20  # characters of a line in which no cell can be too long

Cut = tuple[list[str], str]  # cells, why they are none or ""


class _Lines(Iterator[str]):
    """The lines, those that one record has taken, and those that come again."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: list[str] = []
        self.taken: list[str] = []

    def __next__(self) -> str:
        if len(self.taken) >= _LONGEST:
            raise csv.Error(f"a quote that is not closed in {_LONGEST} lines")
        line = self._again.pop() if self._again else next(self._lines)
        self.taken.append(line)
        return line

    def plain(self) -> Iterator[str]:
        """The next lines, without their ends, as long as a separator in them is one: there is no quote to be read, and
        nothing for which a record fails."""
        lines = self._lines
        while (line := self._again.pop() if self._again else next(lines, None)) is not None:
            if '"' in line or MARK in line or len(line) > _PLAIN:
                self._again.append(line)
                return
            yield line.rstrip("\r\n")

    def back(self, lines: list[str]) -> None:
        """These come again, in their order."""
        self._again.extend(reversed(lines))


def cut(lines: Iterable[str], delimiter: str) -> Iterator[Cut]:
    """Each record. One over several lines is believed where it has as many cells as the others; else the quote that
    it began with was none, its first line fails, and the next ones are read by themselves."""
    source = _Lines(lines)
    reader = csv.reader(source, delimiter=delimiter, strict=True, skipinitialspace=True)
    usual = 0
    while True:
        for line in source.plain():
            cells = line.split(delimiter) if line else []
            usual = len(cells) if len(cells) > 1 else usual
            yield cells, ""
        source.taken = []
        cause = ""
        cells = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cause = f"broken quotes: {error}"
        taken = source.taken
        if not cause and len(taken) == 1:
            usual = len(cells) if len(cells) > 1 else usual
        elif len(taken) > 1 and (cause or (usual and len(cells) != usual)):
            source.back(taken[1:])
            reader = csv.reader(source, delimiter=delimiter, strict=True, skipinitialspace=True)
            cause = "broken quotes: one that is not closed in its row"
        if not cause and (MARK in taken[0] or (len(taken) > 1 and any(MARK in line for line in taken))):
            cells = [cell.replace(MARK, "") for cell in cells]
            yield cells, CAUSE
        else:
            yield (taken[0].rstrip("\r\n").split(delimiter), cause) if cause else (cells, "")
