"""Where in the original bytes a field stands, so that a translation can be explained down to the source."""

from __future__ import annotations

from typing import Final

from gateway.codec import charset as charsets
from gateway.codec import hl7v2_lines
from gateway.codec.hl7v2_header import separators

_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Original:
    """The text as it arrived and the place of every segment in it."""

    def __init__(self, body: bytes, charset: str) -> None:
        self.charset = charset
        self._mark = next((len(mark) for mark in _MARKS if body.startswith(mark) and charset.startswith("utf-")), 0)
        self._codec = _without_mark(charset, body)
        self.text = body[self._mark :].decode(self._codec)
        self._start = len(self.text) - len(self.text.lstrip(hl7v2_lines.AROUND))
        inner = self.text.strip(hl7v2_lines.AROUND)
        marks = separators(inner[:64])
        self._field = marks.field if marks else "|"
        encoding = marks.encoding if marks else "^~\\&"
        self._component, self._repetition, self._subcomponent = encoding[0], encoding[1], encoding[3]
        self._lines = hl7v2_lines.read_lines(inner, self._field).segments

    def span(
        self, segment_index: int, field: int, repetition: int = 0, component: int = 0, subcomponent: int = 0
    ) -> tuple[int, int]:
        """(offset, length) in bytes; see Message.span."""
        pieces = [(self._start + start, self._start + end) for start, end in self._lines[segment_index].pieces]
        start, end = self._field_span(pieces, field, header=self._lines[segment_index].name == "MSH")
        whole_header = self._lines[segment_index].name == "MSH" and field in (1, 2)
        if not whole_header:
            for separator, number in (
                (self._repetition, repetition),
                (self._component, component),
                (self._subcomponent, subcomponent),
            ):
                if number:
                    start, end = self._part(start, end, separator, number)
        return self._bytes_of(start, end)

    def _field_span(self, pieces: list[tuple[int, int]], field: int, *, header: bool) -> tuple[int, int]:
        """Fields of a broken segment run over its pieces, and over the line breaks between them."""
        start, end = pieces[0][0], pieces[-1][1]
        if header and field == 1:
            return start + 3, start + 4
        return self._part(start, end, self._field, field if header else field + 1)

    def _part(self, start: int, end: int, separator: str, number: int) -> tuple[int, int]:
        for _ in range(number - 1):
            found = self.text.find(separator, start, end)
            if found < 0:
                return end, end
            start = found + len(separator)
        found = self.text.find(separator, start, end)
        return start, end if found < 0 else found

    def _bytes_of(self, start: int, end: int) -> tuple[int, int]:
        offset = len(charsets.encode(self.text[:start], self._codec))
        return self._mark + offset, len(self.text[start:end].encode(self._codec))


def _without_mark(charset: str, body: bytes) -> str:
    if charset != "utf-16":
        return charset
    return "utf-16-be" if body.startswith(b"\xfe\xff") else "utf-16-le"
