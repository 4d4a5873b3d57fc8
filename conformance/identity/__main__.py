"""Prints the table: what of the truth each way finds, what it joins wrongly, how often it asks, how fast it is."""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from conformance.identity import measure
from conformance.identity.county import County, Record

OTHERS = {"splink": "with_splink.py", "recordlinkage": "with_recordlinkage.py"}
HERE = Path(__file__).parent


def main() -> int:
    """0 where nobody was joined wrongly by our own way."""
    parser = argparse.ArgumentParser(prog="python -m conformance.identity")
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--beside", action="store_true", help="splink and recordlinkage too, from PyPI")
    parser.add_argument("--environment", type=Path, default=Path("/tmp/hutong-identity-beside"))
    asked = parser.parse_args()
    records = list(County(asked.people, asked.seed).records())
    print(f"{asked.people} people, {len(records)} records, seed {asked.seed}\n{measure.HEAD}")
    own = measure.ours(records)
    print(own.line)
    print(measure.exact(records, "name", "born", "sex", name="equal name, birth date, sex").line)
    if asked.beside:
        _beside(records, asked.environment)
    return 1 if own.wrong else 0


def _beside(records: Sequence[Record], environment: Path) -> None:
    """The same records given to others, each in the environment that this run makes."""
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *OTHERS], check=True)
    table = environment / "records.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["place", *asdict(records[0])])
        writer.writeheader()
        writer.writerows({"place": place, **asdict(each)} for place, each in enumerate(records))
    for name, script in OTHERS.items():
        began = time.perf_counter()
        done = subprocess.run(
            [str(python), str(HERE / script), str(table)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"{name:<28} did not run: {done.stderr.strip().splitlines()[-1:]}")
            continue
        seconds = time.perf_counter() - began
        for line in filter(lambda each: each.startswith("{"), done.stdout.splitlines()):
            way = json.loads(line)
            print(measure.by_pairs(way["name"], records, way["pairs"], seconds=seconds).line)


if __name__ == "__main__":
    sys.exit(main())
