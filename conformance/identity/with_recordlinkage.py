"""recordlinkage on the same records: the comparisons of its documentation, classified by ECM without labels.

Runs in an environment of its own; reads records.csv, prints a line of JSON.
"""

from __future__ import annotations

import json
import sys

import pandas as pd
import recordlinkage


def main(path: str) -> None:
    """Prints the pairs that are joined."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col="place")
    index = recordlinkage.Index()
    for field in ("card", "phone", "name", "born"):
        index.block(field)
    told = table[(table["card"] != "") | (table["phone"] != "") | (table["name"] != "")]
    candidates = index.index(told)
    compare = recordlinkage.Compare()
    compare.string("name", "name", method="jarowinkler", threshold=0.9, label="name")
    compare.exact("born", "born", label="born", missing_value=0)
    compare.exact("sex", "sex", label="sex")
    compare.exact("phone", "phone", label="phone")
    compare.string("address", "address", method="jarowinkler", threshold=0.95, label="address")
    compare.exact("card", "card", label="card")
    features = compare.compute(candidates, told)
    for field in ("phone", "card", "address"):
        empty = {place for place, value in told[field].items() if value == ""}
        without = [one in empty or other in empty for one, other in features.index]
        features.loc[without, field] = 0
    matches = recordlinkage.ECMClassifier(binarize=0.5).fit_predict(features)
    print(json.dumps({"name": "recordlinkage, ECM", "pairs": [[int(one), int(other)] for one, other in matches]}))


if __name__ == "__main__":
    main(sys.argv[1])
