"""Workbooks that are no workbooks: the pages (HTML) and the XML of 2003 that many programs write under the name .xls.

Every table of a page, and every worksheet of the XML, is a sheet. Nothing is loaded from elsewhere, entities of a
document stay unread, and a page is bounded as every other sheet is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from gateway.codec import damaged
from gateway.codec.table import COLUMNS_LIMIT, ROWS_LIMIT
from gateway.codec.text_stream import Opened
from gateway.codec.workbook_sheet import Numbered, Range, Sheet, check_merged, check_sheets, check_size, refusal
from gateway.codec.xml_prolog import has_doctype

SIZE_LIMIT: Final = 64 << 20  # bytes
_SEEN: Final = 2048  # bytes in which it shows itself
_PAGE: Final = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html)\b", re.I | re.S)
_PART: Final = re.compile(rb"\s*<(?:head|meta|body|style|div|table)\b.*<t[rhd]\b", re.I | re.S)  # of a page
_SPREADSHEET: Final = "{urn:schemas-microsoft-com:office:spreadsheet}"
_CHARSET: Final = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([\w-]{3,20})""", re.I)
_OWN: Final = frozenset({"table", "script", "style"})  # what stands in a cell and is none of its text


def is_markup(body: bytes) -> bool:
    """By its first bytes: a page that may hold tables, or XML of Excel 2003."""
    return _is_page(body) or (b"<Workbook" in body[:_SEEN] and _SPREADSHEET[1:-1].encode() in body[:_SEEN])


def _is_page(body: bytes) -> bool:
    start = body[:_SEEN].removeprefix(b"\xef\xbb\xbf")
    return _PAGE.match(start) is not None or _PART.match(start) is not None


def sheets(source: Opened) -> Iterator[Sheet]:
    """A sheet for each table, of the hidden ones their names. Raises Permanent for what cannot be read."""
    with source() as file:
        body = file.read(SIZE_LIMIT + 1)
    if len(body) > SIZE_LIMIT:
        raise refusal("the workbook is larger than the limit", "send it as .xlsx, or in parts")
    told = _CHARSET.search(body[:_SEEN])
    text = damaged.decode_whole(body, "", told[1].decode().lower() if told else "").text
    found = _tables(text) if _is_page(body) else _worksheets(text)
    for count, sheet in enumerate(found, 1):
        check_sheets(count)
        yield sheet


@dataclass(slots=True)
class _Grid:
    """Cells where they stand: what spans rows and columns pushes the others aside."""

    name: str
    rows: list[list[Any]] = field(default_factory=list)
    merged: list[Range] = field(default_factory=list)
    below: dict[int, int] = field(default_factory=dict)  # column → rows further down that are taken
    cells: int = 0
    known: dict[str, str] = field(default_factory=dict)  # texts come again and again

    def add(self, cells: Iterable[tuple[int, Any, int, int]]) -> None:
        """The next row: (column from 0, or -1 for the next free one; value; columns and rows that it spans)."""
        row: list[Any] = []
        top, taken = len(self.rows), {at: left - 1 for at, left in self.below.items()}
        for at, value, wide, high in cells:
            left = at if at >= 0 else len(row)
            while left in self.below:
                left += 1
            check_size(self.name, top + high, left + wide, self.cells)
            row.extend([None] * (left + wide - len(row)))
            row[left] = value if value is None else self.known.setdefault(value, value)
            if high > 1:
                taken.update(dict.fromkeys(range(left, left + wide), high - 1))
            if wide > 1 or high > 1:
                self.merged.append((top, left, top + high - 1, left + wide - 1))
        self.below = {at: left for at, left in taken.items() if left > 0}
        self.cells += len(row)
        check_merged(self.name, len(self.merged))
        self.rows.append(row)

    def sheet(self, *, hidden: bool = False) -> Sheet:
        return Sheet(self.name, self._numbered, self.merged, hidden=hidden)

    def _numbered(self) -> Iterator[Numbered]:
        return ((number, row) for number, row in enumerate(self.rows, 1) if any(each is not None for each in row))


# ------------------------------------------------------------------------------------------------ pages


def _tables(text: str) -> Iterator[Sheet]:
    """Of tables in one another the innermost hold the records."""
    source = io.BytesIO(text.encode())
    events = etree.iterparse(
        source, ("start", "end"), html=True, encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True
    )
    inside: list[_Grid | None] = []  # those that are open; None: one that holds another
    number = 0
    for event, element in events:
        if element.tag == "table" and event == "start":
            inside = [*(None for _ in inside), _Grid(f"table {(number := number + 1)}")]
        elif element.tag == "table" and inside:
            grid = inside.pop()
            if grid is not None:
                yield grid.sheet()
            element.clear()
        elif element.tag == "tr" and event == "end" and inside and (grid := inside[-1]) is not None:
            grid.add(
                (-1, _shown(cell) or None, _span(cell, "colspan", COLUMNS_LIMIT), _span(cell, "rowspan", ROWS_LIMIT))
                for cell in element.iterchildren("td", "th")
            )
            _forget(element)


def _forget(element: Any) -> None:
    """What was read, and what stands before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _shown(cell: Any) -> str:
    """The text as a page shows it: blanks are one, a line break is one."""
    parts: list[str] = []
    for event, element in etree.iterwalk(cell, events=("start", "end")):
        if event == "start" and element.tag in ("br", "p", "div") and element is not cell:
            parts.append("\n")
        text = (element.text if element.tag not in _OWN else "") if event == "start" else element.tail
        if text and (event == "start" or element is not cell):
            parts.append(re.sub(r"[ \t\r\n\xa0]+", " ", text))
    return "\n".join(line.strip() for line in "".join(parts).split("\n")).strip()


def _span(cell: Any, name: str, limit: int) -> int:
    told = cell.get(name, "1").strip()
    return min(max(int(told), 1), limit + 1) if told.isascii() and told.isdigit() and len(told) < 9 else 1


# ------------------------------------------------------------------------------------------------ Excel 2003


def _worksheets(text: str) -> Iterator[Sheet]:
    if has_doctype(text):
        raise refusal("a document type is not read", "save it as .xlsx")
    source = io.BytesIO(re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1).encode())
    tags = [f"{_SPREADSHEET}{name}" for name in ("Worksheet", "Row")]
    events = etree.iterparse(source, ("end",), tag=tags, resolve_entities=False, no_network=True, remove_comments=True)
    try:
        number, grid = 1, _Grid("sheet 1")
        for _, element in events:
            if element.tag == tags[1]:
                for _ in range(_index(element, len(grid.rows)) - len(grid.rows)):
                    grid.add(())
                grid.add(_cells(element))
            else:
                grid.name = element.get(f"{_SPREADSHEET}Name", grid.name)
                yield grid.sheet(hidden=_is_hidden(element))
                grid = _Grid(f"sheet {(number := number + 1)}")
            _forget(element)
    except etree.XMLSyntaxError:
        cause = "no workbook that can be read: its XML is damaged or cut off"
        raise refusal(cause, "open it, save it again as .xlsx") from None


def _cells(row: Any) -> Iterator[tuple[int, Any, int, int]]:
    for cell in row.iterchildren(f"{_SPREADSHEET}Cell"):
        data = cell.find(f"{_SPREADSHEET}Data")
        yield (
            _index(cell, -1), _value(data) if data is not None else None,
            _more(cell, "MergeAcross", COLUMNS_LIMIT), _more(cell, "MergeDown", ROWS_LIMIT),
        )  # fmt: skip


def _value(data: Any) -> str | None:
    """As a person sees it: `2026-03-12T00:00:00.000` is a day."""
    text = "".join(data.itertext())
    if data.get(f"{_SPREADSHEET}Type") == "DateTime":
        text = re.sub(r"\.0+$", "", text).replace("T", " ").removesuffix(" 00:00:00").removeprefix("1899-12-31 ")
    return text or None


def _index(element: Any, following: int) -> int:
    """From 0, where it says so."""
    told = element.get(f"{_SPREADSHEET}Index", "")
    if not (told.isascii() and told.isdigit() and 0 < len(told) < 9):
        return following
    check_size("sheet", int(told), 0, 0)
    return int(told) - 1


def _more(cell: Any, name: str, limit: int) -> int:
    told = cell.get(f"{_SPREADSHEET}{name}", "0")
    return min(int(told), limit) + 1 if told.isascii() and told.isdigit() and len(told) < 9 else 1


def _is_hidden(worksheet: Any) -> bool:
    return any(
        "".join(each.itertext()).strip() in ("SheetHidden", "SheetVeryHidden")
        for each in worksheet.iter("{urn:schemas-microsoft-com:office:excel}Visible")
    )
