"""The gateway's web application without a socket: what is left is the gateway's own work."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.api.door import create
from gateway.api.overview import Overview
from gateway.api.security import Tokens
from gateway.api.services import Services
from gateway.bulk import Exporter, Jobs
from gateway.db.commits import Commits
from gateway.db.engine import Engine
from gateway.formats import Formats
from gateway.model import Community, Frame
from gateway.store.record import Record
from gateway.telemetry import Metrics


def _no_formats() -> Formats:
    raise NotImplementedError


class Door:
    """One record, and the token of somebody who may do everything."""

    def __init__(self, engine: Engine, journal: Engine) -> None:
        async def receive(_: Frame) -> bytes:
            return b""

        tokens = Tokens(engine)
        self.record = Record(engine)
        self._app = create(
            Services(
                community=Community(id="speed", name="speed", members={}), record=self.record,
                overview=Overview(journal, engine), tokens=tokens, metrics=Metrics(), receive=receive,
                write=Commits(engine).write, formats=_no_formats,
                bulk=Exporter(Jobs(engine, lambda: datetime.now(UTC)), Path("exports")),
                state=lambda: "ok", version="0",
            )
        )  # fmt: skip
        token = tokens.create(name=f"speed {secrets.token_hex(8)}", scope="system/*.*")
        self._headers = [
            (b"host", b"gateway"), (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/fhir+json"),
        ]  # fmt: skip

    async def ask(self, method: str, target: str, body: bytes = b"") -> bytes:
        """The body of the answer. Raises RuntimeError for anything but success."""
        parts = urlsplit(target)
        answer = bytearray()
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
            "headers": [*self._headers, (b"content-length", str(len(body)).encode())], "client": ("127.0.0.1", 1),
            "server": ("gateway", 80), "state": {},
        }  # fmt: skip
        await self._app(scope, receive, send)
        if status >= 300:
            raise RuntimeError(f"{method} answered {status}: {bytes(answer[:500]).decode()}")
        return bytes(answer)
