"""The facts of the community in the stored record: all messages of the day, processed one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from gateway import config
from gateway.db.sqlite import SqliteEngine
from gateway.formats import Formats
from gateway.inbound import Processor
from gateway.model import Channel, Entry, Frame, Member, Resource
from gateway.store.record import Record
from tests.mapping.house import FIXTURES, maps
from tests.mapping.test_facts import EXPECTED, LABORATORY, codes, interpretation, national, numbers

MESSAGES = sorted(FIXTURES.glob("*.hl7"))
CSV = Channel(id="files", transport="files", format="delimited")
START = datetime(2026, 3, 21, tzinfo=UTC)


class Stored:
    """A record into which documents are processed, without a process or a clock."""

    def __init__(self, home: Path) -> None:
        self.engine = SqliteEngine(home / "record.sqlite", schema="record")
        community = config.starter()
        self.formats = Formats(community, maps())
        self.record = Record(self.engine)
        channels: dict[str, tuple[Member | None, Channel]] = {"files": (None, CSV)}
        self.minute = 0
        self.processor = Processor(
            community=community, formats=self.formats, record=self.record, channels=channels, now=self.now
        )

    def now(self) -> datetime:
        self.minute += 1
        return START + timedelta(minutes=self.minute)

    def take(self, path: Path) -> None:
        channel = CSV if path.suffix == ".csv" else None
        frame = Frame(channel=channel.id if channel else "mllp", body=path.read_bytes(), peer="t", received_at=START)
        look = self.formats.look(frame, channel, None)
        assert look.error is None
        entry = Entry(
            id=self.minute + 1, frame=frame, member=look.member.id, format=look.format, charset=look.charset,
            control_id=look.control_id,
        )  # fmt: skip
        with self.engine.transaction() as transaction:
            self.processor.process(transaction, entry)

    def all(self, type_: str, query: str = "") -> list[Resource]:
        return [each.resource for each in self.record.search(type_, f"{query}&_count=1000".lstrip("&")).matches]

    def get(self, pointer: dict[str, str]) -> Resource:
        found = self.record.read(*pointer["reference"].split("/"))
        assert found is not None
        return found.resource


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    made = Stored(tmp_path_factory.mktemp("record"))
    merge, *others = sorted(MESSAGES, key=lambda path: not path.name.startswith("12"))  # it repeats an older phone
    for path in (merge, *others, FIXTURES / "lab_shiqiao_20260312.csv"):
        made.take(path)
    yield made
    made.engine.close()


def test_every_person_is_there_once_for_each_member(stored: Stored) -> None:
    by_id: dict[str, set[str]] = {}
    for patient in stored.all("Patient"):
        for number in national(patient):
            by_id.setdefault(number, set()).add(patient["name"][0]["text"])
    for facts in EXPECTED.values():
        if not (wanted := facts.get("patient") or facts.get("survivor")):
            continue
        assert wanted["name"] in by_id[wanted["id"]]
    for wanted in LABORATORY["patients"]:
        for identifier in wanted["identifiers"]:
            if identifier["type"] == "居民身份证":
                assert by_id[identifier["value"]] == {wanted["name"]}
    assert by_id["529901197506180318"] == by_id["529901197506180334"] == {"张伟"}  # two persons of one name


def test_the_order_and_its_report_are_one_story(stored: Stored) -> None:
    (order,) = stored.all("ServiceRequest", "identifier=LHX20260311001")
    (report,) = stored.all("DiagnosticReport", "identifier=CT260311088")
    facts = EXPECTED["08_oru_r01_ct_report.hl7"]["report"]
    assert stored.get(report["basedOn"][0])["id"] == order["id"]
    assert order["status"] == "completed"
    assert order["authoredOn"] == EXPECTED["05_orm_o01_ct_order.hl7"]["ServiceRequest"]["authoredOn"]
    assert (report["status"], report["issued"], report["conclusion"]) == (
        facts["status"], facts["issued"], facts["conclusion"],
    )  # fmt: skip
    assert facts["findings"] in [stored.get(each).get("valueString") for each in report["result"]]
    assert stored.get(report["imagingStudy"][0])["identifier"][0]["value"].endswith(facts["study_uid"])


def test_the_critical_results_as_they_were_sent(stored: Stored) -> None:
    for wanted in EXPECTED["07_oru_r01_lab_critical.hl7"]["observations"]:
        (result,) = stored.all("Observation", f"code=urn:hutong:code:12529901MB9900013D:L|{wanted['code']}")
        if "value" in wanted:
            assert result["valueQuantity"]["value"] == Decimal(str(wanted["value"]))
            assert result["valueQuantity"].get("comparator") == wanted.get("comparator")
            assert interpretation(result) == wanted["interpretation"]
        else:
            assert codes(result["valueCodeableConcept"]) == [wanted["coded"]]


def test_an_update_changed_the_patient_and_kept_the_rest(stored: Stored) -> None:
    facts = EXPECTED["03_adt_a08_update.hl7"]["patient"]
    patient = next(
        each for each in stored.all("Patient") if any(number["value"] == "SQ000102" for number in each["identifier"])
    )
    assert [each["value"] for each in patient["telecom"]] == [facts["phone"]]
    assert facts["address_contains"] in patient["address"][0]["text"]
    assert patient["birthDate"] == facts["birthDate"]


def test_a_merge_keeps_both_and_links_them(stored: Stored) -> None:
    retired = next(each for each in stored.all("Patient") if each.get("active") is False)
    survivor = stored.get(retired["link"][0]["other"])
    assert retired["identifier"][0]["value"] == EXPECTED["12_adt_a40_merge.hl7"]["merged"]["local"]
    assert national(survivor) == [EXPECTED["12_adt_a40_merge.hl7"]["survivor"]["id"]]
    assert any(link["type"] == "replaces" for link in survivor["link"])


def test_all_of_the_laboratory_file(stored: Stored) -> None:
    numbered = [each for each in stored.all("DiagnosticReport") if numbers(each, "FILL")]
    reports = {numbers(each, "FILL")[0]: each for each in numbered}
    applications = {each["application"] for each in LABORATORY["reports"]}
    assert applications <= set(reports)
    results = {name: [stored.get(each) for each in reports[name]["result"]] for name in applications}
    assert sum(map(len, results.values())) == len(LABORATORY["observations"])
    for wanted in LABORATORY["observations"]:
        result = next(each for each in results[wanted["report"]] if codes(each["code"])[0] == wanted["item"])
        value = wanted["value"]
        assert interpretation(result) == wanted["interpretation"]
        if "quantity" in value:
            assert result["valueQuantity"]["value"] == value["quantity"]
            assert result["valueQuantity"].get("comparator") == value["comparator"]
        else:
            assert value["text"] in (result.get("valueString"), result.get("valueCodeableConcept", {}).get("text"))
    specimens = {each["identifier"][0]["value"] for each in stored.all("Specimen")}
    assert len([each for each in specimens if each.startswith("SQL")]) == LABORATORY["counts"]["Specimen"]
    assert reports["SQL202603120004"]["specimen"] == reports["SQL202603120005"]["specimen"]


def test_everything_again_changes_nothing(stored: Stored) -> None:
    before = {type_: [(each["id"], each["meta"]["versionId"]) for each in stored.all(type_)] for type_ in TYPES}
    again = [each for each in MESSAGES[4:] if not each.name.startswith("12")]
    for path in (*again, FIXTURES / "lab_shiqiao_20260312.csv"):
        stored.take(path)
    assert {type_: [(each["id"], each["meta"]["versionId"]) for each in stored.all(type_)] for type_ in TYPES} == before


TYPES = (
    "Patient",
    "ServiceRequest",
    "DiagnosticReport",
    "Observation",
    "Specimen",
    "Encounter",
    "Condition",
    "Practitioner",
)
