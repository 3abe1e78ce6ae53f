"""How large a bias would have to be to take an effect away.

The same bias b is taken off every study and the headline is fitted again, until the mean, or the
end of its 95 % interval nearest to no effect, is no effect. Taking b off every study is the same as
fitting with the prior of the mean moved by b and taking b off the answer, so results in words need
no other treatment. The answer is read against three rulers: the bias prior of the analysis, the
SD of individual change, and the E-value of VanderWeele and Ding (2017, Ann Intern Med 167:268).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from analysis import exact, outcomes, priors
from analysis.exact.contrasts import ContrastPosterior, ContrastPriors, fit
from analysis.questions import Body, Question
from analysis.sensitivity.refits import plug_in


def e_value(ratio: float) -> float:
    """E-value of a ratio of risks, rates or means: RR + sqrt(RR (RR - 1)), RR taken above one."""
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def bias_to_nullify(body: Body, question: Question, whole: ContrastPosterior) -> dict:
    """The bias that would bring the mean, and the nearer interval end, to no effect.

    r and the SDs are plugged in at their posterior means. An interval that already holds no effect
    needs no bias: 0.

    Returns a row of the declared table `bias_to_nullify`.

    Parameters
    ----------
    body : the effects under any rules.
    question : the headline.
    whole : its posterior.
    """
    rows, base = body.rows(question), ContrastPriors.of(question.outcome)
    fixed = plug_in(whole)
    own = priors.get(question.outcome, "mu")

    def left(bias: float) -> exact.Distribution:
        moved = base.with_(mu=exact.Normal(own.params[0] + bias, own.scale))
        return fit(rows, moved, **fixed).mu

    def root(of: Callable[[exact.Distribution], float], start: float) -> float:
        def remains(bias: float) -> float:
            return of(left(bias)) - bias

        width = max(abs(start), whole.mu.sd)
        low, high = start - width, start + width
        while remains(low) * remains(high) > 0:
            width *= 2
            low, high = start - width, start + width
        return float(brentq(remains, low, high, xtol=1e-4 * whole.mu.sd))

    mean = root(lambda d: d.mean, whole.mu.mean)
    ends = whole.mu.interval()
    if ends[0] <= 0 <= ends[1]:
        interval = 0.0
    else:
        side = 0 if ends[0] > 0 else 1
        interval = root(lambda d: d.interval()[side], ends[side])
    bias_sd = priors.get(question.outcome, "bias").scale
    change_sd = fixed.get("sd", math.exp(priors.get(question.outcome, "log_sd").params[0]))
    ratio = outcomes.get(question.outcome).is_ratio
    return {
        **question.parts, "bias_for_mean": mean, "bias_for_interval": interval,
        "mean_in_bias_sds": abs(mean) / bias_sd, "interval_in_bias_sds": abs(interval) / bias_sd,
        "mean_in_change_sds": abs(mean) / change_sd,
        "interval_in_change_sds": abs(interval) / change_sd,
        "e_value_mean": e_value(math.exp(mean)) if ratio else np.nan,
        "e_value_interval": e_value(math.exp(interval)) if ratio else np.nan,
    }  # fmt: skip
