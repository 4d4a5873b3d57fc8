"""Invents the people of a county and what its houses write of them: dirty as it comes, each record with its truth."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final

from gateway.codec.chinese_numbers import check_character
from gateway.codec.pinyin import spelled

HOUSES: Final = ("COUNTY", "TCM", "SHIQIAO", "LIUHE", "LAB")
NATIONAL: Final = "urn:oid:2.16.156.10011.1.3"
# The commoner surnames, the likelier first; about what share of the people has one of them falls like this.
SURNAMES: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任沈"
COMPOUND: Final = ("欧阳", "司马", "上官", "诸葛")
GIVEN: Final = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英兰华玉梅建国红波辉鹏飞文斌宇浩凯健俊帆雪琴萍玲燕彬峰"
    "志晓小春丹慧莉佳欣怡晨阳天乐子涵梓轩雨泽思远嘉豪诗琪一诺可馨家诚德胜翠花金凤福贵根生水木兰香莲"
)
_SOUNDS: Final = (
    "伟玮 芳方 娜那 敏闵 静婧 丽莉 强墙 军君 明鸣 晓小 小晓 华花 英瑛 志智 建健 国帼 红虹 佳嘉 欣新 "
    "晨辰 涵晗 轩萱 宇雨 浩皓 俊骏 怡宜 琪奇 远源 诚成 胜盛 凤奉 梅眉 兰岚 玲铃 燕艳 峰锋 文雯 平萍 霞侠"
)
SOUNDS_LIKE: Final = {pair[0]: pair[1] for pair in _SOUNDS.split()}
LOOKS_LIKE: Final = {
    "伟": "韦",
    "强": "张",
    "兰": "三",
    "平": "半",
    "文": "丈",
    "明": "朋",
    "天": "夫",
    "木": "本",
    "生": "主",
}
UYGHUR: Final = (
    "阿依古丽",
    "买买提",
    "吐尔逊",
    "古丽娜尔",
    "艾山",
    "阿卜杜拉",
    "热孜万古丽",
    "玉素甫",
    "帕提古丽",
    "努尔买买提",
)
WRITTEN_ALSO: Final = (
    ("买买提", "买麦提"),
    ("吐尔逊", "图尔逊"),
    ("阿卜杜拉", "阿布都拉"),
    ("古丽", "古力"),
    ("艾山", "艾散"),
)
TOWNS: Final = {
    "石桥镇": ("硚头村", "石桥社区", "赵家沟村", "新民村"),
    "柳河镇": ("柳河村", "上坝村", "东风村"),
    "白沙乡": ("白沙村", "江口村"),
}
DOTS: Final = ("·", "•", "・", "．", ".", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Someone:
    """A person as they are."""

    number: int
    name: str
    sex: str
    born: date
    card: str  # "" for a newborn
    phone: str
    address: str
    parent: int = -1  # number of the one whose card a child may show


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one house wrote of somebody; `truth` is who it was."""

    truth: int
    house: str
    local: str
    name: str
    sex: str
    born: str
    card: str
    phone: str
    address: str

    @property
    def patient(self) -> dict[str, Any]:
        """As the Patient that a map would make of it."""
        system = f"urn:hutong:id:{self.house}:PI"
        identifiers: list[dict[str, Any]] = [{"system": system, "value": self.local}]
        if self.card:
            identifiers.append({"system": NATIONAL, "value": self.card})
        made = {
            "resourceType": "Patient", "identifier": identifiers, "name": [{"text": self.name}],
            "gender": {"M": "male", "F": "female"}.get(self.sex, ""), "birthDate": self.born,
            "telecom": [{"system": "phone", "value": self.phone}] if self.phone else [],
            "address": [{"text": self.address}] if self.address else [],
        }  # fmt: skip
        return {name: value for name, value in made.items() if value}


@dataclass(slots=True)
class County:
    """People and records from one seed: the same seed, the same county."""

    people: int
    seed: int = 1
    chance: random.Random = field(init=False)
    everybody: list[Someone] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        while len(self.everybody) < self.people:
            self._family()

    # ------------------------------------------------------------------------------------------ people

    def _family(self) -> None:
        phone = f"1{self.chance.choice('3578')}{self.chance.randrange(10**9):09d}"
        address = self._address()
        uyghur = self.chance.random() < 0.08
        surname = self._surname()
        first = len(self.everybody)
        for place in range(self.chance.choice((1, 2, 3, 3, 4))):
            child = place >= 2
            age = self.chance.randrange(0, 17) if child else self.chance.randrange(18, 92)
            born = date(2026, 3, 1) - timedelta(days=age * 365 + self.chance.randrange(365))
            own = phone if child or self.chance.random() < 0.3 else ""
            someone = self._someone(surname if place != 1 else self._surname(), born, own, address, uyghur=uyghur)
            self.everybody.append(replace(someone, parent=first if child else -1))
            if child and self.chance.random() < 0.06:
                self.everybody.append(self._twin(self.everybody[-1]))
        if self.chance.random() < 0.03:
            self._newborn(phone, address, mother=self.everybody[-1].name)
        if self.chance.random() < 0.01:
            self._namesake()

    def _someone(self, surname: str, born: date, phone: str, address: str, *, uyghur: bool) -> Someone:
        sex = self.chance.choice("MF")
        name = "·".join(self.chance.sample(UYGHUR, 2)) if uyghur else surname + self._given()
        born = born.replace(month=1, day=1) if self.chance.random() < 0.02 else born
        own = phone or f"1{self.chance.choice('3578')}{self.chance.randrange(10**9):09d}"
        number = len(self.everybody)
        return Someone(
            number=number, name=name, sex=sex, born=born, card=self._card(born, sex), phone=own, address=address
        )

    def _twin(self, other: Someone) -> Someone:
        character = self.chance.choice(GIVEN)
        alike = SOUNDS_LIKE.get(other.name[-1], character) if self.chance.random() < 0.2 else character
        name = f"{other.name[:-1]}{alike}" if other.name[-1] != alike else f"{other.name[:-1]}双"
        return replace(
            other, number=len(self.everybody), name=name, card=self._card(other.born, other.sex), parent=other.parent
        )

    def _newborn(self, phone: str, address: str, *, mother: str) -> None:
        for sex in self.chance.sample(("M", "F"), self.chance.choice((1, 1, 1, 2))):
            born = date(2026, 3, 1) - timedelta(days=self.chance.randrange(30))
            name = f"{mother}之{'子' if sex == 'M' else '女'}"
            self.everybody.append(
                Someone(
                    number=len(self.everybody), name=name, sex=sex, born=born, card="", phone=phone, address=address
                )
            )

    def _namesake(self) -> None:
        """The same name and sex, born on the same day, and somebody else."""
        other = self.chance.choice(self.everybody)
        if other.card:
            phone = f"1{self.chance.choice('3578')}{self.chance.randrange(10**9):09d}"
            card = self._card(other.born, other.sex)
            number = len(self.everybody)
            self.everybody.append(replace(other, number=number, card=card, phone=phone, address=self._address()))

    def _surname(self) -> str:
        if self.chance.random() < 0.01:
            return self.chance.choice(COMPOUND)
        return SURNAMES[min(int(self.chance.expovariate(0.11)), len(SURNAMES) - 1)]

    def _given(self) -> str:
        return "".join(self.chance.choice(GIVEN) for _ in range(self.chance.choice((1, 2, 2, 2))))

    def _card(self, born: date, sex: str) -> str:
        sequence = self.chance.randrange(100) * 10 + self.chance.choice(
            (1, 3, 5, 7, 9) if sex == "M" else (0, 2, 4, 6, 8)
        )
        seventeen = f"529901{born:%Y%m%d}{sequence:03d}"
        return seventeen + check_character(seventeen)

    def _address(self) -> str:
        town = self.chance.choice(list(TOWNS))
        village = self.chance.choice(TOWNS[town])
        return f"示例省青岚县{town}{village}{self.chance.randrange(1, 9)}组{self.chance.randrange(1, 120)}号"

    # ------------------------------------------------------------------------------------------ records

    def records(self) -> Iterator[Record]:
        """What the houses write, in the order in which it comes."""
        written = []
        for someone in self.everybody:
            for house in self.chance.sample(HOUSES, self.chance.choice((1, 2, 2, 3))):
                local = f"{house[0]}{someone.number:07d}"
                written += [self._record(someone, house, local) for _ in range(self.chance.choice((1, 1, 2)))]
        self.chance.shuffle(written)
        for place in range(0, len(written), 400):  # a number that is given to somebody else, who shows a card
            giver, taker = written[place], self.chance.choice(self.everybody)
            if giver.card and taker.card and taker.number != giver.truth and place > len(written) // 2:
                card, born = taker.card, taker.born.isoformat()
                written.append(replace(self._record(taker, giver.house, giver.local), card=card, born=born))
        yield from written

    def _record(self, someone: Someone, house: str, local: str) -> Record:
        return Record(
            truth=someone.number, house=house, local=local, name=self._name(someone.name), sex=self._sex(someone.sex),
            born=self._born(someone.born), card=self._shown(someone, house), phone=self._phone(someone.phone),
            address=self._written(someone.address),
        )  # fmt: skip

    def _often(self, *shares: tuple[float, Any]) -> Any:
        """One of the values by its share; None for the rest."""
        drawn = self.chance.random()
        for share, value in shares:
            if drawn < share:
                return value
            drawn -= share
        return None

    def _name(self, name: str) -> str:
        if "·" in name:
            for one, other in WRITTEN_ALSO:
                if self.chance.random() < 0.08:
                    name = name.replace(one, other)
            return name.replace("·", self.chance.choice(DOTS)) if self.chance.random() < 0.4 else name
        match self._often((0.012, "sound"), (0.005, "look"), (0.003, "turned"), (0.004, "blank"), (0.002, "pinyin")):
            case "sound":
                return name[:-1] + SOUNDS_LIKE.get(name[-1], name[-1])
            case "look":
                return name[:-1] + LOOKS_LIKE.get(name[-1], name[-1])
            case "turned":
                return name[1:] + name[0]
            case "blank":
                return f"{name[0]}  {name[1:]}"
            case "pinyin":
                return spelled(name).full[0].upper()
        return name

    def _born(self, born: date) -> str:
        match self._often((0.005, "swapped"), (0.007, "digit"), (0.01, "age"), (0.01, "none"), (0.004, "")):
            case "swapped" if born.day <= 12:
                return f"{born.year}-{born.day:02d}-{born.month:02d}"
            case "digit" if born.day > 10:
                return f"{born.year}-{born.month:02d}-{born.day - 10:02d}"
            case "age":
                return f"{born.year}-01-01"
            case "none":
                return "1900-01-01"
            case "":
                return ""
        return born.isoformat()

    def _shown(self, someone: Someone, house: str) -> str:
        card = someone.card
        if someone.parent >= 0 and self.chance.random() < 0.01:
            card = self.everybody[someone.parent].card
        missing = 0.6 if house == "LAB" else 0.25
        match self._often((missing, ""), (0.02, "short"), (0.01, "slip"), (0.03, "masked"), (0.01, "small")):
            case "":
                return ""
            case "short" if card[6:8] == "19":
                return card[:6] + card[8:17]
            case "slip" if card:
                place = self.chance.randrange(6, 17)
                return card[:place] + str((int(card[place]) + 1) % 10) + card[place + 1 :]
            case "masked" if card:
                return f"{card[:6]}********{card[-4:]}"
            case "small":
                return card.lower()
        return card

    def _sex(self, sex: str) -> str:
        return str(
            self._often((0.01, ""), (0.003, "F" if sex == "M" else "M")) if self.chance.random() < 0.013 else sex
        )

    def _phone(self, phone: str) -> str:
        match self._often((0.2, "none"), (0.12, "new"), (0.1, "written"), (0.01, "house")):
            case "none":
                return ""
            case "new":
                return f"1{self.chance.choice('3578')}{self.chance.randrange(10**9):09d}"
            case "written":
                return f"+86 {phone[:3]}-{phone[3:7]}-{phone[7:]}"
            case "house":
                return "0871-65123456"
        return phone

    def _written(self, address: str) -> str:
        match self._often((0.3, "none"), (0.2, "coarse"), (0.1, "short"), (0.05, "moved")):
            case "none":
                return ""
            case "coarse":
                return address[: address.index("组") - 1]
            case "short":
                return address.removeprefix("示例省")
            case "moved":
                return self._address()
        return address
