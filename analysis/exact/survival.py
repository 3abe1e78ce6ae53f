"""How long a state lasts, from published facts: each survival family integrated on a grid.

    from analysis.exact import survival
    post = survival.fit(facts, "weibull", priors)      # facts: one row a statement, see `facts`
    post.survival([12, 60]), post.time_to(0.5), survival.fit_all(facts, priors).average

Study i's durations follow one of six `families` with log median eta_i ~ N(mu, tau^2) and a shape
(and a share that never ends) common to all. Each study's likelihood is tabulated on an even grid of
eta for every shape; N(mu, tau^2) becomes a discrete normal kernel on the same grid (exact at tau =
0, and up to rounding from tau of about a step on), so that integrating the studies' own medians out
is one matrix product for each tau. The product over studies, times the priors, is the posterior on
the grid, and leaving studies out is leaving their factors out: each study's predictive density, and
the refit without it, are subtractions, and the range of the grid holds those posteriors too. The
grid is refined by fixed levels until nothing printed moves.

References: Collett 2015, Modelling Survival Data, ch. 5-6 (families); Yao, Vehtari, Simpson &
Gelman 2018, Bayesian Anal 13:917 (stacking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import special

from analysis.exact import duration_likelihood as published
from analysis.exact.curves import Cells, Curves, Part
from analysis.exact.duration_likelihood import FactReading
from analysis.exact.families import FAMILIES, RESUMING
from analysis.exact.grid import GridDistribution, multiple
from analysis.exact.logs import log_sum_exp
from analysis.exact.priors import Fixed, HalfNormal, Normal, TauPrior
from analysis.exact.quadrature import Map
from analysis.exact.settling import distribution_of_tau, settle

LEVELS = ((0.12, 17, 23, 11), (0.08, 23, 31, 15), (0.05, 31, 41, 21), (0.03, 61, 61, 31))
"""Step of eta (log months), nodes of the shape, of the log odds of the cured share, of tau."""
ALONE = 2
"""Times as many nodes of the shape where it is alone, without a cured share."""
COARSE = (0.15, 13, 9, 9)
DEPTH = 18.0
"""Ranges of the grid reach to where every posterior has fallen by exp(-18) from its peak."""
TOLERANCE = 0.05
"""SDs by which nothing may have moved from the level before. Errors fall exponentially with the
nodes: where one level is right to 0.05 SD, the next is to about 0.001."""
BEYOND = 1e-6
"""Prior probability that a study lies further from the mean study than the grid of eta reaches."""
FURTHEST = 8.0
"""Log months by which the grid reaches beyond that of mu at most: a factor of 3000."""
CHECKED = (6.0, 12.0, 24.0, 60.0)
"""Months at which S(t) must have settled."""
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
CHANCE = 0.1
"""The probability that S(t) is under each of SHARES may not move by more than TOLERANCE of this."""


Ever = Mapping[str, tuple[float, float]] | tuple[float, float] | None
"""Mean and SD of the log odds of ever becoming free: of each study, of all, or not known."""


@dataclass(frozen=True)
class Priors:
    """Priors of every family.

    mu : log months, of the mean study's median.   tau : between studies, log months.
    log_shape : of theta; logit_cure : log odds of the share that never resumes.
    """

    mu: Normal
    tau: TauPrior
    log_shape: Normal
    logit_cure: Normal


DEFAULT_PRIORS = Priors(Normal(3.2, 1.0), HalfNormal(0.5), Normal(0.0, 0.4), Normal(-1.5, 1.0))
"""Medians from 3 months to 15 years; studies differ by a factor of about two; hazards fall, stay or
rise; 3 to 61 % never resume."""


@dataclass(frozen=True)
class Axes:
    """The grid: eta (n,), which of its nodes are nodes of mu, tau with its weights, the shapes.

    theta : (q,) of every combination of theta_axis and cure_axis; log_q : (q,) its log prior times
        cell.
    """

    eta: np.ndarray
    of_mu: slice
    v: np.ndarray
    tau: np.ndarray
    log_tau: np.ndarray
    theta_axis: np.ndarray
    cure_axis: np.ndarray
    theta: np.ndarray
    log_q: np.ndarray

    @property
    def mu(self) -> np.ndarray:
        return self.eta[self.of_mu]

    @property
    def step(self) -> float:
        return float(self.eta[1] - self.eta[0])

    @cached_property
    def kernel(self) -> np.ndarray:
        """(m, t, n) the discrete normal kernel around each mu for each tau."""
        tau = np.maximum(self.tau, 1e-9 * self.step)[:, None]
        z = (self.eta - self.mu[:, None, None]) / tau
        weight = np.exp(-0.5 * np.square(np.minimum(np.abs(z), 40.0)))
        return weight / weight.sum(axis=2, keepdims=True)


@dataclass(frozen=True)
class Study:
    """One study: its facts, the same as statements, and what is known of ever becoming free."""

    name: str
    facts: pd.DataFrame
    told: list[dict]
    ever: tuple[float, float]


def _alike(one: list[dict], other: list[dict]) -> bool:
    """Whether two lists of statements have one likelihood."""
    return [[fact[name] for name in published.READ] for fact in one] == [
        [fact[name] for name in published.READ] for fact in other
    ]


def studies_of(facts: pd.DataFrame, ever: Ever = None) -> list[Study]:
    """Facts and what is known of ever becoming free, study by study.

    Parameters
    ----------
    facts, ever : as in `fit`.

    Raises
    ------
    ValueError : there is no fact, or a row is none.
    """
    rows = published.complete(facts)
    if rows.empty:
        raise ValueError("no fact on durations: nothing can be estimated")
    return [
        Study(str(name), own, published.statements(own), _ever_of(ever, name))
        for name, own in published.by_study(rows)
    ]


class SurvivalPosterior(Curves):
    """The exact posterior of one family; also a `Curves` of that family.

    Attributes
    ----------
    family, studies : the family; the studies' ids.
    facts, ever : each study's facts; mean and SD of its log odds of ever becoming free.
    log_marginal_likelihood : log p(facts), up to a constant common to all families.
    elpd : (k,) log p(facts of study i | the others).
    mu, tau, theta, logit_cure : distributions of the parameters; None where a family has no such.
    level : levels of the grid that were needed, from 1.
    """

    def __init__(self, studies: Sequence[Study], family: str, priors: Priors, reading: FactReading):
        self.family, self.priors, self.reading = family, priors, reading
        self.studies = tuple(study.name for study in studies)
        self.facts = [study.facts for study in studies]
        self.ever = [study.ever for study in studies]
        self._told = [study.told for study in studies]
        ranges = self._ranges()
        self.level = settle(
            LEVELS,
            lambda *sizes: self._evaluate(_axes(family, priors, ranges, *sizes)),
            self._figures,
            TOLERANCE,
            f"the {family} posterior did not settle at the finest grid: the facts contradict one "
            "another more than the priors allow",
        )

    def _tables(
        self, axes: Axes, told: Sequence | None = None, ever: Sequence | None = None,
        reading: FactReading | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """(k, n, q) each study's likelihood over its largest value, and the logs of those."""
        eta, theta = axes.eta[:, None, None], axes.theta_axis[:, None]
        cure = special.expit(axes.cure_axis)
        values = np.array(
            [
                published.study_log_likelihood(
                    facts, self.family, eta, theta, cure, reading or self.reading, odds
                ).reshape(axes.eta.size, -1)
                for facts, odds in zip(told or self._told, ever or self.ever, strict=True)
            ]
        )
        top = values.max(axis=(1, 2))
        return np.exp(values - top[:, None, None]), top

    @property
    def each(self) -> np.ndarray:
        """(k, m, t, q) log likelihood of each study given mu, tau and the shape."""
        return self._each

    def log_prior(self) -> np.ndarray:
        """(m, t, q) log prior density times the cell of the grid."""
        return self._log_prior(self.axes)

    def reread(
        self, studies: Sequence[Study], reading: FactReading | None = None
    ) -> list[np.ndarray]:
        """The likelihoods of `each` with the same studies told otherwise, on the same grid.

        Parameters
        ----------
        studies : those of this posterior, see `studies_of`.
        reading : as in `fit`; the posterior's own by default.

        Returns
        -------
        (m, t, q) by study; of those that are told as before the array that is there already.

        Raises
        ------
        ValueError : other studies than those of the posterior.
        """
        told = {study.name: study for study in studies}
        if set(told) != set(self.studies):
            raise ValueError("facts of other studies than those of the posterior")
        reading = reading or self.reading
        found = []
        for i, name in enumerate(self.studies):
            study = told[name]
            clocks = {fact["time_origin"] for fact in study.told}
            same = _alike(study.told, self._told[i]) and study.ever == self.ever[i]
            if same and (reading == self.reading or clocks == {"independence"}):
                found.append(self._each[i])
            else:
                found.append(self._log_a(self.axes, [study.told], [study.ever], reading)[0])
        return found

    def typical(self, weight: np.ndarray) -> Part:
        """The curves of the typical study under probabilities (m, q) of mu and the shapes.

        Of a new study they say nothing.
        """
        return Part(self._mean_study(weight))

    def _mean_study(self, weight: np.ndarray) -> Cells:
        """Curves of the typical study under probabilities (m, q) of mu and the shapes."""
        found = np.zeros((self.axes.theta.size, self.axes.eta.size))
        found[:, self.axes.of_mu] = weight.T
        return self._cells(found)

    def _new_study(self, weight: np.ndarray) -> Cells:
        """Curves of a new study under probabilities (m, t, q) of mu, tau and the shapes."""
        m, t, n = self.axes.kernel.shape
        return self._cells(weight.reshape(m * t, -1).T @ self.axes.kernel.reshape(m * t, n))

    def _cells(self, weight: np.ndarray) -> Cells:
        """Curves with probabilities (q, n) of the shapes and of eta, up to a constant."""
        axes = self.axes
        shape = (axes.theta_axis.size, axes.cure_axis.size, axes.eta.size)
        logit_cure = axes.cure_axis if self.family in RESUMING else None
        return Cells(self.family, axes.eta, axes.theta_axis, logit_cure, weight.reshape(shape))

    def _log_a(
        self, axes: Axes, told: Sequence | None = None, ever: Sequence | None = None,
        reading: FactReading | None = None,
    ) -> np.ndarray:  # fmt: skip
        """(k, m, t, q) log likelihood of each study given mu, tau and the shape."""
        tables, top = self._tables(axes, told, ever, reading)
        m, t, n = axes.kernel.shape
        kernel = axes.kernel.reshape(m * t, n)
        found = np.empty((len(tables), m * t, axes.theta.size))
        for table, peak, log_a in zip(tables, top, found, strict=True):
            np.matmul(kernel, table, out=log_a)
            with np.errstate(divide="ignore"):
                np.log(log_a, out=log_a)
            np.maximum(log_a, published.IMPOSSIBLE, out=log_a)
            log_a += peak
        return found.reshape(len(tables), m, t, -1)

    def _log_prior(self, axes: Axes) -> np.ndarray:
        """(m, t, q) log prior density times the cell of the grid."""
        mean, sd = self.priors.mu.one
        z = (axes.mu - mean) / sd
        log_mu = -0.5 * z * z - np.log(sd / axes.step) - 0.5 * np.log(2 * np.pi)
        return log_mu[:, None, None] + axes.log_tau[:, None] + axes.log_q

    def _ranges(self) -> dict[str, tuple[float, float]]:
        """Where the posterior, with and without each study and each two, lives on every axis."""
        ranges = _prior_ranges(self.priors)
        axes = _axes(self.family, self.priors, ranges, *COARSE)
        log_a = self._log_a(axes)
        every = log_a.sum(axis=0) + self._log_prior(axes)
        kept: dict[str, list[tuple[float, float]]]
        kept = {"mu": [], "v": [], "theta": [], "logit_cure": []}
        points = (axes.mu, axes.v, axes.theta_axis, axes.cure_axis)
        without = [every - own for own in log_a]
        without += [every - one - two for one, two in combinations(log_a, 2)]
        for joint in (every, *without):
            joint = joint.reshape([x.size for x in points])
            for axis, (name, x) in enumerate(zip(kept, points, strict=True)):
                profile = joint.max(axis=tuple(i for i in range(4) if i != axis))
                at = np.flatnonzero(profile > profile.max() - DEPTH)
                kept[name].append((x[max(at[0] - 1, 0)], x[min(at[-1] + 1, x.size - 1)]))
        return {
            name: (min(low for low, _ in ends), max(high for _, high in ends))
            for name, ends in kept.items()
        }

    def _evaluate(self, axes: Axes) -> None:
        self.axes = axes
        self._each = self._log_a(axes)
        self._joint = self._each.sum(axis=0) + self._log_prior(axes)
        total = self.log_marginal_likelihood = float(log_sum_exp(self._joint))
        self.elpd = total - np.array([log_sum_exp(self._joint - own) for own in self._each])
        self._weight = np.exp(self._joint - total)
        new_study = self._new_study(self._weight)
        super().__init__([Part(self._mean_study(self._weight.sum(axis=1)), lambda: new_study)])
        self.mu = GridDistribution(axes.mu[0], axes.step, self._weight.sum(axis=(1, 2)))

    def without(self, study: str) -> Part:
        """The curves of this family refitted without one study."""

        def weight() -> np.ndarray:  # worked out anew where it is asked for: it is large
            rest = self._joint - self._each[self.studies.index(study)]
            return np.exp(rest - rest.max())

        return Part(self._mean_study(weight().sum(axis=1)), lambda: self._new_study(weight()))

    @cached_property
    def elpd_without(self) -> np.ndarray:
        """(k, k) log p(facts of study j | all others but study i) in row i; NaN where i is j."""
        k = len(self.studies)
        rest = self.log_marginal_likelihood - self.elpd  # log p(all but i)
        found = np.full((k, k), np.nan)
        for i, j in combinations(range(k), 2):
            both = log_sum_exp(self._joint - self._each[i] - self._each[j])
            found[i, j], found[j, i] = rest[i] - both, rest[j] - both
        return found

    def _figures(self) -> tuple[np.ndarray, np.ndarray]:
        """What must settle, and what it may move by: moments and chances of S(t), and elpd."""
        found, scales = [self.log_marginal_likelihood, *self.elpd], [1.0] * (1 + len(self.elpd))
        months, shares = (x.ravel() for x in np.meshgrid(CHECKED, SHARES))
        for which in ("mean_study", "new_study"):
            mean, sd = self._moments(np.array(CHECKED), which)
            found += [*mean, *sd, *self._cdf(months, shares, which)]
            scales += [*sd, *sd, *[CHANCE] * months.size]
        return np.array(found), np.array(scales)

    @cached_property
    def tau(self) -> GridDistribution | None:
        """The SD between studies, log months; None where the prior fixes it."""
        v = self.axes.v
        if v.size == 1:
            return None
        return distribution_of_tau(_tau_change(self.priors.tau), v, self._weight.sum(axis=(0, 2)))

    @cached_property
    def theta(self) -> GridDistribution | None:
        axis = self.axes.theta_axis
        if axis.size == 1:
            return None
        weight = self._weight.sum(axis=(0, 1)).reshape(axis.size, -1).sum(axis=1)
        return GridDistribution(axis[0], axis[1] - axis[0], weight)

    @cached_property
    def logit_cure(self) -> GridDistribution | None:
        axis = self.axes.cure_axis
        if axis.size == 1:
            return None
        weight = self._weight.sum(axis=(0, 1)).reshape(-1, axis.size).sum(axis=0)
        return GridDistribution(axis[0], axis[1] - axis[0], weight)

    def own_medians(self) -> tuple[np.ndarray, np.ndarray]:
        """Location and precision of eta each study's facts give on their own, each (k,).

        The shape is averaged over its prior; facts that say nothing have a precision near zero.
        """
        axes = self.axes
        prior = np.exp(axes.log_q - axes.log_q.max())
        flat = _spread_of(axes.eta, np.ones_like(axes.eta))[1]
        found = [_spread_of(axes.eta, table @ prior) for table in self._tables(axes)[0]]
        variance = np.array([spread for _, spread in found])
        precision = np.maximum(1.0 / variance - 1.0 / flat, 0.0)
        return np.array([mean for mean, _ in found]), precision

    def effect(self, study: str) -> GridDistribution:
        """The study's own median duration, months, given all data (of those who resume: cure)."""
        i = self.studies.index(study)
        axes = self.axes
        table = self._tables(axes)[0][i]
        fallen = self._each[i] - self._each[i].max()
        pull = np.where(self._weight > 0, self._weight * np.exp(-np.maximum(fallen, -600.0)), 0.0)
        density = np.zeros(axes.eta.size)
        for t in range(axes.tau.size):
            density += ((axes.kernel[:, t].T @ pull[:, t]) * table).sum(axis=1)
        return GridDistribution(axes.eta[0], axes.step, density, multiple(1.0))


def _spread_of(eta: np.ndarray, density: np.ndarray) -> tuple[float, float]:
    """Mean and variance of a density on an even grid."""
    weight = density / density.sum()
    mean = float(weight @ eta)
    return mean, float(weight @ (eta - mean) ** 2)


def fit(
    facts: pd.DataFrame,
    family: str,
    priors: Priors | None = None,
    *,
    ever: Ever = None,
    reading: FactReading | None = None,
) -> SurvivalPosterior:
    """The exact posterior of one survival family.

    Parameters
    ----------
    facts : one row a statement on durations, times in months; see
        `duration_likelihood.complete`. Studies of one approach only: their medians are taken as
        exchangeable.
    family : one of `families.FAMILIES`.
    priors : of location, spread, shape and cured share; `DEFAULT_PRIORS` by default.
    ever : mean and SD of the log odds of ever becoming free, for studies in which that number is
        not known: one pair, or by study.
    reading : onset after treatment, and how a printed mean is read.

    Returns
    -------
    SurvivalPosterior

    Raises
    ------
    ValueError : there is no fact (no duration is known: there is nothing to estimate), or a row is
        none; an unknown family.
    """
    return _fit(studies_of(facts, ever), family, priors, reading)


def _fit(
    studies: list[Study], family: str, priors: Priors | None, reading: FactReading | None
) -> SurvivalPosterior:
    if family not in FAMILIES:
        raise ValueError(f"no family {family!r}; known are {', '.join(FAMILIES)}")
    return SurvivalPosterior(studies, family, priors or DEFAULT_PRIORS, reading or FactReading())


@dataclass(frozen=True)
class Ensemble:
    """The families together.

    Attributes
    ----------
    posteriors : by family.
    weights : stacking weights by family; optimum : the weights that maximise the stacking score.
    average : the curves of all families by their weights.
    """

    posteriors: dict[str, SurvivalPosterior]
    weights: dict[str, float]
    optimum: dict[str, float]
    average: Curves = field(repr=False)

    def families(self) -> pd.DataFrame:
        """One row a family: weight, optimum, elpd, its difference from the best, marginal."""
        elpd = {name: post.elpd for name, post in self.posteriors.items()}
        best = max(elpd, key=lambda name: elpd[name].sum())
        rows = []
        for name, post in self.posteriors.items():
            gap = elpd[best] - elpd[name]
            rows.append(
                {
                    "family": name,
                    "weight": self.weights[name],
                    "weight_optimum": self.optimum[name],
                    "elpd": float(elpd[name].sum()),
                    "elpd_below_best": float(gap.sum()),
                    "elpd_below_best_se": float(np.sqrt(gap.size * gap.var())),
                    "log_marginal_likelihood": post.log_marginal_likelihood,
                    "level": post.level,
                }
            )
        return pd.DataFrame(rows)

    @property
    def studies(self) -> tuple[str, ...]:
        return next(iter(self.posteriors.values())).studies

    def predictive(self) -> dict[str, float]:
        """log p(facts of a study | the others) by study, the families averaged by their weights."""
        elpd = np.column_stack([post.elpd for post in self.posteriors.values()])
        weights = np.array([self.weights[name] for name in self.posteriors])
        values = special.logsumexp(elpd, axis=1, b=weights)
        return dict(zip(self.studies, values.tolist(), strict=True))

    def without(self, study: str) -> Curves:
        """The average refitted without one study: families and their weights by the others."""
        i = self.studies.index(study)
        elpd = [np.delete(post.elpd_without[i], i) for post in self.posteriors.values()]
        weights = stacking(np.column_stack(elpd))
        parts = [post.without(study) for post in self.posteriors.values()]
        return Curves(parts, weights)

    def leave_one_out(self) -> pd.DataFrame:
        """Columns study_id, family, elpd: log p(facts of the study | the others)."""
        return pd.DataFrame(
            [
                {"study_id": study, "family": name, "elpd": float(value)}
                for name, post in self.posteriors.items()
                for study, value in zip(post.studies, post.elpd, strict=True)
            ]
        )


def fit_all(
    facts: pd.DataFrame,
    priors: Priors | None = None,
    *,
    families: Sequence[str] = FAMILIES,
    ever: Ever = None,
    reading: FactReading | None = None,
) -> Ensemble:
    """Every family, weighed by how it predicts each study from the others.

    Parameters
    ----------
    facts, priors, ever, reading : as in `fit`, which also says what is refused.
    families : the families to be weighed.
    """
    studies = studies_of(facts, ever)
    posteriors = {name: _fit(studies, name, priors, reading) for name in families}
    elpd = np.column_stack([post.elpd for post in posteriors.values()])
    weights = dict(zip(posteriors, stacking(elpd).tolist(), strict=True))
    optimum = dict(zip(posteriors, stacking_optimum(elpd).tolist(), strict=True))
    average = Curves([post.parts[0] for post in posteriors.values()], list(weights.values()))
    return Ensemble(posteriors, weights, optimum, average)


# --- weights of the families ----------------------------------------------------------------------


def stacking(elpd: np.ndarray) -> np.ndarray:
    """Weights of the families by Bayesian stacking, in closed form.

    The posterior mean of the weights w under a flat prior on the simplex and the score
    sum_i log sum_k w_k exp(elpd_ik): the product over studies is a polynomial in w whose monomials
    have known means under the flat prior. With many studies it is the stacking optimum; with one or
    two it stays near equal weights, where the optimum would jump to a corner.

    Parameters
    ----------
    elpd : (studies, families).

    References
    ----------
    Yao, Vehtari, Simpson & Gelman 2018, Bayesian Anal 13:917; the prior as in Yao, Pirs, Vehtari &
    Gelman 2022, Bayesian Anal 17:1043.
    """
    families = elpd.shape[1]
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True)) if len(elpd) else elpd
    powers = np.zeros((1, families), dtype=int)
    coefficient = np.ones(1)
    for row in density:
        powers = (powers[:, None, :] + np.eye(families, dtype=int)).reshape(-1, families)
        coefficient = (coefficient[:, None] * row).ravel()
        powers, place = np.unique(powers, axis=0, return_inverse=True)
        coefficient = np.bincount(place.ravel(), weights=coefficient, minlength=len(powers))
    # The mean of prod w^a over a flat simplex is proportional to prod a!; of w_k prod w^a, to
    # (a_k + 1) prod a! / (n + families).
    log_term = np.log(coefficient) + special.gammaln(powers + 1.0).sum(axis=1)
    term = np.exp(log_term - log_term.max())
    return term @ (powers + 1.0) / (term.sum() * (len(elpd) + families))


def stacking_optimum(elpd: np.ndarray) -> np.ndarray:
    """The weights that maximise the score of `stacking`, by expectation-maximisation."""
    families = elpd.shape[1]
    w = np.full(families, 1 / families)
    if not len(elpd):
        return w
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
    for _ in range(2000):
        part = w * density
        w = (part / part.sum(axis=1, keepdims=True)).mean(axis=0)
    return w


# --- the grid -------------------------------------------------------------------------------------


def _tau_change(prior: TauPrior) -> Map:
    """The change of variable of tau; see `quadrature`."""
    low, _ = (float(np.ravel(end)[0]) for end in prior.span())
    upper = float(np.ravel(prior.end)[0])
    scale = min(0.3 * low, 0.5 * upper)
    bounded_or_heavy = np.isfinite(upper) or np.isfinite(float(np.ravel(prior.tail)[0]))
    top = min(upper, 10.0 * low) if bounded_or_heavy else np.inf
    return Map(np.array([scale]), np.array([upper]), np.array([scale / top]))


def _tau_nodes(
    prior: TauPrior, v_range: tuple[float, float], n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """v, tau and log prior probability of the nodes."""
    if isinstance(prior, Fixed):
        return np.zeros(1), np.ravel(np.asarray(prior.value, dtype=float))[:1], np.zeros(1)
    v = np.linspace(v_range[0], v_range[1], n)
    tau, slope = _tau_change(prior).tau(v[None])
    return v, tau[0], prior.logpdf(tau)[0] + slope[0] + np.log(v[1] - v[0])


def _prior_ranges(priors: Priors) -> dict[str, tuple[float, float]]:
    def around(prior: Normal) -> tuple[float, float]:
        mean, sd = prior.one
        return mean - 5.5 * sd, mean + 5.5 * sd

    v, _, log_tau = _tau_nodes(priors.tau, (-4.5, 8.0), 251)
    at = np.flatnonzero(log_tau > log_tau.max() - DEPTH)
    return {
        "mu": around(priors.mu),
        "v": (v[at[0]], v[at[-1]]),
        "theta": around(priors.log_shape),
        "logit_cure": around(priors.logit_cure),
    }


def _axes(
    family: str,
    priors: Priors,
    ranges: Mapping[str, tuple[float, float]],
    step: float,
    n_theta: int,
    n_cure: int,
    n_tau: int,
) -> Axes:
    v, tau, log_tau = _tau_nodes(priors.tau, ranges["v"], n_tau)
    m = int(np.ceil((ranges["mu"][1] - ranges["mu"][0]) / step)) + 1
    share = np.exp(log_tau) / np.exp(log_tau).sum()
    reach = step
    while (
        share @ special.erfc(reach / np.maximum(tau, 1e-300) / np.sqrt(2.0)) > BEYOND
        and reach < FURTHEST
    ):
        reach += 0.25
    wide = int(np.ceil(reach / step))
    eta = ranges["mu"][0] + step * np.arange(-wide, m + wide)

    def nodes(name: str, prior: Normal, n: int, used: bool) -> tuple[np.ndarray, np.ndarray]:
        mean, sd = prior.one
        if not used:
            return np.array([mean]), np.zeros(1)
        low, high = ranges[name]
        x = np.linspace(low, high, n)
        z = (x - mean) / sd
        cell = np.log((x[1] - x[0]) / sd) - 0.5 * np.log(2 * np.pi)
        return x, -0.5 * z * z + cell

    alone = 1 if family in RESUMING else ALONE
    theta, log_theta = nodes("theta", priors.log_shape, alone * n_theta, family != "exponential")
    cure, log_cure = nodes("logit_cure", priors.logit_cure, n_cure, family in RESUMING)
    return Axes(
        eta, slice(wide, wide + m), v, tau, log_tau, theta, cure, np.repeat(theta, cure.size),
        (log_theta[:, None] + log_cure).ravel(),
    )  # fmt: skip


def _ever_of(ever: Ever, study: str) -> tuple[float, float]:
    """What is known of ever becoming free; without anything said, N(0, 2) on the log odds."""
    if isinstance(ever, Mapping):
        return ever.get(study, (0.0, 2.0))
    return (0.0, 2.0) if ever is None else ever
