"""What a fit of the change model must still answer: predictive checks, LOO, the exact posterior.

Everything here works on posterior (or prior) draws with numpy. A new study's own deviation
u ~ Normal(0, 1) is integrated out in closed form, because both the normal likelihood and the
interval likelihood of a result in words stay closed under it: given the other parameters,
y ~ Normal(eta, se^2 + tau^2). Leave-one-out scores therefore ask how well a *study* is predicted,
not how well its own deviation fits it.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import priors

if TYPE_CHECKING:
    from analysis.models.sampling import Fit, Sampler

AGREEMENT = 4.0  # Monte-Carlo standard errors NUTS may lie from the exact posterior


class DisagreementError(RuntimeError):
    """NUTS and the exact posterior of the same model differ by more than Monte-Carlo error."""


def log_diff_normal_cdf(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log(Phi(high) - Phi(low)) for low < high, computed in the tail where it is accurate."""
    flip = low + high > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    upper, lower = special.log_ndtr(b), special.log_ndtr(a)
    with np.errstate(divide="ignore", invalid="ignore"):
        return upper + np.log(-np.expm1(np.minimum(lower - upper, -1e-300)))


def _rows(arrays: dict[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """The vectors of the model's data without the padding."""
    return {name: values[:k] for name, values in arrays.items() if values.ndim}


def _spreads(draws, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard error, SD between studies, and SD of what is printed around eta: (draws, k)."""
    se, tau = draws["se"][:, :k], draws["tau"][:, None]
    return se, tau, np.hypot(se, tau)


def marginal_log_likelihood(
    arrays: dict[str, np.ndarray], draws: dict[str, np.ndarray], k: int
) -> np.ndarray:
    """Log likelihood of each study with its own deviation integrated out.

    Parameters
    ----------
    arrays : the model's data (`change.design_arrays`).
    draws : eta and se of shape (draws, rows), tau of shape (draws,).
    k : number of real rows; the padding is left out.

    Returns
    -------
    array of shape (draws, k).
    """
    d, eta = _rows(arrays, k), draws["eta"][:, :k]
    se, _, total = _spreads(draws, k)
    numeric = stats.norm.logpdf(d["y"], eta, total)
    at_z = stats.norm.logpdf(d["z_low"] * se, eta, total) + np.log(se)
    between = log_diff_normal_cdf((d["z_low"] * se - eta) / total, (d["z_high"] * se - eta) / total)
    return np.where(d["is_numeric"] > 0, numeric, np.where(d["is_exact_p"] > 0, at_z, between))


def study_means(
    arrays: dict[str, np.ndarray], draws: dict[str, np.ndarray], k: int, seed: int
) -> np.ndarray:
    """Draws of each study's own mean theta: shape (draws, k).

    Given the other parameters it is normal around a weighted mean of y and eta. Where the
    number is not printed, y is first drawn: z * se for an exact p-value, and from the predictive
    normal distribution cut to (z_low * se, z_high * se) for a result in words.
    """
    rng = np.random.default_rng(seed)
    d, eta = _rows(arrays, k), draws["eta"][:, :k]
    se, tau, total = _spreads(draws, k)
    low, high = (d["z_low"] * se - eta) / total, (d["z_high"] * se - eta) / total
    flip = low + high > 0  # draw in the lower tail, where the normal distribution keeps its digits
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    uniform = rng.uniform(1e-12, 1, size=eta.shape)
    log_cdf = np.logaddexp(
        special.log_ndtr(a) + np.log1p(-uniform), special.log_ndtr(b) + np.log(uniform)
    )
    cut = np.clip(special.ndtri_exp(np.minimum(log_cdf, -1e-300)), a, b)
    between = eta + total * np.where(flip, -cut, cut)
    at_z = d["z_low"] * se
    y = np.where(d["is_numeric"] > 0, d["y"], np.where(d["is_exact_p"] > 0, at_z, between))
    own = (tau / total) ** 2
    return eta + own * (y - eta) + se * np.sqrt(own) * rng.standard_normal(eta.shape)


def prior_draws(arrays: dict[str, np.ndarray], n: int, seed: int) -> dict:
    """Draws of eta, se and tau from the prior, for the design of `arrays`."""
    rng = np.random.default_rng(seed)
    size = len(arrays["y"])

    def scale(name):
        return float(arrays[f"scale_{name}"])

    mu = scale("mu") * rng.standard_normal(n)
    tau = scale("tau") * np.abs(rng.standard_normal(n))
    tau_class = scale("tau_class") * np.abs(rng.standard_normal(n))
    classes = rng.standard_normal((n, int(arrays["class_index"].max()) + 1))
    eta = mu[:, None] + tau_class[:, None] * classes[:, arrays["class_index"]]
    for name, column in (("bias", "uncontrolled"), ("type_effect", "type_2"),
                         ("slope", "log_time"), ("measure", "fasting")):  # fmt: skip
        eta = eta + scale(name) * rng.standard_normal((n, 1)) * arrays[column]
    centre, spread = priors.get("change", "r").params
    edges = (np.array([-0.95, 0.95]) - centre) / spread
    r = stats.truncnorm.rvs(*edges, centre, spread, size=n, random_state=rng)[:, None]
    between = priors.get("change", "log_sd_spread").scale * np.abs(rng.standard_normal((n, 1)))
    log_sd = arrays["centre_log_sd"] + arrays["scale_log_sd"] * rng.standard_normal((n, 1))
    sd = np.exp(log_sd + between * rng.standard_normal((n, size)))
    known = np.sqrt(np.maximum(arrays["var_a"] - r * arrays["var_b"], 1e-12))
    se = np.where(arrays["has_var"] > 0, known, sd * np.sqrt(arrays["n_factor"]))
    return {"eta": eta, "se": se, "tau": tau}


def predictive_checks(
    outcome: str, arrays: dict[str, np.ndarray], k: int, source: str, draws: dict, seed: int
) -> pd.DataFrame:
    """Replicate the printed numbers and compare four statistics with the ones observed.

    Each replicate draws a new study for every row (a mixed predictive check). `tail_probability`
    is P(replicated >= observed). For results in words the statistic is the mean probability that
    a replicate would have been reported in the same words; it has no tail.
    """
    rng = np.random.default_rng(seed)
    eta = draws["eta"][:, :k]
    total = _spreads(draws, k)[2]
    rows = []
    numeric = arrays["is_numeric"][:k] > 0
    if numeric.sum() >= 2:
        y = arrays["y"][:k][numeric]
        spread = total[:, numeric]
        again = eta[:, numeric] + spread * rng.standard_normal(spread.shape)
        for name, statistic in (("mean", np.mean), ("sd", np.std), ("smallest", np.min),
                                ("largest", np.max)):  # fmt: skip
            observed, replicated = statistic(y), statistic(again, axis=1)
            low, high = np.quantile(replicated, [0.025, 0.975])
            tail = (replicated >= observed).mean()
            rows.append((name, observed, replicated.mean(), low, high, tail))
    words = arrays["is_interval"][:k] > 0
    if words.any():
        same = np.exp(marginal_log_likelihood(arrays, draws, k)[:, words]).mean(axis=1)
        low, high = np.quantile(same, [0.025, 0.975])
        rows.append(("same_words", np.nan, same.mean(), low, high, np.nan))
    columns = ["statistic", "observed", "predicted", "pred_low", "pred_high", "tail_probability"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(0, "check", source)
    table.insert(0, "outcome", outcome)
    return table


def leave_one_out(
    outcome: str, arrays: dict[str, np.ndarray], k: int, fit: Fit, draws: dict[str, np.ndarray]
) -> pd.DataFrame:
    """PSIS-LOO of the studies (Vehtari, Gelman and Gabry 2017) on the marginal likelihood.

    One row: elpd, its standard error, effective parameters, studies, the worst Pareto k.
    """
    import arviz as az

    posterior = fit.tree["posterior"]
    chains, kept = posterior.sizes["chain"], posterior.sizes["draw"]
    values = marginal_log_likelihood(arrays, draws, k)
    tree = az.from_dict(
        {
            "posterior": {"mu": posterior["mu"].to_numpy()},
            "log_likelihood": {"study": values.reshape(chains, kept, k)},
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loo = az.loo(tree, pointwise=True)
    worst = float(np.max(loo.pareto_k))
    return pd.DataFrame(
        [{"outcome": outcome, "elpd": float(loo.elpd), "se": float(loo.se),
          "p": float(loo.p), "k_studies": k, "worst_pareto_k": worst}]
    )  # fmt: skip


def compare_with_exact(
    outcome: str, sampler: Sampler, arrays: dict[str, np.ndarray], k: int, seed: int
) -> pd.DataFrame:
    """Fit one normal-normal model by NUTS and by quadrature and compare mu and tau.

    Parameters
    ----------
    arrays : data with fixed standard errors (var_b = 0) whose scales other than mu and tau are 0.

    Returns
    -------
    DataFrame: outcome, quantity, statistic, nuts, exact, mcse, difference_in_mcse, k_studies;
    empty when the fit is withheld.

    Raises
    ------
    DisagreementError : when a difference exceeds `AGREEMENT` Monte-Carlo standard errors.
    """
    import arviz as az

    from analysis import exact

    y, se = arrays["y"][:k], np.sqrt(arrays["var_a"][:k])
    reference = exact.fit(
        y,
        se,
        mu_prior=exact.Normal(0.0, float(arrays["scale_mu"])),
        tau_prior=exact.HalfNormal(float(arrays["scale_tau"])),
    )
    fit = sampler.fit(f"{outcome}_exact", seed=seed, data=arrays, draws=1500, tune=1000,
                      target_accept=0.98)  # fmt: skip
    if fit.withheld:
        return pd.DataFrame()
    posterior = fit.tree["posterior"]
    rows = []
    for quantity in ("mu", "tau"):
        draws = posterior[quantity].to_numpy()
        for statistic, value in (("mean", draws.mean()), ("sd", draws.std())):
            truth = float(getattr(getattr(reference, quantity), statistic))
            mcse = float(az.mcse(draws, method=statistic))
            rows.append(
                {"outcome": outcome, "quantity": quantity, "statistic": statistic,
                 "nuts": float(value), "exact": truth, "mcse": mcse,
                 "difference_in_mcse": (float(value) - truth) / mcse, "k_studies": k}
            )  # fmt: skip
    table = pd.DataFrame(rows)
    require_agreement(table)
    return table


def require_agreement(table: pd.DataFrame) -> None:
    """Raise DisagreementError when a row differs by more than `AGREEMENT` standard errors."""
    apart = table[~(table["difference_in_mcse"].abs() <= AGREEMENT)]
    if len(apart):
        words = [
            f"{row.outcome} {row.statistic} of {row.quantity}: NUTS {row.nuts:.5g}, exact "
            f"{row.exact:.5g}, {abs(row.difference_in_mcse):.1f} Monte-Carlo standard errors apart"
            for row in apart.itertuples()
        ]
        raise DisagreementError("; ".join(words))
