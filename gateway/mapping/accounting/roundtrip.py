"""There and back, value by value: a message → FHIR → the message again, and a Bundle → a message → the Bundle again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.codec import hl7v2
from gateway.mapping.accounting.account import ENVELOPE, aligned
from gateway.mapping.accounting.elements import Leaf, by_url, leaves, names, path_of, plain
from gateway.mapping.accounting.normal_forms import completed, declared, mapped_fields, normal
from gateway.mapping.accounting.places import Labels, Place
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.accounting.writing import Writing, lines_of, written_paths
from gateway.mapping.context import Context
from gateway.mapping.maps import Translation
from gateway.model import Resource

_TIME = re.compile(r"\d{4}-\d\d-\d\dT.*")


class Came(StrEnum):
    """How a value came back."""

    IDENTICAL = "identical"
    NORMALISED = "normalised"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Value:
    """One mapped value of the document; `form` is the normal form that it came back in."""

    place: str
    came: Came
    form: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All mapped values of one document."""

    values: tuple[Value, ...]

    @property
    def totals(self) -> Counter[Came]:
        return Counter(value.came for value in self.values)


def told(totals: Counter[Came]) -> str:
    """'120 mapped values: 118 identical (98.3 %), 2 normalised (1.7 %), 0 lost (0.0 %)'."""
    count = totals.total()
    shares = (f"{totals[came]} {came} ({100 * totals[came] / max(count, 1):.1f} %)" for came in Came)
    return f"{count} mapped values: {', '.join(shares)}"


def compare_message(trial: Trial) -> Comparison:
    """Every field that became part of the Bundle by a line that writes it back as well. Raises HutongError for a
    message that does not become a Bundle."""
    made = trial.made()
    again = trial.again(made)
    return Comparison(tuple(_fields(trial, made, again.segments if again else [])))


def _fields(trial: Trial, made: Translation, again: list[list[str]]) -> Iterator[Value]:
    library = trial.maps.of(trial.profile).library
    mapped = mapped_fields(library, made.structure)
    segments = trial.message.segments
    mapping = {each.segment for each in made.lineage if f"{segments[each.segment][0]}-{each.field}" in mapped}
    label, after = Labels(segments), aligned(segments, again, mapping)
    facility = trial.message.header.sending_facility

    said = _Said(made, segments, after)

    def around() -> Context:
        return Context(profile=trial.profile, facility=facility or "*", systems=library.coding_systems)

    for index, number in sorted({(each.segment, each.field) for each in made.lineage if each.segment >= 0}):
        segment = segments[index]
        field = f"{segment[0]}-{number}"
        sent = segment[number] if len(segment) > number else ""
        if segment[0] in ENVELOPE or field not in mapped or not sent:
            continue
        other = after.get(index, [])
        written = other[number] if len(other) > number else ""
        place = label(Place(index, number, 1, 0, 0)).replace("(1)", "")
        if sent == written:
            yield Value(place, Came.IDENTICAL)
        elif normal(sent, mapped[field], library, around) == normal(written, mapped[field], library, around):
            yield Value(place, Came.NORMALISED, f"as {mapped[field][0][1].datatype or 'the code table'} is written")
        elif written and completed(sent, written):
            yield Value(place, Came.NORMALISED, "completed: all that was sent, and more")
        elif field in declared():
            yield Value(place, Came.NORMALISED, declared()[field])
        elif any(len(other) > number and other[number] == sent for other in said(index, number)):
            yield Value(place, Came.NORMALISED, "said once: the same was said of the same thing before")
        else:
            yield Value(place, Came.LOST)


class _Said:
    """The segments that came back of those that say of the same resource what a field says of it."""

    def __init__(self, made: Translation, sent: list[list[str]], back: dict[int, list[str]]) -> None:
        self.sent, self.back = sent, back
        self.of: dict[tuple[int, int], set[str]] = {}
        for each in made.lineage:
            self.of.setdefault((each.segment, each.field), set()).add(each.resource)

    def __call__(self, index: int, number: int) -> Iterator[list[str]]:
        about = self.of[index, number]
        for (other, field), found in self.of.items():
            if other != index and field == number and self.sent[other][0] == self.sent[index][0] and found & about:
                yield self.back.get(other, [])


# -------------------------------------------------------------------------------------------------- Bundles


def compare_resources(writing: Writing) -> Comparison:
    """Every element that a line of the structure writes. Raises HutongError for resources that make no message."""
    message = hl7v2.decode(writing.message())
    made = writing.maps.to_fhir(message, profile=writing.to.profile, when=writing.to.when)
    there: dict[tuple[str, tuple[str, ...]], Counter[str]] = {}
    for type_, way, value in _elements(by_url(made.bundle)):
        there.setdefault((type_, plain(way)), Counter())[value] += 1
    return Comparison(tuple(_compared(writing, there)))


def _compared(writing: Writing, there: dict[tuple[str, tuple[str, ...]], Counter[str]]) -> Iterator[Value]:
    lines = written_paths(writing.maps.library, writing.structure)
    named = names(writing.resources)
    for url, resource in writing.resources.items():
        type_ = resource["resourceType"]
        for way, value in leaves(resource):
            if not lines_of(lines, type_, way) or way[-1] in ("reference", "display") or way[0] in ("id", "meta"):
                continue
            place = f"{named[url]}.{path_of(way)}"
            found = there.get((type_, plain(way)), Counter())
            if found[str(value)]:
                found[str(value)] -= 1
                yield Value(place, Came.IDENTICAL)
            elif found[_instant(value)]:
                found[_instant(value)] -= 1
                yield Value(place, Came.NORMALISED, "the same instant in the receiver's zone")
            else:
                yield Value(place, Came.LOST)


def _elements(resources: dict[str, Resource]) -> Iterator[tuple[str, Leaf, str]]:
    """Every element as it stands, and times as instants too."""
    for resource in resources.values():
        for way, value in leaves(resource):
            yield resource["resourceType"], way, str(value)
            if _instant(value) != str(value):
                yield resource["resourceType"], way, _instant(value)


def _instant(value: Any) -> str:
    text = str(value)
    if not _TIME.fullmatch(text):
        return text
    try:
        return str(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
    except ValueError:
        return text
