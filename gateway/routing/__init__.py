"""Who asked for a change, and may they have it. Pure: the record's facts come in as plain data."""

from __future__ import annotations

from gateway.routing.audience import Context, owner_of, wanted
from gateway.routing.criteria import compile, matches  # noqa: A004  the verb of this room

__all__ = ["Context", "compile", "matches", "owner_of", "wanted"]
