"""One number several times in a message: the same thing said again, or another one that shares the number.

A sender may put several tests, medicines or vaccines under one number. The first of them is known by the number alone,
as it would be without the others; each further one has the number too, and a key of its own beside it, made of the
number and of what it is about, so that it is the same on each arrival. What says nothing else than the first does is
the first, said again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gateway.fhir import definitions
from gateway.mapping.syntax import Block
from gateway.model import Resource

# What a thing is about: without it nothing tells two of one number apart.
_ABOUT = {
    "ServiceRequest": ("code",),
    "MedicationRequest": ("medicationCodeableConcept", "medicationReference"),
    "SupplyRequest": ("itemCodeableConcept",),
    "Immunization": ("vaccineCode",),
    "Procedure": ("code",),
    "Specimen": ("type",),
}
# what may differ in the same thing, compared by itself, or what of the message belongs to it
_OPEN = frozenset({"resourceType", "identifier", "status", "meta", "request"})
# what panels of one order may each say in their own way
_SHARED = _OPEN | {"code", "subject", "encounter"}
_UNITED = frozenset({("Account", "subject"), ("Specimen", "request")})


Parting = Callable[[Resource, Resource], bool]  # does another statement of one number tell of another thing?


def parting(block: Block, blocks: Iterable[Block], structure: str) -> Parting | None:
    """What tells two of one number apart that a block makes: `differs` where they are what its segments are about,
    `contradicts` for the order that a report of the same segments names; None where nothing could."""
    if block.element or block.type not in _ABOUT:
        return None
    others = (each for each in blocks if each.segments[-1:] == block.segments[-1:] and each.into and not each.element)
    named = any(
        line.link and not line.link.every and line.link.type == block.type
        for each in others
        if structure not in each.without and (not each.structures or structure in each.structures)
        for line in each.lines
    )
    if not named:
        return differs
    return contradicts if block.type == "ServiceRequest" else None


def about(resource: Resource, code_of: Callable[[str], Any]) -> str:
    """The code, else the words, of what it is about; `code_of`: those of a medicine by its reference."""
    named = (each for name in _ABOUT[resource["resourceType"]] if (each := resource.get(name)))
    found: dict[str, Any] = next(named, {})
    concept = code_of(found["reference"]) or {} if "reference" in found else found
    coding: dict[str, Any] = next(iter(concept.get("coding", ())), {})
    return str(coding.get("code") or concept.get("text") or coding.get("display") or "")


def differs(kept: Resource, other: Resource) -> bool:
    """Does another statement of the same number contradict the first one? What only adds to it does not, nor does the
    state alone."""
    named = _ABOUT[kept["resourceType"]]
    if not all(any(name in each for name in named) for each in (kept, other)):
        return False
    if _disagree(kept.get("identifier", []), other.get("identifier", [])):
        return True
    return any(
        not within(value, kept[name]) if name in kept else name in named
        for name, value in other.items()
        if name not in _OPEN
    )


def contradicts(kept: Resource, other: Resource) -> bool:
    """Panels of one order number are one order, unless they say different things of what an order has once: who asked
    for it, when, why it came to be (a reflex order), or ask for the same and have each a number of the filler (one
    susceptibility for each organism). Codes and lists of several panels are united."""
    if kept.get("code") == other.get("code") and _disagree(kept.get("identifier", []), other.get("identifier", [])):
        return True
    return any(
        value != kept[name] if name in kept else _chosen(kept, name)
        for name, value in other.items()
        if name.removeprefix("_") not in _SHARED and not isinstance(value, list)
    )


def _disagree(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Has each a number of one kind, and not the same one?"""
    one, two = ({(_kind(each), each.get("value")) for each in numbers if _kind(each)} for numbers in (ours, theirs))
    kinds = {kind for kind, _ in one} & {kind for kind, _ in two}
    return any({each for each in one if each[0] == kind}.isdisjoint(two) for kind in kinds)


def _kind(identifier: dict[str, Any]) -> str:
    return next((str(each.get("code", "")) for each in identifier.get("type", {}).get("coding", ())), "")


def within(part: Any, whole: Any) -> bool:
    """Does the whole say everything that the part says?"""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(within(each, whole.get(name)) for name, each in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(within(one, other) for other in whole) for one in part)
    return bool(part == whole)


def unite(kept: Resource, other: Resource) -> None:
    """The same resource twice in one message: what the first left out, the second adds. An order number that stands
    over several panels keeps the codes of all: the further ones as details of the order; a number of staff all its
    names, an account all whose it is, a specimen all orders that it was taken for."""
    order = kept["resourceType"] == "ServiceRequest"
    for name, value in other.items():
        if name not in kept:
            if name[0] == "_":  # it speaks of this value only
                if kept.get(name[1:]) == other.get(name[1:]):
                    kept[name] = value
            elif not _chosen(kept, name):
                kept[name] = value
        elif name == "identifier" and isinstance(value, list):
            kept[name] = _numbers(kept[name], value)
        elif name == "name" and kept["resourceType"] == "Practitioner":
            known = {each.get("text") for each in kept[name]} | {each.get("family") for each in kept[name]}
            kept[name] = [*kept[name], *(each for each in value if each.get("text") not in known)]
        elif isinstance(value, list) and (order or (kept["resourceType"], name) in _UNITED):
            kept[name] = [*kept[name], *(each for each in value if each not in kept[name])]
        elif order and name == "code" and value != kept[name] and value not in kept.get("orderDetail", ()):
            kept.setdefault("orderDetail", []).append(value)


def _numbers(kept: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The identifiers of both; one number that both know tells what either says of it."""
    made = list(kept)
    for other in others:
        known = (other.get("system"), other.get("value"))
        same = next((index for index, each in enumerate(made) if (each.get("system"), each.get("value")) == known), -1)
        if same < 0:
            made.append(other)
        elif other.keys() - made[same].keys():
            made[same] = {**other, **made[same]}
    return made


def _chosen(resource: Resource, name: str) -> bool:
    """Does the resource have another form of this choice (occurrenceTiming beside occurrenceDateTime)?"""
    stems = (each[:-3] for each in definitions.children(resource["resourceType"]) if each.endswith("[x]"))
    stem = next((each for each in stems if name.startswith(each) and name[len(each) :][:1].isupper()), "")
    return bool(stem) and any(each.startswith(stem) for each in resource)
