"""Beside a gateway under load: backup, restore, retention."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conformance.fault import Fault, result, settled, until
from conformance.gateway import Gateway
from conformance.receivers import Hospital

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PROGRAM = [sys.executable, "-m", "gateway"]
PAUSE = 0.03  # seconds between two messages: what comes during a backup is soon worked on, on slow machines too


def hutong(*arguments: str) -> str:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Sending:
    """Messages one after the other, until it is told to stop; `taken` were acknowledged."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.taken: list[int] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            number = len(self.taken)
            assert self.gateway.send(result(number)).one("MSA", 1) == "AA"
            self.taken.append(number)
            self._stopped.wait(PAUSE)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


def test_a_backup_under_load_brings_back_all_that_was_acknowledged(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with Hospital() as hospital, Fault(tmp_path / "one", PROGRAM).gateway(hospital.address) as gateway:
        sending = Sending(gateway)
        try:
            assert until(lambda: len(hospital.received) > 40) >= 0
            promised, delivered = list(sending.taken), {message.report for message in list(hospital.received)[:-20]}
            hutong("backup", "--data", str(gateway.data), str(tmp_path / "copy.tar"))
        finally:
            sending.stop()
        gateway.kill()
    sent = [(message.report, message.control_id) for message in hospital.received]
    with Hospital() as hospital, Fault(tmp_path / "two", PROGRAM).gateway(hospital.address) as gateway:
        assert gateway.stop() == ""
        for file in sorted(gateway.data.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        hutong("restore", str(tmp_path / "copy.tar"), "--data", str(gateway.data))
        gateway.use(hutong("token", "create", "--data", str(gateway.data), "--name", "again", "--scope", "system/*.*"))
        gateway.start()
        assert until(lambda: settled(gateway)) >= 0
        found = gateway.count("DiagnosticReport?status=final")
        assert len(promised) <= found <= len(sending.taken)
        again = [(message.report, message.control_id) for message in hospital.received]
        assert {report for report, _ in sent} | {report for report, _ in again} >= {f"F{n:05d}" for n in promised}
        doubled = {report for report, _ in again} & {report for report, _ in sent}
        strange = [report for report, key in again if report in doubled and (report, key) not in sent]
        assert len(strange) <= 2  # worked on in the instant of the snapshots: under a number of its own
        assert not {report for report, _ in again} & delivered  # the last 20 may not have been confirmed yet
