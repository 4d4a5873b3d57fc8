"""A whole gateway beside a real SFTP server: `hutong check --connect`, files in and out, and kill -9 in between."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conformance.fault import Fault, result, settled, until
from conformance.gateway import Gateway
from conformance.pickups import picked_up
from gateway.cli import app as program
from tests.transport.sftp_server import PASSWORD, Running, serving

COMMUNITY = """\
id: c
name: 县
members:
  - id: town
    name: 卫生院
    facilities: [TOWN]
    channels: [{CHANNEL}]
    subscriptions: [{SUBSCRIPTION}]
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(tmp_path) as running:
        yield running


def line(server: Running, **more: object) -> dict[str, object]:
    settings = server.settings()
    inside = {"host": settings.host, "port": settings.port, "user": settings.user, "password": "file:password",
              "host_keys": list(settings.host_keys)}  # fmt: skip
    return {"transport": "sftp", "server": inside, **more}


async def test_check_tries_the_servers_and_takes_nothing(server: Running, tmp_path: Path) -> None:
    (server.root / "out" / "a.csv").write_bytes(b"1")
    channel = json.dumps({"id": "town-in", "format": "delimited", **line(server, folder="/out")})
    wish = {"id": "town-out", "criteria": ["Patient"], "format": "fhir", "message": "bundle"}
    results = []
    for folder in ("/in", "/nowhere"):
        subscription = json.dumps({**wish, **line(server, address=folder)})
        config = tmp_path / "community.yaml"
        text = COMMUNITY.replace("{CHANNEL}", channel).replace("{SUBSCRIPTION}", subscription)
        config.write_text(text, "utf-8")
        asked = ["check", "--config", str(config), "--connect", "--data", str(server.home)]
        results.append(await asyncio.to_thread(CliRunner().invoke, program, asked))
    well, ill = results
    assert well.exit_code == 0, well.output
    assert "1 files wait in /out" in well.output
    assert "the folder /in is there" in well.output
    assert ill.exit_code == 1
    assert "town-out: subscription town-out, sftp://127.0.0.1" in ill.output
    assert "not there" in ill.output
    assert PASSWORD not in well.output + ill.output
    assert [each.name for each in (server.root / "out").iterdir()] == ["a.csv"]


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_killed_while_files_are_fetched_each_is_in_the_record_once(server: Running, tmp_path: Path) -> None:
    fault = Fault(tmp_path, [sys.executable, "-m", "gateway"])
    channel = line(server, folder="/out")
    run = partial(picked_up, fault, server.root / "out", channel, lives=3, files=25)
    figures, wrong = await asyncio.to_thread(run)  # the server runs in this loop
    assert wrong == "", figures


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_killed_while_files_are_brought_each_is_there_once_and_never_half(
    server: Running, tmp_path: Path
) -> None:
    wish = {"id": "town-out", "criteria": ["DiagnosticReport"], "format": "hl7v2", "message": "ORU_R01"}
    config = tmp_path / "community.yaml"
    text = COMMUNITY.replace("id: c\n", "id: c\nopen: true\n").replace("[TOWN]", "[COUNTY]").replace("{CHANNEL}", "")
    config.write_text(text.replace("{SUBSCRIPTION}", json.dumps({**wish, **line(server, address="/in")})), "utf-8")
    half: list[str] = []
    stop = threading.Event()

    def look_at_everything() -> None:
        while not stop.wait(0.01):
            seen = [path for path in (server.root / "in").glob("*.hl7") if not path.name.startswith(".")]
            half.extend(path.name for path in seen if b"OBX|" not in path.read_bytes())

    def play() -> None:
        chance, folder = random.Random(1), server.root / "in"
        with Gateway([sys.executable, "-m", "gateway"], tmp_path, config=config) as gateway:
            gateway.start()
            for life in range(4):
                for number in range(life * 20, life * 20 + 20):
                    assert gateway.send(result(number)).one("MSA", 1) == "AA"
                wanted = len(list(folder.glob("*.hl7"))) + chance.randrange(15)
                until(lambda wanted=wanted: len(list(folder.glob("*.hl7"))) > wanted, 20)  # type: ignore[misc]
                gateway.kill()
                gateway.start()
            until(lambda: settled(gateway) and len(list(folder.glob("*.hl7"))) >= 80)

    watching = threading.Thread(target=look_at_everything)
    watching.start()
    try:
        await asyncio.to_thread(play)
    finally:
        stop.set()
        watching.join()
    bodies = [path.read_text("utf-8") for path in (server.root / "in").iterdir()]  # no .part is left either
    numbers = sorted(body.partition("OBR|")[2].split("|")[2].split("^")[0] for body in bodies)
    assert numbers == [f"F{number:05d}" for number in range(80)]
    assert half == []
