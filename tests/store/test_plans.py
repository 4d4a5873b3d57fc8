"""How the database walks: the common searches look things up in an index, with statistics and without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.db.sqlite import SqliteEngine
from tests.store.conftest import Ward
from tests.store.samples import MRN, laboratory

BUNDLES = 200  # of 12 resources
SCAN = re.compile(r"SCAN (?!few|listed|there|CONSTANT ROW|\d+ CONSTANT)")
PATIENT = "resource_patient"

# (type, query, index that leads)
SEARCHES = [
    ("Patient", f"identifier={MRN}|P5", "index_token"),
    ("Patient", "identifier=P5&_sort=-_lastUpdated", "index_token"),
    ("Patient", "name=张", "index_string"),
    ("Patient", "name=zhangwei", "index_string"),
    ("Patient", "family=张&birthdate=1980-02-29", "index_string"),
    ("Patient", "_id=a,b", "resource_id"),
    ("Patient", "_has:Observation:patient:code=718-7&_count=5", "index_code"),
    ("Observation", "patient={patient}&code=718-7&date=ge2026-01-01&_sort=-date", PATIENT),
    ("Observation", "patient={patient}&_sort=_lastUpdated", PATIENT),
    ("Observation", "subject=Patient/{patient}", PATIENT),
    ("Observation", "patient={patient}&category=laboratory&_sort=-date", PATIENT),
    ("Observation", "patient.identifier=P5", PATIENT),
    ("Observation", "patient:Patient.name=zw&code=718-7", "index_string"),
    ("Observation", "code=718-7&_sort=-date", "index_code"),
    ("Observation", "code=http://loinc.org|718-7&_sort=-date&_count=20", "index_code"),
    ("Observation", "code-value-quantity=718-7$gt5", "index_quantity"),
    ("Observation", "code-value-quantity=http://loinc.org|718-7$gt5||g/L", "index_quantity"),
    ("Observation", "encounter=Encounter/1", "index_reference"),
    ("Observation", "_lastUpdated=gt2026-03-01", "resource_updated"),
    ("Observation", "date=2026-03-01", "resource_date"),
    ("Observation", "_count=100", "resource_id"),
    ("DiagnosticReport", "patient={patient}&_sort=-date&_count=5", PATIENT),
    ("DiagnosticReport", "based-on=ServiceRequest/1", "index_reference"),
    ("DiagnosticReport", "based-on.identifier=5-5", "index_token"),
    ("DiagnosticReport", "identifier=5-5&_include=DiagnosticReport:result", "index_token"),
    ("Encounter", "patient={patient}&status=in-progress", PATIENT),
    ("ServiceRequest", "status=active&_sort=authored", "resource_open"),
    ("Task", "status=requested&owner=Organization/1", "resource_open"),
    ("ImagingStudy", "identifier=ACC1", "index_token"),
    ("Patient", "identifier=P5&_revinclude=Observation:subject&_revinclude=DiagnosticReport:patient", PATIENT),
    ("ServiceRequest", "identifier=5-5&_revinclude=DiagnosticReport:based-on", "SEARCH f USING PRIMARY KEY"),
    ("Encounter", "identifier=5-5&_revinclude=*", "SEARCH f USING PRIMARY KEY"),
]


class Spy:
    """A reader that remembers its statements."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.asked: list[tuple[str, Any]] = []

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        self.asked.append((sql, parameters))
        return self.reader.execute(sql, parameters)


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def hospital(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Ward]:
    """2,400 resources of 50 patients."""
    engine = SqliteEngine(tmp_path_factory.mktemp("plans") / "record.sqlite", schema="record")
    ward = Ward(engine)
    for number in range(0, BUNDLES, 10):
        ward.apply(*(entry for each in range(number, number + 10) for entry in laboratory(each % 50, each)["entry"]))
    if request.param == "with statistics":
        with engine.transaction() as transaction:
            transaction.execute("ANALYZE")
    yield ward
    engine.close()


@pytest.mark.parametrize(("type", "query", "index"), SEARCHES)
def test_common_searches_are_look_ups(hospital: Ward, type: str, query: str, index: str) -> None:
    (patient,) = hospital.ids("Patient", "identifier=P5")
    with hospital.engine.reading() as reader:
        spy = Spy(reader)
        hospital.record.search(type, query.replace("{patient}", patient), reader=spy)
        plans = [[row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {sql}", values)] for sql, values in spy.asked]
    steps = [step for plan in plans for step in plan]
    assert not [step for step in steps if SCAN.match(step)], plans
    assert any(index in step for step in steps), plans


@pytest.mark.parametrize(
    "query", ["patient.name=张&category=laboratory", "code=718-7&category=laboratory", "date=2026"]
)
def test_a_page_and_its_total_ask_nothing_twice(hospital: Ward, query: str) -> None:
    with hospital.engine.reading() as reader:
        spy = Spy(reader)
        page = hospital.record.search("Observation", f"{query}&_count=1", reader=spy)
    assert page.next  # so the total is a question of its own
    assert len(spy.asked) == len(set(spy.asked)) >= 2
