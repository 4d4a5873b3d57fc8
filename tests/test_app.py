"""The processes: what falls is up again, what must not run twice does not, what was acknowledged is never lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from conformance.gateway import Gateway
from conformance.message import Message
from conformance.receivers import Hospital, acknowledgement
from gateway import config
from gateway.app.back import organization
from gateway.app.processes import alone
from gateway.app.translator import Translator
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Configuration
from gateway.journal.intake import Intake, Verdict
from gateway.journal.ledger import Ledger
from gateway.model import Frame
from tests import community
from tests.journal.databases import NOW
from tests.rooms import MAPS, House

PROGRAM = [sys.executable, "-m", "gateway"]
Found = TypeVar("Found")


class Service(Gateway):
    """A gateway process whose parts can be ended one by one."""

    def __init__(self, home: Path, **changes: object) -> None:
        settings = community.write(home / "community", **changes)  # type: ignore[arg-type]
        super().__init__(PROGRAM, home, config=settings)

    @property
    def front(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def worker(self) -> int:
        """The process id of the worker, once there is one."""
        return until(lambda: next(iter(children(self.front)), 0))

    def end(self, number: int) -> None:
        """A signal to the front alone; it has ended when this returns."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()

    def standing(self, subscription: str) -> dict[str, int]:
        """State → how many deliveries."""
        known = self.get("/operations/status")["deliveries"]
        return dict(known[subscription]["counts"]) if subscription in known else {}

    def again(self) -> subprocess.CompletedProcess[str]:
        """Another one over the same data directory, on other ports."""
        doors = ["--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0"]
        command = [*PROGRAM, "serve", "--data", str(self.data), *self._config, *doors]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def reports(self) -> int:
        return self.count("DiagnosticReport?status=final")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Hospital]]:
    """A gateway and a receiver that no test ends."""
    with (
        Hospital() as hospital,
        Service(tmp_path_factory.mktemp("shared"), county=hospital.address) as gateway,
    ):
        gateway.start()
        yield gateway, hospital


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[tuple[Service, Hospital]]:
    """A gateway of the test's own, to be ended."""
    with Hospital() as hospital, Service(tmp_path, county=hospital.address) as gateway:
        gateway.start()
        yield gateway, hospital


def until(look: Callable[[], Found], seconds: float = 60.0) -> Found:
    """What must come; how soon, depends on the machine."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(status.parent.name))
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def family(service: Service) -> list[int]:
    """The worker and what it started."""
    return [service.worker, *children(service.worker)]


# ------------------------------------------------------------------------------------------------ starting


@pytest.mark.slow
def test_two_gateways_never_share_a_data_directory(shared: tuple[Service, Hospital]) -> None:
    service, _ = shared
    second = service.again()
    assert second.returncode == 1
    assert "another gateway runs over this data directory" in second.stderr
    assert service.status_of("/health") == 200


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_and_nothing_stays_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option, other in (("--http", "--mllp"), ("--mllp", "--http")):
            command = [
                *PROGRAM,
                "serve",
                "--data",
                str(tmp_path / option),
                option,
                f"127.0.0.1:{port}",
                other,
                "127.0.0.1:0",
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1
            assert f"127.0.0.1:{port}" in done.stderr
            assert "cannot be opened" in done.stderr
            assert not (tmp_path / option / "worker.lock").exists()  # no worker was ever started


@pytest.mark.slow
def test_a_mistake_in_the_settings_is_said_once(tmp_path: Path) -> None:
    settings = community.write(tmp_path / "community")
    settings.write_text("id: x\nname: y\nopne: true\n", "utf-8")
    command = [*PROGRAM, "serve", "--config", str(settings), "--data", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.count("opne") == 1


def test_only_one_holds_a_lock_and_the_next_waits_for_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with alone(file, remedy="stop it"), pytest.raises(Configuration, match="another gateway"), alone(file, remedy="-"):
        pass
    first = alone(file, remedy="-")
    first.__enter__()
    threading.Timer(0.2, first.__exit__, (None, None, None)).start()
    with alone(file, remedy="-", patience=5.0):
        pass


def test_a_member_as_an_organization(tmp_path: Path) -> None:
    known = config.load(community.write(tmp_path))
    made = organization(known.members["qinghe"])
    assert made["name"] == "清河镇卫生院"
    assert [each["value"] for each in made["identifier"]] == ["12529901MB990011XK", "qinghe"]


# ------------------------------------------------------------------------------------------------ falling


@pytest.mark.slow
def test_the_front_goes_on_without_its_worker_and_gets_a_new_one(mortal: tuple[Service, Hospital]) -> None:
    service, _ = mortal
    for number in range(2):
        fallen = service.worker
        os.kill(fallen, signal.SIGKILL)
        assert service.send(community.result(f"L{number}", report=f"F{number}")).one("MSA", 1) == "AA"
        until(lambda gone=fallen: service.worker != gone)
        until(lambda count=number + 1: service.reports() == count)
    assert "worker fell" in service.log.read_text("utf-8")


@pytest.mark.slow
def test_a_worker_never_outlives_its_front(mortal: tuple[Service, Hospital]) -> None:
    service, _ = mortal
    service.send(community.result("L1", report="F1"))
    left = until(lambda: found if len(found := family(service)) > 1 else None)
    service.end(signal.SIGKILL)
    service.start()  # although the old worker may still be there
    until(lambda: not any(map(runs, left)))
    service.send(community.result("L2", report="F2"))
    until(lambda: service.reports() == 2)


@pytest.mark.slow
def test_killed_in_the_middle_of_everything(mortal: tuple[Service, Hospital]) -> None:
    """kill -9 again and again while messages come in and deliveries go out: each is in the record once, at the
    receiver at least once, and never under two numbers."""
    service, county = mortal
    for life in range(3):
        for number in range(6):
            assert service.send(community.result(f"L{life}-{number}", report=f"F{life}{number}")).one("MSA", 1) == "AA"
        county.wait(6 * life + 1 + life)  # in the middle of the deliveries
        service.kill()
        service.start()
    until(lambda: service.reports() == 18)
    until(lambda: {message.report for message in county.received} >= {f"F{a}{b}" for a in range(3) for b in range(6)})
    numbers: dict[str, set[str]] = {}
    for message in county.received:
        numbers.setdefault(message.report, set()).add(message.control_id)
    assert all(len(found) == 1 for found in numbers.values())
    first = list(dict.fromkeys(message.report for message in county.received))
    assert first == sorted(first)  # all of one patient: in order


@pytest.mark.slow
def test_stopped_under_load(mortal: tuple[Service, Hospital]) -> None:
    """SIGTERM while four connections send: it ends in less than 10 s, and what it acknowledged is there afterwards."""
    service, _ = mortal
    taken: list[str] = []
    stopping = threading.Event()

    def send(line: int) -> None:
        for number in range(10_000):
            name = f"T{line}{number:04d}"
            try:
                answers = service.raw(
                    (b"\x0b" + community.result(name, number=f"P{line}", report=name) + b"\x1c\r",), 1
                )
            except OSError:
                return
            if not answers or stopping.is_set():
                return
            taken.append(answers[0].one("MSA", 2))

    senders = [threading.Thread(target=send, args=(line,)) for line in range(4)]
    for each in senders:
        each.start()
    until(lambda: len(taken) > 40)
    began = time.monotonic()
    assert service.stop() == ""
    assert time.monotonic() - began < 60
    stopping.set()
    for each in senders:
        each.join()
    assert len(taken) > 40
    service.start()
    until(lambda: service.reports() >= len(set(taken)))
    for name in taken[:: max(1, len(taken) // 20)]:
        assert service.count(f"DiagnosticReport?identifier={name}") == 1


# ------------------------------------------------------------------------------------------------ receivers


@pytest.mark.slow
def test_messages_are_taken_while_the_record_is_indexed_anew(mortal: tuple[Service, Hospital]) -> None:
    """As at the first start of a program that indexes otherwise; here it has to wait for the record."""
    service, hospital = mortal
    assert service.send(community.result("L1", number="C1", report="F1")).one("MSA", 1) == "AA"
    hospital.wait(1)
    until(lambda: service.entries().get("done") == 1)
    assert service.stop() == ""
    with contextlib.closing(sqlite3.connect(service.data / "record.sqlite", isolation_level=None)) as record:
        record.execute("UPDATE index_edition SET edition = 1")
        record.execute("DELETE FROM index_code")
        record.execute("BEGIN IMMEDIATE")
        starting = threading.Thread(target=service.start)
        starting.start()
        until(lambda: health(service) == "indexing")
        assert service.send(community.result("L2", number="C2", report="F2")).one("MSA", 1) == "AA"
        assert service.status_of("/fhir/DiagnosticReport?status=final") == 503
        asks = b"QBP^Q22^QBP_Q21|Q1|P|2.5.1\rQPD|Q22^Find Candidates^HL7|T1|@PID.5.1^\xe8\xb5\xb5\rRCP|I\r"
        question = b"MSH|^~\\&|HIS|COUNTY|GW|SANHE|20260312080000||" + asks
        answer = service.send(question)
        assert (answer.one("MSA", 1), answer.one("ERR", 3)[:3]) == ("AE", "207")
        record.execute("ROLLBACK")
        starting.join()
    until(lambda: service.entries().get("done") == 3)
    assert service.reports() == 2


def health(service: Service) -> str:
    """What it says of itself; "" while nobody answers."""
    try:
        return str(service.get("/health")["status"])
    except OSError:
        return ""


@pytest.mark.slow
def test_a_receiver_that_is_away_gets_everything_in_order_when_it_is_back(shared: tuple[Service, Hospital]) -> None:
    service, county = shared
    before = len(county.received)
    county.down()
    for number in range(5):
        service.send(community.result(f"A{number}", number="A1", report=f"FA{number}"))
    until(lambda: service.standing("county-laboratory").get("waiting") == 5)
    county.up()
    assert [message.report for message in county.wait(before + 5)[before:]] == [f"FA{number}" for number in range(5)]


@pytest.mark.slow
def test_a_report_that_a_fhir_client_writes_reaches_who_asked_for_it(shared: tuple[Service, Hospital]) -> None:
    service, county = shared
    patient, observation = (
        "urn:uuid:1cf1a7d0-0000-4000-8000-000000000001",
        "urn:uuid:1cf1a7d0-0000-4000-8000-000000000002",
    )
    glucose = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}], "text": "葡萄糖"}
    laboratory = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}
    about = {"status": "final", "code": glucose, "subject": {"reference": patient}}
    number = [{"system": "urn:hutong:id:APP", "value": "FHIR1"}]
    report = {"resourceType": "DiagnosticReport", "category": [laboratory], "identifier": number, **about}
    resources = (
        (patient, {"resourceType": "Patient", "name": [{"text": "周九"}], "identifier": number}),
        (observation, {"resourceType": "Observation", "valueQuantity": {"value": 5.4, "unit": "mmol/L"}, **about}),
        ("", {**report, "result": [{"reference": observation}]}),
    )
    entries = [
        {"resource": each, "request": {"method": "POST", "url": each["resourceType"]}}
        | ({"fullUrl": url} if url else {})
        for url, each in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    before = len(county.received)
    status, _ = service.post("/fhir", json.dumps(bundle).encode(), "application/fhir+json")
    assert status == 200
    message = county.wait(before + 1)[before]
    assert (message.name_of_patient, message.results) == ("周九", ["5.4"])


@pytest.mark.slow
def test_a_message_that_is_refused_for_ever_stops_nobody_and_can_be_replayed(shared: tuple[Service, Hospital]) -> None:
    """R9: refused as often as the settings say it is a dead letter; the others went by; replay brings it."""
    service, county = shared
    poison = {"F1"}

    def answer(message: Message) -> bytes:
        return acknowledgement(message, "AE" if message.report in poison else "AA", "no such order")

    county.answer = answer
    for number, patient in enumerate(("C1", "C1", "C2", "C1")):
        name = "赵^六" if patient == "C1" else "孙^八"
        service.send(community.result(f"L{number}", number=patient, report=f"F{number}", name=name))
    dead = until(lambda: service.get("/operations/deliveries?state=dead")["deliveries"])
    assert [(each["subscription"], each["attempts"]) for each in dead] == [("county-laboratory", 2)]
    assert "no such order" in dead[0]["cause"]
    until(lambda: {"F0", "F2", "F3"} <= {message.report for message in county.received})
    poison.clear()
    done = service._run("replay", "--data", str(service.data), "--delivery", str(dead[0]["id"]))
    assert done == ""
    tries = until(lambda: found if len(found := [each for each in county.received if each.report == "F1"]) == 3 else [])
    assert len({message.control_id for message in tries}) == 1
    until(lambda: set(service.standing("county-laboratory")) == {"done"})


# ------------------------------------------------------------------------------------------------ ahead


@pytest.fixture
def journalled(tmp_path: Path) -> Iterator[list[int]]:
    """Four messages in a journal of the data directory; the third is none."""
    (tmp_path / "data").mkdir()
    engine = SqliteEngine(tmp_path / "data" / "journal.sqlite", schema="journal")
    intake = Intake(engine)
    intake.start()
    bodies = [community.result("L1"), community.result("L2"), b"nothing", community.result("L4")]
    yield [
        intake.write_now(
            Frame(channel="mllp", body=body, peer="-", received_at=NOW), Verdict(member="lab", format="hl7v2")
        ).entry_id
        for body in bodies
    ]
    intake.close()
    engine.close()


@pytest.mark.slow
def test_translations_ahead_are_those_that_would_be_made(tmp_path: Path, journalled: list[int]) -> None:
    ahead = Translator(config=None, data=tmp_path / "data")
    try:
        ahead.ask(journalled)
        ahead.ask(journalled)  # asking twice is asking once
        assert [ahead.fetch(entry) is not None for entry in journalled] == [True, True, False, True]
        assert ahead.fetch(journalled[0]) is None  # given once
        ahead.ask(journalled[:2])
        ahead.ask(journalled[3:])  # the others are forgotten
        made = ahead.fetch(journalled[3])
        assert made is not None
        assert made["type"] == "transaction"
        assert {each["resource"]["resourceType"] for each in made["entry"]} >= {"Patient", "DiagnosticReport"}
        assert ahead.fetch(99) is None
    finally:
        ahead.close()
    assert MAPS.library.structures  # the same maps serve both


def test_without_the_child_the_worker_does_it_itself(tmp_path: Path, journalled: list[int]) -> None:
    ahead = Translator(config=None, data=tmp_path / "data")
    ahead.ask(journalled)
    ahead.close()
    assert [ahead.fetch(entry) for entry in journalled] == [None] * 4
    ahead.ask(journalled)
    assert ahead.fetch(journalled[0]) is None


FALLING = """
import os, sys, threading
from pathlib import Path
from gateway.app.rooms import open_rooms
from gateway.journal.suspect import Suspect
from gateway.worker import EntryDrain, Processed

def process(transaction, entry):
    if entry.id == 2:
        os._exit(11)
    return Processed(None)

data = Path(sys.argv[1])
rooms = open_rooms(config=None, data=data, process="worker")
suspect = Suspect(data / "in-work", fell=True)
stop = threading.Event()
drain = EntryDrain(journal=rooms.journal, record=rooms.record, process=process, stop=stop, suspect=suspect)
while drain.once():
    pass
"""


@pytest.mark.slow
def test_a_message_that_takes_the_worker_down_stops_nobody_else(tmp_path: Path) -> None:
    """What no `except` sees: the process ends in the middle of one message, every time. It is parked in the end."""
    house = House(tmp_path)
    try:
        bodies = [community.result(f"L{number}", number=f"C{number}", report=f"F{number}") for number in range(3)]
        for body in bodies:
            house.intake.write_now(
                Frame(channel="mllp", body=body, peer="-", received_at=NOW), Verdict(member="lab", format="hl7v2")
            )
        house.close()
        codes = [
            subprocess.run([sys.executable, "-c", FALLING, str(house.data)], timeout=60, check=False).returncode
            for _ in range(4)
        ]
        assert codes == [11, 11, 11, 0]
    finally:
        again = Ledger(
            SqliteEngine(house.data / "journal.sqlite", schema="journal"),
            SqliteEngine(house.data / "record.sqlite", schema="record"),
        )
    assert [(line.id, line.state) for line in again.entries()[::-1]] == [(1, "done"), (2, "parked"), (3, "done")]
    assert "fell again and again" in again.entries()[1].cause
    again.journal.close()
    again.record.close()
