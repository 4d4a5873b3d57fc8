"""What every request passes: token, security headers, errors as OperationOutcome, one log line without the query.

Pure ASGI, so that bodies stream through. A handler finds the caller's Grant in `request.state.grant`.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import errors, telemetry
from gateway.api import answer
from gateway.api.security import Grant
from gateway.api.services import Services
from gateway.fhir import definitions

PUBLIC = frozenset({"/health"})
OWN = "/soap/"  # asks by itself: the token may stand in the body, and a refusal must be a Fault
# what is served while the record is indexed
WITHOUT_INDEX = (*PUBLIC, OWN, "/intake/", "/operations/", "/metrics", "/openapi.json", "/fhir/metadata")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


_INDEXING = "the record is indexed anew after an update; messages are taken meanwhile, ask again later"


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request on its way: adds the headers, remembers the status."""

    send: Send
    status: int = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            present = {name.lower() for name, _ in message.get("headers", ())}
            extra = [pair for pair in HEADERS if pair[0] not in present]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await self.send(message)


class Guard:
    """Middleware around the whole door."""

    def __init__(self, app: ASGIApp, *, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._services = services
        self._clock = clock
        self._log = telemetry.logger()
        self._patterns: dict[object, str] = {}  # handler → the pattern of its address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, _Exchange(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _request(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        start = self._clock()
        request = Request(scope, receive)
        error = None
        try:
            state = scope.setdefault("state", {})
            path = str(scope["path"])  # not of request.url, which is put together with what the Host header says
            if path not in PUBLIC and not path.startswith(OWN):
                state["grant"] = known(self._services, request, now=self._clock())
            if self._services.state() == "indexing" and not path.startswith(WITHOUT_INDEX):
                raise answer.Refusal(503, _INDEXING, headers={"retry-after": "30"})
            await self._app(scope, receive, exchange)
        except answer.Refusal as refusal:
            await self._refuse(request, receive, exchange, refusal)
        except errors.HutongError as problem:
            error = type(problem).__name__
            if not exchange.status:
                await answer.of_error(request, problem)(scope, receive, exchange)
        except Exception as problem:  # noqa: BLE001  the last wall: the caller gets a text, the log the class
            error = type(problem).__name__
            if not exchange.status:
                response = answer.refused(request, 500, "an error inside the gateway; see its log at this time")
                await response(scope, receive, exchange)
        finally:
            grant = scope["state"].get("grant")
            self._note(scope, exchange.status, self._clock() - start, token=grant and grant.name, error=error)

    async def _refuse(self, request: Request, receive: Receive, exchange: _Exchange, refusal: answer.Refusal) -> None:
        if not exchange.status:
            response = answer.refused(request, refusal.status_code, refusal.detail, refusal.headers)
            await response(request.scope, receive, exchange)

    def _note(self, scope: Scope, status: int, seconds: float, *, token: str | None, error: str | None) -> None:
        route = self._pattern(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._services.metrics.requested(route, method=method, status=status, seconds=seconds)
        if route in PUBLIC and not error:
            return  # probes ask every few seconds
        line = {"route": route, "method": method, "status": status, "milliseconds": round(seconds * 1000, 2)}
        self._log.info("request", client=_client(scope), token=token, error=error, **line)

    def _pattern(self, scope: Scope) -> str:
        """Of the address, never the address itself: people type names and numbers into it."""
        if not self._patterns and "app" in scope:
            routes = [route for route in scope["app"].routes if isinstance(route, Route)]
            self._patterns = {route.endpoint: route.path for route in reversed(routes)}  # the first of a handler
        return self._patterns.get(scope.get("endpoint"), "unknown")


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _client(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else "unknown"


def known(services: Services, request: Request, *, token: str = "", now: float | None = None) -> Grant:
    """Who calls, by the token of the header (Bearer, or the password of Basic) or this one; Refusal 401 without a valid
    token, 429 after too many wrong ones from one client."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    given = token or (_password(given) if kind.lower() == "basic" else given.strip())
    if not given:
        challenge = {"www-authenticate": 'Bearer realm="hutong"'}
        raise answer.Refusal(401, "a token is needed: send `Authorization: Bearer …`", headers=challenge)
    grant = services.tokens.find(given) if token or kind.lower() in ("bearer", "basic") else None
    if grant:
        return grant
    if services.failures.too_many(_client(request.scope), time.monotonic() if now is None else now):
        raise answer.Refusal(429, "too many wrong tokens; wait a minute", headers={"retry-after": "60"})
    challenge = {"www-authenticate": 'Bearer realm="hutong", error="invalid_token"'}
    raise answer.Refusal(401, "this token is not valid; see `hutong token list`", headers=challenge)


def _password(credentials: str) -> str:
    """Of HTTP Basic (RFC 7617): whatever the name, the token stands where the password does. "" for what is none."""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def require(request: Request, allowed: bool, what: str) -> Grant:
    """The caller's grant; Refusal 403 naming the scope that is missing."""
    grant: Grant = request.state.grant
    if not allowed:
        raise answer.Refusal(403, f"this token does not allow it; its scope would have to hold {what}")
    return grant


async def http_error(request: Request, error: Exception) -> Response:
    """The router's own errors (no such address, wrong method) and refusals by handlers."""
    if not isinstance(error, HTTPException):
        raise error
    texts = {404: "there is nothing at this address", 405: "this method is not served here"}
    text = error.detail if isinstance(error, answer.Refusal) else texts.get(error.status_code, error.detail)
    headers = error.headers
    if error.status_code == 405 and not isinstance(error, answer.Refusal):
        headers = {**(headers or {}), "Allow": ", ".join(sorted(_served(request)))}
    return answer.refused(request, error.status_code, text, headers)


def _served(request: Request) -> set[str]:
    """The methods of all routes at this address; the router names those of the first alone."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route):
            match, found = route.matches(request.scope)
            if match is not Match.NONE and _is_resource(**found.get("path_params", {})):
                methods |= route.methods or set()
    return methods


def _is_resource(type: str = "Resource", id: str = "-", **_: object) -> bool:
    """Whether what stands in the places of a type and an id can be one; `_history` and `$validate` are no ids."""
    return (type in definitions.resource_types() or type == "Resource") and not id.startswith(("_", "$"))
