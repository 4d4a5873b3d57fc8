"""The command line: through its runner, and a few real processes."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import gateway
from gateway.api.security import Tokens
from gateway.cli import app, messages
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Configuration, Permanent
from gateway.journal.intake import Intake, Verdict
from gateway.journal.work import Work
from gateway.model import Frame

ORU = b"MSH|^~\\&|LIS|LAB|||20260305||ORU^R01|%s|P|2.4\rPID|1||7\r"


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


# ------------------------------------------------------------------------------------------------ the command itself


def test_help_names_every_command_and_imports_no_room() -> None:
    code = (
        "import sys\n"
        "from gateway.cli import app\n"
        "heavy = {'starlette', 'httpx', 'prometheus_client', 'uvicorn', 'lark', 'rich', 'sqlite3', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=True)
    assert loaded.stdout.strip() == "[]"
    shown = run("--help")
    assert shown.exit_code == 0
    for command in ("init", "serve", "check", "translate", "send", "status", "replay", "token", "demo"):
        assert re.search(rf"^  {command}\b", shown.stdout, re.MULTILINE), command


def test_version_and_usage_errors() -> None:
    assert run("--version").stdout.startswith("hutong ")
    assert run().exit_code == 2
    assert run("nonsense").exit_code == 2
    assert run("serve").exit_code == 2
    wrong = run("serve", "--data", "x", "--http", "8080")
    assert wrong.exit_code == 2
    assert "HOST:PORT" in wrong.stderr


@pytest.mark.slow
def test_errors_are_one_line_without_a_trace() -> None:
    made = process("check", "--config", "/nowhere/community.yaml")
    assert made.returncode == 1
    assert made.stderr.splitlines() == [
        "/nowhere/community.yaml: cannot be read: No such file or directory; check the path and the permissions"
    ]
    assert made.stdout == ""


def test_an_error_inside_shows_its_class_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def serve(**_options: Any) -> None:
        raise RuntimeError("张三")

    monkeypatch.setattr(gateway, "app", SimpleNamespace(serve=serve), raising=False)
    failed = run("serve", "--data", str(tmp_path))
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "RuntimeError" in failed.stderr
    assert "张三" not in failed.stderr


# ------------------------------------------------------------------------------------------------ settings


def test_init_then_check(tmp_path: Path) -> None:
    folder = tmp_path / "county"
    made = run("init", str(folder))
    assert made.exit_code == 0
    assert (folder / "community.yaml").is_file()
    assert (folder / "members" / "example-township" / "member.yaml").is_file()
    checked = run("check", "--config", str(folder / "community.yaml"))
    assert checked.exit_code == 0, checked.stderr
    assert "no mistakes (1 members, 1 channels, 1 subscriptions)" in checked.stderr
    again = run("init", str(folder))
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_check_prints_every_mistake_with_its_line(tmp_path: Path) -> None:
    run("init", str(tmp_path))
    community, member = tmp_path / "community.yaml", tmp_path / "members" / "example-township" / "member.yaml"
    community.write_text(community.read_text("utf-8").replace("open: true", "open: perhaps"), "utf-8")
    text = member.read_text("utf-8").replace("GB18030", "GB1803").replace("ORU_R01", "ORU_R99")
    member.write_text(text, "utf-8")
    (tmp_path / "maps" / "own.map").write_text("nonsense here\n", "utf-8")
    checked = run("check", "--config", str(tmp_path))
    assert checked.exit_code == 1
    lines = checked.stderr.splitlines()
    assert any(re.match(rf"{re.escape(str(community))}:\d+: 'open' must be true or false", line) for line in lines)
    assert any(re.match(rf"{re.escape(str(member))}:\d+: unknown charset 'GB1803'", line) for line in lines)
    assert any("own.map:1: " in line for line in lines)


# ------------------------------------------------------------------------------------------------ translate


@dataclass
class FakeTranslation:
    """Stands in for gateway.stateless: what the command line makes of its answers."""

    seen: list[dict[str, Any]] = field(default_factory=list)

    def translate(self, body: bytes, **options: Any) -> SimpleNamespace:
        self.seen.append({"body": body, **options})
        if b"BAD" in body:
            raise Permanent("no MSH", place="line 1", remedy="look at the file")
        output = json.dumps({"resourceType": "Bundle", "size": len(body)}).encode()
        explanation = "Patient.name <- PID-5" if options["explain"] else ""
        return SimpleNamespace(
            rejects=[], output=output, suffix=".json", notes=["charset detected"], explanation=explanation, account=None
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTranslation:
    made = FakeTranslation()
    monkeypatch.setattr(gateway, "stateless", made, raising=False)
    return made


def test_translate_prints_the_bundle_alone(fake: FakeTranslation, tmp_path: Path) -> None:
    path = tmp_path / "a.hl7"
    path.write_bytes(ORU % b"1")
    done = run("translate", str(path), "--member", "lab", "--explain")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["resourceType"] == "Bundle"
    assert done.stderr.splitlines() == [f"{path}: charset detected", f"{path}: Patient.name <- PID-5"]
    assert fake.seen == [
        {
            "body": ORU % b"1",
            "name": str(path),
            "member": "lab",
            "to": "fhir",
            "config": None,
            "explain": True,
            "loss": False,
            "message": "",
            "xml": False,
            "sender": "",
            "channel": "",
            "map_folder": None,
        }
    ]


def test_translate_reads_standard_input(fake: FakeTranslation) -> None:
    done = run("translate", "-", "--to", "hl7v2", stdin=b'{"resourceType":"Bundle"}')
    assert done.exit_code == 0
    assert (fake.seen[0]["name"], fake.seen[0]["to"]) == ("-", "hl7v2")


def test_translate_goes_on_after_a_failure_and_exits_1(fake: FakeTranslation, tmp_path: Path) -> None:
    for name, body in (("a.hl7", ORU % b"1"), ("b.hl7", b"BAD"), ("c.hl7", ORU % b"22")):
        (tmp_path / name).write_bytes(body)
    done = run("translate", *(str(tmp_path / name) for name in ("a.hl7", "b.hl7", "c.hl7")))
    assert done.exit_code == 1
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
    assert [line for line in done.stderr.splitlines() if "no MSH" in line] == [
        f"{tmp_path / 'b.hl7'}: line 1: no MSH; look at the file"
    ]


def test_a_folder_becomes_one_file_a_message(fake: FakeTranslation, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    (source / "a.hl7").write_bytes(ORU % b"1")
    (source / "a.txt").write_bytes(ORU % b"2")
    (source / "two.hl7").write_bytes(ORU % b"3" + ORU % b"4")
    (source / "sub" / "b.csv").write_bytes(b"x,y\n1,2\n")
    (source / ".hidden").write_bytes(b"BAD")
    done = run("translate", str(source), "--out", str(out))
    assert (done.exit_code, done.stdout) == (0, "")
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == ["a.hl7.json", "a.txt.json", "sub/b.json", "two-1.json", "two-2.json"]


def test_a_file_that_is_not_there(fake: FakeTranslation) -> None:
    done = run("translate", "/nowhere/x.hl7")
    assert done.exit_code == 1
    assert done.stderr.strip() == "/nowhere/x.hl7: there is no such file; check the path"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (ORU % b"1", 1),
        (ORU % b"1" + ORU % b"2", 2),
        ((ORU % b"1" + ORU % b"2").replace(b"\r", b"\r\n"), 2),
        (b"\x0b" + ORU % b"1" + b"\x1c\r\x0b" + ORU % b"2" + b"\x1c\r", 2),
        (b"FHS|^~\\&|\rBHS|^~\\&|\r" + ORU % b"1" + ORU % b"2" + b"BTS|2\rFTS|1\r", 2),
        (b"id,name\n1,MSH|\n", 1),
        (b"", 1),
    ],
)
def test_the_messages_of_a_file(body: bytes, count: int) -> None:
    found, _, _ = messages.messages(body)
    assert len(found) == count
    assert all(part.startswith(b"MSH") and b"FTS" not in part for part in found) or count == 1


ADMISSION = (
    "MSH|^~\\&||{facility}|||20260312080000||ADT^A01^ADT_A01|{number}|P|2.5.1|||||CHN|UNICODE UTF-8\r"
    "EVN|A01|20260312080000\rPID|1||3{number}||张^伟||19750618|M\rPV1|1|I|内科^^3床\r"
)


def test_a_message_is_written_as_xml_and_read_again(tmp_path: Path) -> None:
    source = tmp_path / "a.hl7"
    source.write_text(ADMISSION.format(facility="COUNTY", number=1), encoding="utf-8")
    assert run("translate", str(source), "--to", "hl7v2", "--xml", "--out", str(tmp_path)).exit_code == 0
    written = (tmp_path / "a.xml").read_text(encoding="utf-8")
    assert "<PV1.3><PL.1>内科</PL.1>" in written
    again = run("translate", str(tmp_path / "a.xml"), "--to", "hl7v2")
    assert again.stdout.replace("\r", "\n").split("\n")[2:4] == source.read_text().replace("\r", "\n").split("\n")[2:4]
    assert '"Encounter"' in run("translate", str(tmp_path / "a.xml")).stdout


def test_a_bundle_is_written_as_xml(tmp_path: Path) -> None:
    source, bundle = tmp_path / "a.hl7", tmp_path / "a.json"
    source.write_text(ADMISSION.format(facility="COUNTY", number=1), encoding="utf-8")
    bundle.write_text(run("translate", str(source)).stdout, encoding="utf-8")
    assert "<ADT_A01 xmlns=" in run("translate", str(bundle), "--to", "hl7v2", "--xml").stdout


def test_bundles_are_written_as_a_batch_and_its_envelope_names_the_sender(tmp_path: Path) -> None:
    batch = tmp_path / "in.hl7"
    messages = "".join(ADMISSION.format(facility=each, number=number) for number, each in enumerate(("", "OWN"), 1))
    batch.write_text(f"BHS|^~\\&|HIS|TOWN\r{messages}BTS|2\r", encoding="utf-8")
    assert run("translate", str(batch), "--out", str(tmp_path / "made")).exit_code == 0
    made = sorted(each.read_text(encoding="utf-8") for each in (tmp_path / "made").iterdir())
    assert ["TOWN" in each for each in made].count(True) == 1
    again = run("translate", str(tmp_path / "made"), "--to", "hl7v2", "--batch").stdout.replace("\r", "\n")
    names = [line[:3] for line in again.split("\n") if line[:3] in ("FHS", "BHS", "MSH", "BTS", "FTS")]
    assert names == ["FHS", "BHS", "MSH", "MSH", "BTS", "FTS"]
    assert "BTS|2\nFTS|1" in again


@pytest.mark.parametrize("options", [["--xml"], ["--batch"], ["--to", "hl7v2", "--xml", "--batch"]])
def test_encodings_that_do_not_go_together(options: list[str], tmp_path: Path) -> None:
    source = tmp_path / "a.hl7"
    source.write_text(ADMISSION.format(facility="COUNTY", number=1), encoding="utf-8")
    assert run("translate", str(source), *options).exit_code == 2


# ------------------------------------------------------------------------------------------------ send


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """An MLLP receiver on a free port: AE for messages that hold BAD, else AA."""
    seen: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with line:
                while body := _framed(line):
                    seen.append(body)
                    code = b"AE" if b"BAD" in body else b"AA"
                    number = body.split(b"|")[9]
                    line.sendall(b"\x0bMSH|^~\\&|||||||ACK|1|P|2.4\rMSA|%s|%s|no\r\x1c\r" % (code, number))

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listening.getsockname()[1]}", seen
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def _framed(line: socket.socket) -> bytes:
    body = b""
    while not body.endswith(b"\x1c\r"):
        part = line.recv(65536)
        if not part:
            return b""
        body += part
    return body.strip(b"\x0b\x1c\r") + b"\r"


def test_send_prints_each_code(receiver: tuple[str, list[bytes]], tmp_path: Path) -> None:
    address, seen = receiver
    path = tmp_path / "two.hl7"
    path.write_bytes((ORU % b"1" + ORU % b"2").replace(b"\r", b"\n"))
    done = run("send", str(path), "--to", address)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [f"{path}#1: AA", f"{path}#2: AA"]
    assert seen == [ORU % b"1", ORU % b"2"]


def test_send_that_is_refused_or_not_heard(receiver: tuple[str, list[bytes]], tmp_path: Path) -> None:
    address, _ = receiver
    path = tmp_path / "bad.hl7"
    path.write_bytes(ORU % b"BAD")
    done = run("send", str(path), "--to", address)
    assert (done.exit_code, done.stdout) == (1, f"{path}: AE\n")
    assert "the receiver answered AE: no" in done.stderr
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        free = f"127.0.0.1:{closed.getsockname()[1]}"
    done = run("send", str(path), "--to", free)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "cannot be reached" in done.stderr
    assert run("send", str(path), "--to", "nowhere").exit_code == 1


# ------------------------------------------------------------------------------------------------ the data directory


@pytest.mark.slow
def test_a_token_alone_on_stdout_also_beside_a_server(tmp_path: Path) -> None:
    server = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    made = process("token", "create", "--data", str(tmp_path), "--name", "N", "--scope", "system/*.*")
    assert (made.returncode, made.stderr) == (0, "")
    assert re.fullmatch(r"hutong_[\w-]{43}\n", made.stdout)
    grant = Tokens(server).find(made.stdout.strip())
    assert grant
    assert grant.scopes == ("system/*.*",)
    listed = run("token", "list", "--data", str(tmp_path))
    assert listed.stdout.startswith("N\tsystem/*.*\t")
    assert made.stdout.strip() not in listed.stdout
    assert run("token", "revoke", "--data", str(tmp_path), "--name", "N").exit_code == 0
    assert Tokens(server).find(made.stdout.strip()) is None
    server.close()
    assert "revoked" in run("token", "list", "--data", str(tmp_path)).stdout


def test_a_token_before_the_first_start(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    assert run("token", "create", "--data", str(data), "--name", "N", "--scope", "intake/*").exit_code == 0
    assert data.stat().st_mode & 0o077 == 0
    wrong = run("token", "create", "--data", str(data), "--name", "M", "--scope", "everything")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "'everything' is no scope" in wrong.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with one parked and one waiting entry; no process has it open."""
    journal = SqliteEngine(tmp_path / "journal.sqlite", schema="journal")
    record = SqliteEngine(tmp_path / "record.sqlite", schema="record")
    intake, work = Intake(journal), Work()
    intake.start()
    for number in (b"1", b"2"):
        frame = Frame(channel="lab", body=ORU % number, peer="test", received_at=datetime.now(UTC))
        intake.write_now(frame, Verdict(kind="ORU^R01", control_id=number.decode()))
    with record.transaction() as transaction, journal.reading() as reader:
        (job,) = work.pending(transaction, reader, now=datetime.now(UTC), limit=1)
        work.parked(transaction, job, Configuration("unknown code [x]", place="OBX-3"))
    intake.close()
    journal.close()
    record.close()
    return tmp_path


def test_status_for_people_and_for_programs(data: Path) -> None:
    shown = run("status", "--data", str(data))
    assert shown.exit_code == 0, shown.stderr
    for word in ("lab", "parked", "ORU^R01", "OBX-3", "record: empty"):
        assert word in shown.stdout
    status = json.loads(run("status", "--data", str(data), "--json").stdout)
    assert status["entries"]["lab"]["counts"] == {"waiting": 1, "parked": 1, "done": 0}


@pytest.mark.slow
def test_status_while_a_server_writes(data: Path) -> None:
    server = SqliteEngine(data / "record.sqlite", schema="record")
    start = time.monotonic()
    status = process("status", "--data", str(data), "--json")
    assert status.returncode == 0
    assert json.loads(status.stdout)["totals"]["entries"]["parked"] == 1
    assert time.monotonic() - start < 60
    server.close()


def test_status_of_a_folder_that_was_never_served(tmp_path: Path) -> None:
    shown = run("status", "--data", str(tmp_path / "none"))
    assert shown.exit_code == 1
    assert "there is no journal.sqlite in this data directory" in shown.stderr
    assert not (tmp_path / "none").exists()


def test_replay(data: Path) -> None:
    assert run("replay", "--data", str(data)).exit_code == 2
    assert run("replay", "--data", str(data), "--entry", "99").exit_code == 1
    assert "replayed 1 entries" in run("replay", "--data", str(data), "--entry", "1").stderr
    status = json.loads(run("status", "--data", str(data), "--json").stdout)
    assert status["entries"]["lab"]["counts"]["waiting"] == 2
    assert run("replay", "--data", str(data), "--parked").exit_code == 0


# ------------------------------------------------------------------------------------------------ serve, demo


def test_serve_and_demo_hand_over_what_was_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(gateway, "app", SimpleNamespace(serve=lambda **options: seen.append(options)), raising=False)
    assert run("serve", "--data", str(tmp_path), "--mllp", "[::1]:2600").exit_code == 0
    assert seen == [{"config": None, "data": tmp_path, "http": "127.0.0.1:8080", "mllp": "[::1]:2600"}]
    demo = SimpleNamespace(run=lambda *, once, keep: 3 if once and keep == tmp_path else 0)
    monkeypatch.setattr(gateway, "demo", demo, raising=False)
    assert run("demo", "--once", "--keep", str(tmp_path)).exit_code == 3
    assert run("demo").exit_code == 0


# ---------------------------------------------------------------------------------------------- exports

FIXTURES = Path(__file__).parent / "mapping" / "fixtures"


@pytest.mark.parametrize(
    ("file", "member", "lead", "count"),
    [
        ("lab_shiqiao_20260312.csv", "shiqiao", "DiagnosticReport", 19),
        ("imaging_center_202603.xlsx", "imaging-centre", "DiagnosticReport", 36),
        ("encounters_liuhe_202603.xml", "liuhe", "Encounter", 30),
        ("referral_up.json", "village", "ServiceRequest", 3),
    ],
)
def test_the_files_of_the_sample_county(file: str, member: str, lead: str, count: int, tmp_path: Path) -> None:
    aside = tmp_path / "aside.tsv"
    done = run("translate", str(FIXTURES / file), "--member", member, "--rejects", str(aside))
    assert done.exit_code == 0, done.output
    types = [each["resource"]["resourceType"] for each in json.loads(done.stdout)["entry"]]
    assert types.count(lead) == count
    assert aside.read_text(encoding="utf-8").splitlines() == ["sheet-or-path\trow\tcolumn\tcause\tvalue"]


def test_rows_that_were_set_aside_are_listed(tmp_path: Path) -> None:
    lines = (FIXTURES / "lab_shiqiao_20260312.csv").read_bytes().decode("gb18030").splitlines()
    cells = lines[3].split(",")
    lines[3] = ",".join((*cells[:2], "", *cells[3:]))
    lines[5] = lines[5][:20]
    file, aside = tmp_path / "results.csv", tmp_path / "aside.tsv"
    file.write_bytes("\r\n".join(lines).encode("gb18030"))
    done = run(
        "translate", str(file), "--member", "shiqiao", "--channel", "shiqiao-laboratory", "--rejects", str(aside)
    )
    assert done.exit_code == 0, done.output
    _, *rows = [line.split("\t") for line in aside.read_text(encoding="utf-8").splitlines()]
    assert [row[:3] for row in rows] == [[str(file), "4", "申请单号"], [str(file), "6", ""]]
    assert rows[0][3] == "申请单号 is empty"
    assert rows[1][3].endswith("the header has 35")


def test_a_channel_that_no_member_has(tmp_path: Path) -> None:
    file = str(FIXTURES / "lab_shiqiao_20260312.csv")
    done = run("translate", file, "--member", "shiqiao", "--channel", "nothing")
    assert done.exit_code == 1
    assert "shiqiao-laboratory" in done.output
