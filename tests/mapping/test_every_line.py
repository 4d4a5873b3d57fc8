"""Every line of every map and every code of every table is at work in an example; a changed map is a changed one."""

from __future__ import annotations

from functools import cache

import pytest

from gateway.mapping import examples
from gateway.mapping.syntax import Block, Line
from tests.mapping.every_line import codes, golden
from tests.mapping.every_line.cover import named, speaking
from tests.mapping.house import maps

REGENERATE = "look at it, then: python -m tests.mapping.generated --accept"


@pytest.mark.slow
def test_all_of_them_are_as_they_say() -> None:
    assert list(golden.differences(maps())) == [], REGENERATE


def test_they_are_few_and_short() -> None:
    size = sum(path.stat().st_size for path in golden.FOLDER.rglob("*") if path.is_file())
    assert size < 3_000_000


def lines() -> list[tuple[Block, Line]]:
    return [(block, line) for block in maps().library.blocks if block.into for line in block.lines if line.into]


def declared() -> dict[str, str]:
    """'patient.map Patient.gender PID-8' → why no generated message shows it."""
    rows = (each.split("\t") for each in golden.SILENT.read_text(encoding="utf-8").splitlines() if each[:1] != "#")
    return {row[0]: row[1] for row in rows}


@cache
def silent() -> frozenset[str]:
    """The lines that make nothing in any example."""
    bodies = [path.read_bytes() for path in examples.inputs(golden.FOLDER)]
    spoken = {place for body in bodies for place in speaking(maps(), body)}
    return frozenset(named(block, line) for block, line in lines() if str(line.place) not in spoken)


@pytest.mark.slow
def test_every_line_is_at_work_or_it_is_said_why_not() -> None:
    assert sorted(silent() - set(declared())) == [], REGENERATE


def test_what_is_declared_silent_is_silent_for_a_reason() -> None:
    assert sorted(set(declared()) - silent()) == []
    assert all(declared().values())


@pytest.mark.parametrize("name", sorted(maps().library.codes))
def test_every_code_of_a_table_is_in_the_list(name: str) -> None:
    rows = [row.split("\t") for row in codes.FILE.read_text(encoding="utf-8").splitlines()]
    table = maps().library.codes[name]
    assert [row[2] for row in rows if row[:2] == [name, "into"]] == list(table.into)
    assert [row[2:] for row in rows if row[:2] == [name, "back"]] == [list(each) for each in table.back.items()]
