"""Distinct HL7 v2.5.1 messages, the same for the same count: 30 % ADT^A01, 40 % ORU of 20 results, 15 % imaging ORU,
15 % ORM; some 2 kB each, UTF-8, Chinese. All persons are made up."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平"
TESTS = (
    ("6690-2", "白细胞计数", "10*9/L"), ("789-8", "红细胞计数", "10*12/L"), ("718-7", "血红蛋白", "g/L"),
    ("4544-3", "红细胞压积", "%"), ("787-2", "平均红细胞体积", "fL"), ("785-6", "平均血红蛋白量", "pg"),
    ("786-4", "平均血红蛋白浓度", "g/L"), ("777-3", "血小板计数", "10*9/L"), ("770-8", "中性粒细胞百分比", "%"),
    ("736-9", "淋巴细胞百分比", "%"),
)  # fmt: skip
FINDINGS = (
    "胸廓对称，气管居中。右肺上叶尖段见磨玻璃结节，大小约{size}mm，边界尚清，未见分叶及毛刺征。余双肺未见实质性病变。"
    "气管及主要支气管通畅。纵隔内未见肿大淋巴结。心影大小形态正常。双侧胸腔未见积液，胸膜未见增厚。"
)


def messages(count: int = 2000) -> list[tuple[str, bytes]]:
    """(kind, message), all distinct."""
    chance = random.Random(11)
    kinds = chance.choices(list(_KINDS), [30, 40, 15, 15], k=count)
    return [(kind, _message(kind, number, chance)) for number, kind in enumerate(kinds)]


def _message(kind: str, number: int, chance: random.Random) -> bytes:
    at = (datetime(2026, 3, 14, 8) + timedelta(seconds=7 * number)).strftime("%Y%m%d%H%M%S+0800")  # noqa: DTZ001
    doctor = f"{20000 + chance.randrange(200)}^{chance.choice(SURNAMES)}医生"
    born = f"{chance.randrange(1936, 2024)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}"
    name = f"{chance.choice(SURNAMES)}^{chance.choice(GIVEN)}{chance.choice(GIVEN)}"
    patient = f"{1_000_000_000 + chance.randrange(300_000)}"
    event, structure = _KINDS[kind][0], _KINDS[kind][0].replace("^", "_")
    head = (
        f"MSH|^~\\&|HIS|XZRMYY|HUTONG|COMMUNITY|{at}||{event}^{structure}|S{number:08d}|P|2.5.1|||||CHN|UNICODE UTF-8"
    )
    person = (
        f"PID|1||{patient}^^^XZRMYY^MR||{name}^^^^^L||{born}|{chance.choice('MF')}|||{chance.randrange(1, 300)}号院"
        f"^^示例市^示例省^450100^CHN^H||^PRN^CP^^86^^199{chance.randrange(10**8):08d}"
    )
    visit = f"PV1|1|I|消化内科^0312^02^XZRMYY|E|||{doctor}||||||||||||V{number:08d}^^^XZRMYY^VN" + "|" * 25 + at
    segments = [head, person, visit, *_KINDS[kind][1](number, at, doctor, chance)]
    return ("\r".join(segments) + "\r").encode()


def _admission(number: int, at: str, doctor: str, chance: random.Random) -> list[str]:
    return [
        f"NK1|1|{chance.choice(SURNAMES)}^{chance.choice(GIVEN)}|SPO^配偶^HL70063",
        "AL1|1|DA^药物过敏^HL70127|70618^青霉素^RXNORM|SV^重度^HL70128|皮疹",
        f"DG1|1||K29.500^慢性胃炎^ICD10CN|慢性胃炎|{at}|A",
    ]


def _laboratory(number: int, at: str, doctor: str, chance: random.Random) -> list[str]:
    report = _report(number, at, doctor, "58410-2^全血细胞分析^LN", "LAB")
    for line in range(20):
        code, name, unit = TESTS[line % len(TESTS)]
        value = round(chance.uniform(1, 200), 2)
        report.append(f"OBX|{line + 1}|NM|{code}^{name}^LN|{line // 10}|{value}|{unit}^{unit}^UCUM|1-200|N|||F|||{at}")
    return report


def _imaging(number: int, at: str, doctor: str, chance: random.Random) -> list[str]:
    findings = FINDINGS.format(size=chance.randrange(2, 30))
    return [
        *_report(number, at, doctor, "24627-2^胸部CT平扫^LN", "RAD"),
        f"OBX|1|FT|59776-5^检查所见^LN||{findings}||||||F|||{at}",
        f"OBX|2|FT|19005-8^影像诊断^LN||右肺上叶结节，建议{chance.randrange(3, 13)}个月后复查。||||||F|||{at}",
    ]


def _order(number: int, at: str, doctor: str, chance: random.Random) -> list[str]:
    return [
        f"ORC|NW|P{number:08d}^HIS|||SC||1^^^{at}^^R||{at}|{doctor}||{doctor}",
        f"OBR|1|P{number:08d}^HIS||24627-2^胸部CT平扫^LN|||{at}||||||咳嗽两周|||{doctor}||||||||RAD",
        "NTE|1||对碘造影剂无过敏史，请平扫。",
    ]


def _report(number: int, at: str, doctor: str, code: str, section: str) -> list[str]:
    placer, filler = f"P{number:08d}^HIS", f"F{number:08d}^LIS"
    return [
        f"ORC|RE|{placer}|{filler}||CM||||{at}|{doctor}||{doctor}",
        f"OBR|1|{placer}|{filler}|{code}|||{at}|||||||||{doctor}||||||{at}||{section}|F",
    ]


_KINDS = {
    "admission": ("ADT^A01", _admission),
    "laboratory": ("ORU^R01", _laboratory),
    "imaging": ("ORU^R01", _imaging),
    "order": ("ORM^O01", _order),
}
