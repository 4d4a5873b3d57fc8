"""Two Patients become one person, and two again: what refers to the retired one moves to the survivor, and back.

The rule: nothing but links and what tells of the past (Provenance, AuditEvent) refers to a retired Patient. So whoever
searches by the survivor finds everything. Under which retired Patient a resource came is kept beside it, also for what
comes later under the retired number; when the merge is undone each goes back to where it belongs. A resource that
refers to both already stays as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gateway.db.engine import Transaction
from gateway.db.record import MERGES, parameter_number, tree
from gateway.fhir import definitions, json
from gateway.fhir.searchparameters import parameters
from gateway.model import Resource
from gateway.store import pointers, update
from gateway.store.pointers import retired_into

if TYPE_CHECKING:
    from gateway.store.workspace import Working, Workspace

OF_THE_PAST: Final = frozenset({"Patient", "Person", "Linkage", "Provenance", "AuditEvent"})  # keep what they refer to
ANY: Final = "SELECT 1 FROM person_merge LIMIT 1"
KNOWN: Final = "SELECT survivor, active, given FROM person_merge WHERE retired = ?"
FORGET: Final = "DELETE FROM person_merge WHERE retired = ?"
NOTE: Final = "INSERT INTO person_merge (retired, survivor, active, given, at) VALUES (?, ?, ?, ?, ?)"
GIVEN: Final = "UPDATE person_merge SET given = ? WHERE retired = ?"
OWN: Final = "SELECT r.type, r.id FROM resource r WHERE r.patient = ? AND r.deleted = 0"
REFERRING: Final = (
    "SELECT r.type, r.id FROM index_reference i JOIN resource r ON r.rid = i.rid "
    "WHERE i.parameter IN ({}) AND i.target = ?"
)
BELONGING: Final = (
    "SELECT r.type, r.id FROM belonging b JOIN resource r ON r.rid = b.rid WHERE b.patient = ? AND r.deleted = 0"
)
NOTED: Final = "SELECT patient FROM belonging WHERE rid = ?"
BELONGS: Final = "INSERT INTO belonging (rid, patient) VALUES (?, ?) ON CONFLICT (rid) DO UPDATE SET patient = ?"
BELONGS_NO_MORE: Final = "DELETE FROM belonging WHERE rid = ?"


def settle(workspace: Workspace, transaction: Transaction) -> None:
    """Before a transaction is written: Patients that it retires or brings back take along what is theirs."""
    for working in workspace.changed():
        if working.type != "Patient" or working.result is None:
            continue
        before, after = working.survivor if working.stored else None, retired_into(working.result)
        if before == after:
            continue
        active = _parted(workspace, transaction, working, before) if before else _active(working.stored)
        if after and living(workspace, working.id) != working.id:
            _merged(workspace, transaction, working, after, active)
    workspace.merges = bool(transaction.execute(ANY))
    if workspace.merges:
        _redirect(workspace)


def living(workspace: Workspace, patient: str) -> str:
    """Whom a Patient lives on as when this transaction is done; itself where it was not merged, or in a circle."""
    last = patient
    for _ in range(MERGES):
        following = retired_into(workspace.load("Patient", last).result or {})
        if following is None:
            return last
        last = following
    return patient


def note(transaction: Transaction, working: Working) -> None:
    """Once a resource has its row: under which retired Patient it came, or that it came under the living one. Who is
    changed by a reference alone (a client that writes back what it read) belongs where it did."""
    if working.under:
        transaction.execute(BELONGS, (working.rid, working.under, working.under))
    elif working.under is not None:
        transaction.execute(BELONGS_NO_MORE, (working.rid,))


def give(transaction: Transaction, retired: str, identifiers: list[Mapping[str, Any]]) -> None:
    """Numbers that came under the retired number and are kept with the survivor: they go back with it."""
    rows = transaction.execute(KNOWN, (retired,))
    if rows and identifiers:
        known = json.loads(rows[0][2])["identifier"]
        transaction.execute(GIVEN, (_list(update.unite_identifiers(known, identifiers, override=False)), retired))


def _list(identifiers: list[Any]) -> str:
    return json.dumps({"identifier": identifiers}).decode()


# ------------------------------------------------------------------------------------------------ together, apart


def _active(stored: Resource | None) -> str:
    active = (stored or {}).get("active")
    return "" if active is None else str(active).lower()


def _merged(workspace: Workspace, transaction: Transaction, retired: Working, survivor: str, active: str) -> None:
    transaction.execute(FORGET, (retired.id,))
    transaction.execute(NOTE, (retired.id, survivor, active, _list([]), workspace.now))
    heir = living(workspace, retired.id)
    for type_name, key in _referring(transaction, retired.id):
        working = workspace.load(type_name, key)
        if working.result is None or type_name in OF_THE_PAST or f"Patient/{heir}" in _targets(working.result):
            continue
        if _point(working, {retired.id}, heir) and working.rid and not transaction.execute(NOTED, (working.rid,)):
            working.under = retired.id


def _parted(workspace: Workspace, transaction: Transaction, back: Working, survivor: str) -> str:
    """The Patient lives by itself again (or with another one): what came under it, or under one that was merged into
    it, goes with it. Returns what it said of being active before."""
    rows = transaction.execute(KNOWN, (back.id,))
    transaction.execute(FORGET, (back.id,))
    line = _line(transaction, survivor)
    if rows:
        _give_back(workspace, back, line, str(rows[0][1]), json.loads(rows[0][2])["identifier"])
    heir = living(workspace, back.id)
    for patient in tree(transaction, back.id):
        for type_name, key in transaction.execute(BELONGING, (patient,)):
            working = workspace.load(type_name, key)
            if _point(working, set(line), heir) and patient == heir:
                working.under = ""
    return str(rows[0][1]) if rows else ""


def _give_back(workspace: Workspace, back: Working, line: list[str], active: str, given: list[Any]) -> None:
    """The Patient as it was before: whether it was active, and the numbers that came under it since."""
    result = dict(back.result or {})
    if active and "active" not in result:
        result["active"] = active == "true"
    if given:
        result["identifier"] = update.unite_identifiers(result.get("identifier", ()), given, override=False)
        holder = workspace.load("Patient", line[0])
        if holder.result is not None:
            left = [each for each in holder.result.get("identifier", ()) if each not in given]
            holder.result, holder.touched = {**holder.result, "identifier": left}, True
    back.result = result


def _line(transaction: Transaction, patient: str) -> list[str]:
    """A Patient and those it was merged into, as far as it is known before this transaction."""
    found = [patient]
    while len(found) <= MERGES and (rows := transaction.execute(KNOWN, (found[-1],))):
        found.append(str(rows[0][0]))
    return found


# ------------------------------------------------------------------------------------------------ references


def _redirect(workspace: Workspace) -> None:
    """What this transaction says of a retired Patient is said of the survivor, and kept as come under the retired."""
    for working in workspace.changed():
        if working.type in OF_THE_PAST or working.result is None or working.moved:
            continue
        named = {each.removeprefix("Patient/") for each in _targets(working.result) if each.startswith("Patient/")}
        retired = {each: heir for each in sorted(named) if (heir := living(workspace, each)) != each}
        for each, heir in retired.items():
            _point(working, {each}, heir)
            working.under = each
        if working.stored is not None and update.same(working.result, working.stored):
            working.result, working.touched = working.stored, False


def _point(working: Working, patients: set[str], heir: str) -> bool:
    """Let a resource refer to `heir` instead of these; whether it did refer to one of them."""
    if working.result is None:
        return False
    wanted = {f"Patient/{each}" for each in patients}
    fresh = working.changed

    def target(name: str, text: str) -> str:
        return f"Patient/{heir}" if name == "reference" and text in wanted else text

    made = pointers.rewritten(working.result, target)
    if made is working.result:
        return False
    working.result, working.touched, working.moved = made, True, working.moved or not fresh
    return True


def _targets(resource: Resource) -> set[str]:
    found: set[str] = set()

    def seen(name: str, text: str) -> str:
        if name == "reference":
            found.add(text)
        return text

    pointers.rewritten(resource, seen)
    return found


def _referring(transaction: Transaction, patient: str) -> list[tuple[str, str]]:
    """Type and id of everything that refers to a Patient by a search parameter."""
    numbers = _pointing()
    own = transaction.execute(OWN, (patient,))
    others = transaction.execute(REFERRING.format(", ".join("?" * len(numbers))), (*numbers, f"Patient/{patient}"))
    return list(dict.fromkeys((str(row[0]), str(row[1])) for row in (*own, *others)))


@functools.cache
def _pointing() -> tuple[int, ...]:
    """The numbers of all search parameters that may refer to a Patient."""
    return tuple(
        parameter_number(type_name, each.name)
        for type_name in sorted(definitions.resource_types() - OF_THE_PAST)
        for each in parameters(type_name).values()
        if each.kind == "reference" and (not each.targets or "Patient" in each.targets)
    )
