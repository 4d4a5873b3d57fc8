"""`hutong check --connect` and `hutong status`: what polling a database would do, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from tests.polling.rooms import VIEWS, House, change, house
from tests.transport.county import load


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


@pytest.fixture
def county(tmp_path: Path) -> Iterator[House]:
    path = tmp_path / "his.db"
    path.touch()
    load(f"sqlite:///{path}")
    change(f"sqlite:///{path}", "CREATE VIEW V_单 AS SELECT sqdh AS 单, xgsj AS 时间 FROM HIS_SQD")
    views = VIEWS + "          - {view: V_单, watermark: 时间}\n"
    with house(tmp_path / "gateway", f"sqlite:///{path}", views=views) as made:
        yield made


def test_a_trial_tells_how_each_view_is_read_and_takes_nothing(county: House) -> None:
    county.change("UPDATE HIS_SQD SET xgsj = NULL WHERE sqdh = 'L20260312001'")
    config = str(county.data.parent / "community.yaml")
    assert run("check", "--config", config).exit_code == 0  # connects to nothing
    shown = run("check", "--config", config, "--connect")
    assert shown.exit_code == 1
    lines = shown.stderr.splitlines()[1:]
    assert lines[0].startswith("county-views: V_就诊信息: map his-visits, a record by 就诊流水号, ")
    assert "leads to V_就诊信息 by 就诊流水号; 1 rows have no watermark" in lines[1]
    assert "map his-results, a record by 报告单号" in lines[3]
    assert "leads to V_申请单 by 申请单号" in lines[3]
    assert "V_单: no map knows a view with these columns" in shown.stderr
    assert county.lines() == []
    assert county.problems() == {}


def test_a_trial_of_what_is_not_there(county: House, tmp_path: Path) -> None:
    config = str(county.data.parent / "community.yaml")
    (tmp_path / "his.db").unlink()
    shown = run("check", "--config", config, "--connect")
    assert shown.exit_code == 1
    assert "there is no such file" in shown.stderr


def test_the_status_tells_of_views(county: House) -> None:
    county.look()
    shown = run("status", "--data", str(county.data))
    assert "V_单" in shown.stdout
    views = {
        each["view"]: each for each in json.loads(run("status", "--data", str(county.data), "--json").stdout)["views"]
    }
    assert (views["V_检验结果"]["entries"], views["V_检验结果"]["cause"]) == (33, "")
    assert views["V_单"]["place"] == "V_单"
