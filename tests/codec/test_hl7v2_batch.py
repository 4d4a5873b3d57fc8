"""Batches: every message as it stands, what the envelope says, and what it says wrongly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec.hl7v2_batch import enclosed, enveloped, opened

HEAD = b"FHS|^~\\&|LIS|TOWN|||20260312||||F1\rBHS|^~\\&|LIS|TOWN^1.2^ISO|||20260312||||B1\r"


def told(number: int, end: bytes = b"\r") -> bytes:
    return b"MSH|^~\\&|LIS|TOWN|||20260312||ORU^R01|M%d|P|2.5.1" % number + end + b"PID|1" + end


def test_the_messages_are_as_they_stand() -> None:
    batch = opened(HEAD + told(1) + told(2) + b"BTS|2\rFTS|1\r")
    assert batch is not None
    assert batch.messages == (told(1), told(2))
    assert (batch.sender, batch.control_id, batch.notes) == ("TOWN", "B1", ())


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_messages_that_simply_follow_each_other(end: bytes) -> None:
    batch = opened(told(1, end) + end + told(2, end))
    assert batch is not None
    assert batch.messages == (told(1, end), told(2, end))


def test_frames_of_mllp_in_a_file() -> None:
    batch = opened(b"\x0b" + told(1) + b"\x1c\r\x0b" + told(2) + b"\x1c\r")
    assert batch is not None
    assert batch.messages == (told(1), told(2))


@pytest.mark.parametrize(
    ("trailer", "note"),
    [
        (b"BTS|3\rFTS|1\r", "BTS-1: the batch holds 2 messages, its trailer says 3"),
        (b"BTS|2\rFTS|4\r", "FTS-1: the file holds 1 batches, its trailer says 4"),
        (b"BTS|2\r", "FTS: the end of the batch is missing; messages may have been lost on the way"),
        (b"FTS|1\r", "BTS: the end of the batch is missing; messages may have been lost on the way"),
    ],
)
def test_a_count_that_differs_is_told_and_stops_nobody(trailer: bytes, note: str) -> None:
    batch = opened(HEAD + told(1) + told(2) + trailer)
    assert batch is not None
    assert len(batch.messages) == 2
    assert batch.notes == (note,)


def test_several_batches_in_a_file() -> None:
    one = HEAD[HEAD.index(b"BHS") :]
    batch = opened(HEAD + told(1) + b"BTS|1\r" + one + told(2) + told(3) + b"BTS|2\rFTS|2\r")
    assert batch is not None
    assert len(batch.messages) == 3
    assert batch.notes == ()


def test_other_separators() -> None:
    batch = opened(HEAD.replace(b"|", b"#") + told(1).replace(b"|", b"#") + b"BTS#1\rFTS#1\r")
    assert batch is not None
    assert (batch.sender, batch.notes, len(batch.messages)) == ("TOWN", (), 1)


@pytest.mark.parametrize("body", [b"", told(1), b"id,name\n1,MSH|\n", b"PID|1\r"])
def test_what_is_no_batch(body: bytes) -> None:
    assert opened(body) is None
    assert not enveloped(body)


def test_an_empty_batch_says_so() -> None:
    batch = opened(HEAD + b"BTS|0\rFTS|1\r")
    assert batch is not None
    assert batch.messages == ()
    assert batch.notes == ("MSH: the batch holds no message",)


@given(st.binary(max_size=80))
def test_nothing_breaks_it(body: bytes) -> None:
    opened(body)
    opened(HEAD + body)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_a_batch_that_is_written_reads_as_its_messages(numbers: list[int]) -> None:
    messages = [told(each) for each in numbers]
    found = opened(enclosed(messages, sender="TOWN", control_id="B7", moment="20260312080000"))
    assert found is not None
    assert (list(found.messages), found.sender, found.control_id, found.notes) == (messages, "TOWN", "B7", ())
