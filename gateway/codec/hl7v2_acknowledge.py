"""Acknowledgements (HL7 v2.5.1 chapter 2.9, MSA 2.15.8, ERR 2.15.5) and what is checked before one is given.

Original mode answers AA, AE, AR; enhanced mode (MSH-15 says AL, NE, ER or SU) answers CA, CE, CR. MSH-16 alone leaves
the original mode, as senders mean it on one MLLP line, and says when they want that answer.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Final, Protocol

from gateway.codec import charset as charsets
from gateway.codec.hl7v2_escape import escape
from gateway.codec.hl7v2_header import STANDARD, Header
from gateway.errors import HutongError, Permanent

CONTROL_ID_LIMIT: Final = 199  # characters of MSH-10 (20 in v2.5.1, 199 in v2.7)
TESTS: Final = frozenset({"T", "D", "N"})  # training, debugging, testing (v2.9): HL7 table 0103
PROCESSING: Final = TESTS | {"P"}
_NAME_LIMIT: Final = 227  # characters of MSH-3 to MSH-6 (HD) that are given back
_CONDITIONS: Final = frozenset({"AL", "NE", "ER", "SU"})  # HL7 table 0155
_OLD_ERROR: Final = frozenset({"2.1", "2.2", "2.3", "2.3.1", "2.3.2", "2.4"})  # ERR-1 instead of ERR-2 to ERR-8
_VERSIONS: Final = _OLD_ERROR | {
    "2.5",
    "2.5.1",
    "2.6",
    "2.6.1",
    "2.7",
    "2.7.1",
    "2.8",
    "2.8.1",
    "2.8.2",
    "2.9",
    "2.9.1",
}
_REJECTIONS: Final = frozenset({"200", "201", "202", "203"})  # chapter 2.9.2: MSH-9, -11 or -12 unacceptable
_MEANINGS: Final = {  # HL7 table 0357
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "104": "Value too long",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
_PLACE: Final = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<index>\d+)\])?"
    r"(?:-(?P<field>\d+)(?:\((?P<repetition>\d+)\))?(?:\.(?P<component>\d+))?(?:\.(?P<subcomponent>\d+))?)?"
)
_EVENT: Final = re.compile("[A-Z][A-Z0-9]{2}")
_NEEDED: Final = {  # a patient's message without its patient (or a result without its request) cannot be used
    "ADT": ("PID",),
    "ORU": ("PID", "OBR"),
    "MDM": ("PID",),
    "REF": ("PID",),
    "VXU": ("PID",),
}
_WITHOUT_PATIENT: Final = frozenset({"ADT^A20"})  # the state of a bed


class Checked(Protocol):
    """What `check` looks at: a decoded message."""

    @property
    def header(self) -> Header: ...
    @property
    def segments(self) -> Sequence[Sequence[str]]: ...


def mode(header: Header | None) -> str:
    """'enhanced' when MSH-15 holds a condition of table 0155, else 'original'."""
    return "enhanced" if header is not None and header.accept_ack in _CONDITIONS else "original"


def wants_accept_acknowledgement(header: Header | None, *, success: bool) -> bool:
    """Is the first answer on this connection wanted? Enhanced mode: by MSH-15. Original mode: always, unless a lone
    MSH-16 says otherwise. An unreadable header always gets its refusal."""
    if header is None:
        return True
    condition = header.accept_ack if header.accept_ack in _CONDITIONS else header.application_ack
    return _wanted(condition, success=success, default=True)


def wants_application_acknowledgement(header: Header, *, success: bool) -> bool:
    """Is an application answer (AA, AE, AR) wanted after the accept acknowledgement? In enhanced mode only."""
    return mode(header) == "enhanced" and _wanted(header.application_ack, success=success, default=False)


def _wanted(condition: str, *, success: bool, default: bool) -> bool:
    match condition:
        case "AL":
            return True
        case "NE":
            return False
        case "ER":
            return not success
        case "SU":
            return success
        case _:
            return default


def refusal_code(error: HutongError) -> str:
    """AR for an unacceptable MSH-9, MSH-11 or MSH-12 (codes 200 to 203, chapter 2.9.2), else AE."""
    return "AR" if error.code in _REJECTIONS else "AE"


def check(message: Checked, *, known_kinds: Container[str] | None = None) -> list[Permanent]:
    """What stands against accepting a decoded message, the weightiest first; empty when nothing does. Cheap enough for
    the time of receipt. With `known_kinds` ('ORU^R01', …) other kinds are refused (200, or 201 for a known code)."""
    header = message.header
    problems = [*_check_kind(header, known_kinds), *_check_control_id(header.control_id)]
    if header.processing_id not in PROCESSING:
        problems.append(_problem("202", "MSH-11", "the processing id is not P, T, D or N"))
    if header.version not in _VERSIONS:
        problems.append(_problem("203", "MSH-12", "the version is not between 2.1 and 2.9"))
    if not problems and header.kind not in _WITHOUT_PATIENT:
        names = {segment[0] for segment in message.segments}
        needed = (name for name in _NEEDED.get(header.code, ()) if name not in names)
        problems.extend(_problem("100", name, f"{header.code} messages need this segment") for name in needed)
    return problems


def _check_kind(header: Header, known_kinds: Container[str] | None) -> list[Permanent]:
    if not header.code:
        return [_problem("101", "MSH-9", "the message type is missing")]
    if _EVENT.fullmatch(header.code) is None:
        return [_problem("200", "MSH-9.1", "the message code is not three capital letters")]
    if known_kinds is not None and header.kind not in known_kinds:
        return [_problem("200", "MSH-9", "no map reads this message type and event")]
    return []


def _check_control_id(control_id: str) -> list[Permanent]:
    if not control_id.strip():
        return [_problem("101", "MSH-10", "the message control id is missing")]
    if len(control_id) > CONTROL_ID_LIMIT:
        return [_problem("102", "MSH-10", f"the message control id is longer than {CONTROL_ID_LIMIT} characters")]
    if not (control_id.isascii() and control_id.isprintable()):
        return [_problem("102", "MSH-10", "the message control id holds other characters than printable ASCII")]
    return []


def _problem(code: str, place: str, cause: str) -> Permanent:
    return Permanent(cause, place=place, remedy="have the sending system mend it and send again", code=code)


# ------------------------------------------------------------------------------------------------ writing


def acknowledge(
    header: Header | None,
    *,
    code: str,
    control_id: str,
    when: datetime,
    own_application: str = "HUTONG",
    own_facility: str = "",
    text: str = "",
    error: HutongError | None = None,
    mode: str = "original",
) -> bytes:
    """The ACK for a message: sender and receiver swapped, MSH-10 its own (`control_id`), MSH-11, version and charset
    the sender's, MSA-2 its MSH-10. `code` is AA, AE or AR, written CA, CE or CR in enhanced mode. Without a header
    (nothing could be read) it still is a whole ACK, MSA-2 empty. Carries codes, places and our texts, never content."""
    version = header.version if header is not None and header.version in _VERSIONS else "2.5.1"
    if mode == "enhanced":
        code = "C" + code[1:]
    msh = _header_fields(header, version, own_application, own_facility, control_id, when)
    segments = [msh, _msa(header, code, text or (error.cause if error else ""), version)]
    if error is not None:
        segments.append(error_segment(error, version))
    return _encoded(segments, header, version)


def _header_fields(
    header: Header | None, version: str, own_application: str, own_facility: str, control_id: str, when: datetime
) -> list[str]:
    fields = header.fields if header is not None else ()
    trigger = header.trigger if header is not None and _EVENT.fullmatch(header.trigger) else ""
    processing = header.processing_id if header is not None and header.processing_id in PROCESSING else "P"
    return [
        "MSH",
        STANDARD,
        escape(own_application),
        escape(own_facility),
        _echo(fields, 3, _NAME_LIMIT),
        _echo(fields, 4, _NAME_LIMIT),
        when.strftime("%Y%m%d%H%M%S%z"),
        "",
        f"ACK^{trigger}^ACK" if trigger else "ACK",
        escape(control_id),
        processing,
        _echo(fields, 12, 60) if _version_of(fields) == version else version,
        *[""] * 5,
        "",
    ]


def _echo(fields: Sequence[str], number: int, limit: int) -> str:
    """A field of theirs, still escaped, cut to its HL7 length, without anything that could end a field or line."""
    return re.sub("[\x00-\x1f\x7f|]", "", fields[number])[:limit] if number < len(fields) else ""


def _version_of(fields: Sequence[str]) -> str:
    return fields[12].partition("^")[0].strip() if len(fields) > 12 else ""


def _msa(header: Header | None, code: str, text: str, version: str) -> list[str]:
    """MSA-3 was withdrawn in v2.7; before that it is where many senders look."""
    shown = "" if version >= "2.7" else escape(text[:80])
    fields = header.fields if header is not None else ()
    return ["MSA", code, _echo(fields, 10, CONTROL_ID_LIMIT), *([shown] if shown else [])]


def _condition(error: HutongError) -> tuple[str, str]:
    code = error.code if error.code in _MEANINGS else "207"
    return code, _MEANINGS[code]


def error_segment(error: HutongError, version: str) -> list[str]:
    """ERR as a version has it."""
    return _old_err(error) if version in _OLD_ERROR else _err(error)


def _err(error: HutongError) -> list[str]:
    """v2.5 and later: where (ERL), what (table 0357), severity, details for a technician, text for a person."""
    code, meaning = _condition(error)
    place = _PLACE.fullmatch(error.place)
    location = ""
    if place is not None:
        parts = [place["segment"], place["index"] or "1", place["field"] or "", place["repetition"] or ""]
        parts += [place["component"] or "", place["subcomponent"] or ""]
        location = "^".join(parts).rstrip("^")
    details = escape(str(error)[:250])
    return ["ERR", "", location, f"{code}^{meaning}^HL70357", "E", "", "", details, escape(error.cause[:250])]


def _old_err(error: HutongError) -> list[str]:
    """Before v2.5: ERR-1 (ELD) segment, sequence, field, condition."""
    code, meaning = _condition(error)
    place = _PLACE.fullmatch(error.place)
    where = (place["segment"], place["index"] or "1", place["field"] or "") if place is not None else ("", "", "")
    return ["ERR", "^".join(where) + f"^{code}&{meaning}&HL70357"]


def _encoded(segments: list[list[str]], header: Header | None, version: str) -> bytes:
    """In the sender's charset; in UTF-8, and saying so, when that cannot write the answer."""
    charset = header.charset if header is not None else "utf-8"
    declared = header is not None and bool(header.declared_charset)
    try:
        return _bytes(segments, charset, version, declared=declared)
    except HutongError:
        return _bytes(segments, "utf-8", version, declared=True)


def _bytes(segments: list[list[str]], charset: str, version: str, *, declared: bool) -> bytes:
    ascii_only = all(value.isascii() for segment in segments for value in segment)
    name = charsets.declared_name(charset, version) if declared or not ascii_only else ""
    lines = [[*segments[0][:-1], name], *segments[1:]]
    return charsets.encode("".join("|".join(line).rstrip("|") + "\r" for line in lines), charset)
