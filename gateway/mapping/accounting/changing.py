"""Which values of a message change its Bundle: each tried by blanking it.

What no line reads is blanked all at once. Of a segment that stands many times, the same value is blanked in several of
them together, in batches that tell any two of them apart: a value counts where its own resources change in exactly the
batches that it is in. Wherever that does not come out clearly, it is tried alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway.mapping.accounting.elements import by_url
from gateway.mapping.accounting.places import Place, put
from gateway.mapping.accounting.trial import Trial
from gateway.mapping.maps import Translation
from gateway.mapping.wording import unworded
from gateway.model import Resource

FEW = 6  # as many are sooner tried one by one


class Changes:
    """One message, with its translation."""

    def __init__(self, trial: Trial, made: Translation) -> None:
        self.trial = trial
        self.segments = trial.message.segments
        self.bundle = unworded(made.bundle)
        self.resources = by_url(self.bundle)
        touched: dict[str, set[int]] = {}
        for each in made.lineage:
            touched.setdefault(each.resource, set()).add(each.segment)
        self.touched = touched  # resource → the segments that say something of it

    def of(self, read: Iterable[Place], unread: Sequence[Place]) -> set[Place]:
        """The places without which the Bundle is another one."""
        found: set[Place] = set()
        alone: list[Place] = []
        if unread and self._without(unread) != self.bundle:
            alone.extend(unread)
        for group in self._groups(read):
            if len(group) < FEW:
                alone.extend(group)
                continue
            changing, unclear = self._batches(group)
            found |= changing
            alone.extend(unclear)
        found.update(place for place in alone if self._without([place]) != self.bundle)
        return found

    def _without(self, places: Iterable[Place]) -> Resource | None:
        segments = self.segments
        for place in places:
            segments = put(segments, place, "")
        made = self.trial.into(segments)
        return unworded(made.bundle) if made else None

    def _groups(self, places: Iterable[Place]) -> Iterable[list[Place]]:
        """The same value of all segments of one name."""
        groups: dict[tuple[Any, ...], list[Place]] = {}
        for place in places:
            name = self.segments[place.segment][0]
            key = (name, place.number, place.repetition, place.component, place.subcomponent)
            groups.setdefault(key, []).append(place)
        return groups.values()

    def _batches(self, group: list[Place]) -> tuple[set[Place], list[Place]]:
        """(changing, those that did not come out clearly)."""
        if self._without(group) == self.bundle:
            return set(), []
        own = {place: self._own(place, group) for place in group}
        clear = {place for place in group if own[place]}
        changing = dict.fromkeys(clear, True)
        idle = dict.fromkeys(clear, True)
        for batch in _colours(group):
            bundle = self._without(batch)
            if bundle is None:
                return set(), group
            after = by_url(bundle)
            members = set(batch)
            for place in clear:
                changed = any(after.get(url) != self.resources[url] for url in own[place])
                changing[place] &= changed is (place in members)
                idle[place] &= not changed
        sure = {place for place in clear if changing[place]}
        return sure, [place for place in group if place not in sure and not (place in clear and idle[place])]

    def _own(self, place: Place, group: list[Place]) -> list[str]:
        """The resources that this segment speaks of, and none of the others."""
        others = {each.segment for each in group} - {place.segment}
        return [url for url, segments in self.touched.items() if place.segment in segments and not segments & others]


def _colours(group: list[Place]) -> Iterator[list[Place]]:
    """For every bit of their numbers those that have it and those that do not."""
    for bit in range((len(group) - 1).bit_length()):
        for wanted in (0, 1):
            yield [place for number, place in enumerate(group) if number >> bit & 1 == wanted]
