"""JSON keeps every digit and refuses what is not JSON."""

from __future__ import annotations

import json as standard
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import Permanent
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


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"resourceType":"Patient","gender":"male","gender":"female"}', "gender"),
        ('{"gender"\t: "male", "gender":"female"}', "gender"),
        ('{"entry":[{},{"resource":{"name":[{"text":"张伟"}],"name":[{"text":"李娜"}]}}]}', "entry[1].resource.name"),
        ('{"\\u0022\\u0022": {"id":"1","id":"2"}}', "?.id"),
        ('{"a":{"张伟":1,"张伟":2}}', "a.?"),
        ('{"a":{"two words":1,"two words":2}}', "a.?"),
    ],
)
def test_a_name_that_stands_twice_is_refused_where_others_wrote_it(body: str, place: str) -> None:
    for each in (body, body.encode()):
        with pytest.raises(Permanent) as refused:
            json.received(each)
        assert refused.value.place == place
    assert json.loads(body)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], include_characters="\t\r\n\x7f"))


@given(st.recursive(TEXTS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
@example({'a":': 'b\\":', "\\": {"\\": '":"'}, " :": "\t:"})
def test_what_has_no_name_twice_is_received_however_it_is_spelt(tree: Any) -> None:
    for body in (standard.dumps(tree), standard.dumps(tree, indent=1, separators=(" ,", " : "), ensure_ascii=False)):
        assert json.received(body) == tree


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1e400", "-1E+309", "1e-999", "1" + "0" * 310])
def test_a_number_beyond_all_numbers_is_refused(number: str) -> None:
    with pytest.raises(Permanent, match="a number is out of range"):
        json.received(b'{"value": [{"a": %s}]}' % number.encode())


@pytest.mark.parametrize("number", ["1e308", "-2.50", "0e999", "1e-300", "9" * 300])
def test_a_number_that_others_can_read_is_received(number: str) -> None:
    assert json.received(b'{"a":"1e999","value":%s}' % number.encode())["value"] == Decimal(number)


@pytest.mark.parametrize("written", ["\\u0000", "\\u0007", "\\u001F", "\\b", "\\f"])
def test_a_control_character_is_refused_with_its_place(written: str) -> None:
    for body, place in (
        ('{"name":[{"given":["x","a%sb"]}]}', "name[0].given[1]"),
        ('{"a":{"b%s":1}}', "a.?"),
        ('"%s"', "JSON"),
    ):
        with pytest.raises(Permanent, match="a control character") as refused:
            json.received(body % written)
        assert refused.value.place == place
    assert json.received('{"a":"\\\\u0007\\t\\r\\n"}')["a"] == "\\u0007\t\r\n"


@pytest.mark.parametrize("body", ["[" + "{}," * 2_000_001 + "{}]", "[" + "1," * 4_000_001 + "1]"])
def test_what_would_fill_the_memory_is_refused(body: str) -> None:
    with pytest.raises(Permanent, match="more than 4000000 values"):
        json.received(body)


def test_a_long_text_is_no_crowd_of_values() -> None:
    assert json.received(b'["' + b"x" * 5_000_000 + b'"]') == ["x" * 5_000_000]
