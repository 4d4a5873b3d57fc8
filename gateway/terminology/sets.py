"""Value sets: which codes are in one, and whether one code is (R4 valueset.html#compositions).

`expanded` lists, `contains` asks; both read the same compositions, and neither invents what a code system that is held
in part does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.errors import Permanent
from gateway.model import Resource
from gateway.terminology import systems
from gateway.terminology.limits import CODES, Budget, NotFound, TooCostly, Undecided
from gateway.terminology.shelf import Shelf, canonical
from gateway.terminology.systems import Concept, Designation, System

Key = tuple[str, str]
Part = Mapping[str, Any]  # an include or exclude


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What an expansion says of the versions of code systems: system → version (R4 valueset-operation-expand.html)."""

    default: Mapping[str, str] = field(default_factory=dict)  # where the value set names none
    forced: Mapping[str, str] = field(default_factory=dict)  # whatever it names
    checked: Mapping[str, str] = field(default_factory=dict)  # another one is an error
    without: frozenset[str] = frozenset()  # `system` or `system|version` that are left out

    def of(self, system: str, named: str) -> str:
        """The version to be used. Raises Permanent for one that the caller does not want."""
        wanted = self.checked.get(system)
        if wanted and named and wanted != named:
            raise Permanent("the value set names another version of the code system", place=f"{system}|{wanted}")
        return self.forced.get(system) or named or wanted or self.default.get(system, "")


@dataclass(slots=True)
class Expansion:
    """The codes of a value set in its order. `open`: code systems of which only a part is held."""

    concepts: list[Concept] = field(default_factory=list)
    used: dict[str, str] = field(default_factory=dict)  # system → version
    open: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Sets:
    """Questions about value sets over one shelf."""

    shelf: Shelf
    versions: Versions = field(default_factory=Versions)
    limit: int = CODES
    budget: Budget = field(default_factory=Budget)
    _systems: dict[Key, System | None] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------ code systems

    def system(self, url: str, version: str = "") -> System | None:
        """The code system, or None where none of this URL (and version) is held."""
        key = (url, version)
        if key not in self._systems:
            found = self.shelf.find("CodeSystem", url, version)
            self._systems[key] = systems.held(self.shelf, found) if found else None
        return self._systems[key]

    def _named(self, part: Part) -> System | None:
        url = str(part.get("system", ""))
        version = self.versions.of(url, str(part.get("version", "")))
        found = self.system(url, version)
        if found is None and version and (current := self.system(url)):
            if not current.version:  # what is held is of no version, or of several
                return current
            raise NotFound("this version of the code system is not held here", place=f"{url}|{version}"[:200])
        return found

    # ------------------------------------------------------------------------------------------ expansion

    def expanded(self, value_set: Resource) -> Expansion:
        """All its codes. Raises NotFound for a value set or system in it that is not held, Undecided, TooCostly."""
        made = Expansion()
        self.budget.enter(str(value_set.get("url", "")))
        compose = value_set.get("compose")
        if not compose:
            self._stored(value_set, made)
        else:
            self._composed(compose, made)
        self.budget.leave()
        return made

    def _composed(self, compose: Mapping[str, Any], made: Expansion) -> None:
        found: dict[Key, Concept] = {}
        for part in compose.get("include", ()):
            for concept in self._included(part, made):
                found.setdefault(concept.key, concept)
                if len(found) > self.limit:
                    raise TooCostly(f"more than {self.limit} codes", remedy="ask for a narrower value set")
        for part in compose.get("exclude", ()):
            for concept in self._included(part, Expansion()):
                found.pop(concept.key, None)
        active = compose.get("inactive") is False
        made.concepts = [each for each in found.values() if not (active and each.inactive)]

    def _stored(self, value_set: Resource, made: Expansion) -> None:
        """A value set that is only told as an expansion."""
        if "expansion" not in value_set:
            raise Undecided("the value set does not say which codes it has", place=str(value_set.get("url", "")))
        waiting = list(reversed(value_set["expansion"].get("contains", ())))
        while waiting:
            each = waiting.pop()
            self.budget.spend()
            waiting.extend(reversed(each.get("contains", ())))
            if "code" in each and not each.get("abstract"):
                made.concepts.append(_enumerated(str(each.get("system", "")), each, None))

    def _included(self, part: Part, made: Expansion) -> Iterator[Concept]:
        """The codes of one include: those of its system that are in all of its value sets."""
        nested = [self._nested(url, made) for url in part.get("valueSet", ())]
        if "system" not in part:
            first, *others = nested or [{}]
            yield from (each for key, each in first.items() if all(key in other for other in others))
            return
        if self._without(part):
            return
        for concept in self._of_system(part, made):
            self.budget.spend()
            if all(concept.key in each for each in nested):
                yield concept

    def _nested(self, url: str, made: Expansion) -> dict[Key, Concept]:
        inner = self.expanded(canonical(self.shelf, "ValueSet", url))
        made.used.update(inner.used)
        made.open |= inner.open
        return {each.key: each for each in inner.concepts}

    def _without(self, part: Part) -> bool:
        url = str(part["system"])
        return not self.versions.without.isdisjoint({url, f"{url}|{part.get('version', '')}"})

    def _of_system(self, part: Part, made: Expansion) -> Iterator[Concept]:
        url, system = str(part["system"]), self._named(part)
        if system is not None:
            made.used[url] = system.version
        if "concept" in part:
            for each in part["concept"]:
                yield _enumerated(url, each, system.find(str(each.get("code", ""))) if system else None)
            return
        if system is None or not system.concepts:
            raise NotFound("the codes of this code system are not held here", place=url[:200])
        passes = system.chosen(part.get("filter", ()), self.budget)
        if not system.whole:
            made.open.add(url)
        yield from (each for each in system.concepts.values() if self._looked(each) and passes(each))

    def _looked(self, _: Concept) -> bool:
        self.budget.spend()
        return True

    # ------------------------------------------------------------------------------------------ membership

    def contains(self, value_set: Resource, system: str, code: str) -> Concept | None:
        """The concept where the code is in the value set. Raises Undecided where what is held does not tell."""
        self.budget.enter(str(value_set.get("url", "")))
        compose = value_set.get("compose")
        if not compose:
            made = Expansion()
            self._stored(value_set, made)
            found = next((each for each in made.concepts if each.key == (system, code)), None)
        else:
            found = self._within(compose, system, code)
        self.budget.leave()
        return found

    def _within(self, compose: Mapping[str, Any], system: str, code: str) -> Concept | None:
        found, doubt = None, None
        for part in compose.get("include", ()):
            try:
                found = self._member(part, system, code)
            except Undecided as error:
                doubt = error
            if found:
                break
        if found is None:
            if doubt:
                raise doubt
            return None
        if any(self._member(part, system, found.code) for part in compose.get("exclude", ())):
            return None
        return None if compose.get("inactive") is False and found.inactive else found

    def _member(self, part: Part, system: str, code: str) -> Concept | None:
        """The concept where the code is among those of one include."""
        self.budget.spend()
        if part.get("system", system) != system or ("system" in part and self._without(part)):
            return None
        found = self._in_system(part, code) if "system" in part else None
        if "system" in part and found is None:
            return None
        for url in part.get("valueSet", ()):
            inner = self.contains(canonical(self.shelf, "ValueSet", url), system, found.code if found else code)
            if inner is None:
                return None
            found = found or inner
        return found

    def _in_system(self, part: Part, code: str) -> Concept | None:
        system, url = self._named(part), str(part["system"])
        concept = system.find(code) if system else None
        if "concept" in part:
            wanted = {code, concept.code if concept else code}
            told = next((each for each in part["concept"] if each.get("code") in wanted), None)
            return _enumerated(url, told, concept) if told else None
        if system is None:
            raise Undecided("the code is unknown here: nothing of its code system is held", place=url[:200])
        if concept is None:
            if not system.whole:
                raise system.unknown()
            return None
        if system.chosen(part.get("filter", ()), self.budget)(concept):
            return concept
        if not system.whole:
            raise system.unknown()
        return None


def _enumerated(url: str, told: Mapping[str, Any], known: Concept | None) -> Concept:
    """A code that a value set lists, by the names that it gives before those of the code system."""
    concept = known or Concept(system=url, code=str(told.get("code", "")), version=str(told.get("version", "")))
    named = tuple(
        Designation(str(each.get("value", "")), str(each.get("language", "")), each.get("use"))
        for each in told.get("designation", ())
    )
    if not told.get("display") and not named:
        return concept
    return replace(
        concept,
        display=str(told.get("display") or concept.display),
        designations=(*named, *concept.designations),
        inactive=concept.inactive or bool(told.get("inactive")),
    )


# ---------------------------------------------------------------------------------------------- for searches


def codes_of(shelf: Shelf, url: str, *, limit: int = CODES) -> frozenset[Key]:
    """(system, code) of everything in a value set, for `:in` and `:not-in` (R4 search.html#token). Raises NotFound for
    one that is not held, Undecided where a part of it is not, TooCostly for more than `limit` codes."""
    return codes_in(shelf, canonical(shelf, "ValueSet", url), limit=limit)


def codes_in(shelf: Shelf, value_set: Resource, *, limit: int = CODES) -> frozenset[Key]:
    """The same of a value set that is at hand."""
    made = Sets(shelf, limit=limit).expanded(value_set)
    if made.open:
        raise Undecided("not every code of the value set is held here", place=str(value_set.get("url", ""))[:200])
    return frozenset(each.key for each in made.concepts)


def codes_below(shelf: Shelf, system: str, code: str) -> frozenset[str]:
    """The code and all that it subsumes, for `:below`. Raises NotFound for a system that is not held, Undecided for
    one of which only a part is, Permanent for a code that there is not."""
    found = _whole(shelf, system)
    return frozenset(each.code for each in found.below(found.known(code).code))


def codes_above(shelf: Shelf, system: str, code: str) -> frozenset[str]:
    """The code and all that subsume it, for `:above`; as of codes_below."""
    found = _whole(shelf, system)
    return frozenset(each.code for each in found.above(found.known(code).code))


def _whole(shelf: Shelf, url: str) -> System:
    found = systems.read(canonical(shelf, "CodeSystem", url))
    if not found.whole:
        raise found.unknown()
    return found
