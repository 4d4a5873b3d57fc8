"""Tables → workbooks (.xlsx, ISO/IEC 29500): every cell is text, so that a spreadsheet neither runs nor rounds it.

`=1+1` stays what it says, an 18-digit number keeps its last digits, `0101` its zero and `5.60` its last place. The same
rows give the same bytes: no clock and no name of a program stands in the file.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.codec.table import FORMULA, clean
from gateway.errors import Permanent

CELL_LIMIT: Final = 32_767  # characters of one cell
ROWS_LIMIT: Final = 1_048_576
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_LIKE_ESCAPED: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")  # ISO/IEC 29500-1 22.9.2.19: a text that looks like a sign
_SHEET: Final = re.compile(r"[\[\]:*?/\\]")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_NEVER: Final = datetime(1980, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # a workbook knows no zones
_WIDEST: Final = 40  # characters


def encode(
    columns: Sequence[str], rows: Iterable[Mapping[str, str]], *, sheet: str = "", titles: Sequence[str] = ()
) -> bytes:
    """The bytes of a workbook with one sheet: the titles, the header, the rows. Raises Permanent, naming row and
    column, for a cell that a workbook cannot hold."""
    import openpyxl  # a tenth of a second that only this needs
    from openpyxl.cell import WriteOnlyCell

    grid = list(_grid(columns, rows, titles))  # a book that is begun cannot be left
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet(_SHEET.sub(" ", sheet)[:31] or "Sheet1")
    page.freeze_panes = f"A{len(titles) + 2}"
    for index, name in enumerate(columns):
        page.column_dimensions[_letters(index)].width = min(_WIDEST, max(8, 2 * len(name) + 2))

    def cell(text: str) -> Any:
        made = WriteOnlyCell(page, text)
        made.data_type = "s"  # never a formula, an error or a number
        made.number_format = "@"
        return made

    for texts in grid:
        page.append([cell(text) if text else None for text in texts])
    book.properties.creator = "hutong"
    book.properties.created = _NEVER
    written = io.BytesIO()
    book.save(written)
    return _timeless(written)


def _grid(columns: Sequence[str], rows: Iterable[Mapping[str, str]], titles: Sequence[str]) -> Iterator[list[str]]:
    for number, title in enumerate(titles, 1):
        yield [_text(title, number, "title")]
    start = len(titles) + 1
    yield [_text(name, start, name) for name in columns]
    for number, row in enumerate(rows, start + 1):
        if number > ROWS_LIMIT:
            raise Permanent(f"more than {ROWS_LIMIT} rows", place="workbook", remedy="write it in parts", code="101")
        yield [_text(row.get(name, ""), number, name) for name in columns]


def _text(text: str, row: int, column: str) -> str:
    """The text as the format writes it. What our reader would take for a spreadsheet's trick gets the mark that it
    takes away."""
    found = _CONTROLS.search(text)
    if found or len(text) > CELL_LIMIT:
        cause = f"a workbook cannot hold U+{ord(found[0]):04X}" if found else f"more than {CELL_LIMIT} characters"
        raise Permanent(cause, place=f"row {row}, {column}", remedy="send it in another format", code="102")
    text = _LIKE_ESCAPED.sub("_x005F_", text)
    if (text[:1] == "'" and FORMULA.match(text, 1)) or (text[:2] == '="' and clean(text) != text):
        return f"'{text}"
    return text


def _letters(index: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(index + 1))


def _timeless(written: io.BytesIO) -> bytes:
    """The same archive without the time at which it was made."""
    made = io.BytesIO()
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            body = source.read(name)
            if name == "docProps/core.xml":
                body = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>1980-01-01T00:00:00Z", body)
            target.writestr(zipfile.ZipInfo(name, _EPOCH), body, zipfile.ZIP_DEFLATED)
    return made.getvalue()
