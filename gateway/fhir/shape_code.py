"""Writes the functions of shapes.py: one for each set of elements met together, as Python source made of definitions.

Which elements exist, which are required, which exclude each other and the invariants about presence are judged once,
here; for each resource after that only its values. The objects inside are read in the same function as long as they
have the elements that those of the first resource had; others are read by functions of their own. Texts are only noted:
those of a whole resource are looked at together (shapes.py). No value is kept but addresses of systems and times.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gateway.fhir import definitions, invariants
from gateway.fhir.definitions import Element
from gateway.fhir.fragment import Fragment, Fragments
from gateway.fhir.primitives import PRIMITIVES


class Noted:
    """Texts of a resource that are judged together."""

    __slots__ = ("codes", "references", "texts", "urls", "words")

    def __init__(self) -> None:
        self.references: list[str] = []  # literal ones
        self.texts: list[str] = []
        self.words: list[str] = []  # addresses
        self.codes: list[str] = []  # that no list tells
        self.urls: list[str] = []  # of plain entries


Read = Callable[[Any, Noted], bool]  # a value → certainly valid, if what it notes is
Shapes = dict[tuple[str, ...], Read]

_LEVELS = 3  # of objects inside objects that one function reads
_MOST = 40  # objects inside that one function reads
_KEPT = 4096
_PIECE = 1 << 18
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Function:
    """Compiles one combination of elements. `reader` tells the functions of the paths inside."""

    def __init__(self, path: str, *, reader: Callable[[str], Read]) -> None:
        self.path = path
        self.reader = reader
        self.objects: dict[str, Any] = {"Fragment": Fragment, "Fragments": Fragments, "Decimal": Decimal}
        self.lines: list[str] = []
        self.inside = 0
        self.count = 0

    def compiled(self, first: dict[str, Any]) -> Read:
        """For what has the elements of the first. No value, and no name unknown to R4, gets into the source."""
        elements = _read_here(self.path, tuple(first))
        if elements is None:
            return _never
        self.lines = ["def read(item, noted):"]
        self._members(self.path, elements, first, "item", "    ", 0)
        self.lines.append("    return True")
        exec(compile("\n".join(self.lines), f"<shape of {self.path}>", "exec"), self.objects)  # noqa: S102 - see above
        made: Read = self.objects["read"]
        return made

    def _object(self, value: Any) -> str:
        name = f"O{len(self.objects)}"
        self.objects[name] = value
        return name

    def _line(self, indent: str, text: str) -> None:
        self.lines.append(indent + text)

    def _unless(self, indent: str, condition: str) -> None:
        self.lines.append(f"{indent}if not ({condition}): return False")

    def _members(
        self, path: str, elements: list[Element | None], first: dict[str, Any], item: str, indent: str, level: int
    ) -> None:
        """Reads an object whose elements are those of the first one."""
        for (name, example), element in zip(first.items(), elements, strict=True):
            if element is None:
                continue
            self.count += 1
            value = f"v{self.count}"
            self._line(indent, f"{value} = {item}[{name!r}]")
            if element.many:
                self._many(element, value, example, indent, level)
            else:
                self._one(element, value, example, indent, level)
        for each in _judged_by_value(path, tuple(first)):
            self._unless(indent, f"{self._object(each.holds)}({item})")

    def _many(self, element: Element, value: str, example: Any, indent: str, level: int) -> None:
        most = "" if element.max is None else f" and len({value}) <= {element.max}"
        self._unless(indent, f"(type({value}) is list or type({value}) is Fragments) and {value}{most}")
        if note := _note(element):
            self._line(indent, f"noted.{note} += {value}")
            return
        one = example[0] if isinstance(example, list) and example else None
        if one is not None and len(example) == 1:
            self._line(indent, f"if len({value}) == 1:")
            self._line(indent, f"    {value}x, = {value}")
            self._one(element, f"{value}x", one, f"{indent}    ", level)
            self._line(indent, "else:")
            self._line(indent, f"    for {value}x in {value}:")
            self._one(element, f"{value}x", None, f"{indent}        ", level)
        else:
            self._line(indent, f"for {value}x in {value}:")
            self._one(element, f"{value}x", one, f"{indent}    ", level)

    def _one(self, element: Element, value: str, example: Any, indent: str, level: int) -> None:
        if note := _note(element):
            self._line(indent, f"noted.{note}.append({value})")
            return
        if not element.inside:
            self._unless(indent, self._primitive(element, value))
            return
        slow = f"{self._object(self.reader(element.inside))}({value}, noted)"
        if example.__class__ is Fragment:
            same = f"type({value}) is Fragment and {value}.path == {self._object(element.inside)}"
            self._unless(indent, f"{same} or {slow}")
            return
        inside = self._read_here_too(element, example, level)
        if inside is None:
            self._unless(indent, slow)
            return
        same = " and ".join([f"len({value}) == {len(example)}", *(f"{name!r} in {value}" for name in example)])
        self._line(indent, f"if {same}:")
        self._members(element.inside, inside, example, value, f"{indent}    ", level + 1)
        self._line(indent, f"elif not {slow}: return False")

    def _read_here_too(self, element: Element, example: Any, level: int) -> list[Element | None] | None:
        plain = example.__class__ is dict and element.inside not in ("Resource", "Bundle.entry")
        if not plain or level >= _LEVELS or self.inside >= _MOST:
            return None
        self.inside += 1
        return _read_here(element.inside, tuple(example))

    def _primitive(self, element: Element, value: str) -> str:
        """An expression: the value is right for the element."""
        if element.codes is not None and element.types == ("code",):
            return f"{value} in {self._object(element.codes)}"
        name = element.types[0]
        rule = PRIMITIVES[name]
        if rule.json is bool:
            return f"{value} is True or {value} is False"
        if rule.json is int:
            return f"type({value}) is int and {rule.least} <= {value} <= {rule.most}"
        if rule.json is float:
            return f"type({value}) is int or type({value}) is Decimal and {value}.is_finite()"
        if element.path in _SYSTEMS or name in ("dateTime", "instant"):
            kept, check = _kept(name)
            return f"{value} in {self._object(kept)} or {self._object(check)}({value})"
        return f"{self._object(_pattern(name))}({value})"


def _never(item: Any, noted: Noted) -> bool:
    return False


_SYSTEMS = frozenset(
    {"Coding.system", "Identifier.system", "Quantity.system", "Extension.url"}
)  # few, and no patient's
_NOTES = {
    "string": "texts",
    "markdown": "texts",
    "code": "codes",
    **dict.fromkeys(("uri", "url", "canonical"), "words"),
}


def _note(element: Element) -> str:
    """The list where its values are noted, to be looked at together; "" when each is looked at."""
    if element.path == "Reference.reference":
        return "references"
    if element.inside or element.path in _SYSTEMS or (element.codes is not None and element.types == ("code",)):
        return ""
    return _NOTES.get(element.types[0], "")


def _read_here(path: str, names: tuple[str, ...]) -> list[Element | None] | None:
    """The elements of these names; None where it takes a closer look."""
    found = _members(path, names)
    return found if found is not None and _sound(path, names) else None


@functools.cache
def _pattern(type_name: str) -> Callable[[str], Any]:
    match = re.compile(PRIMITIVES[type_name].pattern).match
    return match if type_name != "base64Binary" else functools.partial(_base64, match)


def _base64(match: Callable[[str], Any], text: str) -> bool:
    """Piece by piece: a large document is neither copied nor searched as a whole."""
    last = max(0, len(text) - 1) // _PIECE * _PIECE
    plain = (not text[start : start + _PIECE].encode().translate(None, _ALPHABET) for start in range(0, last, _PIECE))
    return (all(plain) and match(text[last:]) is not None) or (text.isascii() and match(text) is not None)


@functools.cache
def _kept(type_name: str) -> tuple[set[str], Callable[[str], bool]]:
    """Texts that were found right before, and the check that adds to them."""
    kept: set[str] = set()
    right = _pattern(type_name)

    def check(text: str) -> bool:
        if right(text) is None:
            return False
        text.encode()
        if len(kept) >= _KEPT:
            kept.clear()
        kept.add(text)
        return True

    return kept, check


def _members(path: str, names: tuple[str, ...]) -> list[Element | None] | None:
    """What each name means (None: the name of the type itself); None where a name needs a closer look."""
    below = definitions.children(path)
    found: list[Element | None] = []
    for name in names:
        if name == "resourceType" and path in definitions.resource_types():
            found.append(None)
            continue
        element = below.get(name) or _chosen(path, name) or (_extending(path, name) if name[1:] in names else None)
        if element is None or (element.choice and name.endswith("[x]")) or name == "contained":
            return None
        found.append(element)
    return found


def _extending(path: str, name: str) -> Element | None:
    """`_birthDate`, `_given`: id and extensions of a primitive that stands there (R4 json.html#primitive); of each in a
    list that has no nulls."""
    bare = definitions.children(path).get(name[1:]) or _chosen(path, name[1:])
    if not name.startswith("_") or bare is None or bare.types[0] not in PRIMITIVES:
        return None
    return replace(bare, name=name, path=f"{path}.{name}", types=("Element",), inside="Element", codes=None, min=0)


@functools.cache
def _choices(path: str) -> dict[str, tuple[str, Element]]:
    """JSON name of each form of each choice → (the choice, its element)."""
    found = {}
    for element in definitions.children(path).values():
        for type_name in element.types if element.choice else ():
            narrowed = definitions.one_type(element, type_name)
            found[narrowed.name] = element.name, narrowed
    return found


def _chosen(path: str, name: str) -> Element | None:
    found = _choices(path).get(name)
    return found[1] if found else None


def _sound(path: str, names: tuple[str, ...]) -> bool:
    """Everything required is there, no choice twice, and the invariants about presence hold."""
    if not names:
        return False
    choices = [_choices(path)[name][0] for name in names if name in _choices(path)]
    if len(set(choices)) < len(choices):
        return False
    there = {*names, *choices}
    if any(element.min and element.name not in there for element in definitions.children(path).values()):
        return False
    shape = dict.fromkeys(names)
    return all(each.holds(shape) for each in invariants.bind(path, invariants.IN_DICTIONARIES) if each.presence)


def _judged_by_value(path: str, names: tuple[str, ...]) -> list[invariants.Invariant]:
    bound = invariants.bind(path, invariants.IN_DICTIONARIES)
    return [each for each in bound if not each.presence and each.reads.issubset(names)]
