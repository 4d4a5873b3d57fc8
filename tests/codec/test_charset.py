"""Which charset a sender really used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec import charset
from gateway.errors import Configuration, HutongError, Permanent

CHINESE = "患者诸葛亮,男,上呼吸道感染,白细胞计数偏高"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("utf8", "utf-8"),
        ("GB 18030-2000", "gb18030"),
        ("gb2312", "gb18030"),
        ("GBK", "gb18030"),
        ("CP936", "gb18030"),
        ("ASCII", "ascii"),
        ("8859/1", "iso8859-1"),
        ("8859/15", "iso8859-15"),
        ("ISO-8859-5", "iso8859-5"),
        ("ISO IR87", "iso2022_jp_2"),
        ("BIG-5", "big5hkscs"),
        ("windows-1252", "cp1252"),
        ("KS X 1001", "cp949"),
        ("KLINGON", ""),
        ("CHN", ""),
    ],
)
def test_names_of_table_0211_and_those_senders_use(name: str, codec: str) -> None:
    assert charset.codec_of(name) == codec
    if codec:
        assert "Az|^".encode(codec).decode(codec) == "Az|^"  # every name is a codec that Python has


def test_every_declared_name_is_read_back_as_the_same_charset() -> None:
    for codec in ("utf-8", "gb18030", "ascii", "iso8859-1", "big5hkscs", "cp949", "iso2022_jp_2", "utf-16"):
        assert charset.codec_of(charset.declared_name(codec)) == codec
    assert charset.declared_name("utf-8", "2.3.1") == "UNICODE"
    assert charset.declared_name("GBK") == "GB 18030-2000"


def test_order_of_belief() -> None:
    body = CHINESE.encode("gb18030")
    assert charset.decode(body, "GBK", "UNICODE UTF-8").how == "rule"
    assert charset.decode(body, "", "GB2312").how == "declared"
    assert charset.decode(body).how == "detected"
    assert charset.decode(b"\xef\xbb\xbf" + CHINESE.encode()).how == "bom"
    assert {charset.decode(body, rule).text for rule in ("", "GBK", "gb2312")} == {CHINESE}


@pytest.mark.parametrize("codec", ["utf-16", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("declared", ["", "UNICODE", "8859/1", "GB 18030-2000"])
def test_a_byte_order_mark_wins_and_is_removed(codec: str, declared: str) -> None:
    assert charset.decode(CHINESE.encode(codec), "", declared).text == CHINESE


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_found(codec: str) -> None:
    assert charset.decode(f"MSH|^~\\&|{CHINESE}".encode(codec)).text == f"MSH|^~\\&|{CHINESE}"


def test_a_declaration_that_does_not_fit_gives_way_with_a_note() -> None:
    found = charset.decode(CHINESE.encode("gb18030"), "", "UNICODE UTF-8")
    assert (found.text, found.charset, found.how) == (CHINESE, "gb18030", "detected")
    assert "does not fit" in found.notes[0]
    assert charset.decode(CHINESE.encode(), "", "ASCII").text == CHINESE
    assert charset.decode(CHINESE.encode(), "", "GB 18030-2000").text == CHINESE


def test_8859_is_believed_unless_the_bytes_are_utf8_or_plainly_chinese() -> None:
    assert charset.decode("Müller, José".encode("latin-1"), "", "8859/1").text == "Müller, José"
    assert charset.decode("Müller".encode(), "", "8859/1").text == "Müller"
    assert charset.decode("Иванов".encode("iso8859-5"), "", "8859/5").text == "Иванов"
    assert charset.decode("|张晋|男|".encode("gb18030"), "", "8859/1").text == "|张晋|男|"


def test_short_undeclared_chinese_that_also_is_utf8() -> None:
    body = b"PID|1||P1||" + "模".encode("gb18030") + b"||"  # C4 A3 is UTF-8 for a Latin letter
    assert body.decode("utf-8")
    assert "模" in charset.decode(body).text
    assert charset.decode(body, "", "UNICODE UTF-8").charset == "utf-8"  # one character: the declaration wins
    assert charset.decode(b"|" + "张模".encode("gb18030") + b"|", "", "UNICODE UTF-8").text == "|张模|"
    for text in ("5 µmol/L, é", "|±|", "β-HCG", "Иванов на", "5 ± 2 °C", "|·|", "Müller"):
        assert charset.decode(text.encode()).text == text
        assert charset.decode(text.encode(), "", "UNICODE UTF-8").text == text


def test_utf8_with_a_broken_byte_is_refused_not_misread() -> None:
    body = CHINESE.encode()
    with pytest.raises(Permanent) as caught:
        charset.decode(body[:10] + b"\xff" + body[11:], "", "UNICODE UTF-8")
    assert caught.value.code == "102"
    assert "诸" not in str(caught.value)


def test_unknown_names() -> None:
    with pytest.raises(Permanent) as caught:
        charset.decode(b"plain", "", "KLINGON")
    assert (caught.value.code, caught.value.place) == ("103", "MSH-18")
    with pytest.raises(Configuration):
        charset.decode(b"plain", "KLINGON")
    with pytest.raises(Configuration):
        charset.encode("x", "KLINGON")


def test_characters_a_charset_lacks_are_named_by_code_point() -> None:
    with pytest.raises(Permanent, match=r"U\+5F20"):
        charset.encode("张", "8859/1")


def test_a_body_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charset, "SIZE_LIMIT", 10)
    with pytest.raises(Permanent, match="limit"):
        charset.decode(b"x" * 11)


COMMON = st.sampled_from(
    [bytes([lead, trail]).decode("gb2312") for lead in range(0xB0, 0xD7) for trail in range(0xA1, 0xFF)]
)


@given(st.text(COMMON, min_size=2, max_size=40))
def test_undeclared_gb18030_in_common_characters_is_always_read_right(name: str) -> None:
    text = f"MSH|^~\\&|LIS|||{name}||\rOBX|1|NM||5.2|g/L|"
    assert charset.decode(text.encode("gb18030")).text == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_gb18030_and_utf8_keep_every_character(text: str) -> None:
    for name in ("GB 18030-2000", "UNICODE UTF-8"):
        assert charset.encode(text, name).decode(charset.codec_of(name)) == text
        assert charset.decode(charset.encode("x" + text, name), name).text == "x" + text


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=60))
def test_undeclared_utf8_chinese_is_always_read_right(text: str) -> None:
    assert charset.decode(f"MSH|{text}|".encode()).text == f"MSH|{text}|"


@given(
    st.binary(max_size=300), st.sampled_from(["", "ASCII", "UNICODE UTF-8", "GBK", "8859/1", "UTF-16", "ISO IR87", "?"])
)
def test_any_bytes_are_text_or_our_error_and_never_a_replacement(body: bytes, declared: str) -> None:
    try:
        found = charset.decode(body, "", declared)
    except HutongError:
        return
    if "\ufffd" in found.text:  # only where the bytes themselves say so
        assert "U+FFFD" in " ".join(found.notes)
    assert not found.text.startswith("\ufeff") or body.count(b"\xef\xbb\xbf") != 1
