"""What concept maps make of a code: $translate (R4 conceptmap-operation-translate.html, conceptmap.html)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.errors import Permanent
from gateway.model import Resource
from gateway.terminology.codes import Coded, coded, codings
from gateway.terminology.limits import Budget
from gateway.terminology.parameters import Given, answer, parameter, parted, text
from gateway.terminology.shelf import Shelf, canonical

TRANSLATE: Final = (
    *("url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept"),
    *("target", "targetsystem", "dependency", "reverse"),
)
_NONE: Final = frozenset({"unmatched", "disjoint"})
_TURNED: Final = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One translation."""

    equivalence: str
    system: str = ""
    version: str = ""
    code: str = ""
    display: str = ""
    source: str = ""  # the map's URL
    products: tuple[Mapping[str, Any], ...] = ()
    comment: str = ""


@dataclass(slots=True, kw_only=True)
class _Asking:
    """One request on its way through the maps."""

    shelf: Shelf
    reverse: bool
    target_system: str
    facts: frozenset[tuple[str, str]]  # (element, code) of the dependencies
    missing: list[str] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)


def translate(shelf: Shelf, given: Given, own: Resource | None = None) -> Resource:
    """Every translation of the codes that are given. Raises NotFound for a map that is not held, Permanent."""
    given.only(TRANSLATE)
    concept = given.object("codeableConcept")
    several = codings(concept) if concept is not None else [coded(given)]
    asking = _Asking(
        shelf=shelf, reverse=bool(given.flag("reverse")), target_system=given.text("targetsystem"),
        facts=_dependencies(given),
    )  # fmt: skip
    found: list[Match] = []
    for each in several:
        for table in _maps(shelf, given, own, each):
            found.extend(match for match in matches(asking, table, each) if match not in found)
    return _answered(found, asking.missing)


def _maps(shelf: Shelf, given: Given, own: Resource | None, asked: Coded) -> Iterator[Resource]:
    if own is not None:
        yield own
        return
    if brought := given.object("conceptMap"):
        yield brought
        return
    if url := given.text("url"):
        version = given.text("conceptMapVersion")
        yield canonical(shelf, "ConceptMap", f"{url}|{version}" if version and "|" not in url else url)
        return
    if not asked.system:
        raise Permanent("give system, or the url of a ConceptMap", place="Parameters")
    ends = (given.text("source"), given.text("target"))
    wanted = ends[::-1] if given.flag("reverse") else ends
    for each in shelf.maps(asked.system):
        if _between(each, *wanted):
            yield each


def _between(table: Resource, source: str, target: str) -> bool:
    """Does the map lead from the one value set to the other, as far as they are named? A map that does not name its
    source takes codes of any."""
    for name, wanted in (("source", source), ("target", target)):
        named = str(table.get(f"{name}Canonical") or table.get(f"{name}Uri") or "")
        known = {named, named.partition("|")[0], *({wanted} if name == "source" and not named else ())}
        if wanted and wanted not in known:
            return False
    return True


def _dependencies(given: Given) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for each in given.parts.get("dependency", ()):
        concept = each.object("concept") or {}
        names = [*(str(coding.get("code", "")) for coding in concept.get("coding", ())), str(concept.get("text", ""))]
        found.update((each.text("element"), name) for name in names if name)
    return frozenset(found)


def _answered(found: list[Match], missing: list[str]) -> Resource:
    matched = any(each.equivalence not in _NONE for each in found)
    message = ""
    if not matched:
        message = "no map here translates the code"
        if missing:
            message = f"to translate the code its dependencies must be given: {', '.join(sorted(set(missing)))}"
    return answer(parameter("result", "Boolean", matched), text("message", message), *(_told(each) for each in found))


def _told(match: Match) -> dict[str, Any]:
    coding = {"system": match.system, "version": match.version, "code": match.code, "display": match.display}
    concept = {key: value for key, value in coding.items() if value}
    return parted(
        "match",
        parameter("equivalence", "Code", match.equivalence),
        *([parameter("concept", "Coding", concept)] if match.code else []),
        *(_product(each) for each in match.products),
        *([parameter("source", "Uri", match.source)] if match.source else []),
    )


def _product(told: Mapping[str, Any]) -> dict[str, Any]:
    coding = {"system": told.get("system"), "code": told.get("value"), "display": told.get("display")}
    return parted(
        "product",
        parameter("element", "Uri", str(told.get("property", ""))),
        parameter("concept", "Coding", {key: value for key, value in coding.items() if value}),
    )


# ---------------------------------------------------------------------------------------------- one map


def matches(asking: _Asking, table: Resource, asked: Coded) -> Iterator[Match]:
    """What one map says of a code; of a group that does not list it, what it says of all others."""
    asking.budget.enter(str(table.get("url", "")))
    ends = ("target", "source") if asking.reverse else ("source", "target")
    groups = [
        each
        for each in table.get("group", ())
        if _fits(asked.system, str(each.get(ends[0], ""))) and _fits(asking.target_system, str(each.get(ends[1], "")))
    ]
    if asking.reverse:
        for group in groups:
            yield from _back(asking, table, group, asked)
    else:
        yield from _forth_of(asking, table, groups, asked)
    asking.budget.leave()


def _forth_of(asking: _Asking, table: Resource, groups: list[Mapping[str, Any]], asked: Coded) -> Iterator[Match]:
    """Of a code without its system: the groups that list it know it, and what others make of all else is not meant."""
    found = [(group, _listed(asking, group, asked)) for group in groups]
    known = not asked.system and any(elements for _, elements in found)
    for group, elements in found:
        if elements or not known:
            yield from _forth(asking, table, group, elements, asked)


def _fits(wanted: str, there: str) -> bool:
    return not wanted or not there or wanted == there


def _listed(asking: _Asking, group: Mapping[str, Any], asked: Coded) -> list[Mapping[str, Any]]:
    listed = group.get("element", ())
    asking.budget.spend(len(listed))
    return [each for each in listed if each.get("code") == asked.code] or _alike(asking, group, listed, asked)


def _forth(
    asking: _Asking, table: Resource, group: Mapping[str, Any], found: list[Mapping[str, Any]], asked: Coded
) -> Iterator[Match]:
    if not found:
        yield from _unmapped(asking, table, group, asked)
    for element in found:
        targets = element.get("target", ())
        if not targets:
            yield Match(equivalence="unmatched", source=str(table.get("url", "")))
        for each in targets:
            if _depends(asking, each):
                yield _match(table, group, "target", each, str(each.get("equivalence", "")))


def _alike(
    asking: _Asking, group: Mapping[str, Any], listed: Iterable[Mapping[str, Any]], asked: Coded
) -> list[Mapping[str, Any]]:
    """The same code in another case, unless the code system says that case matters."""
    folded = asked.code.casefold()
    found = [each for each in listed if str(each.get("code", "")).casefold() == folded]
    if not found:
        return []
    system = asking.shelf.find("CodeSystem", str(group.get("source", "")), str(group.get("sourceVersion", "")))
    return found if system and system.get("caseSensitive") is not True else []


def _back(asking: _Asking, table: Resource, group: Mapping[str, Any], asked: Coded) -> Iterator[Match]:
    for element in group.get("element", ()):
        asking.budget.spend()
        for each in element.get("target", ()):
            equivalence = str(each.get("equivalence", ""))
            if each.get("code") == asked.code and equivalence not in _NONE:
                yield _match(table, group, "source", element, _TURNED.get(equivalence, equivalence))


def _match(table: Resource, group: Mapping[str, Any], side: str, told: Mapping[str, Any], equivalence: str) -> Match:
    return Match(
        equivalence=equivalence,
        system=str(group.get(side, "")),
        version=str(group.get(f"{side}Version", "")),
        code=str(told.get("code", "")),
        display=str(told.get("display", "")),
        source=str(table.get("url", "")),
        products=tuple(told.get("product", ())),
    )


def _depends(asking: _Asking, target: Mapping[str, Any]) -> bool:
    """Is all given that this translation depends on?"""
    missing = [
        str(each.get("property", ""))
        for each in target.get("dependsOn", ())
        if (str(each.get("property", "")), str(each.get("value", ""))) not in asking.facts
    ]
    asking.missing += missing
    return not missing


def _unmapped(asking: _Asking, table: Resource, group: Mapping[str, Any], asked: Coded) -> Iterator[Match]:
    told = group.get("unmapped", {})
    url, system = str(table.get("url", "")), str(group.get("target", ""))
    match told.get("mode"):
        case "provided":
            yield Match(equivalence="equal", system=system, code=asked.code, display=asked.display, source=url)
        case "fixed":
            code, display = str(told.get("code", "")), str(told.get("display", ""))
            yield Match(equivalence="inexact", system=system, code=code, display=display, source=url)
        case "other-map":
            other = canonical(asking.shelf, "ConceptMap", str(told.get("url", "")))
            known = any(each.get("source") == asked.system for each in other.get("group", ()))
            yield from matches(asking, other, asked if known else replace(asked, system=""))
