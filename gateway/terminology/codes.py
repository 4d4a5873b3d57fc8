"""Questions about one code of a code system: $lookup, $validate-code, $subsumes.

R4 codesystem-operation-lookup.html, codesystem-operation-validate-code.html, codesystem-operation-subsumes.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import Permanent
from gateway.model import Resource
from gateway.terminology import systems
from gateway.terminology.limits import NotFound
from gateway.terminology.parameters import Given, answer, parameter, parted, text
from gateway.terminology.shelf import Shelf, canonical
from gateway.terminology.systems import Concept, System

LOOKUP: Final = ("code", "system", "version", "coding", "displayLanguage", "property")
VALIDATE: Final = (
    *("url", "codeSystem", "code", "version", "display", "coding", "codeableConcept", "abstract", "displayLanguage"),
)
SUBSUMES: Final = ("codeA", "codeB", "system", "version", "codingA", "codingB")
_OF_SYSTEM: Final = frozenset({"url", "name", "version", "display"})  # properties that every answer gives anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A code as a request gives it."""

    system: str
    code: str
    version: str = ""
    display: str = ""


# ---------------------------------------------------------------------------------------------- $lookup


def lookup(shelf: Shelf, given: Given) -> Resource:
    """All that is known of a code. Raises NotFound for a code system or a code that is not held."""
    given.only(LOOKUP)
    asked = coded(given)
    if not asked.system or not asked.code:
        raise Permanent("give code and system, or a coding with both", place="Parameters")
    system = held(shelf, asked.system, asked.version)
    concept = system.find(asked.code)
    if concept is None:
        reason = "the code system has no such code" if system.whole else system.unknown().cause
        raise NotFound(reason, place=asked.system)
    wanted = frozenset(str(each) for each in given.all("property"))
    return answer(
        parameter("name", "String", system.title),
        text("version", system.version),
        parameter("display", "String", concept.called(given.text("displayLanguage")) or concept.code),
        *_designations(concept, wanted),
        *_properties(system, concept, wanted),
    )


def _designations(concept: Concept, wanted: frozenset[str]) -> Iterator[dict[str, Any]]:
    for each in concept.designations:
        if wanted and not wanted & {"designation", f"lang.{each.language}"}:
            continue
        parts = (
            text("language", each.language, "Code"),
            parameter("use", "Coding", dict(each.use)) if each.use else None,
            parameter("value", "String", each.value),
        )
        yield parted("designation", *(part for part in parts if part))


def _properties(system: System, concept: Concept, wanted: frozenset[str]) -> Iterator[dict[str, Any]]:
    for name, kind, value, words in _all_properties(system, concept):
        if wanted and name not in wanted:
            continue
        described = text("description", words)
        yield parted(
            "property",
            parameter("code", "Code", name),
            parameter("value", kind, value),
            *([described] if described else []),
        )


def _all_properties(system: System, concept: Concept) -> Iterator[tuple[str, str, Any, str]]:
    """(name, type, value, what the value is called)."""
    if concept.definition:
        yield "definition", "String", concept.definition, ""
    yield "inactive", "Boolean", concept.inactive, ""
    if concept.abstract:
        yield "abstract", "Boolean", True, ""
    for name, edges in (("parent", system.parents), ("child", system.children)):
        for code in edges.get(concept.code, ()):
            if code in system.concepts:
                yield name, "Code", code, system.concepts[code].display
    for name, values in concept.properties.items():
        if name not in ("parent", "child", "inactive", "abstract"):
            for kind, value in values:
                yield name, kind, value, ""


# ---------------------------------------------------------------------------------------------- $validate-code


def validate(shelf: Shelf, given: Given, own: Resource | None = None) -> Resource:
    """Whether codes belong to a code system. Raises NotFound for one that is not held."""
    given.only(VALIDATE)
    brought = own or given.object("codeSystem")
    if brought is None and not given.text("url"):
        raise Permanent("give url, codeSystem, or the id of a CodeSystem", place="Parameters")
    system = systems.held(shelf, brought) if brought else held(shelf, given.text("url"), given.text("version"))
    concept = given.object("codeableConcept")
    several = codings(concept) if concept is not None else [coded(given, system.url)]
    verdicts = [_in_system(system, each) for each in several]
    return judged(several, verdicts, given)


def _in_system(system: System, asked: Coded) -> Concept | Permanent:
    if asked.system not in ("", system.url):
        return Permanent(f"the code is of another code system than {system.url}")
    try:
        return system.known(asked.code)
    except Permanent as error:
        return error


def judged(asked: list[Coded], verdicts: list[Concept | Permanent], given: Given) -> Resource:
    """The answer of both $validate-code: true as soon as one of the codes is right."""
    reasons: list[str] = []
    for each, found in zip(asked, verdicts, strict=True):
        if not isinstance(found, Concept):
            reasons.append(f"{each.code[:60]}: {found.cause}")
            continue
        wrong = _wrong(each, found, given)
        display = text("display", found.called(given.text("displayLanguage")))
        if not wrong:
            hint = "the code is no longer to be used" if found.inactive else ""
            return answer(parameter("result", "Boolean", True), text("message", hint), display)
        if len(asked) == 1:
            return answer(parameter("result", "Boolean", False), text("message", wrong), display)
        reasons.append(wrong)
    message = "; ".join(reasons) or "no code is given"
    return answer(parameter("result", "Boolean", False), text("message", message))


def _wrong(asked: Coded, found: Concept, given: Given) -> str:
    """What is wrong with the details of a code that there is; "" for nothing."""
    if found.abstract and given.flag("abstract") is False:
        return f"{found.code}: the code is abstract, it only groups others"
    if asked.display and _plain(asked.display) not in {_plain(name) for _, name in found.names()}:
        name = found.called(given.text("displayLanguage"))
        return f"{found.code}: it is called {name!r}" if name else f"{found.code}: it has no display here"
    return ""


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


# ---------------------------------------------------------------------------------------------- $subsumes


def subsumes(shelf: Shelf, given: Given, own: Resource | None = None) -> Resource:
    """How two codes of a system are related. Raises NotFound, Undecided where it cannot be told, Permanent."""
    given.only(SUBSUMES)
    first, second = (_of_pair(given, letter) for letter in "AB")
    named = given.text("system") or str((own or {}).get("url", ""))
    urls = {url for url in (named, first.system, second.system) if url}
    if len(urls) != 1:
        raise Permanent("give one code system for both codes", place="Parameters")
    version = given.text("version") or first.version or second.version
    system = systems.read(own) if own else held(shelf, urls.pop(), version)
    return answer(parameter("outcome", "Code", system.relation(first.code, second.code)))


def _of_pair(given: Given, letter: str) -> Coded:
    coding = given.object(f"coding{letter}")
    found = _of_coding(coding) if coding else Coded(system="", code=given.text(f"code{letter}"))
    if not found.code:
        raise Permanent(f"give code{letter} or coding{letter}", place="Parameters")
    return found


# ---------------------------------------------------------------------------------------------- what is asked for


def held(shelf: Shelf, url: str, version: str = "") -> System:
    """The code system of a URL (`url|version` too). Raises NotFound."""
    named, _, other = url.partition("|")
    wanted = version or other
    return systems.held(shelf, canonical(shelf, "CodeSystem", f"{named}|{wanted}" if wanted else named))


def coded(given: Given, system: str = "") -> Coded:
    """The one code that a request gives: a coding, or code with system, version and display."""
    if coding := given.object("coding"):
        return _of_coding(coding)
    if not given.text("code"):
        raise Permanent("give code, or a coding", place="Parameters")
    version = given.text("systemVersion") or given.text("version")
    named = given.text("system") or system
    return Coded(system=named, code=given.text("code"), version=version, display=given.text("display"))


def codings(concept: Mapping[str, Any]) -> list[Coded]:
    """The codes of a CodeableConcept."""
    return [_of_coding(each) for each in concept.get("coding", ()) if each.get("code")]


def _of_coding(coding: Mapping[str, Any]) -> Coded:
    system, code, version, display = (str(coding.get(name, "")) for name in ("system", "code", "version", "display"))
    return Coded(system=system, code=code, version=version, display=display)
