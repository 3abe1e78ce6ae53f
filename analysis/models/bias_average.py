"""Bayesian model averaging over effect, heterogeneity and publication bias, by quadrature.

The 36 models of RoBMA-PSMA (Bartos et al. 2023, Res Synth Methods 14:99; Maier, Bartos &
Wagenmakers 2023, Psychol Methods 28:107): an effect or none, heterogeneity or none, and no bias,
one of six weight functions, PET or PEESE. With v_i = se_i^2, for study i

    no bias          y_i ~ N(mu, v_i + tau^2)
    PET, PEESE       y_i ~ N(mu + b x_i, v_i + tau^2), x_i = se_i or v_i,     b ~ HalfCauchy
    weight function  density proportional to omega(p_i) N(y_i | mu, v_i + tau^2)

where omega falls in steps with the p-value of y_i / se_i, 1 = omega_1 >= omega_2 >= ... >= omega_J,
and the steps eta_j = omega_j - omega_(j+1) have a uniform Dirichlet prior. The normalising constant
of a study is sum_j eta_j P(p < cut_j | mu, tau), a sum of positive terms.

Everything normal is integrated in closed form (mu without weights). What remains is a grid: tau
on a doubly exponential scale with equal steps (as in `analysis.exact.quadrature`), b likewise, mu
about its conditional mean on a sinh scale, omega by Gauss-Legendre. There is no sampling, hence no
Monte Carlo error in a Bayes factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special, stats
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from analysis import exact, priors
from analysis.central import HIGH, LOW

LOG_2PI = np.log(2 * np.pi)
TAU_NODES, MU_NODES, SLOPE_NODES = 28, 48, 52
WEIGHT_NODES = {2: 36, 3: 18, 4: 11}  # for each free weight, by the number of intervals
DEPTH = 24.0  # nats below its peak at which an integrand is cut off
SPREAD = 8.0  # prior standard deviations of mu that the grid covers
ROUGH = 4  # the same in the pass that looks for what matters
SMALL_GAIN = 13.0  # nats below the peak at which a point of the (mu, tau) grid is left as it is
BLOCK = 2_000_000  # numbers held at once
FEW_STUDIES = 10


@dataclass(frozen=True)
class Bias:
    """One mechanism of publication bias; `share` is its part of the prior probability of bias.

    kind : "none", "weights", "pet" or "peese".
    sides, cuts : of a weight function: 1 or 2 sides, and the p-values at which it steps down.
    """

    name: str
    kind: str
    share: float
    sides: int = 1
    cuts: tuple[float, ...] = ()


NO_BIAS = Bias("none", "none", 1.0)
WEIGHT_FUNCTIONS = (
    Bias("two-sided .05", "weights", 1 / 12, 2, (0.05,)),
    Bias("two-sided .05 .10", "weights", 1 / 12, 2, (0.05, 0.10)),
    Bias("one-sided .05", "weights", 1 / 12, 1, (0.05,)),
    Bias("one-sided .025 .05", "weights", 1 / 12, 1, (0.025, 0.05)),
    Bias("one-sided .05 .5", "weights", 1 / 12, 1, (0.05, 0.5)),
    Bias("one-sided .025 .05 .5", "weights", 1 / 12, 1, (0.025, 0.05, 0.5)),
)
REGRESSIONS = (Bias("PET", "pet", 1 / 4), Bias("PEESE", "peese", 1 / 4))
ENSEMBLES = {
    "psma": WEIGHT_FUNCTIONS + REGRESSIONS,
    "weights": WEIGHT_FUNCTIONS,
    "pet_peese": REGRESSIONS,
}


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation and central 95 % interval of a posterior."""

    mean: float
    sd: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class BiasAverage:
    """What `fit` returns.

    Attributes
    ----------
    models : one row a model: effect, heterogeneity, bias, prior_probability,
        posterior_probability, log_marginal_likelihood, mean, sd (of mu) and tau (its mean).
    bf_effect, bf_heterogeneity, bf_bias : inclusion Bayes factors, posterior odds over prior odds.
    mu : over all models, those without an effect counting as zero.
    mu_given_effect : over the models with an effect.
    unadjusted, unadjusted_given_effect : the same over the models without bias only.
    tau, tau_given_heterogeneity : posterior means of the between-study standard deviation.
    k : number of studies.
    statement : what so many studies can say, in words.
    """

    models: pd.DataFrame
    bf_effect: float
    bf_heterogeneity: float
    bf_bias: float
    mu: Summary
    mu_given_effect: Summary
    unadjusted: Summary
    unadjusted_given_effect: Summary
    tau: float
    tau_given_heterogeneity: float
    k: int
    statement: str


def fit(
    y,
    se,
    *,
    mu_prior: exact.Normal,
    tau_prior: exact.TauPrior,
    side: int = 1,
    models: str | Sequence[Bias] = "psma",
    pet_scale: float | None = None,
    peese_scale: float | None = None,
    fineness: float = 1.0,
) -> BiasAverage:
    """Average over effect x heterogeneity x bias.

    Parameters
    ----------
    y, se : estimates and standard errors, shape (k,), k >= 1.
    mu_prior, tau_prior : priors where there is an effect, and where there is heterogeneity.
    side : +1 where publication favours large values of y, -1 where it favours small ones.
    models : "psma", "weights", "pet_peese", or mechanisms of bias whose shares sum to one. Half of
        the prior probability goes to each of effect, heterogeneity and bias.
    pet_scale, peese_scale : scales of the half-Cauchy priors of the slopes; peese_scale has the
        unit 1 / y. Default: the standardised scales of `priors.SELECTION`.
    fineness : multiplies the number of nodes in every direction; to check the accuracy.

    Raises ValueError for impossible data, an unknown side or ensemble, or shares that do not sum to
    one.
    """
    y, se = _checked(y, se)
    if side not in (1, -1):
        raise ValueError(f"side is +1 or -1, not {side}")
    chosen = _shares(models)
    scales = {
        "pet": pet_scale or priors.get("selection", "pet").scale,
        "peese": peese_scale or priors.get("selection", "peese").scale,
    }
    grid = _Grid(side * y, se, side * float(mu_prior.mean), float(mu_prior.sd), tau_prior, fineness)
    rows, parts = [], []
    for bias in (NO_BIAS, *chosen):
        if bias.kind == "none":
            found = _no_bias(grid)
        elif bias.kind == "weights":
            found = _weights(grid, bias, fineness)
        else:
            found = _regression(grid, bias.kind, scales[bias.kind], fineness)
        for part in found:
            share = 1 / 8 if bias.kind == "none" else bias.share / 8
            rows.append(
                {
                    "effect": part.effect,
                    "heterogeneity": part.heterogeneity,
                    "bias": bias.name,
                    "prior_probability": share,
                    "log_marginal_likelihood": part.log_marginal,
                    "mean": side * part.mean + 0.0,
                    "sd": part.sd,
                    "tau": part.tau,
                }
            )
            parts.append(part)
    return _average(pd.DataFrame(rows), parts, side, len(y))


def _checked(y, se) -> tuple[np.ndarray, np.ndarray]:
    y, se = np.asarray(y, dtype=float), np.asarray(se, dtype=float)
    if y.ndim != 1 or y.shape != se.shape:
        raise ValueError(f"y and se must be of one length, got {y.shape} and {se.shape}")
    if len(y) == 0:
        raise ValueError("no study: y is empty")
    for row in np.flatnonzero(~(np.isfinite(y) & np.isfinite(se) & (se > 0))):
        raise ValueError(f"row {row}: y must be finite and se finite and above zero")
    return y, se


def _shares(models: str | Sequence[Bias]) -> tuple[Bias, ...]:
    """The mechanisms of bias, with shares that sum to one."""
    if isinstance(models, str):
        if models not in ENSEMBLES:
            raise ValueError(f"no such ensemble: {models}; known: {', '.join(ENSEMBLES)}")
        total = sum(bias.share for bias in ENSEMBLES[models])
        return tuple(replace(bias, share=bias.share / total) for bias in ENSEMBLES[models])
    total = sum(bias.share for bias in models)
    if abs(total - 1) > 1e-9:
        raise ValueError(f"the shares of the mechanisms sum to {total:g}, not to one")
    return tuple(models)


# --- the grid of tau and mu ----------------------------------------------------------------------


def _half_line(scale: float, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positive numbers x at equally spaced v, log x = log(scale) + v - exp(-v), and log dx/dv."""
    return scale * np.exp(nodes - np.exp(-nodes)), _log_slope(scale, nodes)


def _log_slope(scale: float, nodes: np.ndarray) -> np.ndarray:
    return np.log(scale) + nodes - np.exp(-nodes) + np.log1p(np.exp(-nodes))


def _where_large(v: np.ndarray, curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """The range of v in which some curve is within DEPTH of its own peak."""
    keep = np.zeros(v.size, dtype=bool)
    for curve in curves:
        keep |= curve > curve.max() - DEPTH
    found = np.flatnonzero(keep)
    return v[max(found[0] - 1, 0)], v[min(found[-1] + 1, v.size - 1)]


class _Grid:
    """Nodes of tau and mu that serve every model, and the likelihood without bias on them.

    The first node of tau is zero (no heterogeneity, weight one); the first of mu likewise (no
    effect). A hypothesis is then a block of the grid.

    Attributes
    ----------
    y, variance : (k,)                  tau, log_tau_weight : (T,)
    mu, log_mu_weight, log_likelihood : (T, M)
    centre, width : (T,) of the conditional posterior of mu; position : (T, M) on the sinh scale.
    """

    def __init__(self, y, se, prior_mean, prior_sd, tau_prior, fineness):
        self.y, self.se, self.variance = y, se, se**2
        self.prior_mean, self.prior_sd = prior_mean, prior_sd
        self._place_tau(tau_prior, round(TAU_NODES * fineness))
        self._place_mu(round(MU_NODES * fineness))
        total = self.variance + self.tau[:, None] ** 2
        residual = y - self.mu[:, :, None]
        self.log_likelihood = -0.5 * (
            np.log(total).sum(axis=1)[:, None]
            + (residual**2 / total[:, None, :]).sum(axis=2)
            + len(y) * LOG_2PI
        )

    def _place_tau(self, prior: exact.TauPrior, n: int) -> None:
        if isinstance(prior, exact.Fixed):
            raise ValueError("tau_prior must be a density: the models without heterogeneity fix it")
        scale = 0.5 * self.se.min()
        low, high = (float(np.max(end)) for end in prior.span())
        top = np.log(max(high, low, self.se.max(), np.abs(self.y).max()) / scale) + DEPTH
        v = np.linspace(-4.0, top, 400)
        tau, log_slope = _half_line(scale, v)
        density = _log_prior(prior, tau) + log_slope
        curves = [normal_means(self, tau).log_marginal, null_likelihood(self, tau)]
        low, high = _where_large(v, [curve + density for curve in curves])
        v = np.linspace(low, high, n)
        tau, log_slope = _half_line(scale, v)
        self.tau = np.append(0.0, tau)
        self.log_tau_weight = np.append(
            0.0, _log_prior(prior, tau) + log_slope + np.log(v[1] - v[0])
        )

    def _place_mu(self, n: int) -> None:
        given = normal_means(self, self.tau)
        self.centre, self.width = given.mean, given.sd
        near, far = SPREAD * self.width, SPREAD * self.prior_sd
        low = np.minimum(self.prior_mean - far, self.centre - near)
        high = np.maximum(self.prior_mean + far, self.centre + near)
        start = np.arcsinh((low - self.centre) / self.width)[:, None]
        end = np.arcsinh((high - self.centre) / self.width)[:, None]
        self.start, self.step = start, (end - start) / (n - 1)
        position = start + self.step * np.arange(n)
        mu = self.centre[:, None] + self.width[:, None] * np.sinh(position)
        weight = (
            stats.norm.logpdf(mu, self.prior_mean, self.prior_sd)
            + np.log(self.width[:, None] * self.step)
            + np.log(np.cosh(position))
        )
        nothing = np.zeros((len(self.tau), 1))
        self.mu = np.hstack([nothing, mu])
        self.log_mu_weight = np.hstack([nothing, weight])


def _log_prior(prior: exact.TauPrior, tau: np.ndarray) -> np.ndarray:
    return np.ravel(prior.logpdf(tau[None, :]))


@dataclass(frozen=True)
class _Normal:
    """log p(y | tau, ...) and the normal posterior of mu there; arrays of one shape."""

    log_marginal: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def normal_means(grid, tau: np.ndarray, slope: np.ndarray | None = None, x=None) -> _Normal:
    """mu integrated out under its normal prior, at tau (T,) and, if given, at slopes b (B,).

    With w_i = 1 / (v_i + tau^2), r_i = y_i - b x_i and prior N(m, s^2),
    -2 log p = sum log(2 pi / w_i) + log(1 + s^2 W) + sum w_i (r_i - m)^2
               - (sum w_i (r_i - m))^2 / (W + 1 / s^2),   W = sum w_i.

    Parameters
    ----------
    grid : the studies and the priors.
    tau : (T,) standard deviations between studies.
    slope : (B,) slopes b of the regression on x; None: no regression.
    x : (k,) what the effects are regressed on: standard errors (PET) or variances (PEESE).
    """
    y, m, s = grid.y - grid.prior_mean, grid.prior_mean, grid.prior_sd
    weight = 1 / (grid.variance + tau[:, None] ** 2)
    total = weight.sum(axis=1)
    first, second = weight @ y, weight @ y**2
    if slope is not None:
        total = total[:, None]
        first = first[:, None] - np.outer(weight @ x, slope)
        second = (
            second[:, None]
            - 2 * np.outer(weight @ (x * y), slope)
            + np.outer(weight @ x**2, slope**2)
        )
    precision = total + 1 / s**2
    logs = len(y) * LOG_2PI - np.log(weight).sum(axis=1)
    logs = logs[:, None] if slope is not None else logs
    log_marginal = -0.5 * (logs + np.log(s**2 * precision) + second - first**2 / precision)
    sd = np.broadcast_to(precision**-0.5, log_marginal.shape)
    return _Normal(log_marginal, m + first / precision, sd)


def null_likelihood(grid, tau: np.ndarray, slope: np.ndarray | None = None, x=None) -> np.ndarray:
    """log p(y | tau) without an effect, mu = 0; with slopes b (B,), shape (T, B).

    Parameters
    ----------
    grid, tau, slope, x : as in `normal_means`.
    """
    weight = 1 / (grid.variance + tau[:, None] ** 2)
    logs = len(grid.y) * LOG_2PI - np.log(weight).sum(axis=1)
    squares = weight @ grid.y**2
    if slope is not None:
        logs = logs[:, None]
        squares = (
            squares[:, None]
            - 2 * np.outer(weight @ (x * grid.y), slope)
            + np.outer(weight @ x**2, slope**2)
        )
    return -0.5 * (logs + squares)


# --- posteriors of mu, one a model ---------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """One model: its log marginal likelihood, moments of mu, mean of tau, and the cdf of mu."""

    effect: bool
    heterogeneity: bool
    log_marginal: float
    mean: float
    sd: float
    tau: float
    cdf: Callable[[np.ndarray], np.ndarray]


def _point(heterogeneity: bool, log_marginal: float, tau: float) -> _Part:
    """A model without an effect: mu is zero."""
    return _Part(False, heterogeneity, log_marginal, 0.0, 0.0, tau,
                 lambda at: (at >= 0).astype(float))  # fmt: skip


def _mixture(heterogeneity, log_weight, given: _Normal, tau) -> _Part:
    """A model with an effect whose posterior of mu is a mixture of normals over the nodes."""
    log_marginal = special.logsumexp(log_weight)
    weight = np.exp(log_weight - log_marginal).ravel()
    tau = np.broadcast_to(tau, log_weight.shape).ravel()
    mean, sd = given.mean.ravel(), given.sd.ravel()
    centre = float(weight @ mean)
    variance = float(weight @ (sd**2 + (mean - centre) ** 2))
    large = weight > 1e-10 * weight.max()

    def cdf(at: np.ndarray) -> np.ndarray:
        return special.ndtr((at[:, None] - mean[large]) / sd[large]) @ weight[large]

    return _Part(True, heterogeneity, float(log_marginal), centre, variance**0.5,
                 float(weight @ tau), cdf)  # fmt: skip


def _on_grid(grid: _Grid, rows: slice, log_weight: np.ndarray) -> _Part:
    """A model with an effect whose posterior of mu is known at the nodes, shape (T', M - 1)."""
    log_marginal = special.logsumexp(log_weight)
    weight = np.exp(log_weight - log_marginal)
    mu, tau = grid.mu[rows, 1:], grid.tau[rows, None]
    centre = float((weight * mu).sum())
    variance = float((weight * (mu - centre) ** 2).sum())
    area = CubicSpline(np.arange(mu.shape[1]), weight, axis=1).antiderivative()
    total = area(mu.shape[1] - 1)
    middle, width = grid.centre[rows, None], grid.width[rows, None]

    def cdf(at: np.ndarray) -> np.ndarray:
        place = np.arcsinh((at - middle) / width)
        place = np.clip((place - grid.start[rows]) / grid.step[rows], 0, mu.shape[1] - 1)
        cell = np.minimum(place.astype(int), mu.shape[1] - 2)
        row = np.arange(mu.shape[0])[:, None]
        value = np.zeros_like(place)
        for coefficients in area.c:
            value = value * (place - cell) + coefficients[cell, row]
        return np.clip(value.sum(axis=0) / total.sum(), 0, 1)

    heterogeneity = rows.start == 1
    return _Part(True, heterogeneity, float(log_marginal), centre, variance**0.5,
                 float((weight * tau).sum()), cdf)  # fmt: skip


FIXED, RANDOM = slice(0, 1), slice(1, None)


def _no_bias(grid: _Grid) -> list[_Part]:
    """The four models without bias, in closed form given tau."""
    parts = []
    for rows in (FIXED, RANDOM):
        tau, prior = grid.tau[rows], grid.log_tau_weight[rows]
        null = null_likelihood(grid, tau) + prior
        found = special.logsumexp(null)
        parts.append(_point(rows is RANDOM, float(found), float(np.exp(null - found) @ tau)))
        given = normal_means(grid, tau)
        parts.append(_mixture(rows is RANDOM, given.log_marginal + prior, given, tau))
    return parts


def _regression(grid: _Grid, kind: str, scale: float, fineness: float) -> list[_Part]:
    """PET or PEESE: the slope on a grid, everything else in closed form given tau."""
    x = grid.se if kind == "pet" else grid.variance
    unit = min(scale, 1 / x.max())
    wide = np.linspace(-4.0, 12.0 + np.log(max(scale, 1 / x.min()) / unit), 300)
    nodes = round(SLOPE_NODES * fineness)
    parts = []
    for rows in (FIXED, RANDOM):
        tau = grid.tau[rows]
        for effect in (False, True):
            rough, _ = _slope_density(grid, rows, x, scale, unit, wide, effect)
            v = np.linspace(*_where_large(wide, [special.logsumexp(rough, axis=0)]), nodes)
            value, given = _slope_density(grid, rows, x, scale, unit, v, effect)
            value = value + np.log(v[1] - v[0])
            if effect:
                parts.append(_mixture(rows is RANDOM, value, given, tau[:, None]))
            else:
                found = special.logsumexp(value)
                mean = float((np.exp(value - found) * tau[:, None]).sum())
                parts.append(_point(rows is RANDOM, float(found), mean))
    return parts


def _slope_density(grid, rows, x, scale, unit, v, effect) -> tuple[np.ndarray, _Normal | None]:
    """log p(y, tau, b) at the nodes v of the slope, (T', B), and mu given them if it is free."""
    tau = grid.tau[rows]
    slope, log_slope = _half_line(unit, v)
    given = normal_means(grid, tau, slope, x) if effect else None
    value = null_likelihood(grid, tau, slope, x) if given is None else given.log_marginal
    prior = stats.halfcauchy.logpdf(slope, scale=scale) + log_slope
    return value + prior + grid.log_tau_weight[rows, None], given


def _weights(grid: _Grid, bias: Bias, fineness: float) -> list[_Part]:
    """A weight function: the weights are integrated out at every point of the grid."""
    correction = _integrated_weights(grid, bias, fineness)
    value = grid.log_likelihood + correction + grid.log_mu_weight + grid.log_tau_weight[:, None]
    parts = []
    for rows in (FIXED, RANDOM):
        null = value[rows, 0]
        found = special.logsumexp(null)
        mean = float(np.exp(null - found) @ grid.tau[rows])
        parts.append(_point(rows is RANDOM, float(found), mean))
        parts.append(_on_grid(grid, rows, value[rows, 1:]))
    return parts


def _integrated_weights(grid: _Grid, bias: Bias, fineness: float) -> np.ndarray:
    """log of the mean over the weights of prod_i omega(p_i) / constant_i, shape (T, M).

    A first pass with few nodes tells which points of the grid matter; the others are left at
    the value of that pass.
    """
    intervals = len(bias.cuts) + 1
    counts = np.bincount(_interval_of(grid, bias), minlength=intervals)
    rough = _log_mean_weights(grid, bias, counts, None, ROUGH)
    value = grid.log_likelihood + rough + grid.log_mu_weight + grid.log_tau_weight[:, None]
    matters = np.zeros(value.shape, dtype=bool)
    for rows in (FIXED, RANDOM):
        for columns in (slice(0, 1), slice(1, None)):
            block = value[rows, columns]
            matters[rows, columns] = block > block.max() - SMALL_GAIN
    many = max(1.0, len(grid.y) / 20) ** 0.3  # more studies, sharper weights
    fine = round(WEIGHT_NODES[intervals] * fineness * many)
    rough[matters] = _log_mean_weights(grid, bias, counts, matters, fine)
    return rough


def _critical(grid: _Grid, bias: Bias) -> np.ndarray:
    """|z| at which the p-value reaches each cut, (J - 1,)."""
    return stats.norm.isf(np.array(bias.cuts) / bias.sides)


def _interval_of(grid: _Grid, bias: Bias) -> np.ndarray:
    """The interval of p-values of each study, 0 for the most significant, (k,)."""
    z = grid.y / grid.se
    z = np.abs(z) if bias.sides == 2 else z
    return (z[:, None] < _critical(grid, bias)).sum(axis=1)


def _log_mean_weights(grid, bias, counts, matters, nodes) -> np.ndarray:
    """The logarithm of that mean, by Gauss-Legendre; for the grid or the points that matter."""
    eta, omega, log_prior = weight_nodes(len(bias.cuts) + 1, nodes)
    with np.errstate(divide="ignore"):
        numerator = log_prior + np.log(omega) @ counts
    if matters is None:
        matters = np.ones(grid.mu.shape, dtype=bool)
        shape = grid.mu.shape
    else:
        shape = (int(matters.sum()),)
    which_tau = np.nonzero(matters)[0]
    mu = grid.mu[matters]
    found = np.empty(mu.size)
    k = len(grid.y)
    block = max(1, BLOCK // (k * eta.shape[0]))
    critical = _critical(grid, bias) * grid.se[:, None]
    for first in range(0, mu.size, block):
        part = slice(first, first + block)
        spread = np.sqrt(grid.variance + grid.tau[which_tau[part], None] ** 2)[:, :, None]
        middle = mu[part, None, None]
        below = special.ndtr((middle - critical) / spread)
        if bias.sides == 2:
            below = below + special.ndtr((-middle - critical) / spread)
        constants = below @ eta[:, :-1].T + eta[:, -1]
        products = np.multiply.reduceat(constants, np.arange(0, k, 8), axis=1)
        logs = np.log(np.maximum(products, 1e-300)).sum(axis=1)
        found[part] = special.logsumexp(numerator - logs, axis=1)
    return found.reshape(shape)


def weight_nodes(intervals: int, nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes for the weights of a step function under the uniform cumulative Dirichlet prior.

    omega_2 = u_1, omega_3 = u_1 u_2, ... with u_j ~ Beta(J - j, 1) independent; u = x^3 packs the
    nodes near zero, where few non-significant studies put the posterior.

    Returns eta (W, J), the steps; omega (W, J); and the log prior weights (W,), summing to one.

    Parameters
    ----------
    intervals : J, steps of the weight function.
    nodes : of each u.
    """
    x, weight = np.polynomial.legendre.leggauss(nodes)
    x, weight = (x + 1) / 2, weight / 2
    free = intervals - 1
    omega, log_prior = np.ones((1, 1)), np.zeros(1)
    for j in range(free):
        shape = free - j
        next_log = np.log(3 * shape * weight) + (3 * shape - 1) * np.log(x)
        tail = (omega[:, -1:] * x**3).ravel()
        omega = np.column_stack([np.repeat(omega, nodes, axis=0), tail])
        log_prior = (log_prior[:, None] + next_log).ravel()
    eta = omega - np.column_stack([omega[:, 1:], np.zeros(len(omega))])
    return eta, omega, log_prior


# --- averaging -----------------------------------------------------------------------------------


def _average(table: pd.DataFrame, parts: list[_Part], side: int, k: int) -> BiasAverage:
    log_weight = table["log_marginal_likelihood"] + np.log(table["prior_probability"])
    table["posterior_probability"] = np.exp(log_weight - special.logsumexp(log_weight))
    no_bias = table["bias"].eq(NO_BIAS.name).to_numpy()
    effect = table["effect"].to_numpy()
    random = table["heterogeneity"].to_numpy()
    log_weight = log_weight.to_numpy()
    everywhere = np.ones(len(table), dtype=bool)

    def inclusion(inside: np.ndarray) -> float:
        odds = special.logsumexp(log_weight[inside]) - special.logsumexp(log_weight[~inside])
        prior = table["prior_probability"].to_numpy()
        return float(np.exp(odds) * prior[~inside].sum() / prior[inside].sum())

    def mean_tau(inside: np.ndarray) -> float:
        weight = np.exp(log_weight[inside] - special.logsumexp(log_weight[inside]))
        return float(weight @ table["tau"].to_numpy()[inside])

    def summary(inside: np.ndarray) -> Summary:
        return _summarise([parts[i] for i in np.flatnonzero(inside)], log_weight[inside], side)

    columns = ["effect", "heterogeneity", "bias", "prior_probability", "posterior_probability",
               "log_marginal_likelihood", "mean", "sd", "tau"]  # fmt: skip
    bf_bias = inclusion(~no_bias)
    return BiasAverage(
        models=table[columns],
        bf_effect=inclusion(effect),
        bf_heterogeneity=inclusion(random),
        bf_bias=bf_bias,
        mu=summary(everywhere),
        mu_given_effect=summary(effect),
        unadjusted=summary(no_bias),
        unadjusted_given_effect=summary(no_bias & effect),
        tau=mean_tau(everywhere),
        tau_given_heterogeneity=mean_tau(random),
        k=k,
        statement=statement(k, bf_bias),
    )


def _summarise(parts: list[_Part], log_weight: np.ndarray, side: int) -> Summary:
    """Moments and central 95 % interval of a mixture of models."""
    weight = np.exp(log_weight - special.logsumexp(log_weight))
    mean = np.array([part.mean for part in parts])
    sd = np.array([part.sd for part in parts])
    centre = float(weight @ mean)
    spread = float(np.sqrt(weight @ (sd**2 + (mean - centre) ** 2)))
    used = [(w, part) for w, part in zip(weight, parts, strict=True) if w > 1e-9]

    def cdf(at: float) -> float:
        point = np.array([at])
        return sum(w * float(part.cdf(point)[0]) for w, part in used)

    reach = max((abs(part.mean) + 12 * part.sd for _, part in used), default=0.0) + 1e-12
    ends = [_quantile(cdf, level, reach) for level in (LOW, HIGH)]
    first, last = sorted(side * end + 0.0 for end in ends)  # + 0.0: no negative zero
    return Summary(side * centre + 0.0, spread, first, last)


def _quantile(cdf: Callable[[float], float], level: float, reach: float) -> float:
    """Where a distribution inside (-reach, reach) reaches a level; models without an effect put
    some of it at zero."""  # fmt: skip
    near = 1e-9 * reach
    if cdf(-near) < level <= cdf(near):
        return 0.0
    low, high = (near, reach) if cdf(near) < level else (-reach, -near)
    return float(brentq(lambda at: cdf(at) - level, low, high, xtol=1e-14 * reach, rtol=1e-15))


def statement(k: int, bf_bias: float) -> str:
    """What the Bayes factor for bias says, and what so few studies cannot say.

    Parameters
    ----------
    k : studies.
    bf_bias : Bayes factor for publication bias.
    """
    strength = max(bf_bias, 1 / bf_bias if bf_bias > 0 else np.inf)
    word = "no" if strength < 3 else "moderate" if strength < 10 else "strong"
    way = "either way" if strength < 3 else "for bias" if bf_bias > 1 else "against bias"
    text = f"{word} evidence {way} (Bayes factor {bf_bias:.3g})"
    if k < FEW_STUDIES:
        return (
            f"{k} {'study' if k == 1 else 'studies'}: these models can say little with fewer than "
            f"{FEW_STUDIES}; {text}"
        )
    return f"{k} studies: {text}"
