"""Text in columns of fixed width → tables. Widths are counted in bytes of the file's charset (a Chinese character takes
two in GB18030, three in UTF-8), in places of a terminal (two, whatever the charset), or in characters.

A layout is declared (name and width of each column), or learned from a header: where every line is blank a column ends.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gateway.codec import charset as charsets
from gateway.codec.table import ROWS_LIMIT, SAMPLE, Record, Shape, Table, clean, columns, table_of
from gateway.errors import Permanent

BYTES, PLACES, CHARACTERS = "bytes", "places", "characters"
UNITS: Final = (BYTES, PLACES, CHARACTERS)
WIDTH_LIMIT: Final = 100_000  # of a line
_SEEN: Final = 100_000  # bytes of a first line
_LEAST: Final = 3  # columns and lines by which a file is known to be one
_RULE: Final = frozenset("-=─ ")  # a line drawn below the header


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where each column begins; the last one ends with the line. `header`: lines above the rows."""

    names: tuple[str, ...]
    starts: tuple[int, ...]
    unit: str = BYTES
    header: int = 0
    width: int = 0  # of a line, 0 where it may be longer


def declared(widths: Mapping[str, int], unit: str = BYTES, header: int = 0) -> Layout:
    """The layout of columns in their order, with their widths."""
    starts = [0]
    for width in widths.values():
        starts.append(starts[-1] + width)
    return Layout(names=tuple(widths), starts=tuple(starts[:-1]), unit=unit, header=header, width=starts[-1])


def learned(body: bytes, charset: str = "") -> Layout | None:
    """The layout that the header and the blank columns show; None where the text is not of this kind."""
    decoded = charsets.decode(body[: 1 << 20], charset) if len(body) <= 1 << 20 else _beginning(body, charset)
    every = charsets.without_controls(decoded.text).splitlines()[: SAMPLE * 5]
    above = next((at for at, line in enumerate(every[:SAMPLE]) if _has_columns(line)), 0)
    lines = [line for line in every[above:] if line.strip()]
    table = [line for line in lines if _has_columns(line) or _RULE.issuperset(line)]
    few = len(table) * 2 >= len(lines)  # titles and footers
    return _widest(lines, decoded.charset, above) or (_widest(table, decoded.charset, above) if few else None)


def _widest(lines: list[str], codec: str, above: int) -> Layout | None:
    found = (_learned(lines, unit, codec, above) for unit in UNITS)
    return max(filter(None, found), key=lambda each: len(each.names), default=None)


def _has_columns(line: str) -> bool:
    """Does it stand in columns? Titles and footers do not."""
    return line.strip().count("  ") >= _LEAST - 1


def is_fixed(body: bytes) -> bool:
    """Can its columns be told by their blanks, and by no separator?"""
    lines = body[:_SEEN].split(b"\n")[:SAMPLE]
    first = next((line for line in lines if line.strip().count(b"  ") >= _LEAST - 1), b"")
    if any(first.count(sign) > 1 for sign in (b",", b"\t", b";", b"|")) or first.count(b"  ") < _LEAST - 1:
        return False
    try:
        return learned(body) is not None
    except Permanent:
        return False


def decode(body: bytes, *, layout: Layout | None = None, charset: str = "") -> Table:
    """The table in `body`. Raises Permanent where no layout is given and none can be learned."""
    decoded = charsets.decode(body, charset)
    layout = layout or learned(body, charset)
    if layout is None:
        remedy = "declare the widths of its columns (profile: file: widths)"
        raise Permanent("its columns cannot be told by their blanks", place="line 1", remedy=remedy, code="100")
    names, notes = columns(list(layout.names))
    shape = Shape(layout.header, names, len(names), tuple(notes))
    records = _records(charsets.without_controls(decoded.text), layout, decoded.charset)
    told = f"{len(names)} columns of fixed width, counted in {layout.unit}"
    return table_of(records, shape, kind="fixed", notes=(*decoded.notes, told), charset=decoded.charset)


# ---------------------------------------------------------------------------------------------- reading


def _records(text: str, layout: Layout, codec: str) -> Iterator[Record]:
    for number, line in enumerate(text.splitlines(), 1):
        if number > ROWS_LIMIT:
            raise Permanent(f"more than {ROWS_LIMIT} lines", place="line", remedy="send the file in parts")
        if number <= layout.header or not line.strip() or _RULE.issuperset(line):
            continue
        yield (number, *_cut(line, layout, codec))


def _cut(line: str, layout: Layout, codec: str) -> tuple[list[str], str]:
    """(cells, why they are none)."""
    widths = [width_of(each, layout.unit, codec) for each in line]
    total = sum(widths)
    if total > WIDTH_LIMIT or (layout.width and total > layout.width and _rest(line, widths, layout.width)):
        return [line], f"the line is longer ({total}) than its columns ({layout.width or WIDTH_LIMIT}) together"
    cells = [""] * len(layout.starts)
    at, column = 0, 0
    for character, width in zip(line, widths, strict=True):
        while column + 1 < len(layout.starts) and at >= layout.starts[column + 1]:
            column += 1
        if column + 1 < len(layout.starts) and at + width > layout.starts[column + 1]:
            return [line], f"a character lies in two columns: {layout.names[column]}, {layout.names[column + 1]}"
        cells[column] += character
        at += width
    return [clean(cell) for cell in cells], ""


def _rest(line: str, widths: Sequence[int], limit: int) -> bool:
    """Does anything stand behind the last column?"""
    at = 0
    for character, width in zip(line, widths, strict=True):
        if at >= limit and not character.isspace():
            return True
        at += width
    return False


def width_of(character: str, unit: str, codec: str) -> int:
    """How much room a character takes, in the unit of a layout."""
    if unit == CHARACTERS or character.isascii():
        return 1
    if unit == PLACES:
        return 2 if unicodedata.east_asian_width(character) in "WFA" else 1
    return len(character.encode(codec, "replace"))


# ---------------------------------------------------------------------------------------------- learning


def _beginning(body: bytes, charset: str) -> charsets.Decoded:
    start = body[: body.rfind(b"\n", 0, 1 << 20) + 1]
    return charsets.decode(start, charset)


def _learned(lines: list[str], unit: str, codec: str, above: int) -> Layout | None:
    """By the first line as header, with so many lines above it: a column begins where it does, behind a place at which
    all lines are blank."""
    if len(lines) < _LEAST:
        return None
    header, *rows = lines
    spread = [_spread(line, unit, codec) for line in (header, *(row for row in rows if not _RULE.issuperset(row)))]
    width = max(map(len, spread))
    if any("\t" in line for line in lines) or width > WIDTH_LIMIT or len(spread) < _LEAST:
        return None
    blank = [all(len(line) <= at or line[at] == " " for line in spread) for at in range(width)]
    starts = [0, *(at + 1 for at in range(width - 1) if blank[at] and not blank[at + 1])]
    starts = starts[1:] if blank[0] else starts
    named = _named(spread[0], starts, width)
    if len(named) < _LEAST or any(" " in name.strip() for name, _ in named):
        return None
    ruled = 1 if rows and _RULE.issuperset(rows[0]) else 0
    return Layout(
        names=tuple(name.strip() for name, _ in named), starts=tuple(start for _, start in named), unit=unit,
        header=above + 1 + ruled,
    )  # fmt: skip


def _named(header: str, starts: Sequence[int], width: int) -> list[tuple[str, int]]:
    """(name, start); what has no name of its own belongs to the column before it."""
    found: list[tuple[str, int]] = []
    for start, end in pairwise((*starts, width)):
        name = header[start:end].replace("\0", "").strip()
        if name or not found:
            found.append((name, start))
    return [(name, 0 if index == 0 else start) for index, (name, start) in enumerate(found) if name]


def _spread(line: str, unit: str, codec: str) -> str:
    """The line with a filler behind each wide character, so that places can be compared."""
    return "".join(
        (" " if character == "\u3000" else character) + (" " if character == "\u3000" else "\0") * (width - 1)
        for character in line
        for width in (width_of(character, unit, codec),)
    )
