"""Names of columns: as a map writes them, however a database spells them."""

from __future__ import annotations

from pathlib import Path

from gateway.mapping import columns, library

MAPPINGS = Path(__file__).parents[2] / "mappings"


def test_a_database_has_no_case() -> None:
    known = frozenset({"病人ID", "jzlsh", "jlzt"})
    assert columns.spelling(["病人id", "JZLSH", "备注"], known) == {
        "病人id": "病人ID",
        "JZLSH": "jzlsh",
        "备注": "备注",
    }


def test_what_could_be_two_columns_stays() -> None:
    assert columns.spelling(["ZT"], frozenset({"zt", "Zt"})) == {"ZT": "ZT"}
    assert columns.spelling(["ZT", "Zt"], frozenset({"zt"})) == {"ZT": "ZT", "Zt": "Zt"}
    assert columns.spelling(["zt", "ZT"], frozenset({"zt"})) == {"zt": "zt", "ZT": "ZT"}


def test_all_columns_of_a_map_are_known() -> None:
    export = library.read([MAPPINGS]).exports["his-results"]
    assert {"报告单号", "单位", "危急值", "序号", "英文名", "高低标志"} <= columns.names(export)


def test_people_write_names_in_their_own_way() -> None:
    known = frozenset({"姓名", "病人ID", "结果", "单位", "采样时间"})
    written = {
        "姓 名": "姓名",
        "*病人ＩＤ": "病人ID",
        "结果（定量）": "结果",
        " 单位：": "单位",
        "采样时间(YYYY-MM-DD)": "采样时间",
    }
    assert columns.spelling(list(written), known) == written


def test_a_remark_in_brackets_never_takes_the_place_of_a_column() -> None:
    assert columns.spelling(["结果", "结果(定性)"], frozenset({"结果"})) == {"结果": "结果", "结果(定性)": "结果(定性)"}
    assert columns.spelling(["结果(定量)", "结果(定性)"], frozenset({"结果"})) == {
        "结果(定量)": "结果(定量)",
        "结果(定性)": "结果(定性)",
    }
