"""Published conversions of summary statistics: to means, standard deviations, standard errors.

Each function is one formula of one paper, on plain floats. Nothing here knows about studies.

Sources. Wan et al. 2014, BMC Med Res Methodol 14:135. Luo et al. 2018, Stat Methods Med Res
27:1785. Shi et al. 2020, Res Synth Methods 11:641. Lajeunesse 2011, Ecology 92:2049. Lajeunesse
2015, Ecology 96:2056. Cochrane Handbook (version 6) sections 6.5.2.2 and 6.5.2.3 for standard
errors, confidence intervals and p-values.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

_score = NormalDist().inv_cdf
"""The standard normal quantile."""


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _quartile_score(n: float) -> float:
    return _score((0.75 * n - 0.125) / (n + 0.25))


def _extreme_score(n: float) -> float:
    return _score((n - 0.375) / (n + 0.25))


# --- standard deviations -------------------------------------------------------------------------


def sd_from_se(se: float, n: float) -> float:
    """SD of n values from the standard error of their mean.

    Parameters
    ----------
    se : standard error of the mean.
    n : values behind it.
    """
    _need(n >= 2, "a standard error needs at least two patients")
    return se * math.sqrt(n)


def sd_from_ci(low: float, high: float, n: float, level: float = 0.95) -> float:
    """SD from a confidence interval of a mean, by Student's t with n - 1 degrees of freedom.

    Cochrane Handbook 6.5.2.2. Raises ValueError when low > high or n < 2.

    Parameters
    ----------
    low, high : ends of the interval.
    n : values behind the mean.
    level : of the interval.

    References
    ----------
    Cochrane Handbook (version 6), section 6.5.2.2.
    """
    _need(low <= high, "the interval is upside down")
    _need(n >= 2, "a confidence interval needs at least two patients")
    return math.sqrt(n) * (high - low) / (2 * t_quantile(0.5 + level / 2, n - 1))


def sd_from_iqr(q1: float, q3: float, n: float) -> float:
    """SD from the quartiles of n values: Wan 2014, equation (16).

    Raises ValueError when q1 > q3 or n < 3.

    Parameters
    ----------
    q1, q3 : quartiles.
    n : values behind them.

    References
    ----------
    Wan et al. (2014), BMC Med Res Methodol 14:135, equation 16.
    """
    _need(q1 <= q3, "the first quartile is above the third")
    _need(n >= 3, "quartiles need at least three patients")
    return (q3 - q1) / (2 * _quartile_score(n))


def sd_from_range(low: float, high: float, n: float) -> float:
    """SD from the extremes of n values: Wan 2014, equation (9). Raises ValueError.

    Parameters
    ----------
    low, high : smallest and largest value.
    n : values behind them.

    References
    ----------
    Wan et al. (2014), BMC Med Res Methodol 14:135, equation 9.
    """
    _need(low <= high, "the minimum is above the maximum")
    _need(n >= 3, "a range needs at least three patients")
    return (high - low) / (2 * _extreme_score(n))


def sd_from_five(low: float, q1: float, q3: float, high: float, n: float) -> float:
    """SD from extremes and quartiles: Shi 2020, equation (11). Raises ValueError.

    Parameters
    ----------
    low, q1, q3, high : extremes and quartiles.
    n : values behind them.

    References
    ----------
    Shi et al. (2020), Res Synth Methods 11:641, equation 11.
    """
    _need(low <= q1 <= q3 <= high, "the five numbers are not in order")
    _need(n >= 3, "a five-number summary needs at least three patients")
    theta_1 = (2 + 0.14 * n**0.6) * _extreme_score(n)
    theta_2 = (2 + 2 / (0.07 * n**0.6)) * _quartile_score(n)
    return (high - low) / theta_1 + (q3 - q1) / theta_2


# --- means ---------------------------------------------------------------------------------------


def mean_from_iqr(q1: float, median: float, q3: float, n: float) -> float:
    """Mean from median and quartiles: Luo 2018, for the scenario {q1, median, q3; n}.

    (0.7 + 0.39 / n) (q1 + q3) / 2 + (0.3 - 0.39 / n) median. Raises ValueError when out of order.

    Parameters
    ----------
    q1, median, q3 : quartiles.
    n : values behind them.

    References
    ----------
    Luo et al. (2018), Stat Methods Med Res 27:1785.
    """
    _need(q1 <= median <= q3, "the median is not between its quartiles")
    weight = 0.7 + 0.39 / n
    return weight * (q1 + q3) / 2 + (1 - weight) * median


def mean_from_range(low: float, median: float, high: float, n: float) -> float:
    """Mean from median and extremes: Luo 2018, for the scenario {min, median, max; n}.

    4 / (4 + n^0.75) (min + max) / 2 + n^0.75 / (4 + n^0.75) median. Raises ValueError when out of
    order.

    Parameters
    ----------
    low, median, high : extremes and median.
    n : values behind them.

    References
    ----------
    Luo et al. (2018), Stat Methods Med Res 27:1785.
    """
    _need(low <= median <= high, "the median is not between the extremes")
    weight = 4 / (4 + n**0.75)
    return weight * (low + high) / 2 + (1 - weight) * median


def mean_from_five(low: float, q1: float, median: float, q3: float, high: float, n: float) -> float:
    """Mean from a five-number summary: Luo 2018, equation (15). Raises ValueError.

    Parameters
    ----------
    low, q1, median, q3, high : extremes and quartiles.
    n : values behind them.

    References
    ----------
    Luo et al. (2018), Stat Methods Med Res 27:1785, equation 15.
    """
    _need(low <= q1 <= median <= q3 <= high, "the five numbers are not in order")
    outer = 2.2 / (2.2 + n**0.75)
    inner = 0.7 - 0.72 / n**0.55
    return outer * (low + high) / 2 + inner * (q1 + q3) / 2 + (1 - outer - inner) * median


# --- standard errors -----------------------------------------------------------------------------


def se_from_p(estimate: float, p: float, df: float) -> float:
    """Standard error from an exact two-sided p-value of a t test with `df` degrees of freedom.

    Cochrane Handbook 6.5.2.3. Raises ValueError when p is not inside (0, 1) or df < 1.

    Parameters
    ----------
    estimate : the tested change or difference.
    p : exact two-sided p-value.
    df : degrees of freedom.

    References
    ----------
    Cochrane Handbook (version 6), section 6.5.2.3.
    """
    _need(0 < p < 1, "a p-value lies between 0 and 1")
    _need(df >= 1, "a t test needs a degree of freedom")
    return abs(estimate) / -t_quantile(p / 2, df)


def z_from_p(p: float) -> float:
    """The standard normal score of a two-sided p-value: 0.05 gives 1.96. Raises ValueError."""
    _need(0 < p <= 1, "a p-value lies between 0 and 1")
    return abs(_score(p / 2))


# --- change within one group, as a function of the pre-post correlation ---------------------------


def change_variance(s0: float, n0: float, s1: float, n1: float) -> tuple[float, float]:
    """(var_a, var_b) of a mean change: its variance is var_a - r * var_b.

    With as many patients before as after, (s0^2 + s1^2 - 2 r s0 s1) / n. With different numbers
    the smaller group is taken as measured twice: the covariance is r s0 s1 / max(n0, n1).

    Parameters
    ----------
    s0, n0 : SD before and patients behind it.
    s1, n1 : after.
    """
    return s0**2 / n0 + s1**2 / n1, 2 * s0 * s1 / max(n0, n1)


def log_ratio_variance(
    m0: float, s0: float, n0: float, m1: float, s1: float, n1: float
) -> tuple[float, float]:
    """(var_a, var_b) of log(m1 / m0) with correlated means, by the delta method.

    Lajeunesse 2011: s0^2/(n m0^2) + s1^2/(n m1^2) - 2 r s0 s1 / (n m0 m1). Raises ValueError
    unless both means are positive.

    Parameters
    ----------
    m0, s0, n0 : mean, SD and patients before.
    m1, s1, n1 : after.

    References
    ----------
    Lajeunesse (2011), Ecology 92:2049.
    """
    _need(m0 > 0 and m1 > 0, "a ratio of means needs positive means")
    return change_variance(s0 / m0, n0, s1 / m1, n1)


def log_ratio_correction(
    m0: float, s0: float, n0: float, m1: float, s1: float, n1: float
) -> tuple[float, float]:
    """What the small-sample correction adds to a log ratio of means and to its variance.

    Lajeunesse 2015 (delta-method estimators): half the difference, and half the sum of squares, of
    the squared relative standard errors of the two means.

    Parameters
    ----------
    m0, s0, n0 : mean, SD and patients before.
    m1, s1, n1 : after.

    Returns
    -------
    What is added to the log ratio, and to its variance.

    References
    ----------
    Lajeunesse (2015), Ecology 96:2056.
    """
    before, after = s0**2 / (n0 * m0**2), s1**2 / (n1 * m1**2)
    return 0.5 * (after - before), 0.5 * (before**2 + after**2)


@cache
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t distribution.

    Parameters
    ----------
    probability : between 0 and 1, both excluded.
    df : degrees of freedom, at least 1.

    Raises
    ------
    ValueError : a probability or degrees of freedom outside these.
    """
    _need(0 < probability < 1, "a quantile belongs to a probability between 0 and 1")
    _need(df >= 1, "a t test needs a degree of freedom")
    from scipy.special import stdtrit  # where a row needs it: the rows of most studies do not

    return float(stdtrit(df, max(probability, _LEAST)))


_LEAST = 1e-100
"""Smaller tails count as this one."""
