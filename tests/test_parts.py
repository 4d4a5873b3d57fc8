"""Large files in the running gateway: written down once, worked off batch by batch between the messages of others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conformance.speed import rows as made_up
from gateway import inbound, parts
from gateway.errors import Configuration
from gateway.formats import bulk
from gateway.journal import bodies, progress
from gateway.journal.work import load
from gateway.model import Frame
from gateway.transport import pickup
from gateway.transport.files import Folder
from gateway.transport.pickup import Pickup
from tests import community
from tests.rooms import House, states

LAB = "qinghe-lab"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Everything from 2,000 bytes on is large, and a batch has 20 rows."""
    for module in (bulk, bodies, inbound, pickup):
        monkeypatch.setattr(module, "LARGE", 2000)
    monkeypatch.setattr(parts, "ROWS", 20)
    made = House(tmp_path)
    yield made
    made.close()


def found(house: House) -> dict[str, int]:
    """How many there are of each type, without what says where they come from."""
    counts = dict(house.counts())
    counts.pop("Provenance", None)
    counts.pop("AuditEvent", None)
    return counts


def told(house: House) -> list[str]:
    """What the rows say, whatever they are called here."""
    texts = []
    for type_ in ("Patient", "DiagnosticReport", "Observation", "Encounter", "ServiceRequest", "Specimen"):
        for each in house.search(f"{type_}?_count=1000"):
            results = len(each.get("result", ()))
            numbers = [number["value"] for number in each["identifier"]]
            texts.append(f"{type_} {sorted(numbers)} {results} {json.dumps(each.get('valueQuantity'), default=str)}")
    return sorted(texts)


async def test_a_large_file_is_written_down_once_and_worked_off_in_turns(house: House) -> None:
    body = made_up.csv_bytes(100)
    await house.receive(body, channel=LAB, peer="lab.csv@1")
    (line,) = house.entries()
    assert (line.state, line.size, line.kind) == ("waiting", len(body), "laboratory-results")
    with house.journal.reading() as reader:
        frame = load(reader, line.id).frame
    assert (frame.body, house.bodies.path(frame.stored).read_bytes()) == (b"", body)
    drain = house.drain()
    seen = []
    while drain.once():
        seen.append(house.entries()[0].cause)
    assert [each for each in seen if each][:2] == [
        "0 of its rows are done; the rest follows",
        "22 of its rows are done; the rest follows",
    ]
    (line,) = house.entries()
    assert (line.state, line.cause) == ("done", "")
    assert line.transaction
    await house.receive(body, channel=LAB, peer="lab.csv@1")
    assert len(house.entries()) == 1


async def test_it_becomes_what_it_becomes_as_a_whole(house: House, tmp_path: Path) -> None:
    body = made_up.csv_bytes(150)
    await house.walk(body, channel=LAB)
    (tmp_path / "other").mkdir()
    whole = House(tmp_path / "other")
    whole.receiver = inbound.Receiver(**{name: getattr(whole.receiver, name) for name in (
        "community", "formats", "intake", "metrics", "channels", "inquiries")})  # fmt: skip
    try:
        await whole.walk(body, channel=LAB)
        assert found(house) == found(whole)
        assert told(house) == told(whole)
    finally:
        whole.close()


async def test_after_a_crash_between_two_batches_nothing_is_lost_or_doubled(house: House) -> None:
    body = made_up.csv_bytes(120)
    await house.receive(body, channel=LAB)
    while house.entries()[0].state == "waiting":
        drain = house.drain(parts=parts.Parts(house.bodies))  # of a new program, which ends after three turns
        for _ in range(3):
            drain.once()
    once = told(house)
    assert found(house)["Observation"] == 120
    house.ledger.replay([house.entries()[0].id])
    versions = [each["meta"]["versionId"] for each in house.search("Observation?_count=1000")]
    assert set(versions) == {"1"}
    assert told(house) == once


async def test_a_batch_that_is_undone_comes_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.receive(made_up.csv_bytes(100), channel=LAB)
    real = progress.note
    fails = iter([False, False, True, False, True, *[False] * 50])

    def failing(*given: Any) -> None:
        real(*given)
        if next(fails):
            raise OSError("the disk is full")

    monkeypatch.setattr(progress, "note", failing)
    drain = house.drain()
    while drain.once():
        if house.entries()[0].state == "parked":
            house.ledger.replay([house.entries()[0].id])
    assert house.entries()[0].state == "done"
    assert found(house)["Observation"] == 100


async def test_others_have_their_turn_and_later_files_of_the_channel_wait(house: House) -> None:
    await house.receive(made_up.csv_bytes(600), channel=LAB, peer="first")
    drain = house.drain()
    drain.once()
    drain.once()
    await house.receive(community.export(("R9", "P9", "4.1")), channel=LAB, peer="second")
    await house.receive(community.registration())
    for number in range(6):
        await house.receive(community.result(f"L{number}", report=f"F{number}"))
    while set(states(house.entries()[2:])) != {"done"}:
        drain.once()
    assert states(house.entries()[:2]) == ["waiting", "waiting"]
    while drain.once():
        pass
    assert set(states(house.entries())) == {"done"}


async def test_a_record_that_cannot_be_stored_is_set_aside_and_the_others_flow(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbound.Processor._people

    def doubtful(self: Any, transaction: Any, bundle: Any, entry: Any) -> Any:
        numbers = {
            each["value"]
            for made in bundle["entry"]
            if made["resource"]["resourceType"] == "DiagnosticReport"
            for each in made["resource"]["identifier"]
        }
        if "SQL000000000004" in numbers:
            raise Configuration("who this is, a person must decide", place="Patient")
        return real(self, transaction, bundle, entry)

    monkeypatch.setattr(inbound.Processor, "_people", doubtful)
    lines = made_up.csv_bytes(60).split(b"\r\n")
    gone = sum(b"SQL000000000004" in line for line in lines)
    lines.insert(3, b"x,y")
    await house.walk(b"\r\n".join(lines), channel=LAB)
    (line,) = house.entries()
    assert line.state == "parked"
    assert line.cause.startswith(f"{gone + 1} of its rows were set aside: 2 cells, the header has 35; who this is")
    assert line.place.startswith("line 4, ")
    assert found(house)["Observation"] == 60 - gone
    monkeypatch.setattr(inbound.Processor, "_people", real)
    house.ledger.replay([line.id])
    house.process()
    assert found(house)["Observation"] == 60


async def test_a_large_file_that_no_map_knows_is_refused_at_the_door_and_kept(house: House) -> None:
    body = b"a,b\r\n" + b"1,2\r\n" * 1000
    answer = await house.receive(body, channel=LAB)
    assert b"no map knows a file with these columns" in answer
    (line,) = house.entries()
    assert (line.state, line.size) == ("refused", len(body))


async def test_a_large_file_in_the_folder_is_brought_and_not_read(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    place = Folder(folder, channel=LAB)
    spool = house.data / "bodies" / "arriving" / LAB
    watched = Pickup(place=place, channel=LAB, settle=0.05, poll=0.05, bring=place.bring, spool=spool)
    await watched.listen(house.receiver.receive)
    made_up.write_csv(folder / "big.csv", 60)
    (folder / "bad.csv").write_bytes(b"a,b\r\n" + b"\xff\xff\xff,2\r\n" * 1000)
    for _ in range(200):
        if (folder / "done" / "big.csv").exists() and (folder / "error" / "bad.csv.txt").exists():
            break
        await asyncio.sleep(0.05)
    await watched.close()
    assert "neither valid UTF-8 nor GB18030" in (folder / "error" / "bad.csv.txt").read_text("utf-8-sig")
    assert not spool.exists()
    house.process()
    assert found(house)["Observation"] == 60


def test_the_same_bytes_lie_there_once(house: House) -> None:
    frame = Frame(channel=LAB, body=b"x" * 3000, peer="", received_at=datetime.now(UTC))
    one, other = house.bodies.keep(frame), house.bodies.keep(frame)
    assert one == other
    assert house.bodies.whole(one).body == frame.body
    assert len([path for path in (house.data / "bodies").rglob("*") if path.is_file()]) == 1
