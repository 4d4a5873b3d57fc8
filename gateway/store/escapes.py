r"""The backslash in values of a search: `\,` `\|` `\$` `\\` (R4 search.html#escaping)."""

from __future__ import annotations

import re
from typing import Final

_ESCAPED: Final = re.compile(r"\\([,|$\\])")
_PIECE: Final = re.compile(r"\\.|.", re.DOTALL)


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that have no backslash before them; escapes stay."""
    if "\\" not in text:
        return text.split(separator)
    parts = [""]
    for piece in _PIECE.findall(text):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def plain(text: str) -> str:
    """Without the backslashes."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
