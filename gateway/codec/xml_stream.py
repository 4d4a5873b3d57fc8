"""XML documents that are too large to be held: the elements at one path, each by itself, as xml_tree.py reads them.

What stands around them is held. Limits and refusals are those of xml_tree.py; a limit on nodes is one for each record.
SOAP messages, whose records may lie in a text, are read as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from lxml import etree

from gateway.codec.charset import without_controls
from gateway.codec.node_stream import GLANCE, RECORD_LIMIT, RECORDS_LIMIT, Node, NodeStream, weight
from gateway.codec.text_stream import Opened, Text, document_of
from gateway.codec.xml_prolog import has_doctype
from gateway.codec.xml_tree import (
    BARE,
    BROKEN,
    DECLARATION,
    MENDED,
    SAFE,
    Count,
    broken,
    declared,
    name_of,
    node_of,
    refuse,
)
from gateway.errors import Permanent

_LOOK: Final = 4096  # records between two looks at what stands around them
_SIGN: Final = re.compile(r"[<&]")
_CDATA: Final = "<![CDATA["
_END: Final = "]]>"

Blocks = Callable[[], Iterator[str]]


def text_of(source: Opened, charset: str = "") -> Text:
    """The text of a document, by the rule, else by what it declares."""
    return document_of(source, charset, declared)


def glance(text: Text) -> dict[str, Any] | None:
    """What the first part of a document holds; None where no element of it shows to be one of several alike, or where
    it is a SOAP message. Raises Permanent for what is no XML or has a DOCTYPE."""
    try:
        return _glance(text.blocks)
    except Permanent as error:
        if not error.cause.startswith(BROKEN):
            raise
        return _glance(lambda: _mended(text.blocks()))


def stream(text: Text, path: tuple[str, ...]) -> NodeStream:
    """The document: the elements at a path of names, its root the first."""

    def read(stream: NodeStream) -> Iterator[Node]:
        document = _Document(text.blocks, path)
        given = 0
        try:
            for node in document.nodes():
                given = node.number
                yield node
        except Permanent as error:
            if not error.cause.startswith(BROKEN):
                raise
            stream.told.append(MENDED)
            document = _Document(lambda: _mended(text.blocks()), path)
            yield from islice(document.nodes(), given, None)  # what came before the mistake needs no mending
        stream.root = document.root

    return NodeStream(read=read, charset=text.charset, notes=text.notes)


def _glance(blocks: Blocks) -> dict[str, Any] | None:
    parser = etree.XMLPullParser(events=("start", "end"), **SAFE)
    open_: list[Any] = []
    read = 0
    for block in blocks():
        _feed(parser, block if read else _without_declaration(block))
        for event, element in parser.read_events():
            if event == "start":
                open_.append(element)
            else:
                open_.pop()
        read += len(block)
        if read >= GLANCE or not open_:
            break
    if not open_ or name_of(open_[0]) == "Envelope":
        return None
    for element in open_[1:]:
        if _alike(element.getprevious(), element):  # a record, and not whole yet
            element.getparent().remove(element)
            break
    else:
        if len(open_[-1]) < 2 or not _alike(open_[-1][-2], open_[-1][-1]):
            return None
    return {name_of(open_[0]): node_of(open_[0], Count(), 0, 0)}


def _alike(before: Any, element: Any) -> bool:
    return before is not None and before.tag == element.tag


def _without_declaration(block: str) -> str:
    if has_doctype(block):
        refuse("it has a DOCTYPE")
    return DECLARATION.sub("", block)


def _feed(parser: Any, block: str) -> None:
    try:
        parser.feed(block.encode())
    except etree.XMLSyntaxError as error:
        broken(error)


class _Document:
    """One reading of it. `root`: what stands around the records, when all were read."""

    def __init__(self, blocks: Blocks, path: tuple[str, ...]) -> None:
        self.root: Any = None
        self._blocks = blocks
        self._path = path
        self._count = 0
        self._last: Any = None  # record: no more is written behind it when the next one is at its end

    def nodes(self) -> Iterator[Node]:
        """The records."""
        parser = etree.XMLPullParser(events=("end",), tag=f"{{*}}{self._path[-1]}", **SAFE)
        since = 0  # characters without a record
        begun = False
        for block in self._blocks():
            _feed(parser, block if begun else _without_declaration(block))
            begun, before = True, self._count
            yield from self._here(parser)
            since = 0 if self._count > before else since + len(block)
            if since > RECORD_LIMIT:
                refuse(f"more than {RECORD_LIMIT} characters of one record, or of what is none")
        try:
            root = parser.close()
        except etree.XMLSyntaxError as error:
            broken(error)
        yield from self._here(parser)
        self._forget()
        if root.getroottree().docinfo.internalDTD is not None:
            refuse("it has a DOCTYPE")
        self.root = {name_of(root): node_of(root, Count(), 0, 0)}

    def _here(self, parser: Any) -> Iterator[Node]:
        for _, element in parser.read_events():
            if not self._is_record(element):
                continue
            self._count += 1
            if self._count > RECORDS_LIMIT:
                refuse(f"more than {RECORDS_LIMIT} records")
            if self._count % _LOOK == 0:
                self._look(element)
            tree = node_of(element, Count(), len(self._path) - 1, 0)
            self._forget()
            self._last = element
            yield Node(self._count, tree, weight(tree))

    def _is_record(self, element: Any) -> bool:
        for name in reversed(self._path):
            if element is None or name_of(element) != name:
                return False
            element = element.getparent()
        return element is None

    def _forget(self) -> None:
        if self._last is not None:
            self._last.getparent().remove(self._last)
            self._last = None

    def _look(self, element: Any) -> None:
        """What stands around the records is held, and has the limits of a document."""
        count = Count()
        for _ in element.getroottree().getroot().iter():
            count.add(0)


def _mended(blocks: Iterator[str]) -> Iterator[str]:
    """Without control characters, and with a bare & as the sign that it is outside of CDATA; see xml_tree. Blocks of
    other lengths."""
    left, inside = "", False
    for block in blocks:
        left += without_controls(block)
        done, left, inside = _mended_block(left, inside=inside)
        yield done
    yield left if inside else BARE.sub("&amp;", left)


def _mended_block(text: str, *, inside: bool) -> tuple[str, str, bool]:
    """(what is mended, what waits for more, whether that is in CDATA)."""
    done: list[str] = []
    at = 0
    while True:
        end = text.find(_END if inside else _CDATA, at)
        if end < 0:
            break
        end += len(_END if inside else _CDATA)
        done.append(text[at:end] if inside else BARE.sub("&amp;", text[at:end]))
        at, inside = end, not inside
    if inside:
        cut = max(at, len(text) - len(_END))
        return "".join(done) + text[at:cut], text[cut:], True
    cut = max((found.start() for found in _SIGN.finditer(text, max(at, len(text) - 64))), default=len(text))
    return "".join(done) + BARE.sub("&amp;", text[at:cut]), text[cut:], False
