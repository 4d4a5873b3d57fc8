"""Bundles of many: searchset and history, with links and total (R4 bundle.html#searchset, http.html#history).

The stored bytes of each resource are put in as they are, so nothing is parsed or re-written on the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from gateway.api import answer
from gateway.fhir import json
from gateway.store.stored import Page, Stored

CURSOR = "_cursor"
Pairs = list[tuple[str, str]]

_OURS = re.compile("[0-9a-hjkmnp-tv-z]{26}")  # the ids that this server gives, see Workspace.new_id


def base_url(request: Request) -> str:
    """The address of the FHIR service as the caller wrote it, without a closing slash."""
    return f"{str(request.base_url).rstrip('/')}/fhir"


def search(request: Request, path: str, page: Page, included: Iterable[Stored], pairs: Pairs) -> bytes:
    """A searchset: matches, then what was included, then a warning about parameters that were not known."""
    base = base_url(request)
    entries = [_found(base, stored, b"match") for stored in page.matches]
    entries += [_found(base, stored, b"include") for stored in included]
    if page.ignored:
        text = f"not known for {path or 'all'}, so left out of the search: {', '.join(page.ignored)}"
        warning = json.dumps(answer.outcome(text, code="not-supported", severity="warning"))
        entries.append(b'{"resource":%s,"search":{"mode":"outcome"}}' % warning)
    used = [(name, value) for name, value in pairs if value and name not in page.ignored]
    return _bundle("searchset", page, _links(f"{base}/{path}".rstrip("/"), used, page.next), entries)


def history(request: Request, page: Page, pairs: Pairs, *, path: str = "") -> bytes:
    """A history: each version with the request that made it; a deletion has no resource. `path`: of an entry of a
    batch."""
    base = base_url(request)
    path = path or request.url.path.partition("/fhir/")[2]
    entries = [_version(base, stored) for stored in page.matches]
    return _bundle("history", page, _links(f"{base}/{path}", pairs, page.next), entries)


def _found(base: str, stored: Stored, mode: bytes) -> bytes:
    address = json.dumps(f"{base}/{stored.reference}")
    return b'{"fullUrl":%s,"resource":%s,"search":{"mode":"%s"}}' % (address, stored.body, mode)


def _version(base: str, stored: Stored) -> bytes:
    method, status = _made(stored)
    response = {
        "status": status,
        "etag": f'W/"{stored.version}"',
        "lastModified": instant(stored.updated),
    }
    asked = {"method": method, "url": stored.type if method == "POST" else stored.reference}
    address, head, tail = (json.dumps(part) for part in (f"{base}/{stored.reference}", asked, response))
    resource = b"" if stored.deleted else b'"resource":%s,' % stored.body
    return b'{"fullUrl":%s,%s"request":%s,"response":%s}' % (address, resource, head, tail)


def _made(stored: Stored) -> tuple[str, str]:
    """(method, status) of the request that made a version. Under an id that is not ours it was made by an update (R4
    http.html#upsert)."""
    if stored.deleted:
        return "DELETE", "204"
    if stored.renewed:
        return "PUT", "201"
    if stored.version > 1:
        return "PUT", "200"
    return "POST" if _OURS.fullmatch(stored.id) else "PUT", "201"


def instant(moment: datetime) -> str:
    """A time as FHIR writes it, with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _links(address: str, pairs: Pairs, next_cursor: str | None) -> list[dict[str, str]]:
    begin = [pair for pair in pairs if pair[0] != CURSOR]
    links = [{"relation": "self", "url": _url(address, pairs)}, {"relation": "first", "url": _url(address, begin)}]
    if next_cursor:
        links.append({"relation": "next", "url": _url(address, [*begin, (CURSOR, next_cursor)])})
    return links


def _url(address: str, pairs: Pairs) -> str:
    return f"{address}?{urlencode(pairs, safe=':/|,-_.*')}" if pairs else address


def _bundle(kind: str, page: Page, links: list[dict[str, str]], entries: list[bytes]) -> bytes:
    head: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if page.total is not None:
        head["total"] = page.total
    head["link"] = links
    body = json.dumps(head)
    return body[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else body
