"""Counts of patients: what a lower bound leaves open, in the facts and in their interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.counting import share_facts
from analysis.stages import shares

STRATUM = {"outcome": "insulin_free_12", "approach": "islet_replacement", "population": "t1d"}


def facts(*rows: tuple[float, float, str, float]) -> pd.DataFrame:
    """Counts: k, n, bound and those not counted."""
    table = pd.DataFrame(rows, columns=["k", "n", "bound", "not_counted"])
    return table.assign(study_id=[f"s{i}" for i in range(len(rows))], month=12.0)


@pytest.mark.parametrize(
    ("row", "most"),
    [
        ((10, 14, "exact", np.nan), 10),
        ((10, 14, "at_least", 2), 12),
        ((10, 14, "at_least", np.nan), 14),  # the source's own lower bound: all may be
    ],
)
def test_the_most_a_count_can_be_is_itself_and_those_not_counted(row, most):
    assert share_facts.most(facts(row)).tolist() == [most]


def test_those_not_counted_are_told_where_the_source_counts_fewer_than_were_treated(evidence):
    told = share_facts.table(evidence).facts
    known = told[told["not_counted"].notna()]
    assert len(known) and (known["bound"] == "at_least").all()
    assert (known["not_counted"] == known["n"] - known["n_seen"]).all()
    assert (known["bound_seen"] == "exact").all()
    most = share_facts.most(told)
    assert ((told["k"] <= most) & (most <= told["n"])).all()
    assert (most[told["bound"] == "exact"] == told.loc[told["bound"] == "exact", "k"]).all()


def test_the_interval_of_at_least_10_of_14_ends_where_that_of_12_of_14_does():
    (row,) = shares.pooled(STRATUM, facts((10, 14, "at_least", 2)))
    assert row["ci_low"] == pytest.approx(stats.beta(10, 5).ppf(0.025))
    assert row["ci_high"] == pytest.approx(stats.beta(13, 2).ppf(0.975))
    (row,) = shares.pooled(STRATUM, facts((10, 14, "at_least", np.nan)))
    assert row["ci_high"] == 1.0


def test_cohorts_counted_in_full_cap_a_pooled_lower_bound():
    (row,) = shares.pooled(STRATUM, facts((10, 14, "at_least", np.nan), (0, 26, "exact", np.nan)))
    assert row["ci_high"] == pytest.approx(stats.beta(15, 26).ppf(0.975))


@given(st.integers(0, 10), st.integers(0, 5), st.integers(0, 5))
def test_the_interval_of_a_lower_bound_covers_that_of_every_count_it_leaves_open(k, missed, rest):
    n = k + missed + rest + 1
    bound = "at_least" if missed else "exact"
    (row,) = shares.pooled(STRATUM, facts((k, n, bound, missed or np.nan)))
    for true in range(k, k + missed + 1):
        interval = stats.binomtest(true, n).proportion_ci(method="exact")
        assert row["ci_low"] <= interval.low + 1e-9 and interval.high <= row["ci_high"] + 1e-9
