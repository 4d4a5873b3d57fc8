"""Messages as they really come: what is missing, doubled, null or out of the ordinary, and what becomes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.codec import hl7v2
from gateway.errors import Configuration, Permanent
from gateway.fhir import bundle, json
from gateway.fhir.fragment import Fragment, Fragments
from gateway.mapping.maps import Translation
from gateway.model import Profile
from tests.mapping.house import HEADER, PV1, WHEN, all_of, follow, into, maps, message, only

OBR = "OBR|1|P1^HIS|F1^LIS|A^a^L|||20260312080000|||||||||||||||20260312090000||CH|F"
ORU, ORM, A08 = "ORU^R01^ORU_R01", "ORM^O01^ORM_O01", "ADT^A08^ADT_A01"


def observation(obx: str) -> dict[str, Any]:
    return only(into(message(ORU, OBR, obx)), "Observation")


def deletes(made: Translation, type_: str) -> list[str]:
    (entry,) = [each for each in made.bundle["entry"] if each["resource"]["resourceType"] == type_]
    return list(bundle.deletes(entry))


# ------------------------------------------------------------------------------------------ explicit null


def test_an_explicit_null_deletes_and_an_empty_field_says_nothing() -> None:
    made = into(message(A08, pid='PID|1||300001^^^COUNTY^PI||张伟||""|M||||||""'))
    assert sorted(deletes(made, "Patient")) == ["Patient.birthDate", "Patient.telecom"]
    assert "birthDate" not in only(made, "Patient")
    assert deletes(into(message(A08)), "Patient") == []


def test_a_null_never_takes_numbers_or_extensions_that_others_gave() -> None:
    made = into(message(ORM, 'ORC|NW|P1^HIS|""', 'OBR|1|P1^HIS|""|A^a^L', pid='PID|1||1^^^C^PI||张伟|||||""||||||||""'))
    assert deletes(made, "ServiceRequest") == []
    assert deletes(made, "Patient") == []


def test_a_null_on_one_of_several_roles_removes_the_list_and_leaves_no_shells() -> None:
    made = into(message("ADT^A01^ADT_A01", PV1.replace("3床||||", '3床||||""', 1)))
    assert deletes(made, "Encounter") == ["Encounter.participant"]


def test_a_null_result_is_no_value() -> None:
    made = into(message(ORU, OBR, 'OBX|1|NM|C1^t^L||""|g/L|||||F'))
    assert deletes(made, "Observation") == ["Observation.value[x]", "Observation.component"]
    assert not [name for name in only(made, "Observation") if name.startswith("value")]


def test_a_null_in_a_repetition_is_left_out() -> None:
    patient = only(into(message(A08, pid='PID|1||1^^^C^PI~""||张伟||||||""~^PRN^CP^^^^139|')), "Patient")
    assert [each["value"] for each in patient["identifier"]] == ["1"]
    assert '""' not in str(patient)


# -------------------------------------------------------------------------------------------- orders


def test_a_message_of_orc_alone_changes_the_state_and_nothing_else() -> None:
    made = into(message(ORM, "ORC|CA|P1^HIS|F1^LIS||CA"))
    order = only(made, "ServiceRequest")
    assert order["status"] == "revoked"
    assert "code" not in order
    assert [each["value"] for each in order["identifier"]] == ["P1", "F1"]
    assert set(order) == {"resourceType", "identifier", "status", "intent", "subject"}


@pytest.mark.parametrize(
    ("control", "status", "expected"),
    [
        ("NW", "", "active"),
        ("CA", "", "revoked"),
        ("SC", "CM", "completed"),
        ("HD", "", "on-hold"),
        ("QQ", "", "active"),
    ],
)
def test_the_state_of_an_order(control: str, status: str, expected: str) -> None:
    assert (
        only(into(message(ORM, f"ORC|{control}|P1^HIS|||{status}", "OBR|1|P1^HIS||A^a")), "ServiceRequest")["status"]
        == expected
    )


def test_an_order_without_pid_is_refused_by_name() -> None:
    with pytest.raises(Permanent) as raised:
        into(message(ORM, "ORC|NW|P1^HIS", "OBR|1|P1^HIS||A^a", pid=""))
    assert (raised.value.place, raised.value.code) == ("PID", "100")
    assert "no PID segment" in raised.value.cause
    with pytest.raises(Permanent, match="PID says nothing"):
        into(message(ORM, "ORC|NW|P1^HIS", "OBR|1|P1^HIS||A^a", pid="PID|1"))


def test_several_order_messages_of_one_patient_make_one_patient() -> None:
    made = into(message(ORM, "ORC|NW|P1^HIS", "OBR|1|P1^HIS||A^a", "ORC|NW|P2^HIS", "OBR|2|P2^HIS||B^b"))
    assert len(all_of(made, "Patient")) == 1
    assert [each["code"]["coding"][0]["code"] for each in all_of(made, "ServiceRequest")] == ["A", "B"]


# -------------------------------------------------------------------------------------------- results


def test_a_report_without_pv1_has_no_visit() -> None:
    made = into(message(ORU, OBR, "OBX|1|NM|C1^t^L||5|g/L|||||F"))
    assert all_of(made, "Encounter") == []
    assert "encounter" not in only(made, "DiagnosticReport")


def test_a_result_without_a_state_is_as_far_as_its_report() -> None:
    assert observation("OBX|1|NM|C1^t^L||5|g/L")["status"] == "final"
    made = into(message(ORU, OBR.replace("|F", "|P"), "OBX|1|NM|C1^t^L||5|g/L"))
    assert only(made, "Observation")["status"] == "preliminary"
    made = into(message(ORU, "OBR|1|P1|F1|A^a^L", "OBX|1|NM|C1^t^L||5|g/L"))
    assert only(made, "Observation")["status"] == "unknown"
    assert only(made, "DiagnosticReport")["status"] == "unknown"


@pytest.mark.parametrize("state", ["0", "1", "X1"])
def test_a_state_that_no_table_knows_is_told(state: str) -> None:
    made = into(message(ORU, OBR, f"OBX|1|NM|C1^t^L||5|g/L|||||{state}"))
    assert ("result-status", state) in made.unknown


@pytest.mark.parametrize("kind", ["", "ST", "NM"])
def test_a_number_with_a_unit_is_a_quantity_whatever_its_type(kind: str) -> None:
    value = observation(f"OBX|1|{kind}|C1^t^L||5.20|mmol/L|3.5-5.3|||||F")["valueQuantity"]
    assert value["value"] == Decimal("5.20")
    value.pop("extension", None)
    assert json.dumps(value) == b'{"value":5.20,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}'


def test_repeated_values() -> None:
    assert observation("OBX|1|TX|C1^t^L||line 1~line 2||||||F")["valueString"] == "line 1\nline 2"
    found = observation("OBX|1|CWE|C1^t^L||A^first^L~B^second^L||||||F")
    answers = [each["valueCodeableConcept"]["coding"][0]["code"] for each in found["component"]]
    assert (answers, [each["code"] for each in found["component"]]) == (["A", "B"], [found["code"]] * 2)
    assert not any(name.startswith("value") for name in found)
    numbers = observation("OBX|1|NM|C1^t^L||5.60~7|mmol/L|||||F")["component"]
    assert [str(each["valueQuantity"]["value"]) for each in numbers] == ["5.60", "7"]


def test_missing_set_ids_and_a_result_twice() -> None:
    made = into(
        message(ORU, "OBR||P1|F1|A^a^L", "OBX||NM|C1^t^L||5|g/L", "OBX||NM|C1^t^L||6|g/L", "OBX|NM|NM|C2^u^L||7|g/L")
    )
    assert [each["valueQuantity"]["value"] for each in all_of(made, "Observation")] == [5, 6, 7]
    keys = [each["identifier"][0]["value"] for each in all_of(made, "Observation")]
    assert len(set(keys)) == 3
    assert len(only(made, "DiagnosticReport")["result"]) == 3


def test_results_with_sub_ids_are_told_apart_and_keep_them() -> None:
    made = into(message(ORU, OBR, "OBX|1|ST|C1^t^L|1|a||||||F", "OBX|2|ST|C1^t^L|2|b||||||F"))
    first, second = all_of(made, "Observation")
    assert first["identifier"] != second["identifier"]
    assert [each["valueString"] for each in second["extension"]] == ["2"]


def test_an_obx_without_a_code_is_left_out_and_the_rest_flows() -> None:
    made = into(message(ORU, OBR, "OBX|1|NM|||5|g/L|||||F", "OBX|2|NM|C2^u^L||6|g/L|||||F"))
    assert [each["valueQuantity"]["value"] for each in all_of(made, "Observation")] == [6]


@pytest.mark.parametrize(
    ("section", "category", "body"),
    [("CT", "363679005", True), ("US", "363679005", True), ("CH", "108252007", False), ("HM", "108252007", False)],
)
def test_imaging_and_laboratory_are_told_apart(section: str, category: str, body: bool) -> None:
    obr = f"OBR|1|P1^HIS|F1^LIS|A^a^L|||20260312080000|||||||20260312081000|2&血清|||||||||{section}|F"
    made = into(message(ORU, obr, "OBX|1|ST|C1^t^L||x||||||F"))
    codes = [each["coding"][0]["code"] for each in only(made, "DiagnosticReport")["category"]]
    assert codes == [section, category]
    assert ("bodySite" in only(made, "ServiceRequest")) is body
    assert bool(all_of(made, "Specimen")) is not body


def test_a_conclusion_and_findings_stay_two_texts() -> None:
    made = into(
        message(
            ORU, OBR, "OBX|1|TX|18782-3^所见^LN||见高密度影。||||||F", "OBX|2|TX|19005-8^诊断意见^LN||脑出血。||||||F"
        )
    )
    report = only(made, "DiagnosticReport")
    assert report["conclusion"] == "脑出血。"
    assert [follow(made, each)["valueString"] for each in report["result"]] == ["见高密度影。", "脑出血。"]


def test_without_a_panel_the_code_is_said_to_be_absent() -> None:
    report = only(into(message(ORU, "OBR|1|P1|F1", "OBX|1|ST|C1^t^L||x||||||F")), "DiagnosticReport")
    assert report["code"]["coding"][0]["code"] == "unknown"


# --------------------------------------------------------------------------------------------- visits


@pytest.mark.parametrize(
    ("kind", "more", "status"),
    [
        ("ADT^A01^ADT_A01", "", "in-progress"),
        ("ADT^A04", "", "in-progress"),
        ("ADT^A08", "", "in-progress"),
        ("ADT^A08", "|20260320", "finished"),
        ("ADT^A03^ADT_A03", "", "finished"),
    ],
)
def test_the_trigger_event_beats_the_fields(kind: str, more: str, status: str) -> None:
    visit = only(into(message(kind, PV1 + "|" * 25 + more)), "Encounter")
    assert visit["status"] == status
    assumed = {"extension": [{"url": "urn:hutong:assumed", "valueBoolean": True}]}
    assert visit.get("_status") == (assumed if kind == "ADT^A08" and not more else None)
    assert ("end" in visit.get("period", {})) is bool(more)  # no end is ever invented


@pytest.mark.parametrize(("kind", "made"), [("ORM^O01", 1), ("OMG^O19", 1), ("ADT^O01", 0), ("ADT^A08", 0)])
def test_a_visit_without_a_number_that_an_order_tells_of(kind: str, made: int) -> None:
    """Its place and its doctor belong to the order; what an update of a person says of a visit is no step of one."""
    body = message(kind, "PV1|1|O|内科||||2001^孙立", *(("ORC|NW|P1^HIS", "OBR|1|P1^HIS||K^血钾^L") if made else ()))
    visits = all_of(into(body), "Encounter")
    assert [each["participant"][0]["individual"]["display"] for each in visits] == ["孙立"] * made


def test_a_report_without_obr_says_which_segment_is_missing() -> None:
    with pytest.raises(Permanent, match="makes no DiagnosticReport; it has no ORC or OBR segment") as raised:
        into(message(ORU, "NTE|1||nothing was measured"))
    assert raised.value.place == "OBR"


def test_unknown_sex_and_classes() -> None:
    made = into(message("ADT^A04", PV1.replace("|I|", "|ZZ|"), pid="PID|1||1^^^C^PI||张伟|||9"))
    assert only(made, "Patient")["gender"] == "unknown"
    assert only(made, "Encounter")["class"]["code"] == "ZZ"  # the sender's own, in its own system
    assert only(made, "Encounter")["class"]["system"] == "urn:hutong:code:COUNTY:v3-ActCode"
    assert ("encounter-class", "ZZ") in made.unknown


# ----------------------------------------------------------------------------- types, profiles, replays


def test_a_type_without_a_map_is_held_with_its_place() -> None:
    with pytest.raises(Configuration) as raised:
        into(message("NMQ^N01^NMQ_N01"))
    assert (raised.value.place, raised.value.code) == ("MSH-9", "200")
    with pytest.raises(Configuration) as raised:
        into(message("ADT^A99"))
    assert raised.value.code == "201"


def test_the_trigger_event_decides_where_the_structure_is_missing_or_wrong() -> None:
    assert into(message("ADT^A08")).structure == "ADT_A01"
    assert into(message("ORU^R01^ORU_R01", OBR)).structure == "ORU_R01"
    assert into(message("ADT^A40^ADT_A40", "MRG|2^^^COUNTY^PI")).structure == "ADT_A39"


def test_a_members_field_moves() -> None:
    profile = Profile(time_zone="Asia/Shanghai", moves=("PID-2 -> PID-3 if empty",))
    body = message(A08, pid="PID|1|77^^^COUNTY^PI|||张伟")
    moved = only(into(body, profile=profile), "Patient")["identifier"]
    assert [each["value"] for each in moved] == ["77"]
    with pytest.raises(Configuration, match="is no field move"):
        into(body, profile=Profile(moves=("PID2 -> PID-3",)))


def test_the_same_bytes_give_the_same_bundle_and_a_resent_message_the_same_resources() -> None:
    body = message(ORU, OBR, "OBX|1|NM|C1^t^L||5|g/L|||||F")
    assert json.dumps(into(body).bundle) == json.dumps(into(body).bundle)
    again = into(body.replace(b"|M1|", b"|M2|"))
    for type_ in ("Patient", "ServiceRequest", "DiagnosticReport", "Observation"):
        one, two = (
            [each["request"] for each in made.bundle["entry"] if each["resource"]["resourceType"] == type_]
            for made in (into(body), again)
        )
        assert one == two


def test_only_adt_changes_demographics() -> None:
    methods = {}
    for kind, lines in ((A08, [PV1]), (ORU, [PV1, OBR])):
        made = into(message(kind, *lines))
        methods[kind] = {
            each["resource"]["resourceType"]: each["request"]["method"]
            for each in made.bundle["entry"]
            if each["resource"]["resourceType"] in ("Patient", "Encounter", "Location")
        }
    assert methods[A08] == {"Patient": "PUT", "Encounter": "PUT", "Location": "POST"}
    assert methods[ORU] == {"Patient": "POST", "Encounter": "POST", "Location": "POST"}


def test_every_resource_has_its_provenance() -> None:
    made = into(message(ORU, OBR, "OBX|1|NM|C1^t^L||5|g/L|||||F"))
    provenance = only(made, "Provenance")
    others = {entry["fullUrl"] for entry in made.bundle["entry"]} - {made.bundle["entry"][-1]["fullUrl"]}
    assert {each["reference"] for each in provenance["target"]} == others
    assert provenance["recorded"] == "2026-03-12T14:25:00+08:00"
    assert provenance["entity"][0]["what"]["identifier"]["value"] == "M1"


def test_without_a_time_of_its_own_the_time_of_receipt_counts() -> None:
    body = message(A08).replace(b"20260312142500", b"")
    assert only(into(body), "Provenance")["recorded"] == WHEN.isoformat(timespec="milliseconds")


def test_a_training_message_is_translated_like_any_other() -> None:
    """MSH-11 T or D goes no further in the worker (inbound.is_training); a translation shows what it would make."""
    body = message(A08).replace(b"|P|2.5.1", b"|T|2.5.1")
    header = hl7v2.decode(body).header
    assert header.processing_id == "T"
    assert only(into(body), "Patient")


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.6", "2.8", "", "2.5.1^CHN"])
def test_any_version_is_read(version: str) -> None:
    body = (HEADER.format(kind="ORU^R01").replace("2.5.1", version) + "\r").encode()
    body += message(ORU, OBR, "OBX|1|NM|C1^t^L||5|g/L|||||F").partition(b"\r")[2]
    assert len(all_of(into(body), "Observation")) == 1


def test_maps_do_not_share_what_they_make() -> None:
    """A change to one Bundle never shows in the next."""
    body = message(ORU, OBR, "OBX|1|NM|C1^t^L||5|g/L|||||F")
    first = into(body).bundle
    clean = json.dumps(first)
    for entry in first["entry"]:
        spoil(entry["resource"])
    assert json.dumps(maps().to_fhir(hl7v2.decode(body), profile=Profile(), when=WHEN).bundle) == clean


def spoil(value: Any) -> None:
    """Everywhere but in fragments, which refuse it: they are shared on purpose."""
    if isinstance(value, Fragment | Fragments):
        with pytest.raises(TypeError, match="never changes"):
            value.clear()
    elif isinstance(value, dict):
        for each in value.values():
            spoil(each)
        value["spoiled"] = True
    elif isinstance(value, list):
        for each in value:
            spoil(each)
        value.append("spoiled")
