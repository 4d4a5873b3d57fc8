"""Who is who across all files of the invented community, in any order; and what becomes of those nobody can tell."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway import config
from gateway.codec import rows
from gateway.formats import Formats
from gateway.inbound import Processor
from gateway.model import Channel, Entry, Frame, Resource
from gateway.store.record import Record
from gateway.transport import views
from gateway.worker import Processed
from tests.mapping import dirty
from tests.mapping.house import FIXTURES, SAMPLES
from tests.rooms import MAPS, House

TRUTH: list[dict[str, Any]] = json.loads((FIXTURES / "identity_truth.json").read_text(encoding="utf-8"))["persons"]
FILES = {  # by which member and in which format
    "lab_shiqiao_20260312.csv": ("shiqiao", "delimited"),
    "imaging_center_202603.xlsx": ("imaging-centre", "workbook"),
    "encounters_liuhe_202603.xml": ("liuhe", "xml"),
    "referral_up.json": ("shiqiao", "json"),
    "referral_down.json": ("county", "json"),
}
VIEWS = dict.fromkeys(("V_就诊信息", "V_申请单", "V_检查报告", "V_检验结果"), ("county", "rows"))
MESSAGES = sorted(path.name for path in FIXTURES.glob("[01]*.hl7"))
COMMUNITY = SAMPLES / "community"
WHEN = datetime(2026, 4, 1, tzinfo=UTC)


@cache
def formats() -> Formats:
    return Formats(config.sample(), MAPS)


class Loader:
    """A record, and the worker's half that fills it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.count = 0
        self.record = Record(house.record)
        community = formats().community
        self.processor = Processor(community=community, formats=formats(), record=self.record, channels={})

    def load(self, name: str, body: bytes = b"") -> Processed:
        member, format_ = (FILES | VIEWS).get(name, ("", "hl7v2"))
        self.count += 1
        channel = Channel(id=name, transport="files", format=format_)
        owner = formats().community.members.get(member)
        frame = Frame(channel=name, body=body or (FIXTURES / name).read_bytes(), peer=name, received_at=WHEN)
        look = formats().look(frame, channel, owner)
        assert look.error is None, (name, look.error)
        entry = Entry(
            id=self.count, frame=frame, member=look.member.id, format=look.format, charset=look.charset,
            control_id=look.control_id,
        )  # fmt: skip
        with self.house.record.transaction() as transaction:
            return replace(self.processor, channels={name: (owner, channel)}).process(transaction, entry)

    def all_of(self, query: str) -> list[Resource]:
        return self.house.search(f"{query}{'&' if '?' in query else '?'}_count=200")


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Loader]:
    house = House(tmp_path)
    yield Loader(house)
    house.close()


def people(loader: Loader) -> dict[str, list[set[str]]]:
    """Person of the truth → the numbers of each Patient that is that one."""
    found: dict[str, list[set[str]]] = {}
    for patient in loader.all_of("Patient"):
        numbers = {each["value"] for each in patient.get("identifier", ())}
        if patient.get("active") is False:
            continue  # merged into another one
        who = {each["person"] for each in TRUTH if numbers & {each["id"], *each["local"].values()}}
        assert len(who) == 1, numbers
        found.setdefault(*who, []).append(numbers)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_everybody_is_one_patient_in_any_order(loader: Loader, seed: int) -> None:
    names = [*FILES, *MESSAGES]
    random.Random(seed).shuffle(names)
    for name in names:
        assert loader.load(name).held is None, name
    found = people(loader)
    assert set(found) == {each["person"] for each in TRUTH}
    # The laboratory tells neither the day nor a telephone number of the newborn: a name is no person.
    assert {who: numbers for who, numbers in found.items() if len(numbers) > 1}.keys() <= {"P11"}


# ------------------------------------------------------------------------------------ the whole of the community


def views_of(path: Path) -> dict[str, bytes]:
    """What polling makes of the county's views: each with the others, in which what its rows lead to is found."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((COMMUNITY / "his_view.sql").read_text("utf-8"))
        database.commit()
    sheets = {
        each.sheet: rows.Sheet(
            name=each.sheet, columns=each.columns,
            cells=tuple(tuple(row.get(name, "") for name in each.columns) for row in each.rows),
        )
        for each in views.read(f"sqlite:///{path}")
    }  # fmt: skip
    return {
        name: rows.encode([sheet, *(other for key, other in sheets.items() if key != name)])
        for name, sheet in sheets.items()
    }


@pytest.mark.slow
@pytest.mark.samples
@pytest.mark.parametrize("seed", range(4))
def test_files_messages_and_views_together_make_one_of_everybody(loader: Loader, tmp_path: Path, seed: int) -> None:
    """Every sample there is, in any order: P03 and P04 stay two, P12 is not her child P11."""
    named = {path.name: path.read_bytes() for path in (COMMUNITY / "hl7v2").glob("[01]*.hl7")}
    named |= {name: (COMMUNITY / name).read_bytes() for name in FILES}
    named |= views_of(tmp_path / "his.sqlite")
    names = sorted(named)
    random.Random(seed).shuffle(names)
    for name in names:
        assert loader.load(name, named[name]).held is None, name
    found = people(loader)
    assert set(found) == {each["person"] for each in TRUTH}
    # Where neither the day nor a telephone number of the newborn is told, a name is no person.
    assert {who: numbers for who, numbers in found.items() if len(numbers) > 1}.keys() <= {"P11"}
    living = {each["id"] for each in loader.all_of("Patient") if each.get("active") is not False}
    for type_ in ("Encounter", "ServiceRequest", "DiagnosticReport", "Observation"):
        subjects = {each["subject"].get("reference", "") for each in loader.all_of(type_) if "subject" in each}
        assert {each.removeprefix("Patient/") for each in subjects if each} <= living, type_


def test_results_find_their_referral_whatever_comes_first(loader: Loader) -> None:
    for name in ("referral_up.json", "imaging_center_202603.xlsx", "lab_shiqiao_20260312.csv"):
        loader.load(name)
    (asked,) = loader.all_of("ServiceRequest?identifier=urn:hutong:referral|ZZ529901202603100001")
    told = [each["identifier"]["value"] for each in asked["supportingInfo"] if "identifier" in each]
    assert told == ["SQL202603120001", "SQL202603120002", "CT260302001"]
    for number in told:
        assert loader.all_of(f"DiagnosticReport?identifier={number}"), number


# ------------------------------------------------------------------------------------ who nobody can tell


def changed(**cells: str) -> bytes:
    """The last patient of the first rows in other words."""
    listed = dirty.rows(20)
    whose = listed[-1]["病人ID"]
    for row in listed:
        if row["病人ID"] == whose:
            row.update(cells)
    return dirty.table(listed)


LABORATORY = "lab_shiqiao_20260312.csv"


def test_a_number_given_to_another_person_waits_and_the_rest_flows(loader: Loader) -> None:
    loader.load(LABORATORY, changed())
    before = len(loader.all_of("Patient"))
    held = loader.load(
        LABORATORY, changed(姓名="钱多多", 身份证号="529901198801250440", 申请单号="NEW1", 条码号="NEW1")
    ).held
    assert held is not None
    assert "1 of its patients wait" in held.cause
    assert held.code == "204"
    assert len(loader.all_of("Patient")) == before
    assert loader.all_of("DiagnosticReport?identifier=NEW1") == []
    assert loader.all_of("DiagnosticReport?identifier=SQL202603120001")


def test_one_person_under_two_numbers_of_a_file_is_one_patient(loader: Loader) -> None:
    first = dirty.rows(1)[0]
    loader.load(LABORATORY, changed(姓名=first["姓名"], 身份证号=first["身份证号"]))
    (patient,) = loader.all_of("Patient")
    assert {"SQ000101", "SQ000102"} <= {each["value"] for each in patient["identifier"]}
    assert len(loader.all_of(f"DiagnosticReport?subject=Patient/{patient['id']}")) > 1
