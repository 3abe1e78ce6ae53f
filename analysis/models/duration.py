"""How long insulin independence lasts: one likelihood over every kind of published fact.

A study's durations follow one of the `families` with log median eta. A fact "between a and b"
contributes log(S(a) - S(b)), an order statistic log f(t), "the longest of k at least b, all at
least a" log(S(a)^k - (S(a) - S(b))^k), a mean a normal density around the restricted mean. A
longest duration b of which it is not known whether it had ended is either the longest of all, with
density k f(b) (S(a) - S(b))^(k-1), or the end of follow-up, whose hazard is taken as 1/b. Where the
number ever independent is unknown, a patient counts through the probability of becoming free,
which is integrated out over what studies of that class elsewhere lead one to expect. Times from
treatment are averaged over the onset of independence. `likelihoods` tabulates all this for the
sampler of `tabulated`, `curve` gives S(t) back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special

from analysis import priors
from analysis.models import tabulated
from analysis.models.families import log_density, log_survival
from analysis.models.tabulated import LOGIT_CURE, NO_CURE, THETA, Table

ETA = np.linspace(-2.5, 8.5, 111)
"""Grid of the log median, log months: 2.5 days to 400 years."""

SHORTEST = 0.05
"""Months; times are not taken below this."""

ROUNDING = 0.5
"""Months: two printed times that are equal may lie so far apart."""

_MEAN_NODES = 24


def onset_nodes(n: int = 3) -> np.ndarray:
    """`n` equally likely onsets, months: the mid-quantiles of the onset distribution."""
    mean, sd = priors.get("duration", "onset").params
    return np.exp(mean + sd * special.ndtri((np.arange(n) + 0.5) / n))


def ever_prior() -> tuple[float, float]:
    """Mean and SD of the log odds of ever becoming free in a new study, a priori."""
    mean, sd = priors.get("ever_independent", "mu").params
    spreads = [priors.get("ever_independent", name).scale for name in ("tau", "tau_class")]
    return mean, float(np.sqrt(sd**2 + sum(x**2 for x in spreads)))


def study_log_likelihood(
    facts: pd.DataFrame, family: str, eta, theta, cure, logit_ever=0.0, onset=None
):
    """Log likelihood of the facts of one study.

    Parameters
    ----------
    facts : rows of `durations.layer` of one study.
    eta, theta, cure, logit_ever : arrays that broadcast against each other: log median (log
        months), shape, cured share, log odds of ever becoming free.
    onset : equally likely times from treatment to freedom, months; `onset_nodes()` by default.

    Returns
    -------
    Array of their common shape. Constants that no parameter touches are left out.
    """
    eta, theta, cure = np.broadcast_arrays(eta, theta, cure)
    log_ever, log_never = -np.logaddexp(0, -logit_ever), -np.logaddexp(0, logit_ever)
    total = np.zeros(eta.shape)
    onset = onset_nodes() if onset is None else np.asarray(onset, float)

    def averaged(read, t: float, origin: bool) -> np.ndarray:
        since = np.maximum(t - onset, SHORTEST) if origin else [max(t, SHORTEST)]
        values = [read(float(np.log(x))) for x in since]
        return values[0] if len(values) == 1 else special.logsumexp(values, 0) - np.log(len(values))

    def log_s(t: float, origin: bool) -> np.ndarray:
        if t <= 0:
            return np.zeros(eta.shape)
        return averaged(lambda at: log_survival(family, at - eta, theta, cure), t, origin)

    def log_f(t: float, origin: bool) -> np.ndarray:
        return averaged(lambda at: log_density(family, at - eta, at, theta, cure), t, origin)

    for fact in _counted(facts):
        kind, low, high, count = fact["kind"], fact["low"], fact["high"], fact["count"]
        origin = fact["time_origin"] == "treatment"
        high = max(high, low + ROUNDING)
        if fact["through_ever"] and kind != "unresolved":
            total = total + count * log_ever
        if kind == "right_censored" or (kind in _BETWEEN and not np.isfinite(high)):
            total = total + count * log_s(low, origin)
        elif kind in _BETWEEN:
            total = total + count * log_difference(log_s(low, origin), log_s(high, origin))
        elif kind in ("exact", "order_statistic"):
            total = total + count * log_f(low, origin)
        elif kind in _TOPS:
            a, b = log_s(low, origin), log_s(high, origin)
            ways = []
            if kind != "order_ended":
                # all last a, one lasts b: S(a)^k (1 - (1 - S(b)/S(a))^k)
                ways.append(count * a + _log1mexp(-count * _log1mexp(a - b)))
            if kind != "order_top":
                # the longest at b: k b f(b) (S(a) - S(b))^(k-1), a density of log b
                below = (count - 1) * log_difference(a, b) if count > 1 else 0.0
                ways.append(np.log(count * high) + log_f(high, origin) + below)
            total = total + special.logsumexp(ways, axis=0)
        elif kind == "mean":
            total = total + _mean(lambda t: np.exp(log_s(t, False)), low, fact["high"], count)
        elif kind == "unresolved":
            gone = _log1mexp(-log_s(high, origin))
            total = total + _unresolved(
                int(count), int(fact["min_ever"]), log_ever, log_never, gone
            )
        else:
            raise ValueError(f"unknown kind of fact: {kind}")
    return total


_BETWEEN = ("interval", "landmark", "order_between")
_TOPS = ("order_top", "order_ended", "order_longest")


def _counted(facts: pd.DataFrame) -> list[dict]:
    """Facts with equal ones of single patients added up, so that long listings cost little."""
    additive = facts["kind"].isin(["right_censored", "exact", *_BETWEEN])
    key = ["kind", "low", "high", "time_origin", "through_ever", "min_ever"]
    grouped = facts[additive].groupby(key, sort=False, as_index=False)["count"].sum()
    return grouped.to_dict("records") + facts[~additive].to_dict("records")


def _log1mexp(gap):
    """log(1 - e^-gap) for gap > 0, stable at both ends (Maechler 2012)."""
    gap = np.maximum(gap, 1e-300)
    with np.errstate(divide="ignore"):
        return np.where(gap < 0.693, np.log(-np.expm1(-gap)), np.log1p(-np.exp(-gap)))


def log_difference(a, b):
    """log(e^a - e^b) for a > b."""
    return a + _log1mexp(a - b)


def _mean(survival, printed: float, limit: float, count: float):
    """Normal log density of the log of a printed mean around the mean restricted to `limit`."""
    x, w = np.polynomial.legendre.leggauss(_MEAN_NODES)
    nodes, weights = 0.5 * limit * (x + 1.0), 0.5 * limit * w
    first = second = 0.0
    for t, weight in zip(nodes, weights, strict=True):
        s = survival(t)
        first, second = first + weight * s, second + weight * t * s
    variance = np.maximum(2.0 * second - first**2, 1e-6)
    reading = priors.get("duration", "mean_reading").scale
    spread = variance / first**2 / count + reading**2
    return -0.5 * (np.log(printed) - np.log(first)) ** 2 / spread - 0.5 * np.log(spread)


def _unresolved(r: int, least: int, log_ever, log_never, gone):
    """log P(each of r was never free or is free no longer, at least `least` of them once free)."""
    if least == 0:
        return r * np.logaddexp(log_ever + gone, log_never)
    ways = [
        special.gammaln(r + 1) - special.gammaln(j + 1) - special.gammaln(r - j + 1)
        + j * (log_ever + gone) + (r - j) * log_never
        for j in range(least, r + 1)
    ]  # fmt: skip
    return special.logsumexp(np.broadcast_arrays(*ways), axis=0)


# --- tables for the sampler -------------------------------------------------------------------


def likelihoods(
    facts: pd.DataFrame,
    family: str,
    ever: Mapping[str, tuple[float, float]] | None = None,
    onset: np.ndarray | None = None,
) -> Table:
    """The likelihood of each study, tabulated.

    Parameters
    ----------
    facts : table of `durations.layer`.
    ever : for studies with `through_ever` facts, mean and SD of the log odds of ever becoming
        free, known without these facts; the prior of the ever model for a study not named.
    onset : as in `study_log_likelihood`.
    """
    logit_cure = LOGIT_CURE if family == "cure" else NO_CURE[:1]
    eta, theta = ETA[:, None, None], THETA[None, :, None]
    cure = special.expit(logit_cure)[None, None, :]
    studies, classes, values = [], [], []
    for study, rows in facts.groupby("study_id", sort=False):
        if rows["through_ever"].any():
            mean, sd = (ever or {}).get(study, ever_prior())
            x = np.linspace(-3.0, 3.0, 13)[:, None, None, None]
            log_w = -0.5 * x * x - special.logsumexp(-0.5 * x * x)
            value = np.empty((eta.size, theta.size, cure.size))
            for some in np.array_split(np.arange(eta.size), 8):  # for memory's sake
                part = study_log_likelihood(
                    rows, family, eta[some], theta, cure, mean + sd * x, onset
                )
                value[some] = special.logsumexp(part + log_w, axis=0)
        else:
            value = study_log_likelihood(rows, family, eta, theta, cure, onset=onset)
        if family != "cure":
            value = np.repeat(value, NO_CURE.size, axis=2)
        studies.append(study)
        classes.append(rows["cell_class"].iloc[0])
        values.append(np.maximum(value, -1e8))
    stacked = np.array(values).reshape(
        len(values), ETA.size, THETA.size, LOGIT_CURE.size if family == "cure" else NO_CURE.size
    )
    return Table(
        tuple(studies), tuple(classes), ETA, LOGIT_CURE if family == "cure" else NO_CURE, stacked
    )


def fit(table: Table, family: str, *, seed: int, size: int = 0, name: str = "", **options):
    """Sample the posterior of one family. Options go to `Sampler.fit`."""
    size = size or tabulated.padded(len(table.studies))
    return tabulated.sampler(size).fit(
        name or f"duration {family}",
        seed=seed,
        data=tabulated.data(table, "duration", size),
        **options,
    )


# --- curves -----------------------------------------------------------------------------------


def curve(family: str, eta, theta, cure, months) -> np.ndarray:
    """S(t) for each draw: shape (draws, months). Arguments of shape (draws,) and (months,)."""
    months = np.asarray(months, float)
    y = np.log(np.maximum(months, 1e-6))[None, :] - np.asarray(eta)[:, None]
    values = np.exp(log_survival(family, y, np.asarray(theta)[:, None], np.asarray(cure)[:, None]))
    return np.where(months[None, :] <= 0, 1.0, values)
