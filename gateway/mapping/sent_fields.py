"""Fields as they were sent, where lines read only parts of them: kept beside the parts, and written again while these
say the same.

What a value says is kept with the value (wording.py). A field that several lines divide among them (ORC-7), of which
one takes the first repetition only (ORC-12), or that another field goes before (OBR-2 behind ORC-2), is more than any
of its values: an extension `urn:hutong:written` of the resource holds its name, its text, and what the lines would
write for it. Where they come to write anything else, because the resource was changed or the receiver reads otherwise,
the text is void. Further repetitions may hold numbers of the sender's own: behind the name stands the sender's
facility, and only that one gets them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.fhir import definitions
from gateway.fhir.fragment import Fragment
from gateway.mapping import codetables, paths, wording
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.graph import values_at
from gateway.mapping.library import Library
from gateway.mapping.memory import keep as keep_in
from gateway.mapping.runtime import possible, possible_with
from gateway.mapping.segments import part_of, set_field, set_part
from gateway.mapping.source_code import SIMPLE
from gateway.mapping.structure import Segment
from gateway.mapping.syntax import Block, Condition, Field, Line
from gateway.mapping.wording import WRITTEN
from gateway.model import Resource

_ENVELOPE = frozenset({"MSH", "EVN"})
_EVENTS = frozenset({"recordevent"})  # what happens to a record is no property of it
_LONGEST = 1500  # characters: ten persons, as XCN has them
_FIELD, _TEXT, _MEANT = "field", "text", "meant"
MEANT = -4  # the table of the memory for what lines write for fragments


@dataclass(frozen=True, slots=True)
class Part:
    """What one line writes into a field."""

    source: Field
    path: paths.Path
    pair: Pair
    words: tuple[str, ...]
    condition: Condition | None
    constant: str  # the text of a constant line
    simple: bool  # no composite: its parts do not become subcomponents
    keeps: bool


@dataclass(frozen=True, slots=True)
class Divided:
    """A field of which the lines of a block may not say all."""

    name: str
    parts: tuple[Part, ...]
    before: tuple[Field, ...]  # the fields that go before it: it is more where it says something else than they
    shared: bool  # other lines add to what a line made of it

    @property
    def field(self) -> Field:
        return Field(segment=self.name.partition("-")[0], number=int(self.name.partition("-")[2]))

    def with_facts(self, facts: Mapping[str, str]) -> tuple[Part, ...]:
        """The parts that a message of these facts may have, without asking that again."""
        return tuple(
            replace(each, condition=None)
            for each in self.parts
            if each.condition is None or possible_with(each.condition, facts)
        )

    @property
    def always(self) -> bool:
        """Can it say more though it has one repetition: in further components, in a number or a truth value that holds
        no wording, in an element that others add to?"""
        lines = [each for each in self.parts if not each.constant]
        bare = definitions.primitives() - wording.TEXTS
        return self.shared or any(each.source.component or each.path.leaf.type in bare for each in lines)


def divided(library: Library, block: Block) -> Iterator[Divided]:
    """The fields of a block that could say more than its lines read."""
    if "extension" not in definitions.names(block.path):
        return  # Parameters hold none
    found: dict[str, list[tuple[Line, Field]]] = {}
    for line in block.lines:
        for source in line.sources if line.back and not line.link else ():
            if source.segment and source.segment not in _ENVELOPE:
                found.setdefault(f"{source.segment}-{source.number}", []).append((line, source))
    for name, lines in found.items():
        if not any(line.into and not line.constant for line, _ in lines) or lines[0][0].datatype in _EVENTS:
            continue
        parts = tuple(_part(library, block, line, source) for line, source in lines)
        if all(map(_plain, parts)):
            first = lines[0][0]
            before = tuple(first.sources[: first.sources.index(lines[0][1])])
            ordered = sorted(parts, key=lambda each: not any(element.slice for element in each.path.elements))
            yield Divided(name, tuple(ordered), before, _shared(library, block, ordered))


def _shared(library: Library, block: Block, parts: Iterable[Part]) -> bool:
    """Does another line make something inside an element that one of these makes?"""
    whole = [each.path for each in parts if each.path.leaf.type in wording.COMPLEX and not each.source.component]
    ways = [paths.resolve(block.path, line, library.systems) for line in block.lines if line.into and whole]
    return any(_inside(way, path) for way in ways for path in whole)


def _inside(way: paths.Path, path: paths.Path) -> bool:
    names = [each.name for each in path.elements]
    return len(way.elements) > len(names) and [each.name for each in way.elements[: len(names)]] == names


def _part(library: Library, block: Block, line: Line, source: Field) -> Part:
    path = paths.resolve(block.path, line, library.systems)
    if line.constant:
        return Part(source, path, Pair(str, str), (), line.condition, line.constant.text, True, False)
    pair = library.pair(line, path)
    words = () if line.datatype in codetables.BUILT else tuple(each.name for each in line.arguments[pair.fields :])
    keeps = wording.applies(line, path, pair, block)
    return Part(source, path, pair, words, line.condition, "", line.datatype in SIMPLE, keeps)


def _plain(part: Part) -> bool:
    return not (part.source.repeats or part.source.every or part.path.leaf.choice or part.pair.whole)


# ------------------------------------------------------------------------------------------------- into FHIR


def keep(resource: dict[str, Any], name: str, raw: str, parts: tuple[Part, ...], context: Context) -> None:
    """Adds the field to a resource or an element where the parts do not say all of it."""
    if len(raw) > _LONGEST or not raw.isprintable():
        return
    segment: Segment = [name.partition("-")[0]]
    for part in parts:
        text = _text(resource, part, context)
        if text and not part_of(segment, part.source):
            set_part(segment, part.source, text)
    number = int(name.partition("-")[2])
    ours = segment[number] if len(segment) > number else ""
    if ours and ours != raw:
        whose = f"{name} {context.facility}" if "~" in raw else name
        told = [(_FIELD, whose), (_TEXT, raw), (_MEANT, ours)]
        kept = {"url": WRITTEN, "extension": [{"url": url, "valueString": text} for url, text in told]}
        resource["extension"] = [*resource.get("extension", ()), kept]


def _text(resource: dict[str, Any], part: Part, context: Context) -> str:
    """What a line writes of a resource that has just been made."""
    if part.condition is not None and not possible(part.condition, context):
        return ""
    around, leaf = part.path.elements[:-1], part.path.leaf
    if part.keeps and leaf.type in wording.TEXTS:
        values = wording.of_primitives(values_at(resource, around) if around else [resource], leaf)
    else:
        values = values_at(resource, part.path.elements)
    if part.constant:
        return part.constant if values else ""
    made = next(filter(None, (_written(value, part, context) for value in values)), "")
    return made if part.simple or not part.source.component else made.replace("^", "&")


def _written(value: Any, part: Part, context: Context) -> str:
    """What a line writes for a value; of what many resources share it is found once."""
    if value.__class__ is not Fragment or part.pair.makes:
        return _back(value, part, context)
    table, key = context.memory[MEANT], (id(value), id(part))
    known: tuple[Any, Part, str] | None = table.get(key)
    if known is None or known[0] is not value or known[1] is not part:
        known = value, part, _back(value, part, context)
        keep_in(table, key, known)
    return known[2]


def _back(value: Any, part: Part, context: Context) -> str:
    whole, resource = value, None
    if part.pair.makes and isinstance(value, dict):
        entry = context.entries.get(value.get("reference", ""))
        if entry is not None and entry.resource["resourceType"] != part.pair.makes:
            return ""
        if entry is not None:
            resource = entry.resource
            value = {**value, **resource}
        elif isinstance(value.get("identifier"), dict):
            value = {**value, "identifier": [value["identifier"]]}
    made = part.pair.back(value, context, *part.words)
    first, *others = made if isinstance(made, tuple) else (made,)
    if part.keeps:
        first = wording.again(whole, resource, part.path, part.pair, context, part.words, tuple(others)) or first
    return str(first)


# ------------------------------------------------------------------------------------------------- back


def told(resource: Resource, context: Context) -> Iterator[tuple[Field, str, str]]:
    """(field, its text, what it means) of each field that a resource keeps for this receiver."""
    for each in resource.get("extension", ()):
        if each.get("url") == WRITTEN and "extension" in each:
            kept = {one.get("url"): str(one.get("valueString", "")) for one in each["extension"]}
            name, _, sender = kept.get(_FIELD, "").partition(" ")
            segment, _, number = name.partition("-")
            if number.isdecimal() and sender in ("", context.facility):
                yield Field(segment=segment, number=int(number)), kept.get(_TEXT, ""), kept.get(_MEANT, "")


def restore(segments: Iterable[Segment], found: Field, text: str, meant: str) -> None:
    """Writes the text into the segment where its parts stand now."""
    for segment in segments:
        if len(segment) > found.number and segment[found.number] == meant and segment[0] == found.segment:
            set_field(segment, found.number, text)
            return
