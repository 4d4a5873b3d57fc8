"""Seventeen faults in a good Bundle of a laboratory report: what does a check catch?"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
Fault = Callable[[dict[str, Resource]], Any]

FAULTS: dict[str, Fault] = {
    "a number where a code stands": lambda by: by["Patient"].update(gender=5),
    "an element that R4 does not have": lambda by: by["Patient"].update(gendre="male"),
    "a code outside a required binding": lambda by: by["Patient"].update(gender="bogus"),
    "a status that a report does not have": lambda by: by["DiagnosticReport"].update(status="bogus"),
    "a date that is none": lambda by: by["Patient"].update(birthDate="1985-3-12x"),
    "31 February": lambda by: by["Patient"].update(birthDate="1985-02-31"),
    "a time without its zone": lambda by: by["Observation"].update(effectiveDateTime="2026-03-14T11:05:00"),
    "no status": lambda by: by["Observation"].pop("status"),
    "no code": lambda by: by["Observation"].pop("code"),
    "one object where a list stands": lambda by: by["Patient"].update(name=by["Patient"]["name"][0]),
    "two values of one choice": lambda by: by["Observation"].update(valueString="x"),
    "an id with a blank": lambda by: by["Patient"].update(id="a b"),
    "an empty text": lambda by: by["Patient"]["name"][0].update(family=""),
    "an empty object": lambda by: by["Patient"]["name"].append({}),
    "a resource type that R4 does not have": lambda by: by["Patient"].update(resourceType="Patientt"),
    "a reference range without low, high and text": lambda by: by["Observation"].update(
        referenceRange=[{"appliesTo": [{"text": "x"}]}]
    ),
    "a reference to nothing in the Bundle": lambda by: by["Observation"].update(
        subject={"reference": "urn:uuid:00000000-0000-0000-0000-000000000000"}
    ),
}


def write(good: bytes, folder: Path) -> int:
    """00 is good, the others have one fault each; the number of faults."""
    (folder / "00.json").write_bytes(good)
    for number, fault in enumerate(FAULTS.values(), start=1):
        bundle = copy.deepcopy(json.loads(good))
        by_type: dict[str, Resource] = {}
        for entry in bundle["entry"]:
            by_type.setdefault(entry["resource"]["resourceType"], entry["resource"])
        fault(by_type)
        (folder / f"{number:02d}.json").write_text(json.dumps(bundle, ensure_ascii=False), "utf-8")
    return len(FAULTS)
