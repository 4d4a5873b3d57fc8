"""XML of partners, read into trees."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import xml_tree
from gateway.errors import Permanent


def read(text: str, codec: str = "utf-8") -> Any:
    return xml_tree.decode(text.encode(codec)).root


def test_attributes_texts_and_repeated_elements() -> None:
    text = '<L JG="1"><R><X>张䶮</X><E/></R><R><D S="ICD">I10</D></R><T>a<B>b</B>c</T></L>'
    rows = [{"X": "张䶮", "E": ""}, {"D": {"@S": "ICD", "#text": "I10"}}]
    assert read(text) == {"L": {"@JG": "1", "R": rows, "T": {"B": "b", "#text": "ac"}}}


@pytest.mark.parametrize("codec", ["gb18030", "utf-8", "utf-16"])
def test_the_charset_is_what_the_bytes_are(codec: str) -> None:
    declared = {"gb18030": "GB2312", "utf-8": "UTF-8", "utf-16": "UTF-16"}[codec]
    assert read(f'<?xml version="1.0" encoding="{declared}"?>\n<XM>王䶮</XM>', codec) == {"XM": "王䶮"}


def test_records_inside_a_string_of_a_soap_message() -> None:
    inner = '<?xml version="1.0" encoding="GBK"?><rows><row><XM>张伟</XM></row></rows>'
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><call>{}</call></s:Body></s:Envelope>'
    )
    for carried in (escape(inner), f"<![CDATA[{inner}]]>"):
        root = read(body.format(f"<payload>{carried}</payload>"))
        assert root["Envelope"]["Body"]["call"]["payload"] == {"rows": {"row": {"XM": "张伟"}}}


def test_words_that_only_look_like_xml_stay_words() -> None:
    assert read("<JG>&lt;0.5 或 &gt;</JG>") == {"JG": "<0.5 或 >"}
    assert read("<JG>&lt;阴性&gt;</JG>") == {"JG": "<阴性>"}


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        "<a><b></a>",
        "<a>" * 200 + "</a>" * 200,
        "<a>&undefined;</a>",
        "",
    ],
)
def test_what_is_refused_names_a_remedy(text: str) -> None:
    with pytest.raises(Permanent) as raised:
        read(text)
    assert raised.value.remedy


def test_a_document_type_inside_a_string_is_refused_too() -> None:
    inner = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y "z">]><x>&y;</x>'
    with pytest.raises(Permanent, match="DOCTYPE"):
        read(f"<a>{escape(inner)}</a>")


def test_a_report_with_marks_of_its_own_stays_a_text() -> None:
    for words in ("<p>双肺清晰</p>", "<!DOCTYPE html><html><p>双肺清晰</p></html>"):
        assert read(f"<a><SJ><![CDATA[{words}]]></SJ></a>") == {"a": {"SJ": words}}


def test_too_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_tree, "NODES_LIMIT", 10)
    with pytest.raises(Permanent, match="nodes"):
        read(f"<a>{'<b/>' * 20}</a>")


@pytest.mark.parametrize(
    "text",
    ["<a>" + "x" * 10_100_000 + "</a>", f"<a n='{'x' * 11_000_000}'/>", f"<a><![CDATA[{'x' * 11_000_000}]]></a>"],
    ids=["text", "attribute", "CDATA"],
)
def test_one_text_that_is_too_large_is_named_as_such(text: str) -> None:
    with pytest.raises(Permanent, match="more than 10000000 characters in one text at line 1") as refused:
        read(text)
    assert "DOCTYPE" not in refused.value.remedy


def test_too_deep_is_named_as_such() -> None:
    with pytest.raises(Permanent, match="deeper than 100 levels at line 1"):
        read("<a>" * 2000 + "</a>" * 2000)


NAMES = st.sampled_from(["XM", "姓名", "ZDLB", "a_b"])
TEXTS = st.text(st.sampled_from("张䶮 <>&\"'0.5-"), max_size=8).map(str.strip)
NODES = st.recursive(TEXTS, lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=8)


def written(name: str, node: Any) -> str:
    if isinstance(node, dict):
        return f"<{name} n={quoteattr('1')}>{''.join(written(*pair) for pair in node.items())}</{name}>"
    return f"<{name}>{escape(node)}</{name}>"


def marked(node: Any) -> Any:
    return {"@n": "1", **{name: marked(each) for name, each in node.items()}} if isinstance(node, dict) else node


@given(NODES)
def test_what_is_written_is_read(node: Any) -> None:
    assert read(written("root", node)) == {"root": marked(node)}
