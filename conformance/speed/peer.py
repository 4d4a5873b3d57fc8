"""The peer as a live worker, in its own environment: `hl7v2-fhir-bridge` from PyPI, as shipped, and with its check off.

    python peer.py bridge|bridge+check STREAM.pkl        the protocol is that of worker.py

It imports nothing of this repository but that protocol, which lies beside it.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from conformance.speed.worker import Tool, serve


def tool(name: str) -> Tool:
    """Bytes in, the bytes of a Bundle out; `bridge+check` validates it with fhir.resources, its default."""
    config = importlib.import_module("v2fhir.config")
    convert = importlib.import_module("v2fhir.convert").convert
    parse = importlib.import_module("v2fhir.hl7.parser").parse_bytes
    validate = importlib.import_module("v2fhir.validate").validate_bundle
    dumps = importlib.import_module("orjson").dumps
    logging.getLogger("v2fhir").setLevel(logging.ERROR)
    settings = config.load_config(config.default_config_path())

    def run(body: bytes) -> bytes:
        bundle = convert(parse(body, settings.default_charset, settings.fallback_charsets), settings).bundle
        if name.endswith("+check"):
            validate(bundle)
        made: bytes = dumps(bundle)
        return made

    def refuses(body: bytes) -> bool:
        bundle: Any = json.loads(body)
        try:
            validate(bundle)
        except Exception:  # noqa: BLE001 - whatever a peer raises is its way to refuse
            return True
        return False

    return Tool(run, refuses)


if __name__ == "__main__":
    serve(tool(sys.argv[1]), Path(sys.argv[2]))
