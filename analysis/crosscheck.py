"""The headline effects through statsmodels: DerSimonian-Laird, Paule-Mandel and the HKSJ interval.

A second, independent way to the same means, for effects that have a number and a standard error at
a fixed pre-post correlation. Results in words and effects without a spread cannot enter here, so
these rows answer a narrower question than the Bayesian model; each says how many were left out.
Controlled and uncontrolled studies are never mixed.

Methods. dl: DerSimonian and Laird 1986, normal interval. pm: Paule and Mandel 1982, normal
interval. hksj: Paule-Mandel's tau with the interval of Hartung and Knapp 2001, Sidik and Jonkman
2002 (t with k - 1 degrees of freedom), its variance factor q = sum w (y - mean)^2 / (k - 1) taken
as max(1, q) (Roever, Knapp and Friede 2015): studies that agree by chance do not make it narrower
than the common-effect interval. Of two studies t with one degree of freedom says nothing.
Prediction interval from three studies on: mean +/- t_{k-2} sqrt(tau^2 + se^2) (Higgins, Thompson
and Spiegelhalter 2009).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import special

from analysis import effects as effects_module
from analysis.central import LOW

METHODS = ("dl", "pm", "hksj")
NOTHING_AT_TWO = "Hartung-Knapp says nothing of two studies"


def pool(y: np.ndarray, variance: np.ndarray, method: str) -> dict[str, float]:
    """Random-effects mean of k >= 1 estimates.

    Parameters
    ----------
    y, variance : estimates and their positive sampling variances, shape (k,).
    method : "dl", "pm" or "hksj".

    Returns mean, sd (standard error), ci_low, ci_high, pred_low, pred_high, tau. One study is
    returned as it is, with a normal interval and no tau. Raises ValueError for no study, an unknown
    method or a variance that is not positive.
    """
    y, variance = np.asarray(y, dtype=float), np.asarray(variance, dtype=float)
    if method not in METHODS:
        raise ValueError(f"no such method: {method}")
    if len(y) == 0 or len(y) != len(variance):
        raise ValueError("pooling needs at least one estimate, each with a variance")
    if not (np.all(np.isfinite(y)) and np.all(variance > 0)):
        raise ValueError("estimates must be finite and variances positive")
    none = math.nan
    if len(y) == 1:
        mean, error = float(y[0]), math.sqrt(float(variance[0]))
        return {**_interval(mean, error, -float(special.ndtri(LOW))), "sd": error,
                "pred_low": none, "pred_high": none, "tau": none}  # fmt: skip
    tau2 = _tau2(y, variance, "dl" if method == "dl" else "pm")
    weights = 1 / (variance + tau2)
    k = len(y)
    mean = float(np.sum(weights * y) / np.sum(weights))
    plain = math.sqrt(1 / float(np.sum(weights)))
    if method == "hksj":
        q = float(np.sum(weights * (y - mean) ** 2)) / (k - 1)
        error = plain * math.sqrt(max(1.0, q))
        width = -float(special.stdtrit(k - 1, LOW))
    else:
        error, width = plain, -float(special.ndtri(LOW))
    low = high = none
    if k >= 3:
        half = -float(special.stdtrit(k - 2, LOW)) * math.sqrt(tau2 + error**2)
        low, high = mean - half, mean + half
    return {**_interval(mean, error, width), "sd": error, "pred_low": low, "pred_high": high,
            "tau": math.sqrt(tau2)}  # fmt: skip


def _tau2(y: np.ndarray, variance: np.ndarray, method: str) -> float:
    """Between-study variance by statsmodels, a negative estimate taken as zero.

    The tolerance of its Paule-Mandel iteration stays as it is: a finer one lets rounding make the
    estimating equation negative at the root, and statsmodels then answers zero.
    """
    from statsmodels.stats.meta_analysis import combine_effects

    with np.errstate(invalid="ignore", divide="ignore"):  # its I^2, and roots of a negative tau^2
        fit = combine_effects(y, variance, method_re=method)
    return max(float(fit.tau2), 0.0)


def _interval(mean: float, error: float, width: float) -> dict[str, float]:
    return {"mean": mean, "ci_low": mean - width * error, "ci_high": mean + width * error}


def figures(rows: pd.DataFrame, r: float = effects_module.Rules.r) -> list[dict]:
    """The three methods on the effects of one stratum and design, one dict a method.

    Parameters
    ----------
    rows : effects, one a group of patients (`effects.for_stratum`).
    r : pre-post correlation at which the standard errors are taken.

    Returns
    -------
    Dicts with method, k_studies, n_patients, mean, sd, ci_low, ci_high, pred_low, pred_high, tau
    and note; none where no number has a standard error. The note says how many results could not
    enter, that one study is shown as itself, and that Hartung-Knapp says nothing of two.
    """
    variance = pd.Series(effects_module.variance(rows, r), index=rows.index)
    usable = rows["kind"].eq("numeric") & (variance > 0)
    k = int(usable.sum())
    if not k:
        return []
    left = len(rows) - k
    notes = [f"{left} without a number or a standard error left out"] if left else []
    notes += ["one study: its own estimate"] if k == 1 else []
    made = []
    for method in METHODS:
        own = [*notes, NOTHING_AT_TWO] if method == "hksj" and k == 2 else notes
        found = pool(rows.loc[usable, "y"].to_numpy(), variance[usable].to_numpy(), method)
        made.append(
            {
                "method": method,
                "k_studies": k,
                "n_patients": rows.loc[usable, "n_patients"].sum(),
                **found,
                "note": "; ".join(own),
            }
        )
    return made
