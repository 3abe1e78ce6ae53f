"""The safety model: zeros kept, closed-form checks beside it, sensible in the extremes."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_harms import fact, told

from analysis import harms, priors
from analysis.models import safety
from analysis.models.result import ESTIMATE_COLUMNS
from analysis.models.sampling import compile_model

TABLES = {
    "safety_facts", "safety_lower_bounds", "safety_exclusions", "safety_controls",
    "safety_by_strategy", "safety_strategy_contrasts", "safety_silent", "safety_summary",
    "safety_checks", "safety_prior_posterior", "safety_new_study_rates",
}  # fmt: skip


def cohorts(events, patients=20.0, months=12.0, **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "events": np.asarray(events, dtype=float),
            "n_at_risk": patients,
            "months": months,
            "cell_class": "ahsct",
            "diabetes_type": "T1D",
            **columns,
        }
    )


@pytest.fixture(scope="module")
def sampler():
    """The graph, compiled once for the whole module."""
    return compile_model(safety.build(), "safety test")


@pytest.fixture(scope="module")
def fit(sampler):
    def one(rows, seed=1, draws=500, **choices):
        data = safety.design_arrays(rows, **choices)
        return sampler.fit(
            "test", seed=seed, data=data, tune=400, draws=draws, target_accept=0.95, gate=False
        )

    return one


@pytest.fixture
def run(sampler, monkeypatch):
    """`safety.run` with the compiled graph, fewer draws and no gate: for sense, not numbers."""

    class Quick:
        def fit(self, name, *, seed, data, **sampling):
            return sampler.fit(
                name, seed=seed, data=data, tune=300, draws=300, target_accept=0.95, gate=False
            )

    monkeypatch.setattr(safety, "compile_model", lambda model, name: Quick())
    monkeypatch.setattr(safety, "build", lambda: None)
    return lambda evidence: safety.run(evidence, seed=7)


def upper(fit) -> float:
    return float(np.quantile(safety.pooled_rate(fit), 0.95))


# --------------------------------------------------------------------------------------- model


def test_zero_events_give_a_bound_that_falls_with_more_patients(fit):
    few, many = fit(cohorts([0])), fit(cohorts([0] * 8, patients=60.0))
    assert 0 < upper(many) < upper(few) < 100


def test_all_patients_with_the_event_is_a_high_rate(fit):
    rate = safety.pooled_rate(fit(cohorts([20] * 4)))
    assert np.isfinite(rate).all()
    assert np.quantile(rate, 0.05) > 30


def test_a_known_rate_is_recovered(fit):
    rng = np.random.default_rng(4)
    truth = 10.0
    events = rng.binomial(60, 1 - np.exp(-truth / 100), size=8)
    classes = ["ahsct", "psc_islet", "msc_umbilical", "bm_mnc"] * 2
    rate = safety.pooled_rate(fit(cohorts(events, patients=60.0, cell_class=classes)))
    assert np.quantile(rate, 0.025) < truth < np.quantile(rate, 0.975)


def test_the_same_seed_gives_the_same_draws(fit):
    first, second = fit(cohorts([1, 0]), draws=300), fit(cohorts([1, 0]), draws=300)
    assert np.array_equal(first.draws("mu"), second.draws("mu"))


def weighted_prior(rows: pd.DataFrame, n: int = 200_000, **choices):
    """Mean and SD of the first cohort's expected log rate: draws of the prior, weighted by the
    likelihood of the counts in `scipy`, every cohort with a deviation of its own."""
    rng = np.random.default_rng(11)
    arrays = safety.design_arrays(rows, **choices)
    centre, tau = safety.prior_centres(arrays, n, rng)
    log_weight = np.zeros(n)
    for i, row in enumerate(rows.to_dict("records")):
        for _ in range(int(row.get("copies", 1))):
            log_rate = centre[:, i] + tau * rng.standard_normal(n)
            p = -np.expm1(-np.exp(log_rate) * arrays["years"][i])
            k, patients = row["events"], row["n_at_risk"]
            if row.get("bound") == "at_least":
                log_weight += stats.binom.logsf(k - 1, patients, p)
            else:
                log_weight += stats.binom.logpmf(k, patients, p)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = weight @ centre[:, 0]
    return mean, np.sqrt(weight @ (centre[:, 0] - mean) ** 2)


MIXED = cohorts(
    [2, 0, 1, 3],
    patients=[20.0, 30.0, 15.0, 12.0],
    months=[6.0, 24.0, 12.0, 36.0],
    cell_class=["ahsct", "psc_islet", "ahsct", "psc_islet"],
    diabetes_type=["T1D", "T2D", "T1D", "T1D"],
    strategy=["conditioning", "immunosuppression", "neither", "unstated"],
)


@pytest.mark.parametrize(
    ("rows", "choices"),
    [
        (MIXED, {}),
        (MIXED, {"exposure": False}),
        (MIXED, {"by_strategy": True}),
        (MIXED.assign(bound=["exact", "exact", "at_least", "at_least"]), {}),
        (MIXED.assign(copies=[1.0, 3.0, 1.0, 1.0]), {}),
    ],
    ids=["rates", "risks", "strategies", "lower bounds", "copies"],
)
def test_the_posterior_is_the_prior_weighted_by_the_binomial_likelihood(fit, rows, choices):
    mean, sd = weighted_prior(rows, **choices)
    draws = safety.study_centres(safety.design_arrays(rows, **choices), fit(rows, **choices))
    assert draws[:, 0].mean() == pytest.approx(mean, abs=0.12)
    assert draws[:, 0].std() == pytest.approx(sd, rel=0.12)


def test_a_lower_bound_says_less_than_the_count_and_pulls_upward(fit):
    base = cohorts([0, 0])
    with_two = pd.concat([base, cohorts([2])], ignore_index=True)
    bound = with_two.assign(bound=["exact", "exact", "at_least"])
    without, exact, at_least = (fit(rows).draws("mu") for rows in (base, with_two, bound))
    assert without.mean() < exact.mean() < at_least.mean()


def test_without_a_lower_bound_the_rows_have_no_terms_but_one():
    arrays = safety.design_arrays(cohorts([0, 1]))
    assert arrays["log_ways"].shape == (2, 1) and arrays["n_exact"] == 2
    assert (arrays["log_ways"] == safety.IMPOSSIBLE).all()


def test_the_terms_of_a_lower_bound_are_those_of_the_binomial_distribution():
    rows = cohorts([1, 3, 1], patients=10.0, bound=["exact", "at_least", "at_least"])
    arrays = safety.design_arrays(rows)
    assert arrays["n_exact"] == 1
    p = 0.2
    fewer = arrays["fewer"]
    logs = arrays["log_ways"][1:] + fewer * np.log(p) + (10 - fewer) * np.log1p(-p)
    assert np.exp(logs).sum(axis=1) == pytest.approx(stats.binom.cdf([2, 0], 10, p))


def test_the_type_of_diabetes_is_measured_from_the_mix_of_the_cohorts():
    rows = cohorts([0, 0], diabetes_type=["T1D", "T2D"], copies=[1.0, 3.0])
    assert safety.design_arrays(rows)["type_2"].tolist() == [-0.75, 0.25]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (cohorts([]), "no cohorts"),
        (cohorts([0], months=0.0), "length of follow-up"),
        (cohorts([0], months=np.nan), "length of follow-up"),
        (cohorts([21]), "more events than patients"),
        (cohorts([1, 0], bound=["at_least", "exact"]), "come after"),
        (cohorts([0], bound="at_least"), "says nothing"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        safety.design_arrays(rows)


def test_a_risk_needs_no_length_of_follow_up():
    arrays = safety.design_arrays(cohorts([0], months=np.nan), exposure=False)
    assert arrays["years"].tolist() == [1.0]


# --------------------------------------------------------------------------- from draws to tables


def test_a_cohorts_own_rate_lies_between_its_count_and_the_others(fit):
    rows = cohorts([30, 1, 1, 1], patients=[100.0, 20.0, 20.0, 20.0])
    found = fit(rows)
    rates = 100 * safety.study_rates(safety.design_arrays(rows), found, seed=0)
    assert rates.shape[1] == 4
    own = -100 * np.log(1 - 0.3)
    assert safety.pooled_rate(found).mean() < rates[:, 0].mean()
    assert rates[:, 0].mean() == pytest.approx(own, rel=0.15)
    assert rates[:, 1].mean() < rates[:, 0].mean()


def test_the_rate_of_a_new_study_is_wider_than_that_of_a_typical_one(fit):
    rows = cohorts([1, 0, 2], cell_class=["ahsct", "ahsct", "psc_islet"])
    found = fit(rows)
    table = safety.new_study_rates("death", "any", rows, found)
    assert set(table["group"]) == {"all", "ahsct"}  # a class of one study has no row
    for group, part in table.groupby("group"):
        assert len(part) == safety.ATOMS
        assert (np.diff(part["rate_per_year"]) >= 0).all()
        assert part["k_studies"].eq({"all": 3, "ahsct": 2}[group]).all()
    new = 100 * table.loc[table["group"] == "all", "rate_per_year"]
    pooled = safety.pooled_rate(found)
    assert new.quantile(0.95) > np.quantile(pooled, 0.95)
    assert new.quantile(0.05) < np.quantile(pooled, 0.05)


def test_the_predictive_checks_are_centred_on_what_was_seen(fit):
    rows = cohorts([2, 3, 1, 2])
    found = fit(rows)
    table = safety.checks("death_any", "rate", rows, found, seed=3)
    assert set(table["check"]) == {"prior", "posterior"}
    after = table[table["check"] == "posterior"].set_index("statistic")
    assert after.loc["patients_with_event", "observed"] == 8
    assert after.loc["cohorts_without_event", "observed"] == 0
    assert after.loc["largest_share", "observed"] == pytest.approx(0.15)
    assert (after["pred_low"] <= after["observed"]).all()
    assert (after["observed"] <= after["pred_high"]).all()
    assert after["tail_probability"].between(0.02, 1).all()
    before = table[table["check"] == "prior"].set_index("statistic")
    width = table["pred_high"] - table["pred_low"]
    assert width[table["check"] == "prior"].max() > width[table["check"] == "posterior"].max()
    assert (before["k_studies"] == 4).all()


def test_the_prior_stands_beside_the_posterior(fit):
    table = safety.prior_posterior("death", "any", fit(cohorts([2, 3, 1, 2])))
    table = table.set_index("parameter")
    mu = priors.get("safety", "mu").params
    assert tuple(table.loc["mu", ["prior_mean", "prior_sd"]]) == mu
    tau = priors.get("safety", "tau").scale
    assert table.loc["tau", "prior_mean"] == pytest.approx(tau * np.sqrt(2 / np.pi))
    assert table.loc["mu", "sd_ratio"] < 0.6
    # Nobody had type 2 diabetes: nothing is learnt of it.
    assert table.loc["type_effect", "sd_ratio"] == pytest.approx(1, abs=0.1)


def test_the_rule_of_three_is_near_the_exact_bound():
    assert safety.rule_of_three(0, 100) == 0.03
    assert np.isnan(safety.rule_of_three(1, 100))
    # 1 - 0.05^(1/n) is the exact one-sided bound for no event in n (Clopper and Pearson 1934).
    assert safety.clopper_pearson_upper(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert safety.clopper_pearson_upper(5, 5) == 1.0


def test_the_conjugate_posteriors_in_closed_form():
    assert safety.conjugate_rate(events=3, years=50).mean() == pytest.approx(100 * 3.5 / 50)
    assert safety.conjugate_risk(events=0, patients=9).mean() == pytest.approx(0.05)


def test_silent_cohorts_that_are_alike_are_one_row():
    quiet = cohorts([0, 0, 0], patients=[10.0, 30.0, 5.0], months=[12.0, 24.0, 6.0])
    quiet = quiet.assign(
        strategy="neither",
        cell_class=["ahsct", "ahsct", "psc_islet"],
        patient_years=quiet["n_at_risk"] * quiet["months"] / 12,
    )
    rows = safety.alike(quiet).set_index("cell_class")
    assert rows.loc["ahsct", "copies"] == 2 and rows.loc["psc_islet", "copies"] == 1
    total = rows["copies"] * rows["n_at_risk"] * rows["months"] / 12
    assert total.sum() == pytest.approx(quiet["patient_years"].sum())


# ------------------------------------------------------------------- strategies and control arms


def by_strategies(events, strategies, categories="death", patients=20.0) -> pd.DataFrame:
    return cohorts(events, patients=patients).assign(
        event_category=categories, relation="any", strategy=strategies, patient_years=patients
    )


def test_strategies_are_compared_only_where_two_are_known():
    rows = by_strategies(
        [0, 1, 0, 0, 0],
        ["conditioning", "neither", "neither", "neither", "unstated"],
        ["death", "death", "neutropenia", "ketoacidosis", "ketoacidosis"],
    )
    table = safety.by_strategy(rows)
    assert set(table["event_category"]) == {"death"}
    assert table["events"].sum() == 1
    assert table["model_mean"].isna().all()
    assert safety.strategy_contrasts(rows, {}).empty


def test_the_strategy_with_more_events_has_the_higher_rate(fit):
    rows = by_strategies([8, 9, 0, 1], ["conditioning"] * 2 + ["neither"] * 2, patients=40.0)
    fits = {"death_any" + safety.BY_STRATEGY: fit(rows, by_strategy=True)}
    table = safety.by_strategy(rows, fits).set_index("strategy")
    for quantity in ("rate", "model"):
        high, low = table.loc["conditioning"], table.loc["neither"]
        assert low[f"{quantity}_mean"] < high[f"{quantity}_mean"]
        assert high[f"{quantity}_ci_low"] < high[f"{quantity}_mean"] < high[f"{quantity}_ci_high"]
    assert table.loc["conditioning", "rate_mean"] == pytest.approx(100 * 17.5 / 80)
    contrasts = safety.strategy_contrasts(rows, fits)
    assert len(contrasts) == 1
    row = contrasts.iloc[0]
    assert (row["strategy"], row["against"]) == ("conditioning", "neither")
    assert row["ratio_ci_low"] < row["ratio_median"] < row["ratio_ci_high"]
    assert row["ratio_median"] > 1.5 and row["probability_higher"] > 0.9
    assert row["prior_sd"] == pytest.approx(np.sqrt(2) * priors.get("safety", "strategy").scale)
    assert row["log_ratio_sd"] < row["prior_sd"]
    estimate = safety._contrast_estimates(contrasts)[0]
    assert estimate["estimand"] == "death:any:log_rate_ratio:conditioning_vs_neither"
    assert estimate["ci_low"] < estimate["mean"] < estimate["ci_high"]
    assert (estimate["k_studies"], estimate["n_patients"]) == (4, 160)


def arms(treated, control, category="death", months=(12.0, 12.0), bound="exact") -> pd.DataFrame:
    both = pd.DataFrame([treated, control], columns=["events", "n_at_risk"], dtype=float)
    return both.assign(
        arm=["treated", "control"], cohort="one", study_id="one", event_category=category,
        relation="any", bound=bound, months=months,
    )  # fmt: skip


def test_control_arms_are_compared_in_closed_form():
    row = safety.controls(arms((6, 20), (2, 20))).iloc[0]
    assert row["risk_difference_mean"] == pytest.approx(6.5 / 21 - 2.5 / 21, abs=0.005)
    assert row["risk_difference_ci_low"] < row["risk_difference_mean"]
    # The mean of the logit of Beta(a, b) is digamma(a) - digamma(b).
    from scipy.special import digamma

    odds = digamma(6.5) - digamma(14.5) - digamma(2.5) + digamma(18.5)
    assert row["log_odds_ratio_mean"] == pytest.approx(odds, abs=0.03)
    assert row["log_odds_ratio_ci_low"] < 0 < row["log_odds_ratio_ci_high"]


@pytest.mark.parametrize(
    "rows",
    [
        arms((0, 20), (0, 20), category="serious_adverse_event"),
        arms((0, 20), (0, 20), months=(60.0, 12.0)),
        arms((1, 20), (0, 20), bound=["at_least", "exact"]),
        arms((0, 20), (0, 20)).query("arm == 'control'"),
    ],
    ids=["serious adverse events", "other times", "lower bound", "no treated arm"],
)
def test_arms_that_cannot_be_compared_are_listed_without_a_number(rows):
    table = safety.controls(rows)
    assert len(table) == 1
    assert table.filter(regex="risk_difference|log_odds").isna().all(axis=None)


def test_without_control_arms_there_is_no_comparison():
    table = safety.controls(arms((0, 20), (0, 20)).query("arm == 'treated'"))
    assert table.empty and "risk_difference_mean" in table


# ----------------------------------------------------------------------------------------- run


def only(result, estimand, **where) -> pd.Series:
    rows = result.estimates
    where = {"estimand": estimand, "group": "all", "method": "nuts"} | where
    for name, value in where.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def sensible(result) -> None:
    rows = result.estimates
    assert list(rows.columns) == ESTIMATE_COLUMNS
    assert set(result.tables) == TABLES
    assert not rows.duplicated(["group_kind", "group", "estimand", "method"]).any()
    numbers = rows[rows["ci_low"].notna()]
    assert (numbers["ci_low"] <= numbers["mean"]).all()
    assert (numbers["mean"] <= numbers["ci_high"]).all()
    predicted = rows[rows["pred_low"].notna()]
    assert (predicted["pred_low"] <= predicted["ci_low"] * 1.05).all()
    shares = rows[rows["scale"] == "probability"].dropna(subset=["mean"])
    assert shares["mean"].between(0, 1).all()


def test_no_event_at_all(evidence, run):
    result = run(told(evidence, [fact("one", "death", 0), fact("two", "death", 0)]))
    sensible(result)
    rate = only(result, "death:any:rate")
    assert 0 < rate["mean"] < only(result, "death:any:rate_upper95")["mean"] < rate["ci_high"]
    assert rate["k_studies"] == 2 and rate["n_patients"] == 40
    assert only(result, "death:any:risk")["ci_high"] < 0.2
    exact = only(result, "death:any:rate", method="exact")
    assert exact["mean"] == pytest.approx(100 * 0.5 / 80)
    bound = only(result, "death:any:risk_upper95", method="exact")
    assert bound["mean"] == pytest.approx(1 - 0.05 ** (1 / 40))
    summary = result.tables["safety_summary"].iloc[0]
    assert (summary["k_stated"], summary["k_silent"], summary["events"]) == (2, 0, 0)
    assert summary["rule_of_three"] == pytest.approx(3 / 40)
    assert summary["rate_upper95"] == only(result, "death:any:rate_upper95")["mean"]
    assert summary["short_exposure_upper95"] == summary["conjugate_upper95"]  # a mean follow-up


def test_one_cohort_in_which_every_patient_had_the_event(evidence, run):
    result = run(told(evidence, [fact("one", "neutropenia", 20)]))
    sensible(result)
    assert only(result, "neutropenia:any:risk")["mean"] > 0.6
    assert "a single study" in only(result, "neutropenia:any:rate", group="ahsct")["note"]
    facts = result.tables["safety_facts"]
    assert facts["shrunk_low"].notna().all() and (facts["shrunk_low"] < facts["shrunk_high"]).all()
    rates = result.tables["safety_new_study_rates"]
    assert set(rates["group"]) == {"all"} and np.isfinite(rates["rate_per_year"]).all()
    assert result.tables["safety_by_strategy"].empty
    assert np.isnan(result.tables["safety_summary"].iloc[0]["rule_of_three"])


def test_the_variants_of_a_rate(evidence, run):
    """Two exact counts, a bound implied by a related death, and a cohort that says nothing."""
    rows = [
        fact("one", "death", 0),
        fact("two", "death", 1),
        fact("three", "death", 2, relation="treatment_related"),
    ]
    studies = {"two": {"immune_strategy": "none"}, "four": {"followup_months": 24.0}}
    result = run(told(evidence, rows, studies))
    sensible(result)
    headline = only(result, "death:any:rate")
    wider = only(result, "death:any:rate" + safety.WITH_BOUNDS)
    quiet = only(result, "death:any:rate" + safety.AS_ZERO)
    assert quiet["mean"] < headline["mean"] < wider["mean"]
    assert (headline["k_studies"], wider["k_studies"], quiet["k_studies"]) == (2, 3, 3)
    assert quiet["n_patients"] == 60  # the cohort with an implied death is no zero
    assert result.tables["safety_lower_bounds"]["implied"].tolist() == [True]
    summary = result.tables["safety_summary"].set_index("relation").loc["any"]
    assert (summary["k_stated"], summary["k_silent"]) == (2, 1)
    assert summary["with_bounds_mean"] == wider["mean"]
    assert summary["unreported_as_zero_mean"] == quiet["mean"]
    contrast = result.tables["safety_strategy_contrasts"]
    assert contrast["strategy"].tolist() == ["conditioning"]
    estimand = "death:any:log_rate_ratio:conditioning_vs_neither"
    assert only(result, estimand)["mean"] == contrast["log_ratio_mean"].iloc[0]
    assert set(result.tables["safety_checks"]["fit"]) >= {"death_any", "death_treatment_related"}


def test_categories_without_a_rate_or_without_a_usable_row(evidence, run):
    rows = [
        fact("one", "serious_adverse_event", 0),
        fact("one", "procedure_related", 3),
        fact("one", "organ_toxicity", 2, bound="at_least"),
        fact("two", "malignancy_or_tumour", 0),
    ]
    undated = {"two": {"followup_months": np.nan}}
    result = run(told(evidence, rows, undated))
    sensible(result)
    assert set(result.fits) == {"procedure_related_any" + safety.RISK}
    summary = result.tables["safety_summary"].set_index("event_category")
    assert summary["rate_mean"].isna().all()
    assert "not estimable" in summary.loc["serious_adverse_event", "note"]
    assert "only a lower bound" in summary.loc["organ_toxicity", "note"]
    assert "print no length of follow-up" in summary.loc["malignancy_or_tumour", "note"]
    assert summary.loc["procedure_related", "risk_mean"] == pytest.approx(3.5 / 21)
    assert np.isnan(summary.loc["serious_adverse_event", "risk_mean"])
    rows = result.estimates.set_index("estimand")
    assert np.isnan(rows.loc["serious_adverse_event:any:risk", "mean"])
    assert np.isnan(rows.loc["organ_toxicity:any:risk", "mean"])
    assert rows.loc["organ_toxicity:any:risk", "note"] == "only lower bounds were stated"


def test_without_any_safety_row_there_is_nothing_but_silence(evidence, run):
    result = run(told(evidence, [], {"one": {"n_treated": 8.0}}))
    sensible(result)
    assert result.estimates.empty and not result.fits
    silent = result.tables["safety_silent"]
    assert silent["k_silent"].eq(1).all() and silent["n_silent"].eq(8).all()


def test_every_harm_with_a_note_is_in_the_vocabulary():
    from analysis import vocabulary

    assert set(safety.NO_RATE) | set(safety.NO_RISK) <= set(vocabulary.EVENT_CATEGORIES)
    assert set(safety.STRATEGIES) == set(harms.STRATEGIES.values()) | {"neither"}
