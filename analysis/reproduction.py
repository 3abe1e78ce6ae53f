"""Whether a rerun gives the same: estimates compared, each figure by its own error."""

from __future__ import annotations

import numpy as np
import pandas as pd

KEY = ["outcome", "group_kind", "group", "estimand", "scale", "method"]
NUMBERS = ["k_studies", "n_patients", "mean", "sd", "ci_low", "ci_high", "pred_low", "pred_high"]


def compare(tracked: pd.DataFrame, again: pd.DataFrame) -> pd.DataFrame:
    """Compare two tables of estimates, row by row.

    Returns one row an estimate with `verdict`: identical (to 1e-6 relative), within Monte-Carlo
    error, different, missing or new. Monte-Carlo error is judged for the mean as 0.28 posterior
    SDs: four standard errors of a difference of two means at the gate's least effective sample
    size of 400, 4 * sqrt(2 / 400). Interval ends may differ by twice that. Counts must be equal.
    """
    both = tracked.merge(again, on=KEY, how="outer", suffixes=("", "_again"), indicator=True)
    both["verdict"] = [_verdict(row) for row in both.to_dict("records")]
    both["difference"] = both["mean_again"] - both["mean"]
    return both[[*KEY, "mean", "mean_again", "sd", "difference", "verdict"]]


def _verdict(row: dict) -> str:
    if row["_merge"] != "both":
        return "missing" if row["_merge"] == "left_only" else "new"
    old = np.array([row[name] for name in NUMBERS], dtype=float)
    new = np.array([row[f"{name}_again"] for name in NUMBERS], dtype=float)
    if np.allclose(old, new, rtol=1e-6, atol=1e-9, equal_nan=True):
        return "identical"
    if row["method"] != "nuts" or not np.array_equal(np.isnan(old), np.isnan(new)):
        return "different"
    sd = row["sd"] if np.isfinite(row["sd"]) and row["sd"] > 0 else abs(row["mean"])
    error = 4 * np.sqrt(2 / 400) * sd
    allowed = np.array([0, 0, error, error, 2 * error, 2 * error, 3 * error, 3 * error])
    near = np.abs(old - new) <= allowed + 1e-9
    return "within Monte-Carlo error" if np.all(near | np.isnan(old)) else "different"
