"""Which entry was in work when the process fell."""

from __future__ import annotations

from pathlib import Path

from gateway.journal.suspect import FALLS, Suspect


def life(file: Path, *, fell: bool, entries: dict[int, bool]) -> list[bool]:
    """One process: entry → whether it ends. Returns which might begin."""
    suspect = Suspect(file, fell=fell)
    begun = []
    for entry, ends in entries.items():
        begun.append(suspect.begins(entry))
        if ends or not begun[-1]:
            suspect.ends(entry)
    suspect.close()
    return begun


def test_an_entry_that_was_in_work_at_every_fall_is_not_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "in-work"
    assert life(file, fell=False, entries={6: True, 7: False}) == [True, True]
    for _ in range(FALLS - 1):
        assert life(file, fell=True, entries={6: True, 7: False}) == [True, True]
    assert life(file, fell=True, entries={6: True, 7: True, 8: True}) == [True, False, True]
    assert life(file, fell=True, entries={7: True}) == [True]  # replayed by a person: it begins anew


def test_the_end_of_the_whole_gateway_is_nobodys_fault(tmp_path: Path) -> None:
    file = tmp_path / "in-work"
    for _ in range(FALLS + 2):
        assert life(file, fell=False, entries={7: False}) == [True]


def test_different_entries_at_each_fall_are_no_pattern(tmp_path: Path) -> None:
    file = tmp_path / "in-work"
    for entry in range(1, 10):
        assert life(file, fell=True, entries={entry: False}) == [True]


def test_a_file_that_was_cut_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "in-work").write_bytes(b"\x07\x00")
    assert life(tmp_path / "in-work", fell=True, entries={7: True}) == [True]


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "in-work").mkdir()
    assert life(tmp_path / "in-work", fell=True, entries={7: False, 8: True}) == [True, True]
