"""The headline of each design by quadrature, and what becomes of it when studies come and go.

The model of every refit is y ~ N(mu, se^2 + tau^2), alone for the controlled or the uncontrolled
studies; for both together the uncontrolled ones carry a bias, y ~ N(mu + bias * uncontrolled,
se^2 + tau^2), so that mu is the effect in controlled studies. Priors come from `analysis.priors`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import exact, priors
from analysis.effects import OUTCOMES as UNITS
from analysis.sensitivity.batch import SUMMARY, Case, below_name, fit_cases
from analysis.sensitivity.data import DESIGNS, HEADLINE, DataChoices, EffectStore

GRID_MU = (0.25, 0.5, 1.0, 2.0, 4.0)


def mu_prior(outcome: str, factor: float = 1.0) -> exact.Normal:
    """The prior of the mean effect, its SD multiplied by `factor`."""
    prior = priors.get(outcome, "mu")
    return exact.Normal(prior.params[0], factor * prior.scale)


def bias_prior(outcome: str) -> exact.Normal:
    """The prior of what an uncontrolled study adds to the effect."""
    return exact.Normal(*priors.get(outcome, "bias").params)


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


def case(
    outcome: str,
    design: str,
    studies: pd.DataFrame,
    *,
    mu: exact.Normal | None = None,
    tau: exact.TauPrior | None = None,
    uncontrolled: bool = False,
) -> Case:
    """The analysis of one design's studies; `mu` and `tau` replace the priors of the headline.

    `uncontrolled` asks a design of "both" for the effect in uncontrolled studies.
    """
    return Case(
        studies["y"].to_numpy(dtype=float),
        studies["se"].to_numpy(dtype=float),
        studies["controlled"].to_numpy(dtype=bool),
        mu or mu_prior(outcome),
        tau or tau_priors(outcome)["half_normal"],
        bias_prior(outcome) if design == "both" else None,
        uncontrolled and design == "both",
    )


def counts(studies: pd.DataFrame) -> dict:
    """k_studies and n_patients."""
    return {"k_studies": len(studies), "n_patients": float(studies["n_patients"].sum())}


def at_design(design: str) -> DataChoices:
    """The headline's choices of data for one design."""
    return replace(HEADLINE, design=design)


def estimates(store: EffectStore, outcome: str) -> list[dict]:
    """Pooled effects: each design alone, and both together with the bias term (group "all")."""
    rows, cases = [], []
    for design in DESIGNS:
        studies = store.studies(outcome, at_design(design))
        sides = (False, True) if design == "both" else (design == "uncontrolled",)
        for uncontrolled in sides:
            side = studies[studies["controlled"].astype(bool) != uncontrolled]
            if side.empty:
                continue
            cases.append(case(outcome, design, studies, uncontrolled=uncontrolled))
            rows.append(
                {
                    "outcome": outcome,
                    "group_kind": "all" if design == "both" else "design",
                    "group": "all" if design == "both" else design,
                    "estimand": "mean_uncontrolled" if uncontrolled else "mean_controlled",
                    "scale": "log_ratio" if UNITS[outcome] == "log ratio" else "difference",
                    "unit": UNITS[outcome],
                    "method": "exact",
                    "note": _note(side),
                    **counts(side),
                }
            )
    answers = fit_cases(cases)[SUMMARY].to_dict("records")
    return [row | answer for row, answer in zip(rows, answers, strict=True)]


def _note(studies: pd.DataFrame) -> str:
    imputed = int(studies["imputed"].sum())
    notes = ["numbers only, at the central pre-post correlation"]
    if imputed:
        notes.append(f"spread modelled in {imputed} of {len(studies)}")
    if len(studies) == 1:
        notes.append("a single study: leans on the prior")
    return "; ".join(notes)


def leave_one_out(store: EffectStore, outcome: str, design: str) -> pd.DataFrame:
    """The pooled effect without each cohort, and without each study.

    Leaving out a cohort takes all reports of those patients away. Leaving out a study takes one
    report away, and another report of the same patients may take its place (`replaced_by`).
    Where nothing is left the numbers are NaN and k_studies is 0.
    """
    choices = at_design(design)
    studies = store.studies(outcome, choices)
    rows, cases = [], []
    for position, study in studies.iterrows():
        again = store.studies(outcome, choices, without=study["study_id"])
        came = sorted(set(again["study_id"]) - set(studies["study_id"]))
        for kind, name, rest in (
            ("cohort", "cohort_group", studies.drop(index=position)),
            ("study", "study_id", again),
        ):
            rows.append(
                {
                    "left_out": study[name],
                    "label": study["label"],
                    "kind": kind,
                    "replaced_by": " ".join(came) if kind == "study" else "",
                    **counts(rest),
                }
            )
            cases.append(case(outcome, design, rest))
    columns = ["left_out", "label", "kind", "replaced_by", "mean", "ci_low", "ci_high", "pred_low",
               "pred_high", "tau", "k_studies", "n_patients"]  # fmt: skip
    return _answered(outcome, design, rows, cases, columns)


def cumulative(store: EffectStore, outcome: str, design: str) -> pd.DataFrame:
    """The pooled effect as studies were published, one row a study; without a year: last."""
    studies = store.studies(outcome, at_design(design))
    studies = studies.sort_values(["year", "study_id"], na_position="last")
    so_far = [studies.iloc[: last + 1] for last in range(len(studies))]
    rows = [
        {"year": part["year"].iloc[-1], "label": part["label"].iloc[-1], **counts(part)}
        for part in so_far
    ]
    columns = ["year", "label", "mean", "ci_low", "ci_high", "tau", "k_studies", "n_patients"]
    return _answered(
        outcome, design, rows, [case(outcome, design, part) for part in so_far], columns
    )


def influence(store: EffectStore, outcome: str, design: str) -> pd.DataFrame:
    """How much each study moves the pooled effect: Bayesian analogues of deletion diagnostics.

    After Viechtbauer and Cheung (2010, Research Synthesis Methods 1:112), the posterior in place
    of the point estimates:

    weight : posterior mean share of the study in the mean (for "both": its leverage divided by
        the two coefficients).
    leverage : posterior mean of the diagonal of the hat matrix; the rest up to the number of
        coefficients is the priors'.
    shift_in_sd : (mean - mean without the study) / posterior SD without it; its sign tells which
        way the study pulls (their DFFITS, for a single mean).
    cook : squared shift in units of the posterior variance of the full fit.
    studentised_deleted_residual : (y - mean predicted by the others) over the SD of that
        prediction, in which tau counts at its posterior variance, and the study's own error.
    tau_without : posterior median of tau without the study.

    With a single study there is nothing to compare with: the deletion columns are NaN.
    """
    columns = ["study_id", "label", "weight", "leverage", "cook", "shift_in_sd",
               "studentised_deleted_residual", "tau_without"]  # fmt: skip
    studies = store.studies(outcome, at_design(design))
    if studies.empty:
        return _labelled(outcome, design, [], columns)
    whole = case(outcome, design, studies)
    cases = [whole]
    for position, study in studies.iterrows():
        others = studies.drop(index=position)
        for uncontrolled in (False, not study["controlled"]):
            cases.append(case(outcome, design, others, uncontrolled=uncontrolled))
    answers = fit_cases(cases)
    full, without, beside = answers.iloc[0], answers.iloc[1::2], answers.iloc[2::2]
    weight = single(whole).shrinkage["weight"].to_numpy()
    shift = full["mean"] - without["mean"].to_numpy()
    error = np.sqrt(beside["pred_sd"].to_numpy() ** 2 + whole.se**2)
    table = pd.DataFrame(
        {
            "study_id": studies["study_id"],
            "label": studies["label"],
            "weight": weight,
            "leverage": weight * (2 if design == "both" else 1),
            "cook": (shift / full["sd"]) ** 2,
            "shift_in_sd": shift / without["sd"].to_numpy(),
            "studentised_deleted_residual": (whole.y - beside["mean"].to_numpy()) / error,
            "tau_without": without["tau"].to_numpy(),
        }
    )
    return _labelled(outcome, design, table, columns)


def prior_grid(store: EffectStore, outcome: str, design: str, good: int) -> pd.DataFrame:
    """The pooled effect under every pair of a prior of mu and a prior of tau.

    Parameters
    ----------
    good : 1 where a rise is good, -1 where a fall is.
    """
    studies = store.studies(outcome, at_design(design))
    rows, cases = [], []
    taus = {**tau_priors(outcome), "zero": exact.Fixed(0.0)}
    for factor in GRID_MU if len(studies) else ():
        for name, tau in taus.items():
            mu = mu_prior(outcome, factor)
            rows.append({"mu_prior_sd": mu.sd, "tau_prior": name})
            cases.append(case(outcome, design, studies, mu=mu, tau=tau))
    answers = fit_cases(cases, [0.0])
    columns = ["mu_prior_sd", "tau_prior", "mean", "ci_low", "ci_high", "tau", "p_good",
               "log_marginal_likelihood"]  # fmt: skip
    table = pd.concat([pd.DataFrame(rows, columns=columns[:2]), answers], axis=1)
    below = table[below_name(0.0)]
    table["p_good"] = 1 - below if good > 0 else below
    table = table.rename(columns={"log_marginal": "log_marginal_likelihood"})
    return _labelled(outcome, design, table, columns)


def single(one: Case) -> exact.ExactPosterior:
    """One case as the full posterior object, with everything that can be asked of it."""
    if one.bias is None:
        return exact.fit(one.y, one.se, mu_prior=one.mu, tau_prior=one.tau)
    x = pd.DataFrame({"mean": 1.0, "bias": (~one.controlled).astype(float)})
    return exact.fit(
        one.y, one.se, X=x, mu_prior={"mean": one.mu, "bias": one.bias}, tau_prior=one.tau
    )


def _answered(
    outcome: str, design: str, rows: list[dict], cases: list[Case], columns: list[str]
) -> pd.DataFrame:
    answers = fit_cases(cases).to_dict("records")
    joined = [row | answer for row, answer in zip(rows, answers, strict=True)]
    return _labelled(outcome, design, joined, columns)


def _labelled(outcome: str, design: str, rows, columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows)[columns] if len(rows) else pd.DataFrame(columns=columns)
    table = table.reset_index(drop=True)
    table.insert(0, "outcome", outcome)
    table.insert(1, "design", design)
    return table
