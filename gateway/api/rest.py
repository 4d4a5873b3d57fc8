"""FHIR REST, the reading half (writing.py is the other): read, vread, history, search, metadata.

R4 http.html, search.html. One thread hop a request: everything that touches the database runs in one function there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import errors
from gateway.api import answer, capability, histories, listing, vocabulary
from gateway.api.form import PRESENTATION, asked_of
from gateway.api.guard import require
from gateway.api.resource import content_of, type_of
from gateway.api.services import Services
from gateway.fhir import compartments, definitions
from gateway.store import query, subset
from gateway.store.query import Handling
from gateway.store.stored import Page, Stored
from gateway.subscriptions import topics

T = TypeVar("T")
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """The handlers; each returns one whole answer."""

    services: Services

    def routes(self) -> list[Route]:
        """They stand behind those of operations, whose names are no ids."""
        return [
            Route("/fhir/metadata", self.metadata, methods=["GET"]),
            Route("/fhir", self.system, methods=["GET"]),
            Route("/fhir/", self.system, methods=["GET"]),
            Route("/fhir/_search", self.system, methods=["GET", "POST"]),
            Route("/fhir/_history", self.history, methods=["GET"]),
            Route("/fhir/{type}", self.search, methods=["GET"]),
            Route("/fhir/{type}/_search", self.search, methods=["GET", "POST"]),
            Route("/fhir/{type}/_history", self.history, methods=["GET"]),
            Route("/fhir/{type}/{id}", self.read, methods=["GET"]),
            Route("/fhir/{type}/{id}/_history", self.history, methods=["GET"]),
            Route("/fhir/{type}/{id}/_history/{version}", self.vread, methods=["GET"]),
            Route("/fhir/{compartment}/{id}/{type}", self.compartment, methods=["GET"]),
            Route("/fhir/{compartment}/{id}/{type}/_search", self.compartment, methods=["GET", "POST"]),
        ]

    async def metadata(self, request: Request) -> Response:
        """The CapabilityStatement, or with mode=terminology the TerminologyCapabilities (R4 http.html#capabilities)."""
        base = listing.base_url(request)
        mode = request.query_params.get("mode", "full")
        if mode == "terminology":
            return await self._hop(lambda: answer.fhir(request, vocabulary.statement(self.services, base)))
        if mode not in ("full", "normative"):
            raise answer.Refusal(400, "mode is full, normative or terminology")
        named = tuple(topics.known(self.services.community.topics))
        work = partial(capability.statement, version=self.services.version, base=base, topics=named)
        body = await self._hop(work)
        return answer.fhir(request, body)

    async def read(self, request: Request) -> Response:
        """`GET Type/id` (R4 http.html#read): 304 with If-None-Match, 404 never existed, 410 deleted."""
        type_name, logical_id = type_of(request), request.path_params["id"]
        require(request, request.state.grant.allows(type_name, "r"), f"system/{type_name}.r")
        stored = await self._hop(lambda: self.services.record.read(type_name, logical_id))
        return _one(request, stored, type_name)

    async def vread(self, request: Request) -> Response:
        """`GET Type/id/_history/version` (R4 http.html#vread)."""
        type_name, version = type_of(request), request.path_params["version"]
        require(request, request.state.grant.allows(type_name, "r"), f"system/{type_name}.r")
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise answer.Refusal(404, "there is no such version")
        stored = await self._hop(lambda: self.services.record.vread(type_name, request.path_params["id"], int(version)))
        return _one(request, stored, type_name)

    async def history(self, request: Request) -> Response:
        """`GET Type/id/_history`, `Type/_history`, `/_history`, newest first (R4 http.html#history)."""
        type_name = type_of(request) if "type" in request.path_params else None
        logical_id = request.path_params.get("id")
        require(request, request.state.grant.allows(type_name or "*", "r"), f"system/{type_name or '*'}.r")
        return await self._hop(lambda: self._history(request, type_name, logical_id))

    def _history(self, request: Request, type_name: str | None, logical_id: str | None) -> Response:
        pairs = [pair for pair in request.query_params.multi_items() if pair[0] not in PRESENTATION]
        page = histories.page(self.services.record, type_name, logical_id, pairs)
        return answer.fhir(request, listing.history(request, page, pairs))

    async def search(self, request: Request) -> Response:
        """`GET Type?…` and `POST Type/_search` (R4 http.html#search)."""
        type_name = type_of(request)
        require(request, request.state.grant.allows(type_name, "s"), f"system/{type_name}.s")
        pairs = [pair for pair in await asked_of(request) if pair[0] not in PRESENTATION]
        self._chained(request, pairs)
        return await self._hop(lambda: self._search(request, type_name, pairs))

    def _search(self, request: Request, type_name: str, pairs: Pairs) -> Response:
        handling, base = handling_of(request), listing.base_url(request)
        page = self.services.record.search(type_name, pairs, handling=handling, base=base)
        return self._listed(request, type_name, page, pairs)

    async def system(self, request: Request) -> Response:
        """`GET ?_type=…&…`: over several types, or all (R4 http.html#search)."""
        pairs = [pair for pair in await asked_of(request) if pair[0] not in PRESENTATION]
        types, asked = _types(pairs)
        for name in types or ["*"]:
            require(request, request.state.grant.allows(name, "s"), f"system/{name}.s")
        self._chained(request, pairs)
        handling, base = handling_of(request), listing.base_url(request)
        work = partial(self.services.record.search_system, types, asked, handling=handling, base=base)
        return await self._hop(lambda: self._listed(request, "", work(), pairs))

    async def compartment(self, request: Request) -> Response:
        """`GET Patient/id/Observation?…`, `GET Patient/id/*`: what belongs to one resource (R4 http.html#vsearch)."""
        every = request.path_params["type"] == "*"
        type_name, kind = "*" if every else type_of(request), request.path_params["compartment"]
        belong = compartments.parameters(kind)
        if not belong or not (every or type_name in belong):
            raise answer.Refusal(404, "there is no such compartment; see R4 compartmentdefinition.html")
        pairs = [pair for pair in await asked_of(request) if pair[0] not in PRESENTATION]
        types, asked = _types(pairs) if every else ([type_name], pairs)
        if wrong := [name for name in types if name not in belong]:
            raise answer.Refusal(400, f"{wrong[0]} belongs to no {kind}")
        for name in types or ["*"]:
            require(request, request.state.grant.allows(name, "s"), f"system/{name}.s")
        self._chained(request, pairs)
        whose = f"{kind}/{request.path_params['id']}"
        handling, base = handling_of(request), listing.base_url(request)
        work = partial(self.services.record.search_compartment, whose, types, asked, handling=handling, base=base)
        return await self._hop(lambda: self._listed(request, f"{whose}/{type_name}", work(), pairs))

    def _chained(self, request: Request, pairs: Pairs) -> None:
        """A chain tells about resources of other types than the one that is returned."""
        if any("." in name or name.startswith("_has:") for name, _ in pairs):
            require(request, request.state.grant.allows("*", "s"), "system/*.s for chained searches")

    def _listed(self, request: Request, path: str, page: Page, pairs: Pairs) -> Response:
        included = [stored for stored in page.included if request.state.grant.allows(stored.type, "r")]
        return answer.fhir(request, listing.search(request, path, page, included, pairs))

    async def _hop(self, work: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(work, limiter=self.services.readers)
        except errors.Configuration as error:  # an unknown search parameter is the caller's mistake here
            raise answer.Refusal(400, str(error)) from error


def _types(pairs: Pairs) -> tuple[list[str], Pairs]:
    """What `_type` asks for, and the other parameters (R4 search.html#type)."""
    types = [name for key, value in pairs if key == "_type" for name in value.split(",") if name]
    if wrong := [name for name in types if name not in definitions.resource_types()]:
        raise answer.Refusal(400, f"there is no resource type {wrong[0][:40]!r} in FHIR R4")
    return types, [pair for pair in pairs if pair[0] != "_type"]


def handling_of(request: Request) -> Handling:
    """What the caller wants of parameters that are not known; one that is passed over would show everybody."""
    prefer = request.headers.get("prefer", "").replace(" ", "").lower()
    found = [each for each in (Handling.LENIENT, Handling.STRICT) if f"handling={each.value}" in prefer]
    return found[0] if found else Handling.USUAL


def _one(request: Request, stored: Stored | None, type_name: str) -> Response:
    if stored is None:
        raise answer.Refusal(404, f"there is no {type_name} with this id, or no such version")
    headers = answer.version_headers(stored.version, stored.updated)
    if stored.deleted:
        raise answer.Refusal(410, f"this {type_name} was deleted", headers=headers)
    if answer.unchanged(request, stored.version, stored.updated):
        return Response(status_code=304, headers=headers)
    if type_name == "Binary" and answer.wants_content(request):
        content, kind = content_of(stored)
        # never shown as a page of ours, whatever it says it is
        return Response(content, headers={**headers, "content-disposition": "attachment"}, media_type=kind)
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] in subset.PARTS]
    if pairs:
        asked = query.read(type_name, pairs)
        stored = subset.cut(stored, summary=asked.summary, elements=asked.elements)
    return answer.fhir(request, stored.body, headers=headers)
