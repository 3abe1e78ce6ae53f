"""The frequentist cross-check against closed forms, a published data set and the real effects."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import crosscheck, effects


def test_equal_variances_by_hand():
    # With equal variances every weight is equal and DL = PM = sample variance - v.
    y, v = np.array([0.0, 1.0, 2.0, 5.0]), np.full(4, 0.5)
    tau2 = np.var(y, ddof=1) - 0.5
    for method in crosscheck.METHODS:
        found = crosscheck.pool(y, v, method)
        assert found["mean"] == pytest.approx(2.0)
        assert found["tau"] == pytest.approx(math.sqrt(tau2), rel=1e-4)
        error = math.sqrt((tau2 + 0.5) / 4)
        assert found["sd"] == pytest.approx(error, rel=1e-4)
        width = stats.t.isf(0.025, 3) if method == "hksj" else stats.norm.isf(0.025)
        assert found["ci_high"] == pytest.approx(2 + width * error, rel=1e-4)
        half = stats.t.isf(0.025, 2) * math.sqrt(tau2 + error**2)
        assert found["pred_high"] == pytest.approx(2 + half, rel=1e-4)


def test_homogeneous_studies_are_pooled_by_inverse_variance():
    y, v = np.array([1.0, 1.1, 0.9]), np.array([1.0, 0.5, 0.25])
    for method in ("dl", "pm"):
        found = crosscheck.pool(y, v, method)
        assert found["tau"] == 0
        assert found["mean"] == pytest.approx(np.average(y, weights=1 / v))
        assert found["sd"] == pytest.approx(1 / math.sqrt(np.sum(1 / v)))


@pytest.mark.parametrize("seed", range(30))
def test_paule_mandel_solves_its_equation(seed):
    rng = np.random.default_rng(seed)
    k = 2 + seed % 9
    v = rng.uniform(0.01, 0.5, k)
    y = rng.normal(0, np.sqrt(v + 0.5))
    tau2 = crosscheck.pool(y, v, "pm")["tau"] ** 2
    w = 1 / (v + tau2)
    q = float(np.sum(w * (y - np.average(y, weights=w)) ** 2))
    assert q == pytest.approx(k - 1, abs=1e-4) if tau2 > 0 else q <= k - 1


def test_two_studies_far_apart_are_heterogeneous():
    # With a tolerance of 1e-10 statsmodels 0.15 answers 0 here; Q(0) is 53 on 1 degree of freedom.
    found = crosscheck.pool([-0.98495354, 1.08641702], [0.06436126, 0.01636137], "pm")
    assert found["tau"] == pytest.approx(math.sqrt(2.1049266654838883))


@pytest.mark.parametrize(
    ("y", "v"),
    [([0.5, 0.5, 0.5], [0.04, 0.04, 0.04]), ([0.5, 0.51, 0.505], [0.04, 0.05, 0.06]),
     ([0.1, 0.1], [0.2, 0.3])],
)  # fmt: skip
def test_studies_that_agree_by_chance_do_not_narrow_the_hartung_knapp_interval(y, v):
    found = crosscheck.pool(y, v, "hksj")
    common = 1 / math.sqrt(np.sum(1 / np.array(v)))
    assert found["sd"] == pytest.approx(common)
    width = stats.t.isf(0.025, len(y) - 1)
    assert found["ci_high"] - found["ci_low"] == pytest.approx(2 * width * common)


@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.floats(0.01, 2)), min_size=2, max_size=8
    )
)  # fmt: skip
def test_hartung_knapp_is_never_narrower_than_the_common_effect_interval(studies):
    y, v = np.array(studies).T
    found = crosscheck.pool(y, v, "hksj")
    common = stats.norm.isf(0.025) / math.sqrt(np.sum(1 / v))
    assert found["ci_high"] - found["mean"] >= common * (1 - 1e-9)


def test_two_studies_are_told_to_say_nothing(evidence):
    rows = effects.for_stratum(effects.build(evidence).effects, "hba1c")
    two = rows[rows["kind"].eq("numeric") & rows["var_a"].notna()].head(2)
    notes = {row["method"]: row["note"] for row in crosscheck.figures(two)}
    assert crosscheck.NOTHING_AT_TWO in notes["hksj"]
    assert not notes["pm"]
    assert crosscheck.figures(rows[rows["kind"].eq("interval")]) == []


def test_one_and_two_studies():
    one = crosscheck.pool([0.4], [0.04], "pm")
    assert (one["mean"], one["sd"]) == pytest.approx((0.4, 0.2))
    assert math.isnan(one["tau"])
    two = crosscheck.pool([0.4, 0.6], [0.04, 0.04], "dl")
    assert two["mean"] == pytest.approx(0.5)
    assert math.isnan(two["pred_low"])


@pytest.mark.parametrize(
    ("y", "v", "method"),
    [([], [], "dl"), ([1.0], [0.0], "dl"), ([math.nan, 1.0], [1.0, 1.0], "pm"),
     ([1.0, 2.0], [1.0], "dl"), ([1.0], [1.0], "reml")],
)  # fmt: skip
def test_impossible_input_is_refused(y, v, method):
    with pytest.raises(ValueError, match=r"\w"):
        crosscheck.pool(y, v, method)
