"""A folder on an SFTP server, a place of pickup: what is taken goes to `done` in it, what is refused to `error`.

taken     a regular file of the folder itself whose name fits the pattern
ignored   .tmp .part .filepart, names that begin with '.' or '~$', folders, symbolic links
refused   beside it lies a text file that says why in Chinese and English
leave     on a server that lets us only read nothing is moved; what was taken or refused is remembered here, and
          where that memory is lost the journal knows each file again by its content, name and time
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gateway.errors import Transient
from gateway.transport.files import DONE, ERROR
from gateway.transport.pickup import Look, UnsettledError, explanation, fits
from gateway.transport.sftp import ANSWERING, LISTING, PIECE, Line, library

if TYPE_CHECKING:
    import asyncssh

NAMES_LIMIT = 200_000  # names in one folder
REGULAR, UNKNOWN = 1, 5  # kinds of files (SSH File Transfer Protocol, draft 13 §7.2)


class Seen:
    """What was taken of a folder that we may only read: a line a file, on disk before the next file is taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Look] = {}

    def load(self) -> None:
        """Reads what is remembered; a line that a crash cut short is none."""
        self._known = {}
        if not self._path.is_file():
            return
        for line in self._path.read_text("ascii", "replace").splitlines():
            try:
                name, size, modified = json.loads(line)
                self._known[str(name)] = Look(int(size), int(modified))
            except (ValueError, TypeError):
                continue

    def new(self, found: Mapping[str, Look]) -> dict[str, Look]:
        """Those that are not remembered as they lie there now. What has gone is forgotten, now and then on disk too."""
        gone = self._known.keys() - found.keys()
        for name in gone:
            del self._known[name]
        if gone:
            self._write_anew()
        return {name: look for name, look in found.items() if self._known.get(name) != look}

    def add(self, name: str, look: Look) -> None:
        """Remembers one file."""
        self._known[name] = look
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="ascii") as file:
            file.write(_line(name, look))
            file.flush()
            os.fsync(file.fileno())

    def _write_anew(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_text("".join(_line(name, look) for name, look in self._known.items()), "ascii")
        part.replace(self._path)


def _line(name: str, look: Look) -> str:
    return "\n" + json.dumps([name, look.size, look.modified])  # the line end first: a cut line ends with the next


@dataclass(slots=True)
class RemoteFolder:
    """One folder of a server. `seen`: where to remember what was taken, on a server that lets us only read."""

    line: Line
    path: str
    pattern: str = field(default="*", kw_only=True)
    seen: Seen | None = field(default=None, kw_only=True)

    async def open(self) -> None:
        """Raises Configuration when the library is missing. All else is waited for: neither a server that is away nor
        a secret that is not there may keep the other lines of the gateway from working."""
        await asyncio.to_thread(library)
        if self.seen is not None:
            await asyncio.to_thread(self.seen.load)

    async def watch(self, _changed: asyncio.Event, _stopping: asyncio.Event) -> None:
        """A server tells nothing by itself."""

    async def look(self) -> Mapping[str, Look]:
        """The regular files whose names fit, and that are not remembered. Raises Transient; Configuration for a secret
        that is missing."""
        found: dict[str, Look] = {}
        names = 0
        async with self.line.client("the folder cannot be read") as client, asyncio.timeout(LISTING):
            async for entry in client.scandir(self.path):
                names += 1
                name = str(entry.filename)
                if (
                    name not in (DONE, ERROR)
                    and fits(name, self.pattern)
                    and (look := await self._regular(client, entry))
                ):
                    found[name] = look
                if names > NAMES_LIMIT:
                    cause, remedy = f"more than {NAMES_LIMIT} names lie in the folder", "have the hospital clear it"
                    raise Transient(cause, place=self.line.place, remedy=remedy)
        return found if self.seen is None else await asyncio.to_thread(self.seen.new, found)

    async def _regular(self, client: asyncssh.SFTPClient, entry: Any) -> Look | None:
        attributes = entry.attrs
        if attributes.type == UNKNOWN or attributes.size is None or attributes.mtime is None:
            attributes = await client.lstat(self._at(str(entry.filename)))
        return _look_of(attributes) if attributes.type == REGULAR else None

    async def read(self, name: str, look: Look) -> bytes:
        """The whole file."""
        body = bytearray()
        reading = self.line.client("the file cannot be read")
        async with reading as client, aclosing(self._pieces(client, name, look)) as pieces:
            async for piece in pieces:
                body += piece
        return bytes(body)

    async def bring(self, name: str, look: Look, to: Path) -> None:
        """Copies the whole file to a path of this machine."""
        with self._written(to) as target:
            reading = self.line.client("the file cannot be read")
            async with reading as client, aclosing(self._pieces(client, name, look)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(_write, target, piece)

    @contextmanager
    def _written(self, to: Path) -> Iterator[IO[bytes]]:
        """A file of our own; its troubles are ours, not the server's."""
        try:
            to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with to.open("wb") as target:
                yield target
        except (OSError, _OurDiskError) as error:
            cause = f"the file cannot be written here ({getattr(error, 'strerror', None) or type(error).__name__})"
            raise Transient(cause, place=str(to.parent), remedy="free some space; work goes on by itself") from error

    async def _pieces(self, client: asyncssh.SFTPClient, name: str, look: Look) -> AsyncGenerator[bytes, None]:
        """The file piece by piece; only if it is the same before and after."""
        async with asyncio.timeout(ANSWERING):
            try:
                file = await client.open(self._at(name), "rb", encoding=None)
            except library().SFTPNoSuchFile:
                raise UnsettledError from None
        async with file:
            if _look_of(await file.stat()) != look:
                raise UnsettledError
            taken = 0
            while taken <= look.size:
                async with asyncio.timeout(ANSWERING):
                    piece: Any = await file.read(PIECE, taken)
                if not piece:
                    break
                taken += len(piece)
                yield bytes(piece)
            if taken != look.size or _look_of(await file.stat()) != look:
                raise UnsettledError

    async def put_away(self, name: str, look: Look, refusal: str) -> None:
        """To `done` or `error` of the folder; only remembered where we may not write."""
        if self.seen is not None:
            await asyncio.to_thread(self.seen.add, name, look)
            return
        doing = "the file cannot be moved (give our account the right, or write `leave: true`)"
        async with self.line.client(doing) as client, asyncio.timeout(ANSWERING):
            source = self._at(name)
            if not await client.lexists(source) or _look_of(await client.lstat(source)) != look:
                raise UnsettledError  # written to again: what is there now is another frame
            folder = self._at(ERROR if refusal else DONE)
            if not await client.isdir(folder):
                await client.mkdir(folder)
            target = f"{folder}/{await _free(client, folder, name, look)}"
            if refusal:
                async with await client.open(f"{target}.txt", "wb", encoding=None) as file:
                    await file.write(explanation(refusal))
            await client.rename(source, target)

    async def close(self) -> None:
        """Hang up."""
        await self.line.close()

    def _at(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}"


class _OurDiskError(Exception):
    """An error of this machine's disk, which must not look like one of the line."""


def _write(target: IO[bytes], piece: bytes) -> None:
    try:
        target.write(piece)
    except OSError as error:
        raise _OurDiskError(error.strerror) from error


def _look_of(attributes: Any) -> Look:
    """Seconds, and their fraction where the server tells it (version 4 of the protocol on)."""
    modified = int(attributes.mtime or 0) * 1_000_000_000 + int(attributes.mtime_ns or 0)
    return Look(int(attributes.size or 0), modified)


async def _free(client: asyncssh.SFTPClient, folder: str, name: str, look: Look) -> str:
    """A name that nothing in the folder has yet: its own, else with time and size before the ending, else a number
    behind these. The same file gets the same name again after a crash, and with it its explanation."""
    if not await client.lexists(f"{folder}/{name}"):
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, dot, ending = name, "", ""
    mark = hashlib.sha256(f"{look.modified} {look.size}".encode()).hexdigest()[:8]
    number, made = 1, f"{stem}-{mark}{dot}{ending}"
    while await client.lexists(f"{folder}/{made}"):
        number += 1
        made = f"{stem}-{mark}-{number}{dot}{ending}"
    return made
