"""Which element a JSON name belongs to, and elements that several messages tell in parts: pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from gateway.fhir import definitions

_PARTED = frozenset({"BackboneElement", "Period"})


def _is_defined(kind: str) -> bool:
    head = kind.partition(".")[0]
    return head in definitions.resource_types() or head in definitions.data_types()


@functools.cache
def _choices(kind: str) -> Mapping[str, str]:
    """'valueQuantity' → 'value[x]' for every form of every choice of a type or of a path inside one."""
    if not _is_defined(kind):
        return {}
    forms = {}
    for element in definitions.children(kind).values():
        if element.choice:
            for type_name in element.types:
                forms[definitions.one_type(element, type_name).name] = element.name
    return forms


def element_of(kind: str, name: str) -> str:
    """The element that a JSON name belongs to: '_birthDate' → 'birthDate', 'valueQuantity' → 'value[x]'."""
    name = name.removeprefix("_")
    return _choices(kind).get(name, name)


@functools.cache
def told_in_parts(kind: str, name: str) -> str:
    """Where the children of an element lie of which one message tells this and another that ('Encounter.period': the
    admission its start, the discharge its end); "" of those that a message tells whole."""
    element = definitions.children(kind).get(name) if _is_defined(kind) else None
    if element is None or element.many or element.choice or not _PARTED.intersection(element.types):
        return ""
    return element.inside
