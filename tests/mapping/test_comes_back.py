"""What senders write in many ways comes back, whichever way it was: there and back of variants, nothing lost."""

from __future__ import annotations

import pytest

from gateway.codec import hl7v2
from gateway.mapping.accounting.roundtrip import Came, compare_message
from gateway.mapping.accounting.trial import Trial
from gateway.model import Profile
from tests.mapping.house import PID, PV1, SHANGHAI, WHEN, back, follow, into, maps, message, only, segments

VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.2")


def lost(body: bytes, profile: Profile = SHANGHAI) -> list[str]:
    trial = Trial(maps=maps(), message=hl7v2.decode(body), profile=profile, when=WHEN)
    return [value.place for value in compare_message(trial).values if value.came is Came.LOST]


def of_version(version: str, body: bytes) -> bytes:
    return body.replace(b"|P|2.5.1", f"|P|{version}".encode())


# ------------------------------------------------------------------------------------------ acknowledgements

OLD = "ERR|MSH^1^9^200~PID^1^3^101&缺少&L"
NEW = "ERR||PID^1^3~OBX^2^5^1^2|101^Required field missing^HL70357|E|7^科室代码^L|1~2|缺少患者号|请补录"
BOTH = "ERR|PID^1^3^101|PID^1^3|101^Required field missing^HL70357|W"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("errors", [(OLD,), (NEW,), (BOTH,), (OLD, NEW), (NEW, BOTH, NEW), ("ERR|PID^1^3",)])
def test_errors_come_back_in_the_form_they_were_told(version: str, errors: tuple[str, ...]) -> None:
    """v2.4 §2.16.5: ERR-1 alone; since v2.5 (§2.15.5) ERR-2 and those behind it."""
    body = of_version(version, message("ACK", "MSA|AE|M7|不合格", *errors, pid=""))
    assert lost(body) == []
    written = segments(back(into(body).bundle, "ACK"), "ERR")
    assert [each[1] for each in written] == [each.split("|")[1] for each in errors]


def test_an_error_that_is_told_newly_goes_to_an_old_receiver_in_the_old_form() -> None:
    made = into(message("ACK", "MSA|AE|M7", NEW, pid=""))
    (written,) = segments(back(made.bundle, "ACK", profile=Profile(version="2.4")), "ERR")
    assert written[1].startswith("PID^1^3^101&Required field missing&HL70357~OBX^2^5")


# ------------------------------------------------------------------------------------------- persons, visits


@pytest.mark.parametrize("event", ["A28", "A31", "A08", "A01"])
@pytest.mark.parametrize("kind", ["I", "O", "P", "E", "N", ""])
@pytest.mark.parametrize("visit", ["", "V1^^^COUNTY^VN"])
def test_a_visit_beside_a_person_keeps_its_class(event: str, kind: str, visit: str) -> None:
    """PV1-2 is N only where nothing else is told (HL7 0004)."""
    body = message(f"ADT^{event}", f"PV1|1|{kind}|内科^^3床|||||||||||||VIP^要客^L|||{visit}")
    made = into(body)
    if event in ("A28", "A31") or visit or (event == "A01" and kind != "N"):
        assert lost(body) == []
        (written,) = segments(back(made.bundle, made.structure, event=event), "PV1")
        assert written[16] == "VIP^要客^L"


# ------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize(
    "lines",
    [
        ("OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F", "SPM|1|S1^F1||SER^血清^L||||||||P||||||20260312|20260312||Y"),
        ("OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F", "SPM|1|S1||SER^血清^L", "SPM|2|S2||PLAS^血浆^L"),
        ("SPM|1|S1||SER^血清^L", "OBX|1|ST|APP^外观^L||清||||||F"),
    ],
)
def test_specimens_without_an_order_come_back(lines: tuple[str, ...]) -> None:
    body = message("ORU^R01^ORU_R01", *lines)
    assert lost(body) == []
    written = [each.split("|")[0] for each in back(into(body).bundle, "ORU_R01").decode().split("\r")]
    assert [name for name in written if name in ("SPM", "OBX")] == [each.split("|")[0] for each in lines]


def test_the_time_of_an_answered_result_comes_back() -> None:
    body = message(
        "RSP^Z90^RSP_Z90", "MSA|AA|Q1", "QAK|T1|OK", "QPD|Z90^检验史^L|T1|1", PID, PV1, "ORC|RE||F1^LIS",
        "OBR|1||F1^LIS|K^血钾^L|||20260312081500", "OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F", pid="",
    )  # fmt: skip
    assert lost(body) == []


# ---------------------------------------------------------------------------------------------- medicines

DRUG, OTHER, FEVER = "A^阿莫西林^L", "B^布洛芬^L", "OBX|1|NM|TEMP^体温^L||36.5|Cel|||||F|||20260312"
ORDERED = ("ORC|NW|P1^HIS|F1^RX||||||20260312", "TQ1|1||BID", f"RXO|{DRUG}|1||片", "RXR|IV^静脉", "RXC|B|X^成分^L|1|mg")
ENCODED = (f"RXE||{DRUG}|1||片", "NTE|1||饭后", "TQ1|1||TID", "RXR|PO^口服", "RXC|B|Y^盐水^L", "RXC|A|Z^氯化钾^L")
DISPENSED = (f"RXD|1|{DRUG}|20260312|10|片||RX77", "NTE|1||两日内用完", "RXR|NG^鼻饲")
SECOND = ("ORC|NW|P2^HIS", f"RXE||{OTHER}|1||片", "TQ1|1||QD", "RXR|PO^口服")
GIVEN = (f"RXG|1|1|^BID|{DRUG}|1||片", "NTE|1||缓慢", "RXR|PO^口服", FEVER)
TAKEN = (f"RXA|0|1|20260312|20260312|{DRUG}|1|片", "RXR|PO^口服", FEVER, "NTE|1||平稳")
MEDICINES = [
    ("RDE^O11^RDE_O11", (*ORDERED, *ENCODED, FEVER)),
    ("RDE^O11^RDE_O11", ("ORC|NW|P1^HIS", "TQ1|1||BID", ENCODED[0], ENCODED[2], ENCODED[3], *SECOND)),
    ("RDE^O11", ("ORC|NW|P1^HIS", f"RXE|^BID^^20260312|{DRUG}|1||片", "NTE|1||注意", "RXR|PO^口服", *SECOND)),
    ("RDE^O11", (f"RXE|^BID|{DRUG}|1||片", "RXR|PO^口服", f"RXE|^QD|{OTHER}|1||片", "RXR|IV^静脉")),
    ("RDS^O13^RDS_O13", (*ORDERED, *ENCODED, *DISPENSED, FEVER, *SECOND, f"RXD|1|{OTHER}|20260312|6|片||RX78")),
    ("RDS^O13^RDS_O13", ("ORC|RE|P1^HIS", *ENCODED, *DISPENSED, f"RXD|2|{DRUG}|20260313|10|片||RX77", "RXR|PO^口服")),
    ("RGV^O15^RGV_O15", ("ORC|RE|P1^HIS", *ENCODED, *GIVEN, f"RXG|2|1|^QD|{DRUG}|2||片", "RXR|NG^鼻饲")),
    ("RAS^O17^RAS_O17", ("ORC|RE|P1^HIS", *ENCODED, *TAKEN, f"RXA|0|2|20260313|20260313|{DRUG}|1|片", *SECOND)),
]


@pytest.mark.parametrize(("kind", "lines"), MEDICINES)
def test_what_was_ordered_encoded_and_given_each_comes_back_with_its_own(kind: str, lines: tuple[str, ...]) -> None:
    assert lost(message(kind, PV1, *lines)) == []


def test_the_encoded_order_is_read_and_not_what_was_ordered_before() -> None:
    """v2.5.1 §4.13.4: RXE with its own TQ1, RXR and RXC is what the pharmacy goes by; it is one order."""
    made = into(message("RDE^O11^RDE_O11", PV1, *ORDERED, *ENCODED))
    order = only(made, "MedicationRequest")
    assert order["dosageInstruction"][0]["route"]["coding"][0]["code"] == "PO"
    assert order["dosageInstruction"][0]["timing"]["code"]["coding"][0]["code"] == "TID"
    assert [each["itemCodeableConcept"]["coding"][0]["code"] for each in only(made, "Medication")["ingredient"]] == [
        "Y",
        "Z",
    ]
    assert "TQ1 RXR RXC of the order stand with its encoding as well: those were read" in made.notes


def test_each_dispense_has_its_own_way_and_names_the_order() -> None:
    made = into(message("RDS^O13^RDS_O13", PV1, *ORDERED, *ENCODED, *DISPENSED))
    dispense, order = only(made, "MedicationDispense"), only(made, "MedicationRequest")
    assert dispense["dosageInstruction"][0]["route"]["coding"][0]["code"] == "NG"
    assert [follow(made, each) for each in dispense["authorizingPrescription"]] == [order]


def test_an_order_of_which_nothing_was_given_yet_comes_back_too() -> None:
    made = into(message("RAS^O17^RAS_O17", PV1, "ORC|RE|P1^HIS", *ENCODED, *TAKEN, *SECOND))
    names = [each.split("|")[0] for each in back(made.bundle, "RAS_O17").decode().split("\r")]
    assert [each for each in names if each in ("ORC", "RXE", "RXA")] == ["ORC", "RXE", "RXA", "ORC", "RXE"]


# ------------------------------------------------------------------------------ orders, answers, charges, problems

POTASSIUM, SODIUM = "OBX|1|NM|K^血钾^L||4.1|mmol/L|||||F|||20260312", "OBX|1|NM|NA^血钠^L||139|mmol/L|||||F|||20260312"
ASKED = ("MSA|AA|Q1", "QAK|T1|OK", "QPD|Z90^检验史^L|T1|300001")
FIRST, NEXT = ("ORC|NW|P1^HIS", "OBR|1|P1^HIS||K^血钾^L"), ("ORC|NW|P2^HIS", "OBR|2|P2^HIS||NA^血钠^L")
SHOTS = (
    "ORC|RE||F1^EHR",
    "RXA|0|1|20260312||03^MMR^CVX|0.5",
    "RXR|IM^肌注",
    "OBX|1|CE|64994-7^资格^LN||V02^VFC^L||||||F",
)
SHOT = ("ORC|RE||F2^EHR", "RXA|0|1|20260313||21^VAR^CVX|0.5")
QUERY = ("MSA|AA|Q1", "QRD|20260312|R|I|T1|||5^RD|300001|VXI|VXR")
CHARGES = (
    "EVN|P03|20260312101500", *FIRST, POTASSIUM,
    "FT1|1|T1||20260312||CG|CT^CT^L|||1", "NTE|1||费用注", "PR1|1||CT^CT^L|CT|20260312",
    "FT1|2|T2||20260312||CG|MR^MR^L", "PR1|1||MR^MR^L|MR|20260312", *NEXT, "NTE|1||加急", SODIUM,
    "FT1|3|T3||20260312||CG|NO^无^L",
)  # fmt: skip
PROBLEM = ("PRB|AD|20260312|J18^肺炎^I10|PB1^HIS", "NTE|1||问题注", FEVER)
IN_THEIR_GROUPS: list[tuple[str, tuple[str, ...]]] = [
    ("RSP^Z90^RSP_Z90", (*ASKED, PID, PV1, *FIRST, "NTE|1||单注", POTASSIUM, "NTE|1||果注", *NEXT, SODIUM)),
    ("RSP^Z90^RSP_Z90", (*ASKED, PID, *FIRST, POTASSIUM, "OBR|2|P1^HIS||NA^血钠^L", SODIUM)),
    ("RSP^K11^RSP_K11", (*ASKED, PID, *SHOTS, *SHOT)),
    ("VXR^V03^VXR_V03", (*QUERY, PID, *SHOTS, *SHOT)),
    ("DFT^P03^DFT_P03", (CHARGES[0], PID, PV1, *CHARGES[1:])),
    ("PPR^PC1^PPR_PC1", (PID, PV1, *PROBLEM, *FIRST, "NTE|1||单注", POTASSIUM, *NEXT, SODIUM)),
    (
        "OML^O21^OML_O21",
        (PID, PV1, *FIRST, "NTE|1||甲", "TQ1|1||BID", "NTE|2||乙", "ORC|NW|P2^HIS", "TQ1|2||QD", NEXT[1]),
    ),
    ("ORM^O01^ORM_O01", (PID, PV1, *FIRST, "NTE|1||甲", "DG1|1||J18^肺炎^I10|肺炎||A", FEVER, "NTE|1||果注", *NEXT)),
]
PAID, SPENT = "FT1|1|T1||20260312||CG|CT^CT^L|||1", "FT1|1|T2||20260312||CG|MR^MR^L|||2"
SERUM, PLASMA = (
    ("SPM|1|S1^S1||SER^血清^L", "OBX|1|ST|A^外观^L||清||||||F|||20260312"),
    ("SPM|2|S2^S2||PLA^血浆^L", FEVER),
)
BLOOD, PLATELETS = ("ORC|NW|P1^HIS", "BPO|1|RBC^红细胞^L"), ("ORC|NW|P2^HIS", "BPO|2|PLT^血小板^L")
IN_THEIR_GROUPS += [
    ("ORU^R01^ORU_R01", (PID, *FIRST, "NTE|1||报告注", POTASSIUM, PAID, *SERUM, *PLASMA, *NEXT, SODIUM, SPENT)),
    ("OML^O21^OML_O21", (PID, *FIRST, "NTE|1||甲", *SERUM, PAID, *NEXT, *PLASMA, SPENT)),
    ("OUL^R22^OUL_R22", (PID, *SERUM, *FIRST, POTASSIUM, *PLASMA, *NEXT, SODIUM)),
    ("OUL^R22^OUL_R22", (PID, *SERUM, FIRST[0], f"{FIRST[1]}|||||||||||SER^血^L", POTASSIUM, *PLASMA, *NEXT, SODIUM)),
    ("OMB^O27^OMB_O27", (PID, *BLOOD, FEVER, *PLATELETS, POTASSIUM)),
    ("RDS^O13^RDS_O13", (PID, "ORC|RE|P1^HIS", f"RXD|1|{DRUG}|20260312|1|片||A1", FEVER, PAID, "ORC|RE|P2^HIS",
                         f"RXD|1|{OTHER}|20260312|1|片||A2", POTASSIUM, SPENT)),
]  # fmt: skip
READ = ("ORC", "OBR", "OBX", "NTE", "PR1", "RXA", "RXR", "FT1", "PRB", "SPM", "BPO", "RXD", "TQ1")


@pytest.mark.parametrize(("kind", "lines"), IN_THEIR_GROUPS)
def test_what_belongs_to_an_order_comes_back_with_it(kind: str, lines: tuple[str, ...]) -> None:
    """Nothing lost, nothing twice, nothing under another one."""
    body = message(kind, *lines, pid="")
    assert lost(body) == []
    made = into(body)
    written = back(made.bundle, made.structure, event=kind.split("^")[1]).decode().split("\r")
    told = [(each[0], each[3:6]) for each in (line.split("|") for line in written) if each[0] in READ[1:-1]]
    sent = [(each[0], each[3:6]) for each in (line.split("|") for line in lines) if each[0] in READ[1:-1]]
    assert [_short(each) for each in told] == [_short(each) for each in sent]


def _short(told: tuple[str, list[str]]) -> tuple[str, str]:
    return told[0], "|".join(told[1]).rstrip("|")
