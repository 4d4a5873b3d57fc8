"""What stands before the root: found wherever it stands, never slowly."""

from __future__ import annotations

import time

import pytest

from gateway.codec import xml_tree
from gateway.codec.xml_prolog import has_doctype
from gateway.errors import Permanent


@pytest.mark.parametrize(
    "before", ["", "\ufeff", " \r\n", '<?xml version="1.0"?>\n', "<!-- <a> --><?x <!DOCTYPE ?>\n", "<!---->" * 50_000]
)
def test_a_doctype_is_found_behind_anything(before: str) -> None:
    began = time.perf_counter()
    assert has_doctype(before + "<!DOCTYPE a []><a/>")
    assert has_doctype(before + "<!doctype a><a/>")
    assert not has_doctype(before + "<a><![CDATA[<!DOCTYPE a>]]></a>")
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize("text", ["", "<", "<!--", "<?xml", "<!-- <!DOCTYPE a>", "<a><!-- x --><!DOCTYPE b></a>"])
def test_no_doctype(text: str) -> None:
    assert not has_doctype(text)


def test_many_comments_take_no_time() -> None:
    began = time.perf_counter()
    with pytest.raises(Permanent):
        xml_tree.decode(b"<!---->" * 2000 + b"<a")
    assert time.perf_counter() - began < 60
