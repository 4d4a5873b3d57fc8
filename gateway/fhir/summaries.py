"""Which elements the summary of a resource holds (R4 search.html#summary, ElementDefinition.isSummary)."""

from __future__ import annotations

import functools
import gzip
from importlib import resources

import msgspec


@functools.cache
def _file() -> dict[str, frozenset[str]]:
    body = gzip.decompress(resources.files(__package__).joinpath("summaries.json.gz").read_bytes())
    return msgspec.json.decode(body, type=dict[str, frozenset[str]])


def elements(type: str) -> frozenset[str]:
    """Paths below the type, as defined: 'name', 'deceased[x]', 'component.code'."""
    return _file().get(type, frozenset())
