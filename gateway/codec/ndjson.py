"""One JSON object a line (NDJSON, JSON Lines): records, each with the number of its line. A bad line fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gateway.codec import charset as charsets
from gateway.codec.json import of_text
from gateway.codec.table import ROWS_LIMIT, Reject, Table
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


def is_ndjson(body: bytes) -> bool:
    """Is the first line an object that is whole, and another behind it?"""
    first, _, rest = body.lstrip(_BLANKS).partition(b"\n")
    first = first.rstrip()
    following = rest[:256].lstrip()
    return first[:1] == b"{" and first[-1:] == b"}" and following[:1] == b"{"


def decode(body: bytes, charset: str = "", *, parse: Callable[[str], Any] = of_text) -> Lines:
    """The objects in `body`, each by `parse`. Raises Permanent where no line is one, or there are too many."""
    decoded = charsets.decode(body, charset)
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
        raise Permanent(cause, place="line 1", remedy="write one JSON object a line", code="102")
    return Lines(records=records, numbers=numbers, rejects=tuple(rejects), charset=decoded.charset, notes=decoded.notes)


def table_of(lines: Lines) -> Table | None:
    """The rows that flat objects are; None where any of them has something inside it."""
    columns: dict[str, None] = {}
    rows: list[dict[str, str]] = []
    for record in lines.records:
        if any(isinstance(each, dict | list) for each in record.values()):
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
