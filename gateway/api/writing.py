"""FHIR REST, the writing half: create, update, patch, delete, each also conditional; batch and transaction.

R4 http.html#create, #update, #patch, #delete, #transaction. What is answered with 2xx is on
disk, and owed to every member that asked for it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer, listing
from gateway.api.arriving import Arriving, Waiting
from gateway.api.bundles import Bundles
from gateway.api.form import PRESENTATION
from gateway.api.guard import require
from gateway.api.resource import patch_of, resource_of, type_of
from gateway.api.services import Services
from gateway.api.subscribing import exchanged
from gateway.store import request as asking
from gateway.store.exchange import Asked, Done

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # R4 datatypes.html#id
_VERBS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


@dataclass(slots=True, eq=False)
class Writing:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = Waiting(self.services.waiting_limit)

    def root(self) -> list[Route]:
        """Where Bundles come to. They are looked for before all others: most of what is written comes by them."""
        return [Route("/fhir", self.bundle, methods=["POST"]), Route("/fhir/", self.bundle, methods=["POST"])]

    def routes(self) -> list[Route]:
        """At the addresses of the reading half, with other methods."""
        return [
            Route("/fhir/{type}", self.create, methods=["POST"]),
            Route("/fhir/{type}", self.change, methods=["PUT", "PATCH", "DELETE"]),
            Route("/fhir/{type}/{id}", self.change, methods=["PUT", "PATCH", "DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """`POST Type`; with If-None-Exist only where nothing fulfils the condition, which some clients write into the
        address (`POST Type?identifier=…`)."""
        type_name = self._allowed(request)
        async with self._arrived(request) as body:
            asked = Asked(
                method="POST", type=type_name, resource=resource_of(request, body, type_name),
                condition=_condition(
                    (*asking.pairs(request.headers.get("if-none-exist", "")), *request.query_params.multi_items())
                ),
            )  # fmt: skip
            return await self._answered(request, asked)

    async def change(self, request: Request) -> Response:
        """`PUT`, `PATCH` or `DELETE`, of `Type/id` or `Type?condition`."""
        type_name = self._allowed(request)
        key = request.path_params.get("id", "")
        condition = () if key else _condition(tuple(request.query_params.multi_items()))
        if not key and not condition:
            raise answer.Refusal(400, "neither an id nor a condition: write Type/id or Type?identifier=…")
        if key and not _ID.fullmatch(key):
            raise answer.Refusal(400, "an id is 1 to 64 letters, digits, - and .")
        asked = Asked(
            method=request.method, type=type_name, id=key, condition=condition,
            version=asking.read_etag(request.headers.get("if-match", "")),
            existing=request.headers.get("if-match", "").strip() == asking.ANY_VERSION,
            fresh=request.headers.get("if-none-match", "").strip() == "*",
        )  # fmt: skip
        if request.method == "DELETE":
            return await self._answered(request, asked)
        async with self._arrived(request) as body:
            if request.method == "PATCH":
                asked.patch = patch_of(request, body)
            else:
                asked.resource = resource_of(request, body, type_name)
                if key and asked.resource.get("id") != key:
                    raise answer.Refusal(400, "the id in the body is not the id in the address")
            return await self._answered(request, asked)

    async def bundle(self, request: Request) -> Response:
        """A batch or a transaction."""
        async with self._arrived(request) as body:
            return answer.fhir(request, await Bundles(self.services, request).run(body))

    @asynccontextmanager
    async def _arrived(self, request: Request) -> AsyncIterator[bytes]:
        """The body, counted as waiting while it is worked on."""
        arriving = Arriving(self.waiting)
        try:
            yield await arriving.whole(request, self.services.resource_limit)
        finally:
            arriving.forget()

    def _allowed(self, request: Request) -> str:
        type_name = type_of(request)
        verb = _VERBS[request.method]
        require(request, request.state.grant.allows(type_name, verb), f"system/{type_name}.{verb}")
        return type_name

    async def _answered(self, request: Request, asked: Asked) -> Response:
        made = await self.services.write(lambda transaction: exchanged(self.services, request, transaction, [asked]))
        return told(request, made.done[0])


def told(request: Request, done: Done) -> Response:
    """The answer: Location and ETag of the version that is current now, the resource as far as it is wanted (R4
    http.html#ops)."""
    stored = done.stored
    wanted = request.headers.get("prefer", "").replace(" ", "").lower()
    headers: dict[str, str] = {}
    if stored is not None:
        headers = answer.version_headers(stored.version, stored.updated)
        if done.status != 204:
            headers["location"] = f"{listing.base_url(request)}/{stored.reference}/_history/{stored.version}"
    if "return=operationoutcome" in wanted:
        status, text = {200: (200, "done"), 201: (201, "created"), 204: (200, "deleted")}[done.status]
        body = answer.outcome(text, code="informational", severity="information")
        return answer.fhir(request, body, status=status, headers=headers)
    if done.status == 204 or stored is None or "return=minimal" in wanted:
        return Response(status_code=done.status, headers=headers)
    return answer.fhir(request, stored.body, status=done.status, headers=headers)


def _condition(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in pairs if pair[0] not in PRESENTATION and pair[1])
