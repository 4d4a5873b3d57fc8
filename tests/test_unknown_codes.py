"""Codes that no table knows: carried, counted, listed; mapped in a CSV, their messages are translated again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import config
from gateway.cli import app
from gateway.config.maps import check_maps
from gateway.formats import Formats
from gateway.inbound import Processor
from gateway.journal import unknown
from tests import community
from tests.rooms import MAPS, House, states

HEADER = "表或系统,本地代码,本地名称,目标系统,目标代码,目标名称\r\n"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def registration(*, sex: str = "7^男性", control_id: str = "R1", name: str = "周小䶮") -> bytes:
    text = community.registration(control_id, name=name).decode("gb18030")
    return text.replace("|M||", f"|{sex}||").encode("gb18030")


def lists(house: House, member: str, text: str, *, charset: str = "gb18030") -> None:
    """The member's list is written, and the rooms read the settings again."""
    folder = house.data.parent / "community"
    (folder / "members" / member / "codes").mkdir(exist_ok=True)
    (folder / "members" / member / "codes" / "own.csv").write_bytes((HEADER + text).encode(charset))
    house.community = config.load(folder)
    house.formats = Formats(house.community, MAPS)
    house.processor = Processor(
        community=house.community, formats=house.formats, record=house.store, channels=house.channels
    )


def found(house: House) -> list[unknown.UnknownCode]:
    with house.record.reading() as reader:
        return unknown.listed(reader)


def item_codes(house: House) -> list[list[str]]:
    observations = house.search("Observation?_sort=_lastUpdated")
    return sorted([coding["code"] for coding in each["code"]["coding"]] for each in observations)


def gender(house: House) -> str:
    (patient,) = house.search("Patient")
    return str(patient.get("gender"))


async def test_an_unknown_code_is_carried_counted_and_listed(house: House) -> None:
    lines = await house.walk(registration(), registration(control_id="R2"))
    assert states(lines) == ["done", "done"]
    (code,) = found(house)
    assert (code.member, code.table, code.code, code.words) == ("qinghe", "sex", "7", "男性")
    assert (code.times, code.entries, code.example) == (2, 2, lines[-1].id)
    assert code.first_seen <= code.last_seen
    assert gender(house) == "unknown"


async def test_once_mapped_its_messages_are_translated_again(house: House) -> None:
    await house.walk(
        registration(), registration(sex="M", control_id="R2", name="周小龙"), registration(control_id="R3")
    )
    assert unknown.ask_again(house.journal, house.record, house.formats.knows) == (0, 0)
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    assert unknown.ask_again(house.journal, house.record, house.formats.knows) == (1, 2)
    house.process()
    assert (gender(house), found(house)) == ("male", [])
    assert states(house.entries()) == ["done", "done", "done"]
    assert unknown.ask_again(house.journal, house.record, house.formats.knows) == (0, 0)


async def test_what_has_changed_since_is_left_as_it_is(house: House) -> None:
    """The old message says another name and an unknown sex; a newer one has said both."""
    await house.walk(registration(), registration(sex="F", control_id="R2", name="周晓䶮"))
    (patient,) = house.search("Patient")
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    unknown.ask_again(house.journal, house.record, house.formats.knows)
    house.process()
    (after,) = house.search("Patient")
    assert after == patient
    assert found(house) == []


async def test_translating_again_changes_only_what_the_code_changes(house: House) -> None:
    await house.walk(registration())
    versions = {kind: [each["meta"]["versionId"] for each in house.search(kind)] for kind in house.counts()}
    lists(house, "qinghe", "sex,7,男性,,M,\r\n", charset="utf-8")
    unknown.ask_again(house.journal, house.record, house.formats.knows)
    house.process()
    after = {kind: [each["meta"]["versionId"] for each in house.search(kind)] for kind in house.counts()}
    assert after.pop("Patient") == ["2"]
    versions.pop("Patient")
    assert after == versions


async def test_receivers_are_told_of_what_changed(house: House) -> None:
    await house.walk(registration())
    owed = len(house.owed())
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    unknown.ask_again(house.journal, house.record, house.formats.knows)
    house.process()
    assert [each.reference.partition("/")[0] for each in house.owed()[owed:]] == ["Patient"]


async def test_a_local_item_code_gains_its_standard_code(house: House) -> None:
    lists(house, "lab", "L,K01,血钾,LN,2823-3,Potassium\r\n")
    known = community.result().replace("2823-3^钾^LN".encode(), "K01^钾^L".encode())
    other = community.result("L2", report="F2").replace("2823-3^钾^LN".encode(), "NA1^钠^L".encode())
    assert states(await house.walk(known, other)) == ["done", "done"]
    codes = item_codes(house)
    assert codes == [["K01", "2823-3"], ["NA1"]]
    told = {(code.table, code.code, code.words) for code in found(house)}
    assert told == {("L", "NA1", "钠"), ("L", "0201", "电解质")}
    lists(house, "lab", "L,K01,血钾,LN,2823-3,\r\nL,NA1,血钠,LN,2951-2,Sodium\r\n")
    unknown.ask_again(house.journal, house.record, house.formats.knows)
    house.process()
    codes = item_codes(house)
    assert codes == [["K01", "2823-3"], ["NA1", "2951-2"]]


def test_a_list_is_checked_with_file_and_line(tmp_path: Path) -> None:
    path = community.write(tmp_path / "c")
    folder = path.parent / "members" / "lab" / "codes"
    folder.mkdir()
    rows = (
        "sex,1男,,,M,\r\nsexx,1,,,M,\r\nsex,2,,,Q,\r\nL,K,,LN,2823-4,\r\nL,K2,,NOWHERE,1,\r\nsex,,,,M,\r\n"
        "sex,1男,,,F,\r\nL,later,,LN,,\r\n"
    )
    (folder / "a.csv").write_bytes((HEADER + rows).encode("gb18030"))
    (folder / "b.csv").write_bytes("本地代码,名称\r\n1,x\r\n".encode())
    survey = config.survey(path)
    check_maps(survey)
    told = [str(each).partition("codes/")[2] for each in sorted(survey.mistakes.found)]
    assert [each.partition(":")[0] + ":" + each.split(":")[1] for each in told] == [
        "a.csv:3", "a.csv:4", "a.csv:5", "a.csv:6", "a.csv:7", "a.csv:8", "b.csv:1",
    ]  # fmt: skip
    assert "there is no code table 'sexx'; did you mean" in told[0]
    assert "no LOINC code" in told[2]


async def test_the_command_lists_and_applies(house: House, tmp_path: Path) -> None:
    await house.walk(registration(), registration(sex="110101199003077571", control_id="R2"))
    runner, data = CliRunner(), ["--data", str(house.data)]
    shown = runner.invoke(app, ["codes", "unknown", *data])
    assert shown.exit_code == 0
    assert "男性" in shown.output
    assert "110101199003077571" not in shown.output
    as_json = json.loads(runner.invoke(app, ["codes", "unknown", "--json", "--table", "sex", *data]).output)
    assert {each["code"] for each in as_json} == {"7", "110101199003077571"}
    assert "every code was known" in runner.invoke(app, ["codes", "unknown", "--member", "lab", *data]).output
    lists(house, "qinghe", "sex,7,男性,,M,\r\n")
    config_ = str(tmp_path / "community" / "community.yaml")
    done = runner.invoke(app, ["codes", "apply", "--config", config_, *data])
    assert done.exit_code == 0
    assert "1 codes are known now; 1 messages wait" in done.output
    house.process()
    assert {each.code for each in found(house)} == {"110101199003077571"}


def test_the_command_shows_what_a_code_may_be_mapped_to() -> None:
    runner = CliRunner()
    assert "sex\n" in runner.invoke(app, ["codes", "table"]).output
    assert "F\tfemale\tFemale\n" in runner.invoke(app, ["codes", "table", "sex"]).output
    assert runner.invoke(app, ["codes", "table", "sexx"]).exit_code == 1
