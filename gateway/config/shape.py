"""YAML tree → plain values of a settings struct: unknown words and wrong types, all of them, each with its line.

Where a value is wrong the default stands in for it, so that the checks behind still see the rest; the mistake is
noted, so such a value never reaches anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import inspect

from gateway.config.page import Mistakes, line_of, nearest

Path = tuple[str | int, ...]
T = TypeVar("T")

_NULL = "tag:yaml.org,2002:null"
_TRUE = {"true", "yes", "on"}
_FALSE = {"false", "no", "off"}
_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)")
_MISSING: Any = object()


@dataclass(slots=True)
class Lines:
    """Where each value of one file stands."""

    file: str
    lines: dict[Path, int] = field(default_factory=dict)

    def at(self, *path: str | int) -> int:
        """The line of a value, or of the nearest thing around it that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def written(self, *path: str | int) -> bool:
        """Whether a person wrote this value (False: a default)."""
        return path in self.lines


def read(node: yaml.Node, wanted: type[T], lines: Lines, mistakes: Mistakes, *, path: Path = ()) -> T:
    """The struct of type `wanted` that this YAML describes; mistakes are collected, never raised."""
    kind = inspect.type_info(wanted)
    plain = _Reader(lines=lines, mistakes=mistakes).value(node, kind, path)
    return msgspec.convert(plain if plain is not _MISSING else _placeholder(kind), wanted)


@dataclass(slots=True)
class _Reader:
    lines: Lines
    mistakes: Mistakes

    def value(self, node: yaml.Node, kind: Any, path: Path) -> Any:
        self.lines.lines.setdefault(path, line_of(node))
        match kind:
            case inspect.UnionType():
                return self._union(node, kind, path)
            case inspect.StructType():
                return self._struct(node, kind, path)
            case inspect.DictType():
                return self._mapping(node, kind, path)
            case inspect.VarTupleType():
                return self._sequence(node, kind, path)
            case _:
                return self._scalar(node, kind, path)

    def _union(self, node: yaml.Node, kind: inspect.UnionType, path: Path) -> Any:
        if node.tag == _NULL:
            return _MISSING
        for option in kind.types:
            if isinstance(option, _shapes(node)):
                return self.value(node, option, path)
        return self._wrong(node, kind, path)

    def _struct(self, node: yaml.Node, kind: inspect.StructType, path: Path) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, kind, path)
        fields = {part.encode_name: part for part in kind.fields}
        result: dict[str, Any] = {}
        for name, key, child in self._pairs(node):
            if name not in fields:
                remedy = nearest(name, fields, what="known words here")
                self._mistake(key, f"unknown word {name!r}", remedy)
                continue
            value = self.value(child, fields[name].type, (*path, name))
            self.lines.lines[(*path, name)] = line_of(key)
            if value is not _MISSING:
                result[name] = value
        for name, part in fields.items():
            if part.required and name not in result:
                if (*path, name) not in self.lines.lines:
                    self._mistake(node, f"{name!r} is missing", f"add `{name}: …`")
                result[name] = _placeholder(part.type)
        return result

    def _mapping(self, node: yaml.Node, kind: inspect.DictType, path: Path) -> Any:
        if node.tag == _NULL:
            return {}
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, kind, path)
        values = {name: self.value(child, kind.value_type, (*path, name)) for name, _, child in self._pairs(node)}
        return {name: value for name, value in values.items() if value is not _MISSING}

    def _sequence(self, node: yaml.Node, kind: inspect.VarTupleType, path: Path) -> Any:
        if node.tag == _NULL:
            return []
        if not isinstance(node, yaml.SequenceNode):
            return self._wrong(node, kind, path)
        values = [self.value(child, kind.item_type, (*path, index)) for index, child in enumerate(node.value)]
        return [_placeholder(kind.item_type) if value is _MISSING else value for value in values]

    def _scalar(self, node: yaml.Node, kind: Any, path: Path) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self._wrong(node, kind, path)
        if node.tag == _NULL:
            return _MISSING
        value = _scalar_value(str(node.value), kind)
        return self._wrong(node, kind, path) if value is _MISSING else value

    def _pairs(self, node: yaml.MappingNode) -> list[tuple[str, yaml.Node, yaml.Node]]:
        seen: dict[str, int] = {}
        pairs: list[tuple[str, yaml.Node, yaml.Node]] = []
        for key, child in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not isinstance(key, yaml.ScalarNode):
                self._mistake(key, "a key must be a word", "write `word: value`")
            elif name in seen:
                self._mistake(key, f"{name!r} stands here twice (first in line {seen[name]})", "keep one of them")
            else:
                seen[name] = line_of(key)
                pairs.append((name, key, child))
        return pairs

    def _wrong(self, node: yaml.Node, kind: Any, path: Path) -> Any:
        name = next((part for part in reversed(path) if isinstance(part, str)), "this")
        self._mistake(node, f"{name!r} must be {_described(kind)}, not {_found(node)}", "")
        return _MISSING

    def _mistake(self, node: yaml.Node, cause: str, remedy: str) -> None:
        self.mistakes.add(self.lines.file, line_of(node), cause, remedy)


def _shapes(node: yaml.Node) -> tuple[type, ...]:
    if isinstance(node, yaml.MappingNode):
        return (inspect.StructType, inspect.DictType)
    if isinstance(node, yaml.SequenceNode):
        return (inspect.VarTupleType,)
    return (inspect.StrType, inspect.BoolType, inspect.IntType, inspect.FloatType)


def _scalar_value(text: str, kind: Any) -> Any:
    match kind:
        case inspect.StrType():
            return text
        case inspect.BoolType() if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        case inspect.IntType() if re.fullmatch(r"[-+]?\d{1,9}", text):
            return int(text)
        case inspect.FloatType() if _FLOAT.fullmatch(text):
            return float(text)
        case _:
            return _MISSING


def _placeholder(kind: Any) -> Any:
    """What stands in for a required value that is missing or wrong."""
    match kind:
        case inspect.StructType():
            return {part.encode_name: _placeholder(part.type) for part in kind.fields if part.required}
        case inspect.DictType():
            return {}
        case inspect.VarTupleType():
            return []
        case _:
            return ""


def _described(kind: Any) -> str:
    match kind:
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            return "a number"
        case inspect.VarTupleType():
            return "a list ([a, b] or lines that begin with -)"
        case inspect.UnionType():
            options = [_described(option) for option in kind.types if not isinstance(option, inspect.NoneType)]
            return " or ".join(options)
        case _:
            return "a group of `word: value` lines"


def _found(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a group" if isinstance(node, yaml.MappingNode) else f"{str(node.value)[:40]!r}"
