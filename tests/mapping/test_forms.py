"""What is made by the form of a field is what the pair makes of it; no word of a person is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gateway.mapping import wording
from gateway.mapping.context import Context
from gateway.mapping.datatypes import Pair, load
from gateway.mapping.forms import Form
from gateway.mapping.paths import Element, Path
from gateway.model import Profile

WORDED = sorted(name for name, pair in load().items() if pair.words)
WORDS = some.one_of(
    some.text("0123456789", min_size=1, max_size=20), some.text("abcXYZ019", min_size=1, max_size=9),
    some.text("张伟明号院18", min_size=1, max_size=9),
    some.sampled_from(['""', "a b", "O'Neil", "é", "²", "１２", "X\\T\\"]),
)  # fmt: skip
HD = "&2.16.156.10011.1.3&ISO"
FORMS = some.sampled_from(
    ["", "H", "L", "CHN", "PRN", "CP", "86", "MR", "NNCHN", "XZRMYY", f"XZRMYY{HD}", HD]
)  # fmt: skip
TEXTS = some.lists(some.one_of(WORDS, FORMS), min_size=1, max_size=11).map("^".join)


def _pair(name: str) -> Pair:
    pair = load()[name]
    leaf = Element(name="x", many=True, choice=False, type=pair.fits[0], repeats=True, slice=())
    return wording.worded(pair, Path(resource="Patient", elements=(leaf,)))


def _context() -> Context:
    return Context(profile=Profile(), facility="XZRMYY", control_id="1")


@pytest.mark.slow
@pytest.mark.parametrize("name", WORDED)
@given(texts=some.lists(TEXTS, min_size=1, max_size=4))
@settings(max_examples=150)
def test_forms_make_what_pairs_make(name: str, texts: list[str]) -> None:
    pair, context = _pair(name), _context()
    form = Form("line", pair, (), (), "PID-1", ())
    county = ("410182",) * pair.fields
    for raw in [*texts * 3]:
        assert repr(form(raw, county, context)) == repr(pair.into(raw, *county, _context()))


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("CX", "410182198503121234^^^XZRMYY^MR"), ("EI", "PO26031400088^HIS"), ("VN", "ZY20260314^^^XZRMYY^VN"),
        ("XPN", "欧阳^静丽^^^^^L"), ("XTN", "^PRN^CP^^86^^13800138000"), ("XAD", "万山路^^郑州市^河南省^450100^CHN"),
    ],
)  # fmt: skip
def test_words_of_persons_are_not_kept(name: str, raw: str) -> None:
    context = _context()
    form = Form("line", _pair(name), (), (), "PID-1", ())
    for _ in range(4):
        made = form(raw, (), context)
    ((key, build),) = context.forms["line"].items()
    assert callable(build)
    held: list[Any] = [key, *(each for label, each in build.__globals__.items() if label.startswith("O"))]
    words = [word for number, word in enumerate(raw.split("^")) if number in _pair(name).words[1:] and word]
    assert words
    assert all(word in str(made) for word in words)
    assert not any(word in str(held) for word in words)
