"""What only a record of others says, in the fields that are written of it: no message of a v2 sender becomes these."""

from __future__ import annotations

import pytest

from gateway.mapping.maps import Address
from gateway.model import Resource
from tests.mapping.house import SHANGHAI, WHEN, maps, segments

PATIENT: Resource = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:x", "value": "1"}]}
CODE = {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]}
WARD: Resource = {"resourceType": "Location", "id": "l", "name": "内科"}


def field(name: str, number: int, structure: str, *resources: Resource) -> str:
    """The field of a message about the first of the resources."""
    named = {f"{each['resourceType']}/{each['id']}": each for each in resources}
    to = Address(profile=SHANGHAI, facility="X", control_id="B1", when=WHEN)
    (segment,) = segments(maps().from_fhir(named, [next(iter(named))], structure=structure, to=to), name)
    return segment[number] if len(segment) > number else ""


def test_the_place_of_a_visit_that_says_nothing_of_its_state() -> None:
    visit: Resource = {
        "resourceType": "Encounter", "id": "e", "status": "in-progress", "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p"}, "location": [{"location": {"reference": "Location/l"}}],
    }  # fmt: skip
    assert "内科" in field("PV1", 3, "ADT_A01", visit, PATIENT, WARD)


@pytest.mark.parametrize("bound", ["low", "high"])
def test_the_unit_of_a_reference_range_that_has_one_bound(bound: str) -> None:
    test: Resource = {
        "resourceType": "ObservationDefinition", "id": "t", "code": CODE,
        "qualifiedInterval": [{"category": "reference", "range": {bound: {"value": 5, "unit": "U/L"}}}],
    }  # fmt: skip
    assert field("OM2", 2, "MFN_M08", test) == "U/L"


@pytest.mark.parametrize(("status", "event"), [("active", "MUP"), ("retired", "MDC")])
def test_the_state_of_a_price_is_its_event(status: str, event: str) -> None:
    price: Resource = {
        "resourceType": "ChargeItemDefinition", "id": "c", "url": "urn:x:1", "status": status, "code": CODE,
    }  # fmt: skip
    assert field("MFE", 1, "MFN_M04", price) == event
