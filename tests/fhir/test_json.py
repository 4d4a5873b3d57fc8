"""JSON keeps every digit and refuses what is not JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.fhir import json

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda number: "." in str(number) or "E" in str(number)
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | DECIMALS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc中"), inner, max_size=4),
    max_leaves=20,
)


def spelled(value: Any) -> Any:
    """Decimals as their text: Decimal('0.10') == Decimal('0.1'), the texts differ."""
    if isinstance(value, dict):
        return {key: spelled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [spelled(each) for each in value]
    return f"decimal {value}" if isinstance(value, Decimal) else value


@given(TREES)
def test_what_is_written_is_read_back_to_the_digit(tree: Any) -> None:
    assert spelled(json.loads(json.dumps(tree))) == spelled(tree)
    assert spelled(json.loads(json.dumps_pretty(tree))) == spelled(tree)


def test_numbers_keep_their_spelling() -> None:
    body = b'{"a":0.10,"b":1.00,"c":-0.000,"d":12345678901234567890.1234567890,"e":7,"f":123456789012345678901234}'
    assert json.dumps(json.loads(body)) == body
    assert isinstance(json.loads(body)["e"], int)


def test_text_is_compact_utf8() -> None:
    assert json.dumps({"姓": "𠮷"}) == '{"姓":"𠮷"}'.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"NaN",
        b'{"a":Infinity}',
        b'{"a":1,}',
        b'"\\ud800 half"',
        b'"\xb2\xe2"',
        b"\xef\xbb\xbf{}",
        b"[" * 101 + b"]" * 101,
        b'{"a":' * 5000,
        b"[" * 5000 + b"]" * 5000,
        (b'{"a":[' * 51) + b"1" + b"]}" * 51,
    ],
)
def test_not_json_is_permanent_and_shows_no_data(body: bytes) -> None:
    with pytest.raises(errors.Permanent) as caught:
        json.loads(body)
    assert "half" not in str(caught.value).replace("half of a UTF-16 pair", "")


def test_a_lone_surrogate_in_a_string_is_refused_too() -> None:
    with pytest.raises(errors.Permanent, match="UTF-16"):
        json.loads('"\ud800"')


def test_depth_100_is_read_and_brackets_in_text_do_not_count() -> None:
    assert json.loads(b"[" * 100 + b"]" * 100)
    assert json.loads(b'["' + b"[" * 500 + b'"]') == ["[" * 500]


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), "\ud800", object()])
def test_what_json_cannot_say_is_permanent(value: Any) -> None:
    with pytest.raises(errors.Permanent):
        json.dumps({"a": [value]})


def test_the_words_nan_and_infinity_are_texts_like_others() -> None:
    assert json.loads(json.dumps({"a": "NaN", "b": "Infinity"})) == {"a": "NaN", "b": "Infinity"}
