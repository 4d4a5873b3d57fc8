"""Decoded segments that leave the standard in known ways → segments as they are meant, each change with its note.

Only what the message itself proves is changed. What could be meant in two ways stays as it is and is told: a wrong
value is worse than a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from gateway.codec.hl7v2_note import Note

Segment = list[str]
Origins = dict[int, tuple[int, ...]]  # segment → for each of its fields the one it came from, 0 = none

_TYPE_NAMES = """AD CE CF CK CN CNE CP CWE CX DR DT DTM ED EI FT HD ID IS MO NA MA NM PN RP SI SN ST TM TN TS TX VR
XAD XCN XON XPN XTN"""
TYPES: Final = frozenset(_TYPE_NAMES.split())  # HL7 table 0125
_STATUS: Final = frozenset("ABCDFINOPRSUVWX")  # HL7 table 0085
_TIME_FIELDS = """
ABS:4,7 ACC:1 ADJ:14 AIG:8 AIL:6 AIP:6 AIS:4 AL1:6 AUT:4,5,10,15,26 BPO:7,10 BPX:4,13 BTX:13,16,17
CER:23,24,25,26,27,28,29 CM0:6,8 CNS:3,4 CON:12,13,14,15 CSP:2,3 CSR:6,9,11,15 CSS:2 DB1:5,6,7,8 DG1:5,19
DON:3,4,11,17,19,29 DPS:3,4 DRG:2 ECR:2 EDU:5 EQP:3,4 EQU:2 EVN:2,3,6 FT1:4,5 GOL:2,7,8,12,13,14,19
GT1:8,13,14,24,31,32 IAM:11,13,20,22,24,26 IIM:4,7,11 ILT:3,4,8 IN1:12,13,18,24,26,29,51
IN2:17,44,45,55,56 IN3:6,7,9,10,13,22 INV:12,13 IPR:5,7 IVC:7,14 LDP:7,8 MFA:3 MFE:3,6 MFI:4,5 MSH:7
NCK:1 NDS:2 NK1:8,9,16 NST:4,5 NTE:6,7,8 OBR:6,7,8,14,22,36 OBX:12,14,19 OM1:21,22 OM7:6,7,13,14,19
ORC:9,15,27,32 PCR:5,6,7,8,18 PD1:13,17,18,22 PDA:4 PDC:14,15 PEO:3,4,5,6,24 PES:9,10 PID:7,29,33 PKG:7
PM1:9,10 PMT:2,3,5 PR1:5 PRA:8,10 PRB:2,7,8,9,15,16 PRC:11,12 PRD:8,9 PRT:11,12,17,18 PSH:3,4,5 PSL:10,11
PTH:4,6 PV1:25,30,35,44,45 PV2:8,9,14,17,26,28,29,33,46,47,48,50 QRD:1,6 QRF:2,3 RCP:4 RF1:7,8,9,13,22
RFI:1,2,4 RMI:2 ROL:5,6 RQD:10 RXA:3,4,16,22 RXD:3,19 RXE:18,32 RXG:20 SAC:7 SCD:11 SFT:6 SHP:4 SPM:18,19
STF:6,24,25,26,31,35 TQ1:7,8 TXA:4,6,7,8,26 UB1:14,15,18,19 URD:1 URS:2,3 VAR:2,3
"""
TIMES: Final[Mapping[str, tuple[int, ...]]] = {  # fields of type TS, DT and DTM, v2.3.1 to v2.8.2
    name: tuple(map(int, numbers.split(",")))
    for name, _, numbers in (each.partition(":") for each in _TIME_FIELDS.split())
}
_NUMBERED: Final = frozenset({"NK1", "AL1", "DG1", "PR1", "IN1", "GT1", "OBX"})  # read by their set ids
_BETWEEN: Final = frozenset({"NTE", "ROL", "PRT", "IN2", "IN3", "TCD"})  # belong to the numbered one before them
_WRITTEN: Final = re.compile(  # year first, so nothing is guessed: 2026-3-12 8:00:00, 2026/03/12, 20260312 0800
    r"(?P<year>[12]\d{3})(?:(?P<sign>[-/.年])(?P<month>\d{1,2})(?:[-/.月])(?P<day>\d{1,2})日?|(?P<m>\d\d)(?P<d>\d\d))"
    r"(?:[ T]+(?P<hour>\d{1,2})(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?P<fraction>\.\d{1,6})?)?)?)?"
    r" ?(?P<offset>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_APART: Final = re.compile("[ T]")
_NUMBER: Final = re.compile(r"(?P<compared>[<>]=?)?[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_POWER: Final = re.compile(r"(?<=10)\^(?=\d{1,2}(?!\d))", re.ASCII)
_RANGE: Final = re.compile(r"(\d+\.?\d*)(?:-{1,2}|~|～)(\d+\.?\d*)", re.ASCII)
_ARROWS: Final[Mapping[str, tuple[str, ...]]] = {  # the flag that each is, and those that say nothing else
    "↑": ("H", "HH", "A", "AA", "↑", "↑↑"),
    "↓": ("L", "LL", "A", "AA", "↓", "↓↓"),
    "↑↑": ("HH", "AA", "↑↑"),
    "↓↓": ("LL", "AA", "↓↓"),
}
_ARROWED: Final = re.compile(rf"\s*({_NUMBER.pattern})\s*(?P<arrow>↑{{1,2}}|↓{{1,2}})")
_TEXTS: Final = frozenset({"", "ST", "TX", "FT", "NM", "SN"})
_EVENT: Final = re.compile(r"([A-Z]{3})[-_ ]([A-Z]\d\d)")
_TRIGGER: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_ONE_EVENT: Final = {"ORU": ("R01", "OBR"), "ORM": ("O01", "ORC")}  # before v2.3 MSH-9 held the code alone


def mend(segments: list[Segment], *, carets: bool) -> tuple[list[Note], Origins]:
    """Changes `segments` in place. `carets`: the text holds '10^'. Answers what was done, and for segments whose fields
    were moved where each field stood."""
    notes: list[Note] = []
    origins: Origins = {}
    _mend_event(segments, notes)
    seen: set[tuple[str, str]] = set()
    usual = {""}  # times that are written as HL7 writes them
    recount = False
    for index, segment in enumerate(segments):
        name = segment[0]
        if name in _NUMBERED:
            key = (name, segment[1] if len(segment) > 1 else "")
            recount = recount or not key[1] or key in seen
            seen.add(key)
            if name == "OBX":
                if carets or not _plain(segment):
                    _mend_result(segments, index, notes, origins)
                if len(segment) > 5 and segment[5][-1:] in _ARROWS:
                    _mend_arrow(segments, index, notes, origins)
                if len(segment) > 7 and "~" in segment[7]:
                    _mend_range(segments, index, notes)
        elif name == "OBR":
            seen.clear()
        if name in TIMES:
            _mend_times(segments, index, notes, usual)
    if recount:
        _number_sets(segments, notes)
    return notes, origins


def _plain(segment: Segment) -> bool:
    """The usual result: a known type, a value behind it."""
    return len(segment) > 5 and segment[2] in TYPES and bool(segment[5]) and segment[1] not in TYPES


def _place(segments: Sequence[Segment], index: int) -> str:
    """'OBX[2]' for the second OBX."""
    name = segments[index][0]
    return f"{name}[{sum(each[0] == name for each in segments[: index + 1])}]"


# ------------------------------------------------------------------------------------------------ MSH-9


def _mend_event(segments: Sequence[Segment], notes: list[Note]) -> None:
    header = segments[0]
    kind = header[9] if len(header) > 9 else ""
    code, _, rest = kind.partition("^")
    trigger, _, structure = rest.partition("^")
    if trigger or not code or code in ("ACK", "MCF"):
        return
    if glued := _EVENT.fullmatch(code):
        code, found, where = glued[1], glued[2], "MSH-9.1"
    else:
        found, where = _event(code, structure, segments)
    if found:
        header[9] = f"{code}^{found}^{structure}" if structure else f"{code}^{found}"
        notes.append(Note("event", "MSH-9", f"names no trigger event; {code}^{found} by {where}"))


def _event(code: str, structure: str, segments: Sequence[Segment]) -> tuple[str, str]:
    """(trigger event, what says so): EVN-1, the one event of the code, or a structure that serves one event."""
    named = next((each[1] for each in segments if each[0] == "EVN" and len(each) > 1), "")
    if code == "ADT":
        return (named, "EVN-1") if _TRIGGER.fullmatch(named) else ("", "")
    event, needed = _ONE_EVENT.get(code, ("", ""))
    if event and structure in ("", f"{code}_{event}") and any(each[0] == needed for each in segments):
        return event, f"its {needed} segments"
    return "", ""


# ------------------------------------------------------------------------------------------------ OBX


def _mend_result(segments: Sequence[Segment], index: int, notes: list[Note], origins: Origins) -> None:
    segment = segments[index]
    plain = _plain(segment)
    if plain and "10^" not in "|".join(segment[5:8]):
        return
    place = _place(segments, index)
    if not plain:
        _mend_shift(segment, index, place, notes, origins)
    _mend_carets(segment, place, notes)


def _mend_shift(segment: Segment, index: int, place: str, notes: list[Note], origins: Origins) -> None:
    if len(segment) > 2 and segment[2] in TYPES and segment[1] not in TYPES:
        if len(segment) > 4 and segment[4] and not "".join(segment[5:6]):
            _mend_value_place(segment, index, place, notes, origins)
        return
    fields = segment + [""] * (13 - len(segment))
    order = _order(fields)
    if order:
        segment[:] = ["OBX", *_without_empty_end([fields[number] if number else "" for number in order[1:]])]
        origins[index] = tuple(order[: len(segment)])
        notes.append(Note("shifted", place, "fields one place beside their own were put right"))
        return
    kind = fields[2]
    if kind.upper() in TYPES:
        segment[2] = kind.upper()
        notes.append(Note("value-type", f"{place}-2", "the value type was in small letters"))
    elif not kind and fields[5]:
        notes.append(Note("value-type", f"{place}-2", "no value type; the value was read by its form"))
    elif kind or fields[1] in TYPES or fields[3] in TYPES:
        notes.append(Note("shifted", place, "OBX-2 is no value type; the fields may be shifted and were left alone"))


def _without_empty_end(fields: Segment) -> Segment:
    while fields and not fields[-1]:
        fields.pop()
    return fields


def _order(fields: Sequence[str]) -> list[int]:
    """The fields in their right order by their present numbers (0: a field that is missing); [] when all are right, or
    nothing proves that they are not. OBX-11, the status, is the second witness."""
    last = len(fields)
    rest = range(3, last)
    first, second, third = fields[1], fields[2], fields[3]
    if first in TYPES and second:  # no set id: OBX|NM|code|sub|value… or, the value in its place, OBX|NM|code|||value…
        here, left = _status(fields, 11), _status(fields, 10)
        if (left and not here) or (not here and not left and _holds(first, fields[4]) and not _holds(first, fields[5])):
            return [0, 0, *range(1, last)]
        if not fields[4] and _holds(first, fields[5]) and not (left and not here):
            return [0, 0, 1, 2, 3, *range(5, last)]
        return []
    if third in TYPES and not _status(fields, 11):  # one field too many before the type
        if not second and fields[4] and not _NUMBER.fullmatch(fields[4]):
            return [0, 1, *rest]
        if not first and second.isdecimal():
            return [0, 2, *rest]
    if first.isdecimal() and "^" in second and _status(fields, 10) and not _status(fields, 11):
        return [0, 1, 0, *range(2, last)]  # no type: OBX|1|code|sub|value…
    return []


def _status(fields: Sequence[str], number: int) -> bool:
    return fields[number] in _STATUS


def _holds(kind: str, value: str) -> bool:
    return bool(_NUMBER.fullmatch(value)) if kind == "NM" else bool(value)


def _mend_value_place(segment: Segment, index: int, place: str, notes: list[Note], origins: Origins) -> None:
    """OBX-5 is empty and OBX-4 is not. A sub-id of an unanswered result looks the same, so only a number that no sub-id
    has and that fits unit, range, flag and a final status is taken for the value."""
    fields = segment + [""] * (12 - len(segment))
    if fields[2] not in ("NM", "SN") or not _NUMBER.fullmatch(fields[4]) or not fields[6]:
        return
    if fields[11] in ("F", "C") and _no_sub_id(fields[4]) and _agrees(fields[4], fields[7], fields[8]):
        segment[4], segment[5:6] = "", [fields[4]]
        origins[index] = (0, 1, 2, 3, 0, 4, *range(6, len(segment)))
        notes.append(Note("value-place", f"{place}-4", "the value was taken from OBX-4"))
    elif fields[11] in ("F", "C"):
        text = "a number, and no value in OBX-5; left alone. If it is the value, add the move 'OBX-4 -> OBX-5 if empty'"
        notes.append(Note("value-place", f"{place}-4", text))


def _no_sub_id(number: str) -> bool:
    return "." in number or len(number) > 2


def _agrees(value: str, limits: str, flag: str) -> bool:
    """Do range and flag say of the number what is true of it?"""
    found = _RANGE.fullmatch(limits.replace(" ", ""))
    if found is None:
        return False
    number, low, high = Decimal(value), Decimal(found[1]), Decimal(found[2])
    said = "L" if number < low else "H" if number > high else ""
    return flag in {"L": ("L", "LL", "A", "↓"), "H": ("H", "HH", "A", "↑"), "": ("", "N")}[said]


def _mend_arrow(segments: Sequence[Segment], index: int, notes: list[Note], origins: Origins) -> None:
    """6.8↑ is a number and its flag. Where OBX-8 says something else of it, it stays as it is."""
    segment = segments[index]
    found = _ARROWED.fullmatch(segment[5])
    if not found or segment[2] not in _TEXTS:
        return
    flag, flags = "".join(segment[8:9]), _ARROWS[found["arrow"]]
    if flag and flag not in flags:
        return
    segment[5] = found[1]
    if not flag:
        moved = list(origins.get(index, range(len(segment)))) + [0] * (9 - len(segment))
        segment += [""] * (9 - len(segment))
        segment[8], moved[8] = flags[0], moved[5]
        origins[index] = tuple(moved)
    notes.append(
        Note("arrow", f"{_place(segments, index)}-5", "the arrow behind the number was read as its flag (OBX-8)")
    )


def _mend_carets(segment: Segment, place: str, notes: list[Note]) -> None:
    """10^9/L is a unit and not two components."""
    for number in (5, 6, 7):
        if number >= len(segment) or "10^" not in segment[number] or (number == 5 and segment[2] not in _TEXTS):
            continue
        mended = _POWER.sub(r"\\S\\", segment[number])
        if mended != segment[number]:
            segment[number] = mended
            notes.append(Note("separator-in-text", f"{place}-{number}", "^ in a power of ten was read as text"))


def _mend_range(segments: Sequence[Segment], index: int, notes: list[Note]) -> None:
    """3.5~9.5 is one range: OBX-7 does not repeat (§7.4.2.7)."""
    segments[index][7] = segments[index][7].replace("~", "\\R\\")
    notes.append(Note("separator-in-text", f"{_place(segments, index)}-7", "~ in a reference range was read as text"))


# ------------------------------------------------------------------------------------------------ times, set ids


def _mend_times(segments: Sequence[Segment], index: int, notes: list[Note], usual: set[str]) -> None:
    segment = segments[index]
    length = len(segment)
    for number in TIMES[segment[0]]:
        if number >= length:
            return
        text = segment[number]
        if text in usual:
            continue
        if text.isdecimal() or (len(text) == 19 and text[:14].isdecimal() and text[14] in "+-"):
            usual.add(text)
        elif _mend_time(segment, number):
            place = f"{_place(segments, index)}-{number}"
            notes.append(Note("time-form", place, "a time with signs between its parts was read"))


def _mend_time(segment: Segment, number: int) -> bool:
    """The first component of the first repetition, where a sender writes signs between its parts."""
    written, separator, rest = _partition(segment[number])
    found = _WRITTEN.fullmatch(written.strip())
    if found is None or not (found["sign"] or _APART.search(written.strip())) or not _possible(found):
        return False
    segment[number] = _time(found) + separator + rest
    return True


def _possible(found: re.Match[str]) -> bool:
    month, day = int(found["month"] or found["m"]), int(found["day"] or found["d"])
    return 1 <= month <= 12 and 1 <= day <= 31


def _partition(value: str) -> tuple[str, str, str]:
    end = next((index for index, character in enumerate(value) if character in "^~"), len(value))
    return value[:end], value[end : end + 1], value[end + 1 :]


def _time(found: re.Match[str]) -> str:
    month, day = found["month"] or found["m"], found["day"] or found["d"]
    clock = "".join((found[name] or "").zfill(2) for name in ("hour", "minute", "second") if found[name])
    offset = {"Z": "+0000"}.get(found["offset"] or "", (found["offset"] or "").replace(":", ""))
    return f"{found['year']}{month:0>2}{day:0>2}{clock}{found['fraction'] or ''}{offset if clock else ''}"


def _number_sets(segments: Sequence[Segment], notes: list[Note]) -> None:
    """Set ids that are missing or repeated are counted: what is named by them would be mixed up."""
    wrong: dict[str, None] = {}
    for run in _runs(segments):
        if not _counted(run):
            wrong[run[0][0]] = None
            for position, segment in enumerate(run, 1):
                segment[1:2] = [str(position)]
    text = "set ids are missing or repeated; counted in their order"
    notes.extend(Note("set-id", f"{name}-1", text) for name in wrong)


def _runs(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Numbered segments of one name that follow each other, whatever belongs to them between."""
    run: list[Segment] = []
    for segment in segments:
        name = segment[0]
        if run and name != run[0][0] and name not in _BETWEEN and name[0] != "Z":
            yield run
            run = []
        if name in _NUMBERED:
            run.append(segment)
    if run:
        yield run


def _counted(run: Sequence[Segment]) -> bool:
    ids = [segment[1] if len(segment) > 1 else "" for segment in run]
    return all(ids) and len(set(ids)) == len(ids)
