"""`hutong translate`: any document in, a Bundle out, and back; explained to the byte; the same every time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway import stateless
from gateway.codec import hl7v2
from gateway.errors import Configuration, Permanent
from gateway.fhir import validate
from gateway.stateless import Translated

FIXTURES = Path(__file__).parent / "mapping" / "fixtures"
MESSAGES = sorted(FIXTURES.glob("*.hl7"))
CSV = FIXTURES / "lab_shiqiao_20260312.csv"
FORM = {
    "转诊单列表": [
        {
            "转诊单号": "ZZ1", "紧急程度": "急", "状态": "待接收", "主诉": "发热3天", "申请时间": "2026-03-12 11:30:00",
            "患者": {"姓名": "欧阳建国", "证件类型": "01", "证件号码": "529901195804120111", "性别": "男"},
            "转出": {"机构代码": "12529901MB990011XK", "机构名称": "石桥中心卫生院", "转诊医生": "黄志明"},
            "转入": {"机构代码": "12529901MB9900013D", "机构名称": "青岚县人民医院", "科室": "呼吸科"},
        }
    ]
}  # fmt: skip


def translate(body: bytes, name: str = "x.hl7", *, to: str = "fhir", explain: bool = False) -> Translated:
    return stateless.translate(body, name=name, member=None, to=to, config=None, explain=explain)


def types(made: Translated) -> list[str]:
    return [entry["resource"]["resourceType"] for entry in json.loads(made.output)["entry"]]


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_message_becomes_a_bundle_and_a_message_again(path: Path) -> None:
    made = translate(path.read_bytes(), path.name)
    assert made.suffix == ".json"
    assert validate.problems(json.loads(made.output)) == []
    again = translate(made.output, "x.json", to="hl7v2")
    assert again.suffix == ".hl7"
    one, two = (hl7v2.decode(body) for body in (path.read_bytes(), again.output))
    assert (two.header.code, two.header.trigger) == (one.header.code, one.header.trigger)
    assert [each[0] for each in two.segments][:2] == [each[0] for each in one.segments][:2]
    for place in ("PID-5", "PID-3.1", "OBX-5", "ORC-2.1", "PV1-19.1"):
        if one.get(place):
            assert two.get(place)[: len(one.get(place))] == one.get(place) or place == "OBX-5"
    assert translate(translate(again.output).output, "x.json", to="hl7v2").output


@pytest.mark.parametrize("path", [*MESSAGES, CSV], ids=lambda path: path.stem)
def test_the_same_bytes_give_the_same_bundle(path: Path) -> None:
    first, second = (translate(path.read_bytes(), path.name) for _ in range(2))
    assert first.output == second.output
    assert "1970" not in first.output.decode()


def test_a_table_by_its_columns() -> None:
    made = translate(CSV.read_bytes(), CSV.name)
    assert types(made).count("Observation") == 118
    assert json.loads(made.output)["entry"][-1]["resource"]["recorded"].startswith("2026-03-12")


def test_a_form_by_its_names() -> None:
    made = translate(json.dumps(FORM, ensure_ascii=False).encode(), "form.json")
    assert {"Patient", "ServiceRequest", "Task", "Organization"} <= set(types(made))
    order = next(each["resource"] for each in json.loads(made.output)["entry"] if "priority" in each["resource"])
    assert (order["priority"], order["status"]) == ("urgent", "active")


def test_fhir_passes_through_as_a_transaction() -> None:
    body = json.dumps({"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}).encode()
    bundle = json.loads(translate(body, "p.json").output)
    assert bundle["type"] == "transaction"
    assert bundle["entry"][0]["request"]["ifNoneExist"] == "identifier=urn:x|1"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "the file is empty"),
        (b"hello", "no MSH"),
        (b"MSH|^~\\&|A|B|||20260101||NMQ^N01|1|P|2.5\r", "not mapped yet"),
        (b"MSH|^~\\&|A|B|||20260101||ORM^O01|1|P|2.5\rORC|NW|1\r", "no PID segment"),
        (b'{"resourceType":"Patient","gender":"man"}', "not valid FHIR"),
        (b"{}", "no map knows"),
    ],
)
def test_what_cannot_be_translated_says_why(body: bytes, cause: str) -> None:
    with pytest.raises((Permanent, Configuration), match=cause) as raised:
        translate(body, "x.json" if body.startswith(b"{") else "x.hl7")
    assert raised.value.place


def test_rows_that_are_set_aside_are_told() -> None:
    lines = CSV.read_bytes().decode("gb18030").splitlines()
    broken = lines[1].split(",")
    broken[2] = ""
    made = translate("\r\n".join([lines[0], ",".join(broken), *lines[2:5]]).encode(), "x.csv")
    assert types(made).count("Observation") == 3
    assert any(note.startswith("row 2 was set aside: 申请单号 is empty") for note in made.notes)


# --------------------------------------------------------------------------------------------- explained

LINE = re.compile(
    r"(?P<type>\w+)\[\d+\]\.\S+ <- (?P<field>\w{3}(\[\d+\])?-\d+(\(\d+\))?) bytes (?P<at>\d+)\+(?P<length>\d+) "
    r"(?P<line>\S+:\d+|the gateway itself)( through \S+ \S+:\d+)?"
)
CONSTANT = re.compile(
    r"\w+\[\d+\]\.\S+ <- (constant|slice|derived|@@?[A-Z]\w+) (\S+\.map:\d+|the gateway itself)"
    r"( through \w+ \S+\.map:\d+)?"
)


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_explained_element_points_at_its_bytes(path: Path) -> None:
    body = path.read_bytes()
    message = hl7v2.decode(body)
    facts = translate(body, path.name, explain=True).explanation.splitlines()
    assert len(facts) >= 15
    for fact in facts:
        found = LINE.fullmatch(fact)
        if found is None:
            assert CONSTANT.fullmatch(fact), fact
            continue
        name, number = found["field"][:3], re.split(r"[-(]", found["field"].rstrip(")"))[1]
        at, length = int(found["at"]), int(found["length"])
        text = body[at : at + length].decode(message.charset)
        assert text
        assert text in {
            repetition
            for segment in message.segments
            if segment[0] == name and len(segment) > int(number)
            for repetition in (segment[int(number)], *segment[int(number)].split("~"))
        }
        if found["line"] == "the gateway itself":
            continue
        file, _, line = found["line"].rpartition(":")
        assert (Path(__file__).parents[1] / file).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()


def test_an_explanation_names_the_alternative_that_was_used() -> None:
    body = b"MSH|^~\\&|HIS|COUNTY|||20260312||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||7^^^C^PI\rOBR|1|P9^HIS|F9^LIS|A^a^L\r"
    facts = translate(body, explain=True).explanation.splitlines()
    placer = next(each for each in facts if each.startswith("ServiceRequest[1].identifier[0].value <- OBR-2"))
    at, length = map(int, re.search(r"bytes (\d+)\+(\d+)", placer).groups())  # type: ignore[union-attr]
    assert body[at : at + length] == b"P9^HIS"


def test_an_explanation_follows_a_moved_field(tmp_path: Path) -> None:
    folder = tmp_path / "members" / "town"
    folder.mkdir(parents=True)
    (tmp_path / "community.yaml").write_text("id: c\nname: C\n", encoding="utf-8")
    (tmp_path / "members" / "town" / "member.yaml").write_text(
        "id: town\nname: Town\nfacilities: [TOWN]\nprofile:\n  moves: ['PID-2 -> PID-3 if empty']\n", encoding="utf-8"
    )
    body = b"MSH|^~\\&|HIS|TOWN|||20260312||ADT^A08|1|P|2.5.1\rPID|1|77^^^TOWN^PI|||Doe^J\r"
    made = stateless.translate(
        body, name="x", member="town", to="fhir", config=tmp_path / "community.yaml", explain=True
    )
    fact = next(each for each in made.explanation.splitlines() if "Patient[1].identifier" in each)
    assert " PID-2 " in fact
    at, length = map(int, re.search(r"bytes (\d+)\+(\d+)", fact).groups())  # type: ignore[union-attr]
    assert body[at : at + length] == b"77^^^TOWN^PI"


# -------------------------------------------------------------------------------------------------- back


def test_a_bundle_says_what_it_is_about() -> None:
    patient = {"resourceType": "Patient", "id": "1", "identifier": [{"system": "urn:hutong:id:C:PI", "value": "7"}]}
    order = {
        "resourceType": "ServiceRequest", "id": "2", "status": "active", "intent": "order",
        "identifier": [{"system": "urn:hutong:id:HIS", "value": "P1", "type": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}}],
        "subject": {"reference": "Patient/1"}, "code": {"text": "CT"},
    }  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}, {"resource": order}]}
    message = hl7v2.decode(translate(json.dumps(bundle).encode(), "b.json", to="hl7v2").output)
    assert message.header.structure == "ORM_O01"
    assert message.get("PID-3.1") == ["7"]
    assert (message.get("ORC-2.1"), message.get("OBR-2.1"), message.get("OBR-4.2")) == (["P1"], ["P1"], ["CT"])
    asked = stateless.translate(
        json.dumps(bundle).encode(), name="b.json", member=None, to="hl7v2", config=None, message="OMI^O23"
    )
    assert hl7v2.decode(asked.output).header.structure == "OMI_O23"
    alone = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]}
    message = hl7v2.decode(translate(json.dumps(alone).encode(), "b.json", to="hl7v2").output)
    assert (message.header.kind, message.header.structure) == ("ADT^A08", "ADT_A01")
    assert [each[0] for each in message.segments] == ["MSH", "EVN", "PID"]


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b'{"resourceType":"Patient"}', "no Bundle"),
        (b'{"resourceType":"Bundle","type":"collection"}', "nothing here"),
        (
            b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","sex":1}}]}',
            "sex|gender",
        ),
    ],
)
def test_what_cannot_be_written_says_why(body: bytes, cause: str) -> None:
    with pytest.raises(Permanent, match=cause) as raised:
        translate(body, "b.json", to="hl7v2")
    assert raised.value.place
    assert raised.value.remedy


def test_a_member_that_is_not_there() -> None:
    made = stateless.translate(
        MESSAGES[0].read_bytes(), name="x", member="anybody", to="fhir", config=None, explain=False
    )
    assert types(made)


@pytest.mark.parametrize("body", [b"", b"\r\n \r\n", bytes(200)])
def test_an_empty_file_is_said_to_be_empty(body: bytes) -> None:
    with pytest.raises(Permanent, match="the file is empty"):
        stateless.translate(body, name="检验.xlsx", member=None, to="fhir", config=None)
