"""The demo: the whole of it as a process, and that nothing wrong in it goes unnoticed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from gateway import demo
from gateway.demo import proof, service, stage
from gateway.demo.board import Board
from gateway.demo.day import Cast, play
from gateway.demo.inbox import Patience, wait_until
from gateway.demo.paper import Message
from gateway.errors import Configuration

ROOT = Path(__file__).parents[2]
DEMO = Path(demo.__file__).parent
COMMAND = (sys.executable, "-m", "gateway", "demo")


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """A day that was played to its end, with everybody still there."""
    with ExitStack() as stack:
        made = stage.set_up(stack, tmp_path_factory.mktemp("demo"), Patience())
        made.service.start()
        play(made, Board(Console(quiet=True)))
        yield made


# ------------------------------------------------------------------------------------------------ all of it


@pytest.mark.slow
def test_all_claims_hold(cast: Cast) -> None:
    assert [(claim, fault) for claim, fault in proof.claims(cast) if fault] == []


def _altered(message: Message, before: str, after: str) -> Message:
    """The message as if the gateway had written something else."""
    changed = tuple(tuple(field.replace(before, after) for field in segment) for segment in message.segments)
    assert changed != message.segments
    return Message(message.body, changed)


def _in_utf8(message: Message) -> Message:
    return Message(message.body.decode("gb18030").encode(), message.segments)


def _wrong_at_township(index: int, change: Callable[[Message], Message], cast: Cast) -> None:
    arrived = cast.township.inbox._arrived
    arrived[index] = change(arrived[index])


def _wrong_at_county(index: int, change: Callable[[Message], Message], cast: Cast) -> None:
    arrived = cast.county.inbox._arrived
    arrived[index] = change(arrived[index])


TOWNSHIP: dict[str, tuple[int, Callable[[Message], Message]]] = {
    "came back in this order": (2, lambda it: _altered(it, "结核", "结石")),
    "real GB18030": (0, _in_utf8),
    "its own order number": (1, lambda it: _altered(it, "SQX", "CTX")),
    "order number, item code and patient number": (1, lambda it: _altered(it, "SQ000101", "300301")),
}
COUNTY: dict[str, tuple[int, Callable[[Message], Message]]] = {
    "digit for digit": (1, lambda it: _altered(it, "5.60", "5.6")),
    "the referral as ORM": (0, lambda it: _altered(it, "D50.900", "D50.9")),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        (lambda cast: cast.township.inbox._arrived.reverse(), "came back in this order"),
        (lambda cast: cast.township.inbox._arrived.pop(), "came back in this order"),
        *((partial(_wrong_at_township, *wrong), words) for words, wrong in TOWNSHIP.items()),
        *((partial(_wrong_at_county, *wrong), words) for words, wrong in COUNTY.items()),
        (lambda cast: cast.imaging.inbox._arrived.append(cast.imaging.inbox._arrived[0]), "although it was sent twice"),
        (lambda cast: cast.county.inbox._arrived.append(cast.county.inbox._arrived[2]), "taken or sent twice"),
    ],
)
def test_what_is_received_wrongly_is_noticed(cast: Cast, tamper: Callable[[Cast], object], broken: str) -> None:
    kept = [(inbox, list(inbox._arrived)) for inbox in (cast.township.inbox, cast.county.inbox, cast.imaging.inbox)]
    tamper(cast)
    try:
        faulty = [claim for claim, fault in proof.claims(cast) if fault]
    finally:
        for inbox, arrived in kept:
            inbox._arrived[:] = arrived
    assert len(faulty) == 1
    assert broken in faulty[0]


@pytest.mark.slow
def test_what_else_gets_into_the_record_is_noticed(cast: Cast) -> None:
    stranger = (DEMO / "papers" / "second-number.hl7").read_text("utf-8")
    for before, after in (
        ("300301", "300399"),
        ("M202603120301", "M202603120399"),
        ("QL20", "XX20"),
        ("~5299", "~X299"),
    ):
        stranger = stranger.replace(before, after)
    cast.county.send(stranger.replace("\n", "\r").encode(), cast.service.mllp)
    wait_until(lambda: cast.service.idle() or None, "the end of the work", cast.patience)
    (cast.clinic_out / "another.csv").write_bytes(b"")
    faulty = {claim for claim, fault in proof.claims(cast) if fault}
    assert {claim.partition(":")[0] for claim in faulty} == {"record", "village clinic", "gateway"}


@pytest.mark.slow
def test_once_leaves_with_0_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*COMMAND, "--once"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all {len(proof.CLAIMS)} hold" in done.stdout
    assert "✗" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_without_once_it_stays_until_it_is_told_to_stop(tmp_path: Path) -> None:
    home = tmp_path / "kept"
    running = subprocess.Popen([*COMMAND, "--keep", str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout
        address = ""
        for line in running.stdout:
            if found := re.search(r"FHIR\s+(http://\S+/fhir)/Patient", line):
                address = found[1]
            if "hutong status" in line:
                break
        token = (home / "token").read_text()
        assert (home / "token").stat().st_mode & 0o077 == 0
        request = urllib.request.Request(f"{address}/Patient", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        assert running.poll() is None
    finally:
        running.send_signal(signal.SIGTERM)
        rest = running.communicate(timeout=30)[0]
    assert running.returncode == 0
    assert f"everything is kept in {home}" in rest
    assert {path.name for path in (home / "received").iterdir()} >= {"township-3.hl7", "county-3.hl7", "imaging-1.json"}


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(Configuration, match="not empty"):
        demo.run(once=True, keep=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# ------------------------------------------------------------------------------------------------ what goes wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("member", "before", "after", "said"),
    [
        ("shiqiao", "charset: GB18030", "charset: ISO-8859-1", "preliminary report did not arrive.*"),
        ("shiqiao", "message: ORU_R01", "message: ORU_R99", "hutong check: .*member.yaml:\\d+: .*ORU_R99"),
        ("shangqiao", "only: known-here", "only: all", "files for the clinic: .* expected 1, found 2"),
        ("imaging", "env:HUTONG_DEMO_IMAGING", "env:HUTONG_DEMO_NOBODY", "HUTONG_DEMO_NOBODY is not set"),
    ],
)
def test_a_wrong_setting_is_noticed(
    member: str,
    before: str,
    after: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    community = tmp_path / "community"
    shutil.copytree(service.COMMUNITY, community)
    path = community / "members" / member / "member.yaml"
    assert before in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")
    monkeypatch.setattr(service, "COMMUNITY", community)
    assert demo.run(once=True, keep=tmp_path / "home", patience=Patience(hop=8)) == 1
    assert re.search(said, capsys.readouterr().out)
