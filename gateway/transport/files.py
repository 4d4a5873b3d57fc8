"""The watched folder, a place of pickup: what is taken goes to `done` in it, what is refused to `error`.

taken     a regular file of the folder itself whose name fits the pattern and that nobody has open for writing
ignored   .tmp .part .filepart, names that begin with '.' or '~$', folders, symbolic links (never followed)
refused   beside it lies a text file that says why in Chinese and English
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import watchfiles

from gateway import telemetry
from gateway.errors import Configuration, Transient
from gateway.transport.pickup import Look, UnsettledError, explanation, fits

DONE, ERROR = "done", "error"
_LEASES = hasattr(fcntl, "F_SETLEASE") and hasattr(fcntl, "F_SETSIG")  # Linux


@dataclass(slots=True)
class Folder:
    """One folder, which is made where it is missing.

    Operating system events only shorten the wait: shares (SMB, NFS) send none, so the folder is also read again and
    again. A folder that vanishes while we run is not made anew: a share would be missing, and is waited for.
    """

    path: Path
    channel: str = field(kw_only=True)
    pattern: str = field(default="*", kw_only=True)
    _odd: int = field(default=0, init=False)  # names that fit and are no files, as last told

    async def open(self) -> None:
        """Raises Configuration when the folder cannot be used."""
        try:
            await asyncio.to_thread(_ready, self.path)
        except OSError as error:
            cause = f"the folder cannot be used ({error.strerror or type(error).__name__})"
            remedy = "check its rights; done and error must be real folders in it"
            raise Configuration(cause, place=self._place, remedy=remedy) from error

    async def watch(self, changed: asyncio.Event, stopping: asyncio.Event) -> None:
        """Rings when the system reports a change; where it cannot, or no more, polling alone serves."""
        with suppress(OSError, RuntimeError):
            async for _ in watchfiles.awatch(
                self.path, recursive=False, stop_event=stopping, debounce=50, step=20, rust_timeout=500
            ):
                changed.set()

    async def look(self) -> Mapping[str, Look]:
        """The regular files whose names fit."""
        with self._troubles("the folder cannot be read", "check that it is there, mounted, and readable for us"):
            found, odd = await asyncio.to_thread(self._look)
        if odd > self._odd:
            telemetry.logger().warning("links or folders lie where files are expected", channel=self.channel, count=odd)
        self._odd = odd
        return found

    async def read(self, name: str, look: Look) -> bytes:
        """The whole file."""
        with self._troubles("the file cannot be read", "give us the right to read it"):
            return await asyncio.to_thread(_read, self.path / name, look)

    async def bring(self, name: str, look: Look, to: Path) -> None:
        """Copies the whole file to a path of this machine."""
        with self._troubles("the file cannot be copied", "give us the right to read it, and free some space"):
            await asyncio.to_thread(_bring, self.path / name, look, to)

    async def put_away(self, name: str, look: Look, refusal: str) -> None:
        """To `done`, or to `error` with its cause beside it."""
        with self._troubles("the file cannot be moved", "give us the right to write to the folder, done and error"):
            await asyncio.to_thread(self._move, name, look, refusal)

    async def close(self) -> None:
        """Nothing to give back."""

    @property
    def _place(self) -> str:
        return f"channel {self.channel}, {self.path}"

    @contextmanager
    def _troubles(self, what: str, remedy: str) -> Iterator[None]:
        """The system's errors as ours: by their kind, never with the file's name."""
        try:
            yield
        except OSError as error:
            cause = f"{what} ({error.strerror or type(error).__name__})"
            raise Transient(cause, place=self._place, remedy=remedy) from error

    def _look(self) -> tuple[dict[str, Look], int]:
        found: dict[str, Look] = {}
        odd = 0
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name in (DONE, ERROR) or not fits(entry.name, self.pattern):
                    continue
                with suppress(FileNotFoundError):  # gone between listing and looking
                    if entry.is_file(follow_symlinks=False):
                        found[entry.name] = _look_of(entry.stat(follow_symlinks=False))
                    else:
                        odd += 1
        return found, odd

    def _move(self, name: str, look: Look, refusal: str) -> None:
        source = self.path / name
        if not os.path.lexists(source) or _look_of(source.lstat()) != look:
            raise UnsettledError  # written to again: what is there now is another frame
        _ready(self.path)  # whoever emptied the folder may have taken these two as well
        if not refusal:
            source.rename(_free(self.path / DONE, name, os.path.lexists))
            return
        words = explanation(refusal)
        target = _free(self.path / ERROR, name, lambda path: os.path.lexists(path) or _explained(path, words))
        _beside(target).write_bytes(words)
        source.rename(target)


def _ready(path: Path) -> None:
    """The folder and the two in it, as real folders."""
    for place in (path, path / DONE, path / ERROR):
        place.mkdir(parents=True, exist_ok=True)
        if place != path and place.is_symlink():
            raise NotADirectoryError


def _beside(target: Path) -> Path:
    return target.with_name(target.name + ".txt")


def _explained(target: Path, words: bytes) -> bool:
    """Another file's explanation lies there; our own is of a move that a crash cut short."""
    beside = _beside(target)
    return os.path.lexists(beside) and (beside.is_symlink() or beside.read_bytes() != words)


def _look_of(status: os.stat_result) -> Look:
    return Look(status.st_size, status.st_mtime_ns, status.st_ino)


def _read(path: Path, look: Look) -> bytes:
    """The whole file; only if it is still the regular file that was looked at, before and after."""
    with _still(path, look) as file:
        body = file.read(look.size + 1)
        if len(body) != look.size:
            raise UnsettledError
    return body


def _bring(path: Path, look: Look, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _still(path, look) as file, to.open("wb") as target:
        shutil.copyfileobj(file, target, 1 << 20)
        if target.tell() != look.size:
            raise UnsettledError


@contextmanager
def _still(path: Path, look: Look) -> Iterator[IO[bytes]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise UnsettledError from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or _look_of(status) != look or _is_written(file.fileno()):
            raise UnsettledError
        yield file
        if _look_of(os.fstat(file.fileno())) != look:
            raise UnsettledError


def _is_written(descriptor: int) -> bool:
    """Whether a process of this machine (an FTP or Samba server) has it open for writing: the kernel gives no read
    lease then (fcntl(2), F_SETLEASE). False where the file system knows no leases or the file is not ours."""
    if not _LEASES:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # a lease broken meanwhile: a signal that does nothing
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _free(folder: Path, name: str, taken: Callable[[Path], bool]) -> Path:
    """A path in the folder that nothing has yet: name, name-2, name-3, before the ending. A few looks, however many
    of this name lie there."""
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""

    def path(number: int) -> Path:
        return folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}")

    high = 1
    while taken(path(high)):
        high *= 2
    low = high // 2  # taken (0: there is none), and `high` is free
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(path(middle)) else (low, middle)
    return path(high)
