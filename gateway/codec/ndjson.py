"""One JSON object a line (NDJSON, JSON Lines): records, each with the number of its line. A bad line fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.codec import damaged
from gateway.codec.json import encode as whole
from gateway.codec.json import of_text
from gateway.codec.node_stream import RECORDS_LIMIT, weight
from gateway.codec.table import COLUMNS_LIMIT, ROWS_LIMIT, Reject, Row, Table
from gateway.codec.text_stream import Opened, Text, document_of
from gateway.errors import Permanent

LINE_LIMIT: Final = 16 * 1024 * 1024  # characters
_BLANKS: Final = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The objects of a file, `numbers[i]` the line of `records[i]`; what is none."""

    records: list[Any]
    numbers: list[int]
    rejects: tuple[Reject, ...]
    charset: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStream:
    """The same of a file that is too large to be held, read once. `columns`: of all its objects, () where one of them
    has something inside it; `records` and `rows` begin at the first line each time."""

    text: Text
    first: dict[str, Any]
    columns: tuple[str, ...]

    @property
    def charset(self) -> str:
        """The Python codec."""
        return self.text.charset

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found on the way."""
        return self.text.notes

    def records(self) -> Iterator[Row | Reject]:
        """The objects as they are."""
        return _lines(self.text)

    def rows(self) -> Iterator[Row | Reject]:
        """Flat objects as rows."""
        for item in _lines(self.text):
            yield Row(item.number, dict(_cells(item.cells)), item.size) if isinstance(item, Row) else item


def is_ndjson(body: bytes) -> bool:
    """Is the first line an object that is whole, and another behind it?"""
    first, _, rest = body.lstrip(_BLANKS).partition(b"\n")
    first = first.rstrip()
    following = rest[:256].lstrip()
    return first[:1] == b"{" and first[-1:] == b"}" and following[:1] == b"{"


def decode(body: bytes, charset: str = "", *, parse: Callable[[str], Any] = of_text) -> Lines:
    """The objects in `body`, each by `parse`. Raises Permanent where no line is one, or there are too many."""
    decoded = damaged.decode_whole(body, charset)
    records: list[Any] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    for number, line in enumerate(decoded.text.split("\n"), 1):
        if not line.strip():
            continue
        if len(records) >= ROWS_LIMIT:
            raise Permanent(f"more than {ROWS_LIMIT} lines", place="line", remedy="send the file in parts")
        try:
            records.append(_object(line, parse))
            numbers.append(number)
        except Permanent as error:
            rejects.append(Reject(number, error.cause, (line,)))
    if not records:
        cause = f"no line is a JSON object: {rejects[0].cause}" if rejects else "it is empty"
        raise _nothing(cause)
    return Lines(records=records, numbers=numbers, rejects=tuple(rejects), charset=decoded.charset, notes=decoded.notes)


def stream(source: Opened, charset: str = "") -> LineStream:
    """The objects of a large file, one at a time. Raises what `decode` raises."""
    text = document_of(source, charset)
    first: dict[str, Any] | None = None
    cause = "it is empty"
    columns: dict[str, None] = {}
    flat = True
    for item in _lines(text):
        if isinstance(item, Reject):
            cause = f"no line is a JSON object: {item.cause}" if cause == "it is empty" else cause
            continue
        first = item.cells if first is None else first
        if flat:
            columns.update(dict.fromkeys(item.cells))
            flat = _is_flat(item.cells) and len(columns) <= COLUMNS_LIMIT
    if first is None:
        raise _nothing(cause)
    return LineStream(text=text, first=first, columns=tuple(columns) if flat else ())


def _lines(text: Text) -> Iterator[Row | Reject]:
    count = 0
    for number, line in enumerate(text.lines(), 1):
        if not line.strip():
            continue
        count += 1
        if count > RECORDS_LIMIT:
            raise Permanent(f"more than {RECORDS_LIMIT} lines", place="line", remedy="send the file in parts")
        try:
            record = _object(line, of_text)
        except Permanent as error:
            yield Reject(number, error.cause, (line.rstrip("\r\n"),))
            continue
        yield Row(number, record, weight(record))


def _is_flat(record: dict[str, Any]) -> bool:
    return not any(isinstance(each, dict | list) for each in record.values())


def _nothing(cause: str) -> Permanent:
    return Permanent(cause, place="line 1", remedy="write one JSON object a line", code="102")


def encode(records: Iterable[Any], charset: str = "utf-8", newline: str = "\n") -> bytes:
    """One object a line; a line break inside a text is an escape, so a line is always a record."""
    text = newline.encode("ascii")
    return b"".join(whole(each, charset) + text for each in records)


def table_of(lines: Lines) -> Table | None:
    """The rows that flat objects are; None where any of them has something inside it."""
    columns: dict[str, None] = {}
    rows: list[dict[str, str]] = []
    for record in lines.records:
        if not _is_flat(record):
            return None
        columns.update(dict.fromkeys(record))
        rows.append(dict(_cells(record)))
    return Table(
        kind="ndjson", columns=tuple(columns), rows=rows, numbers=lines.numbers, notes=lines.notes,
        rejects=lines.rejects, charset=lines.charset,
    )  # fmt: skip


def _cells(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        yield name, "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()


def _object(line: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    if len(line) > LINE_LIMIT:
        raise Permanent(f"more than {LINE_LIMIT} characters", place="line", remedy="send it in parts")
    found = parse(line)
    if not isinstance(found, dict):
        raise Permanent("no JSON object", place="line", remedy="write one object a line")
    return found
