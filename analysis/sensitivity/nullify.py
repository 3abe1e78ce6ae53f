"""How large a bias would have to be to take an effect away.

The same bias b is taken off every study of a design and the model is fitted again, until the mean,
or the end of its 95 % interval nearest to zero, is zero. The answer is read against three rulers:
the bias prior of the analysis, the spread of individual change, and the E-value of VanderWeele and
Ding (2017, Annals of Internal Medicine 167:268), the strength an unmeasured cause would need.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from analysis import priors
from analysis.effects import OUTCOMES as UNITS
from analysis.sensitivity.batch import Case
from analysis.sensitivity.data import EffectStore
from analysis.sensitivity.refits import at_design, case, counts, single

COLUMNS = [
    "mean", "sd", "ci_low", "ci_high", "bias_for_mean_zero", "bias_for_interval_to_touch_zero",
    "mean_zero_in_bias_sds", "interval_in_bias_sds", "mean_zero_in_change_sds",
    "interval_in_change_sds", "mean_zero_percent", "interval_percent", "e_value_mean",
    "e_value_interval", "k_studies", "n_patients", "statement",
]  # fmt: skip
WORDS = {"hba1c": "HbA1c", "c_peptide_ratio": "C-peptide", "insulin_dose": "insulin dose"}


def e_value(ratio: float) -> float:
    """E-value of a risk, rate or mean ratio: RR + sqrt(RR (RR - 1)), RR taken above one."""
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def shifted(one: Case, bias: float) -> Case:
    """The case after a bias is taken off every study."""
    return replace(one, y=one.y - bias)


def bias_to_reach_zero(one: Case, of: str = "mean") -> float:
    """The bias after whose removal the mean, or the nearer end of its interval, is zero.

    Parameters
    ----------
    of : "mean", or "interval": the end of the central 95 % interval nearest to zero. Where the
        interval already holds zero no bias is needed: 0.
    """
    mean = single(one).mu
    if of == "mean":
        target, start = (lambda d: d.mean), mean.mean
    else:
        low, high = mean.interval()
        if low <= 0 <= high:
            return 0.0
        side = 0 if low > 0 else 1
        target, start = (lambda d: d.interval()[side]), (low, high)[side]

    def left(bias: float) -> float:
        return float(target(single(shifted(one, bias)).mu))

    reach = np.sign(start) * (np.abs(one.y).max() + 4 * one.se.max())
    while left(reach) * start > 0:
        reach *= 2
    return float(brentq(left, 0.0, reach, xtol=1e-7))


def bias_to_nullify(store: EffectStore, outcome: str, design: str) -> pd.DataFrame:
    """The bias that would remove the pooled effect of one design, one row, none without a study.

    Returns
    -------
    DataFrame: outcome, design, mean, sd, ci_low, ci_high, bias_for_mean_zero and
    bias_for_interval_to_touch_zero (unit of the outcome; 0 where the interval holds zero), both
    also in SDs of the bias prior, in SDs of individual change, as a percentage (log ratios only)
    and as an E-value (log ratios: of the ratio of means; else of exp(0.91 d), d the effect in SDs
    of change), k_studies, n_patients, statement.
    """
    studies = store.studies(outcome, at_design(design))
    rows = []
    if len(studies):
        one = case(outcome, design, studies)
        mean = single(one).mu
        low, high = mean.interval()
        needed = {name: bias_to_reach_zero(one, name) for name in ("mean", "interval")}
        bias_sd = priors.get(outcome, "bias").scale
        change_sd = math.exp(store.log_sd(outcome))
        ratio = UNITS[outcome] == "log ratio"
        edge = 0.0 if low <= 0 <= high else (low if low > 0 else high)
        as_ratio = (lambda x: math.exp(x)) if ratio else (lambda x: math.exp(0.91 * x / change_sd))
        percent = {k: 100 * math.expm1(v) if ratio else math.nan for k, v in needed.items()}
        rows.append(
            {
                "mean": mean.mean, "sd": mean.sd, "ci_low": low, "ci_high": high,
                "bias_for_mean_zero": needed["mean"],
                "bias_for_interval_to_touch_zero": needed["interval"],
                "mean_zero_in_bias_sds": abs(needed["mean"]) / bias_sd,
                "interval_in_bias_sds": abs(needed["interval"]) / bias_sd,
                "mean_zero_in_change_sds": abs(needed["mean"]) / change_sd,
                "interval_in_change_sds": abs(needed["interval"]) / change_sd,
                "mean_zero_percent": percent["mean"],
                "interval_percent": percent["interval"],
                "e_value_mean": e_value(as_ratio(mean.mean)),
                "e_value_interval": e_value(as_ratio(edge)),
                **counts(studies),
                "statement": statement(outcome, design, needed, bias_sd),
            }
        )  # fmt: skip
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.insert(0, "outcome", outcome)
    table.insert(1, "design", design)
    return table


def statement(outcome: str, design: str, needed: dict[str, float], bias_sd: float) -> str:
    """What the bias means, in a sentence."""
    amount = _amount(outcome, needed["mean"])
    first = (
        f"A bias of {amount} in every {design} study ({abs(needed['mean']) / bias_sd:.1f} SDs of "
        f"the prior of the design bias) would bring the mean change of {WORDS[outcome]} to zero"
    )
    if needed["interval"] == 0:
        return f"{first}; its 95 % interval holds zero without any bias."
    return f"{first}; {_amount(outcome, needed['interval'])} would let its interval touch zero."


def _amount(outcome: str, bias: float) -> str:
    if UNITS[outcome] == "log ratio":
        return f"{100 * math.expm1(bias):+.0f} %"
    return f"{bias:+.2f} {UNITS[outcome]}"
