"""The county of the sample community: its views are polled by a running gateway once their address is set."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conformance import databases
from conformance.gateway import Gateway
from gateway import config
from gateway.cli import app
from gateway.transport.secret import is_there
from tests.transport.county import EXPECTED, load

VARIABLE = "COUNTY_HIS_URL"
SAMPLE = Path(config.__file__).parent / "county" / "community.yaml"
PATIENCE = 120.0  # seconds


def test_what_an_address_names_is_there_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "url"
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not is_there(f"env:{VARIABLE}")
    assert not is_there(f"file:{file}")
    file.write_text(" \n", "utf-8")
    assert not is_there(f"file:{file}")
    file.write_text("sqlite:///his.db\n", "utf-8")
    monkeypatch.setenv(VARIABLE, "sqlite:///his.db")
    assert is_there(f"file:{file}")
    assert is_there(f"env:{VARIABLE}")
    assert is_there("sqlite:///his.db")


def test_its_views_are_off_until_their_address_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = ["check", "--config", str(SAMPLE), "--connect"]
    monkeypatch.delenv(VARIABLE, raising=False)
    shown = CliRunner().invoke(app, check)
    assert (shown.exit_code, f"county-views: off until env:{VARIABLE} is set" in shown.stderr) == (0, True)
    path = tmp_path / "his.db"
    path.touch()
    load(f"sqlite:///{path}")
    monkeypatch.setenv(VARIABLE, f"sqlite:///{path}")
    shown = CliRunner().invoke(app, check)
    assert shown.exit_code == 0
    assert "county-views: V_检验结果: map his-results, a record by 报告单号" in shown.stderr


def test_optional_is_for_an_address_that_stands_elsewhere(tmp_path: Path) -> None:
    member = tmp_path / "members" / "county"
    member.mkdir(parents=True)
    (tmp_path / "community.yaml").write_text("id: a\nname: a\nmembers: members\n", "utf-8")
    text = (SAMPLE.parent / "members" / "county" / "member.yaml").read_text("utf-8")
    (member / "member.yaml").write_text(text.replace(f"env:{VARIABLE}", "sqlite:///his.db"), "utf-8")
    shown = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "community.yaml")])
    assert shown.exit_code == 1
    assert "'optional' means nothing for an address that stands here" in shown.stderr


@contextmanager
def _database(kind: str, home: Path) -> Iterator[str]:
    if kind == "sqlite":
        (home / "his.db").touch()
        yield f"sqlite:///{home / 'his.db'}"
        return
    try:
        with databases.KINDS[kind]() as server:
            yield server.url
    except databases.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", ["sqlite", *databases.KINDS])
def test_a_running_gateway_polls_them(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {name: count for name, count in EXPECTED["counts"].items() if name not in ("Observation_lab", "Patient")}
    monkeypatch.delenv(VARIABLE, raising=False)
    with _database(kind, tmp_path) as url, Gateway([sys.executable, "-m", "gateway"], tmp_path, config=SAMPLE) as there:
        load(url)
        there.start()
        assert there.get("/operations/status")["totals"] is not None
        there.stop()
        monkeypatch.setenv(VARIABLE, url)
        there.start()
        until = time.monotonic() + PATIENCE
        found: dict[str, int] = {}
        while found != wanted and time.monotonic() < until:
            time.sleep(0.5)
            found = {name: there.count(f"{name}?_count=1") for name in wanted}
        assert found == wanted
        assert there.stop() == ""
