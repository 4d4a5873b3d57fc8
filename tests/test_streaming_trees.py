"""Large XML, JSON and NDJSON: the same as one read as a whole would be, wherever a block ends, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.speed import rows as made_up
from gateway import config, stateless
from gateway.codec import json as json_tree
from gateway.codec import json_stream, ndjson, text_stream, xml_stream, xml_tree
from gateway.codec.table import Row
from gateway.codec.text_stream import document_of, opened
from gateway.errors import Permanent
from gateway.fhir import validate
from gateway.formats import Formats, bulk
from gateway.mapping import maps
from gateway.model import Reject
from tests.mapping.house import FIXTURES
from tests.test_streaming import in_batches, peak, said, sized

KINDS = ("json", "ndjson", "xml")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks end anywhere, and the place of the records shows at once."""
    monkeypatch.setattr(text_stream, "BLOCK", 997)
    monkeypatch.setattr(json_stream, "GLANCE", 3000)
    monkeypatch.setattr(xml_stream, "GLANCE", 3000)


def as_a_whole(path: Path, rejected: list[Reject]) -> bytes:
    made = stateless.translate(path.read_bytes(), name=path.name, member=None, to="fhir", config=None)
    rejected.extend(made.rejects)
    return made.output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 30])
def test_batches_say_what_the_whole_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: None, kind: str, size: int
) -> None:
    path = made_up.write(tmp_path / f"lab.{kind}", 60)
    sized(monkeypatch, size)
    whole: list[Reject] = []
    apart: list[Reject] = []
    body = in_batches(path, apart)
    validate.check_bundle(json.loads(body))
    assert said(body) == said(as_a_whole(path, whole))
    assert apart == whole


@pytest.mark.parametrize("size", [1, 7])
def test_nodes_of_a_tree_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: None, size: int) -> None:
    path = FIXTURES / "encounters_liuhe_202603.xml"
    sized(monkeypatch, size)
    whole: list[Reject] = []
    apart: list[Reject] = []
    found, wanted = said(in_batches(path, apart)), said(as_a_whole(path, whole))
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name]["resource"] != wanted[name]["resource"]] == []
    assert sorted(apart, key=str) == sorted(whole, key=str)


@pytest.mark.parametrize("size", [1, 4])
def test_referral_forms_in_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: None, size: int) -> None:
    paper = json.loads((FIXTURES / "referral_up.json").read_text("utf-8"))
    forms = paper["转诊单列表"]
    text = json.dumps({**paper, "转诊单列表": [*forms, forms[0], *forms[:2]]}, ensure_ascii=False)
    monkeypatch.setattr(json_stream, "GLANCE", len(text) // 2)
    path = tmp_path / "forms.json"
    path.write_text(text, "utf-8")
    sized(monkeypatch, size)
    whole: list[Reject] = []
    apart: list[Reject] = []
    found, wanted = said(in_batches(path, apart)), said(as_a_whole(path, whole))
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name]["resource"] != wanted[name]["resource"]] == []
    assert sorted(apart, key=str) == sorted(whole, key=str)


def test_columns_spelt_otherwise_are_those_of_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_up.write_csv(tmp_path / "lab.csv", 40, charset="utf-8")
    head, _, rest = path.read_text("utf-8").partition("\n")
    path.write_text(head.replace("病人ID", "病人ＩＤ").replace("申请单号", "申请 单号") + "\n" + rest, "utf-8")
    sized(monkeypatch, 5)
    assert said(in_batches(path)) == said(as_a_whole(path, []))


# ------------------------------------------------------------------------------------------------ refusals


def refusal(read: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(Permanent) as error:
        read()
    return error.value.cause, error.value.place


def _json_stream(body: bytes, path: tuple[str, ...]) -> list[Any]:
    return [each.tree for each in json_stream.stream(document_of(opened(body)), path).nodes()]


def _xml_stream(body: bytes, path: tuple[str, ...]) -> list[Any]:
    return [each.tree for each in xml_stream.stream(xml_stream.text_of(opened(body)), path).nodes()]


ROWS = '{"a":"一"},\n' * 200


@pytest.mark.parametrize(
    "text",
    [
        '{"r":[%s{"a":1}], "b":tru}', '{"r":[%s{"a":1 "b":2}]}', '{"r":[%s{"a":1,"a":2}]}', '{"r":[%s{"a":NaN}]}',
        '{"r":[%s{"a":"\\ud83d"}]}', '{"r":[%s{"a":1}]} x', '{"r":[%s{"a":1}], "r":1}', '{"r":[%s{"a":1',
        '{"r":[%s{"a":"1', '{"r":[%s"' + "[" * 101 + '"]',
    ],
)  # fmt: skip
def test_json_is_refused_as_a_whole_one_is(tiny: None, text: str) -> None:
    body = text.replace("%s", ROWS).encode()
    whole = refusal(lambda: json_tree.decode(body))
    assert refusal(lambda: _json_stream(body, ("r",))) == whole


@pytest.mark.parametrize("text", ["<d><r>%s</d>", "<d>%s<r><a>1</b></r></d>", "<d>%s</d><e/>", "<d>%s&", "<d>%s"])
def test_xml_is_refused_as_a_whole_one_is(tiny: None, text: str) -> None:
    body = text.replace("%s", "<r><a>一</a></r>\n" * 200).encode()
    whole = refusal(lambda: xml_tree.decode(body))
    assert refusal(lambda: _xml_stream(body, ("d", "r"))) == whole


def test_a_doctype_is_refused(tiny: None) -> None:
    bomb = b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    rows = b"<d>" + b"<r><a>1</a></r>" * 300 + b"</d>"
    for body in (bomb + rows, b"<!--" + b"x" * 5000 + b"-->" + bomb + rows):
        assert refusal(lambda body=body: _xml_stream(body, ("d", "r")))[0] == "it has a DOCTYPE"  # type: ignore[misc]


def test_limits_are_those_of_a_record_and_of_what_stands_around(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "RECORD_LIMIT", 2000)
    monkeypatch.setattr(xml_stream, "RECORD_LIMIT", 2000)
    rows = b'{"a":1},' * 900
    assert len(_json_stream(b'{"r":[' + rows + b'{"a":1}]}', ("r",))) == 901
    told = refusal(lambda: _json_stream(b'{"r":[' + rows + b'{"a":"' + b"x" * 5000 + b'"}]}', ("r",)))
    assert told == ("more than 2000 characters of one record", "/r/900")
    told = refusal(
        lambda: _json_stream(b'{"r":[{"a":1}],' + b'"b":"' + b"x" * 1500 + b'","c":"' + b"x" * 900 + b'"}', ("r",))
    )
    assert told[0] == "more than 2000 characters outside the records"
    told = refusal(lambda: _xml_stream(b"<d><r>1</r><b>" + b"<c>1</c>" * 900 + b"</b></d>", ("d", "r")))
    assert told[0].startswith("more than 2000 characters of one record, or of what is none")


def test_a_bare_sign_and_control_characters_are_mended_alike(tiny: None) -> None:
    texts = ("甲 & 乙", "<![CDATA[a & b <c>]]>", "&amp;", "a&b;", "&#x4e2d;", "&", "x" * 300 + "&", "\x01y")
    text = "<d h='1'>" + "".join(f"<r>{each}</r>\n<i/>" for each in texts * 40) + "<e>2</e></d>"
    text = text.replace("a&b;", "a&b c")
    whole = xml_tree.decode(text.encode())
    stream = xml_stream.stream(xml_stream.text_of(opened(text.encode())), ("d", "r"))
    assert [each.tree for each in stream.nodes()] == whole.root["d"]["r"]
    assert xml_tree.MENDED in stream.told
    assert {**stream.root["d"], "r": None} == {**whole.root["d"], "r": None}


def test_what_stands_around_the_records_is_there_before_and_behind(tiny: None) -> None:
    body = '{"头":{"x":[1,2]},"d":{"r":[%s{"a":1}],"z":"1e3"},"末":1e3}'.replace("%s", ROWS * 3).encode("gb18030")
    whole = json_tree.decode(body)
    text = document_of(opened(body))
    assert json_stream.glance(text) is not None
    stream = json_stream.stream(text, ("d", "r"))
    records = whole.root["d"].pop("r")
    assert [each.tree for each in stream.nodes()] == records
    assert stream.root == {**whole.root, "d": {"r": [], **whole.root["d"]}}
    assert str(stream.root["末"]) == "1e3"


@pytest.mark.parametrize("indent", [None, 2])
def test_the_list_is_seen_however_the_document_is_indented(tiny: None, indent: int | None) -> None:
    body = json.dumps({"d": {"r": [{"a": "一"}] * 900}, "z": 1}, ensure_ascii=False, indent=indent).encode()
    seen = json_stream.glance(document_of(opened(body)))
    assert seen is not None
    assert seen[1] == ("d", "r")


def test_of_a_list_inside_too_many_objects_no_more_is_tried_than_may_be(
    tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = ('{"d":' * 300 + '{"r":[%s{"a":1}]}' % (ROWS * 20) + "}" * 300).encode()
    tried: list[int] = []
    read = json_stream._Reader.tried

    def counted(reader: Any) -> tuple[Any, int]:
        tried.append(reader.at)
        return read(reader)

    monkeypatch.setattr(json_stream._Reader, "tried", counted)
    assert refusal(lambda: json_stream.glance(document_of(opened(body))))[0] == "deeper than 100 levels"
    assert len(tried) <= 2 * json_stream.DEPTH_LIMIT


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=25)
@given(st.lists(values, max_size=12), st.integers(1, 40), st.booleans())
def test_any_list_is_read_alike_wherever_a_block_ends(listed: list[Any], block: int, wide: bool) -> None:
    body = json.dumps({"a": 1, "r": listed, "z": "末"}, ensure_ascii=False, indent=1 if wide else None).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_stream, "BLOCK", block)
        stream = json_stream.stream(text_stream.Text(opened(body), "utf-8", ()), ("r",))
        found = [each.tree for each in stream.nodes()]
    whole = json_tree.decode(body).root
    assert found == whole["r"]
    assert stream.root == {**whole, "r": []}


def test_lines_are_read_alike(tiny: None) -> None:
    lines = [json.dumps({"a": str(number), "b": "一" * number}, ensure_ascii=False) for number in range(60)]
    lines[7] = "{broken"
    lines[9] = ""
    body = "\n".join(lines).encode("gb18030")
    whole, stream = ndjson.decode(body), ndjson.stream(opened(body))
    found = [item for item in stream.records() if isinstance(item, Row)]
    assert [item.cells for item in found] == whole.records
    assert [item.number for item in found] == whole.numbers
    assert [item for item in stream.records() if not isinstance(item, Row)] == list(whole.rejects)
    assert stream.columns == ("a", "b")
    assert refusal(lambda: ndjson.stream(opened(b"x\n\ny"))) == refusal(lambda: ndjson.decode(b"x\n\ny"))


def test_what_cannot_be_read_in_pieces_has_the_limit_of_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    formats = Formats(config.starter(), maps.load([maps.shipped()]))
    body = b"<Envelope><Body>" + b"x" * (1 << 20) + b"</Body></Envelope>"
    member = formats.member("a")
    assert bulk.bulk(formats, opened(body), len(body), channel=None, member=member, format="xml") is None
    with pytest.raises(Permanent, match="for a file that is read as a whole"):
        bulk.bulk(formats, opened(body), 200 << 20, channel=None, member=member, format="xml")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_five_times_the_records_take_no_more_memory(tmp_path: Path, kind: str) -> None:
    few = peak(made_up.write(tmp_path / f"few.{kind}", 4_000))
    many = peak(made_up.write(tmp_path / f"many.{kind}", 20_000))  # some 16 MB
    assert many < 1.3 * few
