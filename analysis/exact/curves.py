"""Distributions over survival curves, and what is read from them: shares, times, areas.

A `Part` holds the probabilities of one family's curves on a grid of log medians eta, shapes and
shares that never resume; `Curves` holds one or several parts by their weights. S(t) rises with eta,
so P(S(t) <= s) is a sum of distribution functions of eta, one for each shape: quantiles need no
draws. S = c + (1 - c) S_resuming is linear in what depends on t, so means and squares need the
moments of c alone, whatever the nodes of c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special
from scipy.optimize import elementwise

from analysis.central import LEVELS
from analysis.exact.families import ENDLESS, RESUMING, log_survival, log_time
from analysis.exact.grid import cumulative, denser

FINER = {"theta": 32, "logit_cure": 4}
"""P(S <= s) bends sharply where s nears the share that never resumes, so sums over the parameter
on which that share hangs need more nodes than the posterior does. Cells of the log odds of that
share count up to s itself and no further."""
CENTURY = 1200.0
"""Months beyond which a duration is said to be "over a century"."""
FOREVER = np.array([60.0])
"""Log months after which everybody who ever resumes has."""
SHORTEST = 1e-6
"""Months; curves are read from here on, S(0) = 1."""
LOGITS = (-14.0, 14.0)
"""Quantiles of S(t) are looked for between these log odds: a share of one in a million is none."""
TINY = 1e-9
SETTLED = 1e-6
"""Log odds by which a quantile may be off."""


@dataclass(frozen=True)
class Part:
    """One family's share of a distribution over curves.

    Attributes
    ----------
    family : one of `families.FAMILIES`.
    eta : (n,) even grid; theta : (a,) shapes.
    logit_cure : (c,) even grid of the log odds of never resuming; None where a family has no such
        share, and c is 1.
    mean_study, new_study : (a, c, n) probabilities, summing to the weight of the family.
    """

    family: str
    eta: np.ndarray
    theta: np.ndarray
    logit_cure: np.ndarray | None
    mean_study: np.ndarray
    new_study: np.ndarray

    def weighted(self, weight: float) -> Part:
        return Part(
            self.family, self.eta, self.theta, self.logit_cure, weight * self.mean_study,
            weight * self.new_study,
        )  # fmt: skip

    @property
    def resuming(self) -> str:
        """The family of those who resume."""
        return RESUMING.get(self.family, self.family)

    @property
    def endless(self) -> str:
        """The parameter on which the share hangs that never resumes, or ""."""
        return ENDLESS.get(self.family, "")

    @property
    def cure(self) -> np.ndarray:
        return np.zeros(1) if self.logit_cure is None else special.expit(self.logit_cure)

    @property
    def step(self) -> float:
        return float(self.eta[1] - self.eta[0])

    def moments(self, which: str, months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum over the part of S(t) and of its square, at each month."""
        weight, c = getattr(self, which), self.cure[:, None]
        stay, resume, square, cross, rest = (
            (weight * factor).sum(axis=1) for factor in (c, 1 - c, c * c, c * (1 - c), (1 - c) ** 2)
        )
        y = np.log(np.maximum(months, SHORTEST))[:, None, None] - self.eta
        s = np.exp(log_survival(self.resuming, y, self.theta[:, None], 0.0))
        s[months <= 0] = 1.0
        mean = stay.sum() + np.tensordot(s, resume, 2)
        squares = square.sum() + np.tensordot(s, 2 * cross, 2) + np.tensordot(s * s, rest, 2)
        return mean, squares

    @cached_property
    def _finer(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Shapes (a, 1) and log odds of never resuming (c,), one of them with more nodes."""
        theta, cure = self.theta, self.logit_cure
        if self.endless == "theta":
            theta = _denser(theta, FINER["theta"])
        if cure is not None:
            cure = _denser(cure, FINER["logit_cure"])
        return theta[:, None], cure

    @cached_property
    def _of_mean_study(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._table(self.mean_study)

    @cached_property
    def _of_new_study(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._table(self.new_study)

    def _table(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities of eta, P(eta below) and its rise, for the shapes of `_finer`."""
        if self.logit_cure is not None:
            axis, points = 1, self.logit_cure
        else:
            axis, points = 0, self.theta
        if self.endless and points.size > 1:
            rows = denser(points, np.moveaxis(values, axis, -1), FINER[self.endless])[1]
            values = np.moveaxis(rows, -1, axis) * (values.sum() / rows.sum())
        below = cumulative(values)
        rise = np.diff(below, append=below[..., -1:])
        return values.ravel(), below.ravel(), rise.ravel()

    def never(self, which: str, level: float) -> float:
        """Probability, in this family, that S never falls to `level`."""
        below = self.share_below(which, FOREVER, np.array([level]))[0]
        return max(float(getattr(self, which).sum() - below), 0.0)

    def share_below(self, which: str, log_t: np.ndarray, level: np.ndarray) -> np.ndarray:
        """P(S(t) <= level), in this family, for pairs of log t and level (k,)."""
        theta, logit_cure = self._finer
        level = level[:, None, None]
        if logit_cure is None:
            y = log_time(self.family, level, theta, 0.0)
            return self.eta_below(which, log_t[:, None, None] - y).sum(axis=(1, 2))
        # S never falls under its cured share: of each cell of that share the part up to the level
        cell = logit_cure[1] - logit_cure[0]
        low = logit_cure - 0.5 * cell
        part = np.clip(special.logit(level) - low, 0.0, cell)
        cure = special.expit(low + 0.5 * part)
        rest = np.where(part > 0, (level - cure) / (1.0 - cure), 0.0)
        y = log_time(self.resuming, rest, theta, 0.0)
        below = self.eta_below(which, log_t[:, None, None] - y)
        return (below * (part / cell)).sum(axis=(1, 2))

    def eta_below(self, which: str, eta: np.ndarray) -> np.ndarray:
        """(k, a, c) P(eta of that study <= eta), by shape and share: cubic between the nodes."""
        weight, below, rises = getattr(self, f"_of_{which}")
        n = self.eta.size
        place = np.clip((eta - self.eta[0]) / self.step, 0.0, n - 1.0)
        cell = np.minimum(place.astype(np.int64), n - 2)
        u = place - cell
        at = cell + n * np.arange(weight.size // n).reshape(eta.shape[1:])
        first, last, rise = weight[at], weight[at + 1], rises[at]
        bend = 3 * rise - 2 * first - last
        return below[at] + u * (first + u * (bend + u * (first + last - 2 * rise)))


def _denser(points: np.ndarray, times: int) -> np.ndarray:
    return denser(points, np.zeros(points.size), times)[0] if points.size > 1 else points


class Curves:
    """A distribution over survival curves: of one family, or of several by their weights.

    `which` is "mean_study" (the typical study, eta = mu) or "new_study" everywhere.
    """

    def __init__(self, parts: Sequence[Part]):
        self.parts = [part for part in parts if part.mean_study.sum() > 0]

    def survival(
        self, months: Sequence[float] | np.ndarray, which: str = "mean_study"
    ) -> pd.DataFrame:
        """S(t): mean, sd, median and central 95 % interval at each month.

        Returns
        -------
        DataFrame with months, mean, sd, median, ci_low, ci_high.
        """
        t = np.atleast_1d(np.asarray(months, dtype=float))
        mean, square = self._moments(t, which)
        low, median, high = self._quantiles(t, LEVELS, which)
        return pd.DataFrame(
            {
                "months": t,
                "mean": mean,
                "sd": np.sqrt(np.maximum(square - mean**2, 0.0)),
                "median": median,
                "ci_low": low,
                "ci_high": high,
            }
        )

    def median_survival(self, months: Sequence[float], which: str = "mean_study") -> np.ndarray:
        """The median of S at each month: that of `survival`, alone and in less time."""
        return self._quantiles(np.asarray(months, dtype=float), (0.5,), which)[0]

    def median_time_to(self, level: float = 0.5, which: str = "mean_study") -> float:
        """Median of the months until S has fallen to `level`; beyond a century it is inf."""
        return self._time_to(level, 0.5, which)

    def _moments(self, months: np.ndarray, which: str) -> tuple[np.ndarray, np.ndarray]:
        found = np.sum([part.moments(which, months) for part in self.parts], axis=0)
        return found[0], found[1]

    def mean_curve(self, months: np.ndarray, which: str = "mean_study") -> np.ndarray:
        """The posterior mean of S at each month."""
        return self._moments(np.asarray(months, dtype=float), which)[0]

    def survival_cdf(self, months: Any, levels: Any, which: str = "mean_study") -> np.ndarray:
        """P(S(month) <= level) at each pair of month and level, which broadcast."""
        pairs = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (months, levels)))
        month, level = (np.atleast_1d(x).ravel() for x in pairs)
        return self._cdf(month, level, which).reshape(pairs[0].shape)

    def _cdf(self, months: np.ndarray, levels: np.ndarray, which: str) -> np.ndarray:
        """S rises with eta: S(t) <= s where eta <= log t - y(s), given the shape."""
        log_t = np.log(np.maximum(months, SHORTEST))
        total = sum(part.share_below(which, log_t, levels) for part in self.parts)
        return np.where(levels >= 1.0, 1.0, total)

    def _quantiles(self, months: np.ndarray, levels: Sequence[float], which: str) -> np.ndarray:
        """(levels, months) quantiles of S(t): the roots of its distribution function."""
        t = np.tile(months, len(levels))
        p = np.repeat(levels, months.size)

        # Nearly linear in the log odds, so that few steps are needed.
        def gap(logit: np.ndarray, month: np.ndarray, level: np.ndarray) -> np.ndarray:
            below = self._cdf(month, special.expit(logit), which)
            return special.ndtri(np.clip(below, TINY, 1 - TINY)) - special.ndtri(level)

        low, high = (np.full(t.size, end) for end in LOGITS)
        found = elementwise.find_root(
            gap, (low, high), args=(t, p), tolerances={"xatol": SETTLED, "xrtol": 0.0}
        )
        value = np.where(gap(low, t, p) >= 0, 0.0, special.expit(found.x))
        value = np.where((gap(high, t, p) < 0) | (t <= 0), 1.0, value)
        return value.reshape(len(levels), months.size)

    def time_to(self, level: float = 0.5, which: str = "mean_study") -> dict[str, float]:
        """Months until S has fallen to `level`: median, ci_low, ci_high and p_never.

        `p_never` is the probability that it never falls so far; a quantile beyond a century is inf.
        """
        found = {
            name: self._time_to(level, p, which)
            for name, p in zip(("ci_low", "median", "ci_high"), LEVELS, strict=True)
        }
        return found | {"p_never": sum(part.never(which, level) for part in self.parts)}

    def _time_to(self, level: float, p: float, which: str) -> float:
        """The p-quantile of the months until S has fallen to `level`."""
        at = np.array([level])
        low, high = -8.0, float(np.log(CENTURY))

        def gap(log_t: float) -> float:
            return float(self._cdf(np.exp([log_t]), at, which)[0]) - p

        return float("inf") if gap(high) < 0 else float(np.exp(optimize.brentq(gap, low, high)))

    def share_beyond(self, month: float, limit: float, step: float = 0.5) -> float:
        """Share of the years under the printed curve, to `limit`, that lie beyond `month`.

        The printed curve is the posterior mean of the mean study's S.
        """
        months = np.linspace(0.0, limit, round(limit / step) + 1)
        curve = self.mean_curve(months)
        start = min(max(month, 0.0), limit)
        at = np.union1d(months[months >= start], [start])
        past = np.trapezoid(np.interp(at, months, curve), at)
        return float(past / np.trapezoid(curve, months))
