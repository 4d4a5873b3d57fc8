"""What stands beside others comes back to its own place: merged accounts, studies of an order, words without a code."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from gateway.mapping.accounting.roundtrip import Came, compare_message
from tests.mapping.house import PV1, all_of, back, into, message, only
from tests.mapping.test_accounting import trial

ORDER = ("ORC|NW|P1^HIS", "OBR|1|P1^HIS||CT^CT^L||||||||||||||||||||CT")


def lost(body: bytes) -> list[str]:
    return [value.place for value in compare_message(trial(body)).values if value.came is Came.LOST]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("ADT^A40^ADT_A39", ("MRG|300009^^^COUNTY^PI||A9^^^COUNTY^AN",)),
        ("ORM^O01^ORM_O01", (PV1, *ORDER, "ZDS|1.2.3^HIS^Application^DICOM")),
        ("OMI^O23^OMI_O23", (PV1, *ORDER, "IPC|ACC1^RIS|RP1^RIS|1.2.3^RIS|SPS1^RIS|CT")),
        ("ORM^O01^ORM_O01", (PV1, *ORDER, "DG1|1||J18^肺炎^I10||20260312|^待定")),
        ("OUL^R22^OUL_R22", ("SPM|1|||BLD^血^L",)),
        ("ORU^R01^ORU_R01", ("OBR|1||F1^LIS|A^a^L", "OBX|1|ST|B^b^L||1||||||||||||||||||||", "SPM|1|||BLD^血^L")),
        ("SIU^S12^SIU_S12", ("SCH|A1^HIS", "RGS|1", "AIG|1|||DOC^医生^L|||||20260312090000", "AIP|1||10^甲")),
        ("ADT^A04^ADT_A01", ("NK1|1||||||||||||甲公司", PV1)),
        ("ADT^A28^ADT_A05", ("ROL|1|AD|PP||||||C^诊所^L|||||甲医院",)),
        ("MDM^T02^MDM_T02", ("ORC|NW|P1^HIS", "OBR|1|P1^HIS||A^a^L|||20260312101500", "TXA|1|CN||||||||||D1")),
        ("PPR^PC1^PPR_PC1", (f"PRB|AD|20260312|A^甲^L|1{'|' * 17}x||x",)),
    ],
)
def test_nothing_is_lost(kind: str, lines: tuple[str, ...]) -> None:
    assert lost(message(kind, *lines)) == []


def test_an_order_that_stands_behind_its_request_is_its_own() -> None:
    """v2.5.1 §4.5.1: an order has one OBR, and an ORC that none follows is that of the one before it."""
    result = "OBX|1|ST|B^b^L||1||||||F"
    made = into(
        message("OUL^R24^OUL_R24", "OBX|1|NM|8302-2^身高^LN||170|cm", PV1, "OBR|1|||A^a^L", "ORC|SC|P1^HIS", result)
    )
    report = only(made, "DiagnosticReport")
    assert len(report["result"]) == 1
    assert [each["identifier"][0]["value"] for each in all_of(made, "ServiceRequest")] == ["P1"]
    assert lost(message("OUL^R24^OUL_R24", PV1, "OBR|1|||A^a^L", "ORC|SC|P1^HIS", result)) == []


def test_results_behind_their_specimen_are_those_of_the_order() -> None:
    """Where a message by order (OUL^R24) has its results behind SPM, nothing tells them from what is observed of the
    specimen; a receiver of ORU^R01 looks for them below OBR."""
    result = "OBX|1|NM|K^钾^L||5.6|mmol/L|||||F"
    made = into(message("OUL^R24^OUL_R24", "OBR|1|P1^HIS|F1^LIS|BIO^生化^L", "SPM|1|B1&LIS||SER", result))
    observation = only(made, "Observation")
    assert "focus" not in observation
    assert observation["specimen"]["reference"]
    written = [segment[0] for segment in hl7v2.decode(back(made.bundle, "ORU_R01")).segments]
    assert written == ["MSH", "PID", "ORC", "OBR", "OBX", "SPM"]
