"""Views of a member's database, polled: every record once, changed ones again, late ones found, nothing split."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conformance import databases
from gateway import stateless
from gateway.errors import HutongError, Transient
from gateway.journal import polled
from gateway.journal.work import load as load_entry
from gateway.polling import poller
from gateway.polling.poller import ALARM, ORPHANS
from gateway.transport.view_reader import ViewReader
from tests.polling.rooms import House, change, house, numbers
from tests.transport.county import EXPECTED, load

pytestmark = pytest.mark.slow  # real databases

SERVERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in databases.KINDS]
RESULT = "SELECT * FROM HIS_BGMX"
REPORT = "B20260312001L"  # 13 results
TOUCH = f"UPDATE HIS_BG SET xgsj = '2026040108:30:00' WHERE bgdh = '{REPORT}'"


@pytest.fixture
def county(tmp_path: Path) -> Iterator[House]:
    path = tmp_path / "his.db"
    path.touch()
    load(f"sqlite:///{path}")
    with house(tmp_path / "gateway", f"sqlite:///{path}") as made:
        yield made


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[databases.Server]:
    try:
        with databases.KINDS[request.param]() as made:
            load(made.url)
            yield made
    except databases.Unavailable as reason:
        pytest.skip(str(reason))


def facts(there: House) -> dict[str, int]:
    return {name: there.count(name) for name in EXPECTED["counts"] if name != "Observation_lab"}


def all_is_there(there: House) -> bool:
    wanted = dict(EXPECTED["counts"])
    laboratory = wanted.pop("Observation_lab")
    return facts(there) == wanted and there.count("Observation") == laboratory + 14


def test_everything_is_taken_once_and_each_entry_speaks_for_itself(county: House) -> None:
    entries = county.look()
    assert Counter(each[0].name for each in entries) == {
        "V_就诊信息": 30, "V_申请单": 52, "V_检查报告": 14, "V_检验结果": 33,
    }  # fmt: skip
    assert all(len(set(numbers(each, "报告单号"))) == 1 for each in entries if "报告单号" in each[0].columns)
    assert sum(len(each[0].cells) for each in entries if each[0].name == "V_检验结果") == 220
    assert Counter(county.process()) == {"done": len(entries)}
    assert all_is_there(county)
    assert county.problems() == {}
    assert all(report["subject"] for report in county.search("DiagnosticReport?_count=100"))


def test_the_same_is_not_taken_again_not_even_after_a_start(county: House) -> None:
    county.look()
    assert county.look() == []
    county.poller = county.fresh()
    assert county.look() == []


def test_a_changed_row_brings_its_whole_report(county: House) -> None:
    county.look()
    county.process()
    before = county.count("Observation")
    county.change(f"UPDATE HIS_BGMX SET jg = '99.9' WHERE bgdh = '{REPORT}' AND xh = 1", TOUCH)
    (entry,) = county.look()
    assert len(entry[0].cells) == 13
    assert [each.name for each in entry] == ["V_检验结果", "V_申请单", "V_就诊信息"]
    assert county.process()[-1] == "done"
    assert county.count("Observation") == before
    changed = [each for each in county.search("Observation?_count=500") if each["meta"]["versionId"] != "1"]
    assert [str(each["valueQuantity"]["value"]) for each in changed] == ["99.9"]


def test_back_to_what_it_was_is_a_change_too(county: House) -> None:
    county.look()
    old = sqlite3.connect(county.url.removeprefix("sqlite:///"))
    (was,) = old.execute(f"SELECT jg FROM HIS_BGMX WHERE bgdh = '{REPORT}' AND xh = 1").fetchone()
    old.close()
    for value in ("99.9", was):
        county.change(f"UPDATE HIS_BGMX SET jg = '{value}' WHERE bgdh = '{REPORT}' AND xh = 1", TOUCH)
        assert len(county.look()) == 1
    county.process()
    assert not [each for each in county.search("Observation?_count=500") if "99.9" in str(each.get("valueQuantity"))]


def test_a_watermark_that_was_only_touched_is_no_change(county: House) -> None:
    county.look()
    county.change(TOUCH)
    assert county.look() == []


def test_a_late_row_is_found_within_the_overlap(county: House) -> None:
    county.look()
    visit = "INSERT INTO HIS_JZXX SELECT '{}', patid, jzlb, mzzyh, ksdm, ksmc, bqmc, cwh, ysdm, ysmc, ksrq, jsrq, zddm, zdmc, rytj, lyfs, jlzt, '{}' FROM HIS_JZXX WHERE jzlsh = 'H2026032300030'"  # noqa: E501
    county.change(visit.format("LATE1", "2026032409:00:00"))  # the last visit is of 09:05:00
    (entry,) = county.look()
    assert numbers(entry, "就诊流水号") == ["LATE1"]
    county.change(visit.format("LATE2", "2026032408:00:00"))
    assert county.look() == []  # later than the overlap allows: the settings say how late rows may be


def test_a_row_that_is_gone_is_not_a_cancelled_one(county: House) -> None:
    county.look()
    county.process()
    there = facts(county)
    county.change("DELETE FROM HIS_SQD WHERE sqdh = 'L20260323050'")
    county.look()
    county.process()
    assert facts(county) == there
    assert not county.search("ServiceRequest?status=entered-in-error")


def test_a_cancel_flag_comes_as_a_changed_row(county: House) -> None:
    county.look()
    county.process()
    before = len(county.search("ServiceRequest?status=revoked&_count=100"))
    county.change("UPDATE HIS_SQD SET jlzt = 9, xgsj = '2026040108:00:00' WHERE sqdh = 'X20260322045'")
    (entry,) = county.look()
    assert numbers(entry, "状态") == ["9"]
    county.process()
    assert len(county.search("ServiceRequest?status=revoked&_count=100")) == before + 1


@pytest.mark.parametrize(("page", "together"), [(1, 1), (2, 3), (7, 2)])
def test_small_pages_lose_and_split_nothing(
    county: House, monkeypatch: pytest.MonkeyPatch, page: int, together: int
) -> None:
    """With pages this small, rows that share a watermark (13 of a report) fill more than one."""
    monkeypatch.setattr(poller, "PAGE", page)
    monkeypatch.setattr(poller, "TOGETHER", together)
    assert len(county.look()) == 129
    assert sorted(len(each[0].cells) for each in map(county.sheets, range(97, 130)))[-1] == 13
    assert county.look() == []
    county.process()
    assert all_is_there(county)


def test_all_rows_with_one_watermark(county: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "PAGE", 5)
    county.change("UPDATE HIS_JZXX SET xgsj = '2026032008:00:00'")
    assert sum(each[0].name == "V_就诊信息" for each in county.look()) == 30


def test_a_result_waits_for_its_order(county: House) -> None:
    path = county.url.removeprefix("sqlite:///")
    keep = sqlite3.connect(path)
    order = keep.execute("SELECT * FROM HIS_SQD WHERE sqdh = 'L20260312001'").fetchone()
    keep.close()
    county.change("DELETE FROM HIS_SQD WHERE sqdh = 'L20260312001'")
    assert len(county.look()) == 127  # neither the order nor its report
    assert county.look() == []
    assert county.problems() == {}
    values = ", ".join("NULL" if each is None else repr(each) for each in order)
    county.change(
        f"INSERT INTO HIS_SQD VALUES ({values})",
        "UPDATE HIS_SQD SET xgsj = '2026040109:00:00' WHERE sqdh = 'L20260312001'",
    )
    found = county.look()
    assert sorted(each[0].name for each in found) == ["V_检验结果", "V_申请单"]
    assert county.look() == []
    assert set(county.process()) == {"done"}
    assert all_is_there(county)


def test_a_result_whose_order_never_comes_is_kept_all_the_same(county: House) -> None:
    county.change("DELETE FROM HIS_SQD WHERE sqdh = 'L20260312001'")
    county.look(minutes=ORPHANS.total_seconds() / 60 + 1)
    (entry,) = county.look()
    assert [each.name for each in entry] == ["V_检验结果"]
    assert county.look() == []
    with county.journal.reading() as reader:
        waiting = {each.view: each.orphans for each in polled.everything(reader)}
    assert waiting["V_检验结果"] == 1
    assert county.process()[-1] == "parked"  # whose it is, nothing tells
    assert "V_申请单" in county.lines()[-1].cause


def test_a_view_of_results_alone_is_told(tmp_path: Path) -> None:
    path = tmp_path / "his.db"
    path.touch()
    load(f"sqlite:///{path}")
    views = "          - {view: V_检验结果, watermark: 修改时间}\n"
    with house(tmp_path / "gateway", f"sqlite:///{path}", views=views) as made:
        assert made.look() == []
        assert made.problems() == {
            "V_检验结果": ("V_检验结果.申请单号", "no view that is polled tells of its ServiceRequest")
        }


def test_a_wrong_clock_hides_nothing(county: House) -> None:
    county.change("UPDATE HIS_SQD SET xgsj = '2099010100:00:00' WHERE sqdh = 'L20260312001'")
    county.look()
    assert county.look() == []
    county.change("UPDATE HIS_SQD SET jlzt = 9, xgsj = '2026040108:20:00' WHERE sqdh = 'L20260312002'")
    assert [numbers(each, "申请单号") for each in county.look()] == [["L20260312002"]]


def test_rows_without_a_watermark_are_told(county: House) -> None:
    county.change("UPDATE HIS_SQD SET xgsj = NULL WHERE sqdh IN ('L20260312001', 'L20260312002')")
    county.look()
    assert county.problems() == {"V_申请单": ("V_申请单.修改时间", "2 rows have no watermark: they are never found")}
    county.look()
    assert "V_申请单" in county.problems()
    county.change("UPDATE HIS_SQD SET xgsj = '2026040108:20:00' WHERE xgsj IS NULL")
    county.look(minutes=20)
    county.look()
    assert county.problems() == {}


def test_a_column_that_is_gone_stops_its_view_alone(county: House) -> None:
    county.look()
    county.change(
        "DROP VIEW V_申请单",
        "CREATE VIEW V_申请单 AS SELECT sqdh AS 申请单号, jzlsh AS 就诊流水号, sqlb AS 申请类别, xmdm AS 项目代码, "
        "xmmc AS 项目名称, sqrq AS 申请时间, jlzt AS 状态, xgsj AS 修改时间 FROM HIS_SQD",
        "UPDATE HIS_SQD SET xgsj = '2026040108:20:00'",
        "UPDATE HIS_JZXX SET jlzt = 9, xgsj = '2026040108:20:00' WHERE jzlsh = 'H2026031200001'",
    )
    assert [each[0].name for each in county.look()] == ["V_就诊信息"]
    place, cause = county.problems()["V_申请单"]
    assert cause == "a column of the view is gone"
    assert place.startswith("V_申请单.")


def test_a_column_that_is_gone_may_be_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "his.db"
    path.touch()
    load(f"sqlite:///{path}")
    views = "          - {view: V_申请单, watermark: 修改时间, without: [检查部位, 标本]}\n"
    views += "          - {view: V_就诊信息, watermark: 修改时间}\n"
    with house(tmp_path / "gateway", f"sqlite:///{path}", views=views) as made:
        entries = made.look()
        assert len(entries) == 82
        assert not {"检查部位", "标本"} & set(entries[0][0].columns)


@pytest.mark.parametrize(("view", "place", "cause"), [
    ("{view: V_申请单, watermark: 不存在}", "V_申请单.不存在", "the view has no such column"),
    ("{view: V_没有, watermark: 修改时间}", "V_没有", "there is no such view or table"),
    ("{view: V_单, watermark: 时间}", "V_单", "no map knows a view with these columns"),
    ("{view: V_申请单, watermark: 项目名称}", "V_申请单.项目名称", "the watermark is neither a time nor a number"),
])  # fmt: skip
def test_what_is_wrong_with_a_view_is_told(tmp_path: Path, view: str, place: str, cause: str) -> None:
    path = tmp_path / "his.db"
    path.touch()
    load(f"sqlite:///{path}")
    change(f"sqlite:///{path}", "CREATE VIEW V_单 AS SELECT sqdh AS 单, xgsj AS 时间 FROM HIS_SQD")
    views = f"          - {view}\n          - {{view: V_就诊信息, watermark: 修改时间}}\n"
    with house(tmp_path / "gateway", f"sqlite:///{path}", views=views) as made:
        assert len(made.look()) == 30
        assert list(made.problems().values()) == [(place, cause)]


def test_a_database_that_is_away_is_told_once_and_then_loudly(county: House, tmp_path: Path) -> None:
    county.look()
    path = Path(county.url.removeprefix("sqlite:///"))
    path.rename(tmp_path / "away.db")
    assert 0 < county.poller.round() <= 60
    county.poller.round()
    assert county.problems()[""][1] == "there is no such file"
    county.now += ALARM + timedelta(minutes=1)
    assert 0 < county.poller.round() <= 60
    (tmp_path / "away.db").rename(path)
    assert county.poller.round() == 1.0  # `every`
    assert county.problems() == {}


def test_a_view_that_does_not_answer_in_time_holds_up_no_other(county: House, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ViewReader.page

    def slow(self: ViewReader, *given: object, **said: object) -> object:
        if self.name == "V_就诊信息":
            raise Transient("the view did not answer in time", place=self.name)
        return page(self, *given, **said)  # type: ignore[arg-type]

    monkeypatch.setattr(ViewReader, "page", slow)
    assert county.poller.round() != 1.0  # later and later
    assert len(county.lines()) == 99
    assert county.problems()["V_就诊信息"] == ("V_就诊信息", "the view did not answer in time")
    monkeypatch.setattr(ViewReader, "page", page)
    assert county.poller.round() == 1.0
    assert (len(county.lines()), county.problems()) == (129, {})


def test_a_disk_that_fails_between_entries_and_position_leaves_neither(
    county: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Position and digests are of the same transaction: what falls takes its entries with it."""
    calls = 0

    def failing(*given: object, **said: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Transient("the disk is full", place="journal.sqlite")
        take(*given, **said)  # type: ignore[arg-type]

    take = polled.take
    monkeypatch.setattr(polled, "take", failing)
    with pytest.raises(HutongError):
        county.look()
    some = len(county.lines())
    assert 0 < some < 129
    county.poller = county.fresh()
    county.look()
    assert len(county.lines()) == 129
    county.process()
    assert all_is_there(county)


def test_a_stop_in_the_middle_goes_on_later(county: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "TOGETHER", 4)
    write = poller.Poller._write

    def stopping(self: poller.Poller, *given: object) -> None:
        write(self, *given)  # type: ignore[arg-type]
        if len(county.lines()) > 40:
            self.stopping.set()

    monkeypatch.setattr(poller.Poller, "_write", stopping)
    county.look()
    assert len(county.lines()) < 129
    monkeypatch.setattr(poller.Poller, "_write", write)
    county.poller = county.fresh()
    county.look()
    assert len(county.lines()) == 129


def test_numbers_and_small_letters_are_as_good_as_times(tmp_path: Path) -> None:
    """A growing number as the watermark, and columns in capitals as Oracle has them."""
    path = tmp_path / "his.db"
    path.touch()
    url = f"sqlite:///{path}"
    load(url)
    change(
        url,
        "ALTER TABLE HIS_JZXX ADD COLUMN seq INTEGER",
        "UPDATE HIS_JZXX SET seq = rowid * 10",
        "CREATE VIEW V_VISITS AS SELECT j.jzlsh AS 就诊流水号, j.patid AS 病人id, b.hzxm AS 姓名, j.jzlb AS 就诊类别, "
        "j.ksrq AS 就诊时间, j.zddm AS 诊断编码, j.zdmc AS 诊断名称, j.jlzt AS 记录状态, j.seq AS SEQ "
        "FROM HIS_JZXX j JOIN HIS_BRXX b ON b.patid = j.patid",
    )
    with house(tmp_path / "gateway", url, views="          - {view: v_visits, watermark: seq, overlap: 5}\n") as made:
        assert len(made.look()) == 30
        assert made.look() == []
        made.change("UPDATE HIS_JZXX SET seq = 310, jlzt = 9 WHERE jzlsh = 'H2026031200001'")
        (entry,) = made.look()
        assert numbers(entry, "就诊流水号") == ["H2026031200001"]
        assert set(made.process()) == {"done"}
        assert made.count("Patient") == 20


def test_gbk_in_columns_of_bytes_and_of_latin1(tmp_path: Path) -> None:
    path = tmp_path / "his.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE V(就诊流水号, 病人ID, 姓名, 就诊类别, 就诊时间, 诊断编码, 诊断名称, 记录状态, t)")
    raw = "欧阳建国".encode("gb18030")
    row = ("H1        ", 7, raw, 0, "2026-03-12 08:00:00", "J18.900", "肺炎".encode("gbk").decode("latin-1"), 0, 5)
    connection.execute("INSERT INTO V VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    views = "          - {view: V, watermark: t}\n"
    with house(tmp_path / "gateway", f"sqlite:///{path}", views=views, more="          stored: GB18030\n") as made:
        (entry,) = made.look()
        assert entry[0].cells[0][:3] == ("H1", "7", "欧阳建国")
        assert entry[0].cells[0][6] == "肺炎"
        assert made.process() == ["done"]
        assert made.search("Encounter")[0]["period"]["start"] == "2026-03-12T08:00:00+08:00"


def test_a_replay_reads_the_journal_alone(county: House) -> None:
    county.look()
    Path(county.url.removeprefix("sqlite:///")).unlink()
    assert set(county.process()) == {"done"}
    assert all_is_there(county)


def test_what_was_written_down_is_translated_as_a_file_too(county: House) -> None:
    county.look()
    with county.journal.reading() as reader:
        body = load_entry(reader, 129).frame.body
    made = stateless.translate(body, name="entry", member=None, to="fhir", config=county.data.parent / "community.yaml")
    types = Counter(each["resource"]["resourceType"] for each in json.loads(made.output)["entry"])
    assert (types["DiagnosticReport"], types["ServiceRequest"], types["Patient"]) == (1, 1, 1)


# ---------------------------------------------------------------------------------------------- real servers


def test_real_servers_are_polled_like_the_file(server: databases.Server, tmp_path: Path) -> None:
    with house(tmp_path, server.url) as there:
        assert len(there.look()) == 129
        assert there.look() == []
        assert set(there.process()) == {"done"}
        assert all_is_there(there)
        there.change("UPDATE HIS_SQD SET jlzt = 9, xgsj = '2026040108:00:00' WHERE sqdh = 'X20260322045'")
        (entry,) = there.look()
        assert entry[0].name == "V_申请单"
        server.stop()
        assert there.poller.round() > 0
        assert "the database" in there.problems()[""][1]
        server.start()
        there.change("UPDATE HIS_SQD SET jlzt = 3, xgsj = '2026040108:01:00' WHERE sqdh = 'X20260322045'")
        assert there.poller.round() == 1.0
        assert there.problems() == {}
        assert there.process()[-1] == "done"


@pytest.mark.parametrize("type_", ["TIMESTAMP", "BIGINT", "DATE", "NUMERIC(18,0)"])
def test_real_types_of_watermarks(server: databases.Server, tmp_path: Path, type_: str) -> None:
    column = {"TIMESTAMP": "'2026-03-12 08:00:00'", "DATE": "'2026-03-12'"}.get(type_, "9000000000")
    later = {"TIMESTAMP": "'2026-03-12 09:00:00'", "DATE": "'2026-03-13'"}.get(type_, "9000000900")
    there_type = "DATETIME" if type_ == "TIMESTAMP" and server.kind == "mariadb" else type_
    columns = "就诊流水号 CHAR(12), 病人ID BIGINT, 姓名 VARCHAR(40), 就诊类别 INT, 就诊时间 VARCHAR(20), "
    columns += f"诊断编码 VARCHAR(20), 诊断名称 VARCHAR(80), 记录状态 INT, t {there_type}"
    insert = (
        "INSERT INTO W VALUES ('{}', 529901195804120111, '王䶮', 0, '2026-03-12 08:00:00', 'J18.900', '肺炎', 0, {})"
    )
    change(server.url, "DROP TABLE IF EXISTS W", f"CREATE TABLE W({columns})", insert.format("H1", column))
    with house(tmp_path, server.url, views="          - {view: W, watermark: t, overlap: 60}\n") as there:
        there.now = datetime(2026, 3, 14, tzinfo=UTC)
        (entry,) = there.look()
        assert entry[0].cells[0][:3] == ("H1", "529901195804120111", "王䶮")
        there.poller = there.fresh()
        change(server.url, insert.format("H2", later), "UPDATE W SET 记录状态 = 9 WHERE 就诊流水号 = 'H1'")
        found = [numbers(each, entry[0].columns[0]) for each in there.look()]
        assert found == [["H1"], ["H2"]]
        assert set(there.process()) == {"done"}
        assert there.problems() == {}
