"""A code system as questions are asked of it: its concepts by code, what lies above and below, filters.

R4 codesystem.html (content, hierarchyMeaning, concept properties), valueset.html#filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from gateway.errors import Permanent
from gateway.model import Resource
from gateway.terminology.limits import Budget, Undecided
from gateway.terminology.patterns import matcher
from gateway.terminology.shelf import Shelf

WHOLE: Final = "complete"
SUPPLEMENT: Final = "supplement"
_UPWARD: Final = frozenset({"parent", "subsumedBy"})  # properties that name a code above
_DOWNWARD: Final = frozenset({"child"})
_GROUPING: Final = frozenset({("notSelectable", "true"), ("abstract", "true")})
_UNUSED: Final = frozenset({("inactive", "true"), ("status", "retired"), ("status", "inactive")})
Property = tuple[str, Any]  # ("Code", "x") of a valueCode
_NOTHING: Final[Mapping[str, tuple[Property, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Designation:
    """Another name of a concept."""

    value: str
    language: str = ""
    use: Mapping[str, Any] | None = None  # a Coding


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One code of one system with all that is known of it."""

    system: str
    code: str
    display: str = ""
    version: str = ""
    language: str = ""  # of the display
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: Mapping[str, tuple[Property, ...]] = field(default_factory=lambda: _NOTHING)
    abstract: bool = False
    inactive: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by, in any version."""
        return self.system, self.code

    def names(self) -> Iterator[tuple[str, str]]:
        """(language, name): the display first."""
        if self.display:
            yield self.language, self.display
        for each in self.designations:
            yield each.language, each.value

    def called(self, language: str = "") -> str:
        """Its name in a language, as far as there is one (`zh` is also zh-CN); else its display."""
        wanted = language.casefold()
        if wanted:
            for short in (wanted, wanted.partition("-")[0]):
                for spoken, name in self.names():
                    if spoken.casefold() == short or spoken.casefold().startswith(f"{short}-"):
                        return name
        return self.display or next((name for _, name in self.names()), "")


@dataclass(slots=True)
class System:
    """One version of one code system."""

    url: str
    version: str = ""
    title: str = ""
    content: str = WHOLE
    cased: bool = True  # are two codes that differ in case two codes?
    concepts: dict[str, Concept] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    _folded: dict[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Is every code of it held here?"""
        return self.content == WHOLE

    def find(self, code: str) -> Concept | None:
        """The concept of a code, in any case where the system says that case does not matter."""
        found = self.concepts.get(code)
        return found or (None if self.cased else self.concepts.get(self._folded.get(code.casefold(), "")))

    def known(self, code: str) -> Concept:
        """The concept of a code. Raises Undecided where only a part is held, Permanent for a code that there is not."""
        if found := self.find(code):
            return found
        if not self.whole:
            raise self.unknown()
        raise Permanent("the code system has no such code", place=self.url)

    def unknown(self) -> Undecided:
        """What is said of a code that is not among those that are held."""
        held = f"a part ({len(self.concepts)} codes)" if self.concepts else "nothing"
        return Undecided(
            f"the code, or where it belongs, is unknown here, which does not make it wrong: {held} of it is held",
            place=self.url[:200],
        )

    def below(self, code: str) -> Iterator[Concept]:
        """The concept and all that it subsumes, once each."""
        return self._walk(code, self.children)

    def above(self, code: str) -> Iterator[Concept]:
        """The concept and all that subsume it, once each."""
        return self._walk(code, self.parents)

    def _walk(self, code: str, edges: Mapping[str, list[str]]) -> Iterator[Concept]:
        first = self.find(code)
        waiting = [first.code] if first else []
        seen: set[str] = set()
        while waiting:
            each = waiting.pop()
            if each in seen or each not in self.concepts:
                continue
            seen.add(each)
            yield self.concepts[each]
            waiting.extend(reversed(edges.get(each, ())))

    def relation(self, one: str, other: str) -> str:
        """equivalent | subsumes | subsumed-by | not-subsumed (R4 codesystem-operation-subsumes.html)."""
        first, second = self.known(one), self.known(other)
        if first is second:
            return "equivalent"
        if any(each is second for each in self.below(first.code)):
            return "subsumes"
        if any(each is second for each in self.above(first.code)):
            return "subsumed-by"
        if not self.whole:
            raise self.unknown()
        return "not-subsumed"

    # ------------------------------------------------------------------------------------------ filters

    def chosen(self, filters: Iterable[Mapping[str, Any]], budget: Budget) -> Callable[[Concept], bool]:
        """Whether a concept passes all filters of an include. Raises Permanent for one that is not understood."""
        tests = [self._filter(each, budget) for each in filters]
        return lambda concept: all(test(concept) for test in tests)

    def _filter(self, filter: Mapping[str, Any], budget: Budget) -> Callable[[Concept], bool]:
        name, operator, value = (str(filter.get(each, "")) for each in ("property", "op", "value"))
        if operator in ("is-a", "descendent-of", "is-not-a", "generalizes"):
            return self._of_tree(operator, value, budget)
        texts = _texts(name)
        match operator:
            case "=":
                return lambda concept: value in texts(concept)
            case "in" | "not-in":
                wanted = {each.strip() for each in value.split(",")}
                return lambda concept: any(each in wanted for each in texts(concept)) == (operator == "in")
            case "exists":
                return lambda concept: bool(texts(concept)) == (value == "true")
            case "regex":
                pattern = matcher(value)
                return lambda concept: any(pattern.matches(each) for each in texts(concept))
        raise Permanent(f"no filter is called {operator[:40]!r}", place="compose.include.filter.op")

    def _of_tree(self, operator: str, value: str, budget: Budget) -> Callable[[Concept], bool]:
        if self.find(value) is None and not self.whole:
            raise self.unknown()
        walk = self.above if operator == "generalizes" else self.below
        codes = {each.code for each in walk(value)}
        budget.spend(len(codes))
        if operator == "descendent-of":
            codes.discard(getattr(self.find(value), "code", value))
        return lambda concept: (concept.code in codes) == (operator != "is-not-a")


def _texts(name: str) -> Callable[[Concept], tuple[str, ...]]:
    """What a concept says under the name of a property."""
    match name:
        case "code" | "concept":
            return lambda concept: (concept.code,)
        case "display":
            return lambda concept: (concept.display,) if concept.display else ()
        case "definition":
            return lambda concept: (concept.definition,) if concept.definition else ()
    return lambda concept: tuple(text_of(value) for _, value in concept.properties.get(name, ()))


def text_of(value: Any) -> str:
    """A value of a property as a filter's value would be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.get("code", "")) if isinstance(value, dict) else str(value)


# ---------------------------------------------------------------------------------------------- from the resource


def read(resource: Resource) -> System:
    """A CodeSystem as System. Of a code that stands twice the first counts."""
    made = System(
        url=str(resource.get("url", "")),
        version=str(resource.get("version", "")),
        title=str(resource.get("title") or resource.get("name") or resource.get("url", "")),
        content=str(resource.get("content", WHOLE)),
        cased=bool(resource.get("caseSensitive", True)),  # codes are, unless a system says otherwise
    )
    tree = resource.get("hierarchyMeaning", "is-a") == "is-a"
    waiting = [("", each) for each in reversed(resource.get("concept", ()))]
    while waiting:
        above, each = waiting.pop()
        concept = _concept(made, each, str(resource.get("language", "")))
        if concept.code in made.concepts:
            continue
        made.concepts[concept.code] = concept
        made._folded.setdefault(concept.code.casefold(), concept.code)
        if above and tree:
            _linked(made, above, concept.code)
        waiting.extend((concept.code, below) for below in reversed(each.get("concept", ())))
    _by_properties(made)
    return made


def held(shelf: Shelf, resource: Resource) -> System:
    """A CodeSystem with what its supplements add to its concepts (R4 codesystem.html#supplements)."""
    made = read(resource)
    if made.url and made.content != SUPPLEMENT:
        for each in shelf.supplements(made.url):
            for code, more in read(each).concepts.items():
                if known := made.concepts.get(code):
                    made.concepts[code] = replace(
                        known,
                        designations=(*known.designations, *more.designations),
                        properties=MappingProxyType({**more.properties, **known.properties}),
                    )
    return made


def _concept(made: System, told: Mapping[str, Any], language: str) -> Concept:
    properties: dict[str, tuple[Property, ...]] = {}
    for each in told.get("property", ()):
        name = str(each.get("code", ""))
        found = next(((key[5:], value) for key, value in each.items() if key.startswith("value")), None)
        if found:
            properties[name] = (*properties.get(name, ()), found)
    said = {(name, text_of(value)) for name, values in properties.items() for _, value in values}
    return Concept(
        system=made.url,
        version=made.version,
        code=str(told.get("code", "")),
        display=str(told.get("display", "")),
        language=language,
        definition=str(told.get("definition", "")),
        designations=tuple(
            Designation(str(each.get("value", "")), str(each.get("language", "")), each.get("use"))
            for each in told.get("designation", ())
        ),
        properties=MappingProxyType(properties),
        abstract=not said.isdisjoint(_GROUPING),
        inactive=not said.isdisjoint(_UNUSED),
    )


def _linked(made: System, above: str, below: str) -> None:
    if above not in made.parents.setdefault(below, []):
        made.parents[below].append(above)
        made.children.setdefault(above, []).append(below)


def _by_properties(made: System) -> None:
    """Codes that properties put above or below each other (R4 codesystem.html#hierarchy)."""
    for code, concept in made.concepts.items():
        for name, values in concept.properties.items():
            if name in _UPWARD:
                for _, each in values:
                    _linked(made, text_of(each), code)
            elif name in _DOWNWARD:
                for _, each in values:
                    _linked(made, code, text_of(each))
