"""How large a bias would have to be to take an effect away.

The same bias b is taken off every study, until the mean of the headline, or the end of its 95 %
interval nearest to no effect, is no effect. Taking b off every study is the same as moving the
prior of the mean by b and taking b off the answer, so results in words need no other treatment; and
moving a normal prior by b weighs the headline posterior itself, unknown r and SDs included, by
exp(b mu / variance of the prior). Nothing is refitted or plugged in. The bias differs from the mean
itself because the prior is centred on no effect also for what is left. The answer is read against
three rulers: the bias prior of the analysis, the SD of individual change, and the E-value of
VanderWeele and Ding (2017, Ann Intern Med 167:268).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import brentq

from analysis import exact, outcomes, priors
from analysis.central import HIGH, LOW
from analysis.exact.contrasts import ContrastPosterior
from analysis.questions import Question
from analysis.sensitivity.refits import plug_in

TAIL, POINTS = 1e-9, 2001
"""The grid of the mean reaches to these probabilities, with so many even points."""


def e_value(ratio: float) -> float:
    """E-value of a ratio of risks, rates or means: RR + sqrt(RR (RR - 1)), RR taken above one."""
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


@dataclass(frozen=True)
class Moved:
    """A posterior of the mean whose normal prior may be moved.

    Attributes
    ----------
    x, density : the posterior at even points.
    variance : of the normal prior of the mean.
    """

    x: np.ndarray
    density: np.ndarray
    variance: float

    @classmethod
    def of(cls, mu: exact.Distribution, prior_sd: float) -> Moved:
        """The posterior `mu` under a normal prior of this SD."""
        low, high = mu.quantile(np.array([TAIL, 1 - TAIL]))
        x = np.linspace(low, high, POINTS)
        return cls(x, np.asarray(mu.pdf(x)), prior_sd**2)

    def by(self, bias: float) -> np.ndarray:
        """The density with the prior moved by `bias`, at the same points."""
        power = bias * self.x / self.variance
        weighed = self.density * np.exp(power - power.max())
        return weighed / np.trapezoid(weighed, self.x)

    def mean(self, bias: float) -> float:
        """The mean with the prior moved by `bias`."""
        return float(np.trapezoid(self.x * self.by(bias), self.x))

    def quantile(self, bias: float, level: float) -> float:
        """The quantile with the prior moved by `bias`."""
        below = cumulative_trapezoid(self.by(bias), self.x, initial=0.0)
        return float(np.interp(level, below / below[-1], self.x))


def nullifying(of: Callable[[float], float], start: float, sd: float) -> float:
    """The bias b with of(b) = b: what is left of the figure `of` after taking it off is nothing.

    Parameters
    ----------
    of : the figure with the prior moved by a bias.
    start : the figure itself, where the search begins.
    sd : of the mean: the answer is exact to 1e-6 of it.
    """
    width = max(abs(start), sd)
    low, high = start - width, start + width
    while (of(low) - low) * (of(high) - high) > 0:
        width *= 2
        low, high = start - width, start + width
    return float(brentq(lambda bias: of(bias) - bias, low, high, xtol=1e-6 * sd))


def bias_to_nullify(question: Question, whole: ContrastPosterior) -> dict:
    """The bias that would bring the mean, and the nearer interval end, to no effect.

    An interval that already holds no effect needs no bias: 0. The SD of individual change is a
    ruler only, at its posterior mean.

    Returns a row of the declared table `bias_to_nullify`.

    Parameters
    ----------
    question : the headline.
    whole : its posterior.
    """
    moved = Moved.of(whole.mu, priors.get(question.outcome, "mu").scale)
    mean = nullifying(moved.mean, whole.mu.mean, whole.mu.sd)
    low, high = whole.mu.interval()
    interval = 0.0
    if not low <= 0 <= high:
        level, end = (LOW, low) if low > 0 else (HIGH, high)
        interval = nullifying(lambda bias: moved.quantile(bias, level), end, whole.mu.sd)
    bias_sd = priors.get(question.outcome, "bias").scale
    centre = math.exp(priors.get(question.outcome, "log_sd").params[0])
    change_sd = plug_in(whole).get("sd", centre)
    ratio = outcomes.get(question.outcome).is_ratio
    return {
        **question.parts, "bias_for_mean": mean, "bias_for_interval": interval,
        "mean_in_bias_sds": abs(mean) / bias_sd, "interval_in_bias_sds": abs(interval) / bias_sd,
        "mean_in_change_sds": abs(mean) / change_sd,
        "interval_in_change_sds": abs(interval) / change_sd,
        "e_value_mean": e_value(math.exp(mean)) if ratio else np.nan,
        "e_value_interval": e_value(math.exp(interval)) if ratio else np.nan,
    }  # fmt: skip
