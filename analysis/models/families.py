"""Survival families of insulin independence, each written once for numpy and for pytensor.

A duration T has a location `eta` (log of the median, in log months), a shape and, for the cure
variant, a share that never resumes. With y = log t - eta the families are

    exponential   S = 2^-x                    x = e^y
    weibull       S = 2^-(x^k)                k = e^theta
    lognormal     S = Phi(-k y)               k = e^theta
    loglogistic   S = 1 / (1 + x^k)           k = 1.7 e^theta (the spread of the log-normal)
    gompertz      S = 2^-((e^gx - 1)/(e^g - 1))   g = 2.5 theta; g < 0 leaves a share free for ever
    cure          S = c + (1 - c) 2^-(x^k)    e^eta is the median of those who resume

so that one prior on the median and one on theta serve all. Everything is clipped to stay finite:
the graph computes all families and picks one by an indicator, and 0 times a finite number is 0.
References: Collett 2015, Modelling Survival Data, ch. 5-6; Boag 1949 for the cure variant.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy import special

FAMILIES = ("exponential", "weibull", "lognormal", "loglogistic", "gompertz", "cure")

LABELS = {
    "exponential": "exponential",
    "weibull": "Weibull",
    "lognormal": "log-normal",
    "loglogistic": "log-logistic",
    "gompertz": "Gompertz",
    "cure": "Weibull with a cured share",
    "stacked": "average of the families",
}

LOG2 = float(np.log(2.0))
_LOG_HALF_2PI = 0.5 * float(np.log(2.0 * np.pi))

NUMPY = SimpleNamespace(
    exp=np.exp,
    log=np.log,
    log1p=np.log1p,
    expm1=np.expm1,
    minimum=np.minimum,
    maximum=np.maximum,
    where=np.where,
    erfc=special.erfc,
    abs=np.abs,
)


def pytensor_ops() -> SimpleNamespace:
    """The same functions on symbolic tensors (imported here: pytensor is slow to import)."""
    import pytensor.tensor as pt

    return SimpleNamespace(
        exp=pt.exp,
        log=pt.log,
        log1p=pt.log1p,
        expm1=pt.expm1,
        minimum=pt.minimum,
        maximum=pt.maximum,
        where=pt.switch,
        erfc=pt.erfc,
        abs=pt.abs,
    )


def log_survival(family: str, y, theta, cure, xp=NUMPY):
    """log S(t).

    Parameters
    ----------
    family : one of `FAMILIES`.
    y : log t - eta, with t in months; any shape.
    theta : shape parameter, cure : share never resuming; broadcast against y.
    xp : `NUMPY` or `pytensor_ops()`.
    """
    return _FAMILY[family](y, theta, cure, xp)[0]


def log_density(family: str, y, log_t, theta, cure, xp=NUMPY):
    """log f(t), per month; `log_t` is log t in log months. Other arguments as `log_survival`."""
    return _FAMILY[family](y, theta, cure, xp)[1] - log_t


def _clip(value, low, high, xp):
    return xp.minimum(xp.maximum(value, low), high)


def _weibull_like(z, log_k, xp):
    """log S and log(-dS/dy) for S = 2^-e^z."""
    z = _clip(z, -60.0, 6.0, xp)
    cumulative = LOG2 * xp.exp(z)
    return -cumulative, float(np.log(LOG2)) + log_k + z - cumulative


def _exponential(y, theta, cure, xp):
    return _weibull_like(y, 0.0, xp)


def _weibull(y, theta, cure, xp):
    return _weibull_like(xp.exp(theta) * y, theta, xp)


def _lognormal(y, theta, cure, xp):
    z = _clip(xp.exp(theta) * y, -30.0, 30.0, xp)
    survival = xp.log(0.5 * xp.erfc(z / float(np.sqrt(2.0))))
    return survival, theta - _LOG_HALF_2PI - 0.5 * z * z


def _loglogistic(y, theta, cure, xp):
    log_k = theta + float(np.log(1.7))
    z = _clip(xp.exp(log_k) * y, -60.0, 60.0, xp)
    survival = -(xp.maximum(z, 0.0) + xp.log1p(xp.exp(-xp.abs(z))))
    return survival, log_k + z + 2.0 * survival


def _gompertz(y, theta, cure, xp):
    g = 2.5 * theta
    g = xp.where(xp.abs(g) < 1e-4, 1e-4, g)
    x = xp.exp(_clip(y, -60.0, 6.0, xp))
    gx = xp.minimum(g * x, 12.0)
    scale = xp.expm1(g)
    cumulative = _clip(LOG2 * xp.expm1(gx) / scale, 1e-30, 600.0, xp)
    slope = float(np.log(LOG2)) + xp.log(xp.abs(g / scale)) + xp.log(x) + gx
    return -cumulative, slope - cumulative


def _cure(y, theta, cure, xp):
    survival, slope = _weibull(y, theta, cure, xp)
    share = xp.log(1.0 - cure)
    return xp.log(cure + (1.0 - cure) * xp.exp(survival)), share + slope


_FAMILY = {
    "exponential": _exponential,
    "weibull": _weibull,
    "lognormal": _lognormal,
    "loglogistic": _loglogistic,
    "gompertz": _gompertz,
    "cure": _cure,
}
