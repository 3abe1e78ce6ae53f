"""Distributions over survival curves, and what is read from them: shares, times, areas.

A `Part` holds the probabilities of one family's curves on a grid of log medians eta, shapes and
shares that never resume; `Curves` holds one or several parts by their weights. S(t) rises with eta,
so P(S(t) <= s) is a sum of distribution functions of eta, one for each shape: quantiles need no
draws. S = c + (1 - c) S_resuming is linear in what depends on t, so means and squares need the
moments of c alone, whatever the nodes of c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

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
LOG_MONTHS = (-8.0, float(np.log(CENTURY)))
"""Quantiles of a time are looked for between these."""
NOTHING = 1e-10
"""Nodes of less than this share of the probability are left out at both ends of a grid."""
TINY = 1e-9
SETTLED = 1e-6
"""Log odds, or log months, by which a quantile may be off where its distribution jumps."""
CLOSE = 1e-8
"""Standard normal deviates by which it may be off elsewhere."""
SECANTS = 12
"""Steps after which a quantile is looked for by halving alone."""
STEPS = 60


class Cells:
    """Probabilities of one family's curves on a grid.

    Parameters
    ----------
    family : one of `families.FAMILIES`.
    eta : (n,) even grid; theta : (a,) shapes.
    logit_cure : (c,) even grid of the log odds of never resuming; None where a family has no such
        share, and c is 1.
    weight : (a, c, n) probabilities, up to a constant. Ends of the grid where there is nothing are
        cut off; of eta, and of the parameter on which the share hangs that never resumes, only
        once their Fourier series are taken, so that these are those of the grid as given.
    """

    def __init__(
        self, family: str, eta: np.ndarray, theta: np.ndarray, logit_cure: np.ndarray | None,
        weight: np.ndarray,
    ):  # fmt: skip
        self.family = family
        self.resuming = RESUMING.get(family, family)  # the family of those who resume
        shapes = slice(None) if ENDLESS.get(family) == "theta" else _live(weight.sum(axis=(1, 2)))
        live = _live(weight.sum(axis=(0, 1)))
        self.eta, self.theta, self.logit_cure = eta[live], theta[shapes], logit_cure
        self.weight = weight[shapes, :, live] / weight.sum()
        self._integral = _integral(eta.size)[live, live]

    def moments(self, months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of S(t) and of its square, at each month."""
        cure = np.zeros(1) if self.logit_cure is None else special.expit(self.logit_cure)
        c = cure[:, None]
        stay, resume, square, cross, rest = (
            (self.weight * factor).sum(axis=1)
            for factor in (c, 1 - c, c * c, c * (1 - c), (1 - c) ** 2)
        )
        y = np.log(np.maximum(months, SHORTEST))[:, None, None] - self.eta
        s = np.exp(log_survival(self.resuming, y, self.theta[:, None], 0.0))
        s[months <= 0] = 1.0
        mean = stay.sum() + np.tensordot(s, resume, 2)
        squares = square.sum() + np.tensordot(s, 2 * cross, 2) + np.tensordot(s * s, rest, 2)
        return mean, squares

    def never(self, level: float) -> float:
        """Probability that S never falls to `level`."""
        below = self.share_below(FOREVER, np.array([level]))[0]
        return max(float(self.weight.sum() - below), 0.0)

    def share_below(self, log_t: np.ndarray, level: np.ndarray) -> np.ndarray:
        """P(S(t) <= level) for pairs of log t and level, (k,) or one of either."""
        theta, logit_cure, _ = self._finer
        log_t, level = log_t[:, None, None], level[:, None, None]
        if logit_cure is None:
            below = self._eta_below(log_t - log_time(self.family, level, theta, 0.0))
            return below.sum(axis=(1, 2))
        # S never falls under its cured share: of each cell of that share the part up to the level
        cell = logit_cure[1] - logit_cure[0]
        low = logit_cure - 0.5 * cell
        part = np.clip(special.logit(level) - low, 0.0, cell)
        cure = special.expit(low + 0.5 * part)
        rest = np.where(part > 0, (level - cure) / (1.0 - cure), 0.0)
        below = self._eta_below(log_t - log_time(self.resuming, rest, theta, 0.0))
        return (below * (part / cell)).sum(axis=(1, 2))

    def _eta_below(self, eta: np.ndarray) -> np.ndarray:
        """(k, a, c) P(that shape and share, and its eta <= eta): cubic between the nodes."""
        table = self._finer[2]
        cells = self.eta.size - 1
        place = np.clip((eta - self.eta[0]) / (self.eta[1] - self.eta[0]), 0.0, cells)
        cell = np.minimum(place.astype(np.int64), cells - 1)
        place -= cell
        cell += cells * np.arange(table.shape[1] // cells).reshape(eta.shape[1:])
        found = table[3].take(cell)
        for coefficients in table[2::-1]:
            found *= place
            found += coefficients.take(cell)
        return found

    @cached_property
    def _finer(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Shapes (a, 1) and log odds of never resuming (c,), one of them with more nodes, and
        P(eta below) as (4, cells) coefficients of cubics in the place within each cell of eta."""
        theta, logit_cure, weight = self.theta, self.logit_cure, self.weight
        endless = ENDLESS.get(self.family)
        if endless == "theta" and theta.size > 1:
            theta, weight = _denser(theta, weight, 0, FINER[endless])
        elif logit_cure is not None:
            logit_cure, weight = _denser(logit_cure, weight, 1, FINER["logit_cure"])
        below = weight @ self._integral
        first, last, rise = weight[..., :-1], weight[..., 1:], np.diff(below)
        table = (below[..., :-1], first, 3 * rise - 2 * first - last, first + last - 2 * rise)
        return theta[:, None], logit_cure, np.array([values.ravel() for values in table])


@lru_cache(maxsize=64)
def _integral(n: int) -> np.ndarray:
    """(n, n) the matrix by which values at even steps become their integrals to each step."""
    return cumulative(np.eye(n))


def _live(mass: np.ndarray) -> slice:
    """The nodes that have some of the mass, and one more on either side."""
    at = np.flatnonzero(mass > NOTHING * mass.sum())
    return slice(max(at[0] - 1, 0), min(at[-1] + 2, mass.size))


def _denser(
    points: np.ndarray, weight: np.ndarray, axis: int, times: int
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities on a grid with more nodes along one axis, as far as there are any."""
    fine, values = denser(points, np.moveaxis(weight, axis, -1), times)
    live = _live(values.sum(axis=(0, 1)))
    values = values[..., live] * (weight.sum() / values.sum())
    return fine[live], np.moveaxis(values, -1, axis)


class Part:
    """One family's curves: of the typical study (eta = mu), and of a new one.

    Parameters
    ----------
    mean_study : the typical study's.
    new_study : gives those of a new one, when they are first asked for; None where not known.
    """

    def __init__(self, mean_study: Cells, new_study: Callable[[], Cells] | None = None):
        self.mean_study, self._new_study = mean_study, new_study

    @cached_property
    def new_study(self) -> Cells:
        if self._new_study is None:
            raise ValueError("nothing is known of a new study")
        return self._new_study()


class Curves:
    """A distribution over survival curves: of one family, or of several by their weights.

    `which` is "mean_study" (the typical study, eta = mu) or "new_study" everywhere.

    Parameters
    ----------
    parts : the families' curves.
    weights : of the families; one has all of it by default.
    """

    def __init__(self, parts: Sequence[Part], weights: Sequence[float] | np.ndarray = (1.0,)):
        self.parts = list(parts)
        self._weighed = [(w, part) for w, part in zip(weights, parts, strict=True) if w > 0]

    def _average(self, which: str, of: Callable[[Cells], Any]) -> Any:
        return sum(weight * of(getattr(part, which)) for weight, part in self._weighed)

    def survival(
        self, months: Sequence[float] | np.ndarray, which: str = "mean_study"
    ) -> pd.DataFrame:
        """S(t): mean, sd, median and central 95 % interval at each month.

        Returns
        -------
        DataFrame with months, mean, sd, median, ci_low, ci_high.
        """
        t = np.atleast_1d(np.asarray(months, dtype=float))
        mean, sd = self._moments(t, which)
        low, median, high = self._quantiles(t, LEVELS, which, mean, sd)
        return pd.DataFrame(
            {
                "months": t,
                "mean": mean,
                "sd": sd,
                "median": median,
                "ci_low": low,
                "ci_high": high,
            }
        )

    def median_survival(self, months: Sequence[float], which: str = "mean_study") -> np.ndarray:
        """The median of S at each month: that of `survival`, alone and in less time."""
        t = np.asarray(months, dtype=float)
        return self._quantiles(t, (0.5,), which, *self._moments(t, which))[0]

    def median_time_to(self, level: float = 0.5, which: str = "mean_study") -> float:
        """Median of the months until S has fallen to `level`; beyond a century it is inf."""
        return self._time_to(level, (0.5,), which)[0]

    def _moments(self, months: np.ndarray, which: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and SD of S at each month."""
        mean, square = self._average(which, lambda cells: np.array(cells.moments(months)))
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

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
        total = self._average(which, lambda cells: cells.share_below(log_t, levels))
        return np.where(levels >= 1.0, 1.0, total)

    def _quantiles(
        self, months: np.ndarray, levels: Sequence[float], which: str, mean: np.ndarray,
        sd: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """(levels, months) quantiles of S(t), whose mean and SD are known, in log odds."""
        z = special.ndtri(np.repeat(levels, months.size))
        month, mean, sd = (np.tile(x, len(levels)) for x in (months, mean, sd))
        mean = np.clip(mean, *special.expit(LOGITS))
        spread = np.clip(sd / (mean * (1 - mean)), 0.01, 3.0)

        def cdf(logit: np.ndarray, at: np.ndarray) -> np.ndarray:
            return self._cdf(month[at], special.expit(logit), which)

        found = _quantiles(cdf, z, special.logit(mean), spread, LOGITS)
        value = np.where(found <= LOGITS[0], 0.0, special.expit(found))
        value = np.where((found >= LOGITS[1]) | (month <= 0), 1.0, value)
        return value.reshape(len(levels), months.size)

    def time_to(self, level: float = 0.5, which: str = "mean_study") -> dict[str, float]:
        """Months until S has fallen to `level`: median, ci_low, ci_high and p_never.

        `p_never` is the probability that it never falls so far; a quantile beyond a century is inf.
        """
        found = dict(zip(("ci_low", "median", "ci_high"), self._time_to(level, LEVELS, which),
                         strict=True))  # fmt: skip
        return found | {"p_never": self._average(which, lambda cells: cells.never(level))}

    def _time_to(self, level: float, probabilities: Sequence[float], which: str) -> list[float]:
        """Quantiles of the months until S has fallen to `level`."""
        start = self._average(which, lambda cells: cells.weight.sum(axis=(0, 1)) @ cells.eta)

        def cdf(log_t: np.ndarray, at: np.ndarray) -> np.ndarray:
            return self._cdf(np.exp(log_t), np.array([level]), which)

        z = special.ndtri(np.array(probabilities))
        found = _quantiles(cdf, z, np.full(z.size, start), np.ones(z.size), LOG_MONTHS)
        return np.where(found >= LOG_MONTHS[1], np.inf, np.exp(found)).tolist()

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


def _quantiles(
    cdf: Callable[[np.ndarray, np.ndarray], np.ndarray], z: np.ndarray, centre: np.ndarray,
    spread: np.ndarray, ends: tuple[float, float],
) -> np.ndarray:  # fmt: skip
    """Quantiles of many distributions at once, by secant steps on the probit scale.

    On that scale a normal distribution is a straight line, and others are nearly one, so that few
    steps are needed. A step that leaves the shrinking bracket of the quantile is halved instead.

    Parameters
    ----------
    cdf : of points (k,) and the positions (k,) of the distributions they are points of.
    z : (m,) standard normal deviates of the probabilities wanted.
    centre, spread : (m,) where to start, as if each were normal.
    ends : a quantile that lies beyond is one of them.
    """

    def miss(x: np.ndarray, at: np.ndarray) -> np.ndarray:
        return special.ndtri(np.clip(cdf(x, at), TINY, 1 - TINY)) - z[at]

    x = np.clip(centre + spread * z, *ends)
    found, live, slope, gap = x.copy(), np.arange(z.size), spread, miss(x, np.arange(z.size))
    # The bracket begins just outside, so that the ends themselves may be looked at.
    low, high = (np.full(z.size, end) for end in (ends[0] - SETTLED / 2, ends[1] + SETTLED / 2))
    for step in range(STEPS):
        low, high = np.where(gap < 0, x, low), np.where(gap < 0, high, x)
        going = (np.abs(gap) > CLOSE) & (high - low > SETTLED)
        if not going.any():
            break
        live, x, gap, slope, low, high = (
            values[going] for values in (live, x, gap, slope, low, high)
        )
        new = np.clip(x - slope * gap, *ends)
        inside = (new > low) & (new < high) & (step < SECANTS)
        new = np.where(inside, new, np.clip(0.5 * (low + high), *ends))
        new_gap = miss(new, live)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (new - x) / (new_gap - gap)
        found[live] = x = new
        gap = new_gap
    return found
