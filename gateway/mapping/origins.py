"""Which field an element of a list stood in, where by itself it would go back into another one.

An extension `urn:hutong:field` on the element names the field (`PID-14` of a mobile number among the work numbers). It
is made only where another line of the same list would write the element. Where that other field takes all of its
kind as well (PID-3 beside PID-19), the sender's facility stands behind it, and only that sender gets it back so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir import definitions
from gateway.mapping import codetables, paths
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.graph import matches
from gateway.mapping.library import Library
from gateway.mapping.runtime import possible
from gateway.mapping.syntax import Block, Condition, Line
from gateway.mapping.wording import FIELD
from gateway.model import Resource

_KEPT = 4096  # texts of one line
_LONGEST = 200  # characters


@dataclass(frozen=True, slots=True)
class Rival:
    """A line that writes elements of a list into a field."""

    field: str
    element: paths.Element
    repeats: bool
    condition: Condition | None
    pair: Pair | None  # to see whether it can write a value; None where only the slice decides
    words: tuple[str, ...] = ()


def name_of(line: Line) -> str:
    """'PID-14' of its first source."""
    return f"{line.sources[0].segment}-{line.sources[0].number}"


def nested(path: paths.Path) -> bool:
    """Does a line make an extension of extensions? Beside those there is room for what is told here."""
    return [each.name for each in path.elements[:-1]] == ["extension", "extension"]


def _has_room(path: paths.Path) -> bool:
    """Can an element of the list hold an extension that other lines of the list would see?"""
    if len(path.elements) > 2 or path.elements[0].name == "extension":
        return False
    return len(path.elements) == 2 or path.leaf.type not in definitions.primitives()


def _writing(library: Library, blocks: list[Block], name: str) -> Iterator[tuple[Line, paths.Path]]:
    """The lines of blocks that write elements of a list, in the order in which they write."""
    found = [
        (line, paths.resolve(block.path, line, library.systems))
        for block in blocks
        for line in block.lines
        if line.back and line.sources and line.sources[0].segment and not (line.link or line.constant)
        and line.target[0].name == name
    ]  # fmt: skip
    yield from sorted(found, key=lambda each: not any(element.slice for element in each[1].elements))


def rivals_of(library: Library, block: Block, line: Line, path: paths.Path) -> tuple[Rival, ...]:
    """The lines that could write what a line makes, up to its own; () where none stands before it, or where its field
    is never written."""
    first, inner = path.elements[0], nested(path)
    if not first.repeats or not line.sources[0].segment or (line.sources[0].every and not line.sources[0].where):
        return ()
    if not inner and not _has_room(path):
        return ()
    pair = library.pair(line, path)
    own = name_of(line)
    found: list[Rival] = []
    known = False
    for other, way in _writing(library, [block], first.name):
        known = known or name_of(other) == own
        alike = library.pair(other, way)
        if len(way.elements) != len(path.elements) or alike.makes != pair.makes or other.sources[0].every:
            continue
        if inner:
            if way.elements == path.elements:
                found.append(Rival(name_of(other), way.elements[0], other.sources[0].repeats, other.condition, None))
        elif pair.makes and other.datatype == line.datatype:
            found.append(Rival(name_of(other), way.elements[0], other.sources[0].repeats, other.condition, None))
        elif not pair.makes and len(path.elements) == 1 and not alike.fields:
            words = () if other.datatype in codetables.BUILT else tuple(each.name for each in other.arguments)
            found.append(
                Rival(name_of(other), way.elements[0], other.sources[0].repeats, other.condition, alike, words)
            )
    if not known or all(each.field == own for each in found):
        return ()
    return tuple(found)


def rivals_of_element(library: Library, block: Block) -> tuple[Rival, ...]:
    """The same for a block that makes elements of a list: lines that would write them elsewhere."""
    if block.element is None or not block.element.repeats:
        return ()
    first = next((line for line in block.lines if line.back and line.sources), None)
    owners = [each for each in library.blocks if each.type == block.type and not each.element]
    if first is None:  # the element refers to what the same segment has become: no other field names that
        own = own_of(library, block)
        way = _reference_of(block)
        return tuple(
            Rival(name_of(line), path.elements[0], line.sources[0].repeats, line.condition, None)
            for line, path in _writing(library, owners, block.element.name)
            if own and way == [each.name for each in path.elements[1:]] and library.pair(line, path).makes
        )
    made = paths.resolve(block.path, first, library.systems)
    makes = library.pair(first, made).makes
    return tuple(
        Rival(name_of(line), path.elements[0], line.sources[0].repeats, line.condition, None)
        for line, path in _writing(library, owners, block.element.name)
        if makes and len(path.elements) == 2 and library.pair(line, path).makes == makes
        and path.leaf.name == made.leaf.name
    )  # fmt: skip


def _reference_of(block: Block) -> list[str]:
    """Where the reference of an element stands in it: [] of an element that is one."""
    names = [step.name for line in block.lines if line.link for step in line.target]
    return [] if names == ["reference"] else names


def own_of(library: Library, block: Block) -> str:
    """The field that an element goes back to: that of its first line, or of the first line of what it refers to; ""
    where that is not written."""
    written = any(line.back and line.sources for line in block.lines)
    types = () if written else tuple(line.link.type for line in block.lines if line.link)
    blocks = [each for each in library.blocks if each.segments == block.segments and each.type in types] or [block]
    return next((name_of(line) for each in blocks for line in each.lines if line.back and line.sources), "")


def told(
    element: dict[str, Any], rivals: Sequence[Rival], own: str, slice_: tuple[Any, ...], context: Context
) -> dict[str, Any] | None:
    """The extension that an element needs to go back to its own field; None where it does so by itself."""
    fitting = [each for each in rivals if not each.element.slice or matches(element, each.element)]
    for each in fitting:
        if each.field != own:
            break
    else:
        return None  # no other one could take it
    taker = next((each for each in fitting if _writes(each, element, context)), None)
    if taker is None or taker.field == own:
        return None
    limited = taker.repeats and taker.element.slice == slice_
    return {"url": FIELD, "valueString": f"{own} {context.facility}" if limited else own}


def _writes(rival: Rival, element: dict[str, Any], context: Context) -> bool:
    if rival.condition is not None and not possible(rival.condition, context):
        return False
    if rival.pair is None:
        return True
    made = rival.pair.back(element, context, *rival.words)
    return bool(made[0] if isinstance(made, tuple) else made)


def placed(
    element: dict[str, Any], rivals: Sequence[Rival], own: str, slice_: tuple[Any, ...], context: Context
) -> dict[str, Any]:
    """An element with what `told` says of it, a copy where that is something."""
    constants = {name.partition(".")[0]: constant for name, constant, _ in slice_}
    hint = told({**constants, **element} if constants else element, rivals, own, slice_, context)
    return {**element, "extension": [*element.get("extension", ()), hint]} if hint else element


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """`told` of elements that follow from a coded text: found once for each text, in messages of the same facts."""

    name: str
    rivals: tuple[Rival, ...]
    own: str
    slice: tuple[Any, ...]

    def placed(self, element: dict[str, Any], raw: str, context: Context) -> dict[str, Any]:
        """An element with what is told of it, a copy where that is something."""
        hint = self._hint(element, raw, context)
        return {**element, "extension": [*element.get("extension", ()), {**hint}]} if hint else element

    def place(self, element: dict[str, Any], raw: str, context: Context) -> None:
        """The same for an element that is being made."""
        hint = self._hint(element, raw, context)
        if hint:
            element["extension"] = [*element.get("extension", ()), {**hint}]

    def _hint(self, element: dict[str, Any], raw: str, context: Context) -> dict[str, Any] | None:
        known = context.forms[self.name]
        if raw in known:
            found: dict[str, Any] | None = known[raw]
            return found
        constants = {name.partition(".")[0]: constant for name, constant, _ in self.slice}
        hint = told({**constants, **element}, self.rivals, self.own, self.slice, context)
        if len(known) >= _KEPT:
            known.clear()
        if len(raw) <= _LONGEST and "\\" not in raw:  # an escape means what the message's charset says
            known[raw] = hint
        return hint


def place(
    element: dict[str, Any], rivals: Sequence[Rival], own: str, slice_: tuple[Any, ...], context: Context
) -> None:
    """The same for an element that is being made."""
    hint = told(element, rivals, own, slice_, context)
    if hint:
        element["extension"] = [*element.get("extension", ()), hint]


# ------------------------------------------------------------------------------------------------- back


def may_tell(body: bytes) -> bool:
    """May an element of resources that came as this JSON tell its field?"""
    return b"\\" in body or FIELD.encode() in body


def told_by(resource: Resource, fields: frozenset[str], context: Context) -> dict[str, tuple[str, ...]]:
    """Of each list whose elements tell their fields: the field of each, "" for one that tells none."""
    found = {}
    for name, listed in resource.items():
        if listed.__class__ is list:
            for each in listed:
                if each.__class__ is dict and "extension" in each and _in(each["extension"]):
                    told = tuple([field_of(one, fields, context) for one in listed])
                    if any(told):
                        found[name] = told
                    break
    return found


def _in(extensions: list[dict[str, Any]]) -> bool:
    return any(one.get("url") == FIELD for one in extensions)


def field_of(element: Any, fields: frozenset[str], context: Context) -> str:
    """The field that an element goes back to, "" where that follows from what it is.
    `fields`: all that are written."""
    if isinstance(element, dict) and "extension" in element:
        for each in element["extension"]:
            if each.get("url") == FIELD:
                field, _, sender = str(each.get("valueString", "")).partition(" ")
                return field if field in fields and sender in ("", context.facility) else ""
    return ""


def says(resource: Resource, field: str) -> bool:
    """Does a resource say that it stood in this field?"""
    return any(each.get("url") == FIELD and each.get("valueString") == field for each in resource.get("extension", ()))


def mark_of(block: Block) -> str:
    """The field that a block says its resources or elements stood in; "" where that follows from what they are."""
    lines = (line for line in block.lines if line.constant and line.target[0].name == "extension")
    return next((str(each.constant and each.constant.text) for each in lines if _marks(each)), "")


def _marks(line: Line) -> bool:
    return any(name == "url" and FIELD in values for name, values in line.target[0].slice)


def mine(resource: Resource, path: paths.Path, own: str, fields: frozenset[str], context: Context) -> Resource:
    """The resource without the elements of a list that belong to other fields; the same where there are none."""
    name = path.elements[0].name
    listed = resource.get(name)
    if not isinstance(listed, list) or not any(field_of(each, fields, context) not in ("", own) for each in listed):
        return resource
    return {**resource, name: [each for each in listed if field_of(each, fields, context) in ("", own)]}


def given(
    resource: Resource, path: paths.Path, own: str, fields: frozenset[str], context: Context
) -> list[dict[str, Any]]:
    """The elements that belong to a field though the slice of its line does not fit them."""
    first = path.elements[0]
    listed = resource.get(first.name)
    if not first.slice or not isinstance(listed, list):
        return []
    return [each for each in listed if field_of(each, fields, context) == own and not matches(each, first)]
