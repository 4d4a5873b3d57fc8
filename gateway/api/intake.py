"""Messages over HTTP: `POST /intake/{channel}` writes the body down and answers its acknowledgement.

| what `receive` answers | HTTP |
|---|---|
| an HL7 v2 acknowledgement AA, CA | 200, the acknowledgement as application/hl7-v2 |
| AE, AR, CE, CR | 400, the acknowledgement (kept with its cause, except when the text says otherwise) |
| a batch of acknowledgements (BHS …) | 200 when all are accepted, else 400: each says what became of its message |
| an OperationOutcome without an error, or nothing | 202 |
| an OperationOutcome with an error | 400 |
| it cannot be written down now (Transient), or too much is arriving | 503 + Retry-After: send it again |
| larger than the limit | 413, refused before it is read |

2xx is only sent when the body is durable on disk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from gateway.api import answer
from gateway.api.guard import require
from gateway.api.services import Services
from gateway.fhir import json
from gateway.model import Frame

IDLE_SECONDS = 30.0  # a sender that stays silent this long in the middle of a body is cut off
HL7_TYPE = "application/hl7-v2"
_ACCEPTED = {b"AA", b"CA"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(slots=True)
class Waiting:
    """The bytes that are being received at this moment, all senders together."""

    limit: int
    held: int = 0

    def check(self, size: int) -> None:
        """Refusal 503 when so much more does not fit; one alone always fits."""
        if self.held and self.held + size > self.limit:
            retry = {"retry-after": str(answer.RETRY_SECONDS)}
            raise answer.Refusal(503, "too much is arriving at this moment; send it again", headers=retry)


@dataclass(slots=True, eq=False)
class Intake:
    """The handler of `POST /intake/{channel}`."""

    services: Services
    waiting: Waiting = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = Waiting(self.services.waiting_limit)

    async def post(self, request: Request) -> Response:
        """Receive one message on a channel."""
        channel = request.path_params["channel"]
        require(request, request.state.grant.allows_intake(channel), f"intake/{channel}")
        if not self._serves(channel):
            raise answer.Refusal(404, "there is no http channel of this name; see the members' channels")
        self.waiting.check(declared(request, self.services.intake_limit))
        taken = 0
        parts: list[bytes] = []
        try:
            async for part in _arriving(request):
                self.waiting.check(len(part))
                taken += len(part)
                self.waiting.held += len(part)
                if taken > self.services.intake_limit:
                    raise _too_large(self.services.intake_limit)
                parts.append(part)
            body = b"".join(parts)
            if not body:
                raise answer.Refusal(400, "the body is empty; send one message")
            frame = Frame(channel=channel, body=body, peer=_peer(request), received_at=self.services.now())
            return answered(request, await self.services.receive(frame))
        finally:
            self.waiting.held -= taken

    def _serves(self, channel: str) -> bool:
        """A member's http channel; in an open community any channel name (the message says who sends)."""
        channels = (one for member in self.services.community.members.values() for one in member.channels)
        known = {one.id: one.transport for one in channels}
        open_name = self.services.community.open and channel not in known and _NAME.fullmatch(channel)
        return known.get(channel) == "http" or bool(open_name)


def declared(request: Request, limit: int) -> int:
    """The length that the sender promises (0: it does not say). 413 and 415 before anything is read."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise answer.Refusal(415, "compressed bodies are not read; send it without Content-Encoding")
    text = request.headers.get("content-length", "0")
    length = int(text) if text.isdigit() and len(text) < 16 else 0
    if length > limit:
        raise _too_large(limit)
    return length


def answered(request: Request, body: bytes) -> Response:
    """The HTTP answer for what `receive` said; see the table above."""
    if body.startswith((b"MSH", b"\x0bMSH", b"BHS")):
        status = 200 if acknowledgement_codes(body) <= _ACCEPTED else 400
        return Response(body, status, media_type=HL7_TYPE)
    if not body:
        return answer.fhir(request, _RECEIVED, status=202, lenient=True)
    refused = any(issue.get("severity") in {"error", "fatal"} for issue in json.loads(body).get("issue", ()))
    return answer.fhir(request, body, status=400 if refused else 202, lenient=True)


def acknowledgement_codes(body: bytes) -> set[bytes]:
    """MSA-1 of the acknowledgement that we wrote ourselves, of each in a batch."""
    return {line[4:6] for line in body.split(b"\r") if line.startswith(b"MSA")}


async def _arriving(request: Request) -> AsyncIterator[bytes]:
    """The parts of a body; 408 when the sender stays silent in the middle of it."""
    stream = request.stream()
    while True:
        try:
            part = await asyncio.wait_for(anext(stream, b""), IDLE_SECONDS)
        except TimeoutError as error:
            raise answer.Refusal(408, "the body stopped arriving; send it again") from error
        if not part:
            return
        yield part


def _too_large(limit: int) -> answer.Refusal:
    text = f"the body is larger than {limit // 1024} KiB"
    return answer.Refusal(413, text, headers={"connection": "close"})


def _peer(request: Request) -> str:
    return f"{request.client.host}:{request.client.port}" if request.client else ""


_RECEIVED = answer.outcome("received and written down", code="informational", severity="information")
