"""MLLP framing: the same bytes give the same messages however they are chopped; nothing is merged or invented."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.mllp_framing import Deframer, frame


def fed(chunks: list[bytes], **options: int) -> tuple[list[bytes], Deframer]:
    deframer = Deframer(**options)
    return [body for chunk in chunks for body in deframer.feed(chunk)], deframer


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]


content = st.binary(min_size=1, max_size=60).map(lambda raw: b"MSH" + raw.replace(b"\x1c", b"?").replace(b"\x0b", b"?"))
noise = st.sampled_from([b"", b"\r\n", b" \r\n ", b"\n"])
ending = st.sampled_from([b"\x1c\r", b"\x1c\r\n", b"\x1c\n"])


@given(st.lists(st.tuples(noise, content, ending), max_size=8), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_chopping_gives_the_frames(parts: list[tuple[bytes, bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(before + b"\x0b" + body + end for before, body, end in parts)
    bodies, deframer = fed(chopped(stream, cuts))
    assert bodies == [body for _, body, _ in parts]
    assert not deframer.unsettled
    assert deframer.stray == deframer.cut == 0


@given(
    st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"MSH|", b"x", b" ", b"\x0bMSH|1\x1c\r"]), max_size=40),
    st.lists(st.integers(0, 10_000), max_size=30),
)
def test_any_bytes_chopped_anyhow_mean_the_same(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    whole, one = fed([stream], limit=40, stray_limit=6)
    parts, many = fed(chopped(stream, cuts), limit=40, stray_limit=6)
    single, each = fed([bytes([byte]) for byte in stream], limit=40, stray_limit=6)
    assert whole == parts == single
    assert one.broken == many.broken == each.broken
    if not one.broken:
        assert (one.cut, one.empty, one.stray, one.held) == (each.cut, each.empty, each.stray, each.held)
        assert one.quiet() == many.quiet() == each.quiet()


@pytest.mark.parametrize(
    ("stream", "bodies", "cut", "empty", "stray"),
    [
        (b"\x0bMSH|1\x1c\r", [b"MSH|1"], 0, 0, 0),
        (b"\x0b\x1c\r", [], 0, 1, 0),
        (b"\x0b \r\n\x1c\r", [], 0, 1, 0),
        (b"\x0bMSH|1 half\x0bMSH|2\x1c\r", [b"MSH|2"], 1, 0, 0),
        (b"\x0bMSH|1 half\x0b\r\n\xef\xbb\xbfMSH|2\x1c\r", [b"\r\n\xef\xbb\xbfMSH|2"], 1, 0, 0),
        (b"\x0bMSH|1 half\x0bFHS|2\x1c\r", [b"FHS|2"], 1, 0, 0),
        (b"\x0bMSH|1|a\x0bb\x1c\r", [b"MSH|1|a\x0bb"], 0, 0, 0),  # VT as content
        (b"\x0bMSH|1|a\x1cb\x1c\r", [b"MSH|1|a\x1cb"], 0, 0, 0),  # FS as content: never half a message
        (b"\x0bMSH|1\x1c\x0bMSH|2\x1c\r", [b"MSH|1", b"MSH|2"], 0, 0, 0),  # FS without CR, shown by the next VT
        (b"\x0bMSH|1\x1c\n\x0bMSH|2\x1c\r", [b"MSH|1", b"MSH|2"], 0, 0, 0),
        (b"hello\x0bMSH|1\x1c\r", [b"MSH|1"], 0, 0, 5),
        (b"MSH|1\x1c\r", [], 0, 0, 6),
    ],
)
def test_cases(stream: bytes, bodies: list[bytes], cut: int, empty: int, stray: int) -> None:
    found, deframer = fed([stream])
    assert (found, deframer.cut, deframer.empty, deframer.stray) == (bodies, cut, empty, stray)


def test_end_without_return_is_taken_when_it_stays_quiet() -> None:
    bodies, deframer = fed([b"\x0bMSH|1\x1c"])
    assert bodies == []
    assert deframer.ending
    assert deframer.quiet() == [b"MSH|1"]
    assert deframer.feed(b"\r\x0bMSH|2\x1c\r") == [b"MSH|2"]
    assert deframer.quiet() == []


def test_frames_before_a_break_are_kept_and_nothing_after() -> None:
    bodies, deframer = fed([frame(b"MSH|1") + frame(b"x" * 11) + frame(b"MSH|2")], limit=10)
    assert bodies == [b"MSH|1"]
    assert "larger than 10" in deframer.broken
    assert deframer.feed(frame(b"MSH|3")) == []
    assert deframer.held == 0


@pytest.mark.parametrize(("size", "broken"), [(10, False), (11, True)])
def test_the_limit_is_exact(size: int, broken: bool) -> None:
    bodies, deframer = fed([b"\x0b" + b"x" * size, b"\x1c\r"], limit=10)
    assert (bodies == [], bool(deframer.broken)) == (broken, broken)


def test_stray_bytes_break_the_line_but_start_anew_after_a_frame() -> None:
    _, patient = fed([b"ab" + frame(b"MSH|1")] * 10, stray_limit=4)
    assert not patient.broken
    assert patient.stray == 20
    _, broken = fed([b"GET / HTTP/1.1"], stray_limit=4)
    assert "outside any MLLP frame" in broken.broken


def test_a_large_frame_in_small_packets_takes_linear_time() -> None:
    def seconds(packets: int) -> float:
        deframer = Deframer()
        began = time.thread_time()
        for _ in range(packets):
            deframer.feed(b"\x0b" + b"x" * 999 if not deframer.held else b"x" * 1000)
        return time.thread_time() - began

    small, large = min(seconds(1000) for _ in range(3)), min(seconds(8000) for _ in range(3))
    assert large < small * 8 * 4  # a search from the start each time would be 64 times as long
