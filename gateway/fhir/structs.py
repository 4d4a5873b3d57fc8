"""Compiled readers: msgspec structs made from the definitions when a resource type is first met.

They only ever say yes. What they do not take (contained resources, null in arrays, a required value that is only an
extension, a rare extension type) may still be valid: problems.py, which knows everything, decides then.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import Meta

from gateway.fhir import definitions, invariants
from gateway.fhir.definitions import Element
from gateway.fhir.primitives import PRIMITIVES, Primitive

# Extension.value[x] may be of fifty types; compiling them all would be most of the start-up.
_EXTENSION_TYPES = frozenset(
    {"Address", "Age", "Annotation", "Attachment", "CodeableConcept", "Coding", "ContactPoint", "Duration"}
    | {"HumanName", "Identifier", "Money", "Period", "Quantity", "Range", "Ratio", "Reference"}
)
_names: dict[str, Any] = vars(sys.modules[__name__])  # msgspec looks up the types named in annotations here
_lock = threading.RLock()


class Shape(msgspec.Struct):
    """Base of the compiled structs: answers like a dictionary, so that the invariants read both."""

    def get(self, name: str) -> Any:
        """The value, or None."""
        return getattr(self, name, None)


@functools.cache
def decoder(resource_type: str) -> msgspec.json.Decoder[Any]:
    """Reads one resource of this type strictly; anything but a clear yes is a msgspec.MsgspecError."""
    with _lock:
        _build(resource_type)
        return msgspec.json.Decoder(_names[_struct_name(resource_type)])


class BundleReader:
    """Reads Bundles whose entries are of the types met so far, in one pass; learns new types as they come."""

    def __init__(self) -> None:
        self._types: frozenset[str] = frozenset()
        self._decoder = msgspec.json.Decoder(msgspec.Raw)

    def decode(self, body: bytes, types_inside: Callable[[], frozenset[str]]) -> Any:
        """As `decoder`. `types_inside` tells the resource types of the entries; asked only when reading failed."""
        if self._types:
            try:
                return self._decoder.decode(body)
            except msgspec.ValidationError:
                pass
        wanted = types_inside() & definitions.resource_types() - {"Bundle"}  # a Bundle in a Bundle is rare: problems.py
        if not wanted or wanted <= self._types:
            raise msgspec.ValidationError
        self._learn(wanted)
        return self._decoder.decode(body)

    def _learn(self, types: frozenset[str]) -> None:
        with _lock:
            known = self._types | types
            for name in known:
                _build(name)
            _names["FHIR_Resource"] = Union[tuple(_names[_struct_name(name)] for name in sorted(known))]  # noqa: UP007
            # Structs keep the types that they saw first, so these two are made anew.
            for path in ("Bundle.entry", "Bundle"):
                _names.pop(_struct_name(path), None)
            _build("Bundle")
            self._decoder = msgspec.json.Decoder(_names[_struct_name("Bundle")])
            self._types = known


def _struct_name(path: str) -> str:
    return "FHIR_" + path.replace(".", "_")


def _build(path: str) -> None:
    """The struct of a path and of everything inside it, that is not there yet."""
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if _struct_name(current) not in _names:
            waiting += _define(current)


def _define(path: str) -> list[str]:
    fields: list[tuple[str, str] | tuple[str, str, None]] = []
    inner = {"Element"}
    for element in definitions.children(path).values():
        for each in _forms(path, element):
            annotation, inside = _annotation(each)
            required = each.min > 0 and not each.choice
            fields.append((each.name, annotation) if required else (each.name, annotation, None))
            if inside == "Resource":  # the union of the types met so far: see BundleReader
                continue
            if inside:
                inner.add(inside)
            else:
                extension = f"list[{_struct_name('Element')}]" if each.many else _struct_name("Element")
                fields.append((f"_{each.name}", extension, None))
    names = frozenset(field[0] for field in fields)
    check = _checks(path, names)
    resource = path in definitions.resource_types()
    _names[_struct_name(path)] = msgspec.defstruct(
        _struct_name(path),
        fields,
        bases=(Shape,),
        namespace={"__post_init__": check} if check else {},
        module=__name__,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
        tag_field="resourceType" if resource else None,
        tag=path if resource else None,
    )
    return list(inner)


def _forms(path: str, element: Element) -> Iterator[Element]:
    """The JSON members of an element that are compiled: a choice has one for each type."""
    if element.choice:
        for type_name in element.types:
            if path != "Extension" or type_name in _EXTENSION_TYPES or type_name in PRIMITIVES:
                yield definitions.one_type(element, type_name)
    elif element.types != ("Resource",) or element.path == "Bundle.entry.resource":
        yield element


def _annotation(element: Element) -> tuple[str, str]:
    """The type as written in an annotation, and the path of the struct it needs ("" for none)."""
    if element.inside == "Resource":
        return "FHIR_Resource", "Resource"
    name = _struct_name(element.inside) if element.inside else _primitive(element)
    return (f"Annotated[list[{name}], Meta(min_length=1)]" if element.many else name), element.inside


def _primitive(element: Element) -> str:
    if element.codes is not None:
        name = "Codes_" + element.path.replace(".", "_")
        _names[name] = Literal[tuple(sorted(element.codes))]
        return name
    name = f"Primitive_{element.types[0]}"
    if name not in _names:
        _names[name] = _annotated(PRIMITIVES[element.types[0]])
    return name


def _annotated(primitive: Primitive) -> Any:
    if primitive.json is str:
        return Annotated[str, Meta(pattern=primitive.pattern or None, min_length=1)]
    if primitive.json is int:
        return Annotated[int, Meta(ge=primitive.least, le=primitive.most)]
    return primitive.json


# ------------------------------------------------------------------------------ checks after reading


def _checks(path: str, names: frozenset[str]) -> Callable[[Any], None] | None:
    """What runs on each struct after it was read: exclusive choices and invariants; None when there is nothing."""
    choices = [element for element in definitions.children(path).values() if element.choice]
    tests = [_exclusive(path, element, names) for element in choices]
    tests += [each.holds for each in invariants.bind(path, _forms_of(names))]
    if not tests:
        return None
    if len(tests) == 1:
        only = tests[0]

        def check_one(item: Any) -> None:
            if not only(item):
                raise ValueError

        return check_one

    def check(item: Any) -> None:
        for holds in tests:
            if not holds(item):
                raise ValueError

    return check


def _exclusive(path: str, element: Element, names: frozenset[str]) -> invariants.Holds:
    stem = element.name.removesuffix("[x]")
    all_names = [name for name in invariants.json_names(path, stem) if name in names and not name.startswith("_")]
    if len(all_names) == 1:
        return lambda item: True
    values = attrgetter(*all_names)
    most = len(all_names) - 1
    if element.min:
        return lambda item: bool(values(item).count(None) == most)
    return lambda item: bool(values(item).count(None) >= most)


def _forms_of(names: frozenset[str]) -> invariants.Forms:
    """The forms of invariants over the fields of one struct: two attrgetters each, the rest is C."""

    def getter(*elements: invariants.Names) -> Callable[[Any], tuple[Any, ...]]:
        fields = [name for element in elements for name in element if name in names]
        return attrgetter(*fields) if len(fields) > 1 else attrgetter(*fields * 2)

    def present(element: invariants.Names) -> invariants.Holds:
        values = getter(element)
        empty = (None,) * len(values(_Nothing()))
        return lambda item: values(item) != empty

    def any_(*elements: invariants.Names) -> invariants.Holds:
        return present(tuple(name for element in elements for name in element))

    def needs(element: invariants.Names, needed: invariants.Names) -> invariants.Holds:
        has, must = present(element), present(needed)
        if len(element) > 2 or len(needed) > 2 or needed[0] not in names:
            return lambda item: not has(item) or must(item)
        # The usual pair is mostly complete (Quantity has code and system): one look, the rest only when it is not.
        needed_value = attrgetter(needed[0])
        return lambda item: needed_value(item) is not None or not has(item) or must(item)

    def excludes(element: invariants.Names, other: invariants.Names) -> invariants.Holds:
        one, two = present(element), present(other)
        return lambda item: not one(item) or not two(item)

    def one_of(element: invariants.Names, other: invariants.Names) -> invariants.Holds:
        one, two = present(element), present(other)
        return lambda item: one(item) is not two(item)

    def both(element: invariants.Names, other: invariants.Names) -> invariants.Holds:
        one, two = present(element), present(other)
        return lambda item: one(item) is two(item)

    return {"any": any_, "needs": needs, "excludes": excludes, "one": one_of, "both": both}


class _Nothing:
    """Has every field, all None: tells how many a getter reads."""

    def __getattr__(self, name: str) -> None:
        return None
