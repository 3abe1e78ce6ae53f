"""Integration over the heterogeneity τ: where the nodes go, and the marginal posterior of τ.

τ is written as a function of a variable v on the whole line,

    log τ* = log c + v - exp(-v) + r exp(v),      1/τ = 1/τ* + 1/U,

with c a scale near the lower quartile of the posterior and U the end of the support (infinite
unless the prior is bounded). The two exponentials make the density fall doubly exponentially at
both ends: at the right one r = c / U, or c over the largest scale of the problem when the prior
has a power tail, and r = 0 otherwise. On the log scale the nearest complex singularities of the
posterior (τ² = -se_i²) are far from the real line whatever the size of se_i. For such integrands
the plain trapezoidal rule with equal steps converges exponentially (Takahasi & Mori 1974, Publ
RIMS 9:721; Trefethen & Weideman 2014, SIAM Review 56:385). Steps are laid only where the integrand
is within exp(-32) of its peak, which is found by zooming in from a wide first grid.

Between the nodes the density is its sinc interpolant, of the same accuracy; its integral, the
distribution function of τ, is a sum of sine integrals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import sici

from analysis.exact.model import Problem, condition
from analysis.exact.priors import Fixed, TauPrior

NODES = 160
FIRST_GRID = 64
ZOOM_GRID = 32
ZOOM_ROUNDS = 8
DEPTH = 32.0
FINE = 4


@dataclass(frozen=True)
class Map:
    """The change of variable v → τ, one a row: c, U and r of the module's equation, (rows,)."""

    scale: np.ndarray
    upper: np.ndarray
    stretch: np.ndarray

    def rows(self, index: np.ndarray) -> Map:
        return Map(self.scale[index], self.upper[index], self.stretch[index])

    def tau(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """τ and log dτ/dv at v, shape (rows, points)."""
        down, up = np.exp(-v), self.stretch[:, None] * np.exp(v)
        log_star = np.log(self.scale)[:, None] + v - down + up
        # τ = τ* / (1 + τ*/U), in logs so that neither end overflows.
        with np.errstate(divide="ignore"):
            excess = np.logaddexp(0.0, log_star - np.log(self.upper)[:, None])
        log_tau = log_star - excess
        log_slope = log_tau - excess + np.log1p(down + up)
        return np.exp(log_tau), log_slope

    def inverse(self, tau: np.ndarray) -> np.ndarray:
        """v at τ > 0, shape (rows, points), by bisection-safeguarded Newton steps."""
        ratio = self.stretch[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = tau < self.upper[:, None]
            target = np.log(tau) - np.log1p(-np.where(inside, tau / self.upper[:, None], 0.0))
        target = target - np.log(self.scale)[:, None]
        target = np.clip(np.where(inside, target, np.inf), -1e3, 1e3)
        low = np.full_like(target, -8.0)
        high = np.full_like(target, 1.0e3)
        v = np.clip(np.where(target > 1, target, np.where(target > -1, 0.6, 0.0)), low, high)
        bounded = ratio > 0
        with np.errstate(divide="ignore"):
            cap = np.where(bounded, np.log(50.0) - np.log(ratio), 1.0e3)
        high = np.minimum(high, np.maximum(cap, 1.0) + 4.0)
        v = np.minimum(v, high)
        for _ in range(100):
            down, up = np.exp(-v), ratio * np.exp(v)
            gap = v - down + up - target
            low, high = np.where(gap < 0, v, low), np.where(gap < 0, high, v)
            step = v - gap / (1.0 + down + up)
            new = np.where((step > low) & (step < high), step, 0.5 * (low + high))
            if np.all(np.abs(new - v) <= 1e-13 * (1.0 + np.abs(v))):
                return new
            v = new
        return v


@dataclass(frozen=True)
class Grid:
    """Range of v that carries the posterior, one a row, and how many nodes are laid on it."""

    map: Map
    low: np.ndarray
    high: np.ndarray
    nodes: int

    def rows(self, index: np.ndarray) -> Grid:
        return Grid(self.map.rows(index), self.low[index], self.high[index], self.nodes)

    @property
    def step(self) -> np.ndarray:
        return (self.high - self.low) / (self.nodes - 1)

    def points(self) -> np.ndarray:
        """(rows, nodes)"""
        return _between(self.low, self.high, self.nodes)


def _between(low: np.ndarray, high: np.ndarray, n: int) -> np.ndarray:
    return low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, n)


def log_posterior(problem: Problem, prior: TauPrior, tau: np.ndarray) -> np.ndarray:
    """log p(y | τ) p(τ), shape (rows, points): the marginal posterior of τ but for its constant.

    Parameters
    ----------
    problem : the studies.
    prior : of τ.
    tau : (rows, points).
    """
    return condition(problem, tau).log_likelihood + prior.logpdf(tau)


def highest_moment(prior: TauPrior, n_studies: np.ndarray, n_flat: np.ndarray) -> np.ndarray:
    """a - 1 where p(τ | y) ~ τ^(-a): moments of τ of a lower order than this are finite.

    The likelihood falls as τ^-(k - q₀), with q₀ the number of coefficients with a flat prior.

    Parameters
    ----------
    prior : of τ.
    n_studies : (rows,) k.
    n_flat : (rows,) q₀.
    """
    return prior.tail - 1.0 + (n_studies - n_flat)


def lay(problem: Problem, prior: TauPrior, n_flat: np.ndarray, nodes: int = NODES) -> Grid:
    """Find where the marginal posterior of τ lives, for each row.

    Parameters
    ----------
    problem : the studies.
    prior : of τ.
    n_flat : (rows,) number of coefficients with a flat prior.
    nodes : nodes of the final trapezoidal rule.
    """
    rows = problem.n_rows
    studies = problem.present & (problem.random > 0)
    se = np.sqrt(problem.variance)
    least = np.where(studies, se, np.inf).min(axis=1)
    most = np.where(studies, se, 0.0).max(axis=1)
    spread = np.where(studies, problem.y, -np.inf).max(axis=1) - np.where(
        studies, problem.y, np.inf
    ).min(axis=1)
    spread = np.maximum(spread, _distance_from_prior(problem))
    prior_low, prior_high = (np.broadcast_to(end, rows) for end in prior.span())
    upper = np.broadcast_to(prior.end, rows).astype(float)
    floor = 1e-3 * np.minimum(np.minimum(least, prior_low), upper)
    ceiling = np.minimum(10.0 * np.maximum(np.maximum(most, spread), prior_high), upper)

    def density(tau: np.ndarray, log_slope: np.ndarray, index: np.ndarray) -> np.ndarray:
        value = log_posterior(problem.rows(index), prior.rows(index), tau) + log_slope
        return np.where(np.isnan(value), -np.inf, value)

    # 1. A wide grid in log τ gives the scale c: the lower quartile of the mass seen there.
    everything = np.arange(rows)
    log_tau = _between(np.log(floor), np.log(ceiling), FIRST_GRID)
    log_mass = density(np.exp(log_tau), log_tau, everything)
    mass = np.exp(log_mass - log_mass.max(axis=1, keepdims=True))
    share = np.cumsum(mass, axis=1) / mass.sum(axis=1, keepdims=True)
    at = (share < 0.25).sum(axis=1)
    scale = np.exp(log_tau[everything, at])
    scale = np.minimum(scale, 0.5 * upper)
    bounded = np.isfinite(upper)
    power = np.isfinite(np.broadcast_to(prior.tail, rows))
    top = np.where(bounded, upper, np.where(power, np.maximum(ceiling / 10.0, scale), np.inf))
    change = Map(scale, upper, scale / top)

    # 2. In v, keep what is within exp(-DEPTH) of the peak, counting the moments that exist.
    finite = highest_moment(prior, studies.sum(axis=1), n_flat)
    finite = np.broadcast_to(np.where(bounded, np.inf, finite), rows)
    order = np.where(finite > 2.0, 2.0, np.where(finite > 1.0, 1.0, 0.0))
    # The right end: exp(v) alone must carry the power of the tail (or, bounded, of 1 - τ/U) down.
    slack = np.where(bounded, 1.0, np.clip(finite - order, 0.05, 1.0))
    with np.errstate(divide="ignore", over="ignore"):
        reach = np.log((DEPTH + 8.0) / slack) + np.log(top / scale)
    end = np.where(bounded | power, reach, np.log(ceiling / scale) + 3.0)
    low, high = np.full(rows, -4.8), np.maximum(end, 1.0)
    open_rows = everything
    for round_number in range(ZOOM_ROUNDS):
        n = FIRST_GRID if round_number == 0 else ZOOM_GRID
        part = change.rows(open_rows)
        v = _between(low[open_rows], high[open_rows], n)
        tau, log_slope = part.tau(v)
        value = density(tau, log_slope, open_rows)
        value = value + order[open_rows, None] * np.log1p(tau / part.scale[:, None])
        seen = value > value.max(axis=1, keepdims=True) - DEPTH
        first = np.maximum(seen.argmax(axis=1) - 1, 0)
        last = np.minimum(n - seen[:, ::-1].argmax(axis=1), n - 1)
        here = np.arange(open_rows.size)
        low[open_rows], high[open_rows] = v[here, first], v[here, last]
        open_rows = open_rows[(last - first) < 0.6 * n]
        if open_rows.size == 0:
            break
    return Grid(change, low, high, nodes)


def _distance_from_prior(problem: Problem) -> np.ndarray:
    """Largest distance of a study from its prior mean, (rows,); 0 with a flat coefficient.

    Studies far from where the prior of the mean puts them can only be reconciled by a large tau.
    """
    studies, prior = slice(0, problem.k), slice(problem.k, None)
    proper = problem.present[:, prior]
    if proper.shape[1] == 0:
        return np.zeros(problem.n_rows)
    fitted = np.matmul(problem.x[:, studies], problem.y[:, prior, None])[:, :, 0]
    distance = np.abs(problem.y[:, studies] - fitted)
    farthest = np.where(problem.present[:, studies], distance, 0.0).max(axis=1)
    return np.where(proper.all(axis=1), farthest, 0.0)


@lru_cache(maxsize=8)
def _sinc_tables(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices that take node values to values and running integrals FINE times as dense."""
    at = np.arange((nodes - 1) * FINE + 1) / FINE
    gap = at[:, None] - np.arange(nodes)[None, :]
    return np.sinc(gap), 0.5 + sici(np.pi * gap)[0] / np.pi


class TauPosterior:
    """Marginal posterior of τ for each row, as weights on the nodes and as a smooth function.

    Attributes
    ----------
    tau, weight : (rows, nodes); the weights of a row sum to one.
    log_marginal : (rows,) log p(y).
    given : the moments of β given τ at the nodes.
    """

    def __init__(
        self, problem: Problem, prior: TauPrior, grid: Grid | None, leverage: bool = False
    ):
        self.grid = grid
        if grid is None:
            value = np.broadcast_to(np.asarray(prior.span()[0], dtype=float), problem.n_rows)
            self.tau = value[:, None].copy()
            self.given = condition(problem, self.tau, leverage=leverage)
            self.weight = np.ones_like(self.tau)
            self.log_marginal = self.given.log_likelihood[:, 0]
            return
        self.tau, log_slope = grid.map.tau(grid.points())
        self.given = condition(problem, self.tau, leverage=leverage)
        log_density = self.given.log_likelihood + prior.logpdf(self.tau) + log_slope
        log_density = np.where(np.isnan(log_density), -np.inf, log_density)
        peak = log_density.max(axis=1)
        density = np.exp(log_density - peak[:, None])
        total = density.sum(axis=1)
        self.weight = density / total[:, None]
        self.log_marginal = peak + np.log(total * grid.step)

    def cdf_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Density (per step) and distribution function of v on the fine grid, (rows, fine)."""
        assert self.grid is not None  # a fixed tau has no table
        values, integrals = _sinc_tables(self.grid.nodes)
        density = np.maximum(self.weight @ values.T, 0.0)
        cdf = np.maximum.accumulate(np.clip(self.weight @ integrals.T, 0.0, 1.0), axis=1)
        return density, cdf

    def quantile(self, p: np.ndarray) -> np.ndarray:
        """Quantiles of τ; `p` and the result have shape (rows, m)."""
        if self.grid is None:
            return np.broadcast_to(self.tau, (self.tau.shape[0], p.shape[1])).copy()
        density, cdf = self.cdf_table()
        n = cdf.shape[1]
        cell = np.empty(p.shape, dtype=int)
        for m in range(p.shape[1]):
            cell[:, m] = (cdf < p[:, m, None]).sum(axis=1)
        cell = np.clip(cell, 1, n - 1) - 1
        rows = np.arange(p.shape[0])[:, None]
        f0, f1 = cdf[rows, cell], cdf[rows, cell + 1]
        d0, d1 = density[rows, cell] / FINE, density[rows, cell + 1] / FINE
        s = _solve_hermite(f0, f1, d0, d1, p)
        step = (self.grid.step / FINE)[:, None]
        v = self.grid.low[:, None] + (cell + s) * step
        tau = self.grid.map.tau(v)[0]
        tau = np.where(p <= 0.0, 0.0, tau)
        return np.where(p >= 1.0, self.grid.map.upper[:, None], tau)

    def cdf(self, tau: np.ndarray) -> np.ndarray:
        """Distribution function at `tau`, shape (rows, m)."""
        if self.grid is None:
            return (tau >= self.tau).astype(float)
        density, cdf = self.cdf_table()
        n = cdf.shape[1]
        with np.errstate(divide="ignore"):
            v = self.grid.map.inverse(np.maximum(tau, 0.0))
        place = (v - self.grid.low[:, None]) / (self.grid.step / FINE)[:, None]
        cell = np.clip(np.floor(place).astype(int), 0, n - 2)
        s = np.clip(place - cell, 0.0, 1.0)
        rows = np.arange(tau.shape[0])[:, None]
        f = _hermite(
            cdf[rows, cell],
            cdf[rows, cell + 1],
            density[rows, cell] / FINE,
            density[rows, cell + 1] / FINE,
            s,
        )[0]
        f = np.where(place < 0, 0.0, np.where(place > n - 1, 1.0, f))
        f = np.where(tau >= self.grid.map.upper[:, None], 1.0, f)
        return np.where(tau <= 0.0, 0.0, np.clip(f, 0.0, 1.0))


def _hermite(
    f0: np.ndarray, f1: np.ndarray, d0: np.ndarray, d1: np.ndarray, s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cubic through both ends with their slopes, and its derivative, at s in [0, 1]."""
    a = 2 * (f0 - f1) + d0 + d1
    b = 3 * (f1 - f0) - 2 * d0 - d1
    return f0 + s * (d0 + s * (b + s * a)), d0 + s * (2 * b + s * 3 * a)


def _solve_hermite(
    f0: np.ndarray, f1: np.ndarray, d0: np.ndarray, d1: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """s in [0, 1] at which the cubic reaches p: Newton steps kept inside a shrinking bracket."""
    rise = np.where(f1 > f0, f1 - f0, 1.0)
    s = np.clip((p - f0) / rise, 0.0, 1.0)
    low, high = np.zeros_like(s), np.ones_like(s)
    for _ in range(60):
        value, slope = _hermite(f0, f1, d0, d1, s)
        low, high = np.where(value < p, s, low), np.where(value < p, high, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = s - (value - p) / slope
        new = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        if np.all(np.abs(new - s) < 1e-12):
            return new
        s = new
    return s


def posterior_of_tau(
    problem: Problem,
    prior: TauPrior,
    n_flat: np.ndarray,
    nodes: int = NODES,
    leverage: bool = False,
) -> TauPosterior:
    """Lay the nodes and evaluate the posterior of τ on them, for every row.

    Parameters
    ----------
    problem : the studies.
    prior : of τ.
    n_flat : (rows,) number of coefficients with a flat prior.
    nodes : of the trapezoidal rule.
    leverage : also keep the diagonal of the hat matrix.
    """
    grid = None if isinstance(prior, Fixed) else lay(problem, prior, n_flat, nodes)
    return TauPosterior(problem, prior, grid, leverage)
