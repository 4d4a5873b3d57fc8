"""The record as it grows: transactions of 12 resources and searches through the web door, on one core.

    python -m conformance.speed record [--sizes 10000,100000] [--transactions 300] [--searches 500]

A transaction is a laboratory visit: patient (by a condition), encounter, order, specimen, report, seven results. It is
parsed, checked, indexed in full and on the disk before it is answered. Memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource as process
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway import telemetry
from gateway.api import Services, Tokens, create
from gateway.api.bundles import asked_of
from gateway.api.overview import Overview
from gateway.bulk import Exporter, Jobs
from gateway.db.engine import Engine, Transaction
from gateway.db.sqlite import SqliteEngine
from gateway.fhir import json
from gateway.formats import Formats
from gateway.model import Community, Frame
from gateway.store.exchange import Exchanged
from gateway.store.record import Record
from gateway.telemetry import Metrics

GOAL = 300  # transactions a second and core
LATENCY = 0.020  # seconds, 99 of 100 searches
GROWTH = 1.5  # cost of a transaction at the last size beside the first
PATIENTS = "urn:oid:1.2.3.4.5.6"
LOINC = "http://loinc.org"
VISITS = 5  # of one patient
_TESTS = (
    ("6690-2", "白细胞计数", "10*9/L", 350, 950), ("789-8", "红细胞计数", "10*12/L", 430, 580),
    ("718-7", "血红蛋白", "g/L", 11500, 17500), ("777-3", "血小板计数", "10*9/L", 12500, 35000),
    ("2345-7", "葡萄糖", "mmol/L", 390, 610), ("2160-0", "肌酐", "umol/L", 5700, 9700),
    ("1742-6", "谷丙转氨酶", "U/L", 900, 5000),
)  # fmt: skip
_SURNAMES, _GIVEN = "王李张刘陈杨黄赵吴周", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平"


@dataclass(frozen=True, slots=True)
class Visit:
    """One transaction, and what is searched for afterwards."""

    body: bytes
    patient: str  # number of the patient
    day: str
    code: str


def visit(number: int) -> Visit:
    """The visit of that number: always the same one. Everybody in it is made up."""
    chance = random.Random(number)
    person = number // VISITS
    who = random.Random(f"person {person}")
    born = date(1930, 1, 1) + timedelta(days=who.randrange(33_000))
    day = date(2020, 1, 1) + timedelta(days=chance.randrange(2_500))
    at = f"{day}T{chance.randrange(7, 18):02d}:{chance.randrange(60):02d}:00+08:00"
    names = {kind: f"urn:uuid:{kind:08d}-0000-4000-8000-{number:012d}" for kind in range(12)}
    patient, encounter, order, specimen, report = (names[kind] for kind in range(5))
    subject = {"subject": {"reference": patient}}
    results = [
        (names[5 + place], _result(chance, at, test, names, f"{number}-{place}")) for place, test in enumerate(_TESTS)
    ]
    condition = f"{PATIENTS}|{person}"
    entries = [
        _entry(patient, {
            "resourceType": "Patient", "identifier": [{"system": PATIENTS, "value": str(person)}],
            "name": [{"text": who.choice(_SURNAMES) + "".join(who.choices(_GIVEN, k=2))}],
            "gender": who.choice(("male", "female")), "birthDate": str(born),
            "telecom": [{"system": "phone", "value": f"138{who.randrange(10**8):08d}"}],
        }, condition),
        _entry(encounter, {
            "resourceType": "Encounter", "identifier": [{"system": "urn:visits", "value": str(number)}],
            "status": "finished", "period": {"start": at}, **subject,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        }),
        _entry(order, {
            "resourceType": "ServiceRequest", "identifier": [{"system": "urn:orders", "value": str(number)}],
            "status": "completed", "intent": "order", "code": {"text": "检验"}, "authoredOn": at, **subject,
            "encounter": {"reference": encounter},
        }),
        _entry(specimen, {
            "resourceType": "Specimen", "identifier": [{"system": "urn:specimens", "value": str(number)}],
            "type": {"text": "血清"}, "collection": {"collectedDateTime": at}, **subject,
        }),
        _entry(report, {
            "resourceType": "DiagnosticReport", "identifier": [{"system": "urn:reports", "value": str(number)}],
            "status": "final", "code": {"coding": [{"system": LOINC, "code": "11502-2"}], "text": "检验报告"},
            "effectiveDateTime": at, "issued": at, **subject, "basedOn": [{"reference": order}],
            "specimen": [{"reference": specimen}], "result": [{"reference": name} for name, _ in results],
        }),
        *(_entry(name, result) for name, result in results),
    ]  # fmt: skip
    body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    return Visit(body, str(person), str(day), chance.choice(_TESTS)[0])


def _result(chance: random.Random, at: str, test: tuple[Any, ...], names: dict[int, str], number: str) -> Any:
    code, name, unit, low, high = test
    value = {"unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {
        "resourceType": "Observation", "identifier": [{"system": "urn:results", "value": number}], "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory",
        }]}],
        "code": {"coding": [{"system": LOINC, "code": code}], "text": name}, "effectiveDateTime": at,
        "subject": {"reference": names[0]}, "encounter": {"reference": names[1]}, "specimen": {"reference": names[3]},
        "basedOn": [{"reference": names[2]}],
        "valueQuantity": {"value": chance.randrange(low // 2, high * 2) / 100, **value},
        "referenceRange": [{"low": {"value": low / 100, **value}, "high": {"value": high / 100, **value}}],
    }  # fmt: skip


def _entry(url: str, resource: dict[str, Any], condition: str = "") -> dict[str, Any]:
    request = {"method": "POST", "url": resource["resourceType"]}
    if condition:
        request["ifNoneExist"] = f"identifier={condition}"
    return {"fullUrl": url, "resource": resource, "request": request}


# ------------------------------------------------------------------------------------------------ the web door


def _no_formats() -> Formats:
    raise NotImplementedError


class Door:
    """The web application without a socket: what is left is the gateway's own work."""

    def __init__(self, engine: Engine, journal: Engine) -> None:
        def write(work: Callable[[Transaction], Exchanged]) -> Exchanged:
            with engine.transaction() as transaction:
                return work(transaction)

        async def receive(_: Frame) -> bytes:
            return b""

        tokens = Tokens(engine)
        self.record = Record(engine)
        self._app = create(
            Services(
                community=Community(id="speed", name="speed", members={}), record=self.record,
                overview=Overview(journal, engine), tokens=tokens, metrics=Metrics(), receive=receive, write=write,
                formats=_no_formats, bulk=Exporter(Jobs(engine, lambda: datetime.now(UTC)), Path("exports")),
                ready=lambda: True, version="0",
            )
        )  # fmt: skip
        token = tokens.create(name="speed", scope="system/*.*")
        self._headers = [
            (b"host", b"gateway"), (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/fhir+json"),
        ]  # fmt: skip

    async def ask(self, method: str, target: str, body: bytes = b"") -> bytes:
        """The body of the answer. Raises RuntimeError for anything but success."""
        parts = urlsplit(target)
        answer = bytearray()
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
            "headers": [*self._headers, (b"content-length", str(len(body)).encode())], "client": ("127.0.0.1", 1),
            "server": ("gateway", 80), "state": {},
        }  # fmt: skip
        await self._app(scope, receive, send)
        if status >= 300:
            raise RuntimeError(f"{method} answered {status}: {bytes(answer[:500]).decode()}")
        return bytes(answer)


# ------------------------------------------------------------------------------------------------ measuring


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m conformance.speed record")
    parser.add_argument("--sizes", default="10000,100000", help="resources at which it is measured")
    parser.add_argument("--transactions", type=int, default=300, help="that are timed at each size")
    parser.add_argument("--searches", type=int, default=500, help="of each kind that are timed at each size")
    options = parser.parse_args(arguments)
    sizes = sorted(int(size) for size in options.sizes.split(","))
    with tempfile.TemporaryDirectory(prefix="hutong-record-") as folder, (Path(folder) / "log").open("w") as log:
        telemetry.configure(log)  # it is written as in a gateway
        engine = SqliteEngine(Path(folder) / "record.sqlite", schema="record")
        journal = SqliteEngine(Path(folder) / "journal.sqlite", schema="journal")
        try:
            return asyncio.run(_measure(Door(engine, journal), engine, sizes, options))
        finally:
            engine.close()
            journal.close()


async def _measure(door: Door, engine: Engine, sizes: list[int], options: argparse.Namespace) -> int:
    print(f"{'resources':>10}{'transactions/s':>16}{'CPU ms each':>13}{'memory MB':>11}   searches, ms: median, p99")
    numbers = _numbers()
    costs = []
    for size in sizes:
        _fill(door, engine, size, numbers)
        visits = [visit(next(numbers)) for _ in range(options.transactions)]
        seconds, cpu = await _timed(door, visits)
        costs.append(cpu)
        memory = process.getrusage(process.RUSAGE_SELF).ru_maxrss / 1024
        found = await _searches(door, next(numbers), options.searches)
        told = "   ".join(
            f"{name} {statistics.median(times) * 1e3:.1f}, {_p99(times) * 1e3:.1f}" for name, times in found.items()
        )
        print(f"{size:10,}{len(visits) / seconds:16.0f}{cpu * 1e3:13.2f}{memory:11.0f}   {told}")
    print(f"goals: {GOAL} a second, p99 under {LATENCY * 1e3:.0f} ms; cost at the last size {costs[-1] / costs[0]:.2f} "
          f"times that at the first, goal under {GROWTH}")  # fmt: skip
    return 0


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _fill(door: Door, engine: Engine, size: int, numbers: Iterator[int]) -> None:
    """Visits until the record has that many resources; fifty of them share a commit, this is not timed."""
    count = sum(door.record.statistics().values())
    while count < size:
        with engine.transaction() as transaction:
            for _ in range(50):
                entries = json.loads(visit(next(numbers)).body)["entry"]
                asked = [asked_of(each, place) for place, each in enumerate(entries)]
                made = door.record.exchange(transaction, asked, at=datetime.now(UTC), together=True)
                count += len(made.changes)


async def _timed(door: Door, visits: list[Visit]) -> tuple[float, float]:
    """Seconds for all, and seconds of CPU for one."""
    started, cpu = time.perf_counter(), time.process_time()
    for each in visits:
        await door.ask("POST", "/fhir", each.body)
    return time.perf_counter() - started, (time.process_time() - cpu) / len(visits)


async def _searches(door: Door, last: int, count: int) -> dict[str, list[float]]:
    chance = random.Random(last)
    found: dict[str, list[float]] = {"identifier": [], "patient+date+code": []}
    for _ in range(count):
        one = visit(chance.randrange(last))
        started = time.perf_counter()
        page = await door.ask("GET", f"/fhir/Patient?identifier={PATIENTS}|{one.patient}")
        found["identifier"].append(time.perf_counter() - started)
        patient = json.loads(page)["entry"][0]["resource"]["id"]
        started = time.perf_counter()
        await door.ask("GET", f"/fhir/Observation?patient={patient}&date={one.day}&code={LOINC}|{one.code}")
        found["patient+date+code"].append(time.perf_counter() - started)
    return found


def _p99(times: list[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]
