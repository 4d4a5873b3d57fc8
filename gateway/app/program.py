"""Starts processes of our own program: the same Python and the same package, whatever folder the user stands in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gateway


def start(*arguments: str, answers: bool = False) -> subprocess.Popen[bytes]:
    """`python -m <arguments>` with its standard input in our hands, and with `answers` its output too.

    -P: a folder named `gateway` where the user stands must not be run in our place."""
    home = str(Path(gateway.__file__).resolve().parent.parent)
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-P", "-m", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if answers else None,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))},
    )
