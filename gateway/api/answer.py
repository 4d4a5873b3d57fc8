"""How the door answers: FHIR JSON or XML, pretty when asked, and an OperationOutcome for everything that went wrong.

FHIR R4 http.html#mime-type, #general; operationoutcome.html. Texts of errors are ours: place, cause and remedy,
never a patient's data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway import errors
from gateway.fhir import json, xml
from gateway.fhir.validate import Invalid, Problem
from gateway.store.stored import Missing, PreconditionFailed

FHIR_VERSION = "4.0"  # as media types name it
FHIR_JSON = "application/fhir+json; charset=utf-8"
FHIR_XML = "application/fhir+xml; charset=utf-8"
RETRY_SECONDS = 2  # what Retry-After says on back-pressure
MAXIMUM_ISSUES = 100  # of one resource that is not valid

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML 1.0 has no form for
_TYPE = re.compile(r"[A-Z][A-Za-z]+")
_PATH = re.compile(r"[A-Z][A-Za-z]+(\.[A-Za-z_]+(\[\d+\])?)+")
_JSON_NAMES = {"json", "application/json", "application/fhir+json", "application/json+fhir", "text/json"}
_XML_NAMES = {"xml", "application/xml", "application/fhir+xml", "application/xml+fhir", "text/xml"}
_ANY_NAMES = {"*/*", "application/*", "text/html", "text/*", "text/plain"}

_STATUS: Mapping[type[errors.HutongError], tuple[int, str]] = {  # the first that fits
    PreconditionFailed: (412, "conflict"),
    Missing: (404, "not-found"),
    errors.Transient: (503, "transient"),
    errors.Ambiguous: (502, "incomplete"),
    errors.Configuration: (422, "processing"),
    errors.Permanent: (400, "invalid"),
}
_CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    503: "transient",
}


class Refusal(HTTPException):
    """An answer that is an error, with its text for the OperationOutcome."""


def outcome(text: str, *, code: str, severity: str = "error", place: str = "") -> dict[str, Any]:
    """An OperationOutcome with one issue; `text` is for people and never empty."""
    issue: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": _UNWRITABLE.sub("?", text)}
    if place:
        issue["expression"] = [_UNWRITABLE.sub("?", place)]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def said(status: int, text: str) -> dict[str, Any]:
    """The OperationOutcome of a status of HTTP."""
    return outcome(text, code=_CODES.get(status, "exception"))


def refused(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as an OperationOutcome, in the format that was asked for where that is possible."""
    return fhir(request, said(status, text), status=status, headers=headers, lenient=True)


def of_error(request: Request, error: errors.HutongError) -> Response:
    """One of our errors, by what happens next: Transient 503, Ambiguous 502, Configuration 422, Permanent 400."""
    status, body = failure(error)
    headers = {"retry-after": str(RETRY_SECONDS)} if status == 503 else None
    return fhir(request, body, status=status, headers=headers, lenient=True)


def failure(error: errors.HutongError) -> tuple[int, dict[str, Any]]:
    """The status of one of our errors, and what is said."""
    status, code = next((pair for kind, pair in _STATUS.items() if isinstance(error, kind)), (500, "exception"))
    if isinstance(error, Invalid) and len(error.problems) > 1:
        issues = [_issue(each) for each in error.problems[:MAXIMUM_ISSUES]]
        return status, {"resourceType": "OperationOutcome", "issue": issues}
    code = error.problems[0].code if isinstance(error, Invalid) else code
    whole = isinstance(error, Invalid) and _TYPE.fullmatch(error.place)  # an invariant of the resource as such
    return status, outcome(str(error), code=code, place=error.place if whole or _is_path(error.place) else "")


def _issue(problem: Problem) -> dict[str, Any]:
    said = outcome(f"{problem.path}: {problem.text}", code=problem.code, place=problem.path)
    return dict(said["issue"][0])


def _is_path(place: str) -> bool:
    """Is the place of an error an element: `Patient.name[0].given`?"""
    return bool(_PATH.fullmatch(place))


def wants_xml(request: Request, *, lenient: bool = False) -> bool:
    """Whether XML is asked for by _format or Accept. 406 for formats that there are not (json when `lenient`)."""
    asked = _presented(request, "_format").replace(" ", "+").partition(";")[0].lower()
    accept = "" if asked else request.headers.get("accept", "")
    for name in [asked] if asked else _accepted(accept):
        if name in _XML_NAMES:
            return True
        if name in _JSON_NAMES or name in _ANY_NAMES:
            return False
    if (asked or accept.strip()) and not lenient:
        raise Refusal(406, "the format asked for is not served; ask for application/fhir+json or application/fhir+xml")
    return False


def wants_content(request: Request) -> bool:
    """Is a Binary wanted as what it holds, not as a resource (R4 binary.html#rest)? Unless FHIR is asked for."""
    names = _accepted(request.headers.get("accept", ""))
    return not request.query_params.get("_format") and not any(name in _JSON_NAMES | _XML_NAMES for name in names)


def _presented(request: Request, name: str) -> str:
    """What is said of the answer in the address, or in the form of a POST (R4 http.html#parameters)."""
    said: Mapping[str, str] = getattr(request.state, "presentation", {})
    if not said and not request.scope["query_string"]:
        return ""
    return request.query_params.get(name) or said.get(name, "")


def other_version(parameters: Iterable[str]) -> bool:
    """Do the parameters of a media type ask for another version than R4 (R4 http.html#version-parameter)?"""
    versions = (each.partition("=")[2].strip(' "') for each in parameters if each.strip().startswith("fhirversion="))
    return any(each and each != FHIR_VERSION for each in versions)


def _accepted(header: str) -> list[str]:
    """The media types of an Accept header, the most wanted first; without those that are not wanted (q=0)."""
    weighed = []
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        if name and _weight(weight) > 0 and not other_version(parameters):
            weighed.append((-_weight(weight), name))
    if any(name == "text/html" for _, name in weighed):  # a browser: it names XML without wanting FHIR
        return ["text/html"]
    return [name for _, name in sorted(weighed, key=lambda pair: pair[0])]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def fhir(
    request: Request,
    resource: bytes | dict[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> Response:
    """A resource in the format asked for. Stored bytes leave untouched unless XML or _pretty is asked for."""
    pretty = _presented(request, "_pretty").lower() in {"true", "1"}
    if wants_xml(request, lenient=lenient):
        return Response(_xml(resource, pretty=pretty), status, dict(headers or {}), media_type=FHIR_XML)
    if pretty:
        body = json.dumps_pretty(json.loads(resource) if isinstance(resource, bytes) else resource)
    else:
        body = resource if isinstance(resource, bytes) else json.dumps(resource)
    return Response(body, status, dict(headers or {}), media_type=FHIR_JSON)


def _xml(resource: bytes | dict[str, Any], *, pretty: bool) -> bytes:
    return xml.to_xml(json.loads(resource) if isinstance(resource, bytes) else resource, pretty=pretty)


def version_headers(version: int, updated: datetime) -> dict[str, str]:
    """ETag and Last-Modified of one version (R4 http.html#versions)."""
    return {"etag": f'W/"{version}"', "last-modified": format_datetime(updated, usegmt=_is_utc(updated))}


def _is_utc(time: datetime) -> bool:
    return time.tzname() == "UTC"


def unchanged(request: Request, version: int, updated: datetime) -> bool:
    """Whether the caller has this version already: If-None-Match names it (or is *), or it is not younger than
    If-Modified-Since, which counts where there is no If-None-Match (RFC 9110 §13.1.3)."""
    if tags := [tag.strip() for tag in request.headers.get("if-none-match", "").split(",") if tag.strip()]:
        return any(tag in {"*", f'W/"{version}"', f'"{version}"'} for tag in tags)
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    return since.tzinfo is not None and updated.replace(microsecond=0) <= since
