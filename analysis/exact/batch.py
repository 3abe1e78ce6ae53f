"""Many data sets at once: `fit_many`, the engine of leave-one-out, the multiverse and simulation.

The data sets are taken in chunks that fit the processor's cache and go through the same passes as
a single one, so that the numbers are those of `fit` and the memory does not grow with the number
of data sets. Only the summaries and four numbers a row (where its nodes lie) are kept; questions
asked later, such as another quantile, evaluate the nodes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.exact import mixture
from analysis.exact.data import Design, problem_of
from analysis.exact.model import Problem
from analysis.exact.posterior import DEFAULT_TAU_PRIOR, ExactPosterior
from analysis.exact.priors import Fixed, TauPrior
from analysis.exact.quadrature import (
    NODES,
    Grid,
    Map,
    TauPosterior,
    highest_moment,
    lay,
    posterior_of_tau,
)

CHUNK_ROWS = 256
Quantity = Literal["mu", "tau", "predictive"]


class BatchDistribution:
    """One quantity of every data set: the same questions as `Distribution`, one answer a row.

    mean, sd, median : arrays with one value a row.
    """

    def __init__(self, batch: ExactBatch, of: Quantity):
        self._batch, self._of = batch, of

    @property
    def mean(self) -> np.ndarray:
        return getattr(self._batch, f"{self._of}_mean")

    @property
    def sd(self) -> np.ndarray:
        return getattr(self._batch, f"{self._of}_sd")

    @property
    def median(self) -> np.ndarray:
        return getattr(self._batch, f"{self._of}_median")

    def quantile(self, p: float) -> np.ndarray:
        """Quantile at probability `p`, one a row."""
        return self._batch.quantile(p, self._of)

    def cdf(self, x: Any) -> np.ndarray:
        """P(quantity ≤ x), one a row; `x` is a number or one a row."""
        return self._batch.probability_below(x, self._of)

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Central credible intervals, an array of lower and one of upper ends."""
        if not 0 < level < 1:
            raise ValueError(f"level lies between 0 and 1, got {level!r}")
        tail = 0.5 * (1.0 - level)
        return self.quantile(tail), self.quantile(1.0 - tail)


class ExactBatch:
    """Posterior summaries of many data sets, each attribute an array with one value a row.

    mu_mean, mu_sd, mu_median, mu_low, mu_high : mean effect (95 % central interval).
    tau_mean, tau_sd, tau_median, tau_low, tau_high : heterogeneity.
    predictive_mean, predictive_sd, predictive_median, predictive_low, predictive_high : true
        effect of a new study.
    log_marginal_likelihood : log p(y), density 1 for each flat coefficient.
    beta_mean, beta_sd : (rows, q) regression coefficients, named in `names`.
    k : number of studies that count in each row.
    mu, tau, predictive : the same as `BatchDistribution`, with .quantile, .cdf and .interval.

    `batch[i]` is the posterior of row i, as `fit` gives it.
    """

    mu_mean: np.ndarray
    mu_sd: np.ndarray
    tau_mean: np.ndarray
    tau_sd: np.ndarray
    predictive_mean: np.ndarray
    predictive_sd: np.ndarray

    def __init__(
        self,
        problem: Problem,
        design: Design,
        n_flat: np.ndarray,
        prior: TauPrior,
        level: float,
        centre: np.ndarray,
    ):
        self._problem, self._prior, self._n_flat = problem, prior, n_flat
        self._design, self._centre = design, centre
        self.names = list(design.names)
        self.mu = BatchDistribution(self, "mu")
        self.tau = BatchDistribution(self, "tau")
        self.predictive = BatchDistribution(self, "predictive")
        self.level = level
        self.k = problem.present[:, : problem.k].sum(axis=1)
        rows = problem.n_rows
        # Where the nodes of each row lie: c, U, r of the change of variable, and the range of v.
        self._place = np.zeros((5, rows))
        self.log_marginal_likelihood = np.empty(rows)
        self.beta_mean = np.empty((rows, len(self.names)))
        self.beta_sd = np.empty_like(self.beta_mean)
        for name in ("mu", "tau", "predictive"):
            for part in ("mean", "sd", "median", "low", "high"):
                setattr(self, f"{name}_{part}", np.empty(rows))

    def __len__(self) -> int:
        return self._problem.n_rows

    def __getitem__(self, row: int) -> ExactPosterior:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of a batch of {len(self)}")
        index = np.array([row % len(self)])
        problem = self._problem.rows(index)
        x = self._design.x if self._design.x.shape[0] == 1 else self._design.x[index]
        here = problem.present[0, : problem.k]
        keep = np.concatenate([here, np.ones(problem.y.shape[1] - problem.k, dtype=bool)])
        problem = Problem(
            problem.y[:, keep],
            problem.variance[:, keep],
            problem.present[:, keep],
            problem.x[:, keep],
            problem.random[keep],
            int(here.sum()),
        )
        prior, n_flat = self._prior.rows(index), self._n_flat[index]
        posterior = posterior_of_tau(problem, prior, n_flat, leverage=True)
        design = Design(x[:, here], self.names, self._design.given)
        centre = self._centre if self._centre.shape[0] == 1 else self._centre[index]
        return ExactPosterior(
            problem, design, int(n_flat[0]), prior, posterior, np.flatnonzero(here), centre[0]
        )

    def _chunks(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self), CHUNK_ROWS):
            yield np.arange(start, min(start + CHUNK_ROWS, len(self)))

    def _posterior(self, index: np.ndarray, place: bool = False) -> TauPosterior:
        """The nodes of some rows; `place` finds them first."""
        problem, prior = self._problem.rows(index), self._prior.rows(index)
        if isinstance(prior, Fixed):
            return TauPosterior(problem, prior, None)
        if place:
            grid = lay(problem, prior, self._n_flat[index])
            change = grid.map
            self._place[:, index] = change.scale, change.upper, change.stretch, grid.low, grid.high
        else:
            scale, upper, stretch, low, high = self._place[:, index]
            grid = Grid(Map(scale, upper, stretch), low, high, NODES)
        return TauPosterior(problem, prior, grid)

    def _mixture(
        self, posterior: TauPosterior, index: np.ndarray, of: Quantity
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        centre = self._centre if self._centre.shape[0] == 1 else self._centre[index]
        mean, sd = posterior.given.combination(centre)
        return posterior.weight, mean, sd if of == "mu" else np.hypot(sd, posterior.tau)

    def _fill(self) -> None:
        tail = 0.5 * (1.0 - self.level)
        levels = {"median": 0.5, "low": tail, "high": 1.0 - tail}
        finite = highest_moment(self._prior, self.k, self._n_flat)
        bounded = isinstance(self._prior, Fixed) or np.all(np.isfinite(self._prior.end))
        finite = np.broadcast_to(np.inf if bounded else finite, len(self))
        for index in self._chunks():
            post = self._posterior(index, place=True)
            self.log_marginal_likelihood[index] = post.log_marginal
            for j, unit in enumerate(np.eye(len(self.names))):
                self.beta_mean[index, j], self.beta_sd[index, j] = mixture.moments(
                    post.weight, *post.given.combination(unit)
                )
            mean = np.einsum("rt,rt->r", post.weight, post.tau)
            self.tau_mean[index] = mean
            square = np.einsum("rt,rt->r", post.weight, (post.tau - mean[:, None]) ** 2)
            self.tau_sd[index] = np.sqrt(square)
            wanted = np.tile(list(levels.values()), (index.size, 1))
            for part, values in zip(levels, post.quantile(wanted).T, strict=True):
                getattr(self, f"tau_{part}")[index] = values
            for of in ("mu", "predictive"):
                parts = self._mixture(post, index, of)
                moments = mixture.moments(*parts)
                getattr(self, f"{of}_mean")[index], getattr(self, f"{of}_sd")[index] = moments
                for part, p in levels.items():
                    values = mixture.quantile(*parts, np.full(index.size, p))
                    getattr(self, f"{of}_{part}")[index] = values
        # Moments that do not exist are said not to exist.
        flat = self._n_flat > 0
        self.tau_mean[finite <= 1], self.tau_sd[finite <= 2] = np.inf, np.inf
        self.predictive_mean[finite <= 1], self.predictive_sd[finite <= 2] = np.nan, np.inf
        self.mu_mean[flat & (finite <= 1)], self.mu_sd[flat & (finite <= 2)] = np.nan, np.inf
        self.beta_mean[flat & (finite <= 1)], self.beta_sd[flat & (finite <= 2)] = np.nan, np.inf

    def _each(self, function: Callable[[TauPosterior, np.ndarray], np.ndarray]) -> np.ndarray:
        result = np.empty(len(self))
        for index in self._chunks():
            result[index] = function(self._posterior(index), index)
        return result

    def quantile(self, p: float, of: Quantity = "mu") -> np.ndarray:
        """Quantile at probability `p` of mu, tau or predictive, for every row."""
        if not 0 <= p <= 1:
            raise ValueError(f"a probability lies between 0 and 1, got {p!r}")

        def answer(post: TauPosterior, index: np.ndarray) -> np.ndarray:
            wanted = np.full(index.size, p)
            if of == "tau":
                return post.quantile(wanted[:, None])[:, 0]
            return mixture.quantile(*self._mixture(post, index, of), wanted)

        return self._each(answer)

    def probability_below(self, threshold: Any, of: Quantity = "mu") -> np.ndarray:
        """P(quantity < threshold) for every row; `threshold` is a number or one a row."""
        limits = np.broadcast_to(np.asarray(threshold, dtype=float), len(self))

        def answer(post: TauPosterior, index: np.ndarray) -> np.ndarray:
            if of == "tau":
                return post.cdf(limits[index][:, None])[:, 0]
            return mixture.cdf(*self._mixture(post, index, of), limits[index])

        return self._each(answer)

    def to_frame(self) -> pd.DataFrame:
        """The summaries as a table, one row a data set."""
        columns = {"k": self.k}
        for name in ("mu", "tau", "predictive"):
            for part in ("mean", "sd", "median", "low", "high"):
                columns[f"{name}_{part}"] = getattr(self, f"{name}_{part}")
        columns["log_marginal_likelihood"] = self.log_marginal_likelihood
        return pd.DataFrame(columns)


def fit_many(
    y: Any,
    se: Any,
    mask: Any = None,
    *,
    X: Any = None,
    mu_prior: Any = None,
    tau_prior: TauPrior = DEFAULT_TAU_PRIOR,
    level: float = 0.95,
    at: Any = None,
) -> ExactBatch:
    """Exact posteriors of many data sets in vectorised passes, the numbers of `fit` one by one.

    Parameters
    ----------
    y : (batch, k) effect estimates, one data set a row.
    se : (batch, k) standard errors, or (k,) when every row has the same.
    mask : (batch, k), True where the study counts; None: all do. What is masked may be NaN.
    X : (k, q) design for all rows, or (batch, k, q).
    mu_prior : as in `fit`; the parameters of a Normal may be arrays with one value a row, its sd
        inf in the rows with a flat prior.
    tau_prior : as in `fit`; its parameters may be arrays with one value a row.
    level : probability of the central intervals.
    at : (q,) or (batch, q), the values of the columns of X at which mu and predictive are wanted.
        None: the mean of the columns over all k entries, masked ones included, the same point for
        every row; so give `at` when masks and covariates come together.

    Raises
    ------
    ValueError : as `fit`, naming row and column; also when a row has no study left.
    """
    if not 0 < level < 1:
        raise ValueError(f"level lies between 0 and 1, got {level!r}")
    problem, design, n_flat = problem_of(y, se, mask, X, mu_prior, tau_prior, batch=True)
    q = len(design.names)
    centre = design.x.mean(axis=1) if at is None else np.atleast_2d(np.asarray(at, dtype=float))
    if centre.shape not in ((1, q), (problem.n_rows, q)) or not np.isfinite(centre).all():
        raise ValueError(f"at must be {q} finite numbers, or as many for each row")
    batch = ExactBatch(problem, design, n_flat, tau_prior, level, centre)
    batch._fill()
    return batch
