"""SFTP lines against OpenSSH's own server, as most hospitals run it; installed by apt where it is missing."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from gateway.errors import Transient
from gateway.model import Server
from gateway.transport.pickup import Pickup, control_id
from gateway.transport.sftp import Line
from gateway.transport.sftp_folder import RemoteFolder, Seen
from gateway.transport.sftp_sender import SftpSender
from tests.transport.lines import Receiver, delivery, until

pytestmark = pytest.mark.slow
SSHD = "/usr/sbin/sshd"
CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {home}/host
AuthorizedKeysFile {home}/ours.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp {options}
"""


@pytest.fixture(scope="module", autouse=True)
def openssh() -> None:
    if not Path(SSHD).exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "openssh-server"], check=False)
    if not Path(SSHD).exists():
        pytest.skip("there is no OpenSSH server, and it cannot be installed here")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd demands it where it may change users


@asynccontextmanager
async def sshd(home: Path, options: str = "") -> AsyncIterator[Server]:
    """The server's settings; it runs until the end of the block."""
    host, ours = asyncssh.generate_private_key("ssh-rsa"), asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(home / "host")
    ours.write_private_key(home / "ours")
    ours.write_public_key(home / "ours.pub")
    (home / "host").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    (home / "config").write_text(CONFIG.format(port=port, home=home, options=options))
    with (home / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            SSHD, "-D", "-e", "-f", home / "config", stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        await until(lambda: "listening" in (home / "log").read_text().lower(), 10)
        pins = (host.get_fingerprint("sha256"),)
        yield Server(host="127.0.0.1", port=port, user=getpass.getuser(), host_keys=pins, key="file:ours")
    finally:
        process.terminate()
        await process.wait()


async def test_taken_from_and_brought_to_openssh(tmp_path: Path) -> None:
    out, there = tmp_path / "out", tmp_path / "in"
    out.mkdir()
    there.mkdir()
    body = os.urandom(3_000_000)
    (out / "结果.csv").write_bytes(body)
    (out / "bad.csv").write_bytes(b"bad")
    receiver = Receiver(answer=lambda frame: b"line 3 has no name" if frame.body == b"bad" else b"")
    async with sshd(tmp_path) as server:
        place = RemoteFolder(Line(server, data=tmp_path, place="channel c1"), str(out))
        listener = Pickup(place=place, channel="c1", settle=0.2, poll=0.1)
        await listener.listen(receiver)
        await until(lambda: listener.counters.taken == 1 and listener.counters.refused == 1)
        (out / "结果.csv").write_bytes(b"again")
        await until(lambda: listener.counters.taken == 2)
        await listener.close()
        sender = SftpSender(Line(server, data=tmp_path, place="subscription s"), str(there), format="hl7v2")
        for written in (b"MSH|1", body):
            await sender.send(written, delivery(idempotency="KEY"))
        await sender.close()
    assert sorted(receiver.bodies) == sorted([body, b"bad", b"again"])
    assert {path.name for path in (out / "error").iterdir()} == {"bad.csv", "bad.csv.txt"}
    assert {path.read_bytes() for path in (out / "done").iterdir()} == {body, b"again"}
    assert [path.name for path in there.iterdir()] == ["KEY.hl7"]
    assert (there / "KEY.hl7").read_bytes() == body


async def test_an_account_that_may_only_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.csv").write_bytes(b"1")
    receiver = Receiver(answer=lambda _: b"")
    async with sshd(tmp_path, "-R") as server:
        for start, leave in enumerate((False, True, True)):
            seen = Seen(tmp_path / "seen") if leave else None
            place = RemoteFolder(Line(server, data=tmp_path, place="channel c1"), str(out), seen=seen)
            listener = Pickup(place=place, channel="c1", settle=0.2, poll=0.1)
            await listener.listen(receiver)
            await until(lambda start=start: len(receiver.frames) == min(start + 1, 2))  # type: ignore[misc]
            await asyncio.sleep(0.6)  # longer than it takes to see it again
            assert bool(listener.counters.failed) == (not leave)
            await listener.close()
        sender = SftpSender(Line(server, data=tmp_path, place="subscription s"), str(out))
        with pytest.raises(Transient, match="does not allow it") as raised:
            await sender.send(b"{}", delivery())
        assert raised.value.remedy
        await sender.close()
    assert len({control_id(frame) for frame in receiver.frames}) == 1
    assert len(receiver.frames) == 2
