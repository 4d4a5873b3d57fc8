"""The head of a message: where it comes from, who entered what and why, and with which software."""

from __future__ import annotations

import pytest

from gateway.fhir import validate
from gateway.model import Resource
from tests.mapping.house import HEADER, into, message, only

PID = "PID|1||P1^^^H^PI||张^三"
PV1 = "PV1|1|I"


def provenance(*segments: str) -> Resource:
    return only(into(message("ADT^A01^ADT_A01", *segments)), "Provenance")


def test_one_provenance_tells_of_everything_that_was_made() -> None:
    made = into(message("ADT^A01^ADT_A01", "EVN|A01|20260102152900", PID, PV1))
    urls = [entry["fullUrl"] for entry in made.bundle["entry"]]
    assert [each["reference"] for each in only(made, "Provenance")["target"]] == urls[:-1]
    assert made.bundle["entry"][-1]["resource"]["resourceType"] == "Provenance"


def test_who_entered_it_and_why() -> None:
    found = provenance("EVN|A01|20260102152900||01|op1^李^四|20260102150000|南院区", PID, PV1)
    assert found["agent"][0]["type"]["coding"][0]["code"] == "enterer"
    assert found["agent"][0]["who"]["display"] == "李四"
    assert found["reason"][0]["coding"][0]["code"] == "01"
    assert found["occurredDateTime"].startswith("2026-01-02T15:00:00")
    assert found["location"]["display"] == "南院区"
    assert found["activity"]["coding"][0]["code"] == "A01"


def test_a_reason_that_is_not_known_is_said_to_be_unknown() -> None:
    (reason,) = provenance("EVN|A01|20260102152900||U", PID, PV1)["reason"]
    assert reason["extension"][0]["valueCode"] == "unknown"
    assert "coding" not in reason


def test_the_software_is_a_device_only_where_it_is_told() -> None:
    assert "Device" not in _types("EVN|A01", PID, PV1)
    assert "Device" in _types("SFT|东软|5.1|HIS Core|C-5", "EVN|A01", PID, PV1)


@pytest.mark.parametrize("time", ["", "20260102", "nonsense"])
def test_without_a_moment_of_its_own_it_is_recorded_at_receipt(time: str) -> None:
    body = message("ADT^A01^ADT_A01", PID, PV1)
    stamp = HEADER.split("|")[6]
    assert only(into(body.replace(stamp.encode(), time.encode(), 1)), "Provenance")["recorded"]


@pytest.mark.parametrize("application", ["", "^urn^X", '""', "^1.2.x^ISO", "A^b c^DNS"])
@pytest.mark.parametrize("place", [2, 4])
def test_an_application_without_an_address_has_one_that_is_unknown(application: str, place: int) -> None:
    body = message("ADT^A01^ADT_A01", PID, PV1)
    fields = body.split(b"|")
    fields[place] = application.encode()
    assert validate.problems(into(b"|".join(fields)).bundle) == []


def _types(*segments: str) -> list[str]:
    made = into(message("ADT^A01^ADT_A01", *segments))
    return [entry["resource"]["resourceType"] for entry in made.bundle["entry"]]
