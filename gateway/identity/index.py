"""Finds who an arriving Patient may be in the record's index, and lets `match` decide.

A retired Patient speaks for the one it was merged into: the survivor is the candidate, with the numbers of both.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.codec import person_keys
from gateway.codec.chinese_numbers import national_id
from gateway.db.engine import Reader
from gateway.db.record import ZONE, parameter_number, survivor, system_number, tree
from gateway.fhir import dates, json
from gateway.fhir.normal import normal
from gateway.identity.match import Decision, decide
from gateway.identity.person import NATIONAL_SYSTEMS, Candidate, Person, person
from gateway.identity.score import Grade, Score, score, weights
from gateway.model import Resource

BY_NUMBER = "SELECT i.rid FROM index_token i WHERE i.parameter = ? AND i.value = ? AND i.system = ?"
BY_CARD = "SELECT i.rid FROM index_token i WHERE i.parameter = ? AND i.value = ?"  # under any system
BY_RID = "SELECT r.id, r.body FROM resource r WHERE r.rid = ?"
BY_NAME_AND_BIRTH = (
    "SELECT r.id, r.body FROM index_string i JOIN resource r ON r.rid = i.rid "
    "WHERE i.parameter = ? AND i.value = ? AND r.date = ? LIMIT 20"
)
BY_KEY = (
    "SELECT r.id, r.body FROM index_token i JOIN resource r ON r.rid = i.rid "
    "WHERE i.parameter = ? AND i.value = ? AND i.system = 0 LIMIT ?"
)
QUESTIONS: Final = 16  # keys of one person that are looked up
BLOCK: Final = 40  # rows of one key that are looked at
FAMILY: Final = 8  # a telephone of more people than that is the one of a house, and tells nothing
REMEMBERED: Final = 64 << 10  # bytes of a Patient that is kept in mind
BY_ID = "SELECT r.id, r.body FROM resource r WHERE r.type = 'Patient' AND r.id = ? AND r.deleted = 0"


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


def _candidates(reader: Reader, patient: Resource, arriving: Person) -> list[Candidate]:
    rows = _by_number(reader, patient) or _by_name(reader, arriving)
    hits = {id_: _person_of(body) for id_, body in rows}
    of: dict[str, list[str]] = {}
    for id_ in hits:
        of.setdefault(survivor(reader, id_), []).append(id_)
    return [
        Candidate(patient_id=living, person=_one_person(_records(reader, living, hits) or [hits[id_] for id_ in ids]))
        for living, ids in sorted(of.items())
    ]


def _records(reader: Reader, living: str, known: Mapping[str, Person]) -> list[Person]:
    """What a Patient and those who were merged into it say of the person."""
    found = (known.get(each) or _stored(reader, each) for each in tree(reader, living))
    return [each for each in found if each is not None]


def _one_person(records: Sequence[Person]) -> Person:
    """The first, with the numbers and the identity cards of all."""
    if len(records) == 1:
        return records[0]
    numbers = frozenset().union(*(each.numbers for each in records))
    former = frozenset().union(*(each.former for each in records)) - numbers
    cards = frozenset().union(*(each.own_ids for each in records))
    return replace(records[0], numbers=numbers, former=former, merged_ids=cards)


def _by_number(reader: Reader, patient: Resource) -> list[tuple[str, bytes]]:
    """Patients with any of its identifiers; a national id also in its other spellings (15 digits, small x)."""
    parameter = parameter_number("Patient", "identifier")
    wanted: set[tuple[str, str]] = set()
    cards: set[str] = set()
    for each in patient.get("identifier", ()):
        system, value = str(each.get("system", "")), str(each.get("value", ""))
        if system in NATIONAL_SYSTEMS or person({"identifier": [each]}).valid_id:
            cards |= _spellings(value)
        elif value:
            wanted.add((system, value))
    found: dict[int, None] = {}  # each is read once, by however many numbers it is found
    for value in sorted(filter(None, cards)):
        found.update((rid, None) for (rid,) in reader.execute(BY_CARD, (parameter, value)))
    for system, value in sorted(wanted):
        found.update((rid, None) for (rid,) in reader.execute(BY_NUMBER, (parameter, value, system_number(system))))
    return [row for rid in found for row in _pairs(reader.execute(BY_RID, (rid,)))]


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


# ------------------------------------------------------------------------------------------------ without a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """Somebody of the record who may be the same person, and how likely."""

    patient_id: str
    score: Score


def likely(reader: Reader, patient: Resource, *, apart_from: Collection[str] = ()) -> list[Likely]:
    """Who may be the same person by all that is known of them, the likeliest first; at most QUESTIONS look-ups of at
    most BLOCK rows each, however many people there are. Those ruled out come last."""
    arriving = person(patient)
    known, common = _blocked(reader, patient)
    found: dict[str, list[Score]] = {}
    for id_, body in known.items():
        living = survivor(reader, id_)
        if living not in apart_from and id_ not in apart_from:
            found.setdefault(living, []).append(score(arriving, _person_of(body), common=common))
            if living != id_ and living not in known and (who := _stored(reader, living)):
                found[living].append(score(arriving, who, common=common))
    own = _cards(reader, str(patient.get("id", ""))) | arriving.own_ids
    listed = [Likely(patient_id=id_, score=_checked(reader, _together(all_), own, id_)) for id_, all_ in found.items()]
    return sorted(listed, key=lambda each: (each.score.veto, -each.score.odds, each.patient_id))


def reconsidered(reader: Reader, one: Person, other: Person) -> Score:
    """The score of two by what was ever told of them."""
    parameter = parameter_number("Patient", person_keys.PARAMETER)
    shared = one.phones & other.phones
    common = {each for each in shared if len(reader.execute(BY_KEY, (parameter, f"p:{each}", BLOCK))) > FAMILY}
    return score(one, other, common=common)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A candidate as $match tells of it."""

    patient_id: str
    probability: float
    grade: Grade


def matches(reader: Reader, patient: Resource) -> list[Match]:
    """Whoever this may be, the likeliest first: by numbers as an arriving message is told, by all else as it is
    compared. Somebody who looks alike and surely is another one comes last, as certainly-not."""
    decision = resolve(reader, patient, authoritative=True)
    found: dict[str, Match] = {}
    if decision.kind == "same":
        found[decision.patient_id] = Match(patient_id=decision.patient_id, probability=1.0, grade="certain")
    for each in decision.candidates:
        found[each] = Match(patient_id=each, probability=0.9, grade="probable")
    for one in likely(reader, patient, apart_from=found):
        if one.score.grade != "certainly-not" or (one.score.veto and one.score.odds >= weights().possible):
            grade: Grade = "probable" if found and one.score.grade == "certain" else one.score.grade
            found[one.patient_id] = Match(patient_id=one.patient_id, probability=one.score.probability, grade=grade)
    return list(found.values())


def _together(scores: list[Score]) -> Score:
    """Of several records of one person: what rules one out rules out the person, else the best tells."""
    return max(scores, key=lambda each: (each.veto, each.odds))


def _checked(reader: Reader, score: Score, cards: Set[str], other: str) -> Score:
    """Two that may be one are two people where those who were merged into them have other identity cards."""
    if score.veto or score.verdict == "none" or not cards:
        return score
    theirs = _cards(reader, other)
    if not theirs or cards & theirs:
        return score
    return replace(score, verdict="none", veto=True, reasons=("two-identity-cards", *score.reasons))


def _cards(reader: Reader, patient: str) -> frozenset[str]:
    """The valid identity cards of a Patient and of all that were merged into it."""
    return frozenset().union(*(each.own_ids for each in _records(reader, patient, {})))


def _blocked(reader: Reader, patient: Resource) -> tuple[dict[str, bytes], frozenset[str]]:
    """The Patients that share a key or a number, and the telephone numbers that are those of too many."""
    parameter = parameter_number("Patient", person_keys.PARAMETER)
    found = dict(_by_number(reader, patient))
    common = set()
    for key in person_keys.keys(patient)[:QUESTIONS]:
        rows = _pairs(reader.execute(BY_KEY, (parameter, key, BLOCK)))
        if key.startswith("p:") and len(rows) > FAMILY:
            common.add(key[2:])
        else:
            found.update(rows)
    return found, frozenset(common)


def _stored(reader: Reader, id_: str) -> Person | None:
    rows = reader.execute(BY_ID, (id_,))
    return _person_of(rows[0][1]) if rows else None


def _person_of(body: bytes) -> Person:
    return _remembered(body) if len(body) <= REMEMBERED else person(json.loads(body))


@functools.lru_cache(maxsize=1024)  # a burst of messages is often about the same people
def _remembered(body: bytes) -> Person:
    return person(json.loads(body))


def _pairs(rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, bytes]]:
    return [(row[0], row[1]) for row in rows]
