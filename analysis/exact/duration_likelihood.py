"""The likelihood of published facts on durations, whatever their kind.

A study's durations follow one of the `families` with log median eta. A fact "between a and b"
contributes log(S(a) - S(b)), an order statistic log f(t), "the longest of k at least b, all at
least a" log(S(a)^k - (S(a) - S(b))^k), a mean a normal density around the restricted mean. A
longest duration b of which it is not known whether it had ended is either the longest of all, with
density k f(b) (S(a) - S(b))^(k-1), or the end of follow-up, whose hazard is taken as 1/b. Where the
number ever free is unknown, a patient counts through the probability of becoming free, which is
integrated out over what is known of it elsewhere. Times from treatment are averaged over the onset
of freedom. Constants that no parameter touches are left out, the same ones in every family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import special
from scipy.interpolate import CubicSpline

from analysis.exact.families import RESUMING, log_density, log_survival, with_cured
from analysis.exact.grid import EvenPolynomials
from analysis.exact.logs import log1mexp, log_difference, log_sum_exp
from analysis.records import records

KINDS = (
    "right_censored", "exact", "interval", "landmark", "order_between", "order_statistic",
    "order_top", "order_ended", "order_longest", "mean", "unresolved",
)  # fmt: skip
READ = ("kind", "low", "high", "count", "time_origin", "through_ever", "min_ever")
"""What a likelihood reads of a fact."""
SHORTEST = 0.05
"""Months; times are not taken below this."""
ROUNDING = 0.5
"""Months: two printed times that are equal may lie so far apart."""
IMPOSSIBLE = -1e8
TABLE_END = 40.0
"""Log odds; a table of the probability of being free no longer reaches so far on either side."""

_MEAN_NODES = 24
_BETWEEN = ("interval", "landmark", "order_between")
_ADDITIVE = ("right_censored", "exact", *_BETWEEN)
_TOPS = ("order_top", "order_ended", "order_longest")
_DEFAULTS = {
    "low": 0.0,
    "high": np.inf,
    "count": 1.0,
    "time_origin": "independence",
    "through_ever": False,
    "min_ever": 0,
}


@dataclass(frozen=True)
class FactReading:
    """How facts are read.

    Attributes
    ----------
    onset : equally likely times from treatment to freedom, months; by default the mid-quantiles of
        a log-normal with median 1 month and log SD 1.2.
    mean_spread : SD of the log of a printed mean around the restricted mean, on top of sampling.
    """

    onset: tuple[float, ...] = (0.313, 1.0, 3.193)
    mean_spread: float = 0.25


def complete(facts: pd.DataFrame) -> pd.DataFrame:
    """The facts with every column; absent ones at their defaults (low 0, high inf, count 1 ...).

    Parameters
    ----------
    facts : study_id, kind (of `KINDS`), low and high in months; count, time_origin (`independence`
        or `treatment`), through_ever and min_ever where they apply.

    Raises
    ------
    ValueError : names the first row that is no fact.
    """
    missing = [name for name in ("study_id", "kind") if name not in facts]
    if missing:
        raise ValueError(f"facts lack the column {', '.join(missing)}")
    table = facts.reset_index(drop=True).copy()
    for name, value in _DEFAULTS.items():
        if name not in table:
            table[name] = value
        else:
            empty = table[name].isna()
            table[name] = [
                value if absent else found for found, absent in zip(table[name], empty, strict=True)
            ]
    rules = {
        f"kind must be one of {', '.join(KINDS)}": table["kind"].isin(KINDS),
        "low must be a time from 0": table["low"].ge(0) & np.isfinite(table["low"].astype(float)),
        "high must be at least low": table["high"].ge(table["low"]) | table["kind"].eq("mean")
        | table["kind"].isin(("exact", "right_censored", "order_statistic")),
        "count must be above 0": table["count"].gt(0),
        "time_origin must be independence or treatment": table["time_origin"].isin(
            ("independence", "treatment")
        ),
    }  # fmt: skip
    for rule, good in rules.items():
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            raise ValueError(f"{rule}: row {row} of {table.loc[row, 'study_id']!r}")
    return table


@dataclass(frozen=True)
class Split:
    """A study's log likelihood taken apart from the probability of ever becoming free.

    sure : the part without it, an array.
    through : patients known to have become free whose number ever free is unknown.
    unresolved : (patients, least ever free, log of S, log of 1 - S at the time) of those never
        free, or free no longer.
    """

    sure: np.ndarray
    through: float
    unresolved: tuple[tuple[int, int, np.ndarray, np.ndarray], ...]

    def given(self, logit_ever: Any) -> np.ndarray:
        """The log likelihood at log odds `logit_ever` of ever becoming free; arrays broadcast."""
        log_ever, log_never = -np.logaddexp(0, -logit_ever), -np.logaddexp(0, logit_ever)
        total = self.sure + self.through * log_ever
        for patients, least, _, gone in self.unresolved:
            total = total + log_unresolved(patients, least, log_ever, log_never, gone)
        return total


def split_log_likelihood(
    told: Sequence[dict], family: str, eta: Any, theta: Any, cure: Any, reading: FactReading
) -> Split:
    """Log likelihood of the facts of one study; see `Split`.

    Parameters
    ----------
    told : the facts of one study; see `statements`.
    family : one of `families.FAMILIES`.
    eta, theta, cure : arrays that broadcast: log median (log months), shape, cured share. Where
        cure has an axis of its own, those who resume are worked out once for all of it.
    reading : how times from treatment and printed means are read.

    Raises
    ------
    ValueError : a kind of fact that is not known.
    """
    resuming = RESUMING.get(family, family)
    shape = np.broadcast_shapes(np.shape(eta), np.shape(theta), np.shape(cure))
    onset = np.asarray(reading.onset, dtype=float)
    total = np.zeros(shape)
    through = 0.0
    unresolved = []

    def averaged(read: Callable[[float], np.ndarray], t: float, origin: bool) -> np.ndarray:
        since = np.maximum(t - onset, SHORTEST) if origin else [max(t, SHORTEST)]
        values = [read(float(np.log(x))) for x in since]
        return (
            values[0]
            if len(values) == 1
            else log_sum_exp(np.array(values), 0) - np.log(len(values))
        )

    def log_s(t: float, origin: bool) -> np.ndarray:
        if t <= 0:
            return np.zeros(shape)
        value = averaged(lambda at: log_survival(resuming, at - eta, theta, 0.0), t, origin)
        return with_cured(value, cure) if family in RESUMING else value

    def log_f(t: float, origin: bool) -> np.ndarray:
        value = averaged(lambda at: log_density(resuming, at - eta, at, theta, 0.0), t, origin)
        return value + np.log1p(-np.asarray(cure)) if family in RESUMING else value

    for fact in told:
        kind, low, high, count = fact["kind"], fact["low"], fact["high"], fact["count"]
        origin = fact["time_origin"] == "treatment"
        high = max(high, low + ROUNDING)
        if fact["through_ever"] and kind != "unresolved":
            through += count
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
                ways.append(count * a + log1mexp(-count * log1mexp(a - b)))
            if kind != "order_top":
                # the longest at b: k b f(b) (S(a) - S(b))^(k-1), a density of log b
                below = (count - 1) * log_difference(a, b) if count > 1 else 0.0
                ways.append(np.log(count * high) + log_f(high, origin) + below)
            total = total + (np.logaddexp(*ways) if len(ways) > 1 else ways[0])
        elif kind == "mean":
            total = total + _mean(
                lambda t: np.exp(log_s(t, False)), low, fact["high"], count, reading.mean_spread
            )
        elif kind == "unresolved":
            stay = log_s(high, origin)
            unresolved.append((int(count), int(fact["min_ever"]), stay, log1mexp(-stay)))
        else:
            raise ValueError(f"unknown kind of fact: {kind}")
    return Split(total, through, tuple(unresolved))


def statements(facts: pd.DataFrame) -> list[dict]:
    """The facts of one study as records; equal ones of single patients are added up, so that long
    listings cost little.

    Parameters
    ----------
    facts : rows of one study with every column of `complete`.
    """
    alike: dict[tuple, dict] = {}
    others = []
    for fact in records(facts):
        if fact["kind"] not in _ADDITIVE:
            others.append(fact)
            continue
        told = {name: fact[name] for name in READ if name != "count"}
        alike.setdefault(tuple(told.values()), told | {"count": 0.0})["count"] += fact["count"]
    return [*alike.values(), *others]


def _mean(
    survival: Callable[[float], np.ndarray],
    printed: float,
    limit: float,
    count: float,
    reading: float,
) -> np.ndarray:
    """Normal log density of the log of a printed mean around the mean restricted to `limit`."""
    x, w = np.polynomial.legendre.leggauss(_MEAN_NODES)
    nodes, weights = 0.5 * limit * (x + 1.0), 0.5 * limit * w
    first = second = 0.0
    for t, weight in zip(nodes, weights, strict=True):
        s = survival(t)
        first, second = first + weight * s, second + weight * t * s
    first = np.maximum(first, 1e-12)
    variance = np.maximum(2.0 * second - first**2, 1e-6)
    spread = variance / first**2 / count + reading**2
    return -0.5 * (np.log(printed) - np.log(first)) ** 2 / spread - 0.5 * np.log(spread)


def log_unresolved(
    patients: int, least: int, log_ever: Any, log_never: Any, gone: Any
) -> np.ndarray:
    """log P(each of `patients` was never free or is free no longer, at least `least` once free).

    Parameters
    ----------
    patients : how many of whom neither is known.
    least : so many of them were free once.
    log_ever, log_never : log probabilities of ever and of never becoming free.
    gone : log probability that one who became free no longer is.

    Returns
    -------
    Log probabilities, broadcast from the arguments.
    """
    if least == 0:
        return patients * np.logaddexp(log_ever + gone, log_never)
    ways = [
        special.gammaln(patients + 1) - special.gammaln(j + 1) - special.gammaln(patients - j + 1)
        + j * (log_ever + gone) + (patients - j) * log_never
        for j in range(least, patients + 1)
    ]  # fmt: skip
    return special.logsumexp(np.broadcast_arrays(*ways), axis=0)


def study_log_likelihood(
    told: Sequence[dict],
    family: str,
    eta: Any,
    theta: Any,
    cure: Any,
    reading: FactReading,
    ever: tuple[float, float],
) -> np.ndarray:
    """Log likelihood of one study's facts, the probability of ever becoming free integrated out.

    Parameters
    ----------
    told, family, eta, theta, cure, reading : as in `split_log_likelihood`.
    ever : mean and SD of the log odds of ever becoming free, known without these facts.
    """
    parts = split_log_likelihood(told, family, eta, theta, cure, reading)
    if not parts.through and not parts.unresolved:
        return np.maximum(parts.sure, IMPOSSIBLE)
    if len(parts.unresolved) > 1:
        logit_ever, log_w = _ever_nodes(*ever)
        each = [w + parts.given(at) for at, w in zip(logit_ever, log_w, strict=True)]
        return np.maximum(special.logsumexp(each, axis=0), IMPOSSIBLE)
    # One group of unresolved patients: the integral depends on their S alone, so it is a table.
    patients, least, stay, gone = (parts.unresolved or ((0, 0, -1.0, log1mexp(np.asarray(1.0))),))[
        0
    ]
    table = _ever_table(patients, least, parts.through, *ever)
    return np.maximum(parts.sure + table(gone - stay), IMPOSSIBLE)


def _ever_nodes(mean: float, sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Log odds of ever becoming free, evenly spaced, and their log weights."""
    x = np.linspace(-6.5, 6.5, 261)
    log_w = -0.5 * x * x
    return mean + sd * x, log_w - special.logsumexp(log_w)


@lru_cache(maxsize=256)
def _ever_table(
    patients: int, least: int, through: float, mean: float, sd: float
) -> EvenPolynomials:
    """Log likelihood of those who became free and those unresolved, the probability of becoming
    free integrated out, by the log odds of being free no longer."""
    logit_ever, log_w = _ever_nodes(mean, sd)
    log_ever, log_never = -np.logaddexp(0, -logit_ever), -np.logaddexp(0, logit_ever)
    grid = np.linspace(-TABLE_END, TABLE_END, 801)
    log_gone = -np.logaddexp(0.0, -grid)[:, None]
    value = through * log_ever + log_unresolved(patients, least, log_ever, log_never, log_gone)
    spline = CubicSpline(grid, log_sum_exp(value + log_w, axis=1))
    return EvenPolynomials(-TABLE_END, grid[1] - grid[0], spline.c)


def by_study(facts: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The facts study by study, in order of first appearance."""
    yield from facts.groupby("study_id", sort=False)


def still_free(facts: pd.DataFrame, months: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """How many are known to have been free, and still observed, at each month.

    A fact speaks for its patients as long as each of them is known to be free: a patient who
    resumed until the month of it, a censored one until censoring, the patients of an interval or
    between order statistics until its beginning, of a group with a known longest duration all until
    the group's least time and one until the longest. A mean and unresolved patients speak for none.

    Parameters
    ----------
    facts : as `complete` takes them; the column `cohort` where it is known, else study_id.
    months : times.

    Returns
    -------
    DataFrame with months, patients (over all cohorts) and cohorts (that have any).
    """
    table = complete(facts)
    cohort = table["cohort"] if "cohort" in table else table["study_id"]
    silent = table["kind"].isin(("mean", "unresolved"))
    rows = []
    for month in months:
        free = table["count"].where(table["low"].ge(month) & ~silent, 0.0)
        longest = table["kind"].isin(_TOPS) & table["low"].lt(month) & table["high"].ge(month)
        free = free.mask(longest, 1.0)
        rows.append((float(month), float(free.sum()), int((free.groupby(cohort).sum() > 0).sum())))
    return pd.DataFrame(rows, columns=["months", "patients", "cohorts"])


def last_supported_month(facts: pd.DataFrame, patients: int = 10, cohorts: int = 2) -> float:
    """The last month with so many patients still free and observed, from so many cohorts.

    Parameters
    ----------
    facts : as `complete` takes them.
    patients, cohorts : the fewest.

    Returns
    -------
    Months; NaN where no month has them. A curve is read no further than this.

    References
    ----------
    Pocock, Clayton & Altman (2002), Lancet 359:1686.
    """
    table = complete(facts)
    times = pd.concat([table["low"], table["high"]]).astype(float)
    times = np.unique(times[np.isfinite(times) & (times > 0)])
    found = still_free(table, times)
    held = found[(found["patients"] >= patients) & (found["cohorts"] >= cohorts)]
    return float(held["months"].max()) if len(held) else float("nan")


def longest_observed(facts: pd.DataFrame) -> float:
    """The longest time, months, at which anybody was known to be free; 0 without any."""
    table = complete(facts)
    table = table[~table["kind"].isin(("mean", "unresolved"))]
    high = table["high"].where(table["kind"].isin(_TOPS), 0.0)
    return float(max(table["low"].max(), high.max())) if len(table) else 0.0
