"""Applies a transaction Bundle to the record: all of it or nothing (R4 http.html#transaction).

Who is who is found out first, then every resource is combined in memory, and only then anything is written: an
error that a person has to mend leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from gateway.db.engine import Transaction
from gateway.errors import Configuration, Permanent
from gateway.fhir import reference
from gateway.model import Resource
from gateway.store import matching, merging, order_kinds, pointers, request, update
from gateway.store.pointers import GONE
from gateway.store.request import Item
from gateway.store.stored import Applied, Outcome, PreconditionFailed, milliseconds
from gateway.store.workspace import Working, Workspace

MAXIMUM_ENTRIES = 20_000

# Finds the ids of a type by other criteria than identifiers; the store's own search.
Search = Callable[[Transaction, str, list[tuple[str, str]]], list[str]]


def apply(
    transaction: Transaction,
    bundle: Resource,
    *,
    at: datetime,
    search: Search,
    entry_id: int | None = None,
    patients: Mapping[str, str | None] = MappingProxyType({}),
    before: Mapping[str, Resource] = MappingProxyType({}),
) -> Applied:
    """Apply a transaction Bundle inside the caller's database transaction. The Bundle is not modified.

    `before`: by fullUrl what the same message was understood as when it was applied first: then only what is understood
    otherwise now changes, and only where nobody has changed it since.
    `patients`: identity's decision by fullUrl: an id, or None for a new one; other Patients are found by their
    identifiers. `at` becomes meta.lastUpdated, at least a millisecond after the transaction before. Raises
    Permanent for what is no such Bundle, Configuration for what a person must decide, PreconditionFailed.
    """
    if len(bundle.get("entry", ())) > MAXIMUM_ENTRIES:
        raise Permanent(f"more than {MAXIMUM_ENTRIES} entries", place="Bundle.entry", remedy="send several Bundles")
    return _Application(transaction, bundle, milliseconds(at), search, patients, before).run(entry_id)


class _Application:
    """One Bundle on its way into the record."""

    def __init__(
        self,
        transaction: Transaction,
        bundle: Resource,
        now: int,
        search: Search,
        patients: Mapping[str, str | None],
        before: Mapping[str, Resource],
    ) -> None:
        self._transaction = transaction
        self._items = request.read(bundle)
        self._workspace = Workspace(transaction, now)
        self._search = search
        self._patients = patients
        self._before = before
        self._references: dict[str, str] = {}  # fullUrl, conditional reference → 'Type/id', or GONE
        self._under: dict[str, Working] = {}  # fullUrl of a Patient → the retired one whose number it was known by
        self._notes: list[str] = []

    def run(self, entry_id: int | None) -> Applied:
        # Patients first, the surviving ones before the retired: other matches depend on whose resource it is.
        for item in sorted(self._items, key=lambda item: (item.type != "Patient", replacement(item.resource) != "")):
            self._recognise(item)
        for item in self._items:
            if item.type == "DiagnosticReport" and item.method != "DELETE" and not self._before:
                self._ignore_late(item)
        outcomes = {item.position: self._combine(item) for item in self._items}
        changes = self._workspace.write(entry_id)
        versions = {change.reference: change for change in changes}
        return Applied(
            transaction=self._workspace.number,
            changes=changes,
            outcomes=tuple(_outcome(outcomes[position], versions) for position in sorted(outcomes)),
            notes=tuple(dict.fromkeys(self._notes)),
            references={url: target for url, target in self._references.items() if target != GONE},
        )

    # ------------------------------------------------------------------------------------------ who is who

    def _recognise(self, item: Item) -> None:
        """Give the entry the id of the resource that it is, and remember it under its fullUrl."""
        known = self._references.get(item.full_url) if item.full_url else None
        if item.literal:
            item.target = item.literal
        elif known is not None:  # the same fullUrl again: the same thing again
            item.target = known.partition("/")[2]
        elif item.method == "DELETE":
            item.target = self._condemned(item)
        elif item.type == "Patient":
            item.target = self._patient(item)
        else:
            item.target = self._same(item) or self._created(item)
        if item.full_url and item.target:
            self._references[item.full_url] = f"{item.type}/{item.target}"

    def _same(self, item: Item) -> str | None:
        if not item.conditional:
            return None
        patient = self._patient_of(item.resource)
        if other := order_kinds.known(self._workspace, item.resource, item.identifiers, patient=patient):
            found_id, item.resource = other
            item.type = str(item.resource["resourceType"])
            self._notes.append(f"ServiceRequest: the number is that of a {item.type}, whose state is meant")
            return found_id
        found = set(self._by_criteria(item))
        if item.identifiers:
            by_number = matching.find(self._workspace, item.resource, item.identifiers, patient=patient)
            self._notes.extend(by_number.notes)
            found = ({by_number.id} if by_number.id else set()) & (found if item.criteria else {by_number.id})
        if len(found) > 1:
            raise PreconditionFailed(f"the condition matches {len(found)} resources", place=item.type)
        return str(found.pop()) if found else None

    def _by_criteria(self, item: Item) -> list[str]:
        if not item.criteria:
            return []
        criteria = [(name, self._resolved(value)) for name, value in item.criteria]
        return self._search(self._transaction, item.type, criteria)

    def _resolved(self, text: str) -> str:
        return self._references.get(text, text)

    def _condemned(self, item: Item) -> str:
        found = {working.id for working in self._workspace.with_identifiers(item.type, item.identifiers)}
        if item.criteria:
            others = set(self._by_criteria(item))
            found = found & others if item.identifiers else others
        if len(found) > 1:
            raise PreconditionFailed(f"the condition matches {len(found)} resources", place=item.type)
        return found.pop() if found else ""

    def _created(self, item: Item) -> str:
        return self._workspace.new(item.type, item.resource, patient=self._patient_of(item.resource)).id

    def _patient_of(self, resource: Resource) -> str | None:
        """The id of the patient that a resource is about, as far as its entry is already known."""
        for name in ("subject", "patient", "for"):
            value = resource.get(name)
            text = value.get("reference") if isinstance(value, dict) else None
            if isinstance(text, str):
                kind, _, key = self._target_of(text).partition("/")
                return key if kind == "Patient" else None
        return None

    # ------------------------------------------------------------------------------------------ patients

    def _patient(self, item: Item) -> str:
        """A Patient: identity's decision, else its identifiers. A retired one is spoken to through its survivor."""
        if item.parts and (own := self._own(item)) is not None:
            return own
        if item.full_url in self._patients:
            decided = self._patients[item.full_url]
        else:
            decided = self._patient_by_number(item) if item.conditional else None
        heir = self._target_of(replacement(item.resource)).partition("/")[2]
        if heir:
            return self._retired(item, decided, heir) or self._created(item)
        if decided is None:
            return (self._twin(item) if item.conditional else None) or self._created(item)
        living = self._workspace.survivor(decided)
        if item.conditional and (retired := self._spoken_to(item, living)):
            item.keep = True  # a late message for the retired number: its identifiers only
            self._under[item.full_url] = retired
        return living

    def _patient_by_number(self, item: Item) -> str | None:
        pairs = matching.pairs(item.resource, item.identifiers)
        found = self._workspace.with_identifiers("Patient", pairs)
        living = {self._workspace.survivor(working.id) for working in found}
        if len(living) > 1:
            raise matching.several("Patient", len(living))
        return living.pop() if living else None

    def _own(self, item: Item) -> str | None:
        """The Patient that carries the number itself, retired or not: a link is undone between just these two."""
        found = self._workspace.with_identifiers("Patient", item.identifiers)
        if len(found) > 1:
            raise matching.several("Patient", len(found))
        return found[0].id if found else None

    def _twin(self, item: Item) -> str | None:
        """The same new person in another entry of this Bundle."""
        pairs = matching.pairs(item.resource, item.identifiers)
        found = self._workspace.with_identifiers("Patient", pairs)
        return next((working.id for working in found if not working.rid), None)

    def _retired(self, item: Item, decided: str | None, heir: str) -> str | None:
        """The stored Patient that a merge retires: never the survivor itself, although it may carry the old number."""
        if decided is not None and decided != heir:
            return decided
        found = self._workspace.with_identifiers("Patient", item.identifiers or matching.pairs(item.resource, ()))
        return next((working.id for working in found if working.id != heir), None)

    def _spoken_to(self, item: Item, living: str) -> Working | None:
        """The retired Patient under whose numbers the message comes, all of which are not the survivor's own."""
        wanted = set(matching.pairs(item.resource, item.identifiers))
        own = wanted & _pairs_of(self._workspace.load("Patient", living).result)
        for working in self._workspace.with_identifiers("Patient", sorted(wanted, key=str)):
            if working.survivor and self._workspace.survivor(working.id) == living:
                theirs = wanted & _pairs_of(working.result)
                if theirs - own and not {system for system, _ in theirs - own} & {system for system, _ in own - theirs}:
                    return working
        return None

    # ------------------------------------------------------------------------------------------ late reports

    def _ignore_late(self, item: Item) -> None:
        """A report older than the stored one is ignored with its observations (all but new identifiers)."""
        stored = self._workspace.load(item.type, item.target).stored
        if stored is None or item.literal or item.keep or item.reopen or not update.outdated(stored, item.resource):
            return
        self._notes.append("DiagnosticReport: older than the stored one; ignored")
        by_url = {each.full_url: each for each in self._items if each.type == "Observation"}
        self._mark_late(item, by_url)

    def _mark_late(self, item: Item, by_url: Mapping[str, Item]) -> None:
        item.late = True
        for name in ("result", "hasMember"):
            for each in item.resource.get(name, ()):
                member = by_url.get(str(each.get("reference", "")))
                if member is not None and not member.late:
                    self._mark_late(member, by_url)
                    if not self._workspace.load(member.type, member.target).rid:
                        self._references[member.full_url] = GONE

    # ------------------------------------------------------------------------------------------ combining

    def _combine(self, item: Item) -> tuple[Item, Working | None, str]:
        """Work out what the resource becomes; returns the entry, its resource and what became of it."""
        if not item.target:
            return item, None, "unchanged"  # a conditional DELETE that matched nothing
        working = self._workspace.load(item.type, item.target)
        _check_version(item, working)
        if item.method == "DELETE":
            working.touched, working.result = True, None
            return item, working, "unchanged"
        if item.late and not working.rid:
            return item, None, "ignored"
        arriving = self._given(item, working)
        working.under = self._came_under(item)
        if item.full_url in self._before:
            return self._amend(item, working, arriving)
        if item.type == "Provenance" and item.resource.get("target") and not arriving.get("target"):
            return item, None, "ignored"  # it told where ignored resources came from
        base = working.result if working.touched else working.stored
        if base is None:
            result: Resource | None = {**arriving, "id": working.id}
        elif item.literal:
            result = update.replaced(base, arriving)
        else:
            result = self._united(item, base, arriving)
        if result is not None:
            working.result, working.touched = result, True
        return item, working, "ignored" if item.late else "unchanged"

    def _united(self, item: Item, base: Resource, arriving: Resource) -> Resource | None:
        """What is stored with what arrives; None when nothing changed."""
        keep = item.keep or item.late
        apart = base
        for element, other in item.parts:
            apart = update.parted(apart, element, self._target_of(other))
        if item.together:
            arriving = update.of_some(apart, arriving)
        result = update.combine(apart, arriving, keep=keep, deletes=item.deletes, reopen=item.reopen)
        return apart if result is None and apart is not base else result

    def _came_under(self, item: Item) -> str | None:
        """The retired Patient that it is told of; "" for a living one, None where no Patient of the Bundle is named."""
        for name in ("subject", "patient", "for"):
            value = item.resource.get(name)
            url = value.get("reference") if isinstance(value, dict) else None
            if url in self._under:
                return self._under[url].id
            if isinstance(url, str) and self._references.get(url, "").startswith("Patient/"):
                return ""
        return None

    def _given(self, item: Item, living: Working) -> Any:
        """The arriving resource. Of a late message for a retired number: the numbers that nobody knows yet."""
        arriving = self._pointed(item.resource)
        retired = self._under.get(item.full_url)
        if retired is None:
            return arriving
        known = _pairs_of(retired.result) | _pairs_of(living.result)
        fresh = [each for each in update.identifiers(arriving) if _pair(each) not in known]
        merging.give(self._transaction, retired.id, fresh)
        return {**arriving, "identifier": fresh}

    def _amend(self, item: Item, working: Working, arriving: Resource) -> tuple[Item, Working | None, str]:
        """A message that was applied before, and is understood better now."""
        before = self._before[item.full_url]
        if working.stored is not None and before.get("resourceType") == item.type:
            base = working.result if working.touched and working.result else working.stored
            result = update.amended(base, self._pointed(before), arriving)
            if result is not None:
                working.result, working.touched = result, True
        return item, working if working.rid else None, "unchanged"

    def _pointed(self, resource: Resource) -> Any:
        """The same with references to entries and conditional references as 'Type/id'."""
        return pointers.rewritten(resource, self._target)

    def _target(self, name: str, text: str) -> str:
        return self._target_of(text) if name == "reference" else self._references.get(text, text)

    def _target_of(self, text: str) -> str:
        """'Type/id' for the fullUrl of an entry or a conditional reference; anything else as it is."""
        known = self._references.get(text)
        if known is not None:
            return known
        if text.startswith("urn:"):
            if any(item.full_url == text for item in self._items):
                return text  # an entry that is not recognised yet
            raise Permanent("a reference to an entry that the Bundle does not have", place="Bundle.entry")
        type_name, mark, query = text.partition("?")
        if not mark or reference.parse(f"{type_name}/x") is None or ":" in type_name:
            return text
        self._references[text] = found = self._conditional_reference(type_name, query)
        return found

    def _conditional_reference(self, type_name: str, query: str) -> str:
        """R4 http.html#trules: exactly one resource must match."""
        identifiers, criteria = request.read_condition(query)
        found = {working.id for working in self._workspace.with_identifiers(type_name, identifiers)}
        if criteria:
            others = set(self._search(self._transaction, type_name, list(criteria)))
            found = found & others if identifiers else others
        if type_name == "Patient":
            found = {self._workspace.survivor(key) for key in found}
        if len(found) != 1:
            raise Configuration(
                f"a conditional reference matches {len(found)} resources",
                place=type_name,
                remedy="send what it refers to first, or name it more exactly",
            )
        return f"{type_name}/{found.pop()}"


def _pair(identifier: Mapping[str, Any]) -> tuple[str | None, str]:
    return str(identifier.get("system", "")), str(identifier.get("value"))


def _pairs_of(resource: Resource | None) -> set[tuple[str | None, str]]:
    return {_pair(each) for each in update.identifiers(resource or {})}


def replacement(resource: Resource) -> str:
    """The reference of the Patient that replaced this one (Patient.link replaced-by); '' when it was not merged."""
    if resource.get("resourceType") != "Patient":
        return ""
    links = (each for each in resource.get("link", ()) if each.get("type") == "replaced-by")
    return next((str(each.get("other", {}).get("reference", "")) for each in links), "")


def _check_version(item: Item, working: Working) -> None:
    if item.if_match is not None and (working.stored is None or item.if_match != working.version):
        raise PreconditionFailed("another version is current", place=item.type, remedy="read it again, then update")


def _outcome(combined: tuple[Item, Working | None, str], versions: Mapping[str, Any]) -> Outcome:
    item, working, interaction = combined
    if working is None:
        return Outcome(full_url=item.full_url, reference="", version=0, interaction=interaction)
    reference_text = f"{working.type}/{working.id}"
    change = versions.get(reference_text)
    if change is not None:
        interaction = change.interaction
    return Outcome(full_url=item.full_url, reference=reference_text, version=working.version, interaction=interaction)
