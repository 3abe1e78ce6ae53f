"""Publication bias in the printed numbers of each headline: model average and classical tests.

The models of selection work on numbers with a standard error; results in words have no place in
them (reporting in words is itself a form of selection), and each row says how many that leaves out.
With few studies no method can tell bias from chance: every result carries a statement of that.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis import effects as effects_room
from analysis import exact, outcomes, priors, questions
from analysis.evidence import Evidence
from analysis.models import small_study
from analysis.models.bias_average import FEW_STUDIES, BiasAverage, fit
from analysis.questions import Body, Question
from analysis.stages.result import StageResult, Tell, stage_result

MIN_AVERAGED = 2
TESTS = ("egger", "trim_and_fill", "begg")


def run(evidence: Evidence, *, progress: Tell = lambda part: None) -> StageResult:
    """Model averages and tests for every controlled headline that is told by a mean.

    Returns
    -------
    StageResult with estimates of the variant bias_average and the tables bias_models,
    bias_summary, small_study, funnel.
    """
    body = Body(evidence)
    rows: list[dict] = []
    tables: dict[str, list] = {"bias_summary": [], "small_study": []}
    models, funnels = [], []
    for question in questions.headlines(body):
        progress(f"{question.outcome}, {question.population}")
        chosen = body.rows(question)
        numbers = usable(chosen)
        average = _average(numbers, question) if len(numbers) >= MIN_AVERAGED else None
        tables["bias_summary"].append(
            {**question.parts, **_summary(numbers, len(chosen) - len(numbers), average)}
        )
        if average is not None:
            models.append(average.models.assign(**question.parts))
            rows += _estimates(question, numbers, average)
        tests, filled = _tests(numbers, outcomes.get(question.outcome).good)
        tables["small_study"] += [{**question.parts, **row} for row in tests]
        funnels.append(_funnel(question.parts, numbers, filled))
    joined = {"bias_models": _joined(models), "funnel": _joined(funnels)}
    return stage_result(rows, {**tables, **joined})


def usable(rows: pd.DataFrame) -> pd.DataFrame:
    """The numbers with a standard error at the centre of r, `se` added."""
    rows = rows.assign(se=effects_room.se(rows))
    return rows[rows["kind"].eq("numeric") & np.isfinite(rows["se"])].reset_index(drop=True)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _average(numbers: pd.DataFrame, question: Question) -> BiasAverage:
    mu, tau = priors.get(question.outcome, "mu"), priors.get(question.outcome, "tau")
    sd_of_change = math.exp(priors.get(question.outcome, "log_sd").params[0])
    return fit(
        numbers["y"], numbers["se"], mu_prior=exact.Normal(*mu.params),
        tau_prior=exact.HalfNormal(tau.scale), side=outcomes.get(question.outcome).good,
        peese_scale=priors.get("selection", "peese").scale / sd_of_change,
    )  # fmt: skip


def _summary(numbers: pd.DataFrame, left_out: int, average: BiasAverage | None) -> dict:
    row = {"k_studies": len(numbers), "n_patients": numbers["n_patients"].sum(),
           "k_left_out": left_out}  # fmt: skip
    without = f"; {left_out} more in words or without a spread cannot enter" if left_out else ""
    blank = dict.fromkeys(
        ("bf_effect", "bf_heterogeneity", "bf_bias", "mean", "ci_low", "ci_high",
         "mean_unadjusted", "ci_low_unadjusted", "ci_high_unadjusted", "tau"), np.nan,
    )  # fmt: skip
    if average is None:
        count = "no study" if numbers.empty else "a single study"
        words = f"{count} with a number and a spread: no answer{without}"
        return {**row, **blank, "statement": words}
    found, plain = average.mu_given_effect, average.unadjusted_given_effect
    return {
        **row, "bf_effect": average.bf_effect, "bf_heterogeneity": average.bf_heterogeneity,
        "bf_bias": average.bf_bias, "mean": found.mean, "ci_low": found.ci_low,
        "ci_high": found.ci_high, "mean_unadjusted": plain.mean,
        "ci_low_unadjusted": plain.ci_low, "ci_high_unadjusted": plain.ci_high,
        "tau": average.tau, "statement": average.statement + without,
    }  # fmt: skip


def _estimates(question: Question, numbers: pd.DataFrame, average: BiasAverage) -> list[dict]:
    about, found = outcomes.get(question.outcome), average.mu_given_effect
    base = {**question.parts, "variant": "bias_average", "k_studies": len(numbers),
            "n_patients": numbers["n_patients"].sum(),
            "note": "numbers alone, averaged over publication bias, given an effect; "
            + average.statement}  # fmt: skip
    made = [{**base, "scale": about.scale, "unit": about.unit, "mean": found.mean,
             "sd": found.sd, "ci_low": found.ci_low, "ci_high": found.ci_high,
             "tau": average.tau}]  # fmt: skip
    if about.is_ratio:
        mean, low, high = (math.exp(x) for x in (found.mean, found.ci_low, found.ci_high))
        made.append({**base, "scale": "ratio", "unit": "ratio", "mean": mean, "ci_low": low,
                     "ci_high": high})  # fmt: skip
    return made


def _tests(group: pd.DataFrame, side: int) -> tuple[list[dict], small_study.Filled | None]:
    """Rows of the three tests, each with its note, and the studies of trim and fill."""
    y, se = group["y"].to_numpy(dtype=float), group["se"].to_numpy(dtype=float)
    k = len(group)
    few = (
        f"{k} studies; below {FEW_STUDIES} the test has hardly any power" if k < FEW_STUDIES else ""
    )
    if k < small_study.MIN_STUDIES:
        none = small_study.Asymmetry(math.nan, math.nan, math.nan, math.nan, k)
        note = f"needs at least {small_study.MIN_STUDIES} studies with a spread"
        return [_row(name, none, note) for name in TESTS], None
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
            "k_filled": np.nan, "note": "; ".join(filter(None, [found.note, note]))}  # fmt: skip


def _funnel(key: dict, group: pd.DataFrame, filled: small_study.Filled | None) -> pd.DataFrame:
    seen = group[["study_id", "label", "y", "se"]].assign(filled=False)
    if filled is not None and filled.k_filled:
        added = pd.DataFrame({"study_id": "", "label": "filled", "y": filled.y, "se": filled.se})
        seen = pd.concat([seen, added.assign(filled=True)], ignore_index=True)
    return seen.assign(**key)
