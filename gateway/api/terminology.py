"""Operations on codes, over what the record holds: $lookup, $validate-code, $subsumes, $expand, $translate.

R4 terminology-service.html. What each does stands in gateway.terminology; here is who may ask, in which form, and how
it is answered. `ConceptMap/$unknown-codes` is our own: the codes of members that no table knows yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer
from gateway.api.arriving import Waiting
from gateway.api.guard import require
from gateway.api.offered import Offered
from gateway.api.parameters import body_of
from gateway.api.services import Services
from gateway.errors import Permanent
from gateway.fhir import validate
from gateway.journal import unknown
from gateway.model import Resource
from gateway.terminology import codes, expansions, translations
from gateway.terminology.limits import NotFound, TooCostly, Undecided
from gateway.terminology.parameters import Given, of_query, of_resource, parameter, parted
from gateway.terminology.parameters import answer as parameters
from gateway.terminology.shelf import Shelf

_STANDARD: Final = "http://hl7.org/fhir/OperationDefinition/"
UNKNOWN_CODES: Final = "$unknown-codes"
_UNKNOWN_LIMIT: Final = 1000  # rows of one answer

Work = Callable[[Shelf, Given, Resource | None], Resource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation, and where it is."""

    type: str
    name: str
    works: str  # of the table below
    instance: bool = True
    brings: str = ""  # the parameter that a body of this type itself is


OPERATIONS: Final = (
    Operation(type="CodeSystem", name="lookup", works="lookup", instance=False),
    Operation(type="CodeSystem", name="validate-code", works="code in system", brings="codeSystem"),
    Operation(type="CodeSystem", name="subsumes", works="subsumes"),
    Operation(type="ValueSet", name="expand", works="expand", brings="valueSet"),
    Operation(type="ValueSet", name="validate-code", works="code in set", brings="valueSet"),
    Operation(type="ConceptMap", name="translate", works="translate", brings="conceptMap"),
)

OFFERED: Final = tuple(Offered(each.name, f"{_STANDARD}{each.type}-{each.name}", (each.type,)) for each in OPERATIONS)

_FAILURES: Final[Mapping[type[Permanent], tuple[int, str]]] = {
    NotFound: (404, "not-found"),
    TooCostly: (422, "too-costly"),
    Undecided: (422, "not-supported"),
}


@dataclass(slots=True, eq=False)
class Terminology:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """They stand before those with an id in that place."""
        made = [Route(f"/fhir/ConceptMap/{UNKNOWN_CODES}", self.unknown_codes, methods=["GET"])]
        for each in OPERATIONS:
            places = [f"/fhir/{each.type}/${each.name}", f"/fhir/{each.type}/{{id}}/${each.name}"]
            made += (
                Route(path, partial(self.operate, each), methods=["GET", "POST"])
                for path in places[: 1 + each.instance]
            )
        return made

    async def operate(self, operation: Operation, request: Request) -> Response:
        """Any of the operations, on the type or on one resource."""
        require(request, request.state.grant.allows(operation.type, "r"), f"system/{operation.type}.r")
        given = of_query(request.query_params.multi_items())
        if request.method == "POST":
            given = _joined(given, await self._brought(request, operation))
        return await self._hop(lambda: self._answered(request, operation, given))

    def _answered(self, request: Request, operation: Operation, given: Given) -> Response:
        own = self._own(operation.type, request.path_params.get("id", ""))
        try:
            with self.services.record.shelf() as shelf:
                found = self._works(operation.works)(shelf, given, own)
        except Permanent as error:
            status, code = next((_FAILURES[kind] for kind in _FAILURES if isinstance(error, kind)), (400, "invalid"))
            return answer.fhir(request, answer.outcome(str(error), code=code), status=status)
        return answer.fhir(request, found)

    def _works(self, name: str) -> Work:
        works: Mapping[str, Work] = {
            "lookup": lambda shelf, given, _: codes.lookup(shelf, given),
            "code in system": codes.validate,
            "subsumes": codes.subsumes,
            "expand": partial(expansions.expand, at=self.services.now()),
            "code in set": expansions.validate,
            "translate": translations.translate,
        }
        return works[name]

    def _own(self, type_name: str, key: str) -> Resource | None:
        """The resource in the address."""
        if not key:
            return None
        stored = self.services.record.read(type_name, key)
        if stored is None or stored.deleted:
            raise answer.Refusal(404, f"there is no {type_name} with this id")
        return stored.resource

    async def _brought(self, request: Request, operation: Operation) -> Given:
        resource = await body_of(request, self.waiting, self.services.resource_limit)
        validate.check(resource)
        if operation.brings and resource["resourceType"] == operation.type:
            return Given(((operation.brings, resource),))
        return of_resource(resource)

    async def _hop(self, work: Callable[[], Response]) -> Response:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)

    # ------------------------------------------------------------------------------------------ unknown codes

    async def unknown_codes(self, request: Request) -> Response:
        """The codes that no table knew, the most frequent first: those of `hutong codes unknown`; `member` and `table`
        narrow it. Never a code that may be a person's number."""
        require(request, request.state.grant.allows("ConceptMap", "r"), "system/ConceptMap.r")
        given = of_query(request.query_params.multi_items())
        given.only(("member", "table"))
        member, table = given.text("member"), given.text("table")
        return await self._hop(lambda: self._unknown(request, member, table))

    def _unknown(self, request: Request, member: str, table: str) -> Response:
        with self.services.overview.record.reading() as reader:
            found = unknown.listed(reader, member=member, table=table)
        total = parameter("total", "Integer", len(found))
        rows = (_row(each) for each in found[:_UNKNOWN_LIMIT])
        return answer.fhir(request, parameters(total, *rows))


def _row(each: unknown.UnknownCode) -> dict[str, Any]:
    words = [parameter("display", "String", each.words)] if each.words else []
    return parted(
        "code",
        parameter("member", "String", each.member),
        parameter("table", "String", each.table),
        parameter("code", "String", unknown.shown(each.code)),
        *words,
        parameter("times", "Integer", each.times),
        parameter("messages", "Integer", each.entries),
        parameter("first", "DateTime", each.first_seen.isoformat(timespec="seconds")),
        parameter("last", "DateTime", each.last_seen.isoformat(timespec="seconds")),
        parameter("entry", "Integer", each.example),
    )


def _joined(one: Given, other: Given) -> Given:
    return Given((*one.pairs, *other.pairs), {**one.parts, **other.parts})
