"""The views of the invented county hospital's database, read and understood; and databases that cannot be read."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Configuration, Transient
from gateway.model import Resource
from gateway.stateless import translate_views
from gateway.transport import views

FIXTURES = Path(__file__).parent.parent / "mapping" / "fixtures"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "his_view.expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("his") / "his.db"
    connection = sqlite3.connect(path)
    connection.executescript((FIXTURES / "his_view.sql").read_text(encoding="utf-8"))
    connection.close()
    return f"sqlite:///{path}"


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
    assert {table.sheet: len(table.rows) for table in views.read(url)} == EXPECTED["view_rows"]


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


def test_nothing_is_written(url: str) -> None:
    before = Path(url.removeprefix("sqlite:///")).read_bytes()
    views.read(url)
    assert Path(url.removeprefix("sqlite:///")).read_bytes() == before


def test_an_address_that_is_none_and_a_database_that_is_not_there() -> None:
    with pytest.raises(Configuration) as raised:
        views.read("nothing at all: secret")
    assert "secret" not in str(raised.value)
    with pytest.raises(Transient) as unreached:
        views.read("sqlite:////no/such/folder/secret.db")
    assert "secret" not in str(unreached.value)
