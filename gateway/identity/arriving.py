"""Who the patients of an arriving Bundle are; of a file with many people those that a person must decide wait alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.db.engine import Reader
from gateway.identity.index import resolve
from gateway.identity.match import Decision, one_by_card
from gateway.identity.person import person
from gateway.model import Resource

_STAYS: Final = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "Provenance"})


@dataclass(frozen=True, slots=True)
class Arrived:
    """`bundle`: without what waits; `patients`: by fullUrl the id of the one that it is, None for a new one; `asked`:
    for each that waits why; `decisions`: those after which there is more to do, by fullUrl."""

    bundle: Resource
    patients: dict[str, str | None]
    asked: tuple[tuple[str, ...], ...] = ()
    decisions: dict[str, Decision] = field(default_factory=dict)


def arrived(reader: Reader, bundle: Resource, *, authoritative: bool) -> Arrived:
    """Each arriving Patient is a known one, a new one, or a question for a person."""
    bundle = _united(bundle)
    patients: dict[str, str | None] = {}
    asked: dict[str, tuple[str, ...]] = {}
    more: dict[str, Decision] = {}
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource") or {}
        if resource.get("resourceType") != "Patient":
            continue
        registers = authoritative and entry.get("request", {}).get("method") == "PUT"
        decision = resolve(reader, resource, authoritative=registers)
        if decision.kind == "ask" and not decision.apart:
            asked[entry["fullUrl"]] = decision.reasons
            continue
        patients[entry["fullUrl"]] = decision.patient_id or None
        if decision.apart or decision.also or decision.contested or decision.before:
            more[entry["fullUrl"]] = decision
    return Arrived(_without(bundle, set(asked)) if asked else bundle, patients, tuple(asked.values()), more)


def _united(bundle: Resource) -> Resource:
    """One person under two numbers of a sender in one file is one Patient: a valid identity card tells."""
    first: dict[str, list[dict[str, Any]]] = {}
    same: dict[str, str] = {}
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource") or {}
        who = person(resource) if resource.get("resourceType") == "Patient" else None
        if who is None or not who.valid_id:
            continue
        known = first.setdefault(who.valid_id, [])
        found = next((each for each in known if one_by_card(person(each["resource"]), who)), None)
        if found is not None:
            same[entry["fullUrl"]] = found["fullUrl"]
        else:
            known.append(entry)
    if not same:
        return bundle
    found = {entry["fullUrl"]: entry for entry in bundle["entry"]}
    entries = [_rewritten(entry, same) for entry in bundle["entry"] if entry["fullUrl"] not in same]
    for entry in entries:
        others = [found[url]["resource"] for url, to in same.items() if to == entry["fullUrl"]]
        if others:
            entry["resource"] = _with_numbers(entry["resource"], others)
    return {**bundle, "entry": entries}


def _with_numbers(resource: Resource, others: list[Resource]) -> Resource:
    known = list(resource.get("identifier", ()))
    for other in others:
        known.extend(each for each in other.get("identifier", ()) if each not in known)
    return {**resource, "identifier": known}


def _rewritten(value: Any, same: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: same.get(each, each) if name == "reference" and isinstance(each, str) else _rewritten(each, same)
            for name, each in value.items()
        }
    return [_rewritten(each, same) for each in value] if isinstance(value, list) else value


def _without(bundle: Resource, gone: set[str]) -> Resource:
    """The Bundle without these and all that is said of them."""
    entries = bundle["entry"]
    while True:
        more = {
            entry["fullUrl"]
            for entry in entries
            if entry["fullUrl"] not in gone
            and entry["resource"]["resourceType"] not in _STAYS
            and not gone.isdisjoint(_references(entry["resource"]))
        }
        if not more:
            break
        gone |= more
    left = [entry for entry in entries if entry["fullUrl"] not in gone]
    return {**bundle, "entry": [each for each in (_pruned(entry, gone) for entry in left) if each is not None]}


def _pruned(entry: dict[str, Any], gone: set[str]) -> dict[str, Any] | None:
    """What tells of several (Provenance.target) tells of those that are left; None where none is."""
    resource = entry["resource"]
    if resource["resourceType"] != "Provenance":
        return entry
    target = [each for each in resource.get("target", ()) if each.get("reference") not in gone]
    return {**entry, "resource": {**resource, "target": target}} if target else None


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "reference" and isinstance(each, str):
                yield each
            else:
                yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
