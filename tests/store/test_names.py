"""People are found by their names as somebody at a keyboard types them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.routing import criteria
from gateway.store import reindexing
from gateway.store.alone import Alone, question
from tests.engines import Engines
from tests.store.conftest import Ward
from tests.store.samples import coded, observation, order, patient, put

NAMES: list[dict[str, Any]] = [
    {"text": "张伟", "family": "张", "given": ["伟"]},
    {"text": "单雄信"},
    {"family": "买买提", "given": ["吐尔逊"], "text": "买买提·吐尔逊"},
    {"family": "欧阳", "given": ["小𬭎"]},
    {"family": "Müller", "given": ["Jürgen"]},
    {"text": "吕布"},
    {"text": "阿依古丽·吐尔洪"},
]


@pytest.fixture(scope="module")
def people(engines: Engines, tmp_path_factory: Any) -> Iterator[Ward]:
    engine = engines.open(tmp_path_factory.mktemp("names"), "record")
    ward = Ward(engine)
    ward.apply(*(put(patient(f"P{n}", name=[name]), f"urn:p{n}") for n, name in enumerate(NAMES)))
    yield ward
    engine.close()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=张伟", {0}),
        ("name=伟", {0}),
        ("name=张 伟", {0}),
        ("name=zhangwei", {0}),
        ("name=Zhang Wei", {0}),
        ("name=Zhāng Wěi", {0}),
        ("name=zw", {0}),
        ("name=ｚｗ", {0}),
        ("name=wei", {0}),
        ("family=zhang", {0}),
        ("given=wei", {0}),
        ("given=zhang", set()),
        ("name=shan", {1}),
        ("name=dan xiong xin", {1}),
        ("name=sxx", {1}),
        ("name=雄信", {1}),
        ("name=信", {1}),
        ("name=买买提吐尔逊", {2}),
        ("name=买买提·吐尔逊", {2}),
        ("name=买买提．吐尔逊", {2}),
        ("name=买买提 吐尔逊", {2}),
        ("name=吐尔逊", {2}),
        ("name=吐尔洪", {6}),
        ("name=tuerhong", {6}),
        ("name=古丽", set()),  # the part of a name has no family name
        ("name=阿依古丽吐尔洪", {6}),
        ("name=maimaiti", {2}),
        ("name=mmttex", {2}),
        ("name=tuerxun", {2}),
        ("name=ouyang", {3}),
        ("given=𬭎", set()),
        ("name=𬭎", {3}),
        ("name=oyxh", {3}),
        ("name=muller", {4}),
        ("name=MU\u0308LLER", {4}),
        ("name=lvbu", {5}),
        ("name=lyubu", {5}),
        ("name=lu bu", {5}),
        ("name:exact=zhangwei", set()),
        ("name:exact=伟", {0}),
        ("name:exact=雄信", set()),
        ("name:contains=雄", {1}),
        ("name:contains=zhang", set()),
        ("phonetic=zhangwei", {0}),
        ("name=zw,sxx", {0, 1}),
    ],
)
def test_a_name_is_found_as_it_is_typed(people: Ward, query: str, found: set[int]) -> None:
    listed = people.record.search("Patient", query).matches
    assert {int(each.resource["identifier"][0]["value"][1:]) for each in listed} == found


def test_names_are_found_through_references(ward: Ward) -> None:
    ward.apply(put(patient(), "urn:p"), put(observation("1"), "urn:o"))
    assert len(ward.ids("Observation", "patient.name=zhangwei")) == 1
    assert len(ward.ids("Observation", "subject:Patient.name=zw")) == 1


def test_words_of_codes_and_missing_elements(ward: Ward) -> None:
    words = {**coded("718-7"), "text": "血红蛋白"}
    ward.apply(
        put(patient(), "urn:p"),
        put(observation("1", code=words, performer=[{"display": "王医生"}]), "urn:o"),
        put(order(code={"text": "血常规"}), "urn:r"),
    )
    assert len(ward.ids("Observation", "code:text=血红")) == 1
    assert ward.ids("Observation", "code:text=蛋白") == set()
    assert len(ward.ids("ServiceRequest", "code:missing=false")) == 1
    assert len(ward.ids("Observation", "performer:missing=false")) == 1


def test_a_record_that_was_indexed_by_an_older_program_is_indexed_anew(ward: Ward) -> None:
    ward.apply(put(patient(), "urn:p"))
    with ward.engine.transaction() as transaction:
        transaction.execute("DELETE FROM index_string")
        transaction.execute("INSERT INTO local_field (value, name, entry) VALUES ('买买提·江', 'ZZZ-1', 1)")
        transaction.execute("UPDATE index_edition SET edition = 1")
    assert ward.ids("Patient", "name=zw") == set()
    begun: list[bool] = []
    assert reindexing.ensure(ward.engine, lambda: begun.append(True)) == 1
    assert reindexing.ensure(ward.engine, lambda: begun.append(True)) == 0
    assert begun == [True]
    assert len(ward.ids("Patient", "name=zw")) == 1
    with ward.engine.reading() as reader:
        assert reader.execute("SELECT value FROM local_field") == [("买买提江",)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("telecom=phone%7C%2B8613900000001", True),
        ("telecom=email%7Cfoo.bar@example.cn", True),
        ("telecom=phone%7C", True),
        ("telecom=%7C%2B86 139-0000-0001", True),  # no system of codes: a contact has none
        ("telecom=fax%7C%2B8613900000001", False),
        ("phone=%2B86 (139) 0000 0001", True),
        ("email=FOO.BAR@example.cn", True),
        ("email=%2B8613900000001", False),
        ("phone=13900000001", False),
        ("telecom:not=email%7Cfoo.bar@example.cn", False),
    ],
)
def test_contacts_are_found_by_their_kind_and_however_they_are_punctuated(ward: Ward, asked: str, found: bool) -> None:
    telecom = [{"system": "phone", "value": "+86-139 0000 0001"}, {"system": "email", "value": "Foo.Bar@Example.cn"}]
    ward.apply(put(patient(telecom=telecom), "urn:p"))
    assert bool(ward.ids("Patient", asked)) is found
    (stored,) = ward.record.search("Patient", "").matches
    with ward.engine.reading() as reader:
        assert Alone().found(question("Patient", asked), stored, reader) is found
    assert criteria.matches(stored.resource, f"Patient?{asked}") is found
