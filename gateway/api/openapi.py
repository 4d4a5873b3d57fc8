"""The OpenAPI 3.1 description of the whole door, read from its own routes, so that no route is missing in it.

`/openapi.json` describes every address with its resource type as a parameter; `/openapi.json?type=Patient,Task` those
of some types, with their search parameters and the schema of their JSON.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api import answer, capability
from gateway.api.operations import PAGE_LIMIT, STATES
from gateway.api.people import DEEDS, PAGE
from gateway.fhir import definitions, json, json_schema

Schema = dict[str, Any]

MAXIMUM_TYPES = 20  # of one description
_AT: Final = "#/components/schemas/"
_JSON, _XML = "application/fhir+json", "application/fhir+xml"
_PATCHES: Final = ("application/json-patch+json", "application/merge-patch+json", _JSON, _XML)
_PATH: Final[dict[str, Schema]] = {
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-\.]{1,64}$"},
    "version": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}
_NUMBER: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": 1 << 62}
_LIST: Final[dict[str, Schema]] = {
    "state": {"enum": list(STATES)},
    "limit": {"type": "integer", "minimum": 0, "maximum": PAGE_LIMIT},
    "before": _NUMBER,
}
_PAGE: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": PAGE}
_OF_LISTS: Final = {
    "/operations/entries": _LIST,
    "/operations/deliveries": _LIST,
    "/operations/people": {"limit": _PAGE},
    "/operations/people/log": {"limit": _PAGE, "patient": _PATH["id"]},
}
_REPLAY: Final[Schema] = {
    "type": "object",
    "properties": {
        "entries": {"type": "array", "items": _NUMBER},
        "deliveries": {"type": "array", "items": _NUMBER},
        "parked": {"type": "boolean"},
    },
}
_DECISION: Final[Schema] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("why", "one", "other")} | {"number": _NUMBER},
    "required": ["why"],
}
_DESCRIBED: Final = ("/fhir", "/intake", "/health", "/metrics", "/operations")  # SOAP has its own, ?wsdl
_NAME: Final = re.compile(r"{(\w+)(?::\w+)?}")
_UNNAMED: Final = re.compile(r"[^a-z0-9_-]+")
_TEXT: Final[Schema] = {"type": "string", "pattern": r"^[^\x00-\x1f\x7f]*$", "maxLength": 500}
_PRESENTATION: Final[dict[str, Schema]] = {
    "_format": {"enum": ["json", "xml", _JSON, _XML]},
    "_pretty": {"enum": ["true", "false"]},
}
_RESULT: Final[dict[str, Schema]] = {
    **_PRESENTATION,
    "_summary": {"enum": ["true", "text", "data", "count", "false"]},
    "_elements": _TEXT,
    "_count": {"type": "integer", "minimum": 0, "maximum": 1000},
    "_sort": _TEXT,
    "_total": {"enum": ["none", "estimate", "accurate"]},
    "_include": _TEXT,
    "_revinclude": _TEXT,
}
_HISTORY: Final[dict[str, Schema]] = {
    **_PRESENTATION,
    "_count": {"type": "integer", "minimum": 1, "maximum": 1000},
    "_since": {"type": "string", "format": "date-time"},
    "_at": _TEXT,
}


class OpenApi:
    """Describes the routes of one application, also those that come later."""

    def __init__(self, routes: Sequence[BaseRoute], version: str) -> None:
        self._routes = routes
        self._info = {"title": "Hutong 互通", "version": version}

    def route(self) -> Route:
        """Its own address; whoever has a token may read it."""
        return Route("/openapi.json", self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """This description; `?type=Patient,Task` in detail."""
        types = tuple(filter(None, request.query_params.get("type", "").split(",")))
        if len(types) > MAXIMUM_TYPES or not definitions.resource_types().issuperset(types):
            raise answer.Refusal(400, f"type names up to {MAXIMUM_TYPES} resource types of R4, such as Patient,Task")
        return Response(json.dumps(self.described(types)), media_type="application/json")

    def described(self, types: tuple[str, ...] = ()) -> Schema:
        """The document. Types must be known."""
        paths: dict[str, Any] = {}
        for route in self._routes:
            if isinstance(route, Route) and route.path.startswith(_DESCRIBED):
                for path, fixed in _addresses(route.path, types):
                    paths.setdefault(path, {}).update(_methods(route, path, fixed))
        bodies = json_schema.schemas(types, at=_AT) if types else {}
        return {
            "openapi": "3.1.0",
            "info": self._info,
            "paths": paths,
            "components": {
                "schemas": {**bodies, "AnyResource": json_schema.ANY},
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"token": []}],
        }


def _addresses(pattern: str, types: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """The path as OpenAPI writes it, once for each of the types asked for; the type, or ''."""
    path = _NAME.sub(r"{\1}", pattern).rstrip("/")  # /fhir/ is /fhir
    if "{type}" not in path or not types:
        return [(path, "")]
    return [(path.replace("{type}", each), each) for each in types]


def _methods(route: Route, path: str, fixed: str) -> dict[str, Any]:
    parameters = [_path_parameter(name, path) for name in _NAME.findall(path)]
    found = {}
    for method in sorted((route.methods or set()) - {"HEAD"}):
        operation: Schema = {
            "summary": (inspect.getdoc(route.endpoint) or "").partition("\n\n")[0].replace("\n", " "),
            "operationId": _UNNAMED.sub("_", f"{method}{path}".lower().replace("$", "do-")).strip("_"),
            "parameters": [*parameters, *_query(method, path, fixed)],
            "responses": _answers(path, fixed),
        }
        if method in ("POST", "PUT", "PATCH"):
            operation["requestBody"] = {"required": "$" not in path, "content": _body(method, path, fixed)}
        if path == "/health":
            operation["security"] = []
        found[method.lower()] = operation
    return found


def _path_parameter(name: str, path: str) -> Schema:
    schema = _PATH.get(name, {"type": "string", "pattern": r"^[A-Za-z0-9._-]{1,64}$"})
    if path.startswith("/operations"):
        schema = {"enum": list(DEEDS)} if name == "deed" else _NUMBER
    if name in ("type", "compartment"):
        schema = {"enum": sorted(definitions.resource_types())}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(method: str, path: str, fixed: str) -> list[Schema]:
    """The parameters of the address."""
    last = path.rpartition("/")[2]
    if path in _OF_LISTS:
        known: dict[str, Schema] = dict(_OF_LISTS[path])
    elif not path.startswith("/fhir") or last.startswith("$") or last == "metadata":
        known = dict(_PRESENTATION) if path.startswith("/fhir") else {}
    elif last == "_history" and method == "GET":
        known = dict(_HISTORY)
    elif _searches(method, path):
        known = dict(_RESULT) | dict.fromkeys(capability.search_names(fixed) if fixed else ("_id", "_tag"), _TEXT)
        known["_lastUpdated"] = _TEXT
    else:
        known = dict(_PRESENTATION)
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in known.items()]


def _searches(method: str, path: str) -> bool:
    last = path.rpartition("/")[2]
    return last == "_search" or (method == "GET" and not path.endswith(("{id}", "{version}")) and last != "metadata")


def _body(method: str, path: str, fixed: str) -> Schema:
    if path.startswith("/operations"):
        return {"application/json": {"schema": _REPLAY if path == "/operations/replay" else _DECISION}}
    if not path.startswith("/fhir"):
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    if path.endswith("_search"):
        return {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
    if method == "PATCH":
        return {kind: {"schema": {}} for kind in _PATCHES}
    name = fixed if fixed and "$" not in path else "AnyResource"
    return {_JSON: {"schema": {"$ref": f"{_AT}{name}"}}, _XML: {"schema": {"type": "string"}}}


def _answers(path: str, fixed: str) -> Schema:
    """What comes back: a resource, or an OperationOutcome with any status of an error."""
    some: Schema = {"schema": {"$ref": f"{_AT}AnyResource"}}
    if not path.startswith("/fhir"):
        return {"default": {"description": "the answer in the format of the channel, or why not"}}
    read = fixed == "Binary" or "{type}" in path or "{id}" in path
    content = {_JSON: some, _XML: {}} | ({"*/*": {}} if read else {})
    headers = {
        name: {"schema": {"type": "string"}, "description": text}
        for name, text in (("etag", 'the version: W/"3"'), ("last-modified", "when it was written"))
    }
    return {
        "2XX": {"description": "done; empty with Prefer: return=minimal", "headers": headers, "content": content},
        "204": {"description": "done, and there is nothing to say"},
        "304": {"description": "nothing has changed"},
        "default": {"description": "an OperationOutcome that names place, cause and remedy",
                    "content": {_JSON: some, _XML: {}}},
    }  # fmt: skip
