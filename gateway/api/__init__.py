"""The web door: FHIR REST over the record, intake of messages, operations; every request but /health with a token."""

from __future__ import annotations

from gateway.api.door import create
from gateway.api.security import Tokens
from gateway.api.services import Services

__all__ = ["Services", "Tokens", "create"]
