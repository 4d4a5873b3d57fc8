"""Which resources belong to a patient, an encounter, a practitioner, a device (R4 compartmentdefinition.html)."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping
from importlib import resources

import msgspec


@functools.cache
def _file() -> dict[str, dict[str, tuple[str, ...]]]:
    body = gzip.decompress(resources.files(__package__).joinpath("compartments.json.gz").read_bytes())
    return msgspec.json.decode(body, type=dict[str, dict[str, tuple[str, ...]]])


def parameters(compartment: str) -> Mapping[str, tuple[str, ...]]:
    """Resource type → the search parameters by which one belongs; {} for what is no compartment."""
    return _file().get(compartment, {})
