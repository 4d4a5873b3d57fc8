"""Lines of a table whose bytes are in no charset, or in another one than the rest: the others are read all the same.

A damaged line stays a line: its bytes that are no character stand as `\\xNN`, and MARK before the first of them makes
it a row that is set aside with its cause (delimited.py).
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from gateway.codec import charset as charsets
from gateway.codec.charset import Decoded
from gateway.errors import Permanent

MARK: Final = "\x1a"  # SUBSTITUTE; a control character that is taken out of every text before
ERRORS: Final = "hutong-damaged"
CAUSE: Final = "it holds bytes that are no characters of its charset"
_LINES: Final = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SHARE: Final = 0.5  # of the lines, and of those that are not ASCII, may be damaged
_FEW: Final = 3
# What stands between two signs that part cells, values and texts of XML and JSON, and those signs. None of them is
# a byte of a longer character, neither of UTF-8 nor of GB18030 (its further bytes are 0x30 to 0x39 and from 0x40 on).
_PIECES: Final = re.compile(rb"[^,;\t\"<>:\r\n]+|[,;\t\"<>:\r\n]+")
_COMMON: Final = re.compile(rb"(?:[\x00-\x7f]|[\xb0-\xd7][\xa1-\xfe]|[\xa1-\xa3][\xa1-\xfe])+")  # GB 2312, level one
_TWO_BYTES: Final = re.compile(rb"(?:[\xc2-\xdf][\x80-\xbf]){2}")  # two Chinese characters of GB 2312 may look so
_HIGH_CONTROLS: Final = re.compile(rb"[\x80-\xa0]")  # of nearly every Chinese text in UTF-8, of none in GB 2312
_BEYOND_LATIN: Final = re.compile("[\u0800-\uffff\U00010000-\U0010ffff]")


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    told = "".join(f"\\x{byte:02x}" for byte in error.object[error.start : error.end])
    return f"{MARK}{told}", error.end


codecs.register_error(ERRORS, _marked)


def decode(body: bytes, rule: str = "") -> Decoded:
    """The text of a table: as charset.decode reads it where one charset explains all its bytes, else line by line.
    Raises what that raises where hardly a line can be read."""
    try:
        found = charsets.decode(body, rule)
    except Permanent as error:
        if error.code != "102":
            raise
        return _each_line(body, error)
    if found.charset == "gb18030":
        return _others(body.removeprefix(charsets.MARK), found)
    if not _may_be_mixed(body, found):
        return _cleaned(found)
    return _cleaned(_piece_by_piece(body, found, "some cells are in gb18030"))


def _may_be_mixed(body: bytes, found: Decoded) -> bool:
    """Is there anything in it that looks as if it were in another charset than the rest? The member's rule is believed
    where it fits."""
    if found.how == "rule":
        return False
    if found.charset == "utf-8":
        return _TWO_BYTES.search(body) is not None and _BEYOND_LATIN.search(found.text) is not None
    return found.charset == "gb18030" and _HIGH_CONTROLS.search(body) is not None


def decode_whole(body: bytes, rule: str = "", declared: str = "") -> Decoded:
    """A document as charset.decode reads it; where no charset explains all of it, or one some of it by chance, piece by
    piece. Raises what that raises where a piece is in none."""
    try:
        found = charsets.decode(body, rule, declared)
    except Permanent as error:
        if error.code != "102" or len(body) > charsets.SIZE_LIMIT:
            raise
        pieces = _pieces(body.removeprefix(charsets.MARK), "utf-8")
        if pieces is None:
            raise
        return Decoded("".join(pieces), "utf-8", "detected", ("some parts are in utf-8, others in gb18030",))
    if not _may_be_mixed(body, found):
        return found
    return _piece_by_piece(body, found, "some parts are in utf-8, others in gb18030")


def _piece_by_piece(body: bytes, found: Decoded, note: str) -> Decoded:
    """`found` with each piece in its own charset, and the note where that reads anything otherwise."""
    pieces = _pieces(body.removeprefix(charsets.MARK), found.charset)
    text = "".join(pieces) if pieces is not None else found.text
    notes = () if text == found.text else (note,)
    return Decoded(text, found.charset, found.how, (*found.notes, *notes))


def _pieces(line: bytes, usual: str) -> list[str] | None:
    """The cells of a line, the texts of a document, each in its own charset; None where one is in neither. `usual`: of
    those around it, for what may be both."""
    found: list[str] = []
    for piece in _PIECES.findall(line):
        text = piece.decode("ascii") if piece.isascii() else _piece(piece, usual)
        if text is None:
            return None
        found.append(text)
    return found


def _piece(piece: bytes, usual: str) -> str | None:
    chinese, common = _as_utf8(piece), _COMMON.fullmatch(piece) is not None
    if chinese is not None and not (common and usual == "gb18030"):
        return chinese
    text = _valid(piece, "utf-8")
    if text is not None and usual == "utf-8" and not (common and _chinese_by_chance(piece, text)):
        return text
    made = _valid(piece, "gb18030")
    return made if made is not None and (usual == "gb18030" or _usually_chinese(made)) else None


def _usually_chinese(text: str) -> bool:
    """Common characters at least by half: what is left of a character in UTF-8 is a rare one."""
    signs = [each for each in text if not each.isascii()]
    return 2 * sum(_COMMON.fullmatch(each.encode("gb18030")) is not None for each in signs) >= len(signs)


def _chinese_by_chance(piece: bytes, text: str) -> bool:
    """GB 2312 that is valid UTF-8: `郑伟` is a Hebrew sign and a Greek letter. What is of one script (`αβ`) is none."""
    letters = (sign for sign in text if not sign.isascii() and unicodedata.category(sign)[0] in "LM")
    scripts = {unicodedata.name(sign, "").partition(" ")[0] for sign in letters}
    return len(scripts) > 1 and charsets.surely_chinese(piece, shortest=2)


def _valid(piece: bytes, charset: str) -> str | None:
    try:
        return piece.decode(charset)
    except UnicodeDecodeError:
        return None


def _cleaned(found: Decoded) -> Decoded:
    text = charsets.without_controls(found.text)
    removed = len(found.text) - len(text)
    notes = (*found.notes, f"{removed} control characters removed") if removed else found.notes
    return Decoded(text, found.charset, found.how, notes)


def _others(body: bytes, found: Decoded) -> Decoded:
    """GB18030 explains nearly all bytes, those of UTF-8 too: lines that are valid UTF-8 are that."""
    lines = _LINES.findall(body)
    other = [index for index, line in enumerate(lines) if not line.isascii() and _as_utf8(line)]
    if not other or len(other) == sum(not line.isascii() for line in lines):
        text = "".join(map(_of_gb, lines)) if _HIGH_CONTROLS.search(body) else found.text
        notes = () if text == found.text else ("some cells are in utf-8",)
        return _cleaned(Decoded(text, found.charset, found.how, (*found.notes, *notes)))
    told = set(other)
    text = "".join(line.decode("utf-8") if index in told else _of_gb(line) for index, line in enumerate(lines))
    return _cleaned(Decoded(text, found.charset, found.how, (*found.notes, _note(other, "utf-8", "gb18030"))))


def _each_line(body: bytes, error: Permanent) -> Decoded:
    lines = _LINES.findall(body)
    foreign = [line for line in lines if not line.isascii()]
    as_utf8 = sum(bool(_as_utf8(line)) for line in foreign)
    charset, second = ("utf-8", "gb18030") if as_utf8 * 2 >= len(foreign) else ("gb18030", "utf-8")
    texts: list[str] = []
    other: list[int] = []
    damaged: list[int] = []
    for index, line in enumerate(lines):
        text = _read(line, charset)
        if text is None and (text := _read(line, second)) is not None:
            other.append(index)
        if text is None and (pieces := _pieces(line, charset)) is not None:
            text = "".join(pieces)
            other.append(index)
        if text is None:
            damaged.append(index)
            text = line.translate(None, bytes(charsets.CONTROLS)).decode(charset, ERRORS)
        else:
            text = charsets.without_controls(text)
        texts.append(text)
    if len(damaged) > len(lines) * _SHARE or (len(foreign) > _FEW and len(damaged) > len(foreign) * _SHARE):
        raise error
    notes = [_note(other, second, charset)] if other else []
    if damaged:
        notes.append(f"{len(damaged)} lines hold bytes that are no characters of {charset}")
    return Decoded("".join(texts), charset, "detected", tuple(notes))


def _of_gb(line: bytes) -> str:
    """A line that is valid GB18030, of which cells may be UTF-8."""
    pieces = _pieces(line, "gb18030") if _HIGH_CONTROLS.search(line) else None
    return "".join(pieces) if pieces is not None else line.decode("gb18030")


def _read(line: bytes, charset: str) -> str | None:
    """The text of a line in a charset; None where it is in the other one, or in none."""
    if line.isascii():
        return line.decode("ascii")
    if charset == "utf-8":
        return _as_utf8(line)
    try:
        return None if _as_utf8(line) else charsets.decode(line, charset).text
    except Permanent:
        return None


def _as_utf8(line: bytes) -> str | None:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if _BEYOND_LATIN.search(text) else None


def _note(lines: Sequence[int], charset: str, usual: str) -> str:
    shown = ", ".join(str(index + 1) for index in lines[:20]) + (" …" if len(lines) > 20 else "")
    return f"lines in {charset}, the others in {usual}: {shown}"
