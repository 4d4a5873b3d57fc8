"""What stands before the root of an XML document (XML 1.0 §2.8): whether there is a DOCTYPE. In one pass."""

from __future__ import annotations

_ENDS = {"<?": "?>", "<!--": "-->"}


def has_doctype(text: str) -> bool:
    """Whether a document type declaration comes before the root: declarations, instructions and comments are skipped,
    however many there are. What stands inside the root, in a text or in CDATA, does not count."""
    position = 0
    while True:
        while text[position : position + 1].isspace() or text.startswith("\ufeff", position):
            position += 1
        begin = next((each for each in _ENDS if text.startswith(each, position)), "")
        if not begin:
            return text[position : position + 9].upper() == "<!DOCTYPE"
        position = text.find(_ENDS[begin], position + len(begin))
        if position < 0:
            return False  # it never ends: the parser refuses it
        position += len(_ENDS[begin])
