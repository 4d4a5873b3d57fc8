"""Dirty cells, and what each is: results, units, ranges, times, identity cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.mapping.dirty import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A result cell and what it is."""

    kind: str
    cells: Row
    value: str
    marks: str = "N"
    told: tuple[str, ...] = ()


def _result(kind: str, text: str, value: str, marks: str = "N", told: Sequence[str] = (), **cells: str) -> Result:
    return Result(kind=kind, cells={"异常提示": "", **cells, "结果": text}, value=value, marks=marks, told=tuple(told))


_UNIT = " 10^9/L = 10*9/L"
RESULTS: tuple[Result, ...] = (
    _result("comparator", "<0.05", f"<0.05{_UNIT}", ""),  # below its range, and nobody says so: no N
    _result("comparator", "＜0.05", f"<0.05{_UNIT}", ""),
    _result("comparator", "< 0.05", f"<0.05{_UNIT}", ""),
    _result("comparator", "≤5.0", f"<=5.0{_UNIT}"),
    _result("comparator", "≥200", f">=200{_UNIT}", ""),
    _result("comparator", ">=200", f">=200{_UNIT}", "HH", 异常提示="↑↑"),
    _result("comparator", "≦5.0", f"<=5.0{_UNIT}"),
    _result("comparator", "≧200", f">=200{_UNIT}", ""),
    _result("comparator", "小于0.05", f"<0.05{_UNIT}", ""),
    _result("comparator", "大于200", f">200{_UNIT}", "H", 异常提示="偏高"),
    _result("arrow or star", "13.6↑", f"13.6{_UNIT}", "H"),
    _result("arrow or star", "↓3.1", f"3.1{_UNIT}", "L"),
    _result("arrow or star", "13.6 ↑↑", f"13.6{_UNIT}", "HH"),
    _result("arrow or star", "13.6(↑)", f"13.6{_UNIT}", "H"),
    _result("arrow or star", "13.6↑", f"13.6{_UNIT}", "H", 异常提示="↑"),
    _result("arrow or star", "13.6↑", f"13.6{_UNIT}", "L", ["结果"], 异常提示="↓"),  # two marks: that of its column
    _result("arrow or star", "5.2 H", f"5.2{_UNIT}", "H"),
    _result("arrow or star", "5.2H", f"5.2{_UNIT}", "H"),
    _result("arrow or star", "L 3.1", f"3.1{_UNIT}", "L"),
    _result("arrow or star", "*5.2", f"5.2{_UNIT}", "A"),
    _result("arrow or star", "12.3★", f"12.3{_UNIT}", "AA"),
    _result("arrow or star", "12.3↑★", f"12.3{_UNIT}", "HH"),
    _result("arrow or star", "12.3↑", f"12.3{_UNIT}", "HH", 危急值="是"),
    _result("arrow or star", "<0.05↓", f"<0.05{_UNIT}", "L"),
    _result("arrow or star", "5.2 偏高", f"5.2{_UNIT}", "H"),
    _result("arrow or star", "阳性(+)★", "POS '阳性(+)'", "AA", 单位="", 参考范围="阴性(-)"),
    _result("in words", "阴性(-)", "NEG '阴性(-)'", "NEG"),
    _result("in words", "阴性（－）", "NEG '阴性（－）'", "NEG"),
    _result("in words", "阴性", "NEG '阴性'", "NEG"),
    _result("in words", "强阳性", "POS '强阳性'", "POS"),
    _result("in words", "弱阳性(±)", "'弱阳性(±)'", "", 单位=""),
    _result("in words", "(+)", "POS '(+)'", "POS"),
    _result("in words", "+++", "POS '+++'", "POS"),
    _result("in words", "＋＋", "POS '＋＋'", "POS"),
    _result("in words", "1+", "POS '1+'", "POS"),
    _result("in words", "4+", "POS '4+'", "POS"),
    _result("in words", "±", "IND '±'", "IND"),
    _result("in words", "未检出", "NEG '未检出'", "NEG"),
    _result("in words", "1:80", "'1:80'", "", 单位=""),
    _result("in words", "0-1", "'0-1'", "", 单位="个/HP", 参考范围="0-5"),
    _result("in words", "见报告", "'见报告'", "", 单位=""),
    _result("in words", "棕色/软", "'棕色/软'", "", 单位=""),
    _result("in words", "详见纸质报告2页", "'详见纸质报告2页'", "", 单位=""),
    _result("full width", "５．２", f"5.2{_UNIT}"),
    _result("full width", "＜０．５", f"<0.5{_UNIT}", ""),
    _result("full width", "５．２↑", f"5.2{_UNIT}", "H"),
    _result("thousands", "1,234.5", f"1234.5{_UNIT}", ""),
    _result("power", "1.2×10^5", "1.2E+5 copies/mL = {copies}/mL", "N", 单位="copies/mL", 参考范围=""),
    _result("power", "1.20E+05", "1.20E+5 copies/mL = {copies}/mL", "N", 单位="copies/mL", 参考范围=""),
    _result("unit in the value", "5.2mmol/L", "5.2 mmol/L = mmol/L", 单位="", 参考范围="3.9-6.1"),
    _result("unit in the value", "5.2 mmol/L↑", "5.2 mmol/L = mmol/L", "H", 单位="mmol/L", 参考范围="3.9-5.1"),
    _result("unit in the value", "5.2μmol/L", "5.2 umol/L = umol/L", 单位="umol/L", 参考范围="3.9-6.1"),
    _result("unit in the value", "5.2g/L", "'5.2g/L'", "", ["结果"], 单位="mmol/L"),  # which of them is right?
    _result("no number", "5..2", "'5..2'", "", ["结果"]),
    _result("no number", "5,2", "'5,2'", "", ["结果"]),
    _result("no number", "1O.5", "'1O.5'", "", ["结果"]),
    _result("no number", "3月5日", "'3月5日'", "", ["结果"]),  # 3-5, as a spreadsheet takes it
    _result("no number", "12.3.4", "'12.3.4'", "", ["结果"]),
    _result("spreadsheet error", "#VALUE!", "", "", ["结果"]),
    _result("spreadsheet error", "#N/A", "", "", ["结果"]),
    _result("spreadsheet error", "######", "", "", ["结果"]),
    *(
        _result("no number", text, repr(text), "", ["结果"])
        for text in ("①", "5②", "½", "1.2×103", "2026-03-05", "5-Mar", "↑", "***", "13.6▲▼?")
    ),
    *(_result("two powers", text, repr(text), "", ["结果"]) for text in ("5.2×10^9", "5.2×10⁹", "5.2E9")),
    _result("power", "5.20E-01", f"0.520{_UNIT}", ""),
    _result("power", "5.2×10⁹/L", "5.2 ×10^9/L = 10*9/L", 单位=""),
    *(_result("below zero", text, repr(text), "", ["结果"]) for text in ("-5.2", "－0.5", "<-0.5")),
    _result("below zero", "-5.2", "'-5.2'", "", ["结果"], 参考范围=""),
    _result("below zero", "-2.3", "-2.3 mmol/L = mmol/L", 单位="mmol/L", 参考范围="-3～3"),
    _result("below zero", "-2.3", "-2.3 mmol/L = mmol/L", 单位="mmol/L", 参考范围=""),
    *(
        _result("filled with nines", text, repr(text), "", ["结果"])
        for text in ("9999", "99999", "9999.99", "9999.00", "-9999", "９９９９")
    ),
    *(_result("nines that are measured", text, f"{text}{_UNIT}", "") for text in ("999", "99.99", "9990", ">9999")),
    _result("of a web page", "&lt;0.05", f"<0.05{_UNIT}", ""),
    *(_result("arrow or star", text, f"13.6{_UNIT}", "H") for text in ("13.6【高】", "13.6⇧", "13.6⇑")),
    _result("arrow or star", "5.2正常", f"5.2{_UNIT}"),
    *(
        _result("in words", text, f"NEG {text!r}", "NEG", 单位="", 参考范围="阴性")
        for text in ("阴", "neg.", "(—)", "—")
    ),
    *(_result("in words", text, f"POS {text!r}", "POS", 单位="") for text in ("阳", "弱阳", "pos.")),
    _result("in words", "陰性", "NEG '陰性'", "NEG", 单位="", 参考范围="陰性"),
    *(_result("in words", text, f"IND {text!r}", "IND", 单位="") for text in ("(±)", "+-")),
    _result("empty", "", "", ""),
    # No mark means normal only where the range can be read, and agrees
    *(
        _result("range", "13.6", f"13.6{_UNIT}", "", 参考范围=text)
        for text in ("男:3-5;女:2-4", "3.5-9.5;4-10", "(3.5-9.5)", "阴性(<1.0)", "男:3.5-9.5×10^9/L;女:3-9×10^9/L")
    ),
    _result("range", "3.2", f"3.2{_UNIT}", "", 参考范围="男:3-5;女:4-6"),
    _result("range", "4.2", f"4.2{_UNIT}", 参考范围="男:3-5;女:4-6"),
    _result("range", "3.6", f"3.6{_UNIT}", "", ["参考范围"], 参考范围="3.5-9.5 g/L"),
)

UNITS: tuple[tuple[str, str], ...] = (
    *((each, "umol/L") for each in ("μmol/L", "µmol/L", "umol/L", "UMOL/L", "ｕmol/L")),
    *(
        (each, "10*9/L")
        for each in ("×10⁹/L", "10^9/L", "10*9/L", "x10^9/L", "*10^9/L", "X10E9/L", "10⁹/L", "G/L", "10^9 /L")
    ),
    *((each, "/[HPF]") for each in ("个/HP", "/HPF", "个/ＨＰ")),
    ("％", "%"),
    ("mmol/l", "mmol/L"),
    ("IU/mL", "[IU]/mL"),
    ("秒", "s"),
    ("℃", "Cel"),
    ("单位", "?"),
    ("A.U.", "?"),
)

RANGES: tuple[tuple[str, str, list[str], tuple[str, ...]], ...] = (
    ("plain", "3.5-9.5", ["3.5..9.5 '3.5-9.5'"], ()),
    *(
        ("other dash", text, [f"3.5..5.3 {text!r}"], ())
        for text in (
            "3.5～5.3",
            "3.5~5.3",
            "3.5--5.3",
            "3.5—5.3",
            "3.5——5.3",
            "3.5–5.3",
            "3.5至5.3",
            "３．５－５．３",
            " 3.5 - 5.3 ".strip(),
            "(3.5-5.3)",
        )
    ),
    ("long digits", "3.9000-6.1000", ["3.9000..6.1000 '3.9000-6.1000'"], ()),
    ("one end", "<5.2", ["..5.2 '<5.2'"], ()),
    ("one end", "≥40", ["40.. '≥40'"], ("结果",)),
    ("other dash", "3.5−5.3", ["3.5..5.3 '3.5−5.3'"], ()),
    ("none", "NULL", [], ()),
    ("words", "阴性", ["'阴性'"], ()),
    ("words", "阴性(-)", ["'阴性(-)'"], ()),
    ("unit", "3.5-5.3 10^9/L", ["3.5..5.3 '3.5-5.3 10^9/L'"], ()),
    (
        "several",
        "男:3.9-6.1;女:3.5-5.5",
        ["'男:3.9-6.1;女:3.5-5.5'", "男 3.9..6.1 '3.9-6.1'", "女 3.5..5.5 '3.5-5.5'"],
        (),
    ),
    (
        "several",
        "男：3.9～6.1；女：3.5～5.5",
        ["'男：3.9～6.1；女：3.5～5.5'", "男 3.9..6.1 '3.9~6.1'", "女 3.5..5.5 '3.5~5.5'"],
        (),
    ),
    ("several", "男3.9-6.1 女3.5-5.5", ["'男3.9-6.1 女3.5-5.5'", "男 3.9..6.1 '3.9-6.1'", "女 3.5..5.5 '3.5-5.5'"], ()),
    ("several", "男<15;女<20", ["'男<15;女<20'", "男 ..15 '<15'", "女 ..20 '<20'"], ()),
    (
        "several",
        "成人:3.5-5.3;儿童:3.4-4.7",
        ["'成人:3.5-5.3;儿童:3.4-4.7'", "成人 3.5..5.3 '3.5-5.3'", "儿童 3.4..4.7 '3.4-4.7'"],
        (),
    ),
    *(
        (
            "several, with the unit",
            text,
            [repr(text), "男 3.5..5.5 '3.5-5.5×10^9/L'", "女 3.0..5.0 '3.0-5.0×10^9/L'"],
            (),
        )
        for text in ("男:3.5-5.5×10^9/L;女:3.0-5.0×10^9/L", "男3.5-5.5×10^9/L 女3.0-5.0×10^9/L")
    ),
    *(
        ("several, otherwise", text, [repr(text), "男 3..5 '3-5'", "女 2..4 '2-4'"], ())
        for text in ("(男)3-5 (女)2-4", "3-5(男);2-4(女)", "3-5（男），2-4（女）", "男 3-5/女 2-4", "男:3-5|女:2-4")
    ),
    (
        "several, otherwise",
        "0-1岁:3-5;1-14岁:2-4",
        ["'0-1岁:3-5;1-14岁:2-4'", "0-1岁 3..5 '3-5'", "1-14岁 2..4 '2-4'"],
        (),
    ),
    ("of one sex", "男:3-5", ["'男:3-5'", "男 3..5 '3-5'"], ()),
    ("several, one unread", "男:3-5;女:见说明", ["'男:3-5;女:见说明'"], ()),
    *(
        ("in words", text, [f"3.5..9.5 {text!r}"], ())
        for text in (
            "3.5 to 9.5",
            ">3.5<9.5",
            "≥3.5且≤9.5",
            "(3.5-9.5)×10^9/L",
            "3.5-9.5(10^9/L)",
            "3.5×10^9/L-9.5×10^9/L",
        )
    ),
    *(("in words", text, [f"..9.5 {text!r}"], ()) for text in ("小于9.5", "9.5以下", "不超过9.5", "&lt;9.5")),
    ("thousands", "3,500-9,500", ["3500..9500 '3,500-9,500'"], ("结果",)),
    ("minus", "-3～3", ["-3..3 '-3～3'"], ()),
    ("minus", "-2.0--1.0", ["'-2.0--1.0'"], ()),
    *(("date", text, [repr(text)], ("参考范围",)) for text in ("3月5日", "2026-03-05", "5-Mar", "2026/3/5 0:00:00")),
    ("another unit", "3.5-5.5 g/L", ["'3.5-5.5 g/L'"], ("参考范围",)),
    ("backwards", "9.5-3.5", ["'9.5-3.5'"], ("参考范围",)),
    ("empty", "", [], ()),
)

MOMENTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    *(
        ("written", text, "2026-03-05T08:30:00+08:00", ())
        for text in (
            "2026/3/5 8:30",
            "2026.3.5 08:30:00",
            "2026-3-5  8:30",
            "20260305083000",
            "2026030508:30:00",
            "2026-03-05T08:30:00",
            "2026年3月5日 8时30分",
            "2026年3月5日8:30",
            "2026年03月05日 08时30分00秒",
            "２０２６-０３-０５ ０８：３０",
            "2026/3/5 上午8:30",
            "2026-03-05 08:30 AM",
            "2026/3/5 星期四 8:30",
            "2026-03-05 08:30:00+08:00",
            "202603050830",
            "2026-03-05 08:30上午",
            "2026年3月5日早上8点半",
            "2026–03–05 08:30",
            "2026\\03\\05 08:30",
            "2026 03 05 08:30",
            "05-MAR-26 08.30.00.000000 AM",
            "05-MAR-2026 08:30:00",
            "05-3月 -26 08.30.00.000000 上午",
            "Mar  5 2026  8:30AM",
            "Mar 5, 2026, 8:30:00 AM",
            "Thu Mar 05 08:30:00 CST 2026",
            "2026-03-05-08.30.00.000000",
            "1772670600000",
        )
    ),
    *(
        ("afternoon", text, "2026-03-05T15:20:00+08:00", ())
        for text in (
            "2026/3/5 下午3:20",
            "2026-03-05 下午 3:20:00",
            "2026-03-05 03:20 PM",
            "2026/3/5 15:20",
            "2026-03-05 3:20:00 p.m.",
            "2026-03-05 3:20下午",
            "2026年3月5日 下午3时20分",
            "05-MAR-26 03.20.00.000000 PM",
        )
    ),
    ("serial", "46086.35", "2026-03-05T08:24:00+08:00", ()),
    ("serial", "46086.3541666667", "2026-03-05T08:30:00+08:00", ()),
    *(
        ("none", text, "", ())
        for text in (
            "1900-01-01",
            "1900/1/1 0:00:00",
            "0000-00-00 00:00:00",
            "0001-01-01",
            "9999-12-31",
            "00000000",
            "-",
            "NULL",
            "",
        )
    ),
    *(
        ("unreadable", text, "", ("报告时间",))
        for text in (
            "2026-13-05 08:00",
            "2026-02-30 08:00",
            "昨天",
            "26-03-05 08:00",
            "3/5/2026 08:00",
            "下午3:20",
            "2026-03-05 上午 15:20",
            "2026-03-05 25:10",
            "2026-03-05 晚上12:30",
            "2026-03-05 晚上2:00",
            "2026-03-05 中午9:00",
            "05-MAR-26 12.00.00.000000 AM",
            "03 05 2026  8:30AM",
            "1772670600",
            "1026-03-05 08:30",
            "1970-01-01 08:00:00",
        )
    ),
    *(("a day only", text, "", ("报告时间",)) for text in ("2026/3/5", "2026年3月5日", "20260305", "46086")),
)

VALID, OLD = "529901195804120111", "529901580412011"
CARDS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    *(
        ("the same", text, VALID, ())
        for text in (
            VALID,
            "529901 19580412 0111",
            "５２９９０１１９５８０４１２０１１１",
            OLD,
            "'529901195804120111",
            "529901-19580412-0111",
            " 529901195804120111\t",
            '="529901195804120111"',
        )
    ),
    ("small x", "11010519491231002x", "11010519491231002X", ("性别",)),
    ("wrong check", "529901195804120112", "", ("身份证号",)),
    ("wrong check", "52990119581312011X", "", ("身份证号",)),
    *(("rounded", text, "", ("身份证号",)) for text in ("5.29901E+17", "5.29901195804120E+17", "529901195804120000")),
    *(("none", text, "", ()) for text in ("", "无", "-", "不详", "/")),
)
