"""What points at another resource: references and URLs are written anew while a Bundle enters the record."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from gateway.model import Resource

URLS: Final = frozenset({"reference", "url", "uri", "valueUri", "valueUrl"})  # elements that may name an entry
GONE: Final = "\0"  # the target of what pointed at an entry that has no resource

_POINTING: Final = URLS | {"div"}  # a narrative's links and images, too
_LINK: Final = re.compile(r"""(\b(?:href|src)\s*=\s*(["']))([^"'<>]+)(?=\2)""")
Target = Callable[[str, str], str]  # (name of the element, its text) → the text that it gets, or GONE


def rewritten(value: Resource, target: Target) -> Any:
    """The same with every pointer as `target` says; None for a reference to what is GONE. What holds no pointer that
    changes is not copied."""
    changed: dict[str, Any] | None = None
    for name, inner in value.items():
        kind = type(inner)
        if kind is str:  # most are
            if name not in _POINTING:
                continue
            made: Any = target(name, inner) if name != "div" else _narrative(inner, target)
            if made == GONE:
                return None
        elif kind is dict:
            made = rewritten(inner, target)
        elif kind is list:
            made = _list(inner, target)
        else:
            continue
        if made is not inner:
            changed = dict(value) if changed is None else changed
            if made is None:
                del changed[name]
            else:
                changed[name] = made
    return value if changed is None else changed


def _narrative(text: str, target: Target) -> str:
    """The links and images inside are pointers, too (R4 http.html#trules); one to what is GONE stays as it was."""
    if "href" not in text and "src" not in text:
        return text

    def made(link: re.Match[str]) -> str:
        found = target("href", link[3])
        return link[0] if found == GONE else link[1] + found

    return _LINK.sub(made, text)


def _list(values: list[Any], target: Target) -> list[Any] | None:
    """None when nothing is left of it: every member pointed at what is GONE."""
    changed: list[Any] | None = None
    for position, each in enumerate(values):
        if type(each) is dict:
            made = rewritten(each, target)
            if made is not each:
                changed = list(values) if changed is None else changed
                changed[position] = made
    return values if changed is None else [each for each in changed if each is not None] or None


def retired_into(resource: Resource) -> str | None:
    """The id of the Patient that this inactive one was replaced by (Patient.link replaced-by)."""
    if resource.get("active") is not False:
        return None
    for link in resource.get("link", ()):
        target = str(link.get("other", {}).get("reference", ""))
        if link.get("type") == "replaced-by" and target.startswith("Patient/"):
            return target.removeprefix("Patient/")
    return None
