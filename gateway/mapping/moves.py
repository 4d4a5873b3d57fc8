"""A member's field moves, made before mapping: 'PID-2 -> PID-3 if empty', 'MSH-17 -> MSH-18'."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import Configuration
from gateway.mapping.structure import Segment
from gateway.model import Profile


@dataclass(frozen=True, slots=True)
class Move:
    """What stands in field `source` of a segment goes to field `target` of it."""

    segment: str
    source: int
    target: int
    if_empty: bool


def moves_of(profile: Profile) -> list[Move]:
    """Raises Configuration for a move that is none."""
    return [_move(text) for text in profile.moves]


def _move(text: str) -> Move:
    source, _, rest = text.partition("->")
    target, _, condition = rest.strip().partition(" ")
    (name, number), (other, place) = _position(source), _position(target)
    if name != other or condition.strip() not in ("", "if empty"):
        raise _unclear(text)
    return Move(name, number, place, bool(condition.strip()))


def _position(text: str) -> tuple[str, int]:
    name, _, number = text.strip().partition("-")
    if len(name) != 3 or not number.isdecimal() or not 0 < int(number) < 200:
        raise _unclear(text)
    return name, int(number)


def _unclear(text: str) -> Configuration:
    remedy = "write a move within one segment, as 'PID-2 -> PID-3 if empty'"
    return Configuration(f"'{text.strip()}' is no field move", place="profile.moves", remedy=remedy)


def moved(segments: list[Segment], moves: list[Move]) -> list[Segment]:
    """The segments after the moves; the same list where there are none."""
    if not moves:
        return segments
    made = [list(segment) for segment in segments]
    for move in moves:
        for segment in made:
            if segment[0] == move.segment and len(segment) > move.source and segment[move.source]:
                segment.extend([""] * (move.target + 1 - len(segment)))
                if not (move.if_empty and segment[move.target]):
                    segment[move.target], segment[move.source] = segment[move.source], ""
    return made


def at_home(segments: list[Segment], profile: Profile) -> list[Segment]:
    """The segments with the profile's country in MSH-17 where the sender leaves it empty."""
    header = segments[0] if segments else []
    if not profile.country or (len(header) > 17 and header[17]):
        return segments
    return [[*(header + [""] * 17)[:17], profile.country, *header[18:]], *segments[1:]]


def origin(original: Segment, after: Segment, number: int, moves: list[Move]) -> int:
    """The field of the message as it came that stands in field `number` after the moves."""
    text = after[number] if number < len(after) else ""
    fitting = (move.source for move in moves if move.segment == original[0] and move.target == number and text)
    return next((source for source in fitting if original[source : source + 1] == [text]), number)
