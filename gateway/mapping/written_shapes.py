"""What tells resources apart for a block that writes them: which elements they have, and which slices each element of
a list fits (`participant*{type=ATND}`).

Resources of one shape are written by the same lines, which find their values at the same places.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway.mapping import origins
from gateway.mapping.graph import admitted
from gateway.mapping.wording import WRITTEN
from gateway.mapping.written_lines import WrittenLine
from gateway.model import Resource

Shape = tuple[Any, ...]


class Places(NamedTuple):
    """The elements of its list that a line is about."""

    all: tuple[int, ...]
    given: tuple[int, ...] = ()  # of those: which its slice does not fit, they tell its field


Masks = dict[str, tuple[int, ...]]  # of each list: a number for each element, whose bits are what it fits
Marks = dict[str, tuple[str, ...]]  # of lists whose elements tell the fields that they stood in: the field of each
NO_MARKS: Marks = {}


class Slices:
    """All that the lines of a block ask of the elements of one list. Each has a bit."""

    def __init__(self) -> None:
        self._asked: list[tuple[str, Any, tuple[str, ...]]] = []
        self._codes: dict[str, dict[Any, int]] = {}  # name → code → bits
        self._texts: dict[str, dict[str, int]] = {}  # the same for texts
        self._names: list[tuple[str, dict[Any, int], dict[str, int]]] = []  # both of each name

    def add(self, slice_: Iterable[tuple[str, Any, tuple[str, ...]]]) -> int:
        """The bits that an element must have to fit a slice."""
        bits = 0
        for path, constant, codes in slice_:
            asked = path.partition(".")[0], constant, codes
            if asked not in self._asked:
                bit = 1 << len(self._asked)
                self._asked.append(asked)
                known, texts = self._codes.setdefault(asked[0], {}), self._texts.setdefault(asked[0], {})
                for code in codes:
                    known[code] = known.get(code, 0) | bit
                for text in {*codes, constant} if isinstance(constant, str) else codes:
                    texts[text] = texts.get(text, 0) | bit
            bits |= 1 << self._asked.index(asked)
        self._names = [(name, codes, self._texts[name]) for name, codes in self._codes.items()]
        return bits

    def of(self, listed: Any) -> tuple[int, ...]:
        """A number for each element."""
        if listed.__class__ is list:
            return tuple(map(self.fits, listed))
        return (self.fits(listed),) if listed is not None else ()

    def fits(self, element: dict[str, Any]) -> int:
        """The number of one element."""
        bits = 0
        for name, codes, texts in self._names:
            found = element.get(name)
            if found is None:
                continue
            if found.__class__ is str:
                bits |= texts.get(found, 0)
            elif found.__class__ is dict:
                bits |= _of_concept(found, codes)
            elif found.__class__ is list and all([each.__class__ is dict for each in found]):  # noqa: C419 - faster
                for each in found:
                    bits |= _of_concept(each, codes)
            else:
                bits |= self._slowly(name, found)
        return bits

    def _slowly(self, name: str, found: Any) -> int:
        asked = enumerate(self._asked)
        return sum(
            1 << bit for bit, (own, constant, codes) in asked if own == name and admitted(found, constant, codes)
        )


def _of_concept(value: dict[str, Any], codes: dict[Any, int]) -> int:
    codings = value.get("coding")
    if codings is None:
        return codes.get(value.get("code"), 0)
    bits = 0
    for each in codings:
        bits |= codes.get(each.get("code"), 0)
    return bits


class Shapes:
    """The shapes of the resources that a block writes."""

    def __init__(self, lines: Iterable[WrittenLine]) -> None:
        self.slices: dict[str, Slices] = {}
        self._bits: dict[int, int] = {}
        for line in lines:
            first = line.path.elements[0]
            if first.slice:
                self._bits[line.slot] = self.slices.setdefault(first.name, Slices()).add(first.slice)
        self._sliced = tuple(self.slices.items())

    def of(self, resource: Resource, marks: Marks = NO_MARKS) -> tuple[Shape, Masks]:
        """The shape of a resource; the numbers of the elements in its lists."""
        masks = {}
        for name, slices in self._sliced:
            if name in resource:
                found = resource[name]
                one = found.__class__ is list and len(found) == 1
                masks[name] = (slices.fits(found[0]),) if one else slices.of(found)
        told = tuple(marks.items()) if marks else ()
        return (tuple(resource), "extension" in resource and kept(resource), told, *masks.values()), masks

    def places(self, line: WrittenLine, masks: Masks, marks: Marks = NO_MARKS) -> Places | None:
        """Which elements of its list a line is about; None where it asks for no slice of it, and none tells its field.
        Those that tell the line's field are its own, whatever slice they fit; behind the others where it writes what
        stands deeper."""
        name = line.path.elements[0].name
        bits, told = self._bits.get(line.slot), marks.get(name)
        if told is None:
            return None if bits is None else Places(tuple(_fitting(bits, masks.get(name, ()))))
        own = origins.name_of(line.line)
        fitting = range(len(told)) if bits is None else _fitting(bits, masks.get(name, ()))
        mine = [index for index in fitting if told[index] in ("", own)]
        given = tuple(index for index, field in enumerate(told) if field == own and index not in fitting)
        found = (*mine, *given)
        return Places(tuple(sorted(found)) if len(line.path.elements) == 1 else found, given)


def _fitting(bits: int, masks: Iterable[int]) -> list[int]:
    return [index for index, each in enumerate(masks) if each & bits == bits]


def kept(resource: Resource) -> bool:
    """Does a resource keep whole fields as they were sent (sent_fields.py)?"""
    for each in resource["extension"]:  # noqa: SIM110 - asked for each resource
        if "extension" in each and each.get("url") == WRITTEN:
            return True
    return False
