"""Which entry was in work when the process fell: one that takes it down again and again is parked, so that it stops
nobody but itself. (An error is not a fall; this is for what no `except` sees: no memory left, a crash in C.)
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

FALLS = 3  # with the same entry in work
_FACTS = struct.Struct("<qqq")  # the entry in work, the suspect, how often it was in work at a fall


class Suspect:
    """A few bytes in a file, written without fsync: they need to outlive a process, not a power cut. Where the disk is
    full nothing is remembered, and work goes on."""

    def __init__(self, file: Path, *, fell: bool) -> None:
        """`fell`: the process before this one ended by itself; an end of the whole gateway is nobody's fault."""
        self._file = _opened(file)
        facts = os.pread(self._file, _FACTS.size, 0) if self._file is not None else b""
        current, self._entry, self._falls = _FACTS.unpack(facts) if len(facts) == _FACTS.size else (0, 0, 0)
        if fell and current:
            self._falls = self._falls + 1 if current == self._entry else 1
            self._entry = current
        self._write(0)

    def begins(self, entry: int) -> bool:
        """Whether it may be worked on; it is in work from now on."""
        if entry == self._entry and self._falls >= FALLS:
            return False
        self._write(entry)
        return True

    def ends(self, entry: int) -> None:
        """It is over, well or not."""
        if entry == self._entry:
            self._entry = self._falls = 0
        self._write(0)

    def close(self) -> None:
        """Give back the file."""
        if self._file is not None:
            os.close(self._file)

    def _write(self, current: int) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.pwrite(self._file, _FACTS.pack(current, self._entry, self._falls), 0)


def _opened(file: Path) -> int | None:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
