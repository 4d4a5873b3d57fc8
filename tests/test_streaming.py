"""Large files of rows: the same Bundle as one read as a whole would be, whatever the batches, in constant memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conformance.speed import rows as made_up
from gateway import stateless, streaming
from gateway.codec import delimited
from gateway.codec.table import Reject as Misfit
from gateway.codec.table import Row
from gateway.codec.text_stream import opened
from gateway.errors import Permanent
from gateway.fhir import validate
from gateway.formats import bulk
from gateway.mapping import batches
from gateway.model import Reject
from tests.mapping.house import FIXTURES

ROOT = Path(__file__).parents[1]
Resources = dict[str, dict[str, Any]]


def bundle_of(pieces: bytes) -> Any:
    return json.loads(pieces)


def in_batches(path: Path, rejected: list[Reject] | None = None) -> bytes:
    told = streaming.Told(note=lambda text: None, reject=(rejected if rejected is not None else []).append)
    pieces = streaming.translate(path, name=path.name, member=None, config=None, channel="", told=told)
    assert pieces is not None
    return b"".join(pieces)


def as_a_whole(path: Path) -> bytes:
    made = stateless.translate(path.read_bytes(), name=path.name, member=None, to="fhir", config=None)
    return made.output


def said(body: bytes) -> Resources:
    """By fullUrl, without who recorded it when: each batch says so for itself."""
    entries = bundle_of(body)["entry"]
    found = {each["fullUrl"]: each for each in entries if each["resource"]["resourceType"] != "Provenance"}
    assert len({each["fullUrl"] for each in entries}) == len(entries)
    return found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LARGE", 1)


def sized(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(bulk, "LARGE", 1)
    monkeypatch.setattr(streaming, "bulk", partial(bulk.bulk, rows=size))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_say_what_the_whole_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    path = made_up.write_csv(tmp_path / "lab.csv", 400)
    sized(monkeypatch, size)
    body = in_batches(path)
    validate.check_bundle(json.loads(body))
    assert said(body) == said(as_a_whole(path))


@pytest.mark.parametrize("size", [1, 30])
def test_a_number_of_another_person_is_noticed_across_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    head, *lines = (FIXTURES / "lab_shiqiao_20260312.csv").read_text("gb18030").splitlines()
    given_again = [line.replace(",SQ000119,", ",SQ000101,") for line in lines]
    assert given_again != lines
    path = tmp_path / "lab.csv"
    path.write_text("\r\n".join([head, *given_again, ""]), "gb18030")
    whole: list[Reject] = []
    made = stateless.translate(path.read_bytes(), name=path.name, member=None, to="fhir", config=None)
    whole.extend(made.rejects)
    sized(monkeypatch, size)
    apart: list[Reject] = []
    body = in_batches(path, apart)
    assert _people(said(body)) == _people(said(made.output))
    assert (apart, bool(apart)) == (whole, True)


def _people(found: Resources) -> Resources:
    """The patients, and whose each result is."""
    return {
        name: each for name, each in found.items() if each["resource"]["resourceType"] in ("Patient", "Observation")
    }


def test_rows_of_a_report_that_lie_far_apart_stay_one_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_up.write_csv(tmp_path / "lab.csv", 300)
    whole = said(as_a_whole(path))
    head, *lines = path.read_text("gb18030").splitlines()
    random.Random(5).shuffle(lines)
    path.write_text("\r\n".join([head, *lines, ""]), "gb18030")
    sized(monkeypatch, 10)
    found = said(in_batches(path))
    assert found.keys() == whole.keys()
    for url, entry in found.items():
        results = [each["reference"] for each in entry["resource"].get("result", ())]
        assert sorted(results) == sorted(each["reference"] for each in whole[url]["resource"].get("result", ()))


def test_what_an_earlier_row_left_out_a_later_one_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns, first, second = (line.split(",") for line in made_up.csv_bytes(2, charset="utf-8").decode().splitlines())
    national = columns.index("身份证号")
    second[columns.index("申请单号")] = "OTHER"
    second[columns.index("条码号")] = "OTHER"
    first[national] = ""
    path = tmp_path / "lab.csv"
    path.write_text("\n".join(map(",".join, (columns, first, second, []))), "utf-8")
    sized(monkeypatch, 1)
    (patient,) = (
        each["resource"] for each in said(in_batches(path)).values() if each["resource"]["resourceType"] == "Patient"
    )
    assert second[national] in [each["value"] for each in patient["identifier"]]


def test_rows_that_are_none_are_told_one_by_one(tmp_path: Path, small: None) -> None:
    body = made_up.csv_bytes(30, charset="utf-8").decode().splitlines()
    body.insert(4, "a,b,c")
    body.insert(9, f"{body[9]},x")
    path = tmp_path / "lab.csv"
    path.write_text("\n".join(body), "utf-8")
    rejected: list[Reject] = []
    in_batches(path, rejected)
    assert [(each.row, each.cause) for each in rejected] == [
        (5, "3 cells, the header has 35"), (10, "36 cells, the header has 35"),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------ batches


def test_a_batch_ends_between_two_records_and_never_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LONGEST", 5)
    items = [Row(number, {"k": "ABBBCCCCCCCCD"[number]}) for number in range(13)]
    found = list(batches.cut(items, lambda row: (row.cells["k"],), size=3))
    assert [[item.number for item in batch] for batch in found] == [[0, 1, 2, 3], [*range(4, 12)], [12]]
    assert [item.number for item in found[1] if isinstance(item, Misfit)] == [9, 10, 11]
    heavy = [Row(number, {"k": "A", "v": "x" * 100}) for number in range(9)]
    monkeypatch.setattr(batches, "HEAVIEST", 350)
    (alone,) = batches.cut(heavy, lambda row: (row.cells["k"],), size=3)
    assert sum(isinstance(item, Row) for item in alone) == 4


# ------------------------------------------------------------------------------------------------ text


def streamed(body: bytes, **rules: str) -> list[dict[str, str]]:
    table = delimited.stream(opened(body), **rules)
    return [item.cells for item in table.items() if isinstance(item, Row)]


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_stream_reads_what_the_whole_reads(charset: str) -> None:
    text = made_up.csv_bytes(6000, charset="utf-8").decode()  # more than a block
    table = delimited.decode(text.encode(charset))
    stream = delimited.stream(opened(text.encode(charset)))
    assert (stream.columns, stream.charset, stream.notes) == (table.columns, table.charset, table.notes)
    assert streamed(text.encode(charset)) == table.rows


@pytest.mark.slow
def test_a_charset_that_does_not_fit_the_last_rows_is_not_believed_in_the_first() -> None:
    ascii_rows = "a,b\r\n" + "1,2\r\n" * 300_000
    assert streamed((ascii_rows + "中文,2\r\n").encode("gb18030"))[-1] == {"a": "中文", "b": "2"}
    assert len(streamed(ascii_rows.encode() + b"\xff\xff\xff,2\r\n")) == 300_000  # the damaged one is set aside
    damaged = (ascii_rows + "血常规,白细胞计数\r\n" * 1000).encode() + "红细胞计数".encode()[:-1] + b",2\r\n"
    assert streamed(damaged)[-1] == {"a": "血常规", "b": "白细胞计数"}
    with pytest.raises(Permanent, match="neither valid UTF-8 nor GB18030"):
        streamed(b"a,b\r\n1,2\r\n" + b"\xff\xff\xff,2\r\n\xff,\xff\r\n" * 300_000)


def test_control_characters_are_taken_out_and_told() -> None:
    body = b"a,b\r\n\x001\x0b,2\r\n" + b"3,4\r\n" * 300_000
    stream = delimited.stream(opened(body))
    assert stream.notes == ("2 control characters removed",)
    assert next(stream.items()) == Row(2, {"a": "1", "b": "2"})


# ------------------------------------------------------------------------------------------------ memory


def peak(path: Path) -> int:
    """KiB that the command needs at most."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'gateway', 'translate', sys.argv[1]], stdout=subprocess.DEVNULL,"
        " check=True)\nprint(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.slow
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    few = peak(made_up.write_csv(tmp_path / "few.csv", 4_000))
    many = peak(made_up.write_csv(tmp_path / "many.csv", 40_000))
    assert many < 1.15 * few


# ------------------------------------------------------------------------------------------------ workbooks


@pytest.mark.parametrize("size", [7, 100])
def test_a_large_workbook_is_read_in_batches_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    path = made_up.write_workbook(tmp_path / "lab.xlsx", 200)
    sized(monkeypatch, size)
    monkeypatch.setattr(streaming, "LARGE", 1)
    assert streaming.is_large(path)
    assert said(in_batches(path)) == said(as_a_whole(path))


@pytest.mark.slow
def test_ten_times_the_rows_of_a_workbook_take_no_more_memory(tmp_path: Path) -> None:
    few = peak(made_up.write_workbook(tmp_path / "few.xlsx", 8_000))
    many = peak(made_up.write_workbook(tmp_path / "many.xlsx", 24_000))
    assert many < 1.3 * few
