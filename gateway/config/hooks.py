"""What settings about Subscriptions of FHIR clients must mean: networks that are networks, topics whose searches are.

HUTONG_HOOKS in the environment of the service adds networks, with commas between: to try Subscriptions out without a
community.yaml. Every rule tells its mistakes to `note` and goes on.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterable

import msgspec

from gateway.errors import Configuration, Permanent
from gateway.fhir import definitions
from gateway.model import Hooks, Topic, Trigger
from gateway.routing.criteria import compile_criteria

VARIABLE = "HUTONG_HOOKS"

Note = Callable[..., None]  # (place as a path, cause, remedy)

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_INTERACTIONS = frozenset({"create", "update", "delete"})


def check(hooks: Hooks, topics: Iterable[Topic], note: Note) -> None:
    """Everything that is said about them."""
    _hooks(hooks, note)
    seen: set[str] = set()
    for number, topic in enumerate(topics):
        if topic.url in seen:
            note(("topics", number, "url"), "this topic is there already", "name it otherwise")
        seen.add(topic.url)
        _topic(topic, number, note)


def _hooks(hooks: Hooks, note: Note) -> None:
    for number, text in enumerate(hooks.networks):
        if not _is_network(text):
            note(("hooks", "networks", number), f"{text!r} is no network", "such as 10.20.0.0/16 or 10.20.3.4")
    for number, text in enumerate(hooks.hosts):
        if not _HOST.fullmatch(text):
            note(("hooks", "hosts", number), f"{text!r} is no host name", "such as his.county.local")
    for number, port in enumerate(hooks.ports):
        if not 1 <= port <= 65535:
            note(("hooks", "ports", number), f"{port} is no port", "from 1 to 65535")
    if not 1 <= hooks.attempts <= 10_000:
        note(("hooks", "attempts"), "'attempts' must be from 1 to 10000", "10 is usual")
    for name in ("patience", "kept"):
        if not 1 <= getattr(hooks, name) <= 31_536_000:
            note(("hooks", name), f"{name!r} must be from 1 to 31536000 seconds", "leave it out")


def with_environment(hooks: Hooks) -> Hooks:
    """The same with the networks of HUTONG_HOOKS. Raises Configuration for one that is none."""
    added = tuple(part.strip() for part in os.environ.get(VARIABLE, "").split(",") if part.strip())
    bad = next((text for text in added if not _is_network(text)), None)
    if bad is not None:
        raise Configuration(f"{bad!r} is no network", place=VARIABLE, remedy="such as 10.20.0.0/16,127.0.0.0/8")
    return msgspec.structs.replace(hooks, networks=(*hooks.networks, *added)) if added else hooks


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _topic(topic: Topic, number: int, note: Note) -> None:
    if not re.fullmatch(r"(https?://|urn:)[^\s|#?]+", topic.url):
        note(("topics", number, "url"), "a topic is named by a URL", "such as https://sanhe.example.cn/topics/critical")
    if not topic.triggers:
        note(("topics", number, "triggers"), "nothing would ever happen", "add `triggers: [{resource: …}]`")
    types = [each.resource for each in topic.triggers if each.resource in definitions.resource_types()]
    for place, trigger in enumerate(topic.triggers):
        _trigger(trigger, ("topics", number, "triggers", place), note)
    for place, name in enumerate(topic.filters):
        if types and not all(_is_parameter(type_name, name) for type_name in types):
            cause = f"{name!r} is no search parameter of {', '.join(types)}"
            note(("topics", number, "filters", place), cause, "such as patient")


def _is_parameter(type_name: str, name: str) -> bool:
    from gateway.store.clause import known  # a tenth of a second that only topics need

    try:
        known(type_name, name)
    except Permanent:
        return False
    return True


def _trigger(trigger: Trigger, place: tuple[str | int, ...], note: Note) -> None:
    if trigger.resource not in definitions.resource_types():
        note((*place, "resource"), f"unknown resource type {trigger.resource!r}", "such as Observation")
        return
    if not trigger.on or set(trigger.on) - _INTERACTIONS:
        note((*place, "on"), "'on' names create, update, delete", "such as [create, update]")
    from gateway.store.alone import question  # likewise

    try:
        question(trigger.resource, trigger.current)
    except Permanent as error:
        note((*place, "current"), error.cause, error.remedy or "such as status=final")
    try:
        compile_criteria(f"{trigger.resource}?{trigger.previous}")
    except Configuration as error:
        note((*place, "previous"), error.cause, error.remedy)
    for name in trigger.changed:
        if name not in definitions.children(trigger.resource):
            note((*place, "changed"), f"{trigger.resource} has no element {name!r}", "such as location")
