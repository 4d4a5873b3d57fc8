"""Observation/$lastn: the newest observations of each kind of one patient (R4 observation-operation-lastn.html)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api import answer, listing
from gateway.api.arriving import Waiting
from gateway.api.guard import require
from gateway.api.offered import Offered
from gateway.api.parameters import pairs_of
from gateway.api.services import Services
from gateway.fhir.searchparameters import parameters
from gateway.store.latest import latest
from gateway.store.stored import Page

OFFERED: Final = (Offered("lastn", "http://hl7.org/fhir/OperationDefinition/Observation-lastn", ("Observation",)),)
MOST: Final = 100  # of a kind
_PERSON: Final = frozenset({"patient", "subject"})
_KIND: Final = frozenset({"category"}) | {name for name in parameters("Observation") if "code" in name}
_CONTROLS: Final = frozenset(
    {"_sort", "_count", "_summary", "_elements", "_include", "_revinclude", "_total", "_cursor"}
)


@dataclass(slots=True, eq=False)
class LastN:
    """The handler; it returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """It stands before the addresses with an id in that place."""
        return [Route("/fhir/Observation/$lastn", self.lastn, methods=["GET", "POST"])]

    async def lastn(self, request: Request) -> Response:
        """The newest of each code, `max` of them, as a searchset; a patient and a category or code have to be named."""
        allowed = request.state.grant.allows
        require(request, allowed("Observation", "r") and allowed("Observation", "s"), "system/Observation.rs")
        found = await pairs_of(request, self.waiting, self.services.resource_limit)
        pairs = [pair for pair in found if pair[1]]
        names = {name.partition(":")[0].partition(".")[0] for name, _ in pairs}
        if not names & _PERSON:
            raise answer.Refusal(400, "$lastn is about one patient: write patient=… or subject=…")
        if not names & _KIND:
            raise answer.Refusal(400, "$lastn needs a category or a code: write category=laboratory, or code=…")
        if wrong := names & _CONTROLS:
            raise answer.Refusal(400, f"$lastn takes search parameters and max, and no {sorted(wrong)[0]}")
        if any("." in name or name.startswith("_has:") for name, _ in pairs):
            require(request, allowed("*", "s"), "system/*.s for chained searches")
        most = _most(dict(pairs).get("max", "1"))
        searched = [pair for pair in pairs if pair[0] != "max"]

        def work() -> Page:
            with self.services.record.reading() as reader:
                found = latest(reader, searched, most)
            return Page(total=len(found), matches=found, included=[], next=None)

        page = await anyio.to_thread.run_sync(work, limiter=self.services.readers)
        return answer.fhir(request, listing.search(request, "Observation/$lastn", page, (), pairs))


def _most(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise answer.Refusal(400, "max is a number from 1 on")
    return min(int(text), MOST)
