"""Real databases for a test: PostgreSQL and MariaDB in a folder of their own, on a free port, run by nobody.

Installed by apt where they are missing and we may (root); `Unavailable` says why one cannot be had.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60.0  # until it answers
USER = "nobody"


class Unavailable(Exception):
    """Why there is no such database here."""


@dataclass
class Server:
    """A database that runs until the block ends. `stop` and `start` are an outage."""

    kind: str
    home: Path
    url: str  # of its one database, with all rights
    _command: list[str]
    _answers: list[str]
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True, **_user())
        until = time.monotonic() + SECONDS
        while subprocess.run(self._answers, capture_output=True, check=False, **_user()).returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                raise Unavailable(f"{self.kind} did not start: {(self.home / 'log').read_text()[-400:]}")
            time.sleep(0.05)

    def seconds(self) -> float:
        """Of CPU that its processes have used, those that ended too; Linux."""
        own = str(self._process.pid) if self._process else ""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()  # from the third field on: proc(5)
                if own in (stat.parent.name, fields[1]):
                    ended = 2 if own == stat.parent.name else 0  # its children's, once they are gone
                    ticks += sum(int(each) for each in fields[11 : 13 + ended])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """At once: clients see their connections break."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if self.kind == "postgresql" else signal.SIGTERM)
            self._process.wait(SECONDS)
            self._process = None


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[Server]:
    """PostgreSQL, UTF-8, a user named his. `durable`: a commit waits for the disk."""
    tools = _installed("postgresql", _postgresql_folder)
    with _folder("postgresql") as home:
        port, data, flush = _free_port(), home / "data", () if durable else ("-F",)
        _run([f"{tools}/initdb", "-D", str(data), "-U", "his", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
        server = Server(
            "postgresql", home, f"postgresql://his@127.0.0.1:{port}/postgres",
            [f"{tools}/postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(home), *flush],
            [f"{tools}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)],
        )  # fmt: skip
        with _running(server):
            yield server


@contextmanager
def mariadb() -> Iterator[Server]:
    """MariaDB, utf8mb4, a database named his."""
    tools = _installed("mariadb-server", _mariadb_folder)
    with _folder("mariadb") as home:
        port, data, socket_ = _free_port(), home / "data", home / "s"
        install = shutil.which("mariadb-install-db") or "mariadb-install-db"
        _run([install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"])
        server = Server(
            "mariadb", home, f"mariadb://root@127.0.0.1:{port}/his?charset=utf8mb4",
            [
                f"{tools}/mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket_}", f"--port={port}",
                "--bind-address=127.0.0.1", f"--pid-file={home}/pid", "--character-set-server=utf8mb4",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
            ],
            ["mariadb", "--no-defaults", f"--socket={socket_}", "-uroot", "-e", "CREATE DATABASE IF NOT EXISTS his"],
        )  # fmt: skip
        with _running(server):
            yield server


KINDS: dict[str, Callable[[], AbstractContextManager[Server]]] = {"postgresql": postgresql, "mariadb": mariadb}


@contextmanager
def _running(server: Server) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()


@contextmanager
def _folder(kind: str) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix=f"hutong-{kind}-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, USER)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _user() -> dict[str, Any]:
    """Neither database lets root run it."""
    return {"user": USER} if os.geteuid() == 0 else {}


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **_user())
    if done.returncode:
        raise Unavailable(f"{command[0]}: {(done.stderr or done.stdout)[-400:]}")


def _installed(package: str, find: Callable[[], str]) -> str:
    """The folder of its programs."""
    found = find()
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for order in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *order], capture_output=True, check=False, env=environment)
        found = find()
    if not found:
        raise Unavailable(f"{package} is not installed, and cannot be installed here")
    return found


def _postgresql_folder() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return str(found[-1].parent)
    return str(Path(path).parent) if (path := shutil.which("postgres")) else ""


def _mariadb_folder() -> str:
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return str(Path(found).parent) if found else ""


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
