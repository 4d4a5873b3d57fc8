"""The reader for resources in dictionaries: a function for each shape, that is each set of elements met together.

Which elements exist, which are required, which exclude each other and the invariants about presence are judged once
for a shape; for each resource after that only its values. Like structs.py it only ever says yes: what it does not
take may still be valid, and problems.py decides. No value is kept but addresses of systems and times.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gateway.fhir import bundle_rules, definitions, invariants
from gateway.fhir.definitions import Element
from gateway.fhir.fragment import Fragment, Fragments
from gateway.fhir.primitives import PRIMITIVES

Read = Callable[[Any, list[str]], bool]  # a value, and where literal references are noted → certainly valid?
_SHAPES = 512  # of one path; a sender of ever new ones gets the slower reader
_KEPT = 4096
_PIECE = 1 << 18
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def valid(resource: Any) -> bool:
    """True is certain."""
    try:
        references: list[str] = []
        kind = resource["resourceType"]
        if kind not in definitions.resource_types() or not reader(kind)(resource, references):
            return False
        if kind == "Bundle":
            return _bundle(resource, references)
        return not any(text.startswith("#") for text in references)
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError):
        return False


def valid_as(path: str, value: Any) -> bool:
    """The same for a part: 'CodeableConcept', 'Observation.referenceRange'. One with a literal reference is none."""
    references: list[str] = []
    try:
        return reader(path)(value, references) and not references
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError):
        return False


def _bundle(bundle: dict[str, Any], references: list[str]) -> bool:
    entries = bundle.get("entry", ())
    urls = [entry["fullUrl"] for entry in entries if "fullUrl" in entry]
    known = set(urls)
    if len(known) < len(urls) or not _ruled(bundle, entries):
        return False
    return not any(text.startswith(("urn:uuid:", "#")) for text in references if text not in known)


def _ruled(bundle: dict[str, Any], entries: Any) -> bool:
    """The rules of bundle_rules.py; those of a transaction, which is what maps make, at a glance."""
    if bundle["type"] != "transaction" or "total" in bundle:
        return not any(True for _ in bundle_rules.findings(bundle, _type))
    for each in entries:
        if "request" not in each or "search" in each or "response" in each or "/_history/" in each.get("fullUrl", ""):
            return False
    return True


def _type(resource: Any) -> str:
    return str(resource["resourceType"])


@functools.cache
def reader(path: str) -> Read:
    """Reads the objects of a path: 'Observation', 'HumanName', 'Patient.contact'; 'Resource' goes by its own type."""
    if path == "Resource":
        return lambda item, references: reader(_resource_type(item))(item, references)
    if path == "Bundle.entry":
        return _entry
    return _reference if path == "Reference" else _by_shape(path)


def _entry(item: Any, references: list[str]) -> bool:
    """An entry of a transaction, as maps make nearly all: `fullUrl`, `resource`, `request`."""
    if item.__class__ is dict and tuple(item) == _ENTRY:
        url, resource, request = item.values()
        if resource.__class__ is dict and tuple(request) in _REQUESTS and _asked(url, *request.values()):
            kind = resource["resourceType"]
            shape = _met[kind].get(tuple(resource)) if kind in _met and kind != "Bundle" else None
            return (shape or reader("Resource"))(resource, references)
    return _by_shape("Bundle.entry")(item, references)


def _asked(url: Any, method: Any, target: Any, condition: Any = "-") -> bool:
    """A request as maps make them; anything else is read by its shape."""
    if not (url.__class__ is target.__class__ is condition.__class__ is str) or method not in ("PUT", "POST"):
        return False
    plain = url.isprintable() and target.isprintable() and condition.isprintable() and " " not in url
    return bool(plain and " " not in target and url and target and condition[:1] > " ")


_ENTRY = ("fullUrl", "resource", "request")
_REQUESTS = (("method", "url", "ifNoneExist"), ("method", "url"))


def _reference(item: Any, references: list[str]) -> bool:
    """A reference with its display, which nearly all are."""
    if item.__class__ is dict and "reference" in item and len(item) == 1 + ("display" in item):
        text, shown = item["reference"], item.get("display", "-")
        if text.isprintable() and text[:1] > " " and shown.isprintable() and shown[:1] > " ":
            references.append(text)
            return True
    return _by_shape("Reference")(item, references)


_met: dict[str, dict[tuple[str, ...], Read]] = {}  # of each path the shapes that have been met


@functools.cache
def _by_shape(path: str) -> Read:
    shapes = _met.setdefault(path, {})

    def read(item: Any, references: list[str]) -> bool:
        if item.__class__ is not dict:
            return item.__class__ is Fragment and item.path == path
        shape = shapes.get(tuple(item))
        if shape is None:
            if len(shapes) >= _SHAPES:
                return False
            shape = shapes[tuple(item)] = _Shape(path, tuple(item)).compiled()
        return shape(item, references)

    return read


def _resource_type(item: Any) -> str:
    kind: str = item["resourceType"]
    if kind not in definitions.resource_types() or kind == "Bundle":
        raise ValueError("read it closely")
    return kind


class _Shape:
    """Compiles one combination of elements."""

    def __init__(self, path: str, names: tuple[str, ...]) -> None:
        self.path = path
        self.names = names
        self.objects: dict[str, Any] = {"Fragment": Fragment, "Decimal": Decimal, "LISTS": (list, Fragments)}
        self.lines: list[str] = []

    def compiled(self) -> Read:
        """Source made of definitions only: no name or value of a resource gets into it."""
        elements = _members(self.path, self.names)
        if elements is None or not _sound(self.path, self.names):
            return lambda item, references: False
        variables = ", ".join(f"v{number}" for number in range(len(self.names)))
        self.lines = ["def shape(item, references):", f"    {variables}, = item.values()"]
        for number, element in enumerate(elements):
            if element is not None:
                self._element(element, f"v{number}")
        for each in _judged_by_value(self.path, self.names):
            self._unless(f"{self._object(each.holds)}(item)")
        self.lines.append("    return True")
        exec(compile("\n".join(self.lines), f"<shape of {self.path}>", "exec"), self.objects)  # noqa: S102 - see above
        made: Read = self.objects["shape"]
        return made

    def _object(self, value: Any) -> str:
        name = f"O{len(self.objects)}"
        self.objects[name] = value
        return name

    def _unless(self, condition: str, indent: str = "    ") -> None:
        self.lines.append(f"{indent}if not ({condition}): return False")

    def _element(self, element: Element, value: str) -> None:
        if element.many:
            most = "" if element.max is None else f" or len({value}) > {element.max}"
            self.lines.append(f"    if {value}.__class__ not in LISTS or not {value}{most}: return False")
            self.lines.append(f"    for x in {value}:")
            self._one(element, "x", "        ")
        else:
            self._one(element, value, "    ")
        if element.path == "Reference.reference":
            self.lines.append(f"    references.append({value})")

    def _one(self, element: Element, value: str, indent: str) -> None:
        """One value; an object of a shape that was met before is read without asking."""
        if element.inside == "Reference":
            self.lines.append(f"{indent}if {value}.__class__ is dict and len({value}) == 1 and 'reference' in {value}:")
            self.lines.append(f"{indent}    t = {value}['reference']")
            self._unless("t.isprintable() and t[:1] > ' '", f"{indent}    ")
            self.lines.append(f"{indent}    references.append(t)")
            self.lines.append(f"{indent}elif not ({self._valid(element, value)}): return False")
            return
        if not element.inside or element.inside in ("Resource", "Bundle.entry"):
            self._unless(self._valid(element, value), indent)
            return
        shapes, read = self._object(_met.setdefault(element.inside, {})), self._object(reader(element.inside))
        self.lines.append(f"{indent}if {value}.__class__ is dict:")
        self._unless(f"({shapes}.get(tuple({value})) or {read})({value}, references)", f"{indent}    ")
        self.lines.append(f"{indent}elif {self._unshared(element, value)}: return False")

    def _unshared(self, element: Element, value: str) -> str:
        return f"{value}.__class__ is not Fragment or {value}.path != {self._object(element.inside)}"

    def _valid(self, element: Element, value: str) -> str:
        """An expression: the value is right for the element."""
        if element.inside:
            return (
                f"not ({self._unshared(element, value)}) or {self._object(reader(element.inside))}({value}, references)"
            )
        if element.codes is not None and element.types == ("code",):
            return f"{value}.__class__ is str and {value} in {self._object(element.codes)}"
        return self._primitive(element, value)

    def _primitive(self, element: Element, value: str) -> str:
        name = element.types[0]
        rule = PRIMITIVES[name]
        if rule.json is bool:
            return f"{value} is True or {value} is False"
        if rule.json is int:
            return f"{value}.__class__ is int and {rule.least} <= {value} <= {rule.most}"
        if rule.json is float:
            return f"{value}.__class__ is int or {value}.__class__ is Decimal and {value}.is_finite()"
        text = f"{value}.__class__ is str"
        if name in ("string", "markdown"):
            writable = f"({value}.isprintable() or {self._object(_encodable)}({value}))"
            return f"{text} and {value} and {writable} and not {value}.isspace()"
        if name == "code":
            return f"{text} and ({value}.isalnum() or {self._object(_pattern(name))}({value}))"
        if name in ("uri", "url", "canonical") and element.path not in _SYSTEMS:
            plain = f"{value} and ' ' not in {value} and {value}.isprintable()"
            return f"{text} and ({plain} or {self._object(_pattern(name))}({value}))"
        if element.path in _SYSTEMS or name in ("dateTime", "instant"):
            kept, check = _kept(name)
            return f"{text} and ({value} in {self._object(kept)} or {self._object(check)}({value}))"
        return f"{text} and {self._object(_pattern(name))}({value})"


_SYSTEMS = frozenset(
    {"Coding.system", "Identifier.system", "Quantity.system", "Extension.url"}
)  # few, and no patient's


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


def _encodable(text: str) -> bool:
    text.encode()  # half of a UTF-16 pair cannot be written; the error says no
    return True


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
