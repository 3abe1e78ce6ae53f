"""Published results of classic data sets, to the digits published (tests/reference/README.md).

Each row of published.csv is one number somebody else computed with other software. Bayesian ones
are checked against `analysis.exact`; DerSimonian-Laird, Paule-Mandel and HKSJ against
`analysis.crosscheck` (statsmodels); REML against the maximum of exact's marginal likelihood, which
with flat coefficients and a fixed τ is the restricted likelihood.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from statsmodels.stats.meta_analysis import combine_effects

from analysis import crosscheck, exact

HERE = Path(__file__).parent / "reference"
PUBLISHED = pd.read_csv(HERE / "published.csv", keep_default_na=False)
ANALYSIS = ["dataset", "measure", "subset", "model", "method"]
Z = stats.norm.isf(0.025)


@cache
def studies(dataset: str, measure: str, subset: str) -> pd.DataFrame:
    """The data set with its effects y and standard errors se on the scale asked for."""
    table = pd.read_csv(HERE / "data" / f"{dataset}.csv")
    if "events_treated" in table:
        y, variance = _two_by_two(table, measure)
    elif "mean_treated" in table:
        y, variance = _means(table, pooled=measure.endswith("pooled sd"))
    else:
        y = table["y"]
        variance = table["variance"] if "variance" in table else table["se"] ** 2
    table = table.assign(y=y, se=np.sqrt(variance))
    if subset:
        column, equal, value = re.fullmatch(r"(\w+)(=|!=)(.+)", subset).groups()
        chosen = table[column].eq(value)
        table = table[chosen if equal == "=" else ~chosen]
    return table


def _two_by_two(table: pd.DataFrame, measure: str):
    a, n1 = table["events_treated"].astype(float), table["n_treated"].astype(float)
    c, n2 = table["events_control"].astype(float), table["n_control"].astype(float)
    if measure == "PETO":  # one-step: observed minus expected over the hypergeometric variance
        events, n = a + c, n1 + n2
        v = events * (n - events) * n1 * n2 / (n**2 * (n - 1))
        return (a - events * n1 / n) / v, 1 / v
    b, d = n1 - a, n2 - c
    if measure == "RD%":
        return 100 * (a / n1 - c / n2), 100**2 * (a * b / n1**3 + c * d / n2**3)
    if measure == "RD":
        return a / n1 - c / n2, a * b / n1**3 + c * d / n2**3
    # One half is added to the cells of a table with an empty one (the default of metafor).
    half = np.where((a == 0) | (b == 0) | (c == 0) | (d == 0), 0.5, 0.0)
    a, b, c, d = a + half, b + half, c + half, d + half
    if measure == "RR":
        ratio = np.log(a / (a + b)) - np.log(c / (c + d))
        return ratio, 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    assert measure == "OR"
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def _means(table: pd.DataFrame, pooled: bool):
    n1, n2 = table["n_treated"], table["n_control"]
    s1, s2 = table["sd_treated"] ** 2, table["sd_control"] ** 2
    if pooled:
        s1 = s2 = ((n1 - 1) * s1 + (n2 - 1) * s2) / (n1 + n2 - 2)
    return table["mean_treated"] - table["mean_control"], s1 / n1 + s2 / n2


def design(table: pd.DataFrame, model: str) -> pd.DataFrame | None:
    """The columns named in the model's words, or None for a common mean."""
    found = re.search(r"columns (.+)", model)
    if not found:
        return None
    make = {
        "intercept": lambda: 1.0,
        "weeks_to_3": lambda: table["weeks"].clip(upper=3),
        "basiliximab": lambda: table["drug"].eq("basiliximab").astype(float),
        "daclizumab": lambda: table["drug"].eq("daclizumab").astype(float),
    }
    names = found.group(1).split(", ")
    columns = {name: make[name]() if name in make else table[name] for name in names}
    return pd.DataFrame(columns, index=table.index)


# ---- Bayesian ---------------------------------------------------------------------------------


@cache
def posterior(dataset: str, measure: str, subset: str, model: str) -> exact.ExactPosterior:
    table = studies(dataset, measure, subset)
    tau_prior = {
        "HalfNormal(0.5)": exact.HalfNormal(0.5),
        "HalfCauchy(25)": exact.HalfCauchy(25.0),
        "HalfCauchy(0.25)": exact.HalfCauchy(0.25),
        "flat": exact.Uniform(1e6),  # with eight schools the likelihood falls as tau^-7
        "0": exact.Fixed(0.0),
    }[re.match(r"tau [~=]? ?([^;]+)", model).group(1)]
    normal = re.search(r"Normal\((\S+), (\S+)\)$", model)
    mu_prior = exact.Normal(*map(float, normal.groups())) if normal else None
    return exact.fit(
        table["y"], table["se"], X=design(table, model), mu_prior=mu_prior, tau_prior=tau_prior
    )


def bayesian(dataset: str, measure: str, subset: str, model: str, quantity: str) -> float:
    post = posterior(dataset, measure, subset, model)
    if quantity.startswith("bf_"):
        return _bayes_factor(dataset, measure, subset, model, quantity)
    name, asked = re.fullmatch(
        r"(effect_\d+|[a-z]+)_(mean|sd|median|mode|q.+|above_.+|below_.+|shortest_.+)", quantity
    ).groups()
    if name in ("mu", "tau", "predictive"):
        quantity = getattr(post, name)
    elif name == "difference":
        quantity = post.at([-1.0, 1.0])[0]
    elif name.startswith("effect"):
        quantity = post.effect(int(name.split("_")[1]) - 1)
    else:
        quantity = post[name]
    if asked == "mode":
        low, high = quantity.interval(0.9)
        found = optimize.minimize_scalar(lambda x: -quantity.pdf(x), bounds=(low, high))
        return found.x
    if asked.startswith("shortest"):
        return quantity.interval(kind="shortest")[asked.endswith("high")]
    if asked.startswith("q"):
        return quantity.quantile(float(asked[1:].replace("_", ".")))
    if asked.startswith("above"):
        return 1.0 - quantity.cdf(float(asked.split("_")[1]))
    if asked.startswith("below"):
        return quantity.cdf(float(asked.split("_")[1]))
    return getattr(quantity, asked)


def _bayes_factor(dataset, measure, subset, model, quantity) -> float:
    """Of a positive effect (half of the normal prior) or of the common-effect model."""
    table = studies(dataset, measure, subset)
    point = exact.Normal(0.0, 1e-9)  # mu = 0
    half_normal = exact.Normal(0.0, 0.3)

    def log_evidence(mu_prior, tau_prior):
        fit = exact.fit(table["y"], table["se"], mu_prior=mu_prior, tau_prior=tau_prior)
        # Under the positive half of the prior the evidence is twice that part of the integral.
        positive = np.log(2 * (1 - fit.mu.cdf(0.0))) if mu_prior is half_normal else 0.0
        return fit.log_marginal_likelihood + positive

    random, fixed = exact.HalfCauchy(0.25), exact.Fixed(0.0)
    one, other = {
        "bf_positive_random": ((half_normal, random), (point, random)),
        "bf_positive_fixed": ((half_normal, fixed), (point, fixed)),
        "bf_fixed_random": ((half_normal, fixed), (half_normal, random)),
    }[quantity]
    return np.exp(log_evidence(*one) - log_evidence(*other))


# ---- Frequentist ------------------------------------------------------------------------------


def frequentist(dataset, measure, subset, model, method, quantity) -> float:
    table = studies(dataset, measure, subset)
    y, se = table["y"].to_numpy(), table["se"].to_numpy()
    estimator, _, interval = method.partition(" ")
    if quantity in ("q", "i2"):
        found = combine_effects(y, se**2, method_re="dl")
        return found.q if quantity == "q" else 100 * found.i2
    if estimator == "reml" or estimator == "ee":
        x = design(table, model)
        tau = 0.0 if estimator == "ee" else reml(y, se, x)
        post = exact.fit(y, se, X=x, tau_prior=exact.Fixed(tau))
        if x is not None and quantity != "tau2":
            name, asked = quantity.rsplit("_", 1)
            b = post[name]
            return {"mean": b.mean, "se": b.sd, "z": b.mean / b.sd}[asked]
        mean, error = post.mu.mean, post.mu.sd
        width = Z
        if interval == "hksj":
            w = 1 / (se**2 + tau**2)
            error *= np.sqrt((w @ (y - mean) ** 2) / (len(y) - 1))
            width = stats.t.isf(0.025, len(y) - 1)
    else:
        found = crosscheck.pool(y, se**2, estimator)
        mean, error, tau, width = found["mean"], found["sd"], found["tau"], Z
        # The exact posterior given the same tau is the same weighted mean.
        given = exact.fit(y, se, tau_prior=exact.Fixed(tau))
        assert (given.mu.mean, given.mu.sd) == pytest.approx((mean, error), rel=1e-9)
        if interval == "hksj":
            found = combine_effects(y, se**2, method_re=estimator, use_t=True)
            error = np.sqrt(found.var_hksj_re)
            width = stats.t.isf(0.025, len(y) - 1)
    return {
        "mean": mean,
        "se": error,
        "ci_low": mean - width * error,
        "ci_high": mean + width * error,
        "tau": tau,
        "tau2": tau**2,
    }[quantity]


def reml(y: np.ndarray, se: np.ndarray, x: pd.DataFrame | None) -> float:
    """τ at the maximum of the marginal likelihood with flat coefficients."""

    def minus_log(tau: float) -> float:
        return -exact.fit(y, se, X=x, tau_prior=exact.Fixed(tau)).log_marginal_likelihood

    top = 2 * (np.ptp(y) + se.max())
    best = optimize.minimize_scalar(minus_log, bounds=(0, top), options={"xatol": 1e-9 * top})
    return 0.0 if minus_log(0.0) <= best.fun else best.x


# ---- Tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analysis", "rows"),
    [pytest.param(key, rows, id="-".join(key)) for key, rows in PUBLISHED.groupby(ANALYSIS)],
)
def test_published_values(analysis, rows):
    *data, model, method = analysis
    found = {
        quantity: bayesian(*data, model, quantity)
        if method == "exact"
        else frequentist(*data, model, method, quantity)
        for quantity in rows["quantity"]
    }
    wrong = [
        f"{row.quantity}: published {row.value}, here {found[row.quantity]:.10g}"
        for row in rows.itertuples()
        if not abs(found[row.quantity] - row.value) <= row.tolerance
    ]
    assert not wrong, "; ".join(wrong)


def test_enough_is_checked():
    assert PUBLISHED["dataset"].nunique() >= 8
    assert set(PUBLISHED["dataset"]) <= {path.stem for path in (HERE / "data").glob("*.csv")}
    assert not PUBLISHED.duplicated([*ANALYSIS, "quantity", "value"]).any()
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for source in PUBLISHED["source"].unique():
        assert source.split()[0].strip(",;") in text, f"{source} is not in the README"


NUTS = [
    ("eight_schools", "", 10.0, 50.0),
    ("crins", "OR", 0.5, 4.0),
    ("bcg", "RR", 0.5, 4.0),
    ("cochran", "", 20.0, 500.0),
]


@pytest.mark.slow
def test_nuts_agrees_with_exact():
    """One compiled graph (θ non-centred) serves all; differences within Monte-Carlo error."""
    import arviz as az
    import pymc as pm

    from analysis.models.sampling import compile_model

    longest = max(len(studies(name, measure, "")) for name, measure, *_ in NUTS)
    with pm.Model() as model:
        y, se = pm.Data("y", np.zeros(longest)), pm.Data("se", np.ones(longest))
        present = pm.Data("present", np.ones(longest))
        scale_tau, scale_mu = pm.Data("scale_tau", 1.0), pm.Data("scale_mu", 1.0)
        mu = pm.Deterministic("mu", pm.Data("centre", 0.0) + scale_mu * pm.Normal("mu_unit"))
        tau = pm.Deterministic("tau", scale_tau * pm.HalfNormal("tau_unit", 1.0))
        total = pm.math.sqrt(se**2 + tau**2)
        pm.Potential("y_given", (present * pm.logp(pm.Normal.dist(mu, total), y)).sum())
    sampler = compile_model(model, "normal-normal")
    for seed, (name, measure, scale_tau, scale_mu) in enumerate(NUTS):
        table = studies(name, measure, "")
        k = len(table)
        filled = np.arange(longest) < k
        data = {
            "y": np.append(table["y"], np.zeros(longest - k)),
            "se": np.append(table["se"], np.ones(longest - k)),
            "present": filled.astype(float),
            "scale_tau": np.asarray(scale_tau),
            "scale_mu": np.asarray(scale_mu),
            "centre": np.asarray(0.0),
        }
        fit = sampler.fit(name, seed=seed, data=data, draws=2000)
        post = exact.fit(
            table["y"],
            table["se"],
            mu_prior=exact.Normal(0.0, scale_mu),
            tau_prior=exact.HalfNormal(scale_tau),
        )
        for variable, quantity in (("mu", post.mu), ("tau", post.tau)):
            draws = fit.tree["posterior"][variable].to_numpy()
            error = float(az.mcse(draws, method="mean"))
            assert draws.mean() == pytest.approx(quantity.mean, abs=4 * error), (name, variable)
            # Probability integral transform: its mean is 1/2 and its variance 1/12.
            pit = quantity.cdf(draws)
            error = float(az.mcse(pit, method="mean"))
            assert pit.mean() == pytest.approx(0.5, abs=4 * error), (name, variable)
            error = float(az.mcse((pit - 0.5) ** 2, method="mean"))
            assert ((pit - 0.5) ** 2).mean() == pytest.approx(1 / 12, abs=4 * error)
