"""Messages and files over HTTP: `POST /intake/{channel}`, or `PUT` and `POST /intake/{channel}/{name}` for a file with
a name, writes the body down and answers its acknowledgement.

| what `receive` answers | HTTP |
|---|---|
| an HL7 v2 acknowledgement AA, CA | 200, the acknowledgement as application/hl7-v2 |
| AE, AR, CE, CR | 400, the acknowledgement (kept with its cause, except when the text says otherwise) |
| a batch of acknowledgements (BHS …) | 200 when all are accepted, else 400: each says what became of its message |
| an OperationOutcome without an error, or nothing | 202 |
| an OperationOutcome with an error | 400 |
| it cannot be written down now (Transient), or too much is arriving | 503 + Retry-After: send it again |
| larger than the limit | 413, refused before it is read, or as soon as it is |
| a sender that falls silent or dribbles | 408 |

2xx is only sent when the body is durable on disk. The same upload again is answered as before and stored once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from gateway.api import answer
from gateway.api.arriving import Arriving, Waiting, peer
from gateway.api.guard import require
from gateway.api.services import Services
from gateway.api.uploads import Uploads, safe_name
from gateway.fhir import json
from gateway.model import Frame

HL7_TYPE = "application/hl7-v2"
KEY_LIMIT = 255  # characters of an Idempotency-Key
_ACCEPTED = {b"AA", b"CA"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(slots=True, eq=False)
class Intake:
    """The handlers below /intake, and what others need to take a body in."""

    services: Services
    waiting: Waiting = field(init=False)
    uploads: Uploads = field(default_factory=Uploads)

    def __post_init__(self) -> None:
        self.waiting = Waiting(self.services.waiting_limit)

    async def post(self, request: Request) -> Response:
        """Receive one message or file on a channel."""
        channel = request.path_params["channel"]
        require(request, request.state.grant.allows_intake(channel), f"intake/{channel}")
        self.check(channel)
        name = _name(request)
        key = request.headers.get("idempotency-key", "")[:KEY_LIMIT]
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise answer.Refusal(415, "forms are not read; send the file itself as the body (curl -T FILE …)")
        arriving = Arriving(self.waiting)
        try:
            body = await arriving.whole(request, self.services.intake_limit)
            return answered(request, await self.receive(channel, body, name=name, key=key, client=peer(request)))
        finally:
            arriving.forget()

    async def receive(self, channel: str, body: bytes, *, name: str, key: str, client: str) -> bytes:
        """The answer of the rooms behind the door to one body."""
        now = self.services.now()
        identity = self.uploads.identity(channel, name, key, body, now)
        sender = f"{name}@{client}" if name else client
        return await self.services.receive(
            Frame(channel=channel, body=body, peer=sender, received_at=now, identity=identity)
        )

    def check(self, channel: str) -> None:
        """Refusal 404 unless it is a member's http channel; in an open community any channel name is one (the message
        says who sends)."""
        channels = (one for member in self.services.community.members.values() for one in member.channels)
        known = {one.id: one.transport for one in channels}
        open_name = self.services.community.open and channel not in known and _NAME.fullmatch(channel)
        if known.get(channel) != "http" and not open_name:
            raise answer.Refusal(404, "there is no http channel of this name; see the members' channels")


def _name(request: Request) -> str:
    """The name behind the channel's in the address; "" where there is none."""
    if "name" not in request.path_params:
        return ""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return safe_name(raw.partition(b"?")[0].split(b"/", 3)[3])


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


_RECEIVED = answer.outcome("received and written down", code="informational", severity="information")
