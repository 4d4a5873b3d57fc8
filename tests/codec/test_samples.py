"""Every real message beside the repository decodes, and comes back from its own encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.codec import delimited, hl7v2, json
from gateway.codec.hl7v2_schema import strict_check

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"
pytestmark = pytest.mark.samples


def test_all_messages_decode_with_few_notes() -> None:
    bodies = [path.read_bytes() for path in sorted(SAMPLES.glob("hl7v2/*/*")) if path.is_file()]
    messages = [hl7v2.decode(body) for body in bodies]
    assert len(messages) == 589
    assert sum(bool({note.code for note in message.mended} - {"cut", "line-ends"}) for message in messages) < 100
    assert sum(bool(message.residue) for message in messages) == 1


def test_all_messages_survive_encoding() -> None:
    for path in sorted(SAMPLES.glob("hl7v2/*/*")):
        message = hl7v2.decode(path.read_bytes())
        again = hl7v2.decode(hl7v2.encode(message, "utf-8"))
        assert [s for s in again.segments[1:] if any(s[1:])] == [
            _trimmed(s) for s in message.segments[1:] if any(s[1:])
        ], path.name


def test_spans_point_at_the_value() -> None:
    for path in sorted(SAMPLES.glob("*/hl7v2/*.hl7")):
        body = path.read_bytes()
        message = hl7v2.decode(body)
        for index, segment in enumerate(message.segments):
            for number in range(1, len(segment)):
                offset, length = message.span(index, number)
                assert body[offset : offset + length].decode(message.charset) == segment[number]


def test_community_messages_are_accepted_and_nearly_standard() -> None:
    for path in sorted(SAMPLES.glob("community/hl7v2/*.hl7")):
        message = hl7v2.decode(path.read_bytes())
        assert message.notes == ()
        assert hl7v2.check(message) == []
        assert sum(problem.severity == "error" for problem in strict_check(message)) <= 1, path.name


def test_exports() -> None:
    table = delimited.decode((SAMPLES / "community/lab_shiqiao_20260312.csv").read_bytes())
    assert (len(table.columns), len(table.rows), table.rejects) == (35, 118, ())
    assert (table.charset, table.delimiter, table.newline) == ("gb18030", ",", "\r\n")
    for path in sorted((SAMPLES / "community").glob("*.json")):
        tree = json.decode(path.read_bytes())
        assert json.decode(json.encode(tree)).root == tree.root


def _trimmed(segment: list[str]) -> list[str]:
    while len(segment) > 1 and not segment[-1]:
        segment = segment[:-1]
    return segment
