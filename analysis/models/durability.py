"""From posterior draws to curves: S(t), medians, restricted means, and how much is extrapolation.

The draws of all families are kept in one `Draws`; the average of the families is a sample of them
in proportion to their stacking weights, so that its bands hold both what the data leave open and
how the families disagree. A class is described by its typical study; "all" is the mean over the
published studies, each counted through the curve of its class. A new study differs from the typical
one by the heterogeneity between studies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from analysis.exact.families import FAMILIES
from analysis.models.duration import curve
from analysis.models.tabulated import CLASSES

HORIZONS = (6, 12, 24, 36, 60, 120)
RESTRICTIONS = (60, 120)
GRID = np.arange(0.0, 121.0)
"""Months of the curves; restricted means are trapezoids on it."""

CENTURY = 1200.0
"""Months; a median beyond it is counted as it (a share that never resumes has no median)."""

FAR = np.concatenate([[0.0], np.geomspace(0.25, CENTURY, 160)])
"""Months of the grid on which medians and other quantiles are read."""


@dataclass(frozen=True)
class Draws:
    """Posterior draws of one or several families.

    `family` (n,) indexes `FAMILIES`; mu, tau, tau_class, theta, cure (n,); class_mean (n, classes).
    """

    family: np.ndarray
    mu: np.ndarray
    tau: np.ndarray
    tau_class: np.ndarray
    theta: np.ndarray
    cure: np.ndarray
    class_mean: np.ndarray

    def take(self, rows) -> Draws:
        return Draws(**{name: values[rows] for name, values in vars(self).items()})

    def survival(self, eta: np.ndarray, months: np.ndarray) -> np.ndarray:
        """S at `months` for log medians `eta` (n,): shape (n, months)."""
        values = np.empty((len(eta), len(months)))
        for i, name in enumerate(FAMILIES):
            rows = self.family == i
            if rows.any():
                theta, cure = self.theta[rows], self.cure[rows]
                values[rows] = curve(name, eta[rows], theta, cure, months)
        return values


def of_fit(fit, family: str) -> Draws:
    """The draws of one family's fit."""
    mu = fit.draws("mu")
    return Draws(
        np.full(mu.size, FAMILIES.index(family)),
        mu, fit.draws("tau"), fit.draws("tau_class"), fit.draws("theta"),
        special.expit(fit.draws("logit_cure")), fit.draws("class_mean"),
    )  # fmt: skip


def average(draws: Mapping[str, Draws], weights: Mapping[str, float], n: int = 4000) -> Draws:
    """About `n` draws of the families in proportion to their weights, in a fixed random order."""
    parts = []
    for name, own in draws.items():
        count = round(n * weights[name])
        parts.append(own.take(np.linspace(0, own.mu.size - 1, count).round().astype(int)))
    joined = Draws(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])}
    )
    return joined.take(np.random.default_rng(0).permutation(joined.mu.size))


def prior_draws(scales: Mapping[str, tuple], n: int, seed: int) -> Draws:
    """Draws from the prior, families in equal parts. `scales` maps parameters to prior params."""
    rng = np.random.default_rng(seed)
    mu = rng.normal(*scales["mu"], n)
    tau = np.abs(rng.normal(0, scales["tau"][-1], n))
    tau_class = np.abs(rng.normal(0, scales["tau_class"][-1], n))
    return Draws(
        np.arange(n) % len(FAMILIES),
        mu,
        tau,
        tau_class,
        rng.normal(*scales["log_shape"], n),
        special.expit(rng.normal(*scales["logit_cure"], n)),
        mu[:, None] + tau_class[:, None] * rng.standard_normal((n, len(CLASSES))),
    )


@dataclass(frozen=True)
class Group:
    """A class, or all: the weight of each class in it and the facts behind it."""

    kind: str
    name: str
    weights: np.ndarray
    k_studies: int
    n_patients: float
    observed: np.ndarray
    """Months; the longest observed time of each class (0 where nothing was observed)."""

    @property
    def longest(self) -> float:
        return float(self.observed[self.weights > 0].max(initial=0.0))


def groups(facts: pd.DataFrame, fallback: np.ndarray) -> list[Group]:
    """All, then each class with facts. `fallback` weighs classes where there are no facts."""
    observed = np.zeros(len(CLASSES))
    found = []
    for i, cell_class in enumerate(CLASSES):
        own = facts[facts["cell_class"] == cell_class]
        if own.empty:
            continue
        observed[i] = longest_observed(own)
        weights = np.zeros(len(CLASSES))
        weights[i] = 1.0
        k = own["study_id"].nunique()
        found.append(Group("cell_class", cell_class, weights, k, known_free(own), observed))
    total = facts["study_id"].nunique()
    shares = sum((g.weights * g.k_studies for g in found), np.zeros(len(CLASSES)))
    shares = shares / total if total else fallback
    return [Group("all", "all", shares, total, known_free(facts), observed), *found]


def longest_observed(facts: pd.DataFrame) -> float:
    """Months; the longest time at which a fact saw somebody free, or a resumption."""
    times = facts[["low", "high"]].where(facts["kind"].ne("mean"), facts["low"], axis=0)
    times = times.to_numpy(float)
    return float(times[np.isfinite(times)].max(initial=0.0))


def known_free(facts: pd.DataFrame) -> float:
    """Patients known to have been independent behind the facts."""
    return float(facts.loc[facts["kind"].ne("unresolved"), "count"].sum())


@dataclass(frozen=True)
class Curves:
    """S(t) of a group for each draw: on `GRID`, far out, and for a new study."""

    near: np.ndarray
    far: np.ndarray
    new_near: np.ndarray
    new_far: np.ndarray
    by_class: dict[int, np.ndarray]


def curves(draws: Draws, group: Group, seed: int) -> Curves:
    """The curves of a group."""
    rng = np.random.default_rng(seed)
    n = draws.mu.size
    present = np.flatnonzero(group.weights)
    by_class = {i: draws.survival(draws.class_mean[:, i], GRID) for i in present}
    near = sum(group.weights[i] * s for i, s in by_class.items())
    far = sum(group.weights[i] * draws.survival(draws.class_mean[:, i], FAR) for i in present)
    drawn = rng.choice(len(CLASSES), n, p=group.weights / group.weights.sum())
    new = draws.class_mean[np.arange(n), drawn] + draws.tau * rng.standard_normal(n)
    return Curves(near, far, draws.survival(new, GRID), draws.survival(new, FAR), by_class)


def median(far: np.ndarray) -> np.ndarray:
    """Months at which each curve falls to one half; `CENTURY` where it does not."""
    return crossing(far, np.full(len(far), 0.5))


def crossing(far: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Months at which each curve on the far grid falls to `level` (n,)."""
    below = far <= level[:, None]
    j = np.where(below.any(axis=1), below.argmax(axis=1), far.shape[1] - 1)
    j = np.maximum(j, 1)
    rows = np.arange(len(far))
    above, under = far[rows, j - 1], far[rows, j]
    share = np.clip((above - level) / np.maximum(above - under, 1e-12), 0.0, 1.0)
    return FAR[j - 1] + share * (FAR[j] - FAR[j - 1])


def restricted_mean(near: np.ndarray, limit: float, start: float = 0.0) -> np.ndarray:
    """Months; the area under each curve on `GRID` from `start` to `limit`."""
    if start >= limit:
        return np.zeros(len(near))
    x = np.union1d(GRID[(start < GRID) & (limit > GRID)], [start, limit])
    values = np.column_stack([_at(near, t) for t in x])
    return np.trapezoid(values, x, axis=1)


def _at(near: np.ndarray, t: float) -> np.ndarray:
    j = min(int(t), GRID.size - 2)
    return near[:, j] + (t - j) * (near[:, j + 1] - near[:, j])


def beyond(group: Group, found: Curves, limit: float) -> float:
    """Share of the restricted mean that lies beyond the last observed time of each class."""
    past = whole = 0.0
    for i, s in found.by_class.items():
        past += group.weights[i] * restricted_mean(s, limit, group.observed[i]).mean()
        whole += group.weights[i] * restricted_mean(s, limit).mean()
    return float(past / whole) if whole > 0 else np.nan


def summary(values: np.ndarray) -> dict:
    """Mean, SD and central 95 % interval of draws."""
    low, high = np.quantile(values, [0.025, 0.975])
    return {"mean": values.mean(), "sd": values.std(), "ci_low": low, "ci_high": high}


def middle(values: np.ndarray) -> dict:
    """As `summary`, for draws without a finite mean: posterior median, half the central 68 %."""
    low, a, centre, b, high = np.quantile(values, [0.025, 0.16, 0.5, 0.84, 0.975])
    return {"mean": centre, "sd": (b - a) / 2, "ci_low": low, "ci_high": high}


def prediction(values: np.ndarray) -> dict:
    """Central 95 % interval of a new study."""
    low, high = np.quantile(values, [0.025, 0.975])
    return {"pred_low": low, "pred_high": high}
