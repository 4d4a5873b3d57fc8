"""What went wrong, said as what happens next. Only the worker and the doors act on these.

    HutongError
    ├── Transient        wait and try again: a locked database, a refused connection, a busy receiver
    ├── Ambiguous        it was sent and no answer came: ask, or send again with the same key
    ├── Configuration    a person mends a setting, a map or a code; what was held flows again
    └── Permanent        trying again gives the same answer: kept with its cause, never dropped

Every error names the place, the cause and the remedy, in words for a hospital's IT person. None ever carries
a patient's name, a number or a message body: texts end up in logs, acknowledgements and screens.
"""

from __future__ import annotations


class HutongError(Exception):
    """The root. `place` is where (segment-field, file:line, address), `cause` what, `remedy` what to do."""

    def __init__(self, cause: str, *, place: str = "", remedy: str = "", code: str = "207") -> None:
        super().__init__(cause)
        self.cause = cause
        self.place = place
        self.remedy = remedy
        self.code = code  # HL7 table 0357 message error condition code, for ERR-3

    def __str__(self) -> str:
        head = f"{self.place}: {self.cause}" if self.place else self.cause
        return f"{head}; {self.remedy}" if self.remedy else head


class Transient(HutongError):
    """Wait and try again; nothing is wrong with the message. `wait`: seconds the other side asked for (Retry-After)."""

    wait: float = 0.0


class Ambiguous(HutongError):
    """Sent, but no usable answer came: it may have arrived. Send again with the same idempotency key."""


class Configuration(HutongError):
    """A setting, map or code is missing or wrong; the work is held and flows again once it is mended."""


class Permanent(HutongError):
    """This input can never succeed as it is; it is kept with its cause."""
