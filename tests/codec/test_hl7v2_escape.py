"""Escape sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec.hl7v2 import escape, unescape


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"A\T\B\F\C\S\D\R\E\E\F\P\G", "A&B|C^D~E\\F#G"),
        (r"10\S\9/L", "10^9/L"),
        (r"one\.br\two\.sp\three\.sp 2\four\.sp+1\five", "one\ntwo\nthree\n\nfour\nfive"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\.fi\\.in+2\\.ti-3\x\.sk3\y", "x   y"),
        (r"\X0D0A\a\X0D\b\X41\c", "\na\nbAc"),
        (r"\X00E0\ la carte", "à la carte"),
        (r"\XE7\\X8E\\X8B\ \XE78E8B\ ", "王 王 "),
        (r"\C2842\ \M242A\ \Zhome\ kept", r"\C2842\ \M242A\ \Zhome\ kept"),
        (r"C:\temp\new \ alone", r"C:\temp\new \ alone"),
        (r"\X1C\ \X4\ \XE7\ \Q\ ", r"\X1C\ \X4\ \XE7\ \Q\ "),
        (r"\E\F\E\ ", r"\F\ "),
        (r"\temp\F\x", r"\temp|x"),
    ],
)
def test_sequences(written: str, meant: str) -> None:
    assert unescape(written) == meant


def test_hexadecimal_is_read_in_the_charset_of_the_message() -> None:
    assert unescape(r"\XCDF5\ ", "gb18030") == "王 "


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=200))
def test_what_is_escaped_comes_back(text: str) -> None:
    clean = "".join(
        character for character in text if character in "\t\n" or (character >= " " and character != "\x7f")
    )
    assert unescape(escape(clean)) == clean


@given(st.text(st.sampled_from("\\XEFSTRPHN.brsp0123AD|^~&#\r\n\x0b\x1c\x00 é王"), max_size=60))
def test_escaped_text_never_ends_a_field_a_segment_or_a_frame(text: str) -> None:
    assert not set(escape(text)) & set("|^~&\r\n\x0b\x1c\x00")
    assert unescape(escape(unescape(text))) == unescape(text).replace("\r\n", "\n").replace("\r", "\n") or any(
        ord(character) < 32 and character != "\n" for character in unescape(text)
    )


def test_twenty_thousand_backslashes_take_linear_time() -> None:
    for text in ("\\" * 20_001, "\\X" * 20_000, "\\." * 20_000, "\\Z" * 20_000 + "x", "\\X00" * 20_000):
        assert isinstance(unescape(text), str)
