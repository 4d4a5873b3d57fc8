"""Searches as clients ask them: links, totals, what is not known, addresses of our own, several types."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import BASE, Door, observation, patient


@pytest.fixture
async def filled(door: Door, client: httpx.AsyncClient) -> str:
    """Five patients; the id of one, who has an observation."""
    for number in range(5):
        door.store(patient(f"P{number}", birthDate=f"198{number}-01-01", contact=[{"name": {"text": "x"}}]))
    key = str((await found(client, "Patient?identifier=P1"))["entry"][0]["resource"]["id"])
    door.store(observation("O1", f"Patient/{key}"))
    return key


async def found(client: httpx.AsyncClient, path: str, **headers: str) -> dict[str, Any]:
    answer = await client.get(f"/fhir/{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    return bundle


def links(bundle: dict[str, Any]) -> dict[str, str]:
    return {each["relation"]: each["url"].removeprefix(f"{BASE}/fhir").lstrip("/") for each in bundle["link"]}


def listed(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    return [each["resource"]["resourceType"] for each in bundle.get("entry", ()) if each["search"]["mode"] == mode]


async def test_every_page_tells_the_total_and_the_way(client: httpx.AsyncClient, filled: str) -> None:
    page = await found(client, "Patient?_count=2&_sort=-birthdate&name=")
    assert (page["total"], links(page)["self"]) == (5, "Patient?_count=2&_sort=-birthdate")
    assert links(page)["first"] == links(page)["self"]
    seen = 2
    while "next" in links(page):
        page = await found(client, links(page)["next"])
        assert page["total"] == 5
        seen += len(listed(page))
    assert seen == 5
    assert "total" not in await found(client, "Patient?_count=2&_total=none")
    assert (await found(client, "Patient?_count=2&_total=accurate&gender:missing=true"))["total"] == 5


async def test_what_is_not_known_is_refused_left_out_or_passed_over(client: httpx.AsyncClient, filled: str) -> None:
    for path in ("Patient", "", "Patient/1/Observation"):
        type_ = "" if path else "_type=Patient&"
        assert (await client.get(f"/fhir/{path}?{type_}nonsense=1")).status_code == 400
        page = await found(client, f"{path}?{type_}nonsense=1", prefer="handling=lenient")
        assert listed(page, "outcome") == ["OperationOutcome"]
        assert "nonsense" not in links(page)["self"]
    assert listed(await found(client, "Patient?_totalMethod=count"), "outcome") == ["OperationOutcome"]
    strict = await client.get("/fhir/Patient?_totalMethod=count", headers={"prefer": "handling=strict"})
    assert strict.status_code == 400


async def test_everything_of_a_compartment(client: httpx.AsyncClient, filled: str) -> None:
    assert listed(await found(client, f"Patient/{filled}/*")) == ["Observation"]
    assert listed(await found(client, f"Patient/{filled}/*?_type=Condition,Encounter")) == []
    page = await found(client, f"Patient/{filled}/*?_type=Observation&_lastUpdated=gt2000")
    assert (listed(page), page["total"]) == (["Observation"], 1)
    assert links(page)["self"].startswith(f"Patient/{filled}/*?")
    assert listed(await found(client, "Patient/nobody/*")) == []
    assert (await client.get(f"/fhir/Patient/{filled}/*?_type=Location")).status_code == 400
    assert (await client.get("/fhir/Location/1/*")).status_code == 404


async def test_our_own_address_is_a_relative_reference(client: httpx.AsyncClient, filled: str) -> None:
    for value in (f"{BASE}/fhir/Patient/{filled}", f"Patient/{filled}", filled):
        assert listed(await found(client, f"Observation?subject={value}")) == ["Observation"]
    assert listed(await found(client, f"Observation?subject=http://other.org/fhir/Patient/{filled}")) == []


async def test_whatever_refers_here_is_included(client: httpx.AsyncClient, filled: str) -> None:
    for value in ("*", "Observation:*", "Observation:patient", "Observation:subject:Patient"):
        assert listed(await found(client, f"Patient?_id={filled}&_revinclude={value}"), "include") == ["Observation"]
    assert listed(await found(client, f"Patient?_id={filled}&_revinclude=Observation:encounter"), "include") == []


async def test_several_types_in_the_order_of_their_changes(client: httpx.AsyncClient, filled: str) -> None:
    page = await found(client, "?_type=Patient,Observation&_sort=-_lastUpdated&_count=2")
    assert (page["total"], listed(page)) == (6, ["Observation", "Patient"])
    seen = [each["resource"]["id"] for each in page["entry"]]
    while "next" in links(page):
        page = await found(client, links(page)["next"])
        seen += [each["resource"]["id"] for each in page["entry"]]
    assert len(set(seen)) == len(seen) == 6
    assert (await found(client, "?_type=Patient,Observation&_summary=count"))["total"] == 6
    assert (await client.get("/fhir/?_type=Patient,Observation&_sort=identifier")).status_code == 400


async def test_a_search_by_post_reads_address_and_form(client: httpx.AsyncClient, filled: str) -> None:
    answer = await client.post("/fhir/Patient/_search?_count=1", data={"birthdate": "ge1982"})
    page = answer.json()
    assert (page["total"], links(page)["self"]) == (3, "Patient?_count=1&birthdate=ge1982")


async def test_a_summary_is_what_r4_marks(client: httpx.AsyncClient, filled: str) -> None:
    (entry,) = (await found(client, f"Patient?_id={filled}&_summary=true"))["entry"]
    assert "contact" not in entry["resource"]
    assert "birthDate" in entry["resource"]
    (entry,) = (await found(client, f"Patient?_id={filled}&_elements=Patient.birthDate"))["entry"]
    assert entry["resource"].keys() == {"resourceType", "id", "meta", "birthDate"}


async def test_a_search_by_post_may_stand_in_the_address_alone(client: httpx.AsyncClient, filled: str) -> None:
    answer = await client.post("/fhir/Patient/_search?_count=1")
    assert (answer.status_code, len(answer.json()["entry"])) == (200, 1)


async def test_the_form_of_a_search_says_how_it_is_answered(client: httpx.AsyncClient, filled: str) -> None:
    """R4 http.html#parameters."""
    answer = await client.post("/fhir/Patient/_search", data={"_format": "xml"})
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    pretty = await client.post("/fhir/Patient/_search", data={"_pretty": "true"})
    assert b"\n  " in pretty.content


async def test_a_format_that_is_not_wanted_is_not_sent(client: httpx.AsyncClient, filled: str) -> None:
    """RFC 9110 §12.4.2: q=0."""
    for accept, status, kind in (
        ("application/fhir+xml;q=0, application/fhir+json;q=0.1", 200, "application/fhir+json"),
        ("application/fhir+xml;q=0", 406, "application/fhir+json"),
    ):
        answer = await client.get("/fhir/Patient", headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, kind)


FORM = "http://forms.test/Questionnaire/pain"


@pytest.fixture
async def forms(client: httpx.AsyncClient) -> None:
    """A form in two versions, and answers that name one of them, either, or another form."""
    for version in ("1", "2"):
        form = {"url": FORM, "version": version, "status": "active", "title": f"Pain {version}"}
        await write(client, "Questionnaire", f"form{version}", **form)
    named = {"first": f"{FORM}|1", "second": f"{FORM}|2", "either": FORM, "other": f"{FORM}/more|1"}
    for name, canonical in named.items():
        await write(client, "QuestionnaireResponse", name, status="completed", questionnaire=canonical)


async def write(client: httpx.AsyncClient, kind: str, key: str, **elements: Any) -> None:
    answer = await client.put(f"/fhir/{kind}/{key}", json={"resourceType": kind, "id": key, **elements})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("query", "matches", "included"),
    [
        ("QuestionnaireResponse?questionnaire.title=pain", "either first second", ""),
        ("QuestionnaireResponse?questionnaire:Questionnaire.title=pain 1", "either first", ""),
        ("QuestionnaireResponse?questionnaire.version=2", "either second", ""),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=second", "form2", ""),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=either", "form1 form2", ""),
        ("Questionnaire?_has:QuestionnaireResponse:questionnaire:_id=other", "", ""),
        ("QuestionnaireResponse?_id=first&_include=QuestionnaireResponse:questionnaire", "first", "form1"),
        ("QuestionnaireResponse?_id=either&_include=*", "either", "form1 form2"),
        ("QuestionnaireResponse?_id=other&_include=QuestionnaireResponse:questionnaire:Questionnaire", "other", ""),
        ("Questionnaire?_id=form1&_revinclude=QuestionnaireResponse:questionnaire", "form1", "either first"),
        ("Questionnaire?_id=form2&_revinclude=*", "form2", "either second"),
    ],
)
async def test_a_canonical_leads_to_what_has_its_url_and_version(
    client: httpx.AsyncClient, forms: None, query: str, matches: str, included: str
) -> None:
    bundle = await found(client, query)
    assert {mode: ids(bundle, mode) for mode in ("match", "include")} == {"match": matches, "include": included}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("Patient/told/_history/1", [("1", "male")]),
        ("Patient/told/_history/2", [("2", "female")]),
        ("Patient/told", [("2", "female")]),
        ("Patient/told/_history/3", []),
        ("Patient/told/_history/99999999999999999999", []),
        ("Patient/told/_history/x", []),
    ],
)
async def test_a_reference_to_a_version_brings_that_version(
    client: httpx.AsyncClient, target: str, expected: list[tuple[str, str]]
) -> None:
    await write(client, "Patient", "told", gender="male")
    body = {"resourceType": "Patient", "id": "told", "gender": "female"}
    assert (await client.put("/fhir/Patient/told", json=body)).status_code == 200
    agent = [{"who": {"display": "x"}}]
    await write(client, "Provenance", "p", target=[{"reference": target}], recorded="2026-03-05T10:00:00Z", agent=agent)
    entries = (await found(client, "Provenance?_include=Provenance:target"))["entry"]
    brought = [each["resource"] for each in entries if each["search"]["mode"] == "include"]
    assert [(each["meta"]["versionId"], each["gender"]) for each in brought] == expected


def ids(bundle: dict[str, Any], mode: str) -> str:
    return " ".join(
        sorted(each["resource"]["id"] for each in bundle.get("entry", ()) if each["search"]["mode"] == mode)
    )
