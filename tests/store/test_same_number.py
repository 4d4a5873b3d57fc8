"""Several orders under one number, as messages bring them: each arrival finds each of them again, and never another."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from gateway.errors import Configuration
from gateway.store.stored import Applied
from tests.mapping.house import SHANGHAI, WHEN, maps, message
from tests.store.conftest import Ward

ORDERED = (
    "ORC|NW|P1^HIS|||||||20260312142000",
    "OBR|1|P1^HIS||GLU^血糖^L",
    "OBR|2|P1^HIS||K^血钾^L",
)
ACCEPTED = (
    "ORC|SC|P1^HIS|F1^LIS||IP",
    "OBR|1|P1^HIS|F1^LIS|GLU^血糖^L",
    "ORC|SC|P1^HIS|F2^LIS||IP",
    "OBR|2|P1^HIS|F2^LIS|K^血钾^L",
)


def send(ward: Ward, kind: str, *lines: str) -> Applied:
    bundle = maps().to_fhir(hl7v2.decode(message(kind, *lines)), profile=SHANGHAI, when=WHEN).bundle
    return ward.apply(*bundle["entry"])


def orders(ward: Ward) -> dict[str, str]:
    """Code → status of every order."""
    found = [ward.get(f"ServiceRequest/{each}") for each in ward.ids("ServiceRequest", "")]
    told = [(each["code"]["coding"][0]["code"], each["status"]) for each in found]
    assert len(dict(told)) == len(told)
    return dict(told)


def test_sent_again_it_changes_nothing(ward: Ward) -> None:
    send(ward, "OML^O21^OML_O21", *ORDERED)
    assert orders(ward) == {"GLU": "active", "K": "active"}
    again = send(ward, "OML^O21^OML_O21", *ORDERED)
    assert [each for each in again.changes if each.type == "ServiceRequest"] == []


@pytest.mark.parametrize(("code", "name"), [("GLU", "血糖"), ("K", "血钾")])
def test_a_result_of_one_completes_that_one(ward: Ward, code: str, name: str) -> None:
    send(ward, "OML^O21^OML_O21", *ORDERED)
    report = (
        f"OBR|1|P1^HIS|F9^LIS|{code}^{name}^L|||20260312101500||||||||||||||||||F",
        f"OBX|1|NM|{code}^{name}^L||5.6||||||F",
    )
    applied = send(ward, "ORU^R01^ORU_R01", *report)
    assert orders(ward) == {"GLU": "active", "K": "active", code: "completed"}
    (made,) = [each for each in applied.changes if each.type == "DiagnosticReport"]
    (order,) = ward.get(made.reference)["basedOn"]
    assert ward.get(order["reference"])["code"]["coding"][0]["code"] == code
    assert any("several share its number" in note for note in applied.notes)


def test_each_may_have_a_filler_number_of_its_own(ward: Ward) -> None:
    send(ward, "OML^O21^OML_O21", *ACCEPTED)
    send(ward, "OML^O21^OML_O21", *ACCEPTED)
    assert set(orders(ward)) == {"GLU", "K"}
    send(ward, "ORM^O01^ORM_O01", "ORC|CA|P1^HIS|F2^LIS", "OBR|1|P1^HIS|F2^LIS|K^血钾^L")
    assert orders(ward)["K"] == "revoked"
    assert orders(ward)["GLU"] != "revoked"


def test_a_third_number_is_still_a_persons_decision(ward: Ward) -> None:
    send(ward, "OML^O21^OML_O21", *ACCEPTED)
    with pytest.raises(Configuration, match="whose other number of the same kind differs"):
        send(ward, "ORM^O01^ORM_O01", "ORC|NW|P1^HIS|F3^LIS", "OBR|1|P1^HIS|F3^LIS|NA^血钠^L")
