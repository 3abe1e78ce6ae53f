"""A rerun compared with the tracked results: each figure by its own error."""

import numpy as np
import pandas as pd
import pytest

from analysis import reproduction
from analysis.models.result import estimates_table


def estimates(**changes) -> pd.DataFrame:
    row = {"outcome": "hba1c", "group_kind": "all", "group": "all", "estimand": "mean",
           "scale": "difference", "unit": "points", "k_studies": 9, "n_patients": 200,
           "mean": -0.8, "sd": 0.2, "ci_low": -1.2, "ci_high": -0.4, "pred_low": -2.0,
           "pred_high": 0.4, "tau": 0.5, "method": "nuts"}  # fmt: skip
    return estimates_table([{**row, **changes}])


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "identical"),
        ({"mean": -0.81}, "within Monte-Carlo error"),
        ({"mean": -0.70}, "different"),
        ({"k_studies": 10}, "different"),
        ({"pred_low": np.nan}, "different"),
    ],
)
def test_a_rerun_is_judged_by_monte_carlo_error(changes, verdict):
    compared = reproduction.compare(estimates(), estimates(**changes))
    assert compared["verdict"].tolist() == [verdict]


def test_a_deterministic_method_must_give_the_same_number():
    compared = reproduction.compare(estimates(method="dl"), estimates(method="dl", mean=-0.801))
    assert compared["verdict"].tolist() == ["different"]


def test_missing_and_new_estimates_are_told_apart():
    compared = reproduction.compare(estimates(), estimates(estimand="other"))
    assert sorted(compared["verdict"]) == ["missing", "new"]


def test_estimate_columns_are_closed():
    with pytest.raises(KeyError, match="colour"):
        estimates_table([{"colour": "red"}])
