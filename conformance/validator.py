"""Is everything in the record valid FHIR R4, in the eyes of a program that is not ours? Only where there is one.

The validator is looked for in ../shared/tools/validate_r4 beside the checkout, or where HUTONG_VALIDATOR says
(`node validate.mjs FOLDER`, exit 0 when all are valid). Without it, or without its node packages, nothing is said.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from conformance.gateway import Gateway

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "tools" / "validate_r4" / "validate.mjs"


def validate(gateway: Gateway) -> Iterator[tuple[str, str]]:
    """One check, or none where there is no validator."""
    program = Path(os.environ.get("HUTONG_VALIDATOR", BESIDE))
    node = shutil.which("node")
    if node is None or not (program.parent / "node_modules").is_dir():
        return
    with tempfile.TemporaryDirectory() as folder:
        kinds = gateway.get("/operations/status")["resources"]
        for resource in (each for kind in kinds for each in gateway.search(f"{kind}?_count=1000")):
            path = Path(folder) / f"{resource['resourceType']}-{resource['id']}.json"
            path.write_text(json.dumps(resource, ensure_ascii=False), "utf-8")
        command = [node, str(program), "--quiet", "--allow-dangling", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    yield "every resource is valid in the eyes of an independent validator", "" if done.returncode == 0 else last
