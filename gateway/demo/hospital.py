"""A hospital's information system: sends HL7 v2 over MLLP, and takes messages on a port of its own.

Sockets of the standard library, not the gateway's transport.
"""

from __future__ import annotations

import contextlib
import io
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Final

from gateway.demo.inbox import DemoError, Inbox, Patience
from gateway.demo.paper import Message

START: Final = b"\x0b"
END: Final = b"\x1c\r"
HOST: Final = "127.0.0.1"


class Hospital:
    """One system, listening from the beginning. `name` is for people, `charset` what it reads and writes."""

    def __init__(self, name: str, *, charset: str, patience: Patience) -> None:
        self.name = name
        self.charset = charset
        self.inbox: Inbox[Message] = Inbox(patience)
        self._patience = patience
        self._server = _Port((HOST, 0), _Line)
        self._server.hospital = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """HOST:PORT where it takes messages."""
        return f"{HOST}:{self._server.server_address[1]}"

    def send(self, body: bytes, to: tuple[str, int]) -> str:
        """Send one message and return MSA-1 of the answer; DemoError when it is not taken."""
        with socket.create_connection(to, timeout=self._patience.hop) as line, line.makefile("rb") as answers:
            line.sendall(START + body + END)
            answer = Message.read(next(_frames(answers), b""), "utf-8")
        code, number, control_id = answer.one("MSA", 1), answer.one("MSA", 2), body.split(b"|", 10)[9].decode()
        if code not in ("AA", "CA") or number != control_id:
            reason = answer.one("ERR", 8) or answer.one("ERR", 7) or answer.one("MSA", 3)
            raise DemoError(f"the gateway answered {code or 'nothing'} for {control_id}: {reason}")
        return code

    def taken(self, body: bytes) -> bytes:
        """Keep a message and acknowledge it; AR when it is not in our charset."""
        try:
            received = Message.read(body, self.charset)
        except UnicodeDecodeError:
            return _acknowledgement(body.split(b"|", 10)[9].decode("ascii", "replace"), "AR", "wrong charset")
        self.inbox.put(received)
        return _acknowledgement(received.one("MSH", 10), "AA", "")

    def close(self) -> None:
        """Hang up. The gateway should have stopped before."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _acknowledgement(control_id: str, code: str, text: str) -> bytes:
    return f"MSH|^~\\&|HIS||HUTONG||||ACK|R{control_id}|P|2.4\rMSA|{code}|{control_id}|{text}\r".encode()


class _Port(socketserver.ThreadingTCPServer):
    daemon_threads = True
    hospital: Hospital


class _Line(socketserver.StreamRequestHandler):
    """One connection: each frame is kept and answered."""

    server: _Port

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the gateway hung up
            for body in _frames(self.rfile):
                self.wfile.write(START + self.server.hospital.taken(body) + END)


def _frames(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """The messages on one connection, without their framing."""
    held = b""
    while part := stream.read1(65536):
        held += part
        while END in held:
            body, _, held = held.partition(END)
            yield body.lstrip(START)
