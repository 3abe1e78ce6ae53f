"""Insulin independence as a whole: sensible in the extremes, recovers what is known."""

import numpy as np
import pandas as pd
import pytest
from published_style import evidence_of, simulate, truth
from scipy import special, stats

from analysis import durations
from analysis.models import durability, duration, ever, independence, tabulated
from analysis.models.families import FAMILIES
from analysis.models.result import ESTIMATE_COLUMNS

QUICK = {"draws": 400, "tune": 400, "gate": False}


def row(fact, study="one", **cells) -> dict:
    return {"study_id": study, "fact": fact, "bound": "exact", **cells}


def quick(monkeypatch, families=("weibull",)):
    """Fewer draws and families, without the gate: for sense, not for numbers."""
    monkeypatch.setattr(independence, "SAMPLING", QUICK)
    monkeypatch.setattr(independence, "FAMILIES", families)


def survival_of(result, estimand, group="all"):
    rows = result.estimates
    rows = rows[(rows["estimand"] == estimand) & (rows["group"] == group)]
    assert len(rows) == 1
    return rows.iloc[0]


TABLES = {
    "ever_facts", "ever_exclusions", "ever_contrasts", "ever_moderators", "duration_facts",
    "duration_exclusions", "durability_curve", "durability_landmarks", "durability_families",
    "durability_extrapolation", "swimmer", "independence_checks", "independence_loo",
    "independence_prior_posterior",
}  # fmt: skip


def sensible(result):
    """Every estimate is finite, ordered, has a k and n, and survival falls with time."""
    rows = result.estimates
    assert list(rows.columns) == ESTIMATE_COLUMNS
    numbers = rows[["k_studies", "n_patients", "mean", "sd", "ci_low", "ci_high"]].to_numpy(float)
    assert np.isfinite(numbers).all()
    assert (rows["ci_low"] <= rows["mean"]).all() and (rows["mean"] <= rows["ci_high"]).all()
    assert (rows["pred_low"] <= rows["pred_high"]).all()
    shares = rows[rows["scale"] == "probability"]
    assert shares["ci_low"].ge(0).all() and shares["ci_high"].le(1).all()
    for group in set(rows["group"]) - {"T1D", "T2D", "controlled", "uncontrolled"}:
        s = [survival_of(result, f"s_{t}", group)["mean"] for t in durability.HORIZONS]
        assert s == sorted(s, reverse=True)
    assert set(result.tables) == TABLES


def test_without_any_row_the_tables_are_empty_but_there(evidence):
    result = independence.run(evidence_of(evidence, []), seed=1)
    assert result.estimates.empty
    assert not result.fits
    assert set(result.tables) == TABLES
    assert all(table.empty and len(table.columns) for table in result.tables.values())


def test_a_study_with_nobody_independent_bounds_the_share_of_all_treated(evidence, monkeypatch):
    quick(monkeypatch)
    result = independence.run(evidence_of(evidence, [row("ever", n_total=20.0, k=0.0)]), seed=1)
    sensible(result)
    assert survival_of(result, "p_ever", "ahsct")["ci_high"] < 0.45
    assert survival_of(result, "s_12_unconditional")["ci_high"] < 0.45
    alone = survival_of(result, "s_60")
    assert alone["k_studies"] == 0 and "prior only" in alone["note"]


def test_a_study_with_all_still_independent_leaves_long_durations_open(evidence, monkeypatch):
    quick(monkeypatch)
    rows = [row("ever", n_total=15.0, k=15.0), row("at_time", n_total=15.0, k=15.0, months=24.0)]
    result = independence.run(evidence_of(evidence, rows), seed=1)
    sensible(result)
    assert survival_of(result, "s_12")["ci_low"] > 0.6
    far = survival_of(result, "s_120")
    assert far["ci_high"] - far["ci_low"] > 0.5
    assert "96 months beyond the longest observed (24)" in far["note"]
    curve = result.tables["durability_curve"]
    assert (curve["beyond_data"] == (curve["months"] > 24)).all()


def test_a_median_with_a_range_alone_is_enough(evidence, monkeypatch):
    quick(monkeypatch, FAMILIES)
    rows = [row("duration_summary", k=21.0, duration_statistic="median", value=43.0, low=6.0,
                high=100.0, bound="")]  # fmt: skip
    result = independence.run(evidence_of(evidence, rows), seed=1)
    sensible(result)
    half = survival_of(result, "median")
    assert half["ci_low"] > 15 and half["ci_low"] < 43 < half["ci_high"] < 120
    assert survival_of(result, "s_6")["mean"] > 0.85
    assert not (result.estimates["outcome"] == "ever_independent").any()
    weights = result.tables["durability_families"].query("group == 'all'")
    assert weights["weight"].sum() == pytest.approx(1.0)
    assert set(weights["family"]) == set(FAMILIES)


def test_the_tracked_evidence_in_outline(evidence, monkeypatch):
    quick(monkeypatch)
    result = independence.run(evidence, seed=1)
    sensible(result)
    # Audit A1: best patients as a sample give S(60) above 0.7; a consistent layer about 0.2.
    ahsct = survival_of(result, "s_60", "ahsct")
    assert 0.05 < ahsct["mean"] < 0.4
    assert (
        survival_of(result, "p_ever", "ahsct")["mean"]
        > survival_of(result, "p_ever", "psc_progenitor")["mean"]
    )
    swimmer = result.tables["swimmer"]
    assert not swimmer.loc[swimmer["study_id"] == "couri2009", "used_in_model"].any()
    share = result.tables["durability_extrapolation"].set_index("group")
    assert (
        share.loc["psc_islet", "share_rmst120_beyond"] > share.loc["ahsct", "share_rmst120_beyond"]
    )
    checks = result.tables["independence_checks"]
    assert set(checks["stage"]) == {"prior", "posterior"}
    assert checks["tail_probability"].between(0, 1).all()


def test_many_patients_recover_the_curve_they_came_from(evidence):
    rng = np.random.default_rng(8)
    rows = []
    for i in range(6):
        lasted = np.exp(3.0) / np.log(2) ** (1 / 1.5) * rng.weibull(1.5, 60)
        rows += [
            row("patient", f"study{i}", n_total=60.0, value=round(max(t, 0.1), 2), bound="",
                status="resumed" if t < 50 else "ongoing", sampling="all",
                patient_label=f"{j}")
            for j, t in enumerate(np.minimum(lasted, 50))
        ]  # fmt: skip
    facts, _ = durations.layer(evidence_of(evidence, rows))
    assert facts["count"].sum() == 360
    fit = duration.fit(duration.likelihoods(facts, "weibull"), "weibull", seed=3, draws=500)
    draws = durability.of_fit(fit, "weibull")
    s = draws.survival(draws.class_mean[:, tabulated.CLASSES.index("ahsct")], np.array([12.0, 36]))
    low, high = np.quantile(s, [0.025, 0.975], axis=0)
    known = truth([12.0, 36.0], log_median=3.0, shape=1.5)
    assert (low < known).all() and (known < high).all()
    assert (high - low < 0.25).all()


# --- pieces -------------------------------------------------------------------------------------


def counts(k, n, bound="exact"):
    return pd.DataFrame(
        {"study_id": [f"s{i}" for i in range(len(k))], "cell_class": "ahsct", "k": k, "n": n,
         "bound": bound}
    )  # fmt: skip


def test_a_lower_bound_is_the_chance_of_so_many_or_more():
    logit = np.array([-1.0, 0.5])
    found = ever.log_likelihood(counts([7.0], [10.0], "at_least"), logit)
    expected = [np.log(stats.binom.pmf(range(7, 11), 10, special.expit(x)).sum()) for x in logit]
    assert found[0] == pytest.approx(expected)


def test_a_zero_is_kept():
    found = ever.log_likelihood(counts([0.0], [12.0]), [-2.0, 0.0])
    assert found[0] == pytest.approx(12 * np.log1p(-special.expit([-2.0, 0.0])))


def test_the_odds_against_control_keep_a_zero_finite():
    pairs = counts([3.0], [27.0]).assign(k_control=0.0, n_control=26.0)
    found = ever.contrasts(pairs).iloc[0]
    assert found["log_odds_ratio_ci_low"] < found["log_odds_ratio_mean"]
    assert 0 < found["log_odds_ratio_mean"] < 8
    assert np.isfinite(found["log_odds_ratio_ci_high"])


def exponential_draws(median, n=1):
    classes = len(tabulated.CLASSES)
    return durability.Draws(
        np.zeros(n, int), np.full(n, np.log(median)), np.full(n, 0.1), np.full(n, 0.1),
        np.zeros(n), np.full(n, 0.2), np.full((n, classes), np.log(median)),
    )  # fmt: skip


def test_restricted_mean_and_median_of_an_exponential_in_closed_form():
    draws = exponential_draws(20.0)
    rate = np.log(2) / 20
    near = draws.survival(draws.mu, durability.GRID)
    far = draws.survival(draws.mu, durability.FAR)
    assert durability.restricted_mean(near, 60)[0] == pytest.approx(
        -np.expm1(-60 * rate) / rate, rel=1e-3
    )
    tail = (np.exp(-33.5 * rate) - np.exp(-60 * rate)) / rate
    assert durability.restricted_mean(near, 60, 33.5)[0] == pytest.approx(tail, rel=1e-3)
    assert durability.restricted_mean(near, 60, 80.0)[0] == 0
    assert durability.median(far)[0] == pytest.approx(20, rel=0.01)


def test_a_curve_that_never_falls_to_half_has_its_median_at_the_end():
    assert durability.median(np.full((1, durability.FAR.size), 0.8))[0] == durability.CENTURY


def test_the_average_takes_families_in_proportion_to_their_weights():
    draws = {name: exponential_draws(10.0, 50) for name in FAMILIES}
    weights = dict(zip(FAMILIES, (0.5, 0.3, 0.2, 0.0, 0.0, 0.0), strict=True))
    assert durability.average(draws, weights, n=1000).mu.size == 1000


def test_moderators_are_read_from_columns(evidence):
    table, _ = durations.ever_counts(evidence)
    x = ever.design(table)
    assert x.shape == (len(table), len(ever.MODERATORS))
    assert x[:, 0].sum() == (table["diabetes_type"] == "T2D").sum()
    assert (x[:, 1] * x[:, 2]).sum() == 0


# --- simulation ---------------------------------------------------------------------------------

REPLICATES = 200
MONTHS = (12, 24, 60)


def covered(replicate: int, real) -> list[bool]:
    """Whether the 95 % bands of S(t), all families averaged, hold the truth: at each of MONTHS."""
    independence.SAMPLING = {"draws": 400, "tune": 400, "gate": False}
    made = evidence_of(real, simulate(np.random.default_rng(replicate)))
    result = independence.run(made, seed=replicate)
    found = []
    for t, known in zip(MONTHS, truth(MONTHS), strict=True):
        s = survival_of(result, f"s_{t}")
        found.append(bool(s["ci_low"] <= known <= s["ci_high"]))
    return found


@pytest.mark.slow
def test_bands_from_published_style_summaries_cover_the_known_curve(evidence):
    from joblib import Parallel, delayed

    found = np.array(Parallel(n_jobs=2)(delayed(covered)(i, evidence) for i in range(REPLICATES)))
    coverage = found.mean()
    assert 0.90 <= coverage <= 0.99, found.mean(axis=0)
