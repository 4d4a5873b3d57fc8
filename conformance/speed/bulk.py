"""A bulk export of a record of many sizes: resources a second, and the memory of the process that writes it.

    python -m conformance.speed bulk [--sizes 10000,100000,1000000]

A page is synced twice, so a busy disk says more about the time than the number of resources; CPU is what it costs.
Each size has a process of its own, whose record is filled row by row (an export of the system reads no index).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.bulk import Asked, Exporter, Jobs
from gateway.db.engine import Engine
from gateway.db.sqlite import SqliteEngine
from gateway.fhir import json

GROWTH = 1.3  # memory at the last size beside the first
KINDS = ("Observation", "Patient", "Encounter", "DiagnosticReport")
_ROW = (
    "INSERT INTO resource (type, id, version, committed, updated, deleted, open, patient, status, survivor, date, "
    "until, body) VALUES (?, ?, 1, 1, ?, 0, 0, ?, NULL, NULL, 0, 0, ?)"
)
_AT = 1_772_676_000_000


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m conformance.speed bulk")
    parser.add_argument("--sizes", default="10000,100000", help="resources at which it is measured")
    parser.add_argument("--one", type=int, help="measure this size in this process")
    options = parser.parse_args(arguments)
    if options.one:
        print(*_measured(options.one))
        return 0
    print(f"{'resources':>10}{'a second':>12}{'of CPU':>12}{'memory MB':>11}{'grown MB':>10}")
    memory = []
    for size in options.sizes.split(","):
        command = [sys.executable, "-m", "conformance.speed", "bulk", "--one", size]
        rate, cost, whole, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        memory.append(float(whole))
        print(f"{int(size):10,}{float(rate):12,.0f}{float(cost):12,.0f}{float(whole):11.0f}{float(grown):10.0f}")
    print(f"memory at the last size {memory[-1] / memory[0]:.2f} times that at the first, goal under {GROWTH}")
    return int(memory[-1] / memory[0] > GROWTH)


def _measured(size: int) -> tuple[float, float, float, float]:
    """Resources a second, and a second of CPU; megabytes of the process at its most, and those the export added."""
    with tempfile.TemporaryDirectory(prefix="hutong-bulk-") as folder:
        engine = SqliteEngine(Path(folder) / "record.sqlite", schema="record")
        fill(engine, size)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        exporter = Exporter(Jobs(engine, lambda: datetime.now(UTC)), Path(folder) / "exports")
        exporter.jobs.begin(token="speed", address="", asked=Asked(level="", types=KINDS))
        began, cpu = time.perf_counter(), time.process_time()
        while exporter.jobs.running():
            exporter.turn()
        spent, cpu = time.perf_counter() - began, time.process_time() - cpu
        engine.close()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return size / spent, size / cpu, after, after - before


def fill(engine: Engine, size: int) -> None:
    """A record of so many resources, as of one transaction."""
    with engine.transaction() as transaction:
        transaction.execute("INSERT INTO record_transaction (number, at, entry) VALUES (1, ?, NULL)", (_AT,))
        transaction.executemany(_ROW, _rows(size))


def _rows(size: int) -> Iterator[tuple[object, ...]]:
    for number in range(size):
        kind, key, patient = KINDS[number % 4], f"r{number:09d}", f"r{number - number % 4 + 1:09d}"
        made = {
            "resourceType": kind, "id": key, "meta": {"versionId": "1", "lastUpdated": "2026-03-05T02:00:00.000Z"},
            "identifier": [{"system": "urn:hutong:id:SPEED", "value": f"{number:09d}"}], "status": "final",
            "subject": {"reference": f"Patient/{patient}"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}], "text": "血红蛋白"},
            "effectiveDateTime": "2026-03-05T10:00:00+08:00",
            "valueQuantity": {"value": number % 200, "unit": "g/L", "system": "http://unitsofmeasure.org"},
            "referenceRange": [{"text": "115-150", "low": {"value": 115, "unit": "g/L"}}],
            "note": [{"text": "复查" * 40}],
        }  # fmt: skip
        yield kind, key, _AT, patient, json.dumps(made)
