"""JSON documents that are too large to be held: the records of their one long list, each by itself.

The list is the root, or lies in objects inside each other: `{"data": {"rows": [{…}, …]}}`. What stands around it is
held. Values, limits and refusals are those of json.py; a limit on nodes and depth is one for each record.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import Any, Final, NoReturn

from gateway.codec.charset import without_controls
from gateway.codec.json import DEPTH_LIMIT, Number, check, decoder, of_pairs, refusal
from gateway.codec.node_stream import GLANCE, RECORD_LIMIT, RECORDS_LIMIT, Node, NodeStream
from gateway.codec.text_stream import Text

_BLANKS: Final = " \t\r\n"
_NEAR: Final = 16  # characters before the end of what was read: -Infinity, \ud83d\ude00 may be cut there
_MENDED: Final = "control characters removed, line ends inside texts kept"
_Part = tuple[Any, "tuple[str, ...] | None"]  # a value, and where in it the list is that is not at its end


class _Cut(Exception):
    """What was read ends in the middle of a value."""


def glance(text: Text) -> tuple[Any, tuple[str, ...]] | None:
    """What the first part of a document holds, and the path of the long list in it; None where it has none, or where
    not one record of it is to be seen. Raises Permanent for what is no JSON."""
    reader = _Reader(text)
    reader.fill(GLANCE)
    if reader.ended:
        return None
    try:
        found, path = _begun(reader)
    except _Cut:
        return None
    check(found)
    return (found, path) if path is not None else None


def stream(text: Text, path: tuple[str, ...]) -> NodeStream:
    """The document, its list at a path of names."""

    def read(stream: NodeStream) -> Iterator[Node]:
        document = _Document(text, path)
        yield from document.nodes()
        stream.root = document.root
        if document.reader.mended:
            stream.told.append(_MENDED)

    return NodeStream(read=read, charset=text.charset, notes=text.notes)


class _Reader:
    """Where in the text we are. `mended`: a text held a line end or a control character."""

    def __init__(self, text: Text) -> None:
        self._blocks = text.blocks()
        self._decoder = decoder()
        self.buffer = ""
        self.at = 0
        self.ended = False
        self.mended = False
        self.taken = 0  # characters of the last value
        self._lines = 1  # before the buffer
        self._column = 0

    def fill(self, count: int) -> None:
        """So many characters more, or to the end."""
        gone = self.buffer[: self.at]
        if lines := gone.count("\n"):
            self._lines += lines
            self._column = len(gone) - gone.rfind("\n") - 1
        else:
            self._column += len(gone)
        parts = [self.buffer[self.at :]]
        while count > 0 and not self.ended:
            block = next(self._blocks, "")
            self.ended = not block
            parts.append(without_controls(block) if self.mended else block)
            count -= len(block)
        self.buffer, self.at = "".join(parts), 0

    def sign(self) -> str:
        """The next one that is no blank, "" at the end."""
        while True:
            buffer, at = self.buffer, self.at
            while at < len(buffer) and buffer[at] in _BLANKS:
                at += 1
            self.at = at
            if at < len(buffer) or self.ended:
                return buffer[at : at + 1]
            self.fill(1)

    def expect(self, wanted: str) -> str:
        """One of these signs, taken."""
        found = self.sign()
        if not found or found not in wanted:
            self.refuse(f"Expecting {wanted[0]!r} delimiter", self.at)
        self.at += 1
        return found

    def key(self) -> str:
        """A name and its colon."""
        if self.sign() != '"':
            self.refuse("Expecting property name enclosed in double quotes", self.at)
        name = str(self.value("a name"))
        self.expect(":")
        return name

    def value(self, place: str) -> Any:
        """The whole value that begins here. Raises Permanent where it is none or larger than RECORD_LIMIT."""
        self.sign()
        while True:
            found, end = self.tried()
            if end >= 0:
                self.taken, self.at = end - self.at, end
                return found
            left = len(self.buffer) - self.at
            if left > RECORD_LIMIT:
                raise refusal(f"more than {RECORD_LIMIT} characters of one record", place)
            self.fill(max(left, 1))

    def tried(self) -> tuple[Any, int]:
        """(the value that begins here, its end); an end of -1 where it goes on beyond what was read."""
        try:
            found, end = self._decoder.raw_decode(self.buffer, self.at)
        except json.JSONDecodeError as error:
            if not self.ended and (error.pos >= len(self.buffer) - _NEAR or error.msg.startswith("Unterminated")):
                return None, -1
            if "control character" in error.msg and not self.mended:
                self.mended, self._decoder = True, decoder(strict=False)
                self.buffer = self.buffer[: self.at] + without_controls(self.buffer[self.at :])
                return self.tried()
            self.refuse(error.msg, error.pos)
        except RecursionError:
            raise refusal(f"deeper than {DEPTH_LIMIT} levels") from None
        if end == len(self.buffer) and not self.ended and isinstance(found, Number):
            return None, -1  # there may be more digits
        return found, end

    def refuse(self, what: str, at: int) -> NoReturn:
        """Raises Permanent with line and column."""
        before = self.buffer[:at]
        lines = before.count("\n")
        column = at - before.rfind("\n") if lines else self._column + at + 1
        raise refusal(f"{what.removesuffix(':')} (line {self._lines + lines}, column {column})")


def _begun(reader: _Reader, depth: int = 0) -> _Part:
    """The value that begins here, as far as it was read; `depth`: how many objects are around it."""
    if depth >= DEPTH_LIMIT:
        raise refusal(f"deeper than {DEPTH_LIMIT} levels")
    first = reader.sign()
    found, end = reader.tried()
    if end >= 0:
        reader.at = end
        return found, None
    if first == "[":
        reader.at += 1
        listed: list[Any] = []
        while reader.sign():
            found, end = reader.tried()
            if end < 0:
                break
            listed.append(found)
            reader.at = end
            if reader.sign() != ",":
                break
            reader.at += 1
        if listed:
            return listed, ()
    elif first == "{":
        return _begun_object(reader, depth)
    raise _Cut


def _begun_object(reader: _Reader, depth: int) -> _Part:
    reader.at += 1
    pairs: list[tuple[str, Any]] = []
    while True:
        reader.sign()
        name, end = reader.tried()
        if end < 0 or not isinstance(name, str):
            raise _Cut
        reader.at = end
        reader.expect(":")
        value, path = _begun(reader, depth + 1)
        pairs.append((name, value))
        if path is not None:
            return of_pairs(pairs), (name, *path)
        if reader.sign() != ",":
            raise _Cut
        reader.at += 1


class _Document:
    """One reading of it. `root`: what stands around the records, when all were read."""

    def __init__(self, text: Text, path: tuple[str, ...]) -> None:
        self.reader = _Reader(text)
        self.path = path
        self.root: Any = None
        self._around = 0  # characters
        self._count = 0

    def nodes(self) -> Iterator[Node]:
        """The records."""
        self.root = yield from self._value(0)
        check(self.root)
        if self.reader.sign():
            self.reader.refuse("Extra data", self.reader.at)

    def _value(self, depth: int) -> Generator[Node, None, Any]:
        """What stands around the records, from here."""
        first = self.reader.sign()
        if depth < len(self.path) and first == "{":
            return (yield from self._object(depth))
        if depth == len(self.path) and first == "[":
            yield from self._records()
            return []
        return self._held()

    def _object(self, depth: int) -> Generator[Node, None, Any]:
        reader = self.reader
        reader.expect("{")
        pairs: list[tuple[str, Any]] = []
        if reader.sign() == "}":
            reader.expect("}")
            return {}
        while True:
            name = reader.key()
            led = name == self.path[depth]
            pairs.append((name, (yield from self._value(depth + 1)) if led else self._held()))
            if reader.expect(",}") == "}":
                return of_pairs(pairs)

    def _held(self) -> Any:
        """A value that is no record."""
        found = self.reader.value("outside the records")
        self._around += self.reader.taken
        if self._around > RECORD_LIMIT:
            raise refusal(f"more than {RECORD_LIMIT} characters outside the records")
        return found

    def _records(self) -> Iterator[Node]:
        reader = self.reader
        place = "".join(f"/{each}" for each in self.path)
        reader.expect("[")
        if reader.sign() == "]":
            reader.expect("]")
            return
        while True:
            self._count += 1
            if self._count > RECORDS_LIMIT:
                raise refusal(f"more than {RECORDS_LIMIT} records", place)
            reader.sign()
            found = reader.value(f"{place}/{self._count - 1}")
            check(found, f"{place}/{self._count - 1}")
            yield Node(self._count, found, reader.taken)
            if reader.expect(",]") == "]":
                return
