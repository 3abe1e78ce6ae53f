"""The exact posterior of one data set: `fit` and what can be asked of its result."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from analysis.central import LOW
from analysis.exact import mixture
from analysis.exact.data import Design, problem_of
from analysis.exact.model import Problem, condition, typical_variance
from analysis.exact.priors import Fixed, HalfNormal, TauPrior
from analysis.exact.quadrature import (
    NODES,
    TauPosterior,
    highest_moment,
    log_posterior,
    posterior_of_tau,
)

DEFAULT_TAU_PRIOR = HalfNormal(1.0)
SAMPLE_CHUNK = 2_000_000
EFFECT_CHUNK = 262_144  # studies times nodes of the table of effects at once
Kind = Literal["central", "shortest"]


class Distribution:
    """One posterior distribution. `mean`, `sd` and `median` are numbers; the rest are methods.

    `mean` or `sd` is inf when the integral does not converge in theory, as for τ under a
    HalfCauchy prior with one or two studies; quantiles always exist.
    """

    mean: float
    sd: float

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def quantile(self, p: Any) -> Any:
        """Quantile at probability `p`: a float for a number, else an array of the shape of `p`."""
        values = np.asarray(p, dtype=float)
        if np.any(~((values >= 0) & (values <= 1))):
            raise ValueError(f"a probability lies between 0 and 1, got {p!r}")
        return _like(values, self._quantile(np.atleast_1d(values).ravel()))

    def cdf(self, x: Any) -> Any:
        """P(quantity ≤ x)."""
        values = np.asarray(x, dtype=float)
        return _like(values, self._cdf(np.atleast_1d(values).ravel()))

    def pdf(self, x: Any) -> Any:
        """Posterior density at `x`."""
        values = np.asarray(x, dtype=float)
        return _like(values, self._pdf(np.atleast_1d(values).ravel()))

    def beyond(self, threshold: float, direction: str) -> float:
        """Probability of lying "above" or "below" a threshold."""
        if direction not in ("above", "below"):
            raise ValueError(f'direction is "above" or "below", got {direction!r}')
        below = float(self.cdf(float(threshold)))
        return below if direction == "below" else 1.0 - below

    def density(self, points: int = 201, tail: float = 1e-3) -> pd.DataFrame:
        """x and density at even points between the quantiles `tail` and 1 - `tail`."""
        low, high = self.quantile(np.array([tail, 1.0 - tail]))
        x = np.linspace(low, high, points)
        return pd.DataFrame({"x": x, "density": self.pdf(x)})

    @cached_property
    def median(self) -> float:
        return float(self.quantile(0.5))

    def interval(self, level: float = 0.95, kind: Kind = "central") -> tuple[float, float]:
        """Credible interval: equal tails, or the shortest (the highest posterior density one).

        "shortest" is the convention of bayesmeta; of several humps it returns the one interval of
        the given probability that is shortest.
        """
        if not 0 < level < 1:
            raise ValueError(f"level lies between 0 and 1, got {level!r}")
        tail = 0.5 * (1.0 - level)
        if kind == "central":
            low, high = self.quantile(np.array([tail, 1.0 - tail]))
            return float(low), float(high)
        if kind != "shortest":
            raise ValueError(f'kind is "central" or "shortest", got {kind!r}')
        if self.sd == 0.0:  # a point mass
            return self.median, self.median
        return self._shortest(level)

    def _shortest(self, level: float) -> tuple[float, float]:
        start, end = 0.0, 1.0 - level
        for _ in range(3):
            p = np.linspace(start, end, 41)
            width = self.quantile(p + level) - self.quantile(p)
            best = int(np.nanargmin(width))
            start, end = p[max(best - 1, 0)], p[min(best + 1, p.size - 1)]

        def difference(lower: float) -> float:
            ends = self.quantile(np.array([lower, min(lower + level, 1.0)]))
            densities = np.where(
                np.isfinite(ends), self.pdf(np.where(np.isfinite(ends), ends, 0)), 0
            )
            return float(densities[0] - densities[1])

        # At the shortest interval both ends have the same density, unless it starts at an end.
        lower = float(p[best])
        at_start, at_end = difference(start), difference(end)
        if at_start < 0 < at_end:
            lower = brentq(difference, start, end, xtol=1e-14)
        elif start == 0.0 and at_start >= 0:
            lower = 0.0
        low, high = self.quantile(np.array([lower, min(lower + level, 1.0)]))
        return float(low), float(high)

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"mean {self.mean:.4g}, sd {self.sd:.4g}, 95 % interval {low:.4g} to {high:.4g}"


class MixtureDistribution(Distribution):
    """A quantity that is normal given τ: mixture over the nodes of τ."""

    def __init__(
        self, weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, finite_moment: float = np.inf
    ):
        self._weight, self._means, self._sds = weight, mean, sd
        centre, spread = mixture.moments(weight[None], mean[None], sd[None])
        # An infinite first moment leaves the mean undefined, an infinite second the sd infinite.
        self.mean = float(centre[0]) if finite_moment > 1 else float("nan")
        self.sd = float(spread[0]) if finite_moment > 2 else float("inf")

    def _over(self, function: Any, x: np.ndarray) -> np.ndarray:
        shape = (x.size, self._weight.size)
        return function(
            np.broadcast_to(self._weight, shape),
            np.broadcast_to(self._means, shape),
            np.broadcast_to(self._sds, shape),
            x,
        )

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        return self._over(mixture.quantile, p)

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return self._over(mixture.cdf, x)

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        return self._over(mixture.pdf, x)


class TauDistribution(Distribution):
    """The heterogeneity τ; with a Fixed prior a point mass (sd 0, density inf at the value)."""

    def __init__(
        self, problem: Problem, prior: TauPrior, posterior: TauPosterior, finite_moment: float
    ):
        self._problem, self._prior, self._posterior = problem, prior, posterior
        weight, tau = posterior.weight[0], posterior.tau[0]
        mean = float(weight @ tau)
        self.mean = mean if finite_moment > 1 else float("inf")
        variance = float(weight @ (tau - mean) ** 2)
        self.sd = float(np.sqrt(variance)) if finite_moment > 2 else float("inf")

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        return self._posterior.quantile(p[None])[0]

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return self._posterior.cdf(x[None])[0]

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        if isinstance(self._prior, Fixed):
            return np.where(x == self._posterior.tau[0, 0], np.inf, 0.0)
        inside = (x >= 0) & np.isfinite(x)
        tau = np.where(inside, x, 0.0)
        log_density = log_posterior(self._problem, self._prior, tau[None])[0]
        return np.where(inside, np.exp(log_density - self._posterior.log_marginal[0]), 0.0)


class ISquared(float):
    """I² = τ² / (τ² + s̃²), the share of the variation that is heterogeneity, between 0 and 1.

    The number itself is the posterior mean. As I² grows with τ, its quantiles are those of τ put
    through the formula. s̃² is the typical sampling variance (`model.typical_variance`).
    """

    _tau: TauDistribution
    _typical: float

    @classmethod
    def of(cls, tau: TauDistribution, typical: float) -> ISquared:
        nodes, weight = tau._posterior.tau[0], tau._posterior.weight[0]
        made = cls(float(weight @ _share(nodes, typical)))
        made._tau, made._typical = tau, typical
        return made

    @property
    def mean(self) -> float:
        return float(self)

    @property
    def median(self) -> float:
        return float(self.quantile(0.5))

    def quantile(self, p: Any) -> Any:
        """Quantile of I²."""
        return _share(self._tau.quantile(p), self._typical)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Central credible interval of I²."""
        low, high = self._tau.interval(level)
        return float(_share(low, self._typical)), float(_share(high, self._typical))


def _share(tau: Any, typical: float) -> Any:
    return 1.0 / (1.0 + typical / np.maximum(np.square(tau), 1e-300))


class ExactPosterior:
    """Posterior of the normal-normal hierarchical model of one data set, exact up to quadrature.

    Attributes
    ----------
    mu : distribution of the mean effect. With covariates: of the effect at the mean of the
        columns of X (the intercept, when the covariates are centred); see `at` for others.
    tau : distribution of the heterogeneity, the standard deviation between studies.
    predictive : distribution of the true effect of a new study (with covariates: at the mean of
        the columns of X).
    coef : distributions of the regression coefficients by name ({"mu": mu} without X).
    coefficients : table of them: mean, sd, median, ci_low, ci_high (95 %, central).
    shrinkage : table of the studies' true effects: mean, sd, ci_low, ci_high, weight.
    log_marginal_likelihood : log p(y), with density 1 for each flat coefficient.
    i_squared : posterior mean of I² (a float with .median, .quantile and .interval).
    """

    def __init__(
        self,
        problem: Problem,
        design: Design,
        n_flat: int,
        tau_prior: TauPrior,
        posterior: TauPosterior,
        labels: Any,
        centre: np.ndarray | None = None,
    ):
        self._problem, self._design, self._prior = problem, design, tau_prior
        self._posterior, self._labels = posterior, labels
        self.tau_prior = tau_prior
        self.k = problem.k
        fixed = isinstance(tau_prior, Fixed) or np.all(np.isfinite(tau_prior.end))
        self._moment = (
            np.inf
            if fixed
            else np.ravel(highest_moment(tau_prior, np.asarray(self.k), np.asarray(n_flat)))[
                0
            ].item()
        )
        self._flat = n_flat > 0
        self.log_marginal_likelihood = float(posterior.log_marginal[0])
        self.tau = TauDistribution(problem, tau_prior, posterior, self._moment)
        self._centre = design.x[0].mean(axis=0) if centre is None else centre

    def at(self, x: Any) -> tuple[Distribution, Distribution]:
        """The mean effect x'β and the true effect of a new study there, as distributions.

        Parameters
        ----------
        x : one value for each column of X, as a sequence or a mapping by column name.
        """
        if isinstance(x, dict | pd.Series):
            x = [x[name] for name in self._design.names]
        values = np.asarray(x, dtype=float)
        if values.shape != self._centre.shape or not np.isfinite(values).all():
            raise ValueError(f"x must be {self._centre.size} finite numbers, got {x!r}")
        mean, sd = (part[0] for part in self._posterior.given.combination(values))
        weight, tau = self._posterior.weight[0], self._posterior.tau[0]
        return (
            MixtureDistribution(weight, mean, sd, self._moment if self._flat else np.inf),
            MixtureDistribution(weight, mean, np.hypot(sd, tau), self._moment),
        )

    @cached_property
    def _at_centre(self) -> tuple[Distribution, Distribution]:
        return self.at(self._centre)

    @property
    def mu(self) -> Distribution:
        return self._at_centre[0]

    @property
    def predictive(self) -> Distribution:
        return self._at_centre[1]

    @cached_property
    def coef(self) -> dict[str, Distribution]:
        unit = np.eye(len(self._design.names))
        return {name: self.at(unit[j])[0] for j, name in enumerate(self._design.names)}

    def __getitem__(self, name: str) -> Distribution:
        """The coefficient of a column of X by its name."""
        return self.coef[name]

    @cached_property
    def coefficients(self) -> pd.DataFrame:
        rows = {}
        for name, b in self.coef.items():
            low, high = b.interval()
            rows[name] = {
                "mean": b.mean,
                "sd": b.sd,
                "median": b.median,
                "ci_low": low,
                "ci_high": high,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    @cached_property
    def shrinkage(self) -> pd.DataFrame:
        """True effects θ_i of the studies, one row a study, in the order given.

        Given τ, θ_i is normal with mean (1 - B) y_i + B x_i'β̂ and variance
        (1 - B) se_i² + B² Var(x_i'β), B = se_i² / (se_i² + τ²) (BDA3, equation 5.17, with μ
        integrated out). `weight` is the posterior mean share of study i in the estimate of the
        mean: w_i / Σw (the rest, when they sum to less than one, is the prior's), and with
        covariates its leverage divided by the number of coefficients.
        """
        given = self._posterior.given.hat[0]
        q = len(self._design.names)
        size = max(1, EFFECT_CHUNK // self._posterior.weight.shape[1])
        parts = []
        for first in range(0, self.k, size):
            rows = np.arange(first, min(first + size, self.k))
            mean, sd = self._effects(rows)
            weight = np.broadcast_to(self._posterior.weight, mean.shape)
            level = np.full(rows.size, LOW)
            centre, spread = mixture.moments(weight, mean, sd)
            parts.append(
                pd.DataFrame(
                    {
                        "mean": centre,
                        "sd": spread,
                        "ci_low": mixture.quantile(weight, mean, sd, level),
                        "ci_high": mixture.quantile(weight, mean, sd, 1.0 - level),
                        "weight": given[rows] @ self._posterior.weight[0] / q,
                    }
                )
            )
        return pd.concat(parts, ignore_index=True).set_axis(
            pd.RangeIndex(self.k) if self._labels is None else self._labels
        )

    def _effects(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of θ_i of some studies at each node, (studies, nodes)."""
        given = self._posterior.given
        variance = self._problem.variance[0, rows, None]
        tau2 = self._posterior.tau[0][None, :] ** 2
        total = variance + tau2
        pull = variance / total
        fitted = self._problem.x[0, rows] @ given.beta[0].T
        var_fitted = given.hat[0, rows] * total
        mean = (1.0 - pull) * self._problem.y[0, rows, None] + pull * fitted
        return mean, np.sqrt(tau2 * pull + pull**2 * var_fitted)

    def effect(self, row: int) -> Distribution:
        """The true effect of the study in position `row`, as a distribution."""
        if not -self.k <= row < self.k:
            raise IndexError(f"row {row} of {self.k} studies")
        mean, sd = self._effects(np.array([row % self.k]))
        return MixtureDistribution(self._posterior.weight[0], mean[0], sd[0])

    @cached_property
    def i_squared(self) -> ISquared:
        return ISquared.of(self.tau, float(typical_variance(self._problem)[0]))

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> pd.DataFrame:
        """Independent draws (not a Markov chain) of tau, mu, predictive and any coefficients.

        τ is drawn by inverting its distribution function, the rest from their normal given τ.
        The draws of a row belong together; columns of X that are named tau, mu or predictive
        would clash and are refused.
        """
        names = self._design.names if self._design.given else []
        clash = {"tau", "mu", "predictive"} & set(names)
        if clash:
            raise ValueError(f"rename these columns of X to sample: {sorted(clash)}")
        rng = np.random.default_rng(seed)
        tau = np.sort(self.tau.quantile(rng.random(n)))
        q = len(self._design.names)
        beta = np.empty((n, q))
        size = max(1, SAMPLE_CHUNK // self._problem.y.shape[1])
        for start in range(0, n, size):
            part = slice(start, start + size)
            given = condition(self._problem, tau[None, part])
            noise = rng.standard_normal((given.beta.shape[1], q))
            draw = np.empty_like(noise)
            for j in range(q - 1, -1, -1):  # solve R draw = noise backwards
                known = sum(given.root[0, :, j, m] * draw[:, m] for m in range(j + 1, q))
                draw[:, j] = (noise[:, j] - known) / given.root[0, :, j, j]
            beta[part] = given.beta[0] + draw
        mu = beta @ self._centre
        draws = {"tau": tau, "mu": mu, "predictive": mu + tau * rng.standard_normal(n)}
        draws |= {name: beta[:, j] for j, name in enumerate(names)}
        order = rng.permutation(n)
        return pd.DataFrame({name: values[order] for name, values in draws.items()})

    def __repr__(self) -> str:
        return f"ExactPosterior(k={self.k}; mu: {self.mu!r}; tau: {self.tau!r})"


def fit(
    y: Any,
    se: Any,
    *,
    X: Any = None,
    mu_prior: Any = None,
    tau_prior: TauPrior = DEFAULT_TAU_PRIOR,
    nodes: int = NODES,
) -> ExactPosterior:
    """Exact posterior of the random-effects meta-analysis or meta-regression of one data set.

    Parameters
    ----------
    y : (k,) effect estimates.
    se : (k,) their standard errors, known, above zero, in the unit of y.
    X : (k, q) array or DataFrame, the whole design; an intercept is a column of ones that the
        caller puts there. None: a common mean, called mu.
    mu_prior : None for a flat prior, or Normal(mean, sd). With X one prior for each coefficient,
        as a list or as a dict by column name (a missing name is flat); a single Normal is
        given to every coefficient.
    tau_prior : prior of τ in the unit of y. The default HalfNormal(1) suits log ratios and
        standardised differences; on any other scale give one that fits the unit.
    nodes : nodes of the quadrature; the default leaves an error far below 1e-6.

    Raises
    ------
    ValueError : when a number is missing, not finite or a standard error not above zero (the
        message names the row), when shapes differ, or when the posterior is improper because X
        does not tell the coefficients with flat priors apart.

    Notes
    -----
    One study is enough: with a flat prior of μ the posterior of τ is then its prior.

    References
    ----------
    Röver (2020), J Stat Softw 93(6); Röver & Friede (2023), Comput Methods Programs Biomed
    229:107303; Gelman et al., BDA3, chapter 5.
    """
    labels = y.index if isinstance(y, pd.Series) else None
    problem, design, n_flat = problem_of(y, se, None, X, mu_prior, tau_prior, batch=False)
    posterior = posterior_of_tau(problem, tau_prior, n_flat, nodes, leverage=True)
    return ExactPosterior(problem, design, int(n_flat[0]), tau_prior, posterior, labels)


def _like(shape_of: np.ndarray, values: np.ndarray) -> Any:
    return float(values[0]) if shape_of.ndim == 0 else values.reshape(shape_of.shape)
