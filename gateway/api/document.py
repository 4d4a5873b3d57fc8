"""Composition/$document: a Composition as a whole document (R4 composition-operation-document.html, documents.html).

The same versions give the same document: its id and identifier are made of them, its timestamp is that of the newest.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

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
from gateway.fhir import json
from gateway.store import documents
from gateway.store.exchange import Asked
from gateway.store.stored import Stored

OFFERED: Final = (
    Offered("document", "http://hl7.org/fhir/OperationDefinition/Composition-document", ("Composition",)),
)
LIMIT: Final = 64 * 1024  # bytes of the question
_BOOLEANS: Final = {"true": True, "false": False, "": False}


@dataclass(slots=True, eq=False)
class Documents:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """They stand before those with an id in that place."""
        asking = ["GET", "POST"]
        return [
            Route("/fhir/Composition/$document", self.named, methods=asking),
            Route("/fhir/Composition/{id}/$document", self.one, methods=asking),
        ]

    async def named(self, request: Request) -> Response:
        """Of the Composition that the parameter `id` names."""
        given = await self._given(request)
        key = given.pop("id", "").removeprefix(f"{listing.base_url(request)}/").removeprefix("Composition/")
        if not key:
            raise answer.Refusal(400, "name the Composition: Composition/$document?id=…")
        if "/" in key or ":" in key:
            raise answer.Refusal(400, "a Composition of another server is not fetched; store it here first")
        return await self._made(request, key, given)

    async def one(self, request: Request) -> Response:
        """Of the Composition of the address."""
        given = await self._given(request)
        if "id" in given:
            raise answer.Refusal(400, "the address names the Composition already; leave the parameter id out")
        return await self._made(request, request.path_params["id"], given)

    async def _given(self, request: Request) -> dict[str, str]:
        given = dict(await pairs_of(request, self.waiting, min(LIMIT, self.services.resource_limit)))
        if given.pop("graph", ""):
            raise answer.Refusal(400, "a document by a GraphDefinition is not supported; leave graph out")
        if unknown := given.keys() - {"id", "persist"}:
            raise answer.Refusal(400, f"$document takes id and persist; not {sorted(unknown)[0][:40]!r}")
        return given

    async def _made(self, request: Request, key: str, given: dict[str, str]) -> Response:
        require(request, request.state.grant.allows("Composition", "r"), "system/Composition.r")
        keep = _BOOLEANS.get(given.get("persist", "").lower())
        if keep is None:
            raise answer.Refusal(400, "persist is true or false")
        document = await anyio.to_thread.run_sync(lambda: self._document(request, key), limiter=self.services.readers)
        headers = {}
        if keep:
            require(request, request.state.grant.allows("Bundle", "u"), "system/Bundle.u")
            await self._keep(document)
            headers["location"] = f"{listing.base_url(request)}/Bundle/{document['id']}"
        return answer.fhir(request, document, headers=headers)

    def _document(self, request: Request, key: str) -> dict[str, Any]:
        with self.services.record.reading() as reader:
            stored = self.services.record.read("Composition", key, reader=reader)
            if stored is None:
                raise answer.Refusal(404, "there is no Composition with this id")
            if stored.deleted:
                raise answer.Refusal(410, "this Composition was deleted")
            versions = documents.gathered(reader, stored)
        for kind in sorted({each.type for each in versions}):
            require(request, request.state.grant.allows(kind, "r"), f"system/{kind}.r")
        return _bundle(listing.base_url(request), versions)

    async def _keep(self, document: dict[str, Any]) -> None:
        record, now = self.services.record, self.services.now
        asked = Asked(method="PUT", type="Bundle", id=document["id"], resource=document)
        await self.services.write(lambda transaction: record.exchange(transaction, [asked], at=now()))


def _bundle(base: str, versions: Sequence[Stored]) -> dict[str, Any]:
    told = "\n".join(sorted(f"{each.reference}/_history/{each.version}" for each in versions))
    number = str(uuid.UUID(bytes=hashlib.sha256(f"{base}\n{told}".encode()).digest()[:16], version=4))
    return {
        "resourceType": "Bundle",
        "id": number,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{number}"},
        "type": "document",
        "timestamp": listing.instant(max(each.updated for each in versions)),
        "entry": [{"fullUrl": f"{base}/{each.reference}", "resource": json.loads(each.body)} for each in versions],
    }
