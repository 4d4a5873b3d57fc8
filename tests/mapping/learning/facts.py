"""What a Bundle says, as facts that can be compared: (type, element, value), whatever its resources are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

Fact = tuple[str, str, str]
_OWN = frozenset({"fullUrl", "meta", "display"})  # display: of references


def facts(bundle: dict[str, Any]) -> Counter[Fact]:
    """All of them; of Provenance none."""
    types = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle.get("entry", ())}
    found: Counter[Fact] = Counter()
    for entry in bundle.get("entry", ()):
        resource = entry["resource"]
        if resource["resourceType"] != "Provenance":
            found.update((resource["resourceType"], path, value) for path, value in _leaves(resource, "", types))
    return found


def _leaves(node: Any, path: str, types: dict[str, str]) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for each in node:
            yield from _leaves(each, path, types)
    elif isinstance(node, dict):
        for name, each in node.items():
            if name not in _OWN:
                yield from _leaves(each, f"{path}.{name}", types)
    else:
        yield path, types.get(str(node), str(node))


def agreement(wanted: Counter[Fact], made: Counter[Fact]) -> float:
    """The share of the wanted facts that were made."""
    return (wanted & made).total() / max(1, wanted.total())
