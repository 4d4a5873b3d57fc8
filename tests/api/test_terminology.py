"""$lookup, $validate-code, $subsumes, $expand, $translate over REST: R4's own examples, languages, errors, versions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.api.terminology import OFFERED
from gateway.fhir import validate
from gateway.journal import unknown
from gateway.store.exchange import Asked
from tests.api.conftest import START, Door
from tests.terminology.shelves import published

FHIR = {"content-type": "application/fhir+json"}
HL7 = "http://hl7.org/fhir"
CODES = "http://terminology.hl7.org/CodeSystem"
BLOOD: dict[str, Any] = {
    "resourceType": "CodeSystem", "id": "blood", "url": "urn:blood", "version": "1", "name": "Blood",
    "status": "active", "content": "complete", "language": "zh-CN", "hierarchyMeaning": "is-a",
    "property": [{"code": "short", "type": "string"}],
    "concept": [{"code": "any", "display": "血型", "concept": [
        {"code": "3", "display": "O型", "designation": [{"language": "en", "value": "Type O"}],
         "property": [{"code": "short", "valueString": "O"}]},
        {"code": "5", "display": "不详", "property": [{"code": "inactive", "valueBoolean": True}]},
    ]}],
}  # fmt: skip


@pytest.fixture
async def library(door: Door, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """What R4 publishes of sexes, addresses and LOINC, and a client's own code system."""
    wanted = (
        ("CodeSystem", f"{HL7}/administrative-gender"),
        ("ValueSet", f"{HL7}/ValueSet/administrative-gender"),
        ("CodeSystem", f"{CODES}/v2-0001"),
        ("CodeSystem", f"{HL7}/address-use"),
        ("CodeSystem", f"{CODES}/v3-AddressUse"),
        ("CodeSystem", "http://loinc.org"),
        ("ConceptMap", f"{HL7}/ConceptMap/101"),
        ("ConceptMap", f"{HL7}/ConceptMap/cm-administrative-gender-v2"),
    )
    resources = [*(published()[each] for each in wanted), BLOOD]
    asked = [Asked(method="PUT", type=each["resourceType"], id=each["id"], resource=each) for each in resources]
    await door.write_record(lambda transaction: door.services.record.exchange(transaction, asked, at=START))
    return client


def told(parameters: dict[str, Any]) -> dict[str, Any]:
    """name → value; of parts a list of the same."""
    made: dict[str, Any] = {}
    for each in parameters["parameter"] if "parameter" in parameters else parameters["part"]:
        value = next((value for name, value in each.items() if name.startswith("value")), None)
        if "part" in each:
            made.setdefault(each["name"], []).append(told(each))
        else:
            made[each["name"]] = value
    return made


async def asked(client: httpx.AsyncClient, address: str, *, status: int = 200) -> dict[str, Any]:
    answer = await client.get(f"/fhir/{address}")
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    validate.check(body)
    return told(body) if body["resourceType"] == "Parameters" else body


def says(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["diagnostics"])


async def posted(client: httpx.AsyncClient, address: str, *parameter: dict[str, Any]) -> dict[str, Any]:
    body = {"resourceType": "Parameters", "parameter": list(parameter)}
    answer = await client.post(f"/fhir/{address}", json=body, headers=FHIR)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return told(made) if made["resourceType"] == "Parameters" else made


# ---------------------------------------------------------------------------------------------- $lookup


async def test_lookup_of_a_code_and_of_a_coding(library: httpx.AsyncClient) -> None:
    simple = await asked(library, "CodeSystem/$lookup?system=http://loinc.org&code=8302-2")
    assert (simple["name"], simple["display"]) == ("LOINC", "Body height")
    coding = {"name": "coding", "valueCoding": {"system": "urn:blood", "code": "3"}}
    whole = await posted(library, "CodeSystem/$lookup", coding)
    assert (whole["version"], whole["display"]) == ("1", "O型")
    assert whole["designation"] == [{"language": "en", "value": "Type O"}]
    properties = {each["code"]: each for each in whole["property"]}
    assert properties["short"]["value"] == "O"
    assert properties["parent"] == {"code": "parent", "value": "any", "description": "血型"}
    assert properties["inactive"]["value"] is False


async def test_lookup_in_a_language_and_of_some_properties(library: httpx.AsyncClient) -> None:
    base = "CodeSystem/$lookup?system=urn:blood&code=3"
    assert (await asked(library, f"{base}&displayLanguage=en"))["display"] == "Type O"
    assert (await asked(library, f"{base}&displayLanguage=zh"))["display"] == "O型"
    assert (await asked(library, f"{base}&displayLanguage=fr"))["display"] == "O型"
    narrowed = await asked(library, f"{base}&property=short")
    assert "designation" not in narrowed
    assert [each["code"] for each in narrowed["property"]] == ["short"]
    assert "designation" in await asked(library, f"{base}&property=lang.en")


async def test_a_supplement_adds_names(library: httpx.AsyncClient) -> None:
    sex = f"{HL7}/administrative-gender"
    words = {
        "resourceType": "CodeSystem", "status": "active", "url": "urn:words", "content": "supplement",
        "supplements": sex,
        "concept": [{"code": "female", "designation": [{"language": "zh-CN", "value": "女"}]}],
    }  # fmt: skip
    assert (await library.post("/fhir/CodeSystem", json=words, headers=FHIR)).status_code == 201
    base = f"CodeSystem/$lookup?system={sex}&code=female"
    assert (await asked(library, f"{base}&displayLanguage=zh-CN"))["display"] == "女"
    assert (await asked(library, base))["display"] == "Female"
    listed = await asked(library, "ValueSet/administrative-gender/$expand?displayLanguage=zh&filter=女")
    assert [each["display"] for each in listed["expansion"]["contains"]] == ["女"]
    right = await asked(library, f"CodeSystem/$validate-code?url={sex}&code=female&display=女")
    assert right["result"] is True


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("CodeSystem/$lookup?system=urn:nobody&code=1", 404, "not-found"),
        ("CodeSystem/$lookup?system=urn:blood&code=9", 404, "not-found"),
        ("CodeSystem/$lookup?system=http://loinc.org&code=99999-9", 404, "not-found"),
        ("CodeSystem/$lookup?code=9", 400, "invalid"),
        ("CodeSystem/$lookup?system=urn:blood&code=3&nonsense=1", 400, "invalid"),
        ("CodeSystem/$lookup?system=urn:blood&code=3&code=4", 400, "invalid"),
        ("ValueSet/$expand?url=urn:nobody", 404, "not-found"),
        ("ValueSet/nobody/$expand", 404, "not-found"),
        ("ValueSet/$expand", 400, "invalid"),
        ("ValueSet/$expand?url=urn:x&count=-1", 404, "not-found"),
        ("CodeSystem/$subsumes?system=http://loinc.org&codeA=99999-9&codeB=8302-2", 422, "not-supported"),
        ("CodeSystem/$subsumes?system=urn:blood&codeA=9&codeB=3", 400, "invalid"),
        ("ConceptMap/$translate?url=urn:nobody&code=1", 404, "not-found"),
        ("ConceptMap/$translate?code=1", 400, "invalid"),
    ],
)
async def test_what_cannot_be_answered_is_said(
    library: httpx.AsyncClient, address: str, status: int, code: str
) -> None:
    outcome = await asked(library, address, status=status)
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["code"] == code


async def test_a_scope_is_needed(door: Door, anyone: httpx.AsyncClient) -> None:
    assert (await anyone.get("/fhir/CodeSystem/$lookup?system=a&code=b")).status_code == 401
    anyone.headers["authorization"] = f"Bearer {door.token('system/Patient.*')}"
    for address in ("CodeSystem/$lookup", "ValueSet/$expand", "ConceptMap/$translate", "ConceptMap/$unknown-codes"):
        assert (await anyone.get(f"/fhir/{address}")).status_code == 403


# ---------------------------------------------------------------------------------------------- $validate-code


async def test_validate_code_of_a_code_system(library: httpx.AsyncClient) -> None:
    base = f"CodeSystem/$validate-code?url={HL7}/administrative-gender"
    assert await asked(library, f"{base}&code=male") == {"result": True, "display": "Male"}
    assert (await asked(library, f"{base}&code=male&display=male"))["result"] is True
    wrong = await asked(library, f"{base}&code=male&display=Female")
    assert (wrong["result"], wrong["display"]) == (False, "Male")
    assert (await asked(library, f"{base}&code=M"))["result"] is False
    old = await asked(library, "CodeSystem/blood/$validate-code?code=5")
    assert old["result"] is True
    assert "no longer" in old["message"]
    unknown = await asked(library, "CodeSystem/$validate-code?url=http://loinc.org&code=99999-9")
    assert unknown["result"] is False
    assert "does not make it wrong" in unknown["message"]
    brought = await posted(
        library,
        "CodeSystem/$validate-code",
        {"name": "codeSystem", "resource": BLOOD},
        {"name": "code", "valueCode": "3"},
    )
    assert brought["result"] is True


async def test_validate_code_of_a_value_set(library: httpx.AsyncClient) -> None:
    base = f"ValueSet/$validate-code?url={HL7}/ValueSet/administrative-gender"
    right = await asked(library, f"{base}&system={HL7}/administrative-gender&code=other")
    assert right == {"result": True, "display": "Other"}
    assert (await asked(library, f"{base}&code=other"))["result"] is True
    assert (await asked(library, f"{base}&system={CODES}/v2-0001&code=M"))["result"] is False
    bound = "ValueSet/$validate-code?context=http://hl7.org/fhir/StructureDefinition/Patient%23Patient.gender"
    assert (await asked(library, f"{bound}&code=female"))["result"] is True
    concept = {
        "coding": [
            {"system": f"{CODES}/v2-0001", "code": "M"},
            {"system": f"{HL7}/administrative-gender", "code": "male"},
        ]
    }
    several = {"name": "codeableConcept", "valueCodeableConcept": concept}
    assert (await posted(library, "ValueSet/administrative-gender/$validate-code", several))["result"] is True
    concept["coding"].pop()
    wrong = await posted(library, "ValueSet/administrative-gender/$validate-code", several)
    assert wrong["result"] is False
    assert "M: " in wrong["message"]


async def test_subsumes(library: httpx.AsyncClient) -> None:
    base = "CodeSystem/$subsumes?system=urn:blood"
    for one, other, outcome in (
        ("any", "3", "subsumes"), ("3", "any", "subsumed-by"), ("3", "3", "equivalent"), ("3", "5", "not-subsumed"),
    ):  # fmt: skip
        assert await asked(library, f"{base}&codeA={one}&codeB={other}") == {"outcome": outcome}
    assert await asked(library, "CodeSystem/blood/$subsumes?codeA=any&codeB=3") == {"outcome": "subsumes"}
    codings = [{"name": f"coding{each}", "valueCoding": {"system": "urn:blood", "code": "3"}} for each in "AB"]
    assert await posted(library, "CodeSystem/$subsumes", *codings) == {"outcome": "equivalent"}


# ---------------------------------------------------------------------------------------------- $expand


def contained(value_set: dict[str, Any]) -> list[str]:
    return [each["code"] for each in value_set["expansion"].get("contains", ())]


async def test_expand_by_url_id_and_body(library: httpx.AsyncClient) -> None:
    by_url = await asked(library, f"ValueSet/$expand?url={HL7}/ValueSet/administrative-gender")
    assert contained(by_url) == ["male", "female", "other", "unknown"]
    assert by_url["expansion"]["total"] == 4
    assert {"name": "version", "valueUri": f"{HL7}/administrative-gender|4.0.1"} in by_url["expansion"]["parameter"]
    assert "compose" not in by_url
    by_id = await asked(library, "ValueSet/administrative-gender/$expand?includeDefinition=true")
    assert contained(by_id) == contained(by_url)
    assert "compose" in by_id
    own = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": "urn:blood"}]}}
    brought = await posted(library, "ValueSet/$expand", {"name": "valueSet", "resource": own})
    assert contained(brought) == ["any", "3", "5"]
    plain = await library.post("/fhir/ValueSet/$expand?activeOnly=true", json=own, headers=FHIR)
    assert contained(plain.json()) == ["any", "3"]


async def test_expand_pages_filters_and_speaks(library: httpx.AsyncClient) -> None:
    base = f"ValueSet/$expand?url={HL7}/ValueSet/administrative-gender"
    assert contained(await asked(library, f"{base}&filter=MAL")) == ["male", "female"]
    page = await asked(library, f"{base}&offset=1&count=2")
    assert (contained(page), page["expansion"]["total"], page["expansion"]["offset"]) == (["female", "other"], 4, 1)
    empty = await asked(library, f"{base}&count=0")
    assert (contained(empty), empty["expansion"]["total"]) == ([], 4)
    blood = {
        "resourceType": "ValueSet",
        "id": "blood",
        "url": "urn:set:blood",
        "status": "active",
        "compose": {"include": [{"system": "urn:blood"}]},
    }
    assert (await library.put("/fhir/ValueSet/blood", json=blood, headers=FHIR)).status_code == 201
    english = await asked(library, "ValueSet/blood/$expand?displayLanguage=en&includeDesignations=true&filter=type")
    assert english["expansion"]["contains"] == [
        {
            "system": "urn:blood",
            "code": "3",
            "display": "Type O",
            "designation": [{"language": "en", "value": "Type O"}],
        }
    ]
    assert contained(await asked(library, "ValueSet/$expand?url=urn:set:blood&exclude-system=urn:blood")) == []
    open_ = await asked(library, "ValueSet/$expand?url=http://loinc.org?fhir_vs&count=1")
    assert open_["expansion"]["extension"][0]["url"].endswith("valueset-unclosed")


async def test_an_expansion_that_is_too_large_is_refused(library: httpx.AsyncClient) -> None:
    many = [{"code": f"c{number}"} for number in range(10_001)]
    large = {
        "resourceType": "ValueSet",
        "status": "active",
        "compose": {"include": [{"system": "urn:x", "concept": many}]},
    }
    answer = await library.post("/fhir/ValueSet/$expand", json=large, headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "too-costly")


# ---------------------------------------------------------------------------------------------- $translate


async def test_translate_as_in_the_specification(library: httpx.AsyncClient) -> None:
    """R4 conceptmap-operation-translate.html, its example."""
    address = f"ConceptMap/101/$translate?system={HL7}/address-use&code=home"
    answer = await asked(
        library,
        f"{address}&source={HL7}/ValueSet/address-use&target={CODES.replace('CodeSystem', 'ValueSet')}/v3-AddressUse",
    )
    assert answer["result"] is True
    (match,) = answer["match"]
    assert (match["equivalence"], match["concept"]["code"]) == ("equivalent", "H")
    assert (match["concept"]["system"], match["source"]) == (f"{CODES}/v3-AddressUse", f"{HL7}/ConceptMap/101")


async def test_translate_without_a_system_asks_the_group_that_lists_the_code(library: httpx.AsyncClient) -> None:
    table = {
        "resourceType": "ConceptMap", "id": "two", "url": "urn:two", "status": "active",
        "group": [
            {"source": "urn:a", "target": "urn:x", "element": [{"code": "1", "target": [
                {"code": "one", "equivalence": "equal"}]}], "unmapped": {"mode": "fixed", "code": "other"}},
            {"source": "urn:b", "target": "urn:y", "element": [{"code": "2", "target": [
                {"code": "two", "equivalence": "equal"}]}]},
        ],
    }  # fmt: skip
    assert (await library.put("/fhir/ConceptMap/two", json=table)).status_code == 201
    for code, expected in (("2", ["two"]), ("1", ["one"]), ("3", ["other"])):
        answer = (await library.get(f"/fhir/ConceptMap/$translate?url=urn:two&code={code}")).json()
        assert [each["concept"]["code"] for each in told(answer)["match"]] == expected


async def test_translate_finds_maps_by_system_and_goes_back(library: httpx.AsyncClient) -> None:
    base = f"ConceptMap/$translate?system={HL7}/administrative-gender"
    found_ = await asked(library, f"{base}&code=other&targetsystem={CODES}/v2-0001")
    assert {(each["equivalence"], each["concept"]["code"]) for each in found_["match"]} == {
        ("wider", "A"),
        ("wider", "O"),
    }
    back = await asked(library, f"ConceptMap/$translate?system={CODES}/v2-0001&code=A&reverse=true")
    assert [(each["equivalence"], each["concept"]["code"]) for each in back["match"]] == [("narrower", "other")]
    nothing = await asked(library, f"{base}&code=nonsense")
    assert (nothing["result"], "match" in nothing) == (False, False)
    concept = {"coding": [{"system": "urn:x", "code": "1"}, {"system": f"{HL7}/administrative-gender", "code": "male"}]}
    both = await posted(library, "ConceptMap/$translate", {"name": "codeableConcept", "valueCodeableConcept": concept})
    assert [each["concept"]["code"] for each in both["match"]] == ["M"]


def chart(unmapped: dict[str, Any], **more: Any) -> dict[str, Any]:
    target = {"code": "T", "equivalence": "equivalent", **more}
    group = {"source": "urn:a", "target": "urn:b", "element": [{"code": "S", "target": [target]}], "unmapped": unmapped}
    return {"resourceType": "ConceptMap", "url": "urn:map", "status": "active", "group": [group]}


async def test_translate_of_what_a_map_does_not_list(library: httpx.AsyncClient) -> None:
    async def of(map: dict[str, Any], *more: dict[str, Any], code: str = "X") -> dict[str, Any]:
        coding = {"name": "coding", "valueCoding": {"system": "urn:a", "code": code}}
        return await posted(library, "ConceptMap/$translate", {"name": "conceptMap", "resource": map}, coding, *more)

    (provided,) = (await of(chart({"mode": "provided"})))["match"]
    assert provided["concept"] == {"system": "urn:b", "code": "X"}
    (fixed,) = (await of(chart({"mode": "fixed", "code": "U"})))["match"]
    assert fixed["concept"] == {"system": "urn:b", "code": "U"}
    other = {**chart({"mode": "fixed", "code": "V"}), "id": "other", "url": "urn:other"}
    await library.put("/fhir/ConceptMap/other", json=other, headers=FHIR)
    (led,) = (await of(chart({"mode": "other-map", "url": "urn:other"})))["match"]
    assert (led["concept"]["code"], led["source"]) == ("V", "urn:other")
    circle = {**other, "group": [{**other["group"][0], "unmapped": {"mode": "other-map", "url": "urn:other"}}]}
    await library.put("/fhir/ConceptMap/other", json=circle, headers=FHIR)
    round_ = await library.get("/fhir/ConceptMap/other/$translate?system=urn:a&code=X")
    assert (round_.status_code, "leads back" in says(round_)) == (400, True)
    needs = chart({"mode": "fixed", "code": "U"}, dependsOn=[{"property": "urn:sex", "value": "F"}])
    assert "urn:sex" in (await of(needs, code="S"))["message"]
    fact = {"name": "dependency", "part": [
        {"name": "element", "valueUri": "urn:sex"},
        {"name": "concept", "valueCodeableConcept": {"coding": [{"code": "F"}]}},
    ]}  # fmt: skip
    assert (await of(needs, fact, code="S"))["result"] is True


# ---------------------------------------------------------------------------------------------- versions, statement


async def test_they_wait_until_the_tables_are_there(door: Door, client: httpx.AsyncClient) -> None:
    waited: list[str] = []

    async def tables() -> None:
        waited.append("")

    door.services.tables = tables
    for address in ("CodeSystem", "ValueSet/x", "ConceptMap/$translate", "metadata?mode=terminology"):
        await client.get(f"/fhir/{address}")
    assert len(waited) == 4
    for address in ("Patient", "metadata", "_history"):
        await client.get(f"/fhir/{address}")
    client.headers["authorization"] = "Bearer nobody"
    await client.get("/fhir/ValueSet")
    assert len(waited) == 4


async def test_old_versions_are_read_by_their_name(library: httpx.AsyncClient) -> None:
    new = {**BLOOD, "version": "2", "concept": [{"code": "7", "display": "新"}]}
    assert (await library.put("/fhir/CodeSystem/blood", json=new, headers=FHIR)).status_code == 200
    assert (await asked(library, "CodeSystem/$lookup?system=urn:blood&code=7"))["version"] == "2"
    assert (await asked(library, "CodeSystem/$lookup?system=urn:blood&code=3&version=1"))["version"] == "1"
    await asked(library, "CodeSystem/$lookup?system=urn:blood&code=3", status=404)
    await asked(library, "CodeSystem/$lookup?system=urn:blood&code=3&version=3", status=404)


async def test_the_statement_is_true(library: httpx.AsyncClient) -> None:
    statement = await asked(library, "metadata?mode=terminology")
    assert statement["resourceType"] == "TerminologyCapabilities"
    held = {each["uri"]: [version["code"] for version in each.get("version", ())] for each in statement["codeSystem"]}
    systems = [each["resource"] for each in (await library.get("/fhir/CodeSystem?_count=100")).json()["entry"]]
    assert held == {each["url"]: [each["version"]] if "version" in each else [] for each in systems}
    for url, versions in held.items():
        for version in versions or [""]:
            verdict = await asked(library, f"CodeSystem/$validate-code?url={url}&code=?&version={version}")
            assert verdict["result"] is False
    for each in statement["expansion"]["parameter"]:
        refused = await library.get(f"/fhir/ValueSet/$expand?url=urn:nobody&{each['name']}=x")
        assert "no parameter" not in says(refused), each
    assert (await library.get("/fhir/metadata?mode=nonsense")).status_code == 400
    capability = await asked(library, "metadata")
    said = {
        (resource["type"], operation["name"], operation["definition"])
        for resource in capability["rest"][0]["resource"]
        for operation in resource.get("operation", ())
    }
    for each in OFFERED:
        assert (each.types[0], each.name, each.definition) in said
        answer = await library.get(f"/fhir/{each.types[0]}/${each.name}")
        assert answer.status_code == 400, each


# ---------------------------------------------------------------------------------------------- unknown codes


async def test_unknown_codes_are_listed_without_what_may_be_a_person_s(door: Door, client: httpx.AsyncClient) -> None:
    with door.services.overview.record.transaction() as transaction:
        codes = [("sex", "7"), ("sex", "7"), ("sex", "110101199003077571")]
        unknown.note(transaction, 1, "qinghe", codes, words={("sex", "7"): "男性"}, received=START)
        unknown.note(transaction, 2, "lab", [("L", "K01")], words={}, received=START)
    rows = (await asked(client, "ConceptMap/$unknown-codes"))["code"]
    assert [(each["member"], each["table"], each["code"], each["times"]) for each in rows] == [
        ("qinghe", "sex", "7", 2), ("lab", "L", "K01", 1), ("qinghe", "sex", "(18 characters)", 1),
    ]  # fmt: skip
    assert (rows[0]["display"], rows[0]["messages"], rows[0]["entry"]) == ("男性", 1, 1)
    assert rows[0]["first"].startswith("2026-03-05")
    assert (await asked(client, "ConceptMap/$unknown-codes?member=lab"))["total"] == 1
    assert (await asked(client, "ConceptMap/$unknown-codes?table=L&member=qinghe"))["total"] == 0
    assert (await client.get("/fhir/ConceptMap/$unknown-codes?nonsense=1")).status_code == 400
