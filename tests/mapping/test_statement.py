"""The statement says what the maps do: no component more, no component less, no element that R4 does not have."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway.cli import app
from gateway.fhir import definitions
from gateway.mapping import paths
from gateway.mapping.arrivals import Arrival, Trial, Trials, put
from gateway.mapping.datatypes import load
from gateway.mapping.datatypes.exemplars import EXEMPLARS
from gateway.mapping.maps import shipped
from gateway.mapping.statement import statement
from gateway.mapping.syntax import Line
from tests.mapping.house import maps

ROW = re.compile(
    r"(?P<messages>[A-Z0-9_,]+)/(?P<segment>\w{3})/(?P<field>\d+(\.\d+)*)\t(?P<path>[A-Z]\S+)\t(both|to-fhir|to-v2)"
)
TEXT = st.text(st.sampled_from("0123456789ABCXYZabc 张伟-.:/"), max_size=12)


@cache
def lines() -> list[str]:
    """The statement."""
    return list(statement(maps().library))


@cache
def trials() -> Trials:
    return Trials(maps().library)


@cache
def rows() -> frozenset[tuple[str, str, str]]:
    """(SEG-field, path, direction), whatever the message."""
    found = set()
    for line in lines():
        place, path, direction = line.split("\t")
        segment, field = place.split("/")[1:]
        found.add((f"{segment}-{field}", path, direction))
    return frozenset(found)


def mapped() -> list[tuple[str, Line]]:
    """One line for each way of translating."""
    found = {}
    for block in maps().library.blocks:
        for line in block.lines:
            if line.into and line.sources and not line.constant and not line.link:
                words = tuple(each.name for each in line.arguments)
                found.setdefault((line.datatype, line.codes, words, block.path), (block.path, line))
    return list(found.values())


LINES = mapped()


def test_each_line_is_in_the_form_that_is_promised() -> None:
    assert len(lines()) > 1000
    assert [line for line in lines() if not ROW.fullmatch(line)] == []
    assert len(set(lines())) == len(lines())


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("PID-5.6", "Patient.name.suffix"),
        ("PID-5.10", "Patient.name.period.start"),
        ("PID-5.13", "Patient.name.period.end"),
        ("PID-5.1.2", "Patient.name.family.extension.valueString"),
        ("PID-13.18", "Patient.telecom.rank"),
        ("NK1-4.12", "RelatedPerson.address.period.start"),
        ("PV1-7.7", "Practitioner.qualification.code.text"),
        ("PV1-7.17", "Practitioner.name.period.start"),
        ("DG1-3.10", "Condition.code.coding.code"),
        ("PV1-3.11", "Location.identifier.assigner.display"),
    ],
)
def test_what_only_some_values_tell_is_found_as_well(field: str, path: str) -> None:
    assert any((each == field or each.startswith(f"{field}.")) and place == path for each, place, _ in rows())


def test_each_message_is_one_that_the_maps_know() -> None:
    known = {*maps().library.structures, *maps().library.events}
    assert {name for line in lines() for name in line.split("/")[0].split(",")} <= known


HOP = re.compile(r"\.resolve\(\)\.ofType\((\w+)\)")


def test_each_element_is_one_that_r4_has() -> None:
    for _, path, _ in rows():
        head, *hops = HOP.split(path)
        reached = definitions.resolve(head)
        for type_, below in zip(hops[::2], hops[1::2], strict=True):
            assert reached.inside == "Reference", path
            assert not reached.targets or {type_, "Resource"} & set(reached.targets), path
            reached = definitions.resolve(type_ + below)


@pytest.mark.parametrize(
    "row",
    [
        ("PID-5.1", "Patient.name.family", "both"),
        ("PID-5.2", "Patient.name.given", "both"),
        ("PID-5.2", "Patient.name.text", "to-fhir"),
        ("PID-8", "Patient.gender", "both"),
        ("PID-3.1", "Patient.identifier.value", "both"),
        ("PID-13", "Patient.telecom.use", "both"),
        ("PV1-7.1", "Practitioner.identifier.value", "both"),
        ("PV1-7.1", "Encounter.participant.individual", "both"),
        ("PV1-7.2", "Encounter.participant.individual.resolve().ofType(Practitioner).name.text", "to-fhir"),
        ("PRT-15.6", "PractitionerRole.telecom.extension.valueString", "both"),
        ("OBX-5.1", "Observation.valueCodeableConcept.coding.code", "both"),
        ("OBX-6.1", "Observation.valueQuantity.code", "both"),
        ("OBX-2.1", "Observation.value[x]", "to-fhir"),
        ("OBX-0", "Observation.subject", "both"),
        ("PID-30", "Patient.deceasedDateTime", "to-v2"),
    ],
)
def test_it_says(row: tuple[str, str, str]) -> None:
    assert row in rows()


@pytest.mark.parametrize(
    "place",
    ["PID-3.12", "PID-5.9", "PID-8.2"],
)
def test_it_does_not_say(place: str) -> None:
    assert [row for row in rows() if row[0] == place] == []


@settings(deadline=None)
@given(st.data())
def test_a_component_that_is_not_declared_changes_nothing(data: st.DataObject) -> None:
    type_, line = data.draw(st.sampled_from(LINES))
    library = maps().library
    path = paths.resolve(type_, line, library.systems)
    trial = Trial(line, path, library)
    declared = {(each.text, each.component) for each in trials().of(line, path).into}
    if (0, 0) in declared:
        return
    whole = data.draw(st.sampled_from(trial.values))
    count = max(each[0].count("^") + 1 for each in trial.values)
    places = [(0, number, 0) for number in range(1, count + 1) if (0, number) not in declared]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    assert trial.facts(put(whole, place, data.draw(TEXT))) == trial.facts(put(whole, place, ""))


@pytest.mark.parametrize("name", sorted(load()))
def test_what_is_tried_says_something(name: str) -> None:
    """Every data type of HL7 v2 has a filled value that it can read."""
    lines = [(type_, line) for type_, line in LINES if line.datatype == name]
    for type_, line in lines:
        found = trials().of(line, paths.resolve(type_, line, maps().library.systems))
        assert found.into
        assert not line.back or found.back
    assert not lines or name in EXEMPLARS


def test_an_arrival_knows_its_place() -> None:
    (line,) = [line for type_, line in LINES if line.datatype == "XPN" and type_ == "Patient"]
    found = trials().of(line, paths.resolve("Patient", line, maps().library.systems))
    assert Arrival(0, 4, 0, "Patient", "name.suffix") in found.into & found.back


@pytest.mark.slow
def test_the_command_prints_it_the_same_each_time() -> None:
    shown = CliRunner().invoke(app, ["map", "statement"])
    assert shown.exit_code == 0
    said = shown.stdout.splitlines()
    assert [line for line in said if not line.startswith("#")] == lines()
    assert "# laboratory-results/结果\tObservation.value[x]\tboth" in said


def test_waived_rows_have_four_columns_and_a_reason() -> None:
    shown = CliRunner().invoke(app, ["map", "waived"])
    assert shown.exit_code == 0
    rows = [line.split("\t") for line in shown.stdout.splitlines() if line and not line.startswith("#")]
    assert [row for row in rows if len(row) != 4 or not row[3].strip()] == []


def test_what_is_not_written_back_goes_into_fhir() -> None:
    """A row that is waived for the way back is a field that the maps read: else it would be waived for both."""
    lines = (shipped() / "hl7v2" / "waived_back.tsv").read_text("utf-8").splitlines()
    fields = {line.split("\t")[1] for line in lines if not line.startswith("#")}
    read = {re.match(r"\w{3}-\d+", place)[0] for place, _, direction in rows() if direction != "to-v2"}  # type: ignore[index]
    assert fields <= read
