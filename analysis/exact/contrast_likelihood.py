"""The likelihood of contrasts given the mean, the heterogeneity, r and the spread of SDs.

The study's own effect theta_i ~ N(eta_i, tau^2) has a closed form integral: with the total variance
se_i^2 + tau^2 a printed value is normal around eta_i, and a result in words has the probability of
an interval. Where no spread is printed, log sd_i ~ N(m, s^2): the likelihood given log sd_i is
tabulated on an even grid and averaged by one matrix, `log_sd_kernel`, which is the same for all
studies. Given (eta, tau, r, m, s) studies are independent, so that

    p(data | mu, tau) = sum over m, s of [sum over r of A(mu, tau, r) T(r, m, s)] W(mu, tau, m, s)

with A the rows of known variance, T the studies that teach SDs, W the product of those tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import log_ndtr, ndtr

from analysis.exact.contrast_data import Contrasts

LOG_2PI = np.log(2.0 * np.pi)
EFFECT_DF = 4.0  # degrees of freedom of heavy-tailed effects
FLOOR = -200.0  # log of the smallest likelihood of a study, relative to its largest
TINY = 1e-280  # probabilities below it are taken from logarithms
REACH = 5.5  # SDs of log SD around its mean that are tabulated


def log_interval_probability(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log(Phi(high) - Phi(low)), low < high, taken in the tail where it is accurate.

    Parameters
    ----------
    low, high : ends, of one shape; may be infinite.
    """
    if np.all(np.isneginf(low)):
        return log_ndtr(high)
    if np.all(np.isposinf(high)):
        return log_ndtr(-low)
    upper, lower = np.minimum(high, -low), np.minimum(low, -high)  # in the lower tail
    inside = ndtr(upper) - ndtr(lower)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(inside)
        far = inside < TINY
        if far.any():
            a, b = log_ndtr(upper[far]), log_ndtr(lower[far])
            found[far] = a + np.log(-np.expm1(np.minimum(b - a, -1e-300)))
    return found


def log_density(kind: str, y: float, z_low: float, z_high: float, log_se, eta, tau2) -> np.ndarray:
    """Log likelihood of one row given its SE, its mean eta and tau^2; everything broadcasts.

    Parameters
    ----------
    kind, y, z_low, z_high : what was printed (`contrast_data`).
    log_se, eta, tau2 : log standard error, mean of the study's effect, variance between studies.
    """
    se = np.exp(log_se)
    total2 = se**2 + tau2

    def normal(value):
        return -0.5 * ((value - eta) ** 2 / total2 + np.log(total2) + LOG_2PI)

    if kind == "numeric":
        return normal(y)
    if kind == "exact_p":
        return normal(z_high * se) + log_se
    if kind == "two_points":
        return np.logaddexp(normal(z_high * se), normal(-z_high * se)) - np.log(2.0) + log_se
    total = np.sqrt(total2)
    return log_interval_probability((z_low * se - eta) / total, (z_high * se - eta) / total)


def effect_scales(robust: bool, step: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Factors on tau^2 and their probabilities: one, or the mixture that is a Student t.

    With v ~ InverseGamma(df / 2, df / 2) a normal of variance v tau^2 is tau times a t variable.
    log(1 / v) has a smooth density, so that equal steps converge exponentially.

    Parameters
    ----------
    robust : whether effects are Student t; otherwise one factor, 1.
    step : of log(1 / v) between the factors.

    Returns
    -------
    factors, probabilities : of one length; the probabilities sum to one.
    """
    if not robust:
        return np.ones(1), np.ones(1)
    log_precision = np.arange(-7.0, 1.76, step)
    a = EFFECT_DF / 2
    density = np.exp(a * log_precision - a * np.exp(log_precision))
    return np.exp(-log_precision), density / density.sum()


@dataclass(frozen=True)
class Points:
    """Where a likelihood is wanted.

    tau : (points,).      eta : (points, k) mean of each row, or (points, 1) the same for all.
    column, index : where rows share coordinates of a grid: for each row its coordinate, and for
        each coordinate the (means, taus, index of every point among them). None: no sharing.
    """

    tau: np.ndarray
    eta: np.ndarray
    column: np.ndarray | None = None
    index: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...] = ()

    def of_row(self, i: int) -> np.ndarray:
        """Mean of a row at every point."""
        return self.eta[:, i if self.eta.shape[1] > 1 else 0]

    def distinct(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | slice]:
        """Mean and tau of a row at its distinct places, and the place of every point."""
        if self.column is None:
            return self.of_row(i), self.tau, slice(None)
        return self.index[self.column[i]]


def log_sd_kernel(x: np.ndarray, m: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The matrix that averages a function tabulated at x over N(m, s^2).

    Parameters
    ----------
    x : (n,) evenly spaced.
    m, s : (q,) means and SDs.

    Returns
    -------
    (n, q): function values (p, n) times it are the averages (p, q). Where s exceeds the spacing
    the trapezoidal rule is exact to rounding (a normal that leaves the grid is cut off there);
    below, the function is interpolated by a quintic spline at nodes of the normal.
    """
    step = x[1] - x[0]
    wide = s >= step
    kernel = np.empty((x.size, m.size))
    z = (x[:, None] - m[wide]) / s[wide]
    kernel[:, wide] = np.exp(-0.5 * z * z) * (step / np.sqrt(2 * np.pi)) / s[wide]
    if not wide.all():
        u = np.linspace(-REACH, REACH, 23)
        weight = np.exp(-0.5 * u * u)
        weight /= weight.sum()
        narrow = ~wide
        points = m[narrow, None] + s[narrow, None] * u
        cardinal = make_interp_spline(x, np.eye(x.size), k=5)(np.clip(points, x[0], x[-1]).ravel())
        cardinal = cardinal.reshape(*points.shape, x.size)
        kernel[:, narrow] = np.einsum("qun,u->nq", cardinal, weight)
    kernel /= kernel.sum(axis=0)
    kernel[np.abs(kernel) < 1e-30] = 0.0
    return kernel


@dataclass(frozen=True)
class Nuisance:
    """Nodes of what is integrated out: r, and (m, s) of the log SDs.

    r, r_weight : (R,) nodes and prior probabilities.
    m, s, sd_weight : (Q,) nodes and prior weights of the log SDs; empty arrays when none is learnt.
    x : (n,) even grid of log SD on which studies are tabulated.
    """

    r: np.ndarray
    r_weight: np.ndarray
    m: np.ndarray
    s: np.ndarray
    sd_weight: np.ndarray
    x: np.ndarray


class Likelihood:
    """The likelihood on given nuisance nodes, at any points (eta, tau).

    Parameters
    ----------
    rows : the rows that are pooled.
    teachers : the studies that teach SDs (may be empty).
    nodes : of r and of the log SDs.
    robust : effects are Student t with four degrees of freedom around their mean.
    scale_step : step of the mixture that is the Student t.
    """

    def __init__(
        self,
        rows: Contrasts,
        teachers: Contrasts,
        nodes: Nuisance,
        robust: bool,
        scale_step: float = 0.7,
    ):
        self.rows, self.nodes = rows, nodes
        self.known = np.flatnonzero(rows.has_spread)
        self.learnt = np.flatnonzero(~rows.has_spread)
        self.se_bounds = rows.log_se_bounds()
        self.scale, self.scale_weight = effect_scales(robust, scale_step)
        self.log_se_known = 0.5 * np.log(
            rows.var_a[self.known, None] - nodes.r * rows.var_b[self.known, None]
        )
        self.has_sd = nodes.m.size > 0
        if self.has_sd:
            self.kernel = log_sd_kernel(nodes.x, nodes.m, nodes.s)
            log_teach = np.zeros((nodes.r.size, nodes.m.size))
            if len(teachers):
                seen, variance = teachers.seen_log_sd(nodes.r)
                for j in range(len(teachers)):
                    total2 = nodes.s**2 + variance[j]
                    log_teach -= 0.5 * (
                        (seen[:, j, None] - nodes.m) ** 2 / total2 + np.log(total2) + LOG_2PI
                    )
            self.teach_scale = float(log_teach.max())
            self.teach = (
                np.exp(log_teach - self.teach_scale) * nodes.r_weight[:, None] * nodes.sd_weight
            )
        else:
            self.teach_scale, self.teach = 0.0, nodes.r_weight[:, None]

    def _over_scales(self, value) -> np.ndarray:
        """log of the average of exp(value(scale)) over the mixture of variances."""
        if self.scale.size == 1:
            return value(1.0)
        parts = np.stack([value(scale) for scale in self.scale])
        top = parts.max(axis=0)
        return np.log(np.tensordot(self.scale_weight, np.exp(parts - top), 1)) + top

    def log_row(self, i: int, log_se, eta, tau2) -> np.ndarray:
        """Log likelihood of a row given its SE and the variance between studies (one scale)."""
        rows = self.rows
        return log_density(
            rows.kind[i], rows.y[i], rows.z_low[i], rows.z_high[i], log_se, eta, tau2
        )

    def _row(self, i: int, log_se, eta, tau2) -> np.ndarray:
        return self._over_scales(lambda scale: self.log_row(i, log_se, eta, scale * tau2))

    def known_row(self, i: int, eta: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Log likelihood of a row of known variance, (points, R)."""
        at = np.searchsorted(self.known, i)
        log_se = self.log_se_known[at]
        if self.rows.var_b[i] == 0:
            log_se = log_se[:1]
        return self._row(i, log_se, eta[:, None], tau[:, None] ** 2)

    def learnt_table(
        self, i: int, eta: np.ndarray, tau: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Likelihood of a row without a spread on the grid of log SD: (points, n), log scale."""
        log_se = self.nodes.x + 0.5 * np.log(self.rows.n_factor[i])
        table = self._row(i, log_se, eta[:, None], tau[:, None] ** 2) + self.log_bound(i, log_se)
        top = table.max(axis=1)
        return np.exp(np.maximum(table - top[:, None], FLOOR)), top

    def log_bound(self, i: int, log_se: np.ndarray) -> np.ndarray:
        """Log probability of the printed bound on p of a number, given its log SE, (n,)."""
        low, high, width = (bound[i] for bound in self.se_bounds)
        if np.isneginf(low) and np.isposinf(high):
            return np.zeros_like(log_se)
        return log_interval_probability((low - log_se) / width, (high - log_se) / width)

    def learnt_row(self, i: int, eta: np.ndarray, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Likelihood of a row without a spread given (m, s): (points, Q), and its log scale."""
        table, top = self.learnt_table(i, eta, tau)
        return self.average(table), top

    def average(self, table: np.ndarray) -> np.ndarray:
        """A likelihood tabulated on the grid of log SD, (points, n), averaged given (m, s)."""
        # A spline may dip below zero by its error; a likelihood may not.
        return np.maximum(table @ self.kernel, np.exp(FLOOR))

    def joint(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Likelihood times the prior of the nuisance, r summed out.

        Returns
        -------
        log_scale : (points,);  value : (points, Q or 1). The likelihood is exp(log_scale) value.
        """
        size = points.tau.size
        log_scale = np.full(size, self.teach_scale)
        log_known = np.zeros((size, self.nodes.r.size))
        for i in self.known.tolist():
            eta, tau, place = points.distinct(i)
            log_known += self.known_row(i, eta, tau)[place]
        top = log_known.max(axis=1)
        log_scale += top
        value = np.exp(log_known - top[:, None]) @ self.teach
        for i in self.learnt.tolist():
            eta, tau, place = points.distinct(i)
            part, top = self.learnt_row(i, eta, tau)
            value *= part[place]
            best = value.max(axis=1)
            value /= best[:, None]
            log_scale += top[place] + np.log(best)
        return log_scale, value

    def weight_of_r(self, points: Points, share: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Contribution of some points to the posterior of the nodes of r, (R,).

        Parameters
        ----------
        share, value : scaled weights (points,) and the joint (points, Q) of `joint` there.
        """
        log_known = np.zeros((points.tau.size, self.nodes.r.size))
        for i in self.known.tolist():
            log_known += self.known_row(i, points.of_row(i), points.tau)
        known = np.exp(log_known - log_known.max(axis=1)[:, None])
        total = np.maximum(known @ self.teach, 1e-300)
        return ((share[:, None] * value / total) @ self.teach.T * known).sum(axis=0)
