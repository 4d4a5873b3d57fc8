"""Requests about code systems, value sets and maps wait until a new record holds the gateway's own: the first answers
are those that all later ones are, and what a client puts in their place comes behind them.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.services import Services
from gateway.terminology.hl7 import TYPES

_PLACES = frozenset({*TYPES, "TerminologyCapabilities"})


@dataclass(frozen=True, slots=True, eq=False)
class Shelved:
    """Middleware behind the guard."""

    app: ASGIApp
    services: Services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _concerned(str(scope["path"]), scope["query_string"]):
            await self.services.tables()
        await self.app(scope, receive, send)


def _concerned(path: str, query: bytes) -> bool:
    if not path.startswith("/fhir/"):
        return False
    place = path.split("/", 3)[2]
    return place in _PLACES or (place == "metadata" and b"terminology" in query)
