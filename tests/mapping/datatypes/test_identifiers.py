"""Identifiers: whose number it is, of which kind, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mapping.datatypes import load
from gateway.model import Profile
from tests.mapping.house import context

ID = "urn:hutong:id:"
TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"


def cx(raw: str, usual: str = "PI", **options: Any) -> Any:
    return load()["CX"].into(raw, context(**options), *([usual] if usual else []))


@pytest.mark.parametrize(
    ("raw", "system", "code"),
    [
        ("300001^^^HOSP^MR", f"{ID}HOSP:MR", "MR"),
        ("300001^^^HOSP", f"{ID}HOSP:PI", "PI"),  # the usual type of the field
        ("300001", f"{ID}COUNTY:PI", "PI"),  # without an authority the sender's own
        ("300001^^^&2.16.156.1&ISO^MR", "urn:oid:2.16.156.1", "MR"),
        ("300001^^^&2E9C1B7E-0000-4000-8000-000000000001&UUID", "urn:uuid:2e9c1b7e-0000-4000-8000-000000000001", "PI"),
        ("300001^^^&http://example.org/mrn&URI^MR", "http://example.org/mrn", "MR"),
        ("300001^^^^MR^HOSP", f"{ID}HOSP:MR", "MR"),  # the facility, where no authority is named
        ("300001^^^石桥^MR", f"{ID}%E7%9F%B3%E6%A1%A5:MR", "MR"),
        ("300001^^^X&r2.3&ISO^MR", f"{ID}X:MR", "MR"),  # no OID
    ],
)
def test_patient_numbers(raw: str, system: str, code: str) -> None:
    made = cx(raw)
    assert made["system"] == system
    assert made["type"]["coding"][0] == {"system": TYPES, "code": code}
    assert cx(load()["CX"].back(made, context(), "PI")) == made


def test_an_authority_with_both_names_keeps_both() -> None:
    made = cx("12345^^^HOSP_MRN&1.2.3&ISO^MR")
    assert made["system"] == "urn:oid:1.2.3"
    assert made["assigner"] == {"display": "HOSP_MRN"}
    assert load()["CX"].back(made, context(), "PI") == "12345^^^HOSP_MRN&1.2.3&ISO^MR"


def test_a_members_profile_names_the_systems_of_its_authorities() -> None:
    profile = Profile(authorities={"HIS": "urn:oid:9.9", "HIS:VN": "urn:oid:9.8"})
    assert cx("1^^^HIS^MR", profile=profile)["system"] == "urn:oid:9.9"
    assert cx("1^^^HIS^VN", profile=profile)["system"] == "urn:oid:9.8"
    assert load()["CX"].back({"system": "urn:oid:9.8", "value": "1"}, context(profile=profile)) == "1^^^HIS"


def test_the_chinese_national_number_has_one_system() -> None:
    made = cx("52990119630114221x^^^CHN^NNCHN")
    assert made == {
        "type": {"coding": [{"system": TYPES, "code": "NI"}]},
        "system": "urn:oid:2.16.156.10011.1.3",
        "value": "52990119630114221X",
    }
    assert load()["CX"].back(made, context(), "PI") == "52990119630114221X^^^CHN^NNCHN"
    assert load()["national"].into("110105194912310021", context())["system"] == "urn:oid:2.16.156.10011.1.3"
    assert load()["national"].into("123-45-6789", context())["system"] == f"{ID}SSA:SS"


def test_validity_becomes_a_period() -> None:
    made = cx("1^^^H^MR^^20200101^20301231")
    assert made["period"] == {"start": "2020-01-01", "end": "2030-12-31"}
    assert load()["CX"].back(made, context(), "PI") == "1^^^H^MR^^20200101^20301231"


@pytest.mark.parametrize("raw", ["", '""', "^^^HOSP^MR", '""^^^HOSP^MR'])
def test_no_number_no_identifier(raw: str) -> None:
    assert cx(raw) is None
    assert load()["EI"].into(raw.replace("^^^", "^"), context()) is None


def test_a_type_of_the_senders_own_stays_a_text() -> None:
    assert cx("1^^^H^51")["type"] == {"text": "51"}
    assert load()["CX"].back(cx("1^^^H^51"), context(), "PI") == "1^^^H^51"


def test_keys_of_the_gateway_are_never_written() -> None:
    key = {"system": "urn:hutong:key", "value": "x"}
    assert [load()[name].back(key, context()) for name in ("CX", "EI", "EIP")] == ["", "", ""]


@pytest.mark.parametrize(
    ("raw", "system", "back"),
    [
        ("P1^HIS", f"{ID}HIS", "P1^HIS"),
        ("P1", f"{ID}COUNTY", "P1^COUNTY"),
        ("P1^HIS^1.2.3^ISO", "urn:oid:1.2.3", "P1^HIS^1.2.3^ISO"),
        ("P1^^1.2.3^ISO", "urn:oid:1.2.3", "P1^^1.2.3^ISO"),
        ("18012507109^HIS^18012507109^HIS", f"{ID}HIS", "18012507109^HIS"),  # doubled by a sender
    ],
)
def test_order_numbers(raw: str, system: str, back: str) -> None:
    made = load()["EI"].into(raw, context())
    assert made["system"] == system
    assert load()["EI"].back(made, context()) == back


@pytest.mark.parametrize(
    ("raw", "value", "system"),
    [
        ("TM01^HIS", "TM01", f"{ID}HIS"),  # a plain EI, as many senders write it
        ("TM01&HIS", "TM01", f"{ID}HIS"),
        ("^F1&LIS&1.2.3&ISO", "F1", "urn:oid:1.2.3"),
        ("P1&HIS^F1&LIS", "P1", f"{ID}HIS"),
    ],
)
def test_specimen_numbers(raw: str, value: str, system: str) -> None:
    made = load()["EIP"].into(raw, context())
    assert (made["value"], made["system"]) == (value, system)
    assert load()["EIP"].into(load()["EIP"].back(made, context()), context()) == made


def test_dicom_uids() -> None:
    made = load()["uid"].into("1.2.156.1.999", context())
    assert made == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.156.1.999"}
    assert load()["uid"].back(made, context()) == "1.2.156.1.999"
    assert load()["uid"].into("abc", context()) is None
    assert load()["uid"].into("1." * 40, context()) is None


def test_institutions_by_their_credit_code() -> None:
    made = load()["organization"].into("12529901MB9900013D", context())
    assert made["system"] == "urn:oid:2.16.156.10011.1.5"
    assert load()["organization"].into("HOSP", context())["system"] == f"{ID}COUNTY:org"
