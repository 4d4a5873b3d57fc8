"""Who is who, for people: pairs that may be one person, what is decided of them, and what was decided by whom.

Lists hold ids and words, never a name or a number; scope `operations/people`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import people
from gateway.api import answer
from gateway.api.guard import require
from gateway.api.services import Services
from gateway.db.engine import Transaction
from gateway.errors import Permanent
from gateway.identity import review
from gateway.model import Change
from gateway.store.exchange import Exchanged
from gateway.store.joining import Reason
from gateway.store.stored import instant

T = TypeVar("T")

BODY_LIMIT: Final = 16 * 1024  # bytes of a decision
PAGE: Final = 1000
DEEDS: Final = ("merge", "unmerge", "apart")


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """A pair by its number on the list, or two Patients by id; with `merge` the first one is retired."""

    why: str
    number: int = 0
    one: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The handlers."""

    services: Services

    def routes(self) -> list[Route]:
        """One address each."""
        return [
            Route("/operations/people", self.listed, methods=["GET"]),
            Route("/operations/people/log", self.log, methods=["GET"]),
            Route("/operations/people/{deed}", self.decide, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """Pairs that a person must decide, the likeliest first: ids, probability and reasons."""
        _require(request)
        limit = _limit(request)
        return _json(await self._hop(lambda: self._listed(limit)))

    def _listed(self, limit: int) -> dict[str, Any]:
        with self.services.tokens.engine.reading() as reader:
            return {"open": review.count(reader), "pairs": [shown(each) for each in review.listed(reader, limit=limit)]}

    async def log(self, request: Request) -> Response:
        """What was joined and parted, by whom and why, the newest first."""
        _require(request)
        limit, patient = _limit(request), request.query_params.get("patient", "")
        return _json(await self._hop(lambda: self._log(patient, limit)))

    def _log(self, patient: str, limit: int) -> dict[str, Any]:
        with self.services.tokens.engine.reading() as reader:
            return {"log": [logged(each) for each in review.deeds(reader, patient=patient, limit=limit)]}

    async def decide(self, request: Request) -> Response:
        """Carry out a person's decision; what changes is owed to whom it concerns."""
        _require(request)
        deed = request.path_params["deed"]
        if deed not in DEEDS:
            raise answer.Refusal(404, f"a decision is one of {', '.join(DEEDS)}")
        asked = await _decision(request)
        reason = Reason(by=request.state.grant.name, why=asked.why, at=self.services.now())

        def work(transaction: Transaction) -> Exchanged:
            return Exchanged(done=(), changes=carry_out(transaction, deed, asked, reason))

        made = await self.services.write(work)
        return _json({"changed": [each.reference for each in made.changes]})

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


def carry_out(transaction: Transaction, deed: str, asked: Decision, reason: Reason) -> tuple[Change, ...]:
    """One decision inside the caller's transaction. Raises Permanent, Missing."""
    one, other = asked.one, asked.other
    if asked.number:
        pair = review.numbered(transaction, asked.number)
        if pair is None:
            raise Permanent("there is no pair with this number", place="number", remedy="see the list")
        one, other = pair.other, pair.one  # the younger one is retired
    if not one or not other or one == other:
        raise Permanent("name two Patients by id, or a pair by its number", place="one")
    if deed == "merge":
        return people.merge(transaction, one, other, reason)
    if deed == "unmerge":
        return people.unmerge(transaction, one, other, reason)
    people.apart(transaction, one, other, reason)
    return ()


def shown(pair: review.Pair) -> dict[str, Any]:
    """A pair for a person or a program."""
    return {
        "number": pair.number, "one": pair.one, "other": pair.other,
        "probability": round(1.0 / (1.0 + 2.0**-pair.odds), 4), "reasons": list(pair.reasons),
        "asked": instant(pair.asked), "entry": pair.entry,
    }  # fmt: skip


def logged(deed: review.Deed) -> dict[str, Any]:
    """A line of the log for a person or a program."""
    return {
        "at": instant(deed.at), "deed": deed.deed, "one": deed.one, "other": deed.other, "by": deed.by,
        "why": deed.why, "entry": deed.entry,
    }  # fmt: skip


async def _decision(request: Request) -> Decision:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            raise answer.Refusal(413, "a decision is shorter than that")
    try:
        asked = msgspec.json.decode(bytes(body), type=Decision)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise answer.Refusal(400, 'send JSON such as {"number": 1, "why": "compared the papers"}') from error
    if not asked.why.strip() or len(asked.why) > 500 or not asked.why.isprintable():
        raise answer.Refusal(400, "say why, in at most 500 characters")
    return asked


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "100")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= PAGE):
        raise answer.Refusal(400, f"limit is a number from 1 to {PAGE}")
    return int(text)


def _require(request: Request) -> None:
    require(request, request.state.grant.allows_operation("people"), "operations/people")


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
