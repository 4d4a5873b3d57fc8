"""Queries of members that may ask, answered from the record: who is this (IHE PDQ: QBP^Q22, Q21, Q11, QRY^A19), and by
which numbers is he or she known elsewhere (IHE PIX: QBP^Q23). Others are refused, naming what can be asked. A query is
kept in the journal; nothing of it goes into the record.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from gateway.codec import hl7v2, hl7v2_query
from gateway.codec.hl7v2_query import Authority, Found, Query
from gateway.db.engine import Engine, Reader
from gateway.db.record import survivor
from gateway.errors import HutongError, Permanent
from gateway.formats import Formats, Look
from gateway.mapping.context import IDENTIFIER
from gateway.mapping.maps import Address
from gateway.model import Frame, Member, Resource
from gateway.store.record import Record

ANSWERS: Final[Mapping[str, tuple[str, str]]] = {  # (the event of the answer, the structure that the maps write)
    "QBP^Q11": ("K11", "RSP_K21"),
    "QBP^Q21": ("K21", "RSP_K21"),
    "QBP^Q22": ("K22", "RSP_K21"),
    "QBP^Q23": ("K23", "RSP_K21"),
    "QRY^A19": ("A19", "ADR_A19"),
}
_PARAMETERS: Final = {11: "address", 13: "phone", 14: "phone"}
_ASK_BY_NAME: Final = "check the number and who gave it, or ask by name and birth date (QBP^Q22)"
_RETIRED: Final = ("active:not", "false")


def _allowed(member: Member) -> None:
    """MLLP has no passwords: whom a member's settings do not let ask is told nobody. Permanent then."""
    if not member.queries:
        raise Permanent(
            "queries of this sender are not answered",
            place="MSH-4",
            code="200",
            remedy="set `queries: true` in its member.yaml, where nobody else reaches the port",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiries:
    """Answers what one community's members ask. Reads the record; never writes."""

    formats: Formats
    record: Record
    engine: Engine
    indexed: Callable[[], bool] = lambda: True  # may be looked for something

    def answers(self, look: Look) -> bool:
        """Is this a query? One that is not looked into is told so: no answer is no empty answer."""
        header = look.header
        return look.error is None and look.format == "hl7v2" and header is not None and header.code in hl7v2_query.CODES

    def answer(self, frame: Frame, look: Look) -> bytes:
        """The response in the asking system's own version and charset. Transient when the record cannot be read."""
        message = hl7v2.decode(frame.body, look.member.profile.charset)
        if message.header.kind not in ANSWERS:
            return self._refused(message, look.member)
        try:
            _allowed(look.member)
            if not self.indexed():
                raise Permanent("the record is indexed anew after an update", code="207", remedy="ask again later")
            query = hl7v2_query.read(message)
        except Permanent as error:
            return self._written(message, look.member, hl7v2_query.as_sent(message), [], Found(error=error))
        with self.engine.reading() as reader:
            try:
                people, found = self._found(reader, query, look.member)
            except Permanent as error:
                people, found = [], Found(error=error)
        return self._written(message, look.member, query, people, found)

    # ------------------------------------------------------------------------------------------ who

    def _found(self, reader: Reader, query: Query, member: Member) -> tuple[list[Resource], Found]:
        wanted = [self._domain(reader, each, field, place, member) for each, field, place in query.domains]
        if query.trigger == "Q23":
            return self._elsewhere(reader, query, wanted, member)
        if query.number is not None:
            people = [self._of(reader, each) for each in self._known_as(reader, *query.number, member)]
            shown = people[: query.limit]
            return _limited(shown, wanted), Found(total=len(people), here=len(shown), left=len(people) - len(shown))
        return self._like(reader, query, wanted, member)

    def _elsewhere(
        self, reader: Reader, query: Query, wanted: list[frozenset[str]], member: Member
    ) -> tuple[list[Resource], Found]:
        """IHE ITI-9: the other numbers of one person. Raises Permanent for a number that nobody or several have."""
        assert query.number is not None  # noqa: S101  what hl7v2_query.read gives for Q23
        value, giver = query.number
        people = self._known_as(reader, value, giver, member)
        if not people:
            raise Permanent("nobody is known by this number", place="QPD-3", code="204", remedy=_ASK_BY_NAME)
        if len(people) > 1:
            remedy = "name who gave it (QPD-3.4)"
            raise Permanent("several persons are known by this number", place="QPD-3", code="205", remedy=remedy)
        person = self._of(reader, people[0])
        asked = {each["system"] for each in _numbers(person) if _given_by(each, giver, self.formats, member)}
        others = [
            each for each in _numbers(person) if each["value"] != value or (any(giver) and each["system"] not in asked)
        ]
        shown = _limited([{**person, "identifier": others}], wanted)
        anonymous = [
            {"resourceType": "Patient", "identifier": each["identifier"], "name": [{"use": "anonymous"}]}
            for each in shown
            if each["identifier"]
        ]
        count = len(anonymous)
        return anonymous, Found(total=count, here=count)

    def _like(
        self, reader: Reader, query: Query, wanted: list[frozenset[str]], member: Member
    ) -> tuple[list[Resource], Found]:
        """Those whom all filters fit, in pages."""
        pairs = list(self._pairs(query, member))
        page = self.record.search(
            "Patient",
            [*pairs, _RETIRED, ("_count", str(query.limit)), ("_total", "accurate"), ("_cursor", query.pointer)],
            reader=reader,
        )
        people = [each.resource for each in page.matches]
        total, here = page.total or 0, len(people)
        left = max(total - here, 0) if page.next or not query.pointer else 0
        return _limited(people, wanted), Found(total=total, here=here, left=left, pointer=page.next or "")

    def _pairs(self, query: Query, member: Member) -> Iterator[tuple[str, str]]:
        """The filters as a FHIR search. Raises Permanent for a field that is not searched here."""
        sexes = self.formats.maps.library.codes["sex"].into
        givers = [value for field, component, value in query.filters if (field, component) == (3, 4)]
        for field, component, value in query.filters:
            match field, component:
                case 3 | 18 | 19, 0 | 1:
                    yield "identifier", _escaped(value)
                case 3, 4:
                    continue
                case 5, 0 | 1 | 2 | 3:
                    yield "name", _escaped(value)
                case 7, _:
                    yield "birthdate", _date(value)
                case 8, _:
                    yield "gender", sexes.get(value, sexes.get(value.upper(), "unknown"))
                case ((11 | 13 | 14), _):
                    yield _PARAMETERS[field], _escaped(value)
                case _:
                    remedy = "ask by number, name, birth date, sex, address or telephone"
                    raise Permanent(f"PID-{field} is not searched here", place="QPD-3", code="103", remedy=remedy)
        for each in givers:  # a domain alone finds everybody of it
            if not any((field, component) in ((3, 0), (3, 1)) for field, component, _ in query.filters):
                system = self._systems((each, "", ""), member)
                yield "identifier", ",".join(f"{_escaped(name)}|" for name in sorted(system))

    def _known_as(self, reader: Reader, value: str, giver: Authority, member: Member) -> list[str]:
        """The ids of those known by a number; of a merged one that of who stays."""
        page = self.record.search("Patient", [("identifier", _escaped(value)), ("_count", "20")], reader=reader)
        fitting = (
            each.id
            for each in page.matches
            if not any(giver)
            or any(
                number["value"] == value and _given_by(number, giver, self.formats, member)
                for number in _numbers(each.resource)
            )
        )
        return list(dict.fromkeys(survivor(reader, each) for each in fitting))

    def _of(self, reader: Reader, id: str) -> Resource:
        stored = self.record.read("Patient", id, reader=reader)
        return stored.resource if stored else {}

    # ------------------------------------------------------------------------------------------ domains

    def _systems(self, giver: Authority, member: Member) -> frozenset[str]:
        return frozenset(_names(giver, member))

    def _domain(self, reader: Reader, giver: Authority, field: int, place: int, member: Member) -> frozenset[str]:
        """The identifier systems of a domain. Raises Permanent for one that the community does not know."""
        systems = self._systems(giver, member)
        name = giver[0] or giver[1]
        known = self.formats.community.member_of_facility(name) is not None
        if not known and not self._holds(reader, systems):
            remedy = "name a member of the community, or leave it out"
            where = f"QPD-{field}({place})"
            raise Permanent("no numbers of this domain are known", place=where, code="204", remedy=remedy)
        return systems

    def _holds(self, reader: Reader, systems: Iterable[str]) -> bool:
        """Has anybody a number of these systems, or of a kind of theirs?"""
        kinds = ("", ":PI", ":MR", ":PN", ":PT", ":NI")
        asked = ",".join(f"{_escaped(each + kind)}|" for each in systems for kind in kinds)
        return bool(self.record.search("Patient", [("identifier", asked), ("_count", "1")], reader=reader).matches)

    # ------------------------------------------------------------------------------------------ the answer

    def _written(
        self, message: hl7v2.Message, member: Member, query: Query, people: list[Resource], found: Found
    ) -> bytes:
        header = message.header
        event, structure = ANSWERS.get(header.kind) or (_response(header.trigger), "RSP_K21")
        version = header.version if header.version >= "2.3" else "2.5.1"
        profile = msgspec.structs.replace(member.profile, version=version)
        to = Address(
            profile=profile, facility=header.sending_facility or member.id, sender=self.formats.community.id,
            control_id=secrets.token_hex(10).upper(), when=datetime.now(UTC), event=event,
        )  # fmt: skip
        body = self.formats.maps.of(profile).from_fhir(
            _resources(people), ["OperationOutcome/1"], structure=structure, to=to
        )
        written = hl7v2.decode(body).segments
        head, tail = hl7v2_query.around(query, header, found)
        msh = _headed(written[0], header.fields)
        segments = [msh, *head, *(each for each in written if each[0] in ("PID", "PD1")), *tail]
        try:
            return hl7v2.encode(segments, message.charset)
        except HutongError:
            return hl7v2.encode(segments, "utf-8")

    def _refused(self, message: hl7v2.Message, member: Member) -> bytes:
        """A query by parameter is told so in its response (§5.3.1), one in the older styles by an acknowledgement."""
        error = hl7v2_query.unsupported(message, ANSWERS)
        if message.header.code == "QBP":
            return self._written(message, member, hl7v2_query.as_sent(message), [], Found(error=error))
        return hl7v2.acknowledge(
            message.header, code=hl7v2.refusal_code(error), control_id=secrets.token_hex(10).upper(),
            when=datetime.now(UTC), own_facility=self.formats.community.id, error=error,
        )  # fmt: skip


def _response(trigger: str) -> str:
    """The event of a response: Q31 → K31 (§5.3.1.1); that of a local query is its own."""
    return f"K{trigger[1:]}" if trigger.startswith("Q") else trigger


def _headed(msh: list[str], asked: tuple[str, ...]) -> list[str]:
    """MSH of the answer: to the application that asked; nobody acknowledges an answer (v2.5.1 §2.9.3)."""
    fields = [*msh, *[""] * (19 - len(msh))]
    fields[5], fields[6] = asked[3] if len(asked) > 3 else "", asked[4] if len(asked) > 4 else ""
    fields[11] = asked[11].partition("^")[0] if len(asked) > 11 and asked[11] else "P"
    fields[15] = fields[16] = ""
    return fields


def _resources(people: list[Resource]) -> dict[str, Resource]:
    """The people, and the head that names them."""
    found = {f"Patient/{number}": each for number, each in enumerate(people, 1)}
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}
    response = {"identifier": "1", "code": "ok", "details": {"reference": "OperationOutcome/1"}}
    focus = [{"reference": each} for each in found]
    header = {"resourceType": "MessageHeader", "response": response, "focus": focus}
    return {"OperationOutcome/1": outcome, "MessageHeader/1": header, **found}


def _numbers(person: Resource) -> list[dict[str, Any]]:
    """The numbers that somebody gave: not the record's own keys, nor those that are no more."""
    return [
        each
        for each in person.get("identifier", ())
        if each.get("system") and each.get("value") and each.get("use") != "old"
    ]


def _limited(people: list[Resource], wanted: list[frozenset[str]]) -> list[Resource]:
    """With the numbers of the wanted domains only; all where none is named."""
    if not wanted:
        return people
    systems = frozenset().union(*wanted)
    return [
        {**each, "identifier": [number for number in _numbers(each) if _within(number["system"], systems)]}
        for each in people
    ]


def _within(system: str, systems: Iterable[str]) -> bool:
    return any(system == each or system.startswith(f"{each}:") for each in systems)


def _given_by(number: Mapping[str, Any], giver: Authority, formats: Formats, member: Member) -> bool:
    return _within(str(number["system"]), _names(giver, member))


def _names(giver: Authority, member: Member) -> Iterator[str]:
    """The systems that an assigning authority may stand under: its name, its OID, what the member's profile says."""
    name, universal, kind = giver
    if universal:
        yield f"urn:oid:{universal}" if kind.upper() in ("ISO", "") else universal
    for each in filter(None, (name, universal)):
        yield f"{IDENTIFIER}{quote(each, safe='')}"
        for known, system in member.profile.authorities.items():
            if known.partition(":")[0] == each:
                yield system


def _escaped(value: str) -> str:
    r"""A value inside a search: `\,` `\|` `\$` (R4 search.html#escaping)."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")


def _date(value: str) -> str:
    """19750618 → 1975-06-18; a month or a year alone is one."""
    digits = value[:8]
    if not digits.isdecimal() or len(digits) not in (4, 6, 8):
        raise Permanent("this is no date", place="QPD-3", code="102", remedy="write it as YYYYMMDD, YYYYMM or YYYY")
    return "-".join(filter(None, (digits[:4], digits[4:6], digits[6:8])))
