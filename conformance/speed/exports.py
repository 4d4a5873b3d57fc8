"""Large exports: rows a second to validated FHIR beside what only reads the same file, and memory as the file grows.

    python -m conformance.speed exports [--rounds 5] [--rows 5000] [--growth 10000,100000] [--kinds csv,xml] [--alone]

The floors are pandas.read_csv (dtype=str, from PyPI, in an environment of its own that is made when first needed) and
openpyxl alone, read only. All tools take turns in one run, on one core; ratios are paired inside a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conformance.speed import rows
from conformance.speed.peers import Live, ratios

PEER = "pandas"
FLOORS = {"csv → FHIR": "pandas.read_csv", "xlsx → FHIR": "openpyxl"}
GOAL = 5_000  # rows a second and core
_MEASURED = (
    "import resource, subprocess, sys, time\n"
    "command = [sys.executable, '-m', 'gateway', 'translate', sys.argv[1]]\n"
    "subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)\n"
    "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
    "print(used.ru_utime + used.ru_stime, used.ru_maxrss)\n"
)


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m conformance.speed exports")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=5_000, help="of the file that all tools read in each round")
    parser.add_argument("--growth", default="10000,100000", help="rows of the files whose memory is measured")
    parser.add_argument("--kinds", default="csv,xml,json,ndjson", help="of those files; xlsx too")
    parser.add_argument("--alone", action="store_true", help="without pandas")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "hutong-pandas")
    parser.add_argument("--tool", help=argparse.SUPPRESS)  # the live process
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.tool:
        _serve(options.tool, options.file)
        return 0
    with tempfile.TemporaryDirectory(prefix="hutong-exports-") as folder:
        _side_by_side(Path(folder), options.rows, options.rounds, None if options.alone else _installed(options.home))
        counts = [int(count) for count in options.growth.split(",") if count]
        for kind in options.kinds.split(",") if counts else ():
            _growth(Path(folder), kind, counts)
    return 0


def _side_by_side(folder: Path, count: int, rounds: int, peer: Path | None) -> None:
    files = {kind: rows.write(folder / f"lab.{kind}", count) for kind in ("csv", "xlsx", "xml", "json", "ndjson")}
    text, book = files["csv"], files["xlsx"]
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    ours = [sys.executable, "-m", "conformance.speed", "exports", "--tool"]
    commands = {
        **{f"{kind} → FHIR": [*ours, "fhir", "--file", str(path)] for kind, path in files.items()},
        "openpyxl": [*ours, "openpyxl", "--file", str(book)],
    }
    if peer:
        commands["pandas.read_csv"] = [str(peer), str(Path(__file__).with_name("table_peer.py")), str(text)]
    else:
        print("without pandas")
    live = {name: Live(name, command, core) for name, command in commands.items()}
    cost: dict[str, list[float]] = {name: [] for name in live}
    for _ in range(rounds):
        for name, each in live.items():
            cost[name].append(each.ask("go") / count * 1e6)
    for each in live.values():
        each.end()
    print(f"{'tool':18}{'CPU µs a row':>14}{'rows a second':>15}")
    for name, found in cost.items():
        middle = statistics.median(found)
        goal = f"   goal >= {GOAL}" if name.endswith("FHIR") else ""
        print(f"{name:18}{middle:14.1f}{1e6 / middle:15.0f}{goal}")
    for name, floor in FLOORS.items():
        if floor in cost:
            least, middle, most = ratios(cost[name], cost[floor])
            print(f"{name} / {floor}: {middle:.1f} times its time   [{least:.1f} to {most:.1f}]")


def _growth(folder: Path, kind: str, counts: list[int]) -> None:
    """The whole command in a process of its own, so that the memory is its own."""
    print(f"\n{f'{kind} rows':>11}{'file MB':>9}{'CPU s':>8}{'rows a second':>15}{'peak MB':>9}")
    found = []
    for count in counts:
        path = rows.write(folder / f"grown.{kind}", count)
        run = subprocess.run([sys.executable, "-c", _MEASURED, str(path)], capture_output=True, text=True, check=True)
        seconds, memory = map(float, run.stdout.split())
        found.append(memory)
        size = path.stat().st_size / 1e6
        path.unlink()
        print(f"{count:11}{size:9.1f}{seconds:8.1f}{count / seconds:15.0f}{memory / 1024:9.0f}")
    print(f"memory, the last / the first: {found[-1] / found[0]:.2f}")


def _installed(home: Path) -> Path | None:
    """The Python of the peer's own environment; None where it cannot be had."""
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", PEER], check=False)
    return python if done.returncode == 0 else None


def _serve(tool: str, file: Path) -> None:
    """Answers each line of standard input with the CPU seconds that one reading of the file took."""
    run = _fhir if tool == "fhir" else _openpyxl
    run(file)
    if tool == "fhir":
        from gateway.app.processes import settle_down

        settle_down()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        run(file)
        print(json.dumps(time.process_time() - began), flush=True)


def _fhir(file: Path) -> None:
    """Our translation, checked, as `hutong translate` writes it."""
    from gateway import stateless, streaming

    told = streaming.Told(note=lambda text: None, reject=lambda reject: None)
    pieces = streaming.translate(file, name=file.name, member=None, config=None, channel="", told=told)
    if pieces is None:
        stateless.translate(file.read_bytes(), name=file.name, member=None, to="fhir", config=None)
        return
    for _ in pieces:
        pass


def _openpyxl(file: Path) -> None:
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    for _ in book.worksheets[0].iter_rows(values_only=True):
        pass
    book.close()
