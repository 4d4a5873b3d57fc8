"""Resources that came from no file (HL7 v2, a FHIR client) written to one: nothing stands there otherwise than they
say, and what no longer holds is never written as if it did."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import Permanent
from gateway.mapping.context import Context
from gateway.mapping.datatypes.signals import signal_of
from gateway.mapping.export_parts import Parts
from gateway.mapping.maps import Address
from gateway.mapping.withheld import TAKEN_BACK, tells
from gateway.mapping.written_file import WrittenFile
from gateway.model import Profile, Resource
from tests.mapping.house import WHEN, maps
from tests.mapping.test_invented_rows import FACILITY, again, into_fhir, resources_of

HL7 = "http://terminology.hl7.org/CodeSystem"
TO = Address(profile=Profile(), facility=FACILITY, own=frozenset({FACILITY}), control_id="B", when=WHEN)
CODE = {"coding": [{"system": f"urn:hutong:code:{FACILITY}:L", "code": "K", "display": "钾"}], "text": "血钾"}
PATIENT: Resource = {
    "resourceType": "Patient",
    "identifier": [{"system": f"urn:hutong:id:{FACILITY}:PI", "value": "P1"}],
    "name": [{"use": "nickname", "text": "小张"}, {"use": "official", "family": "张", "given": ["伟"]}],
}


def concept(system: str, code: str, **more: Any) -> dict[str, Any]:
    return {"coding": [{"system": f"{HL7}/{system}", "code": code}], **more}


def flags(*codes: str) -> list[dict[str, Any]]:
    return [concept("v3-ObservationInterpretation", each) for each in codes]


def amount(value: str, unit: str = "mmol/L", **more: str) -> dict[str, Any]:
    return {"value": Decimal(value), "unit": unit, **more}


def ends(low: str, high: str, unit: str = "mmol/L", **more: Any) -> dict[str, Any]:
    return {"low": amount(low, unit), "high": amount(high, unit), **more}


def report(*results: dict[str, Any], status: str = "final") -> dict[str, Resource]:
    """A laboratory report with these results."""
    common = {"resourceType": "Observation", "status": "final", "code": CODE, "subject": {"reference": "p"}}
    observations = {f"o{number}": {**common, **each} for number, each in enumerate(results)}
    number = {"system": f"urn:hutong:id:{FACILITY}:REPORT", "value": "R1", **concept_type("FILL")}
    lead = {
        "resourceType": "DiagnosticReport", "status": status, "identifier": [number], "code": {"text": "生化"},
        "category": [concept("v2-0074", "LAB")], "subject": {"reference": "p"},
        "result": [{"reference": name} for name in observations],
    }  # fmt: skip
    return {"p": PATIENT, **observations, "r": lead}


def concept_type(code: str) -> dict[str, Any]:
    return {"type": concept("v2-0203", code)}


def written(resources: dict[str, Resource], name: str = "laboratory-results") -> WrittenFile:
    return maps().exports.about(resources, name=name, to=TO)


def cells(*results: dict[str, Any], name: str = "laboratory-results") -> dict[str, str]:
    (row,) = written(report(*results), name).rows
    return row


def read_again(file: WrittenFile, type_: str) -> list[Resource]:
    return [each for each in resources_of(into_fhir(again([file]))).values() if each["resourceType"] == type_]


@pytest.mark.parametrize(
    ("value", "result", "unit"),
    [
        ({"valueQuantity": {"value": Decimal(5), "code": "10*9/L"}}, "5", "10*9/L"),
        ({"valueQuantity": amount("0.05", comparator="<")}, "<0.05", "mmol/L"),
        ({"valueRange": ends("3", "5")}, "3-5", "mmol/L"),
        ({"valueRange": {"low": amount("3")}}, ">=3", "mmol/L"),
        ({"valueRatio": {"numerator": {"value": Decimal(1)}, "denominator": {"value": Decimal(160)}}}, "1:160", ""),
        ({"valuePeriod": {"start": "2026-03-12", "end": "2026-03-13"}}, "2026-03-12至2026-03-13", ""),
        ({"valueBoolean": True}, "是", ""),
        ({"valueInteger": 3}, "3", ""),
        ({"valueTime": "07:30:00"}, "07:30:00", ""),
        ({"valueCodeableConcept": concept("x", "10828004", text="阳性")}, "阳性", ""),
        ({"valueCodeableConcept": concept("x", "10828004")}, "", ""),  # a bare code is no number
        ({"valueSampledData": {"origin": {"value": Decimal(0)}, "data": "1 2"}}, "", ""),
    ],
)
def test_a_value_of_any_type_is_written_as_people_write_it(value: dict[str, Any], result: str, unit: str) -> None:
    row = cells(value)
    assert (row.get("结果", ""), row.get("单位", "")) == (result, unit)


@pytest.mark.parametrize(
    ("codes", "mark", "critical"),
    [
        (("H",), "↑", ""),
        (("H", "HH"), "↑↑", "是"),
        (("L", "AA"), "↓↓", "是"),
        (("R",), "R", ""),
        (("S",), "S", ""),
        (("EX",), "EX", ""),  # no sign of ours: an empty cell would mean normal
        (("N",), "", ""),
    ],
)
def test_the_marks_of_a_result_share_one_cell(codes: tuple[str, ...], mark: str, critical: str) -> None:
    row = cells({"valueQuantity": amount("9"), "interpretation": flags(*codes)})
    assert (row.get("异常提示", ""), row.get("危急值", "")) == (mark, critical)


def test_susceptibility_comes_back_as_its_code() -> None:
    found = {}
    for code in "SIR":
        file = written(report({"valueString": "x", "interpretation": flags(code)}))
        found[code] = read_again(file, "Observation")[0]["interpretation"]
    assert found == {code: flags(code) for code in "SIR"}


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        ([ends("3", "5")], "3-5"),
        ([ends("300", "500", "umol/L")], "300-500 umol/L"),
        ([ends("1", "2", type=concept("referencerange-meaning", "treatment")), ends("3", "5")], "3-5"),
        ([ends("1", "2", type=concept("referencerange-meaning", "treatment"))], ""),
        (
            [ends("3", "5", appliesTo=[concept("x", "male")]), ends("2", "4", appliesTo=[{"text": "女"}])],
            "男:3-5;女:2-4",
        ),
    ],
)
def test_a_range_is_written_for_whom_and_in_what_unit_it_is(ranges: list[dict[str, Any]], text: str) -> None:
    row = cells({"valueQuantity": amount("4"), "referenceRange": ranges})
    assert (row.get("参考范围", ""), row["单位"]) == (text, "mmol/L")


def test_a_range_of_another_unit_has_no_ends_in_that_of_the_result() -> None:
    ranges = [ends("300", "500", "umol/L")]
    (made,) = read_again(written(report({"valueQuantity": amount("4"), "referenceRange": ranges})), "Observation")
    assert made["referenceRange"] == [{"text": "300-500 umol/L"}]


def test_all_notes_stand_in_the_one_cell() -> None:
    assert cells({"valueString": "x", "note": [{"text": "甲"}, {"text": "乙"}]})["备注"] == "甲；乙"


def test_the_name_that_holds_now_is_written() -> None:
    assert cells({"valueString": "x"})["姓名"] == "张伟"


def test_an_address_in_parts_is_written_whole() -> None:
    address = {"state": "甲省", "city": "乙市", "district": "丙县", "line": ["丁路1号"]}
    person = {**PATIENT, "address": [{"use": "old", "text": "旧址"}, address]}
    (row,) = written({"p": person}, "list-patients").rows
    assert row["家庭住址"] == "甲省乙市丙县丁路1号"


def test_the_members_of_a_panel_have_rows_of_their_own() -> None:
    resources = report({"code": {"text": "血常规"}, "hasMember": [{"reference": "m0"}, {"reference": "m1"}]})
    member = {name: each for name, each in resources["o0"].items() if name != "hasMember"}
    resources["m0"] = {**member, "code": {"text": "白细胞"}, "valueQuantity": amount("5")}
    resources["m1"] = {
        **member,
        "code": {"text": "血小板"},
        "valueQuantity": amount("9"),
        "hasMember": [{"reference": "o0"}],
    }
    rows = written(resources).rows
    assert [(row["项目名称"], row["结果"]) for row in rows] == [("白细胞", "5"), ("血小板", "9")]


def test_results_of_two_persons_stay_apart() -> None:
    one, other = report({"valueString": "x"}), report({"valueString": "y"})
    number = {"system": f"urn:hutong:id:{FACILITY}:PI", "value": "P2"}
    second: dict[str, Resource] = {
        "p2": {**PATIENT, "identifier": [number], "name": [{"text": "李娜"}]},
        "o1": {**other["o0"], "subject": {"reference": "p2"}},
        "r2": {**other["r"], "subject": {"reference": "p2"}, "result": [{"reference": "o1"}]},
    }
    rows = written({**one, **second}).rows
    assert [(row["病人ID"], row["姓名"], row["结果"]) for row in rows] == [("P1", "张伟", "x"), ("P2", "李娜", "y")]


# --------------------------------------------------------------------------------------- what no longer holds


@pytest.mark.parametrize("note", ["", "患者未空腹"])
@pytest.mark.parametrize(
    ("status", "word"),
    [("entered-in-error", "作废"), ("cancelled", "取消"), ("preliminary", "初步"), ("corrected", "更正")],
)
def test_a_remark_tells_that_a_result_does_not_hold(status: str, word: str, note: str) -> None:
    notes = {"note": [{"text": note}]} if note else {}
    file = written(
        report({"valueString": "x", "status": status, **notes}, {"valueString": "y", "code": {"text": "钠"}})
    )
    assert [row.get("备注", "") for row in file.rows] == [f"【{word}】{note}" if note else word, ""]
    assert [each["status"] for each in read_again(file, "Observation")] == [status, "final"]


@pytest.mark.parametrize("remark", ["初步诊断不明", "原报告作废，以此为准", "未作废"])
def test_other_remarks_are_no_such_word(remark: str) -> None:
    assert signal_of(remark) in ("", "?")


@pytest.mark.parametrize(
    ("name", "column", "sign"),
    [("his-results", "作废标志", "1"), ("oracle-results", "作废标志", "1"), ("jiahe-results", "is_valid", "0"),
     ("upload-results", "cxbz", "1"), ("laboratory-results", "备注", "作废")],
)  # fmt: skip
def test_a_result_that_was_taken_back_is_told_so(name: str, column: str, sign: str) -> None:
    file = written(report({"valueString": "x", "status": "entered-in-error"}, {"valueString": "y"}), name)
    assert column in file.columns
    assert [row.get(column, "") == sign for row in file.rows] == [True, False]


@pytest.mark.parametrize("name", ["jiahe-results", "oracle-results", "upload-results", "laboratory-results"])
def test_of_a_report_that_was_taken_back_every_result_is(name: str) -> None:
    file = written(report({"valueString": "x"}, {"valueString": "y"}, status="entered-in-error"), name)
    one = written(report({"valueString": "x", "status": "entered-in-error"}), name)
    told = one.rows[0].items() - written(report({"valueString": "x"}), name).rows[0].items()
    assert told
    assert all(told <= row.items() for row in file.rows)


def test_what_no_column_can_say_is_left_out_and_told() -> None:
    taken_back = {"valueString": "x", "status": "entered-in-error"}
    file = written(report(taken_back, {"valueString": "y"}), "zhifang-results")
    assert [row["ReportDesc"] for row in file.rows] == ["y"]
    assert file.notes == ("1 Observation left out: taken back, which no column of this file can say",)
    for resources in (report(taken_back), report({"valueString": "y"}, status="cancelled")):
        with pytest.raises(Permanent, match="was taken back"):
            written(resources, "zhifang-results")


@pytest.mark.parametrize(("name", "told"), [("jiahe-results", True), ("laboratory-results", False)])
def test_what_is_not_final_yet_is_told_where_no_column_can_say_it(name: str, told: bool) -> None:
    early = written(report({"valueString": "x", "status": "preliminary"}, {"valueString": "y"}), name).notes
    note = "1 Observation written that is not final yet, which no column of this file can say"
    assert early == ((note,) if told else ())
    assert written(report({"valueString": "x"}), name).notes == ()
    whole = written(report({"valueString": "x", "status": "preliminary"}, status="preliminary"), name)
    assert bool(whole.notes) is told
    assert written(report({"valueString": "x"}, status="preliminary"), name).notes


@pytest.mark.parametrize("status", ["entered-in-error", "refuted"])
def test_a_diagnosis_that_is_none_is_not_written(status: str) -> None:
    visit = {
        "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": "p"},
        "identifier": [{"system": f"urn:hutong:id:{FACILITY}:VN", "value": "V1"}],
        "diagnosis": [{"condition": {"reference": "c0"}, "rank": 1}, {"condition": {"reference": "c1"}, "rank": 2}],
    }  # fmt: skip
    common = {
        "resourceType": "Condition", "subject": {"reference": "p"}, "encounter": {"reference": "v"},
        "category": [concept("condition-category", "encounter-diagnosis")],
    }  # fmt: skip
    refuted = {**common, "code": {"text": "肺癌"}, "verificationStatus": concept("condition-ver-status", status)}
    real = {**common, "code": {"text": "肺炎"}, "verificationStatus": concept("condition-ver-status", "confirmed")}
    resources: dict[str, Resource] = {"p": PATIENT, "v": visit, "c0": refuted, "c1": real}
    for name in ("encounters", "his-visits", "upload-visits", "list-visits"):
        file = written(resources, name)
        assert "肺癌" not in str(file.root or file.rows)
        assert "肺炎" in str(file.root or file.rows)
        assert file.notes


def test_a_visit_that_was_taken_back_keeps_what_was_found_there() -> None:
    visit = {
        "resourceType": "Encounter",
        "status": "cancelled",
        "class": {"code": "AMB"},
        "subject": {"reference": "p"},
    }
    found = {
        "resourceType": "Observation", "status": "entered-in-error", "subject": {"reference": "p"},
        "encounter": {"reference": "v"}, "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
        "category": [concept("observation-category", "vital-signs")], "valueQuantity": amount("38", "Cel", code="Cel"),
    }  # fmt: skip
    resources: dict[str, Resource] = {"p": PATIENT, "v": visit, "o": found}
    assert "'TW': '38'" in str(written(resources, "encounters").root)
    resources["v"] = {**visit, "status": "finished"}
    assert "'TW'" not in str(written(resources, "encounters").root)


def test_a_referral_that_was_revoked_is_told_by_its_task_or_not_sent() -> None:
    order = {
        "resourceType": "ServiceRequest", "status": "revoked", "intent": "order", "subject": {"reference": "p"},
        "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}],
        "identifier": [{"system": "urn:hutong:referral", "value": "Z1", **concept_type("PLAC")}],
    }  # fmt: skip
    task = {
        "resourceType": "Task", "status": "cancelled", "intent": "order", "focus": {"reference": "s"},
        "businessStatus": {"text": "退单中"},
    }  # fmt: skip
    file = written({"p": PATIENT, "s": order, "t": task}, "referral-form")
    assert "'撤销标志': '1'" in str(file.root)
    assert read_again(file, "ServiceRequest")[0]["status"] == "revoked"
    with pytest.raises(Permanent, match="was taken back"):
        written({"p": PATIENT, "s": order}, "referral-form")


MAPS = maps().library.exports
CANNOT = {"zhifang-results"}  # its database has no such column


@pytest.mark.parametrize("name", [each for each in MAPS if MAPS[each].lead not in ("Patient", "Condition")])
def test_every_ready_map_tells_what_was_taken_back(name: str) -> None:
    parts = Parts(MAPS[name], maps().library)
    context = Context(profile=Profile(), facility=FACILITY, systems=maps().library.coding_systems)
    told = {
        code
        for target in parts.targets
        if target.list is None and target.block.type in (MAPS[name].lead, "Observation", "Task")
        for code in TAKEN_BACK
        if tells(target, {"resourceType": target.block.type, "status": code}, context)
    }
    assert ("entered-in-error" in told) == (name not in CANNOT)
