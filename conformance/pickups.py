"""Faults while files are picked up: kill -9 at any moment, and still each file is in the record once and moved once."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from conformance.fault import NAMES, Fault, Result, result, settled, until
from conformance.gateway import Gateway

COMMUNITY = """\
id: pickups
name: Pickups 取件测试
open: true
members:
  - id: town
    name: 镇卫生院
    facilities: [TOWN]
    profile: {charset: UTF-8}
    channels:
      - CHANNEL
"""
SEED = 20


def killed_while_picking_up(fault: Fault, *, lives: int = 6, files: int = 25) -> Result:
    """R4, R15: kill -9 in the middle of a folder, again and again; each file once in the record and once in `done`."""
    folder = fault.home / "drop"
    return picked_up(fault, folder, {"transport": "files", "folder": str(folder)}, lives=lives, files=files)


def picked_up(fault: Fault, folder: Path, channel: dict[str, object], *, lives: int, files: int) -> Result:
    """The same for any channel whose files lie in `folder`: `files` of them in each of `lives` lives."""
    folder.mkdir(exist_ok=True)
    config = fault.home / "community.yaml"
    line = json.dumps({"id": "town-files", "format": "hl7v2", "pattern": "*.hl7", **channel})
    config.write_text(COMMUNITY.replace("CHANNEL", line), "utf-8")
    chance, done, dropped = random.Random(SEED), folder / "done", 0
    with Gateway(fault.command, fault.home, config=config) as gateway:
        gateway.start()
        for life in range(lives):
            for number in range(life * files, (life + 1) * files):
                dropped += _drop(folder, number, chance)
            wanted = count(done) + chance.randrange(files)
            until(lambda wanted=wanted: count(done) > wanted, 20)  # type: ignore[misc]
            time.sleep(chance.random() * 0.01)
            gateway.kill()
            gateway.start()
        until(lambda: not _left(folder) and count(done) >= dropped)
        until(lambda: settled(gateway))
        reports = {each: gateway.count(f"DiagnosticReport?identifier=F{each:05d}") for each in range(lives * files)}
        totals = gateway.entries()
    lost = sum(not found for found in reports.values())
    doubled = sum(found > 1 for found in reports.values())
    figures = f"{dropped} files, {lives} kills, {count(done)} moved, {totals.get('done', 0)} entries"
    if lost or doubled or totals.get("done") != dropped or count(done) != dropped or count(folder / "error"):
        return (
            figures,
            f"{lost} lost, {doubled} doubled, {totals}, {_left(folder)} left, {count(folder / 'error')} refused",
        )
    return figures, ""


def _drop(folder: Path, number: int, chance: random.Random) -> int:
    """A message as members' programs put it there, one of several manners; how many files it became."""
    body = result(number, patients=len(NAMES))
    own, shared = folder / f"{number}.hl7", folder / "same-name.hl7"
    match chance.randrange(5):
        case 0:
            return _renamed(own, body)
        case 1:
            return _in_parts(own, body)
        case 2:
            return _whole(own, body) + _whole(folder / f"{number}-copy.hl7", body)  # the same content under two names
        case 3 if not shared.exists():
            return _whole(shared, body)  # a name that is used again and again
        case _:
            return _whole(own, body)


def _whole(path: Path, body: bytes) -> int:
    path.write_bytes(body)
    return 1


def _renamed(path: Path, body: bytes) -> int:
    part = path.with_suffix(".part")
    part.write_bytes(body)
    part.rename(path)
    return 1


def _in_parts(path: Path, body: bytes) -> int:
    with path.open("wb") as file:
        for start in range(0, len(body), 200):
            file.write(body[start : start + 200])
            file.flush()
    return 1


def count(folder: Path) -> int:
    """How many files lie in a folder; 0 where there is none."""
    return sum(each.is_file() for each in folder.iterdir()) if folder.is_dir() else 0


def _left(folder: Path) -> int:
    return sum(each.suffix == ".hl7" for each in folder.iterdir())
