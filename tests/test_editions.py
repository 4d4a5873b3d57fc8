"""Settings and maps that change while the gateway runs: taken whole, refused whole, never half."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.editions import STATE, Editions
from gateway.config import codes
from gateway.errors import Configuration
from tests import community
from tests.test_app import Service, until

STRUCTURE = "message ZDT_Z01 for Patient\n  events ZDT_Z01\n  : MSH PID\n"
MESSAGE = (
    b"MSH|^~\\&|HIS2008|QINGHE|HUTONG|sanhe|20260312073000||ZDT^Z01|%s|P|2.4|||||CHN|UNICODE UTF-8\r"
    b"PID|1||%s^^^QINGHE^PI||Doe^Jane||19680315|F\r"
)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return community.write(tmp_path / "community")


def editions(settings: Path, tmp_path: Path) -> Editions:
    (tmp_path / "data").mkdir(exist_ok=True)
    return Editions(settings, tmp_path / "data")


def own_map(settings: Path, text: str) -> None:
    folder = settings.parent / "maps"
    folder.mkdir(exist_ok=True)
    (folder / "own.map").write_text(text, encoding="utf-8")


def test_an_edition_is_taken_when_the_files_rest(settings: Path, tmp_path: Path) -> None:
    found = editions(settings, tmp_path)
    first = found.first()
    assert first is not None
    assert first.path.read_bytes() == settings.read_bytes()
    assert found.next() is None
    own_map(settings, STRUCTURE)
    assert found.next() is None  # it may still be written
    second = found.next()
    assert second is not None
    assert second.number == 2
    assert "ZDT_Z01" in second.formats.maps.library.structures
    assert found.next() is None


def test_a_wrong_edition_is_refused_once_and_names_the_file_that_people_edit(settings: Path, tmp_path: Path) -> None:
    found = editions(settings, tmp_path)
    found.first()
    own_map(settings, "PID => Patient\n  PID-7 <-> birthdate\n")
    with pytest.raises(Configuration) as raised:
        found.next(at_once=True)
    assert "own.map:2: " in raised.value.cause
    assert "birthdate" in (tmp_path / "data" / "settings" / STATE).read_text(encoding="utf-8")
    assert found.next() is None
    own_map(settings, STRUCTURE)
    taken = found.next(at_once=True)
    assert taken is not None
    assert (taken.number, taken.path.is_file()) == (2, True)


def test_settings_are_checked_too(settings: Path, tmp_path: Path) -> None:
    found = editions(settings, tmp_path)
    found.first()
    member = settings.parent / "members" / "qinghe" / "member.yaml"
    member.write_text("id: qinghe\nname: Q\nnonsense: 1\n", encoding="utf-8")
    with pytest.raises(Configuration) as raised:
        found.next(at_once=True)
    assert f"{member.resolve()}:3" in raised.value.cause


def test_what_is_dropped_into_the_folder_is_no_setting(settings: Path, tmp_path: Path) -> None:
    found = editions(settings, tmp_path)
    found.first()
    before = found.signature()
    (settings.parent / "members" / "qinghe" / "results.csv").write_text("a,b\n", encoding="utf-8")
    (settings.parent / "notes.yaml").write_text("a: b\n", encoding="utf-8")
    assert found.signature() == before
    (settings.parent / "members" / "qinghe" / codes.FOLDER).mkdir()
    (settings.parent / "members" / "qinghe" / codes.FOLDER / "sex.csv").write_text("a,b\n", encoding="utf-8")
    assert found.signature() != before


def test_maps_outside_the_folder_are_not_watched(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    settings.write_text(settings.read_text(encoding="utf-8") + "maps: [../elsewhere]\n", encoding="utf-8")
    assert editions(settings, tmp_path).first() is None


# ------------------------------------------------------------------------------------------ real processes


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path) as running:
        running.start()
        yield running


@pytest.mark.slow
def test_a_running_gateway_takes_new_maps_and_keeps_them_when_newer_ones_are_wrong(service: Service) -> None:
    settings = service.data.parent / "community" / "community.yaml"
    assert service.send(MESSAGE % (b"Z1", b"1")).one("MSA", 1) == "AR"
    before = service.worker
    own_map(settings, STRUCTURE)
    until(lambda: service.get("/health")["settings"]["edition"] == 2)
    assert service.send(MESSAGE % (b"Z2", b"2")).one("MSA", 1) == "AA"
    until(lambda: service.worker not in (0, before))
    until(lambda: service.count("Patient?gender=female") == 1)

    own_map(settings, "PID => Patient\n  PID-7 <-> birthdate\n")
    os.kill(service.front, signal.SIGHUP)
    until(lambda: "mistakes" in service.get("/health")["settings"]["problem"])
    assert service.get("/health")["settings"]["edition"] == 2
    os.kill(service.worker, signal.SIGKILL)  # the one that follows has the last good edition
    assert service.send(MESSAGE % (b"Z3", b"3")).one("MSA", 1) == "AA"
    until(lambda: service.count("Patient?gender=female") == 2)
    shown = service._run("status", "--data", str(service.data))
    assert "edition 2" in shown
    assert "own.map:2: " in shown
