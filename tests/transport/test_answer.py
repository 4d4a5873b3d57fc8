"""What an acknowledgement means: the whole table."""

from __future__ import annotations

import pytest

from gateway.errors import Ambiguous, HutongError, Permanent, Transient
from gateway.transport.answer import control_id, receipt, spoken
from tests.transport.lines import acknowledgement, message


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_taken(code: str) -> None:
    taken = receipt(acknowledgement("M1", code), control_id="M1", place="lis:1")
    assert (taken.code, taken.body) == (code, acknowledgement("M1", code))


@pytest.mark.parametrize(
    ("code", "segments", "error", "text"),
    [
        ("AE", ["ERR||PID^1|101^Required field missing^HL70357|E||||no birth date"], Permanent, "no birth date"),
        ("CE", ["ERR||PID^1|101^Required field missing|E"], Permanent, "101^Required field missing"),
        ("AE", ["ERR||PID^1|207|E"], Permanent, "207"),  # AE 207 is about the message all the same
        ("AR", ["ERR|||200^Unsupported message type|E"], Permanent, "Unsupported message type"),
        ("AR", ["ERR|||207^Application internal error|E"], Transient, "207"),
        ("CR", ["ERR|||206^locked|E"], Transient, "206"),
        ("AR", ["ERR|PID^1^3^206&locked"], Transient, "206"),  # before 2.5
        ("AR", [], Permanent, "no reason given"),
        ("XX", [], Ambiguous, "unknown code"),
    ],
)
def test_refused(code: str, segments: list[str], error: type[HutongError], text: str) -> None:
    with pytest.raises(error) as raised:
        receipt(acknowledgement("M1", code, *segments), control_id="M1", place="lis:1")
    assert type(raised.value) is error
    assert text in str(raised.value)
    assert raised.value.place == "lis:1"


def test_old_refusals_speak_in_msa_3() -> None:
    with pytest.raises(Permanent, match="patient unknown"):
        receipt(b"MSH|^~\\&|\rMSA|AE|M1|patient unknown\r", control_id="M1", place="p")


@pytest.mark.parametrize("answer", [acknowledgement("M2"), b"", b"HTTP/1.1 400 Bad Request", b"MSH|^~\\&|\rPID|1\r"])
def test_another_answer_is_ambiguous(answer: bytes) -> None:
    with pytest.raises(Ambiguous):
        receipt(answer, control_id="M1", place="p")


def test_own_separators_line_ends_and_charset_of_the_receiver() -> None:
    with pytest.raises(Permanent, match="患者不存在"):
        receipt("MSH#^~\\&#\nMSA#AE#M1#患者不存在\n".encode("gb18030"), control_id="M1", place="p")


def test_control_id_of_what_we_send() -> None:
    assert control_id(message("A-1")) == "A-1"
    assert control_id(b"MSH|^~\\&|A") == control_id(b"") == control_id(b"PID|1") == ""


def test_the_receivers_words_are_made_fit_for_a_log() -> None:
    said = spoken("unknown 110101199003077571\r\n\x0b" + "x" * 500)
    assert "1101" not in said
    assert "\r" not in said
    assert len(said) <= 200
