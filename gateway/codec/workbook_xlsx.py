"""The sheets of .xlsx and .xlsm (ISO/IEC 29500), one row at a time, in memory that does not grow with the rows.

The file is hostile until shown otherwise: what it unpacks to is known and bounded before it is read, a part with a
document type is refused (no entities), depth and the length of a text are limited by libxml2 (256 levels, 10 MB), and
what a part says of its own size is not believed.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, Final

from lxml import etree
from openpyxl.utils.cell import range_boundaries

from gateway.codec.text_stream import Opened
from gateway.codec.workbook_cells import Cells, shared_texts, styles
from gateway.codec.workbook_sheet import Numbered, Range, Sheet, check_merged, check_sheets, check_size, refusal
from gateway.errors import HutongError

SIZE_LIMIT: Final = 2 << 30  # bytes when it is unpacked
PART_LIMIT: Final = 16 << 20  # bytes of a part that is no sheet and no text
BOMB: Final = 64 << 20  # bytes from which on it matters
RATIO: Final = 100  # of what is unpacked to what is packed: tables come to 10 or 20
MEMBERS_LIMIT: Final = 10_000  # files inside it
ROW_LIMIT: Final = 8 << 20  # bytes of a row
STANDING_LIMIT: Final = 60_000_000  # cells of a sheet, those with nothing in them too
MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT: Final = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
_RELATION: Final = (
    "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id",
    "{http://purl.oclc.org/ooxml/officeDocument/relationships}id",
)
_CAUSES: Final = (
    (zipfile.BadZipFile, "it is cut off or was damaged on its way"),
    ((etree.XMLSyntaxError, zlib.error), "a part of it is damaged, or deeper than any table"),
    (KeyError, "a part of it is missing"),
    (RuntimeError, "it has a password"),
)
_BEGINNING: Final = 4096  # bytes in which a document type stands


def sheets(source: Opened) -> Iterator[Sheet]:
    """The sheets, of the hidden ones their names. Raises Permanent for what cannot be read."""
    with _read(source) as archive:
        book = _Book(archive)
        for name, part in book.parts:
            merged = _ranges(archive, part, name)
            yield Sheet(name, partial(_rows, source, name, part, book.cells), merged)
        for name in book.hidden:
            yield Sheet(name, lambda: iter(()), (), hidden=True)


@contextmanager
def _read(source: Opened) -> Iterator[zipfile.ZipFile]:
    """The archive; a damaged one shows itself in many ways."""
    try:
        with source() as file, zipfile.ZipFile(file) as archive:
            _check(archive)
            yield archive
    except HutongError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        cause = next((told for kind, told in _CAUSES if isinstance(error, kind)), "its inside is none of a workbook")
        raise refusal(f"no workbook that can be read: {cause}", "open it, save it again as .xlsx") from None


def _check(archive: zipfile.ZipFile) -> None:
    """Refuses what would fill the memory, and what has entities, before it is unpacked."""
    members = archive.infolist()
    size, packed = sum(each.file_size for each in members), sum(each.compress_size for each in members)
    if len(members) > MEMBERS_LIMIT or size > SIZE_LIMIT:
        raise refusal("the workbook is larger than the limit when it is unpacked", "send it in parts")
    if size > BOMB and size > packed * RATIO:
        raise refusal(f"the workbook unpacks to more than {RATIO} times its size", "save it again as .xlsx")
    for member in members:
        if member.filename.endswith((".xml", ".rels")):
            with archive.open(member) as part:
                if b"<!" in part.read(_BEGINNING).replace(b"<!--", b""):
                    raise refusal("the workbook has a document type, which none needs", "save it again as .xlsx")


class _Book:
    """What its sheets share. `parts`: the visible ones, by name."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        names = set(archive.namelist())
        main = _target(archive, "_rels/.rels", "/officeDocument") or "xl/workbook.xml"
        root = posixpath.dirname(main)
        relations = [*_relations(archive, f"{root}/_rels/{posixpath.basename(main)}.rels")]
        targets = {each.get("Id"): _at(root, each.get("Target", "")) for each in relations}
        book = _tree(archive, main)
        every = [*book.iter("{*}sheet")]
        listed = [each for each in every if each.get("state", "visible") == "visible"]
        self.hidden = [str(each.get("name")) for each in every if each not in listed]
        check_sheets(len(listed))
        found = ((str(each.get("name")), targets.get(_relation_of(each), "")) for each in listed)
        self.parts = [(name, part) for name, part in found if part in names]
        by_kind = {str(each.get("Type")).rpartition("/")[2]: _at(root, each.get("Target", "")) for each in relations}
        texts, style = by_kind.get("sharedStrings", ""), by_kind.get("styles", "")
        dates, spans = styles(_tree(archive, style)) if style in names else (frozenset(), frozenset())
        since_1904 = any(each.get("date1904") in ("1", "true") for each in book.iter("{*}workbookPr"))
        shared = shared_texts(archive, texts) if texts in names else []
        self.cells = Cells(shared, dates, spans, since_1904=since_1904)


def _relation_of(element: Any) -> str:
    return next((each for name in _RELATION if (each := element.get(name))), "")


def _at(root: str, target: str) -> str:
    return posixpath.normpath(posixpath.join("/", root, target)).lstrip("/")


def _target(archive: zipfile.ZipFile, relations: str, kind: str) -> str:
    found = (each for each in _relations(archive, relations) if str(each.get("Type")).endswith(kind))
    return str(next(found, {"Target": ""}).get("Target")).lstrip("/")


def _relations(archive: zipfile.ZipFile, name: str) -> Iterator[Any]:
    if name in archive.namelist():
        yield from _tree(archive, name)


def _tree(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > PART_LIMIT:
        raise refusal("a part of the workbook is larger than the limit", "save it again as .xlsx")
    return etree.fromstring(archive.read(name), etree.XMLParser(resolve_entities=False, no_network=True))


def elements(file: IO[bytes] | _Bounded, *names: str) -> Iterator[Any]:
    """The elements of these names when they end; what is before them is forgotten."""
    tags = [f"{namespace}{name}" for name in names for namespace in (MAIN, _STRICT)]
    for _, element in etree.iterparse(file, tag=tags, resolve_entities=False, no_network=True):
        yield element
        element.clear(keep_tail=False)
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]


# ------------------------------------------------------------------------------------------------ rows


def _rows(source: Opened, name: str, part: str, cells: Cells) -> Iterator[Numbered]:
    number = total = standing = 0
    with _read(source) as archive, archive.open(part) as file:
        bounded = _Bounded(file, name)
        for element in elements(bounded, "row"):
            bounded.passed = 0
            number = int(element.get("r") or number + 1)
            standing += len(element)
            if standing > STANDING_LIMIT:
                raise refusal("the sheet is larger than the limit", "send it in parts", name)
            row = cells.row(element)
            total += len(row)
            check_size(name, number, len(row), total)
            if row:
                yield number, row


class _Bounded:
    """A part of which no more than one row is held. `passed`: the bytes since the last one."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self.passed = 0

    def read(self, size: int = -1) -> bytes:
        """Raises Permanent where a row has no end."""
        if self.passed > ROW_LIMIT:
            raise refusal(f"more than {ROW_LIMIT} bytes in one row", "send it in parts", self._name)
        piece = self._file.read(size)
        self.passed += len(piece)
        return piece


def _ranges(archive: zipfile.ZipFile, part: str, name: str) -> list[Range]:
    """The merged ranges of a sheet: they stand behind its rows."""
    found: list[Range] = []
    if not _mentions(archive, part, b"mergeCell"):  # most sheets have none: not read twice
        return found
    with archive.open(part) as file:
        for element in elements(file, "mergeCell", "row", "c"):
            if element.tag.endswith("}mergeCell"):
                left, top, right, bottom = (number or 1 for number in range_boundaries(element.get("ref")))
                found.append((top - 1, left - 1, bottom - 1, right - 1))
                check_merged(name, len(found))
    return found


def _mentions(archive: zipfile.ZipFile, part: str, word: bytes) -> bool:
    before = b""
    with archive.open(part) as file:
        while piece := file.read(1 << 20):
            if word in before + piece:
                return True
            before = piece[-len(word) :]
    return False
