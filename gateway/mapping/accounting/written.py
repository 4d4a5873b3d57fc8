"""Where every field of a written message came from: the elements without which it is another, and the lines of maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.codec import hl7v2
from gateway.mapping.accounting.account import ENVELOPE, aligned
from gateway.mapping.accounting.elements import Leaf, leaves, names, path_of, without
from gateway.mapping.accounting.places import Labels, Place, places, text_at
from gateway.mapping.accounting.writing import Writing, lines_of, written_paths
from gateway.mapping.syntax import Line

Element = tuple[str, str, Leaf]  # its name, the type of its resource, its way in it


@dataclass(frozen=True, slots=True)
class Written:
    """One value of a message, the element that it says ("" for what the gateway says itself), and the line."""

    place: str
    element: str
    line: str

    def __str__(self) -> str:
        return f"{self.place} <- {self.element or 'the gateway itself'}{f' {self.line}' if self.line else ''}"


def written(writing: Writing) -> Iterator[Written]:
    """Every value of the message, in its order; several elements may make one value."""
    segments = hl7v2.decode(writing.body()).segments
    label = Labels(segments)
    made = _elements(writing, segments)
    lines = written_paths(writing.maps.library, writing.structure)
    for place, _ in places(segments):
        field = (segments[place.segment][0], place.number)
        told = [
            Written(label(place), element, str(line.place))
            for element, type_, way in made.get(place, ())
            for line in lines_of(lines, type_, way)
            if _writes(line, field)
        ]
        yield from dict.fromkeys(told) or _declared(label(place), made.get(place, []), lines, field)


def _writes(line: Line, field: tuple[str, int]) -> bool:
    return any((each.segment, each.number) == field for each in (*line.sources, *line.arguments))


def _declared(
    place: str, made: list[Element], lines: dict[str, list[tuple[tuple[str, ...], Line]]], field: tuple[str, int]
) -> Iterator[Written]:
    """Of what no single element decides: several say the same, or the gateway says it itself."""
    writing = [
        (f"{type_}.{'.'.join(steps)}", line)
        for type_, each in lines.items()
        for steps, line in each
        if steps and _writes(line, field)
    ]
    if field[0] not in ENVELOPE and writing:
        yield from (Written(place, element, str(line.place)) for element, line in writing)
    elif made:
        yield from (Written(place, element, "") for element, _, _ in made)
    else:
        yield Written(place, "", "")


def _elements(writing: Writing, segments: list[list[str]]) -> dict[Place, list[Element]]:
    """place → the elements without which something else stands there: (name, resource type, way)."""
    named = names(writing.resources)
    standing = list(places(segments))
    found: dict[Place, list[Element]] = {}
    for url, resource in writing.resources.items():
        for way, _ in leaves(resource):
            body = writing.body({**writing.resources, url: without(resource, way)})
            if not body:
                continue
            after = aligned(segments, hl7v2.decode(body).segments)
            for place, text in standing:
                other = after.get(place.segment)
                if other is None or _text(other, place) != text:
                    entry = (f"{named[url]}.{path_of(way)}", resource["resourceType"], way)
                    found.setdefault(place, []).append(entry)
    return found


def _text(segment: list[str], place: Place) -> str:
    return text_at([segment], Place(0, place.number, place.repetition, place.component, place.subcomponent))
