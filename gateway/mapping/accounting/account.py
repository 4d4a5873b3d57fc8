"""What became of every value: carried, kept or dropped, each with its reason; the three add up to all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gateway.mapping.accounting.changing import Changes
from gateway.mapping.accounting.places import Labels, Place, places, text_at
from gateway.mapping.accounting.reasons import Reasons
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.segments import NUMBERED
from gateway.mapping.structure import Segment
from gateway.mapping.wording import WRITTEN

ENVELOPE = frozenset({"MSH", "EVN"})


class State(StrEnum):
    """What became of a value."""

    CARRIED = "carried"  # the translation says it
    KEPT = "kept"  # it stays where it was (the raw message, the record), for the reason given
    DROPPED = "dropped"  # an explicit rule says so


@dataclass(frozen=True, slots=True)
class Row:
    """One value of the source. Never its text: accounts are read by people who need not know whose it is."""

    place: str
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Account:
    """All values of one document."""

    rows: tuple[Row, ...]
    missing: tuple[str, ...] = ()  # what documents of this kind have besides

    @property
    def totals(self) -> Counter[State]:
        return Counter(row.state for row in self.rows)


def told(totals: Counter[State]) -> str:
    """'120 values: 100 carried (83.3 %), 20 kept (16.7 %), 0 dropped (0.0 %)'."""
    count = totals.total()
    shares = (f"{totals[state]} {state} ({100 * totals[state] / max(count, 1):.1f} %)" for state in State)
    return f"{count} values: {', '.join(shares)}"


def account_of_message(trial: Trial) -> Account | None:
    """The account of a message that became a Bundle; None for one that becomes none."""
    made = trial.into(explain=True)
    if made is None:
        return None
    segments = trial.message.segments
    label = Labels(segments)
    reasons = Reasons(trial, made)
    found = dict(places(segments))
    read = [place for place in found if reasons.read(place)]
    carried = Changes(trial, made).of(read, [place for place in found if not reasons.read(place)])
    again = trial.again(made)
    written = aligned(segments, again.segments) if again else {}
    wordings = set(_wordings(made.bundle))
    rows = []
    for place, text in found.items():
        if place in carried:
            rows.append(Row(label(place), State.CARRIED, "the Bundle says it"))
        elif not wordings.isdisjoint(_around(segments, place)):
            why = f"as it was written, beside the value ({WRITTEN}); {reasons.of(place)[1]}"
            rows.append(Row(label(place), State.KEPT, why))
        elif _stands(written.get(place.segment), place, text):
            rows.append(Row(label(place), State.CARRIED, "it follows from the rest: the message back has it"))
        else:
            dropped, reason = reasons.of(place)
            rows.append(Row(label(place), State.DROPPED if dropped else State.KEPT, reason))
    return Account(tuple(rows))


def _wordings(value: Any) -> Iterator[str]:
    """The wordings of all elements."""
    if isinstance(value, list):
        for each in value:
            yield from _wordings(each)
    elif isinstance(value, dict) and value.get("url") == WRITTEN:
        yield value.get("valueString", "")
        yield from (each["valueString"] for each in value.get("extension", ()))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _wordings(each)


def _around(segments: Sequence[Segment], place: Place) -> Iterator[str]:
    """The repetition in which a value stands, and its component."""
    yield text_at(segments, replace(place, component=0, subcomponent=0))
    yield text_at(segments, replace(place, subcomponent=0)).replace("&", "^")


def aligned(one: Sequence[Segment], two: Sequence[Segment], among: Container[int] | None = None) -> dict[int, Segment]:
    """For each segment of a message the same one in another: the equal one in order, else the most alike that is
    left, else the nearest. `among`: the segments that must have one; others get what these leave."""
    found: dict[int, Segment] = {}
    for name in dict.fromkeys(segment[0] for segment in one):
        mine = [index for index, segment in enumerate(one) if segment[0] == name]
        left = [segment for segment in two if segment[0] == name]
        for part in ([each for each in mine if among is None or each in among], mine):
            left = _matched(one, left, [each for each in part if each not in found], found)
    return found


def _matched(
    one: Sequence[Segment], theirs: list[Segment], mine: list[int], found: dict[int, Segment]
) -> list[Segment]:
    """Finds the counterparts of some segments of one name; answers what is left."""
    left = list(range(len(theirs)))
    for index in mine:
        equal = next((each for each in left if _said(theirs[each]) == _said(one[index])), None)
        if equal is not None:
            found[index] = theirs[equal]
            left.remove(equal)
    rest = [(at, index) for at, index in enumerate(mine) if index not in found]
    pairs = sorted((-_alike(one[index], theirs[other]), abs(at - other), index, other) for at, index in rest
                   for other in left)  # fmt: skip
    for _, _, index, other in pairs:
        if index not in found and other in left:
            found[index] = theirs[other]
            left.remove(other)
    return [theirs[each] for each in left]


def _said(segment: Segment) -> Segment:
    """What a segment says, without its set id."""
    return segment[2:] if segment[0] in NUMBERED else segment[1:]


def _alike(one: Segment, two: Segment) -> int:
    """How many characters of their fields agree: a number tells more than a code."""
    return sum(len(left) for left, right in zip(_said(one), _said(two), strict=False) if left == right)


def _stands(segment: Segment | None, place: Place, text: str) -> bool:
    """Is it there in the message back, also where that divides the field further?"""
    if segment is None or segment[0] in ENVELOPE:  # the envelope is the gateway's own
        return False
    first = replace(place, segment=0, component=max(place.component, 1), subcomponent=max(place.subcomponent, 1))
    return text_at([segment], first) == text
