"""Queries ↔ Parameters, answers ↔ OperationOutcome with what was found; an answer changes nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import hl7v2
from gateway.errors import Permanent
from gateway.mapping.datatypes.queries import filter_back, filter_into
from tests.mapping.house import SHANGHAI, WHEN, all_of, back, context, into, maps, message, only

QUERY = ("QPD|IHE PDQ Query|T1|@PID.5.1^张~@PID.7^19750618", "RCP|I|10^RD")
ANSWER = ("MSA|AA|Q1", "QAK|T1|OK|IHE PDQ Query|1|1|0", QUERY[0])


def segments(made: object, *, event: str) -> list[str]:
    body = back(made.bundle, made.structure, event=event)  # type: ignore[attr-defined]
    return ["|".join(each) for each in hl7v2.decode(body).segments[1:]]


def parameters(made: object) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for each in only(made, "Parameters")["parameter"]:  # type: ignore[arg-type]
        found.setdefault(each["name"], []).append({name: value for name, value in each.items() if name != "name"})
    return found


def test_a_query_is_its_parameters() -> None:
    made = into(message("QBP^Q22^QBP_Q21", *QUERY, pid=""))
    found = parameters(made)
    assert [each["part"] for each in found["QPD-3"]] == [
        [{"name": "@PID.5.1", "valueString": "张"}],
        [{"name": "@PID.7", "valueString": "19750618"}],
    ]
    assert found["count"] == [{"valueInteger": 10}]
    assert segments(made, event="Q22") == list(QUERY)


def test_a_query_for_identifiers_names_one_and_the_domains() -> None:
    lines = ["QPD|IHE PIX Query|T2|300001^^^COUNTY^PI|^^^TOWN~^^^&1.2.3&ISO", "RCP|I"]
    made = into(message("QBP^Q23^QBP_Q21", *lines, pid=""))
    found = parameters(made)
    assert found["identifier"][0]["valueIdentifier"]["value"] == "300001"  # type: ignore[index]
    assert [each["valueIdentifier"]["system"] for each in found["domain"]] == ["urn:hutong:id:TOWN", "urn:oid:1.2.3"]  # type: ignore[index]
    assert segments(made, event="Q23") == lines


@pytest.mark.parametrize("kind", ["QBP^Z73^QBP_Z73", "QBP^ZV1^QBP_Q21", "QBP^Q11"])
def test_a_local_query_is_a_query(kind: str) -> None:
    assert into(message(kind, *QUERY, pid="")).structure == "QBP_Q11"


def test_an_answer_changes_nobody() -> None:
    made = into(message("RSP^K22^RSP_K21", *ANSWER, "PID|1||300001^^^COUNTY^PI||张^伟||19750618|M", pid=""))
    requests = [each["request"] for each in made.bundle["entry"] if each["resource"]["resourceType"] == "Patient"]
    assert [each["method"] for each in requests] == ["POST"]


def test_an_answer_with_several_people_goes_back_as_it_came() -> None:
    people = ["PID|1||300001^^^COUNTY^PI||张^伟||19750618|M", "PID|2||300002^^^COUNTY^PI||张^玮||19750618|F"]
    made = into(message("RSP^K22^RSP_K21", *ANSWER, *people, pid=""))
    assert len(all_of(made, "Patient")) == 2
    assert segments(made, event="K22") == [*ANSWER, *people]


def test_nobody_found_is_no_error() -> None:
    made = into(message("RSP^K22^RSP_K21", "MSA|AA|Q1", "QAK|T1|NF||0", pid=""))
    assert [each["severity"] for each in only(made, "OperationOutcome")["issue"]] == ["information", "information"]
    assert [each["code"] for each in only(made, "OperationOutcome")["issue"]] == ["informational", "not-found"]


def test_a_table_keeps_its_rows() -> None:
    rows = ["RDF|2|PID.3^ID^ST~PID.5^Name^ST", "RDT|1^^^A|张^伟", "RDT|2^^^A|李^娜"]
    made = into(message("RSP^K11^RSP_K11", *ANSWER, *rows, pid=""))
    assert [len(each["part"]) for each in parameters(made)["row"]] == [2, 2]  # type: ignore[arg-type]
    assert segments(made, event="K11")[-3:] == rows


def test_a_query_in_the_original_style() -> None:
    lines = ["QRD|20260312143000|R|I|T3|||25^RD|300001^张^伟|DEM^Demographics^HL70048", "QRF|ADT|20260101|20260312"]
    made = into(message("QRY^A19^QRY_A19", *lines, pid=""))
    assert segments(made, event="A19") == lines


def test_a_query_that_asks_nothing_is_refused() -> None:
    with pytest.raises(Permanent, match="QRD: the message makes no Parameters; it has no QRD segment"):
        maps().to_fhir(hl7v2.decode(message("QRY^A19", "DSC|P1|I", pid="")), profile=SHANGHAI, when=WHEN)


@given(
    st.sampled_from(["@PID.5.1", "@PID.3"]),
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1),
)
def test_a_filter_comes_back(name: str, value: str) -> None:
    raw = f"{name}^{hl7v2.escape(value)}"
    made = filter_into(raw, context())
    assert made is not None
    assert filter_back(made, context()) == raw


def test_the_document_that_was_asked_for_comes_and_not_the_one_that_it_adds_to() -> None:
    text = "TXA||DS|TX|||||||||D2^COUNTY|D1^COUNTY||||LA||AV"
    answer = ("MSA|AA|Q1", "QRD|20260312075900|R|I|Q1|||1^RD|300001|DOC")
    made = into(message("DOC^T12^DOC_T12", *answer, text, "OBX|1|TX|DS^出院小结||患者好转出院。||||||F"))
    found = [each for each in segments(made, event="T12") if each.startswith("TXA")]
    assert found == [text]
