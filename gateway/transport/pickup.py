"""Picking up files, wherever they lie: one that has come to rest is read whole, journalled, and put away.

    at rest     its size and time have not changed over two looks, `settle` seconds apart (an empty file: 30 times as
                long, it is usually still being filled)
    taken       put away where the place keeps what is done
    refused     put away with its cause
    not taken   (receive raised, the place failed): stays where it is and is tried again, later and later

Exactly once in spite of kill -9 between journalling and putting away: the frame's peer is 'name@mtime_ns', and
`control_id` makes a number of content, name and time. A file that is found again after a crash gets the same number, so
the journal knows it; the same name or content put there anew has another time, and is new.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from gateway import telemetry
from gateway.codec.text_stream import LARGE
from gateway.errors import HutongError, Transient
from gateway.model import Frame
from gateway.transport.mllp import Receive

SIZE_LIMIT = 200 * 2**20  # bytes
BROUGHT_LIMIT = 4 * 2**30  # bytes of one that is read piece by piece
EMPTY_PATIENCE = 30  # times `settle`
LONGEST_WAIT = 60.0  # seconds between two attempts at a file, or at a place, that failed
BURST = 0.02  # seconds: what changes together is one round
_UNFINISHED = (".tmp", ".part", ".filepart")
_HIDDEN = (".", "~$")


@dataclass(frozen=True, slots=True)
class Look:
    """How a file lies there: what differs when it is written to or replaced."""

    size: int  # bytes
    modified: int  # nanoseconds since 1970
    mark: int = 0  # its number on the disk, where there is one


class UnsettledError(Exception):
    """The file changed, or went, while it was taken: it was not finished."""


class Place(Protocol):
    """Where files lie. Its errors are ours; a file's own trouble is raised by `read` and `put_away` alone."""

    async def open(self) -> None:
        """Ready to be looked at, as far as that needs no other side. Raises Configuration."""
        ...

    async def watch(self, changed: asyncio.Event, stopping: asyncio.Event) -> None:
        """Rings `changed` when something may have come, until `stopping`; returns at once where nothing tells."""
        ...

    async def look(self) -> Mapping[str, Look]:
        """The files that may be taken, by name. Raises Transient when the place cannot be read."""
        ...

    async def read(self, name: str, look: Look) -> bytes:
        """The whole file as it was looked at. Raises UnsettledError, Transient."""
        ...

    async def put_away(self, name: str, look: Look, refusal: str) -> None:
        """Moves it to where what is taken (`refusal` is "") or refused is kept. Raises UnsettledError, Transient."""
        ...

    async def close(self) -> None:
        """Gives everything back."""
        ...


# Copies the whole file as it was looked at to a path of this machine. Raises UnsettledError, Transient.
Bring = Callable[[str, Look, Path], Awaitable[None]]


def control_id(frame: Frame) -> str:
    """What identifies a file frame: sha256 of content and identity; without one of name and modification time, which
    are its peer."""
    digest = hashlib.sha256(bytes.fromhex(frame.stored) if frame.stored else frame.body)
    digest.update(b"\x00" + (frame.identity or frame.peer).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def shown(name: str) -> str:
    """A file name as text: UTF-8, or GB18030 from old Windows and FTP servers."""
    raw = os.fsencode(name)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")


def fits(name: str, pattern: str) -> bool:
    """Whether a name is one to take: finished, not hidden, no path, of the pattern (capitals do not matter)."""
    low = shown(name).lower()
    if low.startswith(_HIDDEN) or low.endswith(_UNFINISHED) or "/" in low or "\x00" in low:
        return False
    return fnmatch(low, pattern.lower())


def explanation(refusal: str) -> bytes:
    """What lies beside a refused file, for whoever put it there; a spreadsheet's charset mark, Windows line ends."""
    text = (
        "文件未被接收,原因如下。请改正后重新放入上级文件夹。\r\n"
        "The file was not taken; the cause follows. Mend it and put it into the folder above again.\r\n\r\n"
        f"{refusal}\r\n"
    )
    return text.encode("utf-8-sig")


@dataclass(slots=True)
class Candidate:
    """A file that lies there: since when it looks as it does, and when it is worth another attempt."""

    look: Look
    since: float  # loop time
    attempts: int = 0
    due: float = 0.0  # loop time
    taken: str | None = None  # the answer of receive, when only putting away is still to be done


@dataclass(slots=True, kw_only=True)
class Counters:
    """What happened at the place since the start."""

    taken: int = 0
    refused: int = 0
    failed: int = 0  # attempts at a file that are repeated
    away: int = 0  # looks at the place that failed


def _nobody(_outcome: str) -> None:
    """Nobody counts."""


@dataclass(slots=True, kw_only=True)
class Pickup:
    """The listener of one place. Times in seconds, sizes in bytes."""

    place: Place
    channel: str
    settle: float = 1.0
    poll: float = 2.0
    limit: int = SIZE_LIMIT
    bring: Bring | None = None  # large files are brought, not read; None: all are read whole
    spool: Path = Path()  # where to, one at a time
    told: Callable[[str], None] = _nobody  # each outcome: taken, refused, failed, away
    counters: Counters = field(default_factory=Counters, init=False)
    _candidates: dict[str, Candidate] = field(default_factory=dict, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    _failures: int = field(default=0, init=False)  # looks that failed, in a row

    async def listen(self, receive: Receive) -> None:
        """Begin and return. Raises Configuration when the place cannot be used."""
        await self.place.open()
        watching = self.place.watch(self._changed, self._stopping)
        self._tasks = [asyncio.create_task(self._run(receive)), asyncio.create_task(watching)]

    async def close(self) -> None:
        """Finish the file that is being taken, or let it go where that takes long; then stop."""
        self._stopping.set()
        self._changed.set()
        if self._tasks:
            _, slow = await asyncio.wait(self._tasks, timeout=1.5)
            for task in slow:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.place.close()

    async def _run(self, receive: Receive) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            pause = await self._round(receive)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            if self._changed.is_set() and pause > BURST:
                await asyncio.sleep(BURST)

    async def _round(self, receive: Receive) -> float:
        """Look once, take what is ready; returns the seconds until it is worth looking again."""
        try:
            found = await self.place.look()
        except Exception as error:  # noqa: BLE001  a place that is away, however it says so, is asked again
            return self._away(error)
        self._failures = 0
        now = asyncio.get_running_loop().time()
        for name in self._candidates.keys() - found.keys():
            del self._candidates[name]
        for name, look in found.items():
            if name not in self._candidates or self._candidates[name].look != look:
                self._candidates[name] = Candidate(look, since=now)
        for name in sorted(found, key=lambda name: (found[name].modified, name)):  # oldest first
            candidate = self._candidates[name]
            if self._ready_at(candidate) <= now and not self._stopping.is_set():
                await self._take(name, candidate, receive)
        waits = [self._ready_at(candidate) - now for candidate in self._candidates.values()]
        return max(0.01, min([self.poll, *waits]))

    def _away(self, error: Exception) -> float:
        self._failures += 1
        self._count("away")
        pause = min(LONGEST_WAIT, self.poll * 2.0 ** min(self._failures - 1, 16))
        if isinstance(error, Transient):
            pause = max(pause, error.wait)
        if self._failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th …
            self._warn("files cannot be looked at", error, self._failures)
        return pause

    def _ready_at(self, candidate: Candidate) -> float:
        patience = self.settle if candidate.look.size else self.settle * EMPTY_PATIENCE
        return max(candidate.since + patience, candidate.due)

    async def _take(self, name: str, candidate: Candidate, receive: Receive) -> None:
        """Read, hand on, put away. Whatever fails leaves the file where it is, to be tried again later and later."""
        try:
            if candidate.taken is None:
                candidate.taken = await self._received(name, candidate.look, receive)
            await self.place.put_away(name, candidate.look, candidate.taken)
        except UnsettledError:
            candidate.since, candidate.taken = asyncio.get_running_loop().time(), None
        except Exception as error:  # noqa: BLE001  one bad file or a full disk must not stop the others
            self._postpone(candidate, error)
        else:
            self._count("refused" if candidate.taken else "taken")
            del self._candidates[name]

    def _postpone(self, candidate: Candidate, error: Exception) -> None:
        candidate.attempts += 1
        pause = min(LONGEST_WAIT, self.settle * 2.0 ** min(candidate.attempts, 16))
        candidate.due = asyncio.get_running_loop().time() + pause
        self._count("failed")
        self._warn("file not taken", error, candidate.attempts)

    async def _received(self, name: str, look: Look, receive: Receive) -> str:
        """The refusal, or "" when the frame is journalled."""
        limit = BROUGHT_LIMIT if self.bring else self.limit
        if look.size > limit:
            return f"文件超过 {limit} 字节 / the file is larger than {limit} bytes"
        if look.size == 0:
            return "文件为空 / the file is empty"
        peer = f"{shown(name)}@{look.modified}"
        arrived = Frame(channel=self.channel, body=b"", peer=peer, received_at=datetime.now(UTC))
        if self.bring is None or look.size < LARGE:
            body = await self.place.read(name, look)
            return (await receive(replace(arrived, body=body))).decode(errors="replace")
        try:
            await self.bring(name, look, self.spool)
            return (await receive(replace(arrived, file=self.spool))).decode(errors="replace")
        finally:
            self.spool.unlink(missing_ok=True)

    def _count(self, outcome: str) -> None:
        setattr(self.counters, outcome, getattr(self.counters, outcome) + 1)
        self.told(outcome)

    def _warn(self, event: str, error: Exception, attempts: int) -> None:
        """The file's name stays out of the log: people write patients' names into it."""
        words = {"place": error.place, "trouble": _trouble(error)} if isinstance(error, HutongError) else {}
        telemetry.logger().warning(event, channel=self.channel, error=type(error).__name__, attempts=attempts, **words)


def _trouble(error: HutongError) -> str:
    return f"{error.cause}; {error.remedy}" if error.remedy else error.cause
