"""Laboratory exports as a township writes them, as long as wanted: one row a result, all else repeated in each row.

Everybody in them is made up, and the same number of rows is always the same file. Six to twelve results stand in a
report, a patient has one to three reports, and they come back in other parts of the file.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import openpyxl

COLUMNS = (
    "机构编码", "机构名称", "申请单号", "条码号", "病人ID", "姓名", "性别", "年龄", "身份证号", "就诊类型",
    "门诊住院号", "申请科室", "床号", "临床诊断", "申请医生", "标本类型", "采样时间", "接收时间", "报告时间",
    "检验者", "审核者", "组合代码", "组合名称", "项目代码", "项目名称", "英文缩写", "结果", "单位",
    "参考范围", "异常提示", "危急值", "检验方法", "仪器", "互认标志", "备注",
)  # fmt: skip
_PANELS = (  # code, name, sample, (test, short name, unit, low, high)
    ("0101", "血常规", "全血", (
        ("白细胞计数", "WBC", "10^9/L", 3.5, 9.5), ("红细胞计数", "RBC", "10^12/L", 4.3, 5.8),
        ("血红蛋白", "HGB", "g/L", 130, 175), ("红细胞压积", "HCT", "%", 40, 50),
        ("血小板计数", "PLT", "10^9/L", 125, 350), ("淋巴细胞百分比", "LYMPH%", "%", 20, 50),
        ("单核细胞百分比", "MONO%", "%", 3, 10), ("中性粒细胞百分比", "NEUT%", "%", 40, 75),
        ("嗜酸性粒细胞百分比", "EO%", "%", 0.4, 8), ("嗜碱性粒细胞百分比", "BASO%", "%", 0, 1),
        ("平均红细胞体积", "MCV", "fL", 82, 100), ("平均红细胞血红蛋白量", "MCH", "pg", 27, 34),
    )),
    ("0201", "肝功能", "血清", (
        ("丙氨酸氨基转移酶", "ALT", "U/L", 9, 50), ("天门冬氨酸氨基转移酶", "AST", "U/L", 15, 40),
        ("γ-谷氨酰转移酶", "GGT", "U/L", 10, 60), ("总胆红素", "TBIL", "μmol/L", 0, 26),
        ("直接胆红素", "DBIL", "μmol/L", 0, 8), ("总蛋白", "TP", "g/L", 65, 85), ("白蛋白", "ALB", "g/L", 40, 55),
    )),
    ("0401", "尿常规", "尿液", (
        ("尿蛋白", "PRO", "", 0, 0), ("尿葡萄糖", "GLU", "", 0, 0), ("亚硝酸盐", "NIT", "", 0, 0),
        ("酮体", "KET", "", 0, 0), ("尿比重", "SG", "", 1.003, 1.03), ("酸碱度", "PH", "", 4.5, 8),
    )),
)  # fmt: skip
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_GIVEN = (
    "建国", "秀英", "志强", "桂兰", "明", "晓燕", "子涵", "海燕",
    "文博", "玉梅", "欣怡", "德华", "淑珍", "国庆", "思远",
)  # fmt: skip
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def rows(count: int, *, seed: int = 1) -> Iterator[list[str]]:
    """So many rows, without the header."""
    chance = random.Random(seed)
    made = number = 0
    while made < count:
        number += 1
        head = _report(number, chance)
        code, name, _, tests = _PANELS[number % len(_PANELS)]
        for at, test in enumerate(tests[: chance.randint(min(6, len(tests)), len(tests))], 1):
            if made == count:
                return
            made += 1
            yield [*head, code, name, f"{code}{at:02d}", *_result(test, chance)]


def _report(number: int, chance: random.Random) -> list[str]:
    """What stands in each row of one report. Every third one is of somebody who was there before."""
    person = number if number % 3 or number < 30 else chance.randint(1, number - 1)
    own = random.Random(person)
    sex = own.randint(0, 1)
    birth = f"{own.randint(1935, 2020)}{own.randint(1, 12):02d}{own.randint(1, 28):02d}"
    digits = f"529901{birth}{own.randint(0, 49) * 2 + 1 - sex:03d}"[:17].ljust(17, "1")
    national = digits + "10X98765432"[sum(int(a) * b for a, b in zip(digits, _WEIGHTS, strict=True)) % 11]
    name = own.choice(_SURNAMES) + own.choice(_GIVEN)
    day, minute = f"2026-{number // 40_000 % 9 + 1:02d}-{number // 1_500 % 27 + 1:02d}", number % 60
    _, _, sample, _ = _PANELS[number % len(_PANELS)]
    return [
        "12529901MB990011XK", "石桥中心卫生院", f"SQL{number:012d}", f"SQ{number:010d}", f"SQ{person:06d}", name,
        "女男"[1 - sex], f"{2026 - int(birth[:4])}岁", national, "门诊", f"M{number:012d}", "内科", "", "发热待查",
        "黄志明", sample, f"{day} 07:{minute:02d}:00", f"{day} 08:{minute:02d}:00", f"{day} 09:{minute:02d}:00",
        "何丽", "郑伟",
    ]  # fmt: skip


def _result(test: tuple[str, str, str, float, float], chance: random.Random) -> list[str]:
    name, short, unit, low, high = test
    if not high:
        value = chance.choice(("阴性(-)", "阴性(-)", "阳性(+)", "1+", "±"))
        return [name, short, value, unit, "阴性(-)", "", "", "", "", "HR", ""]
    found = chance.uniform(low * 0.8, high * 1.2)
    mark = "↑" if found > high else "↓" if found < low else ""
    return [name, short, f"{found:.4g}", unit, f"{low:g}-{high:g}", mark, "", "", "", "HR", ""]


def write_csv(path: Path, count: int, *, charset: str = "gb18030") -> Path:
    """The file of so many rows, as the laboratory's system writes it."""
    with path.open("w", encoding=charset, newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows(count))
    return path


def csv_bytes(count: int, *, charset: str = "gb18030") -> bytes:
    """The same in memory."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(count))
    return target.getvalue().encode(charset)


def write_workbook(path: Path, count: int) -> Path:
    """The same as .xlsx."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("检验结果")
    sheet.append(COLUMNS)
    for row in rows(count):
        sheet.append(row)
    book.save(path)
    return path


def write(path: Path, count: int) -> Path:
    """The same as .csv, .xlsx, .xml, .json or .ndjson; trees in UTF-8, without the cells that are empty."""
    if path.suffix in (".csv", ".xlsx"):
        return write_csv(path, count) if path.suffix == ".csv" else write_workbook(path, count)
    begin, between, end = _AROUND[path.suffix]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(begin)
        for number, row in enumerate(rows(count)):
            file.write(between if number else "")
            cells = {name: cell for name, cell in zip(COLUMNS, row, strict=True) if cell}
            file.write(_element(cells) if path.suffix == ".xml" else json.dumps(cells, ensure_ascii=False))
        file.write(end)
    return path


_AROUND = {
    ".xml": ('<?xml version="1.0" encoding="UTF-8"?>\n<DATA>\n<ROWS>\n', "\n", "\n</ROWS>\n</DATA>\n"),
    ".json": ('{"rows": [\n', ",\n", "\n]}\n"),
    ".ndjson": ("", "\n", "\n"),
}


def _element(cells: dict[str, str]) -> str:
    return f"<ROW>{''.join(f'<{name}>{escape(cell)}</{name}>' for name, cell in cells.items())}</ROW>"
