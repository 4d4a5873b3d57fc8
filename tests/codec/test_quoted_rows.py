"""Lines → cells: as the csv module reads them, wherever it can."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from gateway.codec.damaged import CAUSE, MARK
from gateway.codec.quoted_rows import cut

LINES = st.lists(st.text("a王 ,\t;'", max_size=12), max_size=8)
CELLS = st.lists(st.lists(st.text("a王 ,\"\n'", max_size=6), min_size=3, max_size=3), max_size=8)


@given(LINES, st.sampled_from(["\r\n", "\n", "\r"]), st.sampled_from(",\t;"))
def test_lines_without_quotes_are_cut_as_the_csv_module_cuts_them(lines: list[str], end: str, delimiter: str) -> None:
    text = "".join(line + end for line in lines)
    theirs = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert list(cut(io.StringIO(text, newline=""), delimiter)) == [(cells, "") for cells in theirs]


@given(CELLS)
def test_quoted_cells_among_plain_lines_come_back(rows: list[list[str]]) -> None:
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\r\n").writerows(rows)
    found = list(cut(io.StringIO(target.getvalue(), newline=""), ","))
    expected = [[cell.lstrip(" ") if '"' not in cell else cell for cell in row] for row in rows]
    bare = [[cell.lstrip(" ") if '"' not in cell else cell for cell in cells] for cells, _ in found]
    assert (bare, [cause for _, cause in found]) == (expected, [""] * len(rows))


def test_an_open_quote_and_a_damaged_character_cost_their_own_lines() -> None:
    text = f'a,b\n1,"2\n3,4\n5,6{MARK}\n"7,8\n9,10\n'
    found = list(cut(io.StringIO(text, newline=""), ","))
    assert [cells for cells, cause in found if not cause] == [["a", "b"], ["3", "4"], ["9", "10"]]
    assert [cause for _, cause in found if cause][1] == CAUSE
    assert len(found) == 6
