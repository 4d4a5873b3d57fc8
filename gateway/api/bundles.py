"""Bundles of type batch and transaction: what each entry asks for, and the Bundle of answers.

R4 http.html#transaction. A transaction is all of it or nothing; of a batch each entry stands alone, and one that is
refused says so in its answer. Both are one transaction of the database.
"""

from __future__ import annotations

import base64
import functools
import re
from datetime import datetime
from http import HTTPStatus
from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request

from gateway.api import answer, entries, histories, listing
from gateway.api.form import PRESENTATION
from gateway.api.guard import require
from gateway.api.resource import Patch, applied, json_patch, parsed
from gateway.api.services import Services
from gateway.api.subscribing import exchanged
from gateway.db.engine import Transaction
from gateway.errors import HutongError, Permanent, Transient
from gateway.fhir import definitions, json, patch, validate
from gateway.model import Change, Resource
from gateway.store import query, subset
from gateway.store import request as asking
from gateway.store.exchange import ORDER, Asked, Done, Exchanged
from gateway.store.stored import Stored
from gateway.store.transact import MAXIMUM_ENTRIES

Pairs = tuple[tuple[str, str], ...]

LARGE = 1 << 16  # bytes; checked beside the others, not before them: a millisecond and more
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # R4 datatypes.html#id
_VERBS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}
_READS = frozenset({"GET", "HEAD"})
_METHODS = _READS | ORDER.keys()


class _Entry(msgspec.Struct, kw_only=True):
    """One entry: what it asks for, and where it stands."""

    position: int
    method: str
    path: tuple[str, ...]  # Type, Type/id, Type/id/_history/version
    query: Pairs
    headers: dict[str, str]  # ifMatch, ifNoneMatch, ifNoneExist
    resource: Resource | None
    full_url: str

    @property
    def place(self) -> str:
        return f"Bundle.entry[{self.position}]"

    @property
    def type(self) -> str:
        return self.path[0]


class Bundles:
    """One Bundle that came to the root of the service, for one caller."""

    def __init__(self, services: Services, request: Request) -> None:
        self._services = services
        self._request = request
        self._base = listing.base_url(request)
        self._answers: dict[int, bytes] = {}
        self._elsewhere: list[int] = []  # entries of a batch that are requests of their own
        self._named: set[str] = set()  # fullUrls
        self._at: tuple[datetime, str] | None = None  # the time that was last written, and how
        self._permitted: set[tuple[str, str]] = set()  # types and writing methods
        wanted = request.headers.get("prefer", "").replace(" ", "").lower()
        self._whole = "return=representation" in wanted
        self._told = "return=operationoutcome" in wanted

    async def run(self, body: bytes) -> bytes:
        """Do what it asks; the Bundle of answers, in the order of the entries. Raises Permanent for what is neither a
        batch nor a transaction, and for whatever keeps a transaction from being done."""
        bundle = parsed(self._request, body)
        asked = bundle.get("entry", [])
        kind = bundle.get("type")
        if kind not in ("batch", "transaction") or not isinstance(asked, list):
            raise Permanent("a Bundle of type batch or transaction is sent here", place="Bundle.type")
        if len(asked) > MAXIMUM_ENTRIES:
            raise Permanent(f"more than {MAXIMUM_ENTRIES} entries", place="Bundle.entry", remedy="send several Bundles")
        if not asked:  # some clients send an empty list where R4 wants none
            bundle.pop("entry", None)
        if kind == "transaction":
            if len(body) < LARGE:
                validate.check(bundle)
            else:
                await anyio.to_thread.run_sync(validate.check, bundle, limiter=self._services.readers)
            await self._services.write(lambda transaction: self._together(transaction, asked))
        else:
            await self._services.write(lambda transaction: self._each(transaction, asked))
            for position in self._elsewhere:
                self._answers[position] = await entries.answered(self._request, asked[position])
        head = json.dumps({"resourceType": "Bundle", "type": f"{kind}-response"})
        answers = [self._answers[position] for position in range(len(asked))]
        return head[:-1] + b',"entry":[' + b",".join(answers) + b"]}" if answers else head

    # ------------------------------------------------------------------------------------------ transaction, batch

    def _together(self, transaction: Transaction, raw: list[Any]) -> Exchanged:
        read = [_entry(each, position, self._base) for position, each in enumerate(raw)]
        for each in read:
            self._permit(each)
        written = [each for each in read if each.method not in _READS]
        asked = [_asked(each) for each in written]
        made = exchanged(self._services, self._request, transaction, asked, together=True)
        for each, done in zip(written, made.done, strict=True):
            self._answers[each.position] = self._done(done)
        for each in read:
            if each.method in _READS:
                self._answers[each.position] = self._read(transaction, each)
        return made

    def _each(self, transaction: Transaction, raw: list[Any]) -> Exchanged:
        """Each entry of a batch, in the order of their methods (R4 http.html#trules)."""
        changes: list[Change] = []
        self._elsewhere = [place for place, each in enumerate(raw) if entries.is_request(each, self._base)]
        if len(self._elsewhere) > entries.MAXIMUM:
            cause = f"more than {entries.MAXIMUM} entries ask for an operation or for what no resource is"
            raise Permanent(cause, place="Bundle.entry", remedy="send several Bundles")
        asked = [(place, each) for place, each in enumerate(raw) if place not in set(self._elsewhere)]
        for position, each in sorted(asked, key=lambda pair: _rank(pair[1])):
            transaction.execute("SAVEPOINT entry")
            try:
                changes.extend(self._alone(transaction, each, position))
            except Transient:
                raise
            except (HutongError, answer.Refusal) as error:
                transaction.execute("ROLLBACK TO entry")
                self._answers[position] = _refused(error)
            transaction.execute("RELEASE entry")
        return Exchanged(done=(), changes=tuple(changes))

    def _alone(self, transaction: Transaction, raw: Any, position: int) -> tuple[Change, ...]:
        entry = _entry(raw, position, self._base)
        self._permit(entry)
        if entry.method in _READS:
            self._answers[position] = self._read(transaction, entry)
            return ()
        if entry.resource is not None:
            validate.check(entry.resource)
        made = exchanged(self._services, self._request, transaction, [_asked(entry)])
        self._answers[position] = self._done(made.done[0])
        return made.changes

    def _permit(self, entry: _Entry) -> None:
        if (entry.path[0], entry.method) in self._permitted:
            return
        verb = _VERBS.get(entry.method) or ("r" if len(entry.path) > 1 else "s")
        grant = self._request.state.grant
        require(self._request, grant.allows(entry.type, verb), f"system/{entry.type}.{verb}")
        if verb == "s" and any("." in name or name.startswith("_has:") for name, _ in entry.query):
            require(self._request, grant.allows("*", "s"), "system/*.s for chained searches")
        if entry.method in _VERBS:
            self._permitted.add((entry.type, entry.method))

    # ------------------------------------------------------------------------------------------ answers

    def _done(self, done: Done) -> bytes:
        stored = done.stored
        if stored is None or done.status == 204:
            return _answer({"status": _status(done.status)})
        location = f"{stored.type}/{stored.id}/_history/{stored.version}"
        if not self._told and not self._whole:
            return b'{"response":{"status":"%s","location":"%s","etag":"W/\\"%d\\"","lastModified":"%s"}}' % (
                _status(done.status).encode(), location.encode(), stored.version, self._written(stored).encode(),
            )  # fmt: skip
        response: dict[str, Any] = {"status": _status(done.status), "location": location, **self._version(stored)}
        if self._told:
            response["outcome"] = answer.outcome("done", code="informational", severity="information")
        return self._with_body(response, stored) if self._whole else _answer(response)

    def _version(self, stored: Stored) -> dict[str, str]:
        return {"etag": f'W/"{stored.version}"', "lastModified": self._written(stored)}

    def _written(self, stored: Stored) -> str:
        """All that a transaction wrote has one time."""
        if self._at is None or self._at[0] is not stored.updated:
            self._at = (stored.updated, listing.instant(stored.updated))
        return self._at[1]

    def _with_body(self, response: dict[str, Any], stored: Stored) -> bytes:
        """Only the first answer about a resource has its URL (R4 bundle.html bdl-7)."""
        url = f"{self._base}/{stored.reference}"
        again = url in self._named
        self._named.add(url)
        return _answer(response, stored.body, "" if again else url)

    def _read(self, reader: Transaction, entry: _Entry) -> bytes:
        """GET Type/id, Type/id/_history/version, Type/id/_history, Type?search."""
        record = self._services.record
        match entry.path:
            case (type_name,):
                return self._searched(reader, type_name, entry)
            case (type_name, "_search"):
                return self._searched(reader, type_name, entry)
            case (type_name, key):
                return self._one(entry, record.read(type_name, key, reader=reader))
            case (type_name, key, "_history", version) if (
                version.isascii() and version.isdecimal() and len(version) < 10
            ):
                return self._one(entry, record.vread(type_name, key, int(version), reader=reader))
            case (type_name, key, "_history"):
                pairs = [pair for pair in entry.query if pair[0] not in PRESENTATION]
                page = histories.page(record, type_name, key, pairs, reader=reader)
                made = listing.history(self._request, page, pairs, path="/".join(entry.path))
                return _answer({"status": _status(200)}, made)
        raise answer.Refusal(404, "there is nothing at this address")

    def _searched(self, reader: Transaction, type_name: str, entry: _Entry) -> bytes:
        pairs = list(entry.query)
        page = self._services.record.search(type_name, pairs, base=listing.base_url(self._request), reader=reader)
        grant = self._request.state.grant
        included = [stored for stored in page.included if grant.allows(stored.type, "r")]
        return _answer({"status": _status(200)}, listing.search(self._request, type_name, page, included, pairs))

    def _one(self, entry: _Entry, stored: Stored | None) -> bytes:
        if stored is None:
            raise answer.Refusal(404, f"there is no {entry.type} with this id, or no such version")
        if stored.deleted:
            raise answer.Refusal(410, f"this {entry.type} was deleted")
        if _unchanged(entry, stored):
            return _answer({"status": _status(304), **self._version(stored)})
        if entry.method == "HEAD":
            return _answer({"status": _status(200), **self._version(stored)})
        pairs = [pair for pair in entry.query if pair[0] in subset.PARTS]
        if pairs:
            asked = query.read(entry.type, pairs)
            stored = subset.cut(stored, summary=asked.summary, elements=asked.elements)
        return self._with_body({"status": _status(200), **self._version(stored)}, stored)


def _unchanged(entry: _Entry, stored: Stored) -> bool:
    """Does the caller have this version already (R4 bundle.html: request.ifNoneMatch, ifModifiedSince)?"""
    if (tag := entry.headers.get("ifNoneMatch", "").strip()) and tag != asking.ANY_VERSION:
        return asking.read_etag(tag) == stored.version
    since = entry.headers.get("ifModifiedSince", "")
    try:
        return not tag and bool(since) and stored.updated <= datetime.fromisoformat(since)
    except (TypeError, ValueError):
        place = f"{entry.place}.request.ifModifiedSince"
        raise Permanent("no instant", place=place, remedy="write 2026-03-05T10:00:00+08:00") from None


@functools.cache
def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"


def _answer(response: dict[str, Any], resource: bytes = b"", full_url: str = "") -> bytes:
    url = b'"fullUrl":%s,' % json.dumps(full_url) if full_url else b""
    body = b'"resource":%s,' % resource if resource else b""
    return b'{%s%s"response":%s}' % (url, body, json.dumps(response, finite=True))


def _refused(error: Exception) -> bytes:
    if isinstance(error, HutongError):
        status, outcome = answer.failure(error)
    else:
        status = getattr(error, "status_code", 500)
        outcome = answer.said(status, str(getattr(error, "detail", error)))
    return _answer({"status": _status(status), "outcome": outcome})


# ------------------------------------------------------------------------------------------------ reading entries


def _rank(raw: Any) -> int:
    request = raw.get("request") if isinstance(raw, dict) else None
    return ORDER.get(request.get("method", ""), len(ORDER)) if isinstance(request, dict) else len(ORDER)


def _entry(raw: Any, position: int, base: str) -> _Entry:
    """What an entry asks for. Raises Permanent for what is no request."""
    request = raw.get("request") if isinstance(raw, dict) else None
    if not isinstance(request, dict):
        raise _unclear(position, "the entry asks for nothing", "give it a request with method and url")
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in _METHODS or not isinstance(url, str):
        raise _unclear(position, "no method and url", "GET, HEAD, POST, PUT, PATCH or DELETE")
    types, resource = definitions.resource_types(), raw.get("resource")
    parts, query = ((url,), "") if url in types else _parts(url, base)
    if not parts or parts[0] not in types:
        raise Permanent("not the URL of a resource or a type", place=f"Bundle.entry[{position}].request.url")
    return _Entry(
        position=position, method=method, path=parts, query=asking.pairs(query) if query else (),
        headers={name: str(value) for name, value in request.items() if name.startswith("if")},
        resource=resource if isinstance(resource, dict) else None, full_url=str(raw.get("fullUrl", "")),
    )  # fmt: skip


def _parts(url: str, base: str) -> tuple[tuple[str, ...], str]:
    """Of `Type/id?query` and the like, also with the address of this service: path and query."""
    path, _, query = url.removeprefix(f"{base}/").removeprefix("/").partition("?")
    return tuple([part for part in path.split("/") if part]), query


def _unclear(position: int, cause: str, remedy: str) -> Permanent:
    return Permanent(cause, place=f"Bundle.entry[{position}].request", remedy=remedy)


def asked_of(raw: Any, position: int) -> Asked:
    """The change that an entry of a transaction asks for, as it came. Raises Permanent for what asks for none."""
    return _asked(_entry(raw, position, ""))


def _asked(entry: _Entry) -> Asked:
    """The change that an entry asks for."""
    key = entry.path[1] if len(entry.path) > 1 else ""
    if len(entry.path) > 2 or (key and (entry.method == "POST" or not _ID.fullmatch(key))):
        raise Permanent(f"not a URL for {entry.method}", place=f"{entry.place}.request.url")
    if entry.method != "POST" and not key and not entry.query:
        raise Permanent("neither an id nor a condition", place=f"{entry.place}.request.url")
    condition = entry.query if entry.method != "POST" else asking.pairs(entry.headers.get("ifNoneExist", ""))
    asked = Asked(
        method=entry.method, type=entry.type, id=key, condition=() if key else condition,
        full_url=entry.full_url, place=entry.place,
    )  # fmt: skip
    if match := entry.headers.get("ifMatch", ""):
        asked.version, asked.existing = asking.read_etag(match), match.strip() == asking.ANY_VERSION
    asked.fresh = entry.headers.get("ifNoneMatch", "").strip() == asking.ANY_VERSION
    if entry.method == "PATCH":
        asked.patch = _patch(entry)
    elif entry.method != "DELETE":
        asked.resource = _resource(entry, key)
    return asked


def _resource(entry: _Entry, key: str) -> Resource:
    resource = entry.resource
    if resource is None or resource.get("resourceType") != entry.type:
        raise Permanent(f"the resource is no {entry.type}", place=f"{entry.place}.resource")
    if key and resource.get("id", key) != key:
        raise Permanent("the id of the resource is not the id in the URL", place=f"{entry.place}.resource")
    return resource


def _patch(entry: _Entry) -> Patch:
    """Parameters (FHIRPath Patch), or a Binary with a JSON Patch (R4 http.html#patch)."""
    resource = entry.resource or {}
    if resource.get("resourceType") == "Parameters":
        return applied(patch.fhirpath_patch, resource)
    if resource.get("resourceType") == "Binary" and resource.get("contentType") == "application/json-patch+json":
        try:
            return json_patch(json.loads(base64.b64decode(str(resource.get("data", "")), validate=True)))
        except ValueError:
            raise Permanent("the data of the Binary is no base64", place=f"{entry.place}.resource.data") from None
    raise Permanent("a patch is Parameters, or a Binary with a JSON Patch", place=f"{entry.place}.resource")
