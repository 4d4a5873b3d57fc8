"""Is everything valid FHIR R4, in the eyes of a program that is not ours? Only where there is one.

The validator is looked for in ../shared/tools/validate_r4 beside the checkout, or where HUTONG_VALIDATOR says
(`node validate.mjs FOLDER`, exit 0 when all are valid). Without it, or without its node packages, nothing is said.

    python -m conformance.validator FOLDER     every HL7 v2 message below a folder: is the Bundle that it becomes valid?
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance.gateway import Gateway
from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir import json
from gateway.mapping.lawful import lawful
from gateway.mapping.maps import Maps, load, shipped
from gateway.model import Profile

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "tools" / "validate_r4" / "validate.mjs"
PROFILE = Profile(time_zone="Asia/Shanghai")


def command() -> list[str]:
    """How the validator is called; empty where there is none."""
    program = Path(os.environ.get("HUTONG_VALIDATOR", BESIDE))
    node = shutil.which("node")
    if node is None or not (program.parent / "node_modules").is_dir():
        return []
    return [node, str(program), "--allow-dangling"]


def judged(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """'' where all (name, resource) are valid; else what is wrong with the first ones."""
    with tempfile.TemporaryDirectory() as folder:
        for name, resource in resources:
            (Path(folder) / f"{name}.json").write_bytes(json.dumps(dict(resource)))
        done = subprocess.run([*command(), folder], capture_output=True, text=True, timeout=600, check=False)
    told = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("ok")]
    return "" if done.returncode == 0 else "\n".join(told[-20:])


def validate(gateway: Gateway) -> Iterator[tuple[str, str]]:
    """One check, or none where there is no validator."""
    if not command():
        return
    kinds = gateway.get("/operations/status")["resources"]
    stored = (each for kind in kinds for each in gateway.search(f"{kind}?_count=1000"))
    cause = judged((f"{each['resourceType']}-{each['id']}", each) for each in stored)
    yield "every resource is valid in the eyes of an independent validator", cause.rpartition("\n")[2]


def bundles(bodies: Iterable[bytes], maps: Maps) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The Bundle of each message that becomes one, numbered."""
    for number, body in enumerate(bodies):
        try:
            made = lawful(maps.to_fhir(hl7v2.decode(body), profile=PROFILE))
        except HutongError:
            continue
        yield f"{number:05}-{made.structure}", made.bundle


def main() -> int:
    """0 when all are valid, 1 when one is not, 2 where there is no validator."""
    if len(sys.argv) != 2 or not command():
        sys.stdout.write(f"{__doc__}\n")
        return 2
    made = list(bundles((path.read_bytes() for path in sorted(Path(sys.argv[1]).rglob("*.hl7"))), load([shipped()])))
    found = judged(made)
    sys.stdout.write(f"{found}\n" if found else f"{len(made)} Bundles, all valid\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
