"""Power-scaling: how the posterior moves when the prior or the likelihood counts for more or less.

Raising the prior or the likelihood to a power alpha near one strengthens (alpha > 1) or weakens it
(Kallioinen et al. 2024, Statistics and Computing 34:57). Two ways, side by side: the diagnostic of
arviz, from independent draws of the exact posterior, and the scaled posteriors themselves by
quadrature over tau, without any reweighting of draws.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from analysis.sensitivity.batch import Case
from analysis.sensitivity.data import EffectStore
from analysis.sensitivity.refits import at_design, case, single

ALPHAS = (0.5, 0.8, 1.0, 1.25, 2.0)
COMPONENTS = ("prior", "likelihood")
CHAINS, DRAWS = 4, 1000
TAU_NODES = 128
COLUMNS = ["parameter", "component", "alpha", "mean", "sd", "psense", "diagnosis", "k_studies"]


def _pieces(one: Case, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Design (k, q), prior means and precisions of its coefficients (q,), variances (t, k)."""
    ones = np.ones(len(one.y))
    priors = [one.mu] if one.bias is None else [one.mu, one.bias]
    x = ones[:, None] if one.bias is None else np.column_stack([ones, ~one.controlled])
    mean = np.array([float(prior.mean) for prior in priors])
    precision = np.array([float(prior.sd) ** -2.0 for prior in priors])
    return x.astype(float), mean, precision, one.se**2 + tau[:, None] ** 2


def scaled(one: Case, *, prior: float = 1.0, likelihood: float = 1.0) -> pd.DataFrame:
    """Mean and SD of mu and tau with p(beta, tau)^prior * p(y | beta, tau)^likelihood.

    Given tau the scaled posterior of the coefficients is normal: with V = se^2 + tau^2 its
    precision is A = prior * P0 + likelihood * X' V^-1 X and its mean solves A b = prior * P0 m0 +
    likelihood * X' V^-1 y. tau is integrated at Gauss-Legendre nodes of u, tau = s u / (1 - u).

    Parameters
    ----------
    prior, likelihood : powers, above zero.

    Returns
    -------
    DataFrame with rows mu and tau, columns mean and sd.
    """
    u, weight = np.polynomial.legendre.leggauss(TAU_NODES)
    u = 0.5 * (u + 1)
    scale = float(np.median(one.se))
    tau = scale * u / (1 - u)
    x, m0, p0, variance = _pieces(one, tau)
    a = likelihood * np.einsum("ki,tk,kj->tij", x, 1 / variance, x) + prior * np.diag(p0)
    b = likelihood * np.einsum("ki,tk,k->ti", x, 1 / variance, one.y) + prior * p0 * m0
    inverse = np.linalg.inv(a)
    beta = np.einsum("tij,tj->ti", inverse, b)
    quadratic = likelihood * (one.y**2 / variance).sum(axis=1) + prior * (p0 * m0**2).sum()
    log_density = (
        -0.5 * likelihood * np.log(variance).sum(axis=1)
        - 0.5 * (quadratic - np.einsum("ti,ti->t", beta, b))
        - 0.5 * np.linalg.slogdet(a)[1]
        + prior * one.tau.logpdf(tau[None])[0]
        - 2 * np.log1p(-u)
        + np.log(weight)
    )
    w = np.exp(log_density - log_density.max())
    w /= w.sum()
    mu, mean_tau = w @ beta[:, 0], w @ tau
    mu_sd = np.sqrt(w @ (inverse[:, 0, 0] + (beta[:, 0] - mu) ** 2))
    tau_sd = np.sqrt(w @ (tau - mean_tau) ** 2)
    return pd.DataFrame({"mean": [mu, mean_tau], "sd": [mu_sd, tau_sd]}, index=["mu", "tau"])


def diagnostic(one: Case, seed: int) -> pd.DataFrame:
    """Power-scaling sensitivity of mu and tau by `arviz_stats.psense_summary`.

    Returns
    -------
    DataFrame with rows mu and tau; columns prior, likelihood (the sensitivities; above 0.05 is
    sensitive) and diagnosis.
    """
    import arviz_stats
    from arviz_base import from_dict

    draws = single(one).sample(CHAINS * DRAWS, seed)
    tau = draws["tau"].to_numpy()
    x, m0, p0, variance = _pieces(one, tau)
    names = ["mu"] if one.bias is None else ["mean", "bias"]
    beta = draws[names].to_numpy()
    log_prior = -0.5 * (beta - m0) ** 2 * p0
    log_likelihood = -0.5 * (one.y - beta @ x.T) ** 2 / variance - 0.5 * np.log(variance)
    shape = (CHAINS, DRAWS)
    tree = from_dict(
        {
            "posterior": {"mu": beta[:, 0].reshape(shape), "tau": tau.reshape(shape)},
            "log_prior": {
                "coefficients": log_prior.sum(axis=1).reshape(shape),
                "tau": one.tau.logpdf(tau[None])[0].reshape(shape),
            },
            "log_likelihood": {"y": log_likelihood.reshape(*shape, -1)},
        }
    )
    log = logging.getLogger("arviz_stats.psense")
    before = log.level
    log.setLevel(logging.ERROR)  # its warning repeats what the column `diagnosis` says
    try:
        table = arviz_stats.psense_summary(tree, var_names=["mu", "tau"], round_to=4)
    finally:
        log.setLevel(before)
    return table.replace({"diagnosis": {"✓": "ok"}})


def power_scaling(store: EffectStore, outcome: str, design: str, seed: int) -> pd.DataFrame:
    """Posterior of mu and tau of one design with the prior or the likelihood raised to powers.

    Returns
    -------
    DataFrame: outcome, design, parameter, component, alpha, mean, sd, psense (of that component),
    diagnosis, k_studies.
    """
    studies = store.studies(outcome, at_design(design))
    rows = []
    if len(studies):
        one = case(outcome, design, studies)
        found = diagnostic(one, seed)
        for component in COMPONENTS:
            for alpha in ALPHAS:
                for parameter, moments in scaled(one, **{component: alpha}).iterrows():
                    rows.append(
                        {
                            "parameter": parameter,
                            "component": component,
                            "alpha": alpha,
                            **moments,
                            "psense": found.loc[parameter, component],
                            "diagnosis": found.loc[parameter, "diagnosis"],
                            "k_studies": len(studies),
                        }
                    )
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.insert(0, "outcome", outcome)
    table.insert(1, "design", design)
    return table
