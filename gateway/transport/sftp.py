"""A line to one SFTP server: its host key pinned, our key or password from elsewhere, its errors as ours.

Nothing is read from ~/.ssh, and no agent is asked: what is not in the settings does not count. A line is opened when it
is first needed, kept, and dropped at the first error; the next use opens it anew. Needs asyncssh (`hutong[sftp]`).
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import Configuration, HutongError, Transient
from gateway.model import Server
from gateway.transport.secret import secret

if TYPE_CHECKING:
    import asyncssh

OPENING = 20.0  # seconds to connect and be let in
ANSWERING = 60.0  # seconds for one answer, or one piece of a file
LISTING = 300.0  # seconds for all names of a folder
SHUT_OUT = 300.0  # seconds before we knock again where we were not let in: quicker ones lock an account
PIECE = 256 * 2**10  # bytes: a line of 5 kB a second is slow, and not dead


def library() -> Any:
    """asyncssh. Raises Configuration where it is not installed."""
    try:
        return importlib.import_module("asyncssh")
    except ImportError:
        remedy = "pip install 'hutong[sftp]'"
        raise Configuration("SFTP needs the package asyncssh, which is not here", place="sftp", remedy=remedy) from None


class Line:
    """One server. Not for several uses at once; `place` names it in errors."""

    def __init__(self, server: Server, *, data: Path, place: str) -> None:
        self._server = server
        self._data = data
        self.place = f"{place}, sftp://{server.host}:{server.port}"
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None

    @asynccontextmanager
    async def client(self, doing: str) -> AsyncIterator[asyncssh.SFTPClient]:
        """The client, for something that `doing` names. Raises Transient, with the line dropped, for whatever fails;
        Configuration when the library or a secret is missing, or a key cannot be read."""
        ssh = library()
        try:
            yield await self._opened(ssh)
        except HutongError:
            raise
        except (ssh.Error, OSError, TimeoutError, EOFError) as error:
            if not _is_of_the_file(ssh, error):
                self.drop()
            raise self._trouble(ssh, error, doing) from error
        except asyncio.CancelledError:
            self.drop()
            raise

    async def close(self) -> None:
        """Hang up."""
        connection = self._connection
        self.drop()
        if connection is not None:
            try:
                async with asyncio.timeout(1.0):
                    await connection.wait_closed()
            except (OSError, TimeoutError):
                return

    def drop(self) -> None:
        """Hang up without a word."""
        if self._connection is not None:
            self._connection.abort()
        self._connection = self._client = None

    async def _opened(self, ssh: Any) -> asyncssh.SFTPClient:
        if self._client is not None:
            return self._client
        keys, pins = self._pins(ssh)
        proofs = await asyncio.to_thread(self._proofs, ssh)  # a key with a passphrase takes its time
        shown: list[str] = []  # the fingerprint of the key that the server showed
        server = self._server
        try:
            async with asyncio.timeout(OPENING):
                self._connection = await ssh.connect(
                    server.host,
                    server.port,
                    username=server.user,
                    client_factory=lambda: _knower(ssh, pins, shown),
                    known_hosts=(keys, [], []),
                    config=None,
                    agent_path=None,
                    keepalive_interval=15,
                    keepalive_count_max=3,
                    **proofs,
                )
                self._client = await self._connection.start_sftp_client(path_errors="surrogateescape")
        except ssh.HostKeyNotVerifiable:
            self.drop()
            raise _shut_out(
                f"the server showed another host key ({' '.join(shown) or 'none'})",
                place=self.place,
                remedy="ask the hospital whether it has changed, then write it into host_keys; else somebody listens",
            ) from None
        except ssh.PermissionDenied:
            self.drop()
            cause = f"the server does not let {server.user!r} in"
            remedy = "have the hospital check the account and our key or password"
            raise _shut_out(cause, place=self.place, remedy=remedy) from None
        return self._client

    def _pins(self, ssh: Any) -> tuple[list[Any], frozenset[str]]:
        """The keys that the server may show, and their SHA-256 fingerprints. The keys are left out where one is known
        by its fingerprint alone: with them we would ask the server for keys of their kinds only."""
        keys, prints = [], set()
        for text in map(str.strip, self._server.host_keys):
            if text.startswith("SHA256:"):
                prints.add(text.rstrip("="))
                continue
            words = text.split()
            start = next((at for at, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-", "sk-"))), 0)
            try:
                keys.append(ssh.import_public_key(" ".join(words[start : start + 2])))
            except ssh.KeyImportError:
                remedy = "take what `ssh-keyscan HOST` prints"
                raise Configuration("a host key cannot be read", place=self.place, remedy=remedy) from None
        alone = [] if prints else keys
        return alone, frozenset(prints | {str(key.get_fingerprint("sha256")).rstrip("=") for key in keys})

    def _proofs(self, ssh: Any) -> dict[str, Any]:
        """What proves who we are: only what the settings name."""
        server, place = self._server, self.place
        password = secret(server.password, data=self._data, place=place)
        text = secret(server.key, data=self._data, place=place)
        phrase = secret(server.passphrase, data=self._data, place=place)
        if not text:
            return {"password": password, "client_keys": None}
        try:
            key = ssh.import_private_key(text + "\n", phrase or None)
        except (ssh.KeyImportError, ssh.KeyEncryptionError):
            remedy = "name a private key in OpenSSH form, and its passphrase where it has one"
            raise Configuration("our private key cannot be read", place=place, remedy=remedy) from None
        return {"client_keys": [key], "password": password or None}

    def _trouble(self, ssh: Any, error: Exception, doing: str) -> Transient:
        kinds = (
            (ssh.SFTPNoSuchFile, "it is not there", "create it, or correct the path"),
            (ssh.SFTPPermissionDenied, "the server does not allow it", "have the hospital give our account the right"),
            (ssh.SFTPNoSpaceOnFilesystem, "the server's disk is full", "have the hospital make room"),
            (ssh.SFTPQuotaExceeded, "our account's space is used up", "have the hospital make room"),
            (ssh.SFTPFailure, "the server refused it", "look into the server's log"),
        )
        for kind, cause, remedy in kinds:
            if isinstance(error, kind):
                return Transient(f"{doing}: {cause}", place=self.place, remedy=remedy)
        cause = f"{doing}: no connection, or it broke ({type(error).__name__})"
        return Transient(cause, place=self.place, remedy="check that it runs and that the network lets us through")


def _shut_out(cause: str, *, place: str, remedy: str) -> Transient:
    error = Transient(cause, place=place, remedy=remedy)
    error.wait = SHUT_OUT
    return error


def _is_of_the_file(ssh: Any, error: BaseException) -> bool:
    """The server answered, and its answer is no: the line itself is well."""
    lost = (ssh.SFTPConnectionLost, ssh.SFTPNoConnection, ssh.SFTPBadMessage)
    return isinstance(error, ssh.SFTPError) and not isinstance(error, lost)


def _knower(ssh: Any, pins: frozenset[str], shown: list[str]) -> Any:
    """A client that lets a server in by its key alone."""

    class Knower(ssh.SSHClient):  # type: ignore[misc]  # the library is asked for when it is needed
        def validate_host_public_key(self, _host: str, _address: str, _port: int, key: Any) -> bool:
            print_ = str(key.get_fingerprint("sha256")).rstrip("=")
            shown.append(f"{key.get_algorithm()} {print_}")
            return print_ in pins

    return Knower()
