"""How the sender wrote it, where we should write the same otherwise: kept beside the value, and written again as long
as it still means the value to the receiver.

An extension `urn:hutong:written` on the element holds the raw text. It is made only where our own way to write the
value differs from what came (a number without its authority, a time without seconds, one of two codes that mean one
status). Whoever changes the value makes the old wording void: it is read again before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.fhir.fragment import frozen
from gateway.fhir.shapes import valid_as
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair
from gateway.mapping.paths import Element, Path
from gateway.mapping.same_number import within
from gateway.mapping.syntax import Block, Line
from gateway.model import Resource

WRITTEN = "urn:hutong:written"
CELL = "urn:hutong:cell"  # the code that a cell of an export had: its sender, a blank, the code
ALIKE = -2  # the table of the memory for texts of coded primitives: would we write the same?
BESIDE = -10  # less the slot of a pair: its table for what stands beside its primitives
_KNOWN = 4096
FIELD = "urn:hutong:field"  # which field it stood in: origins.py
_LONGEST = 400  # characters: what is longer is text, and its form is ours
_NOWHERE = ("system",)  # what is asked for to find things


class Worded(str):
    """A primitive with the text that it came as; `sender`: who alone gets it back (of cells)."""

    __slots__ = ("sender", "written")
    written: str
    sender: str

    def __new__(cls, value: str, written: str, sender: str = "") -> Worded:
        made = super().__new__(cls, value)
        made.written, made.sender = written, sender
        return made


def applies(line: Line, path: Path, pair: Pair, block: Block) -> bool:
    """Does a line keep the wording? Lines of messages that go both ways (alone, or with another of their field), of one
    field, to an element of its own."""
    plain = line.sources and line.sources[0].segment and not line.constant and _returns(line, path, block)
    return bool(
        plain
        and not pair.whole
        and not line.sources[0].every
        and not path.leaf.choice
        and not any(element.name in _NOWHERE for element in path.elements)
        and (path.leaf.type in COMPLEX or (path.leaf.type in TEXTS and not path.leaf.many and not pair.fields))
    )


def _returns(line: Line, path: Path, block: Block) -> bool:
    if line.into and line.back:
        return True
    return path.leaf.type in COMPLEX and any(
        each.sources == line.sources and each.datatype == line.datatype and each.into != line.into
        and not each.constant and [step.name for step in each.target] == [step.name for step in line.target]
        for each in block.lines
    )  # fmt: skip


TEXTS = frozenset({"string", "code", "date", "dateTime", "instant", "markdown"})
COMPLEX = frozenset({
    "Identifier", "HumanName", "Address", "ContactPoint", "CodeableConcept", "Coding", "Reference", "Quantity",
    "Period", "Range", "Ratio", "Money", "Duration", "Age", "Timing",
})  # fmt: skip


def worded(pair: Pair, path: Path) -> Pair:
    """The pair, with the wording kept on the element that it makes. What a slice adds to the element counts."""
    constants = {name.partition(".")[0]: constant for name, constant, _ in path.leaf.slice}

    def into(raw: str, *others: Any) -> Any:
        """`others`: the field arguments, the context, the words."""
        value = pair.into(raw, *others)
        if not isinstance(value, dict) or not short(raw):
            return value
        if raw == _ours(pair, (raw, *others), {**constants, **value}):
            return value
        kept = {"url": WRITTEN, "valueString": raw}
        return {**value, "extension": [*value.get("extension", ()), kept]}

    key = (pair.slot, repr(constants))
    made = _WORDED.get(key)
    if made is None:
        made = _WORDED[key] = Pair(
            into, pair.back, fields=pair.fields, makes=pair.makes, fits=pair.fits, coded=pair.coded, words=pair.words
        )
    return made


_WORDED: dict[tuple[int, str], Pair] = {}  # by the slot of the plain pair: one memory for all lines of a type and slice


def _ours(pair: Pair, given: tuple[Any, ...], value: Mapping[str, Any]) -> str:
    """The value as we write it by ourselves."""
    texts, context, words = given[: 1 + pair.fields], given[1 + pair.fields], given[2 + pair.fields :]
    if pair.makes:
        around = context.scratch()
        value = {**value, **(pair.into(*texts, around, *words) or {})}
        entry = around.entries.get(value.get("reference", ""))
        value = {**value, **entry.resource} if entry else value
    return _first(pair.back(value, context, *words))


def kept(raw: str, value: Any, pair: Pair, context: Context, words: tuple[str, ...]) -> dict[str, Any] | None:
    """The sibling element (`_birthDate`) of a primitive that came in other words than ours."""
    if pair.coded and not words and "\\" not in raw:
        known = context.memory[ALIKE]
        alike = known.get((pair.slot, raw))
        if alike is None:
            if len(known) >= _KNOWN:
                known.clear()
            alike = known[pair.slot, raw] = _alike(raw, value, pair, context, words)
    else:
        alike = _alike(raw, value, pair, context, words)
    return None if alike else {"extension": [{"url": WRITTEN, "valueString": raw}]}


def beside(table: dict[Any, Any], raw: str, value: Any, pair: Pair, context: Context) -> Any:
    """The same of a coded primitive: a fragment, remembered in a table by the raw text."""
    if _alike(raw, value, pair, context, ()):
        made = None
    else:
        made = {"extension": [{"url": WRITTEN, "valueString": raw}]}
        if not valid_as("Element", made):
            return made
        made = frozen(made, "Element")
    if "\\" not in raw:  # an escape means what the message's charset says
        if len(table) >= _KNOWN:
            table.clear()
        table[raw] = made
    return made


def _alike(raw: str, value: Any, pair: Pair, context: Context, words: tuple[str, ...]) -> bool:
    """Is it how we should write it, or nothing that can be kept?"""
    return (raw == value and "^" not in raw) or not short(raw) or raw == _first(pair.back(value, context, *words))


def short(raw: str) -> bool:
    """Can a text be kept?"""
    return len(raw) <= _LONGEST and raw.isprintable() and not raw.isspace()


def _first(made: Any) -> str:
    return str(made[0] if isinstance(made, tuple) else made)


def keeps_cell(line: Line, path: Path, pair: Pair) -> bool:
    """Does a line of an export keep the code of its cell, where its table writes another one for what it means?"""
    read = line.sources and line.sources[0].name and line.codes and line.into and line.back
    return bool(
        read and pair.coded and not path.leaf.choice and path.leaf.type in ("code", "Coding", "CodeableConcept")
    )


def of_cell(table: dict[Any, Any], raw: str, value: Any, pair: Pair, context: Context) -> Any:
    """An extension with the code of a cell, None where we should write the same; remembered by the raw text."""
    if raw not in table:
        if len(table) >= _KNOWN:
            table.clear()
        code = raw.strip()
        alike = not short(code.replace("\n", " ")) or code == _first(pair.back(value, context))
        table[raw] = None if alike else {"url": CELL, "valueString": f"{_sender(context)} {code}"}
    return table[raw]


# ------------------------------------------------------------------------------------------------- back


def of_primitives(holders: list[dict[str, Any]], leaf: Element) -> list[Any]:
    """The values of a primitive element with their wordings."""
    found = []
    for each in holders:
        value = each.get(leaf.name)
        if value is not None:
            found.append(of_primitive(value, each.get(f"_{leaf.name}")))
    return found


def of_primitive(value: Any, beside: Any) -> Any:
    """A primitive with the wording that the element beside it holds (`_birthDate`)."""
    written, (sender, code) = sent(beside), cell_of(beside)
    if not isinstance(value, str) or not (written or code):
        return value
    return Worded(value, code, sender) if code else Worded(value, written)


def sent(element: Any) -> str:
    """The wording that an element holds, "" for none."""
    if isinstance(element, dict):
        for each in element.get("extension", ()):
            if each.get("url") == WRITTEN:
                return str(each.get("valueString", ""))
    return ""


def cell_of(element: Any) -> tuple[str, str]:
    """(sender, code) of the cell that an element came from, ("", "") for none."""
    if isinstance(element, dict):
        for each in element.get("extension", ()):
            if each.get("url") == CELL:
                sender, _, code = str(each.get("valueString", "")).partition(" ")
                return sender, code
    return "", ""


def _sender(context: Context) -> str:
    return "_".join(context.facility.split())


def cell_again(value: Any, pair: Pair, context: Context) -> str:
    """The code of the cell that a value came from, for its sender, where it still means the same; else ""."""
    sender, code = (value.sender, value.written) if isinstance(value, Worded) else cell_of(value)
    if not code or sender != _sender(context):
        return ""
    read = pair.into(code, context.scratch())
    if isinstance(value, dict):
        around = [each for each in value["extension"] if each.get("url") != CELL]
        bare = {name: each for name, each in value.items() if name != "extension"} | (
            {"extension": around} if around else {}
        )
        return code if read == bare else ""
    return code if read == str(value) else ""


def again(
    value: Any,
    resource: Resource | None,
    path: Path,
    pair: Pair,
    context: Context,
    words: tuple[str, ...],
    others: tuple[str, ...] = (),
) -> str:
    """The text that a value came as, where it means the same to the receiver; else "". `others`: what stands in the
    other fields of the line."""
    if isinstance(value, Worded):
        if value.sender:
            return ""
        return value.written if pair.into(value.written, context.scratch(), *words) == str(value) else ""
    written = sent(value)
    if not written:
        return ""
    around = context.scratch()
    read = pair.into(written, *others[: pair.fields], *[""] * (pair.fields - len(others)), around, *words)
    if not isinstance(read, dict):
        return ""
    if pair.makes:
        entry = around.entries.get(read.get("reference", ""))
        same = within(entry.resource, resource) if entry and resource else read.get("display") == value.get("display")
        return written if same else ""
    bare = {name: each for name, each in value.items() if name != "extension"}
    further = [each for each in value["extension"] if each.get("url") not in (WRITTEN, FIELD, CELL)]
    if further:
        bare["extension"] = further
    for name, _, _ in path.leaf.slice:
        outer = name.partition(".")[0]
        if outer in bare:
            read = {outer: bare[outer], **read}
    return written if read == bare else ""


def unworded(value: Any) -> Any:
    """A copy without any wording: what is said, not how."""
    if isinstance(value, list):
        return [unworded(each) for each in value if not (isinstance(each, dict) and each.get("url") in (WRITTEN, CELL))]
    if isinstance(value, dict):
        made = {name: unworded(each) for name, each in value.items()}
        return {name: each for name, each in made.items() if each not in ([], {})}
    return value
