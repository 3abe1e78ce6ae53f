"""Where the nodes go: the adaptive tensor grid of a fit of contrasts, in fixed levels.

The heterogeneity tau is written as in `quadrature.Map`, with even steps in v. For each tau the mean
(and the regression coefficients) have a box of their own, with even steps inside; for each s (the
SD of log SDs) the centre m has one; r and s have Gauss-Legendre nodes. `lay` finds the boxes by
zooming on what lies within exp(-DEPTH) of each peak; `LEVELS` says how many nodes a level has.
The trapezoidal rule and Gauss-Legendre converge exponentially here, so that one level more
multiplies the number of correct digits: machines of different rounding stop at the same level.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from analysis.exact.contrast_data import R_LIMIT, ContrastPriors, Contrasts
from analysis.exact.contrast_likelihood import LOG_2PI, REACH, Likelihood, Nuisance, Points
from analysis.exact.priors import Fixed
from analysis.exact.quadrature import Map

DEPTH = 17.0  # nodes are laid where a density exceeds exp(-DEPTH) of its peak
FLAT_DEPTH = 28.0  # the same where two axes are all there is
SPREAD_DEPTH = 12.0  # the same for s and for the range of log SD
ROUNDS = 12
WIDE = 9.0  # prior SDs on either side at which the search begins
CHUNK = 600  # points evaluated at once


@dataclass(frozen=True)
class Level:
    """Numbers of nodes: tau, each coefficient, s, m given s, r; and the step of log SD."""

    tau: int
    mean: int
    s: int
    m: int
    r: int
    step: float


SCAN = Level(13, 17, 6, 9, 6, 0.45)
SCAN_SCALE_STEP = 1.4
LEVELS = (
    Level(22, 21, 14, 11, 10, 0.33),
    Level(26, 29, 18, 13, 11, 0.26),
    Level(30, 43, 22, 15, 13, 0.20),
    Level(36, 63, 26, 17, 15, 0.14),
    Level(44, 91, 30, 20, 18, 0.10),
)
"""What moves from one level to the next is the mean (steep results in words) and the step of log
SD; tau, m and r have settled to 1e-4 posterior SDs at the first levels and grow slowly."""
FLAT_LEVELS = tuple(
    Level(n, m, 1, 1, 1, 1.0) for n, m in ((56, 41), (80, 57), (120, 81), (160, 121))
)
"""Where neither r nor an SD is unknown: two axes alone, laid densely."""


@dataclass(frozen=True)
class Task:
    """One fit: the rows, the teachers, the priors, the choices, and what depends on them.

    design : (k, D) the columns of mu (ones) and of the covariates.
    root : (D, D) lower triangular; coefficients = root @ coordinates of the grid.
    group : where the rows are two groups, whose means are the coordinates: the group of each row.
    """

    rows: Contrasts
    teachers: Contrasts
    prior: ContrastPriors
    r: float | None
    robust: bool
    design: np.ndarray
    prior_mean: np.ndarray
    prior_sd: np.ndarray
    root: np.ndarray
    group: np.ndarray | None

    @property
    def learns_sd(self) -> bool:
        return bool((~self.rows.has_spread).any() or len(self.teachers))

    @property
    def r_unknown(self) -> bool:
        depends = (self.rows.var_b[self.rows.has_spread] != 0).any()
        return self.r is None and bool(depends or (self.teachers.var_b != 0).any())

    @property
    def depth(self) -> float:
        return DEPTH if self.learns_sd or self.r_unknown else FLAT_DEPTH

    @property
    def levels(self) -> tuple[Level, ...]:
        if not (self.learns_sd or self.r_unknown):
            return FLAT_LEVELS
        dimensions = self.design.shape[1]
        if dimensions == 1:
            return LEVELS
        ratio = {2: 0.75 if self.group is None else 0.9}.get(dimensions, 0.6)
        return tuple(replace(level, mean=round(ratio * level.mean) | 1) for level in LEVELS)


def task_of(
    rows: Contrasts, teachers: Contrasts, prior: ContrastPriors, r: float | None, robust: bool
) -> Task:
    """Check the priors against the rows and choose the coordinates of the coefficients.

    Parameters
    ----------
    rows : the k contrasts to be pooled.
    teachers : contrasts that print a spread and teach the standard deviation.
    prior : priors of mu, tau, the coefficients and the nuisance parameters.
    r : pre-post correlation where it is fixed; None: unknown.
    robust : Student-t instead of normal effects.

    Raises
    ------
    ValueError : no row; a covariate without a prior; a flat prior of mu without a printed number.
    """
    if not len(rows):
        raise ValueError("no contrast to pool")
    missing = [name for name in rows.names if name not in prior.coefficients]
    if missing:
        raise ValueError(f"covariates without a prior: {', '.join(missing)}")
    normals = [prior.mu, *(prior.coefficients[name] for name in rows.names)]
    mean, sd = np.array([(0.0, np.inf) if p is None else p.one for p in normals]).T
    if prior.mu is None and not (rows.has_spread & (rows.kind == "numeric")).any():
        raise ValueError("a flat prior of mu needs a printed number with a spread")
    design = np.column_stack([np.ones(len(rows)), rows.covariates])
    size = design.shape[1]
    root, group = np.eye(size), None
    values = np.unique(rows.covariates) if size == 2 else np.empty(0)
    if values.size == 2 and 0.0 in values:
        group = (rows.covariates[:, 0] != 0).astype(int)
        other = values[values != 0][0]
        root = np.array([[1.0, 0.0], [-1.0 / other, 1.0 / other]])
    elif size > 1:
        weight = 1.0 / (_typical_se(rows, prior) ** 2 + _scale_of_tau(prior) ** 2)
        precision = design.T @ (weight[:, None] * design) + np.diag(sd**-2.0)
        root = np.linalg.cholesky(np.linalg.inv(precision))
    return Task(rows, teachers, prior, r, robust, design, mean, sd, root, group)


def _typical_se(rows: Contrasts, prior: ContrastPriors) -> np.ndarray:
    """A rough standard error of each row, for finding the scale of the problem."""
    guess = np.exp(2 * prior.log_sd.one[0]) * rows.n_factor
    return np.sqrt(np.where(rows.has_spread, rows.var_a - prior.r[0] * rows.var_b, guess))


def _scale_of_tau(prior: ContrastPriors) -> float:
    return float(np.max(prior.tau.span()[1]))


Axes = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """Where the posterior lives.

    change : v -> tau (None: tau is fixed).      v : its range.
    log_tau, low, high : boxes of the coordinates at some log tau, (n,), (n, D).
    centre, width : of their stretch (`sinc.Slices`), (n, D).
    s_max : largest s.      s, m_low, m_high : boxes of m at some s.
    """

    change: Map | None
    v: tuple[float, float]
    log_tau: np.ndarray
    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray
    width: np.ndarray
    s_max: float
    s: np.ndarray
    m_low: np.ndarray
    m_high: np.ndarray

    def axes(self, log_tau: np.ndarray, nodes: int) -> Axes:
        """First t, step of t, centre and width of each coordinate at each log tau, (T, D)."""
        low, high, centre, width = (
            np.column_stack(
                [np.interp(log_tau, self.log_tau, part[:, d]) for d in range(part.shape[1])]
            )
            for part in (self.low, self.high, self.centre, self.width)
        )
        start, end = np.arcsinh((low - centre) / width), np.arcsinh((high - centre) / width)
        return start, (end - start) / (nodes - 1), centre, width


@dataclass(frozen=True)
class Grid:
    """The nodes of one level.

    tau, log_cell, log_weight : (T,) nodes; log width of their cells; that times the prior density.
    v_start, v_step : the even grid behind tau.
    start, step, centre, width : (T, D) stretched grid of each coordinate (`sinc.Slices`).
    mean_nodes : nodes of each coordinate.
    """

    tau: np.ndarray
    log_cell: np.ndarray
    log_weight: np.ndarray
    v_start: float
    v_step: float
    start: np.ndarray
    step: np.ndarray
    centre: np.ndarray
    width: np.ndarray
    mean_nodes: int

    def coordinates(self) -> np.ndarray:
        """(T, G, D) with G = mean_nodes ** D, the last coordinate fastest."""
        return self.centre[:, None] + self.width[:, None] * np.sinh(self._t())

    def log_volume(self) -> np.ndarray:
        """(T, G) log of the volume of the cell around each node."""
        slope = np.log(self.step * self.width)[:, None] + np.log(np.cosh(self._t()))
        return slope.sum(axis=2)

    def _t(self) -> np.ndarray:
        size = self.start.shape[1]
        index = np.indices((self.mean_nodes,) * size).reshape(size, -1).T
        return self.start[:, None, :] + self.step[:, None, :] * index


def nuisance_of(task: Task, layout: Layout, level: Level) -> Nuisance:
    """Nodes of what else is integrated out: r, and the centre and spread of log SDs.

    Parameters
    ----------
    task : the fit.
    layout : where the posterior lives.
    level : how many nodes.
    """
    prior = task.prior
    if task.r_unknown:
        node, weight = np.polynomial.legendre.leggauss(level.r)
        r = R_LIMIT * node
        weight = weight * np.exp(-0.5 * ((r - prior.r[0]) / prior.r[1]) ** 2)
        weight /= weight.sum()
    else:
        r = np.array([prior.r[0] if task.r is None else task.r])
        weight = np.ones(1)
    if not task.learns_sd:
        none = np.empty(0)
        return Nuisance(r, weight, none, none, none, none)
    node, s_weight = np.polynomial.legendre.leggauss(level.s)
    u = 0.5 * (node + 1)
    s = layout.s_max * u**2
    s_weight = 0.5 * s_weight * 2 * layout.s_max * u
    scale = prior.log_sd_spread
    s_weight = s_weight * np.sqrt(2 / np.pi) / scale * np.exp(-0.5 * (s / scale) ** 2)
    low, high = np.interp(s, layout.s, layout.m_low), np.interp(s, layout.s, layout.m_high)
    step = (high - low) / (level.m - 1)
    m = low[:, None] + step[:, None] * np.arange(level.m)
    centre, spread = prior.log_sd.one
    m_weight = step[:, None] * np.exp(-0.5 * ((m - centre) / spread) ** 2 - 0.5 * LOG_2PI) / spread
    s_full = np.repeat(s, level.m)
    m_full = m.ravel()
    # A large s is improbable itself, so that fewer of its SDs matter.
    spare = np.maximum(SPREAD_DEPTH + 3.0 - 0.5 * (s_full / scale) ** 2, 0.5)
    reach = np.minimum(REACH, np.sqrt(2 * spare)) * s_full
    ends = (m_full - reach).min(), (m_full + reach).max()
    x_step = level.step
    # A grid that ends on multiples of its step does not move with rounding of the boxes.
    x = x_step * np.arange(np.floor(ends[0] / x_step) - 2, np.ceil(ends[1] / x_step) + 3)
    return Nuisance(r, weight, m_full, s_full, (s_weight[:, None] * m_weight).ravel(), x)


def grid_of(task: Task, layout: Layout, level: Level) -> Grid:
    """The nodes of (tau, coefficients) at a level.

    Parameters
    ----------
    task : the fit.
    layout : where the posterior lives.
    level : how many nodes.
    """
    if layout.change is None:
        tau = np.atleast_1d(np.asarray(task.prior.tau.span()[0], dtype=float))
        axes = layout.axes(layout.log_tau, level.mean)
        return Grid(tau, np.zeros(1), np.zeros(1), 0.0, 1.0, *axes, level.mean)
    v = np.linspace(*layout.v, level.tau)
    tau, log_slope = (part[0] for part in layout.change.tau(v[None]))
    axes = layout.axes(np.log(tau), level.mean)
    v_step = float(v[1] - v[0])
    log_cell = log_slope + np.log(v_step)
    log_weight = task.prior.tau.logpdf(tau[None])[0] + log_cell
    return Grid(tau, log_cell, log_weight, float(v[0]), v_step, *axes, level.mean)


def log_prior(task: Task, beta: np.ndarray) -> np.ndarray:
    """Log prior density of coefficients (..., D); flat ones count as density one.

    Parameters
    ----------
    task : the fit, with the priors of its D coefficients.
    beta : (..., D) coefficients.

    Returns
    -------
    (...) log densities.
    """
    proper = np.isfinite(task.prior_sd)
    z = (beta[..., proper] - task.prior_mean[proper]) / task.prior_sd[proper]
    constant = np.log(task.prior_sd[proper]).sum() + 0.5 * LOG_2PI * proper.sum()
    return -0.5 * (z * z).sum(axis=-1) - constant


class Evaluation:
    """The joint posterior on one grid: `log_p` (T, G), not normalised, nuisance integrated out."""

    def __init__(self, task: Task, likelihood: Likelihood, grid: Grid, profile: bool = False):
        self.task, self.likelihood, self.grid = task, likelihood, grid
        coordinates = grid.coordinates()
        t, g, _ = coordinates.shape
        self.beta = (coordinates @ task.root.T).reshape(t * g, -1)
        self.tau = np.repeat(grid.tau, g)
        volume = np.log(np.abs(np.diag(task.root))).sum() + grid.log_volume()
        self.log_weight = (grid.log_weight[:, None] + volume).ravel() + log_prior(task, self.beta)
        self.log_p = np.empty(t * g)
        self.profile = np.full(max(likelihood.nodes.m.size, 1), -np.inf)
        for part, _, log_scale, value in self.pieces():
            self.log_p[part] = log_scale + np.log(value.sum(axis=1))
            if profile:
                with np.errstate(divide="ignore"):
                    joint = log_scale[:, None] + np.log(value)
                self.profile = np.maximum(self.profile, joint.max(axis=0))
        self.log_p = self.log_p.reshape(t, g)

    def points(self, part: slice) -> Points:
        """Some points of the grid, with the means of the rows there."""
        beta, tau, design = self.beta[part], self.tau[part], self.task.design
        if design.shape[1] == 1:
            return Points(tau, beta)
        eta = beta @ design.T
        if self.task.group is None:
            return Points(tau, eta)
        # Two groups on a grid of their means: each is evaluated on its own axis alone.
        n = self.grid.mean_nodes
        slices = tau.size // n**2
        coordinates = (beta @ np.linalg.inv(self.task.root).T).reshape(slices, n, n, 2)
        short_tau = np.repeat(tau[:: n**2], n)
        every = np.arange(slices)[:, None, None] * n
        first = np.broadcast_to(every + np.arange(n)[:, None], (slices, n, n)).ravel()
        second = np.broadcast_to(every + np.arange(n), (slices, n, n)).ravel()
        index = (
            (coordinates[:, :, 0, 0].ravel(), short_tau, first),
            (coordinates[:, 0, :, 1].ravel(), short_tau, second),
        )
        return Points(tau, eta, self.task.group, index)

    def pieces(self) -> Iterator[tuple[slice, Points, np.ndarray, np.ndarray]]:
        """Chunks: their slice, their points, log scale (points,), and value (points, Q)."""
        n = self.grid.mean_nodes
        size = CHUNK if self.task.group is None else n**2 * max(1, round(2 * CHUNK / n**2))
        for first in range(0, self.tau.size, size):
            part = slice(first, min(first + size, self.tau.size))
            points = self.points(part)
            log_scale, value = self.likelihood.joint(points)
            yield part, points, log_scale + self.log_weight[part], value

    @property
    def log_marginal(self) -> float:
        return float(logsumexp(self.log_p))

    def scaled(self, prior: float, likelihood: float) -> Evaluation:
        """The same grid under prior^a likelihood^b of the coefficients and tau."""
        grid = self.grid
        volume = grid.log_volume() + np.log(np.abs(np.diag(self.task.root))).sum()
        log_cell = grid.log_cell[:, None] + volume
        log_prior_density = self.log_weight.reshape(self.log_p.shape) - log_cell
        log_likelihood = self.log_p - log_prior_density - log_cell
        other = copy.copy(self)
        other.log_p = likelihood * log_likelihood + prior * log_prior_density + log_cell
        return other

    def weight(self) -> np.ndarray:
        """Posterior probabilities of the points, (T, G)."""
        weight = np.exp(self.log_p - self.log_p.max())
        return weight / weight.sum()


def evaluate(task: Task, layout: Layout, level: Level, scale_step: float = 0.7) -> Evaluation:
    """The posterior on the grid of one level.

    Parameters
    ----------
    task : the fit.
    layout : where the posterior lives.
    level : how many nodes.
    scale_step : step of the mixture of variances behind Student-t effects (`effect_scales`).
    """
    nodes = nuisance_of(task, layout, level)
    likelihood = Likelihood(task.rows, task.teachers, nodes, task.robust, scale_step)
    return Evaluation(task, likelihood, grid_of(task, layout, level))


def _narrow(log_value: np.ndarray, node: np.ndarray, depth: float) -> tuple[float, float, bool]:
    """The part of a grid within `depth` of its peak, one node wider; whether it has settled.

    Where the part touches an end of the grid the box grows there by a quarter of its width.
    """
    n = log_value.size
    if not np.isfinite(log_value.max()):
        return node[0], node[-1], True  # nothing to be seen here: its mass is zero
    seen = np.flatnonzero(log_value > log_value.max() - depth)
    first, last = seen[0] - 1, seen[-1] + 1
    width = node[-1] - node[0]
    new_low = node[first] if first >= 0 else node[0] - 0.25 * width
    new_high = node[last] if last < n else node[-1] + 0.25 * width
    settled = first >= 0 and last < n and (last - first) >= 0.5 * (n - 1)
    return new_low, new_high, settled


def _core(log_value: np.ndarray, node: np.ndarray) -> tuple[float, float]:
    """Centre and width of the stretch: where the value is within exp(-2) of its peak (2 SDs)."""
    n = log_value.size
    if not np.isfinite(log_value.max()):
        return 0.5 * (node[0] + node[-1]), node[-1] - node[0]
    seen = np.flatnonzero(log_value > log_value.max() - 2.0)
    low = 0.5 * (node[seen[0]] + node[max(seen[0] - 1, 0)])
    high = 0.5 * (node[seen[-1]] + node[min(seen[-1] + 1, n - 1)])
    whole = node[-1] - node[0]
    return 0.5 * (low + high), max(0.75 * (high - low), 1e-5 * whole)


def _first_layout(task: Task, scale_se: np.ndarray) -> Layout:
    """Generous boxes from the priors alone, and from the teachers for m."""
    prior, rows = task.prior, task.rows
    fixed = isinstance(prior.tau, Fixed)
    low_span, high_span = (float(np.max(end)) for end in prior.tau.span())
    upper = float(np.max(prior.tau.end))
    numbers = rows.y[np.isfinite(rows.y)]
    spread = float(np.ptp(numbers)) if numbers.size else 0.0
    if fixed:
        log_tau = np.log(np.array([max(low_span, 1e-300)]))
    else:
        floor = 1e-3 * min(scale_se.min(), low_span, upper)
        ceiling = min(10.0 * max(scale_se.max(), spread, high_span), upper)
        log_tau = np.linspace(np.log(floor), np.log(ceiling), SCAN.tau)
    reach = np.where(
        np.isfinite(task.prior_sd),
        WIDE * task.prior_sd,
        spread + WIDE * (scale_se.max() + np.exp(log_tau[-1])),
    )
    centre = task.prior_mean.copy()
    if numbers.size and not np.isfinite(task.prior_sd[0]):
        centre[0] = numbers.mean()
    inverse = np.linalg.inv(task.root)
    middle = inverse @ centre
    half = np.sqrt((inverse**2) @ reach**2)
    shape = (log_tau.size, 1)
    low, high = np.tile(middle - half, shape), np.tile(middle + half, shape)
    centre, width = np.tile(middle, shape), np.tile(half, shape)

    s_max = 5.2 * prior.log_sd_spread
    s = s_max * np.linspace(0, 1, 12) ** 2
    centre_m, sd_m = prior.log_sd.one
    m_low, m_high = np.full(s.size, np.inf), np.full(s.size, -np.inf)
    r_values = np.linspace(-R_LIMIT, R_LIMIT, 9) if task.r_unknown else [
        prior.r[0] if task.r is None else task.r
    ]  # fmt: skip
    for r in r_values:
        if len(task.teachers):
            seen, variance = task.teachers.seen_log_sd(np.array([r]))
            weight = 1.0 / (s[:, None] ** 2 + variance)
            precision = weight.sum(axis=1) + sd_m**-2
            mean = (weight @ seen[0] + centre_m / sd_m**2) / precision
            sd = precision**-0.5
        else:
            mean, sd = np.full(s.size, centre_m), np.full(s.size, sd_m)
        m_low, m_high = np.minimum(m_low, mean - 7 * sd), np.maximum(m_high, mean + 7 * sd)
    boxes = (low, high, centre, width)
    return Layout(None, (0.0, 0.0), log_tau, *boxes, s_max, s, m_low, m_high)


def lay(task: Task) -> Layout:
    """Find where the posterior lives."""
    scale_se = _typical_se(task.rows, task.prior)
    layout = _first_layout(task, scale_se)
    fixed = isinstance(task.prior.tau, Fixed)
    size = task.design.shape[1]
    scan = replace(SCAN, mean={1: 17, 2: 13}.get(size, 9))
    for _ in range(ROUNDS):
        nodes = nuisance_of(task, layout, scan)
        likelihood = Likelihood(task.rows, task.teachers, nodes, task.robust, SCAN_SCALE_STEP)
        tau = np.exp(layout.log_tau) if not fixed else np.atleast_1d(task.prior.tau.span()[0])
        log_weight = np.zeros(1) if fixed else task.prior.tau.logpdf(tau[None])[0] + layout.log_tau
        axes = layout.axes(layout.log_tau, scan.mean)
        grid = Grid(tau, layout.log_tau, log_weight, 0.0, 1.0, *axes, scan.mean)
        seen = Evaluation(task, likelihood, grid, profile=True)
        by_tau = logsumexp(seen.log_p, axis=1)
        matters = by_tau > by_tau.max() - task.depth
        low, high, centre, width = (np.empty_like(layout.low) for _ in range(4))
        node = grid.coordinates().reshape(tau.size, *(scan.mean,) * size, size)
        settled = True
        for j in range(tau.size):
            cube = seen.log_p[j].reshape((scan.mean,) * size)
            for d in range(size):
                profile = cube.max(axis=tuple(e for e in range(size) if e != d))
                at = np.moveaxis(node[j, ..., d], d, 0).reshape(scan.mean, -1)[:, 0]
                low[j, d], high[j, d], done = _narrow(profile, at, task.depth)
                centre[j, d], width[j, d] = _core(profile, at)
                settled &= done or not matters[j]
        layout = replace(layout, low=low, high=high, centre=centre, width=width)
        if task.learns_sd:
            layout, done = _narrow_m(layout, seen.profile.reshape(scan.s, scan.m), nodes)
            settled &= done
        if settled:
            break
    if fixed:
        return layout
    return _lay_tau(task, layout, by_tau, scan)


def _narrow_m(layout: Layout, profile: np.ndarray, nodes: Nuisance) -> tuple[Layout, bool]:
    """New boxes of m for each s, and a new largest s."""
    size, n = profile.shape
    m = nodes.m.reshape(size, n)
    s = nodes.s.reshape(size, n)[:, 0]
    low, high, settled = np.empty(size), np.empty(size), True
    by_s = profile.max(axis=1)
    for j in range(size):
        low[j], high[j], done = _narrow(profile[j], m[j], DEPTH)
        settled &= done or by_s[j] < by_s.max() - SPREAD_DEPTH
    live = np.flatnonzero(by_s > by_s.max() - SPREAD_DEPTH)
    s_max = layout.s_max
    if live[-1] + 1 < size:
        s_max = s[live[-1] + 1]
        settled &= s_max > 0.5 * layout.s_max
    # Extrapolate to the ends of s as constants: np.interp does.
    return replace(layout, s_max=s_max, s=s, m_low=low, m_high=high), settled


def _lay_tau(task: Task, layout: Layout, by_tau: np.ndarray, scan: Level) -> Layout:
    """The scale of tau and the range of v, from the marginal posterior on a grid of log tau."""
    prior = task.prior.tau
    upper = float(np.max(prior.end))
    bounded, power = np.isfinite(upper), np.isfinite(np.max(prior.tail))
    log_tau = np.linspace(layout.log_tau[0], layout.log_tau[-1], 200)
    mass = np.exp(np.interp(log_tau, layout.log_tau, by_tau - by_tau.max()))
    share = np.cumsum(mass) / mass.sum()
    scale = float(np.exp(log_tau[np.searchsorted(share, 0.25)]))
    scale = min(scale, 0.5 * upper)
    ceiling = float(np.exp(layout.log_tau[-1]))
    top = upper if bounded else max(ceiling / 10, scale) if power else np.inf
    change = Map(np.array([scale]), np.array([upper]), np.array([scale / top]))
    finite = np.inf if bounded else highest_moment(task)
    order = 2.0 if finite > 2 else 1.0 if finite > 1 else 0.0
    slack = 1.0 if bounded else float(np.clip(finite - order, 0.05, 1.0))
    if bounded or power:
        end = np.log((task.depth + 8.0) / slack) + np.log(top / scale)
    else:
        end = np.log(ceiling / scale) + 3.0
    low, high = -4.5, max(end, 1.0)
    layout = replace(layout, change=change)
    level = replace(scan, tau=24, mean=scan.mean)
    for _ in range(3):
        layout = replace(layout, v=(low, high))
        seen = evaluate(task, layout, level, SCAN_SCALE_STEP)
        value = logsumexp(seen.log_p, axis=1) + order * np.log1p(seen.grid.tau / scale)
        live = np.flatnonzero(value > value.max() - task.depth)
        node = np.linspace(low, high, level.tau)
        low, high = node[max(live[0] - 1, 0)], node[min(live[-1] + 1, level.tau - 1)]
        if live[-1] - live[0] >= 0.6 * level.tau:
            break
    return replace(layout, v=(float(low), float(high)))


def highest_moment(task: Task) -> float:
    """Moments of tau of a lower order than this are finite (`quadrature.highest_moment`)."""
    rows = task.rows
    density = (rows.kind != "interval") | (np.isfinite(rows.z_low) & np.isfinite(rows.z_high))
    flat = (~np.isfinite(task.prior_sd)).sum()
    return float(np.max(task.prior.tau.tail)) - 1.0 + density.sum() - flat
