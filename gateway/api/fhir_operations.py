"""Operations of FHIR on the record: $everything, $validate.

R4 patient-operation-everything.html, encounter-operation-everything.html, resource-operation-validate.html.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer, listing
from gateway.api.arriving import Waiting
from gateway.api.guard import require
from gateway.api.offered import ANY, Offered
from gateway.api.parameters import body_of, pairs_of
from gateway.api.resource import parts_of, type_of
from gateway.api.services import Services
from gateway.fhir import validate
from gateway.model import Resource
from gateway.store import query
from gateway.store.across import Everything

T = TypeVar("T")

_DEFINITIONS = "http://hl7.org/fhir/OperationDefinition"
OFFERED = (
    Offered("everything", f"{_DEFINITIONS}/Patient-everything", ("Patient",)),
    Offered("everything", f"{_DEFINITIONS}/Encounter-everything", ("Encounter",)),
    Offered("validate", f"{_DEFINITIONS}/Resource-validate", (ANY,)),
)
_BASE = "http://hl7.org/fhir/StructureDefinition"
_EVERYTHING = frozenset({"Patient", "Encounter"})
_ASKED = frozenset({"start", "end", "_since", "_type", "_count", listing.CURSOR})
_MODES = frozenset({"create", "update", "delete", "profile"})


@dataclass(slots=True, eq=False)
class FhirOperations:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """They stand before those with an id in that place."""
        return [
            Route("/fhir/{type}/$validate", self.validate, methods=["POST"]),
            Route("/fhir/{type}/{id}/$validate", self.validate, methods=["GET", "POST"]),
            Route("/fhir/Patient/$everything", self.everybody, methods=["GET", "POST"]),
            Route("/fhir/Encounter/$everything", self.each_stay, methods=["GET", "POST"]),
            Route("/fhir/{type}/{id}/$everything", self.everything, methods=["GET", "POST"]),
        ]

    # ------------------------------------------------------------------------------------------ $everything

    async def everybody(self, request: Request) -> Response:
        """All patients with all that belongs to each, in pages (R4 patient-operation-everything.html)."""
        asked, pairs = await self._asked(request)
        page = await self._hop(lambda: self.services.record.everybody(asked))
        return answer.fhir(request, listing.search(request, "Patient/$everything", page, page.included, pairs))

    async def each_stay(self, request: Request) -> Response:
        """R4 has none of all encounters (encounter-operation-everything.html)."""
        raise answer.Refusal(404, "name the encounter: Encounter/id/$everything; all of it leaves by GET $export")

    async def everything(self, request: Request) -> Response:
        """A patient or an encounter with all that belongs to it, in pages."""
        type_name, key = type_of(request), request.path_params["id"]
        if type_name not in _EVERYTHING:
            raise answer.Refusal(404, "$everything is there for Patient and Encounter")
        asked, pairs = await self._asked(request)
        return await self._hop(lambda: self._everything(request, f"{type_name}/{key}", asked, pairs))

    async def _asked(self, request: Request) -> tuple[Everything, list[tuple[str, str]]]:
        """What is wanted of it, and the parameters that said so."""
        require(request, request.state.grant.allows("*", "r"), "system/*.r")
        given: dict[str, str] = {}
        for name, value in await pairs_of(request, self.waiting, self.services.resource_limit):
            given[name] = f"{given[name]},{value}" if name == "_type" and name in given else value
        pairs = list(given.items())
        if unknown := given.keys() - _ASKED:
            raise answer.Refusal(400, f"$everything takes {', '.join(sorted(_ASKED))}; not {sorted(unknown)[0][:40]!r}")
        asked = Everything(
            start=given.get("start", ""), end=given.get("end", ""), since=given.get("_since", ""),
            types=tuple(filter(None, given.get("_type", "").split(","))), count=_count(given.get("_count", "")),
            cursor=given.get(listing.CURSOR, ""),
        )  # fmt: skip
        return asked, pairs

    def _everything(self, request: Request, whose: str, asked: Everything, pairs: list[tuple[str, str]]) -> Response:
        type_name, _, key = whose.partition("/")
        stored = self.services.record.read(type_name, key)
        if stored is None:
            raise answer.Refusal(404, f"there is no {type_name} with this id")
        if stored.deleted:
            raise answer.Refusal(410, f"this {type_name} was deleted")
        page = self.services.record.everything(whose, asked)
        return answer.fhir(request, listing.search(request, f"{whose}/$everything", page, page.included, pairs))

    # ------------------------------------------------------------------------------------------ $validate

    async def validate(self, request: Request) -> Response:
        """Everything that is wrong with a resource, each with its place; the answer is 200 either way. `mode` and
        `profile` stand in the address or among Parameters."""
        type_name, key = type_of(request), request.path_params.get("id", "")
        require(request, request.state.grant.allows(type_name, "r"), f"system/{type_name}.r")
        given = {name: request.query_params.get(name, "") for name in ("mode", "profile")}
        resource: Resource | None = None
        if request.method == "POST":
            resource = await body_of(request, self.waiting, self.services.resource_limit)
            if resource.get("resourceType") == "Parameters" and type_name != "Parameters":
                given |= _simple(resource)
                parts = (each for each in parts_of(resource) if each.get("name") == "resource")
                resource = next((each.get("resource") for each in parts), None)
        mode = given["mode"]
        _check_asked(mode, given["profile"], type_name, of_one=bool(key))
        if mode == "delete" or (resource is None and key):
            return await self._hop(lambda: self._stored(request, type_name, key, mode))
        if resource is None:
            raise answer.Refusal(400, "send the resource, or Parameters with a parameter `resource`")
        return answer.fhir(request, _judged(resource, type_name, "" if mode == "create" else key))

    def _stored(self, request: Request, type_name: str, key: str, mode: str) -> Response:
        stored = self.services.record.read(type_name, key)
        if stored is None or stored.deleted:
            raise answer.Refusal(404, f"there is no {type_name} with this id")
        return answer.fhir(request, _FINE if mode == "delete" else _judged(stored.resource, type_name, key))

    # ------------------------------------------------------------------------------------------ both

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


_FINE = answer.outcome("nothing is wrong with it", code="informational", severity="information")


def _check_asked(mode: str, profile: str, type_name: str, *, of_one: bool) -> None:
    """Refusal 400 for what is no mode here, 422 for a profile that is not known (R4: then the validation itself has
    failed)."""
    if mode not in ("", *_MODES):
        raise answer.Refusal(400, "mode is create, update, delete or profile")
    if mode in ("update", "delete") and not of_one:
        raise answer.Refusal(400, f"mode {mode} is asked of one resource: {type_name}/id/$validate")
    if profile.partition("|")[0] not in ("", f"{_BASE}/{type_name}"):
        raise answer.Refusal(422, f"this profile is not known here; what is checked is {_BASE}/{type_name}")


def _judged(resource: Any, type_name: str, key: str) -> Resource:
    """The OperationOutcome of $validate: one issue a problem."""
    if not isinstance(resource, dict) or resource.get("resourceType") != type_name:
        return answer.outcome(f"the resource is no {type_name}", code="invalid", place="resourceType")
    issues = [
        {"severity": "error", "code": each.code, "diagnostics": each.text, "expression": [each.path]}
        for each in validate.problems(resource)
    ]
    if key and resource.get("id") not in (None, key):
        issues.append({"severity": "error", "code": "invalid", "diagnostics": "its id is not that of the address"})
    return {"resourceType": "OperationOutcome", "issue": issues} if issues else _FINE


def _simple(parameters: Resource) -> dict[str, str]:
    """The parameters of an operation that have plain values."""
    found: dict[str, str] = {}
    for each in parts_of(parameters):
        value = next((value for name, value in each.items() if name.startswith("value")), None)
        if value is not None and not isinstance(value, dict | list):
            name = str(each.get("name", ""))
            found[name] = f"{found[name]},{value}" if name in found else str(value)
    return found


def _count(text: str) -> int:
    if not text:
        return query.MAXIMUM_COUNT  # R4: all at once, unless pages are asked for
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise answer.Refusal(400, "_count is a number from 1 on")
    return min(int(text), query.MAXIMUM_COUNT)
