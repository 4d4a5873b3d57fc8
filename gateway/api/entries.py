"""What an entry of a batch asks for besides resources and searches of a type: an operation, the CapabilityStatement, a
compartment, a history of many, a search by POST or of the whole record. Each is a request of its own to the same door.

R4 http.html#transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.requests import Request
from starlette.types import Message

from gateway.api.form import PRESENTATION
from gateway.api.listing import base_url
from gateway.fhir import json
from gateway.model import Resource
from gateway.store.request import pairs

_METHODS = frozenset({"GET", "HEAD", "POST"})
_FHIR_JSON = b"application/fhir+json"
_FORM = b"application/x-www-form-urlencoded"
MAXIMUM = 100  # of them in one batch


def is_request(raw: Any, base: str) -> bool:
    """Does this entry of a batch ask for something that has an address of its own?"""
    asked = raw.get("request") if isinstance(raw, dict) else None
    if not isinstance(asked, dict) or asked.get("method") not in _METHODS or not isinstance(asked.get("url"), str):
        return False
    match _path(asked["url"], base).split("/"):
        case [_, _, "_history", *_] | [_, "_search"] if asked["method"] != "POST":
            return False
        case [""]:
            return bool(asked["method"] != "POST")
        case ["metadata"] | [_, _, _, *_]:
            return True
        case parts:
            return any(part.startswith(("$", "_")) for part in parts)


def _path(url: str, base: str) -> str:
    return url.partition("?")[0].removeprefix(f"{base}/").strip("/")


async def answered(request: Request, raw: Mapping[str, Any]) -> bytes:
    """The entry of the answer, asked of the door as the caller of the batch would ask."""
    asked = raw["request"]
    path = f"/fhir/{unquote(_path(asked['url'], base_url(request)))}"
    query = urlencode([pair for pair in pairs(asked["url"].partition("?")[2]) if pair[0] not in PRESENTATION])
    resource = raw.get("resource")
    body = json.dumps(resource) if isinstance(resource, dict) and asked["method"] == "POST" else b""
    kind = _FORM if path.endswith("/_search") else _FHIR_JSON
    kept = [pair for pair in request.scope["headers"] if pair[0] in (b"authorization", b"host")]
    scope = {
        **{name: value for name, value in request.scope.items() if name not in ("endpoint", "path_params", "route")},
        "method": asked["method"], "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "state": {},
        "headers": [
            *kept, (b"accept", _FHIR_JSON), (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
        ],
    }  # fmt: skip
    heard: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        heard.append(message)

    await request.app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in heard[1:])
    return _entry(heard[0]["status"], dict(heard[0]["headers"]), content)


def _entry(status: int, headers: Mapping[bytes, bytes], content: bytes) -> bytes:
    response: Resource = {"status": f"{status} {HTTPStatus(status).phrase}"}
    response.update(
        (name, headers[name.encode()].decode()) for name in ("location", "etag") if name.encode() in headers
    )
    if status >= HTTPStatus.BAD_REQUEST:
        return json.dumps({"response": {**response, "outcome": json.loads(content)}})
    is_resource = headers.get(b"content-type", b"").startswith(_FHIR_JSON) and content
    body = b'"resource":%s,' % content if is_resource else b""
    return b'{%s"response":%s}' % (body, json.dumps(response))
