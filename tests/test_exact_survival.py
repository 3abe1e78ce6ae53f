"""Survival families on a grid: closed forms, brute force, leaving out by refitting, weights."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, interpolate, special, stats

from analysis.exact import curves, survival
from analysis.exact import duration_likelihood as published
from analysis.exact.duration_likelihood import FactReading
from analysis.exact.families import FAMILIES, log_survival, log_time
from analysis.exact.priors import Fixed, HalfCauchy, HalfNormal, Uniform

ALIKE = dataclasses.replace(survival.DEFAULT_PRIORS, tau=Fixed(0.0))
LOG2 = np.log(2)


def listed(study, ended=(), ongoing=()):
    """Facts of single patients of one study."""
    rows = [{"study_id": study, "kind": "exact", "low": t} for t in ended]
    rows += [{"study_id": study, "kind": "right_censored", "low": t} for t in ongoing]
    return rows


def share_under(level, family, month, mu, theta, cure, weight):
    """P(S(month) <= level) of weights (mu, theta, cure), by a spline along mu."""
    y = log_time(family, level, *np.meshgrid(theta, special.expit(cure), indexing="ij"))
    area = interpolate.CubicSpline(mu, weight, axis=0).antiderivative()
    ends = np.clip(np.log(month) - y, mu[0], mu[-1])
    below = [area(ends[i])[i] for i in np.ndindex(ends.shape)]
    return np.sum(below) / area(mu[-1]).sum()


SMALL = pd.DataFrame(
    [
        *listed("a", ended=(4.0, 9.0, 30.0), ongoing=(12.0, 26.0)),
        *listed("b", ended=(20.0, 41.0), ongoing=(48.0,)),
        {"study_id": "c", "kind": "interval", "low": 0.0, "high": 15.0, "count": 2},
        {"study_id": "c", "kind": "landmark", "low": 15.0, "count": 3},
    ]
)


# --- families -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_time_to_a_level_is_where_the_curve_has_fallen_to_it(family):
    level, theta = np.meshgrid(np.linspace(0.3, 0.95, 14), np.linspace(-0.9, 0.9, 7))
    y = log_time(family, level, theta, 0.25)
    finite = np.isfinite(y)
    found = np.exp(log_survival(family, y[finite], theta[finite], 0.25))
    assert found == pytest.approx(level[finite], rel=1e-9)
    assert finite.mean() > 0.9


def test_a_cured_share_is_never_fallen_below():
    assert log_time("cure", 0.2, 0.0, 0.25) == np.inf
    assert log_time("gompertz", 0.01, -1.0, 0.25) == np.inf
    with pytest.raises(ValueError, match="no family"):
        log_time("linear", 0.5, 0.0, 0.0)


# --- closed forms and brute force -----------------------------------------------------------------


def test_an_exponential_without_heterogeneity_is_one_integral():
    data = pd.DataFrame([*listed("a", (4.0, 9.0), (12.0,)), *listed("b", (30.0,), (26.0,))])
    post = survival.fit(data, "exponential", ALIKE)
    events, total = 3, 81.0

    def density(mu):
        rate = LOG2 / np.exp(mu)
        return np.exp(events * np.log(rate) - rate * total) * stats.norm.pdf(mu, 3.2, 1.0)

    area, _ = integrate.quad(density, -3, 10, epsabs=0, limit=200)
    assert post.log_marginal_likelihood == pytest.approx(np.log(area), abs=1e-5)
    table = post.survival([12.0, 60.0])

    def moment(t, power):
        def of(mu):
            return density(mu) * np.exp(-power * LOG2 * t / np.exp(mu))

        return integrate.quad(of, -3, 10)[0] / area

    for row in table.to_dict("records"):
        mean, square = (moment(row["months"], power) for power in (1, 2))
        assert row["mean"] == pytest.approx(mean, abs=1e-6)
        assert row["sd"] == pytest.approx(np.sqrt(square - mean**2), abs=1e-6)
        for name, level in (("ci_low", 0.025), ("median", 0.5), ("ci_high", 0.975)):
            mu = np.log(-LOG2 * row["months"] / np.log(row[name]))
            below = integrate.quad(density, -3, mu)[0] / area
            assert below == pytest.approx(level, abs=2e-4)
    assert post.tau is None
    assert post.survival([12], "new_study").iloc[0].to_numpy() == pytest.approx(
        table.iloc[0].to_numpy(), abs=1e-6
    )


@pytest.mark.parametrize(
    "family", [pytest.param(f, marks=[pytest.mark.slow] * (f != "weibull")) for f in FAMILIES]
)
def test_a_family_agrees_with_brute_force(family):
    """Each study's own median by plain sums over u, everything else by sums on other grids."""
    mu = np.linspace(-1.3, 7.7, 46)
    tau = 0.5 * np.linspace(0, 5, 31)[1:] - 0.5 * 5 / 60
    theta = np.linspace(-1.6, 1.6, 25) if family != "exponential" else np.zeros(1)
    cure = np.linspace(-5.5, 2.5, 13) if family == "cure" else np.array([-1.5])
    u = np.linspace(-6, 6, 49)
    joint = (
        stats.norm.logpdf(mu, 3.2, 1)[:, None, None, None]
        + stats.halfnorm.logpdf(tau, scale=0.5)[:, None, None]
        + (stats.norm.logpdf(theta, 0, 0.4)[:, None] if theta.size > 1 else 0.0)
        + (stats.norm.logpdf(cure, -1.5, 1) if cure.size > 1 else 0.0)
    )
    log_u = stats.norm.logpdf(u) + np.log(u[1] - u[0])
    data = SMALL[SMALL["study_id"] != "c"]
    for _, own in published.by_study(published.complete(data)):
        eta = mu[:, None, None] + tau[:, None] * u
        for i, shape in enumerate(theta):
            for j, share in enumerate(special.expit(cure)):
                value = published.split_log_likelihood(
                    published.statements(own), family, eta, shape, share, FactReading()
                ).sure
                joint[:, :, i, j] += special.logsumexp(value + log_u, axis=2)
    cell = np.prod([x[1] - x[0] for x in (mu, tau, theta, cure) if x.size > 1])
    known = special.logsumexp(joint) + np.log(cell)
    post = survival.fit(data, family)
    assert post.log_marginal_likelihood == pytest.approx(known, abs=2e-3)
    weight = np.exp(joint - special.logsumexp(joint))
    for axis, values, found in ((0, mu, post.mu), (1, tau, post.tau), (2, theta, post.theta)):
        if found is None:
            continue
        marginal = weight.sum(axis=tuple(i for i in range(4) if i != axis))
        mean = marginal @ values
        sd = np.sqrt(marginal @ (values - mean) ** 2)
        assert (found.mean, found.sd) == pytest.approx((mean, sd), abs=2e-3)
    if family == "cure":
        mean = weight.sum(axis=(0, 1, 2)) @ cure
        assert post.logit_cure.mean == pytest.approx(mean, abs=2e-3)
    at = np.meshgrid(mu, tau, theta, special.expit(cure), indexing="ij")
    curve = np.exp(log_survival(family, np.log(24.0) - at[0], at[2], at[3]))
    row = post.survival([24.0]).iloc[0]
    mean = (weight * curve).sum()
    assert row["mean"] == pytest.approx(mean, abs=5e-4)
    assert row["sd"] == pytest.approx(np.sqrt((weight * (curve - mean) ** 2).sum()), abs=5e-4)
    by_mu = (mu, theta, cure, weight.sum(axis=1))
    for name, level in (("ci_low", 0.025), ("median", 0.5), ("ci_high", 0.975)):
        found = share_under(row[name], family, 24.0, *by_mu)
        assert found == pytest.approx(level, abs=0.01 if family == "cure" else 2e-3)
    # a new study: its own median drawn around mu
    new = post.survival([24.0], "new_study").iloc[0]
    mean = square = below = 0.0
    for z, share in zip(u, np.exp(log_u), strict=True):
        eta = at[0] + tau[:, None, None] * z
        curve = np.exp(log_survival(family, np.log(24.0) - eta, at[2], at[3]))
        mean, square = (
            mean + share * (weight * curve).sum(),
            square + share * (weight * curve**2).sum(),
        )
        below += share * weight[curve <= new["ci_low"]].sum()
    assert new["mean"] == pytest.approx(mean, abs=1e-3)
    assert new["sd"] == pytest.approx(np.sqrt(square - mean**2), abs=1e-3)
    assert below == pytest.approx(0.025, abs=0.005)


@pytest.mark.parametrize("family", ["exponential", "gompertz"])
def test_leaving_a_study_out_on_the_grid_is_a_fit_without_it(family):
    post = survival.fit(SMALL, family)
    for study, elpd in zip(post.studies, post.elpd, strict=True):
        rest = survival.fit(SMALL[SMALL["study_id"] != study], family)
        gain = post.log_marginal_likelihood - rest.log_marginal_likelihood
        assert elpd == pytest.approx(gain, abs=1e-3)


def test_the_average_without_a_study_is_the_average_fitted_without_it():
    families = ("exponential", "gompertz")
    whole = survival.fit_all(SMALL, families=families)
    for study in whole.studies:
        found = whole.without(study)
        known = survival.fit_all(SMALL[SMALL["study_id"] != study], families=families).average
        for which in ("mean_study", "new_study"):
            table, other = (x.survival([12.0, 36.0, 60.0], which) for x in (found, known))
            assert table.to_numpy() == pytest.approx(other.to_numpy(), abs=2e-3)
        assert found.time_to()["median"] == pytest.approx(known.time_to()["median"], rel=2e-3)


def test_two_studies_left_out_are_two_factors_less():
    post = survival.fit(SMALL, "weibull")
    assert np.isnan(np.diag(post.elpd_without)).all()
    for i, study in enumerate(post.studies):
        rest = survival.fit(SMALL[SMALL["study_id"] != study], "weibull")
        assert np.delete(post.elpd_without[i], i) == pytest.approx(rest.elpd, abs=1e-3)


def test_the_average_predicts_by_the_mixture_of_its_families():
    found = survival.fit_all(SMALL, families=("exponential", "weibull"))
    for i, study in enumerate(found.studies):
        mixed = sum(found.weights[f] * np.exp(p.elpd[i]) for f, p in found.posteriors.items())
        assert found.predictive()[study] == pytest.approx(np.log(mixed))


@pytest.mark.parametrize("family", ["gompertz", pytest.param("cure", marks=pytest.mark.slow)])
def test_a_curve_with_a_plateau_has_settled_quantiles(family, monkeypatch):
    data = pd.DataFrame([*listed("a", (3.0, 5.0, 8.0), (60.0,) * 4), *listed("b", (4.0,), (50.0,))])
    months = [12.0, 60.0, 240.0]
    usual = survival.fit(data, family)
    monkeypatch.setattr(survival, "LEVELS", (survival.LEVELS[-2], survival.LEVELS[-1]))
    known = survival.fit(data, family)
    assert usual.level < 4
    for which in ("mean_study", "new_study"):
        table, other = usual.survival(months, which), known.survival(months, which)
        gap = (table - other)[["mean", "median", "ci_low", "ci_high"]].abs()
        assert (gap.max(axis=1) < 0.02 * other["sd"]).all()


@pytest.mark.slow
def test_curves_drawn_from_the_prior_are_recovered_as_often_as_they_say():
    """The posterior of S(12) and of the median is calibrated: 95 % intervals cover 95 %."""
    rng = np.random.default_rng(20)
    inside, ranks = [], []
    for _ in range(120):
        mu, tau, theta = rng.normal(3.2, 1.0), abs(rng.normal(0, 0.5)), rng.normal(0, 0.4)
        rows = []
        for study in "abcd":
            eta = rng.normal(mu, tau)
            t = np.exp(eta) * rng.exponential(1 / LOG2, 12) ** np.exp(-theta)
            end = rng.uniform(12, 60)
            rows += listed(study, np.maximum(t[t < end], 0.05), [end] * int((t >= end).sum()))
        post = survival.fit(pd.DataFrame(rows), "weibull")
        true = np.exp(-LOG2 * (12 / np.exp(mu)) ** np.exp(theta))
        table = post.survival([12.0]).iloc[0]
        inside.append(table["ci_low"] <= true <= table["ci_high"])
        ranks.append(float(post.survival_cdf(12.0, true)))
        half = post.time_to()
        inside.append(half["ci_low"] <= np.exp(mu) <= half["ci_high"])
    assert 0.90 <= np.mean(inside) <= 0.99
    assert stats.kstest(ranks, "uniform").pvalue > 0.01


def test_a_single_study_left_out_leaves_its_prior_predictive():
    post = survival.fit(SMALL[SMALL["study_id"] == "a"], "weibull")
    assert post.elpd[0] == pytest.approx(post.log_marginal_likelihood, abs=1e-3)


def test_the_probability_of_becoming_free_is_integrated_out_exactly():
    rows = pd.DataFrame(
        [
            {"study_id": "x", "kind": "unresolved", "low": 0.0, "high": 28.5, "count": 57,
             "time_origin": "treatment", "through_ever": True},
            {"study_id": "x", "kind": "landmark", "low": 28.5, "count": 71,
             "time_origin": "treatment", "through_ever": True},
        ]
    )  # fmt: skip
    own = published.statements(published.complete(rows))
    eta = np.linspace(1.5, 6.0, 10)
    reading, ever = FactReading(onset=(0.3, 1.0, 3.0)), (0.3, 1.8)
    found = published.study_log_likelihood(own, "weibull", eta, 0.2, 0.0, reading, ever)
    parts = published.split_log_likelihood(own, "weibull", eta, 0.2, 0.0, reading)
    x = np.linspace(-8, 8, 20_001)
    density = stats.norm.logpdf(x) + np.log(x[1] - x[0])
    p = special.expit(ever[0] + ever[1] * x)
    known = []
    for i, sure in enumerate(parts.sure):
        stay = np.exp(parts.unresolved[0][2][i])
        value = 71 * np.log(p) + 57 * np.log1p(-p * stay)
        known.append(special.logsumexp(density + value) + sure)
    assert found == pytest.approx(np.array(known), abs=5e-5)


def test_two_groups_of_unresolved_patients_are_integrated_together():
    rows = [
        {"study_id": "x", "kind": "unresolved", "low": 0.0, "high": t, "count": k,
         "through_ever": True, "min_ever": least}
        for t, k, least in ((12.0, 4, 2), (24.0, 3, 0))
    ]  # fmt: skip
    own = published.statements(published.complete(pd.DataFrame(rows)))
    eta = np.array([2.0, 4.0])
    found = published.study_log_likelihood(
        own, "exponential", eta, 0.0, 0.0, FactReading(), (0.0, 2.0)
    )
    parts = published.split_log_likelihood(own, "exponential", eta, 0.0, 0.0, FactReading())
    p = special.expit(np.linspace(-16, 16, 4001))
    weight = stats.norm.pdf(special.logit(p), 0, 2.0)
    for i in range(2):
        value = [np.exp(parts.given(special.logit(x))[i]) for x in p]
        known = np.log((weight * value).sum() / weight.sum())
        assert found[i] == pytest.approx(known, abs=1e-5)


# --- what must hold whatever the facts ------------------------------------------------------------


@settings(max_examples=3, deadline=None)
@given(st.lists(st.floats(2.0, 60.0), min_size=1, max_size=4), st.floats(10.0, 80.0))
def test_another_patient_still_free_raises_the_curve(ended, ongoing):
    months = [6.0, 24.0, 60.0]
    before = survival.fit(pd.DataFrame(listed("a", ended)), "exponential")
    after = survival.fit(pd.DataFrame(listed("a", ended, [ongoing])), "exponential")
    for which in ("mean_study", "new_study"):
        for name in ("mean", "ci_low", "median", "ci_high"):
            rise = after.survival(months, which)[name] - before.survival(months, which)[name]
            assert (rise > -1e-4).all()


def test_curves_fall_and_intervals_hold_the_median():
    table = survival.fit(SMALL, "weibull").survival([0, 3, 6, 12, 36, 90], "new_study")
    for name in ("mean", "median", "ci_low", "ci_high"):
        assert (np.diff(table[name]) < 0).all()
    assert table.iloc[0][["mean", "ci_low", "ci_high"]].to_numpy() == pytest.approx(1.0)
    assert (table["ci_low"] <= table["median"]).all() and (
        table["median"] <= table["ci_high"]
    ).all()


def test_a_new_study_is_less_certain_than_the_mean_study():
    post = survival.fit(SMALL, "weibull")
    mean, new = post.survival([12, 36]), post.survival([12, 36], "new_study")
    assert (new["sd"] > mean["sd"]).all()
    assert (new["ci_low"] < mean["ci_low"]).all() and (new["ci_high"] > mean["ci_high"]).all()


def test_the_cdf_of_the_curve_and_its_quantiles_are_each_other():
    post = survival.fit(SMALL, "gompertz")
    row = post.survival([24.0]).iloc[0]
    levels = post.survival_cdf(24.0, np.array([row["ci_low"], row["median"], row["ci_high"]]))
    assert levels == pytest.approx([0.025, 0.5, 0.975], abs=1e-6)


def test_the_order_of_studies_and_rows_does_not_matter():
    one = survival.fit(SMALL, "weibull")
    other = survival.fit(SMALL.iloc[::-1], "weibull")
    assert other.log_marginal_likelihood == pytest.approx(one.log_marginal_likelihood, abs=1e-9)
    assert other.elpd[::-1] == pytest.approx(one.elpd, abs=1e-9)


@pytest.mark.parametrize("tau_prior", [HalfCauchy(0.3), Uniform(1.0), Fixed(0.4), HalfNormal(0.1)])
def test_other_priors_of_the_spread_settle(tau_prior):
    post = survival.fit(
        SMALL, "exponential", dataclasses.replace(survival.DEFAULT_PRIORS, tau=tau_prior)
    )
    assert 0.5 < post.survival([12])["mean"].iloc[0] < 0.95


def test_a_study_effect_lies_between_its_own_data_and_the_others():
    data = pd.DataFrame([*listed("short", [3.0] * 6), *listed("long", [40.0] * 6)])
    post = survival.fit(data, "exponential")
    short, long = post.effect("short").median, post.effect("long").median
    assert 3.0 * LOG2 < short < np.exp(post.mu.mean) < long < 40.0 * LOG2


# --- what is read from curves ---------------------------------------------------------------------


def one_curve(family, eta=3.0, theta=0.0, cure=0.0, sd=1e-3):
    """A `Curves` that is one sharp curve (a very narrow normal around eta)."""
    grid = eta + sd * np.arange(-40, 41) / 5
    weight = stats.norm.pdf(grid, eta, sd)
    weight = (weight / weight.sum())[None]
    logit_cure, shares = None, np.ones((1, 1))
    if cure:
        logit_cure = special.logit(cure) + sd * np.arange(-40, 41) / 5
        shares = stats.norm.pdf(logit_cure, special.logit(cure), sd)[:, None]
        shares = shares / shares.sum()
    weight = weight[None] * shares
    cells = curves.Cells(family, grid, np.array([theta]), logit_cure, weight)
    return curves.Curves([curves.Part(cells, lambda: cells)])


def test_times_and_areas_of_a_known_curve():
    curve = one_curve("exponential")
    assert curve.time_to(0.5)["median"] == pytest.approx(np.exp(3.0), rel=1e-4)
    assert curve.time_to(0.25)["median"] == pytest.approx(2 * np.exp(3.0), rel=1e-4)
    rate = LOG2 / np.exp(3.0)
    beyond = (np.exp(-24 * rate) - np.exp(-60 * rate)) / (1 - np.exp(-60 * rate))
    assert curve.share_beyond(24, 60) == pytest.approx(beyond, rel=1e-3)
    assert curve.share_beyond(60, 60) == 0.0
    assert curve.share_beyond(0, 60) == pytest.approx(1.0)


def test_most_of_them_cured_is_never_half():
    found = one_curve("cure", cure=0.6).time_to(0.5)
    assert found["p_never"] == pytest.approx(1.0)
    assert found["median"] == np.inf


def test_an_average_of_families_lies_between_them_and_keeps_their_disagreement():
    parts = [one_curve("exponential", eta).parts[0] for eta in (2.0, 4.0)]
    both = curves.Curves(parts, (0.3, 0.7))
    s = [2 ** (-24 / np.exp(eta)) for eta in (2.0, 4.0)]
    row = both.survival([24.0]).iloc[0]
    assert row["mean"] == pytest.approx(0.3 * s[0] + 0.7 * s[1], abs=1e-4)
    assert row["ci_low"] == pytest.approx(s[0], abs=1e-2)
    assert row["ci_high"] == pytest.approx(s[1], abs=1e-2)


def test_a_share_is_all_at_the_start_and_none_where_all_have_resumed():
    curve = one_curve("exponential", 2.0)
    table = curve.survival([0.0, 12.0, 1e4])
    assert table[["median", "ci_low", "ci_high"]].iloc[0].tolist() == [1.0, 1.0, 1.0]
    assert table[["median", "ci_low", "ci_high"]].iloc[2].tolist() == [0.0, 0.0, 0.0]


def test_quantiles_between_two_curves_apart_lie_on_the_side_of_more_weight():
    parts = [one_curve("exponential", eta).parts[0] for eta in (0.0, 3.0, 6.0)]
    for weights, eta in (((0.6, 0.2, 0.2), 0.0), ((0.2, 0.6, 0.2), 3.0), ((0.2, 0.2, 0.6), 6.0)):
        both = curves.Curves(parts, weights)
        assert both.median_time_to() == pytest.approx(np.exp(eta), rel=3e-3)
        assert both.median_survival([12.0])[0] == pytest.approx(2 ** (-12 / np.exp(eta)), abs=3e-3)


# --- weights --------------------------------------------------------------------------------------


def test_stacking_is_the_mean_over_the_simplex():
    elpd = np.array([[-1.0, -2.0], [-3.0, -1.5], [-2.0, -2.2]])
    density = np.exp(elpd)

    def score(w):
        return np.prod(w * density[:, 0] + (1 - w) * density[:, 1])

    area = integrate.quad(score, 0, 1)[0]
    known = integrate.quad(lambda w: w * score(w), 0, 1)[0] / area
    assert survival.stacking(elpd) == pytest.approx([known, 1 - known], rel=1e-9)


def test_stacking_of_six_families_agrees_with_draws_from_the_simplex():
    rng = np.random.default_rng(1)
    elpd = rng.normal(-5, 1.5, (9, 6))
    w = rng.dirichlet(np.ones(6), 200_000)
    score = np.log(w @ np.exp(elpd).T).sum(axis=1)
    weight = np.exp(score - score.max())
    drawn = weight @ w / weight.sum()
    assert survival.stacking(elpd) == pytest.approx(drawn, abs=5e-3)
    assert survival.stacking(elpd).sum() == pytest.approx(1.0)


def test_families_that_predict_alike_weigh_alike():
    assert survival.stacking(np.zeros((4, 6))) == pytest.approx(1 / 6)
    assert survival.stacking(np.zeros((0, 6))) == pytest.approx(1 / 6)
    assert survival.stacking_optimum(np.zeros((0, 6))) == pytest.approx(1 / 6)


def test_all_families_are_weighed_and_averaged():
    found = survival.fit_all(SMALL, families=("exponential", "weibull"))
    table = found.families()
    assert table["weight"].sum() == pytest.approx(1.0)
    assert len(found.leave_one_out()) == 6
    months = [12.0, 60.0]
    mean = sum(
        found.weights[name] * post.survival(months)["mean"]
        for name, post in found.posteriors.items()
    )
    assert found.average.survival(months)["mean"].to_numpy() == pytest.approx(mean.to_numpy())


# --- how far the evidence reaches -----------------------------------------------------------------


def test_the_last_supported_month_needs_ten_patients_of_two_cohorts():
    rows = [
        {"study_id": "a", "cohort": "A", "kind": "right_censored", "low": 30.0, "count": 8},
        {"study_id": "b", "cohort": "B", "kind": "landmark", "low": 24.0, "high": 40.0, "count": 2},
        {"study_id": "a", "cohort": "A", "kind": "order_top", "low": 5.0, "high": 90.0, "count": 4},
        {
            "study_id": "b",
            "cohort": "B",
            "kind": "unresolved",
            "low": 0.0,
            "high": 99.0,
            "count": 9,
        },
        {"study_id": "b", "cohort": "B", "kind": "mean", "low": 50.0, "high": 120.0, "count": 20},
    ]  # fmt: skip
    facts = pd.DataFrame(rows)
    assert published.last_supported_month(facts) == 24.0
    seen = published.still_free(facts, [5.0, 24.0, 25.0, 31.0, 91.0])
    assert seen["patients"].tolist() == [14.0, 11.0, 9.0, 1.0, 0.0]
    assert seen["cohorts"].tolist() == [2, 2, 1, 1, 0]
    assert published.last_supported_month(facts, patients=1, cohorts=1) == 90.0
    assert published.longest_observed(facts) == 90.0
    assert np.isnan(published.last_supported_month(facts[facts["cohort"] == "A"]))


# --- what is refused ------------------------------------------------------------------------------


def test_no_fact_is_no_estimate():
    with pytest.raises(ValueError, match="nothing can be estimated"):
        survival.fit(SMALL.iloc[:0], "weibull")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "rumour"}, "kind must be one of"),
        ({"low": -1.0}, "low must be a time from 0: row 1 of 'a'"),
        ({"kind": "interval", "low": 9.0, "high": 2.0}, "high must be at least low"),
        ({"count": 0}, "count must be above 0"),
        ({"time_origin": "birth"}, "time_origin"),
    ],
)
def test_what_is_no_fact_is_refused_with_its_row(change, words):
    rows = [*listed("a", (3.0, 5.0))]
    rows[1] |= change
    with pytest.raises(ValueError, match=words):
        survival.fit(pd.DataFrame(rows), "weibull")


def test_unknown_families_and_missing_columns_are_named():
    with pytest.raises(ValueError, match="no family 'linear'"):
        survival.fit(SMALL, "linear")
    with pytest.raises(ValueError, match="lack the column study_id"):
        survival.fit(SMALL.drop(columns="study_id"), "weibull")
    with pytest.raises(ValueError, match="unknown kind of fact: rumour"):
        rows = published.statements(published.complete(SMALL).assign(kind="rumour"))
        published.split_log_likelihood(rows, "weibull", 3.0, 0.0, 0.0, FactReading())
