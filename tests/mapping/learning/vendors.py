"""Tables as systems of hospitals export them, invented: headers with what they mean, rows that fit, and the score of a
draft of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gateway.mapping.learning.draft import Draft
from gateway.mapping.learning.vocabulary import vocabulary

_PEOPLE = ("蓝小满", "王建国", "李秀英", "欧阳静", "赵磊", "陈志远", "周海燕", "孙丽", "高翔", "许文")
_STAFF = ("何丽", "郑伟", "林海", "马晓东", "吴敏", "徐静")
_ITEMS = ("血清钾", "血清钠", "白细胞计数", "血红蛋白", "葡萄糖", "丙氨酸氨基转移酶")
_CHOICES: dict[str, tuple[str, ...]] = {  # by meaning, or by what a meaning holds
    "name": _PEOPLE,
    "doctor": _STAFF,
    "dept": ("内科", "呼吸内科", "普外科", "儿科"),
    "phone": ("13900010001",),
    "age": ("36", "67", "8", "45"),
    "ageunit": ("岁",),
    "visit": ("门诊", "住院"),
    "bed": ("12", "03", "加1"),
    "specimen": ("血清", "静脉血", "尿液"),
    "code": ("0301", "0302", "0412"),
    "itemcode": ("K", "NA", "WBC", "HGB"),
    "abbreviation": ("K", "NA", "WBC", "HGB"),
    "item": _ITEMS,
    "panel": ("电解质", "血常规", "肝功能"),
    "result": ("6.8", "139", "5.60", "<0.05", "阴性"),
    "unit": ("mmol/L", "10^9/L", "g/L", "U/L"),
    "range": ("3.5-5.3", "137-147", "3.9-6.1"),
    "number": ("3.5", "137"),
    "flag": ("↑", "↓", "", ""),
    "yesno": ("0", "1", "0"),
    "finding_flag": ("阳性", "阴性"),
    "cancel": ("0",),
    "valid": ("1",),
    "device": ("全自动生化分析仪", "BC-6800"),
    "modality": ("CT", "DR", "MR"),
    "orgname": ("石桥镇卫生院",),
    "bodysite": ("胸部", "头颅", "腰椎"),
    "exam": ("胸部CT平扫", "头颅MRI", "腰椎正侧位片"),
    "orgcode": ("A01",),
    "finding": ("双肺纹理清晰，未见实质性病变。", "腰椎序列可，未见骨折征象。"),
    "impression": ("双肺未见异常", "腰椎退行性变"),
    "diagnosis": ("肺炎", "高血压病", "2型糖尿病"),
    "icd": ("J18.900", "I10.x00x002", "E11.900"),
    "address": ("石桥镇三村12号",),
    "ethnic": ("汉族", "彝族"),
    "marital": ("已婚", "未婚"),
    "staffno": ("1021", "1033", "0457"),
    "longtext": ("发热3天", "咳嗽一周"),
    "ward": ("一病区", "二病区"),
    "integer": ("1", "2"),
    "vital": ("36.8", "120", "80", "72"),
    "clock": ("07:39:00", "09:14:00"),
    "admit": ("门诊", "急诊"),
    "discharge": ("医嘱离院",),
    "ordertype": ("检验", "检查"),
    "urgent": ("普通", "急诊"),
    "text": ("其他", "无"),
    "state": ("已审核",),
    "证件类型": ("01",),
    "费别": ("自费", "城镇职工"),
    "诊断类型": ("门诊诊断", "入院诊断"),
    "职业": ("农民", "工人"),
    "检验方法": ("电极法",),
    "文字结果": ("", "轻度溶血"),
    "工作单位": ("石桥小学",),
    "检查目的": ("排除肺炎",),
    "申请状态": ("已登记",),
    "备注": ("", "复查"),
}


@dataclass(frozen=True, slots=True)
class Vendor:
    """One table: `columns` are headers with the meanings that are right, none where nothing is meant."""

    name: str
    kind: str
    columns: dict[str, tuple[str, ...]]
    seen: bool  # looked at when the knowledge was mended

    def rows(self) -> list[dict[str, str]]:
        """A row of each person, whose cells fit their meanings; in some tables sexes and kinds of visits are codes."""
        random = Random(self.name)
        coded = random.random() < 0.5
        return [
            {header: _cell(meant[0], person, coded, random) for header, meant in self.columns.items()}
            for person in range(len(_PEOPLE))
        ]


def vendors() -> list[Vendor]:
    """All of them, as the file has them."""
    text = (Path(__file__).parent / "vendors.txt").read_text(encoding="utf-8")
    blocks = [each.strip().split("\n") for each in re.split(r"\n\s*\n", text) if not each.startswith("#")]
    return [
        Vendor(*head.split(), columns=dict(map(_column, body.split(";"))), seen=not index % 2)
        for index, (head, body) in enumerate(blocks)
    ]


def score(vendor: Vendor, draft: Draft) -> Iterator[tuple[str, str, str]]:
    """(right | wrong | told | unused | lost, header, what the draft says of it) of every column. told: not mapped
    although the kind has a use for it; unused: rightly not mapped; lost: the draft does not name it."""
    assert draft.kind is not None
    made = {each.column.name: each.meaning for each in draft.matches}
    unmapped = {each.column.name: [guess.meaning for guess in each.guesses[:3]] for each in draft.unmapped}
    for header, meant in vendor.columns.items():
        if header in made:
            yield "right" if made[header] in meant else "wrong", header, made[header]
        elif header in unmapped:
            useful = set(meant) & draft.kind.meanings.keys() - set(made.values())
            yield "told" if useful else "unused", header, "? ".join(unmapped[header])
        else:
            yield "lost", header, ""


def total(pairs: list[tuple[Vendor, Draft]]) -> Counter[str]:
    """How many columns of each outcome; a draft of another kind is wrong in all of its columns."""
    found: Counter[str] = Counter()
    for vendor, draft in pairs:
        if draft.kind is None or draft.kind.name != vendor.kind:
            found["wrong"] += len(vendor.columns)
        else:
            found.update(outcome for outcome, _, _ in score(vendor, draft))
    return found


def _column(text: str) -> tuple[str, tuple[str, ...]]:
    header, _, meant = text.partition(" = ")
    meanings = tuple(meant.strip().split("|"))
    unknown = set(meanings) - vocabulary().holds.keys() - {"-"}
    assert not unknown, unknown
    return header.strip(), meanings


def _cell(meaning: str, person: int, coded: bool, random: Random) -> str:
    holds = vocabulary().holds.get(meaning, "text")
    man = person % 2
    match holds:
        case "date":
            return f"19{60 + person}-03-07"
        case "time":
            return f"2026-03-{10 + person} {7 + len(meaning):02}:{random.randrange(60):02}:00"
        case "sex":
            return ("2", "1")[man] if coded else ("女", "男")[man]
        case "name" if meaning == "姓名":
            return _PEOPLE[person]
        case "idcard":
            return _card(f"52990119{60 + person}03070{person}{man}")
        case "uid":
            return f"1.2.826.0.1.3680043.9.{person}"
        case "local" | "archive" | "card":
            return f"{sum(map(ord, meaning)) % 89 + 10}{person:05}"
        case "visit" if coded:
            return random.choice(("1", "2"))
    return random.choice(("1", "A", "") if meaning == "-" else _CHOICES.get(meaning) or _CHOICES[holds])


def _card(digits: str) -> str:
    """With its check digit (GB 11643)."""
    weighed = sum(int(each) * pow(2, 17 - place, 11) for place, each in enumerate(digits))
    return digits + "10X98765432"[weighed % 11]
