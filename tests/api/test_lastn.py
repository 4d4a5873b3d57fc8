"""Observation/$lastn against the answer worked out by hand from all of a patient's observations."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from gateway.store import latest
from tests.api.conftest import Door, observation, patient
from tests.engines import Engines

LOINC = "http://loinc.org"


@pytest.fixture
def databases(engines: Engines) -> Engines:
    return engines


def result(number: str, code: str, date: str, *, who: str = "one", **more: Any) -> dict[str, Any]:
    coding = [{"system": LOINC, "code": code}]
    category = [{"coding": [{"system": "urn:c", "code": "laboratory"}]}]
    made = observation(number, f"Patient/{who}", id=number, code={"coding": coding}, category=category, **more)
    return {**made, "effectiveDateTime": date}


async def put(client: httpx.AsyncClient, *resources: dict[str, Any]) -> None:
    entry = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    answer = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entry})
    assert answer.status_code == 200, answer.text


async def last(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(f"/fhir/Observation/$lastn?{query}")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "searchset"
    assert bundle["total"] == len(bundle.get("entry", ()))
    return [each["resource"]["id"] for each in bundle.get("entry", ())]


@pytest.fixture
async def ward(client: httpx.AsyncClient) -> httpx.AsyncClient:
    both = {"coding": [{"system": LOINC, "code": "a"}, {"system": "urn:own", "code": "A"}]}
    await put(client, patient("1", id="one"), patient("2", id="two"))
    await put(
        client, result("a1", "a", "2026-01-01"), result("a2", "a", "2026-02-01"), result("a3", "a", "2026-03-01"),
        result("b1", "b", "2026-01-15T10:00:00+08:00"), result("b2", "b", "2025-01-15"),
        result("x", "a", "2026-09-01", who="two"),
        {**result("own", "A", "2026-02-15"), "code": both},
        {**result("t1", "t", "2026-01-01"), "code": {"text": "Body  Weight"}},
        {**result("t2", "t", "2026-01-02"), "code": {"text": "body weight"}},
        {**result("n", "n", "2026-01-02"), "code": {"coding": [{"code": "b"}]}},
    )  # fmt: skip
    return client


async def test_the_newest_of_each_code(ward: httpx.AsyncClient) -> None:
    assert await last(ward, "patient=one&category=laboratory") == ["a3", "b1", "n", "t2"]
    assert await last(ward, "subject=Patient/one&category=laboratory&max=2") == [
        "a3",
        "own",
        "b1",
        "b2",
        "n",
        "t2",
        "t1",
    ]
    assert await last(ward, f"patient=one&code={LOINC}|a,{LOINC}|b&max=3") == ["a3", "own", "a2", "b1", "b2"]
    assert await last(ward, f"patient=one&code={LOINC}|a&date=lt2026-02-10&max=5") == ["a2", "a1"]
    assert await last(ward, "patient=none&category=laboratory") == []


async def test_of_one_instant_the_later_stored_comes_first(ward: httpx.AsyncClient) -> None:
    await put(ward, result("later", "a", "2026-03-01"))
    assert (await last(ward, f"patient=one&code={LOINC}|a"))[0] == "later"


async def test_against_all_of_them(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "PAGE", 7)
    chance = random.Random(3)
    await put(client, patient("1", id="one"))
    made = [
        result(f"r{number:03d}", chance.choice("aaaaaaaaabcd,|"), f"2026-01-{chance.randint(1, 28):02d}")
        for number in range(120)
    ]
    await put(client, *made)
    for most in (1, 3):
        groups: dict[str, list[str]] = {}
        for each in sorted(made, key=lambda each: (each["effectiveDateTime"], each["id"]), reverse=True):
            groups.setdefault(each["code"]["coding"][0]["code"], []).append(each["id"])
        expected = [key for group in groups.values() for key in group[:most]]
        assert await last(client, f"patient=one&category=laboratory&max={most}") == expected


@pytest.mark.parametrize(
    "query", ["category=laboratory", "patient=one", "patient=one&code=a&max=0", "patient=one&code=a&_sort=date",
              "patient=one&code=a&nothing=1"],
)  # fmt: skip
async def test_what_is_refused(ward: httpx.AsyncClient, query: str) -> None:
    assert (await ward.get(f"/fhir/Observation/$lastn?{query}")).status_code == 400


async def test_by_post_and_scope(door: Door, ward: httpx.AsyncClient) -> None:
    form = await ward.post("/fhir/Observation/$lastn", data={"patient": "one", "category": "laboratory"})
    parameter = [{"name": "patient", "valueReference": {"reference": "Patient/one"}},
                 {"name": "max", "valuePositiveInt": 1},
                 {"name": "category", "valueString": "laboratory"}]  # fmt: skip
    sent = await ward.post("/fhir/Observation/$lastn", json={"resourceType": "Parameters", "parameter": parameter})
    assert form.json()["total"] == sent.json()["total"] == 4
    narrow = {"authorization": f"Bearer {door.token('system/Observation.r')}"}
    assert (await ward.get("/fhir/Observation/$lastn?patient=one&code=a", headers=narrow)).status_code == 403
