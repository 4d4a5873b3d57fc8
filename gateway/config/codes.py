"""A member's code lists: `codes/*.csv` in its folder → what its local codes mean (Profile.codes, Profile.concepts).

One row a code, in UTF-8 or GB18030, comma, semicolon or tab, with a header in English or Chinese:

    table or system, local code, display, target system, target code, target display
    表或系统,本地代码,本地名称,目标系统,目标代码,目标名称

Without a target system the row belongs to a code table of the maps (sex, encounter-class …) and the target is a code
that the table knows; with one, the first cell is the local coding system as in CWE-3 ("L"; empty: none; *: any), and
the target is added to the local code. Every mistake is noted with file and line; rows without a target are left for
later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.codec import delimited
from gateway.config.page import Mistakes
from gateway.errors import HutongError
from gateway.model import Concept, Profile

FOLDER = "codes"
NAMES = {  # what a header may say → the column
    "table": ("table", "system", "table or system", "表", "表或系统", "系统", "代码表"),
    "code": ("code", "local code", "本地代码", "代码", "本地编码", "编码"),
    "words": ("display", "local display", "本地名称", "名称"),
    "system": ("target system", "目标系统", "标准系统"),
    "target": ("target code", "目标代码", "标准代码", "目标编码", "标准编码"),
    "display": ("target display", "目标名称", "标准名称"),
}
_COLUMNS = {name: column for column, names in NAMES.items() for name in names}
_NEEDED = ("table", "code", "target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One code and where it stands."""

    file: str
    line: int
    table: str
    code: str
    words: str
    system: str
    target: str
    display: str


def read(folder: Path, mistakes: Mistakes) -> list[Row]:
    """Every row with a target of every list in the member's folder, in the order of files and lines."""
    rows: list[Row] = []
    for path in sorted((folder / FOLDER).glob("*.csv")):
        rows.extend(_rows(path, mistakes))
    seen: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        first = seen.setdefault((row.table.upper(), row.code, row.system), row)
        if first.target != row.target:
            cause = f"{row.code!r} of {row.table!r} has another target in {first.file}:{first.line}"
            mistakes.add(row.file, row.line, cause, "keep one of them")
    return rows


def with_codes(profile: Profile, rows: list[Row]) -> Profile:
    """The profile with these rows; what its own file says stays."""
    codes: dict[str, dict[str, str]] = {name: dict(table) for name, table in profile.codes.items()}
    concepts: dict[str, dict[str, Concept]] = {name.upper(): dict(listed) for name, listed in profile.concepts.items()}
    for row in rows:
        if row.system:
            concept = Concept(system=row.system, code=row.target, display=row.display, name=row.words)
            concepts.setdefault(row.table.upper(), {}).setdefault(row.code, concept)
        else:
            codes.setdefault(row.table, {}).setdefault(row.code, row.target)
    return msgspec.structs.replace(profile, codes=codes, concepts=concepts)


def _rows(path: Path, mistakes: Mistakes) -> Iterator[Row]:
    file = str(path)
    try:
        table = delimited.decode(path.read_bytes(), header_row=1)
    except (HutongError, OSError) as error:
        cause = error.cause if isinstance(error, HutongError) else "cannot be read"
        mistakes.add(file, 0, cause, "save it as CSV with a header row")
        return
    columns = {name: _COLUMNS.get(name.strip().casefold().replace("_", " "), "") for name in table.columns}
    missing = [name for name in _NEEDED if name not in columns.values()]
    if missing:
        remedy = "the columns are " + ",".join(names[0] for names in NAMES.values())
        mistakes.add(file, 1, f"there is no column for {', '.join(missing)}", remedy)
        return
    for reject in table.rejects:
        mistakes.add(file, reject.number, reject.cause, "write as many cells as the header has")
    for cells, line in zip(table.rows, table.numbers, strict=True):
        if row := _row(cells, columns, file=file, line=line, mistakes=mistakes):
            yield row


def _row(
    cells: Mapping[str, str], columns: Mapping[str, str], *, file: str, line: int, mistakes: Mistakes
) -> Row | None:
    found = dict.fromkeys(NAMES, "")
    found.update({column: cells[name].strip() for name, column in columns.items() if column})
    if not found["target"]:
        return None  # nobody has decided yet
    if not found["code"]:
        mistakes.add(file, line, "the local code is empty", "fill it or remove the row")
        return None
    if not found["system"] and not found["table"]:
        mistakes.add(file, line, "neither a code table nor a target system is named", "name one")
        return None
    return Row(file=file, line=line, **found)
