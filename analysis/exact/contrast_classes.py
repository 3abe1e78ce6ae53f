"""A level of classes between the mean and the studies: `fit_classes`.

    eta_c ~ N(mu, tau_class^2) for each cell class,      theta_i ~ N(eta_class(i), tau^2)

Given tau, tau_class, r and the SDs the classes are independent, and each is a function of its own
mean eta_c alone. That function is tabulated on an even grid of eta and averaged over N(mu,
tau_class^2) by the matrix that averages log SDs (`contrast_likelihood.log_sd_kernel`). The level is
for pools in which two or more classes have two or more studies: `has_class_level`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.exact.contrast_data import ContrastPriors, Contrasts
from analysis.exact.contrast_grid import LOG_2PI, Grid, Level, Task, grid_of, lay, nuisance_of
from analysis.exact.contrast_likelihood import Likelihood, log_sd_kernel
from analysis.exact.contrasts import GridTau, SlicedDistribution, prepare, solve
from analysis.exact.posterior import MixtureDistribution
from analysis.exact.priors import HalfNormal
from analysis.exact.quadrature import Map
from analysis.exact.sinc import Slices

LEVEL = Level(16, 21, 8, 10, 7, 0.36)
MEAN_NODES, CLASS_NODES, SPREAD_NODES = 45, 95, 11
REACH = 6.0  # SDs of the mean on either side that are laid


def has_class_level(rows: pd.DataFrame | Contrasts) -> bool:
    """Whether two or more classes have two or more studies."""
    return int((pd.Series(rows.cell_class).value_counts() >= 2).sum()) >= 2


@dataclass(frozen=True)
class ClassPosterior:
    """Posterior with a level of classes.

    mu : mean over classes.      tau, tau_class : SD between studies of a class, between classes.
    predictive : true effect of a new study of a new class.
    classes : distribution of the mean of each class.
    log_marginal_likelihood : log p(data), as of `ContrastPosterior`.
    k, n_patients : studies pooled and their patients.
    """

    mu: SlicedDistribution
    tau: GridTau
    tau_class: GridTau
    predictive: MixtureDistribution
    classes: dict[str, SlicedDistribution]
    log_marginal_likelihood: float
    k: int
    n_patients: float


def fit_classes(
    rows: pd.DataFrame | Contrasts, prior: ContrastPriors, **choices: Any
) -> ClassPosterior:
    """Exact posterior with a level of cell classes.

    Parameters
    ----------
    rows : as in `contrasts.fit`, with a `cell_class`.
    prior : with `tau_class`.
    choices : teachers, r, sd, words_se of `contrasts.fit`.

    Raises
    ------
    ValueError : as `contrasts.fit`; also when fewer than two classes have two studies, when there
        is no half-normal prior of tau or of tau_class, or with covariates.
    """
    task = prepare(rows, prior, **choices)
    if not has_class_level(task.rows):
        raise ValueError("a class level needs two classes with two studies or more")
    if task.rows.names:
        raise ValueError("a class level takes no covariates")
    if not isinstance(prior.tau_class, HalfNormal) or not isinstance(prior.tau, HalfNormal):
        raise ValueError("a class level needs half-normal priors of tau and of tau_class")
    plain = solve(task)
    layout = lay(task)
    grid = grid_of(task, layout, LEVEL)
    nodes = nuisance_of(task, layout, LEVEL)
    likelihood = Likelihood(task.rows, task.teachers, nodes, task.robust)

    between = float(np.asarray(prior.tau_class.scale, dtype=float))
    half = REACH * np.hypot(plain.mu.sd, 0.6 * between)
    mu = np.linspace(plain.mu.mean - half, plain.mu.mean + half, MEAN_NODES)
    eta = np.linspace(mu[0] - 2 * between, mu[-1] + 2 * between, CLASS_NODES)
    change = Map(np.array([0.5 * between]), np.array([np.inf]), np.zeros(1))
    spread = _spread_grid(change, prior.tau_class)
    size = spread.tau.size
    kernel = log_sd_kernel(eta, np.tile(mu, size), np.repeat(spread.tau, MEAN_NODES)).T

    log_prior = spread.log_weight[:, None] + _log_normal(mu, prior) + np.log(mu[1] - mu[0])
    names = sorted(set(task.rows.cell_class))
    slices = list(_slices(task, likelihood, grid, eta, names))
    teach = likelihood.teach.ravel()
    log_p = np.empty((grid.tau.size, size, MEAN_NODES))
    for j, (log_scale, tables) in enumerate(slices):
        product = np.ones((kernel.shape[0], teach.size))
        for table in tables:
            product *= _average(kernel, table)
        with np.errstate(divide="ignore"):
            log_p[j] = np.log(product @ teach).reshape(size, MEAN_NODES) + log_scale
    log_p += grid.log_weight[:, None, None] + log_prior + likelihood.teach_scale
    top = log_p.max()
    weight = np.exp(log_p - top)
    total = weight.sum()
    prior_weight = np.exp(grid.log_weight[:, None, None] + log_prior - top)
    density = {name: np.zeros(CLASS_NODES) for name in names}
    for j, (log_scale, tables) in enumerate(slices):
        averages = [_average(kernel, table) for table in tables]
        factor = np.exp(log_scale + likelihood.teach_scale) * prior_weight[j].reshape(-1, 1)
        for c, name in enumerate(names):
            rest = factor * teach
            for other, average in enumerate(averages):
                if other != c:
                    rest = rest * average
            density[name] += (tables[c] * (kernel.T @ rest)).sum(axis=1)
    weight /= total
    by_tau, by_spread = weight.sum(axis=(1, 2)), weight.sum(axis=(0, 2))
    sd = np.hypot(grid.tau[:, None], spread.tau)[:, :, None]
    return ClassPosterior(
        mu=SlicedDistribution(Slices.even(mu[0], mu[1] - mu[0], weight.sum(axis=(0, 1)))),
        tau=GridTau(layout.change, grid, by_tau, np.inf),
        tau_class=GridTau(change, spread, by_spread, np.inf),
        predictive=MixtureDistribution(
            weight.ravel(),
            np.broadcast_to(mu, weight.shape).ravel(),
            np.broadcast_to(sd, weight.shape).ravel(),
        ),
        classes={
            name: SlicedDistribution(
                Slices.even(
                    eta[0], eta[1] - eta[0], np.maximum(one, 0.0) / np.maximum(one, 0.0).sum()
                )
            )
            for name, one in density.items()
        },
        log_marginal_likelihood=float(top + np.log(total)),
        k=len(task.rows),
        n_patients=float(np.nansum(task.rows.n_patients)),
    )


def _average(kernel: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A likelihood of class means averaged given mu; a spline may dip below zero by its error."""
    return np.maximum(kernel @ table, 1e-300)


def _spread_grid(change: Map, prior: HalfNormal) -> Grid:
    """Nodes of tau_class, even in the variable of its change, with their prior weights."""
    v = np.linspace(-3.2, np.log(10.0), SPREAD_NODES)
    tau, log_slope = (part[0] for part in change.tau(v[None]))
    step = float(v[1] - v[0])
    log_cell = log_slope + np.log(step)
    empty = np.zeros((v.size, 1))
    log_weight = prior.logpdf(tau[None])[0] + log_cell
    return Grid(tau, log_cell, log_weight, float(v[0]), step, empty, empty, empty, empty, 1)


def _log_normal(mu: np.ndarray, prior: ContrastPriors) -> np.ndarray:
    if prior.mu is None:
        return np.zeros(mu.size)
    mean, sd = prior.mu.one
    return -0.5 * ((mu - mean) / sd) ** 2 - np.log(sd) - 0.5 * LOG_2PI


def _slices(
    task: Task, like: Likelihood, grid: Grid, eta: np.ndarray, names: list[str]
) -> Iterator[tuple[float, list[np.ndarray]]]:
    """For each tau: a log scale, and for each class its likelihood, (eta, R times Q)."""
    width = like.teach.shape[1]
    for tau in grid.tau:
        at = np.full(eta.size, tau)
        scale, tables = 0.0, []
        for name in names:
            log_known = np.zeros((eta.size, like.nodes.r.size))
            log_learnt = np.zeros((eta.size, width))
            for i in np.flatnonzero(task.rows.cell_class == name).tolist():
                if task.rows.has_spread[i]:
                    log_known = log_known + like.known_row(i, eta, at)
                else:
                    value, top = like.learnt_row(i, eta, at)
                    log_learnt += np.log(value) + top[:, None]
            best = log_known.max() + log_learnt.max()
            both = log_known[:, :, None] + log_learnt[:, None, :] - best
            tables.append(np.exp(np.maximum(both, -200.0 / len(names))).reshape(eta.size, -1))
            scale += best
        yield scale, tables
