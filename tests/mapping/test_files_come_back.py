"""Files → FHIR → files: every mapped cell of the sample community's files, floor by floor (mappings/exports)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gateway import stateless
from gateway.errors import Configuration
from gateway.formats import again, exports, files
from gateway.formats.written import NEVER
from gateway.mapping.accounting.roundtrip import Came
from gateway.mapping.translation import Address
from gateway.model import FileForm, Resource
from gateway.transport import views
from tests.mapping.house import FIXTURES, SAMPLES

COMMUNITY = SAMPLES / "community"


def came(path: Path, member: str) -> tuple[Counter[Came], list[str]]:
    made = stateless.roundtrip(path.read_bytes(), name=path.name, member=member, config=None)
    return made.totals, [value.place for value in made.values if value.came is Came.LOST]


def test_the_laboratory_file_comes_back_whole() -> None:
    assert came(FIXTURES / "lab_shiqiao_20260312.csv", "shiqiao") == ({Came.IDENTICAL: 3317}, [])


@pytest.mark.samples
@pytest.mark.parametrize(
    ("file", "member", "identical", "normalised"),
    [
        ("encounters_liuhe_202603.xml", "liuhe", 1101, 3),
        ("imaging_center_202603.xlsx", "imaging-centre", 860, 0),
        ("referral_up.json", "shiqiao", 199, 1),
        ("referral_down.json", "county", 128, 0),
    ],
)
def test_every_sample_comes_back(file: str, member: str, identical: int, normalised: int) -> None:
    totals, lost = came(COMMUNITY / file, member)
    assert lost == []
    assert (totals[Came.IDENTICAL], totals[Came.NORMALISED]) == (identical, normalised)


@pytest.mark.samples
def test_the_views_come_back(tmp_path: Path) -> None:
    """Their times are char(16), which the receiver's form can say; a code that means the same as another is that."""
    path = tmp_path / "his.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript((COMMUNITY / "his_view.sql").read_text("utf-8"))
        database.commit()
    formats = stateless.formats_of(None, "county")
    file = FileForm(times="YYYYMMDDHH:mm:ss", dates="YYYYMMDD")
    member = formats.member("county")
    member = msgspec.structs.replace(member, profile=msgspec.structs.replace(member.profile, file=file))
    tables = list(views.read(f"sqlite:///{path}"))
    values = again.compare_tables(formats, tables, member, NEVER).values
    assert [each.place for each in values if each.came is Came.LOST] == []
    forms = {each.place.partition(", ")[2]: each.form for each in values if each.came is Came.NORMALISED}
    assert set(forms) <= {"高低标志", "危急值", "状态", "证件类型"}
    assert sum(each.came is Came.IDENTICAL for each in values) >= 4080


def test_a_file_that_no_map_knows_is_no_round_trip() -> None:
    with pytest.raises(Configuration):
        stateless.roundtrip("甲,乙\n1,2\n".encode(), name="a.csv", member="shiqiao", config=None)


@pytest.mark.samples
@pytest.mark.parametrize(
    ("file", "member"),
    [
        ("encounters_liuhe_202603.xml", "liuhe"),
        ("imaging_center_202603.xlsx", "imaging-centre"),
        ("referral_up.json", "shiqiao"),
        ("referral_down.json", "county"),
        ("lab_shiqiao_20260312.csv", "shiqiao"),
    ],
)
def test_what_is_written_becomes_the_same_resources(file: str, member: str) -> None:
    """FHIR → file → FHIR."""
    formats = stateless.formats_of(None, member)
    owner, body = formats.member(member), (COMMUNITY / file).read_bytes()
    way, maps = stateless.channel_of(body, file), formats.maps.of(owner.profile).exports

    def resources(body: bytes) -> dict[str, Resource]:
        parts = exports.read(formats, body, way, owner, way.format).parts
        made = maps.to_fhir(
            parts, profile=owner.profile, facility=exports.facility(owner), control_id="F", when=NEVER
        ).bundle
        found = {each["fullUrl"]: each["resource"] for each in made["entry"]}
        return {url: each for url, each in found.items() if each["resourceType"] != "Provenance"}

    before = resources(body)
    name = exports.read(formats, body, way, owner, way.format).parts[0].name
    to = Address(
        profile=owner.profile, facility=exports.facility(owner), own=frozenset(owner.facilities), control_id="B",
        when=NEVER,
    )  # fmt: skip
    written = maps.about(before, name=name, to=to)
    assert resources(files.encode(written, way.format, owner.profile)) == before
