"""The CapabilityStatement, made from the tables that the search itself uses, so that it is true.

R4 capabilitystatement.html. One statement serves until the program ends; it names every resource type, since the
record keeps every type.
"""

from __future__ import annotations

import functools
from typing import Any

from gateway.api import (
    bulk_export,
    document,
    fhir_operations,
    hl7v2,
    lastn,
    match,
    meta,
    offered,
    process_message,
    subscriptions,
    terminology,
)
from gateway.errors import Permanent
from gateway.fhir import definitions, json, searchparameters
from gateway.fhir.searchparameters import SearchParameter
from gateway.store import clause, local

FHIR_VERSION = "4.0.1"
DATE = "2026-11-01"  # of this description; changes with the code
INTERACTIONS = (
    *("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"),
)
OPERATIONS = (
    *bulk_export.OFFERED,
    *document.OFFERED,
    *hl7v2.OFFERED,
    *lastn.OFFERED,
    *meta.OFFERED,
    *fhir_operations.OFFERED,
    *match.OFFERED,
    *process_message.OFFERED,
    *terminology.OFFERED,
    *subscriptions.OFFERED,
)

_ANY = 100  # types that a reference may lead to: it is not named for each of them

_LOCAL = {
    "name": local.PARAMETER,
    "type": "token",
    "documentation": "FIELD|VALUE of a local segment of the message that it came of, mapped or not: ZLB-1|2H",
}


@functools.lru_cache(maxsize=4)  # by the address that callers use
def statement(*, version: str, base: str, topics: tuple[str, ...] = ()) -> bytes:
    """The statement as JSON; `base` is the address of the service as the caller wrote it, `topics` name what clients
    may subscribe to."""
    return json.dumps(
        {
            "resourceType": "CapabilityStatement",
            "name": "Hutong",
            "title": "Hutong 互通 interoperability gateway: shared record",
            "status": "active",
            "date": DATE,
            "kind": "instance",
            "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
            "software": {"name": "Hutong", "version": version},
            "implementation": {"description": "The shared record of a hospital community", "url": base},
            "fhirVersion": FHIR_VERSION,
            "format": ["application/fhir+json", "application/fhir+xml"],
            "patchFormat": [
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/fhir+json",
                "application/fhir+xml",
            ],
            "rest": [
                {
                    "mode": "server",
                    "documentation": "Messages and files of members come in at /intake/{channel}, MLLP and folders.",
                    "security": {"description": "Authorization: Bearer <token>; made by `hutong token create`"},
                    "resource": [_resource(name, base, topics) for name in sorted(definitions.resource_types())],
                    "interaction": [
                        {"code": code} for code in ("transaction", "batch", "search-system", "history-system")
                    ],
                    "operation": [each.said(base) for each in OPERATIONS if not each.types],
                }
            ],
        }
    )


def search_names(type: str) -> list[str]:
    """The search parameters of a type that are known here, by name."""
    every = searchparameters.parameters(type).values()
    return sorted(one.name for one in every if _searchable(type, one))


def _resource(name: str, base: str, topics: tuple[str, ...]) -> dict[str, Any]:
    every = sorted(searchparameters.parameters(name).values(), key=lambda parameter: parameter.name)
    known = [one for one in every if _searchable(name, one)]
    operations = [each.said(base) for each in OPERATIONS if {name, offered.ANY} & set(each.types)]
    about = {"documentation": subscriptions.DOCUMENTATION} if name == "Subscription" else {}
    named = [{"url": subscriptions.TOPICS, "valueCanonical": url} for url in topics if name == "Subscription"]
    return {
        **({"extension": named} if named else {}),
        "type": name,
        **about,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "searchInclude": ["*", *(f"{name}:{one.name}" for one in known if one.kind == "reference")],
        "searchRevInclude": ["*", *_referring().get(name, ())],
        "searchParam": [*map(_parameter, known), _LOCAL],
        **({"operation": operations} if operations else {}),
    }


@functools.cache
def _referring() -> dict[str, list[str]]:
    """By type: 'Observation:subject' for everything that may refer to it; `*` stands for those that refer to any."""
    found: dict[str, list[str]] = {}
    for source in sorted(definitions.resource_types()):
        for one in searchparameters.parameters(source).values():
            named = one.kind == "reference" and len(one.targets) < _ANY and _searchable(source, one)
            for target in one.targets if named else ():
                found.setdefault(target, []).append(f"{source}:{one.name}")
    return {target: sorted(names) for target, names in found.items()}


def _parameter(parameter: SearchParameter) -> dict[str, Any]:
    """With the modifiers that it takes; R4 has no element for them."""
    types = definitions.resource_types()
    names = sorted(f":{each}" for each in clause.modifiers(parameter) if each not in types)
    made: dict[str, Any] = {"name": parameter.name, "type": parameter.kind}
    if names:
        made["documentation"] = "Modifiers: " + " ".join(names)
    return made


def _searchable(type_name: str, parameter: SearchParameter) -> bool:
    """Whether the record's search takes it: its own answer, not a second table."""
    try:
        clause.known(type_name, parameter.name)
    except Permanent:
        return False
    return True
