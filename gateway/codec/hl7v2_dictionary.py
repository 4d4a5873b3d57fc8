"""Which fields and components HL7 v2 has, versions 2.1 to 2.8.2 in one: for checking maps, without hl7apy.

Data: `hl7v2_dictionary.json.gz`, made by `python -m gateway.codec.hl7v2_dictionary` through hl7v2_schema.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

_DATA = "hl7v2_dictionary.json.gz"
_OPEN = frozenset({"varies", "CM", "", "ANYHL7SEGMENT"})  # types whose components the dictionary does not tell


@cache
def _dictionary() -> dict[str, dict[str, Any]]:
    body = gzip.decompress(resources.files(__package__).joinpath(_DATA).read_bytes())
    return msgspec.json.decode(body, type=dict[str, dict[str, Any]])


def segments() -> frozenset[str]:
    """The names of all segments."""
    return frozenset(_dictionary()["segments"])


def fields(segment: str) -> frozenset[int]:
    """The numbers of a segment's fields; empty for an unknown segment."""
    return frozenset(map(int, _dictionary()["segments"].get(segment, ())))


def components(segment: str, field: int) -> int | None:
    """How many components the field has in the version that gives it most; None where anything may stand."""
    types: list[str] = _dictionary()["segments"].get(segment, {}).get(str(field), [])
    if not types or _OPEN.intersection(types):
        return None
    counts: dict[str, int] = _dictionary()["types"]
    return max(counts.get(each, 1) for each in types)


def table(segment: str, field: int) -> str:
    """The number of the HL7 table of a field's codes ('0001'); "" where it has none."""
    tables: dict[str, str] = _dictionary().get("tables", {})
    return tables.get(f"{segment}-{field}", "")


def _write(path: Path) -> None:
    from gateway.codec.hl7v2_schema import dictionary

    text = json.dumps(dictionary(), sort_keys=True, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    _write(Path(__file__).with_name(_DATA))
