"""JSON of partners, in and out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import json
from gateway.errors import HutongError, Permanent


def test_numbers_keep_their_digits() -> None:
    tree = json.decode(b'{"a": 0.10, "b": 1e3, "c": 530000000000000001, "d": -0, "e": "0.10"}')
    assert list(tree.root.values()) == ["0.10", "1e3", "530000000000000001", "-0", "0.10"]
    assert isinstance(tree.root["a"], json.Number)
    assert not isinstance(tree.root["e"], json.Number)
    assert json.encode(tree) == b'{"a":0.10,"b":1e3,"c":530000000000000001,"d":-0,"e":"0.10"}'
    assert tree.kind == "json"


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16", "utf-8-sig"])
def test_charsets(codec: str) -> None:
    assert json.decode('{"姓名": "欧阳建国", "诊断": "发热待查"}'.encode(codec)).root["姓名"] == "欧阳建国"


@pytest.mark.parametrize(
    ("body", "place", "cause"),
    [
        (b'{"a": {"b": [1, {"c": 1, "d": 2, "c": 3}]}}', "/a/b/1", "'c' occurs twice"),
        (b'{"a/b~": ["\\ud800"]}', "/a~1b~0/0", "surrogate"),
        (b'{"\\udc00": 1}', "JSON", "surrogate"),
        (b"[NaN]", "JSON", "NaN"),
        (b"[-Infinity]", "JSON", "Infinity"),
        (b'{"a": 1,}', "JSON", "line 1"),
        (b"", "JSON", "line 1"),
        (b"[" + b"1" * 1_001 + b"]", "JSON", "number"),
        (b"[" * 101 + b"]" * 101, "/0", "deeper"),
        (b"[" * 100_000, "JSON", "deeper"),
    ],
)
def test_refusals_name_their_place(body: bytes, place: str, cause: str) -> None:
    with pytest.raises(Permanent) as caught:
        json.decode(body)
    assert caught.value.place.startswith(place)
    assert cause in caught.value.cause


def test_node_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "NODES_LIMIT", 10)
    with pytest.raises(Permanent, match="nodes"):
        json.decode(b"[1,2,3,4,5,6,7,8,9,10]")


def test_encode() -> None:
    assert json.encode({"a": [1, Decimal("0.10"), True, None, "é\n"]}) == '{"a":[1,0.10,true,null,"é\\n"]}'.encode()
    assert json.encode(["欧"], "GBK") == '["欧"]'.encode("gb18030")
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    for wrong in (1.5, Decimal("NaN"), {"x": object()}, deep, "\ud800"):
        with pytest.raises(Permanent):
            json.encode(wrong)


LEAF = st.none() | st.booleans() | st.text(st.characters(codec="utf-8")) | st.integers().map(lambda n: json.Number(n))
TREE = st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner))


@given(TREE)
def test_what_is_written_is_read_again(tree: object) -> None:
    assert json.decode(json.encode(tree), "UTF-8").root == tree


@given(st.binary(max_size=100) | st.text(st.sampled_from('{}[]",:0123eE.-\\u d8tfn'), max_size=60).map(str.encode))
def test_anything_is_a_tree_or_our_error(body: bytes) -> None:
    try:
        json.encode(json.decode(body))
    except HutongError:
        return
