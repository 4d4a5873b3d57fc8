"""Long runs of base64 are set aside and put back: the message is the same as without that."""

from __future__ import annotations

import base64
import random

import pytest

from gateway.codec import hl7v2
from gateway.codec.hl7v2_aside import LARGE, put_back, set_aside

HEAD = "MSH|^~\\&|A|B|C|D|20260314||ORU^R01^ORU_R01|1|P|2.5.1|||||CHN|{charset}\rPID|1||7^^^M^MR||张^伟明\rOBR|1\r"


def large(size: int, charset: str = "UNICODE UTF-8", codec: str = "utf-8") -> bytes:
    data = base64.b64encode(random.Random(1).randbytes(size))
    obx = b"OBX|%d|ED|1^x^L||^application^pdf^Base64^" + data + b"||||||F\r"
    text = HEAD.format(charset=charset).encode(codec)
    return text + obx % 1 + "OBX|2|ST|2^y^L||阴性||||||F\r".encode(codec) + obx % 3


@pytest.mark.parametrize(
    ("charset", "codec"), [("UNICODE UTF-8", "utf-8"), ("GB 18030-2000", "gb18030"), ("", "utf-8")]
)
def test_the_message_is_the_same_as_without(charset: str, codec: str) -> None:
    body = large(LARGE, charset, codec)
    shortened, runs = set_aside(body)
    assert len(runs) == 2
    assert len(shortened) < 600_000  # what is left beside the runs: at most a piece at each end
    fast, slow = hl7v2.decode(body), hl7v2._decoded(body, "", as_written=False)
    assert fast == slow
    assert fast.body is body
    assert fast.span(3, 5) == slow.span(3, 5)


def test_what_is_no_run_is_left_alone() -> None:
    for body in (large(1000), b"x^" * LARGE, b"HutongSetAside" + large(LARGE), b"\x1b$B" + large(LARGE)):
        assert set_aside(body) == (body, {})


def test_a_mark_that_nobody_made_stays() -> None:
    segments = [["OBX", "1", "HutongSetAside00000009Z^x"]]
    put_back(segments, {})
    assert segments == [["OBX", "1", "HutongSetAside00000009Z^x"]]
