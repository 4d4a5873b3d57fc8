"""What a row shows of a list that it has one cell for: of names, numbers, telephones and addresses those that hold now
come first, and each name and address has its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.mapping.datatypes.people import human_name
from gateway.model import Resource

_NO_LONGER = frozenset({"old", "nickname", "anonymous", "maiden"})  # R4 name-use, identifier-use, address-use
_HAN = re.compile("[⺀-鿿\U00020000-\U0003ffff]")
_Element = dict[str, Any]


def shown_first(resource: Resource) -> Resource:
    """The same resource, or a copy in that order."""
    found = {name: made for name, make in _MADE.items() if (made := _ordered(resource.get(name), make)) is not None}
    return {**resource, **found} if found else resource


def _ordered(elements: Any, make: Callable[[_Element], _Element]) -> list[Any] | None:
    """The elements as they are shown; None where they are so already, or are no list."""
    if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
        return None
    made = [make(each) for each in elements]
    made.sort(key=lambda each: each.get("use") in _NO_LONGER)
    return None if all(each is other for each, other in zip(made, elements, strict=True)) else made


def _named(name: _Element) -> _Element:
    given = name.get("given", ())
    if "text" in name or not ("family" in name or given):
        return name
    first, second = (*given, "", "")[:2]
    text = human_name(str(name.get("family", "")), str(first), str(second))["text"]
    return {**name, "text": text}


def _addressed(address: _Element) -> _Element:
    around = [str(address[each]) for each in ("state", "city", "district") if each in address]
    lines = [str(each) for each in address.get("line", ())]
    if "text" in address or not (around or lines):
        return address
    chinese = _HAN.search("".join((*around, *lines)))
    return {**address, "text": "".join((*around, *lines)) if chinese else ", ".join((*lines, *reversed(around)))}


def _as_it_is(element: Mapping[str, Any]) -> Any:
    return element


_MADE: dict[str, Callable[[_Element], _Element]] = {
    "name": _named,
    "address": _addressed,
    "identifier": _as_it_is,
    "telecom": _as_it_is,
}
