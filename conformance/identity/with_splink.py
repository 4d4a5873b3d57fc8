"""splink on the same records, as its documentation recommends it: weights learned by EM, two thresholds.

Runs in an environment of its own; reads records.csv, prints a line of JSON a threshold.
"""

from __future__ import annotations

import json
import sys

import pandas as pd
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on


def main(path: str) -> None:
    """Prints the pairs that are joined at each threshold."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False).replace("", None)
    table["year"] = table["born"].str[:4]
    table["phone"] = table["phone"].str.replace(r"^\+86|\D", "", regex=True)
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="place",
        comparisons=[
            cl.JaroWinklerAtThresholds("name", [0.9, 0.7]),
            cl.DamerauLevenshteinAtThresholds("born", [1, 2]),
            cl.ExactMatch("sex"),
            cl.ExactMatch("phone"),
            cl.JaroWinklerAtThresholds("address", [0.95, 0.85]),
            cl.DamerauLevenshteinAtThresholds("card", [1]),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("card"), block_on("phone"), block_on("name", "year"), block_on("born"), block_on("house", "local"),
        ],
    )  # fmt: skip
    linker = Linker(DuckDBAPI().register(table), settings)
    linker.training.estimate_probability_two_random_records_match([block_on("card")], recall=0.5)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("born"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("name"))
    found = linker.inference.predict(threshold_match_probability=0.5).as_pandas_dataframe()
    for threshold in (0.95, 0.999):
        kept = found[found["match_probability"] >= threshold]
        pairs = [[int(a), int(b)] for a, b in zip(kept["place_l"], kept["place_r"], strict=True)]
        print(json.dumps({"name": f"splink, p >= {threshold}", "pairs": pairs}))


if __name__ == "__main__":
    main(sys.argv[1])
