"""Classical tests for small-study effects: Egger's regression, trim and fill, rank correlation.

They ask whether small studies report larger effects than large ones, which publication by
significance would cause, and so would real differences between small and large studies. None of
them can answer with few studies (Sterne et al. 2011, BMJ 343:d4002: at least ten). A test that the
evidence gives nothing to look at, or that does not settle, says so in its `note`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.central import LOW

MIN_STUDIES = 3
MAX_ROUNDS = 100
NO_FUNNEL = "all standard errors are equal: no funnel to look at"
NO_ORDER = "all standardised effects are equal: no order to look at"
NO_ERROR = "the studies lie on one line: no error to test against"
NOT_SETTLED = "does not settle on a number of missing studies"


@dataclass(frozen=True)
class Asymmetry:
    """One test of funnel asymmetry.

    `estimate` is the intercept (Egger), Kendall's tau (Begg) or the mean with the filled studies
    (trim and fill). Where a test has no answer its figures are NaN and `note` says why.
    """

    estimate: float
    ci_low: float
    ci_high: float
    p_value: float
    k_studies: int
    note: str = ""


def _silent(k: int, note: str) -> Asymmetry:
    return Asymmetry(math.nan, math.nan, math.nan, math.nan, k, note)


def _equal(values: np.ndarray) -> bool:
    """Whether all values are equal, but for rounding."""
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


@dataclass(frozen=True)
class Filled:
    """Trim and fill: the mean with the mirrored studies, and those studies."""

    result: Asymmetry
    y: np.ndarray
    se: np.ndarray

    @property
    def k_filled(self) -> int:
        return len(self.y)


def _checked(y, se) -> tuple[np.ndarray, np.ndarray]:
    y, se = np.asarray(y, dtype=float), np.asarray(se, dtype=float)
    if y.ndim != 1 or y.shape != se.shape:
        raise ValueError(f"y and se must be of one length, got {y.shape} and {se.shape}")
    if len(y) < MIN_STUDIES:
        raise ValueError(f"{len(y)} studies: a test of asymmetry needs at least {MIN_STUDIES}")
    if not (np.isfinite(y).all() and np.isfinite(se).all() and (se > 0).all()):
        raise ValueError("y must be finite and se finite and above zero")
    return y, se


def egger(y, se) -> Asymmetry:
    """Egger's regression of y / se on 1 / se: the intercept is zero where the funnel is symmetric.

    Egger et al. 1997, BMJ 315:629; interval and p-value by t with k - 2 degrees of freedom.

    Parameters
    ----------
    y, se : estimates and standard errors, shape (k,), k >= 3.

    Returns
    -------
    Asymmetry, with a note and no figures where all standard errors are equal.

    Raises
    ------
    ValueError : fewer than three studies, or an impossible value.
    """
    from statsmodels.regression.linear_model import OLS  # slow to load, and needed here only

    y, se = _checked(y, se)
    if _equal(se):
        return _silent(len(y), NO_FUNNEL)
    fit = OLS(y / se, np.column_stack([np.ones(len(y)), 1 / se])).fit()
    low, high = fit.conf_int()[0]
    if not np.isfinite([low, high, fit.pvalues[0]]).all():
        return _silent(len(y), NO_ERROR)
    return Asymmetry(float(fit.params[0]), float(low), float(high), float(fit.pvalues[0]), len(y))


def begg(y, se) -> Asymmetry:
    """Rank correlation of standardised effects with their variances (Begg & Mazumdar 1994,
    Biometrics 50:1088): Kendall's tau with an exact p-value where no ranks are tied.

    A note and no figures where all standard errors, or all standardised effects, are equal. Raises
    ValueError as `egger`.

    Parameters
    ----------
    y, se : (k,) effects and standard errors.

    References
    ----------
    Begg & Mazumdar (1994), Biometrics 50:1088.
    """
    y, se = _checked(y, se)
    if _equal(se):
        return _silent(len(y), NO_FUNNEL)
    variance = se**2
    weight = 1 / variance
    mean = (weight * y).sum() / weight.sum()
    standard = (y - mean) / np.sqrt(variance - 1 / weight.sum())
    found = stats.kendalltau(standard, variance)
    if not np.isfinite([found.statistic, found.pvalue]).all():
        return _silent(len(y), NO_ORDER)
    return Asymmetry(float(found.statistic), math.nan, math.nan, float(found.pvalue), len(y))


def trim_and_fill(y, se, *, side: int) -> Filled:
    """Trim and fill with the estimator L0 (Duval & Tweedie 2000, Biometrics 56:455).

    Studies on the favoured side without a mirror image are trimmed until their number is stable,
    then mirrored about the mean of the rest. Means by random effects (Paule & Mandel's tau).

    Parameters
    ----------
    y, se : estimates and standard errors, shape (k,), k >= 3.
    side : +1 where large values are favoured, so that studies are missing below; -1 the reverse.

    Returns
    -------
    Filled, with a note and no figures where the number of missing studies does not settle.

    Raises
    ------
    ValueError : as `egger`, or another side.

    References
    ----------
    Duval & Tweedie (2000), Biometrics 56:455.
    """
    y, se = _checked(y, se)
    if side not in (1, -1):
        raise ValueError(f"side is +1 or -1, not {side}")
    order = np.argsort(side * y, kind="stable")
    values, errors = side * y[order], se[order]
    k, missing = len(y), 0
    for _ in range(MAX_ROUNDS):
        kept = k - missing
        mean, _ = random_effects(values[:kept], errors[:kept])
        centred = values - mean
        ranks = stats.rankdata(np.abs(centred), method="ordinal")
        right = ranks[centred > 0].sum()
        found = min(max(0, round((4 * right - k * (k + 1)) / (2 * k - 1))), k - 2)
        if found == missing:
            break
        missing = found
    else:
        return Filled(_silent(k, NOT_SETTLED), np.array([]), np.array([]))
    mirrored = side * (mean - centred[k - missing :])
    copied = errors[k - missing :]
    full, error = random_effects(np.append(y, mirrored), np.append(se, copied))
    half = stats.norm.isf(LOW) * error
    p_value = 2 * float(stats.norm.sf(abs(full) / error))
    return Filled(
        Asymmetry(full, float(full - half), float(full + half), p_value, k), mirrored, copied
    )


def random_effects(y: np.ndarray, se: np.ndarray) -> tuple[float, float]:
    """Random-effects mean and standard error with Paule & Mandel's tau, by statsmodels.

    Parameters
    ----------
    y, se : (k,) effects and standard errors.

    Returns
    -------
    mean, standard_error : of the model's scale.

    References
    ----------
    Paule & Mandel 1982, Journal of Research of the National Bureau of Standards 87:377-385.
    """
    from statsmodels.stats.meta_analysis import combine_effects

    if len(y) == 1:
        return float(y[0]), float(se[0])
    with np.errstate(invalid="ignore", divide="ignore"):  # its I^2, and roots of a negative tau^2
        fit = combine_effects(y, se**2, method_re="pm")
    weight = 1 / (se**2 + max(float(fit.tau2), 0.0))
    return float((weight * y).sum() / weight.sum()), float(weight.sum() ** -0.5)
