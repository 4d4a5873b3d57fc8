"""What coded fields were made into, by their raw text: a unit, a test's code, a doctor on the ward are made once.

Never patients: only pairs that say so (datatypes: `coded`) are remembered, short texts only, and nothing that gave a
note or a code that no table knew. What is remembered was checked as FHIR and never changes (fhir/fragment.py). Bounded:
when it is full, it begins anew.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from gateway.fhir import shapes
from gateway.fhir.bundle import condition
from gateway.fhir.fragment import frozen, thawed
from gateway.fhir.reference import find
from gateway.mapping.context import KEY, Context, Entry
from gateway.mapping.datatypes import Into
from gateway.mapping.same_number import unite
from gateway.model import Profile, Resource

Table = dict[Any, Any]  # raw text, or (raw text, field argument) → what was made of it
Tables = dict[int, Table]  # slot of a pair → its table
UNMADE = object()  # nothing is remembered; None is: nothing is made of this text
_LONGEST = 200  # characters
_KEPT = 4096  # of one pair
_SENDERS = 64


class Memory:
    """The tables of all senders, each by its profile, facility and country (MSH-17)."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[Profile, Tables]]] = {}

    def of(self, profile: Profile, facility: str) -> Tables:
        """The tables of one sender."""
        for known, tables in self._known.get(facility, ()):
            if known is profile or known == profile:
                return tables
        if sum(map(len, self._known.values())) >= _SENDERS:
            self._known = {}
        made: Tables = defaultdict(dict)
        self._known[facility] = [*self._known.get(facility, ()), (profile, made)]
        return made


def keep(table: Table, key: Any, made: Any) -> None:
    """Remembers what was made of a text, or the texts that were made of a value (as JSON)."""
    if len(table) >= _KEPT:
        table.clear()
    table[key] = made


def _plain(key: Any) -> bool:
    """Short, and without escape sequences, whose meaning depends on the message's charset."""
    text = "".join(key) if isinstance(key, tuple) else key
    return len(text) <= _LONGEST and "\\" not in text


def learned(table: Table, key: Any, into: Into, inside: str, context: Context) -> Any:
    """What the pair makes of a text met for the first time. `inside`: the FHIR type there, "" for a primitive."""
    told = context.told, len(context.unknown)
    made = into(*key, context) if isinstance(key, tuple) else into(key, context)
    if told != (context.told, len(context.unknown)) or context.unread.doubts or not _plain(key):
        return made
    if isinstance(made, dict):
        plain = thawed(made)
        if not shapes.valid_as(inside, plain):
            return plain
        made = frozen(plain, inside)
    keep(table, key, made)
    return made


@dataclass(frozen=True, slots=True, eq=False)  # each one exists once: compared by identity
class Known:
    """A resource that a field names, and the reference to it."""

    full_url: str
    keyed: tuple[str, str]
    resource: dict[str, Any]  # its members are fragments
    reference: dict[str, str]
    around: tuple[Known, ...] = ()  # what it is part of
    condition: str = ""  # of the request that creates it
    plain: bool = False  # the reference holds texts only
    leading: tuple[str, ...] = ()  # members of the resource that refer to others

    def copied(self) -> Resource:
        """The resource for one message: its references are its own, they will be written anew."""
        made = dict(self.resource)
        for name in self.leading:
            made[name] = thawed(made[name])
        return made


def referred(table: Table, raw: str, into: Into, context: Context) -> Any:
    """The reference that a field of staff, an organization or a place becomes; what it refers to is made."""
    known = table.get(raw)
    if known is None:
        return _met(table, raw, into, context)
    if known not in context.named:
        context.named.add(known)
        for each in known.around:
            _again(each, context)
        _again(known, context)
    return {**known.reference} if known.plain else thawed(known.reference)  # one of its own: lines put extensions in


def _again(known: Known, context: Context) -> None:
    entry = context.entries.get(known.full_url)
    if entry is None:
        entry = Entry(full_url=known.full_url, resource=known.copied(), once=True, keyed=known.keyed)
        entry.origins = [known]
        entry.condition = known.condition
        context.entries[known.full_url] = entry
    elif known not in entry.origins:
        entry.origins = [*entry.origins, known]
        resource = known.copied()
        unite(entry.resource, resource)
        if context.lineage is not None:
            context.united.append((resource, entry))


def _met(table: Table, raw: str, into: Into, context: Context) -> Any:
    told = context.told, len(context.unknown)
    made: list[tuple[Resource, Entry, bool]] = []
    context.made = made
    reference = into(raw, context)
    context.made = None
    if told == (context.told, len(context.unknown)) and _plain(raw) and made and all(map(_lasting, made)):
        *around, last = (_known(each, entry) for each, entry, _ in made)
        plain = not any(isinstance(each, dict | list) for each in reference.values())
        keep(table, raw, replace(last, reference=thawed(reference), around=tuple(around), plain=plain))
    return reference


def _known(resource: Resource, entry: Entry) -> Known:
    keyed = entry.keyed or ("", "")
    leading = tuple(name for name, each in resource.items() if isinstance(each, dict | list) and _leads(thawed(each)))
    return Known(entry.full_url, keyed, resource, {}, condition=condition(*keyed), leading=leading)


def _leads(value: Any) -> bool:
    return any("reference" in each for each in find(value))


def _lasting(made: tuple[Resource, Entry, bool]) -> bool:
    """Is it the same whoever names it: by a number of its own, only created if absent, and valid by itself?"""
    resource, entry, once = made
    return once and entry.keyed is not None and entry.keyed[0] != KEY and shapes.valid(thawed(resource))
