"""$export of the system, of patients and of groups: kick-off, status, files (FHIR Bulk Data Access 2.0 §export).

Whoever asked, and an administrator, sees an export; to all others it is not there. A token gets the types that its
scope lets it read and search; one that asks for others by name is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.api import answer, bulk_asked, listing
from gateway.api.arriving import Waiting
from gateway.api.guard import require
from gateway.api.offered import Offered
from gateway.api.parameters import body_of
from gateway.api.security import EVERYTHING
from gateway.api.services import Services
from gateway.bulk import Asked, File, Job, TooMany
from gateway.fhir import json
from gateway.store.search import here
from gateway.store.stored import instant, moment

T = TypeVar("T")

NDJSON: Final = "application/fhir+ndjson"
POLL_SECONDS: Final = 2  # what Retry-After says while it runs
_CHUNK: Final = 256 * 1024

_GUIDE = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
OFFERED: Final = (
    Offered("export", f"{_GUIDE}/export"),
    Offered("export", f"{_GUIDE}/patient-export", ("Patient",)),
    Offered("export", f"{_GUIDE}/group-export", ("Group",)),
)


@dataclass(slots=True, eq=False)
class BulkExport:
    """The handlers; each returns one whole answer."""

    services: Services
    waiting: Waiting

    def routes(self) -> list[Route]:
        """They stand before those with an id in that place."""
        asking = ["GET", "POST"]
        return [
            Route("/fhir/$export", self.system, methods=asking),
            Route("/fhir/Patient/$export", self.patients, methods=asking),
            Route("/fhir/Group/{id}/$export", self.group, methods=asking),
            Route("/fhir/$export/{export}", self.status, methods=["GET"]),
            Route("/fhir/$export/{export}", self.cancel, methods=["DELETE"]),
            Route("/fhir/$export/{export}/{file}", self.file, methods=["GET"]),
        ]

    async def system(self, request: Request) -> Response:
        """Everything that the token may read."""
        return await self._begin(request, "")

    async def patients(self, request: Request) -> Response:
        """What belongs to patients."""
        return await self._begin(request, "Patient")

    async def group(self, request: Request) -> Response:
        """What belongs to the patients of a group."""
        require(request, request.state.grant.allows("Group", "r"), "system/Group.rs")
        key = request.path_params["id"]
        stored = await self._hop(lambda: self.services.record.read("Group", key))
        if stored is None or stored.deleted:
            raise answer.Refusal(404, "there is no Group with this id")
        return await self._begin(request, "Group", key)

    # ------------------------------------------------------------------------------------------ kick-off

    async def _begin(self, request: Request, level: str, group: str = "") -> Response:
        wanted = request.headers.get("prefer", "").replace(" ", "").lower()
        if "respond-async" not in wanted:
            raise answer.Refusal(400, "an export is made in the background: send the header `Prefer: respond-async`")
        pairs = await self._pairs(request)
        grant, lenient = request.state.grant, "handling=lenient" in wanted

        def read() -> tuple[Asked, list[str]]:
            with self.services.record.reading() as reader:
                around = here(reader, listing.base_url(request))
                return bulk_asked.read(pairs, level=level, group=group, grant=grant, lenient=lenient, around=around)

        asked, left_out = await self._hop(read)
        address = str(request.url) if request.method == "GET" else f"{listing.base_url(request)}{_tail(request)}"
        try:
            job = await self._hop(
                lambda: self.services.bulk.jobs.begin(token=request.state.grant.name, address=address, asked=asked)
            )
        except TooMany as error:
            retry = {"retry-after": str(answer.RETRY_SECONDS * 5)}
            return answer.refused(request, 429, str(error), retry)
        self.services.bulk.wake()
        text = f"the export has begun; not known and left out: {', '.join(left_out)}" if left_out else _BEGUN
        headers = {"content-location": f"{listing.base_url(request)}/$export/{job.id}"}
        body = answer.outcome(text, code="informational", severity="information")
        return answer.fhir(request, body, status=202, headers=headers, lenient=True)

    async def _pairs(self, request: Request) -> list[tuple[str, str]]:
        pairs = list(request.query_params.multi_items())
        if request.method == "GET":
            if any(name == "patient" for name, _ in pairs):
                raise answer.Refusal(400, "patients are named in Parameters that are sent with POST")
            return pairs
        parameters = await body_of(request, self.waiting, self.services.resource_limit)
        if parameters.get("resourceType") != "Parameters":
            raise answer.Refusal(400, "the body is no Parameters")
        return pairs + list(bulk_asked.pairs_of(parameters))

    # ------------------------------------------------------------------------------------------ status

    async def status(self, request: Request) -> Response:
        """202 while it runs, 200 with the manifest, the error where it failed; 503 where it waits for room."""
        job = await self._own(request)
        problem = self.services.bulk.problems.get(job.id)
        if job.state == "failed":
            return answer.refused(request, 500, job.cause)
        if job.state == "running" and problem is not None:
            return answer.of_error(request, problem)
        if job.state == "running":
            stage = min(job.stage + 1, len(job.asked.types))
            said = f"{job.written} resources written, type {stage} of {len(job.asked.types)}"
            return Response(status_code=202, headers={"x-progress": said, "retry-after": str(POLL_SECONDS)})
        files = await self._hop(lambda: self.services.bulk.jobs.files(job.id))
        expires = format_datetime(moment(job.expires), usegmt=True)
        return Response(json.dumps(self._manifest(request, job, files)), headers={"expires": expires}, media_type=_JSON)

    def _manifest(self, request: Request, job: Job, files: Iterable[File]) -> dict[str, Any]:
        base = f"{listing.base_url(request)}/$export/{job.id}"
        listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": []}
        for each in files:
            listed[each.kind].append({"type": each.type, "url": f"{base}/{each.name}", "count": each.resources})
        return {
            "transactionTime": instant(job.at),
            "request": job.address,
            "requiresAccessToken": True,
            **listed,
            "error": [],
        }

    async def cancel(self, request: Request) -> Response:
        """Stops it, or deletes its files; afterwards it is not there."""
        job = await self._own(request)
        await self._hop(lambda: self.services.bulk.cancel(job.id))
        return Response(status_code=202)

    async def _own(self, request: Request) -> Job:
        """The export of the address, for whoever may see it; 404 for all others."""
        job = await self._hop(lambda: self.services.bulk.jobs.find(request.path_params["export"]))
        grant = request.state.grant
        if (
            job is None
            or (grant.name != job.token and EVERYTHING not in grant.scopes)
            or _over(job, self.services.now())
        ):
            raise answer.Refusal(404, "there is no such export, or no more")
        return job

    # ------------------------------------------------------------------------------------------ files

    async def file(self, request: Request) -> Response:
        """One file, with Range; compressed for whoever asks for it and for no part of it."""
        job = await self._own(request)
        files = await self._hop(lambda: self.services.bulk.jobs.files(job.id))
        found = next((each for each in files if each.name == request.path_params["file"]), None)
        path = self.services.bulk.folder / job.id / (found.name if found else "")
        if found is None or job.state != "done" or not await self._hop(path.is_file):
            raise answer.Refusal(404, "there is no such file")
        if found.kind == "output":
            allowed = request.state.grant.allows(found.type, "r")
            require(request, allowed, f"system/{found.type}.r")
        if "gzip" in request.headers.get("accept-encoding", "") and "range" not in request.headers:
            headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
            return StreamingResponse(_compressed(path), headers=headers, media_type=NDJSON)
        return FileResponse(path, media_type=NDJSON, headers={"vary": "accept-encoding"})

    async def _hop(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self.services.readers)


_JSON = "application/json"
_BEGUN = "the export has begun"


def _tail(request: Request) -> str:
    return str(request.url.path).partition("/fhir")[2]


def _over(job: Job, now: datetime) -> bool:
    return bool(job.expires) and moment(job.expires) <= now.astimezone(UTC)


async def _compressed(path: Path) -> AsyncIterator[bytes]:
    """The file as gzip (RFC 1952), a piece at a time."""
    packer = zlib.compressobj(6, wbits=31)
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(_CHUNK):
            yield await anyio.to_thread.run_sync(packer.compress, piece)
    yield packer.flush()
