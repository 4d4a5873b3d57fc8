"""The values of resources, one by one: every leaf with its path, and a resource without one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.mapping.wording import WRITTEN
from gateway.model import Resource

Step = str | int
Leaf = tuple[Step, ...]  # the way to a value inside a resource
Flat = dict[tuple[str, Leaf], Any]  # (name of the resource, way) → value; references by the name of what they mean


def names(resources: Mapping[str, Resource]) -> dict[str, str]:
    """Full URL → a name that people read: 'Observation[2]', counted by type."""
    counts: dict[str, int] = {}
    made = {}
    for url, resource in resources.items():
        type_ = resource["resourceType"]
        counts[type_] = counts.get(type_, 0) + 1
        made[url] = f"{type_}[{counts[type_]}]"
    return made


def by_url(bundle: Resource) -> dict[str, Resource]:
    """The resources of a Bundle by full URL."""
    return {entry["fullUrl"]: entry["resource"] for entry in bundle.get("entry", ())}


def flat(resources: Mapping[str, Resource], named: Mapping[str, str]) -> Flat:
    """Every leaf. A reference stands as the name of what it points at, so that a number that changes does not change
    all that point at it."""
    return {
        (named[url], way): named.get(value, value) if isinstance(value, str) else value
        for url, resource in resources.items()
        for way, value in leaves(resource)
    }


def renamed(resources: Mapping[str, Resource], before: Mapping[str, str]) -> dict[str, str]:
    """Names for resources made again: the same full URL has the same name; others take those that are free."""
    free = {url: name for url, name in before.items() if url not in resources}
    made = {}
    for url, name in names(resources).items():
        if url in before:
            made[url] = before[url]
            continue
        same = next((old for old, each in free.items() if each.partition("[")[0] == name.partition("[")[0]), "")
        made[url] = free.pop(same) if same else f"{name}+"
    return made


def leaves(value: Any, way: Leaf = ()) -> Iterator[tuple[Leaf, Any]]:
    """The leaves of a resource, without its type, and without the wording of elements: it is not what they say."""
    if isinstance(value, dict):
        for name, each in value.items() if value.get("url") != WRITTEN else ():
            if way or name != "resourceType":
                yield from leaves(each, (*way, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*way, index))
    else:
        yield way, value


def path_of(way: Leaf) -> str:
    """'name[0].family'."""
    text = ""
    for step in way:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def plain(way: Leaf) -> tuple[str, ...]:
    """The names alone."""
    return tuple(step for step in way if isinstance(step, str))


def without(value: Any, way: Leaf) -> Any:
    """A copy without one leaf; what is empty then is gone as well, and an extension without url or value. None when
    nothing is left."""
    if not way:
        return None
    step, *rest = way
    if isinstance(value, dict) and step not in value:
        return value  # it went with what it belonged to
    inner = without(value[step], tuple(rest))
    if step == "extension" and inner:
        inner = [each for each in inner if "url" in each and len(each) > 1] or None
    if isinstance(value, list):
        kept = [inner if index == step else each for index, each in enumerate(value)]
        return [each for each in kept if each is not None] or None
    changed = {**value, step: inner}
    if inner is None:
        del changed[step]
    return changed or None


def differing(one: Flat, two: Flat) -> list[tuple[str, Leaf]]:
    """The leaves of the first that the second does not have, or has otherwise."""
    return [place for place, value in one.items() if place not in two or two[place] != value]
