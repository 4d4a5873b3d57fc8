"""The head of a message: where it comes from, who entered what and why, and with which software."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gateway.fhir import validate
from gateway.mapping.accounting.trial import again_to, write
from gateway.model import Resource
from tests.mapping.house import HEADER, into, only
from tests.mapping.house import message as whole_message
from tests.mapping.test_accounting import trial

message = partial(whole_message, pid="")
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


# ------------------------------------------------------------------------------------------------------ back

TOLD = (
    "SFT|东软|5.1|HIS Core|C-5|info|20250101",
    "EVN|A01|20260102152900||01|op1^李^四^^^^^^COUNTY|20260102150000|南院区^1.2.156.3^ISO",
    PID,
    PV1,
)


def _again(header: str, *segments: str, event: str = "A01") -> dict[str, list[str]]:
    tried = trial("\r".join([header, *segments, ""]).encode())
    to = replace(again_to(tried.message.header, tried.profile, tried.when), event=event)
    lines = write(tried.maps, tried.made(), address=to).decode().split("\r")
    return {line.split("|")[0]: line.split("|") for line in lines}


def _header(kind: str = "ADT^A01^ADT_A01") -> str:
    fields = message(kind).decode().split("\r")[0].split("|")
    fields.extend([""] * (28 - len(fields)))
    fields[7], fields[10] = "SECRET", "T^A"
    fields[18], fields[21], fields[25] = "zh", "甲医院^^D9", "R^Restricted^HL70952"
    fields[26] = "NODSCLCD^不得转交^HL70953"
    return "|".join(fields)


def test_what_was_told_of_the_event_is_told_again() -> None:
    again = _again(_header(), *TOLD)
    assert "|".join(again["EVN"]) == TOLD[1]
    assert "|".join(again["SFT"]) == TOLD[0]
    assert list(again)[:4] == ["MSH", "SFT", "EVN", "PID"]


def test_a_test_stays_a_test_and_what_is_protected_stays_so() -> None:
    head = _again(_header(), *TOLD)["MSH"]
    assert head[10] == "T^A"
    assert (head[7], head[18], head[21]) == ("SECRET", "zh", "甲医院^^D9")
    assert (head[25], head[26]) == ("R^Restricted^HL70952", "NODSCLCD^不得转交^HL70953")


def test_time_and_number_of_a_new_message_are_its_own() -> None:
    tried = trial("\r".join([_header(), *TOLD, ""]).encode())
    to = replace(again_to(tried.message.header, tried.profile, tried.when), control_id="NEW-1")
    head = write(tried.maps, tried.made(), address=to).decode().split("\r")[0].split("|")
    assert head[9] == "NEW-1"
    assert head[6] == tried.when.strftime("%Y%m%d%H%M%S")


def test_another_event_tells_nothing_of_the_first_one() -> None:
    again = _again(_header(), *TOLD, event="A08")
    assert again["EVN"][3:] == []
    assert again["MSH"][10] == "T^A"
