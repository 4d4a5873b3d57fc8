"""The sheets of .xlsx and .xlsm (ISO/IEC 29500): openpyxl reads the cells one row at a time, the merged ranges are read
beside it. A part with a document type is refused: no entities."""

from __future__ import annotations

import io
import posixpath
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, Final

import openpyxl
from lxml import etree
from openpyxl.utils.cell import range_boundaries

from gateway.codec.workbook_sheet import MERGED_LIMIT, Range, Sheet, check_merged, check_size, refusal
from gateway.errors import HutongError

SIZE_LIMIT: Final = 1 << 30  # bytes when it is unpacked
MEMBERS_LIMIT: Final = 10_000  # files inside it
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_BEGINNING: Final = 4096  # bytes in which a document type stands


def sheets(body: bytes) -> Iterator[Sheet]:
    """The visible sheets. Raises Permanent for what cannot be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that are not read
            _check(archive)
            merged = _merged(archive)
            book = openpyxl.load_workbook(io.BytesIO(body), read_only=True, data_only=True, keep_links=False)
            for sheet in book.worksheets:
                if sheet.sheet_state == "visible":
                    rows = _rows(sheet)
                    yield Sheet(sheet.title, rows, _inside(merged.get(sheet.title, []), len(rows)))
    except HutongError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file shows itself in many ways
        name = type(error).__name__
        raise refusal(f"no workbook that can be read ({name})", "save it again as .xlsx") from None


def _check(archive: zipfile.ZipFile) -> None:
    """Refuses what would fill the memory, and what has entities, before it is unpacked."""
    members = archive.infolist()
    if len(members) > MEMBERS_LIMIT or sum(member.file_size for member in members) > SIZE_LIMIT:
        raise refusal("the workbook is larger than the limit when it is unpacked", "send it in parts")
    for member in members:
        if member.filename.endswith((".xml", ".rels")):
            with archive.open(member) as part:
                if b"<!" in part.read(_BEGINNING).replace(b"<!--", b""):
                    raise refusal("the workbook has a document type, which none needs", "save it again as .xlsx")


def _rows(sheet: Any) -> list[list[Any]]:
    sheet.reset_dimensions()  # what a file says of them would be believed, and rows be made as wide
    found: list[list[Any]] = []
    cells = 0
    for row in sheet.iter_rows(values_only=True):
        last = next((index for index in range(len(row), 0, -1) if row[index - 1] is not None), 0)
        found.append(list(row[:last]))
        cells += last
        check_size(sheet.title, len(found), last, cells)
    while found and not found[-1]:
        found.pop()
    return found


def _merged(archive: zipfile.ZipFile) -> dict[str, list[Range]]:
    """The merged ranges by the name of the sheet."""
    parts = _parts(archive)
    return {name: _ranges(archive, part, name) for name, part in parts.items() if part in archive.namelist()}


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The part of each sheet, by the relations of the workbook."""
    root = posixpath.dirname(_target(archive, "_rels/.rels", "/officeDocument") or "xl/workbook.xml")
    relations = {
        each.get("Id"): each.get("Target", "") for each in _relations(archive, f"{root}/_rels/workbook.xml.rels")
    }
    book = _tree(archive, f"{root}/workbook.xml")
    return {
        str(each.get("name")): posixpath.normpath(posixpath.join("/", root, relations[each.get(_RELATION)])).lstrip("/")
        for each in book.iter(f"{_MAIN}sheet")
        if each.get(_RELATION) in relations
    }


def _target(archive: zipfile.ZipFile, relations: str, kind: str) -> str:
    found = (each for each in _relations(archive, relations) if str(each.get("Type")).endswith(kind))
    return str(next(found, {"Target": ""}).get("Target")).lstrip("/")


def _relations(archive: zipfile.ZipFile, name: str) -> Iterator[Any]:
    if name in archive.namelist():
        yield from _tree(archive, name)


def _tree(archive: zipfile.ZipFile, name: str) -> Any:
    return etree.fromstring(archive.read(name), etree.XMLParser(resolve_entities=False, no_network=True))


def _ranges(archive: zipfile.ZipFile, part: str, name: str) -> list[Range]:
    found: list[Range] = []
    if not _mentions(archive, part, b"mergeCell"):  # most sheets have none: not read twice
        return found
    with archive.open(part) as file:
        for _, element in etree.iterparse(
            file, tag=(f"{_MAIN}mergeCell", f"{_MAIN}row"), resolve_entities=False, no_network=True
        ):
            if element.tag == f"{_MAIN}mergeCell":
                left, top, right, bottom = (number or 1 for number in range_boundaries(element.get("ref")))
                found.append((top - 1, left - 1, bottom - 1, right - 1))
                if len(found) > MERGED_LIMIT:
                    raise refusal("too many cells are merged", "send it without merged cells", name)
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    return found


def _mentions(archive: zipfile.ZipFile, part: str, word: bytes) -> bool:
    before = b""
    with archive.open(part) as file:
        while piece := file.read(1 << 20):
            if word in before + piece:
                return True
            before = piece[-len(word) :]
    return False


def _inside(ranges: list[Range], rows: int) -> list[Range]:
    """What of them has rows that are there."""
    found = [(top, left, min(bottom, rows - 1), right) for top, left, bottom, right in ranges if top < rows]
    check_merged("workbook", found)
    return found
