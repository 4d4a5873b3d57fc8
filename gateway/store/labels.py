"""Which profiles, tags and security labels are in use in the record, by the index (R4 resource-operation-meta.html)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.db.engine import Reader
from gateway.db.record import parameter_number
from gateway.fhir import json

# One resource for each label that there is: the index knows the code and which system, the resource says the rest.
CODINGS: Final = "SELECT min(rid) FROM index_token WHERE parameter = ? GROUP BY value, system"
PROFILES: Final = "SELECT DISTINCT value FROM index_uri WHERE parameter = ?"
_BODY: Final = "SELECT body FROM resource WHERE rid = ? AND deleted = 0"
MOST: Final = 1000  # labels of a kind


def in_use(reader: Reader, types: Iterable[str]) -> dict[str, list[Any]]:
    """The Meta of all resources of these types together; each label once."""
    profiles: set[str] = set()
    found: dict[str, dict[tuple[str, str], Any]] = {"security": {}, "tag": {}}
    for each in types:
        profiles.update(row[0] for row in reader.execute(PROFILES, (parameter_number(each, "_profile"),)))
        for element, labels in found.items():
            for (rid,) in reader.execute(CODINGS, (parameter_number(each, f"_{element}"),))[:MOST]:
                labels.update(_codings(reader, rid, element))
    made = {"profile": sorted(profiles)[:MOST]}
    made |= {element: [labels[key] for key in sorted(labels)][:MOST] for element, labels in found.items()}
    return {name: value for name, value in made.items() if value}


def _codings(reader: Reader, rid: int, element: str) -> dict[tuple[str, str], Any]:
    rows = reader.execute(_BODY, (rid,))
    codings = json.loads(rows[0][0]).get("meta", {}).get(element, ()) if rows else ()
    return {key_of(each): each for each in codings}


def key_of(coding: Any) -> tuple[str, str]:
    """What a tag or a security label is the same by: system and code."""
    return str(coding.get("system", "")), str(coding.get("code", ""))
