"""What R4 4.0.1 says about each element: types, cardinality, choice, reference targets, codes of required bindings.

Read from `definitions.json.gz` (see generator.py). The file is opened at the first question and each type is
decoded when it is first asked for.
"""

from __future__ import annotations

import difflib
import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from types import MappingProxyType
from typing import NoReturn

import msgspec

from gateway import errors


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type (R4 ElementDefinition)."""

    name: str  # last part of the path as defined: 'birthDate', 'value[x]'; resolved to one type: 'valueQuantity'
    path: str  # as defined: 'Patient.birthDate', 'Quantity.value'
    types: tuple[str, ...]
    min: int
    max: int | None  # None = *
    choice: bool  # 'value[x]', and its forms of one type such as 'valueQuantity'
    targets: tuple[str, ...]  # of a Reference or canonical: resource types, 'Resource' = any
    codes: frozenset[str] | None  # required binding, expanded: codes, or 'system|code' for a CodeableConcept
    binding: str  # ValueSet url of any strength, or ""
    inside: str  # path whose children lie inside: 'HumanName', 'Patient.contact'; "" for a primitive or open choice

    @property
    def many(self) -> bool:
        """It is a JSON array."""
        return self.max is None or self.max > 1


class Rule(msgspec.Struct, array_like=True, frozen=True):
    """An invariant about presence only: `needs` a→b, `excludes` both, `any`, `one` exactly, `both` or none."""

    key: str  # as in R4: 'obs-6'
    form: str
    names: tuple[str, ...]  # element names; a choice without [x]
    text: str


class _File(msgspec.Struct, frozen=True):
    resources: frozenset[str]
    primitives: frozenset[str]
    types: dict[str, msgspec.Raw]
    codes: dict[str, msgspec.Raw]
    rules: dict[str, list[Rule]]


class _Row(msgspec.Struct, array_like=True, frozen=True):
    path: str
    types: tuple[str, ...]
    min: int
    max: int
    targets: tuple[str, ...]
    binding: str
    codes: str
    content: str


_rows = msgspec.json.Decoder(list[_Row])
_strings = msgspec.json.Decoder(frozenset[str])


@functools.cache
def _file() -> _File:
    body = gzip.decompress(resources.files(__package__).joinpath("definitions.json.gz").read_bytes())
    return msgspec.json.decode(body, type=_File)


@functools.cache
def _codes(key: str) -> frozenset[str]:
    return _strings.decode(_file().codes[key])


def resource_types() -> frozenset[str]:
    """The 146 resource types that can exist (not Resource, DomainResource)."""
    return _file().resources


def primitives() -> frozenset[str]:
    """The primitive types: 'string', 'dateTime', …"""
    return _file().primitives


def data_types() -> frozenset[str]:
    """The complex data types and the abstract types: 'HumanName', 'Extension', 'BackboneElement', 'Resource'."""
    return frozenset(_file().types) - _file().resources


def rules(path: str) -> list[Rule]:
    """The simple invariants of a type or an inline structure ('Observation.referenceRange')."""
    return _file().rules.get(path, [])


def _element(row: _Row) -> Element:
    name = row.path.rpartition(".")[2]
    return Element(
        name=name,
        path=row.path,
        types=row.types,
        min=row.min,
        max=None if row.max < 0 else row.max,
        choice=name.endswith("[x]"),
        targets=row.targets,
        codes=_codes(row.codes) if row.codes else None,
        binding=row.binding,
        inside=_inside(row),
    )


def _inside(row: _Row) -> str:
    if row.content:
        return row.content
    if row.path.endswith("[x]") or row.types[0] in _file().primitives:
        return ""
    # Element is the type of inline structures of data types (Timing.repeat), BackboneElement of resources.
    return row.path if row.types[0] in ("BackboneElement", "Element") else row.types[0]


@functools.cache
def _type(name: str) -> dict[str, Mapping[str, Element]]:
    """Path → children for one type and all structures inside it."""
    found: dict[str, dict[str, Element]] = {name: {}}
    for row in _rows.decode(_file().types[name]):
        made = _element(row)
        found.setdefault(row.path.rpartition(".")[0], {})[made.name] = made
    return {path: MappingProxyType(each) for path, each in found.items()}


def children(path: str) -> Mapping[str, Element]:
    """The elements right under a path, by name as defined ('value[x]' under 'value[x]'), in their R4 order.

    'Patient', 'Patient.contact', 'HumanName', 'Timing.repeat'; also through data types ('Patient.name').
    Empty for a primitive. Raises Configuration for what R4 does not define.
    """
    head = path.partition(".")[0]
    if head not in _file().types:
        _unknown(path, head, list(_file().types))
    direct = _type(head).get(path)
    if direct is not None:
        return direct
    inside = resolve(path).inside
    return children(inside) if inside else MappingProxyType({})


@functools.lru_cache(maxsize=8192)
def resolve(path: str) -> Element:
    """The element that a path means: 'Patient.name.family', 'Observation.valueQuantity.value', 'Observation.value[x]'.

    A choice named with its type gives an Element of that one type. `extension` and `id` are found on primitives
    too. Raises Configuration with the nearest right name.
    """
    head, *steps = path.split(".")
    if head not in _file().types:
        _unknown(path, head, list(_file().types))
    if not steps:
        raise errors.Configuration("a type, not an element of it", place=path, remedy=f"write {path}.<element>")
    inside = head
    for step in steps[:-1]:
        inside = _step(path, inside, step).inside or "Element"
    return _step(path, inside, steps[-1])


def _step(whole: str, inside: str, name: str) -> Element:
    below = children(inside)
    found = below.get(name) or _of_choice(below, name)
    if found is None:
        _unknown(whole, name, names(inside))
    return found


def _of_choice(below: Mapping[str, Element], name: str) -> Element | None:
    for element in below.values():
        stem = element.name.removesuffix("[x]")
        if element.choice and name.startswith(stem):
            for type_name in element.types:
                if name == stem + type_name[0].upper() + type_name[1:]:
                    return one_type(element, type_name)
    return None


def one_type(element: Element, type_name: str) -> Element:
    """A choice narrowed to one of its types: `value[x]` and 'Quantity' give `valueQuantity`."""
    stem = element.name.removesuffix("[x]")
    name = stem + type_name[0].upper() + type_name[1:]
    inside = "" if type_name in _file().primitives else type_name
    path = element.path.rpartition(".")[0] + "." + name
    targets = element.targets if type_name in ("Reference", "canonical") else ()
    return replace(element, name=name, path=path, types=(type_name,), inside=inside, targets=targets)


def names(path: str) -> list[str]:
    """The JSON names under a path, choices with each of their types."""
    found = []
    for element in children(path).values():
        if element.choice:
            found += [one_type(element, type_name).name for type_name in element.types]
        else:
            found.append(element.name)
    return found


def _unknown(whole: str, word: str, known: list[str]) -> NoReturn:
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    remedy = f"did you mean {' or '.join(near)}?" if near else f"known here: {', '.join(sorted(known)[:12])}"
    raise errors.Configuration(f"FHIR R4 has no element {word!r}", place=whole, remedy=remedy)
