"""A real SFTP server in this process, and what a member's settings would say of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from gateway.model import Server
from gateway.transport.sftp import Line

USER, PASSWORD = "hutong", "correct horse"


class Account(asyncssh.SSHServer):
    """One account with a password, and one key where there is a file of it."""

    def __init__(self, keys: Path) -> None:
        self.keys = keys

    def begin_auth(self, _username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return self.keys.exists()

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.export_public_key() == self.keys.read_bytes()


class Troublesome(asyncssh.SFTPServer):
    """A server that can be told to refuse, and counts what it was asked for."""

    def __init__(self, channel: asyncssh.SSHServerChannel, running: Running) -> None:
        super().__init__(channel, chroot=bytes(running.root))
        self.running = running

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        self.running.opened.append(path.decode("utf-8", "surrogateescape"))
        return super().open(path, pflags, attrs)

    def rename(self, oldpath: bytes, newpath: bytes) -> object:
        if self.running.read_only:
            raise asyncssh.SFTPPermissionDenied("read only")
        return super().rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> object:
        if self.running.old:
            raise asyncssh.SFTPOpUnsupported("an old server")
        return super().posix_rename(oldpath, newpath)


@dataclass
class Running:
    """A server over `root`, and the settings by which it is known."""

    root: Path
    home: Path  # the gateway's data directory: secrets lie there
    host_key: asyncssh.SSHKey
    port: int = 0
    more_keys: list[asyncssh.SSHKey] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)  # every file that was opened
    read_only: bool = False
    old: bool = False  # knows no renaming over a file
    acceptor: asyncssh.SSHAcceptor | None = None

    async def up(self) -> None:
        self.acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key, *self.more_keys],
            server_factory=lambda: Account(self.home / "ours.pub"),
            sftp_factory=lambda channel: Troublesome(channel, self),
        )
        self.port = self.acceptor.get_port()

    async def down(self) -> None:
        if self.acceptor is not None:
            self.acceptor.close()
            await self.acceptor.wait_closed()
            self.acceptor = None

    def settings(self, **more: object) -> Server:
        said: dict[str, object] = {
            "host": "127.0.0.1", "port": self.port, "user": USER, "password": "file:password",
            "host_keys": (self.host_key.export_public_key().decode().strip(),),
        }  # fmt: skip
        return Server(**{**said, **more})  # type: ignore[arg-type]

    def line(self, **more: object) -> Line:
        return Line(self.settings(**more), data=self.home, place="channel c1")


@asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[Running]:
    root, home = tmp_path / "server", tmp_path / "data"
    (root / "out").mkdir(parents=True)
    (root / "in").mkdir()
    home.mkdir()
    (home / "password").write_text(PASSWORD + "\n")
    running = Running(root, home, asyncssh.generate_private_key("ssh-ed25519"))
    await running.up()
    try:
        yield running
    finally:
        await running.down()
