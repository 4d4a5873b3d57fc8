"""$meta, $meta-add and $meta-delete: profiles, tags and security labels (R4 resource-operation-meta.html).

What is added or deleted makes a new version, as every change does, so a history tells what was labelled when. Old
versions stay as they were written: their meta can be read, not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer
from gateway.api.arriving import Waiting
from gateway.api.guard import require
from gateway.api.offered import ANY, Offered
from gateway.api.parameters import body_of
from gateway.api.resource import applied, type_of
from gateway.api.services import Services
from gateway.fhir import validate
from gateway.model import Resource
from gateway.store import labels, read
from gateway.store.exchange import Asked
from gateway.store.request import read_etag
from gateway.store.stored import Stored

T = TypeVar("T")

_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/Resource-meta"
OFFERED: Final = (
    Offered("meta", _DEFINITION),
    Offered("meta", _DEFINITION, (ANY,)),
    Offered("meta-add", f"{_DEFINITION}-add", (ANY,)),
    Offered("meta-delete", f"{_DEFINITION}-delete", (ANY,)),
)
LIMIT: Final = 256 * 1024  # bytes of a question
_CODED: Final = ("security", "tag")


@dataclass(slots=True, eq=False)
class Labels:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """They stand before those with an id in that place."""
        one, old = "/fhir/{type}/{id}", "/fhir/{type}/{id}/_history/{version}"
        return [
            Route("/fhir/$meta", self.in_use, methods=["GET"]),
            Route("/fhir/{type}/$meta", self.in_use, methods=["GET"]),
            Route(f"{one}/$meta", self.read, methods=["GET"]),
            Route(f"{old}/$meta", self.read, methods=["GET"]),
            Route(f"{one}/$meta-add", self.add, methods=["POST"]),
            Route(f"{old}/$meta-add", self.refuse, methods=["POST"]),
            Route(f"{one}/$meta-delete", self.delete, methods=["POST"]),
            Route(f"{old}/$meta-delete", self.refuse, methods=["POST"]),
        ]

    async def in_use(self, request: Request) -> Response:
        """All labels of a type, or of everything."""
        name = type_of(request) if "type" in request.path_params else ""
        require(request, request.state.grant.allows(name or "*", "r"), f"system/{name or '*'}.r")

        def work() -> dict[str, list[Any]]:
            with self.services.record.reading() as reader:
                return labels.in_use(reader, [name] if name else read.types(reader))

        return _said(request, await self._hop(work))

    async def read(self, request: Request) -> Response:
        """The meta of one resource, or of one version of it."""
        name, key, version = type_of(request), request.path_params["id"], request.path_params.get("version")
        require(request, request.state.grant.allows(name, "r"), f"system/{name}.r")
        if version is not None and not (version.isascii() and version.isdigit() and len(version) < 10):
            raise answer.Refusal(404, "there is no such version")
        record = self.services.record
        stored = await self._hop(
            lambda: record.read(name, key) if version is None else record.vread(name, key, int(version))
        )
        return _said(request, _there(stored, name).resource.get("meta", {}))

    async def add(self, request: Request) -> Response:
        """Profiles, tags and labels besides those that are there; the same are there once."""
        return await self._change(request, _with)

    async def delete(self, request: Request) -> Response:
        """Without these profiles, tags and labels; those that are not there are no mistake."""
        return await self._change(request, _without)

    async def refuse(self, request: Request) -> Response:
        """A version of the past is not changed."""
        raise answer.Refusal(405, "versions of the past are not changed; label the current one", {"allow": "GET"})

    async def _change(self, request: Request, how: Callable[[Resource, Resource], Resource]) -> Response:
        name, key = type_of(request), request.path_params["id"]
        require(request, request.state.grant.allows(name, "u"), f"system/{name}.u")
        meta = await self._meta(request)
        asked = Asked(
            method="PATCH", type=name, id=key, version=read_etag(request.headers.get("if-match", "")),
            patch=applied(lambda stored, content: how(stored, content), meta),
        )  # fmt: skip

        record, now = self.services.record, self.services.now
        made = await self.services.write(lambda transaction: record.exchange(transaction, [asked], at=now()))
        stored = _there(made.done[0].stored, name)
        return _said(request, stored.resource.get("meta", {}), answer.version_headers(stored.version, stored.updated))

    async def _meta(self, request: Request) -> Resource:
        """The parameter `meta`. Refusal 400 where there is none, Permanent where it is not valid."""
        parameters = await body_of(request, self.waiting, min(LIMIT, self.services.resource_limit))
        validate.check(parameters)
        found = [each.get("valueMeta") for each in parameters.get("parameter", ()) if each.get("name") == "meta"]
        if parameters["resourceType"] != "Parameters" or len(found) != 1 or not isinstance(found[0], dict):
            raise answer.Refusal(400, "send Parameters with one parameter `meta` that has a valueMeta")
        return found[0]

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


def _there(stored: Stored | None, name: str) -> Stored:
    if stored is None:
        raise answer.Refusal(404, f"there is no {name} with this id, or no such version")
    if stored.deleted:
        raise answer.Refusal(410, f"this {name} was deleted")
    return stored


def _said(request: Request, meta: Resource, headers: dict[str, str] | None = None) -> Response:
    parameter = [{"name": "return", "valueMeta": meta}] if meta else []
    made = {"resourceType": "Parameters", **({"parameter": parameter} if parameter else {})}
    return answer.fhir(request, made, headers=headers)


def _with(stored: Resource, meta: Resource) -> Resource:
    before = stored.get("meta", {})
    made = {"profile": list(dict.fromkeys([*before.get("profile", ()), *meta.get("profile", ())]))}
    for name in _CODED:
        known = {labels.key_of(each) for each in before.get(name, ())}
        fresh = {labels.key_of(each): each for each in meta.get(name, ()) if labels.key_of(each) not in known}
        made[name] = [*before.get(name, ()), *fresh.values()]
    return _labelled(stored, made)


def _without(stored: Resource, meta: Resource) -> Resource:
    before = stored.get("meta", {})
    made = {"profile": [each for each in before.get("profile", ()) if each not in meta.get("profile", ())]}
    for name in _CODED:
        gone = {labels.key_of(each) for each in meta.get(name, ())}
        made[name] = [each for each in before.get(name, ()) if labels.key_of(each) not in gone]
    return _labelled(stored, made)


def _labelled(stored: Resource, made: Mapping[str, Iterable[Any]]) -> Resource:
    others = {name: value for name, value in stored.get("meta", {}).items() if name not in made}
    return {**stored, "meta": {**others, **{name: value for name, value in made.items() if value}}}
