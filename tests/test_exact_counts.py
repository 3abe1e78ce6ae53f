"""Shares and rates by quadrature: closed forms, brute force, published bounds, monotonicity."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy import interpolate, special, stats

from analysis import exact
from analysis.exact import bounds, counts, hierarchy
from analysis.exact.priors import Fixed, HalfCauchy, HalfNormal, Normal

LEVELS = np.array([0.025, 0.25, 0.5, 0.95, 0.975])
RATE = {"mu_prior": Normal(-3.5, 2.0), "tau_prior": HalfNormal(0.7)}
SHARE = {"mu_prior": Normal(0.0, 1.5), "tau_prior": HalfNormal(1.0)}


# --- closed forms: no heterogeneity, nearly flat prior --------------------------------------------


def test_alike_studies_and_a_flat_prior_give_the_beta_posterior_of_the_pooled_count():
    post = exact.fit_shares([3, 5, 2], [10, 20, 9], mu_prior=Normal(0, 300), tau_prior=Fixed(0.0))
    known = stats.beta(10, 29)  # a flat prior of the log odds is Beta(0, 0)
    assert post.mean_study.quantile(LEVELS) == pytest.approx(known.ppf(LEVELS), abs=2e-5)
    assert post.mean_study.mean == pytest.approx(known.mean(), abs=1e-5)
    assert post.mean_study.sd == pytest.approx(known.std(), abs=1e-5)


def test_alike_studies_and_a_flat_prior_give_the_gamma_posterior_of_the_pooled_rate():
    post = exact.fit_rates(
        [3, 0, 4], [20.0, 35.0, 10.0], mu_prior=Normal(0, 300), tau_prior=Fixed(0.0), per=100
    )
    known = stats.gamma(7, scale=100 / 65)
    assert post.mean_study.quantile(LEVELS) == pytest.approx(known.ppf(LEVELS), rel=1e-5)
    assert post.mean_study.mean == pytest.approx(known.mean(), rel=1e-5)
    assert post.mean_study.sd == pytest.approx(known.std(), rel=1e-5)


def test_without_heterogeneity_a_new_study_is_the_mean_study():
    post = exact.fit_shares([3, 5], [10, 20], mu_prior=Normal(0, 1), tau_prior=Fixed(0.0))
    assert post.tau is None
    assert post.new_study.quantile(LEVELS) == pytest.approx(post.mean_study.quantile(LEVELS))


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_a_flat_prior_and_no_event_give_the_rule_of_three(level):
    # With Gamma(1, t), the posterior of a flat prior on the rate itself, P(rate > -ln(1-p)/t) is
    # 1 - p; Jeffreys' Gamma(1/2) and the log-flat prior lie below it. The exact bound is the rule.
    assert bounds.upper_rate(0, 100.0, 0.95) == pytest.approx(-np.log(0.05) / 100)
    assert bounds.upper_rate(0, 100.0, level) == pytest.approx(-np.log1p(-level) / 100)


# --- brute force ----------------------------------------------------------------------------------


def brute(log_likelihoods, mu_prior, tau_scale, size=81):
    """Plain Riemann sums over mu, tau and each study's theta, on wide fine grids."""
    mu = np.linspace(mu_prior.mean - 7 * mu_prior.sd, mu_prior.mean + 7 * mu_prior.sd, size)
    tau = np.linspace(0, 6 * tau_scale, size)[1:] - 3 * tau_scale / (size - 1)
    u = np.linspace(-8, 8, 161)
    density = stats.norm.logpdf(mu, mu_prior.mean, mu_prior.sd)[:, None] + stats.halfnorm.logpdf(
        tau, scale=tau_scale
    )
    log_w = stats.norm.logpdf(u) + np.log(u[1] - u[0])
    for log_likelihood in log_likelihoods:
        for j, t in enumerate(tau):
            value = log_likelihood(mu[:, None] + t * u)
            density[:, j] += special.logsumexp(value + log_w, axis=1)
    peak = density.max()
    mass = np.exp(density - peak)
    cell = (mu[1] - mu[0]) * (tau[1] - tau[0])
    return mu, tau, mass / mass.sum(), peak + np.log(mass.sum() * cell)


def moments(values, weights):
    mean = (values * weights).sum()
    return mean, np.sqrt(((values - mean) ** 2 * weights).sum())


def test_shares_with_zeros_and_a_lower_bound_agree_with_brute_force():
    def binomial(k, n):
        ways = np.log(special.comb(n, k))
        return lambda x: ways + k * x - n * np.logaddexp(0, x)

    terms = [
        binomial(0, 14), binomial(7, 9), lambda x: np.log(special.betainc(5, 8, special.expit(x)))
    ]  # fmt: skip
    mu, tau, weight, log_marginal = brute(terms, SHARE["mu_prior"], 1.0)
    post = exact.fit_shares([0, 7, 5], [14, 9, 12], at_least=[False, False, True], **SHARE)
    assert post.log_marginal_likelihood == pytest.approx(log_marginal, abs=3e-5)
    of_mu, of_tau = weight.sum(axis=1), weight.sum(axis=0)
    assert (post.mu.mean, post.mu.sd) == pytest.approx(moments(mu, of_mu), abs=3e-5)
    assert (post.tau.mean, post.tau.sd) == pytest.approx(moments(tau, of_tau), abs=3e-4)
    share = special.expit(mu)
    assert (post.mean_study.mean, post.mean_study.sd) == pytest.approx(
        moments(share, of_mu), abs=1e-5
    )
    u = np.linspace(-8, 8, 321)
    new = special.expit(mu[:, None, None] + tau[:, None] * u)
    both = weight[..., None] * stats.norm.pdf(u) * (u[1] - u[0])
    assert (post.new_study.mean, post.new_study.sd) == pytest.approx(moments(new, both), abs=3e-5)
    for level in (0.025, 0.5, 0.975):
        below = both[new <= post.new_study.quantile(level)].sum()
        assert below == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize("patients", [None, (20.0, 30.0)])
def test_rates_agree_with_brute_force(patients):
    k, t = (0, 3), (25.0, 40.0)

    def term(i):
        def of(x):
            hazard = t[i] * np.exp(x)
            if patients is None:
                return k[i] * np.log(hazard) - hazard - special.gammaln(k[i] + 1)
            n, each = patients[i], hazard / patients[i]
            risk = -np.expm1(-each)
            return np.log(special.comb(n, k[i])) + special.xlogy(k[i], risk) - (n - k[i]) * each

        return of

    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        mu, _, weight, log_marginal = brute([term(0), term(1)], RATE["mu_prior"], 0.7)
    post = exact.fit_rates(k, t, patients=patients, **RATE)
    assert post.log_marginal_likelihood == pytest.approx(log_marginal, abs=3e-5)
    assert (post.mu.mean, post.mu.sd) == pytest.approx(moments(mu, weight.sum(axis=1)), abs=5e-5)
    cdf = interpolate.CubicSpline(mu, weight.sum(axis=1) / (mu[1] - mu[0])).antiderivative()
    assert cdf(post.mu.quantile(LEVELS)) == pytest.approx(LEVELS, abs=2e-4)


def test_each_study_effect_agrees_with_brute_force():
    post = exact.fit_shares([0, 7], [14, 9], **SHARE)
    terms = [lambda x: -14 * np.logaddexp(0, x), lambda x: 7 * x - 9 * np.logaddexp(0, x)]
    mu, tau, weight, _ = brute(terms, SHARE["mu_prior"], 1.0)
    theta = np.linspace(-14, 10, 801)
    likelihood = stats.binom.pmf(0, 14, special.expit(theta))
    density = np.zeros_like(theta)
    for j, t in enumerate(tau):
        kernel = stats.norm.pdf(theta[None, :], mu[:, None], t)
        own = kernel * likelihood
        density += (weight[:, j, None] * own / own.sum(axis=1, keepdims=True)).sum(axis=0)
    mean, sd = moments(special.expit(theta), density / density.sum())
    row = post.shrinkage.iloc[0]
    assert (row["mean"], row["sd"]) == pytest.approx((mean, sd), abs=2e-4)
    cdf = (np.cumsum(density) - 0.5 * density) / density.sum()
    for name, level in (("ci_low", 0.025), ("median", 0.5), ("ci_high", 0.975)):
        at = np.interp(special.logit(row[name]), theta, cdf)
        assert at == pytest.approx(level, abs=4e-3)


# --- the likelihoods ------------------------------------------------------------------------------

COUNTS = [
    counts.Share(0, 14), counts.Share(14, 14), counts.Share(71, 128), counts.Events(0, 38.0),
    counts.Events(9, 57.5), counts.PatientsWithEvent(3, 14, 1.0),
    counts.PatientsWithEvent(0, 20, 2.5), counts.AtLeast(counts.Share(71, 128)),
    counts.AtLeast(counts.Events(2, 20.4)), counts.AtLeast(counts.PatientsWithEvent(7, 7, 0.5)),
]  # fmt: skip


@pytest.mark.parametrize("count", COUNTS, ids=lambda c: type(c).__name__)
def test_slopes_are_those_of_the_log_likelihood_which_is_concave(count):
    theta = np.linspace(-9, 6, 61)
    first, second = count.slopes(theta)
    h = 1e-4
    numeric = (count.value(theta + h) - count.value(theta - h)) / (2 * h)
    assert first == pytest.approx(numeric, rel=1e-4, abs=1e-5)
    assert (second <= 1e-9).all()
    before, after = count.slopes(theta - 1e-3)[0], count.slopes(theta + 1e-3)[0]
    assert second == pytest.approx((after - before) / 2e-3, rel=1e-2, abs=1e-3)


def test_likelihoods_are_those_of_scipy_far_into_the_tails():
    theta = np.linspace(-25, 12, 75)
    p, rate = special.expit(theta), np.exp(theta)
    assert counts.Share(3, 9).value(theta) == pytest.approx(stats.binom.logpmf(3, 9, p))
    assert counts.Events(3, 9.0).value(theta) == pytest.approx(stats.poisson.logpmf(3, 9 * rate))
    found = counts.AtLeast(counts.Share(3, 9)).value(theta)
    assert found == pytest.approx(stats.binom.logsf(2, 9, p), rel=1e-6, abs=1e-7)
    found = counts.AtLeast(counts.Events(3, 9.0)).value(theta)
    assert found == pytest.approx(stats.poisson.logsf(2, 9 * rate), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("tau", [1e-6, 0.05, 0.7, 3.0])
@pytest.mark.parametrize("count", COUNTS, ids=lambda c: type(c).__name__)
def test_the_inner_integral_is_right_for_any_spread_and_any_conflict(count, tau):
    mu = np.array([-20.0, -8.0, -3.0, 0.0, 2.0, 5.0])
    found, theta, weight = hierarchy.inner(count, mu, np.full(mu.size, tau), 72)
    u = np.linspace(-40, 40, 40_001)
    log_phi = -0.5 * u * u - 0.5 * np.log(2 * np.pi) + np.log(u[1] - u[0])
    known = [special.logsumexp(count.value(m + tau * u) + log_phi) for m in mu]
    # a conflict so strong that its mode lies beyond 30 prior SDs is outside this check
    near = np.array(known) > -400
    assert found[near] == pytest.approx(np.array(known)[near], abs=2e-5)
    assert weight.sum(axis=0) == pytest.approx(1.0)
    assert theta.shape == (72, mu.size)


# --- properties -----------------------------------------------------------------------------------

small = st.integers(0, 6)


@examples(6, 60)
@given(st.lists(small, min_size=1, max_size=4), st.floats(2.0, 200.0), st.floats(0.0, 2.0))
def test_given_tau_another_study_without_events_lowers_every_quantile(events, years, tau):
    prior = {"mu_prior": Normal(-3.5, 2.0), "tau_prior": Fixed(tau)}
    before = exact.fit_rates(events, [20.0] * len(events), **prior)
    after = exact.fit_rates([*events, 0], [20.0] * len(events) + [years], **prior)
    assert (after.mean_study.quantile(LEVELS) < before.mean_study.quantile(LEVELS)).all()
    assert (after.new_study.quantile(LEVELS) < before.new_study.quantile(LEVELS)).all()


@examples(4, 40)
@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=4), st.floats(2.0, 200.0))
def test_where_nobody_had_the_event_every_further_study_lowers_the_bounds(exposure, years):
    before = exact.fit_rates([0] * len(exposure), exposure, **RATE)
    after = exact.fit_rates([0] * (len(exposure) + 1), [*exposure, years], **RATE)
    for part in ("mean_study", "new_study"):
        bounds_before = getattr(before, part).quantile(LEVELS[1:])
        assert (getattr(after, part).quantile(LEVELS[1:]) < bounds_before).all()


@examples(5, 50)
@given(st.lists(st.tuples(small, st.integers(6, 30)), min_size=1, max_size=4))
def test_a_lower_bound_never_gives_less_than_the_same_count_taken_as_exact(rows):
    k, n = zip(*rows, strict=True)
    exactly = exact.fit_shares(k, n, **SHARE).mean_study
    at_least = exact.fit_shares(k, n, at_least=[True] * len(k), **SHARE).mean_study
    assert (at_least.quantile(LEVELS) >= exactly.quantile(LEVELS) - 1e-6).all()


@examples(10, 100)
@given(st.integers(0, 12), st.integers(1, 6), st.integers(1, 6))
def test_a_count_of_which_the_most_is_known_is_the_chance_of_that_range(k, more, rest):
    most, n = k + more, k + more + rest
    log_odds = np.linspace(-6, 6, 25)
    p = special.expit(log_odds)
    study = counts.censored_share(k, n, most)
    chance = stats.binom.cdf(most, n, p) - stats.binom.cdf(k - 1, n, p)
    assert np.exp(study.value(log_odds)) == pytest.approx(chance, abs=1e-12)
    first, second = study.slopes(log_odds)
    step = 1e-4
    up, down = study.value(log_odds + step), study.value(log_odds - step)
    assert first == pytest.approx((up - down) / (2 * step), abs=1e-6)
    assert (second <= 0).all()
    assert second == pytest.approx(
        (study.slopes(log_odds + step)[0] - study.slopes(log_odds - step)[0]) / (2 * step), abs=1e-6
    )


def test_at_least_10_of_14_with_2_not_counted_is_the_mixture_of_10_11_and_12():
    """With tau near nothing: each number by its chance beforehand, that is, by its likelihood."""
    given_ = {"mu_prior": Normal(0.0, 1.5), "tau_prior": Fixed(0.0)}
    post = exact.fit_shares([10], [14], at_least=[True], most=[12], **given_)
    each = [exact.fit_shares([k], [14], **given_) for k in (10, 11, 12)]
    weight = np.exp([one.log_marginal_likelihood for one in each])
    assert post.log_marginal_likelihood == pytest.approx(np.log(weight.sum()), abs=1e-7)
    mean = (weight * [one.mean_study.mean for one in each]).sum() / weight.sum()
    assert post.mean_study.mean == pytest.approx(mean, abs=1e-6)


@examples(5, 50)
@given(st.integers(0, 9), st.integers(0, 4), st.integers(0, 4))
def test_the_most_it_can_be_lies_between_the_exact_count_and_the_open_bound(k, more, rest):
    n = k + more + rest + 1
    levels = [
        exact.fit_shares([k, 4], [n, 9], at_least=[True, False], most=[most, 4], **SHARE)
        .mean_study.quantile(LEVELS)
        for most in sorted({k, k + more, n})
    ]  # fmt: skip
    exactly = exact.fit_shares([k, 4], [n, 9], **SHARE).mean_study.quantile(LEVELS)
    openly = exact.fit_shares([k, 4], [n, 9], at_least=[True, False], **SHARE)
    assert levels[0] == pytest.approx(exactly, abs=1e-6)
    assert levels[-1] == pytest.approx(openly.mean_study.quantile(LEVELS), abs=1e-6)
    assert (np.diff(levels, axis=0) >= -1e-6).all()


@pytest.mark.parametrize("most", [[9], [15], [11.5], [np.nan]])
def test_a_most_that_cannot_be_is_refused(most):
    with pytest.raises(ValueError, match="most"):
        exact.fit_shares([10], [14], at_least=[True], most=most, **SHARE)


def test_at_least_none_says_nothing():
    alone = exact.fit_shares([4], [9], **SHARE)
    with_nothing = exact.fit_shares([4, 0], [9, 20], at_least=[False, True], **SHARE)
    assert with_nothing.mean_study.quantile(LEVELS) == pytest.approx(
        alone.mean_study.quantile(LEVELS), abs=1e-6
    )


def test_the_order_of_the_studies_does_not_matter():
    one = exact.fit_shares([0, 7, 3], [14, 9, 20], **SHARE)
    other = exact.fit_shares([3, 0, 7], [20, 14, 9], **SHARE)
    assert other.mean_study.quantile(LEVELS) == pytest.approx(
        one.mean_study.quantile(LEVELS), rel=1e-9
    )
    assert other.shrinkage["mean"].to_numpy() == pytest.approx(
        one.shrinkage["mean"].to_numpy()[[2, 0, 1]], rel=1e-6
    )


def test_copies_are_the_same_study_told_several_times():
    often = exact.fit_rates([0, 0, 0, 2], [5.0, 5.0, 5.0, 30.0], **RATE)
    once = exact.fit_rates([0, 2], [5.0, 30.0], copies=[3, 1], **RATE)
    assert once.k == often.k == 4
    assert once.mean_study.quantile(LEVELS) == pytest.approx(
        often.mean_study.quantile(LEVELS), rel=1e-6
    )


def test_event_of_rare_harms_are_the_same_as_patients_with_it():
    as_events = exact.fit_rates([0, 0], [38.0, 15.0], **RATE)
    as_patients = exact.fit_rates([0, 0], [38.0, 15.0], patients=[19, 15], **RATE)
    assert as_patients.mean_study.quantile(LEVELS) == pytest.approx(
        as_events.mean_study.quantile(LEVELS), rel=1e-6
    )


def test_bounds_of_the_posterior_are_ordered_and_named():
    row = exact.fit_rates([1, 0], [10.0, 30.0], per=100, **RATE).summary(threshold=1.0)
    mean = row.loc["mean_study"]
    assert mean["ci_low"] < mean["median"] < mean["upper95"] < mean["upper975"] == mean["ci_high"]
    assert 0 < mean["p_above"] < 1
    assert (row.loc["new_study", "ci_high"] > mean["ci_high"]).all()
    assert row.loc["new_study", "sd"] == np.inf  # E exp(2 tau^2) is not finite for HalfNormal(0.7)


def test_leaving_a_study_out_is_a_fit_without_it():
    post = exact.fit_shares([0, 7, 3], [14, 9, 20], labels=["a", "b", "c"], **SHARE)
    left = post.leave_one_out()
    rest = exact.fit_shares([0, 3], [14, 20], **SHARE)
    assert left.loc["b", "median"] == pytest.approx(rest.mean_study.median, rel=1e-9)
    assert left.loc["b", "log_predictive"] == pytest.approx(
        post.log_marginal_likelihood - rest.log_marginal_likelihood
    )


@pytest.mark.parametrize(
    ("k", "n"),
    [
        ([50_000, 20_000], [100_000, 60_000]),
        ([0, 0], [1, 100_000]),
        ([1], [1]),
        ([0] * 60, [7] * 60),
    ],
)
def test_large_small_and_extreme_counts_settle(k, n):
    post = exact.fit_shares(k, n, **SHARE)
    row = post.mean_study.summary()
    assert np.isfinite(list(row.values())).all()
    assert 0 <= row["ci_low"] < row["median"] < row["ci_high"] <= 1


def test_a_heavy_tailed_prior_of_tau_settles():
    post = exact.fit_rates(
        [0, 3], [25.0, 40.0], mu_prior=Normal(-3.5, 2), tau_prior=HalfCauchy(0.5)
    )
    assert post.tau.median < 3
    assert post.new_study.mean == np.inf


@pytest.mark.slow
def test_the_posterior_predicts_what_was_drawn_from_its_prior():
    """Rank statistics of mu over data drawn from the prior are uniform (Talts et al. 2018)."""
    rng = np.random.default_rng(20)
    ranks = []
    for _ in range(120):
        mu, tau = rng.normal(0, 1.5), abs(rng.normal(0, 1.0))
        n = rng.integers(5, 30, 4)
        k = rng.binomial(n, special.expit(rng.normal(mu, tau, 4)))
        ranks.append(exact.fit_shares(k, n, **SHARE).mu.cdf(mu))
    assert stats.kstest(ranks, "uniform").pvalue > 0.01


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "totals", "words"),
    [
        ([], [], "no study"),
        ([3], [2], "exceed totals: row 0"),
        ([1, -1], [5, 5], "row 1 is -1"),
        ([1, 0.5], [5, 5], "whole numbers from 0: row 1"),
        ([1, 2], [5, 0], "above 0: row 1"),
        ([1, np.nan], [5, 5], "finite: row 1"),
        ([1, 2], [5], "2 values"),
        (["a"], [5], "numbers"),
    ],
)
def test_what_is_no_count_is_refused_with_its_row(events, totals, words):
    with pytest.raises(ValueError, match=words):
        exact.fit_shares(events, totals, **SHARE)


def test_exposure_and_priors_are_checked():
    with pytest.raises(ValueError, match="exposure must be above 0: row 1"):
        exact.fit_rates([0, 0], [3.0, 0.0], **RATE)
    with pytest.raises(ValueError, match="events cannot exceed patients"):
        exact.fit_rates([9], [3.0], patients=[8], **RATE)
    with pytest.raises(ValueError, match="proper Normal"):
        exact.fit_rates([0], [3.0], mu_prior=None, tau_prior=HalfNormal(1))
    with pytest.raises(ValueError, match="tau_prior"):
        exact.fit_rates([0], [3.0], mu_prior=Normal(0, 1), tau_prior=1.0)


# --- intervals without a model --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "low", "high"),
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (2, 0.242, 7.225), (5, 1.623, 11.668),
     (10, 4.795, 18.390), (20, 12.217, 30.888)],
)  # fmt: skip
def test_garwood_gives_the_published_limits(k, low, high):
    """95 % limits of a Poisson mean: Ulm 1990, Am J Epidemiol 131:373; Garwood 1936."""
    assert bounds.garwood(k, 1.0) == pytest.approx((low, high), abs=6e-4)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(0, 10, 0.0, 0.3085), (1, 10, 0.0025, 0.4450), (5, 10, 0.1871, 0.8129),
     (81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684),
     (1, 29, 0.0009, 0.1776)],
)  # fmt: skip
def test_clopper_pearson_gives_the_published_limits(k, n, low, high):
    """The last four: Newcombe 1998, Stat Med 17:857, Table I, method 5."""
    assert bounds.clopper_pearson(k, n) == pytest.approx((low, high), abs=6e-5)


def test_jeffreys_lies_inside_clopper_pearson():
    k, n = np.meshgrid(np.arange(1, 12), [12, 40])
    (low, high), (outer_low, outer_high) = bounds.jeffreys(k, n), bounds.clopper_pearson(k, n)
    assert (low > outer_low).all() and (high <= outer_high).all()
    assert bounds.jeffreys(0, 9)[0] == 0.0 and bounds.jeffreys(9, 9)[1] == 1.0


def test_no_event_needs_369_patient_years_for_one_per_hundred_and_300_one_sided():
    assert bounds.exposure_in_all(0.01) == pytest.approx(-np.log(0.025) / 0.01)
    assert round(bounds.exposure_in_all(0.01)) == 369
    assert round(bounds.exposure_in_all(0.01, level=0.95)) == 300
    assert bounds.exposure_needed(0.01, 0, 53) == pytest.approx(368.888 - 53, abs=1e-3)
    assert bounds.exposure_needed(0.01, 0, 400) == 0.0


@given(st.integers(0, 30), st.floats(1e-4, 10))
def test_the_exposure_needed_brings_the_bound_to_the_threshold(events, threshold):
    years = bounds.exposure_in_all(threshold, events)
    assert bounds.upper_rate(events, years) == pytest.approx(threshold)


def test_the_bound_from_the_data_alone_pools_exact_counts_and_says_how_many_it_left_out():
    row = bounds.rate_from_data_alone([0, 0, 2], [38, 15, 40], at_least=[0, 0, 1], per=100)
    assert (row["k_studies"], row["k_left_out"], row["events"]) == (2, 1, 0)
    assert row["upper975"] == pytest.approx(-100 * np.log(0.025) / 53)
    assert row["upper95"] == pytest.approx(-100 * np.log(0.05) / 53)
    share = bounds.share_from_data_alone([2, 0], [14, 28])
    assert share["upper975"] == pytest.approx(bounds.clopper_pearson(2, 42)[1])
    none = bounds.rate_from_data_alone([1], [5.0], at_least=[True])
    assert none["k_studies"] == 0 and np.isnan(none["upper975"])


def test_bounds_refuse_what_is_no_count():
    for call in (
        lambda: bounds.clopper_pearson(5, 4),
        lambda: bounds.clopper_pearson(-1, 4),
        lambda: bounds.garwood(1, 0.0),
        lambda: bounds.garwood(np.nan, 1.0),
        lambda: bounds.upper_rate(0, 1.0, 1.0),
    ):
        with pytest.raises(ValueError):
            call()


def test_added_exposure_without_an_event_lowers_every_bound_for_ever():
    curve = counts.bound_curve([0, 0], [38.0, 15.0], [0, 50, 400, 5000], per=100, **RATE)
    bound_columns = ["upper_data", "upper_mean_study", "upper_new_study"]
    assert (np.diff(curve[bound_columns].to_numpy(), axis=0) < 0).all()
    assert curve["upper_new_study"].iloc[-1] < 1.0
    assert (curve["upper_new_study"] > curve["upper_mean_study"]).all()


# --- every machine the same -----------------------------------------------------------------------

PROGRAM = """
import numpy as np
from analysis import exact
post = exact.fit_rates([0, 2, 1], [38., 57.5, 104.], mu_prior=exact.Normal(-3.5, 2),
                       tau_prior=exact.HalfNormal(.7), per=100)
print(post.level, *(f"{x:.8g}" for x in post.summary(1.0).to_numpy().ravel()))
"""


def test_another_processor_prints_the_same_digits(monkeypatch, capsys):
    exec(PROGRAM, {})
    here = capsys.readouterr().out
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", "AVX2 FMA3")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    there = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM],
                           capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert here and there == here


def test_a_distribution_of_counts_answers_as_every_distribution_does():
    share = exact.fit_shares(
        [7, 0, 3], [20, 14, 16], mu_prior=exact.Normal(0, 1.5), tau_prior=exact.HalfNormal(1)
    ).mean_study
    curve = share.density()
    assert list(curve) == ["x", "density"]
    inside = np.trapezoid(curve["density"], curve["x"])
    assert inside == pytest.approx(0.998, abs=2e-3)  # between the 0.1 % and the 99.9 % point
    assert share.beyond(0.1, "above") == pytest.approx(1 - share.cdf(0.1))


@pytest.mark.parametrize("counts", [(3, 27, 0, 26), (10, 11, 6, 10), (14, 20, 1, 20)])
def test_a_ratio_of_two_shares_has_the_quantiles_of_a_large_simulation(counts):
    from analysis.stages.shares import ratio_of_shares

    k, n, k_control, n_control = counts
    random = np.random.default_rng(1)
    ratio = random.beta(k + 0.5, n - k + 0.5, 400_000) / random.beta(
        k_control + 0.5, n_control - k_control + 0.5, 400_000
    )
    found = ratio_of_shares(k, n, k_control, n_control)
    for level, name in ((0.025, "rr_low"), (0.5, "risk_ratio"), (0.975, "rr_high")):
        assert (ratio < found[name]).mean() == pytest.approx(level, abs=0.003)
    assert (ratio > 1).mean() == pytest.approx(found["probability_higher"], abs=0.003)
