"""Files that mean harm: each is refused with place, cause and remedy, in bounded memory and time."""

from __future__ import annotations

import io
import json
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from conformance.speed import rows as made_up
from gateway.codec import json as json_tree
from gateway.codec import workbook_xlsx, xml_tree
from gateway.errors import Permanent

ROOT = Path(__file__).parents[2]
MEMORY = 700 << 20  # bytes of address space that a refusal may take, the program itself in it
SECONDS = 60  # of CPU: the machine of a test may be slow
MIB = 1 << 20
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def workbook(
    *rows: bytes | Iterable[bytes], sheets: int = 1, texts: Iterable[bytes] = (), behind: bytes = b""
) -> bytes:
    """A workbook of these pieces of a sheet."""
    target = io.BytesIO()
    numbers = range(1, sheets + 1)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        relation = f'<Relationship Id="r" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{_PACKAGE}">{relation}</Relationships>')
        listed = "".join(f'<sheet name="s{each}" sheetId="{each}" r:id="r{each}"/>' for each in numbers)
        book = f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>'
        archive.writestr("xl/workbook.xml", book)
        parts = [f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" Target="sheet{n}.xml"/>' for n in numbers]
        parts.append(f'<Relationship Id="rs" Type="{_OFFICE}/sharedStrings" Target="texts.xml"/>')
        body = f'<Relationships xmlns="{_PACKAGE}">{"".join(parts)}</Relationships>'
        archive.writestr("xl/_rels/workbook.xml.rels", body)
        for each in numbers:
            with archive.open(f"xl/sheet{each}.xml", "w", force_zip64=True) as part:
                part.write(f'<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
                for piece in rows:
                    part.writelines([piece] if isinstance(piece, bytes) else piece)
                part.write(b"</sheetData>" + behind + b"</worksheet>")
        with archive.open("xl/texts.xml", "w", force_zip64=True) as part:
            part.write(f'<sst xmlns="{_MAIN}">'.encode())
            part.writelines(texts)
            part.write(b"</sst>")
    return target.getvalue()


def cell(at: str, text: str) -> bytes:
    return f'<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>'.encode()


FEW = (
    b'<row r="1">' + cell("A1", "a") + cell("B1", "b") + b"</row><row>" + cell("A2", "1") + cell("B2", "2") + b"</row>"
)
TABLE = made_up.csv_bytes(20, charset="utf-8")
HEADER = TABLE.partition(b"\r\n")[0]
NOISE = bytes(range(64, 127))

CASES: dict[str, tuple[str, Callable[[], Iterable[bytes]], str]] = {
    "a zip bomb": ("b.xlsx", lambda: [workbook([b" " * MIB] * 200)], "unpacks to more than 100 times its size"),
    "one text of 50 MB": (
        "t.xlsx", lambda: [workbook(b'<row r="1"><c t="inlineStr"><is><t>', [b"x" * MIB] * 50, b"</t></is></c></row>")],
        "more than 8388608 bytes in one row",
    ),
    "a row of cells with nothing in them": (
        "e.xlsx", lambda: [workbook(FEW, b"<row>", [b'<c s="1"/>' * 100_000] * 40, b"</row>")],
        "more than 8388608 bytes in one row",
    ),
    "cells that do not say where": (
        "g.xlsx", lambda: [workbook(b"<row>" + b"<c><v>1</v></c>" * 2001 + b"</row>")], "column 2001: more than 2000",
    ),
    "texts that fill the memory": (
        "s.xlsx", lambda: [workbook(FEW, texts=[b"<si><t>" + NOISE * 10_000 + b"</t></si>"] * 120)],
        "larger than the limit|more than 100 times",
    ),
    "a cell far away": (
        "f.xlsx", lambda: [workbook(FEW, b'<row r="1048576">' + cell("XFD1048576", "z") + b"</row>")],
        "cell XFD1048576: more than 2000 columns",
    ),
    "a row behind the last": ("r.xlsx", lambda: [workbook(FEW, b'<row r="99999999"/>')], "the sheet is larger"),
    "thousands of sheets": ("n.xlsx", lambda: [workbook(FEW, sheets=2000)], "more than 500 sheets"),
    "merged cells without end": (
        "m.xlsx",
        lambda: [workbook(FEW, behind=b"<mergeCells>" + b'<mergeCell ref="A9:XFD9"/>' * 310_000 + b"</mergeCells>")],
        "too many cells are merged|more than 100 times",
    ),
    "nested rows": ("d.xlsx", lambda: [workbook(b"<row>" * 200_000)], "no workbook that can be read"),
    "no table behind a quote": (
        "q.csv", lambda: [TABLE, b'1,"', b"x,y\n" * 300_000], "10000 rows behind each other are none",
    ),
    "one cell without end": ("c.csv", lambda: [TABLE, b'1,"', *[b"x" * MIB] * 80], "a line of more than"),
    "a million columns": ("w.csv", lambda: [HEADER, b",1" * 1_000_000, b"\r\n"], "line 1: no line ends|more than 2000"),
    "a header of 1 MB": ("h.csv", lambda: [b"a" * 1_000_000, b",b\r\n1,2\r\n" * 10_000], "no map knows a file"),
    "a row of a million cells": (
        "l.csv", lambda: [TABLE * 200, b",1" * 1_000_000, b"\r\n"], "more than 100000 cells in one line",
    ),
    "nothing but NUL": ("z.csv", lambda: [b"\0" * (8 * MIB)], "no line ends in the first"),
    "one line of 200 MB": ("o.csv", lambda: [b"x" * MIB] * 200, "no line ends in the first"),
    "nodes without end": ("n.json", lambda: [b"[", b"[]," * 8_000_000, b"1]"], "more than 2000000 nodes"),
    "arrays inside each other": ("a.json", lambda: [b"[" * 2_000_000], "deeper than 100 levels"),
    "elements without end": ("n.xml", lambda: [b"<r>", b"<a/>" * 8_000_000, b"</r>"], "more than 2000000 nodes"),
    "elements inside each other": ("e.xml", lambda: [b"<a>" * 1_000_000], "not well-formed|deeper than"),
    "a billion laughs": (
        "x.xml", lambda: [b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><l>&b;</l>'], "it has a DOCTYPE",
    ),
    "a file of ours": (
        "y.xml", lambda: [b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>'], "it has a DOCTYPE",
    ),
}  # fmt: skip


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def refused(path: Path) -> str:
    """What the command says that refuses it, with so much memory and no more."""
    command = [sys.executable, "-m", "gateway", "translate", str(path)]
    run = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=limited, check=False
    )
    assert run.returncode == 1, run.stderr[-500:]
    assert "Traceback" not in run.stderr
    return run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_bounded_memory(case: str, tmp_path: Path) -> None:
    name, pieces, cause = CASES[case]
    with (tmp_path / name).open("wb") as file:
        file.writelines(pieces())
    told = refused(tmp_path / name)
    assert re.search(cause, told), told[-500:]
    assert ";" in told  # the remedy stands behind it


@pytest.mark.slow
def test_a_file_of_10_gb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.csv"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    assert "the file is larger than 4294967296 bytes; send it in parts" in refused(path)


@pytest.mark.slow
def test_cells_of_a_megabyte_are_read(tmp_path: Path) -> None:
    head, *lines = TABLE.split(b"\r\n")
    long = [line.replace(b",HR,", b",HR," + b"z" * MIB) for line in lines if line]
    path = tmp_path / "long.csv"
    path.write_bytes(b"\r\n".join([head, *long, b""]))
    command = [sys.executable, "-m", "gateway", "translate", str(path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, preexec_fn=limited)
    notes = [
        each["resource"]["note"][0]["text"]
        for each in json.loads(run.stdout)["entry"]
        if each["resource"]["resourceType"] == "Observation"
    ]
    assert notes == ["z" * MIB] * 20


def test_limits_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_tree, "NODES_LIMIT", 10)
    assert json_tree.of_text('["a,b,c,d,e,f,g,h,i,j,k,l"]') == ["a,b,c,d,e,f,g,h,i,j,k,l"]
    with pytest.raises(Permanent, match="more than 10 nodes"):
        json_tree.of_text("[1,2,3,4,5,6,7,8,9,10,11,12]")
    monkeypatch.setattr(xml_tree, "NODES_LIMIT", 10)
    with pytest.raises(Permanent, match="more than 10 nodes"):
        xml_tree.element_of("<r>" + "<a/>" * 11 + "</r>")
    monkeypatch.setattr(workbook_xlsx, "STANDING_LIMIT", 3)
    from gateway.codec import workbook as workbooks

    with pytest.raises(Permanent, match="the sheet is larger than the limit"):
        workbooks.decode(workbook(FEW))
