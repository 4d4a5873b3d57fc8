"""Runs the stages side by side, then a whole gateway under load; `peers`, `growth`, `exports`, `record` and `bulk`
are runs of their own."""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from conformance.gateway import Gateway
from conformance.speed import bulk, exports, growth, peers, record
from conformance.speed.stream import messages

STAGES = ("split", "look", "receive", "translate", "work")
CONNECTIONS = 8


def main() -> int:
    """The command."""
    if sys.argv[1:2] == ["peers"]:
        return peers.main(sys.argv[2:])
    if sys.argv[1:2] == ["growth"]:
        return growth.main(sys.argv[2:])
    if sys.argv[1:2] == ["exports"]:
        return exports.main(sys.argv[2:])
    if sys.argv[1:2] == ["bulk"]:
        return bulk.main(sys.argv[2:])
    if sys.argv[1:2] == ["record"]:
        return record.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m conformance.speed")
    parser.add_argument("--rounds", type=int, default=5, help="slices of half a second for each stage")
    parser.add_argument("--messages", type=int, default=1500, help="how many go through the whole gateway")
    parser.add_argument("--stream", metavar="FILE.pkl", help="a pickled list of (kind, bytes) instead of our own")
    options = parser.parse_args()
    _stages(options.rounds, options.stream)
    return _whole(options.messages)


def _stages(rounds: int, stream: str | None) -> None:
    """All workers live, one slice each in turn; ratios are paired inside a round, because machines are noisy."""
    live = {name: _started(name, stream) for name in STAGES}
    cost: dict[str, list[float]] = {name: [] for name in STAGES}
    for _ in range(rounds):
        for name, worker in live.items():
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
            cost[name].append(float(worker.stdout.readline()))
    for worker in live.values():
        worker.communicate()
    print(f"{'stage':12}{'CPU µs':>10}{'a second':>10}{'of split':>10}   range of the ratio")
    for name, found in cost.items():
        ratios = [mine / floor for mine, floor in zip(found, cost["split"], strict=True)]
        middle = statistics.median(found)
        print(
            f"{name:12}{middle:10.0f}{1e6 / middle:10.0f}{statistics.median(ratios):10.1f}   "
            f"{min(ratios):.1f} to {max(ratios):.1f}"
        )


def _started(name: str, stream: str | None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "conformance.speed.stage", name, *([stream] if stream else [])]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    if worker.stdout.readline() != "ready\n":
        raise SystemExit(f"the stage {name} did not start")
    return worker


def _whole(count: int) -> int:
    """Messages over MLLP, a closed loop on each connection; then until all are in the record."""
    with Gateway(
        [sys.executable, "-m", "gateway"], Path(tempfile.mkdtemp(prefix="hutong-speed-")), config=None
    ) as gateway:
        ready = gateway.start()
        bodies = [body for _, body in messages(count)]
        seconds: list[float] = []
        began = time.monotonic()
        lines = [
            threading.Thread(target=_line, args=(gateway, bodies[line::CONNECTIONS], seconds))
            for line in range(CONNECTIONS)
        ]
        for each in lines:
            each.start()
        for each in lines:
            each.join()
        acknowledged = time.monotonic() - began
        while gateway.entries().get("waiting", 0):
            time.sleep(0.5)  # asking costs the gateway something too
        stored = time.monotonic() - began
        entries = gateway.entries()
    seconds.sort()
    middle, most = (seconds[int(len(seconds) * part)] * 1000 for part in (0.5, 0.99))
    rate = len(seconds) / acknowledged
    print(f"\nwhole gateway, {CONNECTIONS} connections: ready in {ready:.1f} s")
    print(f"acknowledged {len(seconds)}: {rate:.0f} a second, p50 {middle:.1f} ms, p99 {most:.1f} ms")
    print(f"in the record after {stored:.1f} s: {count / stored:.0f} a second; {entries}")
    return 0 if entries["done"] + entries["parked"] == count == len(seconds) else 1


def _line(gateway: Gateway, bodies: list[bytes], seconds: list[float]) -> None:
    with socket.create_connection(gateway.mllp, timeout=30) as line, line.makefile("rb") as answers:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies:
            began = time.monotonic()
            line.sendall(b"\x0b" + body + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                answer += answers.read1()
            if b"\rMSA|AA|" in answer or b"\rMSA|CA|" in answer:
                seconds.append(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
