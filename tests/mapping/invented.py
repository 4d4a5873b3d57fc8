"""Messages invented at random: a structure of the maps, filled by HL7's own dictionary with what senders write and with
what they should not. The same chance invents the same message."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.codec import hl7v2_schema as schema
from gateway.errors import Configuration
from gateway.fhir import v2tables
from gateway.mapping.library import Library
from gateway.mapping.syntax import Group

VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.9")
CHARSETS = {"": "utf-8", "UNICODE UTF-8": "utf-8", "GB 18030-2000": "gb18030", "GB 18030": "gb18030"}
RESULTS = ("NM", "ST", "TX", "FT", "SN", "CWE", "CE", "DT", "TM", "TS", "DTM", "CQ", "ED", "RP", "XPN", "CX", "", "ZZ")
NAMES = ("张", "伟", "欧阳", "娜", "司马相如", "Doe", "O'Neil", "van der Berg", "李\\T\\王", "阿·买提", "䶮", "𠮷")
TEXTS = (
    "未见明显异常", "左肺上叶结节", "a\\F\\b\\S\\c\\R\\d\\T\\e\\E\\f", "一行\\.br\\二行", "\\H\\重\\N\\要", "≤5.0%",
    "阴性(-)", "１２．５", " 有 空格 ", "长" * 300, "x" * 250, "\\X4F60\\", "\\C2842\\", "\\Zlocal\\", "5 < 6 > 4",
    "行1\\X0D\\行2",
)  # fmt: skip
NUMBERS = (
    "0",
    "5.60",
    "-1",
    "+3",
    ".5",
    "5.",
    "1e3",
    "1,000",
    "007",
    "999999999999999999999",
    "0.000000001",
    "五",
    "<5",
    "12",
)
ZONES = ("", "", "+0800", "-0530", "+0000", "Z")
TIMES = (
    "2026", "202603", "20260312", "2026031214", "202603121425", "20260312142530", "20260312142530.1234", "00000000",
    "20260230", "19000101", "2026-03-12", "2026-03-12 14:25:30", "2026031224", "20260312000000", "昨天",
)  # fmt: skip
CODES = ("A", "1", "K", "ZZ9", "男", "0", "F", "M", "U", "N", "W", "X.1", "a b", "U07.1")
SYSTEMS = ("", "L", "LN", "99ZZZ", "HL70001", "SCT", "I10", "UCUM", "GB/T 2261.2", "http://example.org/cs")
NUMBERED = frozenset({"PID", "NK1", "PV1", "AL1", "DG1", "IN1", "OBR", "OBX", "NTE", "SPM", "GT1", "PR1", "FT1"})


@dataclass(slots=True)
class Inventor:
    """Invents the segments of one message."""

    chance: random.Random
    version: str
    often: float  # how likely an optional segment, field or component is there
    count: int = 0

    def group(self, group: Group) -> Iterator[str]:
        """The segments of a group."""
        for item in group.items:
            for _ in range(self._times(optional=item.optional, repeats=item.repeats)):
                if item.group is not None:
                    yield from self.group(item.group)
                elif item.segment not in ("MSH", "MSA", "EVN"):
                    yield self.segment(item.segment)
                    if self.chance.random() < 0.02:
                        yield "ZXX|1|本地"

    def _times(self, *, optional: bool, repeats: bool) -> int:
        if optional and self.chance.random() > self.often:
            return 0
        return self.chance.choice((1, 1, 2, 3)) if repeats else 1

    def segment(self, name: str) -> str:
        """A segment, its fields in the order of the dictionary."""
        self.count += 1
        fields = {1: str(self.count)} if name in NUMBERED else {}
        for each in _fields(name, self.version):
            if each.number not in fields and (each.min or self.chance.random() < self.often):
                several = each.max != 1 and self.chance.random() < 0.3
                values = [self.value(each.datatype, each.table) for _ in range(2 if several else 1)]
                fields[each.number] = "~".join(values)
        if name == "PID":
            fields |= {
                3: f"P{self.chance.randrange(3)}^^^H{self.chance.randrange(2)}^PI",
                5: self._composite("XPN", "^"),
            }
        if name == "OBX":
            kind = self.chance.choice(RESULTS)
            fields |= {2: kind, 5: self.value(kind if kind != "ZZ" else "ST", "")}
        last = max(fields, default=0)
        return "|".join((name, *(fields.get(number, "") for number in range(1, last + 1))))

    def value(self, datatype: str, table: str = "") -> str:
        """A value of a data type; now and then an explicit null, or nothing."""
        odd = self.chance.random()
        if odd < 0.02:
            return '""'
        if odd < 0.04:
            return self.chance.choice(TEXTS)
        return self._composite(datatype, "^", table)

    def _composite(self, datatype: str, separator: str, table: str = "") -> str:
        parts = _components(datatype, self.version)
        if not parts or not separator:
            return self._primitive(datatype, table)
        inner = "&" if separator == "^" else ""
        texts = [
            self._composite(each.datatype, inner, each.table) if index == 0 or self.chance.random() < self.often else ""
            for index, each in enumerate(parts)
        ]
        return separator.join(texts).rstrip(separator)

    def _primitive(self, datatype: str, table: str) -> str:
        choose = self.chance.choice
        if datatype in ("DT", "DTM", "TS", "TSC"):
            text = choose(TIMES)
            return text + choose(ZONES) if len(text) > 9 and text.isdecimal() else text
        if datatype in ("NM", "SI"):
            return choose(NUMBERS)
        if datatype == "TM":
            return choose(("0930", "093015", "09", "2430", "093015.12+0800"))
        if datatype in ("ID", "IS"):
            known = sorted(v2tables.codes(table.removeprefix("HL7")))
            return choose(known) if known and self.chance.random() < 0.8 else choose(CODES)
        makers: tuple[Callable[[], str], ...] = (
            lambda: choose(NAMES), lambda: choose(CODES), lambda: choose(TEXTS), lambda: choose(SYSTEMS),
            lambda: f"N{self.chance.randrange(50)}", lambda: choose(NUMBERS),
        )  # fmt: skip
        return choose(makers)()


def _fields(segment: str, version: str) -> tuple[schema.FieldDefinition, ...]:
    try:
        return schema.fields(segment, version)
    except Configuration:
        return ()


def _components(datatype: str, version: str) -> tuple[schema.FieldDefinition, ...]:
    try:
        return schema.components(datatype, version)
    except Configuration:
        return ()


def invented(library: Library, name: str, chance: random.Random) -> bytes:
    """A message of a structure."""
    structure = library.structures[name]
    event = chance.choice([each for each in structure.events if "*" not in each] or [name])
    code, _, trigger = event.partition("_")
    inventor = Inventor(chance, chance.choice(VERSIONS), chance.choice((0.08, 0.2, 0.5)))
    declared = chance.choice(list(CHARSETS))
    head = (
        "MSH", "^~\\&", chance.choice(("LIS", "检验系统^1.2.3^ISO")), chance.choice(("EXAMPLE", "柳河医院")), "GW",
        "HUB", "20260312142500" + chance.choice(ZONES), "", f"{code}^{trigger}^{name}", "M1", "P", inventor.version,
        "", "", "", "", chance.choice(("", "CHN")), declared,
    )  # fmt: skip
    lines = ["|".join(head)]
    if "EVN" in _named(structure.root):
        lines.append(f"EVN|{trigger}|20260312142500")
    if "MSA" in _named(structure.root):
        lines.append("MSA|AA|M0")
    lines.extend(inventor.group(structure.root))
    return "".join(f"{line}\r" for line in lines).encode(CHARSETS[declared])


def _named(group: Group) -> set[str]:
    """The segments that a group names itself."""
    return {item.segment for item in group.items if item.group is None}
