"""Distributions known by their density at evenly spaced points, on the scale people read.

Quadrature leaves the posterior of a log odds, a log rate or a log time as values on an even grid
that fall to nothing at both ends. Such values fix the whole function (it is band-limited up to
rounding: Trefethen & Weideman 2014, SIAM Review 56:385), so it is first made denser by the Fourier
transform, then integrated as a cubic spline; moments are trapezoidal sums. A `Scale` carries the
result to a share, a rate or months; quantiles follow the scale, moments are integrated on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit

from analysis.central import HIGH, LOW
from analysis.exact.posterior import Distribution

DENSER = 8
NEWTON_STEPS = 6
"""Of a quantile, within one cell of the denser grid, where the function is nearly straight."""
NOISE = 1e-15
"""Values below this share of the peak are rounding."""
TAIL = 1e-4
"""A mean whose integrand still has this share of its peak at the end of the grid is not finite."""


@dataclass(frozen=True)
class Scale:
    """An increasing function from the grid's own variable to the scale people read.

    forward, backward : the function and its inverse.
    slope : its derivative, as a function of the grid's variable.
    bounded : moments always exist.
    """

    forward: Callable[[np.ndarray], np.ndarray]
    backward: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    bounded: bool = False


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _safe_log(y: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(y, 0.0))


def _safe_logit(y: np.ndarray) -> np.ndarray:
    return logit(np.clip(y, 0.0, 1.0))


IDENTITY = Scale(_same, _same, np.ones_like)
SHARE = Scale(expit, _safe_logit, lambda x: expit(x) * expit(-x), bounded=True)


def multiple(per: float = 1.0) -> Scale:
    """From a log rate to the rate per `per` units of exposure (or from log time to time)."""

    def forward(x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return per * np.exp(x)

    return Scale(forward, lambda y: _safe_log(y / per), forward)


class GridDistribution(Distribution):
    """A distribution given by its density at evenly spaced points of one variable.

    Parameters
    ----------
    start, step : the points are start + step * (0, 1, ...).
    density : values there, up to a constant; they fall to nothing at both ends. `values` holds
        them as a density.
    scale : from that variable to the scale on which all questions are asked.
    """

    def __init__(self, start: float, step: float, density: np.ndarray, scale: Scale = IDENTITY):
        self.scale = scale
        self.start, self.step = float(start), float(step)
        values = np.where(density > NOISE * density.max(), density, 0.0)
        self.values = values / (values.sum() * step)
        self.points = self.start + self.step * np.arange(self.values.size)
        fine, dense = denser(self.points, self.values)
        self._spline = CubicSpline(fine, dense, bc_type="natural")
        self._integral = self._spline.antiderivative()
        self._fine = fine
        self._cdf_values = np.maximum.accumulate(self._integral(fine))
        self._total = self._cdf_values[-1]
        y = scale.forward(self.points)
        self.mean, self.sd = self._moments(y)

    def _moments(self, y: np.ndarray) -> tuple[float, float]:
        weight = self.values * self.step
        with np.errstate(over="ignore", invalid="ignore"):
            first, second = weight * np.abs(y), weight * y * y
        if not self.scale.bounded:
            if not _fallen(first):
                return float("inf"), float("inf")
            if not _fallen(second):
                return float(weight @ y), float("inf")
        mean = float(weight @ y)
        return mean, float(np.sqrt(weight @ (y - mean) ** 2))

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        target = p * self._total
        cell = np.clip(np.searchsorted(self._cdf_values, target) - 1, 0, self._fine.size - 2)
        low, high = self._fine[cell], self._fine[cell + 1]
        x = 0.5 * (low + high)
        for _ in range(NEWTON_STEPS):
            slope = self._spline(x)
            step = (target - self._integral(x)) / np.where(slope > 0, slope, np.inf)
            x = np.clip(x + step, low, high)
        x = np.where(p <= 0, -np.inf, np.where(p >= 1, np.inf, x))
        with np.errstate(over="ignore"):
            return self.scale.forward(x)

    def _cdf(self, y: np.ndarray) -> np.ndarray:
        x = self.scale.backward(y)
        inside = np.clip(x, self._fine[0], self._fine[-1])
        return np.clip(self._integral(inside) / self._total, 0.0, 1.0)

    def _pdf(self, y: np.ndarray) -> np.ndarray:
        x = self.scale.backward(y)
        inside = (x >= self._fine[0]) & (x <= self._fine[-1])
        x = np.where(inside, x, self._fine[0])
        value = np.maximum(self._spline(x), 0.0) / self._total
        return np.where(inside, value / self.scale.slope(x), 0.0)

    def above(self, threshold: float) -> float:
        """Probability of a value above `threshold`."""
        return float(1.0 - self.cdf(threshold))

    def on(self, scale: Scale) -> GridDistribution:
        """The same distribution read on another scale."""
        return GridDistribution(self.start, self.step, self.values, scale)

    def curve(self, points: int = 201) -> tuple[np.ndarray, np.ndarray]:
        """Values and density for a picture, from the 0.05 % to the 99.95 % point."""
        low, high = self.quantile(np.array([0.0005, 0.9995]))
        y = np.linspace(low, high, points)
        return y, self.pdf(y)

    def summary(self, threshold: float | None = None) -> dict[str, float]:
        """Mean, sd, median, 95 % interval, one-sided upper bounds, and P(above the threshold).

        `upper95` and `upper975` are the one-sided 95 % and 97.5 % bounds; the latter is the upper
        end of the two-sided 95 % interval.
        """
        levels = np.array([LOW, 0.5, 0.95, HIGH])
        low, median, upper95, high = (float(q) for q in self.quantile(levels))
        row = {
            "mean": self.mean,
            "sd": self.sd,
            "median": median,
            "ci_low": low,
            "ci_high": high,
            "upper95": upper95,
            "upper975": high,
        }
        return row if threshold is None else row | {"p_above": self.above(threshold)}


def _fallen(integrand: np.ndarray) -> bool:
    return bool(np.isfinite(integrand).all() and integrand[-1] <= TAIL * integrand.max())


def denser(
    points: np.ndarray, values: np.ndarray, times: int = DENSER
) -> tuple[np.ndarray, np.ndarray]:
    """The same function `times` as dense, by its Fourier series.

    Parameters
    ----------
    points : (n,) evenly spaced.
    values : (..., n), nothing at both ends.

    Returns
    -------
    points, values : (times (n - 1) + 1,) and (..., as many).
    """
    n = points.size
    step = points[1] - points[0]
    size = fft.next_fast_len(n, real=True)
    values = fft.irfft(fft.rfft(values, size, axis=-1), size * times, axis=-1) * times
    keep = (n - 1) * times + 1
    fine = points[0] + step / times * np.arange(keep)
    return fine, np.maximum(values[..., :keep], 0.0)


def cumulative(values: np.ndarray) -> np.ndarray:
    """Integral from the first point to each, in cells, of a function that is nothing at both ends.

    Term by term of its Fourier series, so that no sum of rectangles stands between.

    Parameters
    ----------
    values : (..., n) at evenly spaced points.
    """
    n = values.shape[-1]
    size = fft.next_fast_len(n + 1, real=True)
    waves = fft.rfft(values, size, axis=-1)
    waves[..., 0] = 0.0
    waves[..., 1:] /= 2j * np.pi / size * np.arange(1, waves.shape[-1])
    waves = fft.irfft(waves, size, axis=-1)[..., :n]
    mean = values.sum(axis=-1, keepdims=True) / size
    return waves - waves[..., :1] + mean * np.arange(n)


class EvenPolynomials:
    """A function that is a polynomial between points at even steps, read at many points at once.

    As scipy.interpolate.PPoly, which has to look for the interval of each point. Beyond either end
    the function has its value there.

    Parameters
    ----------
    start, step : where the intervals begin: start + step * (0, 1, ...).
    coefficients : (order, intervals) in powers of the distance from the beginning of an interval,
        the highest first.
    """

    def __init__(self, start: float, step: float, coefficients: np.ndarray):
        self.start, self.step, self.coefficients = start, step, coefficients

    def __call__(self, x: np.ndarray) -> np.ndarray:
        intervals = self.coefficients.shape[1]
        place = np.clip((x - self.start) / self.step, 0.0, intervals)
        interval = np.minimum(place.astype(np.int64), intervals - 1)
        within = (place - interval) * self.step
        found = self.coefficients[0].take(interval)
        for coefficient in self.coefficients[1:]:
            found = found * within + coefficient.take(interval)
        return found
