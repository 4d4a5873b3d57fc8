"""The day that the community plays, hop by hop. Each hop waits until what it did is seen at the other end.

morning     王䶮 is registered at the township centre, which orders a CT; the imaging centre reports: preliminary,
            final, later corrected; each state comes back to the township in its own charset and numbers
noon        the village clinic refers 热依汗古丽·艾合买提 to the county hospital; the township's laboratory exports
            its results
afternoon   the county hospital has registered one person twice, and merges the two
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.demo import paper
from gateway.demo.board import Board
from gateway.demo.hospital import Hospital
from gateway.demo.imaging import ImagingCentre
from gateway.demo.inbox import DemoError, Patience, wait_until
from gateway.demo.paper import Message
from gateway.demo.service import Service

GATEWAY: Final = "互通 gateway"
TOWNSHIP: Final = "石桥 township"
COUNTY: Final = "青岚 county"
IMAGING: Final = "影像 imaging"
VILLAGE: Final = "上硚 village"

ORDER: Final = "urn:hutong:id:JCHIS|SQX20260312001"
REFERRAL: Final = "urn:hutong:referral|ZZ529901202603120007"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody who takes part."""

    service: Service
    township: Hospital
    county: Hospital
    imaging: ImagingCentre
    patience: Patience

    @property
    def clinic_in(self) -> Path:
        """Where the village clinic puts its referrals."""
        return self.service.data / "drop" / "shangqiao-referrals"

    @property
    def clinic_out(self) -> Path:
        """Where the village clinic finds results."""
        return self.service.data / "out" / "shangqiao-results"

    @property
    def laboratory(self) -> Path:
        """Where the township's laboratory system exports to."""
        return self.service.data / "drop" / "shiqiao-laboratory"


def play(cast: Cast, board: Board) -> None:
    """The whole day. Raises DemoError at the first hop that fails."""
    _registration(cast, board)
    order = _order(cast, board)
    _reports(cast, board, order)
    _referral(cast, board)
    _laboratory(cast, board)
    _merge(cast, board)


def _registration(cast: Cast, board: Board) -> None:
    with board.hop(TOWNSHIP, "registration ADT^A04, v2.4 GB18030", GATEWAY) as hop:
        hop.state = cast.township.send(paper.message("registration.hl7", "gb18030"), cast.service.mllp)
    with board.hop(GATEWAY, "Patient 王䶮 and the visit", "shared record"):
        query = "Encounter?identifier=urn:hutong:id:12529901MB990011XK:VN|M202603120001"
        wait_until(lambda: cast.service.search(query) or None, "the visit in the record", cast.patience)


def _order(cast: Cast, board: Board) -> dict[str, Any]:
    body = paper.message("ct-order.hl7", "gb18030")
    with board.hop(TOWNSHIP, "CT order ORM^O01, v2.4 GB18030", GATEWAY) as hop:
        hop.state = cast.township.send(body, cast.service.mllp)
    with board.hop(GATEWAY, "ServiceRequest, FHIR transaction Bundle", IMAGING) as hop:
        order = cast.imaging.inbox.wait(lambda bundle: True, "the CT order at the imaging centre")
        hop.state = "arrived"
    with board.hop(TOWNSHIP, "the same order once more (its line broke)", GATEWAY) as hop:
        hop.state = cast.township.send(body, cast.service.mllp)
    return order


def _reports(cast: Cast, board: Board, order: dict[str, Any]) -> None:
    token = cast.service.token(name="imaging", scope="intake/imaging-reports")
    for texts in paper.report_texts():
        status = texts["status"]
        with board.hop(IMAGING, f"{status} report, FHIR Bundle", GATEWAY) as hop:
            hop.state = cast.imaging.report(order, texts, to=f"{cast.service.url}/intake/imaging-reports", token=token)
        with board.hop(GATEWAY, f"{status} report ORU^R01, v2.4 GB18030", TOWNSHIP) as hop:
            cast.township.inbox.wait(_says("OBX", 5, texts["impression"]), f"the {status} report")
            hop.state = "arrived"


def _referral(cast: Cast, board: Board) -> None:
    with board.hop(VILLAGE, "referral 转诊单, JSON file", GATEWAY) as hop:
        hop.state = _dropped(cast, cast.clinic_in, "ZZ529901202603120007.json", paper.form("referral.json"))
    with board.hop(GATEWAY, "ServiceRequest and Task", "shared record"):
        wait_until(lambda: cast.service.search(f"Task?identifier={REFERRAL}") or None, "the referral", cast.patience)
    with board.hop(GATEWAY, "referral ORM^O01, v2.5.1 UTF-8", COUNTY) as hop:
        cast.county.inbox.wait(_says("MSH", 9, "ORM", component=1), "the referral at the county hospital")
        hop.state = "arrived"


def _laboratory(cast: Cast, board: Board) -> None:
    with board.hop(TOWNSHIP, "laboratory export, CSV GB18030", GATEWAY) as hop:
        body = paper.table("laboratory.csv", "gb18030")
        hop.state = _dropped(cast, cast.laboratory, "lab-20260312.csv", body)
    for number in ("SQL202603120001", "SQL202603120002"):
        with board.hop(GATEWAY, f"results {number} ORU^R01, v2.5.1 UTF-8", COUNTY) as hop:
            cast.county.inbox.wait(_says("OBR", 2, number, component=1), f"the results {number}")
            hop.state = "arrived"
    with board.hop(GATEWAY, "results of its own patient, CSV GB18030", VILLAGE) as hop:
        wait_until(lambda: list(cast.clinic_out.glob("*.csv")) or None, "the results at the clinic", cast.patience)
        hop.state = "arrived"


def _merge(cast: Cast, board: Board) -> None:
    for name, what in (("first-number.hl7", "emergency"), ("second-number.hl7", "outpatients")):
        with board.hop(COUNTY, f"registration ADT^A04 at {what}, v2.5.1", GATEWAY) as hop:
            hop.state = cast.county.send(paper.message(name, "utf-8"), cast.service.mllp)
    with board.hop(COUNTY, "merge ADT^A40: one person, two numbers", GATEWAY) as hop:
        hop.state = cast.county.send(paper.message("merge.hl7", "utf-8"), cast.service.mllp)
    with board.hop(GATEWAY, "two Patients linked, both kept", "shared record"):
        query = "Patient?identifier=urn:hutong:id:12529901MB9900013D:PI|300977&active=false"
        wait_until(lambda: cast.service.search(query) or None, "the merge in the record", cast.patience)
    with board.hop(GATEWAY, "all queues run empty", "shared record"):
        wait_until(lambda: cast.service.idle() or None, "the end of all work", cast.patience)


def _says(segment: str, field: int, text: str, *, component: int = 0) -> Callable[[Message], bool]:
    """Whether a received message says this in one of its segments."""
    return lambda message: text in message.all(segment, field, component)


def _dropped(cast: Cast, folder: Path, name: str, body: bytes) -> str:
    """A file put into a watched folder under its final name at once; returns when the gateway has moved it away."""
    unfinished = folder / f"{name}.part"
    unfinished.write_bytes(body)
    unfinished.rename(folder / name)

    def moved() -> str | None:
        if (folder / "error" / name).exists():
            raise DemoError(f"the gateway did not take {name}; see {folder / 'error'}")
        return "taken" if (folder / "done" / name).exists() else None

    return wait_until(moved, f"the reading of {name}", cast.patience)
