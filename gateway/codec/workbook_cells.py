"""The values of the cells of .xlsx: texts shared by a workbook, numbers that are dates by their style."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from lxml import etree
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel, from_ISO8601

from gateway.codec.table import COLUMNS_LIMIT
from gateway.codec.workbook_sheet import refusal

_ESCAPED: Final = re.compile("_x(?![Dd][89A-Fa-f])([0-9A-Fa-f]{4})_")  # ISO/IEC 29500-1 22.9.2.19; no halves of a pair
_LINE_SIGNS: Final = "\t\n\r"
TEXTS_LIMIT: Final = 64 << 20  # characters of all shared texts
_CHINESE_DATES: Final = frozenset((*range(27, 37), *range(50, 59)))  # ISO/IEC 29500-1 §18.8.30, zh-cn
_LETTERS: Final = 3  # of a column: XFD
_CELL: Final = "{*}c"
_VALUE: Final = "{*}v"
_INLINE: Final = "{*}is"


def styles(root: Any) -> tuple[frozenset[int], frozenset[int]]:
    """The numbers of the cell styles that show a date or time, and of those that show a span of time."""
    own = {int(each.get("numFmtId")): str(each.get("formatCode")) for each in root.iter("{*}numFmt")}
    dates, spans = set[int](), set[int]()
    for listed in root.iter("{*}cellXfs"):
        for index, each in enumerate(listed):
            number = int(each.get("numFmtId") or 0)
            code = own.get(number) or BUILTIN_FORMATS.get(number, "")
            if (code and is_date_format(code)) or (number in _CHINESE_DATES and number not in own):
                dates.add(index)
            if code and is_timedelta_format(code):
                spans.add(index)
    return frozenset(dates), frozenset(spans)


def shared_texts(archive: zipfile.ZipFile, part: str) -> list[str]:
    """The texts that cells name by their place. Raises Permanent where there are too many."""
    found: list[str] = []
    length = 0
    with archive.open(part) as file:
        for _, element in etree.iterparse(file, tag="{*}si", resolve_entities=False, no_network=True):
            text = _text(element)
            length += len(text) + 8
            if length > TEXTS_LIMIT:
                raise refusal("the texts of the workbook are larger than the limit", "send it in parts, or as CSV")
            found.append(text)
            element.clear(keep_tail=False)
            parent = element.getparent()
            while parent is not None and element.getprevious() is not None:
                del parent[0]
    return found


def _text(element: Any) -> str:
    """Its text, of several formats or not; without how it is pronounced."""
    parts = []
    for each in element:
        if each.tag.endswith("}t"):
            parts.append(each.text or "")
        elif each.tag.endswith("}r"):
            parts.extend(run.text or "" for run in each if run.tag.endswith("}t"))
    return _ESCAPED.sub(_escaped, "".join(parts))


def _escaped(found: re.Match[str]) -> str:
    """`_x000D_` is the end of a line; what no text of FHIR may hold is nothing."""
    sign = chr(int(found[1], 16))
    return sign if sign >= " " or sign in _LINE_SIGNS else ""


class Cells:
    """Reads the cells of a workbook's sheets."""

    def __init__(
        self, shared: Sequence[str], dates: frozenset[int], spans: frozenset[int], *, since_1904: bool
    ) -> None:
        self._shared = shared
        self._dates = {str(each) for each in dates}
        self._spans = {str(each) for each in spans}
        self._epoch = CALENDAR_MAC_1904 if since_1904 else CALENDAR_WINDOWS_1900
        self._columns: dict[str, int] = {}

    def row(self, element: Any) -> list[Any]:
        """The values of a row up to the last one, each in its place: behind the one before where it does not say."""
        row: list[Any] = []
        column = 0
        for cell in element.iterchildren(_CELL):
            at = cell.get("r")
            if at:
                column = self._column(at)
            value = self._value(cell)
            if value is not None:
                if column >= COLUMNS_LIMIT:
                    place = f"cell {at}" if at else f"column {column + 1}"
                    raise refusal(f"more than {COLUMNS_LIMIT} columns", "send it in parts", place)
                if column >= len(row):
                    row.extend([None] * (column - len(row) + 1))
                row[column] = value
            column += 1
        return row

    def _column(self, at: str) -> int:
        letters = at.rstrip("0123456789")
        found = self._columns.get(letters)
        if found is None:
            found = 0
            for letter in letters[: _LETTERS + 1]:
                found = found * 26 + ord(letter) - 64
            found -= 1
            if len(letters) > _LETTERS or found < 0 or not letters.isascii():
                raise refusal("a cell stands nowhere", "save it again as .xlsx", "cell")
            self._columns[letters] = found
        return found

    def _value(self, element: Any) -> Any:
        kind = element.get("t")
        if kind == "inlineStr" and (told := next(element.iterchildren(_INLINE), None)) is not None:
            return _text(told)
        raw = None
        for child in element.iterchildren(_VALUE):
            raw = child.text
        if raw is None:
            return None
        match kind:
            case None | "n":
                return self._number(raw, element.get("s"))
            case "s":
                return self._shared[int(raw)]
            case "b":
                return raw.strip() in ("1", "true")
            case "d":
                return _plain(from_ISO8601(raw))  # type: ignore[no-untyped-call]
            case _:
                return raw

    def _number(self, raw: str, style: str | None) -> Any:
        number = float(raw) if "." in raw or "E" in raw or "e" in raw else int(raw)
        if style in self._dates:
            try:
                return from_excel(number, self._epoch, timedelta=style in self._spans)
            except (OverflowError, ValueError):
                return number
        return number


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
