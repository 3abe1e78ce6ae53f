"""Priors of the exact posterior: of the heterogeneity τ, and of a mean or coefficient.

Each is a small frozen record. Parameters are numbers, or one-dimensional arrays with one value a
row when many data sets are fitted at once (`exact.fit_many`). Suggestions on which to choose:
Röver et al. (2021, Research Synthesis Methods 12:448) and Gelman (2006, Bayesian Analysis 1:515).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

LOG_2 = np.log(2.0)
LOG_2PI = np.log(2.0 * np.pi)


def _positive(name: str, value: ArrayLike) -> None:
    values = np.asarray(value, dtype=float)
    if not (np.all(np.isfinite(values)) and np.all(values > 0)):
        raise ValueError(f"{name} must be finite and above zero, got {value!r}")


def _single(value: ArrayLike) -> float:
    values = np.asarray(value, dtype=float)
    if values.size != 1:
        raise ValueError(f"one number is wanted, got {values.size}")
    return float(values.item())


def _finite(name: str, value: ArrayLike) -> None:
    if not np.all(np.isfinite(np.asarray(value, dtype=float))):
        raise ValueError(f"{name} must be finite, got {value!r}")


@dataclass(frozen=True)
class Normal:
    """Normal prior of a mean or a regression coefficient, with standard deviation `sd`.

    In `fit_many` both may be arrays with one value a row; `sd = inf` there means a flat prior.
    """

    mean: ArrayLike
    sd: ArrayLike

    def __post_init__(self) -> None:
        _finite("Normal mean", self.mean)
        sd = np.asarray(self.sd, dtype=float)
        if np.any(np.isnan(sd)) or np.any(sd <= 0):
            raise ValueError(f"Normal sd must be above zero, got {self.sd!r}")

    @property
    def one(self) -> tuple[float, float]:
        """Mean and standard deviation as two numbers, where one data set is fitted.

        Raises ValueError where they are arrays with a value for each of several.
        """
        return _single(self.mean), _single(self.sd)


@dataclass(frozen=True)
class TauPrior:
    """What the quadrature needs to know of a prior of τ ≥ 0.

    `logpdf` is the log density; `span` brackets where the density lives (any generous pair);
    `end` is the end of the support; `tail` is a in density ~ τ^(-a) as τ → ∞ (inf when the
    density falls faster than every power), which decides the moments that exist.
    """

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        """Log density at `tau`, shape (rows, points); parameters broadcast along rows."""
        raise NotImplementedError

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of a generous range of τ, scalars or one value a row."""
        raise NotImplementedError

    @property
    def end(self) -> np.ndarray:
        return np.asarray(np.inf)

    @property
    def tail(self) -> np.ndarray:
        return np.asarray(np.inf)

    def n_rows(self) -> int | None:
        """Number of rows when a parameter is an array, else None."""
        sizes = {np.size(v) for v in self._values() if np.ndim(v) > 0}
        if len(sizes) > 1:
            raise ValueError(f"{type(self).__name__}: parameters differ in length: {sizes}")
        return sizes.pop() if sizes else None

    def rows(self, index: np.ndarray) -> TauPrior:
        """The same prior for a selection of rows."""
        return type(self)(*(v[index] if np.ndim(v) > 0 else v for v in self._values()))

    def _values(self) -> list[np.ndarray]:
        return [np.asarray(getattr(self, f.name), dtype=float) for f in fields(self)]


def _column(value: ArrayLike) -> np.ndarray:
    """A number as it is, an array as a column, so that it broadcasts against (rows, points)."""
    values = np.asarray(value, dtype=float)
    return values[:, None] if values.ndim == 1 else values


@dataclass(frozen=True)
class HalfNormal(TauPrior):
    """|N(0, scale²)|; mean 0.80 scale, median 0.67 scale."""

    scale: ArrayLike

    def __post_init__(self) -> None:
        _positive("HalfNormal scale", self.scale)

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        scale = _column(self.scale)
        return LOG_2 - 0.5 * LOG_2PI - np.log(scale) - 0.5 * (tau / scale) ** 2

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        scale = np.asarray(self.scale, dtype=float)
        return scale, scale


@dataclass(frozen=True)
class HalfStudentT(TauPrior):
    """|scale · t(df)|: the absolute value of a Student t variable times `scale`."""

    df: ArrayLike
    scale: ArrayLike

    def __post_init__(self) -> None:
        _positive("HalfStudentT df", self.df)
        _positive("HalfStudentT scale", self.scale)

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        df, scale = _column(self.df), _column(self.scale)
        constant = (
            LOG_2
            + gammaln(0.5 * (df + 1))
            - gammaln(0.5 * df)
            - 0.5 * np.log(df * np.pi)
            - np.log(scale)
        )
        ratio = tau / (np.sqrt(df) * scale)
        return constant - (df + 1) * np.log(np.hypot(1.0, ratio))

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        scale = np.asarray(self.scale, dtype=float)
        return scale, scale

    @property
    def tail(self) -> np.ndarray:
        return np.asarray(self.df, dtype=float) + 1.0


@dataclass(frozen=True)
class HalfCauchy(TauPrior):
    """|scale · Cauchy|, that is HalfStudentT(1, scale); median = scale, no mean."""

    scale: ArrayLike

    def __post_init__(self) -> None:
        _positive("HalfCauchy scale", self.scale)

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        return HalfStudentT(1.0, self.scale).logpdf(tau)

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        scale = np.asarray(self.scale, dtype=float)
        return scale, scale

    @property
    def tail(self) -> np.ndarray:
        return np.asarray(2.0)


@dataclass(frozen=True)
class Exponential(TauPrior):
    """Density exp(-τ / scale) / scale: `scale` is the mean, the reciprocal of the rate."""

    scale: ArrayLike

    def __post_init__(self) -> None:
        _positive("Exponential scale", self.scale)

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        scale = _column(self.scale)
        return -np.log(scale) - tau / scale

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        scale = np.asarray(self.scale, dtype=float)
        return scale, 10.0 * scale


@dataclass(frozen=True)
class Uniform(TauPrior):
    """Uniform between 0 and `upper` (finite: an unbounded uniform prior is improper)."""

    upper: ArrayLike

    def __post_init__(self) -> None:
        _positive("Uniform upper", self.upper)

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        upper = _column(self.upper)
        return np.where(tau <= upper * (1 + 1e-12), -np.log(upper), -np.inf)

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        upper = np.asarray(self.upper, dtype=float)
        return upper, upper

    @property
    def end(self) -> np.ndarray:
        return np.asarray(self.upper, dtype=float)


@dataclass(frozen=True)
class LogNormal(TauPrior):
    """log τ ~ N(mu, sigma²); an empirical prior of τ² as LogNormal(m, s) is LogNormal(m/2, s/2)."""

    mu: ArrayLike
    sigma: ArrayLike

    def __post_init__(self) -> None:
        _finite("LogNormal mu", self.mu)
        _positive("LogNormal sigma", self.sigma)

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        mu, sigma = _column(self.mu), _column(self.sigma)
        with np.errstate(divide="ignore"):
            log_tau = np.log(tau)
        z = (log_tau - mu) / sigma
        with np.errstate(invalid="ignore"):
            value = -log_tau - np.log(sigma) - 0.5 * LOG_2PI - 0.5 * z * z
        return np.where(np.isfinite(log_tau), value, -np.inf)

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        mu = np.asarray(self.mu, dtype=float)
        sigma = np.asarray(self.sigma, dtype=float)
        return np.exp(mu - 8 * sigma), np.exp(mu + 8 * sigma + 2 * sigma**2)


@dataclass(frozen=True)
class Fixed(TauPrior):
    """τ known. Fixed(0) is the common-effect ("fixed-effect") model."""

    value: ArrayLike

    def __post_init__(self) -> None:
        values = np.asarray(self.value, dtype=float)
        if not (np.all(np.isfinite(values)) and np.all(values >= 0)):
            raise ValueError(f"Fixed value must be finite and not negative, got {self.value!r}")

    def logpdf(self, tau: np.ndarray) -> np.ndarray:
        """0 at the fixed value and -inf elsewhere: a point mass has no density."""
        return np.where(tau == _column(self.value), 0.0, -np.inf)

    def span(self) -> tuple[np.ndarray, np.ndarray]:
        value = np.asarray(self.value, dtype=float)
        return value, value
