"""Bytes ↔ text: which charset a sender really used, decided once, with the reasons kept as notes.

Order of belief: the member's rule, what the message declares (MSH-18), a byte order mark, strict UTF-8, GB18030.
Every GB name (GB2312, GBK, CP936, GB 18030-2000) is read and written as GB18030, its superset (GB 18030-2022): the
narrower Python codecs misread · and — and refuse rare names. Where belief and bytes disagree:

- a byte order mark that decodes cleanly wins over everything (no other charset explains those bytes);
- a multi-byte charset (UTF-8, GB18030, Big5 …) that does not fit the bytes falls to detection, with a note;
- a declared ASCII with other bytes falls to detection, with a note;
- a declared single-byte charset (8859/x, windows-125x) always fits; it is believed unless the bytes are valid UTF-8
  multi-byte text, or (8859/1 only) whole runs of common Chinese characters;
- short Chinese texts in GB18030 may be valid UTF-8 (模 is ģ): without any character above U+07FF, whole runs of
  common Chinese characters are read as GB18030, with a note (declared UTF-8: runs of two or more only);
- text that is neither, or UTF-8 with damaged bytes, is refused: no U+FFFD is ever produced.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final, NoReturn

import msgspec

from gateway.errors import Configuration, HutongError, Permanent

CONTROLS: Final = dict.fromkeys((*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F))  # for str.translate: no text
_CONTROL: Final = re.compile(f"[{''.join(map(chr, CONTROLS))}]")
MARK: Final = codecs.BOM_UTF8
SIZE_LIMIT: Final = 128 * 1024 * 1024  # bytes of one message or file

_BYTE_ORDER_MARKS: Final = (  # the longer ones first: the UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES: Final = {  # HL7 table 0211 and the names senders really use, letters and digits only → Python codec
    **dict.fromkeys(("ASCII", "USASCII", "ANSI", "ISOIR6", "ISO646", "7BIT"), "ascii"),
    **dict.fromkeys(("UNICODE", "UNICODEUTF8", "UTF8", "ISOIR192", "ISOIR196", "UTF8BOM", "65001", "CP65001"), "utf-8"),
    **dict.fromkeys(("UNICODEUTF16", "UTF16", "UCS2", "ISO10646UCS2"), "utf-16"),
    **dict.fromkeys(("UTF16LE", "UNICODEUTF16LE"), "utf-16-le"),
    **dict.fromkeys(("UTF16BE", "UNICODEUTF16BE"), "utf-16-be"),
    **dict.fromkeys(("UNICODEUTF32", "UTF32"), "utf-32"),
    **dict.fromkeys(("GB", "GBK", "GB2312", "GB231280", "GB18030"), "gb18030"),
    **dict.fromkeys(("GB180302000", "GB180302005", "GB180302022"), "gb18030"),
    **dict.fromkeys(("CP936", "936", "MS936", "WINDOWS936", "EUCCN"), "gb18030"),
    **dict.fromkeys(("BIG5", "BIG5HKSCS", "CP950", "CNS116431992"), "big5hkscs"),
    **dict.fromkeys(("ISOIR87", "ISOIR159", "JISX0202", "JAS2020", "ISO2022JP"), "iso2022_jp_2"),
    **dict.fromkeys(("ISOIR14", "ISOIR13", "JISX0201", "SHIFTJIS", "SJIS", "CP932"), "cp932"),
    **dict.fromkeys(("EUCJP",), "euc_jp"),
    **dict.fromkeys(("KSX1001", "EUCKR", "KSC5601", "CP949"), "cp949"),
    **{
        f"{prefix}8859{part}": f"iso8859-{part}"
        for prefix in ("", "ISO", "ISO8859", "ISOIEC")
        for part in range(1, 17)
        if part != 12
    },
    **dict.fromkeys(("LATIN1", "ISOIR100"), "iso8859-1"),
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("WINDOWS", "CP", "WIN") for page in range(1250, 1259)},
}
_DECLARED: Final = {  # Python codec → HL7 table 0211
    "ascii": "ASCII",
    "utf-8": "UNICODE UTF-8",
    "utf-16": "UNICODE UTF-16",
    "utf-16-le": "UNICODE UTF-16",
    "utf-16-be": "UNICODE UTF-16",
    "utf-32": "UNICODE UTF-32",
    "gb18030": "GB 18030-2000",
    "big5hkscs": "BIG-5",
    "iso2022_jp_2": "ISO IR87",
    "cp932": "ISO IR14",
    "cp949": "KS X 1001",
    **{f"iso8859-{part}": f"8859/{part}" for part in range(1, 17) if part != 12},
}
_NOT_ALPHANUMERIC: Final = re.compile(r"[^A-Z0-9]")
_ABOVE_LATIN: Final = re.compile("[\u0800-\uffff\U00010000-\U0010ffff]")
_NOT_ASCII_RUN: Final = re.compile("[^\x00-\x7f]+")
_GB_LEVEL_ONE: Final = re.compile(rb"(?:[\xb0-\xd7][\xa1-\xfe]|[\xa1\xa3][\xa1-\xfe])+")  # GB 2312: common characters

_SYMBOL: Final = re.compile(
    rb"\xc2[\xa3\xa7\xb0-\xb7\xbc-\xbe]|\xc3[\xb7]|\xce[\xb1-\xbf]|\xce[\xa3\xa6\xa8\xa9]"
)  # °±µ·β


class Decoded(msgspec.Struct, frozen=True):
    """Text, the Python codec that made it, who decided (rule | declared | bom | detected), and what disagreed."""

    text: str
    charset: str
    how: str
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def codec_of(name: str) -> str:
    """The Python codec for an HL7 table 0211 name, a Python name or a common misspelling; "" when unknown."""
    return _NAMES.get(_NOT_ALPHANUMERIC.sub("", name.upper()), "")


def declared_name(charset: str, version: str = "2.5.1") -> str:
    """The MSH-18 name for a charset (HL7 table 0211). Up to v2.4 the table knows Unicode only as UNICODE."""
    codec = codec_of(charset) or charset
    if codec == "utf-8" and version in {"2.1", "2.2", "2.3", "2.3.1", "2.4"}:
        return "UNICODE"
    return _DECLARED.get(codec, codec.upper())


def decode(body: bytes, rule: str = "", declared: str = "") -> Decoded:
    """Text of `body`, without byte order mark. Raises Permanent when no charset explains the bytes (code 102), when
    `declared` is no charset we know (code 103, MSH-18) or the body is over SIZE_LIMIT; Configuration for an unknown
    `rule`."""
    if len(body) > SIZE_LIMIT:
        raise Permanent(
            f"{len(body)} bytes are more than the limit of {SIZE_LIMIT}", place="message", remedy="send it in parts"
        )
    wanted, how = _wanted(rule, declared)
    for mark, codec in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return _decode_marked(body, mark=mark, codec=codec, wanted=wanted, how=how)
    if not wanted:
        return _detect(body, ())
    if body.isascii() and not _changes_ascii(wanted):
        return Decoded(body.decode("ascii"), wanted, how)
    text = _try(body, wanted)
    if text is None:
        return _detect(body, (f"{how} charset {wanted} does not fit the bytes",))
    if how == "declared" and (wanted == "utf-8" or _is_single_byte(wanted)):
        return _doubt(body, text, wanted)
    return Decoded(text, wanted, how, _damage_notes(text))


def encode(text: str, charset: str) -> bytes:
    """Bytes of `text` in an HL7 table 0211 or Python charset. Raises Permanent naming the code points (never the text)
    that it cannot write, Configuration when the charset is unknown."""
    codec = codec_of(charset or "utf-8") or _unknown(charset, Configuration("", place="charset"))
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        missing = sorted(set(text[error.start : error.end]))[:5]
        points = ", ".join(f"U+{ord(character):04X}" for character in missing)
        raise Permanent(
            f"{points} cannot be written in {charset}",
            place="charset",
            remedy="let the receiver take UTF-8 or GB18030",
            code="103",
        ) from None


def _wanted(rule: str, declared: str) -> tuple[str, str]:
    if rule.strip():
        return codec_of(rule) or _unknown(rule, Configuration("", place="profile charset")), "rule"
    if declared.strip():
        return codec_of(declared) or _unknown(declared, Permanent("", place="MSH-18", code="103")), "declared"
    return "", "detected"


def _unknown(name: str, error: HutongError) -> NoReturn:
    """`error` completed with the cause."""
    shown = re.sub(r"[^ -~]", "?", name)[:40]
    raise type(error)(
        f"{shown!r} is not a known charset",
        place=error.place,
        remedy="use a name of HL7 table 0211, such as UNICODE UTF-8 or GB 18030-2000",
        code=error.code,
    )


def _try(body: bytes, codec: str) -> str | None:
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        return None


def _decode_marked(body: bytes, *, mark: bytes, codec: str, wanted: str, how: str) -> Decoded:
    text = _try(body, codec)
    if text is None:
        return _detect(body[len(mark) :], ("the byte order mark does not fit the bytes",))
    text = text.removeprefix("\ufeff")
    if wanted.startswith(codec):
        return Decoded(text, codec, how, _damage_notes(text))
    notes = (f"{how} charset {wanted}, but a byte order mark says {codec}",) if wanted else ()
    return Decoded(text, codec, "bom", notes + _damage_notes(text))


def _detect(body: bytes, notes: tuple[str, ...]) -> Decoded:
    if body.isascii():
        half = _utf16_without_mark(body)
        if half and (text := _try(body, half)) is not None:
            return Decoded(text, half, "detected", (*notes, f"{half} without a byte order mark"))
        return Decoded(body.decode("ascii"), "utf-8", "detected", notes)
    text = _try(body, "utf-8")
    if text is not None:
        if not _ABOVE_LATIN.search(text) and surely_chinese(body):
            note = "undeclared charset fits both UTF-8 and GB18030; read as GB18030, declare it in MSH-18"
            return Decoded(body.decode("gb18030"), "gb18030", "detected", (*notes, note))
        return Decoded(text, "utf-8", "detected", notes + _damage_notes(text))
    half = _utf16_without_mark(body)
    if half and (text := _try(body, half)) is not None:
        return Decoded(text, half, "detected", (*notes, f"{half} without a byte order mark"))
    return _detect_chinese(body, notes)


def _detect_chinese(body: bytes, notes: tuple[str, ...]) -> Decoded:
    text = _try(body, "gb18030")
    if text is None or _is_damaged_utf8(body, text):
        raise Permanent(
            f"the text is neither valid UTF-8 nor GB18030 (byte {_first_damage(body)})",
            place="charset",
            remedy="set the charset in the member's profile, or have the sender declare it and stop cutting characters",
            code="102",
        )
    return Decoded(text, "gb18030", "detected", notes + _damage_notes(text))


def _first_damage(body: bytes) -> int:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _is_damaged_utf8(body: bytes, as_chinese: str) -> bool:
    """UTF-8 text with a cut or changed byte often is valid, but senseless, GB18030 (`王` → `鐜…`)."""
    text = body.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    whole = len(_ABOVE_LATIN.findall(text)) - damaged
    if whole == 0 or whole * 3 < damaged:
        return False
    foreign = _NOT_ASCII_RUN.findall(as_chinese)
    characters = sum(map(len, foreign))
    common = sum(len(run) // 2 for run in _GB_LEVEL_ONE.findall("".join(foreign).encode("gb18030")))
    return common * 2 < characters


def without_controls(text: str) -> str:
    """The text without control characters. Nearly none has any, and to look for one is a twentieth of the work."""
    return text.translate(CONTROLS) if _CONTROL.search(text) else text


def surely_chinese(body: bytes, *, shortest: int = 1) -> bool:
    """Every run of high bytes is whole common characters, at least `shortest` of them, and none touches an ASCII letter
    or digit (as é and µ do) or is a lone symbol in UTF-8 (± for 卤, β for 尾)."""
    found = False
    for run in re.finditer(rb"[\x80-\xff]+", body):
        before, after = body[run.start() - 1 : run.start()], body[run.end() : run.end() + 1]
        high = run.group()
        if len(high) < 2 * shortest or not _GB_LEVEL_ONE.fullmatch(high) or _SYMBOL.fullmatch(high):
            return False
        if before.isalnum() or after.isalnum():
            return False
        found = True
    return found


def _doubt(body: bytes, text: str, wanted: str) -> Decoded:
    """A declaration that fits the bytes, but by chance."""
    if wanted == "utf-8":
        chinese = not _ABOVE_LATIN.search(text) and surely_chinese(body, shortest=2)
    else:
        chinese = wanted == "iso8859-1" and surely_chinese(body)
    if chinese:
        note = f"declared charset {wanted}, but the bytes are Chinese characters in GB18030"
        return Decoded(body.decode("gb18030"), "gb18030", "detected", (note,))
    if wanted != "utf-8" and (utf8 := _try(body, "utf-8")) is not None:
        return Decoded(utf8, "utf-8", "detected", (f"declared charset {wanted}, but the bytes are UTF-8",))
    return Decoded(text, wanted, "declared", _damage_notes(text))


def _is_single_byte(codec: str) -> bool:
    return codec.startswith(("iso8859", "cp125"))


def _changes_ascii(codec: str) -> bool:
    return codec.startswith(("utf-16", "utf-32", "iso2022"))


def _utf16_without_mark(body: bytes) -> str:
    """NUL stands at every second place, and often: UTF-16 with Latin signs between other characters (開 has one at the
    other place)."""
    start = body[: 4096 if len(body) > 4096 else len(body) // 2 * 2]
    if len(body) % 2 or len(start) < 8:
        return ""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd > 16 * even and odd * 16 >= len(start):
        return "utf-16-le"
    return "utf-16-be" if even > 16 * odd and even * 16 >= len(start) else ""


def _damage_notes(text: str) -> tuple[str, ...]:
    if "\ufffd" in text:
        return ("the sender itself lost characters: its bytes hold U+FFFD",)
    return ()
