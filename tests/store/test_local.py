"""Local fields are found by a FHIR search and by the command, whether a map knows them or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.codec import hl7v2
from gateway.codec.hl7v2_local import has_local, local_fields
from gateway.errors import Permanent
from gateway.store import local
from tests import community
from tests.rooms import House

ZLB = "ZLB|2H^两小时^L|Ｋ17~K18|\r".encode()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("ZLB-1|2H", 1), ("ZLB-1|2h", 1), ("ZLB-1.1|2H", 1), ("ZLB-1.2|两小时", 1), ("ZLB-1|两小时", 1),
        ("ZLB-1|2H^两小时^L", 1), ("ZLB-2|k17", 1), ("ZLB-2|K18", 1), ("ZLB-1.2|2H", 0), ("ZLB-2|2H", 0),
        ("ZLX-1|2H", 0), ("2H", 1), ("ZLB-1", 0), ("ZLB-1|3H,ZLB-1|2H", 1),
    ],
)  # fmt: skip
async def test_a_value_of_a_local_segment_finds_what_its_message_became(house: House, asked: str, found: int) -> None:
    await house.walk(community.result("L1", report="F1") + ZLB, community.result("L2", report="F2"))
    assert len(house.search("DiagnosticReport")) == 2
    assert len(house.search(f"DiagnosticReport?local-field={asked}")) == found
    assert len(house.search(f"DiagnosticReport?local-field={asked}&_total=accurate&_sort=-date")) == found


async def test_the_command_names_the_message_and_what_it_became(house: House) -> None:
    await house.walk(community.result("L1") + ZLB, community.result("L1") + ZLB)
    told = CliRunner().invoke(app, ["find", "ZLB-1=2H", "--data", str(house.data)])
    assert told.exit_code == 0
    assert told.stdout.count("entry ") == 1
    assert "ORU^R01" in told.stdout
    assert "  DiagnosticReport/" in told.stdout
    assert CliRunner().invoke(app, ["find", "ZLB-1=9H", "--data", str(house.data)]).exit_code == 1


@pytest.mark.parametrize("asked", ["PID-3|1", "ZLB-1|", "|", "ZLB|2H", "ZLB-1.2.3|2H"])
def test_what_is_no_local_field_with_a_value_is_refused(house: House, asked: str) -> None:
    with pytest.raises(Permanent) as refused:
        house.search(f"DiagnosticReport?local-field={asked}")
    assert refused.value.place == "local-field"


@pytest.mark.parametrize("name", ["local-field:exact", "local-field:missing", "local-field:not"])
def test_it_has_no_modifiers(house: House, name: str) -> None:
    with pytest.raises(Permanent):
        house.search(f"DiagnosticReport?{name}=ZLB-1|2H")


async def test_a_message_sent_again_by_a_person_is_noted_once(house: House) -> None:
    await house.walk(community.result("L1") + ZLB)
    with house.record.transaction() as transaction:
        local.note(transaction, 1, [("ZLB-1", "2H")], ["DiagnosticReport/none"])
        rows = transaction.execute("SELECT value, name, entry FROM local_field", ())
    assert rows == [("2h", "ZLB-1", 1)]


def test_long_texts_deletions_and_others_segments_are_not_kept() -> None:
    body = community.result("L1") + b"ZZ1|" + b"x" * 201 + b'|""|a\\F\\b|\r'
    assert has_local(body)
    assert not has_local(community.result("L1"))
    assert list(local_fields(hl7v2.decode(body))) == [("ZZ1-3", "a|b")]


def test_a_search_is_answered_by_indexes(house: House) -> None:
    with house.record.reading() as reader:
        for statement, values in (
            (local.INSIDE, (*local.asked("ZLB-1", "2H"), "DiagnosticReport")),
            (local.ENTRIES, (*local.asked("ZLB-1", "2H"), 9, 9)),
            (local.MADE, (1,)),
        ):
            plan = " ".join(str(row[-1]) for row in reader.execute(f"EXPLAIN QUERY PLAN {statement}", values))
            assert "SCAN" not in plan
