"""A search asked of one resource finds it exactly when the search over the whole record does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.db.sqlite import SqliteEngine
from gateway.errors import Permanent
from gateway.store.alone import Alone, question
from tests.store.conftest import Ward
from tests.store.samples import coded, observation, order, patient, put

CRITERIA = {
    "Observation": [
        "status:missing=true", "status:missing=false", "date:missing=true",
        "code=718-7", "code=http://loinc.org|777-3", "code=718-7,4544-3", "code:not=718-7", "status=final",
        "status:not=final", "category=laboratory", "patient=ID0", "subject=Patient/ID1", "subject:Patient=ID1",
        "date=ge2026-03-02", "date=2026-03-01", "date=lt2026-03-02", "value-quantity=gt5.0", "value-quantity=5.4",
        "value-quantity=lt6||g/L", "combo-code=777-3", "_id=OBS3", "_lastUpdated=gt2026-03-05T02:02:00Z",
        "identifier=F20", "value-quantity:missing=true", "patient.gender=male", "patient.name=李",
        "subject:Patient.birthdate=lt1990", "patient:Patient.identifier=P1", "based-on:missing=true",
        "value-string:contains=见", "value-string=未见", "code:missing=false", "component-code=777-3",
        "_has:DiagnosticReport:result:status=final",
    ],
    "Patient": [
        "gender=male", "name=张", "name:contains=丽", "family:exact=李", "birthdate=1980-02-29", "birthdate=ge1990",
        "identifier=P1", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|P0",
        "active:missing=true",
        "_has:Observation:patient:code=777-3", "_has:Observation:subject:status=preliminary", "_id=ID2",
    ],
    "ServiceRequest": [
        "status=active", "authored=ge2026-03-01", "identifier=O1", "subject.gender=female", "code=58410-2",
        "patient.identifier=P0", "intent=order",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def ward(tmp_path_factory: Any) -> Iterator[Ward]:
    engine = SqliteEngine(tmp_path_factory.mktemp("alone") / "record.sqlite", schema="record")
    made = Ward(engine)
    people = [
        patient("P0"),
        patient("P1", gender="female", name=[{"text": "李丽", "family": "李", "given": ["丽"]}], birthDate="1992-05"),
        patient("P2", gender="other", birthDate="2001"),
    ]
    for number, person in enumerate(people):
        made.apply(put(person, "urn:p"))
        mrn = person["identifier"][0]["value"]
        made.apply(put(person, "urn:p"), put(order(f"O{number}"), "urn:o"))
        found = [
            put(observation(f"F{number}{place}", **more), f"urn:f{place}")
            for place, more in enumerate(
                [
                    {},
                    {"code": coded("777-3"), "effectiveDateTime": "2026-03-02"},
                    {"status": "preliminary", "effectiveDateTime": "2026-03"},
                    {"valueQuantity": None, "valueString": "未见异常"},
                    {"component": [{"code": coded("777-3")}]},
                ][: 3 + number]
            )
        ]
        for entry in found:
            entry["resource"] = {name: value for name, value in entry["resource"].items() if value is not None}
        made.apply(put(person, "urn:p"), *found)
        assert mrn
    yield made
    engine.close()


def named(ward: Ward, text: str) -> str:
    """With the ids that the record gave in place of ID0, OBS3 …"""
    people = [each.id for each in ward.record.search("Patient", "_sort=identifier").matches]
    observations = [each.id for each in ward.record.search("Observation", "_sort=identifier").matches]
    for number, key in enumerate(people):
        text = text.replace(f"ID{number}", key)
    return text.replace("OBS3", observations[3])


def check(ward: Ward, type: str, criteria: list[str]) -> None:
    text = named(ward, "&".join(criteria))
    asked, alone = question(type, text), Alone()
    expected = ward.ids(type, f"{text}&_count=1000")
    every = ward.record.search(type, "_count=1000").matches
    assert every
    with ward.engine.reading() as reader:
        found = {each.id for each in every if alone.found(asked, each, reader)}
    assert found == expected


@pytest.mark.parametrize(("type", "criteria"), [(kind, each) for kind, every in CRITERIA.items() for each in every])
def test_each_criterion(ward: Ward, type: str, criteria: str) -> None:
    check(ward, type, [criteria])


@given(
    asked=st.sampled_from(sorted(CRITERIA)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.lists(st.sampled_from(CRITERIA[kind]), max_size=4))
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_of_them_together(ward: Ward, asked: tuple[str, list[str]]) -> None:
    check(ward, *asked)


@pytest.mark.parametrize(
    "criteria",
    ["nonsense=1", "_sort=date", "_count=3", "_include=Observation:subject", "date=yesterday", "code:above=1",
     "_summary=true", "patient.nonsense=1", "_text=x", "_elements=code", "_unknown=1"],
)  # fmt: skip
def test_what_cannot_be_asked_of_one_resource_is_refused(criteria: str) -> None:
    with pytest.raises(Permanent):
        question("Observation", criteria)


def test_the_cost_does_not_grow_with_the_record(ward: Ward) -> None:
    """No statement over the record is run but for what a chain leads to."""

    class Counting:
        asked = 0

        def execute(self, sql: str, parameters: Any = ()) -> list[Any]:
            self.asked += 1
            with ward.engine.reading() as reader:
                return reader.execute(sql, parameters)

    reader, alone = Counting(), Alone()
    for each in ward.record.search("Observation", "_count=1000").matches:
        alone.found(question("Observation", "date=ge2020&value-quantity=gt1&code=718-7"), each, reader)
    assert reader.asked == 0
