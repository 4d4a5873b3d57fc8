"""A message about several patients: nothing of one becomes another's; where there can be one only, two are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.codec import hl7v2
from gateway.errors import Permanent
from gateway.fhir import validate
from gateway.mapping.maps import Address, shipped
from gateway.model import Profile
from tests.mapping.house import back as written
from tests.mapping.house import maps, message, segments

PROFILE = Profile(time_zone="Asia/Shanghai")
TWO = (shipped() / "hl7v2" / "examples" / "two_patients.hl7").read_bytes()


def made(body: bytes) -> list[dict[str, Any]]:
    bundle = maps().to_fhir(hl7v2.decode(body), profile=PROFILE).bundle
    assert validate.problems(bundle) == []
    return [{**entry["resource"], "url": entry["fullUrl"]} for entry in bundle["entry"]]


def of(resources: list[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    return [each for each in resources if each["resourceType"] == type_]


def test_each_result_belongs_to_its_patient() -> None:
    resources = made(TWO)
    patients = {each["url"]: each["identifier"][0]["value"] for each in of(resources, "Patient")}
    assert sorted(patients.values()) == ["300001", "300002"]
    values = {each["identifier"][0]["value"]: each for each in of(resources, "Observation")}
    told = {str(each["valueQuantity"]["value"]): patients[each["subject"]["reference"]] for each in values.values()}
    assert told == {"5.60": "300001", "15.60": "300002"}
    for type_ in ("DiagnosticReport", "ServiceRequest"):
        assert sorted(patients[each["subject"]["reference"]] for each in of(resources, type_)) == ["300001", "300002"]


def test_a_visit_of_one_is_no_visit_of_the_other() -> None:
    resources = made(TWO)
    (visit,) = of(resources, "Encounter")
    first, second = of(resources, "DiagnosticReport")
    assert first["encounter"]["reference"] == visit["url"]
    assert "encounter" not in second


def test_the_head_is_said_once() -> None:
    resources = made(TWO)
    (header,) = of(resources, "MessageHeader")
    assert [each["reference"] for each in header["focus"]] == [
        each["url"] for each in of(resources, "DiagnosticReport")
    ]
    assert len(of(resources, "Provenance")) == 1


def test_they_are_written_as_they_came() -> None:
    resources = {each.pop("url"): each for each in made(TWO)}
    leads = [url for url, each in resources.items() if each["resourceType"] == "DiagnosticReport"]
    to = Address(profile=PROFILE, facility="LAB", control_id="1", when=datetime(2026, 3, 12, tzinfo=UTC))
    message = hl7v2.decode(maps().from_fhir(resources, leads, structure="ORU_R01", to=to))
    told = [
        (each[0], each[1], each[3 if each[0] == "PID" else 5]) for each in message.segments if each[0] in ("PID", "OBX")
    ]
    assert told == [
        ("PID", "1", "300001^^^LAB^PI"), ("OBX", "1", "5.60"), ("PID", "2", "300002^^^LAB^PI"), ("OBX", "1", "15.60"),
    ]  # fmt: skip
    with pytest.raises(Permanent, match="about 2 patients, and OUL_R24 is about one"):
        maps().from_fhir(resources, leads, structure="OUL_R24", to=to)


def order(*people: str) -> bytes:
    head = "MSH|^~\\&|HIS|H|||20260312142500+0800||ORM^O01|1|P|2.4"
    return "\r".join([head, *people, "ORC|NW|P1^HIS", "OBR|1|P1^HIS||CT^CT^L", ""]).encode()


def test_a_second_patient_in_an_order_is_refused() -> None:
    with pytest.raises(Permanent, match="two patients") as raised:
        made(order("PID|1||7^^^H^PI||甲", "PID|2||8^^^H^PI||乙"))
    assert raised.value.place == "PID[2]"
    assert "甲" not in str(raised.value)


def test_the_same_patient_said_twice_is_one() -> None:
    body = order("PID|1||7^^^H^PI||甲", "PID|2||7^^^H^PI||甲")
    assert len(of(made(body), "Patient")) == 1
    assert any("read once" in note for note in maps().to_fhir(hl7v2.decode(body), profile=PROFILE).notes)


def test_a_second_visit_in_an_order_is_told() -> None:
    body = order("PID|1||7^^^H^PI||甲", "PV1|1|I|A", "PV1|2|O|B")
    assert any(
        note.startswith("PV1 stands there 2 times")
        for note in maps().to_fhir(hl7v2.decode(body), profile=PROFILE).notes
    )


@pytest.mark.parametrize(
    ("account", "accounts"), [("A2^^^H^AN", [["1"], ["2"]]), ("A1^^^H^AN", [["1", "2"]]), ("", [["1"]])]
)
def test_purged_accounts_of_several_patients_come_back_each_with_its_own(
    account: str, accounts: list[list[str]]
) -> None:
    """§6.4.2: the patients of one BAR^P02; one of them may have no account, and one account may be that of two."""
    body = message(
        "BAR^P02", f"PID|2||2^^^H^PI||乙{'|' * 13}{account}", "PV1|1|O|A", pid=f"PID|1||1^^^H^PI||甲{'|' * 13}A1^^^H^AN"
    )
    resources = made(body)
    numbers = {each["url"]: each["identifier"][0]["value"] for each in of(resources, "Patient")}
    assert [[numbers[one["reference"]] for one in each["subject"]] for each in of(resources, "Account")] == accounts
    (visit,) = of(resources, "Encounter")
    assert numbers[visit["subject"]["reference"]] == "2"
    again = written({"entry": [{"fullUrl": each.pop("url"), "resource": each} for each in resources]}, "BAR_P02")
    told = [(each[3].partition("^")[0], "".join(each[18:19])) for each in segments(again, "PID")]
    assert told == [("1", "A1^^^H^AN"), ("2", account)]
    assert [each[0] for each in hl7v2.decode(again).segments][-3:] == ["PID", "PID", "PV1"]
