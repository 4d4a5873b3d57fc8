"""Who is who from message to record: joined by numbers, joined by all else, asked, decided, and undone again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import people
from gateway.cli import app
from gateway.codec import chinese_numbers
from gateway.db.record import survivor
from gateway.errors import Permanent
from gateway.identity import review
from gateway.model import Resource
from gateway.store.joining import Reason
from tests.rooms import House, states

DOOR = "^^石桥镇硚头村3组12号^^三河县^示例省"
AT = datetime(2026, 4, 1, tzinfo=UTC)
BY = Reason(by="李主任", why="compared the papers", at=AT)


def card(seventeen: str) -> str:
    return seventeen + chinese_numbers.check_character(seventeen)


WANG, SON = card("52990119800517011"), card("52990120180607013")
_count = iter(range(100_000))


def adt(
    number: str, house: str = "COUNTY", name: str = "王^小明", birth: str = "19800517", sex: str = "M", *,
    address: str = "", phone: str = "", identity: str = "", more: str = "", event: str = "A04", tail: str = "",
) -> bytes:  # fmt: skip
    """A registration in one of the houses."""
    numbers = f"{number}^^^{house}^PI" + (f"~{more}" if more else "")
    charset, encoding = ("GB 18030-2000", "gb18030") if house == "QINGHE" else ("UNICODE UTF-8", "utf-8")
    head = f"MSH|^~\\&|HIS|{house}|HUTONG|sanhe|20260312073000||ADT^{event}|W{next(_count)}|P|2.5.1|||||CHN"
    return (
        f"{head}|{charset}\r"
        f"EVN|{event}|20260312073000\r"
        f"PID|1||{numbers}||{name}||{birth}|{sex}|||{address}||{phone}||||||{identity}\r{tail}"
    ).encode(encoding)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def living(house: House) -> list[Resource]:
    return [each for each in house.search("Patient?_count=100") if each.get("active") is not False]


def open_questions(house: House) -> list[review.Pair]:
    with house.record.reading() as reader:
        return review.listed(reader)


async def test_a_person_without_a_common_number_is_joined_by_all_else_and_that_can_be_undone(house: House) -> None:
    await house.walk(adt("1", address=DOOR), adt("2", "QINGHE", address=DOOR))
    (one,) = living(house)
    assert open_questions(house) == []
    (retired,) = [each for each in house.search("Patient") if each["id"] != one["id"]]
    with house.record.reading() as reader:
        (deed,) = review.deeds(reader, patient=retired["id"])
    assert (deed.deed, deed.one, deed.other, deed.by) == ("merge", retired["id"], one["id"], people.RULE)
    (told,) = house.search(
        f"Provenance?target=Patient/{retired['id']}&agent-type:missing=true&_sort=-_lastUpdated&_count=1"
    )
    assert told["activity"]["coding"][0]["code"] == "merge"
    with house.record.transaction() as transaction:
        people.unmerge(transaction, one["id"], retired["id"], BY)
    assert len(living(house)) == 2
    await house.walk(adt("2", "QINGHE", address=DOOR, phone="13800138000"), adt("1", address=DOOR, phone="13800138000"))
    assert len(living(house)) == 2  # it was decided, and is not done again
    assert open_questions(house) == []


async def test_namesakes_of_one_day_are_kept_apart_and_asked(house: House) -> None:
    assert states(await house.walk(adt("1"), adt("2", "QINGHE"))) == ["done", "done"]
    one, two = sorted(each["id"] for each in living(house))
    (pair,) = open_questions(house)
    assert ((pair.one, pair.other), pair.state) == ((one, two), "open")
    assert "nothing-but-name-and-birth-date" in pair.reasons
    with house.record.transaction() as transaction:
        people.apart(transaction, two, one, BY)
    await house.walk(adt("2", "QINGHE", phone="13800138000"))
    assert open_questions(house) == []
    with house.record.reading() as reader:
        assert [each.deed for each in review.deeds(reader)] == ["apart"]


async def test_a_decision_to_merge_takes_everything_along(house: House) -> None:
    await house.walk(adt("1"), adt("2", "QINGHE"))
    (pair,) = open_questions(house)
    with house.record.transaction() as transaction:
        people.merge(transaction, pair.other, pair.one, BY)
        with pytest.raises(Permanent, match="one person by now"):
            people.apart(transaction, pair.one, pair.other, BY)
    assert open_questions(house) == []
    assert [each["id"] for each in living(house)] == [pair.one]


async def test_numbers_of_one_message_make_one_person_in_any_order(house: House) -> None:
    both = adt("1", more="2^^^QINGHE^PI")
    await house.walk(adt("1"), adt("2", "QINGHE"), both)
    assert len(living(house)) == 1
    await house.walk(both, adt("2", "QINGHE"), adt("1"))
    assert len(living(house)) == 1


async def test_a_number_given_anew_leads_to_who_has_it_now(house: House) -> None:
    await house.walk(adt("1", identity=WANG))
    old = living(house)[0]["id"]
    await house.walk(adt("1", name="李^娜", birth="20180607", sex="M", identity=SON))
    assert len(living(house)) == 2
    assert states(await house.walk(adt("1", name="李^娜", birth="20180607", phone="13900139000"))) == ["done"]
    holder = next(each for each in living(house) if each["id"] != old)
    assert holder["telecom"][0]["value"] == "13900139000"
    (former,) = [each for each in house.search(f"Patient?_id={old}")[0]["identifier"] if each["value"] == "1"]
    assert former["use"] == "old"


async def test_the_card_of_a_parent_does_not_make_a_child_the_parent(house: House) -> None:
    await house.walk(adt("1", identity=WANG), adt("2", "QINGHE", name="王^天乐", birth="20180607", identity=WANG))
    assert len(living(house)) == 2
    (pair,) = open_questions(house)
    assert "same-national-id" in pair.reasons
    assert states(await house.walk(adt("3", "LAB", identity=WANG))) == ["done"]  # the parent again, elsewhere
    assert len(living(house)) == 2


async def test_somebody_without_a_name_gets_one(house: House) -> None:
    await house.walk(adt("E1", name="无名氏", birth="19700601"), adt("E1", event="A31", phone="13800138000"))
    (one,) = living(house)
    assert one["name"][0]["text"] == "王小明"


async def test_a_newborn_gets_a_name_and_is_not_its_twin(house: House) -> None:
    first = {"name": "刘桂花之女", "birth": "20260309", "sex": "F", "phone": "13800138000"}
    await house.walk(adt("B1", **first), adt("B2", **first))
    assert len(living(house)) == 2
    await house.walk(adt("B1", event="A31", name="刘^一诺", birth="20260309", sex="F", phone="13800138000"))
    await house.walk(adt("B2", event="A31", name="刘^一诺", birth="20260309", sex="F", phone="13800138000"))
    assert len(living(house)) == 2  # the house has two numbers: somebody is asked
    assert open_questions(house)


async def test_an_old_identity_card_is_the_new_one(house: House) -> None:
    await house.walk(adt("1", identity=WANG), adt("2", "QINGHE", birth="", identity=WANG[:6] + WANG[8:17]))
    assert len(living(house)) == 1


async def test_nothing_of_a_patient_is_in_the_list_and_the_log(house: House) -> None:
    await house.walk(
        adt("1", identity=WANG), adt("2", "QINGHE"), adt("3", "LAB", address=DOOR), adt("4", "QINGHE", address=DOOR)
    )
    with house.record.reading() as reader:
        rows = [*reader.execute("SELECT * FROM person_review"), *reader.execute("SELECT * FROM person_log")]
    text = repr(rows)
    assert rows
    for secret in ("王", "小明", "1980", WANG, "石桥"):
        assert secret not in text


async def test_a_person_decides_at_the_keyboard(house: House) -> None:
    await house.walk(adt("1"), adt("2", "QINGHE"))

    def hutong(*words: str) -> str:
        done = CliRunner().invoke(app, ["people", *words, "--data", str(house.data)])
        assert done.exit_code == 0, done.output
        return done.stdout

    number, probability, one, other, *_ = hutong("review").splitlines()[0].split("\t")
    assert 0.9 < float(probability) < 1
    hutong("merge", number, "--why", "compared the papers", "--by", "李主任")
    assert [each["id"] for each in living(house)] == [one]
    hutong("unmerge", other, one, "--why", "the neighbour of the same name")
    assert len(living(house)) == 2
    assert [line.split("\t")[1] for line in hutong("log", one).splitlines()] == ["unmerge", "merge"]
    assert hutong("review") == ""


PHONE = "13800138000"
TWIN = card("52990119800517013")  # the card of another man who was born on the day of WANG


@pytest.mark.parametrize(("first", "second"), [("1", "2"), ("2", "1")])
async def test_another_identity_card_undoes_what_likeness_joined(house: House, first: str, second: str) -> None:
    """Two of one name and day with the telephone of their family: joined, until their cards tell them apart."""
    owner = {"1": "COUNTY", "2": "QINGHE"}
    await house.walk(adt("1", phone=PHONE), adt("2", "QINGHE", phone=PHONE))
    assert len(living(house)) == 1
    await house.walk(adt(first, owner[first], phone=PHONE, identity=WANG))
    await house.walk(adt(second, owner[second], phone=PHONE, identity=TWIN))
    await house.walk(adt("1", phone=PHONE), adt("2", "QINGHE", phone=PHONE))
    assert len(living(house)) == 2
    whose = {}
    with house.record.reading() as reader:
        for each in house.search("Patient?_count=100"):
            for number in each["identifier"]:
                whose.setdefault(number["value"], set()).add(survivor(reader, each["id"]))
        assert "two-identity-cards" in {each.why for each in review.deeds(reader)}
    assert whose[first] == whose[WANG] != whose[TWIN] == whose[second]
    assert all(len(each) == 1 for each in whose.values())


async def test_an_identity_card_that_came_with_a_merged_patient_tells_as_well(house: House) -> None:
    await house.walk(adt("1", phone=PHONE), adt("2", "QINGHE", name="李^建国", identity=WANG))
    one, two = (each["id"] for each in (*house.search("Patient?name=王小明"), *house.search("Patient?name=李建国")))
    with house.record.transaction() as transaction:
        people.merge(transaction, two, one, BY)
    await house.walk(adt("1", phone=PHONE, identity=TWIN), adt("3", "LAB", phone=PHONE, identity=TWIN))
    (other,) = [each for each in living(house) if each["id"] != one]
    assert {"1", "3", TWIN} <= {each["value"] for each in other["identifier"]}
    assert open_questions(house) == []  # whoever has another card is not asked about


async def test_either_card_of_somebody_who_was_merged_leads_to_the_person(house: House) -> None:
    await house.walk(adt("1", identity=WANG), adt("2", "QINGHE", name="李^建国", identity=TWIN))
    one, two = (each["id"] for each in (*house.search("Patient?name=王小明"), *house.search("Patient?name=李建国")))
    with house.record.transaction() as transaction:
        people.merge(transaction, two, one, BY)
    await house.walk(adt("2", "QINGHE", name="李^建国", identity=TWIN), adt("3", "LAB", name="李^建国", identity=TWIN))
    assert [each["id"] for each in living(house)] == [one]


async def test_a_number_that_is_said_of_two_people_is_asked(house: House) -> None:
    await house.walk(
        adt("1", identity=WANG), adt("2", "QINGHE", name="李^娜", birth="19900202", sex="F"),
        adt("1", identity=WANG, more="2^^^QINGHE^PI"),
    )  # fmt: skip
    assert len(living(house)) == 2
    assert [each.reasons for each in open_questions(house)] == [("number-of-another-person",)]


@pytest.mark.parametrize("name", ["WANG^XIAOMING", "XIAOMING WANG", "Wang Xiaoming"])
async def test_a_name_in_pinyin_is_asked_whichever_part_comes_first(house: House, name: str) -> None:
    await house.walk(adt("1", phone=PHONE), adt("2", "QINGHE", name=name, phone=PHONE))
    assert len(living(house)) == 2
    (pair,) = open_questions(house)
    assert "name-sound" in pair.reasons


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_telephone_of_before_tells_as_well_in_any_order(house: House, order: tuple[int, ...]) -> None:
    told = (adt("1", phone=PHONE), adt("1", phone="13900139000"), adt("2", "QINGHE", phone=PHONE))
    await house.walk(*(told[place] for place in order))
    assert len(living(house)) == 1
    assert open_questions(house) == []


async def test_the_telephone_of_a_house_tells_nothing_of_before_either(house: House) -> None:
    await house.walk(
        *(adt(f"N{each}", name=f"李^{each}", birth="19700303", phone=PHONE) for each in "甲乙丙丁戊己庚辛壬")
    )
    await house.walk(adt("1", phone=PHONE), adt("1", phone="13900139000"), adt("2", "QINGHE", phone=PHONE))
    assert len(living(house)) == 11
    assert "nothing-but-name-and-birth-date" in {reason for each in open_questions(house) for reason in each.reasons}


@pytest.mark.parametrize("seed", range(8))
async def test_what_numbers_prove_is_the_same_in_any_order(house: House, seed: int) -> None:
    """A card of 18 and of 15 digits, two numbers in one message, a namesake of the day, a mother and her newborn."""
    mother = card("52990119900202002")
    told = [
        adt("1", identity=WANG), adt("2", "QINGHE", identity=WANG[:6] + WANG[8:17]), adt("3", "LAB"),
        adt("2", "QINGHE", more="3^^^LAB^PI"), adt("4", "QINGHE", identity=TWIN),
        adt("5", name="李^娜", birth="19900202", sex="F", identity=mother, phone=PHONE),
        adt("6", name="李娜之女", birth="20260309", sex="F", identity=mother, phone=PHONE),
    ]  # fmt: skip
    random.Random(seed).shuffle(told)
    assert set(states(await house.walk(*told))) == {"done"}
    found: dict[str, set[str]] = {}
    with house.record.reading() as reader:
        for each in house.search("Patient?_count=100"):
            numbers = {number["value"] for number in each["identifier"] if len(number["value"]) == 1}
            found.setdefault(survivor(reader, each["id"]), set()).update(numbers)
    assert sorted(found.values(), key=min) == [{"1", "2", "3"}, {"4"}, {"5"}, {"6"}]
