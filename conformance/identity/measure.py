"""What a way of telling people apart finds, held against the truth: pairs of records, joined rightly and wrongly."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from math import comb
from pathlib import Path

from conformance.identity.county import Record
from gateway import people
from gateway.db.record import survivor
from gateway.db.sqlite import SqliteEngine
from gateway.errors import Configuration
from gateway.fhir import bundle
from gateway.identity import review
from gateway.store.joining import Reason
from gateway.store.record import Record as Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How well it went. Pairs are pairs of records."""

    name: str
    records: int
    pairs: int  # of one person in truth
    found: int  # of them joined
    wrong: int  # joined, and of two people
    persons_joined: int  # persons who share a cluster with somebody else
    asked: int  # questions to a person
    asked_rightly: int  # of them about one person
    recall_decided: float  # when somebody has answered the questions rightly
    waiting: int  # records that wait until somebody decides
    seconds: float

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.wrong) if self.found + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.pairs if self.pairs else 1.0

    @property
    def line(self) -> str:
        """A row of the table."""
        share = 100 * (self.asked + self.waiting) / self.records
        speed = self.records / self.seconds if self.seconds else 0
        return (
            f"{self.name:<28} {self.precision:9.5f} {self.recall:8.4f} {self.recall_decided:8.4f} {self.wrong:7d} "
            f"{self.persons_joined:8d} "
            f"{self.asked:6d} {self.asked_rightly:7d} {self.waiting:5d} {share:7.2f} {speed:9.0f}"
        )


HEAD = (
    f"{'':<28} {'precision':>9} {'recall':>8} {'decided':>8} {'wrong':>7} {'persons':>8} {'asked':>6} "
    f"{'rightly':>7} {'wait':>5} {'asked %':>7} {'records/s':>9}"
)


def judged(
    name: str, records: Sequence[Record], clusters: Sequence[str], *, seconds: float,
    asked: Iterable[tuple[str, str]] = (), waiting: int = 0,
) -> Result:  # fmt: skip
    """`clusters`: for each record the cluster it is in; "" for one that is in none. `asked`: pairs of clusters."""
    truth_of: dict[str, Counter[int]] = defaultdict(Counter)
    for record, cluster in zip(records, clusters, strict=True):
        if cluster:
            truth_of[cluster][record.truth] += 1
    found = sum(comb(count, 2) for each in truth_of.values() for count in each.values())
    joined = sum(comb(sum(each.values()), 2) for each in truth_of.values())
    mixed = {person for each in truth_of.values() if len(each) > 1 for person in each}
    questions = list(asked)
    right = [(one, other) for one, other in questions if truth_of[one].keys() & truth_of[other].keys()]
    decided: dict[str, Counter[int]] = defaultdict(Counter)
    leads = _together(right)
    for cluster, each in list(truth_of.items()):
        decided[leads.get(cluster, cluster)].update(each)
    pairs = sum(comb(each, 2) for each in Counter(record.truth for record in records).values())
    after = sum(comb(count, 2) for each in decided.values() for count in each.values())
    return Result(
        name=name, records=len(records), pairs=pairs, found=found, wrong=joined - found, persons_joined=len(mixed),
        asked=len(questions), asked_rightly=len(right), recall_decided=after / pairs if pairs else 1.0,
        waiting=waiting, seconds=seconds,
    )  # fmt: skip


def _together(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each thing that is in a pair → the one that stands for all that hang together with it."""
    into: dict[str, str] = {}

    def root(name: str) -> str:
        while into.get(name, name) != name:
            name = into[name]
        return name

    for one, other in pairs:
        into.setdefault(one, one)
        into.setdefault(other, other)
        into[root(one)] = root(other)
    return {name: root(name) for name in into}


def ours(records: Sequence[Record], home: Path | None = None) -> Result:
    """The gateway's own way: each record arrives as a message would, in its own transaction's place."""
    with tempfile.TemporaryDirectory() as folder:
        engine = SqliteEngine((home or Path(folder)) / "record.sqlite", schema="record")
        try:
            return _ours(records, engine)
        finally:
            engine.close()


def _ours(records: Sequence[Record], engine: SqliteEngine) -> Result:
    store, at = Store(engine), datetime(2026, 4, 1, tzinfo=UTC)
    became: list[str] = []
    waiting, began = 0, time.perf_counter()
    for start in range(0, len(records), 100):
        with engine.transaction() as transaction:
            for number, record in enumerate(records[start : start + 100], start):
                request = bundle.update("Patient", f"urn:hutong:id:{record.house}:PI", record.local)
                made = bundle.transaction([bundle.entry(record.patient, f"urn:uuid:{number}", request)])
                try:
                    who, _ = people.recognised(transaction, made, authoritative=True, export=False)
                except Configuration:
                    became.append("")
                    waiting += 1
                    continue
                applied = store.apply(transaction, who.bundle, at=at, patients=who.patients)
                reason = Reason(by=people.RULE, why="", at=at)
                people.settle(transaction, applied, who, applied.references, reason=reason)
                became.append(applied.references[f"urn:uuid:{number}"].removeprefix("Patient/"))
    seconds = time.perf_counter() - began
    with engine.reading() as reader:
        clusters = [survivor(reader, each) if each else "" for each in became]
        pairs = [
            (survivor(reader, each.one), survivor(reader, each.other)) for each in review.listed(reader, limit=10**6)
        ]
    return judged("hutong", records, clusters, seconds=seconds, asked=pairs, waiting=waiting)


def by_pairs(name: str, records: Sequence[Record], pairs: Iterable[tuple[int, int]], *, seconds: float) -> Result:
    """A way that names pairs of records by their place: those that hang together are one cluster."""
    leads = _together((str(one), str(other)) for one, other in pairs)
    clusters = [leads.get(str(place), str(place)) for place in range(len(records))]
    return judged(name, records, clusters, seconds=seconds)


def exact(records: Sequence[Record], *fields: str, name: str) -> Result:
    """Whoever agrees in all of these fields is one: what nobody should do with name and birth date."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    began = time.perf_counter()
    for place, record in enumerate(records):
        key = tuple(str(getattr(record, each)) for each in fields)
        if all(key):
            groups[key].append(place)
    pairs = (pair for each in groups.values() for pair in combinations(each, 2))
    return by_pairs(name, records, list(pairs), seconds=time.perf_counter() - began)
