"""The whole gateway over PostgreSQL: from HL7 v2 to a delivery, racing writers, kill -9, a server that restarts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance import databases
from conformance.fault import Fault, result, settled, until
from conformance.gateway import Gateway
from conformance.receivers import Hospital, acknowledgement

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
psycopg = pytest.importorskip("psycopg")

from gateway.db.postgresql import lock_number  # noqa: E402

PROGRAM = [sys.executable, "-m", "gateway"]


@pytest.fixture
def fault(server: databases.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fault:
    """A gateway whose environment names a namespace of its own."""
    monkeypatch.setenv("HUTONG_DATABASE", f"{server.url}?namespace=g{abs(hash(str(tmp_path))):x}")
    return Fault(tmp_path, PROGRAM)


def create(gateway: Gateway, number: str) -> int:
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:race", "value": number}]}
    headers = {
        "Authorization": f"Bearer {gateway.token}",
        "Content-Type": "application/fhir+json",
        "If-None-Exist": f"identifier=urn:race|{number}",
    }
    request = urllib.request.Request(f"{gateway.address}/fhir/Patient", json.dumps(body).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return int(answer.status)


def test_from_a_message_to_a_delivery_and_after_kill_9(fault: Fault) -> None:
    with Hospital() as hospital, fault.gateway(hospital.address) as gateway:
        for number in range(6):
            assert gateway.send(result(number)).one("MSA", 1) == "AA"
        hospital.wait(6)
        assert gateway.count("DiagnosticReport?status=final") == 6
        assert gateway.search("Patient?name=%E8%B5%B5")[0]["name"]
        assert not list((fault.home / "data").glob("*.sqlite*"))
        for number in range(6, 30):
            assert gateway.send(result(number)).one("MSA", 1) == "AA"
        gateway.kill()
        gateway.start()
        assert until(lambda: settled(gateway)) >= 0
        assert gateway.count("DiagnosticReport?status=final") == 30
        keys: dict[str, set[str]] = {}
        for message in hospital.received:
            keys.setdefault(message.report, set()).add(message.control_id)
        assert len(keys) == 30
        assert all(len(each) == 1 for each in keys.values())
        assert gateway.send(result(3)).one("MSA", 1) == "AA"  # the same again
        assert until(lambda: settled(gateway)) >= 0
        assert gateway.entries()["done"] == 30
        status = subprocess.run(
            [*PROGRAM, "status", "--data", str(gateway.data), "--json"], capture_output=True, text=True, check=True
        )
        assert json.loads(status.stdout)["totals"]["entries"]["done"] == 30
        assert gateway.stop() == ""


def test_sixteen_clients_that_race_leave_one(fault: Fault) -> None:
    with Hospital() as hospital, fault.gateway(hospital.address) as gateway, ThreadPoolExecutor(16) as pool:
        for number in ("a", "b", "c"):
            answers = list(pool.map(lambda _, number=number: create(gateway, number), range(16)))
            assert sorted(answers) == [200] * 15 + [201]
            assert gateway.count(f"Patient?identifier=urn:race|{number}") == 1


def test_a_second_gateway_over_the_same_database_is_refused(fault: Fault, tmp_path: Path) -> None:
    serve = [*PROGRAM, "serve", "--data", str(tmp_path / "second"), "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0"]
    with Hospital() as hospital, fault.gateway(hospital.address) as gateway:
        second = subprocess.run(serve, capture_output=True, text=True, timeout=60)
        assert second.returncode == 1
        assert f"process {gateway.process_id}" in second.stderr
        assert "Traceback" not in second.stderr
        assert gateway.send(result(1)).one("MSA", 1) == "AA"


def test_a_gateway_in_whose_place_another_is_ends(
    server: databases.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUTONG_DATABASE", f"{server.url}?namespace=displaced")
    lock = (lock_number("displaced gateway"),)
    with Hospital() as hospital, Fault(tmp_path, PROGRAM).gateway(hospital.address) as gateway:
        with psycopg.connect(server.url, autocommit=True) as other, psycopg.connect(server.url) as waiting:
            taken = threading.Thread(target=waiting.execute, args=("SELECT pg_advisory_lock(%s)", lock))
            taken.start()
            queued = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            assert until(lambda: other.execute(queued).fetchall() == [(1,)]) >= 0
            found = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s"
            for (pid,) in other.execute(found, (f"%process {gateway.process_id}",)).fetchall():
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            taken.join()
            assert gateway.wait() == 1
        assert "another gateway works over this database now" in gateway.log.read_text("utf-8")


def test_what_was_owed_in_sqlite_is_delivered_once_from_postgresql(
    server: databases.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken by one engine, moved, sent and gone on with by the other; and back."""
    monkeypatch.delenv("HUTONG_DATABASE", raising=False)
    with Hospital() as hospital, Fault(tmp_path, PROGRAM).gateway(hospital.address) as gateway:
        for number in range(5):
            assert gateway.send(result(number)).one("MSA", 1) == "AA"
        hospital.wait(5)
        assert until(lambda: settled(gateway)) >= 0
        hospital.answer = lambda _: None  # it hangs up
        for number in range(5, 15):
            assert gateway.send(result(number)).one("MSA", 1) == "AA"
        assert until(lambda: gateway.count("DiagnosticReport?status=final") == 15) >= 0
        running = subprocess.run([*PROGRAM, "migrate", "--data", str(gateway.data), "--to", "sqlite"], check=False)
        assert running.returncode == 1  # not while it runs
        assert gateway.stop() == ""
        known = {message.control_id for message in hospital.received}
        for where, number in ((f"{server.url}?namespace=moved", 15), ("sqlite", 16)):
            moved = subprocess.run(
                [*PROGRAM, "migrate", "--data", str(gateway.data), "--to", where], capture_output=True, text=True
            )
            assert moved.returncode == 0, moved.stderr
            hospital.answer = acknowledgement
            gateway.start()
            assert gateway.send(result(number)).one("MSA", 1) == "AA"
            assert until(lambda: settled(gateway)) >= 0
            assert gateway.count("DiagnosticReport?status=final") == number + 1
            sent = [message.control_id for message in hospital.received]
            assert len({message.report for message in hospital.received}) == number + 1
            assert len(set(sent) | known) == number + 1  # never under another number
            assert gateway.stop() == ""
        assert (gateway.data / "record.sqlite").exists()


def test_the_server_restarts_while_messages_come(fault: Fault, server: databases.Server) -> None:
    """What was acknowledged is there; what was not may be sent again; the gateway itself is not touched."""
    with Hospital() as hospital, fault.gateway(hospital.address) as gateway:
        taken: set[int] = set()
        stopped = threading.Event()

        def send() -> None:
            for number in range(10_000):
                while number not in taken and not stopped.is_set():
                    answer = gateway.send(result(number))
                    if answer.one("MSA", 1) == "AA":
                        taken.add(number)
                if stopped.is_set():
                    return

        sending = threading.Thread(target=send)
        sending.start()
        assert until(lambda: len(taken) > 20) >= 0
        server.stop()
        time.sleep(1.0)
        server.start()
        before = len(taken)
        assert until(lambda: len(taken) > before + 20) >= 0
        stopped.set()
        sending.join()
        assert until(lambda: settled(gateway)) >= 0
        found = gateway.count("DiagnosticReport?status=final")
        assert found >= len(taken)
        assert {f"F{number:05d}" for number in taken} <= {message.report for message in hospital.received}
        assert gateway.entries().get("dead", 0) + gateway.entries().get("parked", 0) == 0
