"""A JSON object a line: numbers keep their digits, a bad line fails alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import ndjson
from gateway.errors import Permanent

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=4), min_size=2, max_size=6))
def test_what_is_written_is_read(records: list[dict[str, str]]) -> None:
    body = "\n".join(json.dumps(each, ensure_ascii=False) for each in records).encode()
    assert ndjson.is_ndjson(body)
    found = ndjson.decode(body, "utf-8")
    assert found.records == records
    assert found.numbers == list(range(1, len(records) + 1))
    assert found.rejects == ()


def test_a_bad_line_fails_alone_with_its_number() -> None:
    body = '{"结果": 5.60}\r\n\r\n{"结果": \r\n[1]\r\n{"a": 1, "a": 2}\r\n{"结果": 1e3}\r\n'.encode("gb18030")
    found = ndjson.decode(body)
    assert [str(each["结果"]) for each in found.records] == ["5.60", "1e3"]
    assert found.numbers == [1, 6]
    assert [each.number for each in found.rejects] == [3, 4, 5]
    assert "no JSON object" in found.rejects[1].cause
    assert "twice" in found.rejects[2].cause
    assert found.charset == "gb18030"


def test_flat_objects_are_rows_and_others_are_not() -> None:
    flat = ndjson.table_of(ndjson.decode(b'{"a": 1, "b": null}\n{"a": true, "c": "x"}\n'))
    assert flat is not None
    assert flat.columns == ("a", "b", "c")
    assert flat.rows == [{"a": "1", "b": ""}, {"a": "true", "c": "x"}]
    assert ndjson.table_of(ndjson.decode(b'{"a": [1]}\n{"a": 2}')) is None


@pytest.mark.parametrize("body", [b"", b"\n\n", b"x\ny\n", b"[1]\n[2]\n"])
def test_a_file_without_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(Permanent) as caught:
        ndjson.decode(body)
    assert caught.value.remedy == "write one JSON object a line"


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (b'{"a": 1}\n{"a": 2}', True),
        (b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}', True),
        (b'{"a": 1}', False),
        (b'{\n "a": 1\n}', False),
        (b'[{"a": 1}]', False),
        (b"a,b\n1,2", False),
    ],
)
def test_it_is_known_by_its_lines(body: bytes, is_one: bool) -> None:
    assert ndjson.is_ndjson(body) is is_one


def test_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "ROWS_LIMIT", 1)
    with pytest.raises(Permanent, match="more than 1 lines"):
        ndjson.decode(b'{"a": 1}\n{"a": 2}')
    monkeypatch.undo()
    monkeypatch.setattr(ndjson, "LINE_LIMIT", 9)
    found = ndjson.decode(b'{"a": 1}\n{"a": "longer"}')
    assert [each.number for each in found.rejects] == [2]
