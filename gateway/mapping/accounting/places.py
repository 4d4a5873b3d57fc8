"""The values of a message, one by one: the smallest parts that are filled, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.mapping.structure import Segment


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One value of a message. `component` and `subcomponent` are 0 where their parent is not divided, as in
    Message.span; `repetition` counts from 1."""

    segment: int  # index in the message
    number: int
    repetition: int
    component: int
    subcomponent: int


def places(segments: Sequence[Segment]) -> Iterator[tuple[Place, str]]:
    """Every value that is there, with its text. MSH-1 and MSH-2 are values as a whole."""
    for index, segment in enumerate(segments):
        for number, field in enumerate(segment[1:], 1):
            if segment[0] == "MSH" and number in (1, 2):
                yield Place(index, number, 1, 0, 0), field
            elif field.strip():
                yield from _parts(index, number, field)


def _parts(index: int, number: int, field: str) -> Iterator[tuple[Place, str]]:
    for repetition, whole in enumerate(field.split("~"), 1):
        components = whole.split("^")
        for component, text in enumerate(components, 1):
            pieces = text.split("&")
            for sub, piece in enumerate(pieces, 1):
                if piece.strip():
                    of = (component if len(components) > 1 or len(pieces) > 1 else 0, sub if len(pieces) > 1 else 0)
                    yield Place(index, number, repetition, *of), piece


def put(segments: Sequence[Segment], place: Place, text: str) -> list[Segment]:
    """The segments with another text at a place; the others are the same lists."""
    segment = list(segments[place.segment])
    segment[place.number] = _replaced(segment[place.number], place, text)
    return [*segments[: place.segment], segment, *segments[place.segment + 1 :]]


def _replaced(field: str, place: Place, text: str) -> str:
    repetitions = field.split("~")
    components = repetitions[place.repetition - 1].split("^")
    pieces = components[max(place.component, 1) - 1].split("&")
    pieces[max(place.subcomponent, 1) - 1] = text
    components[max(place.component, 1) - 1] = "&".join(pieces)
    repetitions[place.repetition - 1] = "^".join(components)
    return "~".join(repetitions)


def text_at(segments: Sequence[Segment], place: Place) -> str:
    """What stands at a place, "" where nothing does."""
    segment = segments[place.segment]
    field = segment[place.number] if len(segment) > place.number else ""
    if segment[0] == "MSH" and place.number in (1, 2):
        return field
    for separator, number in (("~", place.repetition), ("^", place.component), ("&", place.subcomponent)):
        if number:
            parts = field.split(separator)
            field = parts[number - 1] if number <= len(parts) else ""
    return field


class Labels:
    """Places as people write them: `PID-5.1`, `OBX[2]-5(3).1.2`; counted from 1 where there are several."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        names = [segment[0] for segment in segments]
        self.prefixes = [
            f"{name}[{names[: index + 1].count(name)}]" if names.count(name) > 1 else name
            for index, name in enumerate(names)
        ]

    def __call__(self, place: Place) -> str:
        several = "~" in self.segments[place.segment][place.number] and not self._header(place)
        repetition = f"({place.repetition})" if several else ""
        parts = "".join(f".{part}" for part in (place.component, place.subcomponent) if part)
        return f"{self.prefixes[place.segment]}-{place.number}{repetition}{parts}"

    def _header(self, place: Place) -> bool:
        return self.segments[place.segment][0] == "MSH" and place.number == 2
