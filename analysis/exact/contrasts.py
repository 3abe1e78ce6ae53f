"""The exact posterior of one stratum and design, results in words included: `fit`, `fit_batch`.

    from analysis.exact import contrasts
    post = contrasts.fit(rows, contrasts.ContrastPriors.of("hba1c"), teachers=teachers)
    post.mu.mean, post.mu.interval(), post.predictive.interval(), post.mu.beyond(-0.3, "below")

The model is theta_i ~ N(mu, tau^2) for the contrasts of `contrast_data`; the likelihood is that of
`contrast_likelihood`, integrated over the pre-post correlation r and over the unknown SDs; the
nodes are those of `contrast_grid`. Nothing is drawn at random, so that every machine prints the
same digits. Levels of refinement follow each other until means and interval ends move by less than
`TOLERANCE` posterior SDs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaln, ndtr, stdtr

from analysis.central import central
from analysis.exact.contrast_data import ContrastPriors, Contrasts
from analysis.exact.contrast_grid import (
    Evaluation,
    Grid,
    Layout,
    Task,
    evaluate,
    highest_moment,
    lay,
    task_of,
)
from analysis.exact.contrast_likelihood import EFFECT_DF, effect_scales
from analysis.exact.contrast_studies import study_table
from analysis.exact.model import Problem, typical_variance
from analysis.exact.posterior import Distribution
from analysis.exact.priors import Fixed
from analysis.exact.quadrature import Map
from analysis.exact.sinc import Slices, solve_quantiles

__all__ = ["ContrastPosterior", "ContrastPriors", "Contrasts", "fit", "fit_batch", "leave_one_out"]

TOLERANCE = 1e-3  # posterior SDs by which means and interval ends may still move
NEW_STUDY_NODES = 31


class SlicedDistribution(Distribution):
    """A quantity with even nodes for each tau (the mean effect, a coefficient)."""

    def __init__(self, slices: Slices, finite_moment: float = np.inf):
        self._slices = slices
        mean, sd = slices.moments()
        self._mean, self._sd = mean, sd
        self.mean = mean if finite_moment > 1 else float("nan")
        self.sd = sd if finite_moment > 2 else float("inf")

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return self._slices.cdf(x)

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        return self._slices.pdf(x)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        low, high = self._slices.ends()
        return solve_quantiles(p, self._cdf, self._pdf, self._mean, self._sd, low, high)


class GridTau(Distribution):
    """The heterogeneity tau, even nodes in v; with a fixed tau a point mass."""

    def __init__(self, change: Map | None, grid: Grid, weight: np.ndarray, finite_moment: float):
        self._change, self._tau, self._weight = change, grid.tau, weight
        if change is not None:
            self._slices = Slices.even(grid.v_start, grid.v_step, weight)
        mean = float(weight @ grid.tau)
        self.mean = mean if finite_moment > 1 else float("inf")
        sd = float(np.sqrt(weight @ (grid.tau - mean) ** 2))
        self.sd = sd if finite_moment > 2 else float("inf")

    def _v(self, tau: np.ndarray) -> np.ndarray:
        assert self._change is not None  # a fixed tau is answered before
        return self._change.inverse(np.maximum(tau, 1e-300)[None])[0]

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        if self._change is None:
            return (x >= self._tau[0]).astype(float)
        value = self._slices.cdf(self._v(np.where(x > 0, x, 1.0)))
        value = np.where(x >= self._change.upper[0], 1.0, value)
        return np.where(x > 0, value, 0.0)

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        if self._change is None:
            return np.where(x == self._tau[0], np.inf, 0.0)
        inside = (x > 0) & (x < self._change.upper[0])
        v = self._v(np.where(inside, x, self._tau.mean()))
        slope = np.exp(self._change.tau(v[None])[1][0])
        return np.where(inside, self._slices.pdf(v) / slope, 0.0)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        if self._change is None:
            return np.full(p.shape, self._tau[0])
        low, high = self._slices.ends()
        mean, sd = self._slices.moments()
        v = solve_quantiles(p, self._slices.cdf, self._slices.pdf, mean, sd, low, high)
        tau = self._change.tau(np.clip(v, low - 1, high + 1)[None])[0][0]
        return np.where(p <= 0, 0.0, np.where(p >= 1, self._change.upper[0], tau))


class NewStudy(Distribution):
    """The true effect of a new study: mu plus its own deviation, normal or Student t."""

    def __init__(self, slices: Slices, tau: np.ndarray, robust: bool, finite_moment: float):
        self._slices, self._tau, self._robust = slices, tau, robust
        centre, spread = slices.moments()
        by_tau = slices.weight.sum(axis=1)
        own = EFFECT_DF / (EFFECT_DF - 2) if robust else 1.0
        self._mean = centre
        self._sd = float(np.sqrt(spread**2 + own * (by_tau @ tau**2)))
        self.mean = centre if finite_moment > 1 else float("nan")
        self.sd = self._sd if finite_moment > 2 else float("inf")
        # Where tau is below the spacing of mu, mu is interpolated; elsewhere a sum over nodes does.
        spacing = np.diff(slices.nodes(), axis=1)
        faint = np.maximum(slices.weight[:, 1:], slices.weight[:, :-1]) < 1e-5 * slices.weight.max()
        self._fine = tau < 1.3 * np.where(faint, 0.0, spacing).max(axis=1)

    def _parts(self, x: np.ndarray, density: bool) -> np.ndarray:
        total = np.zeros(x.size)
        wide = ~self._fine
        if wide.any():
            nodes = self._slices.nodes()[wide].ravel()
            weight = self._slices.weight[wide].ravel()
            tau = np.repeat(self._tau[wide], self._slices.weight.shape[1])
            live = weight > 1e-18
            nodes, weight, tau = nodes[live], weight[live], tau[live]
            for i, value in enumerate(x):
                z = (value - nodes) / tau
                total[i] += weight @ (_unit_pdf(z, self._robust) / tau if density
                                      else _unit_cdf(z, self._robust))  # fmt: skip
        if self._fine.any():
            fine, tau = self._slices.rows(self._fine), self._tau[self._fine]
            u, share = _own_deviation(self._robust)
            at = (x[:, None, None] - tau * u[:, None]).reshape(-1, tau.size)
            value = fine.pdf(at) if density else fine.cdf(at)
            total += value.reshape(x.size, u.size) @ share
        return total

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return np.clip(self._parts(x, density=False), 0.0, 1.0)

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(self._parts(x, density=True), 0.0)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        low, high = self._slices.ends()
        reach = (400.0 if self._robust else 12.0) * float(self._tau.max())
        return solve_quantiles(
            p, self._cdf, self._pdf, self._mean, self._sd, low - reach, high + reach
        )


def _own_deviation(robust: bool) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and probabilities of a standard normal (or Student t) deviation."""
    u = np.linspace(-6.0, 6.0, NEW_STUDY_NODES)
    weight = np.exp(-0.5 * u * u)
    weight /= weight.sum()
    scale, share = effect_scales(robust)
    nodes = np.sqrt(scale)[:, None] * u
    probability = share[:, None] * weight
    live = probability > 1e-9
    return nodes[live], probability[live]


def _unit_cdf(z: np.ndarray, robust: bool) -> np.ndarray:
    return stdtr(EFFECT_DF, z) if robust else ndtr(z)


def _unit_pdf(z: np.ndarray, robust: bool) -> np.ndarray:
    if not robust:
        return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    df = EFFECT_DF
    constant = np.exp(gammaln((df + 1) / 2) - gammaln(df / 2)) / np.sqrt(df * np.pi)
    return constant * (1 + z * z / df) ** (-(df + 1) / 2)


class ISquared:
    """I^2 = tau^2 / (tau^2 + typical variance), through the distribution of tau.

    mean, median : numbers.      quantile, interval : as of a `Distribution`.
    """

    def __init__(self, tau: GridTau, typical: float):
        self._tau, self._typical = tau, typical
        self.mean = float(tau._weight @ self._of(tau._tau))

    def _of(self, tau: Any) -> Any:
        return 1.0 / (1.0 + self._typical / np.maximum(np.square(tau), 1e-300))

    def quantile(self, p: Any) -> Any:
        """Quantile of I^2."""
        return self._of(self._tau.quantile(p))

    @property
    def median(self) -> float:
        return float(self.quantile(0.5))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Central credible interval."""
        low, high = self._tau.interval(level)
        return float(self._of(low)), float(self._of(high))


class ContrastPosterior:
    """Posterior of one stratum and design, exact up to quadrature.

    Attributes
    ----------
    mu : distribution of the mean effect (with covariates: where all are zero).
    tau : heterogeneity.      predictive : true effect of a new study.
    coef : distributions of the regression coefficients by name, mu included.
    log_marginal_likelihood : log p(data), teachers included (a flat prior of mu has density 1).
    i_squared : share of the variance that is heterogeneity, SDs and r at their posterior means.
    k, n_patients : studies pooled and their patients.
    settled, moved, level : whether the levels settled; by how many posterior SDs the last one
        moved a mean or an end; its number.
    """

    def __init__(
        self, task: Task, layout: Layout, evaluation: Evaluation, settled: bool, moved: float,
        level: int,
    ):  # fmt: skip
        self.task, self._layout, self._evaluation = task, layout, evaluation
        self.settled, self.moved, self.level = settled, moved, level
        self.k = len(task.rows)
        self.n_patients = float(np.nansum(task.rows.n_patients))
        self.log_marginal_likelihood = evaluation.log_marginal
        tail = np.isfinite(np.max(task.prior.tau.tail))
        bounded = isinstance(task.prior.tau, Fixed) or np.all(np.isfinite(task.prior.tau.end))
        moment = highest_moment(task) if tail and not bounded else np.inf
        self._moment = moment
        self._flat = not np.isfinite(task.prior_sd).all()
        by_tau = evaluation.weight().sum(axis=1)
        self.tau = GridTau(layout.change, evaluation.grid, by_tau, moment)

    def _slices(self, d: int) -> Slices:
        """Nodes of coefficient d: even along coordinate d, shifted by the coordinates before it."""
        grid, root = self._evaluation.grid, self.task.root
        size, n = root.shape[0], grid.mean_nodes
        weight = self._evaluation.weight().reshape(-1, *(n,) * size)
        weight = weight.sum(axis=tuple(range(d + 2, size + 1)))
        index = np.indices((n,) * d).reshape(d, n**d)
        centre = np.repeat(root[d, d] * grid.centre[:, d][:, None], n**d, axis=1)
        for e in range(d):
            t = grid.start[:, e][:, None] + grid.step[:, e][:, None] * index[e]
            stretched = grid.centre[:, e][:, None] + grid.width[:, e][:, None] * np.sinh(t)
            centre += root[d, e] * stretched
        width, start, step = (
            np.broadcast_to(part[:, d][:, None], centre.shape).ravel()
            for part in (root[d, d] * grid.width, grid.start, grid.step)
        )
        return Slices(start, step, weight.reshape(-1, n), centre.ravel(), width)

    @cached_property
    def coef(self) -> dict[str, SlicedDistribution]:
        moment = self._moment if self._flat else np.inf
        names = ("mu", *self.task.rows.names)
        return {name: SlicedDistribution(self._slices(d), moment) for d, name in enumerate(names)}

    @property
    def mu(self) -> SlicedDistribution:
        return self.coef["mu"]

    def plane(self) -> tuple[Slices, np.ndarray]:
        """Nodes of mu for each node of tau, with their probabilities; the nodes of tau.

        Raises
        ------
        ValueError : with covariates or Student-t effects, where mu and tau do not say all.
        """
        if self.task.rows.names or self.task.robust:
            raise ValueError("only normal effects without covariates are laid out by mu and tau")
        return self._slices(0), self._evaluation.grid.tau

    @cached_property
    def predictive(self) -> NewStudy:
        return NewStudy(self._slices(0), self._evaluation.grid.tau, self.task.robust, self._moment)

    @cached_property
    def _coarse(self) -> Evaluation:
        """The first level of the grid, whose error is about a hundredth of a posterior SD.

        Enough for what is told of single studies and of r and the SDs, at a tenth of the work.
        """
        return evaluate(self.task, self._layout, self.task.levels[0])

    @cached_property
    def _nuisance_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior probabilities of the nodes of r (R,) and of the log SDs (Q,)."""
        evaluation = self._coarse
        top = evaluation.log_p.max()
        like = evaluation.likelihood
        by_r, by_sd = np.zeros(like.nodes.r.size), np.zeros(max(like.nodes.m.size, 1))
        for _, points, log_scale, value in evaluation.pieces():
            share = np.exp(log_scale - top)
            by_sd += share @ value
            by_r += like.weight_of_r(points, share, value)
        return by_r / by_r.sum(), by_sd / by_sd.sum()

    @cached_property
    def nuisance(self) -> pd.DataFrame:
        """Mean and SD of r, and of m and s of the log SDs (NaN where not in the model)."""
        nodes = self._coarse.likelihood.nodes
        by_r, by_sd = self._nuisance_weights
        rows = {"r": (nodes.r, by_r)}
        if nodes.m.size:
            rows |= {"log_sd": (nodes.m, by_sd), "log_sd_spread": (nodes.s, by_sd)}
        table = {}
        for name, (node, weight) in rows.items():
            mean = float(weight @ node)
            table[name] = {"mean": mean, "sd": float(np.sqrt(weight @ (node - mean) ** 2))}
        return pd.DataFrame.from_dict(table, orient="index")

    @cached_property
    def shrinkage(self) -> pd.DataFrame:
        """True effects of the studies, their SEs and weights (`contrast_studies.study_table`)."""
        return study_table(self._coarse)

    @cached_property
    def standard_errors(self) -> np.ndarray:
        """Standard errors of the rows, (k,): at the posterior means of r and of the mean log SD."""
        rows, table = self.task.rows, self.nuisance["mean"]
        r = table["r"]
        se = np.sqrt(rows.var_a - r * rows.var_b)
        if (~rows.has_spread).any():
            learnt = np.exp(table["log_sd"]) * np.sqrt(rows.n_factor)
            se = np.where(rows.has_spread, se, learnt)
        return se

    @cached_property
    def i_squared(self) -> ISquared:
        variance = self.standard_errors[None] ** 2
        k = len(self.task.rows)
        problem = Problem(np.zeros((1, k)), variance, np.ones((1, k), bool),
                          self.task.design[None], np.ones(k), k)  # fmt: skip
        return ISquared(self.tau, float(typical_variance(problem)[0]))

    def power_scaled(self, *, prior: float = 1.0, likelihood: float = 1.0) -> ContrastPosterior:
        """The posterior with p(mu, tau)^prior p(data | mu, tau)^likelihood, on the same nodes.

        r and the SDs stay integrated out under their own priors. Powers from 0.5 to 2 are meant.

        References
        ----------
        Kallioinen et al. (2024), Statistics and Computing 34:57.
        """
        if not (0.3 <= prior <= 3 and 0.3 <= likelihood <= 3):
            raise ValueError(f"powers lie between 0.3 and 3, got {prior!r} and {likelihood!r}")
        scaled = self._evaluation.scaled(prior, likelihood)
        return ContrastPosterior(
            self.task, self._layout, scaled, self.settled, self.moved, self.level
        )

    def summary(self) -> dict[str, float]:
        """The printed figures as one record: mean, sd, median, ends of mu, predictive and tau."""
        record: dict[str, float] = {"k": self.k, "n_patients": self.n_patients}
        for name in ("mu", "tau", "predictive"):
            one = getattr(self, name)
            low, median, high = central(one)
            record |= {f"{name}_mean": one.mean, f"{name}_sd": one.sd, f"{name}_median": median,
                       f"{name}_low": low, f"{name}_high": high}  # fmt: skip
        record["log_marginal_likelihood"] = self.log_marginal_likelihood
        return record

    def __repr__(self) -> str:
        return f"ContrastPosterior(k={self.k}; mu: {self.mu!r}; tau: {self.tau!r})"


def _key_figures(posterior: ContrastPosterior) -> tuple[np.ndarray, np.ndarray]:
    """What must not move any more, and the posterior SDs that say how much is much."""
    figures, scales = [], []
    for one in (posterior.mu, posterior.tau):
        low, _, high = central(one)
        sd = one.sd if 0 < one.sd < np.inf else max(high - low, 1e-300) / 4
        middle = one.mean if np.isfinite(one.mean) else one.median
        figures += [middle, low, high]
        scales += [sd] * 3
    return np.array(figures), np.array(scales)


def fit(
    rows: pd.DataFrame | Contrasts,
    prior: ContrastPriors,
    *,
    teachers: pd.DataFrame | Contrasts | None = None,
    r: float | None = None,
    sd: float | None = None,
    words_se: float = 1.0,
    robust: bool = False,
    covariates: Sequence[str] | Mapping[str, Any] = (),
    tolerance: float = TOLERANCE,
) -> ContrastPosterior:
    """Exact posterior of the contrasts of one stratum and design.

    Parameters
    ----------
    rows : the contrasts to pool: columns of the effects table, or `Contrasts` from plain arrays.
    prior : the priors, in the unit of the outcome (`ContrastPriors.of(outcome)`).
    teachers : the studies that teach SDs of change, whether pooled or not. None: those of `rows`
        that print a spread of their own, where a row of `rows` needs an SD.
    r : a fixed pre-post correlation. None: unknown, with its prior.
    sd : a fixed SD of change for rows without a spread. None: learnt.
    words_se : factor on the standard errors of results in words.
    robust : effects around their mean are Student t with four degrees of freedom.
    covariates : names of columns of `rows`, or a mapping of a name to k values; each has a prior in
        `prior.coefficients`, and mu is the mean where all of them are zero.
    tolerance : posterior SDs by which the last level may move a mean or an interval end.

    Raises
    ------
    ValueError : a row that cannot be read (all of them are named); a value out of its range.

    References
    ----------
    Röver (2020), J Stat Softw 93(6), for the model without words; Trefethen & Weideman (2014),
    SIAM Review 56:385, for the rule.
    """
    task = prepare(rows, prior, teachers=teachers, r=r, sd=sd, words_se=words_se, robust=robust,
                   covariates=covariates)  # fmt: skip
    return solve(task, tolerance)


def prepare(
    rows: pd.DataFrame | Contrasts,
    prior: ContrastPriors,
    *,
    teachers: pd.DataFrame | Contrasts | None = None,
    r: float | None = None,
    sd: float | None = None,
    words_se: float = 1.0,
    robust: bool = False,
    covariates: Sequence[str] | Mapping[str, Any] = (),
) -> Task:
    """What `fit` solves, checked; also what the sampled witness of the same posterior reads.

    Parameters
    ----------
    rows, prior, teachers, r, sd, words_se, robust, covariates : as in `fit`.

    Raises
    ------
    ValueError : as `fit`.
    """
    if r is not None and not -1 < r < 1:
        raise ValueError(f"a correlation lies between -1 and 1, got {r!r}")
    if sd is not None and not 0 < sd < np.inf:
        raise ValueError(f"sd must be finite and above zero, got {sd!r}")
    if not 0 < words_se < np.inf:
        raise ValueError(f"words_se must be finite and above zero, got {words_se!r}")
    pooled = Contrasts.from_frame(rows, covariates)
    needs_sd = bool((~pooled.has_spread).any()) and sd is None
    if teachers is not None:
        teach = Contrasts.from_frame(teachers)
        teach = teach.rows(teach.teaches)
    else:
        teach = pooled.rows(pooled.teaches & needs_sd)
    if sd is not None:
        pooled, teach = pooled.with_sd(sd), teach.rows(np.zeros(len(teach), dtype=bool))
    return task_of(pooled.with_words_se(words_se), teach, prior, r, robust)


def solve(task: Task, tolerance: float = TOLERANCE) -> ContrastPosterior:
    """The posterior of a prepared task: lay the nodes, refine level by level.

    Parameters
    ----------
    task : what `prepare` gives.
    tolerance : SDs by which nothing printed may still move from one level to the next.
    """
    layout = lay(task)
    before, moved = None, np.inf
    for number, level in enumerate(task.levels):
        evaluation = evaluate(task, layout, level)
        posterior = ContrastPosterior(task, layout, evaluation, False, moved, number)
        figures, scales = _key_figures(posterior)
        if before is not None:
            moved = float(np.max(np.abs(figures - before) / scales))
            posterior.moved = moved
            if moved < tolerance:
                posterior.settled = True
                break
        before = figures
    return posterior


def fit_batch(cases: Iterable[Mapping[str, Any]], *, jobs: int = 1) -> list[ContrastPosterior]:
    """Many fits, in order: leave-one-out, cumulative, prior grids, cells of a multiverse.

    Parameters
    ----------
    cases : for each fit the arguments of `fit` by name (`rows`, `prior`, `teachers` ...).
    jobs : processes at work; one needs no more than numpy and scipy.

    Returns
    -------
    One posterior a case, in their order.
    """
    cases = list(cases)
    if jobs == 1 or len(cases) < 2:
        return [fit(**case) for case in cases]
    import joblib

    return joblib.Parallel(n_jobs=jobs)(joblib.delayed(fit)(**case) for case in cases)


def leave_one_out(
    rows: pd.DataFrame | Contrasts, prior: ContrastPriors, **choices: Any
) -> list[ContrastPosterior]:
    """The posterior without each row in turn; it no longer teaches an SD either.

    Teachers given are matched to the rows by their labels (`effect_id`).

    Parameters
    ----------
    rows, prior : as in `fit`.
    choices : the further arguments of `fit`.

    Returns
    -------
    One posterior for each row, in their order.
    """
    pooled = Contrasts.from_frame(rows, choices.pop("covariates", ()))
    teachers = choices.pop("teachers", None)
    teach = None if teachers is None else Contrasts.from_frame(teachers)
    cases = []
    for i, label in enumerate(pooled.labels):
        left = None if teach is None else teach.rows(teach.labels != label)
        keep = np.arange(len(pooled)) != i
        cases.append({"rows": pooled.rows(keep), "prior": prior, "teachers": left, **choices})
    return fit_batch(cases)
