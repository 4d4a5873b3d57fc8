"""$process-message: a FHIR message goes into the record as any delivery of its sender does, and a message answers it.

R4 messageheader-operation-process-message.html, messaging.html. The journal has it before it is worked on; whoever
sends it again, in the same envelope (Bundle.id) or in a new one, is answered by what became of the first.

    ok                200   it is in the record
    transient-error   200   it is held until a person has mended a setting or a code, then it flows by itself
    fatal-error       200   it is refused for good; the OperationOutcome says why
    (no message)      202   it is kept and still being worked on: send it again for the answer
    OperationOutcome  4xx   this is no message
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer, listing
from gateway.api.arriving import Arriving, Waiting, peer
from gateway.api.guard import require
from gateway.api.offered import Offered
from gateway.api.resource import parsed, parts_of
from gateway.api.services import Services
from gateway.fhir import json, validate
from gateway.journal.conversations import Conversations, Message, Standing, Taken
from gateway.model import Frame, Resource
from gateway.store.stored import instant, milliseconds
from gateway.transport.pickup import control_id as file_control_id

T = TypeVar("T")

OFFERED: Final = (Offered("process-message", "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"),)
PATIENCE: Final = 10.0  # seconds that a caller waits for the answer
OPEN_CHANNEL: Final = "fhir-messages"  # of an open community, where any name is a channel
_LOOK: Final = 0.05  # seconds between two looks
_ENVELOPE: Final = frozenset({"id", "meta", "timestamp", "identifier", "link", "signature"})
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODES: Final = {"done": "ok", "parked": "transient-error", "dead": "fatal-error"}


@dataclass(slots=True, eq=False)
class ProcessMessage:
    """The handler; it returns one whole answer."""

    services: Services
    waiting: Waiting
    conversations: Conversations = field(init=False)

    def __post_init__(self) -> None:
        self.conversations = Conversations(self.services.overview.journal, self.services.overview.record)

    def routes(self) -> list[Route]:
        """It stands before the addresses with a type in that place."""
        return [Route("/fhir/$process-message", self.process, methods=["POST"])]

    async def process(self, request: Request) -> Response:
        """A Bundle of type message in, a Bundle of type message out."""
        if request.query_params.get("async", "false").lower() != "false" or "response-url" in request.query_params:
            raise answer.Refusal(400, _AT_ONCE)
        arriving = Arriving(self.waiting)
        try:
            body = await arriving.whole(request, self.services.intake_limit)
            bundle = parsed(request, body)
            if bundle["resourceType"] == "Parameters":
                bundle = _content(bundle)
                body = json.dumps(bundle)
            header = _header(bundle)
            channel = self._channel(request, header)
            return await self._answered(request, channel, bundle, body)
        finally:
            arriving.forget()

    async def _answered(self, request: Request, channel: str, bundle: Resource, body: bytes) -> Response:
        now = self.services.now()
        message = Message(channel, _name(bundle), _digest(bundle))
        frame = Frame(channel=channel, body=body, peer=peer(request), received_at=now, identity=f"message {message.id}")
        own = bundle.get("identifier", {}).get("value")
        fresh = Taken(str(own or file_control_id(frame)), hashlib.sha256(body).digest())
        taken = await self._hop(lambda: self.conversations.known(message, fresh, now))
        standing = await self._hop(lambda: self.conversations.standing(channel, taken))
        if standing is None:
            said = await self.services.receive(frame)
            if said:
                refused = Standing(milliseconds(now), "dead")
                return self._message(request, bundle, message, refused, json.loads(said))
            standing = await self._hop(lambda: self.conversations.standing(channel, fresh))
        end = asyncio.get_running_loop().time() + PATIENCE
        while (standing is None or standing.state not in _CODES) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_LOOK)
            standing = await self._hop(lambda: self.conversations.standing(channel, taken))
        if standing is None or standing.state not in _CODES:
            text = "the message is kept and being worked on; send it again for the answer"
            body_said = answer.outcome(text, code="informational", severity="information")
            return answer.fhir(request, body_said, status=202, headers={"retry-after": str(answer.RETRY_SECONDS)})
        return self._message(request, bundle, message, standing, _outcome(standing))

    def _message(
        self, request: Request, bundle: Resource, message: Message, standing: Standing, outcome: Resource | None
    ) -> Response:
        """The answer; the same for the same message."""
        base, header = listing.base_url(request), _header(bundle)
        told = f"{message.channel}\n{message.id}\n{message.digest.hex()}\n{standing.state}"
        ids = [_uuid(f"{told}\n{place}") for place in range(3)]
        response: dict[str, Any] = {"identifier": message.id, "code": _CODES[standing.state]}
        details = [{"fullUrl": f"urn:uuid:{ids[2]}", "resource": {**outcome, "id": ids[2]}}] if outcome else []
        if outcome:
            response["details"] = {"reference": f"urn:uuid:{ids[2]}"}
        source = header["source"]
        answered: Resource = {
            "resourceType": "MessageHeader", "id": ids[1],
            **{name: header[name] for name in ("eventCoding", "eventUri") if name in header},
            "destination": [{name: source[name] for name in ("name", "endpoint") if name in source}],
            "source": {"name": self.services.community.name, "endpoint": f"{base}/$process-message"},
            "response": response,
        }  # fmt: skip
        made = {
            "resourceType": "Bundle", "id": ids[0], "type": "message", "timestamp": instant(standing.received),
            "entry": [{"fullUrl": f"urn:uuid:{ids[1]}", "resource": answered}, *details],
        }  # fmt: skip
        return answer.fhir(request, made)

    # ------------------------------------------------------------------------------------------ whose it is

    def _channel(self, request: Request, header: Resource) -> str:
        """The FHIR channel that the message comes by: the one that is named, the only one that the token may use, or
        that of the member that MessageHeader.source names. Refusal 400, 403."""
        members = self.services.community.members.values()
        every = {one.id: each for each in members for one in each.channels if (one.transport, one.format) == _WAY}
        grant = request.state.grant
        named = request.query_params.get("channel", "")
        if named and named not in every and not self.services.community.open:
            raise answer.Refusal(400, "channel is the id of a member's http channel of format fhir")
        allowed = {name: member for name, member in every.items() if grant.allows_intake(name)}
        name = str(header["source"].get("name", ""))
        by_name = [key for key, member in allowed.items() if name in (member.id, member.name, *member.facilities)]
        candidates = [named] if named else by_name or list(allowed)
        if len(candidates) > 1:
            raise answer.Refusal(400, "whose message it is cannot be seen; write $process-message?channel=…")
        found = candidates[0] if candidates else OPEN_CHANNEL if self.services.community.open else ""
        require(request, bool(found) and grant.allows_intake(found), f"intake/{found or '…'} of a FHIR channel")
        return found

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


_WAY: Final = ("http", "fhir")
_AT_ONCE: Final = "messages are answered at once; leave async and response-url out"


def _content(parameters: Resource) -> Resource:
    """The message of Parameters, where a client does not send the Bundle alone (R4 messageheader-operation-process-
    message.html). Refusal 400."""
    named = {str(each.get("name")): each for each in parts_of(parameters)}
    if "response-url" in named or named.get("async", {}).get("valueBoolean"):
        raise answer.Refusal(400, _AT_ONCE)
    found = named.get("content", {}).get("resource")
    if not isinstance(found, dict):
        raise answer.Refusal(400, "the parameter content is missing: the Bundle of type message")
    return found


def _header(bundle: Resource) -> Resource:
    """The MessageHeader of a valid message. Refusal 400, Permanent for what is not valid FHIR."""
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "message":
        raise answer.Refusal(400, "a Bundle of type message is sent here")
    validate.check(bundle)
    entries = bundle.get("entry") or [{}]
    header: Resource = entries[0].get("resource", {})
    if header.get("resourceType") != "MessageHeader":
        raise answer.Refusal(400, "the first resource of a message is its MessageHeader")
    if "response" in header:
        raise answer.Refusal(400, "this is an answer; nothing was asked of it")
    return header


def _name(bundle: Resource) -> str:
    """What names the message: MessageHeader.id, else the next best; always an id of FHIR."""
    entry = bundle["entry"][0]
    given = (
        entry["resource"].get("id"), str(entry.get("fullUrl", "")).rpartition(":")[2].rpartition("/")[2],
        bundle.get("id"),
    )  # fmt: skip
    found = next((str(each) for each in given if each), "")
    return found if _ID.fullmatch(found) else _digest(bundle).hex()


def _digest(bundle: Resource) -> bytes:
    """Of what is said, not of the envelope that it came in."""
    content = {name: value for name, value in bundle.items() if name not in _ENVELOPE}
    return hashlib.sha256(json.dumps(content)).digest()


def _outcome(standing: Standing) -> Resource | None:
    if standing.state == "done":
        return None
    said = "; ".join(filter(None, (standing.cause, standing.remedy)))
    code = "transient" if standing.state == "parked" else "processing"
    return answer.outcome(f"{standing.place}: {said}" if standing.place else said, code=code)


def _uuid(text: str) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))
