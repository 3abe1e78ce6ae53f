"""Survival families of insulin independence.

A duration T has a location `eta` (log of the median, in log months), a shape and, for the cure
variant, a share that never resumes. With y = log t - eta and x = e^y the families are

    exponential   S = 2^-x
    weibull       S = 2^-(x^k)                k = e^theta
    lognormal     S = Phi(-k y)               k = e^theta
    loglogistic   S = 1 / (1 + x^k)           k = 1.7 e^theta (the spread of the log-normal)
    gompertz      S = 2^-((e^gx - 1)/(e^g - 1))   g = 1.5 theta; g < 0 leaves a share free for ever
    cure          S = c + (1 - c) 2^-(x^k)    e^eta is the median of those who resume

so that one prior on the median and one on theta serve all. Values are clipped far in the tails, to
stay finite. References: Collett 2015, Modelling Survival Data, ch. 5-6; Boag 1949 for the cure
variant.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from analysis.exact.logs import log1p_exp
from analysis.vocabulary import CURVES

Values = np.ndarray | float
"""A number, or an array that broadcasts against the others."""
Curve = tuple[np.ndarray, np.ndarray]
"""log S and log(-dS/dy)."""

FAMILIES = tuple(CURVES)

RESUMING = {"cure": "weibull"}
"""The family of those who resume, where a share never does (`with_cured`)."""

ENDLESS = {"gompertz": "theta", "cure": "logit_cure"}
"""The parameter on which the share hangs that never resumes, where a family has such a share."""

_LOG2 = float(np.log(2.0))
_LOG_LOG2 = float(np.log(_LOG2))
_LOG_ROOT_2PI = 0.5 * float(np.log(2.0 * np.pi))


def log_survival(family: str, y: Values, theta: Values, cure: Values) -> np.ndarray:
    """log S(t).

    Parameters
    ----------
    family : one of `FAMILIES`.
    y : log t - eta, with t in months; any shape.
    theta : shape parameter, cure : share never resuming; broadcast against y.
    """
    return _FAMILY[family](y, theta, cure)[0]


def log_density(family: str, y: Values, log_t: Values, theta: Values, cure: Values) -> np.ndarray:
    """log f(t), per month; `log_t` is log t in log months.

    Parameters
    ----------
    family, y, theta, cure : as in `log_survival`.
    log_t : log months; broadcast against y.
    """
    return _FAMILY[family](y, theta, cure)[1] - log_t


def with_cured(log_survival: Values, cure: Values) -> np.ndarray:
    """log S of all, from log S of those who resume and the share that never does.

    Parameters
    ----------
    log_survival : of those who resume.
    cure : share that never does; they broadcast.
    """
    return np.log1p((1.0 - cure) * np.expm1(log_survival))


def never_resuming(family: str, theta: Values, logit_cure: Values) -> np.ndarray:
    """Share that never resumes, of a family of `ENDLESS`; 0 in any other.

    Parameters
    ----------
    family : one of `FAMILIES`.
    theta, logit_cure : shape, and log odds of the cured share; they broadcast.
    """
    if family == "cure":
        return special.expit(logit_cure)
    if family == "gompertz":
        growth = np.expm1(_slope_of_gompertz(theta))
        return np.where(growth < 0, np.exp2(1.0 / np.minimum(growth, -1e-300)), 0.0)
    return np.zeros_like(np.asarray(theta, dtype=float))


def log_time(family: str, survival: Values, theta: Values, cure: Values) -> np.ndarray:
    """y = log t - eta at which S has fallen to `survival`; infinite where it never does.

    Parameters
    ----------
    family : one of `FAMILIES`.
    survival : between 0 and 1.
    theta, cure : as in `log_survival`; they broadcast.

    Raises
    ------
    ValueError : no such family.
    """
    survival, theta = np.asarray(survival, dtype=float), np.asarray(theta, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if family == "cure":
            survival = np.where(survival > cure, (survival - cure) / (1.0 - cure), 0.0)
        halvings = -np.log2(survival)
        if family == "exponential":
            return np.log(halvings)
        if family in ("weibull", "cure"):
            return np.log(halvings) / np.exp(theta)
        if family == "lognormal":
            return -special.ndtri(survival) / np.exp(theta)
        if family == "loglogistic":
            return -special.logit(survival) / (1.7 * np.exp(theta))
        if family == "gompertz":
            g = _slope_of_gompertz(theta)
            return np.where(
                halvings * np.expm1(g) > -1.0,
                np.log(np.log1p(np.maximum(halvings * np.expm1(g), -1.0)) / g),
                np.inf,
            )
    raise ValueError(f"no family {family!r}; known are {', '.join(FAMILIES)}")


# Each family gives log S and log(-dS/dy).


def _of_weibull(z: Values, log_k: Values) -> Curve:
    """S = 2^-e^z."""
    z = np.clip(z, -60.0, 12.0)
    cumulative = _LOG2 * np.exp(z)
    return -cumulative, _LOG_LOG2 + log_k + z - cumulative


def _exponential(y: Values, theta: Values, cure: Values) -> Curve:
    return _of_weibull(y, 0.0)


def _weibull(y: Values, theta: Values, cure: Values) -> Curve:
    return _of_weibull(np.exp(theta) * y, theta)


def _lognormal(y: Values, theta: Values, cure: Values) -> Curve:
    z = np.exp(theta) * y
    return special.log_ndtr(-z), theta - _LOG_ROOT_2PI - 0.5 * z * z


def _loglogistic(y: Values, theta: Values, cure: Values) -> Curve:
    log_k = theta + np.log(1.7)
    z = np.exp(log_k) * y
    survival = -log1p_exp(z)
    return survival, log_k + z + 2.0 * survival


def _slope_of_gompertz(theta: Values) -> np.ndarray:
    g = 1.5 * np.asarray(theta, dtype=float)
    return np.where(np.abs(g) < 1e-6, 1e-6, g)


def _gompertz(y: Values, theta: Values, cure: Values) -> Curve:
    g = _slope_of_gompertz(theta)
    x = np.exp(np.clip(y, -60.0, 12.0))
    gx = np.minimum(g * x, 40.0)
    cumulative = np.maximum(_LOG2 * np.expm1(gx) / np.expm1(g), 1e-30)
    slope = _LOG_LOG2 + np.log(g / np.expm1(g)) + np.log(x) + gx
    return -cumulative, slope - cumulative


def _cure(y: Values, theta: Values, cure: Values) -> Curve:
    survival, slope = _weibull(y, theta, cure)
    return with_cured(survival, cure), np.log1p(-cure) + slope


_FAMILY = {
    "exponential": _exponential,
    "weibull": _weibull,
    "lognormal": _lognormal,
    "loglogistic": _loglogistic,
    "gompertz": _gompertz,
    "cure": _cure,
}
