"""The invariants of R4 that are cheap to judge, bound to a reader: dictionaries or compiled structs.

Those about presence come from the definitions; a few that bite are written here: per-1, obs-7, rng-2, the UCUM
quantities, narrative safety. Bundle rules are in bundle_rules.py, those about contained resources in problems.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from gateway.fhir import dates, definitions, narrative


class Item(Protocol):
    """A dictionary, or a struct that answers like one."""

    def get(self, name: str, /) -> Any:
        """The value, or None."""
        ...


Holds = Callable[[Any], bool]
Names = tuple[str, ...]  # the JSON names that an element may have; there when any of them is
Forms = Mapping[str, Callable[..., Holds]]  # form → maker; a maker takes the Names of each element of the rule


@dataclass(frozen=True, slots=True)
class Invariant:
    """`holds(item)` is False: `text` says what is wrong, `key` is its name in R4."""

    key: str
    text: str
    holds: Holds
    presence: bool = False  # it looks only at which elements are there
    reads: frozenset[str] = frozenset()  # it can only fail when all of these are there


def bind(path: str, forms: Forms) -> tuple[Invariant, ...]:
    """The invariants of a type or an inline structure, for one kind of reader."""
    made = [
        Invariant(
            rule.key, rule.text, forms[rule.form](*(json_names(path, name) for name in rule.names)), presence=True
        )
        for rule in definitions.rules(path)
    ]
    made += [Invariant(key, text, holds, reads=frozenset(reads)) for key, text, holds, *reads in _WRITTEN.get(path, ())]
    made += list(_bindings(path))
    return tuple(made)


def json_names(path: str, name: str) -> tuple[str, ...]:
    """Every JSON name of an element: each type of a choice, and the `_name` of primitives."""
    below = definitions.children(path)
    if name in below:
        elements = [below[name]]
    else:
        choice = below[f"{name}[x]"]
        elements = [definitions.one_type(choice, type_name) for type_name in choice.types]
    primitive = definitions.primitives()
    return tuple(
        written
        for each in elements
        for written in ([each.name, f"_{each.name}"] if each.types[0] in primitive else [each.name])
    )


def _any(*elements: Names) -> Holds:
    names = frozenset(name for element in elements for name in element)
    return lambda item: not names.isdisjoint(item)


def _needs(element: Names, needed: Names) -> Holds:
    has, must = frozenset(element), frozenset(needed)
    return lambda item: has.isdisjoint(item) or not must.isdisjoint(item)


def _excludes(element: Names, other: Names) -> Holds:
    one, two = frozenset(element), frozenset(other)
    return lambda item: one.isdisjoint(item) or two.isdisjoint(item)


def _one(element: Names, other: Names) -> Holds:
    one, two = frozenset(element), frozenset(other)
    return lambda item: one.isdisjoint(item) is not two.isdisjoint(item)


def _both(element: Names, other: Names) -> Holds:
    one, two = frozenset(element), frozenset(other)
    return lambda item: one.isdisjoint(item) is two.isdisjoint(item)


IN_DICTIONARIES: Forms = {"any": _any, "needs": _needs, "excludes": _excludes, "one": _one, "both": _both}


# ------------------------------------------------------------------------------------- required codes


def _bindings(path: str) -> Iterator[Invariant]:
    """Required bindings of CodeableConcepts: one of the codings is from the value set (terminologies.html#required)."""
    for element in definitions.children(path).values():
        if element.codes is not None and element.types == ("CodeableConcept",):
            text = f"{element.name} needs a coding from {element.binding}"
            yield Invariant("binding", text, _coded(element.name, element.codes), reads=frozenset({element.name}))


def _coded(name: str, codes: frozenset[str]) -> Holds:
    def holds(item: Item) -> bool:
        value = item.get(name)
        concepts = value if isinstance(value, list) else [value] if value is not None else []
        return all(
            any(f"{coding.get('system')}|{coding.get('code')}" in codes for coding in concept.get("coding") or ())
            for concept in concepts
        )

    return holds


# ------------------------------------------------------------------------------- the few written here

_UTC = ZoneInfo("UTC")
_UCUM = "http://unitsofmeasure.org"
_ACTIVE = re.compile(
    r"<\s*(?:script|iframe|object|embed|form|input|link|base|head|body|meta|style)\b|\son[a-z]+\s*=|javascript:", re.I
)


def _period(item: Item) -> bool:
    """per-1; dates of different precision overlap or cannot be compared, and pass."""
    start, end = item.get("start"), item.get("end")
    if start is None or end is None or (len(start) > 10) is not (len(end) > 10):
        return True
    last = dates.interval(end, _UTC)[len(end) <= 10]  # fractions of a second are no other precision (FHIRPath 1.0 §4.1)
    return dates.interval(start, _UTC)[0] <= last


def _range(item: Item) -> bool:
    """rng-2, when both have the same unit."""
    low, high = item.get("low"), item.get("high")
    if low is None or high is None or low.get("value") is None or high.get("value") is None:
        return True
    same = low.get("code") == high.get("code") and low.get("unit") == high.get("unit")
    return not same or bool(low.get("value") <= high.get("value"))


def _codings(concept: Any) -> set[tuple[Any, Any]]:
    return {(each.get("system"), each.get("code")) for each in concept.get("coding") or ()} if concept else set()


@functools.cache
def _values() -> tuple[str, ...]:
    return json_names("Observation", "value")


def _component(item: Item) -> bool:
    """obs-7: with a value, no component carries the observation's own code."""
    components = item.get("component")
    if components is None or all(item.get(name) is None for name in _values()):
        return True
    own = _codings(item.get("code"))
    return all(own.isdisjoint(_codings(each.get("code"))) for each in components)


def _ucum(item: Item) -> bool:
    return item.get("system") in (None, _UCUM) and (item.get("code") is not None or item.get("value") is None)


def _duration(item: Item) -> bool:
    return item.get("code") is None or (item.get("system") == _UCUM and item.get("value") is not None)


def _ratio(item: Item) -> bool:
    pair = (item.get("numerator") is None, item.get("denominator") is None)
    return pair == (False, False) or (pair == (True, True) and item.get("extension") is not None)


def _not_home(name: str) -> Holds:
    return lambda item: all(each.get("use") != "home" for each in item.get(name) or ())


def _not_negative(name: str) -> Holds:
    return lambda item: item.get(name) is None or item.get(name) >= 0


def _base64(item: Item) -> bool:
    data = item.get("data")
    return data is None or len(data) % 4 == 0 or len("".join(data.split())) % 4 == 0


def _narrative(item: Item) -> bool:
    return _ACTIVE.search(item.get("div") or "") is None


def _xhtml(item: Item) -> bool:
    return narrative.is_xhtml(item.get("div") or "")


def _condition_clinical(item: Item) -> bool:
    """con-5 and ait-2: what was entered in error has no clinical status."""
    error = any(code == "entered-in-error" for _, code in _codings(item.get("verificationStatus")))
    return not error or item.get("clinicalStatus") is None


_Written = tuple[str, str, Holds, *tuple[str, ...]]  # key, text, test, the elements without which it holds
_NO_STATUS = "clinicalStatus is not given when verificationStatus is entered-in-error"
_WRITTEN: Mapping[str, Iterable[_Written]] = {
    "Period": [("per-1", "start is after end", _period, "start", "end")],
    "Range": [("rng-2", "low is above high", _range, "low", "high")],
    "Ratio": [("rat-1", "a ratio has both numerator and denominator", _ratio)],
    "Observation": [
        ("obs-7", "a component has the code of the observation, which has a value", _component, "component")
    ],
    "Age": [("age-1", "an age has a UCUM unit code", _ucum)],
    "Distance": [("dis-1", "a distance has a UCUM unit code", _ucum)],
    "Duration": [("drt-1", "a duration has a UCUM unit code and a value", _duration)],
    "Organization": [
        ("org-3", "the telecom of an organization is never of use 'home'", _not_home("telecom"), "telecom"),
        ("org-2", "the address of an organization is never of use 'home'", _not_home("address"), "address"),
    ],
    "Timing.repeat": [
        ("tim-4", "duration is negative", _not_negative("duration"), "duration"),
        ("tim-5", "period is negative", _not_negative("period"), "period"),
    ],
    "Attachment": [("base64", "data is not base64: its length is not a multiple of 4", _base64, "data")],
    "Binary": [("base64", "data is not base64: its length is not a multiple of 4", _base64, "data")],
    "Narrative": [
        ("txt-1", "the narrative has scripts, forms or event attributes", _narrative, "div"),
        ("txt-1", "the narrative is no XHTML: one <div>, in which every tag is closed", _xhtml, "div"),
    ],
    "Condition": [("con-5", _NO_STATUS, _condition_clinical, "verificationStatus")],
    "AllergyIntolerance": [("ait-2", _NO_STATUS, _condition_clinical, "verificationStatus")],
}
