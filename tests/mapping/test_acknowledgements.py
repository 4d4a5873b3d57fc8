"""MSA and ERR ↔ OperationOutcome: both styles of errors, there and back; a block that makes the elements of a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.errors import Configuration, Permanent
from gateway.mapping import grammar
from gateway.mapping.datatypes.answers import control_back, control_into, old_place_into, place_back, place_into
from gateway.mapping.maps import Address, Translation
from gateway.model import Profile
from tests.mapping.house import SHANGHAI, WHEN, by_reference, context, into, leads_of, maps, only

ERROR = "ERR||PID^1^3^2^4|101^Required field missing^HL70357|W|LIS-9^缺项^L|PID-3||病人号必填"


def answer(*lines: str, version: str = "2.5.1", kind: str = "ACK^A01^ACK") -> bytes:
    header = f"MSH|^~\\&|LIS|COUNTY|GW|HUB|20260312142500||{kind}|A1|P|{version}"
    return "".join(f"{line}\r" for line in (header, *lines)).encode()


def back(made: Translation, version: str = "2.5.1") -> list[list[str]]:
    to = Address(
        profile=Profile(version=version, time_zone=SHANGHAI.time_zone), facility="COUNTY", control_id="B", when=WHEN
    )
    leads = leads_of(made.bundle, made.structure)
    return hl7v2.decode(maps().from_fhir(by_reference(made.bundle), leads, structure="ACK", to=to)).segments


def test_an_acceptance_is_an_information() -> None:
    made = into(answer("MSA|AA|M1"))
    (issue,) = only(made, "OperationOutcome")["issue"]
    assert (issue["severity"], issue["code"]) == ("information", "informational")
    response = only(made, "MessageHeader")["response"]
    assert (response["code"], response["identifier"]) == ("ok", "M1")


def test_an_error_is_an_issue_of_its_own_and_goes_back_as_it_came() -> None:
    made = into(answer("MSA|AE|M1|拒收", ERROR, "ERR|||207^^HL70357|E"))
    said, error, other = only(made, "OperationOutcome")["issue"]
    assert said["details"]["text"] == "拒收"
    assert error["expression"] == ["PID[1]-3(2).4"]
    assert (error["severity"], error["code"], error["details"]["text"]) == ("warning", "required", "病人号必填")
    assert other["code"] == "exception"
    assert ["|".join(each) for each in back(made)[1:]] == ["MSA|AE|M1|拒收", ERROR, "ERR|||207^^HL70357|E"]


def test_errors_before_v25_stand_in_err_1() -> None:
    line = "ERR|PID^1^3^101&Required field missing&HL70357~OBR^2^4^103"
    made = into(answer("MSA|AE|M1", line, version="2.3"))
    _, error = only(made, "OperationOutcome")["issue"]
    assert error["expression"] == ["PID[1]-3", "OBR[2]-4"]
    assert "|".join(back(made, "2.3")[2]) == line


def test_an_old_error_is_written_for_a_new_reader_in_its_fields() -> None:
    made = into(answer("MSA|AE|M1", "ERR|PID^1^3^101&Required field missing&HL70357", version="2.3"))
    new = "PID^1^3|101^Required field missing^HL70357|E"
    assert "|".join(back(made, "2.8")[2]) == f"ERR||{new}"
    # until v2.6 ERR-1 stands beside them as it was said, for readers of before (v2.5.1 §2.15.5.1)
    assert "|".join(back(made, "2.5.1")[2]) == f"ERR|PID^1^3^101&Required field missing&HL70357|{new}"


def test_the_condition_in_msa_6_is_an_issue() -> None:
    made = into(answer("MSA|AE|M1||||207^Application internal error^HL70357", version="2.4"))
    assert [each["code"] for each in only(made, "OperationOutcome")["issue"]] == ["processing", "exception"]
    assert back(made, "2.4")[1][6] == "207^Application internal error^HL70357"


def test_an_outcome_made_elsewhere_becomes_an_acknowledgement() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "required"}]}
    to = Address(profile=SHANGHAI, facility="COUNTY", control_id="B", when=WHEN)
    made = hl7v2.decode(maps().from_fhir({"o": outcome}, ["o"], structure="ACK", to=to))
    assert made.header.kind == "ACK"
    assert [each[:2] for each in made.segments[1:]] == [["MSA", "AE"], ["ERR", ""]]


def test_the_wrong_structure_of_an_acknowledgement_is_overlooked() -> None:
    assert into(answer("MSA|AA|M1", kind="ACK^A01^ADT_A01")).structure == "ACK"


def test_an_acknowledgement_of_nothing_is_refused() -> None:
    with pytest.raises(Permanent, match="MSA: the message makes no OperationOutcome; it has no MSA segment"):
        maps().to_fhir(hl7v2.decode(answer("UAC|KERB")), profile=SHANGHAI, when=WHEN)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12))
def test_a_control_id_comes_back(text: str) -> None:
    raw = hl7v2.escape(text)
    made = control_into(raw, context())
    assert made is not None
    assert made.startswith("sha256.") or control_back(made, context()) == raw


numbers = st.integers(1, 99).map(str)


@given(st.lists(numbers, max_size=5))
def test_a_place_comes_back(found: list[str]) -> None:
    raw = "^".join(["PID", *found])
    made = place_into(raw, context())
    assert made is not None
    assert place_back(made, context()) == raw


def test_what_is_no_place_stays_as_it_stands() -> None:
    assert place_into("somewhere^else", context()) == "somewhere^else"
    assert old_place_into("^^^207", context()) is None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("ERR => OperationOutcome.isue*\n  ERR-4 -> severity", "OperationOutcome.isue"),
        ("ERR => OperationOutcome.issue* key ERR-1\n  ERR-7 <-> diagnostics", "no key of its own"),
        ("ERR => Flag.identifier*\n  ERR-7 <-> value", "no block makes a Flag"),
    ],
)
def test_a_wrong_part_is_named(text: str, cause: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from gateway.mapping.maps import load, shipped

    (tmp_path / "own.map").write_text(text, encoding="utf-8")
    with pytest.raises(Configuration, match=cause):
        load([shipped(), tmp_path])


def test_a_block_makes_an_element_of_a_list() -> None:
    with pytest.raises(Configuration, match="element of a list"):
        grammar.parse("ERR => OperationOutcome.issue\n  ERR-8 <-> text", "x.map")
