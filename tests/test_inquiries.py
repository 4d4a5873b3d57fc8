"""Queries over MLLP are answered from the record (HL7 v2.5.1 §3.3.56 to §3.3.59; IHE ITI-9 PIX, ITI-21 PDQ)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.codec import hl7v2
from tests.rooms import House

HEAD = "MSH|^~\\&|HIS|{facility}|HUTONG|SANHE|20260312080000||{kind}|{control_id}|P|2.5.1|||||CHN|UNICODE UTF-8"


def told(kind: str, *lines: str, control_id: str = "Q1", facility: str = "COUNTY") -> bytes:
    head = HEAD.format(kind=kind, facility=facility, control_id=control_id)
    return "".join(f"{line}\r" for line in (head, *lines)).encode()


def registered(number: str, name: str, born: str, *more: str, facility: str = "COUNTY") -> bytes:
    numbers = "~".join((f"{number}^^^{facility}^PI", *more))
    lines = ("EVN|A04|20260312", f"PID|1||{numbers}||{name}||{born}|M")
    return told("ADT^A28^ADT_A05", *lines, control_id=f"A{number}", facility=facility)


PEOPLE = (
    registered("300001", "张^伟", "19750618", "110101197506180010^^^CHN^NNCHN"),
    registered("300002", "张^玮", "19800101"),
    registered("300003", "李^强", "19750618"),
    registered("7001", "张^伟", "19750618", "110101197506180010^^^CHN^NNCHN", facility="CLINIC"),
)


@pytest.fixture
async def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    await made.walk(*PEOPLE)
    yield made
    made.close()


def segments(answer: bytes, name: str) -> list[list[str]]:
    return [each for each in hl7v2.decode(answer).segments if each[0] == name]


def numbers(answer: bytes) -> list[list[str]]:
    """The numbers of each person in the answer."""
    return [sorted(number.split("^")[0] for number in each[3].split("~")) for each in segments(answer, "PID")]


async def asked(house: House, kind: str, *lines: str, control_id: str = "Q1") -> bytes:
    answer = await house.receive(told(kind, *lines, control_id=control_id))
    (msa,) = segments(answer, "MSA")
    assert msa[2] == control_id
    return answer


def status(answer: bytes) -> tuple[str, list[str]]:
    """(MSA-1, QAK-2 and the counts)."""
    (acknowledged,), (known,) = segments(answer, "MSA"), segments(answer, "QAK")
    return acknowledged[1], [*known[2:3], *known[4:7]]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("@PID.5.1^张", 2), ("@PID.5.1^张~@PID.5.2^伟", 1), ("@PID.5^张^伟", 1), ("@PID.7^19750618", 2),
        ("@PID.7^19750618~@PID.8^M~@PID.5.1^李", 1), ("@PID.3.1^300002", 1), ("@PID.3^300002^^^COUNTY", 1),
        ("@PID.5.1^张*", 2), ("@PID.8^F", 0), ("@PID.5.1^王", 0), ("@PID.19^110101197506180010", 1),
    ],
)  # fmt: skip
async def test_people_are_found_by_what_is_known_of_them(house: House, filters: str, found: int) -> None:
    answer = await asked(house, "QBP^Q22^QBP_Q21", f"QPD|IHE PDQ Query|T1|{filters}", "RCP|I|10^RD")
    assert hl7v2.decode(answer).header.kind == "RSP^K22"
    assert status(answer) == ("AA", ["OK" if found else "NF", str(found), str(found), "0"])
    assert len(numbers(answer)) == found
    assert segments(answer, "QPD") == [["QPD", "IHE PDQ Query", "T1", filters]]


async def test_only_a_member_whose_settings_say_so_is_answered(house: House) -> None:
    """MLLP has no passwords: who is not known to ask alone on its port learns of nobody."""
    lines = ("QPD|IHE PDQ Query|T1|@PID.5.1^张", "RCP|I|10^RD")
    answer = await house.receive(told("QBP^Q22^QBP_Q21", *lines, control_id="Q2", facility="CLINIC"))
    assert (status(answer), numbers(answer)) == (("AR", ["AR"]), [])  # HL7 v2.5.1 §2.9.2: rejected, not mistaken
    (error,) = segments(answer, "ERR")
    assert error[3] == "200^Unsupported message type^HL70357"
    assert "queries: true" in error[8]  # what is to be done


async def test_a_long_answer_goes_on_where_it_ended(house: House) -> None:
    lines = ("QPD|IHE PDQ Query|T1|@PID.7^1975", "RCP|I|1^RD")
    first = await asked(house, "QBP^Q22^QBP_Q21", *lines)
    assert status(first) == ("AA", ["OK", "2", "1", "1"])
    ((_, pointer, _),) = segments(first, "DSC")
    second = await asked(house, "QBP^Q22^QBP_Q21", *lines, f"DSC|{pointer}|I", control_id="Q2")
    assert segments(second, "DSC") == []
    assert status(second)[0] == "AA"
    assert sorted([*numbers(first), *numbers(second)]) == [["110101197506180010", "300001", "7001"], ["300003"]]


@pytest.mark.parametrize(
    ("number", "domains", "found"),
    [
        ("300001^^^COUNTY^PI", "", ["110101197506180010", "7001"]),
        ("300001^^^COUNTY^PI", "^^^CLINIC", ["7001"]),
        ("300001", "^^^CLINIC", ["7001"]),
        ("7001^^^CLINIC^PI", "^^^COUNTY", ["300001"]),
    ],
)
async def test_the_numbers_of_a_person_elsewhere(house: House, number: str, domains: str, found: list[str]) -> None:
    answer = await asked(house, "QBP^Q23^QBP_Q21", f"QPD|IHE PIX Query|T2|{number}|{domains}".rstrip("|"), "RCP|I")
    assert hl7v2.decode(answer).header.kind == "RSP^K23"
    assert status(answer) == ("AA", ["OK", "1", "1", "0"])
    assert numbers(answer) == [found]
    assert "张" not in answer.decode().partition("PID|")[2]  # nothing but numbers


@pytest.mark.parametrize(
    ("query", "expected", "place"),
    [
        ("300009^^^COUNTY^PI|", "AE", "QPD^1^3^1"),  # nobody
        ("300001^^^COUNTY^PI|^^^NOWHERE", "AE", "QPD^1^4^1"),  # no such domain
        ("300001^^^COUNTY^PI|^^^CLINIC~^^^NOWHERE", "AE", "QPD^1^4^2"),
        ("300002^^^COUNTY^PI|^^^CLINIC", "NF", ""),  # known, but not there
        ("|^^^CLINIC", "AE", "QPD^1^3^1"),
    ],
)
async def test_a_number_that_leads_nowhere(house: House, query: str, expected: str, place: str) -> None:
    answer = await asked(house, "QBP^Q23^QBP_Q21", f"QPD|IHE PIX Query|T2|{query}", "RCP|I")
    code, (said, *_) = status(answer)
    assert (code, said) == ("AE" if place else "AA", expected)
    assert [each[2] for each in segments(answer, "ERR")] == ([place] if place else [])
    assert numbers(answer) == []


async def test_a_bare_number_of_several_is_nobodys(house: House) -> None:
    await house.walk(registered("300001", "王^芳", "19900101", facility="CLINIC"))
    answer = await asked(house, "QBP^Q23^QBP_Q21", "QPD|IHE PIX Query|T2|300001|", "RCP|I")
    assert [each[3].split("^")[0] for each in segments(answer, "ERR")] == ["205"]
    assert len(numbers(await asked(house, "QBP^Q21^QBP_Q21", "QPD|Q21|T3|300001", control_id="Q2"))) == 2
    one = await asked(house, "QBP^Q21^QBP_Q21", "QPD|Q21|T3|300001^^^CLINIC", control_id="Q3")
    assert [each[5] for each in segments(one, "PID")] == ["王^芳"]


async def test_who_was_merged_is_found_as_who_stays(house: House) -> None:
    merge = ("EVN|A40|20260313", "PID|1||300001^^^COUNTY^PI||张^伟||19750618|M", "MRG|300002^^^COUNTY^PI")
    await house.walk(told("ADT^A40^ADT_A39", *merge, control_id="M1"))
    answer = await asked(house, "QBP^Q21^QBP_Q21", "QPD|Q21|T3|300002^^^COUNTY")
    assert [each[5] for each in segments(answer, "PID")] == ["张^伟"]
    by_name = await asked(house, "QBP^Q22^QBP_Q21", "QPD|IHE PDQ Query|T1|@PID.5.1^张", control_id="Q2")
    assert len(numbers(by_name)) == 1


@pytest.mark.parametrize(
    ("kind", "line", "answered"),
    [
        ("QBP^Q11^QBP_Q11", "QPD|Q11|T1|300003^^^COUNTY^PI", "RSP^K11"),
        ("QRY^A19^QRY_A19", "QRD|20260312|R|I|T1|||10^RD|300003^^^^^^^^COUNTY|DEM", "ADR^A19"),
        ("QRY^A19^QRY_A19", "QRD|20260312|R|I|T1|||10^RD|^李^强|DEM", "ADR^A19"),
    ],
)
async def test_other_ways_to_ask(house: House, kind: str, line: str, answered: str) -> None:
    answer = await asked(house, kind, line)
    assert hl7v2.decode(answer).header.kind == answered
    assert [each[5] for each in segments(answer, "PID")] == ["李^强"]
    assert "|".join(segments(answer, line[:3])[0]) == line


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("QPD|IHE PDQ Query|T1|", "QPD^1^3^1"), ("QPD|IHE PDQ Query|T1|@PID.9.1^x", "QPD^1^3^1"),
        ("QPD|IHE PDQ Query|T1|@PID.5.1^张~@OBX.3^x", "QPD^1^3^2"), ("RCP|I", "QPD^1"),
        ("QPD|IHE PDQ Query|T1|@PID.7^yesterday", "QPD^1^3^1"),
        ("QPD|IHE PDQ Query|T1|@PID.5.1^张|||||^^^X", "QPD^1^8^1"),
    ],
)  # fmt: skip
async def test_what_cannot_be_looked_for_is_told(house: House, line: str, place: str) -> None:
    answer = await asked(house, "QBP^Q22^QBP_Q21", line)
    assert status(answer) == ("AE", ["AE"])
    assert [each[2] for each in segments(answer, "ERR")] == [place]
    assert all("; " in each[8] for each in segments(answer, "ERR"))  # cause and remedy


@pytest.mark.parametrize(
    ("kind", "line", "answered", "code"),
    [
        ("QBP^Q31^QBP_Q11", "QPD|Q31^Dispense History^HL70471|T9|300001", "RSP^K31", "201"),
        ("QBP^Z75^QBP_Q13", "QPD|Z75|T9|300001", "RSP^Z75", "201"),
        ("QRY^R02^QRY_R02", "QRD|20260312|R|I|T9|||10^RD|300001|RES", "ACK^R02", "201"),
        ("VXQ^V01^VXQ_V01", "QRD|20260312|R|I|T9|||10^RD|300001|VXI", "ACK^V01", "200"),
    ],
)
async def test_a_query_that_is_not_answered_is_told_so(
    house: House, kind: str, line: str, answered: str, code: str
) -> None:
    """No answer would be an empty answer: nothing is known of this patient (HL7 v2.5.1 §2.9.2, §5.5.1)."""
    answer = await asked(house, kind, line)
    assert hl7v2.decode(answer).header.kind == answered
    ((acknowledged, *_),) = [each[1:] for each in segments(answer, "MSA")]
    (error,) = segments(answer, "ERR")
    assert (acknowledged, error[2], error[3].partition("^")[0]) == ("AR", "MSH^1^9" + "^1" * (answered[0] == "R"), code)
    assert "QBP^Q22" in hl7v2.unescape(error[7], "utf-8")
    assert [each[1:3] for each in segments(answer, "QAK")] == ([["T9", "AR"]] if answered[0] == "R" else [])
    assert segments(answer, "QPD") == ([line.split("|")] if answered[0] == "R" else [])


async def test_before_version_2_5_an_error_is_told_in_its_first_field(house: House) -> None:
    asking = told("QBP^Q22^QBP_Q21", "QPD|IHE PDQ Query|T1|@PID.7^yesterday").replace(b"|2.5.1|", b"|2.4|")
    answer = await house.receive(asking)
    assert segments(answer, "ERR") == [["ERR", "QPD^1^3^102&Data type error&HL70357"]]


async def test_a_query_is_kept_and_leaves_the_record_alone(house: House) -> None:
    before = house.counts()
    await asked(house, "QBP^Q22^QBP_Q21", "QPD|IHE PDQ Query|T1|@PID.5.1^张", "RCP|I|10^RD")
    house.process()
    assert house.counts() == before
    assert (house.entries()[-1].kind, house.entries()[-1].state) == ("QBP^Q22", "done")


async def test_a_domain_limits_the_numbers(house: House) -> None:
    answer = await asked(house, "QBP^Q22^QBP_Q21", "QPD|IHE PDQ Query|T1|@PID.5^张^伟|||||^^^CLINIC")
    assert numbers(answer) == [["7001"]]


async def test_the_answer_is_in_the_asking_charset(house: House) -> None:
    body = (
        told("QBP^Q22^QBP_Q21", "QPD|IHE PDQ Query|T1|@PID.5.1^李").decode().replace("UNICODE UTF-8", "GB 18030-2000")
    )
    answer = await house.receive(body.encode("gb18030"))
    assert "李^强".encode("gb18030") in answer
    header = hl7v2.decode(answer).header
    assert (header.receiving_application, header.receiving_facility) == ("HIS", "COUNTY")
