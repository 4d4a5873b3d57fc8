"""`hutong demo`: a small community plays a day over real sockets and files, and its whole state is checked.

day         the story, hop by hop                       board     the live table
hospital    a HIS: HL7 v2 over MLLP, both ways          imaging   the imaging centre: FHIR over HTTP, both ways
service     the gateway, as a process of its own        proof     what must hold at the end
paper       the texts that are sent, from papers/       community/  the members' settings
"""

from __future__ import annotations

from gateway.demo.stage import run

__all__ = ["run"]
