"""The watched folder: a file that has come to rest is read whole, journalled, and moved to `done` or `error`.

    taken     a regular file of the folder itself whose name fits the pattern, whose size and time have not changed for
              `settle` seconds (an empty file: 30 times as long, it is usually still being filled)
    ignored   .tmp .part .filepart, names that begin with '.' or '~$', folders, symbolic links (never followed)
    refused   moved to `error` with a text file beside it that says why in Chinese and English
    not taken (receive raised): stays where it is and is tried again, later and later

Exactly once in spite of kill -9 between journalling and moving: the frame's peer is 'name@mtime_ns', and `control_id`
makes a number of content, name and time. A file that is found again after a crash gets the same number, so the journal
knows it; the same name or content dropped anew has another time, and is new.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import watchfiles

from gateway import telemetry
from gateway.errors import Configuration, HutongError
from gateway.model import Frame
from gateway.transport.mllp import Receive

SIZE_LIMIT = 200 * 2**20  # bytes
EMPTY_PATIENCE = 30  # times `settle`
LONGEST_WAIT = 60.0  # seconds between two attempts at a file that could not be taken
_UNFINISHED = (".tmp", ".part", ".filepart")
_HIDDEN = (".", "~$")


def control_id(frame: Frame) -> str:
    """What identifies a file frame: sha256 of content, name and modification time (the last two are its peer)."""
    digest = hashlib.sha256(frame.body)
    digest.update(b"\x00" + frame.peer.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@dataclass(slots=True)
class Candidate:
    """A file that lies there: since when it looks as it does, and when it is worth another attempt."""

    look: tuple[int, int, int]  # inode, size, mtime_ns
    since: float  # loop time
    attempts: int = 0
    due: float = 0.0  # loop time
    taken: str | None = None  # the answer of receive, when only the move is still to be done


@dataclass(slots=True, kw_only=True)
class Counters:
    """What happened in the folder since the start."""

    taken: int = 0
    refused: int = 0
    failed: int = 0  # attempts that are repeated


@dataclass(slots=True)
class FolderListener:
    """Watches one folder, which it makes where it is missing. Times in seconds, sizes in bytes.

    Operating system events only shorten the wait: shares (SMB, NFS) send none, so the folder is also read every `poll`.
    """

    folder: Path
    channel: str = field(kw_only=True)
    pattern: str = field(default="*", kw_only=True)
    settle: float = field(default=1.0, kw_only=True)
    poll: float = field(default=2.0, kw_only=True)
    limit: int = field(default=SIZE_LIMIT, kw_only=True)
    counters: Counters = field(default_factory=Counters, init=False)
    _candidates: dict[str, Candidate] = field(default_factory=dict, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False)

    async def listen(self, receive: Receive) -> None:
        """Begin and return. Raises Configuration when the folder cannot be used."""
        try:
            for place in (self.folder, self.folder / "done", self.folder / "error"):
                place.mkdir(parents=True, exist_ok=True)
                if place != self.folder and place.is_symlink():
                    raise NotADirectoryError
        except OSError as error:
            cause = f"the folder cannot be used ({error.strerror or type(error).__name__})"
            remedy = "check its rights; done and error must be real folders in it"
            raise Configuration(cause, place=f"channel {self.channel}, {self.folder}", remedy=remedy) from error
        self._tasks = [asyncio.create_task(self._run(receive)), asyncio.create_task(self._watch())]

    async def close(self) -> None:
        """Finish the file that is being taken, then stop."""
        self._stopping.set()
        self._changed.set()
        await asyncio.gather(*self._tasks)

    async def _watch(self) -> None:
        """Ring when the system reports a change; where it cannot, polling alone serves."""
        with suppress(OSError, RuntimeError):
            async for _ in watchfiles.awatch(
                self.folder, recursive=False, stop_event=self._stopping, debounce=50, step=20, rust_timeout=500
            ):
                self._changed.set()

    async def _run(self, receive: Receive) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            pause = await self._round(receive)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            if self._changed.is_set() and pause > 0.02:
                await asyncio.sleep(0.02)  # a burst of events is one round

    async def _round(self, receive: Receive) -> float:
        """Look once, take what is ready; returns the seconds until it is worth looking again."""
        now = asyncio.get_running_loop().time()
        try:
            found = await asyncio.to_thread(self._look)
        except OSError as error:
            telemetry.logger().warning("folder not readable", channel=self.channel, error=type(error).__name__)
            return self.poll
        for name in set(self._candidates) - set(found):
            del self._candidates[name]
        for name, look in found.items():
            if name not in self._candidates or self._candidates[name].look != look:
                self._candidates[name] = Candidate(look, since=now)
        for name in sorted(found, key=lambda name: (found[name][2], name)):  # oldest first
            candidate = self._candidates[name]
            if self._ready_at(candidate) <= now and not self._stopping.is_set():
                await self._take(name, candidate, receive)
        waits = [self._ready_at(candidate) - now for candidate in self._candidates.values()]
        return max(0.01, min([self.poll, *waits]))

    def _ready_at(self, candidate: Candidate) -> float:
        patience = self.settle if candidate.look[1] else self.settle * EMPTY_PATIENCE
        return max(candidate.since + patience, candidate.due)

    def _look(self) -> dict[str, tuple[int, int, int]]:
        with os.scandir(self.folder) as entries:
            return dict(self._fitting(entries))

    def _fitting(self, entries: Iterator[os.DirEntry[str]]) -> Iterator[tuple[str, tuple[int, int, int]]]:
        for entry in entries:
            low = entry.name.lower()
            if low.startswith(_HIDDEN) or low.endswith(_UNFINISHED) or not fnmatch(low, self.pattern.lower()):
                continue
            with suppress(FileNotFoundError):  # gone between listing and looking
                if entry.is_file(follow_symlinks=False):
                    yield entry.name, _look_of(entry.stat(follow_symlinks=False))

    async def _take(self, name: str, candidate: Candidate, receive: Receive) -> None:
        """Read, hand on, move. Whatever fails leaves the file where it is, to be tried again later and later."""
        try:
            if candidate.taken is None:
                candidate.taken = await self._received(name, candidate, receive)
            await asyncio.to_thread(self._move, name, candidate)
        except UnsettledError:
            candidate.since, candidate.taken = asyncio.get_running_loop().time(), None
        except Exception as error:  # noqa: BLE001  one bad file or a full disk must not stop the folder
            self._postpone(candidate, error)
        else:
            self.counters.refused += bool(candidate.taken)
            self.counters.taken += not candidate.taken
            del self._candidates[name]

    def _postpone(self, candidate: Candidate, error: Exception) -> None:
        candidate.attempts += 1
        pause = min(LONGEST_WAIT, self.settle * 2.0**candidate.attempts)
        candidate.due = asyncio.get_running_loop().time() + pause
        self.counters.failed += 1
        place = error.place if isinstance(error, HutongError) else ""
        kind = type(error).__name__
        telemetry.logger().warning(
            "file not taken", channel=self.channel, error=kind, place=place, attempts=candidate.attempts
        )

    async def _received(self, name: str, candidate: Candidate, receive: Receive) -> str:
        """The refusal, or "" when the frame is journalled."""
        _, size, modified = candidate.look
        if size > self.limit:
            return f"文件超过 {self.limit} 字节 / the file is larger than {self.limit} bytes"
        if size == 0:
            return "文件为空 / the file is empty"
        body = await asyncio.to_thread(_read, self.folder / name, candidate.look)
        peer = f"{_shown(name)}@{modified}"
        arrived = Frame(channel=self.channel, body=body, peer=peer, received_at=datetime.now(UTC))
        return (await receive(arrived)).decode(errors="replace")

    def _move(self, name: str, candidate: Candidate) -> None:
        source, refusal = self.folder / name, candidate.taken
        if _look_of(source.lstat()) != candidate.look:
            raise UnsettledError  # written to again: what is there now is another frame
        target = _free(self.folder / ("error" if refusal else "done"), name)
        if refusal:
            explanation = (
                f"文件未被接收,原因如下。请改正后重新放入上级文件夹。\r\n"
                f"The file was not taken; the cause follows. Mend it and put it into the folder above again.\r\n\r\n"
                f"{refusal}\r\n"
            )
            target.with_name(target.name + ".txt").write_text(explanation, "utf-8-sig", newline="")
        source.rename(target)


class UnsettledError(Exception):
    """The file changed while it was read: it was not finished."""


def _look_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path, look: tuple[int, int, int]) -> bytes:
    """The whole file; only if it is still the regular file that was looked at, before and after."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or _look_of(status) != look:
            raise UnsettledError
        body = file.read(look[1] + 1)
        if len(body) != look[1] or _look_of(os.fstat(file.fileno())) != look:
            raise UnsettledError
    return body


def _shown(name: str) -> str:
    """A file name as text: UTF-8, or GB18030 from old Windows and FTP servers."""
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError:
        return os.fsencode(name).decode("gb18030", "replace")


def _free(folder: Path, name: str) -> Path:
    """A path in the folder that nothing has yet: name, name-2, name-3, before the ending."""
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    number, target = 1, folder / name
    while os.path.lexists(target) or os.path.lexists(f"{target}.txt"):
        number += 1
        target = folder / f"{stem}-{number}{dot}{ending}"
    return target
