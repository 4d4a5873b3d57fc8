"""The black box run: that it finds nothing wrong here, and that it would find what is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conformance.gateway import SetupError, neutral_copy
from conformance.message import Message, read
from gateway.demo.service import COMMUNITY

ROOT = Path(__file__).parents[1]
MESSAGES = ROOT / "conformance" / "messages"


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conformance.smoke", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def test_a_copy_of_the_settings_reaches_nobody(tmp_path: Path) -> None:
    made = neutral_copy(COMMUNITY, tmp_path / "copy")
    members = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(made.parent.glob("members/*/member.yaml"))]
    assert {member["id"] for member in members} == {"shiqiao", "qinglan", "imaging", "shangqiao"}
    assert not any("subscriptions" in member for member in members)
    channels = [channel for member in members for channel in member["channels"]]
    assert {channel["transport"] for channel in channels} == {"mllp", "http"}
    assert not any("listen" in channel for channel in channels)
    with pytest.raises(SetupError, match="there is no community"):
        neutral_copy(tmp_path / "nowhere", tmp_path / "other")


def test_what_must_be_found_again() -> None:
    messages = {message.name[0]: message for message in read(MESSAGES)}
    assert [message.kind for message in messages.values()] == ["ADT^A04", "ORM^O01", "ORU^R01", "ORU^R01", "ADT^A40"]
    assert (messages["1"].name_of_patient, messages["1"].patient) == ("张䶮", "A000101")
    assert (messages["2"].order, messages["3"].report) == ("O0001", "R0001")
    assert messages["4"].results == ["6.80"]
    assert len(messages["3"].results) == 2
    assert Message("", b"MSH|^~\\&|A|B\rMSA|AA|7\r").one("MSA", 2) == "7"


@pytest.mark.slow
def test_a_sender_that_the_community_does_not_know_fails(tmp_path: Path) -> None:
    (tmp_path / "messages").mkdir()
    shutil.copy(MESSAGES / "1-registration-gb18030.hl7", tmp_path / "messages")
    (tmp_path / "community.yaml").write_text("id: closed\nname: closed\nopen: false\nmembers: []\n")
    done = smoke("--config", str(tmp_path / "community.yaml"), "--messages", str(tmp_path / "messages"))
    assert done.returncode == 1
    assert "FAIL 1-registration-gb18030.hl7: acknowledged: A" in done.stdout
    assert "0 do not" not in done.stdout
    kept = Path(next(line for line in done.stdout.splitlines() if line.startswith("kept")).split()[4])
    shutil.rmtree(kept)


def test_what_cannot_begin_is_told(tmp_path: Path) -> None:
    done = smoke("--config", str(tmp_path / "community.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no community.yaml" in done.stderr
    assert smoke("--hutong", "/nowhere/hutong").returncode == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_clients_of_others_work_unchanged() -> None:
    command = [sys.executable, "-m", "conformance.clients"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=880, check=False)
    assert "FAIL" not in done.stdout, done.stdout
    if done.returncode == 2:
        pytest.skip(f"a package index cannot be reached: {done.stdout.strip()[:300]}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok  ") == 6
