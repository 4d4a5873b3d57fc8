"""Is this the same person? Pure rules over identifiers and demographics; nothing here knows a database or a clock.

Reasons are words for people and for counters; they never hold a name or a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

from gateway.codec.person_names import is_newborn, is_placeholder, name_form
from gateway.identity import compare
from gateway.identity.person import Candidate, Person

_SAME_NAME = frozenset({"equal", "variant", "swapped", "sound"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """same: `patient_id` is who it is. new: nobody we know. ask: a person decides between `candidates` and new."""

    kind: Literal["same", "new", "ask"]
    patient_id: str = ""
    reasons: tuple[str, ...] = ()  # also with "new": 'recycled-number' and 'namesake' are worth a look
    candidates: tuple[str, ...] = field(default=())
    also: tuple[str, ...] = ()  # with "same": other Patients that the numbers prove to be the same person
    contested: tuple[str, ...] = ()  # with "same": other people who have one of its numbers, too
    before: tuple[str, ...] = ()  # with "new": who had its number until it was given anew
    apart: bool = False  # with "ask": meanwhile it is somebody new, and no number leads to two


# ------------------------------------------------------------------------------------------------ decision


def decide(arriving: Person, candidates: Sequence[Candidate]) -> Decision:
    """Who the arriving person is among `candidates` (each shares an identifier, or name and birth date, with it).

    One valid national id: the same. One local number of one authority: the same unless facts speak against it; another
    valid national id means the number was given to somebody else. Name and birth date alone never join two people.
    `also` holds for whatever the order in which they came: who tells both numbers tells that they are one.
    """
    by_id = [candidate for candidate in candidates if _same_national_id(arriving, candidate.person)]
    sharing = _sharing(arriving, candidates)
    if by_id:
        return _decide_by_id(arriving, by_id, sharing)
    recycled = [candidate for candidate in sharing if _other_national_id(arriving, candidate.person)]
    open_ones = [candidate for candidate in sharing if candidate not in recycled]
    flags = ("recycled-number",) if recycled else ()
    if open_ones:
        return _decide_by_number(arriving, open_ones, flags)
    born = [candidate for candidate in candidates if not flags and _same_newborn(arriving, candidate.person)]
    if len(born) == 1:
        return Decision(kind="same", patient_id=born[0].patient_id, reasons=("same-newborn",))
    if any(_namesake(arriving, candidate.person) for candidate in candidates):
        flags = (*flags, "namesake")
    before = tuple(candidate.patient_id for candidate in recycled)
    return Decision(kind="new", reasons=flags or ("unknown",), before=before)


def _sharing(arriving: Person, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those with one of its numbers; of a number that was given to another one or changed, who has it now."""
    told = arriving.numbers | arriving.former
    now = [candidate for candidate in candidates if told & candidate.person.numbers]
    return now or [candidate for candidate in candidates if told & candidate.person.former]


def _decide_by_id(arriving: Person, found: list[Candidate], sharing: list[Candidate]) -> Decision:
    own = [one for one in found if not _card_of_another(arriving, one.person)]
    if not own:  # the card of a parent, shown for a child
        lent = _ask(found, "same-national-id", "name-and-birth-date-differ")
        return lent if sharing else replace(lent, apart=True)
    if len(own) > 1:
        own = [one for one in own if one in sharing] or own
    if len(own) > 1:
        return _ask(own, "national-id-of-several-patients")
    who = own[0]
    also = [
        one.patient_id
        for one in sharing
        if one not in found and _alike(arriving, one.person) and not _other_national_id(who.person, one.person)
    ]
    others = [one for one in sharing if one not in found and one.patient_id not in also]
    return Decision(
        kind="same", patient_id=who.patient_id, reasons=("same-national-id",), also=tuple(also),
        contested=_contested(arriving, others),
    )  # fmt: skip


def _contested(arriving: Person, others: list[Candidate]) -> tuple[str, ...]:
    """Those of another name, birth date, sex or identity card who have one of its numbers, too."""
    return tuple(
        one.patient_id
        for one in others
        if arriving.numbers & one.person.numbers
        and (_other_national_id(arriving, one.person) or _disagreements(arriving, one.person))
    )


def _decide_by_number(arriving: Person, found: list[Candidate], flags: tuple[str, ...]) -> Decision:
    if len(found) > 1:
        return _decide_among(arriving, found, flags)
    who = found[0].person
    agreeing, differing = sorted(_agreements(arriving, who)), sorted(_disagreements(arriving, who))
    unnamed = is_placeholder(who.name) and not is_newborn(who.name)  # 无名氏: what was known of it was a guess
    if differing and not {"name", "birth-date"} & set(agreeing) and not unnamed:
        return _ask(found, "same-number", *(f"other-{fact}" for fact in differing), *flags)
    reasons = ("same-number", *(f"same-{fact}" for fact in agreeing), *(f"other-{fact}" for fact in differing), *flags)
    return Decision(kind="same", patient_id=found[0].patient_id, reasons=reasons)


def _decide_among(arriving: Person, found: list[Candidate], flags: tuple[str, ...]) -> Decision:
    """Its numbers are those of several Patients: one person where all agree, else the only one that agrees."""
    agree = all(_alike(arriving, one.person) and _alike(found[0].person, one.person) for one in found)
    if agree and not any(_other_national_id(one.person, other.person) for one, other in combinations(found, 2)):
        first, *others = (one.patient_id for one in found)
        return Decision(kind="same", patient_id=first, reasons=("same-number", "same-name"), also=tuple(others))
    agreeing = [one for one in found if _namesake(arriving, one.person)]
    if len(agreeing) == 1 and not _disagreements(arriving, agreeing[0].person):
        decision = _decide_by_number(arriving, agreeing, flags)
        return replace(decision, contested=_contested(arriving, [one for one in found if one not in agreeing]))
    return _ask(found, "numbers-of-several-patients", *flags)


def _ask(candidates: Sequence[Candidate], *reasons: str) -> Decision:
    return Decision(kind="ask", reasons=reasons, candidates=tuple(candidate.patient_id for candidate in candidates))


def _same_national_id(one: Person, other: Person) -> bool:
    return bool(one.own_ids & other.own_ids)


def _other_national_id(one: Person, other: Person) -> bool:
    ours, theirs = one.own_ids, other.own_ids
    return bool(ours) and bool(theirs) and not ours & theirs


def _card_of_another(one: Person, other: Person) -> bool:
    """One number, but another name and not the same birth date, or the other way round: one of the two showed the card
    of the other."""
    differing, agreeing = _disagreements(one, other), _agreements(one, other)
    return ("name" in differing and "birth-date" not in agreeing) or (
        "birth-date" in differing and "name" not in agreeing
    )


def one_by_card(one: Person, other: Person) -> bool:
    """Both show one valid identity card, and it is not that of a parent."""
    return _same_national_id(one, other) and not _card_of_another(one, other)


def _namesake(one: Person, other: Person) -> bool:
    return {"name", "birth-date"} <= _agreements(one, other)


def _alike(one: Person, other: Person) -> bool:
    """Name and birth date agree and nothing differs: enough beside a number."""
    return _namesake(one, other) and not _disagreements(one, other)


def _same_newborn(one: Person, other: Person) -> bool:
    """A newborn has no number of its own yet. The mother's name, the day, the sex and her telephone number together
    tell who it is among the records of several institutions; in one of them two numbers are two children (twins)."""
    if not (is_newborn(one.name) and is_newborn(other.name) and one.phones & other.phones):
        return False
    if (
        one.national_id
        or other.national_id
        or {system for system, _ in one.numbers} & {each for each, _ in other.numbers}
    ):
        return False
    same = name_form(one.name) == name_form(other.name) and one.sex == other.sex != ""
    return same and compare.same_day(one.birth_date, other.birth_date)


def _agreements(one: Person, other: Person) -> set[str]:
    return {fact for fact, verdict in _comparison(one, other).items() if verdict}


def _disagreements(one: Person, other: Person) -> set[str]:
    return {fact for fact, verdict in _comparison(one, other).items() if verdict is False}


def _comparison(one: Person, other: Person) -> dict[str, bool | None]:
    """For name, birth date and sex: agree, differ, or None where one side says nothing or a slip explains it."""
    name, born = compare.names(one.name, other.name), compare.dates(one.birth_date, other.birth_date)
    return {
        "name": True if name in _SAME_NAME else False if name == "different" else None,
        "birth-date": True
        if compare.same_day(one.birth_date, other.birth_date)
        else False
        if born == "different"
        else None,
        "sex": one.sex == other.sex if {one.sex, other.sex} <= {"male", "female"} else None,
    }
