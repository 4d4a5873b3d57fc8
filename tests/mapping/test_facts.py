"""The facts of the invented community, exactly: what each message and each row of the laboratory's file says."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from gateway.codec import delimited
from gateway.mapping.context import CHINESE_ID
from gateway.mapping.exports import Part
from gateway.mapping.maps import Translation
from gateway.model import Resource
from tests.mapping.house import FIXTURES, SAMPLES, SHANGHAI, WHEN, all_of, back, fixture, follow, into, maps, only

EXPECTED: dict[str, Any] = json.loads((FIXTURES / "messages.expected.json").read_text(encoding="utf-8"))
LABORATORY: dict[str, Any] = json.loads(
    (FIXTURES / "lab_shiqiao_20260312.expected.json").read_text(encoding="utf-8"),
    parse_float=Decimal,
    parse_int=Decimal,
)
COUNTED = (
    "Patient",
    "Encounter",
    "Condition",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
    "DiagnosticReport",
    "Appointment",
    "Task",
)
INTERPRETED = {"critical_alerts": ("HH", "LL", "AA")}


def codes(concept: dict[str, Any] | None) -> list[str]:
    return [each["code"] for each in (concept or {}).get("coding", ())]


def interpretation(observation: Resource) -> str:
    return codes(next(iter(observation.get("interpretation", ())), None))[0]


def numbers(resource: Resource, kind: str) -> list[str]:
    return [each["value"] for each in resource.get("identifier", ()) if kind in codes(each.get("type"))]


def national(patient: Resource) -> list[str]:
    return [each["value"] for each in patient["identifier"] if each["system"] == CHINESE_ID]


def person_of(made: Translation, reference: dict[str, Any]) -> str:
    """The name of whoever a reference shows."""
    shown = reference["display"]
    if "reference" in reference:
        assert follow(made, reference)["name"][0]["text"] == shown
    return str(shown)


# ------------------------------------------------------------------------------------------------ messages


@pytest.mark.parametrize("name", EXPECTED)
def test_the_counts_and_the_patient_of_every_message(name: str) -> None:
    made = into(fixture(name[:2]))
    facts = EXPECTED[name]
    there = Counter(entry["resource"]["resourceType"] for entry in made.bundle["entry"])
    assert {type_: there[type_] for type_ in facts["counts"] if type_ in COUNTED} == {
        type_: count for type_, count in facts["counts"].items() if type_ in COUNTED
    }
    assert there["Coverage"] == facts["counts"].get("Coverage_or_note", 0)
    patient = all_of(made, "Patient")[0]
    if not (wanted := facts.get("patient") or facts.get("survivor")):
        return
    assert patient["name"][0]["text"] == wanted["name"]
    assert (patient["gender"], patient["birthDate"]) == (wanted["gender"], wanted["birthDate"])
    assert national(patient) == [wanted["id"]]


def test_01_an_admission() -> None:
    made = into(fixture("01"))
    facts = EXPECTED["01_adt_a01_admit.hl7"]["encounter"]
    visit = only(made, "Encounter")
    assert visit["class"]["code"] == facts["class"]
    assert visit["status"] == facts["status"]
    assert numbers(visit, "VN") == [facts["visit_no"]]
    assert visit["period"] == {"start": facts["start"]}
    place = follow(made, visit["location"][0]["location"])
    assert place["name"] == f"{facts['dept']} {facts['bed']}"
    roles = {codes(each["type"][0])[0]: person_of(made, each["individual"]) for each in visit["participant"]}
    assert roles == {"ATND": facts["attender"], "ADM": facts["attender"], "REF": "黄志明"}
    source = visit["hospitalization"]["admitSource"]
    assert f"{codes(source)[0]} {source['text']}" == facts["admitSource"]
    assert [follow(made, each["condition"]) for each in visit["diagnosis"]] == all_of(made, "Condition")
    assert [codes(each["code"])[0] for each in all_of(made, "Condition")] == facts["diagnoses"]
    assert [codes(each["code"])[1] for each in all_of(made, "Condition")] == ["J18.9", "E87.5"]  # the WHO stems
    allergy = only(made, "AllergyIntolerance")
    assert codes(allergy["code"]) == ["409137002"]  # "否认药物过敏史" is no substance
    assert allergy["code"]["text"] == "否认药物过敏史"
    assert "family" not in all_of(made, "Patient")[0]["name"][0]
    assert only(made, "RelatedPerson")["name"][0]["text"] == "欧阳小明"


def test_02_a_registration() -> None:
    facts = EXPECTED["02_adt_a04_register.hl7"]["encounter"]
    visit = only(into(fixture("02")), "Encounter")
    assert visit["class"]["code"] == facts["class"]
    assert visit["status"] in facts["status"].split("|")
    assert numbers(visit, "VN") == [facts["visit_no"]]
    assert visit["period"] == {"start": facts["start"]}
    assert visit["location"][0]["location"]["display"] == facts["dept"]


def test_03_an_update_without_a_visit_number_tells_of_the_patient_alone() -> None:
    made = into(fixture("03"))
    facts = EXPECTED["03_adt_a08_update.hl7"]["patient"]
    patient = only(made, "Patient")
    assert [each["value"] for each in patient["telecom"]] == [facts["phone"]]
    assert facts["address_contains"] in patient["address"][0]["text"]
    assert all_of(made, "Encounter") == []
    urls = [each["request"]["url"] for each in made.bundle["entry"] if each["resource"] is patient]
    assert urls == ["Patient?identifier=urn:hutong:id:12529901MB990011XK:PI|SQ000102"]  # the same one as in 02
    assert f"{into(fixture('02')).bundle}".count(urls[0]) == 1


def test_04_a_discharge() -> None:
    made = into(fixture("04"))
    facts = EXPECTED["04_adt_a03_discharge.hl7"]["encounter"]
    visit = only(made, "Encounter")
    assert (visit["class"]["code"], visit["status"]) == (facts["class"], facts["status"])
    assert numbers(visit, "VN") == [facts["visit_no"]]
    assert visit["period"] == {"start": facts["start"], "end": facts["end"]}
    way = visit["hospitalization"]["dischargeDisposition"]
    assert f"{codes(way)[0]} {way['text']}" == facts["dischargeDisposition"]
    assert [codes(each["verificationStatus"]) for each in all_of(made, "Condition")] == [["confirmed"]] * 2


def test_05_an_order_for_a_scan() -> None:
    made = into(fixture("05"))
    facts = EXPECTED["05_orm_o01_ct_order.hl7"]["ServiceRequest"]
    order = only(made, "ServiceRequest")
    assert (order["status"], order["intent"]) == (facts["status"], facts["intent"])
    assert order["priority"] in facts["priority"].split("|")
    assert "363679005" in [code for each in order["category"] for code in codes(each)]  # SNOMED CT: imaging
    assert codes(order["code"]) == [facts["code"]]
    assert order["code"]["text"] == facts["text"]
    assert numbers(order, "PLAC") == [facts["placer"]]
    assert order["authoredOn"] == facts["authoredOn"]
    assert person_of(made, order["requester"]) == facts["requester"]
    reasons = [codes(follow(made, each)["code"])[0] for each in order["reasonReference"]]
    assert [*reasons, *(each["text"] for each in order["reasonCode"])] == facts["reason"]
    assert [each["display"] for each in order["supportingInfo"]] == [facts["clinical_info"]]


def test_06_orders_for_the_laboratory_each_with_its_own_specimen() -> None:
    made = into(fixture("06"))
    facts = EXPECTED["06_oml_o21_lab_order.hl7"]
    orders = all_of(made, "ServiceRequest")
    found = [
        {"placer": numbers(each, "PLAC")[0], "code": codes(each["code"])[0], "text": each["code"]["text"]}
        for each in orders
    ]
    assert found == facts["ServiceRequest"]
    for order, wanted in zip(orders, facts["Specimen"], strict=True):
        specimen = follow(made, *order["specimen"])
        assert specimen["identifier"][0]["value"] == wanted["id"]
        assert specimen["type"]["text"] == wanted["type"]
        assert specimen["collection"]["collectedDateTime"] == "2026-03-13T08:50:00+08:00"
        assert follow(made, *specimen["request"]) is order


def test_07_critical_results_of_a_laboratory() -> None:
    made = into(fixture("07"))
    facts = EXPECTED["07_oru_r01_lab_critical.hl7"]
    results = {codes(each["code"])[0]: each for each in all_of(made, "Observation")}
    for report, wanted in zip(all_of(made, "DiagnosticReport"), facts["reports"], strict=True):
        order = follow(made, *report["basedOn"])
        assert numbers(order, "PLAC") == [wanted["placer"]]
        assert numbers(report, "FILL") == [wanted["filler"]]
        assert report["code"]["text"] == wanted["text"]
        assert (report["status"], report["issued"]) == ("final", "2026-03-04T06:12:00+08:00")
        people = [each for each in (*report["performer"], *report["resultsInterpreter"]) if "display" in each]
        assert {person_of(made, each) for each in people} == {"高敏", "罗刚"}
    assert [len(each["result"]) for each in all_of(made, "DiagnosticReport")] == [4, 3]
    for wanted in facts["observations"]:
        result = results[wanted["code"]]
        if "text" in wanted:
            assert result["valueCodeableConcept"]["text"] == wanted["text"]
            assert codes(result["valueCodeableConcept"]) == [wanted["coded"]]
            continue
        value = result["valueQuantity"]
        assert value["value"] == Decimal(str(wanted["value"]))
        assert value.get("comparator") == wanted.get("comparator")
        assert value.get("unit") == wanted.get("unit", value.get("unit"))
        assert interpretation(result) == wanted["interpretation"]
        limits = result["referenceRange"][0]
        assert limits["low"]["value"] == Decimal(str(wanted.get("low", limits["low"]["value"])))
        assert limits["high"]["value"] == Decimal(str(wanted.get("high", limits["high"]["value"])))
        assert wanted.get("note_contains", "") in "".join(each["text"] for each in result.get("note", ()))
    alerts = [each for each in results.values() if interpretation(each) in INTERPRETED["critical_alerts"]]
    assert len(alerts) == facts["counts"]["critical_alerts"]
    potassium = [(each["system"], each["code"]) for each in results["020301"]["code"]["coding"]]
    assert potassium[1] == ("http://loinc.org", "2823-3")


def test_08_a_scan_report() -> None:
    made = into(fixture("08"))
    facts = EXPECTED["08_oru_r01_ct_report.hl7"]["report"]
    report = only(made, "DiagnosticReport")
    order = only(made, "ServiceRequest")
    assert numbers(order, "PLAC") == [facts["placer"]]
    assert numbers(report, "FILL") == [facts["filler"]]
    assert (report["status"], report["issued"]) == (facts["status"], facts["issued"])
    assert report["effectiveDateTime"] == facts["effective"]
    assert report["conclusion"] == facts["conclusion"]
    texts = [each["valueString"] for each in all_of(made, "Observation") if "valueString" in each]
    assert facts["findings"] in texts
    study = follow(made, *report["imagingStudy"])
    assert [each["value"] for each in study["identifier"]] == [f"urn:oid:{facts['study_uid']}"]
    assert [each["url"] for each in report["presentedForm"]] == [facts["image_url"]]
    assert [person_of(made, each) for each in report["performer"] if "display" in each] == [facts["performer"]]
    assert facts["verifier"] in [person_of(made, each) for each in report["resultsInterpreter"]]
    alerts = [each for each in all_of(made, "Observation") if "interpretation" in each and interpretation(each) == "AA"]
    assert len(alerts) == EXPECTED["08_oru_r01_ct_report.hl7"]["counts"]["critical_alerts"]


def test_05_and_08_speak_of_one_order() -> None:
    ordered = next(each for each in into(fixture("05")).bundle["entry"] if "LHX" in each["request"]["url"])
    reported = next(
        each for each in into(fixture("08")).bundle["entry"] if each["resource"]["resourceType"] == "ServiceRequest"
    )
    assert ordered["fullUrl"] == reported["fullUrl"]
    assert ordered["request"]["url"] == reported["request"]["url"]


def test_10_a_referral() -> None:
    made = into(fixture("10"))
    facts = EXPECTED["10_ref_i12_referral.hl7"]["referral"]
    asked, task = only(made, "ServiceRequest"), only(made, "Task")
    assert [each["value"] for each in asked["identifier"]] == [facts["referral_no"]]
    assert [each["value"] for each in task["identifier"]] == [facts["referral_no"]]
    assert (asked["status"], task["status"]) == (facts["status"], facts["task"])
    assert asked["authoredOn"] == facts["authoredOn"]
    assert {facts["direction"], "3457005"} <= {code for each in asked["category"] for code in codes(each)}
    institution, doctor = asked["performer"]
    assert f"{person_of(made, asked['requester'])} @ {task['requester']['display']}" == facts["requester"]
    assert f"{person_of(made, doctor)} @ {institution['display']}" == facts["performer"]
    assert institution == task["owner"]
    assert [each["text"] for each in asked["locationCode"]] == [facts["dept"]]
    assert [codes(follow(made, each)["code"])[0] for each in asked["reasonReference"]] == facts["reasons"]
    enclosed = [each["identifier"]["value"] for each in asked["supportingInfo"] if "identifier" in each]
    assert enclosed == facts["supportingInfo"]
    texts = " ".join(each["valueString"] for each in all_of(made, "Observation") if "valueString" in each)
    assert [each for each in facts["texts"] if each not in texts] == []
    assert facts["note_contains"] in asked["note"][0]["text"]


def test_14_the_referral_is_accepted() -> None:
    made = into(fixture("14"))
    facts = EXPECTED["14_rri_i12_accept.hl7"]["task"]
    task = only(made, "Task")
    assert [each["value"] for each in task["identifier"]] == [facts["referral_no"]]
    assert task["status"] == facts["status"]
    assert facts["note_contains"] in task["note"][0]["text"]
    urls = [
        [each["request"]["url"] for each in found.bundle["entry"] if each["resource"]["resourceType"] == "Task"]
        for found in (made, into(fixture("10")))
    ]
    assert urls[0] == urls[1]


def test_11_a_booking() -> None:
    made = into(fixture("11"))
    facts = EXPECTED["11_siu_s12_ct_booking.hl7"]["appointment"]
    booking = only(made, "Appointment")
    assert (booking["status"], booking["start"], booking["end"]) == (facts["status"], facts["start"], facts["end"])
    assert booking["minutesDuration"] == facts["minutes"]
    assert [each["text"] for each in booking["serviceType"]] == [facts["service"]]
    assert (numbers(booking, "PLAC"), numbers(booking, "FILL")) == ([facts["placer"]], [facts["filler"]])
    assert facts["comment_contains"] in booking["comment"]
    taking_part = [follow(made, each["actor"]) for each in booking["participant"]]
    places = [each["name"] for each in taking_part if each["resourceType"] == "Location"]
    assert len(places) == 1
    assert facts["location"] in places[0]
    assert only(made, "Patient") in taking_part


def test_12_a_merge_links_both_ways_and_keeps_both() -> None:
    made = into(fixture("12"))
    facts = EXPECTED["12_adt_a40_merge.hl7"]["merged"]
    survivor, retired = all_of(made, "Patient")
    assert [each["value"] for each in retired["identifier"]] == [facts["local"]]
    assert retired["name"][0]["text"] == facts["name"]
    assert retired["active"] is facts["active"]
    assert [each["type"] for each in retired["link"]] == ["replaced-by"]
    assert follow(made, retired["link"][0]["other"]) is survivor
    assert [each["type"] for each in survivor["link"]] == ["replaces"]
    assert follow(made, survivor["link"][0]["other"]) is retired
    assert "300002" in [each["value"] for each in survivor["identifier"]]


def test_09_a_discharge_summary() -> None:
    made = into(fixture("09"))
    facts = EXPECTED["09_mdm_t02_discharge_summary.hl7"]["document"]
    document = only(made, "DocumentReference")
    code = document["type"]["coding"][0]
    assert (code["code"], code["display"]) == ("DS", "出院小结")
    assert document["masterIdentifier"]["value"] == facts["id"]
    assert (document["status"], document["docStatus"]) == (facts["status"], facts["docStatus"])
    assert [person_of(made, each) for each in document["author"]] == [facts["author"]]
    assert document["date"] in facts["date"] or document["date"][11:16] in facts["date"]
    visit = follow(made, document["context"]["encounter"][0])
    assert numbers(visit, "VN") == [facts["encounter"]]
    attachments = [each["attachment"] for each in document["content"]]
    assert len(attachments) >= facts["attachments_min"]
    texts = "".join(base64.b64decode(each["data"]).decode() for each in attachments if "data" in each)
    assert all(text in texts for text in facts["text_contains"])
    sent = fixture("09").partition(b"^pdf^Base64^")[2].partition(b"|")[0].decode()
    binary = follow(made, {"reference": attachments[-1]["url"]})
    assert (binary["contentType"], binary["data"]) == ("application/pdf", sent)
    assert sent.encode() in back(made.bundle, "MDM_T02", event="T02")


def test_13_results_by_specimen() -> None:
    made = into(fixture("13"))
    facts = EXPECTED["13_oul_r22_lis_cn_style.hl7"]
    there = Counter(entry["resource"]["resourceType"] for entry in made.bundle["entry"])
    assert {type_: there[type_] for type_ in facts["counts"]} == facts["counts"]
    results = {codes(each["code"])[0]: each for each in all_of(made, "Observation")}
    for wanted in facts["observations"]:
        value = results[wanted["code"]]["valueCodeableConcept"]
        assert codes(value) == [wanted["coded"]]
        assert value["text"] == wanted.get("text", value["text"])
    report = only(made, "DiagnosticReport")
    assert [follow(made, each) for each in report["result"]] == list(results.values())
    specimen = only(made, "Specimen")
    assert [follow(made, each) for each in report["specimen"]] == [specimen]
    assert specimen["identifier"][0]["value"] == "TM2603130013"


# ---------------------------------------------------------------------------------------- laboratory export


@pytest.fixture(scope="module")
def exported() -> Translation:
    table = delimited.decode((FIXTURES / "lab_shiqiao_20260312.csv").read_bytes())
    name = maps().exports.of_columns(table.columns)
    return maps().exports.to_fhir(
        [Part(name=name, records=table.rows)], profile=SHANGHAI, facility="SQ", control_id="F1", when=WHEN
    )


def test_the_laboratory_file_has_all_its_resources(exported: Translation) -> None:
    there = Counter(entry["resource"]["resourceType"] for entry in exported.bundle["entry"])
    wanted = {type_: count for type_, count in LABORATORY["counts"].items() if type_ in there}
    assert {type_: there[type_] for type_ in wanted} == wanted
    assert set(wanted) >= {"Patient", "ServiceRequest", "Specimen", "DiagnosticReport", "Observation"}
    assert there["Encounter"] == 16
    assert there["Organization"] >= LABORATORY["counts"]["Organization_min"]
    assert exported.rejects == ()
    alerts = [each for each in all_of(exported, "Observation") if interpretation(each) in ("HH", "LL", "AA")]
    assert len(alerts) == LABORATORY["counts"]["critical_alerts"]


def test_every_patient_of_the_laboratory_file(exported: Translation) -> None:
    found = {each["identifier"][0]["value"]: each for each in all_of(exported, "Patient")}
    for wanted in LABORATORY["patients"]:
        given = {each["type"]: each["value"] for each in wanted["identifiers"]}
        patient = found[given["local"]]
        assert patient["name"][0]["text"] == wanted["name"]
        assert patient["gender"] == wanted["gender"]
        assert patient.get("birthDate") == wanted.get("birthDate")
        assert national(patient) == [value for kind, value in given.items() if kind == "居民身份证"]


def test_every_report_of_the_laboratory_file(exported: Translation) -> None:
    found = {numbers(each, "FILL")[0]: each for each in all_of(exported, "DiagnosticReport")}
    assert list(found) == [each["application"] for each in LABORATORY["reports"]]
    for wanted in LABORATORY["reports"]:
        report = found[wanted["application"]]
        order = follow(exported, *report["basedOn"])
        specimen = follow(exported, *report["specimen"])
        visit = follow(exported, report["encounter"])
        assert {
            "application": numbers(order, "PLAC")[0],
            "barcode": specimen["identifier"][0]["value"],
            "patient": follow(exported, report["subject"])["name"][0]["text"],
            "patient_id_card": next(iter(national(follow(exported, report["subject"]))), ""),
            "panel_code": codes(report["code"])[0],
            "panel": report["code"]["text"],
            "status": report["status"],
            "category": codes(report["category"][0])[0],
            "specimen_type": specimen["type"]["text"],
            "collected": specimen["collection"]["collectedDateTime"],
            "received": specimen["receivedTime"],
            "issued": report["issued"],
            "performer": report["performer"][0]["display"],
            "resultsInterpreter": report["resultsInterpreter"][0]["display"],
            "requester": order["requester"]["display"],
            "requester_dept": visit["serviceType"]["text"],
            "reason": order["reasonCode"][0]["text"],
            "encounter_class": visit["class"]["code"],
            "encounter_no": visit["identifier"][0]["value"],
            "items": len(report["result"]),
            "servicerequest_status": order["status"],
        } == {name: value or "" for name, value in wanted.items()}


def test_every_result_of_the_laboratory_file(exported: Translation) -> None:
    found = iter(all_of(exported, "Observation"))
    for wanted in LABORATORY["observations"]:
        result = next(found)
        assert codes(result["code"])[0] == wanted["item"]
        assert result["code"]["text"] == wanted["name"]
        assert (result["effectiveDateTime"], result["issued"]) == (wanted["effective"], wanted["issued"])
        check_value(result, wanted["value"])
        assert interpretation(result) == wanted["interpretation"], wanted
        check_range(result, wanted["referenceRange"])
        assert (interpretation(result) in ("HH", "LL", "AA")) is wanted["critical"]
    assert next(found, None) is None


def check_value(result: Resource, wanted: dict[str, Any]) -> None:
    if "quantity" not in wanted:
        value = result.get("valueCodeableConcept") or {"text": result["valueString"]}
        assert value["text"] == wanted["text"]
        assert codes(value) == [wanted["coded"]] if wanted.get("coded") else codes(value) == []
        return
    value = result["valueQuantity"]
    assert value["value"] == wanted["quantity"]
    assert value.get("comparator") == wanted["comparator"]
    assert value.get("unit") == wanted["unit"]
    assert value.get("code") == wanted["ucum"]


def check_range(result: Resource, wanted: dict[str, Any] | None) -> None:
    limits = result.get("referenceRange", [{}])[0]
    wanted = wanted or {}
    assert limits.get("text") == wanted.get("text")
    for end in ("low", "high"):
        assert limits.get(end, {}).get("value") == wanted.get(end)


def test_what_must_hold_of_the_laboratory_file(exported: Translation) -> None:
    people = [(each["name"][0]["text"], *national(each)) for each in all_of(exported, "Patient")]
    assert ("张伟", "529901197506180318") in people
    assert ("张伟", "529901197506180334") in people
    assert any(name == "王\u4dae" for name, *_ in people)
    girl = next(each for each in all_of(exported, "Patient") if each["name"][0]["text"] == "刘桂花之女")
    assert national(girl) == []
    assert "birthDate" not in girl
    orders = {numbers(each, "PLAC")[0]: each for each in all_of(exported, "ServiceRequest")}
    reports = {numbers(each, "FILL")[0]: each for each in all_of(exported, "DiagnosticReport")}
    assert reports["SQL202603120004"]["specimen"] == reports["SQL202603120005"]["specimen"]
    assert len(orders) == 19
    compared = [
        each["valueQuantity"]
        for each in all_of(exported, "Observation")
        if "comparator" in each.get("valueQuantity", {})
    ]
    assert {(each["comparator"], each["value"]) for each in compared} == {("<", Decimal("0.5")), ("<", Decimal(2))}
    critical = {
        each["valueQuantity"]["value"] for each in all_of(exported, "Observation") if interpretation(each) == "HH"
    }
    assert critical == {Decimal("6.8"), Decimal("3.52")}
    texts = [
        each["valueCodeableConcept"]["text"]
        for each in all_of(exported, "Observation")
        if "valueCodeableConcept" in each
    ]
    assert "2+" in texts
    assert "±" in texts


def test_the_laboratory_file_comes_back_cell_by_cell(exported: Translation) -> None:
    """Each mapped column; 年龄 is not mapped: an age is no birth date and nothing keeps it."""
    from gateway.mapping.maps import Address
    from tests.mapping.house import by_reference

    body = (FIXTURES / "lab_shiqiao_20260312.csv").read_bytes().decode("gb18030")
    before = list(csv.DictReader(io.StringIO(body)))
    resources = by_reference(exported.bundle)
    leads = [url for url, each in resources.items() if each["resourceType"] == "DiagnosticReport"]
    address = Address(profile=SHANGHAI, facility="SQ", control_id="B1", when=WHEN)
    written = maps().exports.from_fhir(resources, leads, name="laboratory-results", to=address)
    assert list(written.columns) == list(before[0])
    lost = Counter()
    for old, new in zip(before, written.rows, strict=True):
        for column in written.columns:
            if old[column] != new.get(column, ""):
                lost[column, old[column], new.get(column, "")] += 1
    assert {column for column, *_ in lost} <= {"年龄"}, lost


# ------------------------------------------------------------------------------------------------ samples


@pytest.mark.samples
@pytest.mark.samples
@pytest.mark.parametrize(
    "path", sorted([*FIXTURES.glob("[01]*.hl7"), *FIXTURES.glob("lab*.csv")]), ids=lambda path: path.name
)
def test_the_fixtures_are_the_samples(path: Any) -> None:
    folder = SAMPLES / "community" / ("hl7v2" if path.suffix == ".hl7" else ".")
    assert path.read_bytes() == (folder / path.name).read_bytes()
