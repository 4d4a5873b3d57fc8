"""What R4 forbids is left out and said so: one impossible value does not keep a whole message from the record.

The maps make valid FHIR of what senders are known to write. Where a value breaks an invariant all the same (a period
that ends before it begins, an annotation without its words), the smallest element around it goes and a note says which;
the raw message keeps it. What a resource cannot be without is not mended: then the document is refused, as a whole.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from gateway.fhir import validate
from gateway.mapping.accounting.elements import Leaf, plain, without
from gateway.mapping.maps import Translation
from gateway.model import Resource

_STEP = re.compile(r"[^.\[\]]+(?:\[x\])?|\[\d+\]")
_INSIDE = 3  # Bundle.entry[0].resource is a resource
_ROUNDS = 4
# an invariant of a whole resource: what is nothing without the rest, or beside it
_WITHOUT = {"(prr-1)": "orderDetail", "(con-5)": "clinicalStatus", "(ait-2)": "clinicalStatus"}
_NUMBER = ("identifier", "system", "value")


def lawful(made: Translation) -> Translation:
    """The same where it is valid; else without what R4 forbids, as far as that can be left out."""
    bundle, notes = made.bundle, list(made.notes)
    for _ in range(_ROUNDS):
        changed = bundle
        for problem in reversed(validate.problems(bundle)):  # from the end: positions in lists stay
            way = _forbidden(changed, (*_way(problem.path), *_named_by(problem.text)))
            if way:
                notes.append(f"{_named(changed, way)} {problem.text}: it was left out")
                changed = without(changed, way)
        if changed is bundle:
            break
        bundle = changed
    return replace(made, bundle=bundle, notes=tuple(dict.fromkeys(notes)))


def _named_by(text: str) -> Leaf:
    """The element that an invariant of a whole resource forbids where another one is missing, or says otherwise."""
    return tuple(name for sign, name in _WITHOUT.items() if text.endswith(sign))


def _way(path: str) -> Leaf:
    """'Bundle.entry[2].resource.contact[0]' → ('entry', 2, 'resource', 'contact', 0)."""
    steps = _STEP.findall(path)[1:]
    return tuple(int(step[1:-1]) if step.startswith("[") else step for step in steps)


def _forbidden(bundle: Resource, way: Leaf) -> Leaf:
    """What is to go: what stands there, else (something is missing) what it is missing in; () for a resource itself,
    and for the number by which it is found again."""
    here: Any = bundle
    for index, step in enumerate(way):
        if isinstance(here, dict) and step not in here:
            way = way[:index]
            break
        here = here[step]
    if isinstance(here, dict) and {"start", "end"} <= here.keys():
        way = (*way, "end")  # the beginning is what is known first
    return way if len(way) > _INSIDE and not _names_it(way[_INSIDE:]) else ()


def _names_it(way: Leaf) -> bool:
    """Is it the id of a resource, or a number by which it is found again?"""
    return way == ("id",) or (way[0] == "identifier" and (isinstance(way[-1], int) or way[-1] in _NUMBER))


def _named(bundle: Resource, way: Leaf) -> str:
    """'Patient.contact.period'."""
    resource = bundle["entry"][way[1]]["resource"]
    return ".".join((resource["resourceType"], *plain(way[_INSIDE:])))
