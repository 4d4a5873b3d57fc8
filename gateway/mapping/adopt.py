"""FHIR that a member sends → the transaction Bundle that the record applies.

A transaction goes through as it is; a batch, message, document, collection or single resource becomes one. What has no
business identifier gets a derived one, so that the same Bundle sent twice changes nothing the second time.
"""

from __future__ import annotations

from typing import Any

from gateway.errors import Permanent
from gateway.fhir import bundle as bundles
from gateway.fhir import definitions
from gateway.mapping.context import IDENTIFIED, KEY
from gateway.model import Resource

_TYPES = frozenset({"transaction", "batch", "message", "document", "collection"})
_LIMIT = 10_000


def adopt(resource: Any, *, member: str, control_id: str) -> Resource:
    """The transaction Bundle of a member's FHIR. Raises Permanent for what is none."""
    if not isinstance(resource, dict) or resource.get("resourceType") not in definitions.resource_types():
        raise Permanent(
            "this is no FHIR resource", place="resourceType", code="100", remedy="send a resource or a Bundle as JSON"
        )
    if resource["resourceType"] != "Bundle":
        resource = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}
    if resource.get("type") not in _TYPES:
        raise Permanent(
            "a Bundle of this type carries nothing to store",
            place="Bundle.type",
            code="100",
            remedy="one of " + ", ".join(sorted(_TYPES)),
        )
    given = resource.get("entry") or []
    if not isinstance(given, list) or len(given) > _LIMIT:
        raise Permanent(f"Bundle.entry is no list of at most {_LIMIT} entries", place="Bundle.entry", code="102")
    counts: dict[str, int] = {}
    return bundles.transaction(
        _entry(each, member=member, control_id=control_id, counts=counts) for each in given if isinstance(each, dict)
    )


def _entry(given: dict[str, Any], *, member: str, control_id: str, counts: dict[str, int]) -> dict[str, Any]:
    resource = given.get("resource")
    request = given.get("request")
    if not isinstance(resource, dict):
        return given
    type_ = str(resource.get("resourceType"))
    number = counts[type_] = counts.get(type_, 0) + 1
    key = f"{member}/{control_id}/{type_}/{number}"
    full_url = str(given.get("fullUrl") or bundles.full_url(type_, key))
    if isinstance(request, dict) and not (request.get("method") == "POST" and not request.get("ifNoneExist")):
        return {**given, "fullUrl": full_url}
    found = next(
        (
            (str(each["system"]), str(each["value"]))
            for each in _identifiers(resource)
            if each.get("system") and each.get("value")
        ),
        None,
    )
    if found is None and type_ in IDENTIFIED:
        found = (KEY, key)
        resource = {**resource, "identifier": [*_identifiers(resource), {"system": KEY, "value": key}]}
    if found is None:
        return {"fullUrl": full_url, "resource": resource, "request": {"method": "POST", "url": type_}}
    once = type_ in ("Patient", "Practitioner", "Organization", "Location")
    made = (bundles.create if once else bundles.update)(type_, *found)
    return {"fullUrl": full_url, "resource": resource, "request": made}


def _identifiers(resource: Resource) -> list[dict[str, Any]]:
    found = resource.get("identifier") or []
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, dict)]
