"""Accounts and charges, there and back: digits and currencies, who keeps what, several accounts in one message."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.errors import Permanent
from gateway.mapping.datatypes.money import cp_back, cp_into, mo_back, mo_into
from tests.mapping.house import (
    PV1,
    SHANGHAI,
    WHEN,
    all_of,
    back,
    context,
    follow,
    into,
    maps,
    message,
    only,
    segments,
)  # fmt: skip

PID = "PID|1||300001^^^COUNTY^PI||张^伟||19750618|M||||||||||AC1^^^COUNTY^AN"
CHARGE = "FT1|1|F1||20260312101500|20260312|CG|2503^肝功能^L|||2|17.60&CNY|8.80&CNY^UP"


def charged(*lines: str, kind: str = "DFT^P03^DFT_P03") -> bytes:
    return message(kind, PV1, *lines, pid=PID)


def test_a_charge_keeps_its_digits_and_knows_its_account() -> None:
    made = into(charged(CHARGE))
    charge = only(made, "ChargeItem")
    assert str(charge["priceOverride"]["value"]) == "17.60"
    assert charge["priceOverride"]["currency"] == "CNY"
    assert charge["quantity"] == {"value": Decimal(2)}
    assert charge["account"]
    assert charge["context"]


def test_a_charge_goes_back_as_it_came() -> None:
    made = into(charged(CHARGE, "NTE|1||自费"))
    written = hl7v2.decode(back(made.bundle, made.structure)).segments
    assert ["|".join(each) for each in written[-2:]] == [CHARGE, "NTE|1||自费"]
    assert [each[0] for each in written[:4]] == ["MSH", "EVN", "PID", "PV1"]


def test_a_charge_changes_nothing_of_its_patient_visit_or_account() -> None:
    bundle = into(charged(CHARGE)).bundle
    methods = {each["resource"]["resourceType"]: each["request"]["method"] for each in bundle["entry"]}
    assert {methods[name] for name in ("Patient", "Encounter", "Account")} == {"POST"}
    assert methods["ChargeItem"] == "PUT"


def test_two_charges_of_one_number_are_two() -> None:
    made = into(charged(CHARGE, CHARGE.replace("2503^肝功能", "2504^肾功能")))
    assert len(all_of(made, "ChargeItem")) == 2


def test_a_number_in_the_next_message_is_another_patients_charge() -> None:
    """Senders count FT1-2 from 1 in every message: the number alone is not what a charge is found by."""
    one = into(charged(CHARGE)).bundle
    other = into(charged(CHARGE).replace(b"300001", b"300002")).bundle
    requests = [
        [each["request"]["url"] for each in bundle["entry"] if each["resource"]["resourceType"] == "ChargeItem"]
        for bundle in (one, other)
    ]
    assert requests[0] != requests[1]


def test_an_account_ends() -> None:
    made = into(charged(kind="BAR^P06^BAR_P06"))
    assert only(made, "Account")["status"] == "inactive"


def test_each_of_several_patients_has_its_account() -> None:
    body = message("BAR^P06^BAR_P06", PID.replace("300001", "300002").replace("AC1", "AC2"), pid=PID)
    made = into(body)
    accounts, patients = all_of(made, "Account"), all_of(made, "Patient")
    assert len(accounts) == len(patients) == 2
    assert accounts[0]["subject"] != accounts[1]["subject"]
    written = hl7v2.decode(back(made.bundle, made.structure)).segments
    assert [each[3].partition("^")[0] for each in written if each[0] == "PID"] == ["300001", "300002"]


def test_a_bill_without_an_account_number_is_about_its_patient() -> None:
    made = into(message("BAR^P01^BAR_P01", PV1))
    assert all_of(made, "Account") == []
    assert only(made, "Encounter")


def test_a_charge_message_without_a_charge_is_refused() -> None:
    with pytest.raises(Permanent, match="FT1: the message makes no ChargeItem; it has no FT1 segment"):
        maps().to_fhir(hl7v2.decode(charged()), profile=SHANGHAI, when=WHEN)


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9)


@given(AMOUNTS, st.sampled_from(["", "CNY", "USD"]), st.sampled_from(["", "UP", "TP"]))
def test_an_amount_comes_back(amount: Decimal, currency: str, kind: str) -> None:
    mo = f"{amount}^{currency}".rstrip("^")
    cp = f"{amount}&{currency}".rstrip("&") + (f"^{kind}" if kind else "")
    for into_, back_, raw in ((mo_into, mo_back, mo), (cp_into, cp_back, cp)):
        made = into_(raw, context())
        assert made is not None
        assert back_(made, context()) == raw


def test_what_senders_write_for_a_price() -> None:
    assert cp_into("100^USD", context()) == {"value": Decimal(100), "currency": "USD"}
    assert cp_into("100元", context()) is None
    assert mo_into("1,250.00^RMB", context()) == {"value": Decimal("1250.00"), "currency": "CNY"}
    around = context()
    assert mo_into("5^dollars", around) == {"value": Decimal(5)}
    assert around.notes


GUARANTOR = "GT1|1|G1^^^COUNTY^PI|张建国|||13800000001|||||{relation}"


@pytest.mark.parametrize(("relation", "kind"), [("FTH^父亲^HL70063", "RelatedPerson"), ("SEL^本人^HL70063", "Patient")])
def test_who_pays_is_the_patient_or_a_person_of_its_own(relation: str, kind: str) -> None:
    contact = "NK1|1|李娜|MTH^母亲^HL70063"
    made = into(message("BAR^P01^BAR_P01", GUARANTOR.format(relation=relation), contact, pid=PID))
    (guarantor,) = only(made, "Account")["guarantor"]
    payer = follow(made, guarantor["party"])
    assert payer["resourceType"] == kind
    assert len(all_of(made, "RelatedPerson")) == (2 if kind == "RelatedPerson" else 1)
    written = back(made.bundle, "BAR_P01", event="P01")
    assert [each[2] for each in segments(written, "NK1")] == ["李娜"]
    names = [each[3] for each in segments(written, "GT1") if len(each) > 3]
    assert names == ["张建国" if kind == "RelatedPerson" else "张伟"]  # §6.5.5.3: GT1-3 is required


PAYS = "P/F|{relation}||20260101|20261231|2|||||||N"


@pytest.mark.parametrize(("relation", "payer"), [("BRO", "李四"), ("SEL", "张伟")])
@pytest.mark.parametrize("kind", ["ADT^A04", "OML^O21"])
def test_who_pays_is_never_the_next_of_kin(relation: str, payer: str, kind: str) -> None:
    """One GT1 may stand in an order (§4.4.6) and several in a registration (§3.3.4)."""
    pays = f"GT1|1||李四|||||||{PAYS.format(relation=relation)}"
    order = ("ORC|NW|P1^HIS", "OBR|1|P1^HIS||GLU^血糖^L") if kind == "OML^O21" else ()
    made = into(message(kind, "NK1|1|王五|MTH", PV1, pays, *order, pid=PID))
    (guarantor,) = only(made, "Account")["guarantor"]
    assert follow(made, guarantor["party"])["name"][0]["text"] == payer
    (again,) = segments(back(made.bundle, made.structure), "GT1")
    assert again[10:] == pays.split("|")[10:]
    assert again[3] == ("李四" if relation == "BRO" else "张伟")
