"""A tool as a live process, so that several can take turns in one run: what the driver says and what is answered.

ready                     printed when the tool has warmed up
go START COUNT            CPU microseconds a message, over messages START … START + COUNT of those that are chosen
able                      the numbers of the messages that it can translate
choose [NUMBERS]          only these from now on
made                      resources a message, by type
refused FOLDER            the files of the folder that its check refuses
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WARM = 200  # messages


@dataclass(frozen=True)
class Tool:
    """`run` makes bytes from bytes; `refuses` is its check of a Bundle."""

    run: Callable[[bytes], Any]
    refuses: Callable[[bytes], bool] | None = None


class _Worker:
    def __init__(self, tool: Tool, bodies: list[bytes]) -> None:
        self.tool = tool
        self.bodies = bodies
        self.chosen = bodies

    def go(self, start: str, count: str) -> float:
        run, many = self.tool.run, len(self.chosen)
        bodies = [self.chosen[number % many] for number in range(int(start), int(start) + int(count))]
        began = time.process_time()
        for body in bodies:
            run(body)
        return (time.process_time() - began) / len(bodies) * 1e6

    def able(self) -> list[int]:
        return [number for number, body in enumerate(self.bodies) if self._can(body)]

    def _can(self, body: bytes) -> bool:
        try:
            return bool(self.tool.run(body))
        except Exception:  # noqa: BLE001 - whatever a tool raises: it cannot
            return False

    def choose(self, numbers: str) -> int:
        self.chosen = [self.bodies[number] for number in json.loads(numbers)]
        return len(self.chosen)

    def made(self) -> dict[str, float]:
        counts: Counter[str] = Counter()
        sample = self.chosen[:WARM]
        for body in sample:
            for entry in json.loads(self.tool.run(body)).get("entry", ()):
                counts[entry["resource"]["resourceType"]] += 1
        return {name: count / len(sample) for name, count in counts.most_common()}

    def refused(self, folder: str) -> list[str]:
        refuses = self.tool.refuses
        files = sorted(Path(folder).glob("*.json")) if refuses else []
        return [path.name for path in files if refuses and refuses(path.read_bytes())]


def serve(tool: Tool, stream: Path) -> None:
    """Answers each line of standard input with one line of JSON."""
    worker = _Worker(tool, [body for _, body in pickle.loads(stream.read_bytes())])
    for body in worker.bodies[:WARM]:
        worker._can(body)
    print("ready", flush=True)
    for line in sys.stdin:
        name, _, rest = line.strip().partition(" ")
        arguments = [rest] if name in ("choose", "refused") else rest.split()
        print(json.dumps(getattr(worker, name)(*arguments)), flush=True)
