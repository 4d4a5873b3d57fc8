"""Finds who an arriving Patient may be in the record's index, and lets `match` decide.

A retired Patient speaks for the one it was merged into: the survivor is the candidate, with the numbers of both.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.codec.chinese_numbers import national_id, phone
from gateway.db.engine import Reader
from gateway.db.record import ZONE, parameter_number, survivor, system_number
from gateway.fhir import dates, json
from gateway.fhir.normal import normal
from gateway.identity.match import Candidate, Decision, Person, decide
from gateway.model import Resource

BY_NUMBER = (
    "SELECT r.id, r.body FROM index_token i JOIN resource r ON r.rid = i.rid "
    "WHERE i.parameter = ? AND i.value = ? AND i.system = ?"
)
BY_NAME_AND_BIRTH = (
    "SELECT r.id, r.body FROM index_string i JOIN resource r ON r.rid = i.rid "
    "WHERE i.parameter = ? AND i.value = ? AND r.date = ? LIMIT 20"
)
BY_ID = "SELECT r.id, r.body FROM resource r WHERE r.type = 'Patient' AND r.id = ? AND r.deleted = 0"

NATIONAL_SYSTEMS: Final = frozenset({"urn:oid:2.16.156.10011.1.3"})  # 居民身份证 (GB 11643)
_NATIONAL_TYPES: Final = frozenset({"NI", "NNCHN"})  # HL7 table 0203
_NOT_OF_A_PERSON: Final = frozenset({"AN", "VN"})  # numbers of an account or a visit


def resolve(reader: Reader, patient: Resource, *, authoritative: bool) -> Decision:
    """Who the arriving Patient is among those stored; a retired one is never the answer, its survivor is.

    `authoritative`: the source registers people (its ADT). From others, a number that the record knows with another
    national id is not a number given anew but a mistake somewhere: a person decides.
    """
    arriving = person(patient)
    candidates = _candidates(reader, patient, arriving)
    decision = decide(arriving, candidates)
    if not authoritative and decision.kind == "new" and "recycled-number" in decision.reasons:
        sharing = tuple(each.patient_id for each in candidates if each.person.numbers & arriving.numbers)
        return Decision(kind="ask", reasons=decision.reasons, candidates=sharing)
    return decision


def person(patient: Resource) -> Person:
    """What a Patient resource says of a person."""
    national, numbers = "", set()
    for each in patient.get("identifier", ()):
        system, value = str(each.get("system", "")), str(each.get("value", ""))
        kinds = {coding.get("code") for coding in each.get("type", {}).get("coding", ())}
        if system in NATIONAL_SYSTEMS or kinds & _NATIONAL_TYPES:
            national = national if national_id(national) else value
        elif value and not kinds & _NOT_OF_A_PERSON:
            numbers.add((system, value))
    return Person(
        name=_name(patient),
        birth_date=str(patient.get("birthDate", "")),
        sex=str(patient.get("gender", "")),
        national_id=national,
        numbers=frozenset(numbers),
        phones=frozenset(filter(None, (phone(str(each.get("value", ""))) for each in patient.get("telecom", ())))),
    )


def _name(patient: Resource) -> str:
    """The official name, else the first: as written, else family and given together."""
    names = sorted(patient.get("name", ()), key=lambda name: (name.get("use") != "official", name.get("use") == "old"))
    for name in names:
        whole = name.get("text") or f"{name.get('family', '')}{''.join(filter(None, name.get('given', ())))}"
        if whole:
            return str(whole)
    return ""


def _candidates(reader: Reader, patient: Resource, arriving: Person) -> list[Candidate]:
    rows = _by_number(reader, patient) or _by_name(reader, arriving)
    found: dict[str, Person] = {}
    for id_, body in rows:
        hit = _person_of(body)
        living = survivor(reader, id_)
        who = found.get(living) or (hit if living == id_ else _stored(reader, living) or hit)
        found[living] = replace(who, numbers=who.numbers | hit.numbers, national_id=who.national_id or hit.national_id)
    return [Candidate(patient_id=id_, person=found[id_]) for id_ in sorted(found)]


def _by_number(reader: Reader, patient: Resource) -> list[tuple[str, bytes]]:
    """Patients with any of its identifiers; a national id also in its other spellings (15 digits, small x)."""
    parameter = parameter_number("Patient", "identifier")
    wanted: set[tuple[str, str]] = set()
    for each in patient.get("identifier", ()):
        if value := str(each.get("value", "")):
            wanted.update((str(each.get("system", "")), spelling) for spelling in _spellings(value))
    rows: dict[str, bytes] = {}
    for system, value in sorted(wanted):
        rows.update(_pairs(reader.execute(BY_NUMBER, (parameter, value, system_number(system)))))
    return list(rows.items())


def _spellings(value: str) -> set[str]:
    whole = national_id(value)
    if not whole:
        return {value}
    short = {whole[:6] + whole[8:17]} if whole[6:8] == "19" else set()
    return {value, whole, whole.lower()} | short


def _by_name(reader: Reader, arriving: Person) -> list[tuple[str, bytes]]:
    """Namesakes born on the same day: they never join, but are worth a note."""
    if not arriving.name or len(arriving.birth_date) != 10:
        return []
    try:
        born, _ = dates.interval(arriving.birth_date, ZoneInfo(ZONE))
    except ValueError:
        return []
    parameter = parameter_number("Patient", "name")
    return _pairs(reader.execute(BY_NAME_AND_BIRTH, (parameter, normal(arriving.name), born)))


def _stored(reader: Reader, id_: str) -> Person | None:
    rows = reader.execute(BY_ID, (id_,))
    return _person_of(rows[0][1]) if rows else None


@functools.lru_cache(maxsize=1024)  # a burst of messages is often about the same people
def _person_of(body: bytes) -> Person:
    return person(json.loads(body))


def _pairs(rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, bytes]]:
    return [(row[0], row[1]) for row in rows]
