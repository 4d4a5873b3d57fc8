"""How far a long file has been read: a bar on stderr, only where a person looks at a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

Opened = Callable[[], IO[bytes]]
Through = Callable[[Opened], Opened]


def seen(*, quiet: bool = False) -> bool:
    """Is there somebody to look at a bar? Not where stdout is the same terminal and is written to (`quiet`)."""
    return sys.stderr.isatty() and not (quiet and sys.stdout.isatty())


@contextmanager
def reading(label: str, size: int, *, quiet: bool = False) -> Iterator[Through]:
    """What a file of `size` bytes is to be opened through. It may be opened again: the bar begins anew."""
    if not seen(quiet=quiet):
        yield lambda opened: opened
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(label, total=size)

        def through(opened: Opened) -> Opened:
            def again() -> IO[bytes]:
                bar.reset(task)
                return io.BufferedReader(_Counted(opened(), lambda count: bar.advance(task, count)), 1 << 20)

            return again

        yield through


class _Counted(io.RawIOBase):
    """A file that tells how many bytes were read."""

    def __init__(self, file: IO[bytes], told: Callable[[int], None]) -> None:
        self._file = file
        self._told = told

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        self._told(len(block))
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()
