"""What FHIR clients ask to be written, to the letter (R4 http.html): create, update, patch and delete, each by id or by
a condition, alone or all of a transaction.

A resource that arrives here takes the place of the stored one; what members' messages say is combined with it instead
(transact.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gateway.db.engine import Transaction
from gateway.errors import Permanent
from gateway.fhir import definitions, reference, searchparameters
from gateway.model import Change, Resource
from gateway.store import index, pointers, request, update
from gateway.store.criteria import token
from gateway.store.escapes import split
from gateway.store.query import Pairs
from gateway.store.stored import Missing, PreconditionFailed, Stored, milliseconds
from gateway.store.workspace import Working, Workspace

ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2}  # R4 http.html#trules

# Finds the ids of a type by search parameters, at most two.
Search = Callable[[Transaction, str, Pairs], list[str]]


class Asked(msgspec.Struct, kw_only=True, eq=False):
    """One change that a client asks for. PUT, PATCH and DELETE name an id or a condition; the condition of a POST is
    its If-None-Exist."""

    method: str
    type: str
    id: str = ""
    condition: tuple[tuple[str, str], ...] = ()
    resource: Resource | None = None  # of POST and PUT; valid
    patch: Callable[[Resource], Resource] | None = None  # of PATCH; raises Permanent for what it would make invalid
    version: int | None = None  # If-Match
    existing: bool = False  # If-Match: *
    fresh: bool = False  # If-None-Match: *
    full_url: str = ""
    place: str = ""  # the entry of a Bundle
    settle: Callable[[Resource, Resource | None], Resource] | None = None  # what becomes of it: (arriving, stored)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: the status of HTTP, and the version that is current now (None: there never was one)."""

    asked: Asked
    status: int
    stored: Stored | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What became of all of them, in the order in which they were asked for."""

    done: tuple[Done, ...]
    changes: tuple[Change, ...]


def apply(
    transaction: Transaction,
    asked: Sequence[Asked],
    *,
    at: datetime,
    search: Search,
    together: bool = False,
    base: str = "",
) -> Exchanged:
    """Do all of it inside the caller's database transaction. `together`: they are entries of one transaction Bundle,
    and their references to each other become those to the resources. `base`: the address of this service; references
    that begin with it are kept without, since they name the same (R4 references.html#literal).

    Raises PreconditionFailed (If-Match, a condition that several match), Missing (a patch of nothing) and Permanent.
    """
    return _Exchange(transaction, milliseconds(at), search, together=together, base=base).run(asked)


@dataclass(slots=True)
class _Item:
    """An asked change, and the resource that it is about."""

    asked: Asked
    position: int
    working: Working | None = None  # None: nothing to be deleted
    stays: bool = False  # a POST with If-None-Exist that found one


class _Exchange:
    def __init__(self, transaction: Transaction, now: int, search: Search, *, together: bool, base: str) -> None:
        self._transaction = transaction
        self._workspace = Workspace(transaction, now)
        self._search = search
        self._together = together
        self._base = f"{base}/" if base else ""
        self._urls: dict[str, str] = {}  # what names an entry → 'Type/id'
        self._made: dict[tuple[str, tuple[tuple[str, str], ...]], Working] = {}  # by If-None-Exist
        self._gone: set[tuple[str, str]] = set()  # what entries before this one delete

    def run(self, asked: Sequence[Asked]) -> Exchanged:
        items = sorted(
            (_Item(each, place) for place, each in enumerate(asked)), key=lambda item: ORDER[item.asked.method]
        )
        for item in items:
            self._recognise(item)
        _refuse_overlap(items)
        statuses = [(item, self._combine(item)) for item in items]
        changes = self._workspace.write(None)
        statuses.sort(key=lambda pair: pair[0].position)
        done = tuple(
            Done(asked=item.asked, status=status, stored=self._workspace.stored(item.working) if item.working else None)
            for item, status in statuses
        )
        return Exchanged(done=done, changes=changes)

    # ------------------------------------------------------------------------------------------ which resource

    def _recognise(self, item: _Item) -> None:
        asked = item.asked
        if asked.method == "POST":
            self._created(item)
        elif asked.id:
            item.working = self._workspace.load(asked.type, asked.id)
        else:
            item.working = self._conditional(asked)
        if asked.method == "DELETE" and item.working is not None:
            self._gone.add((asked.type, item.working.id))
        if asked.full_url and item.working is not None:
            self._name(asked, f"{asked.type}/{item.working.id}")

    def _name(self, asked: Asked, target: str) -> None:
        """A fullUrl names an entry; one that is a RESTful URL also by its end, for references relative to it (R4
        bundle.html#references)."""
        self._urls[asked.full_url] = target
        *_, type_name, key = ("", "", *asked.full_url.split("/"))
        if type_name == asked.type:
            self._urls.setdefault(f"{type_name}/{key}", target)

    def _created(self, item: _Item) -> None:
        asked = item.asked
        key = (asked.type, asked.condition)
        if asked.condition:
            found = self._made.get(key) or self._matching(asked)
            if found is not None:
                item.working, item.stays = found, True
                return
        item.working = self._workspace.new(asked.type, asked.resource or {}, patient=None)
        self._made[key] = item.working

    def _conditional(self, asked: Asked) -> Working | None:
        """R4 http.html#cond-update, #cdelete, #patch."""
        found = self._matching(asked)
        own = str((asked.resource or {}).get("id", ""))
        if asked.method == "PUT" and found is None:
            return self._unmatched(asked, own)
        if asked.method == "PUT" and found is not None and own not in ("", found.id):
            raise Permanent("the condition matches a resource with another id", place=asked.place or f"{asked.type}.id")
        if asked.method == "PATCH" and found is None:
            raise Missing(f"no {asked.type} matches the condition", place=asked.place)
        return found

    def _unmatched(self, asked: Asked, own: str) -> Working:
        """A new one, under the id that the body names. One that is there already does not fulfil the condition: it is
        somebody else's, and would be written over."""
        working = self._workspace.load(asked.type, own or self._workspace.new_id())
        if working.stored is not None:
            remedy = "leave the id out, or mend the condition"
            place = asked.place or f"{asked.type}.id"
            raise PreconditionFailed(
                "another resource that the condition does not match has this id", place=place, remedy=remedy
            )
        return working

    def _matching(self, asked: Asked) -> Working | None:
        """The one resource that fulfils the condition. PreconditionFailed when several do."""
        found = self._fulfilling(asked.type, asked.condition)
        if asked.method == "POST":
            found = self._staying(asked.type, found)
        if len(found) > 1:
            raise PreconditionFailed(
                "the condition matches several resources",
                place=asked.place or asked.type,
                remedy="name it more exactly",
            )
        return self._workspace.load(asked.type, found.pop()) if found else None

    def _fulfilling(self, type: str, condition: tuple[tuple[str, str], ...]) -> set[str]:
        """Of what is stored, and of what this transaction makes where an identifier is all that is asked for."""
        pairs = [(name, self._urls.get(value, value)) for name, value in condition]
        if len(pairs) != 1 or pairs[0][0] != "identifier" or "identifier" not in searchparameters.parameters(type):
            return set(self._search(self._transaction, type, pairs))
        numbers = [token(each) for each in split(pairs[0][1], ",")]
        found = {working.id for working in self._workspace.with_identifiers(type, numbers)}
        if all(0 < len(value) <= index.MAXIMUM_TEXT for _, value in numbers):
            return found  # with what they carry, in one statement
        return found | set(self._search(self._transaction, type, pairs))

    def _staying(self, type: str, ids: set[str]) -> set[str]:
        """Deletions come first (R4 http.html#trules): what they take away fulfils no condition."""
        return {key for key in ids if (type, key) not in self._gone}

    # ------------------------------------------------------------------------------------------ what it becomes

    def _combine(self, item: _Item) -> int:
        """Works out what the resource becomes; the status of HTTP."""
        asked, working = item.asked, item.working
        if working is None:
            return 204
        if item.stays:
            return 200
        if asked.version is not None and (working.stored is None or asked.version != working.version):
            raise PreconditionFailed(
                "another version is current", place=asked.place or asked.type, remedy="read it again, then update"
            )
        if asked.existing and working.stored is None:
            raise PreconditionFailed("there is none yet", place=asked.place or asked.type)
        if asked.fresh and working.stored is not None:
            raise PreconditionFailed("there is one already", place=asked.place or asked.type)
        match asked.method:
            case "DELETE":
                return self._deleted(working)
            case "PATCH":
                return self._patched(asked, working)
        return self._put(asked, working)

    def _put(self, asked: Asked, working: Working) -> int:
        arriving = self._pointed(asked.resource or {}, asked)
        before = working.stored
        if asked.settle is not None:
            arriving = asked.settle({**arriving, "id": working.id}, before)
        if before is None:
            working.result, working.touched = {**arriving, "id": working.id}, True
            return 201
        result = update.replaced(before, arriving)
        if result is not None:
            working.result, working.touched = result, True
        return 200

    def _patched(self, asked: Asked, working: Working) -> int:
        if working.stored is None or asked.patch is None:
            raise Missing(f"there is no {asked.type} with this id", place=asked.place)
        changed = self._pointed(asked.patch(working.stored), asked)
        changed = asked.settle(changed, working.stored) if asked.settle else changed
        result = update.replaced(working.stored, changed)
        if result is not None:
            working.result, working.touched = result, True
        return 200

    @staticmethod
    def _deleted(working: Working) -> int:
        if working.stored is not None:
            working.result, working.touched = None, True
        return 204

    # ------------------------------------------------------------------------------------------ references

    def _pointed(self, resource: Resource, asked: Asked) -> Resource:
        if self._together:
            made: Resource = pointers.rewritten(resource, lambda name, text: self._target(name, text, asked))
            return made
        return pointers.rewritten(resource, self._relative) if self._base and asked.type != "Bundle" else resource

    def _relative(self, name: str, text: str) -> str:
        """A reference to what is here, without the address of this service. In a Bundle that is kept as it is, the
        fullUrls of its entries are to be met."""
        if name != "reference" or not self._base or not text.startswith(self._base):
            return text
        short = text.removeprefix(self._base)
        literal = reference.parse(short)
        return short if literal is not None and literal.type in definitions.resource_types() else text

    def _target(self, name: str, text: str, asked: Asked) -> str:
        known = self._urls.get(text)
        if known is not None:
            return known
        if asked.type != "Bundle":
            text = self._relative(name, text)
        if name != "reference":
            return text
        if text.startswith("urn:uuid:"):
            raise Permanent("a reference to an entry that the Bundle does not have", place=asked.place)
        type_name, mark, query = text.partition("?")
        if not mark or type_name not in definitions.resource_types():
            return text
        return self._urls.setdefault(text, self._conditional_reference(type_name, query, asked))

    def _conditional_reference(self, type: str, query: str, asked: Asked) -> str:
        """R4 http.html#trules: exactly one resource must match."""
        found = self._staying(type, self._fulfilling(type, request.pairs(query)))
        if len(found) != 1:
            raise PreconditionFailed(
                f"a conditional reference to {type} matches {'several' if found else 'no'} resources",
                place=asked.place,
                remedy="send what it refers to first, or name it more exactly",
            )
        return f"{type}/{found.pop()}"


def _refuse_overlap(items: Sequence[_Item]) -> None:
    """R4 http.html#trules: no two entries change the same resource."""
    seen: set[tuple[str, str]] = set()
    for item in items:
        if item.working is None or item.stays:
            continue
        key = (item.working.type, item.working.id)
        if key in seen:
            raise Permanent(
                f"two entries change the same {key[0]}", place=item.asked.place, remedy="send them in two Bundles"
            )
        seen.add(key)
