"""Files out, end to end: a Bundle becomes the receiver's file, with its numbers, names, codes and charset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import stateless
from gateway.cli import app
from gateway.codec import delimited, workbook, xml_tree
from gateway.errors import Configuration, Permanent

TOWNSHIP, CENTRE = "12529901MB990011XK", "IMAGING-CENTRE"
NUMBER = "urn:hutong:id:{}:{}"
OVERLAY = """\
export township-imaging like imaging-reports
  named 影像号=病人ID
  order 病人ID 姓名 性别 申请单号 检查号 检查项目 检查时间 检查所见 诊断意见 报告医生 报告状态 来源
codes imaging-state 已审核=final 未审核=preliminary *>unknown

row => Observation key @DiagnosticReport 检查号
  来源 <- status = "影像中心"
"""


def numbered(*numbers: tuple[str, str, str], type: str = "") -> list[dict[str, Any]]:
    kind = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": type}]}}
    return [
        {**(kind if type else {}), "system": NUMBER.format(who, what), "value": value} for who, what, value in numbers
    ]


def bundle() -> dict[str, Any]:
    """An imaging report as the imaging centre writes it in FHIR; the patient is known at both."""
    imaging = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}
    subject = {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "identifier": numbered((CENTRE, "PI", "YX1"), (TOWNSHIP, "PI", "SQ000101")),
         "name": [{"text": "周玘"}], "gender": "female"},
        {"resourceType": "ServiceRequest", "identifier": numbered((TOWNSHIP, "ORDER", "SQD1"), type="PLAC"),
         "status": "completed", "intent": "order", "subject": subject},
        {"resourceType": "DiagnosticReport", "identifier": numbered((CENTRE, "REPORT", "CT1"), type="FILL"),
         "status": "final", "category": [imaging], "code": {"text": "胸部CT平扫"}, "subject": subject,
         "effectiveDateTime": "2026-03-02T05:30:00Z", "conclusion": "=1+1\n右肺下叶炎症",
         "performer": [{"display": "秦朗"}],
         "basedOn": [{"reference": "urn:uuid:00000000-0000-4000-8000-000000000002"}],
         "result": [{"reference": "urn:uuid:00000000-0000-4000-8000-000000000004"}]},
        {"resourceType": "Observation", "status": "final", "subject": subject, "valueString": "-1.5cm结节",
         "code": {"coding": [{"system": "http://loinc.org", "code": "18782-3"}]}},
    ]  # fmt: skip
    entries = [
        {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012}", "resource": each,
         "request": {"method": "POST", "url": each["resourceType"]}}
        for number, each in enumerate(resources, 1)
    ]  # fmt: skip
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


@pytest.fixture
def community(tmp_path: Path) -> Path:
    home = tmp_path / "members" / "shiqiao"
    home.mkdir(parents=True)
    (home / "imaging.map").write_text(OVERLAY, encoding="utf-8")
    profile = "{charset: GBK, file: {times: YYYY/MM/DD HH:mm, quoting: all}}"
    (home / "member.yaml").write_text(
        f"id: shiqiao\nname: 石桥中心卫生院\nfacilities: [{TOWNSHIP}]\nprofile: {profile}\n", encoding="utf-8"
    )
    path = tmp_path / "community.yaml"
    path.write_text("id: county\nname: 县\nmembers: members\n", encoding="utf-8")
    return path


def written(path: Path, to: str, name: str = "township-imaging", body: Any = None) -> bytes:
    return stateless.translate(
        json.dumps(body or bundle()).encode(), name="b.json", member="shiqiao", to=to, config=path, message=name
    ).output


def test_a_report_of_the_imaging_centre_becomes_the_csv_of_the_township(community: Path) -> None:
    body = written(community, "delimited")
    assert body.decode("gbk").splitlines()[0].startswith('"病人ID","姓名"')
    (row,) = delimited.decode(body, charset="GBK").rows
    assert row == {
        "病人ID": "SQ000101", "姓名": "周玘", "性别": "女", "申请单号": "SQD1", "检查号": "CT1",
        "检查项目": "胸部CT平扫",
        "检查时间": "2026/03/02 13:30", "检查所见": "-1.5cm结节", "诊断意见": "=1+1\n右肺下叶炎症", "报告医生": "秦朗",
        "报告状态": "已审核", "来源": "影像中心",
    }  # fmt: skip
    assert "\"'=1+1" in body.decode("gbk")


def test_the_same_in_every_form(community: Path) -> None:
    (row,) = delimited.decode(written(community, "delimited"), charset="GBK").rows
    (table,) = workbook.decode(written(community, "workbook"))
    assert table.rows == [row]
    assert xml_tree.decode(written(community, "xml")).root["ROWS"]["ROW"] == row
    assert json.loads(written(community, "json").decode("gbk"))["ROWS"]["ROW"] == [row]


def test_what_the_charset_lacks_is_refused_or_referred_to(community: Path) -> None:
    body = bundle()
    body["entry"][0]["resource"]["name"] = [{"text": "王䶮"}]
    with pytest.raises(Permanent) as refused:
        written(community, "delimited", body=body)
    assert (refused.value.place, "䶮" in str(refused.value)) == ("row 2, 姓名", False)
    assert b"&#x4DAE;" in written(community, "xml", body=body)
    assert b"\\u4dae" in written(community, "json", body=body)


def test_what_cannot_be_written_is_said(community: Path) -> None:
    with pytest.raises(Configuration, match="no export map is called nothing"):
        written(community, "xml", "nothing")
    with pytest.raises(Permanent, match="nothing here is for referral-form"):
        written(community, "json", "referral-form")


def test_the_command_writes_files(community: Path, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(bundle()), encoding="utf-8")
    asked = ["translate", str(tmp_path / "b.json"), "--to", "workbook", "--message", "township-imaging"]
    made = CliRunner().invoke(
        app, [*asked, "--member", "shiqiao", "-c", str(community), "--out", str(tmp_path / "out")]
    )
    assert made.exit_code == 0, made.output
    (file,) = (tmp_path / "out").iterdir()
    assert file.suffix == ".xlsx"
    assert workbook.decode(file.read_bytes())[0].rows[0]["病人ID"] == "SQ000101"
