"""Operations: health, metrics, what waits and why, replay. Lists name causes and places; bodies have a scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer
from gateway.api.guard import require
from gateway.api.overview import Replay
from gateway.api.services import Services
from gateway.journal.ledger import LAST, REFUSED
from gateway.model import State

T = TypeVar("T")

REPLAY_LIMIT = 1024 * 1024  # bytes of a replay request
PAGE_LIMIT = 1000
STATES = (*(state.value for state in State), REFUSED)
JSON = "application/json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, eq=False)
class Operations:
    """The handlers."""

    services: Services

    def routes(self) -> list[Route]:
        """One address each."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/operations/status", self.status, methods=["GET"]),
            Route("/operations/entries", self.entries, methods=["GET"]),
            Route("/operations/deliveries", self.deliveries, methods=["GET"]),
            Route("/operations/entries/{id}/body", self.body, methods=["GET"]),
            Route("/operations/replay", self.replay, methods=["POST"]),
        ]

    async def health(self, _: Request) -> Response:
        """Whether everything is served: 200, and 503 before and while stopping; needs no token."""
        state = self.services.state()
        said: dict[str, object] = {"status": state, "version": self.services.version}
        settings = self.services.settings()
        body = msgspec.json.encode({**said, "settings": settings} if settings else said)
        return Response(body, 200 if state == "ok" else 503, media_type=JSON)

    async def metrics(self, request: Request) -> Response:
        """Counters of the processes and depths of the queues, in the text format of Prometheus."""
        _require(request, "metrics")
        return Response(
            await self._hop(lambda: self.services.metrics.exposition(self.services.overview.depths)), media_type=METRICS
        )

    async def status(self, request: Request) -> Response:
        """What stands where, by channel and subscription: the same that `hutong status --json` prints."""
        _require(request, "status")
        return _json(await self._hop(self.services.overview.status))

    async def entries(self, request: Request) -> Response:
        """Received messages in one state: ids, channels, kinds, causes and places; never bodies."""
        _require(request, "entries")
        state, limit, before = _listed(request)
        held = await self._hop(lambda: self.services.overview.entries(state=state, limit=limit, before=before))
        return _json({"entries": held})

    async def deliveries(self, request: Request) -> Response:
        """Deliveries in one state: ids, subscriptions, causes and places; never bodies."""
        _require(request, "entries")
        state, limit, before = _listed(request)
        held = await self._hop(lambda: self.services.overview.deliveries(state=state, limit=limit, before=before))
        return _json({"deliveries": held})

    async def body(self, request: Request) -> Response:
        """The message as it arrived, to be saved: never shown by a browser; needs operations/raw."""
        _require(request, "raw")
        number = _number(request.path_params["id"], "the id of an entry", LAST)
        body = await self._hop(lambda: self.services.overview.body(number))
        if body is None:
            raise answer.Refusal(404, "there is no entry with this id")
        headers = {"content-disposition": f'attachment; filename="entry-{number}"'}
        return Response(body, headers=headers, media_type="application/octet-stream")

    async def replay(self, request: Request) -> Response:
        """Let parked and dead work flow once more; answers how much of it was found."""
        _require(request, "replay")
        body = await _small_body(request)
        try:
            asked = msgspec.json.decode(body, type=Replay)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise answer.Refusal(400, 'send JSON such as {"entries": [1, 2]} or {"parked": true}') from error
        return _json(await self._hop(lambda: self.services.overview.replay(asked)))

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


def _require(request: Request, operation: str) -> None:
    require(request, request.state.grant.allows_operation(operation), f"operations/{operation}")


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type=JSON)


def _listed(request: Request) -> tuple[str, int, int]:
    state = request.query_params.get("state", State.PARKED.value)
    if state not in STATES:
        raise answer.Refusal(400, f"state is one of {', '.join(STATES)}")
    limit = _number(request.query_params.get("limit", "100"), "limit", PAGE_LIMIT)
    return state, limit, _number(request.query_params.get("before", str(LAST)), "before", LAST)


def _number(text: str, what: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise answer.Refusal(400, f"{what} is a number from 0 to {most}")
    return int(text)


async def _small_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > REPLAY_LIMIT:
            raise answer.Refusal(413, "too many ids at once; send several requests")
    return bytes(body)
