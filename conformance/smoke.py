"""A first conformance run: starts `hutong serve`, sends HL7 v2 over MLLP and HTTP, reads FHIR, kills it, looks again.

    python -m conformance.smoke                                             the messages that lie here
    python -m conformance.smoke --config community.yaml --messages FOLDER   a community's own, with its profiles

With --config a copy of the settings is used from which every subscription, folder and port of its own was taken out:
nothing is sent to anybody and no drop folder is read. Messages are single HL7 v2 files in their real bytes. Nothing of
the gateway is imported. Prints one line a check; exit 0 when all hold, 1 when not, 2 when it could not begin.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from conformance.gateway import Gateway, SetupError, neutral_copy
from conformance.message import Message, read
from conformance.validator import validate

HERE = Path(__file__).parent
PATIENCE = 20.0  # seconds until everything that was sent is in the record

Check = tuple[str, str]  # what, and why it does not hold ("" when it does)


def main() -> int:
    """The command."""
    options = _options()
    home = Path(tempfile.mkdtemp(prefix="hutong-smoke-"))
    try:
        config = neutral_copy(options.config, home / "community") if options.config else None
        with Gateway(shlex.split(options.hutong), home, config=config) as gateway:
            found = list(_told(_checks(gateway, read(options.messages), own=options.config is None)))
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        if not (home / "gateway.log").exists():
            shutil.rmtree(home)
        return 2
    failed = sum(1 for _, fault in found if fault)
    print(f"{len(found) - failed} checks hold, {failed} do not")
    if failed:
        print(f"kept for a look: {home} (it holds what was sent; delete it)")
        return 1
    shutil.rmtree(home)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.smoke", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, metavar="FILE", help="a community.yaml; else the open starter community")
    parser.add_argument(
        "--messages", type=Path, metavar="FOLDER", default=HERE / "messages", help="*.hl7 in real bytes"
    )
    parser.add_argument("--hutong", metavar="COMMAND", default=f"{shlex.quote(sys.executable)} -m gateway")
    return parser.parse_args()


def _told(checks: Iterator[Check]) -> Iterator[Check]:
    for what, fault in checks:
        print(f"{'FAIL' if fault else 'ok  '} {what}{': ' + fault if fault else ''}", flush=True)
        yield what, fault


def _checks(gateway: Gateway, messages: list[Message], *, own: bool) -> Iterator[Check]:
    yield f"ready {gateway.start():.1f} s after the start", ""
    yield from _locked(gateway)
    for message in messages:
        yield from _one_message(gateway, message)
    yield from _again(gateway, messages)
    yield from _framing(gateway, messages[0])
    if own:
        yield from _refused(gateway, messages[0])
        yield from _over_http(gateway, messages[0])
    yield from _killed(gateway)
    yield from validate(gateway)
    yield "the log names no patient", _named(gateway.log.read_text("utf-8", "replace"), messages)
    yield "stops within 10 s when it is told to", gateway.stop()


def _locked(gateway: Gateway) -> Iterator[Check]:
    for path in ("/fhir/Patient", "/operations/status", "/metrics"):
        status = gateway.status_of(path, token="")
        yield f"no {path} without a token", "" if status == 401 else f"answered {status}"
    version = gateway.get("/fhir/metadata").get("fhirVersion")
    yield "speaks FHIR R4", "" if version == "4.0.1" else f"fhirVersion is {version}"


# ------------------------------------------------------------------------------------------------- one message


def _one_message(gateway: Gateway, message: Message) -> Iterator[Check]:
    answer = gateway.send(message.body)
    right = answer.one("MSA", 1) in ("AA", "CA") and answer.one("MSA", 2) == message.control_id
    yield f"{message.name}: acknowledged", "" if right else _said(answer)
    if not right:
        return
    yield f"{message.name}: worked off", _settled(gateway)
    yield f"{message.name}: the patient is found, name intact", _patient(gateway, message)
    if message.order:
        found = gateway.count(f"ServiceRequest?identifier={message.order}")
        yield f"{message.name}: its order is in the record once", "" if found == 1 else f"found {found}"
    if message.kind.startswith("ORU"):
        yield f"{message.name}: its results are in the record, digit for digit", _results(gateway, message)


def _said(answer: Message) -> str:
    words = answer.one("ERR", 8) or answer.one("ERR", 7) or answer.one("MSA", 3)
    return f"{answer.one('MSA', 1) or 'no answer'} {answer.one('ERR', 2)} {words}"


def _patient(gateway: Gateway, message: Message) -> str:
    found = gateway.search(f"Patient?identifier={message.patient}")
    if not found:
        return "not found by its first number (PID-3)"
    names = ["".join(name.get("text", "").split()) for patient in found for name in patient.get("name", ())]
    return (
        "" if not message.name_of_patient or any(message.name_of_patient in name for name in names) else "another name"
    )


def _results(gateway: Gateway, message: Message) -> str:
    """Every number and text of OBX-5 stands in the FHIR answer as it was written."""
    text = gateway.text(f"/fhir/DiagnosticReport?identifier={message.report}&_include=DiagnosticReport:result")
    missing = [each for each in message.results if each not in text]
    return f"{len(missing)} of {len(message.results)} values are not there" if missing else ""


def _settled(gateway: Gateway) -> str:
    """Wait until nothing waits; what is parked or dead is a fault."""
    end = time.monotonic() + PATIENCE
    while (counts := gateway.entries()).get("waiting") and time.monotonic() < end:
        time.sleep(0.02)
    held = {state: count for state, count in counts.items() if count and state not in ("done", "refused")}
    return f"{held}; see `hutong status --data {gateway.data}`" if held else ""


# ------------------------------------------------------------------------------------------------- all of them


def _unchanged(gateway: Gateway, act: Callable[[], str]) -> str:
    """The fault of `act`, or that the record or the journal has changed by it."""
    before = gateway.books()
    fault = act() or _settled(gateway)
    after = gateway.books()
    return fault or ("" if before == after else "the record or the journal has changed")


def _again(gateway: Gateway, messages: list[Message]) -> Iterator[Check]:
    def resend() -> str:
        codes = {gateway.send(message.body).one("MSA", 1) for message in messages}
        return "" if codes <= {"AA", "CA"} else f"answered {sorted(codes)}"

    yield "the same bytes again: acknowledged again, stored once", _unchanged(gateway, resend)


def _framing(gateway: Gateway, message: Message) -> Iterator[Check]:
    framed = b"\x0b" + message.body + b"\x1c\r"
    ways = (
        ("two messages in one packet are two answers", (framed + framed,), 2),
        ("a message in single bytes is one answer", tuple(framed[i : i + 1] for i in range(len(framed))), 1),
        ("line feeds between messages are noise", (b"\r\n\r\n" + framed,), 1),
    )
    for what, parts, expected in ways:
        answers = gateway.raw(parts, expected)
        codes = [answer.one("MSA", 1) for answer in answers]
        yield what, "" if len(codes) == expected and set(codes) <= {"AA", "CA"} else f"answered {codes}"


def _refused(gateway: Gateway, message: Message) -> Iterator[Check]:
    strange = message.body.replace(message.kind.encode(), b"ADT^Z99", 1).replace(
        message.control_id.encode(), b"SMZ99", 1
    )
    code = gateway.send(strange).one("MSA", 1)
    yield "a message that no map knows is not acknowledged with AA", "" if code in ("AE", "AR", "CE", "CR") else code
    listed = gateway.get("/operations/entries?state=refused")["entries"]
    yield "it is kept and listed with its cause", "" if any(each["cause"] for each in listed) else "not listed"


def _over_http(gateway: Gateway, message: Message) -> Iterator[Check]:
    body = message.body.replace(message.control_id.encode(), b"SMHTTP", 1)
    status, answer = gateway.post("/intake/smoke", body, "application/hl7-v2")
    yield "the same by HTTP: 200 and AA", "" if status == 200 and b"MSA|AA|SMHTTP" in answer else f"answered {status}"
    yield "worked off", _settled(gateway)


def _killed(gateway: Gateway) -> Iterator[Check]:
    def kill() -> str:
        gateway.kill()
        seconds = gateway.start()
        return "" if seconds < 10 else f"ready only after {seconds:.1f} s"

    yield "kill -9, started again: everything is there, once", _unchanged(gateway, kill)


def _named(log: str, messages: list[Message]) -> str:
    words = {word for message in messages for word in (message.name_of_patient, message.patient) if len(word) > 3}
    return f"{sum(word in log for word in words)} names or numbers" if any(word in log for word in words) else ""


if __name__ == "__main__":
    sys.exit(main())
