"""`hutong sniff`: what it proposes, that it is valid, and that it shows no patient."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import config
from gateway.cli import app
from gateway.config.maps import check_maps
from tests import community

OLD = (
    "MSH|^~\\&|HIS|TOWN02|GW|HUB|2026-03-12 08:00:00||ORU^R01|{number}|P|2.4\r"
    "PID|1|QH{number}|||司马青||19900307|7\r"
    "PV1|1|T|||||||||||||||||V{number}^^^TOWN02^VN\r"
    "OBR|1|P{number}^HIS|F{number}^LIS|0201^电解质^L|||20260312073000\r"
    "OBX|1|NM|0201^钾^L|5.21||mmol/L|3.5-5.3|N|||F\r"
)


def sniffed(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sniff", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two senders, one of them with many dialects, a batch, an export and rubbish."""
    home = tmp_path / "messages"
    home.mkdir()
    for number in range(3):
        (home / f"old-{number}.hl7").write_bytes(OLD.format(number=number).replace("\r", "\r\n").encode("gb18030"))
    batch = "FHS|^~\\&\rBHS|^~\\&\r" + "".join(OLD.format(number=number) for number in (7, 8)) + "BTS|2\rFTS|1\r"
    (home / "batch.hl7").write_bytes(batch.encode("gb18030"))
    (home / "lab.hl7").write_bytes(community.result())
    (home / "export.csv").write_bytes(community.export(("R1", "QH1", "4.1")))
    (home / "rubbish.bin").write_bytes(b"\x00\x01\x02\xff" * 9)
    return home


def test_it_proposes_what_the_messages_prove(folder: Path) -> None:
    result = sniffed(str(folder))
    assert result.exit_code == 0
    text = result.output
    assert "from 5 messages" in text
    assert 'facilities: ["TOWN02"]' in text
    assert 'charset: "GB18030"  # 5 of 5' in text
    assert 'version: "2.4"' in text
    assert '- "PID-2 -> PID-3 if empty"  # 5 of 5 messages' in text
    assert '- "OBX-4 -> OBX-5 if empty"' in text
    assert "time_zone: Asia/Shanghai  # a Chinese sender" in text
    assert "codes: {sex: …}  PID-8 未知代码 · not known: '7' 5×" in text
    assert "3× line-ends, e.g. " in text
    assert "5× time-form" in text
    assert 'facilities: ["LAB"]' in text
    assert "the map laboratory-results reads it" in text


def test_no_patient_is_shown(folder: Path) -> None:
    for arguments in ((), ("--json",)):
        text = sniffed(str(folder), *arguments).output
        for secret in ("司马青", "赵", "QH1", "QH7", "19900307", "5.21", "6.8", "V7"):
            assert secret not in text


def test_the_draft_is_without_mistakes(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "community"
    assert sniffed(str(folder), "--out", str(home / "members")).exit_code == 0
    (home / "community.yaml").write_text("id: c\nname: 县\n", "utf-8")
    found = config.survey(home)
    check_maps(found)
    assert [str(each) for each in found.mistakes.found] == []
    assert set(found.community.members) == {"town02", "lab"}
    assert found.community.members["town02"].profile.charset == "GB18030"
    again = sniffed(str(folder), "--out", str(home / "members"))
    assert (again.exit_code, "exists already" in again.output) == (1, True)


def test_the_evidence_for_programs(folder: Path) -> None:
    found = json.loads(CliRunner().invoke(app, ["sniff", "--json", str(folder / "lab.hl7")]).output)
    (sender,) = found
    assert (sender["facility"], sender["messages"]) == ("LAB", 1)
    assert sender["aspects"]["charset"]["utf-8"]["count"] == 1
    assert sender["aspects"]["authority"]["PID-3 LAB (PI)"]["example"].endswith("lab.hl7")


def test_no_zone_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(b"MSH|^~\\&|A|B|C|D|20260312080000||ADT^A08|1|P|2.5.1\rPID|1||1^^^B^PI||Doe^J\r")
    text = sniffed(str(tmp_path)).output
    assert "# time_zone: 请问对方" in text
    assert "# charset: 只有 ASCII" in text


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\x01")
    assert sniffed(str(tmp_path)).exit_code == 1
