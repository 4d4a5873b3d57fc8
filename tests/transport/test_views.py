"""The views of the invented county hospital in SQLite, PostgreSQL and MariaDB; databases that cannot be read."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from conformance import databases
from gateway.errors import Configuration, Transient
from gateway.model import Resource
from gateway.stateless import translate_views
from gateway.transport import database, views
from tests.transport.county import EXPECTED, load

SERVERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in databases.KINDS]


@pytest.fixture(scope="module", params=["sqlite", *SERVERS])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("his") / "his.db"
        path.touch()
        load(f"sqlite:///{path}")
        yield f"sqlite:///{path}"
        return
    try:
        with databases.KINDS[request.param]() as server:
            load(server.url)
            yield server.url
    except databases.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def made(url: str) -> dict[str, Resource]:
    done = translate_views(url, member="county", config=None)
    assert done.rejects == []
    return {each["fullUrl"]: each["resource"] for each in json.loads(done.output)["entry"]}


def of(made: dict[str, Resource], type_: str) -> dict[str, Resource]:
    return {each["identifier"][0]["value"]: each for each in made.values() if each["resourceType"] == type_}


def code_of(value: dict[str, Any]) -> str:
    return str(value["coding"][0]["code"])


def test_views_are_read_whole(url: str) -> None:
    there = {table.sheet.upper(): len(table.rows) for table in views.read(url)}
    assert there == {name.upper(): count for name, count in EXPECTED["view_rows"].items()}


def test_all_resources_are_there(made: dict[str, Resource]) -> None:
    there = Counter(each["resourceType"] for each in made.values())
    laboratory = [each for each in made.values() if each["resourceType"] == "Observation" and "referenceRange" in each]
    counts = dict(EXPECTED["counts"])
    assert there["Observation"] - 14 == counts.pop("Observation_lab") >= len(laboratory)
    assert {name: there[name] for name in counts} == counts


def test_every_visit(made: dict[str, Resource]) -> None:
    visits = of(made, "Encounter")
    conditions = {each["encounter"]["reference"]: each for each in made.values() if each["resourceType"] == "Condition"}
    urls = {id(resource): full_url for full_url, resource in made.items()}
    for wanted in EXPECTED["encounters"]:
        visit = visits[wanted["encounter_no"]]
        assert (visit["class"]["code"], visit["identifier"][1]["value"]) == (wanted["class"], wanted["visit_no"])
        assert visit["status"] in wanted["status"].split("|")
        assert visit["period"] == {name: wanted[name] for name in ("start", "end") if wanted.get(name)}
        assert visit["serviceType"]["text"] == wanted["dept"]
        patient = made[visit["subject"]["reference"]]
        assert patient["name"][0]["text"] == wanted["patient"]
        assert wanted["patient_id"] in [*[each["value"] for each in patient["identifier"]], None, ""]
        stay = visit.get("hospitalization", {})
        for name in ("admitSource", "dischargeDisposition"):
            assert (code_of(stay[name]) if name in stay else None) == wanted[name]
        condition = conditions[urls[id(visit)]]
        assert code_of(condition["code"]) == wanted["diagnosis_main"]
        assert ";" not in condition["code"]["text"]


def test_every_order(made: dict[str, Resource]) -> None:
    orders = of(made, "ServiceRequest")
    categories = {"laboratory": "108252007", "imaging": "363679005"}
    for wanted in EXPECTED["orders"]:
        order = orders[wanted["order_no"]]
        visit = made[order["encounter"]["reference"]]
        assert visit["identifier"][0]["value"] == wanted["encounter"]
        assert order["subject"] == visit["subject"]
        assert code_of(order["category"][0]) == categories[wanted["category"]]
        assert (code_of(order["code"]), order["code"]["text"]) == (wanted["code"], wanted["text"])
        assert order.get("bodySite", [{"text": None}])[0]["text"] == wanted["bodySite"]
        assert (order["status"], order["priority"], order["authoredOn"]) == (
            wanted["status"], wanted["priority"], wanted["authoredOn"],
        )  # fmt: skip


def test_every_report(made: dict[str, Resource]) -> None:
    reports = of(made, "DiagnosticReport")
    for wanted in EXPECTED["reports"]:
        report = reports[wanted["report_no"]]
        order = made[report["basedOn"][0]["reference"]]
        assert order["identifier"][0]["value"] == wanted["order"]
        assert report["subject"] == order["subject"]
        assert (report["status"], report["effectiveDateTime"], report["issued"]) == (
            wanted["status"], wanted["effective"], wanted["issued"],
        )  # fmt: skip
        if wanted["category"] == "laboratory":
            assert len(report["result"]) == wanted["items"]
            continue
        (result,) = report["result"]
        findings = made[result["reference"]]
        assert (findings["valueString"], report["conclusion"]) == (wanted["findings"], wanted["conclusion"])
        marks = {code_of(each) for each in findings.get("interpretation", ())}
        assert ("AA" in marks) is wanted["critical"]


def test_every_result(made: dict[str, Resource]) -> None:
    reports = of(made, "DiagnosticReport")
    for wanted in EXPECTED["observations"]:
        results = [made[each["reference"]] for each in reports[wanted["report"]]["result"]]
        found = next(each for each in results if code_of(each["code"]) == wanted["item"])
        value = found.get("valueQuantity", {})
        if isinstance(wanted["value"], str):
            text = found.get("valueString") or found.get("valueCodeableConcept", {}).get("text")
            assert text == wanted["value"] or f"{value.get('comparator')}{value.get('value')}" == wanted["value"]
        else:
            assert (float(value["value"]), value.get("unit"), value.get("code")) == (
                wanted["value"], wanted["unit"], wanted["ucum"],
            )  # fmt: skip
        told = [code_of(each) for each in found.get("interpretation", ())]
        assert told == [wanted["interpretation"]], (wanted, found)


def test_nothing_can_be_written(url: str) -> None:
    engine = database.engine(url)
    name = "HIS_SQD" if "mariadb" in url else "his_sqd"
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.DBAPIError):
        connection.exec_driver_sql(f"DELETE FROM {name}")
    assert sum(len(table.rows) for table in views.read(url)) == sum(EXPECTED["view_rows"].values())


def test_what_is_not_there_and_what_is_refused_is_told_without_a_secret(url: str) -> None:
    engine = database.engine(url)
    with pytest.raises(Configuration, match="no such view, table or database") as missing:  # noqa: SIM117
        with database.connected(engine, "V_费用") as connection:
            connection.exec_driver_sql("SELECT * FROM V_fees")
    assert missing.value.place == "V_费用"
    with pytest.raises(Configuration, match="a column is not there"), database.connected(engine) as connection:
        connection.exec_driver_sql("SELECT absent FROM HIS_SQD")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_database_that_is_away_and_a_user_that_is_refused(kind: str) -> None:
    try:
        with databases.KINDS[kind]() as server:
            address = sqlalchemy.make_url(server.url)
            if kind == "mariadb":  # PostgreSQL trusts everybody here
                wrong = address.set(username="nobody", password="geheim").render_as_string(hide_password=False)
                with pytest.raises(Configuration, match="the user or the password is refused") as refused:
                    list(views.read(wrong))
                assert "geheim" not in str(refused.value)
            absent = address.set(database="absent").render_as_string(hide_password=False)
            with pytest.raises((Configuration, Transient)):
                list(views.read(absent))
            server.stop()
            with pytest.raises(Transient) as away:
                list(views.read(server.url))
            assert "127.0.0.1" not in str(away.value)
    except databases.Unavailable as reason:
        pytest.skip(str(reason))


def test_an_address_that_is_none_and_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Configuration) as raised:
        list(views.read("nothing at all: secret"))
    assert "secret" not in str(raised.value)
    with pytest.raises(Transient) as unreached:
        list(views.read("sqlite:////no/such/folder/secret.db"))
    assert "secret" not in str(unreached.value)
    with pytest.raises(Transient):
        list(views.read(f"sqlite:///{tmp_path}/none.db"))
    assert not (tmp_path / "none.db").exists()


def test_an_address_stands_in_the_environment_or_in_a_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Configuration, match="COUNTY_VIEWS is not set"):
        list(views.read("env:COUNTY_VIEWS"))
    monkeypatch.setenv("COUNTY_VIEWS", url)
    secret = tmp_path / "url"
    with pytest.raises(Configuration, match="cannot be read"):
        list(views.read(f"file:{secret}"))
    secret.write_text(url + "\n", "utf-8")
    for address in ("env:COUNTY_VIEWS", f"file:{secret}"):
        assert len(list(views.read(address))) == len(EXPECTED["view_rows"])


def test_a_view_that_no_map_knows_is_not_read(tmp_path: Path) -> None:
    """A hospital's database has hundreds of them, and some are broken."""
    path = tmp_path / "his.db"
    path.touch()
    load(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIEW V_费用 AS SELECT sqdh AS 单号, abs(-9223372036854775808) AS 金额 FROM HIS_SQD")
    with pytest.raises((Configuration, Transient)):
        list(views.read(f"sqlite:///{path}"))
    done = translate_views(f"sqlite:///{path}", member="county", config=None)
    assert "V_费用: no map knows a sheet with these columns; it was left out" in done.notes


def test_an_empty_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(Configuration, match="no view and no table"):
        translate_views(f"sqlite:///{tmp_path}/empty.db", member="county", config=None)


@pytest.mark.parametrize(("dialect", "orders"), [
    ("postgresql", ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET statement_timeout = 30000"]),
    ("mysql", ["SET SESSION TRANSACTION READ ONLY", "SET SESSION max_execution_time = 30000"]),
    ("mssql", ["SET LOCK_TIMEOUT 30000", "SET DEADLOCK_PRIORITY LOW"]),
    ("oracle", []),
    ("sqlite", ["PRAGMA query_only = ON"]),
])  # fmt: skip
def test_a_session_for_reading_begins_with(dialect: str, orders: list[str]) -> None:
    assert database.session(dialect, mariadb=False, reading=True, seconds=30) == orders
    assert not any("READ ONLY" in each for each in database.session(dialect, mariadb=True, reading=False, seconds=30))


@pytest.mark.parametrize("name", ["postgresql+psycopg", "mysql+pymysql", "mssql+pymssql", "oracle+oracledb"])
def test_every_driver_gives_up_in_time(name: str) -> None:
    assert database.connect_arguments(sqlalchemy.make_url(f"{name}://h/d"), 30)


def test_a_map_of_ones_own_is_tried_on_a_database(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "fees.map").write_text(
        "export fees table for Patient\n  columns BRID BRXM\n\nrows by BRID => Patient\n"
        "  BRID <-> identifier* : own(PI,PI)\n  BRXM <-> name*.text\n",
        "utf-8",
    )
    with sqlite3.connect(tmp_path / "his.db") as connection:
        connection.execute("CREATE TABLE MS_BRDA(brid INTEGER, brxm TEXT)")
        connection.execute("INSERT INTO MS_BRDA VALUES (7, '王䶮')")
    url = f"sqlite:///{tmp_path}/his.db"
    with pytest.raises(Configuration):
        translate_views(url, member="county", config=None)
    made = json.loads(translate_views(url, member="county", config=None, map_folder=tmp_path / "own").output)
    patients = [each["resource"] for each in made["entry"] if each["resource"]["resourceType"] == "Patient"]
    assert [each["name"][0]["text"] for each in patients] == ["王䶮"]


@pytest.mark.parametrize("kind", SERVERS)
def test_a_statement_that_takes_too_long_is_ended_by_the_server(kind: str) -> None:
    try:
        with databases.KINDS[kind]() as server:
            engine = database.engine(server.url, seconds=1)
            sleep = "pg_sleep(20)" if kind == "postgresql" else "SLEEP(20)"
            began = time.monotonic()
            with database.connected(engine) as connection:
                with pytest.raises(Transient, match="did not answer in time"), database.told("V_慢"):
                    connection.exec_driver_sql(f"SELECT {sleep}")
                connection.rollback()
                assert connection.exec_driver_sql("SELECT 1").scalar() == 1  # and the connection is as good as before
            assert time.monotonic() - began < 10
    except databases.Unavailable as reason:
        pytest.skip(str(reason))
