"""Queries for patients (HL7 v2.5.1 §3.3.56 to §3.3.59, §5.4; IHE ITI-9, ITI-21): QPD or QRD → what is asked for, and
the segments around an answer (MSA, ERR, QAK, DSC)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.codec.hl7v2 import Message
from gateway.codec.hl7v2_acknowledge import error_segment, refusal_code
from gateway.codec.hl7v2_escape import escape, unescape
from gateway.codec.hl7v2_header import Header
from gateway.errors import Permanent

CODES: Final = frozenset({"QBP", "QRY", "VXQ"})  # MSH-9.1 of queries
_FILTER: Final = re.compile(r"@?PID\.(\d{1,2})(?:\.(\d{1,2}))?(?:\.\d{1,2})?")
_CROSS_REFERENCE: Final = "Q23"
_BY_NUMBER: Final = ("Q21", "Q23", "Q24")  # QPD-3 is a number, QPD-4 the domains that are wanted
_DEMOGRAPHICS_DOMAINS: Final = 8  # QPD-8 of IHE's patient demographics query
DEFAULT_LIMIT: Final = 50
MAXIMUM_LIMIT: Final = 200
Authority = tuple[str, str, str]  # namespace, universal id, its type


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked. `filters`: (field of PID, component, value); `number` with its authority; `domains` with the place
    of each (field of QPD, repetition)."""

    trigger: str
    tag: str  # QPD-2, QRD-4: named again in the answer, still escaped
    name: str  # QPD-1, still escaped
    filters: tuple[tuple[int, int, str], ...] = ()
    number: tuple[str, Authority] | None = None
    domains: tuple[tuple[Authority, int, int], ...] = ()
    limit: int = DEFAULT_LIMIT
    pointer: str = ""  # DSC-1: where the answer before ended
    echo: tuple[tuple[str, ...], ...] = ()  # QPD, or QRD and QRF, as they came


def read(message: Message) -> Query:
    """The query of a message. Raises Permanent for one that names nothing to look for or something unknown."""
    segments = {segment[0]: segment for segment in reversed(message.segments)}
    pointer = _text(_field(segments.get("DSC", []), 1), message.charset)
    if "QRD" in segments:
        return _original(message, segments, pointer)
    definition = segments.get("QPD", [])
    if not definition:
        raise _wrong("the query has no QPD segment", "QPD", "100")
    plain = Query(
        trigger=message.header.trigger, tag=_field(definition, 2), name=_field(definition, 1), pointer=pointer,
        limit=_limit(_field(segments.get("RCP", []), 2)), echo=(tuple(definition),),
    )  # fmt: skip
    number = _number(_field(definition, 3), message.charset)
    if number is not None:
        domains = tuple(_domains(definition, 4, message.charset)) if plain.trigger in _BY_NUMBER else ()
        return replace(plain, number=number, domains=domains)
    found = tuple(_filters(_field(definition, 3), message.charset))
    if not found or plain.trigger == _CROSS_REFERENCE:
        raise _wrong("the query names nobody to look for", "QPD-3", "101")
    domains = tuple(_domains(definition, _DEMOGRAPHICS_DOMAINS, message.charset))
    return replace(plain, filters=found, domains=domains)


def _original(message: Message, segments: dict[str, list[str]], pointer: str) -> Query:
    """QRD-8: XCN, whose first component is a number and whose second and third are a name (§5.10.5.3)."""
    definition = segments["QRD"]
    who = _field(definition, 8).partition("~")[0]
    parts = [_text(each, message.charset) for each in [*who.split("^"), "", "", ""]]
    named = tuple((5, place, parts[place]) for place in (1, 2) if parts[place])
    number = _number(f"{who.split('^')[0]}^^^{[*who.split('^'), *[''] * 9][8]}", message.charset)
    if not named and number is None:
        raise _wrong("the query names nobody to look for", "QRD-8", "101")
    echo = tuple(tuple(segments[name]) for name in ("QRD", "QRF") if name in segments)
    return Query(
        trigger=message.header.trigger, tag=_field(definition, 4), name="", pointer=pointer, echo=echo,
        number=number, filters=() if number else named, limit=_limit(_field(definition, 7)),
    )  # fmt: skip


def _filters(field: str, charset: str) -> Iterator[tuple[int, int, str]]:
    """`@PID.5.1^张~@PID.7^19750618`; a composite (`@PID.3^1^^^HOSP`) is its components."""
    for place, each in enumerate(field.split("~"), 1):
        name, _, value = each.partition("^")
        if not name.startswith("@") and not _FILTER.fullmatch(name):
            continue
        found = _FILTER.fullmatch(name.strip())
        if found is None:
            raise _wrong("the query filters by what is no field of PID", f"QPD-3({place})", "103")
        if found[2] is not None or "^" not in value:
            yield from _valued(int(found[1]), int(found[2] or 0), value, charset)
            continue
        for number, part in enumerate(value.split("^"), 1):
            yield from _valued(int(found[1]), number, part, charset)


def _valued(field: int, component: int, raw: str, charset: str) -> Iterator[tuple[int, int, str]]:
    if text := _text(raw, charset).rstrip("*%").strip():
        yield field, component, text


def _domains(definition: Sequence[str], number: int, charset: str) -> Iterator[tuple[Authority, int, int]]:
    for place, each in enumerate(_field(definition, number).split("~"), 1):
        found = authority([*each.split("^"), "", "", "", ""][3], charset)
        if any(found):
            yield found, number, place


def _number(field: str, charset: str) -> tuple[str, Authority] | None:
    """CX: the number and who gave it; None for a filter."""
    if _FILTER.match(field):
        return None
    parts = [*field.partition("~")[0].split("^"), "", "", "", ""]
    value = _text(parts[0], charset)
    return (value, authority(parts[3], charset)) if value and not value.startswith("@") else None


def authority(raw: str, charset: str) -> Authority:
    """HD inside a component."""
    parts = [_text(each, charset) for each in [*raw.split("&"), "", "", ""]]
    return parts[0], parts[1], parts[2]


def _limit(quantity: str) -> int:
    """CQ `10^RD`: records; other units say nothing of patients."""
    number, _, unit = quantity.partition("^")
    usual = unit.partition("&")[0].partition("^")[0].upper() in ("", "RD")
    return min(max(int(number), 1), MAXIMUM_LIMIT) if number.isdecimal() and usual else DEFAULT_LIMIT


def _field(segment: Sequence[str], number: int) -> str:
    return segment[number] if len(segment) > number else ""


def _text(raw: str, charset: str) -> str:
    return unescape(raw, charset).strip().removeprefix('""')


def _wrong(cause: str, place: str, code: str) -> Permanent:
    return Permanent(cause, place=place, remedy="have the asking system mend the query", code=code)


# ------------------------------------------------------------------------------------------------ the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found: how many there are, here and behind; `error`: why nothing could be looked for."""

    total: int = 0
    here: int = 0
    left: int = 0
    pointer: str = ""
    error: Permanent | None = None


_USER_MESSAGE: Final = 8  # ERR-8
_FIELD: Final = re.compile(r"[A-Z]{3}-\d+")
_NAMES_QUERY: Final = {"QPD": (2, 1), "QRD": (4, 0)}  # the fields of its tag and of its name, 0 for none


def as_sent(message: Message) -> Query:
    """What an answer tells again of a query that was not looked into: its tag, its name and its definition."""
    definition = next((tuple(each) for each in message.segments if each[0] in _NAMES_QUERY), ())
    if not definition:
        return Query(trigger=message.header.trigger, tag="", name="")
    tag, name = _NAMES_QUERY[definition[0]]
    named = _field(definition, name) if name else ""
    return Query(trigger=message.header.trigger, tag=_field(definition, tag), name=named, echo=(definition,))


def unsupported(message: Message, answered: Iterable[str]) -> Permanent:
    """Why a query of a kind that nobody answers is refused (HL7 0357): 201 where queries of its code are answered."""
    header = message.header
    known = any(each.partition("^")[0] == header.code for each in answered)
    return Permanent(
        f"queries {header.kind} are not answered", place="MSH-9", code="201" if known else "200",
        remedy=f"ask by one of {', '.join(answered)}, or search over FHIR",
    )  # fmt: skip


def around(query: Query, header: Header, found: Found) -> tuple[list[list[str]], list[list[str]]]:
    """(the segments between MSH and the patients, those behind them). QAK-2 says OK, NF (nobody), AE (an error) or AR
    (not answered at all), as MSA-1 does (§5.5.1, HL7 0208)."""
    refused = refusal_code(found.error) if found.error else ""
    hits = [] if found.error else [str(found.total), str(found.here), str(found.left)]
    head = [["MSA", refused or "AA", header.control_id]]
    if found.error:
        head.append(_error(found.error, header.version))
    head.append(["QAK", query.tag, refused or ("OK" if found.here else "NF"), query.name, *hits])
    head.extend(list(each) for each in query.echo)
    return head, [["DSC", escape(found.pointer), "I"]] if found.pointer else []


def _error(error: Permanent, version: str) -> list[str]:
    """ERR: who asked a question reads what to do about it."""
    place = f"{error.place}(1)" if _FIELD.fullmatch(error.place) else error.place
    located = Permanent(error.cause, place=place, remedy=error.remedy, code=error.code)
    segment = error_segment(located, version)
    if len(segment) > _USER_MESSAGE:
        segment[_USER_MESSAGE] = escape("; ".join(filter(None, (error.cause, error.remedy))))
    return segment
