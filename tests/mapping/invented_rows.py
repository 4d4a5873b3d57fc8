"""Records that the export maps themselves suggest: codes of their tables, dates in every form, numbers, dirt."""

from __future__ import annotations

from random import Random
from typing import Any

from gateway.codec.table import clean
from gateway.mapping import paths
from gateway.mapping.accounting.files import Reading
from gateway.mapping.codetables import BUILT
from gateway.mapping.library import Library
from gateway.mapping.syntax import Export
from gateway.mapping.tree_paths import placed, put

TIMES = (
    "2026-03-12 07:39:00", "2026/3/12 7:39", "20260312073900", "2026031207:39:00", "2026-03-12", "2026年3月12日",
    "0000-00-00", "1900-01-01", "9999-12-31 00:00:00", "昨天", "2026-13-45", "2026-03-12T07:39:00.5",
)  # fmt: skip
RESULTS = (
    "13.6", "5.60", "<0.05", "＜0.05", "＞100", "阴性(-)", "+++", "1+", "±", "阳性", "1:160", "未见异常", "-1.5",
    "1,234.5", "１３.６", "见备注", "O型", "溶血", "0", "3-5/HP", "12.", ".5", "1e3", "--",
)  # fmt: skip
DIRT = (
    "", "=1+1", "'=1", "@x", "-", "/", "无", "不详", "NULL", " 张 伟 ", "欧阳·买买提", "周玘硚", "a;b；c", 'a,b"c',
    "x\ny", "a^b|c~d&e\\f", "0101", "529901195804120111", "52990119580412011X", "1.2.3", "H1234567890",
    "19900000001",
    "+86 139-0000-0000", "1", "2", "9", "是", "否", "3.5-9.5", "<5.2", "男:3-5 女:2-4", "阴性", "↑", "★", "mmol/L",
)  # fmt: skip
NAMES = ("A12345", "张伟", "内科", "李娜")
NUMBERED = ("own", "given")  # what tells one record from another
PEOPLE = ("staff", "institution")  # known by the number in a cell beside


def cell(name: str, readings: list[Reading], library: Library, random: Random) -> str:
    """What may stand in a column: mostly what its lines read, sometimes anything."""
    beside = all(each.line.datatype in PEOPLE and each.line.sources[0].name != name for each in readings)
    if beside or any(each.line.datatype in NUMBERED for each in readings):
        return f"K{random.randrange(10**6)}"
    if random.random() < 0.25:
        return clean(random.choice(DIRT))
    return random.choice([text for each in readings for text in _pool(each, library)])


def _pool(reading: Reading, library: Library) -> list[str]:
    line = reading.line
    tables = [line.codes] if line.codes else [each.name for each in line.arguments] if line.datatype in BUILT else []
    codes = [code for name in tables if name in library.codes for code in library.codes[name].into if code != "*"]
    kind = paths.resolve(reading.block.path, line, library.systems).leaf.type
    if codes or kind in ("date", "dateTime", "instant"):
        return codes or list(TIMES)
    return list(RESULTS if kind in ("", "Quantity") else NAMES)


def row(
    export: Export, mapped: dict[str, dict[str, list[Reading]]], library: Library, random: Random
) -> dict[str, str]:
    """One row of a table."""
    made = {name: cell(name, readings, library, random) for name, readings in mapped[""].items()}
    keys = [name for block in export.blocks for name in block.rows_by or ()]
    return dict.fromkeys(export.columns, "") | made | {name: f"K{random.randrange(10**6)}" for name in keys}


def tree(export: Export, mapped: dict[str, dict[str, list[Reading]]], library: Library, random: Random) -> Any:
    """A tree with one record, and one node at each of its places."""
    root: dict[str, Any] = {}
    record: dict[str, Any] = {}
    for around, columns in mapped.items():
        node: dict[str, Any] = {}
        for name, readings in columns.items():
            if text := cell(name, readings, library, random):
                put(root if name.startswith("/") else node, name.lstrip("/"), text)
        if not around:
            record |= node
        elif random.random() < 0.85:
            placed(record, around, [node] if _several(columns) else node)
    for name in export.columns:
        record.setdefault(name, {} if name in mapped else "1")
    placed(root, export.each, [record])
    return root


def _several(columns: dict[str, list[Reading]]) -> bool:
    blocks = [each.block for readings in columns.values() for each in readings]
    return any(block.element or block.type not in ("Patient", "Organization") for block in blocks)
