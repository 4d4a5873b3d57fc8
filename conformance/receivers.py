"""The other side of deliveries: ports that take HL7 v2 over MLLP and FHIR over HTTP, as badly as they are told to.

Sockets of the standard library only; nothing of the gateway is imported.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from conformance.message import Message

HOST = "127.0.0.1"
START, END = b"\x0b", b"\x1c\r"

Answer = Callable[[Message], bytes | None]  # the acknowledgement; None: hang up without any


def acknowledgement(message: Message, code: str = "AA", text: str = "") -> bytes:
    """An original mode acknowledgement (HL7 v2.5.1 §2.9.2)."""
    control_id = message.control_id
    return f"MSH|^~\\&|T|T|||20260312||ACK|A{control_id}|P|2.5.1\rMSA|{code}|{control_id}|{text}\r".encode()


class _Server:
    """What both receivers share: received in order, waiting for more, going away and coming back."""

    def __init__(self) -> None:
        self.port = 0
        self._changed = threading.Condition()
        self._server: socketserver.BaseServer | None = None
        self._thread: threading.Thread | None = None
        self._open: set[socket.socket] = set()
        self.up()

    def _made(self) -> socketserver.BaseServer:
        raise NotImplementedError

    def up(self) -> None:
        """Listen, on the same port as before."""
        self._server = self._made()
        self.port = _port(self._server.server_address)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def down(self) -> None:
        """Hang up and listen no more."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for line in list(self._open):
            _hang_up(line)
        self._server = None

    @property
    def listening(self) -> bool:
        """Whether it is up."""
        return self._server is not None

    def _waited(self, enough: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not enough():
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise TimeoutError(what)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.down()


class Hospital(_Server):
    """Takes HL7 v2 over MLLP. `answer` may be changed at any time."""

    def __init__(self, answer: Answer = acknowledgement) -> None:
        self.answer = answer
        self.received: list[Message] = []
        super().__init__()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.port}"

    def wait(self, count: int, seconds: float = 60.0) -> list[Message]:
        """What was received, once it is so many."""
        self._waited(lambda: len(self.received) >= count, seconds, f"{len(self.received)} of {count} messages came")
        return list(self.received)

    def _made(self) -> socketserver.BaseServer:
        hospital = self

        class Line(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                hospital._line(self.request)

        return _Port((HOST, self.port), Line)

    def _line(self, line: socket.socket) -> None:
        self._open.add(line)
        held = b""
        try:
            while data := line.recv(65536):
                held += data
                while END in held:
                    body, _, held = held.partition(END)
                    if not self._taken(line, body.lstrip(START)):
                        return
        except OSError:
            pass
        finally:
            self._open.discard(line)

    def _taken(self, line: socket.socket, body: bytes) -> bool:
        message = Message("", body)
        with self._changed:
            self.received.append(message)
            self._changed.notify_all()
        answer = self.answer(message)
        if answer is not None:
            line.sendall(START + answer + END)
        return answer is not None


class WebAddress(_Server):
    """Takes bodies by POST and PUT. `status` is what it answers (an int, or made from the body)."""

    def __init__(self, status: int | Callable[[bytes], int] = 201) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.received: list[tuple[dict[str, str], bytes]] = []
        super().__init__()

    @property
    def address(self) -> str:
        """The URL."""
        return f"http://{HOST}:{self.port}/fhir"

    def wait(self, count: int, seconds: float = 60.0) -> list[tuple[dict[str, str], bytes]]:
        """(headers with small letters, body) of what was received, once it is so many."""
        self._waited(lambda: len(self.received) >= count, seconds, f"{len(self.received)} of {count} bodies came")
        return list(self.received)

    def _made(self) -> socketserver.BaseServer:
        web = self

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                web._open.add(self.connection)

            def finish(self) -> None:
                web._open.discard(self.connection)
                with suppress(OSError):
                    super().finish()

            def do_POST(self) -> None:
                web._post(self)

            def do_PUT(self) -> None:
                web._post(self)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing: bodies and addresses stay out of the terminal."""

        return _Web((HOST, self.port), Request)

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        with self._changed:
            self.received.append(({name.lower(): value for name, value in request.headers.items()}, body))
            self._changed.notify_all()
        status = self.status(body) if callable(self.status) else self.status
        if not status:  # hang up without an answer
            request.close_connection = True
            return
        request.send_response(status)
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()


class _Port(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _Web(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these runs are about."""


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _port(address: object) -> int:
    """The port of a bound address, which is (host, port, …)."""
    assert isinstance(address, tuple)
    return int(address[1])
