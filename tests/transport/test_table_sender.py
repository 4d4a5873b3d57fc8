"""Rows into a middle table: whole or not at all, once however often they are sent, nothing cut, nothing as a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.engine import Connection

from conformance import databases
from gateway.codec import rows
from gateway.errors import Ambiguous, Configuration, HutongError, Permanent, Transient
from gateway.model import Table
from gateway.transport import database, table_sender
from gateway.transport.table_sender import TableSender
from tests.polling.rooms import change
from tests.transport.lines import delivery

SERVERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in databases.KINDS]
COLUMNS = ("报告单号", "序号", "结果", "报告时间", "备注", rows.WITHDRAWN)
NAMES = {"报告单号": "bgdh", "序号": "xh", "结果": "jg", "报告时间": "bgsj"}
SETTINGS = Table(name="JYJG", columns=NAMES, delivery="jhlsh", number="hh", withdrawn="cxbz", constants={"clbz": "0"})


@pytest.fixture(scope="module", params=["sqlite", *SERVERS])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("middle") / "middle.db"
        path.touch()
        yield f"sqlite:///{path}"
        return
    try:
        with databases.KINDS[request.param]() as server:
            yield server.url
    except databases.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def table(url: str) -> str:
    time = "DATETIME" if "mariadb" in url else "TIMESTAMP"
    change(
        url,
        "DROP TABLE IF EXISTS JYJG",
        f"CREATE TABLE JYJG(jhlsh VARCHAR(20), hh INT, bgdh VARCHAR(20) NOT NULL, xh BIGINT, jg VARCHAR(12), "
        f"bgsj {time}, cxbz CHAR(1), clbz INT NOT NULL, PRIMARY KEY (jhlsh, hh))",
    )
    return url


def body(*results: str, report: str = "B1", withdrawn: str = "", moment: str = "2026-03-12 14:20:00") -> bytes:
    cells = tuple((report, str(count), each, moment, "x", withdrawn) for count, each in enumerate(results, 1))
    return rows.encode([rows.Sheet(name="his-results", columns=COLUMNS, cells=cells)])


def there(url: str, what: str = "jhlsh, hh, bgdh, xh, jg, cxbz, clbz") -> list[tuple[Any, ...]]:
    engine = database.engine(url)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(f"SELECT {what} FROM JYJG ORDER BY jhlsh, hh")]


async def sent(url: str, *bodies: bytes, settings: Table = SETTINGS, key: str = "K1") -> list[str]:
    sender = TableSender(url, settings)
    try:
        return [(await sender.send(each, delivery(idempotency=key))).code for each in bodies]
    finally:
        await sender.close()


async def test_rows_by_the_receivers_own_columns(table: str) -> None:
    assert await sent(table, body("5.60", "'; DROP TABLE JYJG; --"[:12])) == ["written"]
    assert there(table) == [
        ("K1", 1, "B1", 1, "5.60", "0", 0),
        ("K1", 2, "B1", 2, "'; DROP TABL", "0", 0),
    ]
    assert str(there(table, "bgsj")[0][0]).startswith("2026-03-12 14:20:00")


async def test_twice_is_once(table: str) -> None:
    assert await sent(table, body("1", "2"), body("1", "2")) == ["written", "there"]
    assert await sent(table, body("1", "2")) == ["there"]
    assert len(there(table)) == 2
    assert await sent(table, body("3"), key="K2") == ["written"]
    assert len(there(table)) == 3


async def test_what_was_withdrawn_is_a_row_that_says_so(table: str) -> None:
    await sent(table, body("1"))
    await sent(table, body("1", withdrawn="1"), key="K2")
    assert there(table, "jhlsh, cxbz") == [("K1", "0"), ("K2", "1")]


async def test_a_key_writes_over_what_is_there(table: str) -> None:
    settings = Table(name="jyjg", columns=NAMES, key=("BGDH", "xh"), constants={"clbz": "0", "jhlsh": "-", "hh": "1"})
    change(table, "ALTER TABLE JYJG RENAME TO old", "CREATE TABLE JYJG AS SELECT * FROM old", "DROP TABLE old")
    await sent(table, body("1", "2"), settings=settings)
    await sent(table, body("1", "9", "3"), settings=settings, key="K2")
    assert there(table, "bgdh, xh, jg") == [("B1", 1, "1"), ("B1", 2, "9"), ("B1", 3, "3")]


async def test_all_or_nothing(table: str) -> None:
    """The third row breaks a rule of the table."""
    change(table, "CREATE UNIQUE INDEX one_result ON JYJG (bgdh, jg)")
    with pytest.raises(Permanent) as refused:
        await sent(table, body("1", "2", "1"))
    assert refused.value.place == "JYJG"
    assert "B1" not in str(refused.value)
    assert there(table) == []
    assert await sent(table, body("1", "2")) == ["written"]


@pytest.mark.parametrize(("body_", "place", "cause"), [
    (body("1234567890123"), "JYJG.jg", "a value is no text that is so short"),
    (body("1", moment="下午"), "JYJG.bgsj", "a value is no date with a time"),
    (body("1", moment="2026-13-12"), "JYJG.bgsj", "a value is no date with a time"),
])  # fmt: skip
async def test_what_does_not_fit_is_told_and_never_cut(table: str, body_: bytes, place: str, cause: str) -> None:
    if "sqlite" in table and place.endswith("jg"):
        change(table, "DROP TABLE JYJG", "CREATE TABLE JYJG(jhlsh, hh, bgdh, xh, jg VARCHAR(12), bgsj, cxbz, clbz)")
    with pytest.raises(Permanent) as refused:
        await sent(table, body_)
    assert (refused.value.place, refused.value.cause) == (place, cause)
    assert there(table) == []


@pytest.mark.parametrize(("settings", "place", "cause"), [
    (Table(name="ABSENT", delivery="jhlsh"), "ABSENT", "there is no such view or table"),
    (Table(name="JYJG", delivery="nothing"), "JYJG.nothing", "the table has no such column"),
    (Table(name="JYJG", delivery="jhlsh", columns={"结果": "x; --"}), "JYJG.x; --", "the table has no such column"),
    (Table(name="JYJG", delivery="jhlsh", columns={"没有": "jg"}), "table.columns.没有", "the map has no such column"),
])  # fmt: skip
async def test_settings_that_do_not_fit_the_table(table: str, settings: Table, place: str, cause: str) -> None:
    with pytest.raises(Configuration) as refused:
        await sent(table, body("1"), settings=settings)
    assert (refused.value.place, refused.value.cause) == (place, cause)


async def test_columns_of_the_same_name_need_no_settings(url: str) -> None:
    change(
        url,
        "DROP TABLE IF EXISTS JYJG",
        "CREATE TABLE JYJG(jhlsh VARCHAR(20), hh INT, 报告单号 VARCHAR(20), 结果 VARCHAR(9))",
    )
    await sent(url, body("阳性"), settings=Table(name="JYJG", delivery="jhlsh", number="hh"))
    assert there(url, "jhlsh, 报告单号, 结果") == [("K1", "B1", "阳性")]


async def test_a_commit_whose_answer_is_lost_doubles_nothing(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(connection: Connection, place: str) -> None:
        connection.commit()
        raise Ambiguous("the answer to the commit did not come", place=place)

    with monkeypatch.context() as patch:
        patch.setattr(table_sender, "_commit", lost)
        with pytest.raises(Ambiguous):
            await sent(table, body("1", "2"))
    assert await sent(table, body("1", "2")) == ["there"]
    assert len(there(table)) == 2


async def test_two_attempts_at_one_moment_double_nothing(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is still under way in the server when the second looks: the unique index tells."""
    looked: list[bool] = []
    real = TableSender._there

    def blind_at_first(self: TableSender, *given: Any) -> bool:
        looked.append(True)
        return len(looked) > 1 and real(self, *given)

    await sent(table, body("1", "2"))
    monkeypatch.setattr(TableSender, "_there", blind_at_first)
    assert await sent(table, body("1", "2")) == ["there"]
    assert len(there(table)) == 2


async def test_a_database_that_is_not_there(tmp_path: Any) -> None:
    with pytest.raises(Transient):
        await sent(f"sqlite:///{tmp_path}/none.db", body("1"))


@pytest.mark.slow
async def test_a_database_that_goes_away_and_a_table_without_transactions() -> None:
    try:
        with databases.mariadb() as server:
            create = "CREATE TABLE JYJG(jhlsh VARCHAR(20), hh INT, 结果 VARCHAR(9)) ENGINE="
            settings = Table(name="JYJG", delivery="jhlsh", number="hh")
            change(server.url, create + "MyISAM")
            with pytest.raises(Configuration, match="keeps no transactions"):
                await sent(server.url, body("1"), settings=settings)
            change(server.url, "DROP TABLE JYJG", create + "InnoDB CHARACTER SET latin1")
            with pytest.raises(HutongError) as refused:  # a latin1 column would keep question marks
                await sent(server.url, body("阳性"), settings=settings)
            assert isinstance(refused.value, Permanent)
            assert there(server.url, "结果") == []
            sender = TableSender(server.url, settings)
            assert (await sender.send(body("1"), delivery(idempotency="K1"))).code == "written"
            server.stop()
            with pytest.raises(Transient):
                await sender.send(body("2"), delivery(idempotency="K2"))
            server.start()
            assert (await sender.send(body("2"), delivery(idempotency="K2"))).code == "written"
            await sender.close()
    except databases.Unavailable as reason:
        pytest.skip(str(reason))


def test_names_are_quoted_and_values_bound_in_every_dialect() -> None:
    target = sqlalchemy.table("检验 结果", sqlalchemy.column('a"b'), sqlalchemy.column("order"), schema="dbo")
    for dialect, quotes in {"mssql": "[]", "oracle": '""', "mysql": "``", "postgresql": '""'}.items():
        made = sqlalchemy.insert(target).values({'a"b': "x'; --", "order": "y"})
        text = str(made.compile(dialect=sqlalchemy.create_mock_engine(f"{dialect}://", lambda _: None).dialect))
        assert "x'" not in text
        assert f"{quotes[0]}检验 结果{quotes[1]}" in text
        assert f"{quotes[0]}order{quotes[1]}" in text.lower()
