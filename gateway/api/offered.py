"""An operation as the CapabilityStatement names it; each module of operations has a table of its own."""

from __future__ import annotations

from dataclasses import dataclass

ANY = "*"  # of every resource type


@dataclass(frozen=True, slots=True)
class Offered:
    """`types`: those that it is called on, ('*',) for all; () for one of the whole system (R4 operations.html)."""

    name: str  # without the dollar
    definition: str  # canonical URL of its OperationDefinition; '/OperationDefinition/…': one that we serve ourselves
    types: tuple[str, ...] = ()

    def said(self, base: str) -> dict[str, str]:
        """As CapabilityStatement.rest.operation and rest.resource.operation say it."""
        address = f"{base}{self.definition}" if self.definition.startswith("/") else self.definition
        return {"name": self.name, "definition": address}
