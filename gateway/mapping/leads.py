"""What a document is about: the resources that lead it, among all that came with them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.mapping import origins
from gateway.model import Resource


def leads_of(resources: Mapping[str, Resource], *types: str) -> list[str]:
    """The references of what a document with this lead, or what stands for it, is about: of a merge the patient that
    stays, of a replaced document the new one, of a master file its records; the patients where nothing else is."""
    there = {each["resourceType"] for each in resources.values()}
    lead = next((type_ for type_ in types if type_ in there), "Patient")
    found = [name for name, each in resources.items() if each["resourceType"] == lead]
    related = {each["target"].get("reference") for name in found for each in resources[name].get("relatesTo", ())}
    kept = [name for name in found if name not in related]
    if lead == "Patient":
        kept = [name for name in kept if resources[name].get("active") is not False]
    records = records_of(resources)
    kept = [name for name in kept if name in records] or kept
    return kept or [name for name, each in resources.items() if each["resourceType"] == "Patient"]


def former_last(resources: Mapping[str, Resource]) -> Mapping[str, Resource]:
    """The resources, behind them those that another one replaces or appends something to: where a message has room for
    one document, it is not the former one."""
    former = {each["target"].get("reference") for one in resources.values() for each in one.get("relatesTo", ())}
    if former.isdisjoint(resources):
        return resources
    return dict(sorted(resources.items(), key=lambda each: each[0] in former))


def records_of(resources: Mapping[str, Resource]) -> set[str]:
    """What a master file has records of, as their record-level events tell: not the ward that a bed is in."""
    told = (
        each["target"]
        for each in resources.values()
        if each["resourceType"] == "Provenance" and origins.says(each, "MFE-1")
    )
    return {str(target.get("reference", "")) for targets in told for target in targets}
