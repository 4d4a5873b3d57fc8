"""Segments find their groups, whatever order and company they come in: no result ever stands on the wrong report."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.structure import Instance, Layout
from gateway.model import Resource
from tests.mapping.house import all_of, follow, into, maps, message


def place(structure: str, text: str) -> str:
    """The tree of blank-parted segments as text: `MSH PID (ORC OBR (OBX NTE))`."""
    layout = Layout(maps().library.structures[structure].root)
    return shown(layout.place([line.split("|") for line in text.split()]))


def shown(instance: Instance) -> str:
    parts = [f"({shown(each)})" if isinstance(each, Instance) else "|".join(each) for each in instance.order]
    return " ".join(parts)


def test_groups_nest_and_repeat() -> None:
    assert place("ORU_R01", "MSH PID PV1 ORC OBR NTE OBX|1 NTE OBX|2 SPM OBX ORC OBR OBX") == (
        "MSH PID PV1 (ORC OBR NTE (OBX|1 NTE) (OBX|2) (SPM OBX)) (ORC OBR (OBX))"
    )


def test_each_note_stays_with_what_it_follows() -> None:
    assert place("ORU_R01", "MSH PID NTE|1 OBR NTE|2 NTE|3 OBX NTE|4 NTE|5 OBR NTE|6") == (
        "MSH PID NTE|1 (OBR NTE|2 NTE|3 (OBX NTE|4 NTE|5)) (OBR NTE|6)"
    )


def test_reports_without_orc() -> None:
    assert place("ORU_R01", "MSH PID OBR|1 OBX OBR|2 OBX OBX") == "MSH PID (OBR|1 (OBX)) (OBR|2 (OBX) (OBX))"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # many laboratories: the order's control segment behind its request
        ("OBR|1 ORC OBX", "(OBR|1 ORC (OBX))"),
        ("OBR|1 ORC OBX OBR|2 ORC OBX", "(OBR|1 ORC (OBX)) (OBR|2 ORC (OBX))"),
        ("OBR|1 NTE ORC OBX", "(OBR|1 NTE ORC (OBX))"),
        # the standard's order, some without ORC
        ("OBR|1 OBX ORC OBR|2 OBX", "(OBR|1 (OBX)) (ORC OBR|2 (OBX))"),
        ("OBR|1 ORC OBR|2 OBX", "(OBR|1) (ORC OBR|2 (OBX))"),
        # the numbers decide where the order does not
        ("OBR||P1 ORC||P1 OBR||P2 ORC||P2", "(OBR||P1 ORC||P1) (OBR||P2 ORC||P2)"),
        ("OBR||P1 ORC||P2 OBR||P2", "(OBR||P1) (ORC||P2 OBR||P2)"),
        ("OBR|||F1^LIS ORC|||F1 OBX", "(OBR|||F1^LIS ORC|||F1 (OBX))"),
        # diagnoses before the order that they explain
        ("DG1 ORC OBR OBX", "(DG1 ORC OBR (OBX))"),
    ],
)
def test_a_leader_that_comes_late_or_early(lines: str, expected: str) -> None:
    structure = "ORM_O01" if "DG1" in lines else "ORU_R01"
    found = place(structure, f"MSH PID {lines}").removeprefix("MSH PID ")
    assert found == expected


def test_unknown_and_z_segments_stay_where_they_stand() -> None:
    assert place("ORU_R01", "MSH ZFT PID ZPI OBR ZBR OBX ZBX|1 ZBX|2 OBR") == (
        "MSH ZFT PID ZPI (OBR ZBR (OBX ZBX|1 ZBX|2)) (OBR)"
    )


def test_a_segment_that_comes_late_closes_nothing() -> None:
    assert place("ORU_R01", "MSH OBR OBX|1 PV1 OBX|2 PID OBX|3") == "MSH (OBR (OBX|1) (OBX|2) (OBX|3)) PV1 PID"
    assert reports("OBR|1|P1|F1|A^a^L", OBX.format(1), "PV1|1|I", OBX.format(2)) == {"F1": ["C1", "C2"]}


def test_a_segment_behind_a_group_closes_it() -> None:
    assert place("ADT_A01", "MSH PID PV1 PR1|1 ROL GT1 IN1 IN2 IN1") == ("MSH PID PV1 (PR1|1 ROL) GT1 (IN1 IN2) (IN1)")


NAMES = st.sampled_from(
    ["PID", "PV1", "ORC", "OBR", "OBX", "NTE", "SPM", "ZXX", "TQ1", "DG1", "NK1", "EVN", "MSH", "FT1"]
)


@settings(deadline=None)
@given(st.lists(NAMES, max_size=30))
def test_nothing_is_lost_or_doubled_in_any_order(names: list[str]) -> None:
    for structure in ("ORU_R01", "ORM_O01", "OMI_O23", "ADT_A01", "ADT_A39"):
        layout = Layout(maps().library.structures[structure].root)
        segments = [[name, str(number)] for number, name in enumerate(names)]
        tree = layout.place(segments)
        found = [each for name in dict.fromkeys(names) for each in tree.every(name)]
        assert sorted(found, key=lambda each: int(each[1])) == segments
        assert sorted(layout.write(tree)) == sorted(segments)


# ------------------------------------------------------------------------- what it means for reports


def reports(*lines: str) -> dict[str, list[str]]:
    """Filler number of each report → the codes of its results."""
    made = into(message("ORU^R01^ORU_R01", *lines))
    return {
        each["identifier"][0]["value"]: [
            follow(made, result)["code"]["coding"][0]["code"] for result in each.get("result", ())
        ]
        for each in all_of(made, "DiagnosticReport")
    }


OBX = "OBX|{0}|NM|C{0}^t^L||{0}|g/L|||||F"


def test_several_reports_each_with_its_own_results() -> None:
    assert reports(
        "ORC|RE|P1|F1", "OBR|1|P1|F1|A^a^L", OBX.format(1), OBX.format(2),
        "ORC|RE|P2|F2", "OBR|2|P2|F2|B^b^L", OBX.format(3),
    ) == {"F1": ["C1", "C2"], "F2": ["C3"]}  # fmt: skip


def test_orc_behind_obr_as_chinese_laboratories_send_it() -> None:
    assert reports(
        "OBR|1|P1|F1|A^a^L", "ORC|RE|P1|F1", OBX.format(1), "OBR|2|P2|F2|B^b^L", "ORC|RE|P2|F2", OBX.format(2)
    ) == {"F1": ["C1"], "F2": ["C2"]}


def test_results_below_a_specimen_belong_to_the_report_too() -> None:
    lines = ("OBR|1|P1|F1|A^a^L", OBX.format(1), "SPM|1|S1||BLD", OBX.format(2))
    assert reports(*lines) == {"F1": ["C1", "C2"]}
    made = into(message("ORU^R01^ORU_R01", *lines))
    specimens: list[Resource] = all_of(made, "Specimen")
    first, second = all_of(made, "Observation")
    assert "specimen" not in first
    assert follow(made, second["specimen"]) is specimens[0]


def test_notes_of_results_and_of_orders_are_told_apart() -> None:
    made = into(
        message(
            "ORU^R01^ORU_R01",
            "OBR|1|P1|F1|A^a^L",
            "NTE|1||order",
            OBX.format(1),
            "NTE|1||one",
            "NTE|2||two",
            OBX.format(2),
        )
    )
    first, second = all_of(made, "Observation")
    assert [each["text"] for each in first["note"]] == ["one", "two"]
    assert "note" not in second
    assert [each["text"] for each in all_of(made, "ServiceRequest")[0]["note"]] == ["order"]


def test_panels_that_share_one_filler_number_stay_apart() -> None:
    made = into(
        message(
            "ORU^R01^ORU_R01", "OBR|1|P1|F1|A^a^L", OBX.format(1), "OBR|2|P1|F1|B^b^L", OBX.format(2), OBX.format(3)
        )
    )
    first, second = all_of(made, "DiagnosticReport")
    assert [len(each["result"]) for each in (first, second)] == [1, 2]
    assert {each["code"]["text"] for each in (first, second)} == {"a", "b"}
    (order,) = all_of(made, "ServiceRequest")  # one number, one order: it keeps both codes
    assert order["code"]["text"] == "a"
    assert [each["text"] for each in order["orderDetail"]] == ["b"]
