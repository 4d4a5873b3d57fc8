"""Master files ↔ Practitioner, Location, ObservationDefinition: what the record-level event does."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.mapping.datatypes.masters import place_number_into, range_back, range_into
from tests.mapping.house import PV1, SHANGHAI, WHEN, all_of, back, context, into, maps, message, only

STAFF = ("MFI|PRA^Practitioner^HL70175||UPD|||AL", "MFE|MAD|1||D012|CE")
PERSON = "STF|D012||李^强||M|19750618|A|NK^内科^L"


def told(kind: str, *lines: str) -> bytes:
    return message(kind, *lines, pid="")


def written(made: object, structure: str, *names: str) -> list[str]:
    body = back(made.bundle, structure)  # type: ignore[attr-defined]
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
    assert written(made, "MFN_M02", "MFE") == ["MFE|MDC|||D012|CE"]


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
