"""The bar of long files: on stderr where a person looks, nothing of it anywhere else."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from gateway.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_looks_at_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.reading("a.csv", 3) as through:
        opened = lambda: io.BytesIO(b"abc")  # noqa: E731
        assert through(opened) is opened
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_the_bar_counts_what_is_read_and_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_bytes(b"a,b\n" * 100_000)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.reading("long.csv", path.stat().st_size) as through:
        opened = through(lambda: path.open("rb"))
        for _ in range(2):  # a file may be read twice
            with opened() as file:
                assert file.readline() == b"a,b\n"
                assert len(file.read()) == 399_996
    assert "long.csv" in sys.stderr.getvalue()


def test_a_terminal_that_gets_the_bundle_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert not progress.seen(quiet=True)
    assert progress.seen()
    with progress.reading("a.csv", 3, quiet=True):
        pass
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
