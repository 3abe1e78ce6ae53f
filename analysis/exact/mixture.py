"""Mixtures of normal distributions: the posterior of any quantity that is normal given τ.

The distribution is Σ_t w_t N(m_t, s_t²) over the nodes of τ (Röver 2020, section 2.4, equation for
the marginal of μ). Everything works on many mixtures at once, shape (rows, nodes).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

SMALL_STEP = 1e-6
THIN = 4
FEW_NODES = 24
MAX_STEPS = 200


def cdf(weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(quantity ≤ x) for one x a row, shape (rows,).

    Parameters
    ----------
    weight, mean, sd : (rows, nodes) components of each mixture; weights sum to one.
    x : (rows,) where it is asked.
    """
    return np.einsum("rt,rt->r", weight, ndtr((x[:, None] - mean) / sd))


def pdf(weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Density at one x a row, shape (rows,).

    Parameters
    ----------
    weight, mean, sd : (rows, nodes) components of each mixture; weights sum to one.
    x : (rows,) where it is asked.
    """
    z = (x[:, None] - mean) / sd
    return np.einsum("rt,rt->r", weight / sd, np.exp(-0.5 * z * z)) / np.sqrt(2 * np.pi)


def moments(weight: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, each (rows,): laws of total expectation and variance.

    Parameters
    ----------
    weight, mean, sd : (rows, nodes) components of each mixture; weights sum to one.

    Returns
    -------
    mean, sd : (rows,).
    """
    centre = np.einsum("rt,rt->r", weight, mean)
    variance = np.einsum("rt,rt->r", weight, sd**2 + (mean - centre[:, None]) ** 2)
    return centre, np.sqrt(variance)


def quantile(weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Quantile at one p a row, shape (rows,).

    Newton steps on the probit scale, on which a single normal is a straight line, inside a
    bracket that halves whenever a step leaves it. The upper tail is solved as a lower tail of the
    mirrored mixture, so that small tail probabilities keep their digits.

    Parameters
    ----------
    weight, mean, sd : (rows, nodes) components of each mixture; weights sum to one.
    p : (rows,) probabilities, 0 and 1 included.
    """
    p = np.asarray(p, dtype=float)
    result = np.where(p <= 0.0, -np.inf, np.inf)
    rows = np.flatnonzero((p > 0.0) & (p < 1.0))
    if rows.size == 0:
        return result
    sign = np.where(p[rows] > 0.5, -1.0, 1.0)
    tail = np.where(sign < 0, 1.0 - p[rows], p[rows])
    w, s = weight[rows], sd[rows]
    m = sign[:, None] * mean[rows]
    result[rows] = sign * _lower_quantile(w, m, s, tail)
    return result


def _lower_quantile(w: np.ndarray, m: np.ndarray, s: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Quantile at p ≤ ½ of each row, started from that of every fourth component, and so on."""
    z = ndtri(p)
    each = m + s * z[:, None]
    low, high = each.min(axis=1), each.max(axis=1)
    if w.shape[1] > FEW_NODES:
        thin = w[:, ::THIN] / w[:, ::THIN].sum(axis=1, keepdims=True)
        x = _lower_quantile(thin, m[:, ::THIN], s[:, ::THIN], p)
    else:
        x = np.einsum("rt,rt->r", w, each)
    x = np.where((x > low) & (x < high), x, 0.5 * (low + high))
    solved = x.copy()
    live = np.arange(p.size)
    for _ in range(MAX_STEPS):
        u = (x[:, None] - m) / s
        below = np.einsum("rt,rt->r", w, ndtr(u))
        slope = np.einsum("rt,rt->r", w / s, np.exp(-0.5 * u * u))  # times sqrt(2 pi)
        under = below < p
        low, high = np.where(under, x, low), np.where(under, high, x)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            probit = ndtri(below)
            local_sd = np.exp(-0.5 * probit**2) / slope
            step = (z - probit) * local_sd
        inside = (x + step > low) & (x + step < high)
        new = np.where(inside, x + step, 0.5 * (low + high))
        # Newton's error squares at each step: after one this small nothing is left to gain.
        done = (inside & (np.abs(step) <= SMALL_STEP * local_sd)) | (
            high - low <= 1e-14 * np.maximum(np.abs(low), np.abs(high))
        )
        solved[live] = new
        if done.all():
            break
        keep = ~done
        live, x, low, high = live[keep], new[keep], low[keep], high[keep]
        w, m, s, p, z = w[keep], m[keep], s[keep], p[keep], z[keep]
    return solved
