"""The strict check: everything in which a message leaves the standard, with place, cause and remedy, never its data.

Structure, order and number of segments; required, surplus and repeated fields; components and subcomponents; forms of
numbers and times; HL7's own tables; lengths (where a version sets them, up to v2.6). Checked as the sender wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from gateway.codec.hl7v2 import Message, decode
from gateway.codec.hl7v2_dialects import TYPES
from gateway.codec.hl7v2_note import DIALECTS
from gateway.codec.hl7v2_schema import (
    FieldDefinition,
    Part,
    components,
    fields,
    in_table,
    known_segment,
    known_structure,
    segments,
    settled,
)
from gateway.codec.hl7v2_structure import structure_of
from gateway.errors import Configuration

ERROR: Final = "error"
WARNING: Final = "warning"  # what a receiver may well accept: user-defined codes, lengths, dialects that were mended
_LIMIT: Final = 1_000  # problems of one message
_FORMS: Final = {  # chapter 2A: what a primitive looks like
    "NM": (re.compile(r"[+-]?(\d+\.?\d*|\.\d+)"), "digits with at most one point: 12.5"),
    "SI": (re.compile(r"\d{1,4}"), "1 to 4 digits"),
    "DT": (re.compile(r"\d{4}(\d\d(\d\d)?)?"), "YYYY[MM[DD]]"),
    "TM": (re.compile(r"\d\d(\d\d(\d\d(\.\d{1,4})?)?)?([+-]\d{4})?"), "HH[MM[SS[.S[S[S[S]]]]]][+/-ZZZZ]"),
    "DTM": (
        re.compile(r"\d{4}(\d\d(\d\d(\d\d(\d\d(\d\d(\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?"),
        "YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]",
    ),
}
_LENGTHS: Final = {"ST": 199, "IS": 20, "SI": 4, "NM": 16, "DT": 8, "TM": 16, "DTM": 24, "TX": 65_536, "FT": 65_536}
_OWN: Final = frozenset({"HL70300", "HL70361", "HL70362", "HL70363"})  # names of systems and institutions
_PATTERNS: Final = {  # tables that hold patterns beside codes
    "HL70396": re.compile(r"(99|HL7|ISO|IBT).*|L"),  # names of coding systems that everybody may make
    "HL70291": re.compile(r"[A-Za-z0-9.+-]+"),  # MIME subtypes
    "HL70203": re.compile(r"NN[A-Z]{3}"),  # a national number, by country
}
_FILL: Final = "let the sender fill it"
_LOCAL: Final = "agree on the code with the receiver, or send one of the table"


@dataclass(frozen=True, slots=True)
class Problem:
    """Where a message leaves the standard (place, as 'PID[1]-3(2).4') and how; never with its data."""

    place: str
    text: str
    remedy: str = ""
    severity: str = ERROR


def strict_check(message: Message, version: str = "") -> list[Problem]:
    """Everything in which a message leaves the standard, in the order of the message, at most 1,000 problems.
    `version` "" is the message's own; one that nobody defined is checked by the nearest."""
    problems = [Problem(each.place, each.text, DIALECTS[each.code], WARNING) for each in message.mended]
    if message.mended:
        message = decode(message.body, message.charset, as_written=True)
    wanted = settled(version or message.header.version)
    structure = message.header.structure or structure_of(message.header.code, message.header.trigger)
    problems += _structure_problems(message.segments, structure, wanted)
    counts: dict[str, int] = {}
    for segment in message.segments:
        counts[segment[0]] = counts.get(segment[0], 0) + 1
        place = f"{segment[0]}[{counts[segment[0]]}]"
        if known_segment(segment[0]):
            problems.extend(_segment_problems(segment, place, wanted))
        elif not segment[0].startswith("Z"):
            problems.append(Problem(place, "is no segment of the standard", "local segments begin with Z"))
        if len(problems) >= _LIMIT:
            break
    return problems[:_LIMIT]


def _structure_problems(found: Sequence[Sequence[str]], structure: str, version: str) -> Iterator[Problem]:
    if not known_structure(structure):
        yield Problem("MSH-9", "the message structure is not in the standard", "name one of HL7 table 0354 in MSH-9.3")
        return
    names = [segment[0] for segment in found if not segment[0].startswith("Z")]
    problems: list[Problem] = []
    read = _match(segments(structure, version), names, 0, problems)
    yield from problems
    if read < len(names):
        place = f"{names[read]}[{names[: read + 1].count(names[read])}]"
        yield Problem(place, f"{structure} allows no {names[read]} here", "send the segments in the structure's order")


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
            problems.append(
                Problem(
                    part.name,
                    "is required and missing",
                    f"let the sender add it to {'the group' if part.parts else 'the message'}",
                )
            )
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
            yield Problem(f"{place}-{number}", f"{definition.name} is required and empty", _FILL)
        elif value and not (segment[0] == "MSH" and number <= 2):
            yield from _field_problems(value, _meant(definition, segment), f"{place}-{number}", version)
    for number in range(1, len(segment)):
        if segment[number] and number not in definitions:
            remedy = "leave it out, or name a version that has it in MSH-12"
            yield Problem(f"{place}-{number}", f"is not a field of {segment[0]} in {version}", remedy)
    if segment[0] == "OBX" and "".join(segment[5:6]) and not "".join(segment[2:3]):
        yield Problem(
            f"{place}-2", "VALUE_TYPE is empty though OBX-5 has a value", "name the type of OBX-5 (table 0125)"
        )


def _meant(definition: FieldDefinition, segment: Sequence[str]) -> FieldDefinition:
    """OBX-5 is of the type that OBX-2 names."""
    kind = segment[2] if segment[0] == "OBX" and definition.number == 5 else ""
    return replace(definition, datatype=kind) if kind in TYPES else definition


def _field_problems(value: str, definition: FieldDefinition, place: str, version: str) -> Iterator[Problem]:
    repetitions = value.split("~") if definition.datatype != "varies" else [value]
    if definition.max == 0:
        yield Problem(place, f"{definition.name} is withdrawn in {version}", "leave it out", WARNING)
    elif definition.max is not None and len(repetitions) > definition.max:
        yield Problem(
            place, f"{definition.name} repeats more than {definition.max} times", "send as many as it may have"
        )
    for index, repetition in enumerate(repetitions, 1):
        where = place if len(repetitions) == 1 else f"{place}({index})"
        yield from _value_problems(repetition, definition, where, version, "^")


def _value_problems(
    value: str, definition: FieldDefinition, place: str, version: str, separator: str
) -> Iterator[Problem]:
    """One repetition, or one component: `separator` stands between its parts, "" where it cannot have any."""
    if definition.datatype == "varies" or value in {"", '""'}:
        return
    inner = _parts_of(definition.datatype, version) if separator else ()
    if not inner:
        yield from _primitive_problems(value, definition, place, version)
        return
    parts = value.split(separator)
    if len(parts) > inner[-1].number and any(parts[inner[-1].number :]):
        kinds = "components" if separator == "^" else "subcomponents"
        cause = f"{definition.name} has more {kinds} than {definition.datatype}"
        yield Problem(place, cause, f"write {separator} in a text as an escape sequence")
    for component in inner:
        part = parts[component.number - 1] if component.number <= len(parts) else ""
        where = f"{place}.{component.number}"
        if component.min and not part:
            yield Problem(where, f"{component.name} is required and empty", _FILL)
        if definition.datatype == "TS" and component.number == 1:
            component = replace(component, datatype="DTM")
        yield from _value_problems(part, component, where, version, "&" if separator == "^" else "")


def _parts_of(datatype: str, version: str) -> tuple[FieldDefinition, ...]:
    """The components of a type; one that the dictionary does not know (old CM) has none that could be checked."""
    try:
        return components(datatype, version)
    except Configuration:
        return ()


def _primitive_problems(value: str, definition: FieldDefinition, place: str, version: str) -> Iterator[Problem]:
    kind = definition.datatype
    form = _FORMS.get(kind)
    if form is not None and not form[0].fullmatch(value):
        yield Problem(place, f"{definition.name} is no {kind}", f"write it as {form[1]}")
        return
    longest = _LENGTHS.get(kind, 0) if version < "2.7" else 0
    if place.startswith("MSH") and place.endswith("-10"):
        longest = 20 if version < "2.7" else 199
    if longest and len(value) > longest:
        cause = f"{definition.name} is longer than {longest} characters"
        yield Problem(place, cause, f"shorten it, or agree on the length; {kind} in {version}", WARNING)
    yield from _table_problems(value, definition, place)


def _table_problems(value: str, definition: FieldDefinition, place: str) -> Iterator[Problem]:
    """HL7's own tables (ID) are closed, users' tables (IS) are suggestions (v2.5.1 §2.5.3.6)."""
    table = definition.table
    if (
        definition.datatype not in ("ID", "IS")
        or not table.startswith("HL7")
        or table in _OWN
        or in_table(table, value)
    ):
        return
    if table in _PATTERNS and _PATTERNS[table].fullmatch(value):
        return
    cause = f"{definition.name} holds a code that HL7 table {table[3:]} does not have"
    if definition.datatype == "ID" and table not in _PATTERNS:
        yield Problem(place, cause, f"send a code of table {table[3:]}")
    else:
        yield Problem(place, cause, _LOCAL, WARNING)
