"""The demo's own systems, without a gateway: what they would let pass, the demo would too."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from rich.console import Console

from gateway.demo import paper
from gateway.demo.board import Board
from gateway.demo.hospital import Hospital
from gateway.demo.imaging import ImagingCentre
from gateway.demo.inbox import DemoError, Inbox, Patience, wait_until
from gateway.demo.paper import Message

SHORT = Patience(hop=0.1)
REPORT = "MSH|^~\\&|HUTONG|x|JCHIS|y|20260312||ORU^R01|77|P|2.4\rPID|1||1||王䶮\rOBX|1\rOBX|2|TX|a^b\r"


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    made = Hospital("township", charset="gb18030", patience=SHORT)
    yield made
    made.close()


def _address(hospital: Hospital) -> tuple[str, int]:
    host, _, port = hospital.address.partition(":")
    return host, int(port)


def test_a_message_is_kept_and_acknowledged(hospital: Hospital) -> None:
    assert hospital.send(REPORT.encode("gb18030"), _address(hospital)) == "AA"
    received = hospital.inbox.wait(lambda message: message.one("MSH", 10) == "77", "it")
    assert received.body == REPORT.encode("gb18030")
    assert (received.one("PID", 5), received.one("MSH", 12)) == ("王䶮", "2.4")
    assert received.all("OBX", 3, 2) == ["", "b"]


def test_another_charset_is_refused(hospital: Hospital) -> None:
    with pytest.raises(DemoError, match="answered AR for 77: wrong charset"):
        hospital.send(REPORT.replace("王䶮", "热依汗·Ä").encode("latin-1", "replace") + b"\xff", _address(hospital))
    assert hospital.inbox.all() == []


def test_no_answer_is_no_success() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hospital = Hospital("county", charset="utf-8", patience=SHORT)
        with pytest.raises(OSError, match="timed out"):
            hospital.send(REPORT.encode(), silent.getsockname())
        hospital.close()


def test_the_imaging_centre_wants_its_secret() -> None:
    centre = ImagingCentre(patience=SHORT)
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    assert httpx.post(centre.address, json=bundle, trust_env=False).status_code == 401
    assert centre.inbox.all() == []
    headers = {"Authorization": centre.secret}
    assert httpx.post(centre.address, json=bundle, headers=headers, trust_env=False).status_code == 200
    assert centre.inbox.all() == [bundle]
    centre.close()


def test_patience_ends() -> None:
    inbox: Inbox[int] = Inbox(SHORT)
    inbox.put(1)
    with pytest.raises(DemoError, match="the report did not arrive in time; 1 others did"):
        inbox.wait(lambda each: each == 2, "the report")
    with pytest.raises(DemoError, match="the merge did not happen in time"):
        wait_until(lambda: None, "the merge", SHORT)
    with pytest.raises(DemoError, match="did not happen"):
        wait_until(lambda: None, "anything", Patience(hop=9, all=0))


def test_the_board_marks_the_hop_that_failed() -> None:
    board = Board(Console(quiet=True))
    with board.hop("a", "b", "c") as hop:
        hop.state = "AA"
    with pytest.raises(DemoError), board.hop("d", "e", "f"):
        raise DemoError("no")
    assert [(each.state, each.milliseconds is not None) for each in board.hops] == [("AA", True), ("failed", True)]


def test_texts_are_sent_as_their_system_sends_them() -> None:
    assert paper.message("registration.hl7", "gb18030").count(b"\r") == 4
    assert "王䶮".encode("gb18030") in paper.message("registration.hl7", "gb18030")
    assert b"\n" not in paper.message("ct-order.hl7", "gb18030")
    assert paper.table("laboratory.csv", "gb18030").count(b"\r\n") == 6
    rows = paper.rows(paper.table("laboratory.csv", "gb18030"), "gb18030")
    assert [row["结果"] for row in rows] == ["5.60", "82", "312", "6.8", "138"]
    assert Message.read(paper.message("merge.hl7", "utf-8"), "utf-8").one("MRG", 1, 1) == "300977"
