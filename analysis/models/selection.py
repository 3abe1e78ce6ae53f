"""Small-study and publication effects in the project's own numbers, outcome by outcome.

For the headline effects that have a number and a standard error, by design (controlled and
uncontrolled studies are never mixed): the model average of `bias_average`, and the classical tests
of `small_study` beside it. Results in words have no place in these models, and reporting in words
is itself a form of selection; each row says how many studies that leaves out. With two to four
studies in a design no method can tell bias from chance: every result carries a statement of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis import effects as effects_module
from analysis import exact, priors
from analysis.evidence import Evidence
from analysis.models import small_study
from analysis.models.bias_average import FEW_STUDIES, Bias, BiasAverage, Summary, fit
from analysis.models.result import ModelResult, estimates_table

__all__ = ["Bias", "BiasAverage", "Summary", "fit", "run", "selectable", "tables"]

OUTCOMES = ("c_peptide_ratio", "c_peptide_gain", "hba1c", "insulin_dose")
FAVOURED = {"c_peptide_ratio": 1, "c_peptide_gain": 1, "hba1c": -1, "insulin_dose": -1}
"""The sign that is good news, hence the one that publication would favour."""
DESIGNS = {True: "controlled", False: "uncontrolled"}
SCALE = {"c_peptide_ratio": "log_ratio", "insulin_dose": "log_ratio"}
MIN_AVERAGED = 2

MODEL_COLUMNS = [
    "outcome", "design", "effect", "heterogeneity", "bias", "prior_probability",
    "posterior_probability", "log_marginal_likelihood", "mean", "sd",
]  # fmt: skip
SUMMARY_COLUMNS = [
    "outcome", "design", "k_studies", "n_patients", "k_left_out", "bf_effect", "bf_heterogeneity",
    "bf_bias", "mean", "ci_low", "ci_high", "mean_unadjusted", "ci_low_unadjusted",
    "ci_high_unadjusted", "mean_given_effect", "ci_low_given_effect", "ci_high_given_effect",
    "mean_unadjusted_given_effect", "ci_low_unadjusted_given_effect",
    "ci_high_unadjusted_given_effect", "tau", "statement",
]  # fmt: skip
TEST_COLUMNS = [
    "outcome", "design", "test", "estimate", "ci_low", "ci_high", "p_value", "k_studies",
    "k_filled", "note",
]  # fmt: skip
FUNNEL_COLUMNS = ["outcome", "design", "study_id", "label", "y", "se", "filled"]


def selectable(effects: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The headline effects of an outcome with a number and a standard error, `se` added.

    Raises KeyError for an unknown outcome.
    """
    chosen = effects_module.headline(effects, outcome)
    chosen = chosen.assign(se=effects_module.se(chosen))
    usable = chosen["kind"].eq("numeric") & np.isfinite(chosen["se"]) & np.isfinite(chosen["y"])
    return chosen[usable].reset_index(drop=True)


def run(
    evidence: Evidence, *, seed: int = 0, progress: Callable[[str], None] | None = None
) -> ModelResult:
    """Model average and classical tests for each outcome and design.

    `seed` is part of every stage's signature; nothing here is random. See `tables`.
    """
    return tables(effects_module.build(evidence).effects, progress=progress)


def tables(effects: pd.DataFrame, *, progress: Callable[[str], None] | None = None) -> ModelResult:
    """The four tables, and one estimate (the model-averaged mean) for each outcome and design.

    bias_models : the 36 models of each ensemble.
    bias_summary : inclusion Bayes factors and model-averaged means, adjusted (over all models) and
        unadjusted (over the models without bias); `_given_effect` leaves out the models in which
        the mean is zero. `tau` is averaged over all models.
    small_study : Egger, trim and fill, Begg.
    funnel : the studies, and those that trim and fill adds.
    """
    tell = progress or (lambda text: None)
    parts: dict[str, list] = {"models": [], "summary": [], "tests": [], "funnel": []}
    estimates: list[dict] = []
    for outcome in OUTCOMES:
        usable = selectable(effects, outcome)
        everyone = effects_module.headline(effects, outcome)
        for controlled, design in DESIGNS.items():
            group = usable[usable["controlled"].eq(controlled)]
            left_out = int(everyone["controlled"].eq(controlled).sum()) - len(group)
            key = {"outcome": outcome, "design": design}
            tell(f"{outcome} {design}")
            average = _average(group, outcome) if len(group) >= MIN_AVERAGED else None
            parts["summary"].append({**key, **_summary(group, left_out, average)})
            if average is not None:
                parts["models"].append(average.models.assign(**key))
                estimates.append(_estimate(outcome, design, group, average))
            tests, filled = _tests(group, FAVOURED[outcome])
            parts["tests"] += [{**key, **row} for row in tests]
            parts["funnel"].append(_funnel(key, group, filled))
    models = pd.concat(parts["models"], ignore_index=True) if parts["models"] else pd.DataFrame()
    return ModelResult(
        estimates_table(estimates),
        {
            "bias_models": models.reindex(columns=MODEL_COLUMNS),
            "bias_summary": pd.DataFrame(parts["summary"], columns=SUMMARY_COLUMNS),
            "small_study": pd.DataFrame(parts["tests"], columns=TEST_COLUMNS),
            "funnel": pd.concat(parts["funnel"], ignore_index=True)[FUNNEL_COLUMNS],
        },
    )


def _average(group: pd.DataFrame, outcome: str) -> BiasAverage:
    mu, tau = priors.get(outcome, "mu"), priors.get(outcome, "tau")
    sd_of_change = math.exp(priors.get(outcome, "log_sd").params[0])
    return fit(
        group["y"],
        group["se"],
        mu_prior=exact.Normal(*mu.params),
        tau_prior=exact.HalfNormal(tau.scale),
        side=FAVOURED[outcome],
        peese_scale=priors.get("selection", "peese").scale / sd_of_change,
    )


def _summary(group: pd.DataFrame, left_out: int, average: BiasAverage | None) -> dict:
    row = {
        "k_studies": len(group),
        "n_patients": group["n_patients"].sum(),
        "k_left_out": left_out,
    }
    without = f"; {left_out} more in words or without a spread cannot enter" if left_out else ""
    if average is None:
        count = "no study" if group.empty else "a single study"
        return {**row, "statement": f"{count} with a number and a spread: no answer{without}"}
    row |= {"bf_effect": average.bf_effect, "bf_heterogeneity": average.bf_heterogeneity,
            "bf_bias": average.bf_bias, "tau": average.tau}  # fmt: skip
    for suffix, found in (
        ("", average.mu),
        ("_unadjusted", average.unadjusted),
        ("_given_effect", average.mu_given_effect),
        ("_unadjusted_given_effect", average.unadjusted_given_effect),
    ):
        row[f"mean{suffix}"] = found.mean
        row[f"ci_low{suffix}"], row[f"ci_high{suffix}"] = found.ci_low, found.ci_high
    return {**row, "statement": average.statement + without}


def _estimate(outcome: str, design: str, group: pd.DataFrame, average: BiasAverage) -> dict:
    found = average.mu_given_effect
    return {
        "outcome": outcome, "group_kind": "design", "group": design,
        "estimand": "mean_bias_averaged", "scale": SCALE.get(outcome, "difference"),
        "unit": effects_module.OUTCOMES[outcome], "k_studies": len(group),
        "n_patients": group["n_patients"].sum(), "mean": found.mean, "sd": found.sd,
        "ci_low": found.ci_low, "ci_high": found.ci_high, "tau": average.tau, "method": "exact",
        "note": "averaged over publication bias, given an effect; " + average.statement,
    }  # fmt: skip


def _tests(group: pd.DataFrame, side: int) -> tuple[list[dict], small_study.Filled | None]:
    """Rows of the three tests, each with its note, and the studies of trim and fill."""
    y, se = group["y"].to_numpy(dtype=float), group["se"].to_numpy(dtype=float)
    k = len(group)
    few = (
        f"{k} studies; below {FEW_STUDIES} the test has hardly any power" if k < FEW_STUDIES else ""
    )
    if k < small_study.MIN_STUDIES:
        note = f"needs at least {small_study.MIN_STUDIES} studies with a spread"
        return [
            {"test": name, "k_studies": k, "note": note}
            for name in ("egger", "trim_and_fill", "begg")
        ], None
    filled = small_study.trim_and_fill(y, se, side=side)
    missing = "below" if side > 0 else "above"
    rows = [
        _row("egger", small_study.egger(y, se), few),
        {**_row("trim_and_fill", filled.result, few), "k_filled": filled.k_filled},
        _row("begg", small_study.begg(y, se), few),
    ]
    if not filled.result.note:
        rows[1]["note"] = "; ".join(filter(None, [f"studies missing {missing} the mean", few]))
    return rows, filled


def _row(test: str, found: small_study.Asymmetry, note: str) -> dict:
    return {"test": test, "estimate": found.estimate, "ci_low": found.ci_low,
            "ci_high": found.ci_high, "p_value": found.p_value, "k_studies": found.k_studies,
            "note": "; ".join(filter(None, [found.note, note]))}  # fmt: skip


def _funnel(key: dict, group: pd.DataFrame, filled: small_study.Filled | None) -> pd.DataFrame:
    seen = group[["study_id", "label", "y", "se"]].assign(filled=False)
    if filled is not None and filled.k_filled:
        added = pd.DataFrame({"study_id": "", "label": "filled", "y": filled.y, "se": filled.se})
        seen = pd.concat([seen, added.assign(filled=True)], ignore_index=True)
    return seen.assign(**key)
