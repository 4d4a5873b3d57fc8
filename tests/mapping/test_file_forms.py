"""Normal forms of exports hold only where what they say of the record is true."""

from __future__ import annotations

import pytest

from gateway.mapping.accounting.file_forms import Form, declared, lines
from tests.mapping.house import maps
from tests.mapping.test_invented_rows import files

SENT = {"结果": "阴性", "单位": "mg/L", "异常提示": "↑", "备注": "--", "空": ""}
WRITTEN = {"说明": "阴性;溶血"}


@pytest.mark.parametrize(
    ("when", "column", "holds"),
    [
        ("always", "结果", True),
        ("words 结果", "单位", True),
        ("words 单位 and !结果", "单位", False),
        ("!空 and 结果", "单位", True),
        ("!结果", "异常提示", False),
        ("!备注", "异常提示", True),
        ("nothing", "备注", True),
        ("nothing", "结果", False),
        ("in 说明", "结果", True),
        ("in 说明", "单位", False),
        ("结果 = 阴性", "单位", True),
        ("!结果 or 结果 = 阳性", "单位", False),
    ],
)
def test_a_form_holds_where_it_says(when: str, column: str, holds: bool) -> None:
    said = Form(when, "-").holds(column, lambda name: SENT.get(name, ""), lambda name: WRITTEN.get(name, ""))
    assert said is holds


def test_every_form_is_of_a_column_that_a_map_reads_and_writes() -> None:
    for export, column in declared():
        mapped = files(export).mapped
        assert any(column == (f"{around}/{name}" if around else name) for around in mapped for name in mapped[around])


def test_every_form_is_told() -> None:
    assert len(list(lines())) == sum(map(len, declared().values()))
    assert {line.partition("/")[0] for line in lines()} <= set(maps().library.exports)
