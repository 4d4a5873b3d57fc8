"""One person per person: what follows from who somebody is, and what people decide of it.

    recognised   the Patients of an arriving Bundle are found by their numbers, before it is applied
    settle       after it: numbers that prove two Patients one, pairs that are one by all that is known of them, and
                 pairs that a person must decide, in the transaction of the message itself
    merge, unmerge, apart   a person's decision: carried out, remembered, written down

Nobody waits while a pair is on the list: the two are kept apart, each with what was told of it. Every joining that no
number proves is a merge of two Patients, so that it can be undone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Final, Protocol

from gateway.db.engine import Transaction
from gateway.db.record import survivor, tree
from gateway.errors import Configuration, Permanent
from gateway.fhir import json
from gateway.identity import review
from gateway.identity.arriving import Arrived, arrived
from gateway.identity.compare import names
from gateway.identity.index import Likely, likely, reconsidered
from gateway.identity.match import Decision
from gateway.identity.person import ever, person
from gateway.identity.score import NOTHING_ELSE, WRITTEN_ALIKE
from gateway.model import Change, Resource
from gateway.store import joining, read
from gateway.store.joining import Reason
from gateway.store.stored import Missing, Stored, milliseconds

RULE: Final = "identity rules"  # who decided what nobody had to
NUMBERS: Final = "numbers-of-one-message"
MOST: Final = 5  # pairs that one message may put on the list


class Done(Protocol):
    """What a transaction did to the record."""

    @property
    def changes(self) -> tuple[Change, ...]: ...


def recognised(
    transaction: Transaction, bundle: Resource, *, authoritative: bool, export: bool
) -> tuple[Arrived, Configuration | None]:
    """Who each arriving Patient is. Of an export those that a person must decide wait, the others flow. Raises
    Configuration for a message about such a one."""
    found = arrived(transaction, bundle, authoritative=authoritative)
    if not found.asked:
        return found, None
    reasons = ", ".join(dict.fromkeys(reason for each in found.asked for reason in each))
    waiting = f"{len(found.asked)} of its patients wait with all that is said of them: " if found.patients else ""
    error = Configuration(
        f"{waiting}who this is, a person must decide ({reasons})", place="Patient", code="204",
        remedy="compare the patients in the record, correct the numbers at the sender, then replay",
    )  # fmt: skip
    if export and found.patients:
        return found, error
    raise error


# ------------------------------------------------------------------------------------------------ after a message


def settle(
    transaction: Transaction, done: Done, people: Arrived, references: Mapping[str, str], *, reason: Reason
) -> tuple[Change, ...]:
    """What else follows from a message that was applied; returns what that changed.

    `references`: by fullUrl what the Patients of the message became.
    """
    changes: list[Change] = []
    for url, decision in people.decisions.items():
        patient = references.get(url, "").removeprefix("Patient/")
        if patient:
            changes += _proven(transaction, patient, decision, reason)
    changes += compare(transaction, done.changes, reason=reason, join=True)
    return tuple(changes)


def _proven(transaction: Transaction, patient: str, decision: Decision, reason: Reason) -> Iterable[Change]:
    """What the numbers themselves say."""
    changes: list[Change] = []
    if decision.apart:
        for each in decision.candidates:
            _ask(transaction, patient, each, odds=0.0, reasons=decision.reasons, reason=reason)
    for each in decision.contested:
        _ask(transaction, patient, each, odds=0.0, reasons=("number-of-another-person",), reason=reason)
    for each in decision.also:
        changes += merge(transaction, each, patient, replace(reason, by=RULE, why=NUMBERS))
    if decision.before:
        stored = read.read(transaction, "Patient", patient)
        numbers = person(stored.resource).numbers if stored else frozenset()
        for each in decision.before:
            holders = _holders(transaction, each, numbers)
            if "namesake" in decision.reasons:
                changes += _disproven(transaction, holders, reason)
            for holder in dict.fromkeys((each, *holders)):
                changes += joining.retire_numbers(transaction, holder, numbers, reason)
    return changes


def _holders(transaction: Transaction, patient: str, numbers: Set[tuple[str, str]]) -> list[str]:
    """Of the records of a person those that have one of the numbers."""
    stored = ((each, read.read(transaction, "Patient", each)) for each in tree(transaction, patient))
    return [each for each, found in stored if found is not None and person(found.resource).numbers & numbers]


def _disproven(transaction: Transaction, holders: Iterable[str], reason: Reason) -> Iterable[Change]:
    """Under the number of one of these its name came with the identity card of another person: who was joined with it
    by likeness is that other person, and is parted from it."""
    changes: list[Change] = []
    why = replace(reason, by=RULE, why="two-identity-cards")
    for holder in holders:
        for pair in review.of_patient(transaction, holder):
            if (pair.state, pair.by) == ("same", RULE) and pair.why != NUMBERS:
                with contextlib.suppress(Permanent):  # a message has parted or led them otherwise since
                    changes += unmerge(transaction, pair.one, pair.other, why)
    return changes


def compare(transaction: Transaction, changed: Iterable[Change], *, reason: Reason, join: bool) -> tuple[Change, ...]:
    """Patients of whom something new is known are compared with whoever may be the same person. `join`: a pair that
    surely is one becomes one; else it is asked like those that only may be."""
    changes: list[Change] = []
    for change in changed:
        if change.type == "Patient" and change.interaction in ("create", "update"):
            changes += _compared(transaction, change, reason, join=join)
    return tuple(changes)


def _compared(transaction: Transaction, change: Change, reason: Reason, *, join: bool) -> Iterable[Change]:
    stored = read.read(transaction, "Patient", change.id)
    if stored is None or stored.deleted or not _is_news(transaction, stored, change):
        return ()
    resource = stored.resource
    if resource.get("active") is False:
        return ()
    apart = {change.id} | review.decided_apart(transaction, {change.id})
    found = [
        _by_all_that_was_told(transaction, change.id, each)
        for each in likely(transaction, resource, apart_from=apart)
        if not each.score.veto
    ]
    links = [each for each in found if each.score.verdict == "link"]
    if join and len(links) == 1 and _always_named_so(transaction, change.id, links[0].patient_id):
        other = links[0].patient_id
        retired, heir = (change.id, other) if change.interaction == "create" else _elder(change.id, other)
        return merge(transaction, retired, heir, replace(reason, by=RULE, why=" ".join(links[0].score.reasons)))
    for each in [each for each in found if each.score.verdict != "none"][:MOST]:
        _ask_about(transaction, change.id, each, reason)
    return ()


def _by_all_that_was_told(transaction: Transaction, patient: str, found: Likely) -> Likely:
    """Where nothing but name and birth date agrees by now, a telephone number or an address of before may agree: else
    who is who would hang on the order in which messages come."""
    if found.score.verdict != "ask" or NOTHING_ELSE not in found.score.reasons:
        return found
    one, other = (ever(joining.versions_of(transaction, each)) for each in (patient, found.patient_id))
    score = reconsidered(transaction, one, other)
    return replace(found, score=score) if score.verdict == "link" else found


def _always_named_so(transaction: Transaction, one: str, other: str) -> bool:
    """Has each of the two only ever had a name that is written like the other's? One that had another name before may
    be a twin whose name was taken for that of the other."""
    every = [
        {
            str(name["text"])
            for told in joining.versions_of(transaction, each)
            for name in told.get("name", ())
            if "text" in name
        }
        for each in (one, other)
    ]
    return all(names(left, right) in WRITTEN_ALIKE for left in every[0] for right in every[1])


def _elder(one: str, other: str) -> tuple[str, str]:
    """Ids grow with time: the younger Patient is retired."""
    return (max(one, other), min(one, other))


def _is_news(transaction: Transaction, stored: Stored, change: Change) -> bool:
    """Is anything of it new that tells who it is?"""
    if change.interaction == "create":
        return True
    before = read.vread(transaction, "Patient", change.id, change.version - 1)
    return before is None or before.deleted or person(before.resource) != person(json.loads(stored.body))


def _ask_about(transaction: Transaction, patient: str, found: Likely, reason: Reason) -> None:
    score = found.score
    _ask(transaction, patient, found.patient_id, odds=score.odds, reasons=score.reasons, reason=reason)


def _ask(
    transaction: Transaction, one: str, other: str, *, odds: float, reasons: Iterable[str], reason: Reason
) -> None:
    at = milliseconds(reason.at)
    review.ask(transaction, one, other, odds=odds, reasons=tuple(reasons), entry=reason.entry, at=at)


# ------------------------------------------------------------------------------------------------ what is decided


def merge(transaction: Transaction, retired: str, heir: str, reason: Reason) -> tuple[Change, ...]:
    """Two Patients are one person from now on. Raises Missing for one that is not there."""
    before = survivor(transaction, retired)
    changes = joining.merge(transaction, retired, heir, reason)
    at = milliseconds(reason.at)
    review.decide(transaction, retired, heir, "same", by=reason.by, why=reason.why, at=at)
    if changes:
        review.log(
            transaction, "merge", before, survivor(transaction, before), by=reason.by, why=reason.why, at=at,
            entry=reason.entry,
        )  # fmt: skip
    return changes


def unmerge(transaction: Transaction, one: str, other: str, reason: Reason) -> tuple[Change, ...]:
    """They were two all the time: each gets back what is its own, and nobody asks again. Raises Permanent."""
    changes = joining.part(transaction, one, other, reason)
    _decided_apart(transaction, "unmerge", one, other, reason)
    return changes


def apart(transaction: Transaction, one: str, other: str, reason: Reason) -> None:
    """Two Patients are two people, and are not asked about again. Raises Permanent for two that are one, Missing."""
    for each in (one, other):
        stored = read.read(transaction, "Patient", each)
        if stored is None or stored.deleted:
            raise Missing("there is no Patient with this id", place="Patient")
    if survivor(transaction, one) == survivor(transaction, other):
        raise Permanent("they are one person by now", place="Patient", remedy="undo the merge")
    _decided_apart(transaction, "apart", one, other, reason)


def _decided_apart(transaction: Transaction, deed: str, one: str, other: str, reason: Reason) -> None:
    at = milliseconds(reason.at)
    review.decide(transaction, one, other, "apart", by=reason.by, why=reason.why, at=at)
    review.log(transaction, deed, one, other, by=reason.by, why=reason.why, at=at, entry=reason.entry)
