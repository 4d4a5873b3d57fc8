"""Tables → text in columns of fixed width, the way back of fixed_width.py. No cell is ever cut: one that does not fit
its column is refused with its place, and so is one with a line break in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.codec import charset as charsets
from gateway.codec import held
from gateway.codec.fixed_width import BYTES, width_of
from gateway.errors import Permanent

_APART: Final = 2  # blanks between columns whose widths nobody has declared


def encode(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
    *,
    widths: Mapping[str, int],
    unit: str = BYTES,
    header: int = 0,
    charset: str = "utf-8",
    newline: str = "\r\n",
    titles: Sequence[str] = (),
) -> bytes:
    """A line a row, without a separator. `widths`: of the columns in their order, below `header` lines, the last of
    which names them (cut to fit: a header is no value); where none are declared each column is as wide as its widest
    cell, below one line of names. Raises Permanent for what does not fit, or what the charset lacks."""
    codec, listed = charsets.codec_of(charset) or "utf-8", list(rows)
    names = tuple(widths) or tuple(columns)
    if widths:
        sizes, above = dict(widths), [*titles][: max(header - 1, 0)]
        above += [""] * (header - 1 - len(above))
    else:
        sizes, above, header = _sizes(names, listed, unit, codec), [], 1
    lines = [*above]
    if header:
        lines.append("".join(_padded(_cut(name, sizes[name], unit, codec), sizes[name], unit, codec) for name in names))
    for number, row in enumerate(listed, header + 1):
        lines.append("".join(_cell(row.get(name, ""), name, sizes[name], unit, codec, number) for name in names))

    def place(character: str) -> str:
        places = ((at, name) for at, row in enumerate(listed, header + 1) for name in names)
        return next(
            (f"line {at}, {name}" for at, name in places if character in listed[at - header - 1].get(name, "")),
            "header",
        )

    return held.encode("".join(f"{line.rstrip()}{newline}" for line in lines), charset, place)


def _sizes(names: Sequence[str], rows: Sequence[Mapping[str, str]], unit: str, codec: str) -> dict[str, int]:
    return {
        name: max(_width(text, unit, codec) for text in (name, *(row.get(name, "") for row in rows))) + _APART
        for name in names
    }


def _cell(text: str, name: str, size: int, unit: str, codec: str, number: int) -> str:
    place = f"line {number}, {name}"
    if any(ord(each) < 0x20 for each in text):
        remedy = "let the receiver take delimited text, or mend the text at its source"
        raise Permanent("a line break or control character in a column of fixed width", place=place, remedy=remedy)
    if (width := _width(text, unit, codec)) > size:
        remedy = "let the receiver widen the column (profile: file: widths)"
        raise Permanent(f"a cell of {width} {unit} in a column of {size}", place=place, remedy=remedy, code="102")
    return _padded(text, size, unit, codec)


def _padded(text: str, size: int, unit: str, codec: str) -> str:
    return text + " " * (size - _width(text, unit, codec))


def _cut(text: str, size: int, unit: str, codec: str) -> str:
    while _width(text, unit, codec) > size:
        text = text[:-1]
    return text


def _width(text: str, unit: str, codec: str) -> int:
    return sum(width_of(each, unit, codec) for each in text)
