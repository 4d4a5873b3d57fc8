"""A member's rows switched off (`profile.off`): both directions, and a row that no map has is an error."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.codec.hl7v2 import decode
from gateway.errors import Configuration
from gateway.mapping import maps
from gateway.mapping.maps import Address, Maps
from gateway.model import Profile, Resource

MESSAGE = (
    b"MSH|^~\\&|HIS|TOWN|GW|COUNTY|20260312142500||ADT^A04^ADT_A01|1|P|2.5.1\r"
    b"PID|1||300001^^^TOWN^PI||Doe^Jane||19580412|F|||||^PRN^CP^^^^19900000001|^WPN^PH^^^^5550100\r"
)


@pytest.fixture(scope="module")
def shipped() -> Maps:
    return maps.load([maps.shipped()])


def patient(found: Maps, profile: Profile) -> Resource:
    bundle = found.of(profile).to_fhir(decode(MESSAGE), profile=profile).bundle
    return next(entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Patient")


def test_without_it_both_phones_are_carried(shipped: Maps) -> None:
    assert [each["use"] for each in patient(shipped, Profile())["telecom"]] == ["mobile", "work"]


@pytest.mark.parametrize("row", ["PID-14", "PID-14 Patient.telecom"])
def test_a_row_that_is_off_is_not_carried(shipped: Maps, row: str) -> None:
    assert [each["use"] for each in patient(shipped, Profile(off=(row,)))["telecom"]] == ["mobile"]


def test_a_row_that_is_off_is_not_written(shipped: Maps) -> None:
    profile = Profile(off=("PID-8",))
    resources = {"Patient/1": patient(shipped, Profile())}
    to = Address(profile=profile, facility="TOWN", control_id="1", when=datetime(2026, 3, 12, tzinfo=UTC), event="A08")
    written = decode(shipped.of(profile).from_fhir(resources, ["Patient/1"], structure="ADT_A01", to=to))
    assert written.get("PID-5.1") == ["Doe"]
    assert written.get("PID-8") == []


def test_a_row_that_no_map_has_is_a_mistake(shipped: Maps) -> None:
    with pytest.raises(Configuration, match="no map has the row PID-99"):
        shipped.of(Profile(off=("PID-99",)))
