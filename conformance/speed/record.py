"""The record as it grows: transactions of 12 resources and searches through the web door, on one core.

    python -m conformance.speed record [--engine sqlite|postgresql] [--sizes 10000,100000] [--clients 1]
                                        [--keep FOLDER]

A transaction is a laboratory visit: patient (by a condition), encounter, order, specimen, report, seven results. It is
parsed, checked, indexed in full and on the disk before it is answered. Each size is a record of its own, filled without
HTTP and without the check, a thousand visits a commit; a PostgreSQL is filled with the rows of the SQLite of that size,
where --keep has one, by what `hutong migrate` does. All sizes are measured in turn, a slice each, so that a noisy
machine is noisy for all of them; the best slice counts. The loop is a million rounds of a fixed sum: the pace of the
machine at that moment. CPU is the gateway's; that of PostgreSQL's processes stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from conformance import databases
from conformance.speed.door import Door
from conformance.speed.visits import LOINC, PATIENTS, visit
from gateway import telemetry
from gateway.api.bundles import asked_of
from gateway.app.processes import settle_down
from gateway.db import copying, opening
from gateway.db.engine import Engine
from gateway.db.sqlite import SqliteEngine
from gateway.fhir import json

GOAL = 300  # transactions a second and core
LATENCY = 0.020  # seconds, 99 of 100 searches
GROWTH = 1.5  # cost of a transaction at the last size beside the first
COMMIT = 1000  # visits of one commit while a record is filled
TOGETHER = 25  # visits of one application of them
SLICES = 8


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m conformance.speed record")
    parser.add_argument("--engine", default="sqlite", choices=("sqlite", "postgresql"))
    parser.add_argument("--sizes", default="10000,100000", help="resources at which it is measured")
    parser.add_argument("--transactions", type=int, default=800, help="that are timed at each size")
    parser.add_argument("--clients", type=int, default=1, help="that send transactions at one time")
    parser.add_argument("--searches", type=int, default=800, help="of each kind that are timed at each size")
    parser.add_argument("--keep", type=Path, help="where records of SQLite stay, to be measured again")
    options = parser.parse_args(arguments)
    sizes = sorted(int(size) for size in options.sizes.split(","))
    with tempfile.TemporaryDirectory(prefix="hutong-record-") as scratch, ExitStack() as stack:
        telemetry.configure(stack.enter_context((Path(scratch) / "log").open("w")))  # it is written as in a gateway
        folder = options.keep or Path(scratch)
        server = None
        if options.engine == "postgresql":
            server = stack.enter_context(databases.postgresql(durable=True))
        found = [stack.enter_context(_opened(size, folder, server)) for size in sizes]
        settle_down()
        asyncio.run(_measure(found, options, server))
    _tell(found)
    return 0


# ------------------------------------------------------------------------------------------------ records


@dataclass(slots=True, kw_only=True)
class Size:
    """One record, and what was measured of it. Seconds."""

    resources: int
    door: Door
    next: int  # number of the next visit
    filled: float
    loop: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)  # of a transaction, a slice each
    cpu: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    searches: dict[str, list[float]] = field(default_factory=dict)
    searches_cpu: dict[str, list[float]] = field(default_factory=dict)


@contextmanager
def _opened(size: int, folder: Path, server: databases.Server | None) -> Iterator[Size]:
    """The record of that size, filled as far as it is not yet."""
    place = folder / str(size)
    place.mkdir(parents=True, exist_ok=True)
    address = f"{server.url}?namespace=size{size}" if server else ""
    with ExitStack() as stack:
        record, journal = (
            stack.enter_context(closing(_engine(place, address, schema))) for schema in ("record", "journal")
        )
        began = time.perf_counter()
        if server and opening.file(place, "record").is_file():
            with closing(SqliteEngine(opening.file(place, "record"), schema="record")) as kept, kept.reading() as rows:
                copying.copy(rows, record, lambda _, __: None)
        door = Door(record, journal)
        _fill(door, record, size)
        yield Size(resources=size, door=door, next=_visits(door), filled=time.perf_counter() - began)


def _engine(place: Path, address: str, schema: str) -> Engine:
    return opening.named(address, schema) if address else SqliteEngine(opening.file(place, schema), schema=schema)


def _visits(door: Door) -> int:
    """How many are in the record: each has one encounter."""
    return door.record.statistics().get("Encounter", 0)


def _fill(door: Door, engine: Engine, size: int) -> None:
    """Visits until the record has that many resources."""
    number, count = _visits(door), sum(door.record.statistics().values())
    while count < size:
        with engine.transaction() as transaction:
            for first in range(number, number + COMMIT, TOGETHER):
                visits = (json.loads(visit(each).body)["entry"] for each in range(first, first + TOGETHER))
                asked = [asked_of(entry, 0) for entries in visits for entry in entries]
                count += len(door.record.exchange(transaction, asked, at=datetime.now(UTC), together=True).changes)
        number += COMMIT


# ------------------------------------------------------------------------------------------------ measuring


async def _measure(found: list[Size], options: argparse.Namespace, server: databases.Server | None) -> None:
    chance = random.Random(0)
    for part in range(SLICES + 1):  # the first is not counted: what is compiled and cached once
        for size in found:
            size.loop.append(_loop())
            await _transactions(size, max(1, options.transactions // SLICES), server, options.clients)
            await _searches(size, max(1, options.searches // SLICES), chance)
            if not part:
                for times in (size.loop, size.wall, size.cpu, size.server):
                    times.clear()
                size.searches.clear()
                size.searches_cpu.clear()


def _loop() -> float:
    began, total = time.thread_time(), 0
    for number in range(200_000):
        total += number * number % 7
    return (time.thread_time() - began) * 5


async def _transactions(size: Size, count: int, server: databases.Server | None, clients: int) -> None:
    bodies = iter([visit(size.next + number).body for number in range(count)])
    size.next += count

    async def client() -> None:
        for body in bodies:
            await size.door.ask("POST", "/fhir", body)

    began, cpu, theirs = time.perf_counter(), time.process_time(), _processes(server)
    await asyncio.gather(*(client() for _ in range(clients)))
    size.cpu.append((time.process_time() - cpu) / count)
    size.wall.append((time.perf_counter() - began) / count)
    size.server.append((_processes(server) - theirs) / count)


def _processes(server: databases.Server | None) -> float:
    """Seconds of CPU of all processes of the database."""
    return server.seconds() if server else 0.0


async def _searches(size: Size, count: int, chance: random.Random) -> None:
    for _ in range(count):
        one = visit(chance.randrange(size.next))
        page = await _searched(size, "identifier", f"/fhir/Patient?identifier={PATIENTS}|{one.patient}")
        patient = json.loads(page)["entry"][0]["resource"]["id"]
        asked = f"/fhir/Observation?patient={patient}&date={one.day}&code={LOINC}|{one.code}"
        await _searched(size, "patient+date+code", asked)


async def _searched(size: Size, kind: str, address: str) -> bytes:
    began, cpu = time.perf_counter(), time.process_time()
    page = await size.door.ask("GET", address)
    size.searches.setdefault(kind, []).append(time.perf_counter() - began)
    size.searches_cpu.setdefault(kind, []).append(time.process_time() - cpu)
    return page


def _tell(found: list[Size]) -> None:
    print(
        f"{'resources':>10}{'filled s':>10}{'loop ms':>9}{'a second':>10}{'CPU ms':>8}{'a CPU second':>14}"
        f"{'database CPU ms':>17}   searches, ms: median, p99, p99 of CPU"
    )
    for size in found:
        cpu, other = min(size.cpu), min(size.server)
        told = "   ".join(
            f"{name} "
            + ", ".join(f"{1e3 * each:.1f}" for each in (statistics.median(times), _p99(times), _p99(theirs)))
            for (name, times), theirs in zip(size.searches.items(), size.searches_cpu.values(), strict=True)
        )
        print(
            f"{size.resources:10,}{size.filled:10.0f}{min(size.loop) * 1e3:9.0f}{1 / min(size.wall):10.0f}"
            f"{cpu * 1e3:8.2f}{1 / (cpu + other):14.0f}{other * 1e3:17.2f}   {told}"
        )
    first, last = (min(size.cpu) + min(size.server) for size in (found[0], found[-1]))
    growth = f"cost at the last size {last / first:.2f} times that at the first, goal under {GROWTH}"
    print(f"goals: {GOAL} a second, p99 under {LATENCY * 1e3:.0f} ms; {growth}")


def _p99(times: list[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]
