"""What settings of an SFTP line must mean: a server known by its key, an account whose secrets lie elsewhere.

Every rule tells its mistakes to `note` and goes on; no rule raises, and none repeats a secret from the file.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from gateway.model import Channel, Server, Subscription

Note = Callable[..., None]

_HOST = re.compile(r"[0-9A-Fa-f:.]+|[A-Za-z0-9._-]+")
_SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_KEY = re.compile(r"(?:\S+\s+)?((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+)\s+([A-Za-z0-9+/=]+)(?:\s.*)?")
_SCAN = "take what `ssh-keyscan HOST` prints, and have the hospital confirm it"


def check_channel(channel: Channel, note: Note, below: Callable[[str], Note]) -> None:
    """The server of a channel that takes files from it."""
    _server(channel.transport, channel.server, note, below)
    if channel.leave and channel.transport != "sftp":
        note(f"'leave' means nothing for {channel.transport}", "remove it", at=("leave",))
    if channel.transport == "sftp":
        _remote(channel.folder, "folder", note)


def check_subscription(subscription: Subscription, note: Note, below: Callable[[str], Note]) -> None:
    """The server of a subscription that brings files to it."""
    _server(subscription.transport, subscription.server, note, below)
    if subscription.transport == "sftp":
        _remote(subscription.address, "address", note)


def _server(transport: str, server: Server | None, note: Note, below: Callable[[str], Note]) -> None:
    if transport != "sftp":
        if server is not None:
            note(f"'server' means nothing for {transport}", "remove it", at=("server",))
        return
    if server is None:
        remedy = "add `server: {host: …, user: …, host_keys: […], key: file:…}`"
        note("an SFTP line needs its server", remedy, at=("transport",))
        return
    inside = below("server")
    _account(server, inside)
    _host_keys(server.host_keys, inside)
    for name in ("key", "passphrase", "password"):
        _secret(name, getattr(server, name), inside)


def _account(server: Server, note: Note) -> None:
    if server.host and not _HOST.fullmatch(server.host):
        note("'host' is no host name or address", "such as sftp.hospital.cn or 10.1.2.3", at=("host",))
    if not 1 <= server.port <= 65535:
        note("'port' must be from 1 to 65535", "22 is usual", at=("port",))
    if not server.key and not server.password:
        note("nothing proves who we are", "add `key: file:PATH` or `password: env:NAME`", at=("user",))
    if server.passphrase and not server.key:
        note("'passphrase' is of a key, and there is none", "remove it, or add `key: file:PATH`", at=("passphrase",))


def _secret(name: str, value: str, note: Note) -> None:
    if value and not _SECRET.fullmatch(value):
        remedy = f"write `{name}: env:NAME` or `{name}: file:PATH`, and put it there"
        note(f"the secret of {name!r} stands in the file", remedy, at=(name,))


def _host_keys(keys: tuple[Any, ...], note: Note) -> None:
    if not keys:
        note("without a host key anybody could be this server", _SCAN, at=("host_keys",))
    for index, text in enumerate(keys):
        if text and not _is_host_key(text.strip()):
            note("this is no host key: 'SHA256:…' or 'ssh-ed25519 AAAA…'", _SCAN, at=("host_keys", index))


def _is_host_key(text: str) -> bool:
    if _FINGERPRINT.fullmatch(text):
        return True
    found = _KEY.fullmatch(text)
    if found is None:
        return False
    try:
        raw = base64.b64decode(found[2], validate=True)
    except (binascii.Error, ValueError):
        return False
    return raw[4 : 4 + len(found[1])] == found[1].encode()  # RFC 4253 §6.6: the blob names its kind


def _remote(folder: str, at: str, note: Note) -> None:
    """A folder of the server, by its path there."""
    if not folder:
        note("no folder on the server", f"add `{at}: /out/results` (or `.` for the account's own)", at=("transport",))
    elif ".." in folder.split("/") or any(ord(character) < 32 for character in folder):
        note(f"{at!r} must be a plain path", "write it from the root, without ..", at=(at,))
