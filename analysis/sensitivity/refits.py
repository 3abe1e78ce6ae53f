"""What becomes of a headline when studies come and go, and when the priors or the data count less.

Every refit is of the headline posterior itself (`questions.posterior_of`): results in words, exact
p-values, unknown SDs and the unknown correlation included. All by quadrature.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import exact, outcomes, priors
from analysis.exact.contrasts import ContrastPosterior, ContrastPriors
from analysis.exact.contrasts import leave_one_out as _loo
from analysis.questions import Body, Question, posterior_of
from analysis.sensitivity.plane import Plane

GRID_MU = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Factors on the SD of the prior of the mean."""
TOLERANCE = 0.005
"""Posterior SDs by which the last level of the quadrature may still move a refit."""
ALPHAS = (0.5, 0.8, 1.0, 1.25, 2.0)
SENSITIVE = 0.05
"""Power-scaling sensitivity from which on a posterior is called sensitive (Kallioinen 2024)."""


def figures(posterior: ContrastPosterior) -> dict[str, float]:
    """mean, ci_low, ci_high, pred_low, pred_high and tau of a posterior, on the model's scale."""
    low, high = posterior.mu.interval()
    pred_low, pred_high = posterior.predictive.interval()
    return {"mean": posterior.mu.mean, "ci_low": low, "ci_high": high, "pred_low": pred_low,
            "pred_high": pred_high, "tau": posterior.tau.median}  # fmt: skip


def tau_priors(outcome: str) -> dict[str, exact.TauPrior]:
    """Priors of the heterogeneity by name, the headline's first.

    `empirical` is Rhodes et al. 2015 for biological markers (`heterogeneity.smd`), brought to the
    outcome's scale by the centre of its SD of change, with a log-normal in place of their log-t.
    """
    scale = priors.get(outcome, "tau").scale
    location, spread = priors.get("heterogeneity", "smd").params
    log_sd = priors.get(outcome, "log_sd").params[0]
    narrow, cauchy = (
        priors.get("sensitivity", name).scale for name in ("tau_narrow", "tau_half_cauchy")
    )
    return {
        "half_normal": exact.HalfNormal(scale),
        "half_normal_narrow": exact.HalfNormal(narrow * scale),
        "half_cauchy": exact.HalfCauchy(cauchy * scale),
        "empirical": exact.LogNormal(0.5 * location + log_sd, 0.5 * spread),
    }


def leave_one_out(body: Body, question: Question) -> list[dict]:
    """The mean without each study in turn; it teaches no SD then either.

    Returns rows of the declared table `leave_one_out`.

    Parameters
    ----------
    body : the effects under any rules.
    question : the headline.
    """
    rows = body.rows(question)
    without = _loo(rows, ContrastPriors.of(question.outcome), teachers=body.teachers(question),
                   tolerance=TOLERANCE)  # fmt: skip
    return [
        {**question.parts, "left_out": row["study_id"], "label": row["label"],
         **figures(posterior), "k_studies": len(rows) - 1,
         "n_patients": rows["n_patients"].sum() - row["n_patients"]}
        for row, posterior in zip(rows.to_dict("records"), without, strict=True)
    ]  # fmt: skip


def cumulative(body: Body, question: Question) -> list[dict]:
    """The mean as studies were published, one row a study; those without a year come last.

    Parameters
    ----------
    body : the effects under any rules.
    question : the headline.
    """
    rows = body.rows(question).sort_values(["year", "study_id"], na_position="last")
    made = []
    for last in range(1, len(rows) + 1):
        part = rows.iloc[:last].reset_index(drop=True)
        posterior = posterior_of(body, question, rows=part, tolerance=TOLERANCE)
        newest = part.iloc[-1]
        made.append({**question.parts, "place": last, "study_id": newest["study_id"],
                     "label": newest["label"], "year": newest["year"], **figures(posterior),
                     "k_studies": last, "n_patients": part["n_patients"].sum()})  # fmt: skip
    return made


def influence(
    question: Question, rows: pd.DataFrame, whole: ContrastPosterior, without: list[dict]
) -> list[dict]:
    """How much each study moves the mean: Bayesian analogues of deletion diagnostics.

    After Viechtbauer and Cheung (2010, Research Synthesis Methods 1:112), the posterior in place of
    the point estimates. `weight`: share of what is known of the mean; `shift_in_sd`: (mean - mean
    without the study) / SD of the mean; `cook`: its square; `tau_without`: median of tau without.

    Parameters
    ----------
    question : the headline.
    rows : the effects behind it.
    whole : its posterior.
    without : rows of `leave_one_out`.

    References
    ----------
    Viechtbauer & Cheung (2010), Res Synth Methods 1:112.
    """
    weight = whole.shrinkage["weight"].to_numpy()
    made = []
    for i, left in enumerate(without):
        shift = (whole.mu.mean - left["mean"]) / whole.mu.sd
        made.append({**question.parts, "study_id": left["left_out"], "label": left["label"],
                     "kind": rows["kind"].iloc[i], "weight": weight[i], "shift_in_sd": shift,
                     "cook": shift**2, "tau_without": left["tau"]})  # fmt: skip
    return made


def plug_in(whole: ContrastPosterior) -> dict[str, float]:
    """The correlation and, where one is learnt, the SD of change at their posterior means.

    With both fixed a refit takes milliseconds; grids of refits use it and say so.
    """
    table = whole.nuisance["mean"]
    choices = {"r": float(np.clip(table["r"], -0.95, 0.95))}
    if "log_sd" in table.index:
        choices["sd"] = float(np.exp(table["log_sd"]))
    return choices


def plane_of(question: Question, whole: ContrastPosterior) -> Plane:
    """The grid on which analyses of a headline with r and SDs plugged in are computed.

    Parameters
    ----------
    question : the headline.
    whole : its posterior.
    """
    widest = max(GRID_MU) * priors.get(question.outcome, "mu").scale
    tau = priors.get(question.outcome, "tau").scale
    return Plane(whole.mu.mean, whole.mu.sd, widest, 0.5 * tau)


def prior_grid(body: Body, question: Question) -> list[dict]:
    """The mean under every pair of a prior of mu and a prior of tau.

    Parameters
    ----------
    body : the effects under any rules.
    question : the headline.
    """
    good = outcomes.get(question.outcome).good
    prior = ContrastPriors.of(question.outcome)
    own = priors.get(question.outcome, "mu")
    made = []
    for factor in GRID_MU:
        for name, tau in tau_priors(question.outcome).items():
            mu = exact.Normal(own.params[0], factor * own.scale)
            found = posterior_of(body, question, prior=replace(prior, mu=mu, tau=tau),
                                 tolerance=TOLERANCE)  # fmt: skip
            below = float(found.mu.cdf(0.0))
            low, high = found.mu.interval()
            made.append({**question.parts, "mu_prior_sd": mu.sd, "tau_prior": name,
                         "mean": found.mu.mean, "ci_low": low, "ci_high": high,
                         "tau": found.tau.median, "p_good": 1 - below if good > 0 else below,
                         "log_marginal_likelihood": found.log_marginal_likelihood})  # fmt: skip
    return made


def power(question: Question, whole: ContrastPosterior) -> list[dict]:
    """The posterior with the prior or the likelihood raised to a power, by quadrature.

    `psense` is the sensitivity of Kallioinen et al. (2024, Statistics and Computing 34:57): how far
    the distribution of mu moves (cumulative Jensen–Shannon distance) per doubling of the power,
    from the powers 0.8 and 1.25.

    Parameters
    ----------
    question : the headline.
    whole : its posterior.

    References
    ----------
    Kallioinen, Paananen, Bürkner & Vehtari 2024, Statistics and Computing 34:57.
    """
    made = []
    low, high = whole.mu.quantile(np.array([0.0005, 0.9995]))
    x = np.linspace(low, high, 401)
    base = whole.mu.cdf(x)
    for component in ("prior", "likelihood"):
        moved = []
        scaled = {alpha: whole if alpha == 1 else whole.power_scaled(**{component: alpha})
                  for alpha in ALPHAS}  # fmt: skip
        for alpha in (0.8, 1.25):
            moved.append(_cjs(x, base, scaled[alpha].mu.cdf(x)) / np.log2(1.25))
        for alpha, posterior in scaled.items():
            made.append({**question.parts, "component": component, "alpha": alpha,
                         "mean": posterior.mu.mean, "sd": posterior.mu.sd,
                         "psense": float(np.mean(moved))})  # fmt: skip
    return made


def _cjs(x: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """Cumulative Jensen–Shannon distance of two distribution functions, between 0 and 1."""
    p, q = np.clip(p, 1e-12, 1), np.clip(q, 1e-12, 1)

    def one_way(a: np.ndarray, b: np.ndarray) -> float:
        gap = a * np.log2(a / (0.5 * (a + b))) + 0.5 / np.log(2) * (b - a)
        return float(np.trapezoid(gap, x))

    most = float(np.trapezoid(p + q, x))
    return float(np.sqrt(max(one_way(p, q) + one_way(q, p), 0.0) / most)) if most > 0 else 0.0
