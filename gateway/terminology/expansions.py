"""Questions about a value set: $expand, $validate-code.

R4 valueset-operation-expand.html, valueset-operation-validate-code.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from gateway.errors import Configuration, Permanent
from gateway.fhir import definitions
from gateway.model import Resource
from gateway.terminology.codes import Coded, coded, codings, judged
from gateway.terminology.limits import TEXT, NotFound, TooCostly
from gateway.terminology.parameters import Given
from gateway.terminology.sets import Expansion, Sets, Versions
from gateway.terminology.shelf import Shelf, canonical
from gateway.terminology.systems import Concept

_SYSTEMS: Final = ("exclude-system", "system-version", "check-system-version", "force-system-version")
_FLAGS: Final = (
    *("includeDesignations", "includeDefinition", "activeOnly", "excludeNested", "excludeNotForUI"),
    "excludePostCoordinated",
)
EXPAND: Final = (
    *("url", "valueSet", "valueSetVersion", "context", "contextDirection", "filter", "offset", "count", "designation"),
    *("displayLanguage", *_FLAGS, *_SYSTEMS),
)
VALIDATE: Final = (
    *("url", "context", "valueSet", "valueSetVersion", "code", "system", "systemVersion", "display", "coding"),
    *("codeableConcept", "abstract", "displayLanguage"),
)
UNCLOSED: Final = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_DEFINITION: Final = frozenset({"compose", "text", "expansion", "meta"})


def chosen(shelf: Shelf, given: Given, own: Resource | None = None) -> Resource:
    """The value set that a request means. Raises NotFound."""
    if own is not None:
        return own
    if brought := given.object("valueSet"):
        return brought
    url, version = given.text("url") or _bound(given.text("context")), given.text("valueSetVersion")
    if not url:
        raise Permanent("give url, context, valueSet, or the id of a ValueSet", place="Parameters")
    return implied(shelf, f"{url}|{version}" if version and "|" not in url else url)


def implied(shelf: Shelf, url: str) -> Resource:
    """The value set of a URL; that of all codes of a system where a CodeSystem says that this is its URL."""
    try:
        return canonical(shelf, "ValueSet", url)
    except NotFound:
        system = shelf.find("CodeSystem", url.partition("?")[0]) if url.endswith("?fhir_vs") else None
        if system is None:
            raise
    include = {"system": system["url"]}
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}


def _bound(context: str) -> str:
    """The value set that R4 binds to an element: `http://hl7.org/fhir/StructureDefinition/Patient#Patient.gender`."""
    _, _, path = context.rpartition("#")
    if not path:
        return ""
    try:
        return definitions.resolve(path.replace(":", ".")).binding
    except Configuration:
        raise NotFound("no element of R4 is called so", place="context") from None


# ---------------------------------------------------------------------------------------------- $expand


def expand(shelf: Shelf, given: Given, own: Resource | None = None, *, at: datetime) -> Resource:
    """The value set with its expansion. Raises NotFound, Undecided, TooCostly, Permanent."""
    given.only(EXPAND)
    value_set = chosen(shelf, given, own)
    made = Sets(shelf, _versions(given)).expanded(value_set)
    found = list(_wanted(made.concepts, given))
    offset, count = given.number("offset") or 0, given.number("count")
    page = found[offset:] if count is None else found[offset : offset + count]
    told: dict[str, Any] = {
        "identifier": uuid5(NAMESPACE_URL, f"{value_set.get('url', '')}|{given.pairs}|{at.isoformat()}").urn,
        "timestamp": at.isoformat(timespec="seconds"),
        "total": len(found),
        "offset": offset,
        "parameter": [*_echo(given), *_used(made)],
    }
    if made.open:
        told = {"extension": [{"url": UNCLOSED, "valueBoolean": True}], **told}
    if not told["parameter"]:
        del told["parameter"]
    if page:
        told["contains"] = [_contained(each, given) for each in page]
    kept = {key: value for key, value in value_set.items() if key not in _DEFINITION}
    if given.flag("includeDefinition"):
        kept = {key: value for key, value in value_set.items() if key != "expansion"}
    return {"status": "active", **kept, "resourceType": "ValueSet", "expansion": told}


def _versions(given: Given) -> Versions:
    return Versions(
        default=_pairs(given, "system-version"),
        forced=_pairs(given, "force-system-version"),
        checked=_pairs(given, "check-system-version"),
        without=frozenset(str(each) for each in given.all("exclude-system")),
    )


def _pairs(given: Given, name: str) -> Mapping[str, str]:
    found = [str(each).partition("|") for each in given.all(name)]
    if any(not version for _, _, version in found):
        raise Permanent(f"{name} is written system|version", place="Parameters")
    return {system: version for system, _, version in found}


def _wanted(concepts: Iterable[Concept], given: Given) -> Iterable[Concept]:
    """Those that the filters of the request let through."""
    words = given.text("filter").casefold().split()
    if len(given.text("filter")) > TEXT:
        raise TooCostly(f"the filter is longer than {TEXT} characters", place="Parameters")
    active, shown = given.flag("activeOnly"), given.flag("excludeNotForUI")
    for each in concepts:
        if (active and each.inactive) or (shown and each.abstract):
            continue
        names = (each.code.casefold(), *(name.casefold() for _, name in each.names()))
        if all(any(word in name for name in names) for word in words):
            yield each


def _contained(concept: Concept, given: Given) -> dict[str, Any]:
    made: dict[str, Any] = {"system": concept.system} if concept.system else {}
    if concept.abstract:
        made["abstract"] = True
    if concept.inactive:
        made["inactive"] = True
    made["code"] = concept.code
    if display := concept.called(given.text("displayLanguage")):
        made["display"] = display
    if named := _designations(concept, given):
        made["designation"] = named
    return made


def _designations(concept: Concept, given: Given) -> list[dict[str, Any]]:
    wanted = [str(each).rpartition("|")[2] for each in given.all("designation")]
    if not wanted and not given.flag("includeDesignations"):
        return []
    found = []
    for each in concept.designations:
        kinds = {each.language, str((each.use or {}).get("code", ""))}
        if not wanted or kinds & set(wanted):
            told = {"language": each.language, "use": dict(each.use) if each.use else None, "value": each.value}
            found.append({key: value for key, value in told.items() if value})
    return found


def _echo(given: Given) -> Iterable[dict[str, Any]]:
    """What of the request decided about the answer."""
    for name in ("filter", "displayLanguage", "designation", *_SYSTEMS):
        for value in given.all(name):
            yield {"name": name, f"value{_KINDS.get(name, 'String')}": str(value)}
    for name in _FLAGS:
        if (flag := given.flag(name)) is not None:
            yield {"name": name, "valueBoolean": flag}
    for name in ("offset", "count"):
        if (number := given.number(name)) is not None:
            yield {"name": name, "valueInteger": number}


_KINDS: Final = {"displayLanguage": "Code", **dict.fromkeys(_SYSTEMS, "Uri")}


def _used(made: Expansion) -> Iterable[dict[str, Any]]:
    for system, version in made.used.items():
        yield {"name": "version", "valueUri": f"{system}|{version}" if version else system}


# ---------------------------------------------------------------------------------------------- $validate-code


def validate(shelf: Shelf, given: Given, own: Resource | None = None) -> Resource:
    """Whether codes are in a value set. Raises NotFound, TooCostly, Permanent."""
    given.only(VALIDATE)
    value_set = chosen(shelf, given, own)
    concept = given.object("codeableConcept")
    several = codings(concept) if concept is not None else [coded(given)]
    return judged(several, [_in_set(Sets(shelf, _version(each)), value_set, each) for each in several], given)


def _version(asked: Coded) -> Versions:
    return Versions(default={asked.system: asked.version} if asked.version else {})


def _in_set(sets: Sets, value_set: Resource, asked: Coded) -> Concept | Permanent:
    try:
        system = asked.system or _only(sets, value_set, asked.code)
        found = sets.contains(value_set, system, asked.code)
    except (TooCostly, NotFound):
        raise
    except Permanent as error:
        return error
    return found or Permanent(f"the code is not in the value set {value_set.get('url', '')}".rstrip())


def _only(sets: Sets, value_set: Resource, code: str) -> str:
    """The code system of a code that is given without one, where the value set leaves no choice."""
    found = {each.system for each in sets.expanded(value_set).concepts if each.code == code}
    if len(found) > 1:
        raise Permanent("several code systems of the value set have this code: give system")
    return found.pop() if found else ""
