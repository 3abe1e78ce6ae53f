"""The exact posterior against brute force, closed forms, symmetries, and itself in batches."""

import numpy as np
import pandas as pd
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import ndtr

from analysis import exact

LEVELS = (0.0005, 0.025, 0.5, 0.975, 0.9995)


class BruteForce:
    """Textbook formulas on one very fine fixed grid of log τ, Simpson's rule; no cleverness."""

    def __init__(self, y, se, tau_prior, mu_prior=None, points=30_001):
        y, se = np.asarray(y, float), np.asarray(se, float)
        low, high = tau_prior.span()
        bounded, heavy = np.isfinite(tau_prior.end), np.isfinite(tau_prior.tail)
        left = np.log(min(se.min(), float(low))) - 26
        size = max(se.max(), np.ptp(y), float(high))
        right = np.log(float(tau_prior.end)) if bounded else np.log(size) + (45 if heavy else 5)
        log_tau = np.linspace(left, right, points)
        h = log_tau[1] - log_tau[0]
        simpson = np.full(points, 2.0)
        simpson[1::2], simpson[[0, -1]] = 4.0, 1.0
        tau = np.exp(log_tau)
        total = se[:, None] ** 2 + tau**2
        precision, weighted = (1 / total).sum(0), (y[:, None] / total).sum(0)
        if mu_prior:
            precision = precision + 1 / mu_prior.sd**2
            weighted = weighted + mu_prior.mean / mu_prior.sd**2
        mean = weighted / precision
        log_p = stats.norm.logpdf(y[:, None], mean, np.sqrt(total)).sum(0)
        log_p = log_p + 0.5 * np.log(2 * np.pi / precision)
        if mu_prior:
            log_p = log_p + stats.norm.logpdf(mean, mu_prior.mean, mu_prior.sd)
        log_p = log_p + tau_prior.logpdf(tau[None])[0] + log_tau
        peak = log_p.max()
        mass = simpson * h / 3 * np.exp(log_p - peak)
        self.log_marginal = peak + np.log(mass.sum())
        self.weight = mass / mass.sum()
        self.tau, self.mean, self.sd = tau, mean, precision**-0.5
        density = np.exp(log_p - peak) / mass.sum()
        pairs = h / 3 * (density[:-2:2] + 4 * density[1:-1:2] + density[2::2])
        self.even, self.cumulative = tau[::2], np.concatenate([[0.0], np.cumsum(pairs)])

    def moments(self, values, variances=0.0):
        centre = self.weight @ values
        return centre, np.sqrt(self.weight @ (variances + (values - centre) ** 2))

    def tau_cdf(self, x):
        return np.interp(np.log(x), np.log(self.even), self.cumulative)

    def mixture_cdf(self, x, predictive=False):
        sd = np.hypot(self.sd, self.tau) if predictive else self.sd
        return self.weight @ ndtr((x - self.mean) / sd)


def random_cases(n=36, seed=20):
    """Studies from one to two hundred, six prior families, se over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        k = int(rng.choice([1, 2, 3, 5, 10, 30, 200]))
        unit = 10.0 ** rng.integers(-3, 4)
        se = unit * np.exp(rng.normal(size=k) * rng.choice([0.3, 1.0, 3.0]))
        y = unit * rng.normal() + rng.normal(size=k) * np.hypot(se, unit * rng.choice([0, 0.3, 2]))
        if i % 12 == 0:
            se = unit * np.logspace(-5, 0, k)
            y = rng.normal(size=k) * se
        if i % 12 == 5:
            y = np.full(k, unit)
        scale = float(unit * rng.choice([0.1, 1.0, 10.0]))
        prior = (
            exact.HalfNormal(scale),
            exact.HalfCauchy(scale),
            exact.HalfStudentT(3.0, scale),
            exact.Exponential(scale),
            exact.Uniform(scale),
            exact.LogNormal(float(np.log(scale)), float(rng.choice([0.3, 1.0, 1.6]))),
        )[i % 6]
        mu_prior = None if rng.random() < 0.5 else exact.Normal(0.0, float(unit * 5))
        dear = [pytest.mark.slow] if k == 200 and i else []  # the first of them is among the fast
        name = f"{i}-{type(prior).__name__}-k{k}"
        yield pytest.param(y, se, prior, mu_prior, id=name, marks=dear)


@pytest.mark.parametrize(("y", "se", "prior", "mu_prior"), random_cases())
def test_agrees_with_brute_force(y, se, prior, mu_prior):
    post = exact.fit(y, se, tau_prior=prior, mu_prior=mu_prior)
    brute = BruteForce(y, se, prior, mu_prior)
    assert post.log_marginal_likelihood == pytest.approx(brute.log_marginal, abs=1e-7)
    mean, sd = brute.moments(brute.mean, brute.sd**2)
    tau_mean, tau_sd = brute.moments(brute.tau)
    predictive_sd = brute.moments(brute.mean, brute.sd**2 + brute.tau**2)[1]
    for mine, theirs in (
        (post.mu.sd, sd),
        (post.tau.mean, tau_mean),
        (post.tau.sd, tau_sd),
        (post.predictive.sd, predictive_sd),
    ):
        if np.isfinite(mine):  # else the integral diverges, and brute force cannot know
            assert mine == pytest.approx(theirs, rel=1e-5)
    if np.isfinite(post.mu.mean) and np.isfinite(post.mu.sd):
        assert post.mu.mean == pytest.approx(mean, abs=1e-6 * sd)
    for p in LEVELS:
        # A quantile is right to 1e-4 when the probabilities 1e-4 to either side bracket p.
        q = post.tau.quantile(p)
        assert brute.tau_cdf(q * (1 - 1e-4)) <= p <= brute.tau_cdf(q * (1 + 1e-4))
        for predictive, quantity in ((False, post.mu), (True, post.predictive)):
            q = quantity.quantile(p)
            room = 1e-5 * abs(q - quantity.median) + 1e-7 * (
                quantity.quantile(0.84) - quantity.quantile(0.16)
            )
            assert brute.mixture_cdf(q - room, predictive) <= p
            assert brute.mixture_cdf(q + room, predictive) >= p


@pytest.mark.parametrize(("y", "se", "prior", "mu_prior"), random_cases(12, seed=3))
def test_half_the_nodes_give_the_same(y, se, prior, mu_prior):
    full = exact.fit(y, se, tau_prior=prior, mu_prior=mu_prior)
    half = exact.fit(y, se, tau_prior=prior, mu_prior=mu_prior, nodes=64)
    assert half.log_marginal_likelihood == pytest.approx(full.log_marginal_likelihood, abs=1e-6)
    assert half.tau.quantile(0.975) == pytest.approx(full.tau.quantile(0.975), rel=1e-4)
    assert half.mu.quantile(0.025) == pytest.approx(
        full.mu.quantile(0.025), abs=1e-5 * (full.mu.quantile(0.84) - full.mu.quantile(0.16))
    )


# ---- Closed forms -----------------------------------------------------------------------------

Y = np.array([0.3, -0.1, 0.8, 0.5, 0.2])
SE = np.array([0.2, 0.3, 0.25, 0.4, 0.15])


@pytest.mark.parametrize("tau", [0.0, 0.35])
def test_fixed_tau_is_the_weighted_mean(tau):
    post = exact.fit(Y, SE, tau_prior=exact.Fixed(tau))
    w = 1 / (SE**2 + tau**2)
    mean, sd = (w @ Y) / w.sum(), w.sum() ** -0.5
    assert post.mu.mean == pytest.approx(mean, rel=1e-13)
    assert post.mu.sd == pytest.approx(sd, rel=1e-13)
    assert post.mu.interval() == pytest.approx((mean - 1.959963985 * sd, mean + 1.959963985 * sd))
    assert post.predictive.sd == pytest.approx(np.hypot(sd, tau))
    assert post.shrinkage["weight"].to_numpy() == pytest.approx(w / w.sum())
    pull = SE**2 / (SE**2 + tau**2)
    assert post.shrinkage["mean"].to_numpy() == pytest.approx((1 - pull) * Y + pull * mean)
    assert post.tau.mean == tau and post.tau.sd == 0 and post.tau.quantile(0.3) == tau
    assert post.tau.interval(kind="shortest") == (tau, tau)
    residuals = stats.norm.logpdf(Y, mean, np.sqrt(SE**2 + tau**2)).sum()
    assert post.log_marginal_likelihood == pytest.approx(
        residuals + 0.5 * np.log(2 * np.pi) + np.log(sd)
    )


def test_fixed_tau_with_a_normal_prior_is_the_multivariate_normal_density():
    post = exact.fit(Y, SE, tau_prior=exact.Fixed(0.3), mu_prior=exact.Normal(0.1, 0.7))
    covariance = np.diag(SE**2 + 0.3**2) + 0.7**2
    expected = stats.multivariate_normal(np.full(5, 0.1), covariance).logpdf(Y)
    assert post.log_marginal_likelihood == pytest.approx(expected, abs=1e-12)


def test_one_study_and_a_flat_mean_leave_the_prior_of_tau():
    prior = exact.HalfNormal(0.8)
    post = exact.fit([1.5], [0.4], tau_prior=prior)
    assert post.log_marginal_likelihood == pytest.approx(0.0, abs=1e-10)
    expected = stats.halfnorm(scale=0.8)
    for p in LEVELS:
        assert post.tau.quantile(p) == pytest.approx(expected.ppf(p), rel=1e-5)
    assert post.tau.mean == pytest.approx(expected.mean(), rel=1e-9)
    assert post.mu.mean == pytest.approx(1.5)
    assert post.mu.sd == pytest.approx(np.hypot(0.4, 0.8), rel=1e-9)  # E τ² = scale²
    assert post.predictive.sd == pytest.approx(np.sqrt(0.4**2 + 2 * 0.8**2), rel=1e-9)


@pytest.mark.parametrize(
    ("prior", "reference"),
    [
        (exact.HalfNormal(2.0), stats.halfnorm(scale=2.0)),
        (exact.HalfCauchy(2.0), stats.halfcauchy(scale=2.0)),
        (exact.Exponential(2.0), stats.expon(scale=2.0)),
        (exact.Uniform(2.0), stats.uniform(0, 2.0)),
        (exact.LogNormal(0.3, 0.8), stats.lognorm(0.8, scale=np.exp(0.3))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_prior_densities(prior, reference):
    x = np.array([[0.01, 0.5, 1.9, 2.5, 30.0]])
    with np.errstate(divide="ignore"):
        assert prior.logpdf(x)[0] == pytest.approx(reference.logpdf(x[0]))


def test_half_student_t_density():
    x = np.array([[0.0, 0.5, 3.0]])
    expected = np.log(2) + stats.t(4, scale=1.5).logpdf(x[0])
    assert exact.HalfStudentT(4.0, 1.5).logpdf(x)[0] == pytest.approx(expected)
    cauchy = exact.HalfCauchy(1.5).logpdf(x)
    assert cauchy == pytest.approx(exact.HalfStudentT(1.0, 1.5).logpdf(x))


# ---- The distributions ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schools():
    y = [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0]
    se = [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]
    return exact.fit(y, se, tau_prior=exact.HalfCauchy(25.0))


@pytest.mark.parametrize("name", ["mu", "tau", "predictive"])
def test_distribution_functions_belong_together(schools, name):
    quantity = getattr(schools, name)
    p = np.array([0.001, 0.2, 0.5, 0.9, 0.999])
    assert quantity.cdf(quantity.quantile(p)) == pytest.approx(p, abs=1e-8)
    assert quantity.median == quantity.quantile(0.5)
    a, b = quantity.quantile([0.1, 0.7])
    area = integrate.quad(quantity.pdf, a, b, epsabs=1e-11)[0]
    assert area == pytest.approx(0.6, abs=1e-7)
    mean = integrate.quad(lambda x: 1 - quantity.cdf(x), 0, 400, limit=400, epsabs=1e-9)[0]
    if name != "tau":
        mean -= integrate.quad(quantity.cdf, -400, 0, limit=400, epsabs=1e-9)[0]
    assert quantity.mean == pytest.approx(mean, rel=1e-4)


def test_quantiles_at_the_ends(schools):
    assert schools.tau.quantile([0.0, 1.0]).tolist() == [0.0, np.inf]
    assert schools.mu.quantile([0.0, 1.0]).tolist() == [-np.inf, np.inf]
    bounded = exact.fit(Y, SE, tau_prior=exact.Uniform(0.7))
    assert bounded.tau.quantile(1.0) == 0.7
    assert bounded.tau.cdf([-1.0, 0.0, 0.7, 3.0]).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert bounded.tau.pdf([-1.0, 0.71]).tolist() == [0.0, 0.0]
    assert isinstance(schools.mu.quantile(0.3), float)


@pytest.mark.parametrize("name", ["mu", "tau", "predictive"])
def test_shortest_interval_has_its_probability_and_no_rival(schools, name):
    quantity = getattr(schools, name)
    low, high = quantity.interval(0.9, kind="shortest")
    assert quantity.cdf(high) - quantity.cdf(low) == pytest.approx(0.9, abs=1e-7)
    start = np.linspace(0, 0.1, 201)
    widths = quantity.quantile(np.minimum(start + 0.9, 1)) - quantity.quantile(start)
    assert high - low <= widths.min() + 1e-9
    if name == "tau":  # the posterior falls from 0, so the interval begins there
        assert low == 0.0


def test_shortest_interval_of_tau_away_from_zero():
    rng = np.random.default_rng(4)
    post = exact.fit(rng.normal(0, 3, 12), np.full(12, 0.5), tau_prior=exact.HalfNormal(5.0))
    low, high = post.tau.interval(kind="shortest")
    assert low > 0.5
    assert post.tau.pdf(low) == pytest.approx(post.tau.pdf(high), rel=1e-5)


def test_moments_that_do_not_exist_are_said_not_to():
    one = exact.fit([0.5], [0.2], tau_prior=exact.HalfCauchy(1.0))
    assert one.tau.mean == np.inf and one.mu.sd == np.inf and np.isnan(one.mu.mean)
    assert one.mu.median == pytest.approx(0.5)
    two = exact.fit([0.5, 1.0], [0.2, 0.3], tau_prior=exact.HalfCauchy(1.0))
    assert np.isfinite(two.tau.mean) and two.tau.sd == np.inf and two.predictive.sd == np.inf
    three = exact.fit([0.5, 1.0, 0.7], [0.2, 0.3, 0.3], tau_prior=exact.HalfCauchy(1.0))
    assert np.isfinite(three.tau.sd)
    proper = exact.fit([0.5], [0.2], tau_prior=exact.HalfCauchy(1.0), mu_prior=exact.Normal(0, 1))
    assert np.isfinite(proper.mu.sd)
    many = exact.fit_many([[0.5, 9.0]], [0.2, 1.0], [[True, False]], tau_prior=exact.HalfCauchy(1))
    assert many.tau_mean[0] == np.inf and np.isnan(many.mu_mean[0])


def test_draws_follow_the_posterior(schools):
    draws = schools.sample(20_000, seed=1)
    assert list(draws) == ["tau", "mu", "predictive"]
    for name in draws:
        # Probability integral transform: uniform when the draws are right.
        assert stats.kstest(getattr(schools, name).cdf(draws[name]), "uniform").pvalue > 1e-3
    pd.testing.assert_frame_equal(draws, schools.sample(20_000, seed=1))
    assert not draws.equals(schools.sample(20_000, seed=2))


def test_i_squared(schools):
    w = 1 / np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]) ** 2
    typical = 7 * w.sum() / (w.sum() ** 2 - (w**2).sum())
    tau = schools.tau.median
    assert schools.i_squared.median == pytest.approx(tau**2 / (tau**2 + typical))
    draws = schools.sample(40_000, seed=5)["tau"] ** 2
    assert schools.i_squared == pytest.approx((draws / (draws + typical)).mean(), abs=0.005)
    low, high = schools.i_squared.interval()
    assert 0 <= low < schools.i_squared < high <= 1
    assert exact.fit([1.0], [2.0], tau_prior=exact.Fixed(2.0)).i_squared == pytest.approx(0.5)


def test_shrinkage_table(schools):
    table = schools.shrinkage
    assert list(table) == ["mean", "sd", "ci_low", "ci_high", "weight"]
    assert table["weight"].sum() == pytest.approx(1.0)
    first = schools.effect(0)
    assert table.loc[0, "mean"] == pytest.approx(first.mean)
    assert table.loc[0, ["ci_low", "ci_high"]].to_list() == pytest.approx(first.interval())
    named = exact.fit(pd.Series(Y, index=list("abcde")), SE).shrinkage
    assert named.index.to_list() == list("abcde")
    informed = exact.fit(Y, SE, mu_prior=exact.Normal(0, 0.1)).shrinkage
    assert 0 < informed["weight"].sum() < 1  # the prior holds the rest


# ---- Covariates -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(8)
    x = rng.normal(size=12)
    se = rng.uniform(0.1, 0.5, 12)
    y = 0.3 + 0.8 * x + rng.normal(size=12) * np.hypot(se, 0.3)
    return y, se, pd.DataFrame({"intercept": 1.0, "dose": x})


def test_a_column_of_ones_is_a_mean():
    plain = exact.fit(Y, SE)
    column = exact.fit(Y, SE, X=np.ones((5, 1)))
    assert column.coef["x0"].mean == pytest.approx(plain.mu.mean, rel=1e-12)
    assert column.mu.interval() == pytest.approx(plain.mu.interval())
    assert column.log_marginal_likelihood == pytest.approx(plain.log_marginal_likelihood)
    assert plain.coef["mu"].sd == plain.mu.sd


def test_regression_with_fixed_tau_is_weighted_least_squares(regression):
    y, se, design = regression
    post = exact.fit(y, se, X=design, tau_prior=exact.Fixed(0.3))
    w = np.diag(1 / (se**2 + 0.09))
    x = design.to_numpy()
    covariance = np.linalg.inv(x.T @ w @ x)
    beta = covariance @ x.T @ w @ y
    assert post.coefficients.index.to_list() == ["intercept", "dose"]
    assert post["dose"] is post.coef["dose"]
    assert post.coefficients["mean"].to_numpy() == pytest.approx(beta)
    assert post.coefficients["sd"].to_numpy() == pytest.approx(np.sqrt(np.diag(covariance)))
    mean, new = post.at({"intercept": 1.0, "dose": 2.0})
    a = np.array([1.0, 2.0])
    assert (mean.mean, mean.sd) == pytest.approx((a @ beta, np.sqrt(a @ covariance @ a)))
    assert new.sd == pytest.approx(np.hypot(mean.sd, 0.3))
    hat = np.diag(x @ covariance @ x.T @ w)
    assert post.shrinkage["weight"].to_numpy() == pytest.approx(hat / 2)
    residual = y - x @ beta
    log_p = (
        0.5 * np.linalg.slogdet(w)[1]
        - 5 * np.log(2 * np.pi)
        + 0.5 * np.linalg.slogdet(covariance)[1]
        - 0.5 * residual @ w @ residual
    )
    assert post.log_marginal_likelihood == pytest.approx(log_p)


def test_regression_with_normal_priors_is_the_multivariate_normal_density(regression):
    y, se, design = regression
    priors = {"intercept": exact.Normal(0.2, 1.5), "dose": exact.Normal(-0.1, 0.4)}
    post = exact.fit(y, se, X=design, mu_prior=priors, tau_prior=exact.Fixed(0.2))
    x = design.to_numpy()
    covariance = np.diag(se**2 + 0.04) + x @ np.diag([1.5**2, 0.4**2]) @ x.T
    expected = stats.multivariate_normal(x @ [0.2, -0.1], covariance).logpdf(y)
    assert post.log_marginal_likelihood == pytest.approx(expected, abs=1e-10)
    as_list = exact.fit(y, se, X=design, mu_prior=list(priors.values()), tau_prior=exact.Fixed(0.2))
    assert as_list.log_marginal_likelihood == post.log_marginal_likelihood


def test_regression_integrates_over_tau(regression):
    y, se, design = regression
    prior = exact.HalfNormal(0.5)
    post = exact.fit(y, se, X=design, tau_prior=prior)

    def integrand(tau, power):
        fixed = exact.fit(y, se, X=design, tau_prior=exact.Fixed(tau))
        density = np.exp(fixed.log_marginal_likelihood + prior.logpdf(np.array([[tau]]))[0, 0])
        return density * fixed.coef["dose"].mean ** power

    total, weighted = (integrate.quad(integrand, 0, 4, (p,), epsrel=1e-9)[0] for p in (0, 1))
    assert post.log_marginal_likelihood == pytest.approx(np.log(total), abs=1e-7)
    assert post.coef["dose"].mean == pytest.approx(weighted / total, rel=1e-7)


def test_regression_draws(regression):
    y, se, design = regression
    post = exact.fit(y, se, X=design, tau_prior=exact.HalfNormal(0.5))
    draws = post.sample(20_000, seed=3)
    for name in design:
        assert stats.kstest(post.coef[name].cdf(draws[name]), "uniform").pvalue > 1e-3
    shift = post.at([-1.0, 1.0])[0]
    difference = draws["dose"] - draws["intercept"]
    assert stats.kstest(shift.cdf(difference), "uniform").pvalue > 1e-3
    with pytest.raises(ValueError, match="rename"):
        exact.fit(y, se, X=design.rename(columns={"dose": "tau"})).sample(3)


# ---- Properties -------------------------------------------------------------------------------

studies = st.integers(1, 12).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(-5, 5), min_size=k, max_size=k),
        st.lists(st.floats(0.01, 5), min_size=k, max_size=k),
    )
)
quick = examples(20, 200)


@quick
@given(studies, st.floats(-100, 100), st.floats(0.001, 1000))
def test_shift_and_scale(data, shift, factor):
    y, se = map(np.array, data)
    plain = exact.fit(y, se, tau_prior=exact.HalfNormal(1.0))
    moved = exact.fit(factor * (y + shift), factor * se, tau_prior=exact.HalfNormal(factor))
    room = 1e-7 * factor * (plain.mu.sd + abs(shift))
    assert moved.mu.mean == pytest.approx(factor * (plain.mu.mean + shift), abs=room)
    assert moved.mu.sd == pytest.approx(factor * plain.mu.sd, rel=1e-7)
    assert moved.tau.quantile(0.9) == pytest.approx(factor * plain.tau.quantile(0.9), rel=1e-5)
    assert moved.log_marginal_likelihood == pytest.approx(
        plain.log_marginal_likelihood - (y.size - 1) * np.log(factor), abs=1e-6
    )


@quick
@given(studies, st.randoms(use_true_random=False))
def test_order_of_studies_is_irrelevant(data, random):
    y, se = map(np.array, data)
    order = list(range(y.size))
    random.shuffle(order)
    plain, mixed = exact.fit(y, se), exact.fit(y[order], se[order])
    assert mixed.mu.mean == pytest.approx(plain.mu.mean, abs=1e-9)
    assert mixed.tau.quantile(0.9) == pytest.approx(plain.tau.quantile(0.9), rel=1e-7)
    assert mixed.shrinkage["mean"].to_numpy() == pytest.approx(
        plain.shrinkage["mean"].to_numpy()[order], abs=1e-9
    )


@quick
@given(studies, st.floats(-5, 5))
def test_a_study_that_knows_nothing_changes_nothing(data, effect):
    y, se = map(np.array, data)
    plain = exact.fit(y, se)
    more = exact.fit(np.append(y, effect), np.append(se, 1e7))
    assert more.mu.mean == pytest.approx(plain.mu.mean, abs=1e-6)
    assert more.mu.sd == pytest.approx(plain.mu.sd, rel=1e-6)
    assert more.tau.quantile(0.9) == pytest.approx(plain.tau.quantile(0.9), rel=1e-5)


@quick
@given(studies)
def test_shrinkage_lies_between_the_study_and_the_mean(data):
    y, se = map(np.array, data)
    # With one τ the mean effect is the same for all studies, so each lies between exactly.
    post = exact.fit(y, se, tau_prior=exact.Fixed(0.7))
    low, high = np.minimum(y, post.mu.mean), np.maximum(y, post.mu.mean)
    shrunk = post.shrinkage["mean"].to_numpy()
    assert np.all(shrunk >= low - 1e-9) and np.all(shrunk <= high + 1e-9)
    # Averaged over τ they cannot leave the range of the studies.
    free = exact.fit(y, se).shrinkage["mean"].to_numpy()
    assert np.all(free >= y.min() - 1e-9) and np.all(free <= y.max() + 1e-9)


@quick
@given(studies, st.floats(1e-3, 0.999))
def test_quantile_inverts_cdf(data, p):
    post = exact.fit(*data, tau_prior=exact.Exponential(0.7), mu_prior=exact.Normal(0, 3))
    for quantity in (post.mu, post.tau, post.predictive):
        assert quantity.cdf(quantity.quantile(p)) == pytest.approx(p, abs=1e-7)


# ---- Many at once -----------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_many_equal_one_by_one(seed):
    rng = np.random.default_rng(seed)
    rows, k = 5, 7
    y, se = rng.normal(size=(rows, k)), rng.uniform(0.05, 2, (rows, k))
    mask = rng.random((rows, k)) < 0.7
    mask[:, 0] = True
    y = np.where(mask, y, np.nan)
    scale, mean = rng.uniform(0.1, 2, rows), rng.normal(size=rows)
    sd = np.where(rng.random(rows) < 0.5, np.inf, rng.uniform(0.5, 3, rows))
    many = exact.fit_many(
        y, se, mask, tau_prior=exact.HalfNormal(scale), mu_prior=exact.Normal(mean, sd)
    )
    below, tau_below = many.probability_below(0.1), many.probability_below(0.4, "tau")
    tenth = many.quantile(0.1, "predictive")
    for i in range(rows):
        prior = None if np.isinf(sd[i]) else exact.Normal(mean[i], sd[i])
        one = exact.fit(
            y[i, mask[i]],
            se[i, mask[i]],
            tau_prior=exact.HalfNormal(scale[i]),
            mu_prior=prior,
        )
        assert many.k[i] == one.k
        for name in ("mu", "tau", "predictive"):
            quantity = getattr(one, name)
            numbers = [quantity.mean, quantity.sd, quantity.median, *quantity.interval()]
            parts = [f"{name}_{part}" for part in ("mean", "sd", "median", "low", "high")]
            assert [getattr(many, part)[i] for part in parts] == pytest.approx(
                numbers, rel=1e-6, abs=1e-8
            )
        assert many.log_marginal_likelihood[i] == pytest.approx(
            one.log_marginal_likelihood, abs=1e-8
        )
        assert below[i] == pytest.approx(one.mu.cdf(0.1), abs=1e-8)
        assert tau_below[i] == pytest.approx(one.tau.cdf(0.4), abs=1e-7)
        assert tenth[i] == pytest.approx(one.predictive.quantile(0.1), abs=1e-7)
    table = many.to_frame()
    assert len(table) == rows and table.notna().all(axis=None)


def test_many_with_covariates(regression):
    y, se, design = regression
    batch = np.stack([y, y + 0.5, y[::-1]])
    many = exact.fit_many(batch, se, X=design, tau_prior=exact.HalfNormal(0.5))
    for i in range(3):
        one = exact.fit(batch[i], se, X=design, tau_prior=exact.HalfNormal(0.5))
        assert many.beta_mean[i] == pytest.approx(one.coefficients["mean"].to_numpy())
        assert many.beta_sd[i] == pytest.approx(one.coefficients["sd"].to_numpy())
        assert many.predictive_high[i] == pytest.approx(one.predictive.interval()[1])
    own = exact.fit_many(batch, se, X=np.stack([design] * 3), tau_prior=exact.HalfNormal(0.5))
    assert own.beta_mean == pytest.approx(many.beta_mean)
    assert own.mu_low == pytest.approx(many.mu_low)


def test_many_in_chunks(monkeypatch):
    rng = np.random.default_rng(2)
    y, se = rng.normal(size=(9, 6)), rng.uniform(0.2, 1, (9, 6))
    whole = exact.fit_many(y, se).to_frame()
    monkeypatch.setattr("analysis.exact.batch.CHUNK_ROWS", 2)
    monkeypatch.setattr("analysis.exact.model.BLOCK_ELEMENTS", 100)
    pd.testing.assert_frame_equal(exact.fit_many(y, se).to_frame(), whole, rtol=1e-9)


def test_many_answer_as_one_does(regression):
    y, se, design = regression
    batch = np.stack([y, y[::-1], y + 1])
    mask = np.ones(batch.shape, dtype=bool)
    mask[1, [2, 5]] = False
    priors = {"X": design, "mu_prior": {"dose": exact.Normal(0, 1)}}
    scale = np.array([0.2, 0.5, 1.0])
    at = np.array([[1.0, 0.0], [1.0, 2.0], [1.0, -1.0]])
    many = exact.fit_many(batch, se, mask, tau_prior=exact.HalfCauchy(scale), at=at, **priors)
    for i in range(3):
        keep = mask[i]
        one = exact.fit(
            batch[i, keep],
            se[keep],
            X=design[keep],
            mu_prior=priors["mu_prior"],
            tau_prior=exact.HalfCauchy(scale[i]),
        )
        mu, predictive = one.at(at[i])
        for name, quantity in (("mu", mu), ("tau", one.tau), ("predictive", predictive)):
            rows, row = getattr(many, name), getattr(many[i], name)
            for other in (row.mean, rows.mean[i]):
                assert other == pytest.approx(quantity.mean, rel=1e-9)
            assert rows.sd[i] == pytest.approx(quantity.sd, rel=1e-9)
            assert rows.median[i] == pytest.approx(quantity.median, rel=1e-8)
            assert [end[i] for end in rows.interval(0.9)] == pytest.approx(quantity.interval(0.9))
            assert rows.cdf(0.3)[i] == pytest.approx(quantity.cdf(0.3))
        assert many[i].shrinkage.to_numpy() == pytest.approx(one.shrinkage.to_numpy(), abs=1e-8)
        assert many[i].shrinkage.index.to_list() == np.flatnonzero(keep).tolist()
        assert many[i].sample(3, seed=1)["dose"].to_numpy() == pytest.approx(
            one.sample(3, seed=1)["dose"].to_numpy()
        )
    assert len([*many]) == 3
    with pytest.raises(ValueError, match="at must be 2"):
        exact.fit_many(batch, se, X=design, at=[1.0])


def test_standard_errors_may_differ_beyond_all_measure():
    se = np.logspace(-25, 25, 9)
    post = exact.fit(np.zeros(9), se, tau_prior=exact.Fixed(0.0))
    expected = -np.log(se).sum() - 4 * np.log(2 * np.pi) - 0.5 * np.log((1 / se**2).sum())
    assert post.log_marginal_likelihood == pytest.approx(expected)


def test_many_with_fixed_tau_per_row():
    many = exact.fit_many(np.stack([Y, Y]), SE, tau_prior=exact.Fixed([0.0, 0.4]))
    assert many.mu_mean[1] == pytest.approx(exact.fit(Y, SE, tau_prior=exact.Fixed(0.4)).mu.mean)
    assert many.tau_median.tolist() == [0.0, 0.4]
    assert many.probability_below(0.2, "tau").tolist() == [1.0, 0.0]


# ---- Edges ------------------------------------------------------------------------------------


def test_a_thousand_studies():
    rng = np.random.default_rng(6)
    se = rng.uniform(0.1, 1, 1000)
    y = 0.4 + rng.normal(size=1000) * np.hypot(se, 0.25)
    prior = exact.HalfNormal(1.0)
    post = exact.fit(y, se, tau_prior=prior)
    tau = np.linspace(0.1, 0.4, 601)  # more than ten posterior SDs to either side
    fixed = exact.fit_many(np.tile(y, (601, 1)), se, tau_prior=exact.Fixed(tau))
    log_p = fixed.log_marginal_likelihood + prior.logpdf(tau[None])[0]
    mass = np.exp(log_p - log_p.max())
    log_marginal = np.log(integrate.simpson(mass, x=tau)) + log_p.max()
    assert post.log_marginal_likelihood == pytest.approx(log_marginal, abs=1e-6)
    assert post.tau.mean == pytest.approx((mass @ tau) / mass.sum(), rel=1e-6)
    assert post.mu.mean == pytest.approx((mass @ fixed.mu_mean) / mass.sum(), rel=1e-6)
    assert abs(post.mu.mean - 0.4) < 4 * post.mu.sd


def test_identical_studies_pull_tau_to_zero():
    few = exact.fit(np.full(5, 0.3), np.full(5, 0.1), tau_prior=exact.HalfNormal(1.0))
    lots = exact.fit(np.full(500, 0.3), np.full(500, 0.1), tau_prior=exact.HalfNormal(1.0))
    assert lots.tau.median < few.tau.median < 0.1
    assert lots.tau.interval(kind="shortest")[0] == 0.0
    assert lots.mu.mean == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("y", "se", "message"),
    [
        ([1.0, np.nan], [1.0, 1.0], r"y must be finite: row 1 is nan"),
        ([1.0, np.inf], [1.0, 1.0], r"y must be finite: row 1 is inf"),
        ([1.0, 2.0], [0.0, 1.0], r"se must be finite and above zero: row 0 is 0.0"),
        ([1.0, 2.0], [1.0, -2.0], r"row 1 is -2.0"),
        ([1.0, 2.0], [1.0, np.nan], r"row 1 is nan"),
        ([1.0, 2.0], [np.inf, 1.0], r"row 0 is inf"),
        ([1.0, 2.0], [1.0], r"differ in shape"),
        ([[1.0, 2.0]], [[1.0, 1.0]], r"y must have shape \(k,\)"),
        ([], [], r"no study"),
        (["a"], [1.0], r"y must be numbers"),
        (pd.Series([1.0, pd.NA], dtype="object"), [1.0, 1.0], r"y must be finite: row 1 is nan"),
        ([1.0, 2.0], [1.0, 1e-200], r"se must be between .* row 1 is 1e-200"),
        ([1.0, 1e160], [1.0, 1.0], r"y must be at most .* row 1 is 1e\+160"),
    ],
)
def test_bad_data_is_refused_by_row(y, se, message):
    with pytest.raises(ValueError, match=message):
        exact.fit(y, se)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.ones((4, 1))}, "one row for each of the 5 studies"),
        ({"X": np.column_stack([np.ones(5), np.ones(5)])}, "rank"),
        ({"X": np.full((5, 1), np.nan)}, "X must be finite: row 0, column 0"),
        ({"mu_prior": 3.0}, "Normal or None"),
        ({"tau_prior": 3.0}, "prior of exact"),
        ({"X": np.ones((5, 1)), "mu_prior": {"z": exact.Normal(0, 1)}}, "names no column"),
        ({"X": np.ones((5, 1)), "mu_prior": [None, None]}, "2 priors for 1"),
        ({"tau_prior": exact.HalfNormal([1.0, 2.0])}, "2 values for 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        exact.fit(Y, SE, **arguments)


def test_a_rank_deficient_design_is_proper_with_a_prior():
    design = np.column_stack([np.ones(5), np.ones(5)])
    post = exact.fit(Y, SE, X=design, mu_prior=[None, exact.Normal(0, 1)])
    assert post.coef["x1"].sd == pytest.approx(1.0)  # the data say nothing of it


def test_bad_batches_are_refused_by_row_and_column():
    y, se = np.zeros((3, 2)), np.ones((3, 2))
    se[2, 1] = 0
    with pytest.raises(ValueError, match="row 2, column 1 is 0"):
        exact.fit_many(y, se)
    assert exact.fit_many(y, se, se > 0).k.tolist() == [2, 2, 1]
    with pytest.raises(ValueError, match="row 1 has no study"):
        exact.fit_many(y, np.ones(2), [[1, 1], [0, 0], [1, 0]])
    with pytest.raises(ValueError, match="mask has shape"):
        exact.fit_many(y, np.ones(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="row 1: X has rank"):
        exact.fit_many(y, np.ones(2), [[1, 1], [1, 0], [1, 1]], X=[[1, 0], [1, 1]])
    with pytest.raises(ValueError, match="2 values for 3"):
        exact.fit_many(y, np.ones(2), tau_prior=exact.HalfNormal([1.0, 2.0]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: exact.HalfNormal(0.0),
        lambda: exact.HalfCauchy(-1.0),
        lambda: exact.Uniform(np.inf),
        lambda: exact.HalfStudentT(0.0, 1.0),
        lambda: exact.LogNormal(np.nan, 1.0),
        lambda: exact.Fixed(-0.1),
        lambda: exact.Normal(0.0, 0.0),
        lambda: exact.Normal(np.nan, 1.0),
    ],
)
def test_impossible_priors_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()


@pytest.mark.parametrize("distance", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("k", [1, 3])
def test_studies_far_from_the_prior_mean_are_integrated_where_their_posterior_lives(distance, k):
    """With tau >> se, mu given tau has mean k d / (k + tau^2), and tau^2 lies near d s sqrt(k).

    So the mean of mu tends to sqrt(k) / s whatever the distance d; here s = 0.5.
    """
    y, se = distance + np.linspace(0, 0.5, k), np.full(k, 0.2)
    choices = {"mu_prior": exact.Normal(0, 1), "tau_prior": exact.HalfNormal(0.5)}
    post = exact.fit(y, se, **choices)
    assert post.mu.mean == pytest.approx(np.sqrt(k) / 0.5, rel=0.005)
    assert post.tau.mean == pytest.approx(np.sqrt(distance * 0.5 * np.sqrt(k)), rel=0.02)
    assert exact.fit_many(y[None], se[None], **choices).mu_mean[0] == pytest.approx(post.mu.mean)


def test_the_table_of_effects_is_the_same_in_pieces(monkeypatch):
    rng = np.random.default_rng(5)
    post = exact.fit(rng.normal(size=23), rng.uniform(0.1, 0.5, 23))
    monkeypatch.setattr("analysis.exact.posterior.EFFECT_CHUNK", 500)
    again = exact.fit(post._problem.y[0], np.sqrt(post._problem.variance[0]))
    pd.testing.assert_frame_equal(post.shrinkage, again.shrinkage)
