"""Does the cost of a result stay the same in a long report, and what does a large embedded document cost?

python -m conformance.speed growth [--rounds 5] [--megabytes 50]
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from conformance.speed import translation
from conformance.speed.stream import TESTS

LENGTHS = (20, 200, 2000)
_HEAD = (
    "MSH|^~\\&|LIS|XZRMYY|HUTONG|COMMUNITY|20260314101530+0800||ORU^R01^ORU_R01|G1|P|2.5.1|||||CHN|UNICODE UTF-8",
    "PID|1||1000234567^^^XZRMYY^MR||张^伟明^^^^^L||19850312|M",
    "ORC|RE|P1^HIS|F1^LIS||CM",
    "OBR|1|P1^HIS|F1^LIS|58410-2^全血细胞分析^LN|||20260314103000+0800|||||||||||||||20260314113000+0800||LAB|F",
)


def report(results: int) -> bytes:
    """One report of so many results."""
    lines = list(_HEAD)
    for number in range(1, results + 1):
        code, name, unit = TESTS[number % len(TESTS)]
        lines.append(f"OBX|{number}|NM|{code}^{name}^LN|{number}|{number}.5|{unit}^{unit}^UCUM|1-200|N|||F")
    return ("\r".join(lines) + "\r").encode()


def document(megabytes: int) -> bytes:
    """A report with one embedded document of so many MB as base64."""
    text = base64.b64encode(bytes(range(256)) * (megabytes * 3_000_000 // 4 // 256))
    obx = b"OBX|1|ED|11502-2^report^LN||^application^pdf^Base64^" + text + b"||||||F\r"
    return ("\r".join(_HEAD) + "\r").encode() + obx


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m conformance.speed growth")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--document", type=int, help=argparse.SUPPRESS)  # the process of its own that is measured
    options = parser.parse_args(arguments)
    if options.document is not None:
        print(json.dumps(_document(options.document)))
        return 0
    _lengths(options.rounds)
    _large(options.megabytes)
    return 0


def _lengths(rounds: int) -> None:
    formats, profile = translation.shipped()
    into = partial(translation.bundle, formats=formats, profile=profile, check=True)
    back = partial(translation.message, formats=formats, check=True)
    bodies = [report(length) for length in LENGTHS]
    print(f"{'CPU µs a result':24}" + "".join(f"{length:>10}" for length in LENGTHS) + "   last / first")
    for name, run, given in (("into FHIR, checked", into, bodies), ("back, checked", back, [*map(into, bodies)])):
        cost = [_cost(run, body, rounds) / length for body, length in zip(given, LENGTHS, strict=True)]
        print(f"{name:24}" + "".join(f"{each:10.1f}" for each in cost) + f"{cost[-1] / cost[0]:12.2f}")


def _cost(run: Callable[[bytes], bytes], body: bytes, rounds: int) -> float:
    run(body)
    found = []
    for _ in range(rounds):
        began = time.process_time()
        run(body)
        found.append((time.process_time() - began) * 1e6)
    return statistics.median(found)


def _large(megabytes: int) -> None:
    """In processes of their own, so that the memory is theirs."""
    command = [sys.executable, "-m", "conformance.speed", "growth", "--document"]
    small, large = (
        json.loads(subprocess.run([*command, str(size)], capture_output=True, check=True, text=True).stdout)
        for size in (1, megabytes)
    )
    memory = (large["memory"] - small["memory"]) / (large["size"] - small["size"])
    print(
        f"\na document of {megabytes} MB: {large['seconds']:.2f} s to a checked Bundle, "
        f"{large['seconds'] / large['decoding']:.1f} times its base64 decoding; "
        f"memory {memory:.1f} times its size beyond the message itself"
    )


def _document(megabytes: int) -> dict[str, float]:
    formats, profile = translation.shipped()
    body = document(megabytes)
    translation.bundle(report(1), formats=formats, profile=profile, check=True)
    text = body[body.rindex(b"^") + 1 : body.index(b"||||||F")]
    began = time.process_time()
    base64.b64decode(text)
    decoding = time.process_time() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    made = translation.bundle(body, formats=formats, profile=profile, check=True)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": seconds, "decoding": decoding, "memory": (peak - before) * 1024, "size": len(text), "made": len(made)
    }  # fmt: skip
