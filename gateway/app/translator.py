"""Translations made ahead, on another core: a child process of the worker does what is next while it stores what was.

Translation is pure, so nothing depends on the child: what it has not been asked, cannot do, or does not live to do, the
worker does itself. Only ids go to it; it reads the bytes from the journal. It ends when its standard input closes.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from gateway.app import program
from gateway.app.rooms import Channels, channel_of, read_maps
from gateway.db import opening
from gateway.db.engine import Engine
from gateway.fhir import json
from gateway.formats import Formats
from gateway.journal.work import load
from gateway.model import Resource

OUTSTANDING = 256  # asked and not fetched; their ids fit into a pipe, so asking never waits
ASK = struct.Struct("<q")  # id of an entry
HEAD = struct.Struct("<qq")  # id, bytes of JSON that follow; 0: the worker has to do it


class Translator:
    """The worker's end. Not for several threads."""

    def __init__(self, *, config: Path | None, data: Path) -> None:
        chosen = [str(config)] if config else []
        self._process = program.start("gateway.app.translator", str(data), *chosen, answers=True)
        self._asked: set[int] = set()
        self._made: dict[int, bytes] = {}

    def ask(self, entries: Sequence[int]) -> None:
        """These are next, in this order: others that it made are forgotten."""
        wanted = set(entries)
        self._made = {entry: body for entry, body in self._made.items() if entry in wanted}
        room = OUTSTANDING - len(self._asked) - len(self._made)
        fresh = [entry for entry in entries if entry not in self._asked and entry not in self._made][: max(0, room)]
        if not fresh or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(b"".join(map(ASK.pack, fresh)))
            self._process.stdin.flush()
        except OSError:
            self._give_up()
        else:
            self._asked.update(fresh)

    def fetch(self, entry: int) -> Resource | None:
        """The valid Bundle of an entry; None when the worker has to make it, or find out why it cannot be made."""
        while entry in self._asked:
            self._receive()
        body = self._made.pop(entry, b"")
        return json.loads(body) if body else None

    def close(self) -> None:
        """End the child. A `fetch` under way in another thread gets None."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _receive(self) -> None:
        try:
            entry, length = HEAD.unpack(_exactly(self._process.stdout, HEAD.size))
            self._made[entry] = _exactly(self._process.stdout, length)
            self._asked.discard(entry)
        except (EOFError, OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """The child is gone: everything is done here until the next start."""
        self._asked.clear()
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            self._process.stdin = None


def _exactly(pipe: IO[bytes] | None, size: int) -> bytes:
    body = pipe.read(size) if pipe is not None else b""
    if len(body) < size:
        raise EOFError
    return body


# ------------------------------------------------------------------------------------------------ the child


def run(data: Path, config: Path | None) -> None:
    """Answers what it is asked on standard input, until that closes."""
    formats, channels = read_maps(config)
    journal = opening.opened(data, "journal")
    while asked := sys.stdin.buffer.read(ASK.size):
        (entry,) = ASK.unpack(asked)
        body = _translated(entry, formats, channels, journal)
        sys.stdout.buffer.write(HEAD.pack(entry, len(body)) + body)
        sys.stdout.buffer.flush()
    journal.close()


def _translated(entry: int, formats: Formats, channels: Channels, journal: Engine) -> bytes:
    """The Bundle as JSON; b"" for all that is not plainly good: the worker finds the same and knows what is next."""
    try:
        with journal.reading() as reader:
            arrived = load(reader, entry)
        if arrived.frame.stored:  # worked off in several turns
            return b""
        made = formats.translate(arrived, channel_of(channels, arrived))
        return b"" if made.rejects or made.unknown else json.dumps(made.bundle, finite=True)
    except Exception:  # noqa: BLE001  as above
        return b""


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the front decides
    with suppress(BrokenPipeError, KeyboardInterrupt):
        run(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    os._exit(0)  # nothing is left to flush; the worker may be gone
