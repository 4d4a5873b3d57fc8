"""What no longer holds is never written as if it did: a result, a diagnosis, a whole report that was taken back goes
into a file only where a cell of it says so; it is left out of any other, which is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.mapping.context import Context
from gateway.mapping.written_blocks import Target
from gateway.mapping.written_lines import Claims, leaf_values
from gateway.model import Resource

TAKEN_BACK: Final = frozenset({"entered-in-error", "cancelled", "revoked", "rejected", "nullified", "refuted"})
_FINDINGS: Final = frozenset({"Observation", "Condition", "AllergyIntolerance"})
_STATUS: Final = ("status", "verificationStatus")


def is_taken_back(resource: Mapping[str, Any]) -> bool:
    return any(_says_so(resource[each]) for each in _STATUS if each in resource)


def _says_so(value: Any) -> bool:
    if isinstance(value, dict):
        return any(each.get("code") in TAKEN_BACK for each in value.get("coding", ()))
    return value in TAKEN_BACK


def tells(target: Target, resource: Resource, context: Context) -> bool:
    """Does a block write a cell from which a reader sees that the resource was taken back?"""
    for written in target.lines:
        if written.line.constant or len(written.path.elements) > 1 or written.path.leaf.name not in _STATUS:
            continue
        for value in leaf_values(resource, written, Claims()):
            text = written.pair.back(value, context)
            if text and _says_so(written.pair.into(text, context.scratch())):
                return True
    return False


class Withheld:
    """Of the resources that one file is written of."""

    def __init__(
        self, targets: Sequence[Target], resources: Iterable[Resource], context: Context, *, marked: bool
    ) -> None:
        self._targets = targets
        self._context = context
        self._marked = marked  # a lead is marked as taken back beside its rows
        self._leads: Counter[str] = Counter()  # that were left out, by type
        back = [each for each in resources if each["resourceType"] in _FINDINGS and is_taken_back(each)]
        self.findings = {id(each): each for each in back if not self._tells([each])}

    def _tells(self, resources: Iterable[Resource]) -> bool:
        return any(
            target.list is None and target.block.type == each["resourceType"] and tells(target, each, self._context)
            for each in resources
            for target in self._targets
        )

    def aside(self, lead: Resource) -> frozenset[int]:
        """The findings (by identity) that are not written around a lead: of one that is taken back itself, none."""
        return frozenset() if is_taken_back(lead) else frozenset(self.findings)

    def shown(self, lead: Resource, beside: Sequence[Resource]) -> Mapping[int, Resource] | None:
        """What is written in the place of some (by identity): of a report that was taken back, where its results alone
        have a cell for that, each result as taken back. None where nothing around a lead can say so."""
        others = (each for each in beside if each["resourceType"] not in _FINDINGS and is_taken_back(each))
        if self._marked or not is_taken_back(lead) or self._tells([lead, *others]):
            return {}
        results = [each for each in beside if each["resourceType"] == "Observation"]
        made = {id(each): each if is_taken_back(each) else {**each, "status": "entered-in-error"} for each in results}
        if made and all(self._tells([each]) for each in made.values()):
            return made
        self.leave(lead)
        return None

    def leave(self, lead: Resource) -> None:
        """It is not written."""
        self._leads[lead["resourceType"]] += 1

    def all_of(self, leads: Sequence[Resource]) -> bool:
        """Was none of the leads written?"""
        return bool(leads) and self._leads.total() == len(leads)

    def notes(self) -> tuple[str, ...]:
        """For people: what was left out, without any of its words."""
        told = self._leads + Counter(each["resourceType"] for each in self.findings.values())
        return tuple(
            f"{count} {type_} left out: taken back, which no column of this file can say"
            for type_, count in sorted(told.items())
        )
