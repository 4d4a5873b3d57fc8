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
