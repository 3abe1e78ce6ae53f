"""Insulin independence as a whole: sensible in the extremes, recovers what is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from analysis import durations
from analysis.exact.families import FAMILIES
from analysis.models import durability, duration, ever, independence, tabulated
from analysis.models.result import ESTIMATE_COLUMNS
from analysis.patient_level import (
    MONTHS,
    Curve,
    drawn_curve,
    evidence_of,
    evidence_told,
    simulate,
    study,
    summarised,
)

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
    "durability_onset",
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
    with_curve = set(rows.loc[rows["outcome"] == "independence_survival", "group"])
    assert with_curve == {"all", *result.tables["duration_facts"]["cell_class"]}
    for group in with_curve:
        for ending in ("", "_unconditional"):
            estimands = [f"s_{t}{ending}" for t in durability.HORIZONS]
            if not ending or (rows["outcome"] == "ever_independent").any():
                s = [survival_of(result, estimand, group)["mean"] for estimand in estimands]
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
    # 0 of 20 speaks of this study; a typical study may still differ. Exact, by importance sampling:
    rng, n = np.random.default_rng(0), 400_000
    typical, this = np.cumsum(
        [
            rng.normal(0, 1.5, n) + abs(rng.normal(0, 1, n)) * rng.standard_normal(n),
            abs(rng.normal(0, 1, n)) * rng.standard_normal(n),
        ],
        axis=0,
    )
    weight = (1 - special.expit(this)) ** 20
    ever_free = survival_of(result, "p_ever", "ahsct")
    assert ever_free["mean"] == pytest.approx(
        np.average(special.expit(typical), weights=weight), abs=0.02
    )
    order = np.argsort(typical)
    exact = np.interp(0.975, np.cumsum(weight[order]) / weight.sum(), typical[order])
    assert ever_free["ci_high"] == pytest.approx(special.expit(exact), abs=0.07)
    assert result.tables["ever_facts"]["shrunk_high"].item() < 0.2
    assert survival_of(result, "s_12_unconditional")["ci_high"] < ever_free["ci_high"]
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
    # The study itself is known well; the typical study only through it, as far as studies differ:
    # the 95 % interval of its log median is not much over half as wide as the prior's.
    own = np.exp(result.fits["duration_weibull"].draws("eta")[:, 0])
    low, high = np.quantile(own, [0.025, 0.975])
    assert 22 < low < 43 < high < 75
    half = survival_of(result, "median")
    assert 10 < half["ci_low"] < low and high < half["ci_high"] < 150
    assert 30 < half["mean"] < 50
    prior = 2 * 1.96 * np.hypot(1.0, 0.5)
    assert np.log(half["ci_high"] / half["ci_low"]) < 0.6 * prior
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
    kinds = result.estimates.query("outcome == 'ever_independent'").groupby("group_kind")["group"]
    assert set(kinds.get_group("onset")) == {"new", "longstanding", "unstated"}
    assert set(kinds.get_group("conditioning")) == {"conditioning", "no_conditioning"}
    loo = result.tables["independence_loo"]
    assert np.isfinite(loo["elpd"]).all()
    assert loo["refitted"].equals(loo["pareto_k"] > independence.MAX_PARETO_K)
    onset = result.tables["durability_onset"].query("group == 'ahsct'").set_index("onset")["s_60"]
    assert onset.max() - onset.min() < 0.1
    checks = result.tables["independence_checks"]
    assert set(checks["stage"]) == {"prior", "posterior"}
    assert checks["tail_probability"].between(0, 1).all()


def test_a_study_unlike_the_rest_is_left_out_by_a_fit_without_it(evidence, monkeypatch):
    quick(monkeypatch)
    listed = [(f"study{i}", t) for i in range(3) for t in (20.0, 25.0, 30.0, 35.0, 40.0)]
    listed += [("odd", t) for t in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)]
    rows = [
        row("patient", name, n_total=9.0, value=t, bound="", status="resumed", sampling="all")
        for name, t in listed
    ]
    facts, _ = durations.layer(evidence_of(evidence, rows))
    found = []
    for limit in (-1.0, np.inf):
        monkeypatch.setattr(independence, "MAX_PARETO_K", limit)
        found.append(independence._fit_families(facts, {}, 1, 32, lambda name: None))
    exact, smoothed = (pd.Series(one.elpd[:, 0], one.studies) for one in found)
    assert (exact - smoothed).drop("odd").abs().max() < 0.3
    assert exact["odd"] != smoothed["odd"] and np.isfinite(exact["odd"])


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
    known = Curve(3.0, shape=1.5).survival([12.0, 36.0])
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
ENSEMBLES = 100
"""Replicates with all families, each of which costs as much as six of the others."""


@pytest.mark.slow
def test_bands_from_published_style_summaries_cover_the_known_curve(evidence):
    found = summarised(study(evidence, REPLICATES, ["published"], jobs=2))
    assert 0.90 <= found["coverage_95"].mean() <= 0.99, found
    assert found["bias"].abs().max() < 0.05, found


def covered(replicate: int, real) -> list[bool]:
    """Whether the 95 % bands of S(t), all families averaged, hold the truth at each of MONTHS."""
    independence.SAMPLING = {"draws": 500, "tune": 300, "chains": 2, "gate": False}
    rng = np.random.default_rng(replicate)
    curve = drawn_curve(rng)
    trials = simulate(rng, curve)
    facts, _ = durations.layer(evidence_told(real, trials, "published"))
    ensemble = independence._fit_families(facts, {}, replicate, len(trials), lambda name: None)
    group = durability.groups(facts, np.zeros(len(tabulated.CLASSES)))[0]
    near = durability.curves(ensemble.average, group, seed=0).near[:, list(MONTHS)]
    low, high = np.quantile(near, [0.025, 0.975], axis=0)
    known = curve.survival(MONTHS)
    return list((low <= known) & (known <= high))


@pytest.mark.slow
def test_bands_of_the_families_averaged_cover_the_known_curve(evidence):
    from joblib import Parallel, delayed

    found = np.array(Parallel(n_jobs=2)(delayed(covered)(i, evidence) for i in range(ENSEMBLES)))
    assert 0.90 <= found.mean() <= 0.99, found.mean(axis=0)
