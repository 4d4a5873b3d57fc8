"""pandas.read_csv as a live worker, in its own environment: `python table_peer.py FILE.csv`. It imports nothing of this
repository."""

from __future__ import annotations

import importlib
import json
import sys
import time


def main() -> None:
    """Answers each line of standard input with the CPU seconds that one reading of the file took."""
    read = importlib.import_module("pandas").read_csv
    file = sys.argv[1]
    read(file, dtype=str, encoding="gb18030")
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        read(file, dtype=str, encoding="gb18030")
        print(json.dumps(time.process_time() - began), flush=True)


if __name__ == "__main__":
    main()
