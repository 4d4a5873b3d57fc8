"""The code maps of HL7's V2-to-FHIR guide (1.0.0, CC0): what HL7's tables call their codes and what the guide makes of
them. For people who map local codes, and for the comparison with our own tables.

Data: `guide.json.gz`, made by `python -m gateway.mapping.guide ../shared/reference/v2-to-fhir.json`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from gateway.mapping.syntax import CodeTable

GUIDED: Final[Mapping[str, str]] = {  # our table → the guide's map
    "sex": "AdministrativeSex",
    "encounter-class": "PatientClass[EncounterClass]",
    "order-status": "OrderStatus",
    "order-control": "OrderControlCode[ServiceRequest.status]",
    "priority": "ExtendedPriorityCodes",
    "report-status": "ResultStatus[Non-Queries]",
    "result-status": "ObservationResultStatusCodesInterpretation",
    "interpretation": "InterpretationCodes",
    "allergy-severity": "AllergySeverity[AllergyIntolerance.reaction.severity]",
    "allergy-category": "AllergenType[AllergyIntoleranceCategory]",
}
_FILE: Final = "guide.json.gz"


class GuideCode(msgspec.Struct, frozen=True, array_like=True):
    """One row of a code map; `fhir` "" is a hole, which the guide leaves."""

    code: str
    text: str
    fhir: str
    system: str  # of `fhir`


@dataclass(frozen=True, slots=True)
class Difference:
    """Where one of our tables says something else than the guide, or something where the guide says nothing."""

    table: str
    code: str
    guide: str
    ours: str


@cache
def maps() -> dict[str, tuple[GuideCode, ...]]:
    """Every code map that names codes of a table, by name."""
    body = gzip.decompress(resources.files(__package__).joinpath(_FILE).read_bytes())
    return msgspec.json.decode(body, type=dict[str, tuple[GuideCode, ...]])


def of(table: str) -> tuple[GuideCode, ...]:
    """What the guide says of the codes that one of our tables reads; () where it has no such map."""
    return maps()[GUIDED[table]] if table in GUIDED else ()


def differences(tables: Mapping[str, CodeTable]) -> Iterator[Difference]:
    """In the order of our tables and the guide's rows."""
    for name in GUIDED:
        for row in of(name):
            ours = tables[name].into.get(row.code, "")
            if ours != row.fhir:
                yield Difference(name, row.code, row.fhir, ours)


def generate(reference: Path) -> None:
    """Writes the data file from the guide's facts."""
    facts = json.loads(reference.read_bytes())
    place = {name: index for index, name in enumerate(facts["columns"]["codes"])}
    made: dict[str, list[list[str]]] = {}
    for row in facts["codes"]:
        if code := row[place["code"]]:
            cells = [code, row[place["text"]], row[place["fhir"]], row[place["fhirsystem"]]]
            made.setdefault(row[place["map"]], []).append(cells)
    body = json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
    Path(__file__).with_name(_FILE).write_bytes(gzip.compress(body, 9, mtime=0))


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
