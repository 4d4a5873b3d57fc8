"""Random searches of random records give what a look at every resource gives; on every engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.db.engine import Engine
from gateway.fhir import validate
from gateway.store.exchange import Asked
from gateway.store.record import Record
from tests.engines import Engines
from tests.store.conftest import START
from tests.store.invented import Inventor
from tests.store.oracle import TARGETS, TYPES, Oracle

SEARCHES = 25  # of each record
ALLOWED: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SEEDS = st.integers(0, 1 << 32)
SORTS = ["_id", "-_id", "_lastUpdated", "-_lastUpdated", "date", "-date", "status", "code", "-identifier", "name,-_id"]
EMPTY = ("history", "resource", "index_token", "index_code", "index_reference", "index_string", "index_date",
         "index_number", "index_quantity", "index_uri", "index_half", "record_transaction")  # fmt: skip


class Hall:
    """A record that is filled anew for every example."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.record = Record(engine)

    def fill(self, invented: list[dict[str, Any]], *, again: bool) -> Oracle:
        """Put the resources in, `again` with other content before, so that index rows are taken away too."""
        with self.engine.transaction() as transaction:
            for table in EMPTY:
                transaction.execute(f"DELETE FROM {table}")
        rounds = [list(reversed(invented)), invented] if again else [invented]
        for minutes, contents in enumerate(rounds):
            kept = {each["resourceType"]: each for each in contents}
            asked = []
            for each in invented:
                content = kept[each["resourceType"]] if minutes < len(rounds) - 1 else each
                resource = {**content, "id": each["id"]}
                asked.append(Asked(method="PUT", type=each["resourceType"], id=each["id"], resource=resource))
            with self.engine.transaction() as transaction:
                self.record.exchange(transaction, asked, at=START + timedelta(minutes=minutes))
        stored = [self.record.read(each["resourceType"], each["id"]) for each in invented]
        return Oracle(each.resource for each in stored if each is not None)

    def found(self, type: str, pairs: list[tuple[str, str]]) -> list[str]:
        """The ids of all pages."""
        found: list[str] = []
        cursor: list[tuple[str, str]] = []
        for _ in range(100):
            page = self.record.search(type, [*pairs, *cursor])
            found += [match.id for match in page.matches]
            if page.next is None:
                return found
            cursor = [("_cursor", page.next)]
        raise AssertionError("pages without an end")


@pytest.fixture(scope="module")
def hall(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    folder: Path = tmp_path_factory.mktemp("oracle")
    engine = engines.open(folder, "record")
    yield Hall(engine)
    engine.close()


def check(hall: Hall, seed: int) -> None:
    inventor = Inventor(seed)
    invented = inventor.resources()
    oracle = hall.fill(invented, again=seed % 3 == 0)
    for _ in range(SEARCHES):
        kind = inventor.type()
        pairs = inventor.pairs(kind)
        expected = oracle.ids(kind, pairs)
        said = f"seed {seed}: {kind}?{pairs}"
        page = hall.record.search(kind, [*pairs, ("_total", "accurate")])
        assert {match.id for match in page.matches} == expected, said
        assert page.total == len(page.matches) == len(expected), said
        check_pages(hall, inventor, kind, pairs, expected)
        check_included(hall, inventor, oracle, kind, pairs, expected)


def check_pages(hall: Hall, inventor: Inventor, type: str, pairs: list[tuple[str, str]], expected: set[str]) -> None:
    """Pages in any order hold everything once."""
    sort = inventor.pick([each for each in SORTS if each.strip("-").partition(",")[0] in TYPES[type]])
    found = hall.found(type, [*pairs, ("_count", str(inventor.pick([1, 2, 5]))), ("_sort", sort)])
    assert sorted(found) == sorted(expected), (pairs, sort)
    if sort in ("_id", "-_id"):
        assert found == sorted(found, reverse=sort.startswith("-"))


def check_included(
    hall: Hall, inventor: Inventor, oracle: Oracle, type: str, pairs: list[tuple[str, str]], expected: set[str]
) -> None:
    names = [name for name, (kind, _) in TYPES[type].items() if kind == "reference"]
    leading = [
        (source, name)
        for source, name in itertools.product(TYPES, TARGETS)
        if source != "Medication" and name in TYPES[source] and type in TARGETS[name]
    ]
    asked, matched = list(pairs), {f"{type}/{each}" for each in expected}
    wanted: set[str] = set()
    if names:
        name = inventor.pick(names)
        asked.append(("_include", f"{type}:{name}"))
        wanted |= oracle.included(matched, type, name)
    if leading:
        source, name = inventor.pick(leading)
        asked.append(("_revinclude", f"{source}:{name}"))
        wanted |= oracle.revincluded(matched, source, name)
    page = hall.record.search(type, asked)
    assert {each.reference for each in page.included} == wanted - matched, asked


@settings(max_examples=6, **ALLOWED)
@given(seed=SEEDS)
def test_searches_find_what_a_look_at_everything_finds(hall: Hall, seed: int) -> None:
    check(hall, seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=20, **ALLOWED)
@given(seed=SEEDS)
def test_hundreds_of_searches_find_what_a_look_at_everything_finds(hall: Hall, seed: int) -> None:
    check(hall, seed)


def test_what_is_invented_is_valid() -> None:
    for seed in range(20):
        for resource in Inventor(seed).resources():
            assert validate.problems(resource) == [], seed
