"""Distributions known at equally spaced nodes: their density, distribution function, quantiles.

A smooth density sampled at equal steps is its own sinc interpolant, as accurate as the trapezoidal
rule on the same nodes (Trefethen & Weideman 2014, SIAM Review 56:385); the integral of the
interpolant is a sum of sine integrals. A `Slices` holds many such rows at once, one for each node
of another variable (the heterogeneity), and answers for their mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri, sici

BLOCK = 400_000  # nodes times points evaluated at once
NEWTON_STEPS = 100
SMALL_STEP = 1e-6
NOISE = 1e-15  # rounding of a distribution function


def sinc_cdf(z: np.ndarray) -> np.ndarray:
    """Integral of sin(pi t) / (pi t) up to z."""
    return 0.5 + sici(np.pi * z)[0] / np.pi


@dataclass(frozen=True)
class Slices:
    """A mixture of rows of nodes, even in t with x = centre + width sinh(t).

    The stretch lays nodes densely where a row has its peak and thinly in its tails; a width that is
    large against the range of the row makes them even in x.

    start, step : (rows,) first t and spacing of each row.
    weight : (rows, nodes) probability of each node; they sum to one over all rows.
    centre, width : (rows,) of the stretch.
    """

    start: np.ndarray
    step: np.ndarray
    weight: np.ndarray
    centre: np.ndarray
    width: np.ndarray

    @classmethod
    def even(cls, start: float, step: float, weight: np.ndarray) -> Slices:
        """One row of nodes that are even in x (but for a stretch of one part in 1e8)."""
        width = 1e4 * abs(step) * weight.size
        middle = start + 0.5 * step * (weight.size - 1)
        ends = np.arcsinh((np.array([start, start + step * (weight.size - 1)]) - middle) / width)
        each = (ends[1] - ends[0]) / (weight.size - 1)
        return cls(ends[:1], np.array([each]), weight[None], np.array([middle]), np.array([width]))

    def rows(self, index: np.ndarray) -> Slices:
        """A selection of rows."""
        return Slices(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def nodes(self) -> np.ndarray:
        """(rows, nodes)"""
        t = self.start[:, None] + self.step[:, None] * np.arange(self.weight.shape[1])
        return self.centre[:, None] + self.width[:, None] * np.sinh(t)

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""
        nodes = self.nodes()
        mean = float((self.weight * nodes).sum())
        return mean, float(np.sqrt((self.weight * (nodes - mean) ** 2).sum()))

    def _sum(self, kernel: Any, x: np.ndarray, density: bool) -> np.ndarray:
        """Sum over rows and nodes of weight times kernel; x is (m,) or (m, rows)."""
        live = self.weight.sum(axis=1) > 1e-18
        here = self if live.all() else self.rows(live)
        x = x[:, None] if x.ndim == 1 else x[:, live]
        index = np.arange(here.weight.shape[1])
        out = np.empty(x.shape[0])
        size = max(1, BLOCK // here.weight.size)
        for first in range(0, x.shape[0], size):
            part = slice(first, first + size)
            t = np.arcsinh((x[part] - here.centre) / here.width)
            value = kernel(((t - here.start) / here.step)[:, :, None] - index)
            by_row = np.matmul(value.transpose(1, 0, 2), here.weight[:, :, None])[:, :, 0].T
            if density:
                by_row = by_row / (here.step * here.width * np.cosh(t))
            out[part] = by_row.sum(axis=1)
        return out

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """P(quantity <= x); x is (m,), or (m, rows) with a point of its own for each row."""
        return np.clip(self._sum(sinc_cdf, x, density=False), 0.0, 1.0)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """Density at x, as `cdf`."""
        return np.maximum(self._sum(np.sinc, x, density=True), 0.0)

    def ends(self) -> tuple[float, float]:
        """Where the nodes begin and end."""
        nodes = self.nodes()
        return float(nodes.min()), float(nodes.max())


def solve_quantiles(
    p: np.ndarray, cdf: Any, pdf: Any, mean: float, sd: float, low: float, high: float
) -> np.ndarray:
    """Quantiles of a distribution by Newton steps on the probit scale, inside a shrinking bracket.

    On that scale a normal distribution is a straight line, and others are nearly one.

    Parameters
    ----------
    p : (m,) probabilities.
    cdf, pdf : functions of an array of points.
    mean, sd : where to start, as if it were normal.
    low, high : a bracket of every quantile wanted.
    """
    result = np.where(p <= 0, -np.inf, np.inf)
    inside = (p > 0) & (p < 1)
    if not inside.any():
        return result
    wanted = p[inside]
    z = ndtri(wanted)
    below, above = np.full(wanted.size, low), np.full(wanted.size, high)
    x = np.clip(mean + sd * z, low, high)
    for _ in range(NEWTON_STEPS):
        reached = cdf(x)
        gap = reached - wanted
        below, above = np.where(gap < 0, x, below), np.where(gap < 0, above, x)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            probit = ndtri(reached)
            step = (z - probit) * np.exp(-0.5 * probit**2) / (np.sqrt(2 * np.pi) * pdf(x))
        trusted = (x + step > below) & (x + step < above) | (np.abs(gap) < NOISE)
        step = np.where(np.abs(gap) < NOISE, 0.0, step)
        new = np.where(trusted, x + step, 0.5 * (below + above))
        moved = np.abs(new - x)
        x = new
        # Newton's error squares at each step: after one this small nothing is left to gain.
        if np.all((trusted & (np.abs(step) <= SMALL_STEP * sd)) | (moved <= 1e-12 * sd)):
            break
    result[inside] = x
    return result
