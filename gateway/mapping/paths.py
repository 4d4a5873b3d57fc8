"""FHIR paths of map lines, checked against the R4 element definitions and resolved to what the compilers need."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway.errors import Configuration
from gateway.fhir import definitions
from gateway.fhir.primitives import PRIMITIVES
from gateway.mapping.syntax import Block, Constant, Line, Step

_TABLE = re.compile(r"v2-\d{4}")


@dataclass(frozen=True, slots=True)
class Element:
    """One step of a path with what R4 says about it."""

    name: str
    many: bool  # a list in JSON
    choice: bool  # 'value[x]' left open: the pair decides the type
    type: str  # FHIR type of the element ("" for an open choice)
    repeats: bool  # the line says '*': one element for each repetition
    slice: tuple[tuple[str, Any, tuple[str, ...]], ...]  # (sub-path, value set going in, codes admitted coming back)


@dataclass(frozen=True, slots=True)
class Path:
    """A resolved path."""

    resource: str
    elements: tuple[Element, ...]
    text: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        names = (element.name.removeprefix("_") for element in self.elements)
        object.__setattr__(self, "text", f"{self.resource}.{'.'.join(names)}")

    @property
    def leaf(self) -> Element:
        return self.elements[-1]

    @property
    def emptied(self) -> str:
        """What an explicit null (`""`) removes: this element, a sliced list as a whole. "" for numbers and extensions:
        others gave some of them, and a null in one field does not speak of those."""
        if self.elements[0].name in ("identifier", "extension") or self.elements[0].name.startswith("_"):
            return ""
        end = next((index for index, element in enumerate(self.elements) if element.slice), len(self.elements) - 1)
        return ".".join((self.resource, *(element.name for element in self.elements[: end + 1])))


def removed_by(path: Path) -> str:
    """What `. -> extension*{url=…} = ""` removes: 'Encounter.extension(url)'; of other elements what a null does."""
    first = path.elements[0]
    urls = [codes[0] for name, _, codes in first.slice if name == "url" and codes]
    return f"{path.resource}.extension({urls[0]})" if first.name == "extension" and urls else path.emptied


def resolve(resource: str, line: Line, systems: dict[str, str]) -> Path:
    """Raises Configuration with the line's place for an element that R4 does not have."""
    elements = []
    walked = resource
    for step in line.target:
        walked = f"{walked}.{step.name}"
        elements.append(_element(walked, step, line, systems, inner=step is not line.target[-1]))
    return Path(resource, tuple(elements))


def list_of(block: Block, systems: dict[str, str]) -> Element:
    """The list whose elements a block makes. Raises Configuration with the block's place."""
    if block.element is None:
        raise Configuration(f"{block.place}: this block makes a resource, no element")
    return _element(block.path, block.element, block, systems)


def _element(walked: str, step: Step, line: Line | Block, systems: dict[str, str], *, inner: bool = False) -> Element:
    try:
        found = definitions.resolve(walked)
    except Configuration as error:
        raise Configuration(f"{line.place}: {error}") from None
    many = found.max is None or found.max > 1
    if step.repeats and not many:
        raise Configuration(f"{line.place}: {walked} occurs once in R4; '*' does not fit")
    beside = inner and bool(definitions.primitives().intersection(found.types))
    return Element(
        name=f"_{step.name}" if beside else step.name,  # what extends a primitive stands beside it
        many=many,
        choice=step.name.endswith("[x]"),
        type=found.types[0] if len(found.types) == 1 else "",
        repeats=step.repeats,
        slice=tuple(_slice(walked, step, line, systems)),
    )


def _slice(
    walked: str, step: Step, line: Line | Block, systems: dict[str, str]
) -> list[tuple[str, Any, tuple[str, ...]]]:
    made = []
    for name, values in step.slice:
        constants = [_constant(value) for value in values]
        made.append(
            (name, value_of(f"{walked}.{name}", constants[0], line, systems), tuple(each.text for each in constants))
        )
    return made


def _constant(text: str) -> Constant:
    system, _, code = text.rpartition("#")
    return Constant(text=code, system=system)


def value_of(path: str, constant: Constant, line: Line | Block, systems: dict[str, str]) -> Any:
    """The FHIR value of a constant at a path: a code, a Coding, a CodeableConcept, an Identifier's system, a text."""
    try:
        element = definitions.resolve(path)
    except Configuration as error:
        raise Configuration(f"{line.place}: {error}") from None
    made: Any = _typed(element.types[0], constant, line, systems)
    if element.codes is not None and element.types[0] == "code" and constant.text not in element.codes:
        raise Configuration(
            f"{line.place}: {constant.text} is no code of {path}",
            remedy="one of " + " ".join(sorted(element.codes)[:12]),
        )
    return [made] if element.max is None or element.max > 1 else made


def _typed(type_: str, constant: Constant, line: Line | Block, systems: dict[str, str]) -> Any:
    if type_ not in ("Coding", "CodeableConcept"):
        return _primitive(type_, f"{constant.system}#{constant.text}" if constant.system else constant.text, line)
    if not constant.system:
        return {"text": constant.text} if type_ == "CodeableConcept" else {"code": constant.text}
    coding: dict[str, Any] = {"system": system_of(constant.system, line, systems), "code": constant.text}
    if constant.display:
        coding["display"] = constant.display
    return coding if type_ == "Coding" else {"coding": [coding]}


def _primitive(type_: str, text: str, line: Line | Block) -> Any:
    """The JSON value that a text means. Raises Configuration for one that R4 does not allow."""
    known = PRIMITIVES.get(type_)
    if known is None or not text:  # "" takes away
        return text
    if known.pattern and not re.match(known.pattern, text):
        raise Configuration(f"{line.place}: {text} is no {type_}: {known.wanted}")
    if known.json is bool and text in ("true", "false"):
        return text == "true"
    if known.json is str:
        return text
    try:
        number = Decimal(text) if type_ == "decimal" else int(text)
    except (ValueError, ArithmeticError):
        raise Configuration(f"{line.place}: {text} is no {type_}: {known.wanted}") from None
    least, most = (number if each is None else each for each in (known.least, known.most))
    if known.json is bool or not least <= number <= most:
        raise Configuration(f"{line.place}: {text} is no {type_}: {known.wanted}")
    return number


def system_of(name: str, line: Line | Block, systems: dict[str, str]) -> str:
    """The URI of a code system by its short name in the maps."""
    if ":" in name:
        return name
    found = systems.get(name)
    if not found and _TABLE.fullmatch(name):  # every HL7 v2 table has its system (R4 terminologies-v2.html)
        return f"http://terminology.hl7.org/CodeSystem/{name}"
    if not found:
        close = difflib.get_close_matches(name, list(systems), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        remedy = f'declare it: system {name} "http://…"'
        raise Configuration(f"{line.place}: no system is called {name}{hint}", remedy=remedy)
    return found
