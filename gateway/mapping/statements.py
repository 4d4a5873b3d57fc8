"""The text of a map file → its statements: which lines belong together, and where each stands. Comments end here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.mapping.syntax import Place

COMMENT = re.compile(r"(?:^|\s)#(?=\s|#|$).*$")


def statements(text: str, file: str) -> Iterator[tuple[Place, str, list[tuple[Place, str]]]]:
    """(place, first line with its continuation, indented lines) of each statement."""
    current: tuple[Place, list[str], list[tuple[Place, str]]] | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = COMMENT.sub("", raw).rstrip()
        if not line:
            continue
        place = Place(file, number)
        if line[0] not in " \t":
            if current:
                yield current[0], "\n".join(current[1]), current[2]
            current = (place, [line], [])
        elif current is None:
            current = (place, [line.strip()], [])
        elif current[1][0].split(None, 1)[0] in ("codes", "system", "message", "export"):
            current[1].append(line)
        else:
            current[2].append((place, line.strip()))
    if current:
        yield current[0], "\n".join(current[1]), current[2]
