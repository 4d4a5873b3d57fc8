"""Map text → syntax tree. One logical line at a time, so that every mistake has its file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, cast

import lark

from gateway.errors import Configuration
from gateway.mapping.columns import of_export
from gateway.mapping.grammar_documents import export, message, names, pair, unquote
from gateway.mapping.statements import statements
from gateway.mapping.syntax import (
    Block,
    CodeTable,
    Condition,
    Constant,
    Export,
    Field,
    KeyPart,
    KeyValue,
    KeyWord,
    Line,
    Link,
    Place,
    Step,
    Structure,
)

STARTS = ("codes", "systems", "message", "export", "block", "line")
FIELD = re.compile(
    r"(?P<segment>\w{3})(?P<every>\[\])?-(?P<number>\d+)(?P<repeats>\*)?(?:\.(?P<c>\d+))?(?:\.(?P<s>\d+))?"
)
FACTS = ("EVENT", "STRUCTURE", "MESSAGE", "VERSION", "BESIDE", "UNDER", "BEHIND")


@dataclass(frozen=True, slots=True)
class MapFile:
    """What one .map file says."""

    codes: tuple[CodeTable, ...]
    systems: dict[str, str]
    structures: tuple[Structure, ...]
    exports: tuple[Export, ...]
    blocks: tuple[Block, ...]  # of HL7 v2; those of an export are in it


@cache
def _parser() -> lark.Lark:
    text = resources.files("gateway.mapping").joinpath("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(text, parser="lalr", start=list(STARTS), maybe_placeholders=True)


def parse(text: str, file: str) -> MapFile:
    """The statements of one .map file. Raises Configuration with every mistake of the file, one a line."""
    mistakes: list[str] = []
    codes: list[CodeTable] = []
    systems: dict[str, str] = {}
    structures: list[Structure] = []
    exports: list[Export] = []
    blocks: list[Block] = []
    for place, statement, body in statements(text, file):
        try:
            made = _statement(place, statement, body)
        except Configuration as error:
            mistakes.append(error.cause)
            continue
        match made:
            case CodeTable():
                codes.append(made)
            case Structure():
                structures.append(made)
            case Export():
                exports.append(made)
            case Block():
                blocks.append(made)
            case _:
                systems.update(made)
    if mistakes:
        raise Configuration("\n".join(mistakes), remedy="see mappings/README.md")
    if len(exports) > 1:
        raise Configuration(f"{exports[1].place}: a second export in one file", remedy="one export a file")
    if exports:
        exports = [replace(exports[0], blocks=tuple(map(of_export, blocks)))]
        blocks = []
    return MapFile(tuple(codes), systems, tuple(structures), tuple(exports), tuple(blocks))


def _tree(start: str, text: str, place: Place) -> lark.Tree[Any]:
    try:
        return _parser().parse(text, start=start)
    except lark.exceptions.UnexpectedInput as error:
        row = max(getattr(error, "line", 1), 1) - 1
        rest = text.splitlines()[row][max(error.column - 1, 0) :] if error.column > 0 else ""
        cause = f"not understood from '{rest[:40]}'" if rest else "the line ends too early"
        raise Configuration(f"{place.file}:{place.line + row}: {cause}") from None


def _statement(
    place: Place, text: str, body: list[tuple[Place, str]]
) -> CodeTable | Structure | Export | Block | dict[str, str]:
    word = text.split(None, 1)[0]
    match word:
        case "codes":
            return _codes(place, _tree("codes", text, place))
        case "system":
            return {
                str(alias.children[0]): unquote(alias.children[1]) for alias in _tree("systems", text, place).children
            }
        case "message":
            return message(place, _tree("message", text, place))
        case "export":
            return export(place, _tree("export", text, place))
        case _:
            return _block(place, _tree("block", text, place), body)


# ------------------------------------------------------------------------------------------------ tables


def _codes(place: Place, tree: lark.Tree[Any]) -> CodeTable:
    name, system, *pairs = tree.children
    into: dict[str, str] = {}
    back: dict[str, str] = {}
    for each in pairs:
        left, arrow, right = pair(each)
        if arrow in "=>" and left in into:
            line = place.line + (cast("lark.Token", each.children[0]).line or 1) - 1
            raise Configuration(f"{place.file}:{line}: code {left} stands twice in table {name}")
        if arrow in "=>":
            into[left] = right
        if arrow in "=<":
            back.setdefault(right, left)
    return CodeTable(place=place, name=str(name), into=into, back=back, system=str(system or ""))


# ------------------------------------------------------------------------------------------------ blocks


def _block(place: Place, tree: lark.Tree[Any], body: list[tuple[Place, str]]) -> Block:
    extent, direction, path, *options = tree.children
    type_, *below = (_step(each, place) for each in path.children)
    if type_.repeats or type_.slice or len(below) > 1 or any(not each.repeats for each in below):
        raise Configuration(f"{place}: a block makes a Resource, or an element of a list of it: Resource.element*")
    values: dict[str, Any] = {}
    match extent.data:
        case "segments":
            values["segments"] = tuple(map(str, extent.children))
        case "row":
            values["rows_by"] = ()
        case "rows_by":
            values["rows_by"] = names(extent)
        case _:
            values["each"] = names(extent)[0]
    for option in options:
        values.update(_option(option))
    lines = []
    mistakes = []
    for where, text in body:
        try:
            lines.append(_line(where, _tree("line", text, where)))
        except Configuration as error:
            mistakes.append(error.cause)
    if mistakes:
        raise Configuration("\n".join(mistakes))
    arrow = str(direction)
    if arrow not in ("=>", "<="):
        raise Configuration(f"{place}: a block is written with => (or <= for one that only writes), not {arrow}")
    element = below[0] if below else None
    return Block(place=place, type=type_.name, element=element, into=arrow == "=>", lines=tuple(lines), **values)


def _option(tree: lark.Tree[Any]) -> dict[str, Any]:
    match tree.data:
        case "key" | "else_key":
            return {"key": tuple(map(_keypart, tree.children)), "spare": tree.data == "else_key"}
        case "reopen":
            return {"reopen": _condition(tree.children[0])}
        case "structures":
            return {"structures": tuple(map(str, tree.children))}
        case "other_structures":
            return {"without": tuple(map(str, tree.children))}
        case "block_if":
            return {"condition": _condition(tree.children[0])}
        case "unless":
            return {"unless": str(tree.children[0])}
        case "block_found":
            return {"found": True}
        case _:
            return {"once": True}


def _keypart(tree: lark.Tree[Any]) -> KeyPart:
    if tree.data == "key_word":
        return KeyWord(text=str(tree.children[0]))
    if tree.data == "key_value":
        return KeyValue(field=_field(tree.children[0]), datatype=str(tree.children[1]))
    return tuple(_link(each.children[0]) if each.data == "key_link" else _field(each) for each in tree.children)


def _line(place: Place, tree: lark.Tree[Any]) -> Line:
    source, direction, path, *modifiers = tree.children
    arrow = str(direction)
    if arrow not in ("<->", "->", "<-"):
        raise Configuration(f"{place}: a line is written with <-> -> or <-, not {arrow}")
    values: dict[str, Any] = {}
    for modifier in modifiers:
        values.update(_modifier(modifier))
    return Line(
        place=place,
        into=arrow != "<-",
        back=arrow != "->",
        sources=() if source.data == "nothing" else tuple(_field(each) for each in source.children),
        target=tuple(_step(each, place) for each in path.children),
        **values,
    )


def _modifier(tree: lark.Tree[Any]) -> dict[str, Any]:
    children = tree.children
    match tree.data:
        case "datatype":
            return {
                "datatype": str(children[0]),
                "arguments": tuple(_argument(each) for each in children[1:] if each is not None),
            }
        case "codes_of":
            return {"codes": str(children[0])}
        case "reference":
            return {"reference": str(children[0])}
        case "link":
            return {"link": _link(children[0])}
        case "parting":
            return {"link": replace(_link(str(children[0])[1:]), parts=True)}
        case "constant":
            system, _, code = str(children[0]).rpartition("#")
            return {"constant": Constant(text=code, system=system, display=unquote(children[1]) if children[1] else "")}
        case "text":
            return {"constant": Constant(text=unquote(children[0]))}
        case _:
            return {"condition": _condition(children[0])}


def _argument(tree: lark.Tree[Any]) -> Field:
    return _field(tree.children[0])


def _link(token: object) -> Link:
    text = str(token)
    type_, _, element = text.lstrip("@").partition(".")
    return Link(type=type_, every=text.startswith("@@"), everywhere=text.startswith("@@@"), element=element)


def _field(tree: lark.Tree[Any]) -> Field:
    if tree.data == "named_field":
        return Field(name=names(tree)[0])
    if tree.data == "whole_segment":
        return Field(segment=str(tree.children[0]))
    if tree.data == "filtered_field":
        opening, condition, tail = tree.children
        return replace(_position(str(opening)[:3] + str(tail)[1:]), every=True, where=_condition(condition))
    return _position(str(tree.children[0]))


def _position(text: str) -> Field:
    """`PID-3*.4.2`; the grammar lets nothing else through."""
    parts = FIELD.fullmatch(text)
    found = parts.groupdict() if parts else {}
    return Field(
        segment=found["segment"],
        number=int(found["number"]),
        repeats=bool(found["repeats"]),
        component=int(found["c"] or 0),
        subcomponent=int(found["s"] or 0),
        every=bool(found["every"]),
    )


def _step(tree: lark.Tree[Any], place: Place) -> Step:
    name, *rest = tree.children
    if str(name).startswith("@"):
        raise Configuration(f"{place}: a path begins with an element, not {name}; links stand behind '='")
    tests: list[tuple[str, tuple[str, ...]]] = []
    for child in rest:
        if isinstance(child, lark.Tree):
            for test in child.children:
                first, *others = map(str, test.children)
                element, _, value = first.partition("=")
                tests.append((element, (value, *others)))
    repeats = any(isinstance(child, lark.Token) and child.type == "STAR" for child in rest)
    return Step(name=str(name), repeats=repeats, slice=tuple(tests))


def _condition(tree: lark.Tree[Any]) -> Condition:
    children = cast("list[lark.Tree[Any]]", tree.children)
    match tree.data:
        case "any_of" | "all_of" if len(children) == 1:
            return _condition(children[0])
        case "any_of" | "all_of":
            return Condition(operator="or" if tree.data == "any_of" else "and", parts=tuple(map(_condition, children)))
        case "negated":
            return Condition(operator="not", parts=(_condition(children[0]),))
        case "valued":
            return _tested("valued", children[0], [])
        case "without":
            return Condition(operator="not", parts=(_tested("in", children[0], children[1:]),))
        case _:
            return _tested("in", children[0], children[1:])


def _tested(operator: Any, field: lark.Tree[Any], values: list[lark.Tree[Any]]) -> Condition:
    texts = tuple(unquote(value.children[0]) for value in values)
    name = names(field)[0] if field.data == "named_field" else ""
    if name in FACTS:
        return Condition(operator=operator, fact=name, values=texts)
    return Condition(operator=operator, field=_field(field), values=texts)
