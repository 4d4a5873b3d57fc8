"""Which codes HL7's own v2 tables hold: a code that is none of theirs must not claim their system.

Data: `v2tables.json.gz`, made from the R4 code systems by `python -m gateway.fhir.v2tables ../shared/reference/r4`.
"""

from __future__ import annotations

import gzip
import json
import sys
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

_PREFIX = "http://terminology.hl7.org/CodeSystem/v2-"


@cache
def _tables() -> dict[str, frozenset[str]]:
    body = gzip.decompress(resources.files(__package__).joinpath("v2tables.json.gz").read_bytes())
    return msgspec.json.decode(body, type=dict[str, frozenset[str]])


def known(system: str, code: str) -> bool:
    """False only where the system is a v2 table that does not hold the code."""
    if not system.startswith(_PREFIX):
        return True
    codes = _tables().get(system[len(_PREFIX) :])
    return codes is not None and code in codes


def codes(table: str) -> frozenset[str]:
    """The codes of a v2 table by its number ('0001'); empty where FHIR has no code system for it."""
    return _tables().get(table, frozenset())


def _concepts(listed: list[dict[str, object]]) -> list[str]:
    found: list[str] = []
    for each in listed:
        found.append(str(each["code"]))
        below = each.get("concept")
        if isinstance(below, list):
            found.extend(_concepts(below))
    return found


def generate(definitions: Path) -> None:
    """Writes the data file from the folder of R4 definitions."""
    tables: dict[str, list[str]] = {}
    with gzip.open(definitions / "codesystems.ndjson.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            system = json.loads(line)
            if system.get("url", "").startswith(_PREFIX):
                tables[system["url"][len(_PREFIX) :]] = sorted(_concepts(system.get("concept", [])))
    body = json.dumps(dict(sorted(tables.items())), separators=(",", ":")).encode()
    Path(__file__).with_name("v2tables.json.gz").write_bytes(gzip.compress(body, mtime=0))


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
