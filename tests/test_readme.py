"""What the README shows is run. Its two command lines that install are run by .ci/run, from nothing; the rest here."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from gateway.cli import app
from gateway.codec import hl7v2
from gateway.fhir import validate
from gateway.mapping import maps
from gateway.mapping.export_records import Part
from gateway.mapping.maps import Address, Maps
from gateway.model import Profile

ROOT = Path(__file__).parents[1]
README, CHINESE, LANGUAGE = ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "mappings" / "README.md"


def blocks(path: Path, kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    found: list[str] = []
    fence: str | None = None
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if line.startswith("```"):
            fence = line[3:].strip() if fence is None else None
            found += [""] if fence == kind else []
        elif fence == kind:
            found[-1] += line
    return found


# ------------------------------------------------------------------------------------------------ the commands


def test_the_two_command_lines_need_nothing_but_python() -> None:
    demo, tests = blocks(README, "sh")[:2]
    for line in (demo, tests):
        assert line.count("\n") == 1
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert demo.endswith("&& .venv/bin/hutong demo --once\n")
    assert ".venv/bin/pytest" in tests


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a reader has; `hutong` and `python3` are those that run this test, the ports are free ones."""
    for name in ("gateway", "mappings", "conformance"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, command in (("hutong", f"{sys.executable} -m gateway"), ("python3", sys.executable)):
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    return tmp_path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


@contextmanager
def _serving(command: str, folder: Path, environment: dict[str, str], health: str) -> Iterator[None]:
    """`hutong serve …`, as in the other terminal."""
    with subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, env=environment) as running:
        try:
            _until(lambda: _healthy(health) or running.poll() is not None)
            assert running.poll() is None
            yield
        finally:
            running.send_signal(signal.SIGINT)
    assert running.returncode == 0


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _until(holds: object) -> None:
    end = time.monotonic() + 90
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_every_other_command_runs(checkout: Path) -> None:
    http, mllp = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
    path = f"{checkout / 'programs'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HUTONG_HTTP": http, "HUTONG_MLLP": mllp}

    def run(script: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, script + done.stdout + done.stderr
        return done.stdout

    def settled() -> bool:
        return '"waiting": 0' in run("hutong status --json --data county/data")

    scripts = [
        each.replace("127.0.0.1:8080", http).replace("127.0.0.1:2575", mllp) for each in blocks(README, "sh")[2:]
    ]
    setting_up, translating, serving, looking, trying, learning = scripts
    run(setting_up)
    assert '"ServiceRequest"' in run(translating)
    with _serving(serving.strip(), checkout, environment, f"http://{http}/health"):
        sending, *reading = looking.splitlines(keepends=True)
        assert run(sending).count(": AA") == 5
        _until(lambda: list((checkout / "county/data/out/shiqiao").glob("*.hl7")))
        _until(settled)
        shown = run("".join(reading))
        assert ".hl7\n" in shown
        assert '"resourceType":"Bundle"' in shown
    (report,) = (checkout / "county/data/out/shiqiao").glob("*.hl7")
    assert "O0001^HIS" in report.read_bytes().decode("gb18030")
    assert " 0 do not" in run(trying)
    learned = run(learning)
    assert '"Observation"' in learned
    assert (checkout / "county" / "draft" / "member.yaml").exists()


def test_the_chinese_readme_shows_the_same_commands() -> None:
    assert blocks(CHINESE, "sh") == blocks(README, "sh")


@pytest.mark.parametrize("path", [README, CHINESE])
def test_the_table_of_commands_is_complete(path: Path) -> None:
    shown = {words.split()[0] for words in re.findall(r"^\| `hutong ([^`]+)`", path.read_text("utf-8"), re.MULTILINE)}
    helped = CliRunner().invoke(app, ["--help"]).stdout
    assert shown == set(re.findall(r"^  ([a-z][a-z-]*)  ", helped, re.MULTILINE))


@pytest.mark.parametrize("path", [README, CHINESE, LANGUAGE])
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (path.parent / target).exists(), target
    tree = "".join(each for each in blocks(path, "") if each.startswith("gateway/\n"))
    named = re.findall(r"(?:^|\s)([a-z_0-9]+(?:/|\.py))(?=\s)", tree)
    missing = [name for name in named if not (ROOT / name).exists() and not (ROOT / "gateway" / name).exists()]
    assert missing == []
    assert len(named) > 20 or path == LANGUAGE


# ------------------------------------------------------------------------------------------------ the mapping language


@pytest.fixture(scope="module")
def own_maps(tmp_path_factory: pytest.TempPathFactory) -> Maps:
    """The shipped maps and the page's examples."""
    folder = tmp_path_factory.mktemp("maps")
    for number, text in enumerate(blocks(LANGUAGE, "map")):
        (folder / f"{number}.map").write_text(text, "utf-8")
    return maps.load([maps.shipped(), folder])


def test_the_lines_of_the_page_stand_in_the_shipped_maps() -> None:
    shipped = {
        " ".join(line.split())
        for path in (ROOT / "mappings").rglob("*.map")
        for line in path.read_text("utf-8").splitlines()
    }
    quoted = [" ".join(line.split()) for block in blocks(LANGUAGE, "text") for line in block.splitlines()]
    assert quoted
    assert [line for line in quoted if not any(each.startswith(line) for each in shipped)] == []


def test_the_message_of_the_page_is_understood(own_maps: Maps) -> None:
    body = "MSH|^~\\&|H|F|||20260312||ADT^A28|1|P|2.5.1\rPID|1||7^^^F^PI||王䶮||19680315|M\r"
    made = own_maps.to_fhir(hl7v2.decode(body.encode()), profile=Profile())
    validate.check_bundle(made.bundle)
    (patient,) = (each["resource"] for each in made.bundle["entry"] if each["resource"]["resourceType"] == "Patient")
    assert (patient["name"][0]["text"], patient["birthDate"]) == ("王䶮", "1968-03-15")


def test_the_z_segment_and_the_code_table_of_the_page_go_there_and_back(own_maps: Maps) -> None:
    body = (
        "MSH|^~\\&|H|F|||20260312||ADT^A28|1|P|2.5.1\rPID|1||7^^^F^PI||王䶮||19680315|M\r"
        "ZJQ|C1^F|2|20260101\rZJQ|C2^F|8|20260102\r"
    )
    made = own_maps.to_fhir(hl7v2.decode(body.encode()), profile=Profile())
    validate.check_bundle(made.bundle)
    found = [each["resource"] for each in made.bundle["entry"] if each["resource"]["resourceType"] == "Observation"]
    assert [each["valueCodeableConcept"]["coding"][0]["code"] for each in found] == ["enhanced", "basic"]
    assert [each["effectiveDateTime"] for each in found] == ["2026-01-01", "2026-01-02"]
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle["entry"]}
    leads = [url for url, each in resources.items() if each["resourceType"] == "Patient"]
    to = Address(profile=Profile(), facility="F", control_id="1", when=datetime.now(UTC))
    written = own_maps.from_fhir(resources, leads, structure="ADT_A05", to=to).decode()
    assert [line for line in written.split("\r") if line.startswith("ZJQ")] == [
        "ZJQ|C1^F|2|20260101",
        "ZJQ|C2^F|8|20260102",
    ]


def test_the_profile_of_the_page_does_what_it_says(own_maps: Maps) -> None:
    (text,) = blocks(LANGUAGE, "yaml")
    profile = msgspec.convert(yaml.load(text, Loader=yaml.BaseLoader)["profile"], Profile)
    body = "MSH|^~\\&|H|F|||20260312||ADT^A28|1|P|2.5.1\rPID|1|7^^^F^PI|||王䶮|||7||||||^WPN^PH^^^^5550100\r"
    made = own_maps.of(profile).to_fhir(hl7v2.decode(body.encode()), profile=profile)
    (patient,) = (each["resource"] for each in made.bundle["entry"] if each["resource"]["resourceType"] == "Patient")
    assert patient["identifier"][0]["value"] == "7"
    assert patient["gender"] == "male"
    assert "telecom" not in patient


def test_the_export_of_the_page_goes_there_and_back(own_maps: Maps) -> None:
    row = {
        "编号": "7",
        "姓名": "王䶮",
        "性别": "男",
        "日期": "2026-03-12",
        "空腹血糖": "6.10",
        "单位": "mmol/L",
        "参考范围": "3.9-6.1",
    }
    now = datetime.now(UTC)
    name = own_maps.exports.of_columns(row)
    made = own_maps.exports.to_fhir(
        [Part(name=name, records=[row])], profile=Profile(), facility="V1", control_id="1", when=now
    )
    validate.check_bundle(made.bundle)
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle["entry"]}
    leads = [url for url, each in resources.items() if each["resourceType"] == "Observation"]
    to = Address(profile=Profile(), facility="V1", own=frozenset({"V1"}), control_id="1", when=now)
    written = own_maps.exports.from_fhir(resources, leads, name=name, to=to)
    assert ([dict(each) for each in written.rows], set(written.columns)) == ([row], set(row))


def test_the_overlay_of_the_page_writes_what_it_says(own_maps: Maps) -> None:
    row = {
        "申请单号": "A1",
        "病人ID": "7",
        "姓名": "王䶮",
        "性别": "男",
        "项目代码": "01",
        "项目名称": "血钾",
        "结果": "4.1",
    }
    row |= {"单位": "mmol/L", "参考范围": "3.5-5.3"}
    made = own_maps.exports.to_fhir(
        [Part(name="laboratory-results", records=[row])], profile=Profile(), facility="V1", control_id="1",
        when=datetime.now(UTC),
    )  # fmt: skip
    resources = {each["fullUrl"]: each["resource"] for each in made.bundle["entry"]}
    leads = [url for url, each in resources.items() if each["resourceType"] == "DiagnosticReport"]
    to = Address(profile=Profile(), facility="V1", control_id="1", when=datetime.now(UTC))
    written = own_maps.exports.from_fhir(resources, leads, name="county-results", to=to)
    texts = ("A1", "王䶮", "1", "01", "血钾", "4.1", "mmol/L", "LIS")
    assert written.tree() == {"JYJG": {"JG": [dict(zip(written.columns, texts, strict=True))]}}


def test_every_data_type_is_on_the_page() -> None:
    from gateway.mapping.codetables import BUILT
    from gateway.mapping.datatypes import load

    page = LANGUAGE.read_text("utf-8")
    special = {"national", "organization", "endpoint", "uid", "allergy"}  # for one place each in the shipped maps
    missing = [name for name in {*load(), *BUILT} - special if not re.search(rf"`{name}[`(]", page)]
    assert missing == []
