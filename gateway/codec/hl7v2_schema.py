"""The HL7 v2 dictionary: segments, fields, data types and structures by version. The only door to hl7apy.

For compiling maps and for onboarding; never on the hot path. hl7apy is imported when first asked, its tables are read
and its parser is not used: it stops at the first error and quotes patients' data in it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

from gateway.codec.hl7v2 import Message, decode
from gateway.codec.hl7v2_structure import structure_of
from gateway.errors import Configuration

VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
_PRIMITIVES: Final = frozenset(
    {"ST", "ID", "IS", "DT", "TM", "DTM", "FT", "GTS", "NM", "SI", "TX", "TN", "WD", "CM"}
) | {
    "SNM",
    "varies",
    "wd",
}
_PROBLEMS_LIMIT: Final = 1_000
_FORMS: Final = {  # chapter 2A: what a primitive looks like
    "NM": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)"),
    "SI": re.compile(r"\d{1,4}"),
    "DT": re.compile(r"\d{4}(\d\d(\d\d)?)?"),
    "TM": re.compile(r"\d\d(\d\d(\d\d(\.\d{1,4})?)?)?([+-]\d{4})?"),
    "DTM": re.compile(r"\d{4}(\d\d(\d\d(\d\d(\d\d(\d\d(\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?"),
}


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """One field of a segment or component of a data type; `max` None is without limit, 0 is withdrawn."""

    number: int
    name: str  # PATIENT_NAME
    datatype: str  # XPN; 'varies' for OBX-5
    min: int
    max: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """A segment (`parts` empty) or a group in a message structure; `choice` groups hold one of their parts."""

    name: str
    min: int
    max: int | None
    parts: tuple[Part, ...] = ()
    choice: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Where a message leaves the standard (place, as 'PID[1]-3') and how; never with its data."""

    place: str
    text: str


def fields(segment: str, version: str = "2.5.1") -> tuple[FieldDefinition, ...]:
    """The fields of a segment, from the nearest version that knows it. Raises Configuration for an unknown segment."""
    return _fields(segment, _settled(version))


def components(datatype: str, version: str = "2.5.1") -> tuple[FieldDefinition, ...]:
    """The components of a data type; () for a primitive (ST, NM, DT …). Raises Configuration for an unknown one."""
    return _components(datatype, _settled(version))


def segments(structure: str, version: str = "2.5.1") -> tuple[Part, ...]:
    """The grammar of a message structure such as ORU_R01. Raises Configuration for an unknown one."""
    return _structure(structure, _settled(version))


def known_segment(name: str) -> bool:
    """Does any version define this segment? False for Z segments."""
    if len(name) != 3 or name.startswith("Z"):
        return False
    return any(_whole(_table(version, "segments", "SEGMENTS").get(name, ())) for version in VERSIONS)


def known_structure(name: str) -> bool:
    """Does any version know this message structure?"""
    return any(name in _table(version, "messages", "MESSAGES") for version in VERSIONS)


def strict_check(message: Message, version: str = "") -> list[Problem]:
    """Everything in which a message leaves the standard: structure and order of segments, missing and surplus fields,
    repetitions, components, forms of numbers and dates. `version` "" is the message's own. At most 1,000 problems."""
    if message.mended:
        message = decode(message.body, message.charset, as_written=True)
    wanted = _settled(version or message.header.version)
    structure = message.header.structure or structure_of(message.header.code, message.header.trigger)
    problems = [*_structure_problems(message.segments, structure, wanted)]
    counts: dict[str, int] = {}
    for segment in message.segments:
        counts[segment[0]] = counts.get(segment[0], 0) + 1
        if known_segment(segment[0]):
            problems.extend(_segment_problems(segment, f"{segment[0]}[{counts[segment[0]]}]", wanted))
        if len(problems) >= _PROBLEMS_LIMIT:
            break
    return problems[:_PROBLEMS_LIMIT]


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


def _settled(version: str) -> str:
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
    return tuple(_definitions(_nearest(segment, version, "segments", "SEGMENTS", "segment")[1]))


@cache
def _components(datatype: str, version: str) -> tuple[FieldDefinition, ...]:
    if datatype in _PRIMITIVES:
        return ()
    return tuple(_definitions(_nearest(datatype, version, "datatypes", "DATATYPES_STRUCTS", "data type")))


def _definitions(children: Sequence[Any]) -> Iterator[FieldDefinition]:
    for position, (name, entry, (least, most), _kind) in enumerate(children, 1):
        reference = entry or (None, None, None, None)
        written = name.rpartition("_")[2]
        number = int(written) if written.isdecimal() else position
        yield FieldDefinition(number, reference[3] or name, reference[2] or "varies", least, None if most < 0 else most)


@cache
def _structure(structure: str, version: str) -> tuple[Part, ...]:
    return _parts(_nearest(structure, version, "messages", "MESSAGES", "message structure")[1])


def _parts(children: Sequence[Any]) -> tuple[Part, ...]:
    parts = []
    for name, reference, (least, most), kind in children:
        inner = _parts(reference[1]) if kind == "GRP" else ()
        parts.append(Part(name, least, None if most < 0 else most, inner, kind == "GRP" and reference[0] == "choice"))
    return tuple(parts)


# ------------------------------------------------------------------------------------------------ the strict check


def _structure_problems(found: Sequence[Sequence[str]], structure: str, version: str) -> Iterator[Problem]:
    if not known_structure(structure):
        yield Problem("MSH-9", "the message structure is not in the standard")
        return
    names = [segment[0] for segment in found if not segment[0].startswith("Z")]
    problems: list[Problem] = []
    read = _match(segments(structure, version), names, 0, problems)
    yield from problems
    if read < len(names):
        place = f"{names[read]}[{names[: read + 1].count(names[read])}]"
        yield Problem(place, f"{structure} allows no {names[read]} here")


def _match(parts: Sequence[Part], names: Sequence[str], start: int, problems: list[Problem]) -> int:
    """How far the parts read the names, greedily and in order; what is missing goes to `problems`."""
    for part in parts:
        count = 0
        while (part.max is None or count < part.max) and start < len(names) and names[start] in _openers(part):
            trial: list[Problem] = []
            after = _match_one(part, names, start, trial)
            if trial and count >= part.min:  # an optional group that does not fit: what follows may (OML_O21 PRIOR)
                break
            problems.extend(trial)
            start = after
            count += 1
        if count < part.min and (not part.parts or not _skippable(part)):
            problems.append(Problem(part.name, "is required and missing"))
    return start


def _match_one(part: Part, names: Sequence[str], start: int, problems: list[Problem]) -> int:
    if not part.parts:
        return start + 1
    if part.choice:
        chosen = next(inner for inner in part.parts if names[start] in _openers(inner))
        return _match_one(chosen, names, start, problems)
    return _match(part.parts, names, start, problems)


@cache
def _openers(part: Part) -> frozenset[str]:
    """The segments a part can begin with: those of its first required part and of all optional ones before it."""
    if not part.parts:
        return frozenset({part.name})
    openers: set[str] = set()
    for inner in part.parts:
        openers |= _openers(inner)
        if not part.choice and inner.min and not _skippable(inner):
            break
    return frozenset(openers)


def _skippable(part: Part) -> bool:
    """A group that is required but of which every part is optional."""
    return bool(part.parts) and not part.choice and all(not inner.min or _skippable(inner) for inner in part.parts)


def _segment_problems(segment: Sequence[str], place: str, version: str) -> Iterator[Problem]:
    definitions = {definition.number: definition for definition in fields(segment[0], version)}
    for number, definition in definitions.items():
        value = segment[number] if number < len(segment) else ""
        if definition.min and not value:
            yield Problem(f"{place}-{number}", f"{definition.name} is required and empty")
        elif value and not (segment[0] == "MSH" and number <= 2):
            yield from _field_problems(value, definition, f"{place}-{number}", version)
    for number in range(1, len(segment)):
        if segment[number] and number not in definitions:
            yield Problem(f"{place}-{number}", f"is not a field of {segment[0]} in {version}")


def _field_problems(value: str, definition: FieldDefinition, place: str, version: str) -> Iterator[Problem]:
    repetitions = value.split("~") if definition.datatype != "varies" else [value]
    if definition.max is not None and len(repetitions) > definition.max:
        limit = "is withdrawn" if definition.max == 0 else f"repeats more than {definition.max} times"
        yield Problem(place, f"{definition.name} {limit}")
    for index, repetition in enumerate(repetitions, 1):
        where = place if len(repetitions) == 1 else f"{place}({index})"
        yield from _value_problems(repetition, definition, where, version)


def _value_problems(value: str, definition: FieldDefinition, place: str, version: str) -> Iterator[Problem]:
    if definition.datatype == "varies" or value in {"", '""'}:
        return
    inner = components(definition.datatype, version)
    parts = value.split("^")
    if not inner:
        form = _FORMS.get(definition.datatype)
        if form is not None and not form.fullmatch(value):
            yield Problem(place, f"{definition.name} is no {definition.datatype}")
        return
    if len(parts) > inner[-1].number and any(parts[inner[-1].number :]):
        yield Problem(place, f"{definition.name} has more components than {definition.datatype}")
    for component in inner:
        part = parts[component.number - 1] if component.number <= len(parts) else ""
        if component.min and not part:
            yield Problem(f"{place}.{component.number}", f"{component.name} is required and empty")
        form = _FORMS.get("DTM" if definition.datatype == "TS" and component.number == 1 else component.datatype)
        if part and part != '""' and form is not None and not form.fullmatch(part):
            yield Problem(f"{place}.{component.number}", f"{component.name} is no {component.datatype}")
