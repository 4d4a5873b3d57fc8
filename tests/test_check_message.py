"""`hutong check-message`: text, JSON, exit codes, several messages in one file."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from gateway.cli import app

GOOD = (
    "MSH|^~\\&|LIS|T|GW|C|20260304061500+0800||ORU^R01^ORU_R01|M1|P|2.5.1\r"
    "PID|1||3^^^T^MR||欧阳^建国||19900307|M\rOBR|1|P1|F1|5^CBC^L\rOBX|1|NM|7^Hb^L||132|g/L|||||F\r"
)


def checked(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["check-message", str(path), *arguments])


def test_a_good_message(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(GOOD.encode())
    result = checked(tmp_path / "a.hl7")
    assert (result.exit_code, result.output) == (0, "1 messages: 0 errors, 0 warnings\n")


def test_every_problem_has_place_cause_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes((GOOD + GOOD.replace("19900307", "1990-03-07").replace("\r", "\n")).encode())
    result = checked(tmp_path / "a.hl7")
    assert result.exit_code == 1
    assert "a.hl7#2: error: PID[1]-7.1: TIME is no DTM; write it as YYYY[MM[DD" in result.output
    assert "a.hl7#2: warning: message: segments end with LF" in result.output
    assert "a.hl7#1" not in result.output
    assert "欧阳" not in result.output
    assert "1990" not in result.output


def test_for_programs(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(GOOD.replace("OBX|1|NM|7^Hb^L", "OBX|1|NM|").encode())
    result = CliRunner().invoke(app, ["check-message", "--json", str(tmp_path)])
    (problem,) = json.loads(result.stdout)
    assert problem["message"].endswith("a.hl7")
    assert (problem["severity"], problem["place"]) == ("error", "OBX[1]-3")
    assert problem["cause"] == "OBSERVATION_IDENTIFIER is required and empty"


def test_another_version(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(GOOD.replace("^MR||", "^MR||").encode())
    assert checked(tmp_path / "a.hl7", "--version", "2.8.2").exit_code == 0
    assert checked(tmp_path / "a.hl7", "--version", "9").exit_code == 2


def test_what_is_no_message(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(b"hello")
    result = checked(tmp_path / "a.hl7")
    assert result.exit_code == 1
    assert "error: MSH: no MSH segment" in result.output
