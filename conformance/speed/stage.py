"""One stage of the gateway as a live worker: prints `ready`, then for each line on standard input runs half a second
and prints the CPU microseconds that a message took.

    python -m conformance.speed.stage NAME [STREAM.pkl]

    split       text into segments and fields: the floor
    look        what the door does before it writes down: decode, identify, check
    receive     look, written to the journal with an fsync for 32 together, acknowledged
    translate   decode, map, check the FHIR
    work        translate, recognise the patient, store: the whole worker, on one core

This and translation.py are the only parts of conformance that import the gateway.
"""

from __future__ import annotations

import asyncio
import itertools
import pickle
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from conformance.speed.stream import messages
from gateway.app.processes import settle_down
from gateway.app.rooms import Rooms, open_rooms
from gateway.inbound import Processor, Receiver
from gateway.journal.intake import Intake
from gateway.model import Entry, Frame
from gateway.store.record import Record
from gateway.worker import EntryDrain

SLICE = 0.5  # seconds of CPU
TOGETHER = 32  # frames that wait for one commit, as from so many connections
FILLED = 30_000  # entries that the worker finds

Slice = Callable[[], int]  # does some; how many


def split(bodies: Iterator[bytes], rooms: Rooms) -> Slice:
    """The floor."""

    def run() -> int:
        fields = [line.split("|") for line in next(bodies).decode().split("\r") if line]
        return 1 if fields else 0

    return run


def look(bodies: Iterator[bytes], rooms: Rooms) -> Slice:
    """At the door."""

    def run() -> int:
        found = rooms.formats.look(_frame(next(bodies)), rooms.channels["mllp"][1], None)
        return 1 if found.error is None else 0

    return run


def receive(bodies: Iterator[bytes], rooms: Rooms) -> Slice:
    """Durable and acknowledged."""
    intake = Intake(rooms.journal)
    intake.start()
    receiver = Receiver(
        community=rooms.community,
        formats=rooms.formats,
        intake=intake,
        metrics=rooms.metrics,
        channels=rooms.channels,
    )
    loop = asyncio.new_event_loop()

    async def some() -> int:
        frames = [_frame(next(bodies)) for _ in range(TOGETHER)]
        answers = await asyncio.gather(*map(receiver.receive, frames))
        return sum(b"\rMSA|AA|" in answer or b"\rMSA|CA|" in answer for answer in answers)

    return lambda: loop.run_until_complete(some())


def translate(bodies: Iterator[bytes], rooms: Rooms) -> Slice:
    """Bytes to checked FHIR."""

    def run() -> int:
        entry = Entry(id=1, frame=_frame(next(bodies)), member="XZRMYY", format="hl7v2", charset="", control_id="")
        return 1 if rooms.formats.translate(entry, None).bundle["entry"] else 0

    return run


def work(bodies: Iterator[bytes], rooms: Rooms) -> Slice:
    """Everything behind the door."""
    fill = receive(bodies, rooms)
    while sum(fill() for _ in range(32)) and _newest(rooms) < FILLED:
        pass
    processor = Processor(
        community=rooms.community, formats=rooms.formats, record=Record(rooms.record), channels=rooms.channels
    )
    drain = EntryDrain(journal=rooms.journal, record=rooms.record, process=processor.process, stop=threading.Event())
    return drain.once


def _newest(rooms: Rooms) -> int:
    with rooms.journal.reading() as reader:
        return int(reader.execute("SELECT count(*) FROM entry")[0][0])


def _frame(body: bytes) -> Frame:
    return Frame(channel="mllp", body=body, peer="-", received_at=datetime.now(UTC))


def _bodies(stream: Path | None) -> Iterator[bytes]:
    """Without end; those of a later round have other control ids, so that none is a repetition."""
    known = pickle.loads(stream.read_bytes()) if stream else messages()
    for around in itertools.count():
        for _, body in known:
            yield body if not around else body.replace(b"|P|2.5.1", b"%d|P|2.5.1" % around, 1)


STAGES: dict[str, Callable[[Iterator[bytes], Rooms], Slice]] = {
    each.__name__: each for each in (split, look, receive, translate, work)
}


def main() -> None:
    """The worker."""
    home = Path(tempfile.mkdtemp(prefix="hutong-speed-"))
    rooms = open_rooms(config=None, data=home, process="speed")
    rooms.index()
    stream = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    run = STAGES[sys.argv[1]](_bodies(stream), rooms)
    for _ in range(20):
        run()
    settle_down()
    print("ready", flush=True)
    for _ in sys.stdin:
        began, done = time.process_time(), 0
        while (spent := time.process_time() - began) < SLICE:
            done += run()
        print(f"{spent / max(1, done) * 1e6:.1f}", flush=True)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
