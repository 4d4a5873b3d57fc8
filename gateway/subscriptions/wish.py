"""A Subscription resource → what it asks for. Whatever makes no sense is refused with the element that does not.

R4 subscription.html; http://hl7.org/fhir/uv/subscriptions-backport (1.1) for those whose criteria is a topic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.errors import Configuration, Permanent
from gateway.model import Resource, Topic
from gateway.routing.criteria import Criteria, compile_criteria
from gateway.store.alone import Question, question
from gateway.store.stored import milliseconds

GUIDE: Final = "http://hl7.org/fhir/uv/subscriptions-backport"
EXTENSION: Final = f"{GUIDE}/StructureDefinition/backport-"
PROFILE: Final = f"{GUIDE}/StructureDefinition/backport-subscription"
PAYLOADS: Final = {
    "application/fhir+json": "application/fhir+json",
    "application/json": "application/fhir+json",
    "application/fhir+xml": "application/fhir+xml",
    "application/xml": "application/fhir+xml",
}
CONTENTS: Final = ("empty", "id-only", "full-resource")
MASK: Final = "********"  # stands for the value of a header wherever the resource is read
MOST: Final = 100  # events in one notification
TIMEOUT: Final = 30.0
LONGEST_TIMEOUT: Final = 120.0
SHORTEST_BEAT: Final = 5  # seconds
HEADERS: Final = 20

_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}): ?([\x20-\x7e\x80-\xff]{0,4000})")
_OURS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "keep-alive", "te", "trailer"}
    | {"upgrade", "expect", "idempotency-key", "proxy-authorization", "proxy-connection"}
)

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """What narrows a topic: asked of the version that there is, and of the last one of what was deleted."""

    type: str
    now: Question
    gone: Criteria


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one Subscription asks for. Either `question` or `topic` is there."""

    id: str
    endpoint: str
    payload: str  # application/fhir+json | application/fhir+xml | "" for an empty call
    timeout: float = TIMEOUT
    ends: int = 0  # milliseconds since 1970; 0: never
    question: Question | None = None
    topic: Topic | None = None
    filters: tuple[Filter, ...] = ()
    content: str = "empty"
    heartbeat: int = 0  # seconds; 0: none
    most: int = 1  # events in one notification

    @property
    def types(self) -> frozenset[str]:
        """The resource types that it tells about."""
        if self.question is not None:
            return frozenset({self.question.type})
        return frozenset(each.resource for each in self.topic.triggers) if self.topic else frozenset()

    @property
    def chained(self) -> bool:
        """Does it ask what resources of other types say?"""
        return any(each.around for each in (self.question, *(one.now for one in self.filters)) if each is not None)


def read(subscription: Resource, topics: Mapping[str, Topic]) -> Wish:
    """The wish of a valid R4 Subscription. Raises Configuration whose place is the element."""
    channel = subscription["channel"]
    if channel["type"] != "rest-hook":
        remedy = "rest-hook is offered; websocket, email, sms and message are not"
        raise Configuration(f"no channel of type {channel['type']}", place="Subscription.channel.type", remedy=remedy)
    if not channel.get("endpoint"):
        raise Configuration("a rest-hook needs its endpoint", place="Subscription.channel.endpoint", remedy="add it")
    text = str(subscription["criteria"])
    facts: dict[str, Any] = {
        "id": str(subscription.get("id", "")), "endpoint": channel["endpoint"], "payload": _payload(channel),
        "ends": _ends(subscription),
    }  # fmt: skip
    if _is_topic(subscription):
        return _of_topic(subscription, text, topics, facts)
    type_name, _, query = text.partition("?")
    return Wish(**facts, question=_question(type_name.strip(), query, "Subscription.criteria"))


def headers(subscription: Resource) -> list[Header]:
    """The headers of the channel as they are written, values of MASK included."""
    lines = subscription["channel"].get("header", ())
    if len(lines) > HEADERS:
        raise Configuration(f"more than {HEADERS} headers", place="Subscription.channel.header")
    return [_header(line, number) for number, line in enumerate(lines)]


def unmasked(written: Iterable[Header], known: Iterable[Header]) -> list[Header]:
    """The headers with the secrets that are known, where what was written is the mask."""
    secrets = {name.lower(): value for name, value in known}
    found: list[Header] = []
    for number, (name, value) in enumerate(written):
        if value == MASK and name.lower() not in secrets:
            raise Configuration("the mask is not its value", place=f"Subscription.channel.header[{number}]")
        found.append((name, secrets[name.lower()] if value == MASK else value))
    return found


def masked(subscription: Resource) -> Resource:
    """The resource as everybody may read it."""
    lines = subscription["channel"].get("header")
    if not lines:
        return subscription
    kept = [f"{str(line).partition(':')[0]}: {MASK}" for line in lines]
    return {**subscription, "channel": {**subscription["channel"], "header": kept}}


def _header(line: Any, number: int) -> Header:
    place = f"Subscription.channel.header[{number}]"
    found = _HEADER.fullmatch(str(line))
    if found is None:
        raise Configuration("no header: one line `Name: value`", place=place, remedy="such as Authorization: Bearer …")
    if found[1].lower() in _OURS:
        raise Configuration(f"{found[1]} is set by the gateway", place=place, remedy="leave it out")
    return found[1], found[2].strip()


def _payload(channel: Resource) -> str:
    text = str(channel.get("payload", ""))
    kind = text.partition(";")[0].strip().lower()
    if kind and kind not in PAYLOADS:
        remedy = "application/fhir+json, application/fhir+xml, or leave it out for an empty call"
        raise Configuration("no such payload", place="Subscription.channel.payload", remedy=remedy)
    return PAYLOADS.get(kind, "")


def _ends(subscription: Resource) -> int:
    text = subscription.get("end")
    return milliseconds(datetime.fromisoformat(str(text)).astimezone(UTC)) if text else 0


def _is_topic(subscription: Resource) -> bool:
    profiles = subscription.get("meta", {}).get("profile", ())
    head = str(subscription["criteria"]).lstrip().lower()
    return any(str(each).partition("|")[0] == PROFILE for each in profiles) or head.startswith(
        ("http:", "https:", "urn:")
    )


def _question(type_name: str, query: str, place: str) -> Question:
    empty = next((part for part in query.split("&") if part and not part.partition("=")[2]), "")
    if empty:  # a search passes it over, and would then tell everything
        raise Configuration(f"{empty.partition('=')[0][:40]!r} has no value", place=place, remedy="write name=value")
    try:
        return question(type_name, query)
    except Permanent as error:
        raise Configuration(error.cause, place=place, remedy=error.remedy or "such as Observation?code=…") from None


# ------------------------------------------------------------------------------------------------ topics


def _of_topic(subscription: Resource, url: str, topics: Mapping[str, Topic], facts: Mapping[str, Any]) -> Wish:
    topic = topics.get(url.strip().partition("|")[0])
    if topic is None:
        remedy = "CapabilityStatement names the topics that there are"
        raise Configuration("there is no such topic", place="Subscription.criteria", remedy=remedy)
    for each in topic.triggers:  # of the settings: checked there, and never trusted in a transaction
        _question(each.resource, each.current, "Subscription.criteria")
        compile_criteria(f"{each.resource}?{each.previous}")
    channel = subscription["channel"]
    extra = channel.get("extension", ())
    beat = _number(extra, "heartbeat-period", 86_400 * 7)
    return Wish(
        **{**facts, "payload": facts["payload"] or "application/fhir+json"},
        topic=topic,
        filters=tuple(_filters(subscription, topic)),
        content=_content(channel),
        heartbeat=max(beat, SHORTEST_BEAT) if beat else 0,
        timeout=min(float(_number(extra, "timeout", 86_400) or TIMEOUT), LONGEST_TIMEOUT),
        most=min(_number(extra, "max-count", 1 << 31) or 1, MOST),
    )  # fmt: skip


def _content(channel: Resource) -> str:
    found = _values(channel.get("_payload", {}).get("extension", ()), "payload-content")
    content = str(found[0]) if found else "empty"
    if content not in CONTENTS:
        remedy = f"one of {', '.join(CONTENTS)}"
        raise Configuration("no such content", place="Subscription.channel.payload.extension[0]", remedy=remedy)
    return content


def _filters(subscription: Resource, topic: Topic) -> Iterable[Filter]:
    written = _values(subscription.get("_criteria", {}).get("extension", ()), "filter-criteria")
    for number, text in enumerate(written):
        place = f"Subscription.criteria.extension[{number}]"
        type_name, mark, query = str(text).partition("?")
        if not mark:
            type_name, query = topic.triggers[0].resource, str(text)
        if type_name not in {each.resource for each in topic.triggers}:
            raise Configuration(f"this topic does not tell about {type_name[:40]}", place=place)
        for part in filter(None, query.split("&")):
            name = part.partition("=")[0].partition(":")[0].partition(".")[0]
            if name not in topic.filters:
                remedy = f"it takes {', '.join(topic.filters)}"
                raise Configuration(f"this topic is not narrowed by {name[:40]!r}", place=place, remedy=remedy)
        now = _question(type_name, query, place)
        try:
            yield Filter(type_name, now, compile_criteria(f"{type_name}?{query}"))
        except Configuration as error:
            raise Configuration(error.cause, place=place, remedy=error.remedy) from None


def _values(extensions: Iterable[Any], name: str) -> list[Any]:
    """The values of the guide's extensions of this name."""
    return [
        value
        for each in extensions
        if isinstance(each, dict) and each.get("url") == f"{EXTENSION}{name}"
        for key, value in each.items()
        if key.startswith("value")
    ]


def _number(extensions: Iterable[Any], name: str, most: int) -> int:
    found = _values(extensions, name)
    if not found:
        return 0
    if not isinstance(found[0], int) or isinstance(found[0], bool) or not 0 <= found[0] <= most:
        raise Configuration(f"{name} is no number up to {most}", place="Subscription.channel.extension")
    return int(found[0])
