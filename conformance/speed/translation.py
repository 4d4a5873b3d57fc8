"""The gateway's translation as a live worker (worker.py): bytes in, bytes out, nothing stored.

python -m conformance.speed.translation NAME STREAM.pkl

split           text into segments and fields: the floor
bundle          HL7 v2 → the bytes of a Bundle
bundle+check    the same, the FHIR checked
message         the Bundle of each message → HL7 v2
message+check   the same, the FHIR that comes in checked
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from functools import partial
from pathlib import Path

from conformance.speed.worker import Tool, serve
from gateway import config
from gateway.app.processes import settle_down
from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.fhir import json, validate
from gateway.formats import Formats, written
from gateway.mapping import maps
from gateway.model import Profile


def split(body: bytes) -> list[list[str]]:
    """The floor."""
    return [line.split("|") for line in body.decode().split("\r") if line]


def bundle(body: bytes, *, formats: Formats, profile: Profile, check: bool) -> bytes:
    """HL7 v2 → Bundle."""
    made = formats.maps.to_fhir(hl7v2.decode(body), profile=profile).bundle
    if check:
        validate.check_bundle(made)
    return json.dumps(made, finite=True)


def message(body: bytes, *, formats: Formats, check: bool) -> bytes:
    """Bundle → HL7 v2."""
    return written.message_of(body, formats, None, check=check)


def refuses(body: bytes) -> bool:
    """Does our check refuse it?"""
    try:
        validate.check_bundle(json.loads(body))
    except HutongError:
        return True
    return False


def shipped() -> tuple[Formats, Profile]:
    """The maps and settings that come with the product."""
    community = config.starter()
    return Formats(community, maps.load([maps.shipped()])), Profile(time_zone=community.time_zone)


def bundle_of(body: bytes) -> bytes:
    """The checked Bundle of one message."""
    formats, profile = shipped()
    return bundle(body, formats=formats, profile=profile, check=True)


def _bundles(stream: Path, formats: Formats, profile: Profile) -> Path:
    """The stream of the way back: the Bundle of each message; an empty one where there is none."""
    made = []
    for kind, body in pickle.loads(stream.read_bytes()):
        try:
            made.append((kind, bundle(body, formats=formats, profile=profile, check=False)))
        except HutongError:
            made.append((kind, b""))
    path = Path(tempfile.mkstemp(prefix="hutong-speed-", suffix=".pkl")[1])
    path.write_bytes(pickle.dumps(made))
    return path


def main() -> None:
    """The worker."""
    name, stream = sys.argv[1], Path(sys.argv[2])
    formats, profile = shipped()
    check = name.endswith("+check")
    if name.startswith("message"):
        run, stream = partial(message, formats=formats, check=check), _bundles(stream, formats, profile)
    elif name.startswith("bundle"):
        run = partial(bundle, formats=formats, profile=profile, check=check)
    else:
        settle_down()
        serve(Tool(split), stream)
        return
    settle_down()
    serve(Tool(run, refuses), stream)


if __name__ == "__main__":
    main()
