"""`python -m conformance.hostile [HOME]`; see conformance.hostile."""

import sys
import tempfile
from functools import partial
from pathlib import Path

from conformance.hostile import CASES, run

with tempfile.TemporaryDirectory() as own:
    wrong = run(
        Path(sys.argv[1] if sys.argv[1:] else own), [sys.executable, "-m", "gateway"], say=partial(print, flush=True)
    )
print("\n".join(wrong) or f"{len(CASES)} hostile files: refused or passed over, and all that came behind them is there")
sys.exit(bool(wrong))
