"""The exact posterior of contrasts with results in words, against brute force and its limits."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from analysis import exact
from analysis.exact import contrasts
from analysis.exact.contrast_classes import fit_classes
from analysis.exact.contrast_likelihood import log_interval_probability, log_sd_kernel
from analysis.exact.contrasts import ContrastPriors, Contrasts

PRIOR = ContrastPriors(
    mu=exact.Normal(0.0, 2.0), tau=exact.HalfNormal(0.75), log_sd=exact.Normal(0.2, 0.7)
)
NAN = np.nan


def frame(**columns) -> pd.DataFrame:
    """Rows of an effects table with what is not given left blank."""
    blank = {"kind": "numeric", "y": NAN, "var_a": NAN, "var_b": 0.0, "n_factor": 0.1,
             "z_low": NAN, "z_high": NAN, "n_patients": 40}  # fmt: skip
    k = max(np.size(v) for v in columns.values())
    return pd.DataFrame({name: np.broadcast_to(v, k) for name, v in {**blank, **columns}.items()})


NUMBERS = frame(
    y=[-0.2, -1.2, -1.6, -0.7], var_a=[0.17, 0.16, 0.62, 0.06], var_b=[0.16, 0.15, 0.0, 0.0],
    n_factor=[0.19, 0.095, 0.39, 0.044], n_patients=[21, 42, 11, 91],
)  # fmt: skip
MIXED = frame(
    kind=["numeric", "numeric", "interval", "interval", "exact_p", "numeric"],
    y=[-0.2, -1.2, NAN, NAN, NAN, -0.5],
    var_a=[0.17, 0.16, NAN, NAN, NAN, NAN],
    var_b=[0.16, 0.15, NAN, NAN, NAN, NAN],
    n_factor=[0.19, 0.095, 0.22, 0.1, 0.15, 0.2],
    z_low=[NAN, NAN, -1.96, -np.inf, -2.2, NAN],
    z_high=[NAN, NAN, 1.96, -1.96, -2.2, NAN],
    n_patients=[21, 42, 18, 40, 30, 20],
)


def figures(post) -> np.ndarray:
    """Means and ends of mu, tau and a new study."""
    parts = (post.mu, post.tau, post.predictive)
    return np.concatenate([[one.mean, one.sd, *one.interval()] for one in parts])


def chance_of_bound(row, se: np.ndarray) -> np.ndarray:
    """Probability that y / SE, the SE seen in n patients, lies within the bound on z."""
    width = np.sqrt(0.5 / (row.n_patients - 1))
    seen = np.log(se)[..., None] + width * np.linspace(-8, 8, 4001)
    z = row.y / np.exp(seen)
    low = -np.inf if np.isnan(row.z_low) else row.z_low
    high = np.inf if np.isnan(row.z_high) else row.z_high
    weight = stats.norm.pdf(np.linspace(-8, 8, 4001))
    return ((z > low) & (z < high)) @ weight / weight.sum()


def brute_force(rows: pd.DataFrame, prior: ContrastPriors) -> dict[str, float]:
    """mu and tau by a plain grid over mu, tau, r, m, s, and nodes of each log SD."""
    mu = np.linspace(-3.4, 2.2, 97)
    tau = (np.arange(36) + 0.5) / 36 * 2.7
    r, r_weight = np.polynomial.legendre.leggauss(11)
    r = 0.95 * r
    r_weight = r_weight * stats.norm.pdf(r, *prior.r)
    m = np.linspace(-1.9, 2.3, 20)
    s = (np.arange(12) + 0.5) / 12 * 1.6
    u, u_weight = np.polynomial.hermite_e.hermegauss(14)
    u_weight = u_weight / u_weight.sum()
    eta, tau_ = (a.ravel() for a in np.meshgrid(mu, tau, indexing="ij"))
    m_, s_ = (a.ravel() for a in np.meshgrid(m, s, indexing="ij"))
    sd_weight = stats.norm.pdf(m_, 0.2, 0.7) * stats.halfnorm.pdf(s_, 0, prior.log_sd_spread)
    known = np.zeros((eta.size, r.size))
    teach = np.zeros((r.size, m_.size))
    words = np.ones((eta.size, m_.size))
    for row in rows.itertuples():
        if np.isfinite(row.var_a):
            variance = row.var_a - r * row.var_b
            total = np.sqrt(variance + tau_[:, None] ** 2)
            known += stats.norm.logpdf(row.y, eta[:, None], total)
            seen = 0.5 * np.log(variance / row.n_factor)
            width = np.sqrt(s_**2 + 0.5 / (row.n_patients - 1))
            teach += stats.norm.logpdf(seen[:, None], m_, width)
            continue
        average = 0.0
        for node, weight in zip(u, u_weight, strict=True):
            se = np.exp(m_ + s_ * node) * np.sqrt(row.n_factor)
            total = np.sqrt(se**2 + tau_[:, None] ** 2)
            if row.kind == "numeric":
                value = np.exp(-0.5 * ((row.y - eta[:, None]) / total) ** 2) / total
                value = value * chance_of_bound(row, se)
            elif row.kind == "exact_p":
                value = se * np.exp(-0.5 * ((row.z_high * se - eta[:, None]) / total) ** 2) / total
            else:
                value = special.ndtr((row.z_high * se - eta[:, None]) / total) - special.ndtr(
                    (row.z_low * se - eta[:, None]) / total
                )
            average = average + weight * value
        words *= average
    joint = (np.exp(known) * r_weight) @ (np.exp(teach) * sd_weight) * words
    p = joint.sum(axis=1) * stats.norm.pdf(eta, 0, 2.0) * stats.halfnorm.pdf(tau_, 0, 0.75)
    p /= p.sum()
    cumulative = np.cumsum(p.reshape(mu.size, tau.size).sum(axis=1))
    centre, mean_tau = p @ eta, p @ tau_
    step = mu[1] - mu[0]
    return {
        "mean": centre, "sd": np.sqrt(p @ (eta - centre) ** 2), "tau": mean_tau,
        "tau_sd": np.sqrt(p @ (tau_ - mean_tau) ** 2),
        "low": np.interp(0.025, cumulative, mu + step / 2),
        "high": np.interp(0.975, cumulative, mu + step / 2),
    }  # fmt: skip


def test_a_plain_grid_over_five_dimensions_gives_the_same_posterior():
    rows = MIXED.iloc[[0, 1, 2, 3, 4]]
    post, plain = contrasts.fit(rows, PRIOR), brute_force(rows, PRIOR)
    assert post.settled
    sd = plain["sd"]
    assert post.mu.mean == pytest.approx(plain["mean"], abs=0.003 * sd)
    assert post.mu.sd == pytest.approx(sd, rel=0.004)
    assert post.mu.interval() == pytest.approx((plain["low"], plain["high"]), abs=0.015 * sd)
    assert post.tau.mean == pytest.approx(plain["tau"], abs=0.004 * plain["tau_sd"])
    assert post.tau.sd == pytest.approx(plain["tau_sd"], rel=0.004)


def test_a_number_without_a_spread_agrees_with_a_plain_grid():
    rows = MIXED.iloc[[0, 1, 5]]
    post, plain = contrasts.fit(rows, PRIOR), brute_force(rows, PRIOR)
    assert post.mu.mean == pytest.approx(plain["mean"], abs=0.003 * plain["sd"])
    assert post.mu.sd == pytest.approx(plain["sd"], rel=0.004)
    assert post.tau.mean == pytest.approx(plain["tau"], abs=0.004 * plain["tau_sd"])


@pytest.mark.parametrize("bounds", [(-np.inf, -1.96), (-1.96, 1.96), (-2.58, -1.96)])
def test_a_bound_on_the_p_of_a_number_without_a_spread_agrees_with_a_plain_grid(bounds):
    rows = MIXED.iloc[[0, 1, 5]].copy()
    rows.loc[5, ["z_low", "z_high"]] = bounds
    post, plain = contrasts.fit(rows, PRIOR), brute_force(rows, PRIOR)
    assert post.mu.mean == pytest.approx(plain["mean"], abs=0.003 * plain["sd"])
    assert post.mu.sd == pytest.approx(plain["sd"], rel=0.004)
    assert post.tau.mean == pytest.approx(plain["tau"], abs=0.004 * plain["tau_sd"])


def test_significance_makes_a_number_without_a_spread_count_more_and_no_difference_less():
    rows = MIXED.iloc[[0, 1, 5]].copy()
    weight = {}
    for name, bounds in {"none": (NAN, NAN), "significant": (-np.inf, -1.96),
                         "not": (-1.96, 1.96)}.items():  # fmt: skip
        rows.loc[5, ["z_low", "z_high"]] = bounds
        weight[name] = contrasts.fit(rows, PRIOR).shrinkage["weight"].iloc[2]
    assert weight["not"] < weight["none"] < weight["significant"]


def test_a_bound_that_contradicts_the_sign_of_its_number_says_nothing_of_the_spread():
    rows = MIXED.iloc[[0, 1, 5]].copy()
    without = contrasts.fit(rows, PRIOR)
    rows.loc[5, ["z_low", "z_high"]] = (1.96, np.inf)
    assert np.allclose(figures(contrasts.fit(rows, PRIOR)), figures(without))


@pytest.mark.parametrize(
    "tau", [exact.HalfNormal(0.75), exact.HalfCauchy(0.5), exact.Uniform(3.0), exact.Fixed(0.4)]
)
def test_numbers_at_a_fixed_correlation_equal_the_closed_form(tau):
    prior = PRIOR.with_(tau=tau)
    post = contrasts.fit(NUMBERS, prior, r=0.4)
    se = np.sqrt(NUMBERS["var_a"] - 0.4 * NUMBERS["var_b"])
    closed = exact.fit(NUMBERS["y"], se, mu_prior=prior.mu, tau_prior=tau)
    assert figures(post) == pytest.approx(figures(closed), abs=1e-8)
    assert post.log_marginal_likelihood == pytest.approx(closed.log_marginal_likelihood, abs=1e-8)
    assert post.i_squared.mean == pytest.approx(closed.i_squared.mean, abs=1e-8)
    assert post.mu.pdf(-0.7) == pytest.approx(closed.mu.pdf(-0.7), abs=1e-8)


def test_a_flat_prior_of_the_mean_equals_the_closed_form():
    post = contrasts.fit(NUMBERS, PRIOR.with_(mu=None), r=0.2)
    se = np.sqrt(NUMBERS["var_a"] - 0.2 * NUMBERS["var_b"])
    closed = exact.fit(NUMBERS["y"], se, tau_prior=PRIOR.tau)
    assert figures(post) == pytest.approx(figures(closed), abs=1e-7)
    assert post.log_marginal_likelihood == pytest.approx(closed.log_marginal_likelihood, abs=1e-8)


def test_a_covariate_at_a_fixed_correlation_equals_the_closed_form():
    group = np.array([0.0, 0.0, 1.0, 1.0])
    prior = PRIOR.with_(coefficients={"bias": exact.Normal(0, 0.5)})
    post = contrasts.fit(NUMBERS, prior, r=0.4, covariates={"bias": group})
    se = np.sqrt(NUMBERS["var_a"] - 0.4 * NUMBERS["var_b"])
    design = pd.DataFrame({"mu": np.ones(4), "bias": group})
    closed = exact.fit(NUMBERS["y"], se, X=design, mu_prior=[prior.mu, prior.coefficients["bias"]],
                       tau_prior=PRIOR.tau)  # fmt: skip
    for name in ("mu", "bias"):
        ours, theirs = post.coef[name], closed[name]
        assert [ours.mean, ours.sd, *ours.interval()] == pytest.approx(
            [theirs.mean, theirs.sd, *theirs.interval()], abs=1e-6
        )
    assert post.log_marginal_likelihood == pytest.approx(closed.log_marginal_likelihood, abs=1e-8)


def test_a_result_that_excludes_nothing_says_nothing():
    nothing = frame(kind="interval", z_low=-np.inf, z_high=np.inf)
    without = contrasts.fit(MIXED, PRIOR)
    post = contrasts.fit(pd.concat([MIXED, nothing]), PRIOR)
    assert figures(post) == pytest.approx(figures(without), abs=1e-9)
    assert post.log_marginal_likelihood == pytest.approx(without.log_marginal_likelihood, abs=1e-9)


def test_an_exact_p_without_a_direction_is_the_mean_of_both_directions():
    def evidence(kind, z):
        low = -z if kind == "two_points" else z
        rows = pd.concat([NUMBERS, frame(kind=kind, z_low=low, z_high=z, n_factor=0.12)])
        return contrasts.fit(rows, PRIOR, tolerance=1e-5).log_marginal_likelihood

    both = np.logaddexp(evidence("exact_p", 1.7), evidence("exact_p", -1.7)) - np.log(2)
    assert evidence("two_points", 1.7) == pytest.approx(both, abs=1e-6)


def test_two_points_alone_favour_no_direction():
    rows = frame(kind="two_points", z_low=[-2.1, -1.0], z_high=[2.1, 1.0])
    post = contrasts.fit(rows, PRIOR)
    assert post.mu.mean == pytest.approx(0.0, abs=1e-9)
    assert post.mu.beyond(0.0, "above") == pytest.approx(0.5, abs=1e-6)


def test_the_posterior_turns_with_the_sign_of_the_results():
    turned = MIXED.assign(y=-MIXED["y"], z_low=-MIXED["z_high"], z_high=-MIXED["z_low"])
    post, mirror = contrasts.fit(MIXED, PRIOR), contrasts.fit(turned, PRIOR)
    assert post.mu.mean == pytest.approx(-mirror.mu.mean, abs=1e-9)
    assert post.tau.mean == pytest.approx(mirror.tau.mean, abs=1e-9)


def test_the_order_of_the_rows_does_not_matter():
    post, other = contrasts.fit(MIXED, PRIOR), contrasts.fit(MIXED.iloc[::-1], PRIOR)
    assert figures(post) == pytest.approx(figures(other), abs=1e-10)


def test_the_factor_on_the_se_of_words_touches_words_alone():
    double = MIXED.assign(
        n_factor=np.where(MIXED["kind"] == "numeric", 1.0, 4.0) * MIXED["n_factor"]
    )
    post, other = contrasts.fit(MIXED, PRIOR, words_se=2.0), contrasts.fit(double, PRIOR)
    assert figures(post) == pytest.approx(figures(other), abs=1e-9)


def test_sds_without_spread_around_a_sure_centre_are_a_fixed_sd():
    sure = PRIOR.with_(log_sd=exact.Normal(np.log(1.3), 1e-4), log_sd_spread=1e-4)
    teachers = Contrasts.of(y=np.zeros(0), var_a=np.zeros(0))
    learnt = contrasts.fit(MIXED, sure, teachers=teachers)
    fixed = contrasts.fit(MIXED, sure, teachers=teachers, sd=1.3)
    assert figures(learnt) == pytest.approx(figures(fixed), abs=2e-4)


def test_teachers_need_not_be_pooled_but_move_the_sds():
    words = MIXED.iloc[[2, 3]]
    wide = frame(y=0.0, var_a=[3.0, 3.3, 2.9], n_factor=0.1, n_patients=60)
    alone, taught = contrasts.fit(words, PRIOR), contrasts.fit(words, PRIOR, teachers=wide)
    expected = np.mean(0.5 * np.log(wide["var_a"] / 0.1))
    assert taught.nuisance.loc["log_sd", "mean"] == pytest.approx(expected, abs=0.2)
    assert alone.nuisance.loc["log_sd", "mean"] < expected - 0.5
    derived = contrasts.fit(words, PRIOR, teachers=wide.assign(teaches_sd=False))
    assert figures(derived) == pytest.approx(figures(alone), abs=1e-9)


def test_heavy_tailed_effects_agree_with_direct_integration():
    post = contrasts.fit(NUMBERS, PRIOR, r=0.4, robust=True)
    se = np.sqrt((NUMBERS["var_a"] - 0.4 * NUMBERS["var_b"]).to_numpy())
    mu, tau = np.linspace(-4, 3, 141), (np.arange(40) + 0.5) / 40 * 2.8
    u = stats.t.ppf((np.arange(400) + 0.5) / 400, 4)
    log_p = stats.norm.logpdf(mu[:, None], 0, 2) + stats.halfnorm.logpdf(tau, 0, 0.75)
    for y, one in zip(NUMBERS["y"], se, strict=True):
        z = (y - mu[:, None, None] - tau[:, None] * u) / one
        log_p += np.log(np.exp(-0.5 * z * z).mean(axis=2))
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = (p.sum(axis=1) * mu).sum()
    sd = np.sqrt((p.sum(axis=1) * (mu - mean) ** 2).sum())
    assert post.mu.mean == pytest.approx(mean, abs=0.01 * sd)
    assert post.mu.sd == pytest.approx(sd, rel=0.02)


def test_the_kernel_averages_over_a_normal_of_any_width():
    x = np.linspace(-8, 8, 81)
    m, s = np.array([0.3, -0.7, 0.11, 0.5]), np.array([0.0, 0.05, 0.3, 1.2])
    average = np.exp(-0.5 * (x - 0.2) ** 2) @ log_sd_kernel(x, m, s)
    expected = np.exp(-0.5 * (m - 0.2) ** 2 / (1 + s**2)) / np.sqrt(1 + s**2)
    assert average == pytest.approx(expected, abs=2e-6)


def test_leaving_one_out_is_the_fit_without_it():
    rows = MIXED.assign(effect_id=list("abcdef"))
    posts = contrasts.leave_one_out(rows, PRIOR, teachers=rows)
    without = contrasts.fit(rows.drop(index=1), PRIOR, teachers=rows.drop(index=1))
    assert len(posts) == 6
    assert figures(posts[1]) == pytest.approx(figures(without), abs=1e-10)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "guess"}, "unknown kind of result"),
        ({"y": NAN}, "no value though numeric: row_1"),
        ({"kind": "interval", "z_low": 2.0, "z_high": -2.0}, "bounds on z out of order: row_1"),
        ({"kind": "exact_p", "z_high": NAN}, "no z though its p-value is exact: row_1"),
        ({"var_a": NAN, "n_factor": NAN}, "neither a spread nor a number of patients: row_1"),
        ({"var_a": 0.1, "var_b": 0.2}, "variance that is not positive"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(changes, words):
    rows = NUMBERS.assign(effect_id=[f"row_{i}" for i in range(4)])
    for name, value in changes.items():
        rows[name] = rows[name].astype(object if isinstance(value, str) else float)
        rows.loc[1, name] = value
    with pytest.raises(ValueError, match=words):
        contrasts.fit(rows, PRIOR)


def test_choices_out_of_range_are_refused():
    for choice in ({"r": 1.0}, {"sd": 0.0}, {"words_se": -1.0}):
        with pytest.raises(ValueError, match=next(iter(choice))):
            contrasts.fit(MIXED, PRIOR, **choice)
    with pytest.raises(ValueError, match="no contrast"):
        contrasts.fit(MIXED.iloc[:0], PRIOR)
    with pytest.raises(ValueError, match="without a prior: dose"):
        contrasts.fit(NUMBERS, PRIOR, covariates={"dose": np.arange(4)})


def test_effects_of_printed_numbers_equal_the_closed_form():
    post = contrasts.fit(NUMBERS, PRIOR, r=0.4)
    se = np.sqrt(NUMBERS["var_a"] - 0.4 * NUMBERS["var_b"])
    closed = exact.fit(NUMBERS["y"], se, mu_prior=PRIOR.mu, tau_prior=PRIOR.tau).shrinkage
    table = post.shrinkage
    for column in closed:
        assert table[column].to_numpy() == pytest.approx(closed[column].to_numpy(), abs=1e-3)
    assert table["weight"].to_numpy() == pytest.approx(closed["weight"].to_numpy(), abs=1e-6)
    assert table["se"].to_numpy() == pytest.approx(se.to_numpy())


@pytest.mark.parametrize("kind", ["interval", "exact_p", "two_points"])
def test_the_effect_of_a_study_in_words_agrees_with_a_plain_grid(kind):
    """Standard errors known: theta given (mu, tau) is its likelihood times N(mu, tau^2)."""
    low, high = {"interval": (-np.inf, -1.96), "exact_p": (-2.3, -2.3)}.get(kind, (-2.3, 2.3))
    words = frame(kind=kind, z_low=low, z_high=high, var_a=0.16)
    post = contrasts.fit(pd.concat([NUMBERS, words], ignore_index=True), PRIOR, r=0.4)
    theta = np.linspace(-5, 4, 601)
    mu, tau = np.linspace(-3.5, 2.5, 61), (np.arange(50) + 0.5) / 50 * 2.6
    log_p = stats.norm.logpdf(mu[:, None], 0, 2) + stats.halfnorm.logpdf(tau, 0, 0.75)
    se = np.sqrt(NUMBERS["var_a"] - 0.4 * NUMBERS["var_b"])
    for y, one in zip(NUMBERS["y"], se, strict=True):
        log_p += stats.norm.logpdf(y, mu[:, None], np.hypot(one, tau))
    own = {
        "interval": stats.norm.cdf((-1.96 * 0.4 - theta) / 0.4),
        "exact_p": stats.norm.pdf(-2.3 * 0.4, theta, 0.4),
        "two_points": stats.norm.pdf(-0.92, theta, 0.4) + stats.norm.pdf(0.92, theta, 0.4),
    }[kind]
    effect = stats.norm.pdf(theta, mu[:, None, None], tau[:, None])
    p = own * np.einsum("mt,mtx->x", np.exp(log_p), effect)
    p /= p.sum()
    mean = p @ theta
    sd = np.sqrt(p @ (theta - mean) ** 2)
    low, high = np.interp([0.025, 0.975], np.cumsum(p), theta)
    row = post.shrinkage.iloc[4]
    assert row["mean"] == pytest.approx(mean, abs=0.01 * sd)
    assert row["sd"] == pytest.approx(sd, rel=0.02)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), abs=0.05 * sd)


def test_power_scaling_numbers_is_scaling_their_precision_and_that_of_the_prior():
    fixed = PRIOR.with_(tau=exact.Fixed(0.5))
    post = contrasts.fit(NUMBERS, fixed, r=0.4)
    total = (NUMBERS["var_a"] - 0.4 * NUMBERS["var_b"] + 0.25).to_numpy()
    for a, b in ((0.8, 1.0), (1.0, 1.25), (2.0, 0.5)):
        precision = a / 4 + b * (1 / total).sum()
        scaled = post.power_scaled(prior=a, likelihood=b)
        assert scaled.mu.mean == pytest.approx(b * (NUMBERS["y"] / total).sum() / precision)
        assert scaled.mu.sd == pytest.approx(precision**-0.5)


def test_a_lone_number_without_a_spread_still_settles_to_its_own_symmetry():
    post = contrasts.fit(frame(y=0.0, var_a=NAN), PRIOR)
    assert post.mu.mean == pytest.approx(0.0, abs=1e-6)
    assert post.moved < 0.02


def simulated(rng, mu, tau, r, m, s, k=11, in_words=8) -> pd.DataFrame:
    """Contrasts of `k` studies: three print a value and pre-post spreads, the others a sentence."""
    n_treated, n_control = rng.integers(8, 50, k), rng.integers(8, 50, k)
    n_factor = 1 / n_treated + 1 / n_control
    sd = np.exp(m + s * rng.standard_normal(k))
    y = mu + tau * rng.standard_normal(k) + sd * np.sqrt(n_factor) * rng.standard_normal(k)
    freedom = n_treated + n_control - 1
    seen = sd**2 * rng.chisquare(freedom) / freedom
    z = y / np.sqrt(seen * n_factor)
    rows = frame(
        kind=np.where(np.arange(k) < in_words, "interval", "numeric"), y=y,
        var_a=seen * n_factor * (1 + r / 2), var_b=seen * n_factor / 2, n_factor=n_factor,
        n_patients=freedom + 1,
    )  # fmt: skip
    words = np.arange(k) < in_words
    edge = stats.norm.isf(0.025)
    rows["z_low"] = np.where(z > edge, edge, np.where(z < -edge, -np.inf, -edge))
    rows["z_high"] = np.where(z > edge, np.inf, np.where(z < -edge, -edge, edge))
    rows.loc[words, ["y", "var_a", "var_b"]] = np.nan
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("drawn", ["from_the_prior", "as_in_the_evidence"])
def test_simulated_evidence_mostly_in_words_is_covered_without_bias(drawn):
    """On average over the prior at the level; at one value like the evidence's no less than that.

    A Bayesian interval promises the former alone: where studies differ little, it covers more.
    """
    replicates = 400
    inside, errors = np.zeros(replicates), np.zeros(replicates)
    for i in range(replicates):
        rng = np.random.default_rng([2026, i])
        mu, tau, r, m, s = -0.6, 0.3, 0.3, 0.1, 0.25
        if drawn == "from_the_prior":
            mu, tau = rng.normal(0, 2), abs(rng.normal(0, 0.75))
            r = stats.truncnorm.rvs(-4.5, 0.55 / 0.3, 0.4, 0.3, random_state=rng)
            m, s = rng.normal(0.2, 0.7), abs(rng.normal(0, 0.5))
        post = contrasts.fit(simulated(rng, mu, tau, r, m, s), PRIOR)
        low, high = post.mu.interval()
        inside[i], errors[i] = low <= mu <= high, post.mu.mean - mu
    noise = errors.std() / np.sqrt(replicates)
    assert inside.mean() >= 0.93
    if drawn == "from_the_prior":
        assert inside.mean() <= 0.97
        assert abs(errors.mean()) < 0.03 + 2 * noise
    else:  # a third of the smallest difference that is important
        assert abs(errors.mean()) < 0.1


def test_rows_that_contradict_each_other_or_teach_very_surely_are_fitted():
    """Many patients leave no room for the SDs to be alike: their likelihood underflows there."""
    sure = frame(y=[0.1, -0.4, 0.3], var_a=[0.001, 0.04, 0.9], n_factor=0.01, n_patients=4000)
    words = frame(
        kind="interval", z_low=[-np.inf, 1.96], z_high=[-1.96, np.inf], n_factor=[0.01, 0.02]
    )
    post = contrasts.fit(pd.concat([sure, words], ignore_index=True), PRIOR)
    assert np.isfinite(figures(post)).all()
    assert np.isfinite(post.shrinkage.to_numpy()).all()


CLASSES = NUMBERS.assign(cell_class=["a", "a", "b", "b"])


def test_a_class_level_of_numbers_equals_the_closed_form_given_its_spread():
    """With tau_class almost sure, y is normal with a covariance that classes share."""
    spread = 0.4
    prior = PRIOR.with_(tau=exact.HalfNormal(1e-3), tau_class=exact.HalfNormal(spread))
    post = fit_classes(CLASSES, prior, r=0.4)
    variance = (NUMBERS["var_a"] - 0.4 * NUMBERS["var_b"]).to_numpy()
    same = np.equal.outer(CLASSES["cell_class"].to_numpy(), CLASSES["cell_class"].to_numpy())
    node, weight = np.polynomial.legendre.leggauss(60)
    nodes, weight = 3 * spread * (node + 1), weight * stats.halfnorm.pdf(3 * (node + 1))
    y, mean, square, evidence, classes = NUMBERS["y"].to_numpy(), 0.0, 0.0, 0.0, np.zeros(2)
    for one, share in zip(nodes, weight, strict=True):
        own = np.diag(variance) + one**2 * same
        likelihood = stats.multivariate_normal.pdf(y, np.zeros(4), own + 4.0) * share
        gain = 4.0 * np.ones(4) @ np.linalg.inv(own + 4.0)
        centre, spread_mu = gain @ y, 4.0 - gain.sum() * 4.0
        of_class = np.stack([4.0 + one**2 * same[i] for i in (0, 2)])
        classes += likelihood * (of_class @ np.linalg.inv(own + 4.0) @ y)
        mean, square = mean + likelihood * centre, square + likelihood * (spread_mu + centre**2)
        evidence += likelihood
    mean, square, classes = mean / evidence, square / evidence, classes / evidence
    assert post.mu.mean == pytest.approx(mean, abs=2e-3)
    assert post.mu.sd == pytest.approx(np.sqrt(square - mean**2), rel=5e-3)
    assert [post.classes[c].mean for c in "ab"] == pytest.approx(classes.tolist(), abs=2e-3)


def test_a_class_level_without_spread_is_the_plain_posterior():
    rows = MIXED.assign(cell_class=["a", "a", "b", "b", "b", "c"])
    prior = PRIOR.with_(tau_class=exact.HalfNormal(1e-3))
    post, plain = fit_classes(rows, prior, r=0.4), contrasts.fit(rows, prior, r=0.4)
    for name in ("mu", "tau", "predictive"):
        one, other = getattr(post, name), getattr(plain, name)
        assert [one.mean, *one.interval()] == pytest.approx(
            [other.mean, *other.interval()], abs=0.02 * other.sd
        )
    wide = fit_classes(rows, prior.with_(tau_class=exact.HalfNormal(0.5)), r=0.4)
    assert wide.mu.sd > plain.mu.sd
    assert sorted(wide.classes) == ["a", "b", "c"]


def test_a_class_level_needs_two_classes_with_two_studies():
    one = CLASSES.assign(cell_class=["a", "a", "a", "b"])
    with pytest.raises(ValueError, match="two classes with two studies"):
        fit_classes(one, PRIOR.with_(tau_class=exact.HalfNormal(0.5)))
    with pytest.raises(ValueError, match="half-normal priors"):
        fit_classes(CLASSES, PRIOR)


def test_the_probability_of_an_interval_is_right_in_the_middle_and_far_in_the_tails():
    at, width = np.array([-50.0, -9.0, -0.3, 0.0, 2.0, 40.0]), 1e-5
    found = log_interval_probability(at - width / 2, at + width / 2)
    assert found == pytest.approx(stats.norm.logpdf(at) + np.log(width), abs=1e-6)
    low, high = np.array([-60.0, -1.0, 0.5, 37.0, -np.inf]), np.array([-45.0, 2.0, 9.0, 39.0, 1.0])
    found = log_interval_probability(low, high)
    assert found == pytest.approx(log_interval_probability(-high, -low), rel=1e-12)
    below = [0, 1, 4]
    log_low, log_high = special.log_ndtr(low[below]), special.log_ndtr(high[below])
    assert found[below] == pytest.approx(log_high + np.log1p(-np.exp(log_low - log_high)))
