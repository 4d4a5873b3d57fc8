"""Patient/$match and the decisions about who is who, over a real record."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.fhir import json, validate
from gateway.identity import review
from gateway.people import RULE, compare
from gateway.store.joining import Reason
from tests.api.conftest import START, Door

NATIONAL = "urn:oid:2.16.156.10011.1.3"
CARD = "11010519491231002X"


def person(number: str, name: str = "王小明", **elements: Any) -> dict[str, Any]:
    made = {
        "resourceType": "Patient", "id": number, "identifier": [{"system": f"urn:{number}", "value": number}],
        "name": [{"text": name}], "gender": "male", "birthDate": "1980-05-17",
        "telecom": [{"system": "phone", "value": "13800138000"}], **elements,
    }  # fmt: skip
    return {name: value for name, value in made.items() if value}


@pytest.fixture
async def town(client: httpx.AsyncClient) -> httpx.AsyncClient:
    for each in (
        person("one"), person("two", telecom=[]), person("three", "王晓明", telecom=[]), person("four", "李四"),
        person("five", identifier=[{"system": NATIONAL, "value": CARD}], birthDate="1949-12-31", gender="female"),
    ):  # fmt: skip
        assert (await client.put(f"/fhir/Patient/{each['id']}", json=each)).status_code == 201
    return client


def asked(patient: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    named = [
        {"name": name, ("valueBoolean" if isinstance(value, bool) else "valueInteger"): value}
        for name, value in parameters.items()
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient}, *named]}


def unknown(**elements: Any) -> dict[str, Any]:
    made = person("x", **elements)
    return {name: value for name, value in made.items() if name not in ("id", "identifier") or name in elements}


async def match(client: httpx.AsyncClient, patient: dict[str, Any], **parameters: Any) -> list[tuple[str, str]]:
    answer = await client.post("/fhir/Patient/$match", json=asked(patient, **parameters))
    assert answer.status_code == 200, answer.text
    bundle = json.loads(answer.content)
    assert validate.problems(bundle) == []
    assert bundle["type"] == "searchset"
    scores = [each["search"]["score"] for each in bundle.get("entry", ())]
    assert all(0 <= each <= 1 for each in scores)
    return [(each["resource"]["id"], each["search"]["extension"][0]["valueCode"]) for each in bundle.get("entry", ())]


async def test_candidates_are_graded_the_likeliest_first(town: httpx.AsyncClient) -> None:
    assert await match(town, unknown()) == [("one", "certain"), ("two", "probable"), ("three", "probable")]
    assert await match(town, unknown(), count=1) == [("one", "certain")]
    assert await match(town, unknown(), onlyCertainMatches=True) == [("one", "certain")]
    assert await match(town, unknown(telecom=[]), onlyCertainMatches=True) == []
    assert await match(town, unknown(name="赵六", telecom=[])) == []


async def test_a_number_is_certain_and_another_card_is_certainly_not(town: httpx.AsyncClient) -> None:
    number = {"resourceType": "Patient", "identifier": [{"system": "urn:two", "value": "two"}]}
    assert (await match(town, number))[0] == ("two", "certain")
    card = {"resourceType": "Patient", "identifier": [{"system": NATIONAL, "value": CARD.lower()}]}
    assert await match(town, card) == [("five", "certain")]
    other = unknown(
        identifier=[{"system": NATIONAL, "value": "440524188001010014"}], birthDate="1949-12-31", gender="female"
    )
    assert ("five", "certainly-not") in await match(town, other)


async def test_asking_changes_nothing_and_takes_xml(town: httpx.AsyncClient) -> None:
    before = (await town.get("/fhir/Patient?_summary=count")).json()["total"]
    answer = await town.post("/fhir/Patient/$match?_format=xml", json=asked(unknown()))
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    assert (await town.get("/fhir/Patient?_summary=count")).json()["total"] == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Parameters"}, 400),
        ({"resourceType": "Bundle", "type": "batch"}, 400),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {"resourceType": "Basic"}}]},
            400,
        ),
        (asked({"resourceType": "Patient", "birthDate": "gestern"}), 422),
        (asked({"resourceType": "Patient"}, count=0), 400),
        (asked({"resourceType": "Patient"}, wanted=1), 400),
        (asked({"resourceType": "Patient", "name": [{"text": "x" * 300_000}]}), 413),
    ],
)
async def test_what_is_no_question_is_refused(client: httpx.AsyncClient, body: dict[str, Any], status: int) -> None:
    answer = await client.post("/fhir/Patient/$match", json=body)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_it_needs_a_scope_and_is_told_of(door: Door, client: httpx.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {door.token('system/Observation.rs')}"}
    assert (await client.post("/fhir/Patient/$match", json=asked(unknown()), headers=headers)).status_code == 403
    assert (await client.get("/operations/people", headers=headers)).status_code == 403
    statement = (await client.get("/fhir/metadata")).json()
    (patient,) = [each for each in statement["rest"][0]["resource"] if each["type"] == "Patient"]
    assert "match" in [each["name"] for each in patient["operation"]]


# ------------------------------------------------------------------------------------------------ decisions


async def test_a_person_decides_over_http(door: Door, town: httpx.AsyncClient) -> None:
    reason = Reason(by=RULE, why="", at=START)
    with door.services.tokens.engine.transaction() as transaction:
        compare(transaction, door.changes, reason=reason, join=False)  # as the program does after each
    listed = (await town.get("/operations/people?limit=2")).json()
    assert listed["open"] >= 3
    assert len(listed["pairs"]) == 2
    pair = listed["pairs"][0]
    assert {pair["one"], pair["other"]} == {"one", "two"}
    assert "王" not in str(listed)
    made = await town.post("/operations/people/merge", json={"number": pair["number"], "why": "compared the papers"})
    assert sorted(made.json()["changed"]) == ["Patient/one", "Patient/two", *made.json()["changed"][2:]]
    assert (await town.get("/fhir/Patient/two")).json()["active"] is False
    undone = {"one": "two", "other": "one", "why": "it was the neighbour"}
    assert (await town.post("/operations/people/unmerge", json=undone)).status_code == 200
    assert (await town.post("/operations/people/unmerge", json=undone)).status_code == 400
    assert "active" not in (await town.get("/fhir/Patient/two")).json()
    apart = {"one": "one", "other": "three", "why": "twins"}
    assert (await town.post("/operations/people/apart", json=apart)).status_code == 200
    log = (await town.get("/operations/people/log?patient=one")).json()["log"]
    assert [each["deed"] for each in log] == ["apart", "unmerge", "merge"]
    assert log[0]["by"] == "system/*.*"
    with door.services.tokens.engine.reading() as reader:
        assert review.decided_apart(reader, {"one"}) == {"two", "three"}


@pytest.mark.parametrize(
    ("deed", "body", "status"),
    [
        ("merge", {"one": "one", "other": "nobody", "why": "x"}, 404),
        ("merge", {"one": "one", "other": "one", "why": "x"}, 400),
        ("merge", {"one": "one", "other": "two", "why": " "}, 400),
        ("merge", {"number": 99, "why": "x"}, 400),
        ("merge", {"one": "one", "other": "two", "why": "x", "more": 1}, 400),
        ("swap", {"one": "one", "other": "two", "why": "x"}, 404),
    ],
)
async def test_what_is_no_decision_is_refused(
    town: httpx.AsyncClient, deed: str, body: dict[str, Any], status: int
) -> None:
    assert (await town.post(f"/operations/people/{deed}", json=body)).status_code == status
