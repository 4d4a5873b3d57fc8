"""What no longer holds is never written as if it did: a result, a diagnosis, a whole report that was taken back goes
into a file only where a cell of it says so; it is left out of any other, which is told. What is only preliminary is
written, and told where no cell says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.mapping.context import Context
from gateway.mapping.written_blocks import Target
from gateway.mapping.written_lines import Claims, leaf_values
from gateway.model import Resource

TAKEN_BACK: Final = frozenset({"entered-in-error", "cancelled", "revoked", "rejected", "nullified", "refuted"})
_NOT_YET: Final = frozenset({"registered", "preliminary", "partial"})
_FINDINGS: Final = frozenset({"Observation", "Condition", "AllergyIntolerance"})
_STATUS: Final = ("status", "verificationStatus")


def is_taken_back(resource: Mapping[str, Any]) -> bool:
    return any(_is_one(resource[each], TAKEN_BACK) for each in _STATUS if each in resource)


def _is_one(value: Any, codes: frozenset[str]) -> bool:
    if isinstance(value, dict):
        return any(each.get("code") in codes for each in value.get("coding", ()))
    return value in codes


def tells(target: Target, resource: Resource, context: Context, codes: frozenset[str] = TAKEN_BACK) -> bool:
    """Does a block write a cell from which a reader sees that the status of the resource is one of these?"""
    for written in target.lines:
        if written.line.constant or len(written.path.elements) > 1 or written.path.leaf.name not in _STATUS:
            continue
        for value in leaf_values(resource, written, Claims()):
            text = written.pair.back(value, context)
            if text and _is_one(written.pair.into(text, context.scratch()), codes):
                return True
    return False


class Withheld:
    """Of the resources that one file is written of."""

    def __init__(
        self, targets: Sequence[Target], resources: Collection[Resource], context: Context, *, marked: bool
    ) -> None:
        self._targets = targets
        self._context = context
        self._marked = marked  # a lead is marked as taken back beside its rows
        self._leads: Counter[str] = Counter()  # that were left out, by type
        back = [each for each in resources if each["resourceType"] in _FINDINGS and is_taken_back(each)]
        self.findings = {id(each): each for each in back if not self._tells([each])}
        self._early = self._unsaid(resources)

    def _unsaid(self, resources: Iterable[Resource]) -> Counter[str]:
        """How many results and reports are not final yet, though no cell says so; a report's cells are its results'."""
        types = {target.block.type for target in self._targets} & {"Observation", "DiagnosticReport"}
        early = [each for each in resources if each["resourceType"] in types and each.get("status") in _NOT_YET]
        said = {each["resourceType"] for each in early if self._tells([each], _NOT_YET)}
        return Counter(each["resourceType"] for each in early if not {each["resourceType"], "Observation"} & said)

    def _tells(self, resources: Iterable[Resource], codes: frozenset[str] = TAKEN_BACK) -> bool:
        return any(
            target.list is None
            and target.block.type == each["resourceType"]
            and tells(target, each, self._context, codes)
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
        """For people: what was left out, and what is not final yet though no cell says so; without any of its words."""
        told = self._leads + Counter(each["resourceType"] for each in self.findings.values())
        left_out = [f"{count} {type_} left out: taken back" for type_, count in sorted(told.items())]
        early = [f"{count} {type_} written that is not final yet" for type_, count in sorted(self._early.items())]
        return tuple(f"{each}, which no column of this file can say" for each in (*left_out, *early))
