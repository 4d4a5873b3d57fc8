"""Files that mean harm, one by one in the folders of a running gateway: each is refused with its cause, or passed over
as no file; the good file behind it flows on, and the memory stays bounded.

    python -m conformance.hostile [HOME]
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from conformance.fault import until
from conformance.gateway import Gateway

MIB = 1 << 20
MEMORY = 1536 * MIB  # bytes that the process may have held at its worst
KINDS = {"csv": "delimited", "xlsx": "workbook", "xml": "xml", "json": "json"}
HEAD = "申请单号,病人ID,姓名,性别,身份证号,项目代码,项目名称,结果,单位,参考范围,报告时间"
Case = tuple[str, Callable[[Path], object], bool]  # kind of folder, how it gets there, whether it is a file to refuse


def good(number: str) -> bytes:
    """A table of one result."""
    return f"{HEAD}\r\n{number},P{number},张伟,男,,1,白细胞计数,5.2,10^9/L,3.5-9.5,2026-03-12 08:00:00\r\n".encode()


def _written(name: str | bytes, *pieces: Iterable[bytes]) -> Callable[[Path], object]:
    def put(folder: Path) -> None:
        place = folder / os.fsdecode(name)
        part = place.with_name(f"{place.name}.part")
        with part.open("wb") as file:
            for piece in pieces:
                file.writelines(piece)
        part.replace(place)

    return put


def _bomb() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/workbook.xml", "w") as part:
            for _ in range(200):
                part.write(b" " * MIB)
        archive.writestr("../../../etc/hutong-was-here", "x")
    return target.getvalue()


def _sparse(folder: Path) -> None:
    with (folder / "sparse.part").open("wb") as file:
        file.truncate(10 << 30)
    (folder / "sparse.part").rename(folder / "sparse.csv")


def _entities(depth: int) -> bytes:
    lines = "".join(f'<!ENTITY a{at} "{f"&a{at - 1};" * 10}">' for at in range(1, depth))
    return f'<!DOCTYPE l [<!ENTITY a0 "ha">{lines}]><l>&a{depth - 1};</l>'.encode()


CASES: dict[str, Case] = {
    "a zip bomb with a member outside": ("xlsx", _written("bomb.xlsx", [_bomb()]), True),
    "no zip at all": ("xlsx", _written("no.xlsx", [b"PK\x03\x04" + b"\xff" * 100_000]), True),
    "a billion laughs": ("xml", _written("laughs.xml", [_entities(9)]), True),
    "quadratic blow-up": (
        "xml",
        _written("blow.xml", [b'<!DOCTYPE l [<!ENTITY a "', b"a" * 100_000, b'">]><l>', b"&a;" * 100_000, b"</l>"]),
        True,
    ),
    "a file of the machine": (
        "xml", _written("xxe.xml", [b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>']), True
    ),
    "elements inside each other": ("xml", _written("deep.xml", [b"<a>" * 500_000]), True),
    "arrays inside each other": ("json", _written("deep.json", [b"[" * 2_000_000]), True),
    "one line without end": ("csv", _written("line.csv", [b"x" * MIB] * 100), True),
    "a million columns": ("csv", _written("wide.csv", [HEAD.encode(), b",1" * 1_000_000, b"\r\n"]), True),
    "a sparse file of 10 GB": ("csv", _sparse, True),
    "a link to a file of the machine": ("csv", lambda folder: (folder / "link.csv").symlink_to("/etc/passwd"), False),
    "a pipe": ("csv", lambda folder: os.mkfifo(folder / "pipe.csv"), False),
    "a folder with the name of a file": ("csv", lambda folder: (folder / "folder.csv").mkdir(), False),
    "a name with a line end": ("csv", _written("a\nb.csv", [b"no table"]), True),
    "a name that is no UTF-8": ("csv", _written(b"\xff\xfe\xc3.csv", [b"no table"]), True),
    "a name that leads out": ("csv", _written("..%2f..%2fetc%2fpasswd.csv", [b"no table"]), True),
}  # fmt: skip


def run(home: Path, command: list[str], cases: Iterable[str] = CASES) -> list[str]:
    """What did not hold, a line each."""
    channels = []
    for kind, format_ in KINDS.items():
        (home / kind).mkdir()
        channel = {
            "id": kind,
            "transport": "files",
            "folder": str(home / kind),
            "format": format_,
            "pattern": f"*.{kind}",
        }
        channels.append(f"      - {json.dumps(channel)}\n")
    config = home / "community.yaml"
    head = (
        "id: hostile\nname: Hostile\nopen: true\nmembers:\n  - id: town\n    name: 镇卫生院\n    facilities: [TOWN]\n"
    )
    config.write_text(f"{head}    channels:\n{''.join(channels)}", "utf-8")
    wrong: list[str] = []
    with Gateway(command, home, config=config) as gateway:
        gateway.start()
        for at, case in enumerate(cases):
            kind, put, refused = CASES[case]
            put(home / kind)
            number = f"G{at:03d}"
            _written(f"{number}.csv", [good(number)])(home / "csv")
            if until(partial(_there, gateway, number), 120) < 0:
                wrong.append(f"{case}: the file behind it did not come through")
            if refused and until(partial(_is_empty, home / kind), 240) < 0:
                wrong.append(f"{case}: it still lies in the folder")
        held = _peak(gateway.process_id)
        if held > MEMORY:
            wrong.append(f"the process held {held // MIB} MB at its worst")
        if (home / "etc").exists() or any(home.rglob("hutong-was-here")):
            wrong.append("a member of a zip was written outside")
    return wrong


def _there(gateway: Gateway, number: str) -> bool:
    return gateway.count(f"DiagnosticReport?identifier={number}") == 1


def _is_empty(folder: Path) -> bool:
    """Does nothing wait to be picked up? Regular files alone are."""
    with os.scandir(folder) as there:
        return not any(each.is_file(follow_symlinks=False) for each in there)


def _peak(process: int) -> int:
    """Bytes that a process has held at its worst (Linux); 0 where nothing tells."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own:
        found = run(Path(sys.argv[1] if sys.argv[1:] else own), [sys.executable, "-m", "gateway"])
    print(
        "\n".join(found)
        or f"{len(CASES)} hostile files: refused or passed over, and all that came behind them is there"
    )
    sys.exit(bool(found))
