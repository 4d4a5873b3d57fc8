"""What a request brings: a resource as FHIR JSON or XML, or a patch, read by its media type and checked.

R4 http.html#mime-type, #patch, json.html, xml.html.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route

from gateway.api import answer
from gateway.errors import Permanent
from gateway.fhir import definitions, json, patch, validate, xml
from gateway.model import Resource
from gateway.store.stored import Stored

_JSON = frozenset({"application/fhir+json", "application/json", "application/json+fhir", "text/json"})
_XML = frozenset({"application/fhir+xml", "application/xml", "application/xml+fhir", "text/xml"})
_MERGE = frozenset({"application/merge-patch+json", "application/json"})  # fhirpy sends the latter

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*")

Patch = Callable[[Resource], Resource]


def type_of(request: Request) -> str:
    """The resource type in the address; 404 for none of R4's, and for an operation that there is not; 405 for one that
    is called otherwise."""
    if any(str(part).startswith("$") for part in request.path_params.values()):
        if methods := {each for route in request.app.routes if _names_it(route, request) for each in route.methods}:
            allow = {"allow": ", ".join(sorted(methods))}
            raise answer.Refusal(405, "this operation is not called by this method", headers=allow)
        raise answer.Refusal(404, "there is no such operation here; the CapabilityStatement names those that there are")
    name: str = request.path_params["type"]
    if name not in definitions.resource_types():
        raise answer.Refusal(404, "there is no such resource type in FHIR R4; names are written as in `Patient`")
    return name


def _names_it(route: BaseRoute, request: Request) -> bool:
    return isinstance(route, Route) and "$" in route.path and route.matches(request.scope)[0] is not Match.NONE


def parsed(request: Request, body: bytes) -> Resource:
    """The resource of a body, not checked yet. 415 for another format, 400 for what is no resource."""
    kind = _media_type(request)
    if kind in _XML:
        return xml.from_xml(body)
    if kind not in _JSON:
        raise answer.Refusal(415, "send application/fhir+json or application/fhir+xml")
    resource = json.received(body)
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise answer.Refusal(400, "no FHIR resource: an object with resourceType")
    return resource


def parts_of(parameters: Resource) -> list[dict[str, Any]]:
    """The single parameters of Parameters that nobody has checked."""
    found = parameters.get("parameter")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def resource_of(request: Request, body: bytes, type_name: str) -> Resource:
    """The valid resource of a body. 400 for one of another type, Permanent for one that is not valid R4."""
    resource = _binary(request, body) if type_name == "Binary" else parsed(request, body)
    if resource["resourceType"] != type_name:
        raise answer.Refusal(400, f"the body is no {type_name}")
    validate.check(resource)
    return resource


def _binary(request: Request, body: bytes) -> Resource:
    """A Binary, or any content that becomes one (R4 binary.html#rest)."""
    kind = _media_type(request)
    if kind in _JSON | _XML:
        return parsed(request, body)
    made: Resource = {"resourceType": "Binary", "contentType": kind or "application/octet-stream"}
    if key := request.path_params.get("id"):
        made["id"] = key
    if context := request.headers.get("x-security-context"):
        made["securityContext"] = {"reference": context}
    return {**made, "data": base64.b64encode(body).decode()}


def content_of(stored: Stored) -> tuple[bytes, str]:
    """What a Binary holds, and its media type."""
    binary = stored.resource
    kind = str(binary.get("contentType", ""))
    return base64.b64decode(binary.get("data", "")), kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"


def patch_of(request: Request, body: bytes) -> Patch:
    """The patch of a body: JSON Patch, JSON Merge Patch or FHIRPath Patch."""
    kind = _media_type(request)
    if kind == "application/json-patch+json":
        return json_patch(json.received(body))
    if kind not in _MERGE | _JSON | _XML:
        raise answer.Refusal(
            415, "send application/json-patch+json, merge-patch+json, or Parameters as application/fhir+json"
        )
    content: Any = xml.from_xml(body) if kind in _XML else json.received(body)
    if isinstance(content, list):
        return json_patch(content)
    if isinstance(content, dict) and content.get("resourceType") == "Parameters":
        validate.check(content)
        return applied(patch.fhirpath_patch, content)
    if isinstance(content, dict) and kind in _MERGE | _JSON:
        return applied(patch.merge_patch, content)
    raise answer.Refusal(400, "no patch: see R4 http.html#patch")


def json_patch(operations: Any) -> Patch:
    """RFC 6902; 400 for what is no list."""
    if not isinstance(operations, list):
        raise answer.Refusal(400, "a JSON Patch is a list of operations (RFC 6902)")
    return applied(patch.json_patch, operations)


def applied(how: Callable[[Resource, Any], Resource], content: Any) -> Patch:
    """A patch that makes nothing but the same resource, and a valid one."""

    def patched(stored: Resource) -> Resource:
        made = how(stored, content)
        if not isinstance(made, dict) or any(made.get(name) != stored.get(name) for name in ("resourceType", "id")):
            raise Permanent("a patch changes neither the type nor the id", place="PATCH")
        validate.check(made)
        return made

    return patched


def _media_type(request: Request) -> str:
    """415 for one of another version of FHIR."""
    kind, *parameters = request.headers.get("content-type", "").lower().split(";")
    if answer.other_version(parameters):
        raise answer.Refusal(415, "FHIR R4 is served: fhirVersion=4.0")
    return kind.strip()
