"""Shares and rates from counts, zeros and lower bounds kept: random effects by exact quadrature.

    from analysis import exact
    post = exact.fit_shares([7, 0, 3], [20, 14, 16], mu_prior=exact.Normal(0, 1.5),
                            tau_prior=exact.HalfNormal(1.0))
    post.mean_study.summary(), post.new_study.interval(), post.shrinkage

Shares: k_i of n_i patients, binomial, theta_i the log odds. Rates: k_i events in t_i units of
exposure, Poisson, theta_i the log rate; where patients rather than events are counted, each of n_i
patients followed for t_i / n_i has the event with probability 1 - exp(-rate t_i / n_i). In both
theta_i ~ N(mu, tau^2), so no study has to have events and none is dropped or corrected for having
none (Stijnen, Hamza & Ozdemir 2010, Stat Med 29:3046). "At least k" is a censored count, P(K >= k);
where at most m can be, P(k <= K <= m).
All log likelihoods are concave in theta, which is what `hierarchy` integrates.

The mean study is the one with theta = mu: the median over studies, not their average. Upper bounds
are quantiles of the posterior, with no Monte-Carlo error.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import special
from scipy.interpolate import CubicHermiteSpline

from analysis.central import HIGH
from analysis.exact.bounds import upper_rate
from analysis.exact.grid import SHARE, EvenPolynomials, GridDistribution, Scale, multiple
from analysis.exact.hierarchy import Hierarchy, StudyLikelihood
from analysis.exact.logs import log1p_exp
from analysis.exact.priors import Normal, TauPrior

SMALLEST = 1e-250
"""Below it a tail probability is taken from the first term of its series."""
LARGEST_EXPONENT = 600.0
TABLE_STEP = 0.02
TABLE_REACH = 30.0


class Share:
    """k of n patients: the binomial log likelihood as a function of the log odds."""

    def __init__(self, events: float, total: float):
        self.events, self.total = events, total
        share = (events + 0.5) / (total + 1.0)
        self.centre = float(np.log(share / (1.0 - share)))
        self.precision = total * share * (1.0 - share)
        self._constant = _log_choose(total, events)

    def value(self, theta: np.ndarray) -> np.ndarray:
        return self._constant + self.events * theta - self.total * log1p_exp(theta)

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = special.expit(theta)
        return self.events - self.total * p, -self.total * p * (1.0 - p)

    def log_at_least(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log P(K >= k) and its derivative (k of at least 1)."""
        k, n = self.events, self.total
        log_p, log_q = -log1p_exp(-theta), -log1p_exp(theta)
        value = _log_upper_tail(k, n, log_p, log_q)
        return value, np.exp(k * log_p + (n - k + 1) * log_q - special.betaln(k, n - k + 1) - value)


class Events:
    """k events in t units of exposure: the Poisson log likelihood in the log rate."""

    def __init__(self, events: float, exposure: float):
        self.events, self.log_exposure = events, float(np.log(exposure))
        self.centre = float(np.log((events + 0.5) / exposure))
        self.precision = events + 0.5
        self._constant = float(-special.gammaln(events + 1))

    def value(self, theta: np.ndarray) -> np.ndarray:
        log_x = theta + self.log_exposure
        return self._constant + self.events * log_x - _exp(log_x)

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = _exp(theta + self.log_exposure)
        return self.events - x, -x

    def log_at_least(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log P(K >= k) and its derivative (k of at least 1)."""
        k, log_x = self.events, theta + self.log_exposure
        x = _exp(log_x)
        tail = special.gammainc(k, x)
        series = k * log_x - x - special.gammaln(k + 1) + np.log1p(x / (k + 1))
        value = np.where(tail > SMALLEST, np.log(np.maximum(tail, SMALLEST)), series)
        return value, np.exp(k * log_x - x - special.gammaln(k) - value)


class PatientsWithEvent:
    """k of n patients had an event in t years each, risk 1 - exp(-rate t): in the log rate."""

    def __init__(self, events: float, patients: float, years: float):
        self.events, self.patients, self.log_years = events, patients, float(np.log(years))
        hazard = -np.log1p(-(events + 0.5) / (patients + 1.0))
        self.centre = float(np.log(hazard / years))
        self.precision = events + 0.5
        self._constant = _log_choose(patients, events)

    def _log_p(self, x: np.ndarray) -> np.ndarray:
        """Log of the risk 1 - exp(-x)."""
        return np.where(
            x < 0.5, np.log(-np.expm1(-np.minimum(x, 0.5))), np.log1p(-np.exp(-np.maximum(x, 0.5)))
        )

    def _hazard(self, theta: np.ndarray) -> np.ndarray:
        return np.maximum(_exp(theta + self.log_years), 1e-300)

    def value(self, theta: np.ndarray) -> np.ndarray:
        x = self._hazard(theta)
        return self._constant + self.events * self._log_p(x) - (self.patients - self.events) * x

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = self._hazard(theta)
        ratio = x / np.expm1(np.minimum(x, LARGEST_EXPONENT))  # d log p / d theta
        others = (self.patients - self.events) * x
        bent = ratio * (1.0 - x - ratio)
        return self.events * ratio - others, self.events * bent - others

    def log_at_least(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log P(K >= k) and its derivative (k of at least 1)."""
        k, n, x = self.events, self.patients, self._hazard(theta)
        log_p = self._log_p(x)
        value = _log_upper_tail(k, n, log_p, -x)
        log_slope = (k - 1) * log_p - (n - k + 1) * x + np.log(x)
        return value, np.exp(log_slope - special.betaln(k, n - k + 1) - value)


class AtLeast:
    """A censored count, log P(K >= k), read from a fine table with its slopes (cubic Hermite).

    Left of the table the probability falls as the k-th power; right of it, it is one.
    """

    def __init__(self, count: Share | Events | PatientsWithEvent):
        self.count = count
        self.centre, self.precision = count.centre, 0.5 * count.precision
        self._k = count.events
        self._low, self._high = self.centre - TABLE_REACH, self.centre + TABLE_REACH
        grid = np.linspace(self._low, self._high, round(2 * TABLE_REACH / TABLE_STEP) + 1)
        table = CubicHermiteSpline(grid, *count.log_at_least(grid))
        self._value, self._slope, self._bend = (
            EvenPolynomials(self._low, TABLE_STEP, table.derivative(order).c) for order in range(3)
        )

    def value(self, theta: np.ndarray) -> np.ndarray:
        return self._value(theta) + self._k * np.minimum(theta - self._low, 0.0)

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.maximum(self._slope(theta), 0.0), np.minimum(self._bend(theta), 0.0)


def _exp(x: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(x, LARGEST_EXPONENT))


def _log_choose(n: float, k: float) -> float:
    return float(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def _log_upper_tail(k: float, n: float, log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """log P(K >= k) for K binomial, k of at least 1."""
    p = np.exp(log_p)
    tail = special.betainc(k, n - k + 1, p)
    first = k * log_p + (n - k + 1) * log_q - np.log(k) - special.betaln(k, n - k + 1)
    series = first + np.log1p((n + 1) / (k + 1) * p)
    return np.where(tail > SMALLEST, np.log(np.maximum(tail, SMALLEST)), series)


class Between:
    """A censored count of which the most is known, log P(k <= K <= m), m below all n patients.

    Its slope in the log odds is E(K | k <= K <= m) - n p, its bend the difference of the variances
    of the two, which is not positive: a binomial count varies less when it is held to a range.
    """

    def __init__(self, count: Share, most: float):
        self.count, self.most = count, most
        middle = Share(0.5 * (count.events + most), count.total)
        self.centre, self.precision = middle.centre, 0.5 * middle.precision
        self._ways = np.arange(count.events, most + 1)
        self._log_ways = np.array([_log_choose(count.total, j) for j in self._ways])

    def _terms(self, theta: np.ndarray) -> np.ndarray:
        """(..., ways) log of the chance of each number, but for the factor (1 - p)^n."""
        return self._log_ways + self._ways * np.asarray(theta, dtype=float)[..., None]

    def value(self, theta: np.ndarray) -> np.ndarray:
        within = special.logsumexp(self._terms(theta), axis=-1)
        return within - self.count.total * log1p_exp(theta)

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = special.softmax(self._terms(theta), axis=-1)
        mean = share @ self._ways
        varies = (share * (self._ways - mean[..., None]) ** 2).sum(axis=-1)
        p = special.expit(theta)
        bend = varies - self.count.total * p * (1.0 - p)
        return mean - self.count.total * p, np.minimum(bend, 0.0)


class Nothing:
    """ "At least 0", which is always so."""

    centre = precision = 0.0

    def value(self, theta: np.ndarray) -> np.ndarray:
        return np.zeros_like(theta)

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(theta), np.zeros_like(theta)


def _censored(counts: list, bound: np.ndarray) -> list:
    """The counts, those that are lower bounds as such."""
    return [
        count if not b else AtLeast(count) if count.events > 0 else Nothing()
        for count, b in zip(counts, bound, strict=True)
    ]


def censored_share(events: float, total: float, most: float) -> StudyLikelihood:
    """The likelihood of `events` to `most` of `total` patients, a function of the log odds.

    Parameters
    ----------
    events, most : the fewest and the most it can be: alike where the count is exact, `most` the
        total where nothing but the fewest is known.
    total : all patients.
    """
    share = Share(events, total)
    if events < most < total:
        return Between(share, most)
    return _censored([share], np.array([most > events]))[0]


class CountPosterior:
    """Posterior of shares or rates.

    Attributes
    ----------
    mean_study : distribution of the share (rate) of the mean study, theta = mu.
    new_study : distribution of the share (rate) of a new study.
    mu, new_theta : the same on the scale of theta (log odds, log rate per unit of exposure).
    tau : distribution of the SD between studies on that scale; None for a Fixed prior.
    log_marginal_likelihood : log p(counts).
    k : number of studies, copies counted.
    studies, copies : the counts as likelihoods, and how many studies each stands for.
    level : levels of nodes that were needed, from 1.
    """

    def __init__(
        self,
        studies: list,
        copies: np.ndarray,
        mu_prior: Normal,
        tau_prior: TauPrior,
        scale: Scale,
        labels: Sequence[Any] | None,
    ):
        self._hierarchy = Hierarchy(
            studies, copies, mu_prior, tau_prior, power=0.0 if scale.bounded else 2.0
        )
        self.studies, self.copies, self._scale = studies, copies, scale
        self.mu_prior, self.tau_prior = mu_prior, tau_prior
        self.labels = list(labels) if labels is not None else list(range(len(studies)))
        self.k = float(copies.sum())
        self.level = self._hierarchy.level
        self.mu: GridDistribution = self._hierarchy.mu
        self.new_theta: GridDistribution = self._hierarchy.new
        self.tau: GridDistribution | None = self._hierarchy.tau
        self.log_marginal_likelihood: float = self._hierarchy.log_marginal

    @cached_property
    def mean_study(self) -> GridDistribution:
        return self.mu.on(self._scale)

    @cached_property
    def new_study(self) -> GridDistribution:
        new = self.new_theta.on(self._scale)
        if not self._scale.bounded:  # the mean of exp(theta) lies far out: taken in closed form
            per = float(self._scale.forward(np.zeros(1))[0])
            new.mean, new.sd = self._hierarchy.moments_of_exp(per)
        return new

    def summary(self, threshold: float | None = None) -> pd.DataFrame:
        """Mean study and new study, one row each: see `GridDistribution.summary`."""
        rows = {
            "mean_study": self.mean_study.summary(threshold),
            "new_study": self.new_study.summary(threshold),
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    @cached_property
    def shrinkage(self) -> pd.DataFrame:
        """Each study's own share (rate) given all data: mean, sd, median, ci_low, ci_high."""
        rows = []
        for i in range(len(self.studies)):
            own = self.effect(i)
            low, high = own.interval()
            rows.append(
                {
                    "mean": own.mean,
                    "sd": own.sd,
                    "median": own.median,
                    "ci_low": low,
                    "ci_high": high,
                }
            )
        return pd.DataFrame(rows, index=self.labels)

    def effect(self, row: int) -> GridDistribution:
        """The share (rate) of the study in position `row`, given all data."""
        return self._hierarchy.effect(row, self._scale)

    def density(self, which: str = "mean_study", points: int = 201) -> pd.DataFrame:
        """Columns value and density of `mean_study`, `new_study`, `tau` or `mu`, for a picture."""
        value, density = getattr(self, which).curve(points)
        return pd.DataFrame({"value": value, "density": density})

    def without(self, row: int) -> CountPosterior:
        """The posterior without the study in position `row` (with all its copies)."""
        if len(self.studies) == 1:
            raise ValueError("the only study cannot be left out")
        return CountPosterior(
            self.studies[:row] + self.studies[row + 1 :], np.delete(self.copies, row),
            self.mu_prior, self.tau_prior, self._scale,
            self.labels[:row] + self.labels[row + 1 :],
        )  # fmt: skip

    def leave_one_out(self) -> pd.DataFrame:
        """Each study left out: the mean study's summary, and log p(its count | the others).

        A study of several copies is left out with all of them.
        """
        rows = []
        for i in range(len(self.studies)):
            rest = self.without(i)
            gain = self.log_marginal_likelihood - rest.log_marginal_likelihood
            rows.append(rest.mean_study.summary() | {"log_predictive": gain})
        return pd.DataFrame(rows, index=self.labels)


def fit_shares(
    events: Any,
    totals: Any,
    *,
    mu_prior: Normal,
    tau_prior: TauPrior,
    at_least: Any = None,
    most: Any = None,
    copies: Any = None,
    labels: Sequence[Any] | None = None,
) -> CountPosterior:
    """Posterior of a share: k of n in each study, random effects on the log odds.

    Parameters
    ----------
    events, totals : whole numbers, one a study, 0 <= events <= totals, totals above 0.
    mu_prior : of the mean log odds.   tau_prior : of the SD of the log odds between studies.
    at_least : True where the count is a lower bound; none by default.
    most : the most that a lower bound can be, such as k and all whom nobody counted; all patients
        by default. An exact count has no say in it.
    copies : how many studies each row stands for; 1 by default.
    labels : names of the studies, for tables.

    Returns
    -------
    CountPosterior, on the scale of shares.

    Raises
    ------
    ValueError : names the first row that is not such a count.

    References
    ----------
    Stijnen, Hamza & Ozdemir 2010, Statistics in Medicine 29:3046-3067.
    """
    k, bound, copies = _counts(events, at_least, copies)
    n = _column("totals", totals, k.size)
    _require(n, (n > 0) & (n == np.round(n)), "totals must be whole numbers above 0")
    _require(k, k <= n, "events cannot exceed totals")
    _priors(mu_prior, tau_prior)
    upper = n if most is None else _column("most", most, k.size)
    _require(upper, (upper >= k) & (upper <= n), "most lies between events and totals")
    _require(upper, upper == np.round(upper), "most must be whole numbers")
    upper = np.where(bound, upper, k)
    studies = [censored_share(*row) for row in zip(k, n, upper, strict=True)]
    return CountPosterior(studies, copies, mu_prior, tau_prior, SHARE, labels)


def fit_rates(
    events: Any,
    exposure: Any,
    *,
    mu_prior: Normal,
    tau_prior: TauPrior,
    patients: Any = None,
    at_least: Any = None,
    copies: Any = None,
    labels: Sequence[Any] | None = None,
    per: float = 1.0,
) -> CountPosterior:
    """Posterior of a rate: events in known exposure, random effects on the log rate.

    Parameters
    ----------
    events : whole numbers, one a study.
    exposure : patient-years (or any unit), above 0.
    mu_prior : of the mean log rate per unit of exposure.   tau_prior : of the SD between studies.
    patients : number at risk in each study. Given, `events` are patients with at least one event,
        each followed for exposure / patients; else they are events, Poisson.
    at_least : True where the count is a lower bound; none by default.
    copies : how many studies each row stands for; 1 by default.
    labels : names of the studies, for tables.
    per : the rates are given per so many units of exposure (100 for per 100 patient-years).

    Returns
    -------
    CountPosterior, on the scale of rates.

    Raises
    ------
    ValueError : names the first row that is not such a count.

    References
    ----------
    Stijnen, Hamza & Ozdemir 2010, Statistics in Medicine 29:3046-3067.
    """
    k, bound, copies = _counts(events, at_least, copies)
    t = _column("exposure", exposure, k.size)
    _require(t, t > 0, "exposure must be above 0")
    _priors(mu_prior, tau_prior)
    counts: list = [Events(a, b) for a, b in zip(k, t, strict=True)]
    if patients is not None:
        n = _column("patients", patients, k.size)
        _require(n, (n > 0) & (n == np.round(n)), "patients must be whole numbers above 0")
        _require(k, k <= n, "events cannot exceed patients")
        counts = [PatientsWithEvent(a, b, c) for a, b, c in zip(k, n, t / n, strict=True)]
    studies = _censored(counts, bound)
    return CountPosterior(studies, copies, mu_prior, tau_prior, multiple(per), labels)


def bound_curve(
    events: Any,
    exposure: Any,
    added: Any,
    *,
    mu_prior: Normal,
    tau_prior: TauPrior,
    patients: Any = None,
    at_least: Any = None,
    per: float = 1.0,
    level: float = HIGH,
) -> pd.DataFrame:
    """How the bounds fall as exposure is added in which nobody has the event.

    The added exposure comes in studies as large as the mean of those so far, each with an effect of
    its own: between-study differences slow the bound of a new study, as they should.

    Parameters
    ----------
    events, exposure, patients, at_least, mu_prior, tau_prior, per : as in `fit_rates`.
    added : exposures to add, from 0.
    level : of the one-sided bounds.

    Returns
    -------
    DataFrame with added, exposure (in all), upper_data (from the data alone, exact counts only),
    upper_mean_study and upper_new_study.
    """
    k, bound, copies = _counts(events, at_least, None)
    t = _column("exposure", exposure, k.size)
    _require(t, t > 0, "exposure must be above 0")
    extra = _column("added", added)
    _require(extra, extra >= 0, "added must be from 0")
    size = float(t.mean())
    n = None if patients is None else _column("patients", patients, k.size)
    rows = []
    for more in extra:
        given: dict[str, Any] = {"events": k, "exposure": t, "at_least": bound, "copies": copies}
        if n is not None:
            given["patients"] = n
        if more > 0:
            given = {
                "events": np.append(k, 0.0),
                "exposure": np.append(t, size),
                "at_least": np.append(bound, False),
                "copies": np.append(copies, more / size),
            }
            if n is not None:
                given["patients"] = np.append(n, max(1.0, np.round(n.mean())))
        post = fit_rates(mu_prior=mu_prior, tau_prior=tau_prior, per=per, **given)
        alone = k[~bound].sum(), t[~bound].sum() + more
        rows.append(
            {
                "added": float(more),
                "exposure": float(t.sum() + more),
                "upper_data": per * upper_rate(*alone, level) if alone[1] > 0 else np.nan,
                "upper_mean_study": float(post.mean_study.quantile(level)),
                "upper_new_study": float(post.new_study.quantile(level)),
            }
        )
    return pd.DataFrame(rows)


def _counts(events: Any, at_least: Any, copies: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k = _column("events", events)
    if k.size == 0:
        raise ValueError("no study: events is empty")
    _require(k, (k >= 0) & (k == np.round(k)), "events must be whole numbers from 0")
    bound = np.zeros(k.size, dtype=bool)
    if at_least is not None:
        bound = np.asarray(at_least)
        if bound.shape != k.shape or not np.isin(bound, (0, 1)).all():
            raise ValueError("at_least must be True or False for each study")
        bound = bound.astype(bool)
    many = np.ones(k.size) if copies is None else _column("copies", copies, k.size)
    _require(many, many > 0, "copies must be above 0")
    return k, bound, many


def _column(name: str, values: Any, size: int | None = None) -> np.ndarray:
    try:
        column = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from None
    if column.ndim != 1 or (size is not None and column.size != size):
        wanted = "one value a study" if size is None else f"{size} values"
        raise ValueError(f"{name} must have {wanted}, got shape {column.shape}")
    _require(column, np.isfinite(column), f"{name} must be finite")
    return column


def _require(values: np.ndarray, good: np.ndarray, rule: str) -> None:
    bad = np.flatnonzero(~good)
    if bad.size:
        raise ValueError(f"{rule}: row {bad[0]} is {values[bad[0]]:g}")


def _priors(mu_prior: Any, tau_prior: Any) -> None:
    if not isinstance(mu_prior, Normal) or not np.all(np.isfinite(np.ravel(mu_prior.sd))):
        raise ValueError(f"mu_prior must be a proper Normal: {mu_prior!r}")
    if not isinstance(tau_prior, TauPrior):
        raise ValueError(f"tau_prior must be a prior of exact, such as HalfNormal: {tau_prior!r}")
