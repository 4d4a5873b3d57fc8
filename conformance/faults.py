"""Faults: a gateway process, receivers that misbehave, disks that fill up, kill -9; what was promised must still hold.

    python -m conformance.faults              all of them, about two minutes
    python -m conformance.faults disk_full    one of them

One line a fault with its figures; exit 0 when all hold, 1 when not. `disk_full` needs root (it mounts a small tmpfs),
`failing_disk` needs strace; both say so when they cannot run. Nothing of the gateway is imported.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from conformance.fault import COMMUNITY, NAMES, Fault, Result, in_order, result, settled, until
from conformance.gateway import Gateway
from conformance.hooks import killed_while_notifying
from conformance.message import Message
from conformance.pickups import killed_while_picking_up
from conformance.receivers import Hospital, WebAddress, acknowledgement

NO_DRIVER = "skipped: needs psycopg (pip install 'hutong[db]')"
LEFT = 6 * 2**20  # bytes of a disk before it is full: some hundred messages, whatever machine works on them


# ------------------------------------------------------------------------------------------------ the faults


def killed_while_delivering(fault: Fault) -> Result:
    """R3: kill -9 in the middle of deliveries; at the target each at least once, always under the same number."""
    count, lives, rounds = 240, 6, random.Random(7)

    def slowly(message: Message) -> bytes | None:
        time.sleep(0.004)
        return acknowledgement(message) if rounds.random() > 0.05 else None  # hangs up now and then

    with Hospital(slowly) as hospital, fault.gateway(hospital.address) as gateway:
        ready = []
        for life in range(lives):
            for number in range(life * count // lives, (life + 1) * count // lives):
                if gateway.send(result(number)).one("MSA", 1) != "AA":
                    return "", f"message {number} was not taken"
            hospital.wait(len(hospital.received) + rounds.randrange(3, 12), 30)
            gateway.kill()
            ready.append(gateway.start())
        until(lambda: settled(gateway))
        keys: dict[str, set[str]] = {}
        for message in hospital.received:
            keys.setdefault(message.report, set()).add(message.control_id)
        stored = gateway.count("DiagnosticReport?status=final")
        figures = (
            f"{count} messages, {lives} kills, {len(hospital.received)} arrivals, ready in {max(ready):.1f} s at most"
        )
        if len(keys) != count or stored != count:
            return figures, f"{len(keys)} arrived, {stored} are stored"
        if any(len(found) > 1 for found in keys.values()):
            return figures, "one message came under two numbers"
        ordered = in_order([message.report for message in hospital.received], len(NAMES))
        return figures, "" if ordered else "a patient's messages overtook each other"


class Troubled:
    """A web address that can be told how to behave, and what it took."""

    def __init__(self, web: WebAddress) -> None:
        self.web = web
        self.taken: list[str] = []

    def be(self, trouble: str) -> None:
        """down (it must be up before), slow, 503, 500, silent, well."""
        self.web.headers = {"Retry-After": "1"} if trouble == "503" else {}
        if trouble == "down":
            self.web.down()
            return
        if not self.web.listening:
            self.web.up()
        answers: dict[str, int | Callable[[bytes], int]] = {"503": 503, "500": 500, "silent": 0, "slow": self._slowly}
        self.web.status = answers.get(trouble, self._take)

    def _slowly(self, body: bytes) -> int:
        time.sleep(0.2)
        return self._take(body)

    def _take(self, body: bytes) -> int:
        self.taken.append("F" + body.partition(b'"value":"F')[2][:5].decode())
        return 201


def receiver_in_trouble(fault: Fault) -> Result:
    """R8: down, slow, 503, 500, no answer, then well: everything arrives, each patient's in order, soon after."""
    with (
        WebAddress() as web,
        fault.gateway(web.address, transport="http", format="fhir", message="resource") as gateway,
    ):
        receiver, sent = Troubled(web), 0
        for trouble, seconds in (("down", 4.0), ("slow", 2.0), ("503", 2.0), ("500", 2.0), ("silent", 2.0)):
            receiver.be(trouble)
            for _ in range(40):
                gateway.send(result(sent))
                sent += 1
            time.sleep(seconds)
        receiver.be("well")
        took = until(lambda: settled(gateway) and len(set(receiver.taken)) >= sent)
        tries = len(web.received)
        figures = f"{sent} messages, {tries} tries, all there {took:.1f} s after it was well"
        if took < 0 or len(set(receiver.taken)) != sent:
            return figures, f"{len(set(receiver.taken))} of {sent} were taken"
        if tries > 2 * sent:
            return figures, "a thundering herd"
        if not in_order(receiver.taken, len(NAMES)):
            return figures, "a patient's messages overtook each other"
        return figures, "" if took < 10 else "it took longer than 10 s"


def poison(fault: Fault) -> Result:
    """R9: one message that is refused for ever is dead after three tries, the others pass; replay brings it."""
    refused = {"F00003"}
    with (
        Hospital(lambda each: acknowledgement(each, "AE" if each.report in refused else "AA")) as hospital,
        fault.gateway(hospital.address) as gateway,
    ):
        began = time.monotonic()
        for number in range(24):
            gateway.send(result(number, patients=3))
        others = until(lambda: len({each.report for each in hospital.received} - refused) == 23)
        dead = until(lambda: len(gateway.get("/operations/deliveries?state=dead")["deliveries"]) == 1)
        figures = f"23 others there after {others:.1f} s, dead after {time.monotonic() - began:.1f} s"
        if others < 0 or dead < 0:
            return figures, "the others did not pass, or it never died"
        tries = [each.control_id for each in hospital.received if each.report in refused]
        refused.clear()
        number = gateway.get("/operations/deliveries?state=dead")["deliveries"][0]["id"]
        gateway._run("replay", "--data", str(gateway.data), "--delivery", str(number))
        until(lambda: settled(gateway))
        again = [each.control_id for each in hospital.received if each.report == "F00003"]
        if len(tries) != 3 or len(again) != 4 or len(set(again)) != 1:
            return figures, f"{len(tries)} tries, then {len(again)}, under {len(set(again))} numbers"
        return figures, ""


def disk_full(fault: Fault) -> Result:
    """R5: a full disk: no AA, reading goes on; once there is room it goes on by itself, nothing lost or doubled."""
    disk = fault.home / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        return "skipped: no small disk can be mounted here", ""
    try:
        return _disk_full(Fault(disk, fault.command), disk)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def _disk_full(fault: Fault, disk: Path) -> Result:
    with Hospital() as hospital, fault.gateway(hospital.address) as gateway:
        ballast, room = disk / "ballast", os.statvfs(disk)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - LEFT)
        taken, refused, number = [], 0, 0
        while refused < 50 and number < 20_000:
            if _code(gateway, result(number, text=f"NTE|1||{'x' * 3000}")) == "AA":
                taken.append(number)
            else:
                refused += 1
            number += 1
        for path in ("/fhir/Patient?_count=1", "/operations/status", "/metrics", "/fhir/metadata", "/nothing") * 10:
            gateway.status_of(path)
        while_full = gateway.status_of("/fhir/DiagnosticReport?_count=1")
        ballast.unlink()
        began = time.monotonic()
        back = until(lambda: _code(gateway, result(number)) == "AA", 20)
        until(lambda: settled(gateway))
        figures = f"{len(taken)} taken, then {refused} without an AA; AA again after {back:.1f} s, all done after "
        figures += f"{time.monotonic() - began:.1f} s"
        lost = [each for each in [*taken, number] if gateway.count(f"DiagnosticReport?identifier=F{each:05d}") != 1]
        stopped = gateway.stop()
        if while_full != 200 or back < 0 or lost or stopped:
            return figures, f"reading {while_full}, back {back:.1f}, lost or doubled {len(lost)}, {stopped}"
        damaged = [name for name in ("journal", "record") if not _sound(gateway.data / f"{name}.sqlite")]
        return figures, f"damaged: {damaged}" if damaged else ""


def _code(gateway: Gateway, body: bytes) -> str:
    try:
        return gateway.send(body).one("MSA", 1)
    except OSError:
        return ""


def _sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def failing_disk(fault: Fault) -> Result:
    """R6: fdatasync answers EIO now and then: no AA for what was in that commit; nothing lost, nothing doubled."""
    if not shutil.which("strace"):
        return "skipped: needs strace", ""
    inject = "inject=fdatasync:error=EIO:when=40+25"
    tracing = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject]
    with Hospital() as hospital:
        config = fault.home / "community.yaml"
        text = COMMUNITY.format(address=hospital.address, transport="mllp", format="hl7v2", message="ORU_R01")
        config.write_text(text, "utf-8")
        with Gateway(fault.command, fault.home, config=config) as gateway:
            gateway.start()
            gateway.stop()
            gateway._command = [*tracing, *fault.command]
            gateway.start()
            codes = {number: _code(gateway, result(number)) for number in range(60)}
            gateway.kill()
            gateway._command = fault.command
            gateway.start()
            until(lambda: settled(gateway))
            counts = {number: gateway.count(f"DiagnosticReport?identifier=F{number:05d}") for number in codes}
        taken = [number for number, code in codes.items() if code == "AA"]
        figures = f"{len(taken)} of {len(codes)} taken, {len(codes) - len(taken)} without an AA"
        wrong = [number for number in taken if counts[number] != 1] + [each for each in counts if counts[each] > 1]
        if len(taken) == len(codes):
            return figures, "no error reached the gateway: nothing was shown"
        return figures, f"{len(wrong)} lost or doubled" if wrong else ""


def killed_while_polling(fault: Fault) -> Result:
    """kill -9 while a member's views are polled and written to: every report as it is at last, none of them twice."""
    try:
        from conformance import polled
    except ImportError:
        return NO_DRIVER, ""
    return polled.killed_while_polling(fault.home, fault.command)


def killed_while_writing_a_table(fault: Fault) -> Result:
    """kill -9 while rows are written into a middle table: each delivery whole, and once."""
    try:
        from conformance import middle_table
    except ImportError:
        return NO_DRIVER, ""
    return middle_table.killed_while_writing_a_table(fault.home, fault.command)


FAULTS = {
    each.__name__: each
    for each in (
        killed_while_delivering, killed_while_notifying, killed_while_picking_up, killed_while_polling,
        killed_while_writing_a_table, receiver_in_trouble, poison, disk_full, failing_disk,
    )
}  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.faults", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--hutong", metavar="COMMAND", default=f"{shlex.quote(sys.executable)} -m gateway")
    options = parser.parse_args()
    failed = 0
    for name in options.faults or FAULTS:
        home = Path(tempfile.mkdtemp(prefix=f"hutong-{name}-"))
        figures, wrong = FAULTS[name](Fault(home, shlex.split(options.hutong)))
        print(f"{'FAIL' if wrong else 'ok  '} {name}: {figures}{'; ' + wrong if wrong else ''}", flush=True)
        if wrong:
            failed += 1
            print(f"     kept for a look: {home}")
        else:
            shutil.rmtree(home)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
