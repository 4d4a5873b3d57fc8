"""How bytes move: one file a wire, found by its name in the tables below.

A new transport is one file and its line here; tests/transport/test_registry.py then runs the shared suite on it.
`listeners` take frames (a channel's `transport`), `senders` bring deliveries (a subscription's `transport`).
HTTP intake is the web door's (gateway/api): it shares the port with the FHIR API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from gateway.errors import Configuration
from gateway.model import BODIES, STREAMED, Channel, Delivery, Receipt, Server, Subscription
from gateway.transport.files import Folder
from gateway.transport.folder_sender import FolderSender
from gateway.transport.http import HttpSender
from gateway.transport.memory import MemoryListener, MemorySender
from gateway.transport.mllp import MllpListener, Receive
from gateway.transport.mllp_sender import MllpSender
from gateway.transport.pickup import Bring, Pickup
from gateway.transport.sftp import Line
from gateway.transport.sftp_folder import RemoteFolder, Seen
from gateway.transport.sftp_sender import SftpSender

SFTP_SETTLE, SFTP_POLL = 5.0, 15.0  # seconds: a file rests so long before it is taken; between two looks at a server


class Listener(Protocol):
    """Takes frames. `receive` journals one and returns its answer (mllp: the acknowledgement without framing, b'' for
    none; files: b'' for taken, or the text of the refusal); it raises when nothing can be promised to the sender."""

    async def listen(self, receive: Receive) -> None:
        """Returns once frames are taken; they are until `close`. Raises Configuration when it cannot begin."""
        ...

    async def close(self) -> None:
        """Takes nothing new, lets what is under way be answered (under 2 s), gives everything back."""
        ...


class Sender(Protocol):
    """Brings deliveries to one receiver. Raises our errors, never a socket's."""

    @property
    def parallel(self) -> int:
        """How many deliveries may be under way at once."""
        ...

    async def send(self, body: bytes, delivery: Delivery) -> Receipt:
        """Returns when the receiver took it. May have been sent when Ambiguous is raised, or when it is cancelled."""
        ...

    async def close(self) -> None:
        """Gives everything back."""
        ...


listeners: Mapping[str, Callable[[Channel, Path], Listener]] = {
    "mllp": lambda channel, data: MllpListener(channel.listen, channel=channel.id),
    "files": lambda channel, data: _folder(channel, data),
    "sftp": lambda channel, data: _remote(channel, data),
    "memory": lambda channel, data: MemoryListener(channel=channel.id),
}
senders: Mapping[str, Callable[[Subscription, Path], Sender]] = {
    "mllp": lambda wish, data: MllpSender(wish.address, timeout=wish.timeout),
    "http": lambda wish, data: HttpSender(
        wish.address,
        format=wish.format,
        headers=wish.headers,
        charset=wish.profile.charset if wish.profile else "",
        timeout=wish.timeout,
    ),
    "files": lambda wish, data: FolderSender(data / wish.address, format=wish.format, pattern=wish.file_name),
    "sftp": lambda wish, data: SftpSender(
        remote_line(wish, data), wish.address, format=wish.format, pattern=wish.file_name
    ),
    "database": lambda wish, data: _table_sender(wish),
    "memory": lambda wish, data: MemorySender(),
}


def listener(channel: Channel, data: Path) -> Listener:
    """The listener of a channel; folders are relative to the data directory unless absolute. Raises Configuration."""
    make = listeners.get(channel.transport)
    if make is None:
        raise _unknown(channel.transport, f"channel {channel.id}", listeners)
    return make(channel, data)


def sender(subscription: Subscription, data: Path) -> Sender:
    """The sender of a subscription; folders as above. Raises Configuration."""
    make = senders.get(subscription.transport)
    if make is None:
        raise _unknown(subscription.transport, f"subscription {subscription.id}", senders)
    return make(subscription, data)


def _folder(channel: Channel, data: Path) -> Pickup:
    place = Folder(data / channel.folder, channel=channel.id, pattern=channel.pattern or "*")
    return Pickup(place=place, channel=channel.id, bring=_brought(channel, place), spool=_spool(channel, data))


def _remote(channel: Channel, data: Path) -> Pickup:
    place = remote_folder(channel, data)
    return Pickup(
        place=place, channel=channel.id, settle=SFTP_SETTLE, poll=SFTP_POLL, bring=_brought(channel, place),
        spool=_spool(channel, data),
    )  # fmt: skip


def _brought(channel: Channel, place: Folder | RemoteFolder) -> Bring | None:
    return place.bring if channel.format in STREAMED else None


def _spool(channel: Channel, data: Path) -> Path:
    return data / BODIES / "arriving" / channel.id


def remote_folder(channel: Channel, data: Path) -> RemoteFolder:
    """The folder of a channel on its SFTP server."""
    place = f"channel {channel.id}"
    line = Line(_server(channel.server, place), data=data, place=place)
    seen = Seen(data / "seen" / f"{channel.id}.files") if channel.leave else None
    return RemoteFolder(line, channel.folder, pattern=channel.pattern or "*", seen=seen)


def remote_line(subscription: Subscription, data: Path) -> Line:
    """The line to a subscription's SFTP server."""
    place = f"subscription {subscription.id}"
    return Line(_server(subscription.server, place), data=data, place=place)


def _server(server: Server | None, place: str) -> Server:
    if server is None:
        raise Configuration("an SFTP line needs its server", place=place, remedy="add `server: {host: …}`")
    return server


def _table_sender(wish: Subscription) -> Sender:
    from gateway.transport.table_sender import TableSender  # a tenth of a second that only this needs

    if wish.table is None:
        place = f"subscription {wish.id}"
        raise Configuration("a database needs its table", place=place, remedy="add `table: {name: …}`")
    return TableSender(wish.address, wish.table, timeout=wish.timeout)


def _unknown(name: str, place: str, table: Mapping[str, object]) -> Configuration:
    return Configuration(f"there is no transport '{name}'", place=place, remedy=f"write one of {', '.join(table)}")
