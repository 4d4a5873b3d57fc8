"""What the values of a column look like: counts of patterns, never a value."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from gateway.codec.chinese_numbers import is_credit_code, national_id
from gateway.codec.table import PLAIN_NUMBER
from gateway.mapping.datatypes.clocks import cell_time
from gateway.mapping.datatypes.codes import loinc_valid

_ZONE: Final = ZoneInfo("Asia/Shanghai")  # only the form of times is looked at
_SURNAMES: Final = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金"
    "石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳"
    "翟殷詹申欧耿关兰蓝焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤"
    "穆农司车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘查麻苑迟"
    "邝匡鞠惠荆乐冀郁胥南班储原栗燕楚鄢劳谌奚皮冼蔺楼厉伊仝区郜阚权帅屠豆朴盖练廉禹井祖漆巴丰卿国平索宣"
    "晋云容敬来扈晁芮都普阙浦戈伏鹿薄邸雍辜羊阿乌裘亢订慕诸东郳弢"
)
_BETWEEN: Final = r"[<>≤≥]?=?\s*-?\d+(?:\.\d+)?\s*(?:--?|[~～—–至]+)\s*-?\d+(?:\.\d+)?(?![\d:年/.-]).*"
_UNIT: Final = re.compile(
    r"[×xX*]?10[\^*EeＥ]?\s*\d{1,2}/?[a-zA-ZμµΜ]*|[%‰℃]|个?/?(?:HP|LP|HPF|LPF|h|24h|视野)|"
    r"(?:[kmuμµnpfMGT]?(?:mol|g|l|L|IU|U|Eq|osm|Osm|kat|m|s|V|Pa)|mmHg|sec|min|S|s|秒|分|次|岁|fl|fL|pg|IU|COI|S/CO|mm|"
    r"cm|Kpa|kPa|cells?|copies|PEI|AU|RU|"
    r"Index|INR|ratio|比值|度)(?:/(?:d?m?[uμµ]?[lLgG]|24h|h|d|min|mmol|gCr|HP|LP|1\.73m\^?2|次|分))*"
)
_PATTERNS: Mapping[str, Callable[[str], object]] = {
    "idcard": national_id,
    "idlike": re.compile(r"\d{15}|\d{17}[\dXx]|[A-Z]{1,2}\d{7,8}|[HM]\d{8,10}|\d\.\d+E\+\d+").fullmatch,
    "phone": re.compile(r"(?:\+?86)?1[3-9]\d{9}|0\d{2,3}-?\d{7,8}|\d{7,8}").fullmatch,
    "mobile": re.compile(r"1[3-9]\d{9}").fullmatch,
    "sex": re.compile(r"男性?|女性?|[MFmf]|male|female|Male|Female|未知|未说明|[0129]|0[129]").fullmatch,
    "sexword": re.compile(r"男性?|女性?|male|female|Male|Female").fullmatch,
    "visit": re.compile(
        r"门.{0,2}诊.{0,2}|住院.{0,2}|急诊.{0,2}|体检|留观|[0-9]|0\d|[OEITP]|outpatient|inpatient|emergency"
    ).fullmatch,
    "visitword": re.compile(r"门诊|住院|急诊|体检|门急诊|留观").fullmatch,
    "icd": re.compile(r"[A-Z]\d{2}(?:\.[\dxX][\w+*/]{0,9})?\+?").fullmatch,
    "loinc": loinc_valid,
    "unit": _UNIT.fullmatch,
    "range": re.compile(
        _BETWEEN + r"|[<>≤≥]=?\s*\d.*|阴性.*|阳性.*|[男女].*[:：].*|未检出.*|[淡浅]?黄色.*"
    ).fullmatch,
    "rangenumber": re.compile(_BETWEEN).fullmatch,
    "number": PLAIN_NUMBER.fullmatch,
    "integer": re.compile(r"\d{1,4}").fullmatch,
    "result": re.compile(r".{1,30}").fullmatch,
    "flag": re.compile(
        r"[↑↓]{1,2}|HH|LL|[HLNMA]|高|低|正常|异常|偏高|偏低|[★*]|[+\-±]+|阳性|阴性|[0-9]|危急.*"
    ).fullmatch,
    "arrow": re.compile(r"[↑↓]{1,2}|HH|LL|偏[高低]|[HL]").fullmatch,
    "person": lambda text: _named(text),
    "chinese": lambda text: any("\u4e00" <= each <= "\u9fff" for each in text),
    "words": lambda text: any(map(str.isalpha, text)) and not PLAIN_NUMBER.fullmatch(text) and not _timed(text),
    "dept": re.compile(r".*(?:科|室|门诊|病区|中心|部|ICU|CCU)(?:[（(].*[)）])?[一二三四五六七八九十\d]*").fullmatch,
    "org": re.compile(r".*(?:医院|卫生院|卫生室|中心|诊所|站|院|所|医共体)(?:[（(].*[)）])?").fullmatch,
    "orgcode": lambda text: is_credit_code(text) or re.fullmatch(r"[0-9A-Z]{22}|[0-9A-Z]{9}", text),
    "credit": is_credit_code,
    "code": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.^\-/|]{0,47}").fullmatch,
    "short": lambda text: len(text) <= 12,
    "uid": re.compile(r"[0-2](?:\.\d+){4,}").fullmatch,
    "age": re.compile(r"\d{1,3}(?:\.\d)?\s*(?:岁|月|个月|天|日|周|Y|M|D)?(?:\d{1,2}(?:个?月|天))?").fullmatch,
    "ageword": re.compile(r"\d{1,3}\s*(?:岁|个月|月|天).*").fullmatch,
    "date": lambda text: _timed(text) and "T" not in _timed(text),
    "time": lambda text: "T" in _timed(text),
    "clock": re.compile(r"(?:.*[ T])?\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?").fullmatch,
    "modality": re.compile(
        r"CT|MRI?|DR|DX|CR|US|彩超|B超|超声|X线|钼靶|MG|心电图|ECG|内镜|胃镜|肠镜|DSA|PET-?CT|造影|磁共振|放射|"
        r"RIS|UIS|PIS|EIS|骨密度|病理"
    ).fullmatch,
    "specimen": re.compile(
        r".{0,4}(?:血|血清|血浆|尿液?|粪便|大便|痰液?|脑脊液|分泌物|拭子|胸水|腹水|组织|骨髓|精液|体液)"
    ).fullmatch,
    "long": lambda text: len(text) >= 15,
    "yesno": re.compile(
        r"[0-9YNynTF是否有无]|true|false|正常|作废|有效|无效|已.{1,2}|未.{1,2}|★|危急.*|HR|互认.*"
    ).fullmatch,
    "ethnic": re.compile(r".{1,6}族|\d{1,2}|[A-Z]{2}|汉|壮|回|苗").fullmatch,
    "ethnicword": re.compile(r".{1,6}族").fullmatch,
    "division": re.compile(r"\d{6}|\d{9}|\d{12}").fullmatch,
    "ageunit": re.compile(r"岁|月|天|周|小时|年|[0-9YMD]").fullmatch,
    "link": re.compile(r"(?:https?|ftp|\\\\|/|[A-Z]:).*|.*\.(?:pdf|PDF|jpg|dcm)").fullmatch,
    "address": re.compile(r".*[省市县区乡镇村路街号组].*").fullmatch,
}  # fmt: skip
HOLDS: Mapping[str, tuple[str, ...]] = {  # what a column of a meaning may hold: any of these patterns
    "local": ("code",), "archive": ("code",), "card": ("code",), "idcard": ("idcard", "idlike"), "name": ("person",),
    "sex": ("sex",), "date": ("date", "time"), "time": ("time", "date"), "clock": ("clock",), "age": ("age",),
    "ageunit": ("ageunit",), "ethnic": ("ethnic",), "marital": ("short",), "phone": ("phone",), "place": ("chinese",),
    "address": ("address",), "division": ("division",), "orgcode": ("code",), "orgname": ("org", "chinese"),
    "integer": ("integer",), "visit": ("visit", "short"), "state": ("short",), "code": ("code", "short"),
    "dept": ("dept", "chinese"), "ward": ("short",), "bed": ("short",), "doctor": ("person", "short"),
    "staffno": ("code",), "longtext": ("words",), "text": (), "admit": ("short",), "discharge": ("short",),
    "vital": ("number",), "icd": ("icd",), "diagnosis": ("chinese",), "yesno": ("yesno",), "ordertype": ("short",),
    "urgent": ("short",), "specimen": ("words",), "item": ("words",), "itemcode": ("code",),
    "abbreviation": ("code", "words"),
    "loinc": ("loinc",), "panel": ("words",), "result": ("result",), "unit": ("unit",), "range": ("range",),
    "number": ("number",), "flag": ("flag",), "device": ("words",), "modality": ("modality", "words"),
    "bodysite": ("words",), "exam": ("words",), "finding": ("words",), "impression": ("words",),
    "finding_flag": ("yesno", "flag"), "uid": ("uid",), "link": ("link",), "direction": ("short",),
    "cancel": ("yesno",),
    "valid": ("yesno",), "base64": ("long",), "group": (),
}  # fmt: skip
STRICT: Final = frozenset(  # kinds of values that look like themselves only
    {"date", "time", "name", "idcard", "icd", "loinc", "uid", "sex", "phone", "unit", "range", "number", "vital"}
)
TELLING: Mapping[str, tuple[str, float]] = {  # content that names the meaning by itself: pattern → meaning, confidence
    "idcard": ("证件号码", 0.8), "icd": ("诊断编码", 0.7), "loinc": ("LOINC", 0.7), "uid": ("StudyInstanceUID", 0.85),
    "sexword": ("性别", 0.75), "visitword": ("就诊类型", 0.6), "rangenumber": ("参考范围", 0.65),
    "mobile": ("联系电话", 0.6),
    "credit": ("机构编码", 0.6), "ageword": ("年龄", 0.6), "specimen": ("标本类型", 0.6), "arrow": ("异常提示", 0.6),
    "unit": ("单位", 0.55), "modality": ("检查类型", 0.5), "ethnicword": ("民族", 0.6),
}  # fmt: skip
VAGUE: Final = frozenset({"short", "code", "words", "result"})  # patterns that say little of what fits them
_MARKS: Final = str.maketrans("0123456789", "9999999999")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts of one column: how many values there are, how many of each pattern, how many distinct."""

    count: int
    filled: int
    distinct: int
    length: float  # of a value, on average
    seen: Mapping[str, int] = field(default_factory=dict)
    form: str = ""  # of dates and times: the most frequent, digits as 9

    def share(self, *patterns: str) -> float:
        """Of the values that are there, those of the most frequent of these patterns."""
        return max((self.seen.get(each, 0) for each in patterns), default=0) / self.filled if self.filled else 0.0


def of_values(values: Iterable[str]) -> Evidence:
    """The evidence of a column."""
    listed = list(values)
    texts = [unicodedata.normalize("NFKC", text) for each in listed if (text := each.strip())]
    distinct = Counter(texts)
    seen: Counter[str] = Counter()
    for text, count in distinct.items():
        for name, fits in _PATTERNS.items():
            if (len(text) < 200 and fits(text)) or (name in ("words", "long", "chinese") and len(text) >= 200):
                seen[name] += count
    forms = Counter(re.sub(r"9+", "9", text.translate(_MARKS)) for text in texts if _timed(text))
    length = sum(map(len, texts)) / len(texts) if texts else 0.0
    form = forms.most_common(1)[0][0] if forms else ""
    return Evidence(len(listed), len(texts), len(distinct), length, seen, form)


def fit(holds: str, evidence: Evidence) -> float:
    """How well the values fit what a meaning holds: 1 they all do, 0 nothing is known, -1 they do not at all."""
    if not evidence.filled or not HOLDS.get(holds):
        return 0.0
    together = sum(evidence.share(name) for name in HOLDS[holds])
    shorter = {"longtext", "finding", "impression"}
    if holds in shorter and evidence.length < 4:
        return -0.5
    if holds in ("item", "panel", "exam", "diagnosis") and evidence.share("person") > 0.9 and evidence.distinct > 3:
        return -0.3
    return min(1.0, 2 * min(1.0, together) - 1.0)


def _named(text: str) -> bool:
    """A person's name, by its surname or by the dot in it."""
    return (2 <= len(text) <= 4 and _chinese(text) and text[0] in _SURNAMES) or (
        "·" in text and _chinese(text.replace("·", ""))
    )


def _chinese(text: str) -> bool:
    return all("\u3400" <= each <= "\u9fff" or each > "\uffff" for each in text)


def _timed(text: str) -> str:
    """A time of at least a day, as FHIR writes it; digits alone are one only where they are as long as one."""
    if len(text) < 8 or not text[0].isdecimal():
        return ""
    if text.isdecimal() and (len(text) not in (8, 12, 14) or not text.startswith(("19", "20"))):
        return ""
    return cell_time(text, _ZONE) or ""
