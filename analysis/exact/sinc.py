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


def sinc_cdf(z: np.ndarray) -> np.ndarray:
    """Integral of sin(pi t) / (pi t) up to z."""
    return 0.5 + sici(np.pi * z)[0] / np.pi


@dataclass(frozen=True)
class Slices:
    """A mixture of rows of equally spaced nodes.

    start, step : (rows,) first node and spacing of each row.
    weight : (rows, nodes) probability of each node; they sum to one over all rows.
    """

    start: np.ndarray
    step: np.ndarray
    weight: np.ndarray

    def nodes(self) -> np.ndarray:
        """(rows, nodes)"""
        return self.start[:, None] + self.step[:, None] * np.arange(self.weight.shape[1])

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""
        nodes = self.nodes()
        mean = float((self.weight * nodes).sum())
        return mean, float(np.sqrt((self.weight * (nodes - mean) ** 2).sum()))

    def _sum(self, kernel: Any, x: np.ndarray, scale: np.ndarray) -> np.ndarray:
        nodes = self.nodes().ravel()
        step = np.repeat(self.step, self.weight.shape[1])
        weight = (self.weight * scale[:, None]).ravel()
        live = weight > 1e-18 * weight.max()
        nodes, step, weight = nodes[live], step[live], weight[live]
        out = np.empty(x.size)
        size = max(1, BLOCK // nodes.size)
        for first in range(0, x.size, size):
            part = slice(first, first + size)
            out[part] = kernel((x[part, None] - nodes) / step) @ weight
        return out

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """P(quantity <= x), x of shape (m,)."""
        return np.clip(self._sum(sinc_cdf, x, np.ones(self.step.size)), 0.0, 1.0)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """Density at x, (m,)."""
        return np.maximum(self._sum(np.sinc, x, 1.0 / self.step), 0.0)

    def ends(self) -> tuple[float, float]:
        """Where the nodes begin and end."""
        last = self.start + self.step * (self.weight.shape[1] - 1)
        return float(self.start.min()), float(last.max())


def solve_quantiles(
    p: np.ndarray, cdf: Any, pdf: Any, mean: float, sd: float, low: float, high: float
) -> np.ndarray:
    """Quantiles of a distribution by Newton steps inside a bracket that shrinks.

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
    below, above = np.full(wanted.size, low), np.full(wanted.size, high)
    x = np.clip(mean + sd * ndtri(wanted), low, high)
    for _ in range(NEWTON_STEPS):
        gap = cdf(x) - wanted
        below, above = np.where(gap < 0, x, below), np.where(gap < 0, above, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = x - gap / pdf(x)
        new = np.where((new > below) & (new < above), new, 0.5 * (below + above))
        step = np.abs(new - x)
        x = new
        if np.all(step <= 1e-11 * sd):
            break
    result[inside] = x
    return result
