"""The HL7 v2 dictionary: segments, fields, data types, tables and structures by version. The only door to hl7apy.

For compiling maps and for onboarding; never on the hot path. hl7apy is imported when first asked, its tables are read
and its parser is not used: it stops at the first error and quotes patients' data in it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.errors import Configuration
from gateway.fhir import v2tables

if TYPE_CHECKING:
    from gateway.codec.hl7v2 import Message
    from gateway.codec.hl7v2_strict import Problem

VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
_PRIMITIVES: Final = frozenset(
    {"ST", "ID", "IS", "DT", "TM", "DTM", "FT", "GTS", "NM", "SI", "TX", "TN", "WD", "CM"}
) | {
    "SNM",
    "varies",
    "wd",
}

_SETTLED: Final = "2.5.1"  # the tables of fields are those of this version, or of the last before it that has the field
_CONDITIONAL: Final = frozenset({("OBX", 2), ("OBX", 4)})  # C in the standard, R in the dictionary's 2.3.1 and 2.7


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """One field of a segment or component of a data type; `max` None is without limit, 0 is withdrawn."""

    number: int
    name: str  # PATIENT_NAME
    datatype: str  # XPN; 'varies' for OBX-5
    min: int
    max: int | None
    table: str = ""  # HL70001


@dataclass(frozen=True, slots=True)
class Part:
    """A segment (`parts` empty) or a group in a message structure; `choice` groups hold one of their parts."""

    name: str
    min: int
    max: int | None
    parts: tuple[Part, ...] = ()
    choice: bool = False


def fields(segment: str, version: str = "2.5.1") -> tuple[FieldDefinition, ...]:
    """The fields of a segment, from the nearest version that knows it. Raises Configuration for an unknown segment."""
    return _fields(segment, settled(version))


def components(datatype: str, version: str = "2.5.1") -> tuple[FieldDefinition, ...]:
    """The components of a data type; () for a primitive (ST, NM, DT …). Raises Configuration for an unknown one."""
    return _components(datatype, settled(version))


def segments(structure: str, version: str = "2.5.1") -> tuple[Part, ...]:
    """The grammar of a message structure such as ORU_R01. Raises Configuration for an unknown one."""
    return _structure(structure, settled(version))


def known_segment(name: str) -> bool:
    """Does any version define this segment? False for Z segments."""
    if len(name) != 3 or name.startswith("Z"):
        return False
    return any(_whole(_table(version, "segments", "SEGMENTS").get(name, ())) for version in VERSIONS)


def dictionary() -> dict[str, dict[str, Any]]:
    """All versions in one: segment → {field number: its data types}, data type → how many components it has ever had,
    field → the number of its HL7 table. What hl7v2_dictionary.json.gz is made of."""
    segments_: dict[str, dict[str, list[str]]] = {}
    types: dict[str, int] = {}
    tables: dict[str, str] = {}
    for version in VERSIONS:
        for name, entry in _table(version, "segments", "SEGMENTS").items():
            for each in _definitions(entry[1]) if _whole(entry) else ():
                found = segments_.setdefault(name, {}).setdefault(str(each.number), [])
                found.extend([each.datatype] if each.datatype not in found else [])
                if each.table and version <= _SETTLED:
                    tables[f"{name}-{each.number}"] = each.table.removeprefix("HL7")
        for name, entry in _table(version, "datatypes", "DATATYPES_STRUCTS").items():
            types[name] = max(types.get(name, 0), len(entry))
    return {"segments": segments_, "types": types, "tables": tables}


def known_structure(name: str) -> bool:
    """Does any version know this message structure?"""
    return any(name in _table(version, "messages", "MESSAGES") for version in VERSIONS)


def strict_check(message: Message, version: str = "") -> list[Problem]:
    """Everything in which a message leaves the standard; see hl7v2_strict.strict_check."""
    from gateway.codec import hl7v2_strict

    return hl7v2_strict.strict_check(message, version)


def in_table(table: str, code: str) -> bool:
    """Does any version of an HL7 table hold this code? True for a table that nobody has listed. The lists of single
    versions have holes (2.5.1 has no CWE in 0125), so they are read together."""
    known = _codes(table)
    return not known or code in known


# ------------------------------------------------------------------------------------------------ the dictionary


@cache
def _table(version: str, module: str, name: str) -> Mapping[str, Any]:
    try:
        found = getattr(importlib.import_module(f"hl7apy.v{version.replace('.', '_')}.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise Configuration(
            f"the HL7 v2 dictionary cannot be read ({type(error).__name__})", place="hl7apy", remedy="reinstall hl7apy"
        ) from None
    return cast("Mapping[str, Any]", found)


def settled(version: str) -> str:
    """The dictionary's version nearest to the one asked for: 2.9 → 2.8.2, 2.6.1 → 2.6."""
    if version in VERSIONS:
        return version
    numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
    lower = [known for known in VERSIONS if [int(part) for part in known.split(".")] <= numbers]
    return lower[-1] if lower else "2.5.1"


def _nearest(name: str, version: str, module: str, table: str, kind: str) -> Any:
    """The entry of the version, else of the next newer, else of the next older one."""
    start = VERSIONS.index(version)
    for candidate in (*VERSIONS[start:], *reversed(VERSIONS[:start])):
        found = _table(candidate, module, table).get(name)
        if found and (table == "DATATYPES_STRUCTS" or _whole(found)):
            return found
    raise Configuration(f"HL7 v2 knows no {kind} {name!r}", remedy="correct the name; local segments begin with Z")


def _whole(entry: Sequence[Any]) -> bool:
    """A few entries of the dictionary are damaged (ORO in 2.1, the withdrawn QRD in 2.7); another version has them."""
    return len(entry) == 2 and entry[0] in ("sequence", "choice") and bool(entry[1])


@cache
def _fields(segment: str, version: str) -> tuple[FieldDefinition, ...]:
    found = _definitions(_nearest(segment, version, "segments", "SEGMENTS", "segment")[1])
    return tuple(replace(each, min=0) if (segment, each.number) in _CONDITIONAL else each for each in found)


@cache
def _components(datatype: str, version: str) -> tuple[FieldDefinition, ...]:
    if datatype in _PRIMITIVES:
        return ()
    return tuple(_definitions(_nearest(datatype, version, "datatypes", "DATATYPES_STRUCTS", "data type")))


def _definitions(children: Sequence[Any]) -> Iterator[FieldDefinition]:
    for position, (name, entry, (least, most), _kind) in enumerate(children, 1):
        reference = entry or (None,) * 5
        written = name.rpartition("_")[2]
        number = int(written) if written.isdecimal() else position
        limit = None if most < 0 else most
        yield FieldDefinition(number, reference[3] or name, reference[2] or "varies", least, limit, reference[4] or "")


@cache
def _codes(table: str) -> frozenset[str]:
    """All codes of an HL7 table in any version; HL7's own code systems in FHIR complete them."""
    found = set(v2tables.codes(table.removeprefix("HL7")))
    for version in VERSIONS[VERSIONS.index("2.3.1") :]:
        found.update(_table(version, "tables", "TABLES").get(table, ("", ()))[1])
    return frozenset(found)


@cache
def _structure(structure: str, version: str) -> tuple[Part, ...]:
    return _parts(_nearest(structure, version, "messages", "MESSAGES", "message structure")[1])


def _parts(children: Sequence[Any]) -> tuple[Part, ...]:
    parts = []
    for name, reference, (least, most), kind in children:
        inner = _parts(reference[1]) if kind == "GRP" else ()
        parts.append(Part(name, least, None if most < 0 else most, inner, kind == "GRP" and reference[0] == "choice"))
    return tuple(parts)
