"""Records that the export maps themselves suggest: codes of their tables, dates in every form, numbers, dirt."""

from __future__ import annotations

from random import Random
from typing import Any

from gateway.codec.table import clean
from gateway.mapping import paths
from gateway.mapping.accounting.files import Reading
from gateway.mapping.codetables import BUILT
from gateway.mapping.library import Library
from gateway.mapping.syntax import Block, Export
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
NAMES = ("A12345", "张伟", "内科", "李娜", "欧阳·买买提", "𬭎陂镇卫生院", "心电图，常规；加做", "Ⅱ级护理")
CARDED = ("card", "paper", "birth")
CARDS = ("529901195804120111", "52990119790101002X", "H12345678", "E12345678", "", "身份证遗失", "529901198503120023")
NUMBERED = ("own", "given")  # what tells one record from another
PEOPLE = ("staff", "institution")  # known by the number in a cell beside


def cell(name: str, readings: list[Reading], library: Library, random: Random) -> str:
    """What may stand in a column: mostly what its lines read, sometimes anything."""
    if any(each.line.datatype in CARDED for each in readings):
        return random.choice(CARDS)
    if any(each.line.datatype == "uid" for each in readings):
        return f"1.2.826.0.1.3680043.9.{random.randrange(3)}"
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


def rows(
    export: Export,
    mapped: dict[str, dict[str, list[Reading]]],
    library: Library,
    random: Random,
    earlier: list[dict[str, str]],
) -> list[dict[str, str]]:
    """The rows of a table: of a few orders, visits and people, of which each row says the same, here and in the tables
    before."""
    keys = {name for block in export.blocks for name in block.rows_by or ()}
    own = _own_numbers(export, library)
    made: list[dict[str, str]] = []
    for _ in range(random.randint(1, 4)):
        one = {name: cell(name, readings, library, random) for name, readings in mapped[""].items()}
        for name in sorted(keys):
            if not any(each.line.datatype in (*CARDED, "uid") for each in mapped[""].get(name, ())):
                one[name] = f"K{random.choice(ones(f'{export.name} {name}' if name in own else name))}"
        for block in [*reversed(export.blocks)] * 3:  # what is said of an order says whose it is
            alike = (
                each for each in [*earlier, *made] if all(each.get(key) == one.get(key) for key in block.rows_by or ())
            )
            if block.rows_by and (other := next(alike, None)):
                about = [name for each in _about(export, block) for name in _read(mapped[""], each)]
                one |= {name: other[name] for name in about if name in other}
        made.append(dict.fromkeys(export.columns, "") | one)
    earlier.extend(made)
    return made


def _about(export: Export, block: Block) -> list[Block]:
    """A block, and what it refers to: the visit of an order, the person of the visit."""
    types, found = {block.type}, [block]
    while more := [
        each
        for each in export.blocks
        if each not in found
        and any(line.link and line.link.type == each.type for one in found for line in one.lines)
        and each.rows_by
        and not types & {each.type}
    ]:
        found += more
        types |= {each.type for each in more}
    return found


def _own_numbers(export: Export, library: Library) -> set[str]:
    """What its leads are named by, where no other export asks for them: a laboratory's report is none of imaging."""
    found = {block.type for each in library.exports.values() for block in each.blocks if block.found}
    if export.lead in found:
        return set()
    return {name for block in export.blocks if block.type == export.lead for name in block.rows_by or ()}


def ones(name: str) -> tuple[int, ...]:
    """The numbers that stand in a column: the same in every table that has it."""
    start = sum(map(ord, name)) * 7
    return start, start + 1, start + 2


def _read(columns: dict[str, list[Reading]], block: Block) -> list[str]:
    """The columns that a block reads or is named by."""
    return [name for name, readings in columns.items() if any(each.block is block for each in readings)] + list(
        block.rows_by or ()
    )


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
