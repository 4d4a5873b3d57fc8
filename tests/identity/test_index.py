"""Who an arriving Patient is, asked of a real record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.db.engine import Engine, Reader
from gateway.fhir import bundle
from gateway.identity.index import (
    BLOCK,
    BY_CARD,
    BY_KEY,
    BY_NAME_AND_BIRTH,
    BY_NUMBER,
    BY_RID,
    QUESTIONS,
    likely,
    resolve,
)
from gateway.store.record import Record
from tests.engines import SQLITE_ONLY, Engines

NATIONAL = "urn:oid:2.16.156.10011.1.3"
AT = datetime(2026, 3, 1, tzinfo=UTC)
ONE = "11010519491231002X"
OTHER = "440524188001010014"


def patient(*numbers: tuple[str, str], **elements: Any) -> dict[str, Any]:
    identifiers = [{"system": system, "value": value} for system, value in numbers]
    return {"resourceType": "Patient", "identifier": identifiers, "name": [{"text": "张伟"}], **elements}


@pytest.fixture
def engine(tmp_path: Path, engines: Engines):
    engine = engines.open(tmp_path, "record")
    yield engine
    engine.close()


def store(engine: Engine, *patients: dict[str, Any]) -> list[str]:
    entries = [
        bundle.entry(each, f"urn:uuid:{i}", {"method": "POST", "url": "Patient"}) for i, each in enumerate(patients)
    ]
    with engine.transaction() as transaction:
        done = Record(engine).apply(transaction, bundle.transaction(entries), at=AT)
    return [outcome.reference.removeprefix("Patient/") for outcome in done.outcomes]


def ask(engine: Engine, arriving: dict[str, Any], *, authoritative: bool = True):
    with engine.reading() as reader:
        return resolve(reader, arriving, authoritative=authoritative)


def test_nobody_known_is_new(engine: Engine) -> None:
    assert ask(engine, patient(("urn:a", "1"))).kind == "new"


def test_a_local_number_or_a_national_id_finds_the_person(engine: Engine) -> None:
    (known,) = store(engine, patient(("urn:a", "1"), (NATIONAL, ONE)))
    for arriving in (
        patient(("urn:a", "1")),
        patient((NATIONAL, ONE)),
        patient((NATIONAL, ONE.lower()), ("urn:b", "9")),
    ):
        decision = ask(engine, arriving)
        assert (decision.kind, decision.patient_id) == ("same", known)
    assert ask(engine, patient(("urn:b", "1"))).kind == "new"


def test_an_old_national_id_finds_the_long_one(engine: Engine) -> None:
    (known,) = store(engine, patient((NATIONAL, ONE)))
    decision = ask(engine, patient((NATIONAL, "110105491231002")))
    assert (decision.kind, decision.patient_id) == ("same", known)


def test_the_same_number_with_another_national_id(engine: Engine) -> None:
    (known,) = store(engine, patient(("urn:a", "1"), (NATIONAL, ONE)))
    arriving = patient(("urn:a", "1"), (NATIONAL, OTHER), name=[{"text": "李四"}])
    assert ask(engine, arriving).kind == "new"
    doubtful = ask(engine, arriving, authoritative=False)
    assert (doubtful.kind, doubtful.candidates) == ("ask", (known,))


def test_a_retired_patient_speaks_for_its_survivor(engine: Engine) -> None:
    retired = patient(
        ("urn:a", "1"), active=False, link=[{"type": "replaced-by", "other": {"reference": "urn:uuid:1"}}]
    )
    _, survivor = store(engine, retired, patient(("urn:a", "2")))
    decision = ask(engine, patient(("urn:a", "1")))
    assert (decision.kind, decision.patient_id) == ("same", survivor)
    both = ask(engine, patient(("urn:a", "1"), ("urn:a", "2")))
    assert (both.kind, both.patient_id) == ("same", survivor)


def test_a_merge_of_a_merge_is_followed(engine: Engine) -> None:
    def retired(number: str, heir: int) -> dict[str, Any]:
        link = [{"type": "replaced-by", "other": {"reference": f"urn:uuid:{heir}"}}]
        return patient(("urn:a", number), active=False, link=link)

    *_, last = store(engine, retired("1", 1), retired("2", 2), patient(("urn:a", "3")))
    assert ask(engine, patient(("urn:a", "1"))).patient_id == last


def test_a_namesake_is_only_noted(engine: Engine) -> None:
    store(engine, patient(("urn:a", "1"), birthDate="1980-02-29"))
    decision = ask(engine, patient(("urn:b", "7"), birthDate="1980-02-29"))
    assert (decision.kind, decision.reasons) == ("new", ("namesake",))


@pytest.mark.parametrize("sql", [BY_NUMBER, BY_CARD, BY_RID, BY_KEY, BY_NAME_AND_BIRTH])
@SQLITE_ONLY
def test_questions_are_index_look_ups(engine: Engine, sql: str) -> None:
    with engine.reading() as reader:
        plan = [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {sql}", (1, "x", 2)[: sql.count("?")])]
    assert not [step for step in plan if "SCAN" in step], plan


class Counting:
    """A reader that counts what it is asked."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.count, self.octets = reader, 0, 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        self.count += 1
        rows = self.reader.execute(sql, values)
        self.octets += sum(len(value) for row in rows for value in row if isinstance(value, bytes))
        return rows


def test_a_question_costs_the_same_however_many_people_share_something(engine: Engine) -> None:
    """A telephone of a whole village, a birth date of all whose age alone is known, one name for everybody."""
    crowd = [
        patient((f"urn:{number}", "1"), birthDate="1950-01-01", telecom=[{"system": "phone", "value": "0871-65123456"}])
        for number in range(3 * BLOCK)
    ]
    store(engine, *crowd)
    newcomer = patient(("urn:x", "9"), birthDate="1950-01-01", telecom=[{"system": "phone", "value": "087165123456"}])
    with engine.reading() as reader:
        counting = Counting(reader)
        found = likely(counting, newcomer)
    assert 0 < len(found) <= QUESTIONS * BLOCK
    assert counting.count <= QUESTIONS + 1 + len(found) * 2
    assert all("phone-shared" not in each.score.reasons for each in found)
    assert all(each.score.verdict != "link" for each in found)


def test_a_patient_of_many_numbers_is_read_once(engine: Engine) -> None:
    """Else what it costs grows with their square: thousands of numbers make it large, too."""
    many = patient(*((f"urn:{number}", "1") for number in range(500)))
    (stored,) = store(engine, many)
    with engine.reading() as reader:
        counting = Counting(reader)
        decision = resolve(counting, many, authoritative=True)
        body = reader.execute(BY_RID, (1,))[0][1]
    assert decision.patient_id == stored
    assert len(body) <= counting.octets <= 2 * len(body)
