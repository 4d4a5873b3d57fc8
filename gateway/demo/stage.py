"""Sets the stage, plays the day, checks it, and says where to look."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from gateway.demo import board as boards
from gateway.demo import proof
from gateway.demo.day import Cast, play
from gateway.demo.hospital import Hospital
from gateway.demo.imaging import ImagingCentre
from gateway.demo.inbox import DemoError, Patience
from gateway.demo.service import Service
from gateway.errors import Configuration
from gateway.fhir import json


def run(*, once: bool, keep: Path | None = None, patience: Patience | None = None) -> int:
    """Play the day and check it. 0 when all of it holds, 1 when not, 130 when interrupted before the end.

    Without `once` the gateway then runs until Ctrl-C. Everything lies in a temporary folder, which is removed unless
    something was wrong; or in `keep`, which must be new or empty.
    """
    console = boards.console()
    home = _home(keep)
    with _terminated_as_interrupted():
        try:
            code = _run(home, console, patience or Patience(), once=once)
        except KeyboardInterrupt:
            code = 130
        except DemoError as error:
            console.print(f"✗ {error}", style="bold red", markup=False, soft_wrap=True)
            code = 1
    if keep or code == 1:
        console.print(f"everything is kept in {home}", markup=False, soft_wrap=True)
    else:
        shutil.rmtree(home, ignore_errors=True)
        if once and code == 0:
            console.print("to look around: leave --once out, or keep the files with --keep DIR", markup=False)
    return code


def _run(home: Path, console: Console, patience: Patience, *, once: bool) -> int:
    with ExitStack() as stack:
        cast = set_up(stack, home, patience)
        with boards.Board(console) as board:
            with board.hop("hutong serve", "4 members, their lines open", "this machine") as hop:
                cast.service.start()
                hop.state = "ready"
            try:
                play(cast, board)
            except DemoError as error:
                raise DemoError("\n  ".join((str(error), *cast.service.held()))) from error
        _lay_out(cast, home / "received")
        found = proof.claims(cast)
        console.print(boards.verdicts(found))
        wrong = sum(1 for _, fault in found if fault)
        if wrong:
            console.print(f"{wrong} of {len(found)} do not hold 有误", style="bold red")
            return 1
        seconds = time.monotonic() - patience.began
        console.print(f"all {len(found)} hold 全部正确, {len(board.hops)} hops in {seconds:.1f} s", style="bold green")
        if not once:
            _stay(cast, console)
        return 0


def set_up(stack: ExitStack, home: Path, patience: Patience) -> Cast:
    """The gateway leaves before those who listen to it."""
    township = Hospital("township", charset="gb18030", patience=patience)
    stack.callback(township.close)
    county = Hospital("county", charset="utf-8", patience=patience)
    stack.callback(county.close)
    imaging = ImagingCentre(patience=patience)
    stack.callback(imaging.close)
    addresses = {"shiqiao": township.address, "qinglan": county.address, "imaging": imaging.address}
    service = stack.enter_context(
        Service(home, patience=patience, addresses=addresses, secrets={"HUTONG_DEMO_IMAGING": imaging.secret})
    )
    return Cast(service=service, township=township, county=county, imaging=imaging, patience=patience)


def _lay_out(cast: Cast, folder: Path) -> None:
    """What the members received, one file each, as it came: for people who want to look."""
    folder.mkdir()
    for name, hospital in (("township", cast.township), ("county", cast.county)):
        for number, message in enumerate(hospital.inbox.all(), 1):
            (folder / f"{name}-{number}.hl7").write_bytes(message.body)
    for number, bundle in enumerate(cast.imaging.inbox.all(), 1):
        (folder / f"imaging-{number}.json").write_bytes(json.dumps_pretty(bundle))
    for path in cast.clinic_out.glob("*.csv"):
        shutil.copy(path, folder / f"village-{path.name}")


def _stay(cast: Cast, console: Console) -> None:
    service = cast.service
    host, port = service.mllp
    lines = (
        "the gateway keeps running until Ctrl-C 按 Ctrl-C 结束",
        f"  FHIR      {service.url}/fhir/Patient      status  {service.url}/operations/status",
        f"  MLLP      {host}:{port}",
        f"  token     {service.token_file}",
        f"  data      {service.data}",
        f"  received  {service.home / 'received'} (what the members got, as it came)",
        f"  settings  {service.community}",
        f"  log       {service.log}",
        "try",
        f'  curl -H "Authorization: Bearer $(cat {service.token_file})" {service.url}/fhir/DiagnosticReport',
        f"  hutong status --data {service.data}",
    )
    with suppress(KeyboardInterrupt):  # from the first of these lines on it may be stopped
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)
        service.wait()
    console.print("stopped 已停止")


def _home(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="hutong-demo-"))
    if keep.exists() and any(keep.iterdir()):
        raise Configuration("this folder is not empty", place=str(keep), remedy="name a new one")
    keep.mkdir(parents=True, exist_ok=True, mode=0o700)
    return keep.resolve()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, so that no gateway is left behind."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = None
    with suppress(ValueError):  # not in the main thread: nothing to do
        before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
