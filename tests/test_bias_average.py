"""Publication bias: the model average against brute force and a published run, classical tests."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

from analysis import exact
from analysis.models import bias_average, small_study

REFERENCE = Path(__file__).parent / "reference" / "data"
MU, TAU = exact.Normal(0, 1), exact.HalfNormal(0.5)
SMALL_Y, SMALL_SE = np.array([0.6, 0.15, 0.9]), np.array([0.25, 0.2, 0.5])


@dataclass(frozen=True)
class InverseGamma(exact.TauPrior):
    """The heterogeneity prior of RoBMA up to version 3; the project itself does not use it."""

    shape: float
    scale: float

    def logpdf(self, tau):
        with np.errstate(divide="ignore", invalid="ignore"):
            return stats.invgamma.logpdf(tau, self.shape, scale=self.scale)

    def span(self):
        return self.scale / 50, self.scale * 1e3


@pytest.fixture(scope="module")
def small():
    return bias_average.fit(SMALL_Y, SMALL_SE, mu_prior=MU, tau_prior=TAU)


def log_marginal(found, effect, heterogeneity, bias) -> float:
    models = found.models
    row = models["effect"].eq(effect) & models["heterogeneity"].eq(heterogeneity)
    return models.loc[row & models["bias"].eq(bias), "log_marginal_likelihood"].item()


def likelihood(mu, tau, omega=None, cuts=(), sides=1, slope=0.0, power=1):
    """prod_i p(y_i | ...), by the definition of the models, for scalar parameters."""
    spread = np.sqrt(SMALL_SE**2 + tau**2)
    mean = mu + slope * SMALL_SE**power
    density = np.exp(-0.5 * ((SMALL_Y - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    if omega is None:
        return density.prod()
    z = SMALL_Y / SMALL_SE
    p = 2 * special.ndtr(-np.abs(z)) if sides == 2 else special.ndtr(-z)
    edges = np.array([0.0, *cuts, 1.0])
    weight = np.asarray(omega)[np.searchsorted(edges, p, side="left") - 1]
    constant = np.zeros(3)
    for j, value in enumerate(omega):
        inside = _probability(edges[j + 1], sides, mean, spread)
        constant += value * (inside - _probability(edges[j], sides, mean, spread))
    return (weight * density / constant).prod()


def _probability(p, sides, mean, spread):
    """P(p-value of y / se < p) for each study."""
    critical = -special.ndtri(p / sides) * SMALL_SE
    above = special.ndtr((mean - critical) / spread)
    return above + special.ndtr((-critical - mean) / spread) if sides == 2 else above


def average_over(function, low, high, nodes):
    """Integral of a function of one number by Gauss-Legendre."""
    x, weight = np.polynomial.legendre.leggauss(nodes)
    half = (high - low) / 2
    return half * sum(w * function(v) for v, w in zip(low + half * (x + 1), weight, strict=True))


# --- the model average against other ways to the same numbers ------------------------------------


def test_models_without_bias_agree_with_the_exact_posterior(small):
    for tau_prior, heterogeneity in ((exact.Fixed(0.0), False), (TAU, True)):
        post = exact.fit(SMALL_Y, SMALL_SE, mu_prior=MU, tau_prior=tau_prior)
        row = small.models.query(f"effect and heterogeneity == {heterogeneity} and bias == 'none'")
        assert log_marginal(small, True, heterogeneity, "none") == pytest.approx(
            post.log_marginal_likelihood, abs=1e-7
        )
        assert row["mean"].item() == pytest.approx(post.mu.mean, abs=1e-7)
        assert row["sd"].item() == pytest.approx(post.mu.sd, abs=1e-7)


def test_a_weight_function_agrees_with_adaptive_integration(small):
    two_sided, _ = integrate.quad(
        lambda w: likelihood(0.0, 0.0, (1, w), (0.05,), sides=2), 0, 1, epsrel=1e-9
    )
    assert log_marginal(small, False, False, "two-sided .05") == pytest.approx(
        np.log(two_sided), abs=1e-5
    )
    one_sided = average_over(
        lambda mu: (
            stats.norm.pdf(mu)
            * average_over(lambda w: likelihood(mu, 0.0, (1, w), (0.05,)), 0, 1, 60)
        ),
        -3, 3, 60,
    )  # fmt: skip
    assert log_marginal(small, True, False, "one-sided .05") == pytest.approx(
        np.log(one_sided), abs=1e-4
    )


def test_regression_on_the_standard_error_agrees_with_adaptive_integration(small):
    for bias, scale, power in (("PET", 1.0, 1), ("PEESE", 5.0, 2)):
        found, _ = integrate.quad(
            lambda b, s=scale, q=power: (
                stats.halfcauchy.pdf(b, scale=s) * likelihood(0.0, 0.0, slope=b, power=q)
            ),
            0, 60, points=[1.0, 5.0], epsrel=1e-9, limit=200,
        )  # fmt: skip
        assert log_marginal(small, False, False, bias) == pytest.approx(np.log(found), abs=1e-6)


def test_the_fullest_model_agrees_with_draws_from_its_prior(small):
    rng = np.random.default_rng(3)
    n = 4000
    eta = rng.dirichlet(np.ones(4), n)
    omega = 1 - np.column_stack([np.zeros(n), np.cumsum(eta[:, :-1], axis=1)])
    mu, tau = rng.normal(0, 1, n), np.abs(rng.normal(0, 0.5, n))
    cuts = (0.025, 0.05, 0.5)
    values = [likelihood(*row, cuts) for row in zip(mu, tau, omega, strict=True)]
    error = np.std(values) / np.mean(values) / np.sqrt(n)
    assert error < 0.04
    assert log_marginal(small, True, True, "one-sided .025 .05 .5") == pytest.approx(
        np.log(np.mean(values)), abs=4 * error
    )


def test_half_as_many_nodes_again_change_nothing_that_is_reported(small):
    fine = bias_average.fit(SMALL_Y, SMALL_SE, mu_prior=MU, tau_prior=TAU, fineness=1.5)
    for name in ("bf_effect", "bf_heterogeneity", "bf_bias", "tau"):
        assert getattr(small, name) == pytest.approx(getattr(fine, name), rel=1e-3)
    for name in ("mean", "sd", "ci_low", "ci_high"):
        coarse, exacter = small.mu_given_effect, fine.mu_given_effect
        assert getattr(coarse, name) == pytest.approx(getattr(exacter, name), abs=1e-3)


def test_the_weights_have_the_moments_of_their_dirichlet_prior():
    for intervals in (2, 3, 4):
        eta, omega, log_prior = bias_average.weight_nodes(intervals, 8)
        weight = np.exp(log_prior)
        assert weight.sum() == pytest.approx(1)
        assert weight @ eta == pytest.approx(np.full(intervals, 1 / intervals))
        variance = (intervals - 1) / (intervals**2 * (intervals + 1))
        assert weight @ eta**2 - (weight @ eta) ** 2 == pytest.approx(np.full(intervals, variance))
        assert np.all(np.diff(omega, axis=1) <= 0)


def test_a_published_run_on_the_nine_experiments_of_bem():
    # Effects: Bem, Utts & Johnson 2011, J Pers Soc Psychol 101:716. Results: README of R package
    # RoBMA 2.0.0, summary(RoBMA(d, se, seed = 1)): inclusion Bayes factors 0.479, 0.143, 16.323;
    # mu 0.037 [-0.041, 0.213], tau 0.010. That run is MCMC on Fisher's z, this one exact on d: a
    # run of MCMC differs from the next by a few per cent in a Bayes factor.
    d = [0.25, 0.20, 0.26, 0.23, 0.22, 0.15, 0.09, 0.19, 0.42]
    se = [0.10155048, 0.08246211, 0.10323629, 0.10182427, 0.10120277, 0.08210765, 0.07085372,
          0.10089846, 0.14752627]  # fmt: skip
    found = bias_average.fit(d, se, mu_prior=MU, tau_prior=InverseGamma(1, 0.15))
    assert len(found.models) == 36
    assert found.bf_effect == pytest.approx(0.479, rel=0.03)
    assert found.bf_heterogeneity == pytest.approx(0.143, rel=0.03)
    assert found.bf_bias == pytest.approx(16.323, rel=0.03)
    assert found.mu.mean == pytest.approx(0.037, abs=0.001)
    assert found.mu.ci_low == pytest.approx(-0.041, abs=0.004)
    assert found.mu.ci_high == pytest.approx(0.213, abs=0.004)
    assert found.tau == pytest.approx(0.010, abs=0.001)
    assert found.statement.startswith("9 studies: these models can say little")


# --- what the average does -----------------------------------------------------------------------


def test_probabilities_sum_to_one_and_prior_odds_are_even(small):
    models = small.models
    assert models["prior_probability"].sum() == pytest.approx(1)
    assert models["posterior_probability"].sum() == pytest.approx(1)
    for inside in (models["effect"], models["heterogeneity"], models["bias"].ne("none")):
        assert models.loc[inside, "prior_probability"].sum() == pytest.approx(0.5)
    odds = models.loc[models["bias"].ne("none"), "posterior_probability"].sum()
    assert small.bf_bias == pytest.approx(odds / (1 - odds))


def test_the_mirror_image_of_the_data_gives_the_mirror_image_of_the_result(small):
    flipped = bias_average.fit(-SMALL_Y, SMALL_SE, mu_prior=MU, tau_prior=TAU, side=-1)
    assert flipped.bf_bias == pytest.approx(small.bf_bias)
    assert flipped.mu_given_effect.mean == pytest.approx(-small.mu_given_effect.mean)
    assert flipped.mu_given_effect.ci_low == pytest.approx(-small.mu_given_effect.ci_high)


def simulated(k, publish, seed):
    """k published studies of a true mean 0 with tau 0.1; others with probability `publish`."""
    rng = np.random.default_rng(seed)
    y, se = [], []
    while len(y) < k:
        error = rng.uniform(0.1, 0.5)
        value = rng.normal(0, np.hypot(0.1, error))
        if value / error > 1.645 or rng.random() < publish:
            y.append(value)
            se.append(error)
    return np.array(y), np.array(se)


def test_selected_studies_are_found_out_and_the_mean_is_corrected():
    found = bias_average.fit(*simulated(20, 0.05, seed=6), mu_prior=MU, tau_prior=TAU)
    assert found.bf_bias > 20
    assert found.unadjusted_given_effect.ci_low > 0.1
    assert found.mu_given_effect.ci_low < 0 < found.mu_given_effect.ci_high
    assert "strong evidence for bias" in found.statement


def test_studies_all_published_give_no_sign_of_bias():
    found = bias_average.fit(*simulated(20, 1.0, seed=6), mu_prior=MU, tau_prior=TAU)
    assert found.bf_bias < 1
    assert abs(found.mu.mean) < 0.1
    assert "for bias" not in found.statement


def test_one_study_says_nothing_of_bias():
    found = bias_average.fit([0.3], [0.3], mu_prior=MU, tau_prior=TAU)
    assert 1 / 3 < found.bf_bias < 3
    assert found.statement.startswith("1 study: these models can say little")


def test_impossible_input_is_refused():
    priors = {"mu_prior": MU, "tau_prior": TAU}
    with pytest.raises(ValueError, match="row 1"):
        bias_average.fit([0.1, 0.2], [0.1, 0.0], **priors)
    with pytest.raises(ValueError, match="no study"):
        bias_average.fit([], [], **priors)
    with pytest.raises(ValueError, match="side is"):
        bias_average.fit([0.1], [0.1], side=0, **priors)
    with pytest.raises(ValueError, match="no such ensemble"):
        bias_average.fit([0.1], [0.1], models="36", **priors)
    with pytest.raises(ValueError, match="shares"):
        bias_average.fit([0.1], [0.1], models=[bias_average.Bias("PET", "pet", 0.3)], **priors)
    with pytest.raises(ValueError, match="density"):
        bias_average.fit([0.1], [0.1], mu_prior=MU, tau_prior=exact.Fixed(0.2))


# --- classical tests -----------------------------------------------------------------------------


def magnesium() -> tuple[np.ndarray, np.ndarray]:
    """Log odds ratios of the 16 trials of magnesium, 1/2 added where a cell is empty."""
    table = pd.read_csv(REFERENCE / "magnesium.csv")
    a, c = table["events_treated"], table["events_control"]
    cells = np.array([a, table["n_treated"] - a, c, table["n_control"] - c], dtype=float)
    cells += np.where((cells == 0).any(axis=0), 0.5, 0.0)
    sign = np.array([1, -1, -1, 1])
    return sign @ np.log(cells), np.sqrt((1 / cells).sum(axis=0))


def test_rank_correlation_as_metafor_reports_it():
    # R package metafor, tests/testthat/test_misc_pub_bias.r: ranktest() of the 16 trials of
    # magnesium gives tau 0.15, p 0.4503.
    found = small_study.begg(*magnesium())
    assert found.estimate == pytest.approx(0.15)
    assert found.p_value == pytest.approx(0.4503, abs=5e-5)


def test_egger_is_the_regression_of_effects_on_standard_errors():
    y, se = magnesium()
    found = small_study.egger(y, se)
    slope_of_wls = np.polyfit(se, y, 1, w=1 / se)[0]
    assert found.estimate == pytest.approx(slope_of_wls)
    assert found.ci_high < 0  # small trials of magnesium report the larger benefits


def test_trim_and_fill_mirrors_the_studies_without_a_counterpart():
    # By hand (L0): without 1.0 and 1.4 the errors are equal and the mean is -0.004; about it the
    # positive ranks are 1, 2, 4, 6 and 7, so (4 * 20 - 7 * 8) / 13 = 1.85 -> 2 are missing.
    y = np.array([1.0, -0.21, 0.1, 0.2, -0.11, 0.0, 1.4])
    se = np.array([0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9])
    found = small_study.trim_and_fill(y, se, side=1)
    assert found.k_filled == 2
    assert found.y == pytest.approx([-1.008, -1.408])
    assert found.se == pytest.approx([0.8, 0.9])
    before, _ = small_study.random_effects(y, se)
    assert found.result.estimate < before
    mirrored = small_study.trim_and_fill(-y, se, side=-1)
    assert mirrored.result.estimate == pytest.approx(-found.result.estimate)


def test_trim_and_fill_adds_nothing_to_a_symmetric_funnel():
    y, se = np.array([-1.0, -0.4, 0.0, 0.4, 1.0]), np.array([0.5, 0.3, 0.1, 0.3, 0.5])
    found = small_study.trim_and_fill(y, se, side=1)
    assert found.k_filled == 0
    assert found.result.estimate == pytest.approx(0, abs=1e-12)


def test_two_studies_are_too_few_for_a_test_of_asymmetry():
    for test in (small_study.egger, small_study.begg):
        with pytest.raises(ValueError, match="2 studies"):
            test([0.1, 0.2], [0.1, 0.2])


@pytest.mark.parametrize("y", [[1, 2, 3], [0.1, 0.1, 0.1], [-1.0, -1.1, -0.9]])
def test_equal_standard_errors_give_a_note_and_no_figures(y):
    for test in (small_study.egger, small_study.begg):
        found = test(y, [0.5, 0.5, 0.5])
        assert found.note == small_study.NO_FUNNEL
        assert math.isnan(found.p_value) and math.isnan(found.estimate)
        assert found.k_studies == 3


def test_effects_without_an_order_or_on_a_line_never_end_in_an_error():
    same = small_study.begg([0.5, 0.5, 0.5], [0.1, 0.2, 0.3])
    assert same.note == small_study.NO_ORDER or math.isfinite(same.p_value)
    se = np.array([0.1, 0.2, 0.4])
    straight = small_study.egger(1 + 2 * se, se)
    assert straight.note == small_study.NO_ERROR or straight.p_value < 1e-6


def test_a_trim_and_fill_that_does_not_settle_says_so(monkeypatch):
    monkeypatch.setattr(small_study, "MAX_ROUNDS", 1)
    y, se = np.array([0.1, 0.2, 0.9, 1.0, 1.1]), np.array([0.05, 0.06, 0.3, 0.4, 0.5])
    found = small_study.trim_and_fill(y, se, side=1)
    assert found.result.note == small_study.NOT_SETTLED
    assert found.k_filled == 0 and math.isnan(found.result.estimate)


# --- the project's own numbers -------------------------------------------------------------------
