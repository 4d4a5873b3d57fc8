"""What is seen at the door of a frame, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.codec import hl7v2
from gateway.errors import HutongError
from gateway.model import Member

Hidden = frozenset[tuple[str, str]]  # (code table, code) to be taken as unknown
STRANGER = Member(id="unknown", name="unknown", confirmed=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a first look at a frame found: who, what, and whether it can be taken."""

    member: Member
    format: str
    charset: str = ""
    control_id: str = ""
    key: str = ""  # order key: the patient's number at the sender
    kind: str = ""  # 'ORU^R01', the name of an export map, 'Bundle'
    header: hl7v2.Header | None = None
    error: HutongError | None = None  # why it is refused; it is kept all the same
