"""Intervals and bounds of single counts that need no prior and no model, and what they would need.

Exact intervals of a share (Clopper-Pearson, and Jeffreys' for comparison) and of a rate (Garwood);
the bound from the data alone, which pools counts over patients or patient-years as if all were
alike, without a prior and without shrinkage; and the exposure without a further event after which
that bound falls under a threshold. One-sided and two-sided bounds are named so everywhere: the
one-sided 97.5 % bound is the upper end of the two-sided 95 % interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from analysis.central import HIGH

ONE_SIDED = (0.95, HIGH)


def clopper_pearson(events: Any, total: Any, level: float = 0.95) -> tuple[Any, Any]:
    """Exact two-sided interval of a share.

    Parameters
    ----------
    events, total : numbers or arrays, 0 <= events <= total, total above 0.
    level : of the interval.

    Returns
    -------
    low, high : 0 where there is no event, 1 where all have it.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26:404-413.
    """
    k, n = _count(events, total, "total")
    _share(k, n)
    tail = 0.5 * (1.0 - _level(level))
    low = np.where(k > 0, special.betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    return _like(k, low), _like(k, _upper_share(k, n, 1.0 - tail))


def jeffreys(events: Any, total: Any, level: float = 0.95) -> tuple[Any, Any]:
    """Central interval of a share under Jeffreys' prior, Beta(1/2, 1/2), with 0 and 1 at the ends.

    Parameters
    ----------
    events, total, level : as in `clopper_pearson`.

    Returns
    -------
    Lower and upper end, as `clopper_pearson`.

    References
    ----------
    Brown, Cai & DasGupta 2001, Statistical Science 16:101-133.
    """
    k, n = _count(events, total, "total")
    _share(k, n)
    tail = 0.5 * (1.0 - _level(level))
    low = np.where(k > 0, special.betaincinv(k + 0.5, n - k + 0.5, tail), 0.0)
    high = np.where(k < n, special.betaincinv(k + 0.5, n - k + 0.5, 1.0 - tail), 1.0)
    return _like(k, low), _like(k, high)


def garwood(events: Any, exposure: Any, level: float = 0.95) -> tuple[Any, Any]:
    """Exact two-sided interval of a Poisson rate per unit of exposure.

    Parameters
    ----------
    events : numbers or arrays, from 0.   exposure : above 0.
    level : of the interval.

    Returns
    -------
    low, high : per unit of exposure.

    References
    ----------
    Garwood 1936, Biometrika 28:437-442.
    """
    k, t = _count(events, exposure, "exposure")
    tail = 0.5 * (1.0 - _level(level))
    low = np.where(k > 0, special.gammaincinv(np.maximum(k, 1e-300), tail), 0.0)
    return _like(k, low / t), _like(k, special.gammaincinv(k + 1.0, 1.0 - tail) / t)


def upper_share(events: Any, total: Any, level: float = HIGH) -> Any:
    """One-sided exact upper bound of a share (Clopper & Pearson 1934).

    Parameters
    ----------
    events, total : how many of how many; numbers or arrays.
    level : probability that the bound holds, one-sided.

    Returns
    -------
    The bound, 0 to 1, of the shape of `events`.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26:404-413.
    """
    k, n = _count(events, total, "total")
    _share(k, n)
    return _like(k, _upper_share(k, n, _level(level)))


def upper_rate(events: Any, exposure: Any, level: float = HIGH) -> Any:
    """One-sided exact upper bound of a Poisson rate per unit of exposure (Garwood 1936).

    Parameters
    ----------
    events : how many; a number or an array.
    exposure : in which time, above 0.
    level : probability that the bound holds, one-sided.

    Returns
    -------
    The bound, events per unit of `exposure`.

    References
    ----------
    Garwood 1936, Biometrika 28:437-442.
    """
    k, t = _count(events, exposure, "exposure")
    return _like(k, special.gammaincinv(k + 1.0, _level(level)) / t)


def rate_from_data_alone(
    events: Any, exposure: Any, *, at_least: Any = None, per: float = 1.0
) -> dict[str, Any]:
    """Pooled events over pooled exposure: no prior, no shrinkage, all studies as if alike.

    A count known only as a lower bound bounds no rate from above: such studies are left out and
    counted.

    Parameters
    ----------
    events, exposure : one a study.
    at_least : True where the count is a lower bound.
    per : rates are given per so many units of exposure.

    Returns
    -------
    dict with k_studies, k_left_out, events, exposure, rate, ci_low, ci_high (two-sided 95 %),
    upper95 and upper975 (one-sided) and label. Without an exact count the rates are NaN.
    """
    k, t = _count(events, exposure, "exposure")
    k, t, left = _exact_only(np.atleast_1d(k), np.atleast_1d(t), at_least)
    row: dict[str, Any] = {
        "k_studies": int(k.size),
        "k_left_out": left,
        "events": float(k.sum()),
        "exposure": float(t.sum()),
    }
    values = dict.fromkeys(("rate", "ci_low", "ci_high", "upper95", "upper975"), float("nan"))
    if k.size:
        low, high = garwood(k.sum(), t.sum())
        upper95, upper975 = (upper_rate(k.sum(), t.sum(), level) for level in ONE_SIDED)
        found = (k.sum() / t.sum(), low, high, upper95, upper975)
        values = {name: per * float(x) for name, x in zip(values, found, strict=True)}
    return row | values | {"label": "from the data alone: exact, no prior, no shrinkage"}


def share_from_data_alone(events: Any, totals: Any, *, at_least: Any = None) -> dict[str, Any]:
    """Pooled events over pooled patients, as `rate_from_data_alone`: share, ci, upper bounds.

    Parameters
    ----------
    events, totals : counts, one a study.
    at_least : True where the count is a lower bound; none by default.

    Returns
    -------
    dict of the share, its interval and one-sided upper bounds, 0 to 1.
    """
    k, n = _count(events, totals, "total")
    _share(k, n)
    k, n, left = _exact_only(np.atleast_1d(k), np.atleast_1d(n), at_least)
    row: dict[str, Any] = {
        "k_studies": int(k.size),
        "k_left_out": left,
        "events": float(k.sum()),
        "total": float(n.sum()),
    }
    values = dict.fromkeys(("share", "ci_low", "ci_high", "upper95", "upper975"), float("nan"))
    if k.size:
        low, high = clopper_pearson(k.sum(), n.sum())
        upper95, upper975 = (upper_share(k.sum(), n.sum(), level) for level in ONE_SIDED)
        found = (k.sum() / n.sum(), low, high, upper95, upper975)
        values = {name: float(x) for name, x in zip(values, found, strict=True)}
    return row | values | {"label": "from the data alone: exact, no prior, no shrinkage"}


def exposure_in_all(threshold: Any, events: Any = 0, level: float = HIGH) -> Any:
    """Exposure at which the bound from the data alone reaches `threshold` with so many events.

    Without an event -ln(1 - level) / threshold: 369 patient-years for 1 per 100 at 97.5 %, 300 for
    a one-sided 95 % bound.

    Parameters
    ----------
    threshold : rate per unit of exposure, above 0.
    events : in all.
    level : of the one-sided bound.
    """
    k, rate = _count(events, threshold, "threshold")
    return _like(k + rate, special.gammaincinv(k + 1.0, _level(level)) / rate)


def exposure_needed(threshold: float, events: float, exposure: float, level: float = HIGH) -> float:
    """Further exposure without another event until the bound from the data alone is under it.

    What `exposure_in_all` asks less what was observed; 0 where the bound is under it already.

    Parameters
    ----------
    threshold : rate to fall under, events per unit of exposure.
    events, exposure : what was observed.
    level : probability that the bound holds, one-sided.
    """
    return max(0.0, float(exposure_in_all(threshold, events, level)) - float(exposure))


def _upper_share(k: np.ndarray, n: np.ndarray, level: float) -> np.ndarray:
    return np.where(k < n, special.betaincinv(k + 1, np.maximum(n - k, 1e-300), level), 1.0)


def _exact_only(k: np.ndarray, size: np.ndarray, at_least: Any) -> tuple[Any, Any, int]:
    if at_least is None:
        return k, size, 0
    bound = np.asarray(at_least, dtype=bool)
    return k[~bound], size[~bound], int(bound.sum())


def _count(events: Any, size: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    k, n = np.asarray(events, dtype=float), np.asarray(size, dtype=float)
    if not (np.isfinite(k).all() and (k >= 0).all()):
        raise ValueError(f"events must be finite and not negative: {events!r}")
    if not (np.isfinite(n).all() and (n > 0).all()):
        raise ValueError(f"{name} must be finite and above 0: {size!r}")
    return k, n


def _share(k: np.ndarray, n: np.ndarray) -> None:
    if not (k <= n).all():
        raise ValueError("events cannot exceed the total")


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level lies between 0 and 1, got {level!r}")
    return level


def _like(shape_of: np.ndarray, values: np.ndarray) -> Any:
    return float(values) if np.ndim(values) == 0 else np.asarray(values)
