"""The SFTP sender: a delivery becomes one whole file on a server, or none; the same delivery twice is one file.

It is written under a hidden name (.NAME.part), its size is compared, and then it is renamed: the receiver sees a name
appear, never a file that grows. The name comes from the idempotency key, so a second attempt writes over the first.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.errors import Transient
from gateway.model import Delivery, Receipt
from gateway.transport.folder_sender import named
from gateway.transport.sftp import ANSWERING, PIECE, Line, library

if TYPE_CHECKING:
    import asyncssh

_DOING = "the file cannot be written"


class SftpSender:
    """Writes into one folder of a server. `format` and `pattern` give the names (folder_sender.py)."""

    parallel = 1

    def __init__(self, line: Line, folder: str, *, format: str = "fhir", pattern: str = "") -> None:
        self._line = line
        self._folder = folder.rstrip("/")
        self._format = format
        self._pattern = pattern
        self._one_at_a_time = asyncio.Lock()

    async def send(self, body: bytes, delivery: Delivery) -> Receipt:
        """The file stands there whole when it returns. Raises Transient for whatever fails at the server or on the way,
        Configuration when the library or a secret is missing."""
        name = named(delivery, self._format, self._pattern)
        async with self._one_at_a_time, self._line.client(_DOING) as client:
            part = f"{self._folder}/.{name}.part"
            await self._write(client, part, body)
            async with asyncio.timeout(ANSWERING):
                await _rename(client, part, f"{self._folder}/{name}")
        return Receipt(at=datetime.now(UTC), code="written")

    async def close(self) -> None:
        """Hang up."""
        await self._line.close()

    async def _write(self, client: asyncssh.SFTPClient, part: str, body: bytes) -> None:
        ssh = library()
        async with asyncio.timeout(ANSWERING):
            file = await client.open(part, "wb", encoding=None)
        async with file:
            for start in range(0, len(body), PIECE):
                async with asyncio.timeout(ANSWERING):
                    await file.write(body[start : start + PIECE], start)
            async with asyncio.timeout(ANSWERING):
                with suppress(ssh.SFTPOpUnsupported):  # an extension of OpenSSH
                    await file.fsync()
        async with asyncio.timeout(ANSWERING):
            size = (await client.stat(part)).size
        if size != len(body):
            cause = f"{_DOING}: the server holds {size} of {len(body)} bytes"
            raise Transient(cause, place=self._line.place, remedy="it is tried again by itself")


async def _rename(client: asyncssh.SFTPClient, part: str, target: str) -> None:
    """Over what is there; where the server cannot do that in one step, what is there goes first."""
    ssh = library()
    try:
        await client.posix_rename(part, target)
    except ssh.SFTPOpUnsupported:
        if await client.lexists(target):
            await client.remove(target)
        await client.rename(part, target)
