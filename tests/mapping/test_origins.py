"""An element of a list goes back into the field that it stood in, also where another field would take it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.mapping.accounting.roundtrip import Came, compare_message
from gateway.mapping.accounting.trial import again_to, write
from tests.mapping.house import message
from tests.mapping.test_accounting import trial

PID = "PID|1||300001^^^COUNTY^PI||张^伟||19750618|M|||||{home}|{work}"


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (message("ADT^A08", pid=PID.format(home="5551234", work="7777^^CP~1111^^TDD")), ("PID-13", "PID-14")),
        (message("ADT^A08", pid=PID.format(home="", work="^PRN^CP^^^^19900000003")), ("PID-14",)),
        (message("ADT^A08", pid=PID.format(home="", work="") + "|||||123456789"), ("PID-3", "PID-19")),
        (message("ADT^A08", pid=PID.format(home="", work="").replace("||张", "|OLD7|张")), ("PID-3", "PID-4")),
        (message("ADT^A01", "PV1|1|P|W1^R1^B1||||||||T1^R2^B2||||||||V1^^^COUNTY^VN"), ("PV1-3", "PV1-11")),
        (
            message("ADT^A01", "PV1|1|P|W1^R1^B1||||||||||||||||V1^^^COUNTY^VN", "PV2|P1^R9^B9"),
            ("PV1-3", "PV2-1"),
        ),
    ],
)
def test_it_comes_back_where_it_stood(body: bytes, places: tuple[str, ...]) -> None:
    came = {value.place: value.came for value in compare_message(trial(body)).values}
    assert {place: came.get(place) for place in places} == dict.fromkeys(places, Came.IDENTICAL)


def test_another_receiver_finds_an_old_number_in_the_usual_field() -> None:
    tried = trial(message("ADT^A08", pid=PID.format(home="", work="") + "|||||123456789"))
    to = replace(again_to(tried.message.header, tried.profile, tried.when), facility="TOWN", sender="")
    pid = next(line for line in write(tried.maps, tried.made(), address=to).decode().split("\r") if line[:3] == "PID")
    assert "123456789" in pid.split("|")[3]
    assert len(pid.split("|")) < 20


TEAM = (
    "ROL|R1^COUNTY|AD|AT^主治^HL70443|D1^李^四^^^^^^COUNTY|20250101|20251231|||S9^儿科||||",
    "ROL||AD|NOK^亲属^HL70063|D2^王^五^^^^^^COUNTY|20250101",
    "PRT||AD||RO^登记^HL70912|D3^孙^七^^^^^^COUNTY|S1^儿科|||||20250102|20250203|||010-1^WPN^PH||||||||O|L9^MD^BJ",
    "PRT||AD||MTH^母亲^HL70063|D4^钱^八^^^^^^COUNTY||||||20250102|||12 St^^Town|010-2^PRN^PH||||||||H",
    "NK1|1|赵^九|FTH^父^HL70063",
)


def _written(*segments: str, pid: str = PID.format(home="", work="")) -> list[str]:
    tried = trial(message("ADT^A28", *segments, pid=pid))
    return (
        write(tried.maps, tried.made(), address=again_to(tried.message.header, tried.profile, tried.when))
        .decode()
        .split("\r")
    )


def test_each_person_of_a_team_comes_back_in_its_own_segment() -> None:
    """People of one kind stand in ROL, PRT and NK1: where they stood follows from no element of theirs."""
    written = _written(*TEAM)
    assert [line.split("|")[0] for line in written if line[:3] in ("ROL", "PRT", "NK1")] == [
        "ROL",
        "ROL",
        "PRT",
        "PRT",
        "NK1",
    ]
    came = compare_message(trial(message("ADT^A28", *TEAM, pid=PID.format(home="", work="")))).values
    assert [each.place for each in came if each.came is Came.LOST] == []
    assert "urn:hutong" not in "\r".join(written)


def test_an_institution_of_a_team_is_nobody_of_its_staff() -> None:
    (role,) = [line for line in _written("ROL||AD|AT^参加^HL70443|||||||||||乙医院^^H2") if line.startswith("ROL")]
    assert role.split("|")[4] == ""
    assert role.split("|")[14] == "乙医院^^H2"


def test_the_number_of_the_mother_is_no_relative_of_its_own() -> None:
    written = _written(pid=PID.format(home="", work="") + "|||||||M1^^^COUNTY^PI")
    assert [line for line in written if line.startswith("NK1")] == []
    assert next(line for line in written if line.startswith("PID")).split("|")[21] == "M1^^^COUNTY^PI"


def test_a_will_is_told_once_and_where_it_was() -> None:
    written = _written("PD1|||||||Y^有^HL70315")
    assert "PD1|||||||Y^有^HL70315" in written
    assert [line for line in written if line.startswith("OBX")] == []


def test_a_county_stands_where_versions_of_its_time_had_it() -> None:
    pid = PID.format(home="", work="").replace("|M||||", "|M|||路1号^^杭州|330106")
    assert next(line for line in _written(pid=pid) if line[:3] == "PID").split("|")[11:13] == ["路1号^^杭州", "330106"]
