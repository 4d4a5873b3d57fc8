"""References inside a resource: where they are, what they point at, how they are replaced (R4 references.html)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Reference = dict[str, Any]

_KEYS = frozenset({"id", "extension", "reference", "_reference", "type", "_type", "identifier", "display", "_display"})
_LITERAL = re.compile(
    r"(?P<base>https?://.*/|)(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)


@dataclass(frozen=True, slots=True)
class Literal:
    """What 'Patient/1', 'https://host/fhir/Patient/1/_history/2' say."""

    type: str
    id: str
    base: str = ""  # '' = on this server; else with the closing slash
    version: str = ""


def parse(text: str) -> Literal | None:
    """The parts of a literal reference; None for `#contained`, `urn:…`, a conditional reference and other URLs."""
    found = _LITERAL.fullmatch(text)
    if found is None:
        return None
    return Literal(type=found["type"], id=found["id"], base=found["base"], version=found["version"] or "")


def walk(resource: Any, path: str = "") -> Iterator[tuple[str, Reference]]:
    """Every reference with its place, as ('Observation.performer[0]', the dictionary itself, to be changed in place).

    A reference is a dictionary with a literal `reference` or a single `identifier` and nothing that the datatype
    Reference does not have. One with only a display points at nothing and is not reported. Inside a Bundle and
    contained resources too.
    """
    if isinstance(resource, dict):
        path = path or str(resource.get("resourceType", ""))
        if is_reference(resource):
            yield path, resource
        for key, value in resource.items():
            if isinstance(value, dict | list):
                yield from walk(value, f"{path}.{key}" if path else key)
    elif isinstance(resource, list):
        for index, value in enumerate(resource):
            if isinstance(value, dict):
                yield from walk(value, f"{path}[{index}]")


def find(resource: Any) -> list[Reference]:
    """The same references as `walk`, without their places and in no promised order: faster."""
    found: list[Reference] = []
    stack: list[Any] = [resource]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if ("reference" in value or "identifier" in value) and is_reference(value):
                found.append(value)
            stack.extend([each for each in value.values() if each.__class__ is dict or each.__class__ is list])
        else:
            stack.extend([each for each in value if each.__class__ is dict])
    return found


def is_reference(value: dict[str, Any]) -> bool:
    """Judged by its keys: Expression has a `reference` too, and resources have an `identifier`."""
    return (isinstance(value.get("reference"), str) or isinstance(value.get("identifier"), dict)) and _KEYS.issuperset(
        value
    )


def replace(resource: Any, new: Callable[[str], str | None]) -> int:
    """Asks `new` for every literal reference and writes what it answers (None leaves it). Returns how many changed."""
    changed = 0
    for reference in find(resource):
        text = reference.get("reference")
        answer = new(text) if isinstance(text, str) else None
        if answer is not None and answer != text:
            reference["reference"] = answer
            changed += 1
    return changed
