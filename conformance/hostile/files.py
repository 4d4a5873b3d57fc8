"""The files themselves, each as its pieces: made while they are written, so that none is held."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Final

MIB: Final = 1 << 20
COLUMNS: Final = (
    "申请单号", "病人ID", "姓名", "性别", "身份证号", "项目代码", "项目名称", "结果", "单位", "参考范围", "报告时间",
)  # fmt: skip
HEAD: Final = ",".join(COLUMNS)
Pieces = Iterable[bytes | int]  # an int: so many bytes of nothing, which take no room on the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """`refused`: nothing of it may be taken, and its cause is told; else it is taken, or told, as it deserves."""

    name: str | bytes
    pieces: Callable[[], Pieces]
    refused: bool = True
    uploaded: bool = True  # over HTTP, too


def row(number: str, result: str = "5.2") -> dict[str, str]:
    """The cells of one result."""
    cells = (
        number, f"P{number}", "张伟", "男", "", "1", "白细胞计数", result, "10^9/L", "3.5-9.5", "2026-03-12 08:00:00",
    )  # fmt: skip
    return dict(zip(COLUMNS, cells, strict=True))


def table(number: str, result: str = "5.2") -> bytes:
    """A table of one result."""
    return f"{HEAD}\r\n{','.join(row(number, result).values())}\r\n".encode()


# ------------------------------------------------------------------------------------------------ workbooks

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_SHEET: Final = f'<?xml version="1.0"?><worksheet xmlns="{_MAIN}">'


def _inline(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


def _row(cells: Iterable[str], number: int) -> str:
    return f'<row r="{number}">{"".join(map(_inline, cells))}</row>'


def _workbook(sheet: Iterable[str], shared: str = "") -> Iterator[bytes]:
    """A workbook of one sheet, whose XML is given in pieces."""
    with tempfile.TemporaryFile() as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            _parts(archive, shared)
            with archive.open("xl/worksheets/sheet1.xml", "w") as part:
                part.writelines(each.encode() for each in sheet)
        yield from _read(target)


def _parts(archive: zipfile.ZipFile, shared: str) -> None:
    archive.writestr("[Content_Types].xml", "<Types/>")
    archive.writestr(
        "xl/workbook.xml",
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
        '<sheet name="1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    )
    archive.writestr(
        "xl/_rels/workbook.xml.rels",
        f'<Relationships xmlns="{_PACKAGE}">'
        f'<Relationship Id="rId1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_RELATIONS}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    )
    archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{_MAIN}"><si><t>{shared}</t></si></sst>')


def _read(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(MIB):
        yield piece


def _sheet(*rows: str, dimension: str = "A1:K2") -> Iterator[str]:
    yield f'{_SHEET}<dimension ref="{dimension}"/><sheetData>{_row(COLUMNS, 1)}'
    yield from rows
    yield "</sheetData></worksheet>"


def _large_shared() -> Iterator[bytes]:
    cells = [*row("LSHARED").values()]
    inner = "".join(
        '<c t="s"><v>0</v></c>' if at == COLUMNS.index("结果") else _inline(cell) for at, cell in enumerate(cells)
    )
    return _workbook(_sheet(f'<row r="2">{inner}</row>'), shared=_random(MIB))


def _random(count: int) -> str:
    """Letters that no archive makes a hundred times smaller."""
    state, made = 1, []
    for _ in range(count):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        made.append(chr(97 + (state >> 16) % 26))
    return "".join(made)


def _many_columns() -> Iterator[bytes]:
    return _workbook([_SHEET, "<sheetData>", _row((f"列{at}" for at in range(16_384)), 1), "</sheetData></worksheet>"])


def _empty_rows() -> Iterator[bytes]:
    rows = (
        "".join(f'<row r="{at}"/>' for at in range(start, start + 10_000)) for start in range(3, 10_000_003, 10_000)
    )
    return _workbook(_sheet(_row(row("EMPTY").values(), 2), *rows))


def _bomb() -> Iterator[bytes]:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/workbook.xml", "w") as part:
            for _ in range(200):
                part.write(b" " * MIB)
        archive.writestr("../../../etc/hutong-was-here", "x")
    yield target.getvalue()


def _inside_each_other() -> Iterator[bytes]:
    """A bomb, packed again in place of a sheet: a table is looked for in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        _parts(archive, "")
        archive.writestr("xl/worksheets/sheet1.xml", b"".join(_bomb()))
    yield target.getvalue()


def _lying_sizes() -> Iterator[bytes]:
    """200 MB that say they are 1,000 bytes."""
    size = 200 * MIB
    body = bytearray(b"".join(_workbook([_SHEET, *(" " * MIB for _ in range(200)), "</worksheet>"])))
    true = struct.pack("<I", size + len(_SHEET) + len("</worksheet>"))
    yield bytes(body.replace(true, struct.pack("<I", 1_000)))


def _old_workbook() -> Iterator[bytes]:
    """A compound file ([MS-CFB]) whose workbook ([MS-XLS]) begins well, and then has records that cannot be."""

    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    begin = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0x1FAF, 1996, 0, 6))
    texts = record(0xFC, struct.pack("<II", 0x7FFFFFFF, 0x7FFFFFFF) + b"\xff" * 3000)  # so many shared strings
    sheet = record(0x85, struct.pack("<IBBBB", 0x7FFFFFF0, 0, 0, 200, 1))  # a sheet behind the end of the file
    merged = record(0xE5, struct.pack("<H", 0xFFFF) + b"\xff" * 200)
    stream = (begin + texts + sheet + merged + b"\x0a\x00\xff\xff").ljust(8192, b"\xff")
    free, chained, end = 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFE
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16
    head += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0, 0) + struct.pack("<I", free) * 108
    sectors = [chained, end, *range(3, 18), end]
    allocation = struct.pack(f"<{len(sectors)}I", *sectors).ljust(512, b"\xff")

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = name.encode("utf-16-le") + b"\0\0"
        return text.ljust(64, b"\0") + struct.pack(
            "<HBBIII36xIQ", len(text), kind, 1, free, free, child, start, size
        )  # fmt: skip

    directory = entry("Root Entry", 5, 1, end, 0) + entry("Workbook", 2, free, 2, len(stream))
    yield head + allocation + directory.ljust(512, b"\0") + stream


# ------------------------------------------------------------------------------------------------ texts and trees


def _entities(depth: int) -> bytes:
    lines = "".join(f'<!ENTITY a{at} "{f"&a{at - 1};" * 10}">' for at in range(1, depth))
    return f'<!DOCTYPE l [<!ENTITY a0 "ha">{lines}]><l>&a{depth - 1};</l>'.encode()


def _element(cells: dict[str, str]) -> str:
    return "".join(f"<{name}>{text}</{name}>" for name, text in cells.items())


def _tree(number: str, result: str) -> bytes:
    return f"<DATA><ROWS><ROW>{_element(row(number, result))}</ROW></ROWS></DATA>".encode()


def _object(number: str, result: str) -> bytes:
    pairs = ",".join(f'"{name}":"{text}"' for name, text in row(number, result).items())
    return f'{{"rows":[{{{pairs}}}]}}'.encode()


def _of(*pieces: bytes | int) -> Callable[[], Pieces]:
    return partial(iter, pieces)


LONG: Final = "x" * MIB
FILES: Final[dict[str, File]] = {
    "a zip bomb with a member outside": File(name="bomb.xlsx", pieces=_bomb),
    "a zip bomb inside a workbook": File(name="nested.xlsx", pieces=_inside_each_other),
    "a zip bomb that lies about its size": File(name="lying.xlsx", pieces=_lying_sizes),
    "no zip at all": File(name="no.xlsx", pieces=_of(b"PK\x03\x04" + b"\xff" * 100_000)),
    "16,384 columns of a sheet": File(name="columns.xlsx", pieces=_many_columns),
    "10 million empty rows": File(name="rows.xlsx", pieces=_empty_rows, uploaded=False),
    "a sheet that lies about its size": File(
        name="dimension.xlsx", refused=False,
        pieces=lambda: _workbook(_sheet(_row(row("DIMENSION").values(), 2), dimension="A1:XFD1048576")),
    ),
    "1 MB in a shared text": File(name="shared.xlsx", pieces=_large_shared, refused=False),
    "1 MB in a cell of a sheet": File(
        name="inline.xlsx", refused=False,
        pieces=lambda: _workbook(_sheet(_row(row("LINLINE", _random(MIB)).values(), 2))),
    ),
    "broken records": File(name="broken.xls", pieces=_old_workbook),
    "a billion laughs": File(name="laughs.xml", pieces=_of(_entities(9))),
    "quadratic blow-up": File(
        name="blow.xml",
        pieces=_of(b'<!DOCTYPE l [<!ENTITY a "', b"a" * 100_000, b'">]><l>', b"&a;" * 100_000, b"</l>"),
    ),
    "a file of the machine": File(
        name="xxe.xml", pieces=_of(b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>')
    ),
    "elements inside each other": File(name="deep.xml", pieces=_of(b"<a>" * 500_000)),
    "elements inside each other to their end": File(name="deeper.xml", pieces=_of(b"<a>" * 2000, b"</a>" * 2000)),
    "1 MB in an element": File(name="large.xml", pieces=_of(_tree("LXML", LONG)), refused=False),
    "20 MB in an element": File(name="larger.xml", pieces=_of(_tree("LLXML", LONG * 20))),
    "arrays inside each other": File(name="deep.json", pieces=_of(b"[" * 2_000_000)),
    "arrays inside each other to their end": File(name="deeper.json", pieces=_of(b"[" * 100_000, b"]" * 100_000)),
    "1 MB in a JSON text": File(name="large.json", pieces=_of(_object("LJSON", LONG)), refused=False),
    "1 MB in a cell": File(name="large.csv", pieces=_of(table("LCSV", LONG)), refused=False),
    "one line without end": File(name="line.csv", pieces=lambda: [b"x" * MIB] * 100),
    "a million columns": File(name="wide.csv", pieces=_of(HEAD.encode(), b",1" * 1_000_000, b"\r\n")),
    "a row of a million columns": File(
        name="row.csv", pieces=_of(f"{HEAD}\r\n".encode(), b"1," * 1_000_000, b"\r\n"), refused=False
    ),
    "a quote that is not closed, over 1 GB": File(
        name="quote.csv", pieces=_of(f'{HEAD}\r\nQ1,"'.encode(), 1 << 30, b"x\r\n"), uploaded=False
    ),
    "a quote that is not closed, over 200 MB of lines": File(
        name="lines.csv", pieces=lambda: [f'{HEAD}\r\nQ2,"'.encode(), *([b"x,\r\n" * (MIB // 4)] * 200)], uploaded=False
    ),
    "a sparse file of 10 GB": File(name="sparse.csv", pieces=_of(10 << 30), uploaded=False),
    "a name with a line end": File(name="a\nb.csv", pieces=_of(b"no table")),
    "a name that is no UTF-8": File(name=b"\xff\xfe\xc3.csv", pieces=_of(b"no table")),
    "a name that leads out": File(name="x..%2f..%2fetc%2fpasswd.csv", pieces=_of(b"no table")),
}  # fmt: skip
