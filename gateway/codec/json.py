"""JSON documents of partners (RFC 8259; not FHIR) ↔ trees: numbers keep their digits, each limit names its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final, NoReturn

from gateway.codec import charset as charsets
from gateway.codec import damaged, held
from gateway.errors import Permanent

DEPTH_LIMIT: Final = 100  # objects and arrays inside each other
NODES_LIMIT: Final = 2_000_000
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
NUMBER_LIMIT: Final = 1_000  # characters of one number


class Number(str):
    """A number exactly as it was written: '0.10', '1e3', '530000000000000001'."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """A decoded document: dicts, lists, str, Number, bool and None. `charset` is the Python codec that read it."""

    root: Any
    charset: str
    notes: tuple[str, ...] = ()
    kind: str = "json"  # or xml


@dataclass(frozen=True, slots=True)
class _Doubled:
    """Stands for an object with a key that occurs twice until its place is known."""

    key: str


def decode(body: bytes, charset: str = "") -> Tree:
    """The document in `body`; `charset` is the member's rule. Raises Permanent for what is no JSON, an object with one
    key twice, NaN and Infinity, lone surrogates, or more depth, nodes or digits than the limits."""
    decoded = damaged.decode_whole(body, charset)
    try:
        return Tree(of_text(decoded.text), decoded.charset, decoded.notes)
    except Permanent as error:
        if "control character" not in error.cause:
            raise
    bare = charsets.without_controls(decoded.text)
    root = of_text(_TEXT.sub(lambda found: _escaped(found[0]), bare))
    return Tree(root, decoded.charset, (*decoded.notes, "control characters removed, line ends inside texts kept"))


def _escaped(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")


def of_text(text: str) -> Any:
    """The same of text: dicts, lists, str, Number, bool and None."""
    if text.count(",") > NODES_LIMIT and _TEXT.sub("", text).count(",") > NODES_LIMIT:  # it is not even parsed
        raise refusal(f"more than {NODES_LIMIT} nodes")
    try:
        root = decoder().decode(text)
    except json.JSONDecodeError as error:
        raise refusal(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise refusal(f"deeper than {DEPTH_LIMIT} levels") from None
    check(root)
    return root


@cache
def decoder(*, strict: bool = True) -> json.JSONDecoder:
    """What reads values; `check` is to be asked of each. `strict`: no line end and no control character in a text."""
    return json.JSONDecoder(
        parse_float=_number, parse_int=_number, parse_constant=_refuse_constant, object_pairs_hook=of_pairs,
        strict=strict,
    )  # fmt: skip


def check(root: Any, place: str = "") -> None:
    """Raises Permanent where a value, which stands at this place, is none that a Tree may hold."""
    if not _sound(root):
        for here, node in _walk(root, place):
            _check_node(here, node)


def _sound(root: Any) -> bool:
    """Is there nothing to refuse? Places are only told where there is."""
    level, count = [root], 0
    for _ in range(DEPTH_LIMIT):
        below: list[Any] = []
        texts: list[str] = []
        for node in level:
            if isinstance(node, str):
                texts.append(node)
            elif isinstance(node, dict):
                below.extend(node.values())
                texts.extend(node)
            elif isinstance(node, list):
                below.extend(node)
            elif isinstance(node, _Doubled):
                return False
        if _has_surrogate("".join(texts)):
            return False
        count += len(level)
        if not below:
            return count <= NODES_LIMIT
        level = below
    return False


def encode(tree: Tree | Any, charset: str = "utf-8") -> bytes:
    """Compact JSON of a Tree or of what a Tree may hold; int and Decimal are written with their digits. A character
    that `charset` lacks becomes an escape (`\\u4dae`), which means the same. Raises Permanent for other values (float
    has no exact digits)."""
    root = tree.root if isinstance(tree, Tree) else tree
    text = "".join(_written(root, 0))
    return held.encode(held.referred(text, charset, _escape), charset)


def _escape(point: int) -> str:
    return json.dumps(chr(point))[1:-1]


def _number(digits: str) -> Number:
    if len(digits) > NUMBER_LIMIT:
        raise refusal(f"a number of more than {NUMBER_LIMIT} characters")
    return Number(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise refusal(f"{name} is no JSON number")


def of_pairs(pairs: list[tuple[str, Any]]) -> Any:
    """An object; what stands for one with a key that occurs twice is refused by `check`."""
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    return _Doubled(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]


def _walk(root: Any, place: str) -> Iterator[tuple[str, Any]]:
    """(place, node) of every node, without recursion: '', '/a', '/a/0' (RFC 6901)."""
    stack: list[tuple[str, Any, int]] = [(place, root, 0)]
    count = 0
    while stack:
        place, node, depth = stack.pop()
        count += 1
        if count > NODES_LIMIT:
            raise refusal(f"more than {NODES_LIMIT} nodes", place[:200])
        if depth >= DEPTH_LIMIT and isinstance(node, dict | list):
            raise refusal(f"deeper than {DEPTH_LIMIT} levels", place[:200])
        yield place, node
        if isinstance(node, dict):
            stack.extend((f"{place}/{_pointer(key)}", value, depth + 1) for key, value in node.items())
        elif isinstance(node, list):
            stack.extend((f"{place}/{index}", value, depth + 1) for index, value in enumerate(node))


def _pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _check_node(place: str, node: Any) -> None:
    if isinstance(node, _Doubled):
        raise refusal(f"the key {node.key[:60]!r} occurs twice in one object", place)
    texts = node if isinstance(node, dict) else (node,) if isinstance(node, str) else ()
    if any(_has_surrogate(text) for text in texts):
        raise refusal("half a character (a lone surrogate)", place)


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _written(node: Any, depth: int) -> Iterator[str]:
    if depth >= DEPTH_LIMIT and isinstance(node, dict | list | tuple):
        raise refusal(f"deeper than {DEPTH_LIMIT} levels")
    if isinstance(node, dict):
        yield "{"
        for index, (key, value) in enumerate(node.items()):
            yield f"{',' if index else ''}{json.dumps(str(key), ensure_ascii=False)}:"
            yield from _written(value, depth + 1)
        yield "}"
    elif isinstance(node, list | tuple):
        yield "["
        for index, value in enumerate(node):
            yield "," if index else ""
            yield from _written(value, depth + 1)
        yield "]"
    else:
        yield _leaf(node)


def _leaf(node: Any) -> str:
    match node:
        case Number():
            return str.__str__(node)
        case str():
            return json.dumps(node, ensure_ascii=False)
        case None:
            return "null"
        case bool():
            return "true" if node else "false"
        case int():
            return str(node)
        case Decimal() if node.is_finite():
            return str(node)
        case _:
            raise refusal(f"a {type(node).__name__} cannot be written exactly")


def refusal(cause: str, place: str = "") -> Permanent:
    """The document is refused."""
    return Permanent(cause, place=place or "JSON", remedy="have the sender write valid JSON", code="102")
