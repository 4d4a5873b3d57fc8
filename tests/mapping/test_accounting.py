"""Accounts: every value is carried, kept or dropped; every element and field has an origin; nothing made up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway.cli import app
from gateway.codec import hl7v2
from gateway.mapping.accounting import changing
from gateway.mapping.accounting.account import Account, State, account_of_message, told
from gateway.mapping.accounting.elements import by_url, leaves, names, without
from gateway.mapping.accounting.explained import Explanation, Origin
from gateway.mapping.accounting.places import Labels, places, put, text_at
from gateway.mapping.accounting.trial import Trial, again_to, leads_of
from gateway.mapping.accounting.writing import Writing, account_of_resources
from gateway.mapping.accounting.written import written
from gateway.model import Profile
from tests.mapping.house import FIXTURES, SHANGHAI, WHEN, fixture, maps, message

MESSAGES = sorted(FIXTURES.glob("*.hl7"))
ORDER = ("ORC|RE|P1^HIS|F1^LIS", "OBR|1|P1^HIS|F1^LIS|A1^血常规^L|||20260312100000|||||||||||||||20260312110000|||F")


def trial(body: bytes, profile: Profile = SHANGHAI) -> Trial:
    return Trial(maps=maps(), message=hl7v2.decode(body), profile=profile, when=WHEN)


def account(body: bytes, profile: Profile = SHANGHAI) -> Account:
    made = account_of_message(trial(body, profile))
    assert made is not None
    return made


def state(body: bytes, place: str, profile: Profile = SHANGHAI) -> tuple[State, str]:
    (row,) = [row for row in account(body, profile).rows if row.place == place]
    return row.state, row.reason


def writing(body: bytes) -> Writing:
    tried = trial(body)
    made = tried.into()
    assert made is not None
    resources = by_url(made.bundle)
    to = again_to(tried.message.header, SHANGHAI, WHEN)
    leads = leads_of(maps(), resources, made.structure)
    return Writing(maps=maps(), resources=resources, leads=leads, structure=made.structure, to=to)


# -------------------------------------------------------------------------------------------------- values


@given(st.lists(st.text("AB^~&", max_size=12), min_size=1, max_size=4))
def test_the_values_of_a_segment_are_all_that_is_filled(fields: list[str]) -> None:
    segments = [["ZZZ", *fields]]
    found = list(places(segments))
    letters = [part for field in fields for part in field.replace("~", "^").replace("&", "^").split("^") if part]
    assert sorted(text for _, text in found) == sorted(letters)
    assert all(text_at(segments, place) == text for place, text in found)
    assert len({Labels(segments)(place) for place, _ in found}) == len(found)
    for place, _ in found:
        assert text_at(put(segments, place, ""), place) == ""
        assert put(segments, place, text_at(segments, place)) == segments


def test_a_resource_without_one_leaf() -> None:
    resource = {"resourceType": "Patient", "name": [{"family": "张", "given": ["伟"]}], "gender": "male"}
    assert without(resource, ("name", 0, "given", 0))["name"] == [{"family": "张"}]
    assert "gender" not in without(resource, ("gender",))
    assert [way for way, _ in leaves(resource)] == [("name", 0, "family"), ("name", 0, "given", 0), ("gender",)]
    marked = {"resourceType": "Patient", "extension": [{"url": "urn:x", "valueCode": "a"}], "gender": "male"}
    assert "extension" not in without(marked, ("extension", 0, "valueCode"))


# ---------------------------------------------------------------------------------------------- into FHIR


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_an_account_has_every_value_once(path: Path) -> None:
    made = account(path.read_bytes())
    segments = hl7v2.decode(path.read_bytes()).segments
    label = Labels(segments)
    assert [row.place for row in made.rows] == [label(place) for place, _ in places(segments)]
    assert made.totals.total() == len(made.rows)
    assert made.totals[State.CARRIED] > 0.65 * len(made.rows)
    assert all(row.reason for row in made.rows)


def test_batches_find_what_one_by_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    body = fixture("07")
    together = account(body)
    monkeypatch.setattr(changing, "FEW", 10**9)
    assert account(body) == together


def test_what_no_map_reads_is_kept_and_says_so() -> None:
    body = message("ORU^R01^ORU_R01", *ORDER, "OBX|1|ST|1^a^L||x||||||F", "ZXY|something")
    assert state(body, "ZXY-1") == (State.KEPT, "no map reads a Z segment ZXY here")
    assert state(body, "MSH-2") == (State.KEPT, "the separators that the message is read with")


def test_a_component_that_its_data_type_leaves_out_is_kept() -> None:
    body = message("ORU^R01^ORU_R01", *ORDER, pid="PID|1||3^^^COUNTY^PI^^^^J1||张^伟")
    found, reason = state(body, "PID-3.9")
    assert found is State.KEPT
    assert "CX: component 9" in reason
    assert state(body, "PID-3.1")[0] is State.CARRIED


def test_what_loses_against_another_field_is_kept_and_says_which_was_first() -> None:
    body = message("ORU^R01^ORU_R01", ORDER[0], ORDER[1].replace("P1^HIS", "P2^HIS"))
    found, reason = state(body, "OBR-2.1")
    assert found is State.KEPT
    assert "ORC-2 first" in reason


def test_what_a_member_switches_off_is_dropped_by_that_rule() -> None:
    body = message("ORU^R01^ORU_R01", *ORDER, pid="PID|1||3^^^COUNTY^PI||张^伟|||||||||^WPN^PH^^^^5550100")
    off = Profile(off=("PID-14",))
    assert state(body, "PID-14.7", off) == (State.DROPPED, "switched off for this member (profile.off: PID-14)")
    assert state(body, "PID-14.7")[0] is State.CARRIED


def test_a_message_that_becomes_nothing_has_no_account() -> None:
    assert account_of_message(trial(message("ORU^R01^ORU_R01", pid=""))) is None


def test_totals_add_up() -> None:
    totals = Counter({State.CARRIED: 2, State.KEPT: 1, State.DROPPED: 1})
    assert told(totals) == "4 values: 2 carried (50.0 %), 1 kept (25.0 %), 1 dropped (25.0 %)"


# ----------------------------------------------------------------------------------------------- explained


def explained(body: bytes) -> tuple[Explanation, list[Origin]]:
    tried = trial(body)
    made = tried.into(explain=True)
    assert made is not None
    found = Explanation(tried, made)
    return found, list(found.origins())


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_element_has_an_origin(path: Path) -> None:
    found, origins = explained(path.read_bytes())
    elements = {f"{named}.{way}" for named, way in _ways(found)}
    assert {origin.element for origin in origins} == elements
    body, charset = path.read_bytes(), found.trial.message.charset
    for origin in origins:
        assert origin.line
        if origin.offset >= 0:
            assert body[origin.offset : origin.offset + origin.length].decode(charset).strip()


def _ways(found: Explanation) -> list[tuple[str, str]]:
    from gateway.mapping.accounting.elements import path_of

    return [(name, path_of(way)) for name, way in found.flat]


@pytest.mark.parametrize(
    ("element", "source", "where"),
    [
        ("Patient[1].gender", "PID-8", "patient.map"),
        ("Patient[1].identifier[1].value", "PID-3(2)", "patient.map"),
        ("Encounter[1].subject.reference", "@Patient", "visit.map"),
        ("Practitioner[1].name[0].text", "PV1-7", "visit.map"),
        ("Condition[1].clinicalStatus.coding[0].code", "constant", "visit.map"),
        ("Encounter[1].participant[0].type[0].coding[0].code", "slice", "visit.map"),
        ("Provenance[1].recorded", "EVN-2", "message.map"),
    ],
)
def test_an_origin(element: str, source: str, where: str) -> None:
    _, origins = explained(fixture("01"))
    assert any(each.element == element and each.source == source and where in each.line for each in origins)


def test_a_code_table_is_named() -> None:
    _, origins = explained(fixture("01"))
    (gender,) = [each for each in origins if each.element == "Patient[1].gender"]
    assert gender.table.startswith("sex ")
    assert "codes.map:" in gender.table


# ------------------------------------------------------------------------------------------------ and back


@pytest.mark.parametrize("name", ["01", "05", "07", "12"])
def test_an_account_of_resources_has_every_element_once(name: str) -> None:
    source = writing(fixture(name))
    made = account_of_resources(source)
    assert len(made.rows) == sum(len(list(leaves(each))) for each in source.resources.values())
    assert made.totals[State.CARRIED] > 0.5 * len(made.rows)
    assert all(row.reason for row in made.rows)


def test_an_element_that_no_line_writes_is_kept_and_says_so() -> None:
    source = writing(fixture("01"))
    (url,) = [url for url, name in names(source.resources).items() if name == "Patient[1]"]
    patient = {**source.resources[url], "managingOrganization": {"display": "县医院"}, "id": "1"}
    made = account_of_resources(replace(source, resources={**source.resources, url: patient}))
    found = {row.place: (row.state, row.reason) for row in made.rows}
    assert found["Patient[1].id"] == (State.KEPT, "the record's own, no message says it")
    assert found["Patient[1].managingOrganization.display"][0] is State.KEPT
    assert found["Patient[1].gender"][0] is State.CARRIED


@pytest.mark.parametrize("name", ["01", "07"])
def test_every_written_value_has_an_origin(name: str) -> None:
    source = writing(fixture(name))
    segments = hl7v2.decode(source.body()).segments
    label = Labels(segments)
    found = list(written(source))
    assert {each.place for each in found} == {label(place) for place, _ in places(segments)}
    gender = [each for each in found if each.place == "PID-8"]
    assert [(each.element, each.line.partition(":")[0]) for each in gender] == [
        ("Patient[1].gender", "mappings/hl7v2/patient.map")
    ]
    assert {each.place for each in found if not each.element} >= {"MSH-1", "MSH-12"}


# ------------------------------------------------------------------------------------------- the command


def test_a_report_of_a_folder_has_totals_of_messages_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("02", "03"):
        (folder / f"{name}.hl7").write_bytes(fixture(name))
    report = tmp_path / "report.tsv"
    out = str(tmp_path / "out")
    made = CliRunner().invoke(app, ["translate", str(folder), "--out", out, "--loss", "--report", str(report)])
    assert made.exit_code == 0, made.output
    rows = [line.split("\t") for line in report.read_text(encoding="utf-8").splitlines()[1:]]
    values = Counter(row[2] for row in rows if row[1] != "*")
    totals = {row[2]: int(row[3]) for row in rows if row[1] == "*" and row[0].endswith("in/")}
    assert totals == {state.value: values[state.value] for state in State}
    assert "张" not in report.read_text(encoding="utf-8")
    assert " values: " in made.stderr
