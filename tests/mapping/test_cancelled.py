"""What a cancelling or undoing event says: nothing of it stands as if it had happened (HL7 v2.5.1 §3.3)."""

from __future__ import annotations

import pytest

from gateway.fhir.bundle import reopens
from tests.mapping.house import PID, all_of, back, into, message, only, segments

OTHER = "PID|2||300002^^^COUNTY^PI||李^娜||19800101|F"


def visit(*, before: str = "", waiting: str = "") -> str:
    fields = ["PV1", "1", "I", "内科^3^5床", "", "", before, *[""] * 12, "V1^^^COUNTY^VN", *[""] * 22, waiting]
    return "|".join(fields)


@pytest.mark.parametrize(
    ("event", "line", "places"),
    [
        ("A02", visit(before="外科^1^1床"), ["active", "completed"]),
        ("A12", visit(before="外科^1^1床"), ["active"]),  # the patient never was there
        ("A15", visit(waiting="外科^1^1床"), ["active", "reserved"]),
        ("A26", visit(waiting="外科^1^1床"), ["active"]),  # nothing waits any more
    ],
)
def test_a_cancelled_transfer_leaves_no_second_place(event: str, line: str, places: list[str]) -> None:
    encounter = only(into(message(f"ADT^{event}", line)), "Encounter")
    assert [each["status"] for each in encounter["location"]] == places


@pytest.mark.parametrize(
    ("discharged", "status"), [("0000", "in-progress"), ("00000000", "in-progress"), ("20260315", "finished")]
)
def test_zeros_for_the_time_of_discharge_discharge_nobody(discharged: str, status: str) -> None:
    """Systems that have no empty time write zeros in PV1-45 (as in PV1-44)."""
    line = visit() + "|" * (45 - visit().count("|")) + discharged
    assert only(into(message("ADT^A08", line)), "Encounter")["status"] == status


def test_a_cancelled_discharge_plan_has_no_day() -> None:
    plan = "PV2|||||||||20260315"
    extensions = [
        only(into(message(f"ADT^{event}", visit(), plan)), "Encounter").get("extension", []) for event in ("A16", "A25")
    ]
    assert [len(each) for each in extensions] == [1, 0]


def test_an_unlink_takes_out_what_refers_to_the_other_and_says_no_link() -> None:
    made = into(message("ADT^A37^ADT_A37", OTHER))
    one, two = [entry for entry in made.bundle["entry"] if entry["resource"]["resourceType"] == "Patient"]
    parted = [each["extension"][0]["extension"] for each in (one, two)]
    assert [each[0]["valueString"] for each in parted] == ["Patient.link", "Patient.link"]
    assert [each[1]["valueReference"]["reference"] for each in parted] == [two["fullUrl"], one["fullUrl"]]
    assert all("link" not in each for each in all_of(made, "Patient"))
    written = back(made.bundle, "ADT_A37", event="A37")
    assert [each[3] for each in segments(written, "PID")] == ["300001^^^COUNTY^PI", "300002^^^COUNTY^PI"]


@pytest.mark.parametrize(
    ("event", "structure", "more", "type_"),
    [
        ("A43", "ADT_A43", "", "Patient"),
        ("A44", "ADT_A44", "", "Account"),
        ("A45", "ADT_A45", visit(), "Encounter"),
    ],
)
def test_a_move_tells_under_whom_it_was_before(event: str, structure: str, more: str, type_: str) -> None:
    account = f"{PID}||||||||||A1^^^COUNTY^AN"
    made = into(message(f"ADT^{event}", "MRG|300009^^^COUNTY^PI", more, pid=account))
    (moved,) = only(made, type_)["extension"]
    assert moved["valueReference"]["identifier"]["value"] == "300009"
    assert len(all_of(made, "Patient")) == 1
    assert segments(back(made.bundle, structure, event=event), "MRG")[0][1] == "300009^^^COUNTY^PI"


@pytest.mark.parametrize("ordered", ["OBR|1|P1^HIS||A^a^L", "RXO|A^a^L|1||g"])
@pytest.mark.parametrize(("control", "reopened"), [("UC", True), ("UD", True), ("NW", False), ("OK", False)])
def test_an_order_that_could_not_be_cancelled_goes_on(ordered: str, control: str, reopened: bool) -> None:
    """HL7 table 0119: UC unable to cancel, UD unable to discontinue."""
    entries = into(message("ORM^O01", f"ORC|{control}|P1^HIS", ordered)).bundle["entry"]
    (entry,) = [each for each in entries if each["resource"].get("intent")]
    assert entry["resource"]["status"] == "active"
    assert reopens(entry) is reopened
