"""Translation side by side with a peer: one run, one core, the same messages, every ratio paired inside a round.

    python -m conformance.speed peers [--rounds 7] [--stream FILE.pkl | FOLDER] [--faults FOLDER] [--alone]

The peer is `hl7v2-fhir-bridge` 0.1.0 from PyPI, installed into an environment of its own when first needed.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from conformance.speed import translation, wrong
from conformance.speed.stream import messages

PEER = ("hl7v2-fhir-bridge==0.1.0", "orjson")
OURS = ("split", "bundle", "bundle+check", "message", "message+check")
THEIRS = ("bridge", "bridge+check")
RATIOS = (  # (what, slower, faster, the goal): how many times the cost of the second the first takes
    ("bytes → checked Bundle, peer / ours", "bridge+check", "bundle+check", ">= 10"),
    ("bytes → Bundle unchecked, peer / ours", "bridge", "bundle", ">= 5"),
    ("rate of the way back, checked", "bundle+check", "message+check", ">= 0.8"),
    ("rate of the way back, unchecked", "bundle", "message", ">= 0.8"),
    ("ours checked / split", "bundle+check", "split", ""),
)


class Live:
    """A worker that waits for its turn, on the last core."""

    def __init__(self, name: str, command: list[str], core: int | None) -> None:
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if core is not None:
            os.sched_setaffinity(self.process.pid, {core})
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} did not start")

    def ask(self, line: str) -> Any:
        """One question, one answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        """Waits for it."""
        self.process.communicate()


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m conformance.speed peers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slice", type=int, default=200, help="messages that each tool translates in a round")
    parser.add_argument("--messages", type=int, default=2000, help="of a stream, at most so many")
    parser.add_argument("--stream", type=Path, help="a pickled list of (kind, bytes), or a folder of *.hl7")
    parser.add_argument("--faults", type=Path, help="a folder of Bundles, the first good and the others faulty")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "hutong-peers")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hutong-speed-") as folder:
        stream = _stream(options.stream, options.messages, Path(folder))
        peer = None if options.alone else _installed(options.home)
        live = _started(stream, peer)
        count = _agree(live)
        _run(live, options.rounds, min(options.slice, count))
        _made(live)
        _caught(live, options.faults, Path(folder))
        for each in live.values():
            each.end()
    return 0


def _stream(given: Path | None, count: int, folder: Path) -> Path:
    if given is not None and given.is_file():
        found = pickle.loads(given.read_bytes())[:count]
    elif given is not None:
        found = [("sample", path.read_bytes()) for path in sorted(given.rglob("*.hl7"))]
    else:
        found = messages(count)
    path = folder / "stream.pkl"
    path.write_bytes(pickle.dumps(found))
    return path


def _installed(home: Path) -> Path | None:
    """The Python of the peer's own environment; None where it cannot be had."""
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER], check=False)
    return python if done.returncode == 0 else None


def _started(stream: Path, peer: Path | None) -> dict[str, Live]:
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    beside = str(Path(__file__).with_name("peer.py"))
    commands = {name: [sys.executable, "-m", "conformance.speed.translation", name, str(stream)] for name in OURS}
    if peer:
        commands.update((name, [str(peer), beside, name, str(stream)]) for name in THEIRS)
    else:
        print("without the peer")
    return {name: Live(name, command, core) for name, command in commands.items()}


def _agree(live: dict[str, Live]) -> int:
    """Only messages that all can translate are timed; each tool's own share is told."""
    able = {name: set(each.ask("able")) for name, each in live.items()}
    common = sorted(set.intersection(*able.values()))
    total = len(able["split"])
    print("can translate, of", total, ":", ", ".join(f"{name} {len(found)}" for name, found in able.items()))
    for each in live.values():
        each.ask(f"choose {json.dumps(common)}")
    return len(common)


def _run(live: dict[str, Live], rounds: int, count: int) -> None:
    cost: dict[str, list[float]] = {name: [] for name in live}
    for number in range(rounds):
        for name, each in live.items():
            cost[name].append(each.ask(f"go {number * count} {count}"))
    print(f"\n{'tool':16}{'CPU µs':>10}{'a second':>10}{'of split':>10}")
    for name, found in cost.items():
        middle = statistics.median(found)
        print(f"{name:16}{middle:10.0f}{1e6 / middle:10.0f}{ratios(found, cost['split'])[1]:10.1f}")
    print()
    for what, slower, faster, goal in RATIOS:
        if slower in cost and faster in cost:
            least, middle, most = ratios(cost[slower], cost[faster])
            print(f"{what:40}{middle:8.2f}   [{least:.2f} to {most:.2f}]   {goal and f'goal {goal}'}")


def ratios(slower: list[float], faster: list[float]) -> tuple[float, float, float]:
    """(least, median, most) of what the first takes beside the second, round by round."""
    found = [one / other for one, other in zip(slower, faster, strict=True)]
    return min(found), statistics.median(found), max(found)


def _made(live: dict[str, Live]) -> None:
    for name in ("bundle+check", "bridge+check"):
        if name in live:
            found = live[name].ask("made")
            parts = ", ".join(f"{type_} {count:.1f}" for type_, count in found.items())
            print(f"\n{name} makes {sum(found.values()):.1f} resources a message: {parts}")


def _caught(live: dict[str, Live], faults: Path | None, folder: Path) -> None:
    """How many faults each check refuses, and whether it takes the good one."""
    given = faults or folder / "faults"
    if faults is None:
        given.mkdir()
        wrong.write(_good(), given)
    good, *rest = sorted(path.name for path in given.glob("*.json"))
    for name in ("bundle+check", "bridge+check"):
        if name in live:
            refused = set(live[name].ask(f"refused {given}"))
            takes = "refuses" if good in refused else "takes"
            print(f"{name} catches {len(refused & set(rest))} of {len(rest)} faults and {takes} the good Bundle")


def _good() -> bytes:
    """The Bundle of a laboratory report of our own stream."""
    kinds = dict(reversed(messages(200)))
    return translation.bundle_of(kinds["laboratory"])
