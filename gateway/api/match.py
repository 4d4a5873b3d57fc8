"""Patient/$match: who of the record is this likely to be? R4 patient-operation-match.html.

The same rules and weights by which arriving messages are told apart; nothing is changed by asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer, listing
from gateway.api.arriving import Waiting
from gateway.api.guard import require
from gateway.api.offered import Offered
from gateway.api.parameters import body_of
from gateway.api.services import Services
from gateway.fhir import json, validate
from gateway.identity.index import Match, matches
from gateway.model import Resource

OFFERED: Final = (Offered("match", "http://hl7.org/fhir/OperationDefinition/Patient-match", ("Patient",)),)
GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
DEFAULT_COUNT: Final = 20
MAXIMUM_COUNT: Final = 100
LIMIT: Final = 256 * 1024  # bytes of the question


@dataclass(frozen=True, slots=True)
class _Asked:
    patient: Resource
    only_certain: bool
    count: int


@dataclass(slots=True, eq=False)
class Matching:
    """The handler; it returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """It stands before the addresses with an id in that place."""
        return [Route("/fhir/Patient/$match", self.match, methods=["POST"])]

    async def match(self, request: Request) -> Response:
        """Candidates as a searchset, the likeliest first, each with its probability and grade."""
        allowed = request.state.grant.allows
        require(request, allowed("Patient", "r") and allowed("Patient", "s"), "system/Patient.rs")
        asked = _read(await body_of(request, self.waiting, min(LIMIT, self.services.resource_limit)))
        return await anyio.to_thread.run_sync(lambda: self._answered(request, asked), limiter=self.services.readers)

    def _answered(self, request: Request, asked: _Asked) -> Response:
        with self.services.tokens.engine.reading() as reader:
            found = matches(reader, asked.patient)
            if asked.only_certain:
                found = [each for each in found if each.grade == "certain"]
                found = found if len(found) == 1 else []  # R4: several are no certain match
            stored = [(each, self.services.record.read("Patient", each.patient_id, reader=reader)) for each in found]
        base = listing.base_url(request)
        entries = [
            _entry(each, json.loads(version.body), f"{base}/{version.reference}")
            for each, version in stored[: asked.count]
            if version is not None and not version.deleted
        ]
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return answer.fhir(request, {**bundle, "entry": entries} if entries else bundle)


def _entry(match: Match, patient: Resource, url: str) -> dict[str, Any]:
    search = {
        "extension": [{"url": GRADE, "valueCode": match.grade}],
        "mode": "match",
        "score": Decimal(f"{match.probability:.4f}"),
    }
    return {"fullUrl": url, "resource": patient, "search": search}


def _read(body: Resource) -> _Asked:
    """The Parameters of the operation; a Patient alone is the only one that has to be there."""
    if body.get("resourceType") == "Patient":
        return _Asked(_checked(body), only_certain=False, count=DEFAULT_COUNT)
    if body.get("resourceType") != "Parameters":
        raise answer.Refusal(400, "send Parameters with the Patient as `resource`")
    parts = {str(each.get("name")): each for each in body.get("parameter", ()) if isinstance(each, dict)}
    if unknown := parts.keys() - {"resource", "onlyCertainMatches", "count"}:
        raise answer.Refusal(
            400, f"$match takes resource, onlyCertainMatches and count; not {sorted(unknown)[0][:40]!r}"
        )
    patient = parts.get("resource", {}).get("resource")
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        raise answer.Refusal(400, "the parameter `resource` has to hold a Patient")
    only, count = parts.get("onlyCertainMatches", {}).get("valueBoolean", False), _count(parts.get("count", {}))
    if not isinstance(only, bool):
        raise answer.Refusal(400, "onlyCertainMatches is a valueBoolean")
    return _Asked(_checked(patient), only_certain=only, count=count)


def _count(part: dict[str, Any]) -> int:
    value = part.get("valueInteger", part.get("valuePositiveInt", DEFAULT_COUNT))
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise answer.Refusal(400, "count is a valueInteger from 1 on")
    return min(value, MAXIMUM_COUNT)


def _checked(patient: Resource) -> Resource:
    problems = validate.problems(patient)
    if problems:
        raise answer.Refusal(422, f"the Patient is not valid: {problems[0].path}: {problems[0].text}")
    return patient
