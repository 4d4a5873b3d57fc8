"""Master files ↔ Practitioner, Location, ObservationDefinition: what the record-level event does."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir import json
from gateway.mapping.datatypes.masters import place_number_into, range_back, range_into
from tests.mapping.house import PV1, SHANGHAI, WHEN, all_of, back, context, into, maps, message, only

STAFF = ("MFI|PRA^Practitioner^HL70175||UPD|||AL", "MFE|MAD|1||D012|CE")
PERSON = "STF|D012||李^强||M|19750618|A|NK^内科^L"


def told(kind: str, *lines: str) -> bytes:
    return message(kind, *lines, pid="")


def written(made: object, structure: str, *names: str) -> list[str]:
    body = back(json.loads(json.dumps(made.bundle)), structure)  # type: ignore[attr-defined]
    return ["|".join(each) for each in hl7v2.decode(body).segments if each[0] in names]


def test_a_practitioner_is_the_one_whom_visits_name() -> None:
    master = only(into(told("MFN^M02^MFN_M02", *STAFF, PERSON)), "Practitioner")
    named = only(into(message("ADT^A01^ADT_A01", PV1.replace("|||||", "||||D012^李^强|", 1))), "Practitioner")
    assert master["identifier"][0] == named["identifier"][0]


@pytest.mark.parametrize(
    ("event", "flag", "active"),
    [
        ("MAD", "A", True), ("MUP", "I", False), ("MUP", "", None), ("MDL", "A", False), ("MDC", "A", False),
        ("MAC", "I", True),
    ],
)  # fmt: skip
def test_the_event_beats_the_flag(event: str, flag: str, active: bool | None) -> None:
    lines = (STAFF[0], f"MFE|{event}|1||D012|CE", f"STF|D012||李^强||M||{flag}")
    assert only(into(told("MFN^M02^MFN_M02", *lines)), "Practitioner").get("active") is active


def test_a_deleted_record_needs_no_more_than_its_key() -> None:
    made = into(told("MFN^M02^MFN_M02", STAFF[0], "MFE|MDL|1||D012|CE"))
    assert only(made, "Practitioner")["active"] is False
    assert written(made, "MFN_M02", "MFE") == ["MFE|MDL|1||D012|CE"]


def test_a_new_record_without_content_is_refused() -> None:
    with pytest.raises(HutongError, match="it has no STF segment"):
        maps().to_fhir(hl7v2.decode(told("MFN^M02^MFN_M02", *STAFF)), profile=SHANGHAI, when=WHEN)


def test_each_unit_is_a_role() -> None:
    lines = ("PRA|D012||主任医师^主任医师^L||心内科", "ORG|1|NK01^内科一病区", "ORG|2|ZX^体检中心")
    made = into(told("MFN^M02^MFN_M02", *STAFF, PERSON, *lines))
    roles = all_of(made, "PractitionerRole")
    assert [each["organization"]["display"] for each in roles] == ["内科一病区", "体检中心"]
    assert all(each["practitioner"] for each in roles)
    assert written(made, "MFN_M02", "ORG") == ["ORG||NK01^内科一病区", "ORG||ZX^体检中心"]


def test_a_place_is_the_one_where_visits_are() -> None:
    number = place_number_into("内科^^3床", context())
    made = into(told("MFN^M05^MFN_M05", "MFI|LOC", "MFE|MDC|1||内科^^3床|PL"))
    place = only(made, "Location")
    assert [{name: each[name] for name in ("system", "value")} for each in place["identifier"]] == [number]
    assert place["status"] == "inactive"
    visited = all_of(into(message("ADT^A01^ADT_A01", PV1)), "Location")
    assert number is not None
    assert number["value"] in {each["identifier"][0]["value"] for each in visited}


def test_a_test_has_its_ranges() -> None:
    lines = ("OM1||ALT^谷丙^L|NM", "OM2||U/L|0|||9&50^M^18&~7&40^F^18&|&1000")
    made = into(told("MFN^M08^MFN_M08", "MFI|OMA", "MFE|MAD|1||ALT^谷丙^L|CE", *lines))
    definition = only(made, "ObservationDefinition")
    assert [(each["category"], each.get("gender")) for each in definition["qualifiedInterval"]] == [
        ("reference", "male"), ("reference", "female"), ("critical", None),
    ]  # fmt: skip
    assert written(made, "MFN_M08", "OM1", "OM2") == ["OM1||ALT^谷丙^L|NM", "OM2||U/L|0|||9&50^M^18~7&40^F^18|&1000"]


def test_a_range_comes_back() -> None:
    for raw in ("3.5&5.5^M^18&60^^^^空腹", "3.50&5.50", "&7"):
        made = range_into(raw, "mmol/L", context())
        assert made is not None
        assert range_back(made, context())[0] == raw


def test_the_answer_names_each_record() -> None:
    records = ("MFA|MAD|1||S^Successful^HL70181|D012|CE", "MFA|MDC|2||U^Unsuccessful^HL70181|D044|CE")
    made = into(told("MFK^M02^MFK_M01", "MSA|AE|M1", "MFI|PRA||UPD", *records))
    assert [each["severity"] for each in only(made, "OperationOutcome")["issue"]] == ["error", "information", "error"]
    assert written(made, "MFK_M01", "MFA", "MSA") == ["MSA|AE|M1", *records]


@pytest.mark.parametrize("event", ["MAD", "MUP", "MDL", "MDC", "MAC"])
def test_what_is_done_with_a_record_comes_back(event: str) -> None:
    lines = (STAFF[0], f"MFE|{event}|7|20260401|D012|CE|20260312|9001^赵^敏^^^^^^COUNTY", PERSON)
    made = into(told("MFN^M02^MFN_M02", *lines))
    assert written(made, "MFN_M02", "MFE") == [lines[1]]
    done = [each for each in all_of(made, "Provenance") if each["activity"]["coding"][0]["code"] == event]
    assert [each["occurredDateTime"] for each in done] == ["2026-04-01"]


def test_who_entered_a_record_is_no_record() -> None:
    lines = (STAFF[0], "MFE|MUP|7||D012|CE|20260312|9001^赵^敏", PERSON)
    assert len(written(into(told("MFN^M02^MFN_M02", *lines)), "MFN_M02", "STF")) == 1


def test_without_its_history_a_record_is_told_by_its_state() -> None:
    made = into(told("MFN^M02^MFN_M02", STAFF[0], "MFE|MDL|1||D012|CE"))
    stored = {"entry": [each for each in made.bundle["entry"] if each["resource"]["resourceType"] != "Provenance"]}
    body = back({"resourceType": "Bundle", **stored}, "MFN_M02")
    assert ["|".join(each) for each in hl7v2.decode(body).segments if each[0] in ("MFI", "MFE")] == [
        "MFI|PRA^Practitioner master file^HL70175||UPD|||NE", "MFE|MDC|||D012|CE",
    ]  # fmt: skip


def test_learning_and_licences_are_told_apart() -> None:
    lines = ("EDU|1|MD^医学博士^L", "CER|1|ZC1||||||||ZY^执业医师^L", "CER|2|||卫健委||||||X^考核^L")
    made = into(told("MFN^M02^MFN_M02", *STAFF, PERSON, *lines))
    assert {each["code"]["text"] for each in only(made, "Practitioner")["qualification"]} == {
        "医学博士", "执业医师", "考核",
    }  # fmt: skip
    assert written(made, "MFN_M02", "EDU", "CER") == [
        "EDU||MD^医学博士^L", "CER||ZC1||||||||ZY^执业医师^L", "CER||||卫健委||||||X^考核^L",
    ]  # fmt: skip


def test_a_language_keeps_what_one_can_do_in_it() -> None:
    lines = ("LAN|1|zh^中文^L|1^读^L~2^写^L|1^优^L", "LAN|2|en^英语^L")
    made = into(told("MFN^M02^MFN_M02", *STAFF, PERSON, *lines))
    assert written(made, "MFN_M02", "LAN") == ["LAN||zh^中文^L|1^读^L~2^写^L|1^优^L", "LAN||en^英语^L"]


def test_a_professional_body_is_no_unit() -> None:
    lines = ("ORG|1|NK01^内科一病区", "AFF|1|某学会^L^^^^COUNTY^XX^^^A1|某路1号|2010^2030|委员")
    made = into(told("MFN^M02^MFN_M02", *STAFF, PERSON, *lines))
    assert len(all_of(made, "PractitionerRole")) == 2
    assert [each.partition("|")[0] for each in written(made, "MFN_M02", "ORG", "AFF")] == ["ORG", "AFF"]


@pytest.mark.parametrize(("event", "active"), [("B01", None), ("B03", False), ("B04", True), ("B05", False)])
def test_personnel_management_tells_who_works(event: str, active: bool | None) -> None:
    made = into(told(f"PMU^{event}^PMU_B01", f"EVN|{event}|20260312143000", "STF|D012||李^强||M"))
    assert only(made, "Practitioner").get("active") is active


def test_each_department_of_a_place_is_a_service() -> None:
    lines = ("LOC|内科^^3床||B", "LCH|内科^^3床|||SMK^吸烟^L|N^否^L", "LDP|内科^^3床|NK^内科|MED^内科服务^L|||A",
             "LCH|内科^^3床|||TEA^教学^L|Y^是^L", "LDP|内科^^3床|WK^外科||||I|20200101|20260101|改建")  # fmt: skip
    made = into(told("MFN^M05^MFN_M05", "MFI|LOC^^L", "MFE|MUP|1||内科^^3床|PL", *lines))
    services = all_of(made, "HealthcareService")
    assert [(each["active"], len(each.get("extension", ()))) for each in services] == [(True, 1), (False, 3)]
    assert written(made, "MFN_M05", "LCH", "LDP") == [
        "LCH||||SMK^吸烟^L|N^否^L", "LDP||NK^内科|MED^内科服务^L|||A", "LCH||||TEA^教学^L|Y^是^L",
        "LDP||WK^外科||||I|20200101|20260101|改建",
    ]  # fmt: skip


def test_a_ward_around_a_bed_is_no_record() -> None:
    made = into(told("MFN^M05^MFN_M05", "MFI|LOC^^L", "MFE|MUP|1||内科^301^3床|PL", "LOC|内科^301^3床||B"))
    assert [each.split("|")[:3] for each in written(made, "MFN_M05", "MFE")] == [["MFE", "MUP", "1"]]


def test_a_coded_unit_outlives_the_ranges() -> None:
    lines = ("OM1||ALT^谷丙^L|NM", "OM2||U/L^单位每升^UCUM||||9&50^M")
    made = into(told("MFN^M08^MFN_M08", "MFI|OMA", "MFE|MAD|1||ALT^谷丙^L|CE", *lines))
    assert written(made, "MFN_M08", "OM2") == ["OM2||U/L^单位每升^UCUM||||9&50^M"]


def test_the_unit_of_a_range_alone_is_told() -> None:
    made = into(told("MFN^M08^MFN_M08", "MFI|OMA", "MFE|MAD|1||ALT^谷丙^L|CE", "OM1||ALT^谷丙^L", "OM2||U/L||||9&50"))
    del only(made, "ObservationDefinition")["quantitativeDetails"]
    assert written(made, "MFN_M08", "OM2") == ["OM2||U/L||||9&50"]


@pytest.mark.parametrize("segment", ["OM3||L^本地^L|清^清^L~浊^浊^L|清^清^L|浊^浊^L||CE", "OM5||NA^钠^L~K^钾^L|X",
                                     "OM6||NA-CL-HCO3", "OM7|||HEM^血液^L|血液检验|||||||N"])  # fmt: skip
def test_what_a_test_is_made_of_comes_back(segment: str) -> None:
    made = into(told("MFN^M08^MFN_M08", "MFI|OMA", "MFE|MAD|1||X^项目^L|CE", "OM1||X^项目^L|NM", segment))
    assert written(made, "MFN_M08", segment[:3]) == [segment]


def test_a_price_has_its_currency() -> None:
    lines = ("CDM|C1^换药^L||换药|伤口换药|||||||||N", "PRC|C1|H1^县医院^L|||25.50&CNY^UP")
    made = into(told("MFN^M04^MFN_M04", "MFI|CDM", "MFE|MAD|1||C1^换药^L|CE", *lines))
    charge = only(made, "ChargeItemDefinition")
    (group,) = charge["propertyGroup"]
    assert str(group["priceComponent"][0]["amount"]["value"]) == "25.50"
    assert charge["url"].endswith(":charge:C1")
    assert written(made, "MFN_M04", "PRC") == ["PRC||H1^县医院^L|||25.50&CNY^UP"]


def test_what_an_answer_says_of_the_file_comes_back() -> None:
    made = into(told("MFK^M02^MFK_M01", "MSA|AA|M1", "MFI|PRA^Staff^L||REP|20260312|20260401|AL", "MFA|MAD|1||S|D1|CE"))
    assert written(made, "MFK_M01", "MFI") == ["MFI|PRA^Staff^L||REP|20260312|20260401|AL"]


@pytest.mark.parametrize("kind", ["PEX^P07^PEX_P07", "PEX^P08"])
def test_an_adverse_event_names_what_is_suspected(kind: str) -> None:
    lines = ("PES||||| AE1", "PEO||L50^荨麻疹^L|20260311||||||S", "PCR|QMS^青霉素^L|||||||||||B2025")
    event = only(into(message(kind, *lines)), "AdverseEvent")
    assert (event["actuality"], event["seriousness"]["coding"][0]["code"]) == ("actual", "Serious")
    assert only(into(message(kind, *lines)), "Medication")["batch"] == {"lotNumber": "B2025"}
    assert len(event["suspectEntity"]) == 1
