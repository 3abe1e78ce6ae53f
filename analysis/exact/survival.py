"""How long a state lasts, from published facts: each survival family integrated on a grid.

    from analysis.exact import survival
    post = survival.fit(facts, "weibull", priors)      # facts: one row a statement, see `facts`
    post.survival([12, 60]), post.median.summary(), survival.fit_all(facts, priors).average

Study i's durations follow one of six `families` with log median eta_i ~ N(mu, tau^2) and a shape
(and a share that never ends) common to all. Each study's likelihood is tabulated on an even grid of
eta for every shape; N(mu, tau^2) becomes a discrete normal kernel on the same grid (exact at tau =
0, and up to rounding from tau of about a step on), so that integrating the studies' own medians out
is one matrix product for each tau. The product over studies, times the priors, is the posterior on
the grid, and leaving a study out is leaving its factor out: the range of the grid holds those
posteriors too. S(t), the median and any function that rises with eta have their distribution in
closed form given the shape, so quantiles need no draws. The grid is refined by fixed levels until
nothing printed moves.

References: Collett 2015, Modelling Survival Data, ch. 5-6 (families); Yao, Vehtari, Simpson &
Gelman 2018, Bayesian Anal 13:917 (stacking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from analysis.exact import facts as published
from analysis.exact.facts import Reading
from analysis.exact.families import FAMILIES, log_survival, log_time
from analysis.exact.grid import DENSER, GridDistribution, Scale, denser, multiple
from analysis.exact.priors import Fixed, HalfNormal, Normal, TauPrior
from analysis.exact.quadrature import Map

LEVELS = ((0.08, 19, 17, 13), (0.05, 27, 25, 15), (0.035, 41, 37, 21), (0.025, 61, 55, 31))
"""Step of eta (log months), nodes of the shape, of the log odds of the cured share, of tau."""
COARSE = (0.15, 13, 9, 9)
DEPTH = 18.0
"""Ranges of the grid reach to where every posterior has fallen by exp(-18) from its peak."""
TOLERANCE = 0.05
"""SDs by which nothing may have moved from the level before. Errors fall exponentially with the
nodes: where the first level is right to 0.05 SD, the second is to about 0.001."""
BEYOND = 1e-6
"""Prior probability that a study lies further from the mean study than the grid of eta reaches."""
CURE_FINER = 4
FURTHEST = 8.0
"""Log months by which the grid reaches beyond that of mu at most: a factor of 3000."""
CHECKED = (6.0, 12.0, 24.0, 60.0)
"""Months at which S(t) must have settled."""
CENTURY = 1200.0
"""Months beyond which a duration is said to be "over a century"."""


@dataclass(frozen=True)
class Priors:
    """Priors of every family.

    mu : log months, of the mean study's median.   tau : between studies, log months.
    log_shape : of theta; logit_cure : log odds of the share that never resumes.
    """

    mu: Normal
    tau: TauPrior
    log_shape: Normal
    logit_cure: Normal


DEFAULT_PRIORS = Priors(Normal(3.2, 1.0), HalfNormal(0.5), Normal(0.0, 0.4), Normal(-1.5, 1.0))
"""Medians from 3 months to 15 years; studies differ by a factor of about two; hazards fall, stay or
rise; 3 to 61 % never resume."""


@dataclass(frozen=True)
class Axes:
    """The grid: eta (n,), which of its nodes are nodes of mu, tau with its weights, the shapes.

    theta, logit_cure : (q,) every combination; log_q : (q,) log prior times cell of each.
    """

    eta: np.ndarray
    of_mu: slice
    v: np.ndarray
    tau: np.ndarray
    log_tau: np.ndarray
    theta_axis: np.ndarray
    cure_axis: np.ndarray
    theta: np.ndarray
    logit_cure: np.ndarray
    log_q: np.ndarray

    @property
    def mu(self) -> np.ndarray:
        return self.eta[self.of_mu]

    @property
    def step(self) -> float:
        return float(self.eta[1] - self.eta[0])

    @property
    def cure(self) -> np.ndarray:
        return special.expit(self.logit_cure)

    def kernel(self, t: int) -> np.ndarray:
        """(m, n) the discrete normal kernel around each mu for the tau in position t."""
        z = (self.eta - self.mu[:, None]) / max(self.tau[t], 1e-9 * self.step)
        weight = np.exp(-0.5 * np.square(np.minimum(np.abs(z), 40.0)))
        return weight / weight.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Part:
    """One family's share of a distribution over curves.

    eta : (n,) even grid; mean_study, new_study : (q, n) probabilities of (shape, eta), summing to
    the weight of the family; theta, cure : (q,).
    """

    family: str
    eta: np.ndarray
    mean_study: np.ndarray
    new_study: np.ndarray
    theta: np.ndarray
    cure: np.ndarray

    def weighted(self, weight: float) -> Part:
        return Part(
            self.family, self.eta, weight * self.mean_study, weight * self.new_study,
            self.theta, self.cure,
        )  # fmt: skip

    @cached_property
    def _cdfs(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        found = {}
        for name in ("mean_study", "new_study"):
            points, values = denser(self.eta, getattr(self, name))
            total = getattr(self, name).sum(axis=1, keepdims=True)
            cdf = np.cumsum(values, axis=1) - 0.5 * (values + values[:, :1])
            scale = total / np.maximum(cdf[:, -1:], 1e-300)
            found[name] = (points, cdf * scale)
        return found

    def below(self, which: str, eta: np.ndarray) -> np.ndarray:
        """P(eta of that study <= eta_q, in this family), summed over shapes; eta is (..., q)."""
        points, cdf = self._cdfs[which]
        place = (eta - points[0]) * (DENSER / (self.eta[1] - self.eta[0]))
        place = np.clip(np.nan_to_num(place, nan=0.0, posinf=1e9, neginf=-1.0), 0, points.size - 1)
        cell = np.minimum(place.astype(int), points.size - 2)
        rest = place - cell
        q = np.arange(self.theta.size)
        return ((1.0 - rest) * cdf[q, cell] + rest * cdf[q, cell + 1]).sum(axis=-1)

    def curve(self, months: np.ndarray) -> np.ndarray:
        """(months, q, n) S at each month, shape and eta."""
        y = np.log(np.maximum(months, 1e-6))[:, None, None] - self.eta
        value = np.exp(log_survival(self.family, y, self.theta[:, None], self.cure[:, None]))
        return np.where(months[:, None, None] <= 0, 1.0, value)


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
        mean, square = np.zeros(t.size), np.zeros(t.size)
        for part in self.parts:
            weight = getattr(part, which)
            for i, month in enumerate(t):
                value = part.curve(np.array([month]))[0]
                mean[i] += (weight * value).sum()
                square[i] += (weight * value**2).sum()
        low, median, high = (self._quantile_of_s(t, p, which) for p in (0.025, 0.5, 0.975))
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

    def mean_curve(self, months: np.ndarray, which: str = "mean_study") -> np.ndarray:
        """The posterior mean of S at each month."""
        t = np.asarray(months, dtype=float)
        found = np.zeros(t.size)
        for part in self.parts:
            weight = getattr(part, which)
            for i, month in enumerate(t):
                found[i] += (weight * part.curve(np.array([month]))[0]).sum()
        return found

    def survival_cdf(self, month: float, level: Any, which: str = "mean_study") -> Any:
        """P(S(month) <= level)."""
        levels = np.atleast_1d(np.asarray(level, dtype=float))
        found = self._cdf_of_s(np.full(levels.size, float(month)), levels, which)
        return float(found[0]) if np.ndim(level) == 0 else found

    def _cdf_of_s(self, months: np.ndarray, levels: np.ndarray, which: str) -> np.ndarray:
        """S rises with eta: S(t) <= s where eta <= log t - y(s), given the shape."""
        log_t = np.log(np.maximum(months, 1e-6))[:, None]
        total = np.zeros(months.size)
        for part in self.parts:
            y = log_time(part.family, levels[:, None], part.theta, part.cure)
            total += part.below(which, log_t - y)
        return np.where(levels >= 1.0, 1.0, total)

    def _quantile_of_s(self, months: np.ndarray, p: float, which: str) -> np.ndarray:
        low, high = np.zeros(months.size), np.ones(months.size)
        for _ in range(40):
            middle = 0.5 * (low + high)
            under = self._cdf_of_s(months, middle, which) < p
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return np.where(months <= 0, 1.0, 0.5 * (low + high))

    def time_to(self, level: float = 0.5, which: str = "mean_study") -> dict[str, float]:
        """Months until S has fallen to `level`: median, ci_low, ci_high and p_never.

        `p_never` is the probability that it never falls so far; a quantile beyond a century is inf.
        """
        never = 0.0
        for part in self.parts:
            y = log_time(part.family, level, part.theta, part.cure)
            never += getattr(part, which)[np.isposinf(y)].sum()

        def cdf(log_t: float) -> float:
            total = 0.0
            for part in self.parts:
                y = log_time(part.family, level, part.theta, part.cure)
                total += float(part.below(which, np.where(np.isposinf(y), -np.inf, log_t - y)))
            return total

        found = {}
        for name, p in (("median", 0.5), ("ci_low", 0.025), ("ci_high", 0.975)):
            low, high = -8.0, float(np.log(CENTURY))
            if cdf(high) < p:
                found[name] = float("inf")
                continue
            for _ in range(50):
                middle = 0.5 * (low + high)
                low, high = (middle, high) if cdf(middle) < p else (low, middle)
            found[name] = float(np.exp(0.5 * (low + high)))
        return found | {"p_never": float(never)}

    def restricted_mean(
        self, limit: float, which: str = "mean_study", step: float = 1.0
    ) -> dict[str, float]:
        """Months free within the first `limit`: mean, sd, median, ci_low, ci_high."""
        months = np.linspace(0.0, limit, round(limit / step) + 1)
        mean = square = 0.0
        tables = []
        for part in self.parts:
            value = np.zeros((part.theta.size, part.eta.size))
            before = part.curve(months[:1])[0]
            for at in months[1:]:
                after = part.curve(np.array([at]))[0]
                value += 0.5 * step * (before + after)
                before = after
            weight = getattr(part, which)
            mean += (weight * value).sum()
            square += (weight * value**2).sum()
            tables.append(np.maximum.accumulate(value, axis=1))
        quantiles = [self._quantile_of(tables, p, limit, which) for p in (0.5, 0.025, 0.975)]
        sd = float(np.sqrt(max(square - mean**2, 0.0)))
        named = zip(("median", "ci_low", "ci_high"), quantiles, strict=True)
        return {"mean": float(mean), "sd": sd, **dict(named)}

    def _quantile_of(self, tables, p: float, most: float, which: str) -> float:
        """Quantile of a function of eta that rises, tabulated (q, n) for each part."""
        low, high = 0.0, most
        for _ in range(40):
            middle = 0.5 * (low + high)
            total = 0.0
            for part, table in zip(self.parts, tables, strict=True):
                eta = [np.interp(middle, row, part.eta) for row in table]
                total += float(part.below(which, np.array(eta)))
            low, high = (middle, high) if total < p else (low, middle)
        return 0.5 * (low + high)

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


class SurvivalPosterior(Curves):
    """The exact posterior of one family; also a `Curves` of that family.

    Attributes
    ----------
    family, studies : the family; the studies' ids.
    facts, ever : each study's facts; mean and SD of its log odds of ever becoming free.
    log_marginal_likelihood : log p(facts), up to a constant common to all families.
    elpd : (k,) log p(facts of study i | the others).
    mu, tau, theta, logit_cure : distributions of the parameters; None where a family has no such.
    level : levels of the grid that were needed, from 1.
    """

    def __init__(self, rows: pd.DataFrame, family: str, priors: Priors, reading, ever):
        self.family, self.priors = family, priors
        groups = list(published.by_study(rows))
        self.studies = tuple(str(study) for study, _ in groups)
        self.facts = [own for _, own in groups]
        self.reading = reading
        self.ever = [_ever_of(ever, study) for study in self.studies]
        ranges = self._ranges()
        before = None
        for level, sizes in enumerate(LEVELS):
            self._evaluate(_axes(family, priors, ranges, *sizes))
            self.level = level + 1
            figures, sds = self._figures()
            if before is not None and np.all(np.abs(figures - before) <= TOLERANCE * sds):
                return
            before = figures
        raise ValueError(
            f"the {family} posterior did not settle at the finest grid: the facts contradict one "
            "another more than the priors allow"
        )

    def _tables(self, axes: Axes) -> tuple[np.ndarray, np.ndarray]:
        """(k, n, q) each study's likelihood over its largest value, and the logs of those."""
        values = np.array(
            [
                published.study_log_likelihood(
                    own, self.family, axes.eta[:, None], axes.theta, axes.cure, self.reading, ever
                )
                for own, ever in zip(self.facts, self.ever, strict=True)
            ]
        )
        top = values.max(axis=(1, 2))
        return np.exp(values - top[:, None, None]), top

    def _log_a(self, axes: Axes) -> np.ndarray:
        """(k, m, t, q) log likelihood of each study given mu, tau and the shape."""
        tables, top = self._tables(axes)
        k, n, q = tables.shape
        flat = np.moveaxis(tables, 0, 1).reshape(n, k * q)
        found = np.empty((k, axes.mu.size, axes.tau.size, q))
        with np.errstate(divide="ignore"):
            for t in range(axes.tau.size):
                product = np.log(axes.kernel(t) @ flat)
                found[:, :, t] = np.moveaxis(product.reshape(-1, k, q), 1, 0)
        return np.maximum(found, published.IMPOSSIBLE) + top[:, None, None, None]

    def _log_prior(self, axes: Axes) -> np.ndarray:
        """(m, t, q) log prior density times the cell of the grid."""
        mean, sd = self.priors.mu.one
        z = (axes.mu - mean) / sd
        log_mu = -0.5 * z * z - np.log(sd / axes.step) - 0.5 * np.log(2 * np.pi)
        return log_mu[:, None, None] + axes.log_tau[:, None] + axes.log_q

    def _ranges(self) -> dict[str, tuple[float, float]]:
        """Where the posterior, with and without each study, lives on every axis."""
        ranges = _prior_ranges(self.priors)
        axes = _axes(self.family, self.priors, ranges, *COARSE)
        log_a = self._log_a(axes)
        prior = self._log_prior(axes)
        every = log_a.sum(axis=0) + prior
        kept: dict[str, list[tuple[float, float]]]
        kept = {"mu": [], "v": [], "theta": [], "logit_cure": []}
        for one in (every, *(every - own for own in log_a)):
            joint = one.reshape(
                axes.mu.size, axes.tau.size, axes.theta_axis.size, axes.cure_axis.size
            )
            for axis, (name, points) in enumerate(
                (("mu", axes.mu), ("v", axes.v), ("theta", axes.theta_axis),
                 ("logit_cure", axes.cure_axis))
            ):  # fmt: skip
                profile = joint.max(axis=tuple(i for i in range(4) if i != axis))
                at = np.flatnonzero(profile > profile.max() - DEPTH)
                first, last = max(at[0] - 1, 0), min(at[-1] + 1, points.size - 1)
                kept[name].append((points[first], points[last]))
        return {
            name: (min(low for low, _ in ends), max(high for _, high in ends))
            for name, ends in kept.items()
        }

    def _evaluate(self, axes: Axes) -> None:
        self.axes = axes
        log_a = self._log_a(axes)
        joint = log_a.sum(axis=0) + self._log_prior(axes)
        total = special.logsumexp(joint)
        self.log_marginal_likelihood = float(total)
        rest = [special.logsumexp(joint - own) for own in log_a]
        self.elpd = total - np.array(rest)
        weight = np.exp(joint - total)
        self._weight, self._last_a = weight, log_a
        mean_study = np.zeros((axes.theta.size, axes.eta.size))
        mean_study[:, axes.of_mu] = weight.sum(axis=1).T
        new_study = np.zeros_like(mean_study)
        for t in range(axes.tau.size):
            new_study += weight[:, t].T @ axes.kernel(t)
        super().__init__([self._part(mean_study, new_study)])
        self.mu = GridDistribution(axes.mu[0], axes.step, weight.sum(axis=(1, 2)))

    def _part(self, mean_study: np.ndarray, new_study: np.ndarray) -> Part:
        """The curves, on a denser axis of the cured share.

        P(S <= s) bends sharply where s nears the cured share, so sums over it need more nodes than
        the posterior does.
        """
        axes, more = self.axes, {}
        shape = (axes.theta_axis.size, axes.cure_axis.size, axes.eta.size)
        cure = axes.cure_axis
        for name, values in (("mean_study", mean_study), ("new_study", new_study)):
            dense = values.reshape(shape)
            if axes.cure_axis.size > 1:
                points, dense = denser(axes.cure_axis, np.moveaxis(dense, 1, -1), CURE_FINER)
                cure, dense = points, np.moveaxis(dense, -1, 1)
            more[name] = dense.reshape(-1, axes.eta.size) / dense.sum()
        at = np.meshgrid(axes.theta_axis, special.expit(cure), indexing="ij")
        return Part(self.family, axes.eta, theta=at[0].ravel(), cure=at[1].ravel(), **more)

    def _figures(self) -> tuple[np.ndarray, np.ndarray]:
        found, sds = [self.log_marginal_likelihood], [1.0]
        for which in ("mean_study", "new_study"):
            table = self.survival(CHECKED, which)
            found += list(table[["mean", "sd", "ci_low", "ci_high"]].to_numpy().ravel())
            sds += list(np.repeat(table["sd"].to_numpy(), 4))
        return np.array([*found, *self.elpd]), np.array([*sds, *np.ones(len(self.elpd))])

    @cached_property
    def tau(self) -> GridDistribution | None:
        """The SD between studies, log months; None where the prior fixes it."""
        v = self.axes.v
        if v.size == 1:
            return None
        change = _tau_change(self.priors.tau)
        scale = Scale(
            lambda x: change.tau(np.atleast_1d(x)[None])[0][0],
            lambda y: change.inverse(np.maximum(np.atleast_1d(y), 1e-300)[None])[0],
            lambda x: np.exp(change.tau(np.atleast_1d(x)[None])[1][0]),
        )
        return GridDistribution(v[0], v[1] - v[0], self._weight.sum(axis=(0, 2)), scale)

    @cached_property
    def theta(self) -> GridDistribution | None:
        axis = self.axes.theta_axis
        if axis.size == 1:
            return None
        weight = self._weight.sum(axis=(0, 1)).reshape(axis.size, -1).sum(axis=1)
        return GridDistribution(axis[0], axis[1] - axis[0], weight)

    @cached_property
    def logit_cure(self) -> GridDistribution | None:
        axis = self.axes.cure_axis
        if axis.size == 1:
            return None
        weight = self._weight.sum(axis=(0, 1)).reshape(-1, axis.size).sum(axis=0)
        return GridDistribution(axis[0], axis[1] - axis[0], weight)

    def own_medians(self) -> tuple[np.ndarray, np.ndarray]:
        """Location and precision of eta each study's facts give on their own, each (k,).

        The shape is averaged over its prior; facts that say nothing have a precision near zero.
        """
        axes = self.axes
        prior = np.exp(axes.log_q - axes.log_q.max())
        flat = _spread_of(axes.eta, np.ones_like(axes.eta))[1]
        found = [_spread_of(axes.eta, table @ prior) for table in self._tables(axes)[0]]
        variance = np.array([spread for _, spread in found])
        precision = np.maximum(1.0 / variance - 1.0 / flat, 0.0)
        return np.array([mean for mean, _ in found]), precision

    def effect(self, study: str) -> GridDistribution:
        """The study's own median duration, months, given all data (of those who resume: cure)."""
        i = self.studies.index(study)
        axes = self.axes
        table = self._tables(axes)[0][i]
        fallen = self._last_a[i] - self._last_a[i].max()
        pull = np.where(self._weight > 0, self._weight * np.exp(-np.maximum(fallen, -600.0)), 0.0)
        density = np.zeros(axes.eta.size)
        for t in range(axes.tau.size):
            density += ((axes.kernel(t).T @ pull[:, t]) * table).sum(axis=1)
        return GridDistribution(axes.eta[0], axes.step, density, multiple(1.0))


def _spread_of(eta: np.ndarray, density: np.ndarray) -> tuple[float, float]:
    """Mean and variance of a density on an even grid."""
    weight = density / density.sum()
    mean = float(weight @ eta)
    return mean, float(weight @ (eta - mean) ** 2)


def fit(
    facts: pd.DataFrame,
    family: str,
    priors: Priors | None = None,
    *,
    ever: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    reading: Reading | None = None,
) -> SurvivalPosterior:
    """The exact posterior of one survival family.

    Parameters
    ----------
    facts : one row a statement on durations, times in months; see `facts.complete`. Studies of one
        approach only: their medians are taken as exchangeable.
    family : one of `families.FAMILIES`.
    priors : of location, spread, shape and cured share; `DEFAULT_PRIORS` by default.
    ever : mean and SD of the log odds of ever becoming free, for studies in which that number is
        not known: one pair, or by study.
    reading : onset after treatment, and how a printed mean is read.

    Returns
    -------
    SurvivalPosterior

    Raises
    ------
    ValueError : there is no fact (no duration is known: there is nothing to estimate), or a row is
        none; an unknown family.
    """
    if family not in FAMILIES:
        raise ValueError(f"no family {family!r}; known are {', '.join(FAMILIES)}")
    rows = published.complete(facts)
    if rows.empty:
        raise ValueError("no fact on durations: nothing can be estimated")
    return SurvivalPosterior(rows, family, priors or DEFAULT_PRIORS, reading or Reading(), ever)


@dataclass(frozen=True)
class Ensemble:
    """The families together.

    Attributes
    ----------
    posteriors : by family.
    weights : stacking weights by family; optimum : the weights that maximise the stacking score.
    average : the curves of all families by their weights.
    """

    posteriors: dict[str, SurvivalPosterior]
    weights: dict[str, float]
    optimum: dict[str, float]
    average: Curves = field(repr=False)

    def families(self) -> pd.DataFrame:
        """One row a family: weight, optimum, elpd, its difference from the best, marginal."""
        elpd = {name: post.elpd for name, post in self.posteriors.items()}
        best = max(elpd, key=lambda name: elpd[name].sum())
        rows = []
        for name, post in self.posteriors.items():
            gap = elpd[best] - elpd[name]
            rows.append(
                {
                    "family": name,
                    "weight": self.weights[name],
                    "weight_optimum": self.optimum[name],
                    "elpd": float(elpd[name].sum()),
                    "elpd_below_best": float(gap.sum()),
                    "elpd_below_best_se": float(np.sqrt(gap.size * gap.var())),
                    "log_marginal_likelihood": post.log_marginal_likelihood,
                    "level": post.level,
                }
            )
        return pd.DataFrame(rows)

    def leave_one_out(self) -> pd.DataFrame:
        """Columns study_id, family, elpd: log p(facts of the study | the others)."""
        return pd.DataFrame(
            [
                {"study_id": study, "family": name, "elpd": float(value)}
                for name, post in self.posteriors.items()
                for study, value in zip(post.studies, post.elpd, strict=True)
            ]
        )


def fit_all(
    facts: pd.DataFrame,
    priors: Priors | None = None,
    *,
    families: Sequence[str] = FAMILIES,
    ever: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    reading: Reading | None = None,
) -> Ensemble:
    """Every family, weighed by how it predicts each study from the others.

    Parameters
    ----------
    facts, priors, ever, reading : as in `fit`, which also says what is refused.
    families : the families to be weighed.
    """
    posteriors = {name: fit(facts, name, priors, ever=ever, reading=reading) for name in families}
    elpd = np.column_stack([post.elpd for post in posteriors.values()])
    weights = dict(zip(posteriors, stacking(elpd).tolist(), strict=True))
    optimum = dict(zip(posteriors, stacking_optimum(elpd).tolist(), strict=True))
    parts = [post.parts[0].weighted(weights[name]) for name, post in posteriors.items()]
    return Ensemble(posteriors, weights, optimum, Curves(parts))


# --- weights of the families ----------------------------------------------------------------------


def stacking(elpd: np.ndarray) -> np.ndarray:
    """Weights of the families by Bayesian stacking, in closed form.

    The posterior mean of the weights w under a flat prior on the simplex and the score
    sum_i log sum_k w_k exp(elpd_ik): the product over studies is a polynomial in w whose monomials
    have known means under the flat prior. With many studies it is the stacking optimum; with one or
    two it stays near equal weights, where the optimum would jump to a corner.

    Parameters
    ----------
    elpd : (studies, families).

    References
    ----------
    Yao, Vehtari, Simpson & Gelman 2018, Bayesian Anal 13:917; the prior as in Yao, Pirs, Vehtari &
    Gelman 2022, Bayesian Anal 17:1043.
    """
    families = elpd.shape[1]
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True)) if len(elpd) else elpd
    powers = np.zeros((1, families), dtype=int)
    coefficient = np.ones(1)
    for row in density:
        powers = (powers[:, None, :] + np.eye(families, dtype=int)).reshape(-1, families)
        coefficient = (coefficient[:, None] * row).ravel()
        powers, place = np.unique(powers, axis=0, return_inverse=True)
        coefficient = np.bincount(place.ravel(), weights=coefficient, minlength=len(powers))
    # The mean of prod w^a over a flat simplex is proportional to prod a!; of w_k prod w^a, to
    # (a_k + 1) prod a! / (n + families).
    log_term = np.log(coefficient) + special.gammaln(powers + 1.0).sum(axis=1)
    term = np.exp(log_term - log_term.max())
    return term @ (powers + 1.0) / (term.sum() * (len(elpd) + families))


def stacking_optimum(elpd: np.ndarray) -> np.ndarray:
    """The weights that maximise the score of `stacking`, by expectation-maximisation."""
    families = elpd.shape[1]
    w = np.full(families, 1 / families)
    if not len(elpd):
        return w
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
    for _ in range(2000):
        part = w * density
        w = (part / part.sum(axis=1, keepdims=True)).mean(axis=0)
    return w


# --- the grid -------------------------------------------------------------------------------------


def _tau_change(prior: TauPrior) -> Map:
    """The change of variable of tau; see `quadrature`."""
    low, _ = (float(np.ravel(end)[0]) for end in prior.span())
    upper = float(np.ravel(prior.end)[0])
    scale = min(0.3 * low, 0.5 * upper)
    bounded_or_heavy = np.isfinite(upper) or np.isfinite(float(np.ravel(prior.tail)[0]))
    top = min(upper, 10.0 * low) if bounded_or_heavy else np.inf
    return Map(np.array([scale]), np.array([upper]), np.array([scale / top]))


def _tau_nodes(prior: TauPrior, v_range, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """v, tau and log prior probability of the nodes."""
    if isinstance(prior, Fixed):
        return np.zeros(1), np.ravel(np.asarray(prior.value, dtype=float))[:1], np.zeros(1)
    v = np.linspace(v_range[0], v_range[1], n)
    tau, slope = _tau_change(prior).tau(v[None])
    return v, tau[0], prior.logpdf(tau)[0] + slope[0] + np.log(v[1] - v[0])


def _prior_ranges(priors: Priors) -> dict[str, tuple[float, float]]:
    def around(prior: Normal) -> tuple[float, float]:
        mean, sd = prior.one
        return mean - 5.5 * sd, mean + 5.5 * sd

    v, _, log_tau = _tau_nodes(priors.tau, (-4.5, 8.0), 251)
    at = np.flatnonzero(log_tau > log_tau.max() - DEPTH)
    return {
        "mu": around(priors.mu),
        "v": (v[at[0]], v[at[-1]]),
        "theta": around(priors.log_shape),
        "logit_cure": around(priors.logit_cure),
    }


def _axes(family, priors: Priors, ranges, step, n_theta, n_cure, n_tau) -> Axes:
    v, tau, log_tau = _tau_nodes(priors.tau, ranges["v"], n_tau)
    m = int(np.ceil((ranges["mu"][1] - ranges["mu"][0]) / step)) + 1
    share = np.exp(log_tau) / np.exp(log_tau).sum()
    reach = step
    while (
        share @ special.erfc(reach / np.maximum(tau, 1e-300) / np.sqrt(2.0)) > BEYOND
        and reach < FURTHEST
    ):
        reach += 0.25
    wide = int(np.ceil(reach / step))
    eta = ranges["mu"][0] + step * np.arange(-wide, m + wide)

    def nodes(name: str, prior: Normal, n: int, used: bool) -> tuple[np.ndarray, np.ndarray]:
        mean, sd = prior.one
        if not used:
            return np.array([mean]), np.zeros(1)
        low, high = ranges[name]
        x = np.linspace(low, high, n)
        z = (x - mean) / sd
        cell = np.log((x[1] - x[0]) / sd) - 0.5 * np.log(2 * np.pi)
        return x, -0.5 * z * z + cell

    theta, log_theta = nodes("theta", priors.log_shape, n_theta, family != "exponential")
    cure, log_cure = nodes("logit_cure", priors.logit_cure, n_cure, family == "cure")
    grid_theta, grid_cure = np.meshgrid(theta, cure, indexing="ij")
    return Axes(
        eta, slice(wide, wide + m), v, tau, log_tau, theta, cure, grid_theta.ravel(),
        grid_cure.ravel(), (log_theta[:, None] + log_cure).ravel(),
    )  # fmt: skip


def _ever_of(ever, study: str) -> tuple[float, float]:
    """What is known of ever becoming free; without anything said, N(0, 2) on the log odds."""
    if isinstance(ever, Mapping):
        return ever.get(study, (0.0, 2.0))
    return (0.0, 2.0) if ever is None else ever
