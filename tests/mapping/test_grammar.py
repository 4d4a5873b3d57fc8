"""Map text → syntax tree: every construct of the language, as the shipped maps write it."""

from __future__ import annotations

import pytest

from gateway.errors import Configuration
from gateway.mapping.grammar import MapFile, parse
from gateway.mapping.syntax import Block, Condition, Constant, Field, Line, Link


def read(text: str) -> MapFile:
    return parse(text, "own.map")


def line(text: str) -> Line:
    (block,) = read(f"PID => Patient\n  {text}\n").blocks
    return block.lines[0]


def block(text: str) -> Block:
    (found,) = read(f"{text}\n  PID-8 -> gender | sex\n").blocks
    return found


# ------------------------------------------------------------------------------------------------ tables


def test_a_code_table_reads_both_ways_and_continues_on_the_next_line() -> None:
    table = read('codes sex M=male A>other X<other\n  "a b"=female *>unknown   # the rest\n').codes[0]
    assert table.into == {"M": "male", "A": "other", "a b": "female", "*": "unknown"}
    assert table.back == {"male": "M", "other": "X", "female": "a b"}
    assert (table.name, str(table.place)) == ("sex", "own.map:1")


def test_signs_may_be_codes() -> None:
    table = read('codes marks ">"=">" ↑>H +>POS -=NEG ±>IND\n').codes[0]
    assert table.into == {">": ">", "↑": "H", "+": "POS", "-": "NEG", "±": "IND"}
    assert table.back == {">": ">", "NEG": "-"}


def test_systems_have_short_names() -> None:
    assert read('system loinc "http://loinc.org"\n  sct "http://snomed.info/sct"\n').systems == {
        "loinc": "http://loinc.org",
        "sct": "http://snomed.info/sct",
    }


def test_a_hash_begins_a_comment_only_after_a_blank() -> None:
    assert line(". -> category* = sct#108252007 # laboratory").constant == Constant(text="108252007", system="sct")


# ------------------------------------------------------------------------------- messages and exports


def test_a_message_structure() -> None:
    structure = read(
        "message ORU_R01 for DiagnosticReport once Patient Encounter\n  events ORU_R01 ORU_R32\n"
        "  : MSH SFT* [PID [PD1]] ([ORC] OBR (OBX NTE*)*)*\n"
    ).structures[0]
    assert (structure.name, structure.lead, structure.once) == ("ORU_R01", "DiagnosticReport", ("Patient", "Encounter"))
    assert structure.events == {"ORU_R01": "ORU_R01", "ORU_R32": "ORU_R01"}
    header, software, patient, demographics, order = structure.root.items
    assert (header.segment, software.repeats) == ("MSH", True)
    assert (patient.optional, demographics.optional) == (True, True)  # an optional run is no scope of its own
    assert order.group is not None
    assert [item.segment for item in order.group.items] == ["ORC", "OBR", ""]
    assert order.group.items[2].group is not None


def test_an_export_holds_the_blocks_below_it() -> None:
    export = read(
        "export lab table for DiagnosticReport once Patient\n"
        '  columns 申请单号 "项目 代码"\n  order 申请单号 结果\n'
        "rows by 申请单号 => DiagnosticReport\n  申请单号 <-> identifier* : own(FILL)\nrow => Observation\n"
        '  "项目 代码" <-> code : coded(项目名称)\n'
    ).exports[0]
    assert (export.name, export.format, export.lead) == ("lab", "table", "DiagnosticReport")
    assert export.columns == ("申请单号", "项目 代码")
    assert export.order == ("申请单号", "结果")
    assert [each.rows_by for each in export.blocks] == [("申请单号",), ()]
    assert export.blocks[1].lines[0].arguments == (Field(name="项目名称"),)


def test_a_tree_export_names_its_nodes() -> None:
    export = read(
        "export form tree for ServiceRequest\n  each 单列表/单\n  columns 单号\n"
        "each 患者 => Patient\n  姓名 -> name*.text\n"
    ).exports[0]
    assert export.each == "单列表/单"
    assert export.blocks[0].each == "患者"


# ------------------------------------------------------------------------------------------------ blocks


def test_options_of_a_block() -> None:
    found = block(
        "OBX => Observation key @DiagnosticReport|OBR OBX-3.1|OBX-3.4 in ORU_R01 ADT_A01 if OBX-3 once unless 19005-8"
    )
    assert found.segments == ("OBX",)
    assert found.key[0] == (Link(type="DiagnosticReport"), Field(segment="OBR"))
    assert [str(each) for each in found.key[1]] == ["OBX-3.1", "OBX-3.4"]
    assert found.structures == ("ORU_R01", "ADT_A01")
    assert found.condition == Condition(operator="valued", field=Field(segment="OBX", number=3))
    assert (found.once, found.unless, found.into) == (True, "19005-8", True)


def test_a_block_that_is_only_written() -> None:
    found = read("OBX <= DiagnosticReport if conclusion\n  OBX-2 <- conclusion = TX\n").blocks[0]
    assert (found.into, found.lines[0].back, found.lines[0].into) == (False, True, False)
    assert found.condition == Condition(operator="valued", field=Field(name="conclusion"))


@pytest.mark.parametrize(("arrow", "into", "back"), [("<->", True, True), ("->", True, False), ("<-", False, True)])
def test_the_arrow_says_which_way(arrow: str, into: bool, back: bool) -> None:
    found = line(f"PID-8 {arrow} gender | sex")
    assert (found.into, found.back, found.codes) == (into, back, "sex")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID-8", Field(segment="PID", number=8)),
        ("PID-3*", Field(segment="PID", number=3, repeats=True)),
        ("PID-3*.4.2", Field(segment="PID", number=3, repeats=True, component=4, subcomponent=2)),
        ("NTE[]-3", Field(segment="NTE", number=3, every=True)),
        ("ZJK", Field(segment="ZJK")),
        ("ZP1-12.1", Field(segment="ZP1", number=12, component=1)),
    ],
)
def test_fields(text: str, expected: Field) -> None:
    assert line(f"{text} -> gender").sources == (expected,)


def test_alternatives_and_arguments() -> None:
    found = line("ORC-2|OBR-2 <-> identifier*{type=v2-0203#PLAC} : own(OBX-2, word)")
    assert [str(each) for each in found.sources] == ["ORC-2", "OBR-2"]
    assert found.datatype == "own"
    assert found.arguments == (Field(segment="OBX", number=2), Field(name="word"))


def test_a_filtered_field() -> None:
    (found,) = line("OBX[OBX-3.1 in (19005-8 x) and OBX-11 = F]-5 -> gender").sources
    assert (found.segment, found.number, found.every) == ("OBX", 5, True)
    assert found.where is not None
    assert found.where.operator == "and"
    assert [part.values for part in found.where.parts] == [("19005-8", "x"), ("F",)]


def test_paths_with_slices() -> None:
    (step, last) = line("PV1-7* <-> participant*{type=v3#ATND,status=a|b}.individual : XCN").target
    assert (step.name, step.repeats) == ("participant", True)
    assert step.slice == (("type", ("v3#ATND",)), ("status", ("a", "b")))
    assert (last.name, last.repeats) == ("individual", False)
    assert line("OBX-5 -> value[x] : switch(OBX-2, OBX-6)").path == "value[x]"


def test_references_links_and_constants() -> None:
    assert line("PV1-7 <-> generalPractitioner* => Practitioner : XCN").reference == "Practitioner"
    assert line(". -> link* = @Patient").link == Link(type="Patient")
    assert line(". -> link* = @@Patient").link == Link(type="Patient", every=True)
    assert line(". -> active = true").constant == Constant(text="true")
    assert line('. -> code = loinc#19005-8 "Impression"').constant == Constant(
        text="19005-8", system="loinc", display="Impression"
    )
    assert line('. -> code = "two words"').constant == Constant(text="two words")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID-8", "PID-8"),
        ("!PID-8", "not(PID-8)"),
        ("PID-8 = M", "PID-8 in M"),
        ('PID-8 in (M "F F")', "PID-8 in M,F F"),
        ("PID-8 not in (M F)", "not(PID-8 in M,F)"),
        ("EVENT in (A01 A04)", "EVENT in A01,A04"),
        ("PID-8 and PID-7 or PID-5", "or(and(PID-8 PID-7) PID-5)"),
        ("PID-8 and (PID-7 or PID-5)", "and(PID-8 or(PID-7 PID-5))"),
    ],
)
def test_conditions(text: str, expected: str) -> None:
    def shown(condition: Condition | None) -> str:
        assert condition is not None
        if condition.parts:
            return f"{condition.operator}({' '.join(map(shown, condition.parts))})"
        subject = condition.fact or str(condition.field)
        return f"{subject} in {','.join(condition.values)}" if condition.operator == "in" else subject

    assert shown(line(f"PID-8 -> gender ? {text}").condition) == expected


# ---------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PID => Patient\n  PID-8 => gender\n", "own.map:2: a line is written with <-> -> or <-, not =>"),
        ("PID -> Patient\n  PID-8 -> gender\n", "own.map:1: a block is written with => (or <="),
        ("PID => Patient\n\n  PID-8 -> gender || sex\n", "own.map:3: not understood from '| sex'"),
        ("PID => Patient\n  PID-8 ->\n", "own.map:2: not understood from '->'"),
        ("PID => Patient\n  PID-8 -> @Patient\n", "own.map:2: a path begins with an element, not @Patient"),
        ("PID Patient\n", "own.map:1: not understood from 'Patient'"),
        ("kodes sex M=male\n", "own.map:1: not understood from 'kodes"),
        ("  PID-8 -> gender\n", "own.map:1: not understood from"),
        ("codes sex M=male\n  F=female\n  M>other\n", "own.map:3: code M stands twice in table sex"),
        ("message X for Patient : MSH (PID\n", "own.map:1: not understood from"),
        ("system x http://no.quotes\n", "own.map:1: not understood from"),
        ("export a tree for Patient\nexport b tree for Patient\n", "own.map:2: a second export in one file"),
    ],
)
def test_every_mistake_has_its_line_and_its_place(text: str, said: str) -> None:
    with pytest.raises(Configuration) as raised:
        read(text)
    assert raised.value.cause.startswith(said)


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    with pytest.raises(Configuration) as raised:
        read("codes a A=b A=c\nPID => Patient\n  PID-8 => gender\n  PID-7 ->\n")
    assert [each.partition(" ")[0] for each in raised.value.cause.splitlines()] == [
        "own.map:1:", "own.map:3:", "own.map:4:",
    ]  # fmt: skip
