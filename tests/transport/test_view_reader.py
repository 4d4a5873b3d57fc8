"""What a look at a view asks, in the SQL of each database; watermarks of every kind."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy.engine import Dialect

from gateway.errors import Configuration
from gateway.transport import database, watermark
from gateway.transport.view_reader import ViewReader

ZONE = "Asia/Shanghai"
DAY = datetime.fromisoformat("2001-01-01")
NOW = datetime(2026, 3, 12, 6, 0, tzinfo=UTC)  # 14:00 there


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[ViewReader]:
    connection = sqlite3.connect(tmp_path / "his.db")
    connection.execute('CREATE TABLE "V_检验 结果"("报告单号" TEXT, "序号" INTEGER, "a;b" TEXT, "修改时间" TEXT)')
    connection.close()
    engine = database.engine(f"sqlite:///{tmp_path}/his.db")
    with engine.connect() as open_:
        yield ViewReader(open_, "V_检验 结果")
    engine.dispose()


def dialect(name: str) -> Dialect:
    return sqlalchemy.create_mock_engine(f"{name}://", lambda _: None).dialect


def said(statement: sqlalchemy.Select[tuple[object]], name: str, view: ViewReader) -> str:
    made = statement.select_from(view._table).compile(dialect=dialect(name))
    return re.sub(r"\s+", " ", str(made))


QUOTES = {"postgresql": '""', "mysql": "``", "mssql": "[]", "oracle": '""', "sqlite": '""'}
LIMITS = {"mssql": "TOP", "oracle": "FETCH FIRST"}


@pytest.mark.parametrize("name", QUOTES)
def test_a_page_is_read_only_bounded_and_quoted(reader: ViewReader, name: str) -> None:
    asked = reader.page_statement(["报告单号"], "修改时间", after="2026-03-12 08:00:00", again=False, limit=500)
    text = said(asked, name, reader)
    left, right = QUOTES[name]
    assert text.startswith("SELECT DISTINCT")
    assert f"FROM {left}V_检验 结果{right}" in text
    assert f"{left}修改时间{right} >" in text
    assert f"ORDER BY {left}V_检验 结果{right}.{left}修改时间{right}" in text
    assert LIMITS.get(name, "LIMIT") in text
    assert "2026" not in text  # a bound parameter


@pytest.mark.parametrize("name", QUOTES)
def test_records_are_asked_for_by_bound_numbers(reader: ViewReader, name: str) -> None:
    text = said(reader.records_statement(["报告单号", "序号"], [("x' OR 1=1; --", 1), ("B2", 2)]), name, reader)
    assert "OR 1=1" not in text
    left, right = QUOTES[name]
    assert f"{left}a;b{right}" in text
    assert " AND " in text
    assert " OR " in text


def test_numbers_of_another_view_in_the_type_of_this_one(reader: ViewReader) -> None:
    assert reader._fit("序号", " 12 ") == 12
    assert reader._fit("序号", "B12") is None
    assert reader._fit("报告单号", 300001) == "300001"
    assert reader.spelt("A;B") == "a;b"
    with pytest.raises(Configuration, match="no such column"):
        reader.spelt("x")


# ---------------------------------------------------------------------------------------------- watermarks

MARKS = [
    7, 9_000_000_000, Decimal("9000000000"), 1.5, date(2026, 3, 12), NOW, NOW.replace(tzinfo=None), b"\x00\x00\x07\xd1",
    "2026031208:00:00", "2026-03-12 08:00:00", "2026-03-12 08:00:00.123", "20260312080000", "20260312", "2026/03/12",
    "2026-03-12T08:00:00  ",
]  # fmt: skip


@pytest.mark.parametrize("mark", MARKS, ids=str)
def test_a_watermark_is_kept_with_its_type(mark: watermark.Mark) -> None:
    assert watermark.read(watermark.written(watermark.plain(mark, "V.t"))) == mark
    before = watermark.earlier(mark, 600, "V.t")
    assert type(before) is type(mark)
    assert watermark.further(mark, before) == mark
    assert watermark.further(before, mark) == mark
    assert not isinstance(mark, str) or len(str(before)) == len(mark)


@pytest.mark.parametrize("mark", [True, None, "血常规", "", "12", [1]])
def test_what_is_no_watermark_is_told(mark: object) -> None:
    with pytest.raises(Configuration, match="neither a time nor a number"):
        watermark.plain(mark, "V.t")


@pytest.mark.parametrize(("mark", "capped"), [
    ("2099010100:00:00", "2026031214:00:00"),
    ("2026031213:59:59", "2026031213:59:59"),
    (datetime.max.replace(tzinfo=UTC), NOW),
    ((NOW + timedelta(days=9)).replace(tzinfo=None), (NOW + timedelta(hours=8)).replace(tzinfo=None)),
    (date(2099, 1, 1), date(2026, 3, 12)),
    (99999999999, 99999999999),
])  # fmt: skip
def test_a_position_never_lies_in_the_future(mark: watermark.Mark, capped: watermark.Mark) -> None:
    assert watermark.no_later(mark, NOW, ZONE, "V.t") == capped


@given(
    moment=some.integers(0, 10**9).map(lambda seconds: DAY + timedelta(seconds=seconds)),
    seconds=some.integers(0, 10**6),
)
def test_the_overlap_of_a_text_is_that_of_its_time(moment: datetime, seconds: int) -> None:
    for form in ("%Y%m%d%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S"):
        text = moment.strftime(form)
        assert watermark.earlier(text, seconds, "V.t") == (moment - timedelta(seconds=seconds)).strftime(form)
        assert str(watermark.earlier(text, seconds, "V.t")) <= text  # texts of one form sort like their times
