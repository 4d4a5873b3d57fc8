"""What the transport tests share: a delivery, a receiver that records, waiting until something holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.model import Change, Delivery, Frame


def delivery(id: int = 1, *, idempotency: str = "KEY1") -> Delivery:
    change = Change(type="Observation", id="o1", version=1, transaction=1, interaction="create")
    return Delivery(id=id, subscription="s", key="k", change=change, idempotency=idempotency)


def message(control_id: str = "M1", text: str = "x") -> bytes:
    return f"MSH|^~\\&|LIS|TOWN|GW|COUNTY|20260101||ORU^R01|{control_id}|P|2.5.1\rOBX|1|ST|||{text}\r".encode()


def acknowledgement(control_id: str = "M1", code: str = "AA", *more: str) -> bytes:
    return "\r".join(["MSH|^~\\&|R|R|||20260101||ACK|A1|P|2.5.1", f"MSA|{code}|{control_id}", *more, ""]).encode()


@dataclass
class Receiver:
    """A `receive` that keeps the frames and answers with their own body."""

    answer: Callable[[Frame], bytes] = field(default=lambda frame: b"ACK:" + frame.body)
    frames: list[Frame] = field(default_factory=list)

    async def __call__(self, frame: Frame) -> bytes:
        self.frames.append(frame)
        return self.answer(frame)

    @property
    def bodies(self) -> list[bytes]:
        return [frame.body for frame in self.frames]


async def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)
